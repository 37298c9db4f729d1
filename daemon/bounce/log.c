/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include "base/log.h"

void
log_notification(struct log *log, struct str id, enum report_kind kind,
		 enum report_audience audience, struct str new_id)
{
	static const char *const what[] = {
		[REPORT_FAILURE] = "non-delivery notification",
		[REPORT_DELAY] = "delay notification",
		[REPORT_SUCCESS] = "delivery status notification",
		[REPORT_VERIFY] = "delivery status notification",
	};

	log_info(log, PRI_STR ": %s %s: " PRI_STR, STR_ARG(id),
		 audience == REPORT_TO_SENDER ? "sender" : "postmaster", what[kind],
		 STR_ARG(new_id));
}

void
log_discarded(struct log *log, struct str id)
{
	log_warning(log, PRI_STR ": undeliverable postmaster notification discarded",
		    STR_ARG(id));
}
