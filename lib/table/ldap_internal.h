/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What ldap.c (settings, connection) and ldap_result.c (searches, entries) share.
 */

#include <ldap.h>
#include <sasl/sasl.h>

#include "base/buf.h"

#include "table/query.h"

enum { LDAP_ATTRIBUTES_MAX = 100 };

#define LDAP_FUNCTIONS(F)                                                                \
	F(ber_free)                                                                      \
	F(ldap_err2string)                                                               \
	F(ldap_first_attribute)                                                          \
	F(ldap_first_entry)                                                              \
	F(ldap_free_urldesc)                                                             \
	F(ldap_get_values_len)                                                           \
	F(ldap_initialize)                                                               \
	F(ldap_is_ldap_url)                                                              \
	F(ldap_memfree)                                                                  \
	F(ldap_msgfree)                                                                  \
	F(ldap_next_attribute)                                                           \
	F(ldap_next_entry)                                                               \
	F(ldap_sasl_bind_s)                                                              \
	F(ldap_sasl_interactive_bind_s)                                                  \
	F(ldap_search_ext_s)                                                             \
	F(ldap_set_option)                                                               \
	F(ldap_start_tls_s)                                                              \
	F(ldap_unbind_ext_s)                                                             \
	F(ldap_url_parse)                                                                \
	F(ldap_value_free_len)

struct ldap_functions {
	LDAP_FUNCTIONS(LIBRARY_MEMBER)
};

/* What the values of an attribute are. */
enum ldap_kind {
	LDAP_RESULT,   /* a part of the answer */
	LDAP_SPECIAL,  /* a DN or a URL: what it names is looked at, too */
	LDAP_TERMINAL, /* if there, nothing else of the entry counts */
	LDAP_LEAF,     /* counts where the entry has no special attribute */
};

struct ldap {
	struct ldap_functions f;
	LDAP *ld; /* NULL: not connected */
	struct query query;
	const char *uris;
	struct str base;
	int scope;
	const char *attributes[LDAP_ATTRIBUTES_MAX];
	enum ldap_kind kinds[LDAP_ATTRIBUTES_MAX];
	size_t n_attributes;
	enum { LDAP_BIND_NONE, LDAP_BIND_SIMPLE, LDAP_BIND_SASL } bind;
	const char *bind_dn, *bind_pw;
	const char *sasl_mechs, *sasl_realm, *sasl_authz;
	const char *ca_dir, *ca_file, *cert, *key, *ciphers;
	int64_t timeout_s, recursion, size_limit, dereference, version, debug, min_ssf;
	bool referrals, start_tls, require;
};

struct ldap_search {
	struct ldap *s;
	struct arena *mem;
	struct str key;
	struct query_rows rows;
	bool lost; /* the connection is of no more use */
	int64_t n_searches;
	struct err *err;
};

/* Search, and add what the entries have to the rows, with what they refer to. depth: how
 * many references led here. */
bool ldap_search_run(struct ldap_search *x, const char *base, int scope,
		     const char *filter, int64_t depth) MUST_CHECK;
