/* SPDX-License-Identifier: Apache-2.0 */
/*
 * anvil: counts what clients do, for servers that limit it. Servers keep a connection and
 * tell each event over it (ipc/messages.def).
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "config/anvil_config.h"
#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "ipc/deliver.h"
#include "ipc/message.h"
#include "ipc/messages.h"

#include "counts.h"
#include "log.h"

enum { MS = 1000, US_PER_S = 1000000 };

struct anvil {
	struct daemon *daemon;
	struct anvil_config config;
	struct counts counts;
	struct timer expire, tell;
	bool told_of_limit;
};

static time_t
now(void)
{
	return (time_t)(sys_now_us() / US_PER_S);
}

/* ---- requests ---- */

static void
count(struct anvil *a, struct counts_owner *o, struct arena *mem,
      const struct msg_anvil_event *m, struct msg_anvil_counts *out)
{
	struct str client = str_printf(mem, PRI_STR ":" PRI_STR, STR_ARG(m->service),
				       STR_ARG(m->client));

	counts_add(&a->counts, o, client, (enum anvil_event)m->event, now(), &out->count,
		   &out->rate);
	if (out->rate > 0 || m->event == ANVIL_DISCONNECT || a->told_of_limit)
		return;
	a->told_of_limit = true;
	log_warning(a->daemon->log, "more than %d clients: some are not counted",
		    COUNTS_CLIENTS_MAX);
}

static void
session(struct daemon *d, struct stream *client)
{
	struct anvil *a = d->state;
	struct arena *mem = arena_new();
	struct counts_owner owner;
	struct msg_anvil_event event;
	enum ipc_result result;
	struct ipc ipc;
	struct err err;

	counts_owner_init(&owner);
	ipc_init(&ipc, client);
	while ((result = ipc_receive(&ipc, mem, &ipc_anvil_event, &event, &err)) ==
		       IPC_DONE &&
	       event.event < ANVIL_EVENTS) {
		struct msg_anvil_counts counts;

		count(a, &owner, mem, &event, &counts);
		if (event.event != ANVIL_DISCONNECT &&
		    (!ipc_send(&ipc, &ipc_anvil_counts, &counts, &err) ||
		     !ipc_flush(&ipc, &err)))
			break;
		arena_reset(mem);
	}
	if (result == IPC_FAILED && !d->draining)
		log_warning(d->log, "bad request: %s", err.text);
	counts_owner_release(&a->counts, &owner);
	arena_free(&mem);
}

/* ---- time ---- */

static void
tell_peak(void *arg, const char *name, bool is_rate, const struct counts_peak *peak)
{
	const struct anvil *a = arg;

	log_peak(a->daemon->log, name, is_rate ? a->counts.unit_s : 0, peak);
}

static void
on_tell(struct timer *t, void *arg)
{
	struct anvil *a = arg;

	counts_tell_peaks(&a->counts, tell_peak, a);
	a->told_of_limit = false;
	timer_start_ms(t, a->config.anvil_status_update_time * MS);
}

static void
on_expire(struct timer *t, void *arg)
{
	struct anvil *a = arg;

	counts_expire(&a->counts, now());
	timer_start_ms(t, a->config.anvil_rate_time_unit * MS);
}

/* ---- the daemon ---- */

static bool
init(struct daemon *d, struct err *err)
{
	struct anvil *a = ARENA_NEW(d->mem, struct anvil);

	a->daemon = d;
	if (!anvil_config_load(d->mem, d->config, &a->config, err))
		return false;
	counts_init(&a->counts, a->config.anvil_rate_time_unit);
	d->state = a;
	return true;
}

static void
start(struct daemon *d)
{
	struct anvil *a = d->state;

	timer_init(&a->tell, d->loop, on_tell, a);
	timer_start_ms(&a->tell, a->config.anvil_status_update_time * MS);
	timer_init(&a->expire, d->loop, on_expire, a);
	timer_start_ms(&a->expire, a->config.anvil_rate_time_unit * MS);
}

/* What was counted stays. */
static bool
reload(struct daemon *d, const struct config *fresh, struct err *err)
{
	struct anvil *a = d->state;
	struct anvil_config config;

	if (!anvil_config_load(d->mem, fresh, &config, err))
		return false;
	a->config = config;
	a->counts.unit_s = config.anvil_rate_time_unit;
	timer_start_ms(&a->tell, config.anvil_status_update_time * MS);
	timer_start_ms(&a->expire, config.anvil_rate_time_unit * MS);
	return true;
}

static void
drain(struct daemon *d)
{
	struct anvil *a = d->state;

	timer_stop(&a->tell);
	timer_stop(&a->expire);
}

static void
release(struct daemon *d)
{
	struct anvil *a = d->state;

	counts_tell_peaks(&a->counts, tell_peak, a);
	counts_release(&a->counts);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "anvil",
		.profile = SANDBOX_anvil,
		.init = init,
		.start = start,
		.session = session,
		.reload = reload,
		.drain = drain,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
