/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What protection a connection gets: smtp_tls_security_level, smtp_tls_policy_maps, TLSA
 * records (postconf(5), RFC 7672). First the policy of a destination, which names and
 * tables give; then, for each of its hosts, the plan that the SMTP engine follows.
 *
 * Whoever cannot be sure of a policy sends nothing: a table that fails, a row that is not
 * understood, and DNS that does not answer defer the mail.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "mail/dsn.h"
#include "smtp/client.h"
#include "tls/policy.h"

struct arena;
struct connection_order;
struct nexthop;
struct smtp;
struct smtp_tls;

enum { TLS_WORDS_MAX = 100 };

/* Of a destination. Texts live in the caller's memory. */
struct tls_policy {
	enum tls_level level;
	struct tls_protocols protocols;
	struct str ciphers;              /* for OpenSSL */
	struct str match[TLS_WORDS_MAX]; /* names or fingerprints */
	size_t n_match;
	struct str servername;
	bool reuse; /* connections may be kept */
};

/* Makes s->tls. Fails where Postfix's smtp would not start. */
bool tls_load(struct smtp *s, struct err *err) MUST_CHECK;

/* destination: the next hop as it was written, n the same in parts. False: *dsn says why
 * nothing can be sent there now. */
bool tls_policy_find(struct smtp *s, struct arena *mem, struct str destination,
		     const struct nexthop *n, struct tls_policy *out,
		     struct dsn *dsn) MUST_CHECK;

/* For the host that the order names; relay: "host[addr]:port", for the log. Asks the DNS
 * for TLSA records where the level wants them. False: *dsn says why this host gets
 * nothing. The plan is good as long as mem and relay. */
bool tls_plan(struct smtp *s, struct arena *mem, const struct connection_order *order,
	      struct str relay, struct smtp_tls_plan *out, struct dsn *dsn) MUST_CHECK;

/* Does anything have to be asked to start? (The sandbox: smtp_tls_CApath is read when a
 * certificate is looked at.) */
bool tls_reads_files(const struct smtp *s);
const char *const *tls_folders(const struct smtp *s);

/* A table was changed that only the start's rights can open. */
bool tls_is_outdated(const struct smtp *s);
