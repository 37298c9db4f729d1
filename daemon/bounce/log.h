/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Every line that bounce writes and others parse (facts: logs 10).
 */

#include "base/str.h"

#include "report.h"

struct log;

/* "QID: sender non-delivery notification: NEWQID" and its like. */
void log_notification(struct log *log, struct str id, enum report_kind kind,
		      enum report_audience audience, struct str new_id);
void log_discarded(struct log *log, struct str id);
