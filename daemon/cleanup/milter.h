/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Milters and the message (facts: protocols 7). Mail that came by SMTP brings its
 * conversations along (record "m"); for other mail non_smtpd_milters are told of a client
 * "localhost" and the envelope as it comes in. When the file is written, and before
 * anybody has been told that it is, the milters see the content, and what they change is
 * written (milter_edit.h).
 *
 * m->milters is NULL where there are none.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct cleanup;
struct ipc;
struct message;

/* non_smtpd_milters and the rest; needs_tcp_out: a milter is reached by TCP. */
bool milter_load(struct cleanup *c, bool *needs_tcp_out, struct err *err) MUST_CHECK;

/* The record that announces conversations, and they. */
void milter_receive(struct message *m, struct ipc *ipc, struct str count);

/* The envelope of other mail, as its client gives it. */
void milter_sender(struct message *m);
void milter_recipient(struct message *m, struct str address);
/* What the log and macros need. */
void milter_attribute(struct message *m, struct str name, struct str value);

/* The message is written, but for its end: ask, change, decide. */
void milter_inspect(struct message *m);
/* Take leave. */
void milter_end(struct message *m);
