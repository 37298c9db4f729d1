/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages in the active queue: from the rename into it to the rename or removal out of
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/sys.h"

#include "config/value.h"
#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "ipc/deliver.h"
#include "mail/address.h"
#include "queue/log_file.h"
#include "rewrite/resolve.h"

#include "log.h"
#include "notify.h"
#include "qmgr.h"
#include "recipients.h"
#include "removals.h"

enum { RETRY_MS = 60000 };

bool
active_has_room(const struct qmgr *q)
{
	return map_count(q->active) < (size_t)q->config.qmgr_message_active_limit;
}

bool
message_has_verp(const struct message *m)
{
	return m->file.verp.len == 2 && m->file.sender.len > 0;
}

bool
message_is_probe(const struct message *m)
{
	return (m->file.trace_flags & TRACE_PROBE) != 0;
}

/* ---- routing recipients ---- */

static struct sched_transport *
transport_get(struct qmgr *q, struct str name)
{
	struct sched_transport *t = sched_transport_find(&q->sched, name);
	struct sched_params params;
	struct err err;

	if (t != NULL)
		return t;
	if (!params_load(q, name, &params, &err)) {
		log_error(q->daemon->log, "%s", err.text);
		params = (struct sched_params){.concurrency_limit = 20,
					       .recipient_limit = 50,
					       .initial_concurrency = 5,
					       .failed_cohort_limit = 1,
					       .positive = {1, FEEDBACK_CONSTANT},
					       .negative = {1, FEEDBACK_CONSTANT},
					       .dead_ms = 300000,
					       .transport_dead_ms = 60000};
	}
	t = sched_transport_add(&q->sched, name, &params);
	t->agents_max = params_agents_max(q, name);
	return t;
}

/* When the active queue is nearly full, and a fifth of it waits for one destination. */
static void
warn_if_clogged(struct qmgr *q, struct sched_transport *t, struct str destination)
{
	int64_t active = (int64_t)map_count(q->active);
	int64_t now_ms = loop_now_ms(q->daemon->loop);
	struct sched_destination *d;
	int64_t share;

	if (q->config.qmgr_clog_warn_time == 0 ||
	    active < q->config.qmgr_message_active_limit / 10 * INT64_C(9))
		return;
	d = sched_destination_find(t, destination);
	if (d == NULL || now_ms < d->next_warning_ms)
		return;
	share = (int64_t)d->peers.count + d->busy;
	if (share < active / 5)
		return;
	d->next_warning_ms = now_ms + q->config.qmgr_clog_warn_time * 1000;
	log_clogged(q->daemon->log, destination, share, active);
}

static bool
is_error_transport(struct str transport)
{
	return str_eq(transport, STR("error")) || str_eq(transport, STR("retry"));
}

/* The scheduler's name for a destination. With one recipient per delivery each user is
 * one of its own, so that a slow mailbox holds up nobody else. */
static struct str
destination_name(struct message *m, const struct sched_transport *t, struct str nexthop,
		 struct str recipient)
{
	struct str local;
	struct str domain;

	if (t->params.recipient_limit != 1 || is_error_transport(t->name))
		return nexthop;
	IGNORE(address_split(recipient, &local, &domain));
	return str_printf(m->scratch, PRI_STR "@" PRI_STR, STR_ARG(local),
			  STR_ARG(nexthop));
}

static void
add_to(struct message *m, struct str transport, struct str nexthop,
       struct sched_recipient *r)
{
	struct sched_transport *t = transport_get(m->qmgr, transport);

	sched_add(&m->qmgr->sched, t, destination_name(m, t, nexthop, r->address),
		  &m->sched, r);
}

static void
add_problem(struct message *m, const char *transport, struct str dsn, struct str reason,
	    struct sched_recipient *r)
{
	add_to(m, str_from(transport),
	       str_printf(m->scratch, PRI_STR " " PRI_STR, STR_ARG(dsn), STR_ARG(reason)),
	       r);
}

/* Is there no point in trying now? Then the recipient goes to the retry service. */
static bool
suspend(struct message *m, struct sched_transport *t, struct str destination,
	struct sched_recipient *r)
{
	int64_t now_ms = loop_now_ms(m->qmgr->daemon->loop);
	struct sched_destination *d = sched_destination_find(t, destination);
	struct str dsn;
	struct str reason;

