/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The lists of deferred mail by site: queue directory flush/, one file a site
 * (rewrite/flush_site.h), one queue id a line, as Postfix keeps them. Entries are only
 * added; an id may be there more than once, or after its message is gone. When the site's
 * mail is sent, each message that is still deferred is made due, then the list is
 * emptied.
 *
 * A list has two times: it is modified when an entry is added, and read (access time)
 * when its mail is sent. Lists that nobody asked for are sent every
 * fast_flush_refresh_time, so that they do not grow for ever; empty ones go away after
 * fast_flush_purge_time.
 *
 * Losing an entry costs no mail: the message is tried at its own time.
 *
 * Blocks on the disk. lists_send() yields between messages; what is added to a list
 * meanwhile stays on it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "queue/dir.h"

struct loop;
struct log;

enum {
	LIST_BYTES_MAX = 64 << 20, /* then it is sent whether asked for or not */
	LIST_REMEMBER_MAX = 10000, /* ids of one list that are not looked for twice */
};

struct lists {
	const struct queue_dirs *dirs;
	struct loop *loop;
	struct log *log;
	int64_t refresh_s; /* fast_flush_refresh_time */
	int64_t purge_s;   /* fast_flush_purge_time */
};

/* How a message is made due: at once even where its destination is known to be down
 * (postqueue -s, -i), or as at its own time. */
enum due { DUE_WHATEVER_IS_DOWN, DUE_AS_USUAL };

/* The message of this id: if deferred, to incoming with the present time. False with err
 * only for a failure; a message that is not there is none. *found_out may be NULL. */
bool lists_make_due(const struct lists *l, struct str id, enum due how, bool *found_out,
		    struct err *err) MUST_CHECK;

/* file: of flush_site_file(). *full_out: it is time to send it. */
bool lists_add(const struct lists *l, struct str file, struct str id, bool *full_out,
	       struct err *err) MUST_CHECK;

/* Make all of the list's messages due and empty it. A list that is not there is empty.
 * Fiber only. */
bool lists_send(const struct lists *l, struct str file, enum due how,
		struct err *err) MUST_CHECK;

/* Look after all lists; all: send even what was sent lately. Fiber only. False: a list
 * could not be read; the others were done. */
bool lists_refresh(const struct lists *l, bool all, struct err *err) MUST_CHECK;
