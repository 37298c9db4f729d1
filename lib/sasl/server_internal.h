/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a back end of server.h is made of. */

#include "base/arena.h"

#include "ipc/message.h"
#include "sasl/server.h"

struct stream;

struct sasl_server_ops {
	bool (*mechanisms)(struct sasl_server *server, struct arena *mem,
			   const struct sasl_peer *peer, struct str *names_out,
			   struct err *err);
	/* initial: NULL, or base64 that has been looked at; empty for "=". */
	void (*begin)(struct sasl_exchange *x, struct arena *mem,
		      const struct str *initial, struct sasl_answer *answer_out);
	void (*next)(struct sasl_exchange *x, struct arena *mem, struct str response,
		     struct sasl_answer *answer_out);
	/* Called once, unless the answer was the last. */
	void (*cancel)(struct sasl_exchange *x);
};

struct sasl_server {
	const struct sasl_server_ops *ops;
	struct sasl_server_setup setup;
	struct arena *mem;
	bool needs_tcp;
	struct dovecot *dovecot;
	struct str service_names[2]; /* cached mechanisms: without and with TLS */
};

struct sasl_exchange {
	struct sasl_server *server;
	const struct sasl_peer *peer;
	struct str mechanism;
	bool is_open;
	/* dovecot.c */
	uint64_t connection;
	unsigned id;
	/* service.c */
	struct stream *stream;
	struct ipc ipc;
};

extern const struct sasl_server_ops dovecot_ops, service_ops;

/* Parse the path. */
bool dovecot_new(struct sasl_server *server, struct err *err) MUST_CHECK;

/* Fill *out with a failure of ours, not the client's. */
void sasl_answer_trouble(struct sasl_answer *out, struct str text);
