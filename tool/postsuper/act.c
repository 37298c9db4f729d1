/* SPDX-License-Identifier: Apache-2.0 */
#include "act.h"

#include <errno.h>
#include <fcntl.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

/* How often a message that moves is looked for. */
enum { ROUNDS = 3 };

#define IN(q) (1u << QUEUE_##q)

enum {
	IN_TRANSIT = IN(INCOMING) | IN(ACTIVE) | IN(DEFERRED),
};

static const struct {
	uint32_t from;
	enum queue_name to; /* QUEUE_NAMES: it stays */
	const char *line;
	const char *total;
} rows[ACTS] = {
	[ACT_REQUEUE] = {IN_TRANSIT | IN(HOLD), QUEUE_MAILDROP, "requeued", "Requeued"},
	[ACT_DELETE] = {IN_TRANSIT | IN(HOLD) | IN(MAILDROP), QUEUE_NAMES, "removed",
			"Deleted"},
	[ACT_EXPIRE] = {IN_TRANSIT | IN(HOLD), QUEUE_NAMES, "expired", "Force-expired"},
	[ACT_HOLD] = {IN_TRANSIT, QUEUE_HOLD, "placed on hold", "Placed on hold"},
	[ACT_RELEASE] = {IN(HOLD), QUEUE_DEFERRED, "released from hold",
			 "Released from hold"},
};

const char *
act_total_name(enum act a)
{
	return rows[a].total;
}

bool
act_applies(enum act a, enum queue_name q)
{
	return (rows[a].from & (1u << q)) != 0;
}

/* ---- one file ---- */

static enum act_result
result_of(bool ok, const struct err *err)
{
	if (ok)
		return ACT_DONE;
	return err->errnum == ENOENT ? ACT_NOTHING : ACT_FAILED;
}

static enum act_result
move_file(const struct act_scope *s, enum act a, enum queue_name q, struct str id,
	  struct err *err)
{
	struct arena *mem = arena_new();
	struct err why;
	bool ok = queue_rename(s->dirs, queue_path(mem, s->dirs, q, id),
			       queue_path(mem, s->dirs, rows[a].to, id), err);

	/* pickup complains of old files. It may have been faster. */
	if (ok && a == ACT_REQUEUE)
		IGNORE(!queue_set_time(s->dirs, QUEUE_MAILDROP, id, sys_now_us(), &why));
	arena_free(&mem);
	return result_of(ok, err);
}

/* Logs first: without its message nobody would miss them. */
static enum act_result
delete_file(const struct act_scope *s, enum queue_name q, struct str id, struct err *err)
{
	static const enum queue_name logs[] = {QUEUE_TRACE, QUEUE_DEFER, QUEUE_BOUNCE};
	struct arena *mem = arena_new();
	enum act_result result = ACT_DONE;
	struct str path = queue_path(mem, s->dirs, q, id);

	for (size_t i = 0; i < ARRAY_LEN(logs) && result == ACT_DONE; i++)
		result = result_of(queue_remove(s->dirs, logs[i], id, err), err);
	if (result == ACT_DONE && sys_unlinkat(s->dirs->root, path.p, 0) < 0) {
		IGNORE(err_errno(err, ERR_TEMP, "remove file %s", path.p));
		result = result_of(false, err);
	}
	arena_free(&mem);
	return result;
}

/* Through a descriptor, so that the mark goes to the file that was looked at. */
static enum act_result
expire_file(const struct act_scope *s, enum queue_name q, struct str id, struct err *err)
{
	enum act_result result = ACT_NOTHING;
	struct stat st;
	int fd;

	if (!queue_open(s->dirs, q, id, false, &fd, err))
		return result_of(false, err);
	if (sys_fstat(fd, &st) < 0) {
		IGNORE(err_errno(err, ERR_TEMP, "expire file %s/" PRI_STR,
				 queue_directory_name(q), STR_ARG(id)));
		result = ACT_FAILED;
	} else if ((st.st_mode & QUEUE_MODE_EXPIRE) == 0) {
		bool ok = sys_fchmod(fd, (st.st_mode & 07777) | QUEUE_MODE_EXPIRE) == 0 ||
			  err_errno(err, ERR_TEMP,
				    "expire file %s/" PRI_STR ": cannot set permission",
				    queue_directory_name(q), STR_ARG(id));

		result = result_of(ok, err);
	}
	sys_close(fd);
	return result;
}

static bool
is_message(const struct act_scope *s, enum queue_name q, struct str id)
{
	struct arena *mem = arena_new();
	struct str warning = STR_EMPTY;
	struct stat st;
	bool ready = queue_check(mem, s->dirs, q, id, &st, &warning) == QUEUE_FILE_READY;

	if (warning.len > 0)
		log_warning(s->log, PRI_STR, STR_ARG(warning));
	arena_free(&mem);
	return ready;
}

enum act_result
act_on_file(const struct act_scope *s, enum act a, enum queue_name q, struct str id,
	    struct err *err)
{
	if (!is_message(s, q, id))
		return ACT_NOTHING;
	if (a == ACT_DELETE)
		return delete_file(s, q, id, err);
	if (a == ACT_EXPIRE)
		return expire_file(s, q, id, err);
	return move_file(s, a, q, id, err);
}

/* ---- one id ---- */

bool
act_on_id(const struct act_scope *s, enum act a, struct str id, bool *done_out,
	  struct err *err)
{
	*done_out = false;
	for (int i = 0; i < ROUNDS; i++) {
		for (int n = 0; n < QUEUE_NAMES; n++) {
			enum queue_name q = (enum queue_name)n;
			enum act_result result = ACT_NOTHING;

			if (act_applies(a, q) && (s->queues & (1u << q)) != 0)
				result = act_on_file(s, a, q, id, err);
			if (result == ACT_FAILED)
				return false;
			if (result == ACT_DONE) {
				log_info(s->log, PRI_STR ": %s", STR_ARG(id),
					 rows[a].line);
				*done_out = true;
				return true;
			}
		}
	}
	return true;
}
