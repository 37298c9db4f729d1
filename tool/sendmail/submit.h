/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Hands a message to postdrop: starts it, writes records to its standard input, reads its
 * answer.
 *
 * Once a write failed every further one does nothing; submit_finish() tells.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct buf;

struct submit {
	struct arena *mem;
	const char *command; /* for messages: "/usr/sbin/postdrop -r" */
	pid_t child;
	int to, from;       /* pipes; -1 when closed */
	struct buf *out;    /* records not yet written */
	struct buf *answer; /* read from postdrop; used up to answer_at */
	size_t answer_at;
	bool failed;
};

/* argv: postdrop and its options, ended by NULL. False with err when it cannot be
 * started or did not say that it is there; its exit status is then in *status_out (-1:
 * none). */
bool submit_start(struct arena *mem, struct submit *s, const char *const *argv,
		  int *status_out, struct err *err) MUST_CHECK;

void submit_record(struct submit *s, char letter, struct str data);
/* As L and N (or only L) records of at most limit bytes. */
void submit_text(struct submit *s, struct str text, size_t limit, bool ends);
/* "name=value" */
void submit_attribute(struct submit *s, const char *name, struct str value);

enum submit_result {
	SUBMIT_DONE,
	SUBMIT_REFUSED, /* why_out: postdrop's reason, or what its status means */
	SUBMIT_LOST,    /* it ended without an answer */
};

/* Close its input and wait for the answer. */
enum submit_result submit_finish(struct submit *s, struct str *why_out);

/* Close its input in the middle: postdrop removes the file. */
void submit_cancel(struct submit *s);
