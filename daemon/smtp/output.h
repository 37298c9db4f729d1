/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A message on its way out: a filter between the queue file and the protocol engine. It
 * is pulled line by line, as the engine wants them, and pulls from the queue file:
 *
 *	queue file ─► MIME parser ─► header fields: checks, generic addresses ─┐
 *	              │  └ eight bits become quoted-printable                  ├─► engine
 *	              └─► body lines: checks ─────────────────────────────────┘
 *
 * Conversion is for a server without 8BITMIME, of a message that is not known to be
 * 7bit (RFC 6152; disable_mime_output_conversion). Without any of these there is no
 * filter at all, and the lines go as they are. In memory is what one line or one header
 * field became.
 */

#include <stdbool.h>

#include "base/str.h"

#include "mail/dsn.h"
#include "smtp/client.h"

struct arena;
struct checks;
struct err;
struct generic;
struct output;
struct smtp;

/* What is the same for all messages; in struct smtp. */
struct output_rules;

bool output_load(struct smtp *s, struct err *err) MUST_CHECK;
/* Has a file of a table changed, which only a new process may open? */
bool output_is_outdated(const struct smtp *s);
const struct checks *output_checks(const struct smtp *s);
const struct generic *output_generic(const struct smtp *s);

/* Where the lines come from. */
struct output_source {
	enum smtp_content (*next)(void *arg, struct str *text_out);
	void *arg;
};

/* For one message, in its arena; queue_id is for the log. */
struct output *output_new(struct arena *mem, struct smtp *s, struct str queue_id,
			  const struct output_source *source);

/* The message begins (again): its source has been rewound. convert: to seven bits. */
void output_start(struct output *o, bool convert);

/* The next line or piece, valid until the next call. On SMTP_CONTENT_FAILED *failure_out
 * is what is wrong with the message; untouched when it could not be read. */
enum smtp_content output_next(struct output *o, struct str *text_out,
			      struct dsn *failure_out);
