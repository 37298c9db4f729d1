/* SPDX-License-Identifier: Apache-2.0 */
#include "sched.h"

#include <math.h>
#include <string.h>

#include "base/macros.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/panic.h"

enum {
	TURN_GAP = 1 << 20,        /* between two jobs: room for those that overtake */
	CANDIDATES_MAX = 1000,     /* jobs looked at in a search for a candidate */
	CANDIDATE_RETRY_MS = 1000, /* after a search that found none */
	IDLE_KEEP_MS = 10000,      /* how long an idle destination is remembered */
	BACK_TO_BACK_MS =
		1000, /* a delivery ended this short ago: connections are worth caching */
};

static struct str
heap_copy(struct str s)
{
	char *p = mem_alloc(mem_size_add(s.len, 1));

	if (s.len > 0)
		memcpy(p, s.p, s.len);
	return (struct str){p, s.len};
}

static void
heap_copy_free(struct str *s)
{
	mem_free((void *)(uintptr_t)s->p);
	*s = (struct str){NULL, 0};
}

/* ---- feedback ---- */

static bool
parse_number(struct str s, double *out)
{
	struct str whole = s;
	struct str fraction = STR_EMPTY;
	uint64_t a = 0;
	uint64_t b = 0;
	double scale = 1;

	if (s.len == 0 || s.len > 12)
		return false;
	if (str_split(s, '.', &whole, &fraction) && whole.len == 0 && fraction.len == 0)
		return false;
	if ((whole.len > 0 && !str_to_u64(whole, UINT32_MAX, &a)) ||
	    (fraction.len > 0 && !str_to_u64(fraction, UINT32_MAX, &b)))
		return false;
	for (size_t i = 0; i < fraction.len; i++)
		scale *= 10;
	*out = (double)a + (double)b / scale;
	return true;
}

bool
sched_feedback_parse(struct str text, struct sched_feedback *out)
{
	struct sched_feedback f = {.base = FEEDBACK_CONSTANT};
	struct str number = text;
	struct str base = STR_EMPTY;
	double divisor;

	if (str_split(text, '/', &number, &base)) {
		base = str_trim(base);
		if (str_ieq(base, STR("concurrency")))
			f.base = FEEDBACK_CONCURRENCY;
		else if (str_ieq(base, STR("sqrt_concurrency")))
			f.base = FEEDBACK_SQRT;
	}
	if (!parse_number(str_trim(number), &f.number))
		return false;
	if (base.len > 0 && f.base == FEEDBACK_CONSTANT) {
		if (!parse_number(base, &divisor) || divisor <= 0)
			return false;
		f.number /= divisor;
	}
	if (f.number < 0 || f.number > 1)
		return false;
	*out = f;
	return true;
}

static double
feedback_value(const struct sched_feedback *f, double window)
{
	switch (f->base) {
	case FEEDBACK_CONSTANT:
		break;
	case FEEDBACK_CONCURRENCY:
		return f->number / window;
	case FEEDBACK_SQRT:
		return f->number / sqrt(window);
	}
	return f->number;
}

/* ---- destinations ---- */

static int64_t
concurrency_limit(const struct sched_params *p)
{
	return p->destination_rate_delay_ms > 0 ? 1 : p->concurrency_limit;
}

static double
initial_window(const struct sched_params *p)
{
	int64_t limit = concurrency_limit(p);
	int64_t initial = MAX_OF(p->initial_concurrency, 1);

	return (double)(limit > 0 ? MIN_OF(initial, limit) : initial);
}

static struct sched_peer *
first_peer(const struct sched_destination *d)
{
	struct heap_node *n = heap_first(&d->peers);

	return n == NULL ? NULL : CONTAINER_OF(n, struct sched_peer, node);
}

static bool
destination_may_deliver(const struct sched_destination *d)
{
	return d->todo > 0 && (double)d->busy < d->window && d->dead_until_ms == 0 &&
	       d->pause_until_ms == 0;
}

/* Put the destination into, out of, or to another place in its transport's heap. */
static void
destination_refresh(struct sched_destination *d)
{
	heap_remove(&d->transport->open, &d->open_node);
	if (destination_may_deliver(d))
		heap_add(&d->transport->open, &d->open_node, first_peer(d)->job->turn);
}

