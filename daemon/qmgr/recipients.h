/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Recipients of active messages in memory. A message may have any number of them, so they
 * are read in parts, and each is freed when it is done:
 *
 *	qmgr_message_recipient_limit	of all messages together
 *	qmgr_message_recipient_minimum	what each message may have whatever that says
 *	TRANSPORT_recipient_limit	of one transport, and
 *	TRANSPORT_extra_recipient_limit	more for a message that overtook another
 *	TRANSPORT_recipient_refill_limit, _delay	when the next part is read
 *
 * Each recipient is an allocation of its own with its addresses in it: a part may have
 * one that waits for days, and must not keep the others.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct message;
struct sched_recipient;
struct sched_transport;

/* The first or next part, handed to active_route(). False: the file is damaged. */
bool recipients_read(struct message *m, struct err *err) MUST_CHECK;
/* Some of the message's recipients, of this transport, are done: free them (a list), and
 * read more if there is room and reason. */
void recipients_done(struct message *m, const struct sched_transport *t,
		     struct sched_recipient *list);
/* The same for one that nobody delivers, without reading more. */
void recipients_drop(struct message *m, struct sched_recipient *list);
/* Give it another address (routing does). */
void recipient_set_address(struct sched_recipient *r, struct str address);
