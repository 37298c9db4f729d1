/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Stress: while all sessions that the maxproc column allows are in use, and for STRESS_MS
 * after, new sessions run with the configuration in which $stress is "yes". Postfix's
 * master starts its smtpd anew with -o stress=yes for that; here both configurations are
 * loaded at start, and a session takes one of them.
 *
 * What does not depend on $stress is shared by both: all that struct smtpd points to,
 * except the lists and tables of access control where they differ.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct config;
struct smtpd;

enum { STRESS_MS = 1000000 };

struct stress {
	struct smtpd *smtpd;  /* what sessions use then; NULL: there is no limit */
	int64_t until_ms;     /* 0: never was */
	int64_t warn_next_ms; /* the log hears of it as often */
	unsigned port;        /* of the service; 0: not known */
	size_t limit;         /* of the service as a whole, for the log */
};

/* cfg: with $stress set. Before the sandbox, after settings_load(). */
bool stress_settings(struct smtpd *smtpd, const struct config *cfg,
		     struct err *err) MUST_CHECK;
/* When all of *smtpd is there. */
void stress_start(struct smtpd *smtpd);

/* A session begins, as one of n that there are now: what it is to run with. */
struct smtpd *stress_choose(struct smtpd *smtpd, size_t n);

/* The same, told the time. *warn_out: the log is to hear of it. */
bool stress_note(struct stress *s, int64_t now_ms, size_t n, size_t max, bool *warn_out);
