/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session in which nobody speaks: CONNECT, EHLO, MAIL, RCPT for each recipient, DATA
 * and the end of the message, with what was given on the command line, until something is
 * refused.
 */
#include "explain_smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/macros.h"

#include "access/access.h"
#include "config/common_config.h"
#include "config/config.h"
#include "config/master_cf.h"
#include "config/resolver_config.h"
#include "config/sasl_config.h"
#include "dns/reverse.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "mail/address.h"
#include "policy/policy.h"
#include "rewrite/rules.h"
#include "table/host.h"

#include "asker.h"
#include "rows.h"

enum { EXIT_ACCEPTED = 0, EXIT_REFUSED = 1, EXIT_UNUSABLE = 2, RECIPIENTS_MAX = 1000 };

struct smtp_question {
	const struct explain_smtp_options *options;
	struct arena *mem;
	struct config *config;
	struct common_config common;
	struct rewrite_rules rewrite;
	struct access_rules *rules;
	struct servers_source servers;
	struct asker asker;
	struct access_world world;
	struct access_request request;
	struct str client; /* as given */
	struct str *recipients;
	size_t n_recipients;
	struct rows rows;
	json_t *phases;
	json_t *steps;    /* of the phase that runs */
	const char *list; /* of the last step */
	bool asks_policy;
	struct policy_pool *policies;
	json_t *log;
	struct err err;
	int status;
};

/* ---- telling ---- */

static struct str
step_why(struct smtp_question *q, const struct access_step *step)
{
	if (step->table != NULL)
		return str_printf(q->mem, "\"" PRI_STR "\" in %s says " PRI_STR,
				  STR_ARG(step->key), step->table, STR_ARG(step->value));
	return step->text;
}

static void
add_step_json(struct smtp_question *q, const struct access_step *step)
{
	json_t *o = json_object();

	json_object_set_new(o, "list", json_string(step->list));
	json_object_set_new(o, "depth", json_integer(step->depth));
	json_object_set_new(o, "restriction", json_printable(step->restriction));
	json_object_set_new(o, "argument", json_printable(step->argument));
	json_object_set_new(o, "verdict",
			    json_string(access_verdict_name(step->verdict)));
	json_object_set_new(o, "text", json_printable(step->text));
	if (step->table != NULL) {
		json_object_set_new(o, "table", json_string(step->table));
		json_object_set_new(o, "key", json_printable(step->key));
		json_object_set_new(o, "value", json_printable(step->value));
	}
	json_array_append_new(q->steps, o);
}

static void
tell_step(void *arg, const struct access_step *step)
{
	struct smtp_question *q = arg;

	if (step->depth == 0 && strcmp(q->list, step->list) != 0) {
		rows_add(&q->rows, 1, "list", str_from(step->list), STR_EMPTY);
		q->list = step->list;
	}
	rows_add(&q->rows, 2 + (int)step->depth, access_verdict_name(step->verdict),
		 str_printf(q->mem, PRI_STR "%s" PRI_STR, STR_ARG(step->restriction),
			    step->argument.len > 0 ? " " : "", STR_ARG(step->argument)),
		 step_why(q, step));
	add_step_json(q, step);
}

static void
tell_log(void *arg, enum log_level level, struct str text)
{
	struct smtp_question *q = arg;

	text = str_printf(q->mem, "%s" PRI_STR,
			  level == LOG_LEVEL_WARNING ? "warning: " : "", STR_ARG(text));
	json_array_append_new(q->log, json_printable(text));
}

static void
begin_phase(struct smtp_question *q, enum access_phase phase, struct str argument)
{
	json_t *o = json_object();

	q->steps = json_array();
	q->list = "";
	json_object_set_new(o, "phase", json_string(access_phase_name(phase)));
	json_object_set_new(o, "argument", json_printable(argument));
	json_object_set_new(o, "steps", q->steps);
	json_array_append_new(q->phases, o);
	rows_add(&q->rows, 0, access_phase_name(phase), argument, STR_EMPTY);
}

/* Lines of a reply are separated by CR LF; here by LF. */
static json_t *
reply_json(struct smtp_question *q, struct str reply)
{
	struct buf *b = buf_new(q->mem, reply.len + 1);
	struct str line;

	while (str_line(&reply, &line)) {
		if (b->len > 0)
			buf_add_char(b, '\n');
		buf_add(b, str_printable(q->mem, line, true));
	}
	return json_string(b->p);
}

