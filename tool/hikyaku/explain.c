/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts are collected as rows (what, value, why) by the same functions that the
 * daemons call, then printed as text or JSON.
 */
#include "explain.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/macros.h"

#include "config/common_config.h"
#include "config/config.h"
#include "config/smtp_config.h"
#include "dns/lookup.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "mail/address.h"
#include "rewrite/expand.h"
#include "rewrite/form.h"
#include "rewrite/resolve.h"
#include "rewrite/rules.h"
#include "smtp/nexthop.h"

#include "asker.h"

enum {
	EXIT_ALL_GO = 0,
	EXIT_SOME_STAY = 1,
	EXIT_UNUSABLE = 2,
	WHAT_WIDTH = 10,
	VALUE_WIDTH = 44
};

struct explain {
	struct arena *mem;
	struct loop *loop;
	struct config *config;
	struct common_config common;
	struct smtp_config smtp;
	struct rewrite_rules rules;
	struct lookup_rules lookup;
	struct asker asker;
	struct str sender;
	char **addresses;
	json_t *rows; /* of the address that is being explained */
	json_t *all;  /* JSON output: one object per address */
	bool json;
	int status;
};

/* ---- rows ---- */

static void
row(struct explain *x, int indent, const char *what, struct str value, struct str why)
{
	json_t *r = json_object();
	struct arena *mem = arena_new();

	json_object_set_new(r, "what", json_string(what));
	json_object_set_new(r, "value",
			    json_string(str_c(mem, str_printable(mem, value, true))));
	json_object_set_new(r, "why",
			    json_string(str_c(mem, str_printable(mem, why, true))));
	json_object_set_new(r, "indent", json_integer(indent));
	json_array_append_new(x->rows, r);
	arena_free(&mem);
}

