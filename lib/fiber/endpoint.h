/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Endpoints as a person names them to a tool: "host:port", "host", ":port", "port",
 * "[address]:port", each with "inet:" before it, or "unix:path". Names are looked up with
 * the system's resolver, which blocks: for start-up, not for sessions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/macros.h"

struct arena;

enum { ENDPOINT_ADDRESSES_MAX = 32 };

struct endpoint_address {
	struct sockaddr_storage address;
	socklen_t len;
};

struct endpoint {
	size_t count; /* at least one */
	struct endpoint_address addresses[ENDPOINT_ADDRESSES_MAX];
};

/* To listen on: a lone word is a port, no host means every interface. family: AF_UNSPEC,
 * AF_INET or AF_INET6. */
bool endpoint_for_listening(struct arena *mem, const char *text, int family,
			    struct endpoint *out, struct err *err) MUST_CHECK;

/* To connect to: a lone word is a host, no port means default_port (a name or number). */
bool endpoint_for_connecting(struct arena *mem, const char *text, int family,
			     const char *default_port, struct endpoint *out,
			     struct err *err) MUST_CHECK;

/* A listening socket (close-on-exec). A UNIX-domain socket that exists already is
 * replaced. window_bytes: size of the receive buffer, which bounds the TCP window; 0 for
 * the system's choice. */
bool endpoint_listen(const struct endpoint_address *at, int backlog, int window_bytes,
		     int *fd_out, struct err *err) MUST_CHECK;
