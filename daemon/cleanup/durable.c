/* SPDX-License-Identifier: Apache-2.0 */
#include "durable.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "queue/cleanup_status.h"
#include "queue/group.h"
#include "queue/journal.h"

#include "cleanup.h"

enum { SYNC_THREADS = 8, WARN_MS = 60000, RECORD_MAX = JOURNAL_MESSAGE_MAX + 1024 };

enum queue_sync { SYNC_FSYNC, SYNC_SYNCFS, SYNC_JOURNAL };

struct durable {
	struct daemon *daemon;
	int root;
	enum queue_sync how;
	bool names;              /* queue_sync_names */
	struct offload *offload; /* fsync */
	struct group *group;     /* the others */
	struct journal journal;  /* the group's thread only */
	int64_t next_warning_ms;
};

/* ---- in the helper threads ---- */

struct one_file {
	int fd;
	bool names;
	bool ok;
	struct err err;
};

static void
sync_file(void *arg)
{
	struct one_file *f = arg;

	f->ok = queue_writer_commit(f->fd, QUEUE_MODE_READY, f->names, &f->err);
}

static bool
sync_all(void *arg, struct str bytes, struct err *err)
{
	const struct durable *d = arg;

	IGNORE(bytes.len == 0);
	return sys_syncfs(d->root) == 0 ||
	       err_errno(err, ERR_TEMP, "sync queue file system");
}

static bool
sync_journal(void *arg, struct str bytes, struct err *err)
{
	struct durable *d = arg;

	return journal_write(&d->journal, bytes, true, err);
}

/* ---- of a message ---- */

static bool
commit_file(struct message *m, struct err *err)
{
	struct one_file f = {.fd = m->fd, .names = m->cleanup->durable->names};

	offload_run(m->cleanup->durable->offload, sync_file, &f);
	if (!f.ok)
		*err = f.err;
	return f.ok;
}

/* The mode first: a mark in the journal says that all of the file is on disk. */
static bool
make_ready(struct message *m, struct err *err)
{
	return sys_fchmod(m->fd, QUEUE_MODE_READY) == 0 ||
	       err_errno(err, ERR_TEMP, "chmod queue file");
}

static void
warn_of_journal(struct durable *d, const struct err *err)
{
	int64_t now_ms = loop_now_ms(d->daemon->loop);

	if (now_ms < d->next_warning_ms)
		return;
	d->next_warning_ms = now_ms + WARN_MS;
	log_warning(d->daemon->log, "%s; each queue file is synced for itself",
		    err->text);
}

static bool
commit_journal(struct message *m, struct str whole, struct err *err)
{
	struct durable *d = m->cleanup->durable;
	enum queue_name q =
		(m->flags & CLEANUP_FLAG_HOLD) != 0 ? QUEUE_HOLD : QUEUE_INCOMING;
	struct buf *record;

	if (!make_ready(m, err))
		return false;
	record = buf_new(m->mem, RECORD_MAX);
	journal_add_message(record, q, m->id, whole);
	if (group_join(d->group, buf_str(record), err))
		return true;
	if (err->kind != ERR_PERM)
		return false;
	warn_of_journal(d, err);
	return commit_file(m, err);
}

bool
durable_commit(struct message *m, struct err *err)
{
	struct durable *d = m->cleanup->durable;
	struct str whole = queue_writer_whole(&m->writer);

	if (d->how == SYNC_SYNCFS)
		return make_ready(m, err) && group_join(d->group, STR_EMPTY, err);
	if (d->how == SYNC_JOURNAL && whole.len > 0 && whole.len <= JOURNAL_MESSAGE_MAX)
		return commit_journal(m, whole, err);
	return commit_file(m, err);
}

/* ---- of the process ---- */

static bool
choose(struct str word, enum queue_sync *out, struct err *err)
{
	static const char *const words[] = {"fsync", "syncfs", "journal"};

	for (int i = 0; i <= SYNC_JOURNAL; i++) {
		if (str_eq(word, str_from(words[i]))) {
			*out = (enum queue_sync)i;
			return true;
		}
	}
	return err_set(err, ERR_CONFIG,
		       "queue_sync: \"" PRI_STR "\" is none of fsync, syncfs, journal",
		       STR_ARG(word));
}

bool
durable_new(struct cleanup *c, struct durable **out, struct err *err)
{
	struct durable *d = ARENA_NEW(c->daemon->mem, struct durable);
	struct loop *loop = c->daemon->loop;

	d->daemon = c->daemon;
	d->root = c->dirs.root;
	if (!choose(c->common.queue_sync, &d->how, err) ||
	    !queue_writer_names(d->root, c->common.queue_sync_names, &d->names, err) ||
	    !journal_init(&d->journal, d->root, "cleanup", c->common.journal_size, true,
			  err))
		return false;
	d->offload = offload_new(loop, SYNC_THREADS);
	if (d->how != SYNC_FSYNC)
		d->group = group_new(loop, JOURNAL_BATCH_MAX,
				     d->how == SYNC_SYNCFS ? sync_all : sync_journal, d);
	*out = d;
	return true;
}

void
durable_free(struct durable **durable)
{
	struct durable *d = *durable;
	struct err err;

	if (d == NULL)
		return;
	group_free(&d->group);
	offload_free(&d->offload);
	if (!journal_close(&d->journal, &err))
		log_warning(d->daemon->log, "%s", err.text);
	*durable = NULL;
}