static void
tell_reply(struct smtp_question *q, struct str reply, bool closes)
{
	const char *what = "refused";
	struct str line;

	while (str_line(&reply, &line)) {
		rows_add(&q->rows, 1, what, line,
			 closes && reply.len == 0 ? STR("and closes the connection")
						  : STR_EMPTY);
		what = "";
	}
}

/* False: refused. */
static bool
end_phase(struct smtp_question *q, const struct access_answer *answer)
{
	json_t *o = json_array_get(q->phases, json_array_size(q->phases) - 1);
	bool accepted = answer->result == ACCESS_OK;
	struct str reply = answer->reply;

	if (accepted)
		reply = STR("2xx");
	else if (answer->result == ACCESS_HANG_UP)
		reply = STR("none: the connection is closed");
	json_object_set_new(o, "reply", reply_json(q, reply));
	json_object_set_new(o, "accepted", json_boolean(accepted));
	if (accepted)
		rows_add(&q->rows, 1, "accepted", STR_EMPTY, STR_EMPTY);
	else
		tell_reply(q, reply, answer->closes);
	if (!accepted)
		q->status = EXIT_REFUSED;
	return accepted;
}

/* ---- the session ---- */

static bool
run_phase(struct smtp_question *q, struct access *a, enum access_phase phase,
	  struct str argument)
{
	bool is_sender = phase == ACCESS_MAIL;
	struct access_answer answer = {.result = ACCESS_OK, .reply = STR_EMPTY};

	begin_phase(q, phase, argument);
	if (is_sender || phase == ACCESS_RCPT)
		access_check_address(a, q->mem, &q->request, is_sender, &answer);
	if (answer.result == ACCESS_OK)
		access_check(a, q->mem, phase, &q->request, &answer);
	if (answer.result == ACCESS_REFUSED)
		answer.reply = access_footer(a, q->mem, &q->request, answer.reply);
	return end_phase(q, &answer);
}

static void
run_content(struct smtp_question *q, struct access *a, struct str last)
{
	q->request.has_recipient = q->request.recipient_count == 1;
	q->request.recipient = last;
	IGNORE(run_phase(q, a, ACCESS_DATA, STR_EMPTY) &&
	       run_phase(q, a, ACCESS_END_OF_MESSAGE, STR_EMPTY));
}

static void
run_recipients(struct smtp_question *q, struct access *a)
{
	struct str last = STR_EMPTY;

	for (size_t i = 0; i < q->n_recipients; i++) {
		q->request.has_recipient = true;
		q->request.recipient = q->recipients[i];
		if (!run_phase(q, a, ACCESS_RCPT, q->recipients[i]))
			continue;
		q->request.recipient_count++;
		last = q->recipients[i];
	}
	if (q->request.recipient_count > 0)
		run_content(q, a, last);
}

static void
tell_effects(struct smtp_question *q, const struct access *a)
{
	const struct access_effects *f = access_effects(a);

	if (f->discard)
		rows_add(&q->rows, 0, "message", STR("thrown away"), STR_EMPTY);
	if (f->hold)
		rows_add(&q->rows, 0, "message", STR("put on hold"), STR_EMPTY);
	if (f->filter.len > 0)
		rows_add(&q->rows, 0, "filter", f->filter, STR_EMPTY);
	if (f->redirect.len > 0)
		rows_add(&q->rows, 0, "redirected", f->redirect, STR_EMPTY);
	for (size_t i = 0; i < f->n_bcc; i++)
		rows_add(&q->rows, 0, "copy", f->bcc[i], STR_EMPTY);
	for (size_t i = 0; i < f->n_prepend; i++)
		rows_add(&q->rows, 0, "header", f->prepend[i], STR_EMPTY);
}

