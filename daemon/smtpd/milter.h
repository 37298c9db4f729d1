/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What milters are told of a session, and what becomes of their answers (facts: protocols
 * 7). The connections belong to the session; for the content of a message they are
 * handed to cleanup (milter_hand_over()), which applies what milters change.
 *
 * s->milters is NULL where there are none for this client.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct access_answer;
struct session;
struct smtp_mail_command;
struct smtp_rcpt_command;
struct smtp_words;
struct smtpd;

/* smtpd_milters and smtpd_milter_maps. */
bool milter_load(struct smtpd *d, struct err *err) MUST_CHECK;

/* The client is known (also after XCLIENT): choose the milters, connect to them, tell
 * them. Before a second call: milter_leave(). */
void milter_session_start(struct session *s);
/* Take leave. */
void milter_leave(struct session *s);

/* At the greeting: what to say instead of 220; empty: nothing. */
struct str milter_greeting(const struct session *s);

enum milter_helo { MILTER_HELO_OK, MILTER_HELO_LIMITED, MILTER_HELO_SAID };
/* Before anything is forgotten. LIMITED: no extensions for this client, who will be
 * refused at MAIL. SAID: the session ends. */
enum milter_helo milter_tell_helo(struct session *s, struct str helo, bool esmtp);

/* False: a refusal was said. */
bool milter_tell_mail(struct session *s, const struct smtp_words *words,
		      const struct smtp_mail_command *mail);
bool milter_tell_rcpt(struct session *s, const struct smtp_words *words,
		      const struct smtp_rcpt_command *rcpt);
/* A recipient that was refused by what session_reply() said last. */
void milter_tell_refused(struct session *s, const struct smtp_words *words,
			 const struct smtp_rcpt_command *rcpt);
bool milter_tell_data(struct session *s);
bool milter_tell_unknown(struct session *s, struct str word);

/* The transaction ends, or is none: RSET, HELO, the end. */
void milter_abort(struct session *s);

/* Are there milters for the content of this message? */
bool milter_has_content(const struct session *s);
/* Send the connections to cleanup, before the content. */
bool milter_hand_over(struct session *s, struct err *err) MUST_CHECK;
