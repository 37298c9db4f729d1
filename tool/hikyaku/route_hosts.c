/* SPDX-License-Identifier: Apache-2.0 */
#include "route_hosts.h"

#include "base/arena.h"

#include "config/config.h"
#include "config/master_cf.h"
#include "mail/address.h"
#include "rewrite/rules.h"
#include "smtp/lookups.h"
#include "smtp/nexthop.h"

bool
smtp_transport_load(struct arena *mem, const char *dir, const char *master_file,
		    const struct master_service *service,
		    const struct rewrite_rules *rules, struct smtp_transport *out,
		    struct err *err)
{
	const struct config_options options = {
		.dir = dir,
		.process_name = str_c(mem, service->command),
		.service_name = str_c(mem, service->name),
		.overrides = service->overrides,
		.override_count = service->override_count,
	};
	struct smtp_transport t = {
		.mem = mem,
		.service = service,
		.master_file = master_file,
		.rules = {.own = rules->own_addresses, .n_own = rules->n_own_addresses},
	};

	if (!config_load(mem, &options, &t.config, err) ||
	    !common_config_load(mem, t.config, &t.common, err) ||
	    !smtp_config_load(mem, t.config, &t.smtp, err) ||
	    !smtp_lookup_rules(&t.smtp, &t.common, &t.rules, err))
		return false;
	*out = t;
	return true;
}

struct str
setting_text(struct arena *mem, const struct config *cfg, const struct smtp_transport *t,
	     const char *parameter)
{
	struct str name = str_from(parameter);
	struct config_origin origin = config_origin(cfg, name);
	struct str value = config_get_raw(cfg, name);

	if (origin.where == CONFIG_FROM_OVERRIDE && t != NULL)
		return str_printf(
			mem, "%s = " PRI_STR " (-o of " PRI_STR ", master.cf line %u)",
			parameter, STR_ARG(value), STR_ARG(t->service->name),
			t->service->line);
	return str_printf(mem, "%s = " PRI_STR " (" PRI_STR ")", parameter,
			  STR_ARG(value), STR_ARG(config_origin_text(mem, origin)));
}

/* ---- hosts ---- */

/* What is said about one next hop, and where it goes. */
struct walk {
	struct smtp_transport *t;
	struct asker *asker;
	struct rows *rows;
	json_t *hosts;
	bool is_fallback;
	bool any;  /* a host to try, or (offline) nobody who says no */
	bool last; /* nothing after this one is tried */
	bool hard; /* the latest failure is for good */
	bool passed;
};

static bool
is_equal(const struct lookup_answer *a, size_t i, size_t k)
{
	return k < a->n_hosts && a->hosts[i].preference == a->hosts[k].preference;
}

static struct str
why_host(const struct walk *w, const struct nexthop *n, const struct lookup_answer *a,
	 size_t i)
{
	bool shuffled = w->t->rules.randomize &&
			(is_equal(a, i, i + 1) || (i > 0 && is_equal(a, i, i - 1)));
	bool has_none = n->mx && !a->by_mx && !w->t->rules.dns_disabled &&
			!hostaddr_is_valid(n->host);

	if (has_none)
		return str_printf(w->t->mem, "no MX record: the host of this name%s",
				  shuffled ? ", in random order" : "");
	if (a->by_mx)
		return str_printf(w->t->mem, "MX %lld%s",
				  (long long)a->hosts[i].preference,
				  shuffled ? ", in random order" : "");
	return shuffled ? STR("in random order") : STR_EMPTY;
}

static void
add_host(struct walk *w, const struct lookup_host *h)
{
	json_t *o = json_object();

	json_object_set_new(o, "name", json_printable(h->name));
	json_object_set_new(o, "address", json_printable(h->address));
	json_object_set_new(o, "port", json_integer(h->port));
	json_object_set_new(o, "preference", json_integer(h->preference));
	json_object_set_new(o, "fallback", json_boolean(w->is_fallback));
	json_array_append_new(w->hosts, o);
}

static void
tell_hosts(struct walk *w, const struct nexthop *n, const struct lookup_answer *a)
{
	struct arena *mem = w->t->mem;
	int64_t limit = w->t->rules.address_limit;

	for (size_t i = 0; i < a->n_hosts; i++) {
		const struct lookup_host *h = &a->hosts[i];

		if (limit > 0 && (int64_t)i == limit) {
			rows_add(
				w->rows, 2, "...",
				str_printf(mem, "%zu more are not tried", a->n_hosts - i),
				setting_text(mem, w->t->config, w->t,
					     "smtp_mx_address_limit"));
			break;
		}
		rows_add(w->rows, 2, str_printf(mem, "%zu", i + 1).p,
			 str_printf(mem, PRI_STR "[" PRI_STR "]:%u", STR_ARG(h->name),
				    STR_ARG(h->address), h->port),
			 why_host(w, n, a, i));
		add_host(w, h);
	}
}