	if (m->flush) {
		sched_revive(&m->qmgr->sched, t, d, now_ms);
		return false;
	}
	if (!m->flush_all &&
	    list_has_exactly(m->qmgr->config.defer_transports, t->name)) {
		add_problem(m, "retry", STR("4.3.2"), STR("deferred transport"), r);
		return true;
	}
	if (sched_transport_is_dead(t, now_ms)) {
		dsn = t->dead_dsn;
		reason = t->dead_reason;
	} else if (d != NULL && sched_destination_is_dead(d, now_ms)) {
		dsn = d->dead_dsn;
		reason = d->dead_reason;
	} else {
		return false;
	}
	add_problem(m, "retry", dsn,
		    str_printf(m->scratch, "delivery temporarily suspended: " PRI_STR,
			       STR_ARG(reason)),
		    r);
	return true;
}

static void
route_to(struct message *m, struct str transport, struct str nexthop,
	 struct sched_recipient *r)
{
	struct sched_transport *t = transport_get(m->qmgr, transport);
	struct str destination = destination_name(m, t, nexthop, r->address);

	if (!is_error_transport(transport) && suspend(m, t, destination, r))
		return;
	sched_add(&m->qmgr->sched, t, destination, &m->sched, r);
	warn_if_clogged(m->qmgr, t, destination);
}

/* content_filter and FILTER: everything goes there first. */
static bool
route_to_filter(struct message *m, struct sched_recipient *r)
{
	struct str transport = m->file.filter;
	struct str nexthop = STR_EMPTY;
	struct str local;

	if (m->file.filter.len == 0)
		return false;
	IGNORE(str_split(m->file.filter, ':', &transport, &nexthop));
	if (nexthop.len == 0)
		nexthop = m->qmgr->config.default_filter_nexthop;
	if (nexthop.len == 0)
		IGNORE(address_split(r->address, &local, &nexthop));
	route_to(m, transport, nexthop, r);
	return true;
}

/* A report that nobody could be told of ends here. */
static bool
is_for_double_bounce(const struct qmgr *q, const struct route *route)
{
	struct str local;
	struct str domain;

	IGNORE(address_split(route->recipient, &local, &domain));
	return route->class == CLASS_LOCAL && str_ieq(local, q->rules.double_bounce);
}

static const struct rewrite_rules *
rules_for(const struct message *m)
{
	return message_is_probe(m) ? &m->qmgr->probe_rules : &m->qmgr->rules;
}

/* Probes must not take the place of mail. */
static bool
is_one_probe_too_many(const struct message *m)
{
	return message_is_probe(m) &&
	       m->qmgr->n_probes > m->qmgr->verify.address_verify_pending_request_limit;
}

static void
route_one(struct message *m, struct sched_recipient *r)
{
	struct route route;
	struct err err = {0};

	if (m->force_expire && map_find(m->reasons, r->address) != NULL) {
		m->deferred = true;
		recipients_drop(m, r);
		return;
	}
	if (m->force_expire) {
		add_problem(m, "retry", STR("4.7.0"),
			    STR("message is administratively expired"), r);
		return;
	}
	if (r->address.len == 0) {
		add_problem(m, "error", STR("5.1.3"), STR("null recipient address"), r);
		return;
	}
	if (route_to_filter(m, r))
		return;
	if (is_one_probe_too_many(m)) {
		add_problem(m, "retry", STR("4.3.2"),
			    STR("Too many address verification requests"), r);
		return;
	}
	switch (resolve_address(m->scratch, rules_for(m), m->file.sender, r->address,
				&route, &err)) {
	case RESOLVE_OK:
		if (route.warning.len > 0)
			log_warning(m->qmgr->daemon->log, PRI_STR,
				    STR_ARG(route.warning));
		recipient_set_address(r, route.recipient);
		if (is_for_double_bounce(m->qmgr, &route))
			add_to(m, STR("discard"),
			       STR("undeliverable postmaster notification discarded"), r);
		else
			route_to(m, route.transport, route.nexthop, r);
		return;
	case RESOLVE_BAD:
		add_problem(m, "error", STR("5.1.3"), STR("bad address syntax"), r);
		return;
	case RESOLVE_TEMP:
		log_warning(m->qmgr->daemon->log, "%s", err.text);
		add_problem(m, "retry", STR("4.3.0"), STR("address resolver failure"), r);
		return;
	}
}

