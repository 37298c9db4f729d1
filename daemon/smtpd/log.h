/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Every line that smtpd writes and others parse (facts: logs 6), those of access lists
 * excepted (access/access.h). who: "name[address]".
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct command_count;
struct log;

/* port: empty where it is not logged. */
void log_connect(struct log *log, struct str who, struct str port);
void log_disconnect(struct log *log, struct str who, struct str port,
		    const struct command_count *counts, bool bare_lf);

/* The origin that XFORWARD has told: empty where it has not. */
void log_client(struct log *log, struct str id, struct str who, struct str sasl_method,
		struct str sasl_username, struct str sasl_sender, struct str orig_id,
		struct str orig_client);
void log_auth_failed(struct log *log, struct str who, struct str method,
		     struct str reason, struct str user);
void log_auth_aborted(struct log *log, struct str who, struct str method);

/* reason: "lost connection", "timeout", "too many errors". bytes < 0: not in the middle
 * of content. */
void log_end(struct log *log, const char *reason, const char *where, int64_t bytes,
	     struct str who);
void log_pipelining(struct log *log, const char *where, struct str who, struct str text);
void log_forbidden(struct log *log, struct str who, struct str text);
void log_long_line(struct log *log, struct str who, size_t limit, struct str text);
void log_illegal_address(struct log *log, struct str who, const char *command,
			 struct str text);
void log_forged_name(struct log *log, struct str name, struct str address,
		     const char *why);
void log_discarding(struct log *log, struct str keywords);
void log_etrn_refused(struct log *log, struct str domain, struct str who);
void log_bdat(struct log *log, struct str id, const char *what, struct str who,
	      struct str text);
void log_bdat_size(struct log *log, struct str id, struct str who);
void log_size(struct log *log, struct str id);
void log_space(struct log *log, int64_t bytes);
/* text: what came instead of a proxy's header. */
void log_proxy(struct log *log, const char *why, struct str text);
void log_cleanup(struct log *log, struct str id, const char *why);
