/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Every line that cleanup writes and others parse (facts: logs 5).
 */

#include <stdint.h>

#include "base/str.h"

struct log;
struct message;

void log_message_id(struct log *log, struct str id, struct str value);
void log_resent_message_id(struct log *log, struct str id, struct str value);
void log_hops(struct log *log, struct str id);
/* Of an address for one, a table had several: the first was taken. */
void log_multiple(struct log *log, struct str id, const char *parameter,
		  struct str address);
void log_table_problem(struct log *log, struct str id, const char *text);
void log_too_large(struct log *log, struct str id);
void log_write_error(struct log *log, struct str id, const char *text);
void log_bad_client(struct log *log, struct str id, struct str text);
/* What milters decide. */
struct log_milter {
	const char *stage; /* "END-OF-MESSAGE" */
	struct str client_name, client_address;
	struct str sender;
	struct str recipient, protocol, helo; /* empty: not logged */
};
void log_milter(struct log *log, struct str id, const char *what,
		const struct log_milter *about, struct str text);
void log_milter_recipient(struct log *log, struct str id);

/* What a rule of header or body checks did; text may be empty. */
void log_check(struct log *log, const struct message *m, const char *action,
	       const char *what, struct str content, struct str text);
/* What is wrong with the MIME structure, and where. */
void log_mime_problem(struct log *log, const struct message *m, const char *problem,
		      struct str where);
/* A recipient of a message that is bounced at once. */
void log_bounced(struct log *log, struct str id, struct str to, struct str original,
		 struct str delay, const char *dsn, const char *text);
