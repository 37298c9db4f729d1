/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where an inet service listens: the host part of its name, or inet_interfaces, and
 * inet_protocols, as socket addresses. Names are looked up in the system's way.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

enum { ENDPOINTS_MAX = 100 };

struct endpoint {
	struct sockaddr_storage address;
	socklen_t len;
	bool optional;    /* IPv6 among others: a machine without it is no error */
	const char *text; /* "127.0.0.1 port 25" */
};

/* host: without brackets, empty if the service names none; port: number or name. The
 * array is in mem. No address at all is an error (ERR_CONFIG). */
bool endpoints_resolve(struct arena *mem, struct str host, struct str port,
		       struct str inet_interfaces, struct str inet_protocols,
		       struct endpoint **out, size_t *count_out,
		       struct err *err) MUST_CHECK;
