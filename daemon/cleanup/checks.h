/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * header_checks, mime_header_checks, nested_header_checks and body_checks: one look-up
 * for each header field (all its lines) and each body line (or piece of a long one), and
 * what the rule that is found asks for. Actions are parsed in mail/check_action.h.
 *
 * Nothing is asked for a message without CLEANUP_FLAG_FILTER. PASS, DISCARD, REDIRECT and
 * REJECT end the checks of a message. A table that does not answer fails the message for
 * now (CLEANUP_WRITE), with a line in the log.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "mail/mime.h"

#include "byte_set.h"

struct arena;
struct cleanup;
struct maps;
struct message;

struct checks {
	struct maps *header; /* each NULL if there is none */
	struct maps *mime;
	struct maps *nested;
	struct maps *body;
	struct byte_set rejected; /* message_reject_characters */
	struct byte_set stripped; /* message_strip_characters */
};

/* How many fields DISCARD and the like may make; more BCC are dropped with a warning. */
enum { CHECKS_BCC_MAX = 1000 };

/* Open the tables; warnings of theirs go to the log. */
bool checks_load(struct cleanup *c, struct err *err) MUST_CHECK;

/* Must the parts of this message be looked into? */
bool checks_need_mime(const struct message *m);

/* A line of the message, or a piece of one, as it came. True: go on with *text, which may
 * have lost bytes (in mem); false: the message is refused. */
bool checks_bytes(struct message *m, struct arena *mem, struct str *text);

/* A header field, lines separated by newlines. True: write *text, which may have been
 * replaced (in mem); false: drop it. PREPEND is written here. */
bool checks_header(struct message *m, struct arena *mem, enum mime_header_class which,
		   struct str *text);

/* A body line or a piece of one; the same. */
bool checks_body(struct message *m, struct arena *mem, struct str *text);

/* What the MIME parser found wrong with the message (one bit), and in what: refused
 * where strict parameters ask. */
void checks_mime_problem(struct message *m, unsigned problem, struct str where);

/* FILTER, REDIRECT: written after all that the client said, so that they count. Copies
 * of BCC are the envelope's matter. */
void checks_finish(struct message *m);
