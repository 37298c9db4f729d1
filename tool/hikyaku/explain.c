/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts are collected as rows by the same functions that the daemons call: what
 * cleanup does with the address, what qmgr decides, what the SMTP client looks up.
 */
#include "explain.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/macros.h"

#include "config/common_config.h"
#include "config/config.h"
#include "config/master_cf.h"
#include "config/master_config.h"
#include "config/resolver_config.h"
#include "daemon/services.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "rewrite/expand.h"
#include "rewrite/form.h"
#include "rewrite/resolve.h"
#include "rewrite/rules.h"
#include "table/host.h"

#include "asker.h"
#include "explain_smtp.h"
#include "mapping.h"
#include "route_hosts.h"
#include "rows.h"

enum { EXIT_ALL_GO = 0, EXIT_SOME_STAY = 1, EXIT_UNUSABLE = 2 };

struct explain {
	struct arena *mem;
	const char *dir; /* as given, or NULL */
	struct config *config;
	struct common_config common;
	struct master_config master;
	struct master_services services;
	struct rewrite_rules rules;
	struct mapping mapping;
	struct servers_source servers;
	struct asker asker;
	struct str given_sender; /* in internal form */
	struct str sender;       /* mapped */
	char **addresses;
	struct rows rows;   /* of the address that is being explained */
	json_t *recipients; /* the same for programs */
	json_t *all;        /* JSON output: one object per address */
	bool passed;        /* best_mx_transport was followed for this recipient */
	bool offline;
	bool json;
	int status;
};

/* ---- why ---- */

static struct str
setting(struct explain *x, const char *parameter)
{
	return setting_text(x->mem, x->config, NULL, parameter);
}

