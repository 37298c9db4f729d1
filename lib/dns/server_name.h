/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Servers on the side as main.cf names them: policy services, milters, authentication
 * servers, filters. Forms: "unix:path", "local:path" (milters say so), "inet:host:port",
 * "inet:[address]:port", and where the caller allows it "host:port" without a type and
 * "inet:port@host" (milters). The port is a number or a name of /etc/services, which is
 * looked up while parsing, because a sandbox may hide that file later.
 *
 * A path is relative to the working directory, which for daemons is queue_directory.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

struct arena;
struct dns_asker;
struct loop;
struct stream;

struct server_name {
	bool is_unix;
	struct str path; /* is_unix */
	struct str host; /* else: name or address, without brackets */
	unsigned port;   /* host byte order */
};

/* Texts live in mem. ERR_CONFIG names what is wrong, without the text itself. */
bool server_name_parse(struct arena *mem, struct str text, struct server_name *out,
		       struct err *err) MUST_CHECK;

/* Connect from a fiber, within timeout_ms for everything. A host name is asked for
 * through dns (hosts file included, both address families), and its addresses are tried
 * in order. ERR_TEMP; the text does not name the server. */
bool server_name_connect(struct loop *loop, struct arena *mem,
			 const struct dns_asker *dns, const struct server_name *name,
			 int64_t timeout_ms, struct stream **out,
			 struct err *err) MUST_CHECK;

/* "smtp" or "2525" to a number, 0 if unknown. Looks into the services database for names
 * that mail configurations do not use, so call it before the sandbox. */
unsigned server_port(struct str service);
