/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of configuration, request and answer. What Debian's smtpd says to the same is
 * compared in test/compat/test_access.py; here are the things that XCLIENT cannot say
 * (TLS, logins, pipelining), the state of a session, and every kind of key.
 */
#include "access/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"

#include "config/config.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "rewrite/rules.h"

#include "access/zone.h"

static const char base[] = "compatibility_level = 3.6\n"
			   "myhostname = mx.example.org\n"
			   "mydestination = mine.test\n"
			   "local_recipient_maps = inline:{{bob=x}}\n"
			   "mynetworks = 127.0.0.0/8\n"
			   "recipient_delimiter = +\n"
			   "inet_interfaces = 127.0.0.1\n"
			   "alias_maps =\n"
			   "smtpd_relay_restrictions = check_client_access static:OK, "
			   "reject\n";

/* The answers of a small DNS: "NAME TYPE DATA" or "NAME TYPE" with a result. */
static const struct {
	const char *name;
	enum dns_type type;
	enum dns_result result;
	const char *text;
} zone_rows[] = {
	{"good.test", DNS_TYPE_A, DNS_FOUND, "192.0.2.9"},
	{"good.test", DNS_TYPE_MX, DNS_NODATA, ""},
	{"null.test", DNS_TYPE_MX, DNS_FOUND, ""},
	{"odd.test", DNS_TYPE_MX, DNS_MALFORMED, ""},
	{"slow.test", DNS_TYPE_MX, DNS_TRY_AGAIN, ""},
	{"slow.test", DNS_TYPE_A, DNS_TRY_AGAIN, ""},
	{"slow.test", DNS_TYPE_AAAA, DNS_TRY_AGAIN, ""},
	{"mail.test", DNS_TYPE_MX, DNS_FOUND, "good.test"},
	{"7.2.0.192.bl.test", DNS_TYPE_A, DNS_FOUND, "127.0.0.2"},
	{"7.2.0.192.bl.test", DNS_TYPE_TXT, DNS_FOUND, "see\nthere"},
	{"7.2.0.192.quiet.test", DNS_TYPE_A, DNS_TRY_AGAIN, ""},
	{"zone.test", DNS_TYPE_NS, DNS_FOUND, "ns.zone.test"},
};

static void
ask(void *arg, struct arena *mem, struct str name, enum dns_type type, bool native,
    struct dns_answer *out)
{
	(void)arg;
	(void)native;
	*out = (struct dns_answer){
		.result = DNS_NXDOMAIN, .canonical = STR_EMPTY, .why = STR_EMPTY};
	for (size_t i = 0; i < ARRAY_LEN(zone_rows); i++) {
		struct dns_record *r = ARENA_NEW(mem, struct dns_record);

		if (!str_ieq(name, str_from(zone_rows[i].name)) ||
		    type != zone_rows[i].type)
			continue;
		out->result = zone_rows[i].result;
		r->type = type;
		r->text = str_from(zone_rows[i].text);
		out->records = r;
		out->n_records = 1;
	}
}

/* What was told, line by line. */
struct told {
	struct buf *log;
	struct buf *steps;
	int64_t slept;
};

static void
tell_log(void *arg, enum log_level level, struct str text)
{
	struct told *t = arg;

	buf_printf(t->log, "%s" PRI_STR "\n",
		   level == LOG_LEVEL_WARNING ? "warning: " : "", STR_ARG(text));
}

static void
tell_step(void *arg, const struct access_step *step)
{
	struct told *t = arg;

	buf_printf(t->steps, "%u %s " PRI_STR "=%s\n", step->depth, step->list,
		   STR_ARG(step->restriction), access_verdict_name(step->verdict));
}

static void
tell_sleep(void *arg, int64_t seconds)
{
	struct told *t = arg;

	t->slept += seconds;
}

struct fixture {
	struct arena *mem;
	struct rewrite_rules rewrite;
	struct access_rules *rules;
	struct access_world world;
	struct access *access;
	struct access_request request;
	struct told told;
};

