/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What delivery agents have in common: taking requests of qmgr from a connection, one
 * after the other, the line that each recipient's result gets in the log, and the answer.
 * An agent brings the function that delivers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#include "ipc/deliver.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/dsn.h"

struct agent_status_filter;
struct arena;
struct daemon;
struct stream;

struct agent_recipient {
	struct msg_deliver_recipient msg;
	bool done;      /* answered */
	bool passed_on; /* set by the agent: the next system reports success (DSN) */
};

/* One request; lives until the agent's function returns. */
struct agent_request {
	struct daemon *daemon;
	struct arena *mem;
	struct ipc *ipc;
	struct msg_deliver_request msg; /* the descriptor is closed by the caller */
	struct agent_recipient *recipients;
	size_t n_recipients;
	int64_t handed_us; /* when we got it */
	int64_t setup_us;  /* when the connection was ready; 0: there was none */
	bool deferred;
	struct agent_status_filter *filter; /* set by the agent; NULL: none */
	struct dsn site; /* set status.text: the destination as a whole failed */
	bool lost;       /* qmgr is gone: no use to go on */
};

/* A daemon's session(): requests until the peer closes. deliver() answers every recipient
 * with agent_answer(); those it forgets are deferred. */
void agent_session(struct daemon *d, struct stream *client,
		   void (*deliver)(struct agent_request *r));

/* Log the line and tell qmgr. relay: "host[addr]:port" or "none"; reuse: how often the
 * connection was used before (0: it is new). r->filter may replace status and text, and
 * with them the outcome. */
void agent_answer(struct agent_request *r, struct agent_recipient *rcpt,
		  enum deliver_outcome outcome, struct str relay, unsigned reuse,
		  const struct dsn *dsn);
