/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What became of a message: its recipients with their attempts, where it is now, and what
 * comes next. Pure; computed from the message's events and the retry schedule.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct event;
struct message;

/* The queue manager's times, as in main.cf. */
struct schedule {
	int64_t minimal_backoff_s, maximal_backoff_s;
	int64_t queue_lifetime_s, bounce_lifetime_s;
};

/* The defaults that both Postfix and we have. */
extern const struct schedule schedule_default;

struct recipient {
	struct str to, orig_to;
	const struct event **attempts; /* LOG_DELIVERY, oldest first; at least one */
	size_t n_attempts;
};

enum place {
	PLACE_GONE,    /* removed: finished */
	PLACE_DELETED, /* by an administrator */
	PLACE_REFUSED, /* never accepted in the end (reject after a queue id was given) */
	PLACE_DISCARDED, /* thrown away by a rule or a filter */
	PLACE_REQUEUED,  /* lives on under another id */
	PLACE_HOLD,
	PLACE_ACTIVE,   /* handed to delivery, no result in the log */
	PLACE_DEFERRED, /* waits for the next attempt */
	PLACE_UNKNOWN,  /* the log has no end of it */
};

struct outcome {
	enum place place;
	struct recipient *recipients;
	size_t n_recipients;
	size_t n_sent, n_forwarded, n_deferred, n_bounced, n_other; /* by last attempt */
	int64_t nrcpt;            /* as the queue manager said at first, or -1 */
	int64_t size;             /* bytes, or -1 */
	const struct event *from; /* a line with the sender, or NULL */
	int64_t arrived_us;
	int64_t next_us;    /* earliest next attempt; 0 unless PLACE_DEFERRED */
	int64_t expires_us; /* 0 when finished */
};

void outcome_init(struct outcome *o, struct arena *mem, const struct message *m,
		  const struct schedule *schedule);

/* Is it in a queue still, as far as the log says? */
bool outcome_is_open(const struct outcome *o);

/* "delivered", "bounced", "deferred", "on hold" ...: one or two words. */
const char *outcome_word(const struct outcome *o);
