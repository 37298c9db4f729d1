/* SPDX-License-Identifier: Apache-2.0 */
#include "outcome.h"

#include "base/arena.h"
#include "base/macros.h"
#include "base/map.h"

#include "story.h"

enum { SECOND_US = 1000000 };

const struct schedule schedule_default = {
	.minimal_backoff_s = 300,
	.maximal_backoff_s = 4000,
	.queue_lifetime_s = INT64_C(5) * 86400,
	.bounce_lifetime_s = INT64_C(5) * 86400,
};

/* Recipients in the order in which they first appear. */
static void
collect_recipients(struct outcome *o, struct arena *mem, const struct message *m)
{
	struct map *by_address = map_new_in(mem);
	struct recipient *r;

	o->recipients = arena_alloc_array(mem, m->n_events + 1, sizeof(*o->recipients));
	for (size_t i = 0; i < m->n_events; i++) {
		const struct log_line *l = &m->events[i]->line;
		struct str key;

		if (l->kind != LOG_DELIVERY)
			continue;
		key = str_printf(mem, PRI_STR "\n" PRI_STR, STR_ARG(l->to),
				 STR_ARG(l->orig_to));
		r = map_find(by_address, key);
		if (r == NULL) {
			r = &o->recipients[o->n_recipients++];
			r->to = l->to;
			r->orig_to = l->orig_to;
			map_set(by_address, key, r);
		}
		r->n_attempts++;
	}
	for (size_t i = 0; i < o->n_recipients; i++) {
		r = &o->recipients[i];
		r->attempts = arena_alloc_array(mem, r->n_attempts, sizeof(*r->attempts));
		r->n_attempts = 0;
	}
	for (size_t i = 0; i < m->n_events; i++) {
		const struct log_line *l = &m->events[i]->line;

		if (l->kind != LOG_DELIVERY)
			continue;
		r = map_find(by_address, str_printf(mem, PRI_STR "\n" PRI_STR,
						    STR_ARG(l->to), STR_ARG(l->orig_to)));
		r->attempts[r->n_attempts++] = m->events[i];
	}
}

static void
count_results(struct outcome *o)
{
	for (size_t i = 0; i < o->n_recipients; i++) {
		const struct recipient *r = &o->recipients[i];
		const struct log_line *l = &r->attempts[r->n_attempts - 1]->line;

		if (str_eq(l->status, STR("sent")) &&
		    str_starts(l->reason, STR("forwarded as ")))
			o->n_forwarded++;
		else if (str_eq(l->status, STR("sent")) ||
			 str_eq(l->status, STR("deliverable")))
			o->n_sent++;
		else if (str_eq(l->status, STR("deferred")) ||
			 str_eq(l->status, STR("SOFTBOUNCE")))
			o->n_deferred++;
		else if (str_eq(l->status, STR("bounced")) ||
			 str_eq(l->status, STR("undeliverable")))
			o->n_bounced++;
		else
			o->n_other++;
	}
}

/* A rejected recipient does not end a message that has others. */
static bool
rejects_message(const struct log_line *l)
{
	return str_ends(l->action, STR("reject")) && !str_starts(l->stage, STR("RCPT"));
}

/* The content of its recipients' mail goes nowhere, whichever step said so. */
static bool
discards_message(const struct log_line *l)
{
	return str_ends(l->action, STR("discard"));
}