/* Characters on a terminal: continuation bytes of UTF-8 take no place. */
static int
columns(const char *s)
{
	int n = 0;

	for (; *s != '\0'; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void
print_row(const json_t *r)
{
	const char *what = json_string_value(json_object_get(r, "what"));
	const char *value = json_string_value(json_object_get(r, "value"));
	const char *why = json_string_value(json_object_get(r, "why"));
	int indent = (int)json_integer_value(json_object_get(r, "indent"));
	int used = columns(value);

	printf("%*s%-*s  %s", indent * 2, "", WHAT_WIDTH, what, value);
	if (why[0] != '\0')
		printf("%*s  %s", MAX_OF(VALUE_WIDTH - used - indent * 2, 0), "", why);
	putchar('\n');
}

static void
print_rows(const json_t *rows)
{
	for (size_t i = 0; i < json_array_size(rows); i++)
		print_row(json_array_get(rows, i));
}

/* ---- why ---- */

/* "relayhost = x (main.cf line 3)" */
static struct str
setting(struct explain *x, const char *parameter, struct str value)
{
	struct config_origin origin = config_origin(x->config, str_from(parameter));

	return str_printf(x->mem, "%s = " PRI_STR " (" PRI_STR ")", parameter,
			  STR_ARG(value), STR_ARG(config_origin_text(x->mem, origin)));
}

static struct str
reason_text(struct explain *x, const struct resolve_reason *r)
{
	if (r->table != NULL)
		return str_printf(x->mem, "%s: \"" PRI_STR "\" in %s says " PRI_STR,
				  r->parameter, STR_ARG(r->key), r->table,
				  STR_ARG(r->value));
	if (strcmp(r->what, "class") == 0)
		return str_printf(x->mem, "it is in %s", r->parameter);
	return setting(x, r->parameter, r->value);
}

/* The last reason of a kind: later ones override. */
static struct str
why(struct explain *x, const struct route *route, const char *what)
{
	for (size_t i = route->n_reasons; i > 0; i--) {
		const struct resolve_reason *r = &route->reasons[i - 1];

		if (strcmp(r->what, what) == 0)
			return reason_text(x, r);
	}
	return STR_EMPTY;
}

/* ---- hosts ---- */

static void
explain_hosts(struct explain *x, struct str text)
{
	struct lookup_answer answer;
	struct nexthop n;
	struct err err;

	if (!nexthop_parse(x->mem, text, false, x->smtp.smtp_tcp_port, &n, &err)) {
		row(x, 2, "!", str_from(err.text), STR_EMPTY);
		x->status = EXIT_SOME_STAY;
		return;
	}
	if (n.mx && !str_contains(n.host, '.') && !hostaddr_is_valid(n.host))
		row(x, 2, "!",
		    str_printf(x->mem,
			       "\"" PRI_STR
			       "\" is looked up as a domain; for a host write [" PRI_STR
			       "]",
			       STR_ARG(n.host), STR_ARG(n.host)),
		    STR_EMPTY);
	if (x->asker.offline)
		return;
	lookup_hosts(x->mem, &x->asker.dns, &x->lookup, n.host, n.mx, n.port, 1, &answer);
	if (x->asker.unavailable) {
		row(x, 2, "hosts", STR("not known"),
		    STR("the resolver does not answer: does the mail system run?"));
		return;
	}
	if (answer.result == LOOKUP_NO_HOSTS) {
		row(x, 2, "!", answer.dsn.reason, str_from(answer.dsn.status.text));
		x->status = EXIT_SOME_STAY;
		return;
	}
	for (size_t i = 0; i < answer.n_hosts; i++) {
		const struct lookup_host *h = &answer.hosts[i];

		row(x, 2, str_printf(x->mem, "%zu", i + 1).p,
		    str_printf(x->mem, PRI_STR "[" PRI_STR "]:%u", STR_ARG(h->name),
			       STR_ARG(h->address), h->port),
		    n.mx ? str_printf(x->mem, "MX %d", (int)h->preference) : STR_EMPTY);
	}
}

static void
explain_list(struct explain *x, struct str list)
{
	struct str *items;
	struct err err;
	size_t n;

	if (!nexthop_list(x->mem, list, &items, &n, &err)) {
		row(x, 2, "!", str_from(err.text), STR_EMPTY);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (n > 1)
			row(x, 2, "try", items[i], STR_EMPTY);
		explain_hosts(x, items[i]);
	}
}

static void
explain_fallback(struct explain *x)
{
	struct str list = x->smtp.smtp_fallback_relay;

	if (list.len == 0) {
		row(x, 1, "fallback", STR("none"), STR("smtp_fallback_relay is empty"));
		return;
	}
	row(x, 1, "fallback", list, setting(x, "smtp_fallback_relay", list));
	row(x, 2, "",
	    STR("when the above cannot be reached or answers 4xx; not when it answers "
		"5xx"),
	    STR_EMPTY);
	explain_list(x, list);
}

/* ---- one address ---- */

static void
explain_route(struct explain *x, struct str address)
{
	struct route route;
	struct err err;

	switch (resolve_address(x->mem, &x->rules, x->sender, address, &route, &err)) {
	case RESOLVE_OK:
		break;
	case RESOLVE_BAD:
		row(x, 1, "returned", str_from(err.text), STR("5.1.3"));
		x->status = EXIT_SOME_STAY;
		return;
	case RESOLVE_TEMP:
		row(x, 1, "waits", str_from(err.text), STR("4.3.0"));
		x->status = EXIT_SOME_STAY;
		return;
	}
	row(x, 1, "class", str_from(address_class_name(route.class)),
	    route.class == CLASS_DEFAULT ? STR("not local, virtual or relay")
					 : why(x, &route, "class"));
	row(x, 1, "transport", route.transport, why(x, &route, "transport"));
	row(x, 1, "next hop", route.nexthop,
	    str_eq(why(x, &route, "next hop"), STR_EMPTY) ? STR("the recipient's domain")
							  : why(x, &route, "next hop"));
	if (route.warning.len > 0)
		row(x, 1, "!", route.warning, STR_EMPTY);
	if (str_eq(route.transport, STR("error")))
		x->status = EXIT_SOME_STAY;
	if (!str_eq(route.transport, STR("smtp")) &&
	    !str_eq(route.transport, STR("relay")))
		return;
	explain_list(x, route.nexthop);
	explain_fallback(x);
	row(x, 1, "TLS", STR("none"), STR("TLS is not available yet"));
}

static void
explain_steps(struct explain *x, const struct expand_result *e)
{
	if (e->n_steps == 0) {
		row(x, 1, "expanded", STR("no"),
		    maps_count(x->rules.virtual_alias) == 0
			    ? STR("virtual_alias_maps is empty")
			    : STR("nothing in virtual_alias_maps matches"));
		return;
	}
	for (size_t i = 0; i < e->n_steps; i++)
		row(x, 1, "expanded",
		    str_printf(x->mem, PRI_STR " -> " PRI_STR, STR_ARG(e->steps[i].from),
			       STR_ARG(e->steps[i].to)),
		    str_printf(x->mem, "virtual_alias_maps: \"" PRI_STR "\" in %s",
			       STR_ARG(e->steps[i].key), e->steps[i].table));
}

static void
explain_address(struct explain *x, const char *text)
{
	struct str form = rewrite_form(x->mem, &x->rules, str_from(text));
	struct expand_result e;
	struct err err;

	row(x, 0, "address", str_from(text), STR_EMPTY);
	if (str_eq(form, str_from(text)))
		row(x, 1, "rewritten", STR("no"), STR_EMPTY);
	else
		row(x, 1, "rewritten", form, setting(x, "myorigin", x->common.myorigin));
	if (!expand_recipient(x->mem, &x->rules, form, &e, &err)) {
		row(x, 1, "waits", str_from(err.text), STR("4.3.0"));
		x->status = EXIT_SOME_STAY;
		return;
	}
	explain_steps(x, &e);
	for (size_t i = 0; i < e.n_addresses; i++) {
		if (e.n_steps > 0)
			row(x, 0, "recipient", e.addresses[i], STR_EMPTY);
		explain_route(x, e.addresses[i]);
	}
}

static void
explain_all(void *arg)
{
	struct explain *x = arg;

	for (char **a = x->addresses; *a != NULL; a++) {
		x->rows = json_array();
		explain_address(x, *a);
		if (x->json) {
			json_t *o = json_object();

			json_object_set_new(o, "address", json_string(*a));
			json_object_set_new(o, "rows", x->rows);
			json_array_append_new(x->all, o);
			continue;
		}
		if (a != x->addresses)
			putchar('\n');
		print_rows(x->rows);
		json_decref(x->rows);
	}
	asker_close(&x->asker);
}

/* ---- the command ---- */

static bool
load(struct explain *x, const char *dir, struct err *err)
{
	const struct config_options options = {
		.dir = dir, .process_name = "smtp", .service_name = "smtp"};

	if (!config_load(x->mem, &options, &x->config, err) ||
	    !common_config_load(x->mem, x->config, &x->common, err) ||
	    !smtp_config_load(x->mem, x->config, &x->smtp, err) ||
	    !rewrite_rules_load(x->mem, x->config, NULL, 0, &x->rules, err))
		return false;
	x->lookup = (struct lookup_rules){
		.dns_disabled =
			str_ieq(x->smtp.smtp_dns_support_level, STR("disabled")) ||
			x->smtp.disable_dns_lookups,
		.native = str_find(x->smtp.smtp_host_lookup, STR("native")) <
			  x->smtp.smtp_host_lookup.len,
		.dns = str_find(x->smtp.smtp_host_lookup, STR("dns")) <
		       x->smtp.smtp_host_lookup.len,
		.ignore_mx_error = x->smtp.ignore_mx_lookup_error,
		.defer_if_no_mx_address = x->smtp.smtp_defer_if_no_mx_address_found,
		.check_loops = true,
		.use_ipv4 = !str_ieq(x->common.inet_protocols, STR("ipv6")),
		.use_ipv6 = !str_ieq(x->common.inet_protocols, STR("ipv4")),
		.own = x->rules.own_addresses,
		.n_own = x->rules.n_own_addresses,
	};
	return true;
}

static int
usage(void)
{
	fputs("usage: hikyaku explain [-c dir] [--from sender] [--offline] [--json] "
	      "address...\n",
	      stderr);
	return EXIT_UNUSABLE;
}

static void
print_json(struct explain *x)
{
	char *text = json_dumps(x->all, JSON_INDENT(2));

	puts(text);
	free(text);
	json_decref(x->all);
}

int
explain_main(int argc, char **argv)
{
	static const struct option options[] = {{"from", required_argument, NULL, 'f'},
						{"offline", no_argument, NULL, 'o'},
						{"json", no_argument, NULL, 'j'},
						{NULL, 0, NULL, 0}};
	struct explain x = {.mem = arena_new(), .sender = STR_EMPTY};
	const char *dir = NULL;
	bool offline = false;
	struct err err;
	int c;

	while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (c == 'c')
			dir = optarg;
		else if (c == 'f')
			x.sender = str_from(optarg);
		else if (c == 'o')
			offline = true;
		else if (c == 'j')
			x.json = true;
		else
			return usage();
	}
	if (optind == argc)
		return usage();
	x.addresses = argv + optind;
	if (!load(&x, dir, &err)) {
		fprintf(stderr, "hikyaku explain: %s\n", err.text);
		arena_free(&x.mem);
		return EXIT_UNUSABLE;
	}
	x.loop = loop_new();
	x.all = x.json ? json_array() : NULL;
	asker_init(&x.asker, x.loop, x.common.queue_directory, offline);
	if (fiber_spawn(x.loop, "explain", explain_all, &x) == NULL)
		return EXIT_UNUSABLE;
	loop_run(x.loop);
	loop_free(&x.loop);
	if (x.json)
		print_json(&x);
	arena_free(&x.mem);
	return x.status;
}