static bool
load(struct fixture *f, const char *extra, struct err *err)
{
	char dir[] = "/tmp/access_test.XXXXXX";
	struct config_options options = {.dir = dir};
	struct config *cfg = NULL;
	struct str path;
	bool ok;

	f->rules = NULL;
	f->mem = arena_new();
	assert_non_null(mkdtemp(dir));
	path = str_printf(f->mem, "%s/main.cf", dir);
	assert_true(io_replace_file(path.p, str_printf(f->mem, "%s%s", base, extra), 0600,
				    err));
	ok = config_load(f->mem, &options, &cfg, err) &&
	     rewrite_rules_load(f->mem, cfg, NULL, 0, &f->rewrite, err) &&
	     access_rules_load(f->mem, cfg, &f->rewrite, &f->rules, err);
	unlink(path.p);
	rmdir(dir);
	return ok;
}

static void
start(struct fixture *f, const char *extra)
{
	const struct str none = STR_EMPTY;
	struct err err;

	if (!load(f, extra, &err))
		fail_msg("%s: %s", extra, err.text);
	f->told = (struct told){.log = buf_new(f->mem, 65536),
				.steps = buf_new(f->mem, 65536)};
	f->world = (struct access_world){.dns = {.ask = ask},
					 .log = tell_log,
					 .log_arg = &f->told,
					 .step = tell_step,
					 .step_arg = &f->told,
					 .sleep = tell_sleep,
					 .sleep_arg = &f->told};
	f->access = access_new(f->mem, f->rules, &f->world);
	f->request = (struct access_request){
		.client_name = STR("c.test"),
		.client_reverse_name = STR("c.test"),
		.client_address = STR("192.0.2.7"),
		.client_port = STR("99"),
		.has_helo = true,
		.is_esmtp = true,
		.helo = STR("h.test"),
		.protocol = STR("ESMTP"),
		.has_sender = true,
		.has_recipient = true,
		.sender = STR("s@good.test"),
		.recipient = STR("bob@mine.test"),
		.queue_id = none,
		.etrn_domain = none,
		.client_text = none,
		.ccert_fingerprint = none,
		.ccert_key_fingerprint = none,
		.sasl_username = none,
	};
}

static void
stop(struct fixture *f)
{
	arena_free(&f->mem);
}

static struct access_answer
check(struct fixture *f, enum access_phase phase)
{
	struct access_answer answer;

	access_check(f->access, f->mem, phase, &f->request, &answer);
	return answer;
}

/* ---- one answer ---- */

struct row {
	const char *config; /* more of main.cf */
	const char *reply;  /* "": accepted */
	enum access_phase phase;
	void (*change)(struct access_request *r);
};

static void
waiting(struct access_request *r)
{
	r->input_waiting = true;
}

static void
waiting_smtp(struct access_request *r)
{
	r->input_waiting = true;
	r->is_esmtp = false;
}

static void
encrypted(struct access_request *r)
{
	r->is_tls = true;
	r->ccert_subject = STR("me");
	r->has_ccert = true;
	r->ccert_fingerprint = STR("AA:BB");
	r->ccert_key_fingerprint = STR("CC:DD");
}

static void
trusted(struct access_request *r)
{
	encrypted(r);
	r->ccert_is_trusted = true;
}

static void
logged_in(struct access_request *r)
{
	r->is_authenticated = true;
	r->sasl_username = STR("bob");
}

static void
logged_in_as_other(struct access_request *r)
{
	logged_in(r);
	r->sasl_username = STR("eve");
}

static void
bounce_for_two(struct access_request *r)
{
	r->sender = STR_EMPTY;
	r->recipient_count = 2;
	r->has_recipient = false;
}

static void
name_temporary(struct access_request *r)
{
	r->client_name_status = ACCESS_NAME_TEMP;
	r->client_reverse_name_status = ACCESS_NAME_TEMP;
}

static void
malformed_sender(struct access_request *r)
{
	r->sender = STR("a@odd.test");
}

static void
etrn(struct access_request *r)
{
	r->has_sender = r->has_recipient = false;
	r->etrn_domain = STR("a.x.test");
}

static void
local_client(struct access_request *r)
{
	r->is_local = true;
}

