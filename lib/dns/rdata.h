/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The data of resource records as they stand on the wire, uncompressed (RFC 1035 3.2.1,
 * RFC 2782, RFC 3596, RFC 6698), to values. Pure.
 *
 * Names become text without the final dot; a name that cannot be one of a host (RFC 952
 * with the underscore, as Postfix has it) makes its record malformed. The root becomes
 * the empty text: that is the null MX of RFC 7505.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "dns/dns.h"

struct arena;

/* One record. False: malformed, or of a type that we do not know. TXT: the strings of the
 * record joined; TLSA: as it is. Texts are copies in mem. */
bool dns_rdata_parse(struct arena *mem, enum dns_type type, struct str data,
		     struct dns_record *record_out) MUST_CHECK;

/* All records of an answer. Malformed ones are left out; if there is nothing else the
 * answer is DNS_MALFORMED. More than DNS_RECORDS_MAX are cut off. */
void dns_answer_parse(struct arena *mem, enum dns_type type, const struct str *data,
		      size_t n_data, int64_t ttl, struct dns_answer *answer_out);
