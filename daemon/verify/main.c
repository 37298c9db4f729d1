/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: keeps what is known of addresses, and sends probes to find out. smtpd asks, and
 * qmgr tells what became of a probe (ipc/messages.def).
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "config/common_config.h"
#include "config/verify_config.h"
#include "daemon/daemon.h"
#include "daemon/submit.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/date.h"

#include "cache.h"

enum { MS = 1000, US_PER_S = 1000000 };

struct verify {
	struct daemon *daemon;
	struct common_config common;
	struct verify_config config;
	struct cache cache;
	struct timer cleanup;
};

static time_t
now(void)
{
	return (time_t)(sys_now_us() / US_PER_S);
}

/* ---- probes ---- */

struct probe {
	struct verify *v;
	struct arena *mem;
	struct str address;
};

static struct str
probe_sender(const struct verify *v)
{
	struct str sender = v->config.address_verify_sender;

	return str_eq(sender, STR("<>")) ? STR_EMPTY : sender;
}

static bool
send_probe(struct probe *p, struct err *err)
{
	const struct common_config *c = &p->v->common;
	struct submission s = {
		.daemon = p->v->daemon, .mem = p->mem, .trace_flags = TRACE_PROBE};

	if (!submit_begin(&s, probe_sender(p->v), p->address, (int)c->ipc_timeout, err))
		return false;
	submit_trace(&s, c, now());
	return submit_end(&s, err);
}

static void
probe_fiber(void *arg)
{
	struct probe *p = arg;
	struct arena *mem = p->mem;
	struct err err;

	if (!send_probe(p, &err)) {
		log_warning(p->v->daemon->log, "probe of " PRI_STR ": %s",
			    STR_ARG(p->address), err.text);
		cache_probe_failed(&p->v->cache, p->address);
	}
	arena_free(&mem);
}

static void
start_probe(struct verify *v, struct str address)
{
	struct arena *mem = arena_new();
	struct probe *p = ARENA_NEW(mem, struct probe);

	*p = (struct probe){v, mem, str_dup(mem, address)};
	if (fiber_spawn(v->daemon->loop, "probe", probe_fiber, p) == NULL) {
		cache_probe_failed(&v->cache, address);
		arena_free(&mem);
	}
}

/* ---- requests ---- */

static void
keep_file_small(struct verify *v)
{
	struct err err;

	if (cache_is_stale(&v->cache) && !cache_rewrite(&v->cache, &err))
		log_warning(v->daemon->log, "%s", err.text);
}

static struct msg_verify_status
query(struct verify *v, const struct msg_verify_query *m)
{
	struct msg_verify_status out = {0};
	bool probe;

	out.status = cache_query(&v->cache, m->address, now(), &out.reason, &probe);
	if (probe)
		start_probe(v, m->address);
	return out;
}

static struct msg_verify_status
update(struct verify *v, const struct msg_verify_update *m)
{
	cache_update(&v->cache, m->address, (enum verify_result)m->status, m->reason,
		     now());
	keep_file_small(v);
	return (struct msg_verify_status){.status = m->status, .reason = STR_EMPTY};
}

static void
session(struct daemon *d, struct stream *client)
{
	static const struct ipc_message *const accepted[] = {&ipc_verify_query,
							     &ipc_verify_update, NULL};
	struct verify *v = d->state;
	struct arena *mem = arena_new();
	const struct ipc_message *which;
	enum ipc_result result;
	struct ipc ipc;
	void *m;
	struct err err;

	ipc_init(&ipc, client);
	while ((result = ipc_receive_any(&ipc, mem, accepted, &which, &m, &err)) ==
	       IPC_DONE) {
		struct msg_verify_status out =
			which == &ipc_verify_query ? query(v, m) : update(v, m);

		if (!ipc_send(&ipc, &ipc_verify_status, &out, &err) ||
		    !ipc_flush(&ipc, &err))
			break;
		arena_reset(mem);
	}
	if (result == IPC_FAILED && !d->draining)
		log_warning(d->log, "bad request: %s", err.text);
	arena_free(&mem);
}

/* ---- time ---- */

static void
set_timer(struct verify *v)
{
	if (v->config.address_verify_cache_cleanup_interval > 0)
		timer_start_ms(&v->cleanup,
			       v->config.address_verify_cache_cleanup_interval * MS);
	else
		timer_stop(&v->cleanup);
}

static void
on_cleanup(struct timer *t, void *arg)
{
	struct verify *v = arg;
	size_t kept;
	size_t dropped;

	(void)t;
	cache_expire(&v->cache, now(), &kept, &dropped);
	log_info(v->daemon->log,
		 "cache " PRI_STR " full cleanup: retained=%zu dropped=%zu entries",
		 STR_ARG(v->config.address_verify_map), kept, dropped);
	keep_file_small(v);
	set_timer(v);
}

/* ---- the daemon ---- */

/* "btree:/var/lib/postfix/verify_cache" is verify_cache.hikyaku in data_directory,
 * whatever the type. NULL: in memory only. */
static const char *
cache_path(struct arena *mem, struct str map, struct str directory)
{
	struct str name = str_skip(map, MIN_OF(str_rindex(map, ':') + 1, map.len));

	if (str_starts(map, STR("internal:")) || map.len == 0)
		return NULL;
	if (str_contains(name, '/'))
		name = str_skip(name, str_rindex(name, '/') + 1);
	if (name.len == 0)
		name = STR("verify_cache");
	return str_printf(mem, PRI_STR "/" PRI_STR ".hikyaku", STR_ARG(directory),
			  STR_ARG(name))
		.p;
}

static bool
load(struct verify *v, const struct config *cfg, struct err *err)
{
	struct arena *mem = v->daemon->mem;
	struct common_config common;
	struct verify_config config;

	if (!common_config_load(mem, cfg, &common, err) ||
	    !verify_config_load(mem, cfg, &config, err))
		return false;
	v->common = common;
	v->config = config;
	return true;
}

static bool
init(struct daemon *d, struct err *err)
{
	struct verify *v = ARENA_NEW(d->mem, struct verify);

	v->daemon = d;
	if (!load(v, d->config, err))
		return false;
	cache_init(&v->cache, &v->config,
		   cache_path(d->mem, v->config.address_verify_map,
			      v->common.data_directory));
	d->state = v;
	return true;
}

static void
start(struct daemon *d)
{
	struct verify *v = d->state;
	struct err err;

	if (!cache_open(&v->cache, now(), &err))
		log_warning(d->log, "%s: results are kept in memory only", err.text);
	timer_init(&v->cleanup, d->loop, on_cleanup, v);
	set_timer(v);
}

/* The file stays what it was at the start. */
static bool
reload(struct daemon *d, const struct config *fresh, struct err *err)
{
	struct verify *v = d->state;

	if (!load(v, fresh, err))
		return false;
	set_timer(v);
	return true;
}

static void
drain(struct daemon *d)
{
	struct verify *v = d->state;

	timer_stop(&v->cleanup);
}

static void
release(struct daemon *d)
{
	struct verify *v = d->state;

	cache_release(&v->cache);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "verify",
		.profile = SANDBOX_verify,
		.init = init,
		.start = start,
		.session = session,
		.reload = reload,
		.drain = drain,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
