/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/sys.h"

#include "config/config.h"
#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "rewrite/flush_site.h"
#include "table/table.h"

#include "qmgr.h"
#include "removals.h"

static void
warn(void *arg, const char *text)
{
	log_warning(arg, "%s", text);
}

/* On a reload our own addresses are those of the start: the sandbox does not let us ask
 * again, and a change of inet_interfaces takes effect with a new start, as in Postfix. */
static bool
load(struct qmgr *q, struct arena *mem, const struct config *cfg, struct err *err)
{
	struct common_config common;
	struct qmgr_config config;
	struct rewrite_rules rules;
	struct rewrite_rules probe_rules;
	struct verify_config verify;
	struct str more[3];
	struct master_services services;
	struct match *flush_sites;
	struct queue_dirs dirs;

	if (!common_config_load(mem, cfg, &common, err) ||
	    !qmgr_config_load(mem, cfg, &config, err) ||
	    !master_cf_load(mem, cfg, &services, err) ||
	    !rewrite_rules_load(mem, cfg, q->rules.own_addresses,
				q->rules.n_own_addresses, &rules, err) ||
	    !rewrite_rules_load_probes(mem, cfg, &rules, &probe_rules, err) ||
	    !verify_config_load(mem, cfg, &verify, err) ||
	    !flush_sites_open(mem, cfg, &flush_sites, err) ||
	    !queue_dirs_init(&dirs, q->dirs.root, common.hash_queue_names,
			     common.hash_queue_depth, common.enable_long_queue_ids, err))
		return false;
	q->common = common;
	q->config = config;
	q->rules = rules;
	q->probe_rules = probe_rules;
	q->verify = verify;
	q->services = services;
	q->flush_sites = flush_sites;
	q->dirs = dirs;
	/* Of use before the sandbox is entered: new directories need a restart. */
	more[0] = probe_rules.config.transport_maps;
	more[1] = probe_rules.config.sender_dependent_relayhost_maps;
	more[2] = probe_rules.config.sender_dependent_default_transport_maps;
	q->daemon->tables = rewrite_rules_places(mem, &q->rules, more, ARRAY_LEN(more));
	rewrite_rules_warnings(&q->rules, warn, q->daemon->log);
	return true;
}

static bool
init(struct daemon *d, struct err *err)
{
	struct qmgr *q = ARENA_NEW(d->mem, struct qmgr);

	q->daemon = d;
	q->dirs.root = sys_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (q->dirs.root < 0)
		return err_errno(err, ERR_TEMP, "open queue directory");
	table_load_libraries(); /* a reload may name the first table of a type */
	if (!load(q, d->mem, d->config, err))
		return false;
	sched_init(&q->sched);
	q->active = map_new_in(d->mem);
	q->agents = map_new_in(d->mem);
	event_init(&q->dispatch, d->loop);
	event_init(&q->scan, d->loop);
	d->state = q;
	return removals_init(q, err);
}

static void
start(struct daemon *d)
{
	struct qmgr *q = d->state;
	struct err err;

	if (!removals_start(q, &err) || !scan_recover(q, &err))
		log_fatal(d->log, 1, "%s", err.text);
	if (fiber_spawn(d->loop, "dispatch", deliver_run, q) == NULL ||
	    fiber_spawn(d->loop, "scan", scan_run, q) == NULL)
		log_fatal(d->log, 1, "no memory for fibers");
}

/* Postfix's one-letter requests. */
static void
trigger(struct qmgr *q, char c)
{
	switch (c) {
	case 'W':
	case 'I':
		scan_want(q, SCAN_INCOMING);
		return;
	case 'D':
		scan_want(q, SCAN_DEFERRED);
		return;
	case 'A':
		scan_want(q, SCAN_IGNORE_TIME);
		return;
	case 'F':
		sched_revive_all(&q->sched, loop_now_ms(q->daemon->loop));
		event_signal_all(&q->dispatch);
		scan_want(q, SCAN_FLUSH);
		return;
	default:
		log_warning(q->daemon->log, "request '%c' is not known",
			    char_is_print(c) ? c : '?');
	}
}

/* Take the file, or say that it has to stay where it is for now. */
static void
take_announced(struct qmgr *q, struct ipc *ipc, const struct msg_qmgr_arrived *arrived)
{
	const struct msg_qmgr_full full = {.active = (int64_t)map_count(q->active)};
	struct err err;

	if (active_has_room(q)) {
		active_take(q, QUEUE_INCOMING, arrived->queue_id, arrived->file, false);
		return;
	}
	if (arrived->file >= 0)
		sys_close(arrived->file);
	scan_want(q, SCAN_INCOMING);
	IGNORE(ipc_send(ipc, &ipc_qmgr_full, &full, &err) && ipc_flush(ipc, &err));
}

static void
take_announcements(struct qmgr *q, struct stream *s)
{
	struct arena *mem = arena_new();
	struct msg_qmgr_arrived arrived;
	struct ipc ipc;
	struct err err;

	ipc_init(&ipc, s);
	while (ipc_receive(&ipc, mem, &ipc_qmgr_arrived, &arrived, &err) == IPC_DONE) {
		take_announced(q, &ipc, &arrived);
		arena_reset(mem);
	}
	arena_free(&mem);
}

/* A client of public/qmgr: triggers are capital letters, announcements begin with our
 * version. */
static void
session(struct daemon *d, struct stream *client)
{
	struct qmgr *q = d->state;
	struct str have;

	stream_set_timeout_ms(client, 60000);
	/* The descriptor may come with the first bytes. */
	stream_accept_fds(client);
	if (stream_fill(client) != STREAM_OK)
		return;
	have = stream_peek(client);
	if (have.p[0] == 'h') {
		take_announcements(q, client);
		return;
	}
	do {
		have = stream_peek(client);
		for (size_t i = 0; i < have.len; i++)
			trigger(q, have.p[i]);
		stream_consume(client, have.len);
	} while (stream_fill(client) == STREAM_OK);
}

static void
wakeup(struct daemon *d)
{
	scan_want(d->state, SCAN_INCOMING);
}

static bool
reload(struct daemon *d, const struct config *fresh, struct err *err)
{
	struct qmgr *q = d->state;
	const struct config *old = d->config;
	const struct map_entry *e;
	size_t at = 0;

	if (!load(q, d->mem, fresh, err))
		return false;
	d->config = fresh;
	while ((e = map_next(q->sched.transports, &at)) != NULL) {
		struct sched_params params;
		struct sched_transport *t;

		if (!params_load(q, e->key, &params, err)) {
			d->config = old;
			return false;
		}
		sched_transport_set_params(e->value, &params);
		t = e->value;
		t->agents_max = params_agents_max(q, e->key);
	}
	q->generation++;
	deliver_forget_agents(q);
	active_route_all(q);
	scan_want(q, SCAN_INCOMING | SCAN_DEFERRED);
	event_signal_all(&q->dispatch);
	return true;
}

static void
drain(struct daemon *d)
{
	struct qmgr *q = d->state;

	deliver_forget_agents(q);
	event_signal_all(&q->dispatch);
	event_signal_all(&q->scan);
	removals_drain(q);
}

static void
release(struct daemon *d)
{
	removals_free(d->state);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "qmgr",
		.profile = SANDBOX_qmgr,
		.init = init,
		.start = start,
		.session = session,
		.wakeup = wakeup,
		.reload = reload,
		.drain = drain,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
