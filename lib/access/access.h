/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * May this client do that? The decision of smtpd: smtpd_client_restrictions and the other
 * lists, restriction classes, access(5) tables, and the test for unlisted addresses
 * (postconf(5), access(5)). One evaluator serves the daemon and `hikyaku explain --smtp`.
 *
 * Three objects: struct access_rules, all that the configuration says, loaded once and
 * never changed; struct access, one session: what a list decided that counts later;
 * struct access_request, what is known about client and message at one command.
 *
 * access_check() is straight-line code that may wait for the DNS, so it runs in a fiber
 * wherever the world's functions need one; with answers from memory it needs none.
 * Nothing here reads the clock, a socket or a descriptor, except that tables look whether
 * their file was changed.
 *
 * What Postfix has and we do not have (reject_maps_rbl) is named in a warning when it is
 * loaded, and refuses with "451 4.3.5 Server configuration error" where evaluation
 * reaches it: never a silent permission.
 *
 * Limits: ACCESS_DEPTH_MAX lists within lists, ACCESS_ITEMS_MAX restrictions in a list,
 * ACCESS_REPLY_MAX bytes of a reply, ACCESS_EFFECTS_MAX headers and BCC addresses of a
 * transaction.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

#include "dns/dns.h"

struct access;
struct access_rules;
struct arena;
struct config;
struct policy_service;
struct rewrite_rules;

enum {
	ACCESS_DEPTH_MAX = 20,
	ACCESS_ITEMS_MAX = 1000,
	ACCESS_REPLY_MAX = 2000,
	ACCESS_EFFECTS_MAX = 1000,
};

/* ---- what the configuration says ---- */

/* Both live in mem; rewrite is kept by reference. False (ERR_CONFIG) where Postfix's
 * smtpd would not start; the text is what to log as fatal. Everything else that is wrong
 * becomes a warning. */
bool access_rules_load(struct arena *mem, const struct config *cfg,
		       const struct rewrite_rules *rewrite,
		       struct access_rules **rules_out, struct err *err) MUST_CHECK;

/* receive_override_options=no_unknown_recipient_checks: no recipient is refused for not
 * being in a table, but where a list says reject_unlisted_recipient. */
void access_rules_take_any_recipient(struct access_rules *rules);

/* What is to be logged as a warning once at start: tables that do not open, restrictions
 * that we do not have yet. Complete texts. */
void access_rules_warnings(const struct access_rules *rules,
			   void (*fn)(void *arg, const char *text), void *arg);

/* The values of all parameters that name tables here: for rewrite_rules_places(). */
const struct str *access_rules_values(const struct access_rules *rules, size_t *n_out);

/* The services of check_policy_service, in no order: for whoever must be able to reach
 * them. */
const struct policy_service *const *
access_rules_policies(const struct access_rules *rules, size_t *n_out);

/* ---- what is known ---- */

enum access_phase {
	ACCESS_CONNECT,
	ACCESS_HELO,
	ACCESS_EHLO,
	ACCESS_MAIL,
	ACCESS_RCPT,
	ACCESS_DATA,
	ACCESS_END_OF_MESSAGE,
	ACCESS_VRFY,
	ACCESS_ETRN,
	ACCESS_UNKNOWN, /* a command that is none: only for log lines */
};

/* "CONNECT", "END-OF-MESSAGE" and so on, as in log lines. */
const char *access_phase_name(enum access_phase phase);

/* How a name of the client was found. */
enum access_name {
	ACCESS_NAME_OK,
	ACCESS_NAME_TEMP,   /* the DNS does not answer */
	ACCESS_NAME_PERM,   /* there is none */
	ACCESS_NAME_FORGED, /* a PTR record, but the name does not have the address */
};

/* All texts are without quoting and may be empty; see has_... for those where empty and
 * absent are not the same. */
struct access_request {
	/* The client. Names are "unknown" where there is none. */
	struct str client_name;         /* verified */
	struct str client_reverse_name; /* of the PTR record, verified or not */
	struct str client_address; /* text, IPv6 without prefix; "unknown" for none */
	struct str client_port;
	enum access_name client_name_status;
	enum access_name client_reverse_name_status;
	bool is_local; /* no network client (sendmail -bs): name localhost */

	struct str server_address, server_port;

