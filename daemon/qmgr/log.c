/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"

#include "mail/address.h"
#include "mail/delay.h"

void
log_active(struct log *log, struct str id, struct str sender, int64_t size,
	   int64_t recipients)
{
	struct arena *mem = arena_new();

	log_info(log,
		 PRI_STR ": from=<" PRI_STR ">, size=%" PRId64 ", nrcpt=%" PRId64
			 " (queue active)",
		 STR_ARG(id), STR_ARG(address_quote_header(mem, sender)), size,
		 recipients);
	arena_free(&mem);
}

void
log_removed(struct log *log, struct str id)
{
	log_info(log, PRI_STR ": removed", STR_ARG(id));
}

void
log_expired(struct log *log, struct str id, struct str sender, bool forced)
{
	struct arena *mem = arena_new();

	log_info(log, PRI_STR ": from=<" PRI_STR ">, status=%s, returned to sender",
		 STR_ARG(id), STR_ARG(address_quote_header(mem, sender)),
		 forced ? "force-expired" : "expired");
	arena_free(&mem);
}

void
log_corrupt(struct log *log, struct str id, const char *why)
{
	log_warning(log, PRI_STR ": %s", STR_ARG(id), why);
	log_warning(log,
		    "saving corrupt file \"" PRI_STR
		    "\" from queue \"active\" to queue \"corrupt\"",
		    STR_ARG(id));
}

void
log_agent_failed(struct log *log, struct str transport, const struct err *err)
{
	log_warning(log, "connect to transport private/" PRI_STR ": %s",
		    STR_ARG(transport),
		    err->errnum != 0 ? strerror(err->errnum) : err->text);
}

void
log_not_sendable(struct log *log, struct str id, const char *why)
{
	log_warning(log, PRI_STR ": cannot be handed to a delivery agent: %s",
		    STR_ARG(id), why);
}

void
log_agent_lost(struct log *log, struct str transport, const char *why)
{
	log_warning(log,
		    "transport " PRI_STR
		    " failure (%s) -- see a previous warning/fatal/panic "
		    "logfile record for the problem description",
		    STR_ARG(transport), why);
}

void
log_clogged(struct log *log, struct str destination, int64_t share, int64_t active)
{
	log_warning(log,
		    "mail for " PRI_STR " is using up %" PRId64 " of %" PRId64
		    " active queue entries",
		    STR_ARG(destination), share, active);
	log_warning(log,
		    "other mail waits; see why this destination is slow, or raise its "
		    "concurrency limit or qmgr_message_active_limit "
		    "(qmgr_clog_warn_time = 0 ends these warnings)");
}

void
log_deferred(struct log *log, struct str id, struct str to, struct str orig,
	     int64_t delay_us, int64_t before_us, struct str dsn, struct str reason)
{
	struct arena *mem = arena_new();
	struct str orig_to = STR_EMPTY;

	if (orig.len > 0 && !str_ieq(orig, to))
		orig_to = str_printf(mem, " orig_to=<" PRI_STR ">,",
				     STR_ARG(address_quote_header(mem, orig)));
	log_info(log,
		 PRI_STR ": to=<" PRI_STR ">," PRI_STR " relay=none, delay=" PRI_STR
			 ", delays=" PRI_STR "/" PRI_STR "/0/0, dsn=" PRI_STR
			 ", status=deferred (" PRI_STR ")",
		 STR_ARG(id), STR_ARG(address_quote_header(mem, to)), STR_ARG(orig_to),
		 STR_ARG(delay_format(mem, delay_us, 2)),
		 STR_ARG(delay_format(mem, before_us, 2)),
		 STR_ARG(delay_format(mem, delay_us - before_us, 2)), STR_ARG(dsn),
		 STR_ARG(reason));
	arena_free(&mem);
}