static void
destination_rest(struct sched *s, struct sched_destination *d, int64_t until_ms)
{
	heap_remove(&s->wake, &d->wake_node);
	heap_add(&s->wake, &d->wake_node, until_ms);
	destination_refresh(d);
}

static struct sched_destination *
destination_new(struct sched_transport *t, struct str name)
{
	struct sched_destination *d = mem_alloc(sizeof(*d));

	d->transport = t;
	d->name = heap_copy(name);
	d->window = initial_window(&t->params);
	heap_init(&d->peers);
	map_set(t->destinations, name, d);
	return d;
}

static void
destination_free(struct sched *s, struct sched_destination *d)
{
	ensure(d->todo == 0 && d->busy == 0);
	map_remove(d->transport->destinations, d->name);
	heap_remove(&s->wake, &d->wake_node);
	heap_remove(&d->transport->open, &d->open_node);
	heap_release(&d->peers);
	heap_copy_free(&d->name);
	heap_copy_free(&d->dead_dsn);
	heap_copy_free(&d->dead_reason);
	mem_free(d);
}

static void
destination_set_reason(struct sched_destination *d, struct str dsn, struct str reason)
{
	heap_copy_free(&d->dead_dsn);
	heap_copy_free(&d->dead_reason);
	d->dead_dsn = heap_copy(dsn);
	d->dead_reason = heap_copy(reason);
}

static void
destination_revive(struct sched_destination *d)
{
	d->dead_until_ms = 0;
	d->fail_cohorts = 0;
	d->success = 0;
	d->failure = 0;
	d->window = MAX_OF((double)d->busy, initial_window(&d->transport->params));
}

/* A delivery in which the destination took part: the window may grow by one per feedback
 * of 1, but not far beyond what is in use. */
static void
window_succeed(struct sched_destination *d)
{
	const struct sched_params *p = &d->transport->params;
	int64_t limit = concurrency_limit(p);
	double g;

	d->fail_cohorts = 0;
	if ((limit > 0 && d->window >= (double)limit) ||
	    d->window >= (double)(d->busy + p->initial_concurrency))
		return;
	g = feedback_value(&p->positive, d->window);
	d->success += g;
	while (g > 0 && d->success + g / 2 >= 1) {
		d->window += 1;
		d->success -= 1;
		d->failure = 0;
	}
}

/* Returns true when the destination is to be given up for a while. */
static bool
window_fail(struct sched_destination *d)
{
	const struct sched_params *p = &d->transport->params;
	double f;

	d->fail_cohorts += 1 / d->window;
	if (d->fail_cohorts >= p->failed_cohort_limit)
		return true;
	f = feedback_value(&p->negative, d->window);
	d->failure -= f;
	while (f > 0 && d->failure - f / 2 < 0) {
		d->window -= 1;
		d->success = 0;
		d->failure += 1;
	}
	d->window = MAX_OF(d->window, 1.0);
	return false;
}

/* ---- transports ---- */

void
sched_init(struct sched *s)
{
	*s = (struct sched){.transports = map_new()};
	heap_init(&s->wake);
}

static void
transport_free(struct sched *s, struct sched_transport *t)
{
	const struct map_entry *e;
	size_t at = 0;

	ensure(list_is_empty(&t->jobs));
	while ((e = map_next(t->destinations, &at)) != NULL)
		destination_free(s, e->value);
	map_free(&t->destinations);
	heap_release(&t->open);
	heap_copy_free(&t->name);
	heap_copy_free(&t->dead_dsn);
	heap_copy_free(&t->dead_reason);
	mem_free(t);
}

void
sched_release(struct sched *s)
{
	const struct map_entry *e;
	size_t at = 0;

	while ((e = map_next(s->transports, &at)) != NULL)
		transport_free(s, e->value);
	map_free(&s->transports);
	heap_release(&s->wake);
}

struct sched_transport *
sched_transport_find(struct sched *s, struct str name)
{
	return map_find(s->transports, name);
}

struct sched_transport *
sched_transport_add(struct sched *s, struct str name, const struct sched_params *params)
{
	struct sched_transport *t = mem_alloc(sizeof(*t));

	t->name = heap_copy(name);
	t->params = *params;
	t->destinations = map_new();
	heap_init(&t->open);
	list_init(&t->jobs);
	ensure(map_set(s->transports, name, t) == NULL);
	return t;
}

