/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <inttypes.h>

#include "base/log.h"

void
log_connect_failed(struct log *log, struct str server, const char *why)
{
	log_info(log, "connect to " PRI_STR ": %s", STR_ARG(server), why);
}

void
log_try_next(struct log *log, struct str queue_id, struct str reason)
{
	log_info(log, PRI_STR ": " PRI_STR, STR_ARG(queue_id), STR_ARG(reason));
}

void
log_line_broken(struct log *log, struct str queue_id, int64_t limit)
{
	log_info(log, PRI_STR ": breaking line > %" PRId64 " bytes with <CR><LF>SPACE",
		 STR_ARG(queue_id), limit);
}

void
log_greeted_as_us(struct log *log, struct str relay, struct str hostname)
{
	log_warning(log, "host " PRI_STR " greeted me with my own hostname " PRI_STR,
		    STR_ARG(relay), STR_ARG(hostname));
}

void
log_no_mx_address(struct log *log, struct str domain)
{
	log_warning(log, "no MX host for " PRI_STR " has a valid address record",
		    STR_ARG(domain));
}

void
log_relay_problem(struct log *log, const char *parameter)
{
	log_warning(log, "%s configuration problem", parameter);
}

void
log_pix(struct log *log, struct str queue_id, const char *workarounds, struct str relay)
{
	log_info(log, PRI_STR ": enabling PIX workarounds: %s for " PRI_STR,
		 STR_ARG(queue_id), workarounds, STR_ARG(relay));
}

void
log_discarding(struct log *log, struct str keywords)
{
	log_info(log, "discarding EHLO keywords: " PRI_STR, STR_ARG(keywords));
}

void
log_table_failed(struct log *log, struct str queue_id, const char *parameter,
		 struct str key)
{
	log_warning(log, PRI_STR ": %s map lookup error for " PRI_STR, STR_ARG(queue_id),
		    parameter, STR_ARG(key));
}

void
log_bind_failed(struct log *log, const char *address, const char *why)
{
	log_warning(log, "smtp_connect_addr: bind %s: %s", address, why);
}

void
log_not_bound(struct log *log)
{
	log_info(log, "server configuration error");
}

void
log_replaced_reply(struct log *log, struct str relay, struct str reply, struct str with)
{
	log_info(log,
		 PRI_STR ": replacing server reply \"" PRI_STR "\" with \"" PRI_STR "\"",
		 STR_ARG(relay), STR_ARG(reply), STR_ARG(with));
}

void
log_starttls_offer(struct log *log, struct str host)
{
	log_info(log, "Host offered STARTTLS: [" PRI_STR "]", STR_ARG(host));
}

void
log_wrappermode(struct log *log)
{
	log_info(log, "SMTPS wrappermode (TCP port 465) requires setting "
		      "\"smtp_tls_wrappermode = yes\", and \"smtp_tls_security_level = "
		      "encrypt\" (or stronger)");
}

enum { LOGGED_CONTENT_MAX = 60 };

void
log_check(struct log *log, struct str queue_id, const char *action, const char *what,
	  struct str content, struct str text)
{
	struct str shown = str_head(content, LOGGED_CONTENT_MAX);

	log_info(log, PRI_STR ": %s: %s " PRI_STR "%s" PRI_STR, STR_ARG(queue_id), action,
		 what, STR_ARG(shown), text.len > 0 ? ": " : "", STR_ARG(text));
}

void
log_check_failed(struct log *log, struct str queue_id, const char *what)
{
	log_warning(log, PRI_STR ": smtp %s checks lookup error", STR_ARG(queue_id),
		    what);
}