void
active_route(struct message *m, struct sched_recipient *list)
{
	while (list != NULL) {
		struct sched_recipient *r = list;

		list = r->next;
		route_one(m, r);
		arena_reset(m->scratch);
	}
	event_signal_all(&m->qmgr->dispatch);
}

void
active_defer(struct message *m, struct sched_recipient *list, struct str dsn,
	     struct str reason)
{
	while (list != NULL) {
		struct sched_recipient *r = list;

		list = r->next;
		add_problem(m, "retry", dsn,
			    str_printf(m->scratch,
				       "delivery temporarily suspended: " PRI_STR,
				       STR_ARG(reason)),
			    r);
		arena_reset(m->scratch);
	}
	event_signal_all(&m->qmgr->dispatch);
}

struct taken {
	struct sched_message *m;
	struct sched_recipient *r;
};

void
active_route_all(struct qmgr *q)
{
	struct arena *mem = arena_new();
	size_t n = 0;
	size_t size = 64;
	struct taken *all = arena_alloc_array(mem, size, sizeof(*all));
	const struct map_entry *e;
	size_t at = 0;

	while ((e = map_next(q->sched.transports, &at)) != NULL) {
		struct taken t;

		while (sched_take_back(&q->sched, e->value, NULL, &t.m, &t.r)) {
			if (n == size) {
				struct taken *bigger =
					arena_alloc_array(mem, size * 2, sizeof(*bigger));

				for (size_t i = 0; i < n; i++)
					bigger[i] = all[i];
				all = bigger;
				size *= 2;
			}
			all[n++] = t;
		}
	}
	for (size_t i = 0; i < n; i++)
		active_route(CONTAINER_OF(all[i].m, struct message, sched), all[i].r);
	arena_free(&mem);
}

/* ---- leaving the active queue ---- */

static const enum queue_name message_logs[] = {QUEUE_DEFER, QUEUE_BOUNCE, QUEUE_TRACE};

static void
forget(struct message *m)
{
	struct qmgr *q = m->qmgr;

	map_remove(q->active, m->id);
	if (m->is_counted)
		q->n_probes--;
	if (m->fd >= 0)
		sys_close(m->fd);
	arena_free(&m->mem);
	event_signal_all(&q->scan);
}

static void
save_corrupt(struct message *m, const char *why)
{
	struct err err;

	log_corrupt(m->qmgr->daemon->log, m->id, why);
	if (!queue_move(&m->qmgr->dirs, QUEUE_ACTIVE, QUEUE_CORRUPT, m->id, &err))
		log_error(m->qmgr->daemon->log, "%s", err.text);
	forget(m);
}

