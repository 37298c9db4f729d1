/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The scheduler: which recipients of which message go to which delivery agent next.
 * Pure: no descriptors, no clock (the caller says what time it is, in monotonic
 * milliseconds), so tests drive it directly. Postfix's rules and words (facts: queue 6):
 *
 * transport: a master.cf service that delivers.
 *
 * destination: a next hop within a transport, with its window of concurrent deliveries.
 *
 * message: what the caller has in the active queue.
 *
 * job: message x transport; jobs of a transport are served first come first served, but a
 * small one may overtake a large one (preemption).
 *
 * peer: job x destination: the recipients that still wait there.
 *
 * entry: up to destination_recipient_limit recipients of one peer that are with an agent.
 *
 * How a job is found without looking at all of them: every destination keeps its peers in
 * a heap ordered by their jobs' turn; every transport keeps its *open* destinations
 * (something waits, window not full, not dead, not pausing) in a heap ordered by their
 * first peer. Taking the next entry is the top of the top. Preempting a job means giving
 * the candidate a turn just before it.
 *
 * Memory: objects live on the heap and go away by themselves: a peer when its last
 * recipient is taken, a job with its last peer and entry, a destination when nothing
 * waits, nothing is under way and its window has nothing to remember.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/str.h"

struct map;

enum sched_feedback_base { FEEDBACK_CONSTANT, FEEDBACK_CONCURRENCY, FEEDBACK_SQRT };

/* default_destination_concurrency_positive_feedback and its like: NUMBER, NUMBER/NUMBER,
 * NUMBER/concurrency, NUMBER/sqrt_concurrency. */
struct sched_feedback {
	double number; /* 0..1 */
	enum sched_feedback_base base;
};

bool sched_feedback_parse(struct str text, struct sched_feedback *out)
	__attribute__((warn_unused_result));

/* The TRANSPORT_xxx parameters of one transport. */
struct sched_params {
	int64_t concurrency_limit;   /* 0 = none */
	int64_t recipient_limit;     /* per entry; 0 = none */
	int64_t initial_concurrency; /* >= 1 */
	struct sched_feedback positive;
	struct sched_feedback negative;
	double failed_cohort_limit;
	int64_t destination_rate_delay_ms;
	int64_t transport_rate_delay_ms;
	int64_t slot_cost; /* < 2: no preemption */
	int64_t slot_loan;
	int64_t slot_discount; /* per cent */
	int64_t minimum_slots;
	int64_t dead_ms; /* minimal_backoff_time: how long a dead destination rests */
	int64_t transport_dead_ms; /* transport_retry_time */
	int64_t memory_limit;      /* recipient_limit: recipients in memory */
	int64_t memory_extra; /* extra_recipient_limit: more, for jobs that overtook */
	int64_t refill_limit; /* recipient_refill_limit: read more when so many are gone
			       */
	int64_t refill_delay_ms; /* recipient_refill_delay: or after so long */
};

struct sched_transport {
	struct str name;
	struct sched_params params;
	struct map *destinations; /* by name */
	struct heap open; /* of struct sched_destination, by the turn of the first peer */
	struct list jobs; /* of struct sched_job, by arrival */
	int64_t agents_max; /* deliveries at a time, the maxproc column; 0 = no limit */
	int64_t busy;       /* entries that are with agents */
	int64_t recipients; /* waiting and with agents */
	int64_t dead_until_ms; /* 0 = alive */
	struct str dead_dsn;
	struct str dead_reason;
	int64_t not_before_ms; /* transport_rate_delay */
	int64_t no_candidate_until_ms;
};

struct sched_destination {
	struct heap_node open_node;
	struct heap_node wake_node; /* in sched.wake: end of death or pause */
	struct sched_transport *transport;
	struct str name;
	struct heap peers; /* by turn */
	int64_t todo;      /* recipients that wait */
	int64_t busy;      /* entries that are with agents */
	double window;
	double success;
	double failure;
	double fail_cohorts;
	int64_t dead_until_ms;  /* 0 = alive */
	int64_t pause_until_ms; /* destination_rate_delay */
	int64_t last_done_ms; /* when a delivery ended, for connection caching; 0 = never
			       */
	struct str dead_dsn;
	struct str dead_reason;
	int64_t next_warning_ms; /* the caller's: that it fills the active queue */
};

struct sched_recipient {
	struct sched_recipient *next;
	int64_t offset; /* of the record in the queue file */
	struct str address;
	struct str orig_address;
	struct str dsn_orcpt;
	int64_t dsn_notify;
};

