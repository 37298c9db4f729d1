/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A connection of a table to its server, for code that blocks (a tool, a thread of
 * proxymap; never a fiber): a socket, what was read from it, and a time by which
 * everything must be done, however few bytes come at a time. Errors are ERR_TEMP and do
 * not name the server.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct arena;

/* Where a server is. */
struct wire_place {
	bool is_unix;
	const char *path; /* is_unix */
	const char *host; /* else: name or address, without brackets */
	const char *port; /* number or name */
};

struct wire {
	int fd;           /* -1: not connected, or from memory */
	int64_t deadline; /* sys_mono_ms() */
	struct buf in;
	size_t taken; /* of in: what the caller has seen */
	size_t max;   /* in never holds more */
};

/* "inet:host:port", "unix:path"; "host:port" where plain. "[address]" as host. Texts are
 * in mem. ERR_CONFIG without naming the text. */
bool wire_place_parse(struct arena *mem, struct str text, bool plain,
		      struct wire_place *out, struct err *err) MUST_CHECK;

/* Not connected. max: most bytes that one read may gather. */
void wire_init(struct wire *w, size_t max);
void wire_release(struct wire *w);

/* For tests and fuzzing: all that ever comes is `input`. */
void wire_from_memory(struct wire *w, struct str input, size_t max);

void wire_set_timeout(struct wire *w, int64_t ms);

/* Each address of the name is tried. The look-up of the name has the system's time. */
bool wire_connect(struct wire *w, const struct wire_place *place,
		  struct err *err) MUST_CHECK;
bool wire_is_connected(const struct wire *w);
void wire_close(struct wire *w);

/* Does the connection that was left idle have something to read, or its end? Then it is
 * of no more use. */
bool wire_is_stale(const struct wire *w);

bool wire_send(struct wire *w, struct str data, struct err *err) MUST_CHECK;

/* Up to and without the next LF (and a CR before it), at most max bytes. The view is
 * valid until the next call. */
bool wire_line(struct wire *w, size_t max, struct str *line_out,
	       struct err *err) MUST_CHECK;

/* n bytes; the same view. */
bool wire_bytes(struct wire *w, size_t n, struct str *out, struct err *err) MUST_CHECK;
