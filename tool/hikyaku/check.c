/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/macros.h"

#include "config/resolver_config.h"
#include "daemon/masterlock.h"
#include "daemon/privilege.h"
#include "table/host.h"

#include "check_rows.h"
#include "finding.h"

enum { EXIT_NOTES = 0, EXIT_WARNINGS = 1, EXIT_ERRORS = 2, EXIT_USAGE = 64 };

/* What must have been loaded; each includes CONFIG, all but the first AREAS. */
enum need { NEED_CONFIG, NEED_AREAS, NEED_SERVICES, NEED_NETWORK };

static const struct row {
	const char *name;
	enum finding_level level;
	enum need need;
	bool told;
	void (*run)(struct check *c);
	const char *about;
} rows[] = {
#define CHECK(name, level, need, told, about)                                            \
	{#name, FINDING_##level, NEED_##need, told, check_##name, about},
#include "checks.def"
#undef CHECK
};

struct options {
	const char *dir;
	bool offline;
	bool brief;
	bool json;
	bool untold; /* leave out what postfix check says itself */
};

static const char *const level_names[] = {
	[FINDING_NOTE] = "note",
	[FINDING_WARNING] = "warning",
	[FINDING_ERROR] = "error",
};

/* ---- printing ---- */

/* "file:3: relayhost = x: " as far as there is one. */
static struct str
place_text(struct arena *mem, struct place p)
{
	struct str out = STR_EMPTY;

	if (p.file != NULL && p.line > 0)
		out = str_printf(mem, "%s:%u: ", p.file, p.line);
	else if (p.file != NULL)
		out = str_printf(mem, "%s: ", p.file);
	if (p.what.len > 0)
		out = str_printf(mem, PRI_STR PRI_STR ": ", STR_ARG(out),
				 STR_ARG(p.what));
	return str_printable(mem, out, true);
}

static void
print_brief(struct arena *mem, const struct finding *f)
{
	struct str place = place_text(mem, f->place);
	struct str text = str_printable(mem, f->text, true);
	struct str advice = str_printable(mem, f->advice, true);

	printf("%s: " PRI_STR PRI_STR "%s" PRI_STR "\n", level_names[f->level],
	       STR_ARG(place), STR_ARG(text), advice.len > 0 ? " " : "", STR_ARG(advice));
}

/* Words in lines of at most 80 columns, with two blanks before each. */
static void
print_wrapped(struct arena *mem, struct str text)
{
	struct str printable = str_printable(mem, text, true);
	struct str word;
	size_t column = 0;

	while (str_token(&printable, " ", &word)) {
		bool fits = column > 0 && column + 1 + word.len <= 80;

		if (column > 0 && !fits)
			putchar('\n');
		printf("%s" PRI_STR, fits ? " " : "  ", STR_ARG(word));
		column = fits ? column + 1 + word.len : 2 + word.len;
	}
	putchar('\n');
}

static void
print_paragraph(struct arena *mem, const struct finding *f)
{
	struct str place = str_trim(place_text(mem, f->place));

	if (str_ends(place, STR(":")))
		place.len--;
	printf("%s  " PRI_STR "\n", level_names[f->level], STR_ARG(place));
	print_wrapped(mem, f->text);
	if (f->advice.len > 0)
		print_wrapped(mem, f->advice);
	putchar('\n');
}

static json_t *
json_text(struct arena *mem, struct str s)
{
	return json_string(str_c(mem, str_printable(mem, s, true)));
}

static void
print_json(const struct check *c)
{
	json_t *top = json_object();
	json_t *all = json_array();
	char *text;

	for (size_t i = 0; i < c->n_findings; i++) {
		const struct finding *f = &c->findings[i];
		json_t *o = json_object();

		json_object_set_new(o, "level", json_string(level_names[f->level]));
		json_object_set_new(o, "check", json_string(f->check));
		json_object_set_new(o, "file",
				    f->place.file == NULL
					    ? json_null()
					    : json_text(c->mem, str_from(f->place.file)));
		json_object_set_new(o, "line",
				    f->place.line == 0 ? json_null()
						       : json_integer(f->place.line));
		json_object_set_new(o, "what", json_text(c->mem, f->place.what));
		json_object_set_new(o, "text", json_text(c->mem, f->text));
		json_object_set_new(o, "advice", json_text(c->mem, f->advice));
		json_array_append_new(all, o);
	}
	json_object_set_new(top, "complete", json_boolean(!c->stopped));
	json_object_set_new(top, "findings", all);
	text = json_dumps(top, JSON_INDENT(2));
	puts(text);
	free(text);
	json_decref(top);
}

static void
print_summary(const struct check *c)
{
	size_t n[ARRAY_LEN(level_names)] = {0};

	for (size_t i = 0; i < c->n_findings; i++)
		n[c->findings[i].level]++;
	if (c->n_findings == 0)
		puts("Nothing found.");
	else
		printf("%zu error%s, %zu warning%s, %zu note%s.\n", n[FINDING_ERROR],
		       n[FINDING_ERROR] == 1 ? "" : "s", n[FINDING_WARNING],
		       n[FINDING_WARNING] == 1 ? "" : "s", n[FINDING_NOTE],
		       n[FINDING_NOTE] == 1 ? "" : "s");
	if (c->stopped)
		puts("Correct the errors and run the check again: the rest could not be "
		     "looked at.");
}

static void
print_findings(const struct check *c, const struct options *o)
{
	if (o->json) {
		print_json(c);
		return;
	}
	for (size_t i = 0; i < c->n_findings; i++) {
		if (o->brief)
			print_brief(c->mem, &c->findings[i]);
		else
			print_paragraph(c->mem, &c->findings[i]);
	}
	if (!o->brief)
		print_summary(c);
}

static void
list_rows(void)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		printf("%-20s %-8s %s\n", rows[i].name, level_names[rows[i].level],
		       rows[i].about);
}

