/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Restriction lists as they were understood. For this folder only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "config/access_config.h"
#include "config/policy_config.h"
#include "dns/dns.h"
#include "table/maps.h"
#include "table/match.h"
#include "table/table.h"

#include "access/access.h"
#include "access/zone.h"

struct eval;
struct item;
struct map;
struct policy_service;

/* What one restriction, or a list, comes to. */
enum verdict { GO_ON, PERMIT, REJECT, HANG_UP };

/* What a restriction looks at. */
enum subject {
	SUBJECT_NONE,
	SUBJECT_CLIENT,
	SUBJECT_REVERSE, /* the client's unverified name */
	SUBJECT_HELO,
	SUBJECT_SENDER,
	SUBJECT_RECIPIENT,
	SUBJECT_ETRN,
};

enum argument {
	ARGUMENT_NONE,
	ARGUMENT_NEXT,    /* warn_if_reject: the restriction itself follows */
	ARGUMENT_TABLE,   /* type:name */
	ARGUMENT_ZONE,    /* a DNS list, perhaps with =ANSWER */
	ARGUMENT_SECONDS, /* a number */
	ARGUMENT_SERVICE, /* a policy service */
};

struct restriction {
	struct str name;
	enum argument argument;
	enum verdict (*run)(struct eval *e, const struct item *item);
	enum subject subject;
	int dns_type;
};

struct item {
	const struct restriction *row; /* NULL: a class, a bare table, or not known */
	struct str name;               /* as written */
	struct str argument;           /* as written; empty: none */
	bool warn;                     /* after warn_if_reject */
	bool is_table;    /* a bare type:name: what it is asked for depends on the list */
	const char *bad;  /* what to warn of when it is evaluated; then ... */
	bool bad_is_skip; /* ... go on, instead of refusing */
	struct table *table;
	const struct policy_service *policy;
	struct zone zone;
	int64_t seconds;
};

struct item_list {
	const char *name; /* the parameter or class */
	struct item *items;
	size_t n;
};

enum list_id {
	LIST_CLIENT,
	LIST_HELO,
	LIST_SENDER,
	LIST_RELAY,
	LIST_RECIPIENT,
	LIST_DATA,
	LIST_END_OF_DATA,
	LIST_ETRN,
	LIST_REWRITE, /* local_header_rewrite_clients */
	LIST_COUNT,
};

enum { ACCESS_VALUES_MAX = 256 };

struct access_rules {
	struct arena *mem;
	const struct rewrite_rules *rewrite;
	struct access_config c;
	bool soft_bounce;
	bool has_sasl; /* smtpd_sasl_auth_enable */
	struct str hostname;
	struct item_list lists[LIST_COUNT];
	struct item_list *classes;
	size_t n_classes;
	struct map *tables; /* "type:name" to struct table, of access tables */
	struct policy_config policy_config;
	struct map *policies; /* as written, to struct policy_service */
	const struct policy_service **policy_list;
	size_t n_policies;
	const char *fatal; /* why smtpd must not start; NULL: nothing */
	struct match *mynetworks;
	struct match *mx_backup_networks;
	struct match *log_permit;
	struct maps *local_recipients;
	struct maps *relay_recipients;
	struct maps *virtual_mailboxes;
	struct maps *rbl_replies;
	struct maps *footers;
	struct maps *sender_logins;
	struct maps *relay_certificates;
	bool parents; /* domains in access tables stand for what is below them */
	bool defer_unverified_sender, defer_unverified_recipient; /* the same */
	bool defer_unknown_address, defer_unknown_helo; /* *_tempfail_action = defer */
	const char **warnings;
	size_t n_warnings, warnings_size;
	struct str values[ACCESS_VALUES_MAX];
	size_t n_values;
};

/* The row of that name, in any case; NULL. */
const struct restriction *restriction_find(struct str name);

/* The class of that name, exactly; NULL. */
const struct item_list *class_find(const struct access_rules *rules, struct str name);

/* Take a list apart. in_table: the text is a table's value, tables may not be opened
 * then. The list lives in mem. False: more than ACCESS_ITEMS_MAX. */
bool item_list_parse(struct arena *mem, struct access_rules *rules, const char *name,
		     struct str text, struct item_list *out, struct err *err) MUST_CHECK;

/* The same for the value of a table's row, which opens no table. */
bool item_list_parse_row(struct arena *mem, const char *name, struct str text,
			 struct item_list *out, struct err *err) MUST_CHECK;

void rules_warn(struct access_rules *rules, const char *text);