static void
run_session(struct smtp_question *q)
{
	struct access *a = access_new(q->mem, q->rules, &q->world);
	struct access_request *r = &q->request;
	struct str etrn = r->etrn_domain;

	if (!run_phase(q, a, ACCESS_CONNECT,
		       str_printf(q->mem, PRI_STR "[" PRI_STR "]",
				  STR_ARG(r->client_name), STR_ARG(r->client_address))))
		return;
	r->has_helo = r->helo.len > 0;
	r->protocol = r->has_helo ? STR("ESMTP") : STR_EMPTY;
	r->is_esmtp = r->has_helo;
	if (r->has_helo && !run_phase(q, a, ACCESS_EHLO, r->helo))
		return;
	if (etrn.len > 0)
		IGNORE(run_phase(q, a, ACCESS_ETRN, etrn));
	if (q->n_recipients == 0)
		return;
	r->has_sender = true;
	if (!run_phase(q, a, ACCESS_MAIL, r->sender))
		return;
	run_recipients(q, a);
	tell_effects(q, a);
}

/* ---- the client's name ---- */

static enum access_name
name_status(enum dns_result result)
{
	return result == DNS_NXDOMAIN || result == DNS_NODATA ? ACCESS_NAME_PERM
							      : ACCESS_NAME_TEMP;
}

static bool
leads_back(struct smtp_question *q, struct str name)
{
	struct access_request *r = &q->request;
	bool v4 = !str_contains(r->client_address, ':');
	struct dns_answer answer;

	q->asker.dns.ask(q->asker.dns.arg, q->mem, name, v4 ? DNS_TYPE_A : DNS_TYPE_AAAA,
			 false, &answer);
	if (answer.result != DNS_FOUND)
		r->client_name_status = name_status(answer.result);
	return answer.result == DNS_FOUND &&
	       dns_answer_has_address(&answer, r->client_address);
}

static void
find_name(struct smtp_question *q)
{
	struct access_request *r = &q->request;
	struct dns_answer answer;
	struct str question;

	if (!dns_reverse_name(q->mem, r->client_address, STR_EMPTY, &question))
		return;
	q->asker.dns.ask(q->asker.dns.arg, q->mem, question, DNS_TYPE_PTR, false,
			 &answer);
	if (answer.result != DNS_FOUND || answer.n_records == 0) {
		r->client_name_status = r->client_reverse_name_status =
			name_status(answer.result);
		return;
	}
	r->client_reverse_name = answer.records[0].text;
	r->client_reverse_name_status = ACCESS_NAME_OK;
	r->client_name_status = ACCESS_NAME_FORGED;
	if (!leads_back(q, r->client_reverse_name))
		return;
	r->client_name = r->client_reverse_name;
	r->client_name_status = ACCESS_NAME_OK;
}

static bool
is_unknown(struct str name)
{
	return str_ieq(name, STR("unknown"));
}

/* "ADDRESS" or "NAME[ADDRESS]". False: neither. */
static bool
take_client(struct smtp_question *q)
{
	struct access_request *r = &q->request;
	size_t open = str_index(q->client, '[');
	struct str reverse = r->client_reverse_name;

	r->client_name = STR("unknown");
	r->client_name_status = r->client_reverse_name_status = ACCESS_NAME_PERM;
	r->client_address = q->client;
	if (open < q->client.len && str_ends(q->client, STR("]"))) {
		r->client_name = str_head(q->client, open);
		r->client_address =
			str_head(str_skip(q->client, open + 1), q->client.len - open - 2);
	}
	r->client_address = str_dup(q->mem, r->client_address);
	if (!hostaddr_is_valid(r->client_address))
		return false;
	if (!is_unknown(r->client_name))
		r->client_name_status = ACCESS_NAME_OK;
	if (reverse.len == 0)
		r->client_reverse_name = r->client_name;
	if (!is_unknown(r->client_reverse_name)) {
		r->client_reverse_name_status = ACCESS_NAME_OK;
		if (is_unknown(r->client_name))
			r->client_name_status = ACCESS_NAME_FORGED;
	}
	return true;
}

/* ---- the command ---- */

/* As smtpd takes it from MAIL and RCPT. */
static struct str
take_address(struct smtp_question *q, struct str value)
{
	value = address_without_brackets(value);
	/* A route in front does not count (RFC 5321 section 4.1.1.3). */
	if (str_starts(value, STR("@")) && str_contains(value, ':'))
		value = str_skip(value, str_index(value, ':') + 1);
	return address_unquote(q->mem, value);
}

static bool
take_recipient(struct smtp_question *q, struct str value)
{
	if (q->n_recipients >= RECIPIENTS_MAX)
		return err_set(&q->err, ERR_PERM, "more than %d recipients",
			       RECIPIENTS_MAX);
	q->recipients[q->n_recipients++] = take_address(q, value);
	return true;
}

