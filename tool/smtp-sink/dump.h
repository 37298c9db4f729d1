/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Capture files: the envelope as header lines, then the message as it came (dots
 * unstuffed, without CR), then an empty line. A message that does not come to its end
 * leaves nothing.
 *
 * With -d each has a file of its own; with -D it is gathered in a file without a name and
 * appended in one piece, so that messages that come at the same time do not mix.
 * Writing blocks the process, as the disk does.
 */

#include "base/buf.h"
#include "base/err.h"
#include "sink.h"

struct dump;

struct dump_envelope {
	const char *client; /* address */
	const char *proto;  /* SMTP, ESMTP, LMTP */
	bool has_helo;
	struct str helo;
	struct str mail;
	struct str rcpts; /* one per line */
};

/* False with the reason if no file can be made. */
bool dump_open(const struct sink *sink, const struct dump_envelope *envelope,
	       struct dump **out, struct err *err) MUST_CHECK;
/* struct body's emit; errors come out in dump_commit(). */
void dump_add(void *dump, struct str text);
/* The message is complete. */
bool dump_commit(struct dump **dump, struct err *err) MUST_CHECK;
/* It will not be. */
void dump_abort(struct dump **dump);
