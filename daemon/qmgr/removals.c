/* SPDX-License-Identifier: Apache-2.0 */
#include "removals.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/offload.h"

#include "qmgr.h"

enum { NOTE_MAX = 1024, RECLAIM_MS = 10000 };

struct sync {
	int fd;
	bool ok;
};

static void
sync_file(void *arg)
{
	struct sync *s = arg;

	s->ok = sys_fdatasync(s->fd) == 0;
}

struct reclaim {
	int root;
	bool ok;
	struct err err;
};

static void
reclaim_files(void *arg)
{
	struct reclaim *r = arg;

	r->ok = journal_reclaim(r->root, &r->err);
}

static void
reclaim(struct qmgr *q)
{
	struct reclaim r = {.root = q->dirs.root};

	offload_run(q->offload, reclaim_files, &r);
	if (!r.ok)
		log_warning(q->daemon->log, "%s", r.err.text);
}

/* Sync again as long as there is something new. */
static void
sync_run(void *arg)
{
	struct qmgr *q = arg;
	int64_t next_ms = 0;

	while (!q->daemon->draining) {
		struct sync s;

		if (!q->removals_dirty || !q->journal.usable) {
			if (event_wait(&q->removals, LOOP_FOREVER) == FIBER_CANCELLED)
				break;
			continue;
		}
		q->removals_dirty = false;
		s.fd = q->journal.fds[q->journal.n_fds - 1];
		offload_run(q->offload, sync_file, &s);
		if (!s.ok) {
			log_warning(q->daemon->log, "sync journal: %m");
			q->journal.usable = false;
		}
		if (loop_now_ms(q->daemon->loop) >= next_ms) {
			reclaim(q);
			next_ms = loop_now_ms(q->daemon->loop) + RECLAIM_MS;
		}
	}
}

bool
removals_init(struct qmgr *q, struct err *err)
{
	event_init(&q->removals, q->daemon->loop);
	q->offload = offload_new(q->daemon->loop, 1);
	return journal_init(&q->journal, q->dirs.root, "qmgr", q->common.journal_size,
			    false, err);
}

bool
removals_start(struct qmgr *q, struct err *err)
{
	struct journal_replayed told;

	if (!journal_replay(&q->dirs, q->journal.boot, &told, err))
		return false;
	if (told.files > 0)
		log_info(q->daemon->log,
			 "journal: %d files of an earlier run, %d messages, %d restored",
			 told.files, told.messages, told.restored);
	if (told.damaged > 0)
		log_error(q->daemon->log, "journal: %d damaged places", told.damaged);
	q->keeps_journal = str_eq(q->common.queue_sync, STR("journal"));
	if (!q->keeps_journal)
		return true;
	/* Without it cleanup syncs each file. */
	if (!journal_write(&q->journal, STR_EMPTY, true, err))
		log_warning(q->daemon->log, "%s", err->text);
	return fiber_spawn(q->daemon->loop, "journal", sync_run, q) != NULL ||
	       err_set(err, ERR_TEMP, "no memory for fibers");
}

void
removals_note(struct qmgr *q, struct str id)
{
	struct buf note;
	struct err err;

	if (!q->keeps_journal)
		return;
	buf_init(&note, NOTE_MAX);
	journal_add_removed(&note, id);
	if (!journal_write(&q->journal, buf_str(&note), false, &err))
		log_warning(q->daemon->log, "%s", err.text);
	buf_release(&note);
	q->removals_dirty = true;
	event_signal_all(&q->removals);
}

void
removals_drain(struct qmgr *q)
{
	event_signal_all(&q->removals);
}

void
removals_free(struct qmgr *q)
{
	struct err err;

	if (!journal_close(&q->journal, &err))
		log_warning(q->daemon->log, "%s", err.text);
	offload_free(&q->offload);
}