#define R "smtpd_recipient_restrictions = "
#define OWNED                                                                            \
	"smtpd_sasl_auth_enable = yes\n"                                                 \
	"smtpd_sender_login_maps = inline:{{s@good.test=ann,bob}}\n"
#define NOT_OURS "553 5.7.1 <s@good.test>: Sender address rejected: not owned by user eve"

static const struct row rows[] = {
	{R "reject_unauth_pipelining", "", ACCESS_RCPT, waiting},
	{R "reject_unauth_pipelining",
	 "503 5.5.0 <bob@mine.test>: Recipient address rejected: Improper use of SMTP "
	 "command pipelining",
	 ACCESS_RCPT, waiting_smtp},
	{"smtpd_data_restrictions = reject_unauth_pipelining",
	 "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command "
	 "pipelining",
	 ACCESS_DATA, waiting},
	{"smtpd_data_restrictions = reject_unauth_pipelining", "", ACCESS_DATA, NULL},
	{R "reject_plaintext_session", "450 4.7.1 Session encryption is required",
	 ACCESS_RCPT, NULL},
	{R "reject_plaintext_session", "", ACCESS_RCPT, encrypted},
	{R "permit_tls_all_clientcerts, reject",
	 "554 5.7.1 <bob@mine.test>: Recipient address rejected: Access denied",
	 ACCESS_RCPT, encrypted},
	{R "permit_tls_all_clientcerts, reject", "", ACCESS_RCPT, trusted},
	{R "permit_tls_clientcerts, reject\nrelay_clientcerts = inline:{{CC:DD=x}}", "",
	 ACCESS_RCPT, encrypted},
	{R "permit_tls_clientcerts, defer\nrelay_clientcerts = inline:{{EE=x}}",
	 "450 4.3.2 <bob@mine.test>: Recipient address rejected: Try again later",
	 ACCESS_RCPT, encrypted},
	{R "check_ccert_access inline:{{AA:BB=REJECT 5.1.1 no}}",
	 "554 5.0.0 <me>: Client certificate rejected: no", ACCESS_RCPT, encrypted},
	{R "check_ccert_access inline:{{AA:BB=REJECT}}", "", ACCESS_RCPT, NULL},
	{R "permit_sasl_authenticated, reject", "", ACCESS_RCPT, logged_in},
	{R "check_sasl_access inline:{{bob=REJECT no}}",
	 "554 5.7.1 <bob>: SASL login name rejected: no", ACCESS_RCPT, logged_in},
	{OWNED R "reject_authenticated_sender_login_mismatch", "", ACCESS_RCPT,
	 logged_in},
	{OWNED R "reject_authenticated_sender_login_mismatch", NOT_OURS, ACCESS_RCPT,
	 logged_in_as_other},
	{OWNED R "reject_authenticated_sender_login_mismatch", "", ACCESS_RCPT, NULL},
	{OWNED R "reject_unauthenticated_sender_login_mismatch", "", ACCESS_RCPT,
	 logged_in_as_other},
	{OWNED R "reject_unauthenticated_sender_login_mismatch",
	 "553 5.7.1 <s@good.test>: Sender address rejected: not logged in", ACCESS_RCPT,
	 NULL},
	{OWNED R "reject_known_sender_login_mismatch", NOT_OURS, ACCESS_RCPT,
	 logged_in_as_other},
	{OWNED R "reject_sender_login_mismatch", NOT_OURS, ACCESS_RCPT,
	 logged_in_as_other},
	{"smtpd_data_restrictions = reject_multi_recipient_bounce",
	 "550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce", ACCESS_DATA,
	 bounce_for_two},
	{"smtpd_data_restrictions = check_recipient_access static:REJECT", "",
	 ACCESS_DATA, bounce_for_two},
	{R "reject_unknown_client_hostname\nunknown_client_reject_code = 550",
	 "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.7]",
	 ACCESS_RCPT, name_temporary},
	{R "reject_unknown_reverse_client_hostname\nunknown_client_reject_code = 550",
	 "450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.7]",
	 ACCESS_RCPT, name_temporary},
	{R "reject_unknown_sender_domain",
	 "450 4.1.8 <a@odd.test>: Sender address rejected: Malformed DNS server reply",
	 ACCESS_RCPT, malformed_sender},
	{R "reject_rbl_client bl.test",
	 "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using bl.test; "
	 "see?there",
	 ACCESS_RCPT, NULL},
	{R "reject", "", ACCESS_RCPT, local_client},
	{"smtpd_etrn_restrictions = check_etrn_access inline:{{x.test=REJECT}}, "
	 "permit_mynetworks",
	 "554 5.7.1 <a.x.test>: Etrn command rejected: Access denied", ACCESS_ETRN, etrn},
	{"smtpd_etrn_restrictions = check_etrn_access static:HOLD", "", ACCESS_ETRN,
	 etrn},
	{"smtpd_helo_restrictions = reject",
	 "554 5.7.1 <h.test>: Helo command rejected: "
	 "Access denied",
	 ACCESS_VRFY, NULL},
	/* Not supported yet: never a permission. */
	{R "reject_maps_rbl, permit", "451 4.3.5 Server configuration error", ACCESS_RCPT,
	 NULL},
	{R "reject_rbl_client bl.test=127.0.0.300, permit",
	 "451 4.3.5 Server configuration error", ACCESS_RCPT, NULL},
	{R "check_ccert_access {inline:{{x=y}}, search_order=cert_fingerprint}, permit",
	 "451 4.3.5 Server configuration error", ACCESS_RCPT, NULL},
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture f;
		struct access_answer a;

		start(&f, rows[i].config);
		if (rows[i].change != NULL)
			rows[i].change(&f.request);
		a = check(&f, rows[i].phase);
		if (!str_eq(a.reply, str_from(rows[i].reply)) ||
		    (a.result == ACCESS_OK) != (rows[i].reply[0] == '\0'))
			fail_msg("row %zu: %s: \"" PRI_STR "\"", i, rows[i].config,
				 STR_ARG(a.reply));
		stop(&f);
	}
}

