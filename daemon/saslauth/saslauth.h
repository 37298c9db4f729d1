/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Is this a user? The daemon that smtpd asks (ipc/messages.def, sasl_...), for the types
 * that need time or that hold secrets: `table` and `cyrus`. A connection is one log-in.
 *
 * Work that takes time is done in threads, at most SASLAUTH_THREADS at once; more wait in
 * order, so who tries many passwords waits for himself and others no longer than that.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "config/common_config.h"
#include "config/sasl_config.h"
#include "ipc/messages.h"
#include "sasl/server.h"

struct arena;
struct cyrus;
struct daemon;
struct offload;
struct tables;

enum { SASLAUTH_THREADS = 8 };

struct saslauth {
	struct daemon *daemon;
	struct common_config common;
	struct sasl_config config;
	struct offload *offload; /* from start() on */
	struct tables *tables;   /* table.h */
	struct cyrus *cyrus;     /* cyrus.h; NULL: not the configured type */
	struct err cyrus_err;    /* why it could not be loaded; else ERR_NONE */
};

/* One log-in: `step` gets the client's response as raw bytes (NULL: none came with the
 * command) and fills the answer, whose text is raw, too. */
struct login {
	struct saslauth *saslauth;
	struct arena *mem;
	const struct msg_sasl_start *start;
	void (*step)(struct login *l, const struct str *response,
		     struct sasl_answer *answer_out);
	void *state;
};
