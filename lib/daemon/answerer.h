/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A service whose clients keep their connections: each carries a question and its answer,
 * one after the other, and may rest between two for as long as it likes. When the daemon
 * drains, those at rest are let go at once: their next question finds the successor.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/macros.h"

struct arena;
struct daemon;
struct ipc;
struct ipc_message;
struct stream;

struct answerer {
	struct daemon *daemon;
	const struct ipc_message *question;
	int64_t write_ms; /* for a client to take its answer */
	/* question: the message's struct, in mem, which lives as long as the answer. The
	 * answer is sent, not flushed. False: the client does not take it. */
	bool (*answer)(struct daemon *d, struct arena *mem, void *question,
		       struct ipc *ipc, struct err *err);
	struct list sessions; /* answerer_init()'s */
};

/* The other members are set. Lives as long as the daemon. */
void answerer_init(struct answerer *a);

/* All of a connection: for daemon_program.session. */
void answerer_session(struct answerer *a, struct stream *client);

/* For daemon_program.drain. */
void answerer_drain(struct answerer *a);
