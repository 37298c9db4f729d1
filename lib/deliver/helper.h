/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Two processes make a delivery agent that acts for many users. The one that talks to
 * qmgr parses aliases and messages, and gives up its privileges. Its helper, forked
 * before that, keeps them and does one thing: for each job it forks a child that becomes
 * the job's user and runs deliver_job_run(). The helper reads nothing of a job but a
 * struct of fixed size.
 *
 * A job's child is in a session of its own, has no descriptors but the message, its line
 * to the agent and /dev/null, no groups but the user's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "deliver/spec.h"

struct arena;
struct daemon;
struct helper;

enum job_kind {
	JOB_USER,    /* .forward, mailbox command, mailbox: of an account, also root's */
	JOB_FILE,    /* append to a file, or into a maildir */
	JOB_COMMAND, /* of aliases or .forward */
	JOB_INCLUDE, /* read a list of addresses */
	JOB_MAILBOX, /* of virtual(8): a file or maildir of its own, by path */
	JOB_PIPE,    /* pipe(8): words for a command */
};

enum { JOB_USER_MAX = 64 };

/* Whose rights: by name (looked up in the child: a slow name service delays nobody else),
 * or numbers where the name is empty. Root by number is refused, and by name for all but
 * JOB_USER. */
struct job_owner {
	char user[JOB_USER_MAX];
	int64_t uid, gid;
};

/* What no job can choose. */
struct helper_places {
	/* Where JOB_USER may use the group of the directory to make a lock or a mailbox.
	 * NULL: none. */
	const char *spool_directory;
	const char *chroot; /* of JOB_PIPE; NULL: none */
};

/* Before the privileges are dropped. */
bool helper_start(struct daemon *d, const struct helper_places *places,
		  struct helper **out, struct err *err) MUST_CHECK;

/* From a fiber: run the job and wait. Never fails: DELIVER_LOST says it all. message: -1
 * where there is none. */
void helper_run(struct helper *h, struct arena *mem, enum job_kind kind,
		const struct job_owner *owner, const struct deliver_spec *spec,
		int message, struct deliver_result *out);

/* False for a name that cannot be one of an account. */
bool job_owner_by_name(struct str user, struct job_owner *out) MUST_CHECK;
