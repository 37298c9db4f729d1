/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Every line that qmgr writes and others parse (facts: logs 4).
 */

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct log;

void log_active(struct log *log, struct str id, struct str sender, int64_t size,
		int64_t recipients);
void log_removed(struct log *log, struct str id);
void log_expired(struct log *log, struct str id, struct str sender, bool forced);
void log_corrupt(struct log *log, struct str id, const char *why);
void log_agent_failed(struct log *log, struct str transport, const struct err *err);
/* No agent could take it. */
void log_not_sendable(struct log *log, struct str id, const char *why);
void log_agent_lost(struct log *log, struct str transport, const char *why);
/* share: messages with recipients for it, of all that are active. */
void log_clogged(struct log *log, struct str destination, int64_t share, int64_t active);
/* A recipient that is deferred without an agent to say so. */
void log_deferred(struct log *log, struct str id, struct str to, struct str orig,
		  int64_t delay_us, int64_t before_us, struct str dsn, struct str reason);
