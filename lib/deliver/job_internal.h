/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * In a job's child: one delivery, with blocking calls, then the end of the process.
 */

#include <grp.h>
#include <sys/types.h>

#include "base/buf.h"

#include "deliver/copy.h"
#include "deliver/helper.h"
#include "deliver/spec.h"

struct job {
	struct arena *mem;
	enum job_kind kind;
	struct deliver_spec spec;
	struct str name, home, login_shell; /* of the account; empty by number */
	uid_t uid;
	gid_t gid;
	gid_t spool_gid; /* may be used for lock files; (gid_t)-1: no */
	int message;
	struct buf *result;
};

/* Decides the job. */
void job_dsn(struct job *j, const char *status, const char *format, ...)
	PRINTF_LIKE(3, 4);
void job_set_dsn(struct job *j, const struct dsn *dsn);

void job_run(struct job *j);

/* mailbox.c: "mailbox", "file: PATH": what the text of success says. */
void mailbox_append(struct job *j, const char *path, const char *what);
void maildir_deliver(struct job *j, const char *path, const char *what);
/* command.c */
void command_deliver(struct job *j, struct str command);
void pipe_deliver(struct job *j);
/* list.c: the addresses in the lines of an open file into the result. */
bool list_read_file(struct job *j, int fd, const char *path);

/* expand.c: `$home/x` with values filtered; bad syntax gives false. */
bool job_expand(struct job *j, struct str text, struct str filter, struct str *out);

struct copy_text job_text(struct job *j, unsigned flags);