static bool
take_word(struct smtp_question *q, struct str word)
{
	struct access_request *r = &q->request;
	struct str key;
	struct str value;

	if (!str_split(word, '=', &key, &value))
		return err_set(&q->err, ERR_PERM, "not KEY=VALUE: " PRI_STR,
			       STR_ARG(word));
	if (str_eq(key, STR("client")))
		q->client = value;
	else if (str_eq(key, STR("reverse")))
		r->client_reverse_name = value;
	else if (str_eq(key, STR("helo")))
		r->helo = value;
	else if (str_eq(key, STR("from")))
		r->sender = take_address(q, value);
	else if (str_eq(key, STR("to")))
		return take_recipient(q, value);
	else if (str_eq(key, STR("etrn")))
		r->etrn_domain = value;
	else if (str_eq(key, STR("policy")))
		q->asks_policy = str_ieq(value, STR("yes"));
	else if (str_eq(key, STR("tls")))
		r->is_tls = str_ieq(value, STR("yes"));
	else if (str_eq(key, STR("sasl"))) {
		r->sasl_username = value;
		r->sasl_method = STR("PLAIN");
		r->is_authenticated = value.len > 0;
	} else
		return err_set(&q->err, ERR_PERM,
			       "unknown key " PRI_STR
			       ": client, reverse, helo, from, to, etrn, policy, tls "
			       "and sasl are known",
			       STR_ARG(key));
	return true;
}

static bool
take_words(struct smtp_question *q, char **words)
{
	const struct str empty = STR_EMPTY;

	q->request = (struct access_request){
		.client_reverse_name = empty,
		.client_port = STR("0"),
		.helo = empty,
		.protocol = empty,
		.sender = empty,
		.recipient = empty,
		.queue_id = empty,
		.etrn_domain = empty,
		.instance = STR("0.0.0.0"),
		.client_text = empty,
		.ccert_fingerprint = empty,
		.ccert_key_fingerprint = empty,
		.ccert_subject = empty,
		.ccert_issuer = empty,
		.sasl_username = empty,
		.sasl_method = empty,
		.sasl_sender = empty,
	};
	for (size_t i = 0; words[i] != NULL; i++) {
		if (!take_word(q, str_from(words[i])))
			return false;
	}
	return take_client(q) || err_set(&q->err, ERR_PERM,
					 "client=ADDRESS or client=NAME[ADDRESS] needed");
}

/* The service's own settings count: submission is not smtp. */
static bool
load_config(struct smtp_question *q)
{
	const char *name = q->options->service != NULL ? q->options->service : "smtp";
	struct config_options options = {
		.dir = q->options->dir, .process_name = "smtpd", .service_name = name};
	const struct master_service *s;
	struct master_services services;

	if (!config_load(q->mem, &options, &q->config, &q->err) ||
	    !master_cf_load(q->mem, q->config, &services, &q->err))
		return false;
	s = master_cf_find(&services, str_from(name), MASTER_INET);
	if (s == NULL)
		s = master_cf_find(&services, str_from(name), MASTER_PASS);
	if (s == NULL)
		return q->options->service == NULL ||
		       err_set(&q->err, ERR_CONFIG, "%s: no service %s of type inet",
			       services.file, name);
	options.overrides = s->overrides;
	options.override_count = s->override_count;
	if (!config_load(q->mem, &options, &q->config, &q->err))
		return false;
	table_host_config(q->mem, q->config);
	return true;
}

static void
tell_warning(void *arg, const char *text)
{
	struct smtp_question *q = arg;

	rows_add(&q->rows, 0, "!", str_from(text), STR_EMPTY);
}

/* Could the client have logged in at all? */
static bool
check_login(struct smtp_question *q)
{
	struct access_request *r = &q->request;
	struct sasl_config sasl;
	const char *why = NULL;

	if (!sasl_config_load(q->mem, q->config, &sasl, &q->err))
		return false;
	if (!r->is_authenticated)
		return true;
	if (!sasl.smtpd_sasl_auth_enable)
		why = "nobody can log in here: smtpd_sasl_auth_enable = no";
	else if (sasl.smtpd_tls_auth_only && !r->is_tls)
		why = "nobody can log in without TLS: smtpd_tls_auth_only = yes "
		      "(tls=yes says that there is)";
	if (why == NULL)
		return true;
	tell_warning(q, why);
	r->is_authenticated = false;
	r->sasl_username = r->sasl_method = STR_EMPTY;
	return true;
}