/* What the scheduler keeps in a message of the caller's; initialise with
 * sched_message_init(). */
struct sched_message {
	struct list jobs;
	int64_t queued_ms; /* when it entered the active queue */
	int64_t unread;    /* recipients still on disk */
	int64_t refs;      /* recipients waiting or with an agent */
	bool single;       /* each recipient by itself (VERP) */
};

struct sched_job {
	struct list in_transport;
	struct list in_message;
	struct sched_transport *transport;
	struct sched_message *message;
	struct list peers;
	int64_t turn;
	int64_t waiting; /* recipients in peers */
	int64_t entries_read;
	int64_t entries_taken;
	int64_t slots_available;
	int64_t slots_used;
	int64_t under_way;           /* entries with agents */
	struct sched_job *preempted; /* whom it overtook, to pay slots back */
	int64_t slots_lent;
	bool is_parent; /* somebody overtook it and is not done */
};

struct sched_peer {
	struct heap_node node;
	struct list in_job;
	struct sched_job *job;
	struct sched_destination *destination;
	struct sched_recipient *first, **last;
	int64_t count;
};

struct sched_entry {
	struct sched_job *job;
	struct sched_destination *destination;
	struct sched_recipient *recipients; /* a list ended by NULL */
	int64_t count;
	bool conn_load;  /* use a cached connection */
	bool conn_store; /* keep the connection afterwards */
};

struct sched {
	struct map *transports;
	struct heap wake; /* of destinations, by the time they rest until */
	int64_t next_turn;
};

void sched_init(struct sched *s);
/* Nothing may be waiting or under way. */
void sched_release(struct sched *s);

struct sched_transport *sched_transport_find(struct sched *s, struct str name);
struct sched_transport *sched_transport_add(struct sched *s, struct str name,
					    const struct sched_params *params);
/* After a reload: windows are clamped to the new limits. */
void sched_transport_set_params(struct sched_transport *t,
				const struct sched_params *params);

void sched_message_init(struct sched_message *m, int64_t now_ms);

/* The destination if the scheduler knows it, else NULL. */
struct sched_destination *sched_destination_find(struct sched_transport *t,
						 struct str name);
bool sched_destination_is_dead(const struct sched_destination *d, int64_t now_ms);
bool sched_transport_is_dead(const struct sched_transport *t, int64_t now_ms);

/* Let a recipient (the caller's memory, kept until its entry is done) wait for its
 * destination. */
void sched_add(struct sched *s, struct sched_transport *t, struct str destination,
	       struct sched_message *m, struct sched_recipient *r);

/* How many more recipients of this message the transport has room for; may be negative.
 */
int64_t sched_room(const struct sched_transport *t, const struct sched_message *m);

/* The next entry of this transport, or NULL when nothing may be taken now. The caller
 * gives it to an agent and later calls sched_done(). */
struct sched_entry *sched_take(struct sched *s, struct sched_transport *t,
			       int64_t now_ms);

enum sched_outcome {
	SCHED_OK,      /* the destination answered, whatever it said */
	SCHED_SITE,    /* the destination as a whole failed: dsn and reason say how */
	SCHED_AGENT,   /* no agent, or it broke: the transport rests */
	SCHED_UNKNOWN, /* cancelled by us: windows are left alone */
};

/* The entry is over; frees it (its recipients are the caller's). Returns true if the
 * destination (SCHED_SITE) or transport (SCHED_AGENT) is dead now: then call
 * sched_take_back(). */
bool sched_done(struct sched *s, struct sched_entry *entry, enum sched_outcome outcome,
		struct str dsn, struct str reason, int64_t now_ms);

/* Everything that waits for a dead destination (or for any one of a dead transport), one
 * peer at a time, so that the caller can defer it: fills *m and *r (a list) and returns
 * true, or false when nothing waits. The recipients leave the scheduler. */
bool sched_take_back(struct sched *s, struct sched_transport *t,
		     struct sched_destination *d, struct sched_message **m,
		     struct sched_recipient **r);

/* Forget that the transport and the destination (may be NULL) are dead. */
void sched_revive(struct sched *s, struct sched_transport *t, struct sched_destination *d,
		  int64_t now_ms);
/* Forget death and pauses (flush): of everything. */
void sched_revive_all(struct sched *s, int64_t now_ms);

/* When sched_take() may give something that it does not give now, apart from sched_done()
 * and sched_add(); INT64_MAX: never. */
int64_t sched_next_wake_ms(const struct sched *s);
/* Open the destinations whose time has come. */
void sched_wake(struct sched *s, int64_t now_ms);
