/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The command's words for one delivery: $name of the message and its recipients in the
 * words of argv=. A word that names something of a recipient stands for as many words as
 * there are recipients. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct pipe_attributes;

struct pipe_recipient {
	struct str address, original; /* internal form */
};

struct pipe_envelope {
	struct str queue_id, sender, nexthop, envelope_id;
	struct str client_address, client_helo, client_hostname, client_port,
		client_protocol;
	struct str sasl_method, sasl_sender, sasl_username;
	int64_t size;
	const struct pipe_recipient *recipients;
	size_t n_recipients;
	const char *delimiters; /* recipient_delimiter */
	bool owner_request_special;
};

/* A list of words with a NUL behind each. False: bad syntax in argv=, or too much. */
bool pipe_arguments(struct arena *mem, const struct pipe_attributes *a,
		    const struct pipe_envelope *e, struct str *out,
		    struct err *err) MUST_CHECK;
