/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_policy_service: the question of this request, and its answer as an access
 * table's.
 */
#include <inttypes.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/map.h"

#include "policy/policy.h"
#include "rewrite/rules.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

enum { REQUEST_MAX = 1 << 20 };

static struct str
when(bool known, struct str text)
{
	return known && text.p != NULL ? text : STR_EMPTY;
}

static struct str
number(struct eval *e, int64_t n)
{
	return str_printf(e->mem, "%" PRId64, n);
}

static struct str
state_name(enum access_phase phase)
{
	return str_from(access_phase_name(phase));
}

/* Recipients are counted where no more can come. */
static int64_t
recipient_count(const struct eval *e)
{
	bool whole = e->phase == ACCESS_DATA || e->phase == ACCESS_END_OF_MESSAGE;

	return whole ? e->request->recipient_count : 0;
}

/* In Postfix's order. */
static struct str
format_request(struct eval *e, const struct policy_service *service)
{
	const struct access_request *r = e->request;
	const struct policy_attribute attributes[] = {
		{"request", STR("smtpd_access_policy")},
		{"protocol_state", state_name(e->phase)},
		{"protocol_name", when(true, r->protocol)},
		{"client_address", r->client_address},
		{"client_name", r->client_name},
		{"client_port", when(true, r->client_port)},
		{"reverse_client_name", r->client_reverse_name},
		{"server_address", when(true, r->server_address)},
		{"server_port", when(true, r->server_port)},
		{"helo_name", when(r->has_helo, r->helo)},
		{"sender", when(r->has_sender, r->sender)},
		{"recipient", when(r->has_recipient, r->recipient)},
		{"recipient_count", number(e, recipient_count(e))},
		{"queue_id", when(true, r->queue_id)},
		{"instance", when(true, r->instance)},
		{"size", number(e, r->size)},
		{"etrn_domain", when(true, r->etrn_domain)},
		{"stress", when(true, r->stress)},
		{"sasl_method", when(true, r->sasl_method)},
		{"sasl_username", when(true, r->sasl_username)},
		{"sasl_sender", when(true, r->sasl_sender)},
		{"ccert_subject", when(r->has_ccert, r->ccert_subject)},
		{"ccert_issuer", when(r->has_ccert, r->ccert_issuer)},
		{"ccert_fingerprint", when(r->has_ccert, r->ccert_fingerprint)},
		{"ccert_pubkey_fingerprint",
		 when(r->has_ccert, r->ccert_key_fingerprint)},
		{"encryption_protocol", when(r->is_tls, r->tls_protocol)},
		{"encryption_cipher", when(r->is_tls, r->tls_cipher)},
		{"encryption_keysize", number(e, r->is_tls ? r->tls_cipher_bits : 0)},
		{"policy_context", service->context},
	};
	struct buf *out = buf_new(e->mem, REQUEST_MAX);

	policy_request_format(out, attributes, ARRAY_LEN(attributes));
	return buf_str(out);
}

static bool
is_good_action(struct eval *e, const struct policy_service *service, struct str action)
{
	if (!e->rules->rewrite->utf8 || str_is_utf8(action))
		return true;
	eval_warn(e,
		  "malformed UTF-8 in policy server " PRI_STR " response: \"" PRI_STR
		  "\"",
		  STR_ARG(service->name), STR_ARG(str_printable(e->mem, action, false)));
	return false;
}

/* Without an answer the service's default counts; should that lead here again, the
 * built-in one, so that it ends. */
static struct str
default_action(struct eval *e, const struct policy_service *service)
{
	if (e->policy_failures > 1)
		return STR("451 4.3.5 Server configuration problem");
	return service->default_action;
}

static enum verdict
obey(struct eval *e, const struct policy_service *service, struct str action)
{
	const struct speaker who = e->speaker;
	const char *server = str_c(e->mem, service->name);

	if (e->step != NULL) {
		e->step->table = server;
		e->step->key = STR("policy query");
		e->step->value = action;
	}
	if (str_trim(action).len == 0)
		return GO_ON;
	return eval_action(e, server, STR("policy query"), action, &who);
}

enum verdict
restrict_policy(struct eval *e, const struct item *item)
{
	const struct access_world *w = e->a->world;
	const struct policy_service *service = item->policy;
	struct str action;
	enum verdict verdict;

	if (service == NULL)
		service = map_find(e->rules->policies, item->argument);
	if (service == NULL) {
		eval_warn(e,
			  "check_policy_service: no client endpoint for server " PRI_STR,
			  STR_ARG(item->argument));
		return eval_server_error(e);
	}
	if (w->policy == NULL) {
		e->step->verdict = ACCESS_VERDICT_SKIPPED;
		e->step->text = STR("the service would be asked now");
		return GO_ON;
	}
	if (w->policy(w->policy_arg, e->mem, service, format_request(e, service),
		      &action) &&
	    is_good_action(e, service, action))
		return obey(e, service, action);
	e->policy_failures++;
	verdict = obey(e, service, default_action(e, service));
	e->policy_failures--;
	return verdict;
}