static bool
load(struct smtp_question *q)
{
	struct resolver_config resolver;

	if (!load_config(q) ||
	    !common_config_load(q->mem, q->config, &q->common, &q->err) ||
	    !resolver_config_load(q->mem, q->config, &resolver, &q->err) ||
	    !servers_open(q->mem, resolver.resolver_nameservers, &q->servers, &q->err) ||
	    !rewrite_rules_load(q->mem, q->config, NULL, 0, &q->rewrite, &q->err) ||
	    !access_rules_load(q->mem, q->config, &q->rewrite, &q->rules, &q->err))
		return false;
	access_rules_warnings(q->rules, tell_warning, q);
	return check_login(q);
}

static void
tell_policy_trouble(void *arg, struct str text)
{
	tell_log(arg, LOG_LEVEL_WARNING, text);
}

/* As smtpd asks, which runs in the queue directory. */
static bool
ask_policy(void *arg, struct arena *mem, const struct policy_service *service,
	   struct str request, struct str *action_out)
{
	struct smtp_question *q = arg;
	struct policy_service s = *service;

	if (s.server.is_unix && !str_starts(s.server.path, STR("/")))
		s.server.path = str_printf(q->mem, PRI_STR "/" PRI_STR,
					   STR_ARG(q->common.queue_directory),
					   STR_ARG(s.server.path));
	s.request_limit = 1; /* `s` ends with this question, and so does its connection */
	return policy_ask(q->policies, mem, &q->world.dns, &s, request,
			  tell_policy_trouble, q, action_out);
}

static void
run_in_fiber(void *arg)
{
	struct smtp_question *q = arg;

	if (!q->options->offline && is_unknown(q->request.client_name) &&
	    is_unknown(q->request.client_reverse_name) && !str_contains(q->client, '['))
		find_name(q);
	run_session(q);
	policy_pool_close(q->policies);
	asker_close(&q->asker);
}

static void
print(struct smtp_question *q)
{
	json_t *o;
	char *text;

	if (!q->options->json) {
		for (size_t i = 0; i < json_array_size(q->log); i++)
			rows_add(&q->rows, 0, "log",
				 str_from(json_string_value(json_array_get(q->log, i))),
				 STR_EMPTY);
		rows_print(&q->rows);
		return;
	}
	o = json_object();
	json_object_set(o, "phases", q->phases);
	json_object_set(o, "log", q->log);
	text = json_dumps(o, JSON_INDENT(2));
	puts(text);
	free(text);
	json_decref(o);
}

static bool
run(struct smtp_question *q)
{
	struct loop *loop = loop_new();
	bool ok;

	asker_init(&q->asker, loop, q->common.queue_directory, &q->servers.now);
	q->world = (struct access_world){
		.log = tell_log, .log_arg = q, .step = tell_step, .step_arg = q};
	if (!q->options->offline)
		q->world.dns = q->asker.dns;
	q->policies = policy_pool_new(q->mem, loop);
	if (q->asks_policy) {
		q->world.policy = ask_policy;
		q->world.policy_arg = q;
	}
	ok = fiber_spawn(loop, "explain", run_in_fiber, q) != NULL;
	if (ok)
		loop_run(loop);
	loop_free(&loop);
	if (ok)
		print(q);
	return ok;
}

int
explain_smtp(const struct explain_smtp_options *options, char **words)
{
	struct smtp_question q = {.options = options, .client = STR_EMPTY};

	q.mem = arena_new();
	q.recipients = arena_alloc_array(q.mem, RECIPIENTS_MAX, sizeof(*q.recipients));
	rows_init(&q.rows);
	q.phases = json_array();
	q.log = json_array();
	if (!take_words(&q, words) || !load(&q)) {
		fprintf(stderr, "hikyaku explain: %s\n", q.err.text);
		q.status = EXIT_UNUSABLE;
	} else if (!run(&q)) {
		q.status = EXIT_UNUSABLE;
	}
	json_decref(q.log);
	json_decref(q.phases);
	rows_release(&q.rows);
	arena_free(&q.mem);
	return q.status;
}