void
sched_transport_set_params(struct sched_transport *t, const struct sched_params *params)
{
	const struct map_entry *e;
	size_t at = 0;
	int64_t limit;

	t->params = *params;
	limit = concurrency_limit(params);
	while ((e = map_next(t->destinations, &at)) != NULL) {
		struct sched_destination *d = e->value;

		if (limit > 0 && d->window > (double)limit)
			d->window = (double)limit;
		d->window = MAX_OF(d->window, initial_window(params));
		destination_refresh(d);
	}
}

struct sched_destination *
sched_destination_find(struct sched_transport *t, struct str name)
{
	return map_find(t->destinations, name);
}

bool
sched_destination_is_dead(const struct sched_destination *d, int64_t now_ms)
{
	return d->dead_until_ms > now_ms;
}

bool
sched_transport_is_dead(const struct sched_transport *t, int64_t now_ms)
{
	return t->dead_until_ms > now_ms;
}

/* ---- jobs and peers ---- */

void
sched_message_init(struct sched_message *m, int64_t now_ms)
{
	*m = (struct sched_message){.queued_ms = now_ms};
	list_init(&m->jobs);
}

static struct sched_job *
job_get(struct sched *s, struct sched_transport *t, struct sched_message *m)
{
	struct sched_job *j;

	list_foreach (at, &m->jobs) {
		j = CONTAINER_OF(at, struct sched_job, in_message);
		if (j->transport == t)
			return j;
	}
	j = mem_alloc(sizeof(*j));
	j->transport = t;
	j->message = m;
	j->turn = ++s->next_turn * TURN_GAP;
	list_init(&j->peers);
	list_init(&j->in_transport);
	list_init(&j->in_message);
	list_append(&t->jobs, &j->in_transport);
	list_append(&m->jobs, &j->in_message);
	return j;
}

/* Whoever overtook this job has nothing to pay back to any more. */
static void
forget_parent(struct sched_job *parent)
{
	list_foreach (at, &parent->transport->jobs) {
		struct sched_job *j = CONTAINER_OF(at, struct sched_job, in_transport);

		if (j->preempted == parent)
			j->preempted = NULL;
	}
}

static void
job_free_if_done(struct sched_job *j)
{
	struct sched_job *parent = j->preempted;

	if (j->waiting > 0 || j->under_way > 0)
		return;
	if (parent != NULL) {
		/* It took fewer entries than it was lent slots for: give the rest back.
		 */
		int64_t rest =
			j->slots_lent - j->entries_taken * j->transport->params.slot_cost;

		parent->slots_available += MAX_OF(rest, 0);
		parent->is_parent = false;
	}
	if (j->is_parent)
		forget_parent(j);
	list_remove(&j->in_transport);
	list_remove(&j->in_message);
	mem_free(j);
}

static struct sched_peer *
peer_get(struct sched_job *j, struct sched_destination *d)
{
	struct sched_peer *p;

	list_foreach (at, &j->peers) {
		p = CONTAINER_OF(at, struct sched_peer, in_job);
		if (p->destination == d)
			return p;
	}
	p = mem_alloc(sizeof(*p));
	p->job = j;
	p->destination = d;
	p->last = &p->first;
	list_init(&p->in_job);
	/* The newest first: recipients of one destination tend to follow each other. */
	list_prepend(&j->peers, &p->in_job);
	heap_add(&d->peers, &p->node, j->turn);
	return p;
}

static void
peer_free(struct sched_peer *p)
{
	ensure(p->count == 0);
	heap_remove(&p->destination->peers, &p->node);
	list_remove(&p->in_job);
	mem_free(p);
}

/* Recipients that go to an agent at once; 0: no limit. */
static int64_t
entry_limit(const struct sched_transport *t, const struct sched_message *m)
{
	return m->single ? 1 : t->params.recipient_limit;
}

void
sched_add(struct sched *s, struct sched_transport *t, struct str destination,
	  struct sched_message *m, struct sched_recipient *r)
{
	struct sched_destination *d = map_find(t->destinations, destination);
	int64_t limit = entry_limit(t, m);
	struct sched_job *j = job_get(s, t, m);
	struct sched_peer *p;

	if (d == NULL)
		d = destination_new(t, destination);
	p = peer_get(j, d);
	if (limit > 0 ? p->count % limit == 0 : p->count == 0)
		j->entries_read++;
	r->next = NULL;
	*p->last = r;
	p->last = &r->next;
	p->count++;
	j->waiting++;
	d->todo++;
	m->refs++;
	t->recipients++;
	t->no_candidate_until_ms = 0;
	if (d->open_node.place == 0)
		destination_refresh(d);
}

