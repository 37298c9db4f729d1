/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TRANSPORT_xxx parameters into the scheduler's terms.
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/config.h"
#include "daemon/daemon.h"

#include "qmgr.h"

static bool
feedback(struct qmgr *q, struct arena *mem, struct str transport, const char *suffix,
	 struct sched_feedback *out, struct err *err)
{
	struct str text;

	if (!config_transport_get(mem, q->daemon->config, transport, str_from(suffix),
				  &text, err))
		return false;
	if (!sched_feedback_parse(text, out)) {
		log_warning(q->daemon->log,
			    PRI_STR "_%s: bad value " PRI_STR ", 1 is used",
			    STR_ARG(transport), suffix, STR_ARG(text));
		*out = (struct sched_feedback){1, FEEDBACK_CONSTANT};
	}
	return true;
}

bool
params_load(struct qmgr *q, struct str transport, struct sched_params *out,
	    struct err *err)
{
	const struct config *cfg = q->daemon->config;
	struct sched_params p = {0};
	const struct {
		const char *suffix;
		int64_t *out;
		int64_t min;
	} numbers[] = {
		{"destination_concurrency_limit", &p.concurrency_limit, 0},
		{"destination_recipient_limit", &p.recipient_limit, 0},
		{"initial_destination_concurrency", &p.initial_concurrency, 1},
		{"delivery_slot_cost", &p.slot_cost, 0},
		{"delivery_slot_loan", &p.slot_loan, 0},
		{"delivery_slot_discount", &p.slot_discount, 0},
		{"minimum_delivery_slots", &p.minimum_slots, 0},
		{"recipient_limit", &p.memory_limit, 0},
		{"extra_recipient_limit", &p.memory_extra, 0},
		{"recipient_refill_limit", &p.refill_limit, 1},
	};
	struct arena *mem = arena_new();
	int64_t cohort = 1;
	bool ok = true;

	for (size_t i = 0; i < ARRAY_LEN(numbers) && ok; i++)
		ok = config_transport_int(cfg, transport, str_from(numbers[i].suffix),
					  numbers[i].min, numbers[i].out, err);
	ok = ok &&
	     config_transport_int(cfg, transport,
				  STR("destination_concurrency_failed_cohort_limit"), 0,
				  &cohort, err) &&
	     config_transport_time(cfg, transport, STR("destination_rate_delay"),
				   &p.destination_rate_delay_ms, err) &&
	     config_transport_time(cfg, transport, STR("transport_rate_delay"),
				   &p.transport_rate_delay_ms, err) &&
	     config_transport_time(cfg, transport, STR("recipient_refill_delay"),
				   &p.refill_delay_ms, err) &&
	     feedback(q, mem, transport, "destination_concurrency_positive_feedback",
		      &p.positive, err) &&
	     feedback(q, mem, transport, "destination_concurrency_negative_feedback",
		      &p.negative, err);
	arena_free(&mem);
	if (!ok)
		return false;
	p.destination_rate_delay_ms *= 1000;
	p.transport_rate_delay_ms *= 1000;
	p.refill_delay_ms *= 1000;
	p.failed_cohort_limit = cohort > 0 ? (double)cohort : 1e9;
	p.dead_ms = q->config.minimal_backoff_time * 1000;
	p.transport_dead_ms = q->config.transport_retry_time * 1000;
	*out = p;
	return true;
}

int64_t
params_agents_max(const struct qmgr *q, struct str transport)
{
	const struct master_service *s =
		master_cf_find(&q->services, transport, MASTER_UNIX);

	return s == NULL ? 0 : s->process_limit;
}