static struct str
reason_text(struct explain *x, const struct resolve_reason *r)
{
	if (r->table != NULL)
		return str_printf(x->mem, "%s: \"" PRI_STR "\" in %s says " PRI_STR,
				  r->parameter, STR_ARG(r->key),
				  mapping_table(x->mem, r->table), STR_ARG(r->value));
	return setting(x, r->parameter);
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

/* ---- one recipient ---- */

/* As the log shows it. */
static struct str
external(struct explain *x, struct str address)
{
	return address_quote_smtp(x->mem, address);
}

/* The recipient's end, for programs: "goes", "waits", "returned", "discarded". */
static void
result(struct explain *x, json_t *o, const char *what)
{
	json_object_set_new(o, "result", json_string(what));
	if (strcmp(what, "waits") == 0 || strcmp(what, "returned") == 0)
		x->status = EXIT_SOME_STAY;
}

/* The next hop of error and retry is a reason, perhaps with a status code. */
static void
explain_failure(struct explain *x, json_t *o, const struct route *route, bool soft)
{
	struct str reason;
	struct dsn_status status =
		dsn_status_split(soft ? "4.0.0" : "5.0.0", route->nexthop, &reason);

	rows_add(&x->rows, 1, soft ? "waits" : "returned", reason,
		 str_from(arena_strdup(
			 x->mem, dsn_status_with_class(status, soft ? '4' : '5').text)));
	result(x, o, soft ? "waits" : "returned");
}

static void explain_service(struct explain *x, json_t *o, const struct route *route);

/* best_mx_transport has it, with a next hop or without. A second time is a circle. */
static void
explain_passed(struct explain *x, json_t *o, const struct route *route, struct str to)
{
	struct route next = *route;

	if (x->passed) {
		rows_add(&x->rows, 1, "waits", STR("it is passed on in a circle"),
			 STR_EMPTY);
		result(x, o, "waits");
		return;
	}
	x->passed = true;
	next.transport = str_head(to, str_index(to, ':'));
	if (next.transport.len + 1 < to.len)
		next.nexthop = str_skip(to, next.transport.len + 1);
	explain_service(x, o, &next);
}

static void
explain_delivery(struct explain *x, json_t *o, const struct master_service *service,
		 const struct route *route)
{
	static const char *const ends[] = {[ROUTE_GOES] = "goes",
					   [ROUTE_WAITS] = "waits",
					   [ROUTE_RETURNED] = "returned"};
	enum route_end end;
	struct smtp_transport t;
	json_t *hosts = json_array();
	struct err err;

	json_object_set_new(o, "hosts", hosts);
	if (!smtp_transport_load(x->mem, x->dir, x->services.file, service, &x->rules, &t,
				 &err)) {
		rows_add(&x->rows, 1, "waits", str_from(arena_strdup(x->mem, err.text)),
			 STR_EMPTY);
		result(x, o, "waits");
		return;
	}
	end = route_hosts(&t, x->offline ? NULL : &x->asker, route->nexthop,
			  x->rules.config.relayhost, &x->rows, hosts);
	if (end == ROUTE_PASSED)
		explain_passed(x, o, route, t.smtp.best_mx_transport);
	else
		result(x, o, ends[end]);
}

/* The service that does it. Those that the master adds by itself have no line. */
static void
explain_service(struct explain *x, json_t *o, const struct route *route)
{
	const struct master_service *s =
		master_cf_find(&x->services, route->transport, MASTER_UNIX);
	struct str warning;

	if (s != NULL && master_cf_disabled(x->master.master_service_disable, s)) {
		rows_add(&x->rows, 1, "waits", STR("the service is switched off"),
			 setting(x, "master_service_disable"));
		result(x, o, "waits");
	} else if (s == NULL) {
		rows_add(&x->rows, 1, "waits",
			 str_printf(x->mem, "there is no transport " PRI_STR,
				    STR_ARG(route->transport)),
			 str_from(x->services.file));
		result(x, o, "waits");
	} else if (service_warning(x->mem, x->common.daemon_directory, s->name,
				   s->command, &warning)) {
		rows_add(&x->rows, 1, "waits", warning,
			 str_printf(x->mem, "master.cf line %u", s->line));
		result(x, o, "waits");
	} else if (str_eq(s->command, STR("smtp"))) {
		explain_delivery(x, o, s, route);
	} else if (str_eq(s->command, STR("discard"))) {
		rows_add(&x->rows, 1, "discarded", STR("accepted and thrown away"),
			 str_printf(x->mem, "master.cf line %u", s->line));
		result(x, o, "discarded");
	} else if (str_eq(s->command, STR("error"))) {
		explain_failure(x, o, route, str_eq(route->transport, STR("retry")));
	} else {
		rows_add(&x->rows, 1, "program", s->command,
			 str_printf(x->mem, "master.cf line %u", s->line));
		result(x, o, "goes");
	}
}

static struct str
why_class(struct explain *x, const struct route *route)
{
	if (route->class == CLASS_DEFAULT)
		return STR("not in mydestination, virtual_alias_domains, "
			   "virtual_mailbox_domains or relay_domains");
	return why(x, route, "class");
}

static void
explain_stay(struct explain *x, json_t *o, const char *what, const struct err *err,
	     const char *code)
{
	rows_add(&x->rows, 1, what, str_from(arena_strdup(x->mem, err->text)),
		 str_from(code));
	result(x, o, what);
}

static void
explain_recipient(struct explain *x, struct str address)
{
	json_t *o = json_object();
	struct route route;
	struct err err;
	struct str hop_why;

	x->passed = false;
	json_array_append_new(x->recipients, o);
	json_object_set_new(o, "address", json_printable(external(x, address)));
	switch (resolve_address(x->mem, &x->rules, x->sender, address, &route, &err)) {
	case RESOLVE_OK:
		break;
	case RESOLVE_BAD:
		explain_stay(x, o, "returned", &err, "5.1.3");
		return;
	case RESOLVE_TEMP:
		explain_stay(x, o, "waits", &err, "4.3.0");
		return;
	}
	if (!str_eq(route.recipient, address)) {
		struct str delivered = external(x, route.recipient);

		rows_add(&x->rows, 1, "delivered", delivered, STR_EMPTY);
		json_object_set_new(o, "delivered", json_printable(delivered));
	}
	json_object_set_new(o, "class", json_string(address_class_name(route.class)));
	json_object_set_new(o, "transport", json_printable(route.transport));
	json_object_set_new(o, "next_hop", json_printable(route.nexthop));
	rows_add(&x->rows, 1, "class", str_from(address_class_name(route.class)),
		 why_class(x, &route));
	rows_add(&x->rows, 1, "transport", route.transport, why(x, &route, "transport"));
	hop_why = why(x, &route, "next hop");
	rows_add(&x->rows, 1, "next hop", route.nexthop,
		 hop_why.len > 0 ? hop_why : STR("the recipient's domain"));
	if (route.warning.len > 0)
		rows_add(&x->rows, 1, "!", route.warning, STR_EMPTY);
	if (master_cf_find(&x->services, route.transport, MASTER_UNIX) == NULL &&
	    (str_eq(route.transport, STR("error")) ||
	     str_eq(route.transport, STR("retry"))))
		explain_failure(x, o, &route, str_eq(route.transport, STR("retry")));
	else
		explain_service(x, o, &route);
}

/* ---- one address ---- */

static void
explain_steps(struct explain *x, const struct expand_result *e)
{
	if (e->n_steps == 0)
		rows_add(&x->rows, 1, "expanded", STR("no"),
			 maps_count(x->rules.virtual_alias) == 0
				 ? STR("virtual_alias_maps is empty")
				 : STR("nothing in virtual_alias_maps matches"));
	for (size_t i = 0; i < e->n_steps; i++)
		rows_add(&x->rows, 1, "expanded",
			 str_printf(x->mem, PRI_STR " -> " PRI_STR,
				    STR_ARG(e->steps[i].from), STR_ARG(e->steps[i].to)),
			 str_printf(x->mem, "virtual_alias_maps: \"" PRI_STR "\" in %s",
				    STR_ARG(e->steps[i].key),
				    mapping_table(x->mem, e->steps[i].table)));
}

/* Which setting completed it. */
static const char *
rewrite_parameter(struct str text)
{
	struct str local, domain;

	if (address_split(text, &local, &domain) && domain.len > 0)
		return "append_dot_mydomain";
	if (str_contains(text, '!'))
		return "swap_bangpath";
	if (str_contains(text, '%'))
		return "allow_percent_hack";
	return "myorigin";
}

/* Not accepted now: tried again until the table answers. */
static void
explain_table_problem(struct explain *x, struct str address, const struct err *err)
{
	json_t *o = json_object();

	json_array_append_new(x->recipients, o);
	json_object_set_new(o, "address", json_printable(external(x, address)));
	explain_stay(x, o, "waits", err, "4.3.0");
}

/* From the completed address to all that it stands for. False: a table failed. */
static bool
explain_form(struct explain *x, struct str form, struct str *mapped_out)
{
	struct expand_result e;
	struct str mapped;
	struct err err;

	if (!mapping_address(&x->mapping, CANONICAL_ENVELOPE_RECIPIENT, form, &x->rows,
			     &mapped, &err) ||
	    !expand_recipient(x->mem, &x->rules, mapped, &e, &err)) {
		explain_table_problem(x, form, &err);
		return false;
	}
	explain_steps(x, &e);
	for (size_t i = 0; i < e.n_addresses; i++) {
		if (e.n_steps > 0)
			rows_add(&x->rows, 0, "recipient", external(x, e.addresses[i]),
				 STR_EMPTY);
		explain_recipient(x, e.addresses[i]);
	}
	*mapped_out = mapped;
	return true;
}

enum { COPY_SOURCES = 3 };

static bool
is_among(const struct str *list, size_t n, struct str address)
{
	for (size_t i = 0; i < n; i++) {
		if (str_ieq(list[i], address))
			return true;
	}
	return false;
}

/* Who gets a copy besides, of the three parameters; an address that two of them name gets
 * one. */
static bool
explain_copies(struct explain *x, struct str recipient)
{
	const struct {
		struct maps *maps;
		struct str address;
	} sources[COPY_SOURCES] = {{x->mapping.sender_bcc, x->sender},
				   {x->mapping.recipient_bcc, recipient},
				   {NULL, STR_EMPTY}};
	struct str copies[COPY_SOURCES];
	size_t n = 0;

	for (size_t i = 0; i < COPY_SOURCES; i++) {
		struct str copy;
		struct str why_copy;
		struct err err;

		if (!mapping_copy(&x->mapping, sources[i].maps, sources[i].address, &copy,
				  &why_copy, &err)) {
			explain_table_problem(x, recipient, &err);
			return false;
		}
		copies[n] = rewrite_form(x->mem, &x->rules, copy);
		if (copy.len == 0 || is_among(copies, n, copies[n]))
			continue;
		rows_add(&x->rows, 0, "copy", external(x, copies[n]), why_copy);
		if (!explain_form(x, copies[n++], &copy))
			return false;
	}
	return true;
}

static void
explain_address(struct explain *x, const char *argument)
{
	/* "<user@domain>", as copied from a log. */
	struct str text = address_without_brackets(str_from(argument));
	struct str internal = address_unquote(x->mem, text);
	struct str form = rewrite_form(x->mem, &x->rules, internal);
	struct err err;

	rows_add(&x->rows, 0, "address", text, STR_EMPTY);
	if (!mapping_address(&x->mapping, CANONICAL_ENVELOPE_SENDER, x->given_sender,
			     &x->rows, &x->sender, &err)) {
		explain_table_problem(x, form, &err);
		return;
	}
	if (str_eq(form, internal))
		rows_add(&x->rows, 1, "rewritten", STR("no"), STR_EMPTY);
	else
		rows_add(&x->rows, 1, "rewritten", external(x, form),
			 setting(x, rewrite_parameter(internal)));
	if (explain_form(x, form, &form))
		IGNORE(!explain_copies(x, form)); /* it has said why */
}

static void
explain_one(struct explain *x, const char *address)
{
	json_t *o;

	rows_init(&x->rows);
	x->recipients = json_array();
	explain_address(x, address);
	if (x->asker.no_resolver)
		rows_add(&x->rows, 1, "DNS", STR("asked directly"),
			 STR("the mail system's resolver does not run"));
	if (!x->json) {
		rows_print(&x->rows);
		rows_release(&x->rows);
		json_decref(x->recipients);
		return;
	}
	o = json_object();
	json_object_set_new(o, "address", json_printable(str_from(address)));
	json_object_set_new(o, "recipients", x->recipients);
	json_object_set_new(o, "rows", x->rows.list);
	json_array_append_new(x->all, o);
}

static void
explain_all(void *arg)
{
	struct explain *x = arg;

	for (char **a = x->addresses; *a != NULL; a++) {
		if (a != x->addresses && !x->json)
			putchar('\n');
		explain_one(x, *a);
	}
	asker_close(&x->asker);
}

/* ---- the command ---- */

/* The decisions are those of qmgr and cleanup, which are named so in no -o. */
static bool
load(struct explain *x, struct err *err)
{
	const struct config_options options = {.dir = x->dir, .process_name = "qmgr"};
	struct resolver_config resolver;

	if (!config_load(x->mem, &options, &x->config, err))
		return false;
	table_host_config(x->mem, x->config);
	return common_config_load(x->mem, x->config, &x->common, err) &&
	       master_config_load(x->mem, x->config, &x->master, err) &&
	       resolver_config_load(x->mem, x->config, &resolver, err) &&
	       servers_open(x->mem, resolver.resolver_nameservers, &x->servers, err) &&
	       master_cf_load(x->mem, x->config, &x->services, err) &&
	       rewrite_rules_load(x->mem, x->config, NULL, 0, &x->rules, err) &&
	       mapping_open(x->mem, x->config, &x->rules, &x->mapping, err);
}

static int
usage(void)
{
	fputs("usage: hikyaku explain [-c dir] [--from sender] [--offline] [--json] "
	      "address...\n"
	      "       hikyaku explain --smtp [-c dir] [--service name] [--offline] "
	      "[--json] client=... [helo=...] [from=...] [to=...] ...\n",
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

static bool
run(struct explain *x)
{
	struct loop *loop = loop_new();
	bool ok;

	x->all = x->json ? json_array() : NULL;
	asker_init(&x->asker, loop, x->common.queue_directory, &x->servers.now);
	ok = fiber_spawn(loop, "explain", explain_all, x) != NULL;
	if (ok)
		loop_run(loop);
	loop_free(&loop);
	if (ok && x->json)
		print_json(x);
	return ok;
}

int
explain_main(int argc, char **argv)
{
	static const struct option options[] = {{"from", required_argument, NULL, 'f'},
						{"offline", no_argument, NULL, 'o'},
						{"json", no_argument, NULL, 'j'},
						{"smtp", no_argument, NULL, 'S'},
						{"service", required_argument, NULL, 's'},
						{NULL, 0, NULL, 0}};
	struct explain x = {.given_sender = STR_EMPTY, .sender = STR_EMPTY};
	struct explain_smtp_options smtp = {0};
	bool is_smtp = false;
	struct err err;
	int c;

	while ((c = getopt_long(argc, argv, "c:f:js:", options, NULL)) != -1) {
		if (c == 'c')
			x.dir = optarg;
		else if (c == 'f')
			x.given_sender = address_without_brackets(str_from(optarg));
		else if (c == 'o')
			x.offline = true;
		else if (c == 'j')
			x.json = true;
		else if (c == 'S')
			is_smtp = true;
		else if (c == 's')
			smtp.service = optarg;
		else
			return usage();
	}
	if (optind == argc || (smtp.service != NULL && !is_smtp))
		return usage();
	if (is_smtp) {
		smtp.dir = x.dir;
		smtp.offline = x.offline;
		smtp.json = x.json;
		return explain_smtp(&smtp, argv + optind);
	}
	x.mem = arena_new();
	x.addresses = argv + optind;
	if (!load(&x, &err)) {
		fprintf(stderr, "hikyaku explain: %s\n", err.text);
		x.status = EXIT_UNUSABLE;
	} else {
		x.given_sender = rewrite_form(x.mem, &x.rules,
					      address_unquote(x.mem, x.given_sender));
		if (!run(&x))
			x.status = EXIT_UNUSABLE;
	}
	arena_free(&x.mem);
	return x.status;
}
