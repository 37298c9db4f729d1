/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages between our processes: one row per field in messages.def, and from the row the
 * struct, the encoder, the decoder and the fuzz target.
 *
 * On the wire a message is text that one can read in strace: its name, then "field NUL
 * value NUL" pairs, then an empty name (one NUL). Unknown fields are skipped, so a newer
 * peer may send more; a missing required field, a field that is too long, a number out of
 * range or more than IPC_FIELDS_MAX fields fail the whole message: a caller never sees
 * half of one. A descriptor travels beside its field (SCM_RIGHTS); the value on the wire
 * is then empty.
 *
 * Connections carry a version: the first message each way is preceded by "hikyaku-ipc 1
 * NUL"; the functions below see to that through struct ipc.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct buf;
struct stream;

enum { IPC_FIELDS_MAX = 64, IPC_MESSAGE_MAX = 1 << 20 };

enum ipc_type {
	IPC_TYPE_STR, /* struct str; max = longest length in bytes */
	IPC_TYPE_NUM, /* int64_t; 0..max */
	IPC_TYPE_FD,  /* int; -1 where none was sent; the receiver owns it */
};

struct ipc_field {
	const char *name;
	size_t offset;
	int64_t max;
	enum ipc_type type;
	bool required;
};

struct ipc_message {
	const char *name;
	size_t size; /* of its struct */
	const struct ipc_field *(*fields)(size_t *n_out);
};

/* One end of a connection: the stream and what the protocol remembers about it. */
struct ipc {
	struct stream *stream; /* not owned */
	bool greeted;          /* we sent our version */
	bool met;              /* the peer's version was read */
};

void ipc_init(struct ipc *ipc, struct stream *stream);

enum ipc_result {
	IPC_DONE,
	IPC_CLOSED, /* the peer closed the connection between two messages */
	IPC_FAILED, /* time-out, broken connection, bad message; err tells */
};

/* Put the message into the stream's buffer. Deadlines are the stream's. */
bool ipc_send(struct ipc *ipc, const struct ipc_message *message, const void *value,
	      struct err *err) MUST_CHECK;

/* Push out what ipc_send() and raw writes have buffered. */
bool ipc_flush(struct ipc *ipc, struct err *err) MUST_CHECK;

/* Flush, then wait for this one message. Strings are in the arena. */
enum ipc_result ipc_receive(struct ipc *ipc, struct arena *mem,
			    const struct ipc_message *message, void *value_out,
			    struct err *err) MUST_CHECK;

/* As ipc_receive() for a server that takes several messages: `accepted` is an array ended
 * by NULL; *which_out is the one that came, *value_out its struct in the arena. A message
 * that is not in the array is a failure. */
enum ipc_result ipc_receive_any(struct ipc *ipc, struct arena *mem,
				const struct ipc_message *const *accepted,
				const struct ipc_message **which_out, void **value_out,
				struct err *err) MUST_CHECK;

/* The codec alone. ipc_decode() takes what lies between the message's name and its final
 * NUL; a descriptor field that was announced is IPC_FD_COMING. */
enum { IPC_FD_COMING = -2 };
void ipc_encode(struct buf *out, const struct ipc_message *message, const void *value);
bool ipc_decode(struct arena *mem, const struct ipc_message *message, struct str fields,
		void *value_out, struct err *err) MUST_CHECK;

/* "name: field=value field=value" for debugging and tests. */
struct str ipc_print(struct arena *mem, const struct ipc_message *message,
		     const void *value);