static void
tell_domain(struct walk *w, struct str text)
{
	struct arena *mem = w->t->mem;
	struct lookup_answer answer;
	struct nexthop n;
	struct err err;

	if (!nexthop_parse(mem, text, false, w->t->smtp.smtp_tcp_port, &n, &err)) {
		rows_add(w->rows, 2, "!", str_from(arena_strdup(mem, err.text)),
			 STR_EMPTY);
		w->hard = false;
		return;
	}
	if (n.mx && !str_contains(n.host, '.') && !hostaddr_is_valid(n.host))
		rows_add(w->rows, 2, "!",
			 str_printf(mem,
				    "\"" PRI_STR "\" is looked up as a domain; for a "
				    "host write [" PRI_STR "]",
				    STR_ARG(n.host), STR_ARG(n.host)),
			 STR_EMPTY);
	if (w->asker == NULL) {
		w->any = true;
		return;
	}
	lookup_hosts(mem, &w->asker->dns, &w->t->rules, n.host, n.mx, n.port, 1, &answer);
	w->last = answer.we_are_mx || answer.is_loop;
	w->passed = answer.is_loop && w->t->smtp.best_mx_transport.len > 0;
	if (w->passed) {
		rows_add(w->rows, 2, "passed",
			 str_printf(mem, "to " PRI_STR,
				    STR_ARG(w->t->smtp.best_mx_transport)),
			 setting_text(mem, w->t->config, w->t, "best_mx_transport"));
		return;
	}
	if (answer.result == LOOKUP_NO_HOSTS) {
		w->hard = answer.dsn.status.text[0] == '5';
		rows_add(w->rows, 2, "!", answer.dsn.reason,
			 str_from(arena_strdup(mem, answer.dsn.status.text)));
		return;
	}
	w->any = true;
	tell_hosts(w, &n, &answer);
}

static void
tell_list(struct walk *w, struct str list)
{
	struct str *items;
	struct err err;
	size_t n;

	if (!nexthop_list(w->t->mem, list, &items, &n, &err)) {
		rows_add(w->rows, 2, "!", str_from(arena_strdup(w->t->mem, err.text)),
			 STR_EMPTY);
		return;
	}
	for (size_t i = 0; i < n && !w->last; i++) {
		if (n > 1)
			rows_add(w->rows, 2, "try", items[i], STR_EMPTY);
		tell_domain(w, items[i]);
	}
}

/* ---- fallback ---- */

static void
tell_fallback(struct walk *w)
{
	struct smtp_transport *t = w->t;
	struct str list = t->smtp.smtp_fallback_relay;
	const char *parameter = "smtp_fallback_relay";

	if (!config_is_set(t->config, str_from(parameter)) &&
	    config_is_set(t->config, STR("fallback_relay")))
		parameter = "fallback_relay";
	if (list.len == 0) {
		rows_add(w->rows, 1, "fallback", STR("none"),
			 STR("smtp_fallback_relay is empty"));
		return;
	}
	rows_add(w->rows, 1, "fallback", list,
		 setting_text(t->mem, t->config, t, parameter));
	if (w->last) {
		rows_add(w->rows, 2, "",
			 STR("not used: this machine is a mail exchanger of the domain"),
			 STR_EMPTY);
		return;
	}
	rows_add(w->rows, 2, "",
		 STR("when the above cannot be reached or answers 4xx; not when it "
		     "answers 5xx"),
		 STR_EMPTY);
	w->is_fallback = true;
	tell_list(w, list);
}

static enum route_end
tell_end(struct walk *w, struct str nexthop, struct str relayhost)
{
	bool has_fallback = w->t->smtp.smtp_fallback_relay.len > 0;

	if (w->any)
		return ROUTE_GOES;
	if (w->hard && !w->last && (has_fallback || str_eq(nexthop, relayhost))) {
		rows_add(w->rows, 1, "waits", STR("there is no host to send it to"),
			 str_printf(w->t->mem, "4.3.5: %s is taken for the mistake",
				    has_fallback ? "smtp_fallback_relay" : "relayhost"));
		return ROUTE_WAITS;
	}
	if (w->hard && !w->t->common.soft_bounce) {
		rows_add(w->rows, 1, "returned", STR("there is no host to send it to"),
			 STR_EMPTY);
		return ROUTE_RETURNED;
	}
	rows_add(w->rows, 1, "waits", STR("there is no host to send it to now"),
		 w->hard ? setting_text(w->t->mem, w->t->config, w->t, "soft_bounce")
			 : STR_EMPTY);
	return ROUTE_WAITS;
}

enum route_end
route_hosts(struct smtp_transport *t, struct asker *asker, struct str nexthop,
	    struct str relayhost, struct rows *rows, json_t *hosts)
{
	struct walk w = {.t = t, .asker = asker, .rows = rows, .hosts = hosts};

	tell_list(&w, nexthop);
	if (w.passed)
		return w.any ? ROUTE_GOES : ROUTE_PASSED;
	tell_fallback(&w);
	rows_add(rows, 1, "TLS", STR("none"), STR("TLS is not available yet"));
	rows_add(rows, 1, "login", STR("none"), STR("logging in is not available yet"));
	return tell_end(&w, nexthop, relayhost);
}