/* ---- a session ---- */

/* What is noted without smtpd_delay_reject counts at RCPT, until the session ends. */
static void
test_pending(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "smtpd_delay_reject = no\n"
		  "smtpd_helo_restrictions = check_helo_access static:{DEFER_IF_PERMIT "
		  "later}\n");
	assert_int_equal(check(&f, ACCESS_CONNECT).result, ACCESS_OK);
	assert_int_equal(check(&f, ACCESS_EHLO).result, ACCESS_OK);
	assert_int_equal(check(&f, ACCESS_MAIL).result, ACCESS_OK);
	for (int i = 0; i < 2; i++) {
		assert_true(
			str_eq(check(&f, ACCESS_RCPT).reply,
			       STR("450 4.7.1 <h.test>: Helo command rejected: later")));
		access_end_transaction(f.access);
	}
	access_end_session(f.access);
	assert_int_equal(check(&f, ACCESS_RCPT).result, ACCESS_OK);
	stop(&f);
}

static void
test_postponed(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "smtpd_client_restrictions = reject\n");
	assert_int_equal(check(&f, ACCESS_CONNECT).result, ACCESS_OK);
	assert_string_equal(f.told.steps->p, "0 smtpd_client_restrictions =postponed\n");
	assert_int_equal(check(&f, ACCESS_RCPT).result, ACCESS_REFUSED);
	stop(&f);
	start(&f, "smtpd_client_restrictions = reject\nsmtpd_delay_reject = no\n");
	assert_int_equal(check(&f, ACCESS_CONNECT).result, ACCESS_REFUSED);
	stop(&f);
}

