/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What postqueue asks of the running mail system. Paths are relative to the queue
 * directory, which is the working directory. Fiber only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct loop;
struct queue_list_sink;
struct stream;

enum ask_result {
	ASK_DONE,
	ASK_DOWN,    /* nobody there; err has why */
	ASK_UNKNOWN, /* the site is not one of fast_flush_domains */
	ASK_REFUSED, /* something else than a known answer */
};

struct ask {
	struct loop *loop;
	int64_t trigger_ms; /* trigger_timeout */
	int64_t timeout_ms; /* ipc_timeout */
};

/* Send trigger bytes to a service in public/. None: the connection is enough (pickup,
 * which may end it before it could be written to). */
enum ask_result ask_trigger(const struct ask *a, struct str service, struct str bytes,
			    struct err *err);

/* flush(8): make the site's mail, or one message, due. */
enum ask_result ask_flush_site(const struct ask *a, struct str service, struct str site,
			       struct err *err);
enum ask_result ask_flush_file(const struct ask *a, struct str service, struct str id,
			       struct err *err);

/* A connection to public/service; false with errno in err. */
bool ask_connect(const struct ask *a, struct str service, struct stream **out,
		 struct err *err) MUST_CHECK;