/* ---- loading ---- */

/* Something so wrong that the rows cannot even begin. parameter: whose value it is, for
 * an error that does not say where it comes from itself; else NULL. */
static void
cannot_load(struct check *c, const char *parameter, const struct err *err)
{
	struct str text = str_from(arena_strdup(c->mem, err->text));
	struct place place = parameter != NULL ? place_parameter(c, parameter)
					       : place_from_text(c, &text);

	c->row = "bad_value";
	c->row_findings = 0;
	c->level = FINDING_ERROR;
	finding_add(c, place, text, STR_EMPTY);
}

static bool
load_config(struct check *c, const char *dir)
{
	const struct config_options options = {
		.dir = dir, .process_name = "smtp", .service_name = "smtp"};
	struct err err;

	if (config_load(c->mem, &options, &c->config, &err)) {
		table_host_config(c->mem, c->config);
		return true;
	}
	cannot_load(c, NULL, &err);
	return false;
}

static void
find_people(struct check *c)
{
	struct err err;
	gid_t group;

	c->root = geteuid() == 0;
	c->owner = geteuid();
	c->setgid_group = getegid();
	if (!c->root)
		return;
	if (!privilege_find_user(str_c(c->mem, c->common.mail_owner), &c->owner, &group,
				 &err))
		cannot_load(c, "mail_owner", &err);
	if (!privilege_find_group(str_c(c->mem, c->common.setgid_group), &c->setgid_group,
				  &err))
		cannot_load(c, "setgid_group", &err);
}