int64_t
sched_room(const struct sched_transport *t, const struct sched_message *m)
{
	int64_t limit = t->params.memory_limit;

	list_foreach (at, &m->jobs) {
		const struct sched_job *j =
			CONTAINER_OF(at, struct sched_job, in_message);

		if (j->transport == t && j->preempted != NULL)
			limit += t->params.memory_extra;
	}
	return limit - t->recipients;
}

/* Take up to limit recipients (0: all) off a peer; it goes away when empty. */
static struct sched_recipient *
peer_take(struct sched_peer *p, int64_t limit, int64_t *count_out)
{
	struct sched_recipient *first = p->first;
	struct sched_recipient *last = first;
	int64_t n = 1;

	while (last->next != NULL && (limit <= 0 || n < limit)) {
		last = last->next;
		n++;
	}
	p->first = last->next;
	if (p->first == NULL)
		p->last = &p->first;
	last->next = NULL;
	p->count -= n;
	p->job->waiting -= n;
	p->destination->todo -= n;
	*count_out = n;
	if (p->count == 0)
		peer_free(p);
	return first;
}

/* ---- preemption ---- */

static bool
job_can_deliver(const struct sched_job *j)
{
	list_foreach (at, &j->peers) {
		const struct sched_peer *p = CONTAINER_OF(at, struct sched_peer, in_job);

		if (p->destination->open_node.place != 0)
			return true;
	}
	return false;
}

static int64_t
entries_needed(const struct sched_job *j)
{
	return j->entries_read + j->message->unread - j->entries_taken;
}

/* The job behind the current one that gains most per entry it costs, among those that fit
 * into max_entries. Later jobs have waited less, so the search can stop early. */
static struct sched_job *
find_candidate(struct sched_job *current, int64_t max_entries, int64_t now_ms)
{
	struct list *head = &current->transport->jobs;
	struct sched_job *best = NULL;
	double best_score = 0;
	int looked = 0;

	for (struct list *at = current->in_transport.next; at != head; at = at->next) {
		struct sched_job *j = CONTAINER_OF(at, struct sched_job, in_transport);
		double waited = (double)(now_ms - j->message->queued_ms) / 1000 + 1;
		int64_t need = entries_needed(j);
		int64_t total = MAX_OF(j->entries_read + j->message->unread, 1);

		if (++looked > CANDIDATES_MAX || waited <= best_score)
			break;
		if (j->is_parent || j->preempted != NULL || need <= 0 ||
		    need > max_entries || !job_can_deliver(j))
			continue;
		if (waited / (double)total > best_score) {
			best = j;
			best_score = waited / (double)total;
		}
	}
	return best;
}

/* Let the candidate go before the current job. */
static void
overtake(struct sched_job *current, struct sched_job *candidate, int64_t cost)
{
	current->slots_available -= cost;
	current->is_parent = true;
	candidate->preempted = current;
	candidate->slots_lent = cost;
	candidate->turn = current->turn - 1;
	list_foreach (at, &candidate->peers) {
		struct sched_peer *p = CONTAINER_OF(at, struct sched_peer, in_job);

		heap_remove(&p->destination->peers, &p->node);
		heap_add(&p->destination->peers, &p->node, candidate->turn);
		destination_refresh(p->destination);
	}
}

/* The job whose turn it is may be overtaken by a small one that waits behind it, when it
 * has earned enough slots; then the small one's turn comes first. */
static void
consider_preemption(struct sched_job *current, int64_t now_ms)
{
	struct sched_transport *t = current->transport;
	const struct sched_params *p = &t->params;
	int64_t max_entries = current->entries_read + current->message->unread;
	struct sched_job *candidate;
	int64_t need;

	if (p->slot_cost < 2 || current->slots_available <= 0 || current->is_parent ||
	    max_entries < p->minimum_slots * p->slot_cost ||
	    now_ms < t->no_candidate_until_ms)
		return;
	candidate = find_candidate(current,
				   (current->entries_read - current->entries_taken +
				    current->slots_available) /
					   p->slot_cost,
				   now_ms);
	if (candidate == NULL) {
		t->no_candidate_until_ms = now_ms + CANDIDATE_RETRY_MS;
		return;
	}
	need = entries_needed(candidate);
	if ((double)current->slots_available / (double)p->slot_cost +
		    (double)p->slot_loan >=
	    (double)need * (double)(100 - p->slot_discount) / 100)
		overtake(current, candidate, need * p->slot_cost);
}

