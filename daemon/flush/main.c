/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush: knows which deferred messages wait for which site, and makes them due when
 * somebody asks for the site (ETRN, postqueue -s) or for one message (postqueue -i).
 */
#include <fcntl.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "config/common_config.h"
#include "config/config.h"
#include "config/qmgr_config.h"
#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "ipc/deliver.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "queue/id.h"
#include "rewrite/flush_site.h"

#include "lists.h"

struct flush {
	struct daemon *daemon;
	struct common_config common;
	struct qmgr_config config;
	struct queue_dirs dirs;
	struct lists lists;
	struct match *sites;
	struct str scan_qmgr; /* "public/qmgr" */
	bool refreshing;
};

/* ---- requests ---- */

static enum flush_status
status_of(const struct flush *f, bool ok, const struct err *err)
{
	if (!ok)
		log_warning(f->daemon->log, "%s", err->text);
	return ok ? FLUSH_OK : FLUSH_FAILED;
}

/* What was made due lies in incoming now. A queue manager that is not running looks there
 * when it starts. */
static void
wake_qmgr(const struct flush *f)
{
	IGNORE(!daemon_trigger(f->daemon, f->scan_qmgr.p, "I"));
}

static enum flush_status
check_site(const struct flush *f, struct str site, struct err *err)
{
	if (site.len == 0)
		return FLUSH_BAD_REQUEST;
	switch (match_find(f->sites, site, NULL, err)) {
	case MATCH_YES:
		return FLUSH_OK;
	case MATCH_NO:
		return FLUSH_UNKNOWN_SITE;
	case MATCH_FAILED:
		break;
	}
	return status_of(f, false, err);
}

static enum flush_status
send_site(struct flush *f, struct arena *mem, struct str site, enum due how)
{
	struct err err;
	bool ok = lists_send(&f->lists, flush_site_file(mem, site), how, &err);

	wake_qmgr(f);
	return status_of(f, ok, &err);
}

static enum flush_status
add(struct flush *f, struct arena *mem, const struct msg_flush_add *m)
{
	enum flush_status status;
	bool full = false;
	struct err err;
	bool ok;

	if (!queue_id_is_valid(m->queue_id))
		return FLUSH_BAD_REQUEST;
	status = check_site(f, m->site, &err);
	if (status != FLUSH_OK)
		return status;
	ok = lists_add(&f->lists, flush_site_file(mem, m->site), m->queue_id, &full,
		       &err);
	if (ok && full)
		return send_site(f, mem, m->site, DUE_AS_USUAL);
	return status_of(f, ok, &err);
}

static enum flush_status
send_file(struct flush *f, struct str id)
{
	struct err err;
	bool ok;

	if (!queue_id_is_valid(id))
		return FLUSH_BAD_REQUEST;
	ok = lists_make_due(&f->lists, id, DUE_WHATEVER_IS_DOWN, NULL, &err);
	wake_qmgr(f);
	return status_of(f, ok, &err);
}

static enum flush_status
refresh(struct flush *f, bool all)
{
	struct err err;
	bool ok;

	if (f->refreshing)
		return FLUSH_OK;
	f->refreshing = true;
	ok = lists_refresh(&f->lists, all, &err);
	f->refreshing = false;
	wake_qmgr(f);
	/* Each failure was logged with its list. */
	return ok ? FLUSH_OK : FLUSH_FAILED;
}

static enum flush_status
serve(struct flush *f, struct arena *mem, const struct ipc_message *which, void *value)
{
	enum flush_status status;
	struct err err;

	if (which == &ipc_flush_add)
		return add(f, mem, value);
	if (which == &ipc_flush_send_file)
		return send_file(f, ((struct msg_flush_send_file *)value)->queue_id);
	if (which == &ipc_flush_refresh)
		return refresh(f, ((struct msg_flush_refresh *)value)->all != 0);
	status = check_site(f, ((struct msg_flush_send_site *)value)->site, &err);
	if (status != FLUSH_OK)
		return status;
	return send_site(f, mem, ((struct msg_flush_send_site *)value)->site,
			 DUE_WHATEVER_IS_DOWN);
}

static void
session(struct daemon *d, struct stream *client)
{
	static const struct ipc_message *const accepted[] = {
		&ipc_flush_add, &ipc_flush_send_site, &ipc_flush_send_file,
		&ipc_flush_refresh, NULL};
	struct flush *f = d->state;
	struct arena *mem = arena_new();
	const struct ipc_message *which;
	enum ipc_result result;
	struct ipc ipc;
	struct err err;
	void *value;

	stream_set_timeout_ms(client, f->common.ipc_timeout * 1000);
	ipc_init(&ipc, client);
	while ((result = ipc_receive_any(&ipc, mem, accepted, &which, &value, &err)) ==
	       IPC_DONE) {
		const struct msg_flush_done done = {.status =
							    serve(f, mem, which, value)};

		if (!ipc_send(&ipc, &ipc_flush_done, &done, &err) ||
		    !ipc_flush(&ipc, &err))
			break;
		arena_reset(mem);
	}
	if (result == IPC_FAILED && !d->draining)
		log_warning(d->log, "bad request: %s", err.text);
	arena_free(&mem);
}

/* ---- the daemon ---- */

static void
refresh_fiber(void *arg)
{
	refresh(arg, false);
}

static void
wakeup(struct daemon *d)
{
	if (fiber_spawn(d->loop, "refresh", refresh_fiber, d->state) == NULL)
		log_warning(d->log, "no memory to refresh the lists");
}

static bool
init(struct daemon *d, struct err *err)
{
	struct flush *f = ARENA_NEW(d->mem, struct flush);
	struct str qmgr;
	int root;

	f->daemon = d;
	if (!common_config_load(d->mem, d->config, &f->common, err) ||
	    !qmgr_config_load(d->mem, d->config, &f->config, err) ||
	    !config_get(d->mem, d->config, STR("queue_service_name"), &qmgr, err) ||
	    !flush_sites_open(d->mem, d->config, &f->sites, err))
		return false;
	daemon_warn_of_match(d, f->sites);
	f->scan_qmgr = str_printf(d->mem, "public/" PRI_STR, STR_ARG(qmgr));
	root = sys_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (root < 0)
		return err_errno(err, ERR_TEMP, "open queue directory");
	if (!queue_dirs_init(&f->dirs, root, f->common.hash_queue_names,
			     f->common.hash_queue_depth, f->common.enable_long_queue_ids,
			     err))
		return false;
	f->lists = (struct lists){.dirs = &f->dirs,
				  .loop = d->loop,
				  .log = d->log,
				  .refresh_s = f->config.fast_flush_refresh_time,
				  .purge_s = f->config.fast_flush_purge_time};
	d->state = f;
	return true;
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "flush",
		.profile = SANDBOX_flush,
		.init = init,
		.session = session,
		.wakeup = wakeup,
	};

	return daemon_main(argc, argv, &program);
}