static void
test_effects(void **state)
{
	struct fixture f;
	const struct access_effects *e;

	(void)state;
	start(&f, R "check_helo_access static:{PREPEND X-One: 1}, "
		    "check_helo_access static:{PREPEND X-Two: 2}, "
		    "check_helo_access static:{BCC a@b}, check_helo_access static:{BCC "
		    "c@d}, "
		    "check_helo_access static:{FILTER one:}, "
		    "check_helo_access static:{FILTER two:x}, "
		    "check_helo_access static:{REDIRECT r@s}, "
		    "check_helo_access static:HOLD\n");
	assert_int_equal(check(&f, ACCESS_RCPT).result, ACCESS_OK);
	e = access_effects(f.access);
	assert_int_equal(e->n_prepend, 2);
	assert_true(str_eq(e->prepend[0], STR("X-One: 1")));
	assert_true(str_eq(e->prepend[1], STR("X-Two: 2")));
	assert_int_equal(e->n_bcc, 2);
	assert_true(str_eq(e->bcc[1], STR("c@d")));
	assert_true(str_eq(e->filter, STR("two:x")));
	assert_true(str_eq(e->redirect, STR("r@s")));
	assert_true(e->hold && !e->discard);
	access_end_transaction(f.access);
	e = access_effects(f.access);
	assert_false(e->hold);
	assert_int_equal(e->n_bcc + e->n_prepend + e->filter.len + e->redirect.len, 0);
	stop(&f);
}

/* Many recipients cannot make it grow without end. */
static void
test_effects_limit(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, R "check_helo_access static:{PREPEND X-One: 1}\n");
	for (int i = 0; i < ACCESS_EFFECTS_MAX + 5; i++)
		assert_int_equal(check(&f, ACCESS_RCPT).result, ACCESS_OK);
	assert_int_equal(access_effects(f.access)->n_prepend, ACCESS_EFFECTS_MAX);
	assert_true(str_find(buf_str(f.told.log), STR("one PREPEND too many")) <
		    f.told.log->len);
	stop(&f);
}

static void
test_sleep_and_trace(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "smtpd_restriction_classes = cls\ncls = sleep 3, reject\n" R
		  "warn_if_reject cls, sleep 4, permit\n");
	assert_int_equal(check(&f, ACCESS_RCPT).result, ACCESS_OK);
	assert_int_equal(f.told.slept, 7);
	assert_string_equal(f.told.steps->p,
			    "0 smtpd_relay_restrictions check_client_access=permit\n"
			    "0 smtpd_recipient_restrictions cls=list\n"
			    "1 cls sleep=goes on\n"
			    "1 cls reject=warned\n"
			    "0 smtpd_recipient_restrictions sleep=goes on\n"
			    "0 smtpd_recipient_restrictions permit=permit\n"
			    "0 smtpd_reject_unlisted_recipient "
			    "reject_unlisted_recipient=goes on\n");
	stop(&f);
}

static void
recurse(void *arg)
{
	struct fixture *f = arg;

	assert_true(str_eq(check(f, ACCESS_RCPT).reply,
			   STR("451 4.3.5 Server configuration error")));
	f->told.slept = 1;
}

/* A class that names itself ends, and with the little stack of a fiber. */
static void
test_recursion(void **state)
{
	static const char *const lists[] = {
		"smtpd_restriction_classes = cls\ncls = cls\n" R "cls\n",
		"smtpd_restriction_classes = cls\n"
		"cls = warn_if_reject check_sender_access static:cls\n" R "cls\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct loop *loop = loop_new();
		struct fixture f;

		start(&f, lists[i]);
		assert_non_null(fiber_spawn(loop, "recursion", recurse, &f));
		loop_run(loop);
		assert_int_equal(f.told.slept, 1);
		stop(&f);
		loop_free(&loop);
	}
}

static void
test_hang_up(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, R "check_helo_access static:HANGUP\n");
	assert_int_equal(check(&f, ACCESS_RCPT).result, ACCESS_HANG_UP);
	stop(&f);
}

/* Without names of the DNS: every question waits, so nothing unknown is refused for good.
 */
static void
test_no_dns(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, R "reject_unknown_sender_domain\nunknown_address_reject_code = 550\n");
	f.world.dns.ask = NULL;
	assert_true(
		str_eq(check(&f, ACCESS_RCPT).reply,
		       STR("450 4.1.8 <s@good.test>: Sender address rejected: Domain not "
			   "found")));
	stop(&f);
}

/* ---- loading ---- */

