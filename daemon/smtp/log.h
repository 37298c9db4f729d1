/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Lines of the client that others parse, apart from the delivery line (facts: logs 7).
 */

#include "base/str.h"

struct log;

/* A connection that could not be made; without queue id, as Postfix. */
void log_connect_failed(struct log *log, struct str server, const char *why);
/* What went wrong at one host while there are others to try. */
void log_try_next(struct log *log, struct str queue_id, struct str reason);
/* smtp_line_length_limit was exceeded; once for each time the message is sent. */
void log_line_broken(struct log *log, struct str queue_id, int64_t limit);
void log_greeted_as_us(struct log *log, struct str relay, struct str hostname);
void log_no_mx_address(struct log *log, struct str domain);
void log_relay_problem(struct log *log, const char *parameter);
/* Of one server: a firewall that hides its words; keywords of its that are not used. */
void log_pix(struct log *log, struct str queue_id, const char *workarounds,
	     struct str relay);
void log_discarding(struct log *log, struct str keywords);
void log_table_failed(struct log *log, struct str queue_id, const char *parameter,
		      struct str key);
/* smtp_bind_address is none of ours; we go on without, or not at all. */
void log_bind_failed(struct log *log, const char *address, const char *why);
void log_not_bound(struct log *log);
void log_starttls_offer(struct log *log, struct str host);
/* Port 465 without smtp_tls_wrappermode. */
void log_wrappermode(struct log *log);
/* A check of the content on its way out; what: "header", "body". */
void log_check(struct log *log, struct str queue_id, const char *action, const char *what,
	       struct str content, struct str text);
void log_check_failed(struct log *log, struct str queue_id, const char *what);
/* smtp_reply_filter at work. */
void log_replaced_reply(struct log *log, struct str relay, struct str reply,
			struct str with);
