/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Questions to the DNS and their answers as values. Nobody but the resolver process talks
 * to name servers; a daemon or tool asks it over a UNIX socket. Whoever needs answers
 * takes a struct dns_asker, so that tests and `explain` can put something else behind it.
 *
 * Limits: a name has 255 bytes at most (RFC 1035), an answer DNS_RECORDS_MAX records
 * (Postfix's dns_rr_list_limit); more are dropped and the answer is marked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct ipc;

enum { DNS_NAME_MAX = 255, DNS_RECORDS_MAX = 100 };

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
	DNS_TYPE_TLSA = 52,
};

enum dns_result {
	DNS_FOUND,
	DNS_NXDOMAIN,  /* the name does not exist */
	DNS_NODATA,    /* it exists, without records of this type */
	DNS_TRY_AGAIN, /* time-out, SERVFAIL, no resolver, bogus DNSSEC */
	DNS_FAIL,      /* the server refuses or does not understand */
	DNS_MALFORMED, /* an answer that cannot be right */
};

struct dns_record {
	enum dns_type type;
	int64_t ttl;        /* seconds */
	int64_t preference; /* MX preference, SRV priority */
	int64_t weight;     /* SRV */
	int64_t port;       /* SRV */
	struct str text; /* host name without final dot; address; raw data (TXT, TLSA) */
};

struct dns_answer {
	enum dns_result result;
	bool authenticated;   /* DNSSEC, as the resolver saw it */
	struct str canonical; /* end of the CNAME chain; empty: the name itself */
	struct str why;       /* the resolver's words when there is no answer */
	const struct dns_record *records;
	size_t n_records;
};

/* Where answers come from. `native`: the hosts file and what nsswitch.conf says, types A
 * and AAAA only. The answer lives in the arena. */
struct dns_asker {
	void (*ask)(void *arg, struct arena *mem, struct str name, enum dns_type type,
		    bool native, struct dns_answer *answer_out);
	void *arg;
};

/* "MX"; "TYPE99" for one that has no name here. */
const char *dns_type_name(enum dns_type type);
bool dns_type_is_known(int64_t type);

/* What a resolver says in the log for each result: "Host not found" and its like. */
const char *dns_result_text(enum dns_result result);

/* One question over a connection to the resolver; the time limit is the stream's. False:
 * the connection is of no use any more. */
bool dns_exchange(struct ipc *ipc, struct arena *mem, struct str name, enum dns_type type,
		  bool native, struct dns_answer *answer_out, struct err *err) MUST_CHECK;