static bool
load_areas(struct check *c)
{
	size_t before = c->n_findings;
	struct err err;
	pid_t pid;

	if (!common_config_load(c->mem, c->config, &c->common, &err) ||
	    !smtp_config_load(c->mem, c->config, &c->smtp, &err) ||
	    !qmgr_config_load(c->mem, c->config, &c->qmgr, &err) ||
	    !master_config_load(c->mem, c->config, &c->master, &err) ||
	    !rewrite_rules_load(c->mem, c->config, NULL, 0, &c->rules, &err)) {
		bool told = false;

		for (size_t i = 0; i < before; i++)
			told = told || c->findings[i].level == FINDING_ERROR;
		if (!told)
			cannot_load(c, NULL, &err);
		return false;
	}
	find_people(c);
	c->running = masterlock_look(str_printf(c->mem, PRI_STR "/" PRI_STR "/master.pid",
						STR_ARG(c->common.queue_directory),
						STR_ARG(c->master.process_id_directory))
					     .p,
				     &pid, &err) == MASTERLOCK_HELD;
	return true;
}

static bool
load_servers(struct check *c)
{
	struct resolver_config resolver;
	struct servers_source source;
	struct err err;

	if (!resolver_config_load(c->mem, c->config, &resolver, &err) ||
	    !servers_open(c->mem, resolver.resolver_nameservers, &source, &err)) {
		cannot_load(c, NULL, &err);
		return false;
	}
	stub_init(&c->dns, &source.now, STUB_BUDGET_MS);
	return true;
}

/* ---- running ---- */

static void
run_rows(struct check *c, const struct options *o, enum need need)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].need != need || (o->untold && rows[i].told))
			continue;
		c->row = rows[i].name;
		c->level = rows[i].level;
		c->row_findings = 0;
		rows[i].run(c);
	}
}

static void
run_all(struct check *c, const struct options *o)
{
	struct err err;

	c->stopped = true;
	if (!load_config(c, o->dir))
		return;
	run_rows(c, o, NEED_CONFIG);
	if (!load_areas(c))
		return;
	c->stopped = false;
	run_rows(c, o, NEED_AREAS);
	if (master_cf_load(c->mem, c->config, &c->services, &err))
		run_rows(c, o, NEED_SERVICES);
	if (!o->offline && load_servers(c))
		run_rows(c, o, NEED_NETWORK);
}

static int
exit_status(const struct check *c)
{
	enum finding_level worst = FINDING_NOTE;

	for (size_t i = 0; i < c->n_findings; i++)
		worst = MAX_OF(worst, c->findings[i].level);
	return worst == FINDING_ERROR     ? EXIT_ERRORS
	       : worst == FINDING_WARNING ? EXIT_WARNINGS
					  : EXIT_NOTES;
}

static int
usage(void)
{
	fputs("usage: hikyaku check [-c dir] [--offline] [--brief | --json] [--untold] "
	      "[--list]\n",
	      stderr);
	return EXIT_USAGE;
}

int
check_main(int argc, char **argv)
{
	static const struct option options[] = {
		{"brief", no_argument, NULL, 'b'},  {"json", no_argument, NULL, 'j'},
		{"list", no_argument, NULL, 'l'},   {"offline", no_argument, NULL, 'o'},
		{"untold", no_argument, NULL, 'u'}, {NULL, 0, NULL, 0}};
	struct options o = {.dir = NULL};
	struct check c = {.mem = NULL};
	int status;
	int ch;

	while ((ch = getopt_long(argc, argv, "c:j", options, NULL)) != -1) {
		if (ch == 'c') {
			o.dir = optarg;
		} else if (ch == 'b') {
			o.brief = true;
		} else if (ch == 'j') {
			o.json = true;
		} else if (ch == 'o') {
			o.offline = true;
		} else if (ch == 'u') {
			o.untold = true;
		} else if (ch == 'l') {
			list_rows();
			return EXIT_NOTES;
		} else {
			return usage();
		}
	}
	if (optind != argc || (o.brief && o.json))
		return usage();
	c.mem = arena_new();
	c.findings = arena_alloc_array(c.mem, FINDINGS_MAX, sizeof(*c.findings));
	run_all(&c, &o);
	print_findings(&c, &o);
	status = exit_status(&c);
	arena_free(&c.mem);
	return status;
}