static const struct {
	const char *config;
	const char *error; /* "": loads */
} loads[] = {
	{"", ""},
	{"smtpd_relay_restrictions =\n" R "permit, reject\n", "in parameter smtpd_relay"},
	{"smtpd_relay_restrictions = warn_if_reject reject\n",
	 "in parameter smtpd_relay"},
	{"smtpd_relay_restrictions = check_helo_access inline:{{x=reject}}\n",
	 "in parameter smtpd_relay"},
	{"smtpd_relay_restrictions = cls\nsmtpd_restriction_classes = cls\n"
	 "cls = permit_mynetworks, reject\n",
	 ""},
	{"smtpd_restriction_classes = cls\n",
	 "restriction class `cls' needs a definition"},
	{R "check_policy_service unix:private/p, reject\n", ""},
	{R "check_policy_service p:1, reject\n", "check_policy_service p:1: unsupported"},
	{"reject_tempfail_action = x\n",
	 "bad parameter value: 'unknown_address_tempfail_action = x'"},
};

static void
test_loading(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
		struct fixture f;
		struct err err = {.text = ""};
		bool ok = load(&f, loads[i].config, &err);

		if (ok != (loads[i].error[0] == '\0') ||
		    !str_starts(str_from(err.text), str_from(loads[i].error)))
			fail_msg("%s: %s", loads[i].config, err.text);
		stop(&f);
	}
}

static void
gather(void *arg, const char *text)
{
	buf_printf(arg, "%s\n", text);
}

static void
test_warnings(void **state)
{
	struct fixture f;
	struct buf *b;

	(void)state;
	start(&f, R "reject_maps_rbl, nosuch, sleep x, permit, reject\n");
	b = buf_new(f.mem, 65536);
	access_rules_warnings(f.rules, gather, b);
	assert_string_equal(
		b->p,
		"smtpd_recipient_restrictions: restriction reject_maps_rbl is "
		"not "
		"supported yet: where it is reached, requests are refused with 451 "
		"4.3.5\n"
		"smtpd_recipient_restrictions: restriction sleep must be followed by "
		"number\n"
		"smtpd_recipient_restrictions: restriction `reject' after `permit' is "
		"ignored\n"
		"smtpd_recipient_restrictions: unknown smtpd restriction: \"nosuch\"\n");
	stop(&f);
}

/* ---- policy services ---- */

/* What services answer to the sender's local part; "down": nothing. */
static bool
answer_policy(void *arg, struct arena *mem, const struct policy_service *service,
	      struct str request, struct str *action_out)
{
	static const struct {
		const char *sender;
		const char *action;
	} answers[] = {
		{"sender=ok@", "OK"},
		{"sender=empty@", ""},
		{"sender=bad@", "REJECT 5.7.9 no"},
		{"sender=again@", "check_policy_service unix:one"},
		{"sender=unknown@", "check_policy_service unix:three"},
		{"sender=utf8@", "REJECT \xff"},
	};

	(void)arg;
	(void)service;
	assert_true(str_starts(request, STR("request=smtpd_access_policy\n")));
	assert_true(str_ends(request, STR("\npolicy_context=\n\n")));
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		if (str_find(request, str_from(answers[i].sender)) < request.len) {
			*action_out = str_from(answers[i].action);
			return true;
		}
	}
	(void)mem;
	return false;
}

static void
test_policy(void **state)
{
	static const struct {
		const char *sender;
		const char *reply;
	} cases[] = {
		{"ok@good.test", ""},
		{"empty@good.test", "554 5.7.1 <bob@mine.test>: Recipient address "
				    "rejected: Access denied"},
		{"bad@good.test",
		 "554 5.7.9 <bob@mine.test>: Recipient address rejected: no"},
		{"down@good.test", "451 4.3.5 <bob@mine.test>: Recipient address "
				   "rejected: Server configuration problem"},
		{"utf8@good.test", "451 4.3.5 <bob@mine.test>: Recipient address "
				   "rejected: Server configuration problem"},
		{"again@good.test", "451 4.3.5 Server configuration error"},
		{"unknown@good.test", "451 4.3.5 Server configuration error"},
	};
	struct fixture f;

	(void)state;
	start(&f, R "check_policy_service unix:one, reject\n");
	assert_true(str_starts(check(&f, ACCESS_RCPT).reply, STR("554 5.7.1")));
	f.world.policy = answer_policy;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct access_answer a;

		f.request.sender = str_from(cases[i].sender);
		a = check(&f, ACCESS_RCPT);
		if (!str_eq(a.reply, str_from(cases[i].reply)))
			fail_msg("%s: " PRI_STR, cases[i].sender, STR_ARG(a.reply));
	}
	stop(&f);
}

