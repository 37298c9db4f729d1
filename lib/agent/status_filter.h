/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TRANSPORT_delivery_status_filter: tables that are asked with "5.1.1 text" and answer
 * with another status and text. What failed may fail in another way, now or for good;
 * success stays success.
 */

#include "base/err.h"
#include "base/str.h"

#include "mail/dsn.h"

struct agent_status_filter;
struct arena;
struct daemon;

/* parameter: its name, for texts; value: its tables. Opened now: before the sandbox. NULL
 * in *out: there are none. */
bool agent_status_filter_open(struct daemon *d, const char *parameter, struct str value,
			      struct agent_status_filter **out,
			      struct err *err) MUST_CHECK;

/* f may be NULL. */
bool agent_status_filter_is_outdated(const struct agent_status_filter *f);

/* The status that counts; texts in mem. A table that cannot be asked, or says something
 * impossible, changes nothing and is warned of. */
struct dsn agent_status_filter_apply(struct agent_status_filter *f, struct arena *mem,
				     const struct dsn *dsn);
