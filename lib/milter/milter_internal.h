/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One milter of a conversation. State:
 *
 *	CLOSED --connect--> READY --accept/reject--> DONE_CONNECTION
 *	READY --accept, discard--> DONE_MESSAGE --abort, next message--> READY
 *	any --failure--> FAILED (until the connections end)
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "milter/milter.h"
#include "milter/packet.h"

struct arena;
struct buf;
struct stream;

enum milter_state {
	MILTER_CLOSED,
	MILTER_READY,
	MILTER_DONE_MESSAGE,
	MILTER_DONE_CONNECTION,
	MILTER_FAILED,
};

struct milter {
	struct milters *all;
	const struct milter_setting *setting;
	struct stream *stream;
	enum milter_state state;
	int version;
	uint32_t actions;
	uint32_t flags;   /* MILTER_NO_*, MILTER_NOREPLY_* ... */
	uint32_t skipped; /* MILTER_NO_* of what it wants no more of in this message */
	struct str names[MILTER_STAGES];        /* of macros */
	struct str values[MILTER_SYMBOL_LISTS]; /* imported: encoded values instead */
	bool is_imported;
	struct milter_answer standing; /* in DONE_CONNECTION and FAILED */
	int64_t started_ms;
};

struct milters {
	struct arena *mem;        /* of the conversation */
	struct arena *connection; /* what was agreed; ends with milters_disconnect() */
	const struct milter_settings *settings;
	const struct milter_world *world;
	struct buf *out;
	struct buf *in;
	struct milter *list;
	size_t n;
};

/* An event: its letter, where its macros are, the flags that switch it and its answer
 * off. */
struct milter_event {
	char letter;
	enum milter_stage stage;
	uint32_t off;
	uint32_t silent;
	bool is_connection; /* its answer counts for all messages */
	bool is_content;    /* milter_content_timeout */
};
extern const struct milter_event milter_connect_event, milter_helo_event,
	milter_mail_event, milter_rcpt_event, milter_data_event, milter_unknown_event,
	milter_header_event, milter_end_of_header_event, milter_body_event,
	milter_end_event;

/* Say it in the log, end the connection, and give the default action from now on. */
struct milter_answer milter_fail(struct milter *m, const char *format, ...)
	PRINTF_LIKE(2, 3);
/* The same where the milter itself is set up wrong. */
struct milter_answer milter_misconfigured(struct milter *m, const char *format, ...)
	PRINTF_LIKE(2, 3);
void milter_warn(struct milter *m, const char *format, ...) PRINTF_LIKE(2, 3);

/* Connect and agree on the options; false: *answer_out is the default action. */
bool milter_open(struct milter *m, struct arena *mem, struct milter_answer *answer_out);

/* Begin the event in all->out: macros, then its packet up to the letter. */
size_t milter_event_begin(struct milter *m, struct arena *mem,
			  const struct milter_event *event);
/* Send what is in all->out, and hear the answer unless there is none. */
struct milter_answer milter_event_end(struct milter *m, struct arena *mem,
				      const struct milter_event *event, size_t mark);
/* Whether this milter is told this event. If not, its standing answer counts. */
bool milter_wants(struct milter *m, const struct milter_event *event);

enum milter_received { MILTER_GOT_PACKET, MILTER_GOT_NOTHING };
/* One packet of the milter, the connection failed otherwise (*answer_out). A view of
 * data, valid until the next packet. */
bool milter_read_packet(struct milter *m, const struct milter_event *event,
			char *letter_out, struct str *data_out,
			struct milter_answer *answer_out);
/* Those replies that every event may get. False: it is none of them. */
bool milter_common_reply(struct milter *m, struct arena *mem,
			 const struct milter_event *event, char letter, struct str data,
			 struct milter_answer *answer_out);
struct milter_answer milter_unexpected(struct milter *m, const struct milter_event *event,
				       char letter);
bool milter_send_out(struct milter *m, const struct milter_event *event,
		     struct milter_answer *answer_out);
/* All macro values of a stage as name NUL value NUL. */
void milter_put_macros(struct milter *m, struct arena *mem, enum milter_stage stage,
		       struct buf *out);