/* ---- verification ---- */

/* By the local part; "down": no answer. */
static bool
answer_verify(void *arg, struct arena *mem, struct str address,
	      enum access_verified *status_out, struct str *reason_out)
{
	(void)arg;
	(void)mem;
	*reason_out = STR("said so");
	*status_out = str_starts(address, STR("good@"))  ? ACCESS_DELIVERABLE
		      : str_starts(address, STR("bad@")) ? ACCESS_UNDELIVERABLE
							 : ACCESS_NOT_NOW;
	return !str_starts(address, STR("down@"));
}

static void
test_verification(void **state)
{
#define V R "reject_unverified_sender\nunverified_sender_"
	static const struct {
		const char *config;
		const char *sender;
		const char *reply;
	} cases[] = {
		{R "reject_unverified_sender, reject", "good@x.test",
		 "554 5.7.1 <bob@mine.test>: Recipient address rejected: Access denied"},
		{R "reject_unverified_sender, reject", "bad@x.test",
		 "554 5.7.1 <bob@mine.test>: Recipient address rejected: Access denied"},
		{R "reject_unverified_sender", "bad@x.test",
		 "450 4.1.7 <bad@x.test>: Sender address rejected: unverified address: "
		 "said so"},
		{R "reject_unverified_sender, reject", "later@x.test",
		 "554 5.7.1 <bob@mine.test>: Recipient address rejected: Access denied"},
		{R "reject_unverified_sender", "later@x.test",
		 "450 4.1.7 <later@x.test>: Sender address rejected: unverified address: "
		 "said so"},
		{R "reject_unverified_sender", "down@x.test",
		 "450 4.1.7 <down@x.test>: Sender address rejected: address verification "
		 "problem"},
		{V "reject_code = 550", "bad@x.test",
		 "550 5.1.7 <bad@x.test>: Sender address rejected: undeliverable "
		 "address: said so"},
		{V "reject_code = 250", "bad@x.test", ""},
		{V "defer_code = 250", "later@x.test", ""},
		{V "reject_reason = not here", "bad@x.test",
		 "450 4.1.7 <bad@x.test>: Sender address rejected: unverified address: "
		 "not here"},
		{R "reject_unverified_sender", "", ""},
		{R "reject_unverified_recipient", "good@x.test",
		 "450 4.1.1 <bob@mine.test>: Recipient address rejected: unverified "
		 "address: said so"},
	};
#undef V

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;
		struct access_answer a;
		char config[512];

		snprintf(config, sizeof(config), "%s\n", cases[i].config);
		start(&f, config);
		f.request.sender = str_from(cases[i].sender);
		a = check(&f, ACCESS_RCPT);
		/* Nobody to ask: no decision. */
		assert_false(str_starts(a.reply, STR("450")));
		f.world.verify = answer_verify;
		a = check(&f, ACCESS_RCPT);
		if (!str_eq(a.reply, str_from(cases[i].reply)))
			fail_msg("%s, %s: " PRI_STR, cases[i].config, cases[i].sender,
				 STR_ARG(a.reply));
		stop(&f);
	}
}

/* ---- the rest ---- */

static void
test_addresses(void **state)
{
	struct fixture f;
	struct access_answer a;

	(void)state;
	start(&f, "soft_bounce = no\n");
	f.request.sender = STR("a@b..c");
	access_check_address(f.access, f.mem, &f.request, true, &a);
	assert_true(str_eq(a.reply, STR("501 5.1.7 Bad sender address syntax")));
	f.request.recipient = STR("a@1.2.3.4");
	access_check_address(f.access, f.mem, &f.request, false, &a);
	assert_true(str_eq(a.reply, STR("501 5.1.3 Bad recipient address syntax")));
	f.request.sender = STR_EMPTY;
	access_check_address(f.access, f.mem, &f.request, true, &a);
	assert_int_equal(a.result, ACCESS_OK);
	stop(&f);
}