/* ---- taking and finishing entries ---- */

static struct sched_peer *
next_peer(const struct sched_transport *t)
{
	struct heap_node *n = heap_first(&t->open);

	return n == NULL
		       ? NULL
		       : first_peer(CONTAINER_OF(n, struct sched_destination, open_node));
}

static bool
transport_may_deliver(const struct sched_transport *t, int64_t now_ms)
{
	const struct sched_params *p = &t->params;

	if (t->dead_until_ms > now_ms || (t->agents_max > 0 && t->busy >= t->agents_max))
		return false;
	return p->transport_rate_delay_ms <= 0 ||
	       (t->busy == 0 && t->not_before_ms <= now_ms);
}

static void
set_connection_hints(struct sched_entry *e, int64_t now_ms)
{
	const struct sched_destination *d = e->destination;
	bool back_to_back =
		d->last_done_ms != 0 && now_ms - d->last_done_ms <= BACK_TO_BACK_MS;

	e->conn_load = back_to_back || d->busy > 1;
	e->conn_store = e->conn_load || d->todo > 0;
}

struct sched_entry *
sched_take(struct sched *s, struct sched_transport *t, int64_t now_ms)
{
	struct sched_peer *p;
	struct sched_entry *e;

	if (!transport_may_deliver(t, now_ms))
		return NULL;
	p = next_peer(t);
	if (p == NULL)
		return NULL;
	consider_preemption(p->job, now_ms);
	p = next_peer(t);
	ensure(p != NULL);
	e = mem_alloc(sizeof(*e));
	e->job = p->job;
	e->destination = p->destination;
	e->recipients = peer_take(p, entry_limit(t, e->job->message), &e->count);
	e->job->entries_taken++;
	e->job->slots_available++;
	e->job->slots_used++;
	e->job->under_way++;
	e->destination->busy++;
	t->busy++;
	t->not_before_ms = now_ms + t->params.transport_rate_delay_ms;
	set_connection_hints(e, now_ms);
	heap_remove(&s->wake, &e->destination->wake_node);
	destination_refresh(e->destination);
	return e;
}

static void
destination_kill(struct sched *s, struct sched_destination *d, struct str dsn,
		 struct str reason, int64_t now_ms)
{
	d->dead_until_ms = now_ms + d->transport->params.dead_ms;
	destination_set_reason(d, dsn, reason);
	destination_rest(s, d, d->dead_until_ms);
}

static void
transport_kill(struct sched_transport *t, struct str dsn, struct str reason,
	       int64_t now_ms)
{
	t->dead_until_ms = now_ms + t->params.transport_dead_ms;
	heap_copy_free(&t->dead_dsn);
	heap_copy_free(&t->dead_reason);
	t->dead_dsn = heap_copy(dsn);
	t->dead_reason = heap_copy(reason);
}

/* What the outcome means for the destination and its transport; true if one is dead now.
 */
static bool
learn(struct sched *s, struct sched_destination *d, enum sched_outcome outcome,
      struct str dsn, struct str reason, int64_t now_ms)
{
	switch (outcome) {
	case SCHED_OK:
		window_succeed(d);
		return false;
	case SCHED_SITE:
		if (d->dead_until_ms > 0)
			return true;
		if (!window_fail(d))
			return false;
		destination_kill(s, d, dsn, reason, now_ms);
		return true;
	case SCHED_AGENT:
		transport_kill(d->transport, dsn, reason, now_ms);
		return true;
	case SCHED_UNKNOWN:
		return false;
	}
	return false;
}

bool
sched_done(struct sched *s, struct sched_entry *entry, enum sched_outcome outcome,
	   struct str dsn, struct str reason, int64_t now_ms)
{
	struct sched_destination *d = entry->destination;
	struct sched_transport *t = d->transport;
	bool dead = learn(s, d, outcome, dsn, reason, now_ms);

