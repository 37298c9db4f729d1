/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What each client of each service has done lately. All rates of a client are for one
 * stretch of time, which begins with its first event after the last one was over. A
 * client that has no connection and whose stretch is over is forgotten. Peaks are
 * remembered until they are told.
 *
 * Whoever tells of connects is a struct counts_owner; when it goes, so do the connections
 * that it did not end. The clock is the caller's.
 *
 * Limit: COUNTS_CLIENTS_MAX clients; those beyond it are not counted.
 */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/str.h"

#include "ipc/deliver.h"

struct map;

enum { COUNTS_CLIENTS_MAX = 500000 };

/* The largest value since it was last told, and whose it was. */
struct counts_peak {
	int64_t value;
	struct str client; /* "service:address"; on the heap */
	time_t when;
};

struct counts {
	struct map *clients;                    /* "service:address" to its counts */
	int64_t unit_s;                         /* anvil_rate_time_unit */
	struct counts_peak peaks[ANVIL_EVENTS]; /* of rates; DISCONNECT: of connections */
	struct counts_peak clients_peak;
};

struct counts_owner {
	struct map *connections; /* "service:address" to how many */
};

void counts_init(struct counts *c, int64_t unit_s);
void counts_release(struct counts *c);

void counts_owner_init(struct counts_owner *o);
/* Its connections end. */
void counts_owner_release(struct counts *c, struct counts_owner *o);

/* An event of a client, as "service:address". How many connections it has, and how many
 * such events there were in this stretch of time, this one included; zero for a client
 * that is not counted. */
void counts_add(struct counts *c, struct counts_owner *o, struct str client,
		enum anvil_event event, time_t now, int64_t *count_out,
		int64_t *rate_out);

/* Forget clients; some time later than their stretch. */
void counts_expire(struct counts *c, time_t now);

/* Each peak that is not zero, in Postfix's order ("connection rate" ... "cache size",
 * whose client is empty), and forget it. */
void counts_tell_peaks(struct counts *c,
		       void (*tell)(void *arg, const char *name, bool is_rate,
				    const struct counts_peak *peak),
		       void *arg);