	/* The session. */
	bool has_helo;
	bool is_esmtp;
	struct str helo;     /* the command's argument */
	struct str protocol; /* "SMTP" or "ESMTP", for the log; empty: not yet said */
	bool input_waiting;  /* bytes from the client wait behind this command */

	bool is_tls;
	struct str tls_protocol, tls_cipher;
	int tls_cipher_bits;
	bool has_ccert;
	bool ccert_is_trusted; /* by a CA */
	struct str ccert_subject, ccert_issuer;
	/* As smtpd_tls_fingerprint_digest says, "AB:CD:..." */
	struct str ccert_fingerprint, ccert_key_fingerprint;

	bool is_authenticated;
	struct str sasl_method, sasl_username, sasl_sender;

	/* The transaction. Addresses in internal form. */
	bool has_sender, has_recipient;
	struct str sender;
	struct str recipient;    /* of this command; at DATA and later: the only one */
	int64_t recipient_count; /* accepted so far */
	int64_t size;            /* SIZE=, or what was counted; 0: not known */
	struct str queue_id;     /* empty: none, logged as NOQUEUE */
	struct str instance; /* the same for all commands of a message: policy services */
	struct str etrn_domain; /* argument of ETRN */
	struct str stress;      /* $stress: policy services */
	bool smtputf8;

	/* "N[A]", for the log; empty: made from name and address. */
	struct str client_text;
};

/* ---- what is asked and told ---- */

/* One restriction and what came of it, for explanations. */
enum access_verdict {
	ACCESS_VERDICT_NONE,     /* no decision: the next one counts */
	ACCESS_VERDICT_PERMIT,   /* the list ends here */
	ACCESS_VERDICT_REJECT,   /* refused for good or for now: see reply */
	ACCESS_VERDICT_SKIPPED,  /* what it looks at is not known in this phase, or is
				    not asked */
	ACCESS_VERDICT_LATER,    /* defer_if_permit or defer_if_reject is noted */
	ACCESS_VERDICT_WARNED,   /* would have been refused; warn_if_reject */
	ACCESS_VERDICT_EFFECT,   /* HOLD, FILTER, PREPEND ...: goes on */
	ACCESS_VERDICT_LIST,     /* a class or a table's result: its steps follow */
	ACCESS_VERDICT_ERROR,    /* not understood or not possible: see reply */
	ACCESS_VERDICT_POSTPONED /* the whole list waits for RCPT: smtpd_delay_reject */
};

const char *access_verdict_name(enum access_verdict verdict);

struct access_step {
	const char *list; /* the parameter or class that it stands in; "" if built in */
	unsigned depth;   /* 0: in the list itself; 1: in a class; and so on */
	struct str restriction; /* its name in lower case; empty for a whole list */
	struct str argument;    /* table, zone, seconds */
	enum access_verdict verdict;
	struct str text; /* the reply, or why; may be empty */
	/* Where a table decided. */
	const char *table; /* "type:name"; NULL: no row */
	struct str key;
	struct str value;
};

/* What a probe of an address has found. */
enum access_verified {
	ACCESS_DELIVERABLE,
	ACCESS_UNDELIVERABLE, /* refused for good */
	ACCESS_NOT_NOW,       /* refused for now, or not known yet */
};

/* The world around the evaluator; every function may be called several times and may
 * yield. */
struct access_world {
	struct dns_asker dns; /* .ask NULL: every question gives DNS_TRY_AGAIN */

	/* A finished line for the log, or NULL. */
	void (*log)(void *arg, enum log_level level, struct str text);
	void *log_arg;

	/* Told of each restriction in order of evaluation, or NULL. The texts live as
	 * long as the mem of access_check(). */
	void (*step)(void *arg, const struct access_step *step);
	void *step_arg;

	/* The restriction `sleep`; NULL: does not wait. */
	void (*sleep)(void *arg, int64_t seconds);
	void *sleep_arg;

	/* Ask a policy service (policy/policy.h). False: no answer, which is logged.
	 * NULL: services are not asked, and decide nothing. */
	bool (*policy)(void *arg, struct arena *mem, const struct policy_service *service,
		       struct str request, struct str *action_out);
	void *policy_arg;