static enum place
find_place(const struct message *m)
{
	enum place place = PLACE_UNKNOWN;

	if (m->removed != NULL)
		return str_eq(m->removed->line.daemon, STR("postsuper")) ? PLACE_DELETED
									 : PLACE_GONE;
	for (size_t i = 0; i < m->n_events; i++) {
		const struct log_line *l = &m->events[i]->line;

		if (l->kind == LOG_ACTION && rejects_message(l))
			place = PLACE_REFUSED;
		else if (l->kind == LOG_ACTION && discards_message(l))
			place = PLACE_DISCARDED;
		else if (l->kind == LOG_HELD ||
			 (l->kind == LOG_ACTION && str_ends(l->action, STR("hold"))))
			place = PLACE_HOLD;
		else if (l->kind == LOG_REQUEUED)
			place = PLACE_REQUEUED;
		else if (l->kind == LOG_RELEASED)
			place = PLACE_UNKNOWN;
		else if (l->kind == LOG_ACTIVE || l->kind == LOG_FORCE_EXPIRED)
			place = PLACE_ACTIVE;
		else if (l->kind == LOG_DELIVERY &&
			 (str_eq(l->status, STR("deferred")) ||
			  str_eq(l->status, STR("SOFTBOUNCE"))))
			place = PLACE_DEFERRED;
	}
	return place;
}

static void
collect_facts(struct outcome *o, const struct message *m)
{
	for (size_t i = 0; i < m->n_events; i++) {
		const struct event *e = m->events[i];

		if (e->line.has_from && o->from == NULL)
			o->from = e;
		if (e->line.size >= 0 && o->size < 0)
			o->size = e->line.size;
		if (e->line.nrcpt >= 0 && o->nrcpt < 0)
			o->nrcpt = e->line.nrcpt;
	}
	o->arrived_us = m->first_us;
}

bool
outcome_is_open(const struct outcome *o)
{
	return o->place != PLACE_GONE && o->place != PLACE_DELETED &&
	       o->place != PLACE_REFUSED && o->place != PLACE_DISCARDED &&
	       o->place != PLACE_REQUEUED;
}

/* A message waits as long as it has waited already, between the two limits. */
static void
schedule_next(struct outcome *o, const struct message *m, const struct schedule *s)
{
	int64_t life_s = s->queue_lifetime_s;
	int64_t failed_us = 0;
	int64_t wait_us;

	if (!outcome_is_open(o))
		return;
	if (o->from != NULL && o->from->line.from.len == 0)
		life_s = s->bounce_lifetime_s;
	o->expires_us = o->arrived_us + life_s * SECOND_US;
	if (o->place != PLACE_DEFERRED)
		return;
	for (size_t i = 0; i < m->n_events; i++) {
		if (m->events[i]->line.kind == LOG_DELIVERY)
			failed_us = m->events[i]->line.time_us;
	}
	wait_us = failed_us - o->arrived_us;
	wait_us = MAX_OF(wait_us, s->minimal_backoff_s * SECOND_US);
	wait_us = MIN_OF(wait_us, s->maximal_backoff_s * SECOND_US);
	o->next_us = failed_us + wait_us;
}

void
outcome_init(struct outcome *o, struct arena *mem, const struct message *m,
	     const struct schedule *schedule)
{
	*o = (struct outcome){.nrcpt = -1, .size = -1};
	collect_recipients(o, mem, m);
	count_results(o);
	collect_facts(o, m);
	o->place = find_place(m);
	schedule_next(o, m, schedule);
}

static const char *
result_word(const struct outcome *o, const char *without_result)
{
	if (o->n_bounced > 0)
		return o->n_sent + o->n_forwarded > 0 ? "partly bounced" : "bounced";
	if (o->n_sent > 0)
		return "delivered";
	return o->n_forwarded > 0 ? "passed on" : without_result;
}

const char *
outcome_word(const struct outcome *o)
{
	switch (o->place) {
	case PLACE_DELETED:
		return "deleted";
	case PLACE_GONE:
		return result_word(o, o->n_deferred > 0 ? "given up" : "removed");
	case PLACE_REQUEUED:
		return "queued again";
	case PLACE_REFUSED:
		return "refused";
	case PLACE_DISCARDED:
		return "discarded";
	case PLACE_HOLD:
		return "on hold";
	case PLACE_ACTIVE:
		return "in delivery";
	case PLACE_DEFERRED:
		return "deferred";
	case PLACE_UNKNOWN:
		break;
	}
	return result_word(o, "no end in the log");
}
