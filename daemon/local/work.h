/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What has become of one recipient so far. deliver.c runs commands and fills files as it
 * meets them and collects the rest; finish.c does the rest, last, when nothing that could
 * fail for now is left, and answers.
 */

#include <stdbool.h>

#include "base/str.h"

#include "mail/dsn.h"

#include "local.h"

struct agent_recipient;
struct agent_request;
struct arena;
struct map;

/* Another transport gets it, under this address. */
struct work_pass {
	struct str address, original, transport;
};

enum { WORK_PASSES_MAX = 100 };

/* The delivery of one of qmgr's recipients. */
struct work {
	struct local *l;
	struct agent_request *r;
	struct agent_recipient *rcpt;
	struct arena *mem;
	struct str sender;    /* that of the message, or an alias's owner */
	bool is_list;         /* of an alias with an owner */
	struct str delivered; /* Delivered-To: */
	struct str *forwards; /* addresses for a new message */
	size_t n_forwards;
	struct work_pass passes[WORK_PASSES_MAX];
	size_t n_passes;
	struct map *seen;     /* what was done: duplicates are left out */
	struct map *included; /* files that were read */
	struct dsn worst;     /* the worst of what came of it */
	bool any;
};

/* A result of a part: what waits is worse than what failed, that worse than what was
 * done. soft_bounce is applied here. */
void work_note(struct work *w, const struct dsn *dsn);
void work_note_text(struct work *w, const char *status, struct str text);

/* Is the word in the list? */
bool work_lists(struct str list, const char *word);

/* Was it delivered to w->delivered before, as its header says? */
bool work_is_loop(struct work *w);

/* Other transports, the new message, the answer. */
void work_finish(struct work *w);