	d->last_done_ms = now_ms;
	d->busy--;
	t->busy--;
	entry->job->under_way--;
	entry->job->message->refs -= entry->count;
	t->recipients -= entry->count;
	job_free_if_done(entry->job);
	mem_free(entry);
	if (d->dead_until_ms == 0 && t->params.destination_rate_delay_ms > 0) {
		d->pause_until_ms = now_ms + t->params.destination_rate_delay_ms;
		destination_rest(s, d, d->pause_until_ms);
	} else if (d->dead_until_ms == 0 && d->todo == 0 && d->busy == 0) {
		destination_rest(s, d, now_ms + IDLE_KEEP_MS);
	} else {
		destination_refresh(d);
	}
	return dead;
}

static struct sched_peer *
any_peer(struct sched_transport *t)
{
	list_foreach (at, &t->jobs) {
		struct sched_job *j = CONTAINER_OF(at, struct sched_job, in_transport);
		struct list *first = list_first(&j->peers);

		if (first != NULL)
			return CONTAINER_OF(first, struct sched_peer, in_job);
	}
	return NULL;
}

bool
sched_take_back(struct sched *s, struct sched_transport *t, struct sched_destination *d,
		struct sched_message **m, struct sched_recipient **r)
{
	struct sched_peer *p = d != NULL ? first_peer(d) : any_peer(t);
	struct sched_destination *from;
	struct sched_job *j;
	int64_t count;

	if (p == NULL)
		return false;
	j = p->job;
	from = p->destination;
	*m = j->message;
	*r = peer_take(p, 0, &count);
	(*m)->refs -= count;
	t->recipients -= count;
	job_free_if_done(j);
	destination_refresh(from);
	if (from->todo == 0 && from->busy == 0 && from->wake_node.place == 0)
		heap_add(&s->wake, &from->wake_node, 0);
	return true;
}

/* ---- time ---- */

void
sched_revive(struct sched *s, struct sched_transport *t, struct sched_destination *d,
	     int64_t now_ms)
{
	t->dead_until_ms = 0;
	if (d == NULL || d->dead_until_ms == 0)
		return;
	destination_revive(d);
	destination_rest(s, d, now_ms);
}

void
sched_revive_all(struct sched *s, int64_t now_ms)
{
	const struct map_entry *et;
	size_t at = 0;

	while ((et = map_next(s->transports, &at)) != NULL) {
		struct sched_transport *t = et->value;
		const struct map_entry *ed;
		size_t at_d = 0;

		t->dead_until_ms = 0;
		while ((ed = map_next(t->destinations, &at_d)) != NULL)
			sched_revive(s, t, ed->value, now_ms);
	}
}

int64_t
sched_next_wake_ms(const struct sched *s)
{
	const struct heap_node *n = heap_first(&s->wake);
	int64_t next = n == NULL ? INT64_MAX : n->key;
	const struct map_entry *e;
	size_t at = 0;

	while ((e = map_next(s->transports, &at)) != NULL) {
		const struct sched_transport *t = e->value;

		if (list_is_empty(&t->jobs))
			continue;
		if (t->dead_until_ms > 0)
			next = MIN_OF(next, t->dead_until_ms);
		if (t->params.transport_rate_delay_ms > 0 && t->busy == 0)
			next = MIN_OF(next, t->not_before_ms);
	}
	return next;
}

static void
destination_wake(struct sched *s, struct sched_destination *d, int64_t now_ms)
{
	if (d->dead_until_ms != 0 && d->dead_until_ms <= now_ms)
		destination_revive(d);
	if (d->pause_until_ms <= now_ms)
		d->pause_until_ms = 0;
	if (d->todo == 0 && d->busy == 0 && d->dead_until_ms == 0 &&
	    now_ms - d->last_done_ms >= IDLE_KEEP_MS) {
		destination_free(s, d);
		return;
	}
	if (d->todo == 0 && d->busy == 0)
		destination_rest(s, d, now_ms + IDLE_KEEP_MS);
	else
		destination_refresh(d);
}

void
sched_wake(struct sched *s, int64_t now_ms)
{
	const struct map_entry *e;
	struct heap_node *n;
	size_t at = 0;

	while ((n = heap_first(&s->wake)) != NULL && n->key <= now_ms) {
		heap_remove(&s->wake, n);
		destination_wake(s, CONTAINER_OF(n, struct sched_destination, wake_node),
				 now_ms);
	}
	while ((e = map_next(s->transports, &at)) != NULL) {
		struct sched_transport *t = e->value;

		if (t->dead_until_ms != 0 && t->dead_until_ms <= now_ms)
			t->dead_until_ms = 0;
	}
}
