/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One evaluation: what access_check() runs, and what restrictions call. For this folder
 * only.
 */

#include <stdbool.h>

#include "base/macros.h"
#include "base/str.h"

#include "dns/dns.h"
#include "rewrite/resolve.h"

#include "access/access.h"
#include "access/rules_internal.h"

/* A refusal that waits: for a permission (defer_if_permit) or a refusal
 * (defer_if_reject). */
struct pending {
	bool is_active;
	int code;
	enum access_class class;
	struct str dsn;
	struct str text;
};

struct access {
	const struct access_rules *rules;
	const struct access_world *world;
	struct arena *session;     /* what `pending_...` point to */
	struct arena *transaction; /* what `effects` points to */
	/* What the lists before RCPT left, without smtpd_delay_reject. */
	struct pending pending_client, pending_helo, pending_sender;
	struct access_effects effects;
	struct str *bcc, *prepend;
};

enum resolved_state { RESOLVED_NOT_YET, RESOLVED_OK, RESOLVED_BAD, RESOLVED_FAILED };

struct resolved {
	enum resolved_state state;
	struct route route;
};

/* In whose name a refusal speaks: "<NAME>: CLASS rejected: ..." */
struct speaker {
	struct str name;
	const char *class;
};

struct eval {
	struct access *a;
	const struct access_rules *rules;
	struct arena *mem;
	const struct access_request *request;
	enum access_phase phase;
	struct access_answer *out;

	const char *list;
	struct speaker speaker;
	enum subject natural; /* what a bare type:name is asked for; NONE: not allowed */
	unsigned depth;
	unsigned policy_failures; /* of services whose default action is running */
	bool warn;                /* below a warn_if_reject */
	struct pending if_permit, if_reject;
	bool sender_checked, recipient_checked; /* against the tables of addresses */
	struct resolved sender, recipient;
	struct access_step *step; /* of the restriction that is running */
	bool is_quiet;            /* says and changes nothing; only the verdict counts */
};

extern const char access_class_sender[], access_class_recipient[];

/* ---- saying ---- */

/* "what: RCPT from N[A]: text; from=..." */
void eval_log(struct eval *e, const char *what, struct str text);
void eval_warn(struct eval *e, const char *format, ...) PRINTF_LIKE(2, 3);
struct str eval_client_text(struct arena *mem, const struct access_request *request);

/* ---- verdicts ---- */

/* The speaker for a subject and its text; false (and the step is SKIPPED): not known. */
bool eval_subject(struct eval *e, enum subject subject, struct str *value_out,
		  struct speaker *speaker_out);

enum verdict eval_reject(struct eval *e, enum access_class class, int code,
			 const char *dsn, const char *format, ...) PRINTF_LIKE(5, 6);
/* "<NAME>: CLASS rejected: text", refused for what the administrator wants. */
enum verdict eval_refuse(struct eval *e, const struct speaker *who, int code,
			 const char *dsn, const char *text);
/* "451 4.3.5 Server configuration error" */
enum verdict eval_server_error(struct eval *e);
/* "451 4.3.0 <name>: Temporary lookup failure" */
enum verdict eval_lookup_failed(struct eval *e, struct str name);

enum verdict eval_defer_if_permit(struct eval *e, int code, const char *dsn,
				  const char *format, ...) PRINTF_LIKE(4, 5);
enum verdict eval_defer_if_reject(struct eval *e, int code, const char *dsn,
				  const char *format, ...) PRINTF_LIKE(4, 5);
/* The same for good or (now) for now: *_tempfail_action. */
enum verdict eval_tempfail(struct eval *e, bool now, const struct speaker *who,
			   const char *dsn, const char *text);

/* PERMIT, logged where smtpd_log_access_permit_actions says so. table: "" or "from X". */
enum verdict eval_permit(struct eval *e, struct str action, const struct speaker *who,
			 struct str table);

/* A status code as it may be used for this kind of thing: an address's own codes for
 * senders, others for recipients, none for the rest. */
struct str eval_fix_dsn(struct eval *e, struct str dsn, const char *class);

/* ---- lists and tables ---- */

enum verdict eval_list(struct eval *e, const struct item_list *list);
/* One that the running restriction stands for. */
enum verdict eval_inner_list(struct eval *e, const struct item_list *list);

/* One key in an access table. False: it is not there; else *verdict_out. is_part: a part
 * of what is looked for, not for pattern tables. */
bool eval_table_key(struct eval *e, struct table *t, struct str key, bool is_part,
		    const struct speaker *who, enum verdict *verdict_out);
/* A domain and its parents; an address and its networks. */
bool eval_table_domain(struct eval *e, struct table *t, struct str domain, bool is_part,
		       const struct speaker *who, enum verdict *verdict_out);
bool eval_table_address(struct eval *e, struct table *t, struct str address,
			const struct speaker *who, enum verdict *verdict_out);

/* What an action of a table means. */
enum verdict eval_action(struct eval *e, const char *table, struct str key,
			 struct str value, const struct speaker *who);

/* ---- addresses and the DNS ---- */

/* Where the sender or recipient would be delivered. NULL: a table failed. */
const struct route *eval_resolve(struct eval *e, bool is_sender);

void eval_ask(struct eval *e, struct str name, enum dns_type type, bool native,
	      struct dns_answer *answer_out);

/* What the C library would say of a host that it does not find. */
const char *eval_resolver_text(enum dns_result result);

/* Is the address in the tables of its domain? GO_ON or REJECT. */
enum verdict eval_unlisted(struct eval *e, bool is_sender);