static void
test_rewriting(void **state)
{
	static const struct {
		const char *config;
		const char *address;
		bool local;
	} cases[] = {
		{"", "127.0.0.1", true},
		{"", "192.0.2.7", false},
		{"local_header_rewrite_clients = permit_mynetworks\n", "127.0.0.5", true},
		{"local_header_rewrite_clients = inline:{{192.0.2.7=whatever}}\n",
		 "192.0.2.7", true},
		{"local_header_rewrite_clients = check_address_map "
		 "inline:{{192.0.2=x}}\n",
		 "192.0.2.7", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;

		start(&f, cases[i].config);
		f.request.client_address = str_from(cases[i].address);
		assert_int_equal(access_rewrites_local(f.access, f.mem, &f.request),
				 cases[i].local);
		assert_int_equal(f.told.log->len, 0);
		stop(&f);
	}
}

static void
test_soften(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "soft_bounce = yes\n");
	assert_true(str_eq(
		access_soften(f.rules, f.mem, STR("550-5.1.1 one\r\n550 5.1.1 two 5")),
		STR("450-4.1.1 one\r\n450 4.1.1 two 5")));
	assert_true(str_eq(access_soften(f.rules, f.mem, STR("250 2.0.0 Ok")),
			   STR("250 2.0.0 Ok")));
	stop(&f);
}

/* A value with bytes that steer something is made harmless. */
static void
test_footer(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "smtpd_reject_footer = \\c from $client_name\\nbye $helo_name\n");
	f.request.helo = STR("a\r\n250 b");
	assert_true(
		str_eq(access_footer(f.access, f.mem, &f.request, STR("550 5.1.1 no")),
		       STR("550-5.1.1 no from c.test\r\n550 5.1.1 bye a__250 b")));
	assert_true(str_eq(access_footer(f.access, f.mem, &f.request, STR("250 yes")),
			   STR("250 yes")));
	assert_true(
		str_eq(access_footer(f.access, f.mem, &f.request, STR("550-a\r\n500 b")),
		       STR("550-a\r\n500-b from c.test\r\n500 bye a__250 b")));
	stop(&f);
}

static void
test_zones(void **state)
{
	static const struct {
		const char *text;
		const char *answer;
		int accepts; /* -1: not a zone */
	} cases[] = {
		{"x", "127.0.0.2", 1},
		{"x=127.0.0.2", "127.0.0.2", 1},
		{"x=127.0.0.2", "127.0.0.3", 0},
		{"x=127.0.[0..9].[2;7..8]", "127.0.5.8", 1},
		{"x=127.0.[0..9].[2;7..8]", "127.0.5.6", 0},
		{"x=127.0.[0..9].[2;7..8]", "127.0.10.8", 0},
		{"x=127.0.0", "", -1},
		{"x=127.0.0.256", "", -1},
		{"x=127.0.0.[1", "", -1},
		{"x=127.0.0.[3..1]", "", -1},
		{"x=127.0.0.[]", "", -1},
		{"x=127.0.0.2.1", "", -1},
		{"=127.0.0.2", "", -1},
		{"x=", "", -1},
		{"x", "2001:db8::1", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct zone zone;
		struct err err;
		bool ok = zone_parse(str_from(cases[i].text), &zone, &err);

		assert_int_equal(ok, cases[i].accepts >= 0);
		if (ok)
			assert_int_equal(zone_accepts(&zone, str_from(cases[i].answer)),
					 cases[i].accepts);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_postponed),
		cmocka_unit_test(test_effects),
		cmocka_unit_test(test_effects_limit),
		cmocka_unit_test(test_sleep_and_trace),
		cmocka_unit_test(test_recursion),
		cmocka_unit_test(test_hang_up),
		cmocka_unit_test(test_no_dns),
		cmocka_unit_test(test_loading),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_verification),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_rewriting),
		cmocka_unit_test(test_soften),
		cmocka_unit_test(test_footer),
		cmocka_unit_test(test_zones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