	/* Ask verify(8) about an address: false: no answer. The reason is what a probe
	 * was told. NULL: it is not asked, and decides nothing. */
	bool (*verify)(void *arg, struct arena *mem, struct str address,
		       enum access_verified *status_out, struct str *reason_out);
	void *verify_arg;

	/* smtpd_proxy_filter is on: no queue file to put HOLD and its like in. */
	bool has_proxy;
};

/* ---- one session ---- */

/* Lives in mem; rules and world are kept by reference. */
struct access *access_new(struct arena *mem, const struct access_rules *rules,
			  const struct access_world *world);

/* After RSET, HELO, the end of the message: forget what belongs to the transaction. */
void access_end_transaction(struct access *a);

/* After STARTTLS or XCLIENT: forget everything. */
void access_end_session(struct access *a);

enum access_result {
	ACCESS_OK,      /* permitted, or nobody objects */
	ACCESS_REFUSED, /* answer with `reply`; it has been logged */
	ACCESS_HANG_UP, /* close the connection without a reply; it has been logged */
};

/* Which of notify_classes a refusal belongs to. */
enum access_class { ACCESS_POLICY, ACCESS_RESOURCE, ACCESS_SOFTWARE, ACCESS_DATA_ERROR };

struct access_answer {
	enum access_result result;
	int code;         /* 400..599; of ACCESS_REFUSED */
	bool closes;      /* 421 or 521: close after the reply */
	struct str reply; /* one line without CR LF: "554 5.7.1 <a@b>: Relay access
			     denied"; printable, soft_bounce and limits already applied.
			     For the footer see access_footer() */
	enum access_class class;
};

/* Run the lists of this phase: all those that smtpd_delay_reject postponed too, and at
 * RCPT and VRFY the test for unlisted addresses. Answer and texts live in mem, which
 * should end with the transaction or sooner. */
void access_check(struct access *a, struct arena *mem, enum access_phase phase,
		  const struct access_request *request, struct access_answer *out);

/* What the actions of access tables have asked for since the transaction began; to be
 * carried out when the message is written. Valid until access_end_transaction(). */
struct access_effects {
	bool discard;
	bool hold;
	struct str filter;   /* "transport:destination"; empty: none */
	struct str redirect; /* address; empty: none */
	const struct str *bcc;
	size_t n_bcc;
	const struct str *prepend; /* "Name: value", in order */
	size_t n_prepend;
};

const struct access_effects *access_effects(const struct access *a);

/* ---- more that smtpd asks ---- */

/* Can the address be routed at all? Asked at MAIL and RCPT before the lists, as Postfix
 * does: "501 5.1.7 Bad sender address syntax", "501 5.1.3 Bad recipient address syntax",
 * "451 4.3.0 ...". Not logged. An empty sender is fine. */
void access_check_address(struct access *a, struct arena *mem,
			  const struct access_request *request, bool is_sender,
			  struct access_answer *out);

/* smtpd_reject_footer (and _maps): a reply of 4xx or 5xx, of one or more lines separated
 * by CR LF, with the footer's lines after it, in the same form; as it was when there is
 * no footer. To be called for every such reply, not only for refusals. */
struct str access_footer(const struct access *a, struct arena *mem,
			 const struct access_request *request, struct str reply);

/* soft_bounce: a leading 5 (and that of the enhanced code) becomes a 4, on each line. For
 * replies that do not come from access_check(). */
struct str access_soften(const struct access_rules *rules, struct arena *mem,
			 struct str reply);

/* Is the client in mynetworks? What permit_mynetworks asks; a table that fails is a no,
 * and is logged by the list. */
bool access_is_mynetworks(const struct access_rules *rules,
			  const struct access_request *request);

/* local_header_rewrite_clients: are headers of this client's mail to be completed as our
 * own (REWRITE_LOCAL)? Ask at MAIL. */
bool access_rewrites_local(struct access *a, struct arena *mem,
			   const struct access_request *request);

/* "NOQUEUE: reject: RCPT from N[A]: TEXT; from=<a> to=<b> proto=ESMTP helo=<c>": the line
 * that access_check() logs, for refusals that smtpd decides itself. what: "reject",
 * "milter-reject", "hold" ... */
struct str access_log_line(struct arena *mem, const struct access_request *request,
			   enum access_phase phase, const char *what, struct str text);
