/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The queue manager: the only one that changes what a queue file says. It takes messages
 * from incoming and deferred into active, asks where each recipient goes, lets the
 * scheduler decide whose turn it is, hands entries to delivery agents, and records what
 * they answer.
 *
 * Fibers: one scans directories (scan.c), one hands out entries (deliver.c), one per
 * delivery under way, one per message that is being finished. They share this state and
 * never yield while it is inconsistent.
 */

#include <stdbool.h>
#include <stdint.h>

#include "config/common_config.h"
#include "config/master_cf.h"
#include "config/qmgr_config.h"
#include "config/verify_config.h"
#include "fiber/event.h"
#include "queue/dir.h"
#include "queue/file.h"
#include "queue/journal.h"
#include "rewrite/rules.h"

#include "sched.h"

struct daemon;
struct map;
struct offload;

struct qmgr {
	struct daemon *daemon;
	struct common_config common;
	struct qmgr_config config;
	struct master_services services; /* master.cf: agents at once */
	struct rewrite_rules rules;
	struct rewrite_rules probe_rules; /* for probes of verify(8) */
	struct verify_config verify;
	struct match *flush_sites; /* fast_flush_domains */
	int64_t next_flush_warning_ms;
	struct queue_dirs dirs;
	struct sched sched;
	struct map *active;    /* of struct message, by id */
	struct map *agents;    /* of struct agent_pool, by transport */
	struct event dispatch; /* something may be deliverable */
	struct event scan;     /* something to scan for, or room in active */
	unsigned scan_wanted;  /* enum scan_want */
	int64_t n_recipients;  /* in memory, of all messages */
	int64_t n_probes;      /* messages that are probes */
	int64_t next_deferred_scan_ms;
	uint64_t generation; /* of the configuration */
	struct journal journal;
	struct offload *offload;
	struct event removals; /* something to sync in the journal */
	bool removals_dirty;
	bool keeps_journal; /* as it was at the start */
};

struct message;

/* Is it a probe of verify(8)? */
bool message_is_probe(const struct message *m);
/* Each recipient gets it from a sender of its own (mail/verp.h). */
bool message_has_verp(const struct message *m);

struct message {
	struct sched_message sched; /* first: the scheduler hands it back */
	struct qmgr *qmgr;
	struct arena *mem;
	struct arena *scratch; /* while one recipient is routed */
	struct str id;
	struct queue_file file;
	int fd;
	int64_t active_us; /* when it entered the active queue */
	int64_t next_rcpt; /* where the next part of the recipients begins; 0: none left
			    */
	int64_t n_recipients; /* in memory */
	int64_t n_after_read; /* the same when a part was read last */
	int64_t last_read_ms;
	bool is_counted; /* in n_probes */
	bool is_damaged; /* the rest of the recipients cannot be read */
	bool deferred;   /* somebody must wait */
	bool flush;      /* deliver whatever is dead: postqueue -i, -s */
	bool flush_all;  /* found by postqueue -f: defer_transports does not apply */
	struct str flush_site; /* the last one that flush(8) was told of */
	bool force_expire;
	struct map *reasons; /* force_expire: recipients that the defer log has */
	bool finishing;
};

/* Take a complete file of `from` into the active queue. fd: open for reading and writing,
 * taken; -1: open it here. flush_all: see struct message. Fiber only. */
void active_take(struct qmgr *q, enum queue_name from, struct str id, int fd,
		 bool flush_all);
bool active_has_room(const struct qmgr *q);
/* The entry or what was waiting is over: is there more to do for this message? */
void active_progress(struct message *m);
/* Put recipients (a list) where they belong now. */
void active_route(struct message *m, struct sched_recipient *list);
/* Recipients that cannot be delivered now, and why: to the retry service. */
void active_defer(struct message *m, struct sched_recipient *list, struct str dsn,
		  struct str reason);
/* After a reload: route anew what waits. */
void active_route_all(struct qmgr *q);

/* Fiber bodies. */
void deliver_run(void *qmgr);
void scan_run(void *qmgr);

enum scan_want {
	SCAN_INCOMING = 1u << 0,
	SCAN_DEFERRED = 1u << 1,
	SCAN_IGNORE_TIME = 1u << 2,
	SCAN_FLUSH = 1u << 3 /* what is dead is revived before */
};
void scan_want(struct qmgr *q, unsigned want);
/* At start: what was active when we stopped goes back to incoming. */
bool scan_recover(struct qmgr *q, struct err *err) MUST_CHECK;

/* Drop idle agent connections: their processes have an old configuration. */
void deliver_forget_agents(struct qmgr *q);
/* Parameters of a transport from the configuration. */
bool params_load(struct qmgr *q, struct str transport, struct sched_params *out,
		 struct err *err) MUST_CHECK;
/* Deliveries of a transport at a time: the maxproc column of its service; 0: no limit. */
int64_t params_agents_max(const struct qmgr *q, struct str transport);