static bool
has_log(struct message *m, enum queue_name q)
{
	struct str path = queue_path(m->mem, &m->qmgr->dirs, q, m->id);
	struct stat st;

	return sys_fstatat(m->qmgr->dirs.root, path.p, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_size > 0;
}

/* postsuper has taken the file away while it was being delivered: on hold it keeps what
 * was said about its deliveries, removed it does not. */
static void
lose(struct message *m)
{
	static const enum queue_name places[] = {QUEUE_HOLD, QUEUE_DEFERRED,
						 QUEUE_INCOMING, QUEUE_MAILDROP};
	const struct queue_dirs *dirs = &m->qmgr->dirs;
	struct stat st;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct str path = queue_path(m->mem, dirs, places[i], m->id);

		if (sys_fstatat(dirs->root, path.p, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return;
	}
	log_info(m->qmgr->daemon->log, PRI_STR ": was removed by hand", STR_ARG(m->id));
	for (size_t i = 0; i < ARRAY_LEN(message_logs); i++)
		IGNORE(!queue_remove(dirs, message_logs[i], m->id, &err));
}

/* Back to deferred, to be tried again in `delay`. */
static void
put_back(struct message *m, int64_t delay_s)
{
	struct qmgr *q = m->qmgr;
	struct err err;

	if (!queue_set_time(&q->dirs, QUEUE_ACTIVE, m->id,
			    sys_now_us() + delay_s * 1000000, &err) ||
	    !queue_move(&q->dirs, QUEUE_ACTIVE, QUEUE_DEFERRED, m->id, &err)) {
		if (err.errnum == ENOENT)
			lose(m);
		else
			log_error(q->daemon->log, PRI_STR ": %s", STR_ARG(m->id),
				  err.text);
	}
	forget(m);
}

/* A file that cannot be used: what may pass is no reason to set it aside for good. */
static void
give_up(struct message *m, const struct err *err)
{
	struct qmgr *q = m->qmgr;

	if (err->kind != ERR_TEMP) {
		save_corrupt(m, err->text);
		return;
	}
	log_error(q->daemon->log, PRI_STR ": %s", STR_ARG(m->id), err->text);
	put_back(m, q->config.minimal_backoff_time);
}

static int64_t
next_delay_s(const struct message *m)
{
	const struct qmgr_config *c = &m->qmgr->config;
	int64_t age_s = sys_now_us() / 1000000 - m->file.create_s;

	age_s = MAX_OF(age_s, c->minimal_backoff_time);
	return MIN_OF(age_s, c->maximal_backoff_time);
}

static int64_t
lifetime_s(const struct message *m)
{
	const struct qmgr_config *c = &m->qmgr->config;

	if (m->file.sender.len > 0)
		return c->maximal_queue_lifetime;
	return MIN_OF(c->bounce_queue_lifetime, c->maximal_queue_lifetime);
}

/* postsuper -e may have come while the message was being delivered. */
static bool
is_expired(struct message *m)
{
	struct stat st;

	if (sys_fstat(m->fd, &st) == 0 && (st.st_mode & QUEUE_MODE_EXPIRE) != 0)
		m->force_expire = true;
	return m->force_expire ||
	       sys_now_us() / 1000000 >= m->file.create_s + lifetime_s(m);
}

static void
remove_message(struct message *m)
{
	struct qmgr *q = m->qmgr;
	struct stat st;
	struct err err;

	if (sys_fstat(m->fd, &st) == 0 && st.st_nlink == 0) {
		lose(m);
		forget(m);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(message_logs); i++)
		IGNORE(!queue_remove(&q->dirs, message_logs[i], m->id, &err));
	removals_note(q, m->id);
	if (!queue_remove(&q->dirs, QUEUE_ACTIVE, m->id, &err))
		log_error(q->daemon->log, PRI_STR ": %s", STR_ARG(m->id), err.text);
	else
		log_removed(q->daemon->log, m->id);
	forget(m);
}

/* Tell the sender, once, that it takes longer. */
static void
warn_of_delay(struct message *m)
{
	int64_t expires_us = (m->file.create_s + lifetime_s(m)) * 1000000;
	struct err err;

	if (m->file.warn_us == 0 || sys_now_us() < m->file.warn_us - 1000000)
		return;
	if (!notify_warn(m, expires_us, &err) ||
	    !queue_file_set_warning(&m->file, 0, &err))
		log_warning(m->qmgr->daemon->log, PRI_STR ": delay warning: %s",
			    STR_ARG(m->id), err.text);
}

/* Everybody has been tried. A report that cannot be made now is a reason to keep the
 * message: its recipients are marked, so nobody gets it twice. */
static void
conclude(struct message *m)
{
	struct qmgr *q = m->qmgr;
	struct err err;

	/* Whatever came of it, nobody waits for a probe: there will be another. */
	if (message_is_probe(m)) {
		remove_message(m);
		return;
	}
	if (has_log(m, QUEUE_BOUNCE) && !notify_flush(m, "bounce", &err)) {
		log_info(q->daemon->log, PRI_STR ": status=deferred (bounce failed)",
			 STR_ARG(m->id));
		put_back(m, next_delay_s(m));
		return;
	}
	if (has_log(m, QUEUE_TRACE) && !notify_flush(m, "trace", &err)) {
		log_warning(q->daemon->log, PRI_STR ": trace service failed",
			    STR_ARG(m->id));
		put_back(m, next_delay_s(m));
		return;
	}
	if (!m->deferred) {
		remove_message(m);
		return;
	}
	if (m->file.trace_flags != 0 && !queue_file_end_trace(&m->file, &err))
		log_warning(q->daemon->log, PRI_STR ": %s", STR_ARG(m->id), err.text);
	if (!is_expired(m)) {
		warn_of_delay(m);
		put_back(m, next_delay_s(m));
		return;
	}
	log_expired(q->daemon->log, m->id, m->file.sender, m->force_expire);
	if (notify_flush(m, "defer", &err)) {
		remove_message(m);
		return;
	}
	log_info(q->daemon->log, PRI_STR ": status=deferred (bounce failed)",
		 STR_ARG(m->id));
	put_back(m, next_delay_s(m));
}

static void
conclude_fiber(void *arg)
{
	struct message *m = arg;
	struct err err;

	if (m->next_rcpt == 0) {
		conclude(m);
		return;
	}
	m->finishing = false;
	if (m->is_damaged) {
		save_corrupt(m, "damaged recipients");
		return;
	}
	if (!recipients_read(m, &err)) {
		give_up(m, &err);
		return;
	}
	active_progress(m);
}

void
active_progress(struct message *m)
{
	if (m->sched.refs > 0 || m->finishing)
		return;
	m->finishing = true;
	if (fiber_spawn(m->qmgr->daemon->loop, "conclude", conclude_fiber, m) == NULL)
		put_back(m, RETRY_MS / 1000);
}

/* ---- entering it ---- */

static struct message *
message_new(struct qmgr *q, struct str id, int fd)
{
	struct arena *mem = arena_new();
	struct message *m = ARENA_NEW(mem, struct message);

	m->qmgr = q;
	m->mem = mem;
	m->scratch = arena_new_child(mem);
	m->id = str_dup(mem, id);
	m->fd = fd;
	m->active_us = sys_now_us();
	sched_message_init(&m->sched, loop_now_ms(q->daemon->loop));
	map_set(q->active, id, m);
	return m;
}

/* A message that was flushed or expired by hand says so in its mode; the mode goes back
 * to normal. */
static void
read_marks(struct message *m)
{
	struct stat st;

	if (sys_fstat(m->fd, &st) < 0)
		return;
	m->flush = (st.st_mode & QUEUE_MODE_UNTHROTTLE) != 0;
	m->force_expire = (st.st_mode & QUEUE_MODE_EXPIRE) != 0;
	if (m->flush)
		IGNORE(sys_fchmod(m->fd, st.st_mode & 07777 &
						 ~(mode_t)QUEUE_MODE_UNTHROTTLE) < 0);
}

/* The return message shall say why it was late: who is in the defer log is not tried
 * again. */
static void
remember_reasons(struct message *m)
{
	struct log_entry *entries;
	size_t count = 0;
	struct err err;

	m->reasons = map_new_in(m->mem);
	if (!log_file_read(m->mem, &m->qmgr->dirs, QUEUE_DEFER, m->id, &entries, &count,
			   &err)) {
		log_warning(m->qmgr->daemon->log, PRI_STR ": %s", STR_ARG(m->id),
			    err.text);
		return;
	}
	for (size_t i = 0; i < count; i++)
		map_set(m->reasons, entries[i].recipient, m);
}

static void
begin(struct message *m)
{
	struct qmgr *q = m->qmgr;
	struct err err;

	if (!queue_file_open(m->mem, m->fd, &m->file, &err)) {
		give_up(m, &err);
		return;
	}
	if (message_is_probe(m)) {
		m->is_counted = true;
		q->n_probes++;
	}
	read_marks(m);
	if (m->force_expire)
		remember_reasons(m);
	else /* what was the reason is tried again */
		IGNORE(!queue_remove(&q->dirs, QUEUE_DEFER, m->id, &err));
	log_active(q->daemon->log, m->id, m->file.sender, m->file.content_size,
		   m->file.size_rcpt_count);
	m->next_rcpt = m->file.first_rcpt;
	m->sched.unread = m->file.rcpt_count;
	m->sched.single = message_has_verp(m);
	if (m->next_rcpt != 0 && !recipients_read(m, &err)) {
		give_up(m, &err);
		return;
	}
	active_progress(m);
}

void
active_take(struct qmgr *q, enum queue_name from, struct str id, int fd, bool flush_all)
{
	struct message *m;
	struct err err;

	if (map_find(q->active, id) != NULL ||
	    !queue_move(&q->dirs, from, QUEUE_ACTIVE, id, &err)) {
		/* Somebody was faster: a scan and a notice may tell of the same file. */
		if (fd >= 0)
			sys_close(fd);
		return;
	}
	if (fd < 0 && !queue_open(&q->dirs, QUEUE_ACTIVE, id, true, &fd, &err)) {
		log_error(q->daemon->log, "%s", err.text);
		IGNORE(!queue_move(&q->dirs, QUEUE_ACTIVE, QUEUE_DEFERRED, id, &err));
		return;
	}
	m = message_new(q, id, fd);
	m->flush_all = flush_all;
	begin(m);
}
