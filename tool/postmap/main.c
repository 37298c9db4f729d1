/* SPDX-License-Identifier: Apache-2.0 */
/* postmap and, by the name of postalias, the same for files of aliases(5). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "config/config.h"
#include "table/host.h"

#include "create.h"
#include "postmap.h"
#include "query.h"

static void say(const struct postmap *p, const char *kind, const char *format, va_list ap)
	PRINTF_LIKE(3, 0);

static void
say(const struct postmap *p, const char *kind, const char *format, va_list ap)
{
	struct arena *mem = arena_new();
	struct str text = str_vprintf(mem, format, ap);

	/* What was written to standard output came first. */
	fflush(stdout);
	fprintf(stderr, "%s: %s: %s\n", p->program, kind,
		str_printable(mem, text, true).p);
	arena_free(&mem);
}

void
postmap_warn(const struct postmap *p, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(p, "warning", format, ap);
	va_end(ap);
}

void
postmap_die(const struct postmap *p, const char *format, ...)
{
	struct arena *mem = p->mem;
	va_list ap;

	va_start(ap, format);
	say(p, "fatal", format, ap);
	va_end(ap);
	/* A temporary file goes with the arena that it is tied to; that of a table in
	 * the making ends here at the latest. */
	arena_free(&mem);
	exit(1);
}

void
postmap_split(const struct postmap *p, struct str argument, struct str *type_out,
	      struct str *name_out)
{
	if (str_split(argument, ':', type_out, name_out))
		return;
	*type_out = p->default_type;
	*name_out = argument;
}

/* What the options ask for besides how. */
struct wish {
	const char *config_dir;
	const char *query;  /* -q */
	const char *delete; /* -d */
	bool dump;          /* -s */
	bool no_utf8;       /* -u */
	bool message;       /* -b -h -m */
};

NORETURN static void
usage(const struct postmap *p)
{
	postmap_die(p,
		    "usage: %s [-%s] [-c config_dir] [-d key] [-q key] "
		    "[map_type:]file...",
		    p->program, p->aliases ? "Nfinoprsuvw" : "bfFhimnNoprsuUvw");
}

static void
set_key(const struct postmap *p, const struct wish *wish, const char **slot)
{
	if (wish->query != NULL || wish->delete != NULL || wish->dump)
		postmap_die(p, "specify only one of -s -q or -d");
	*slot = optarg;
}

/* Options that set one thing and no more. */
static bool
simple_option(struct postmap *p, int c)
{
	switch (c) {
	case 'f':
		p->fold = false;
		return true;
	case 'F':
		p->files = true;
		return true;
	case 'i':
		p->incremental = true;
		return true;
	case 'n':
		p->nul = BUILD_NUL_WITHOUT;
		return true;
	case 'N':
		p->nul = BUILD_NUL_WITH;
		return true;
	case 'o':
		p->keep_root = true;
		return true;
	case 'p':
		p->default_permissions = true;
		return true;
	case 'r':
		p->replace = true;
		return true;
	case 'w':
		p->quiet_duplicates = true;
		return true;
	default:
		return false;
	}
}

static void
parse_options(struct postmap *p, struct wish *wish, int argc, char **argv)
{
	const char *letters = "bc:d:fFhimnNopq:rsuUvw";
	int c;

	if (p->aliases)
		letters = "c:d:finNopq:rsuvw";
	while ((c = getopt(argc, argv, letters)) > 0) {
		if (simple_option(p, c))
			continue;
		switch (c) {
		case 'b':
		case 'h':
		case 'm':
			wish->message = true;
			break;
		case 'c':
			wish->config_dir = optarg;
			break;
		case 'd':
			set_key(p, wish, &wish->delete);
			break;
		case 'q':
			set_key(p, wish, &wish->query);
			break;
		case 's':
			if (wish->query != NULL || wish->delete != NULL)
				postmap_die(p, "specify only one of -s or -q or -d");
			wish->dump = true;
			break;
		case 'u':
			wish->no_utf8 = true;
			break;
		case 'U':
		case 'v':
			break;
		default:
			usage(p);
		}
	}
	if (!wish->message)
		return;
	if (wish->query == NULL || strcmp(wish->query, "-") != 0)
		postmap_die(p, "specify -b -h or -m only with \"-q -\"");
	postmap_die(p, "-b, -h and -m (keys from the lines of a message) are not "
		       "supported yet");
}

static void
load_config(struct postmap *p, const struct wish *wish)
{
	const struct config_options options = {.dir = wish->config_dir,
					       .process_name = p->program};
	struct config *cfg;
	struct err err;

	if (!config_load(p->mem, &options, &cfg, &err) ||
	    !config_get(p->mem, cfg, STR("default_database_type"), &p->default_type,
			&err) ||
	    !config_get(p->mem, cfg, STR("myhostname"), &p->hostname, &err) ||
	    !config_get_bool(cfg, STR("smtputf8_enable"), &p->utf8, &err))
		postmap_die(p, "%s", err.text);
	table_host_config(p->mem, cfg);
	if (wish->no_utf8)
		p->utf8 = false;
}

static int
run(const struct postmap *p, const struct wish *wish, char **tables, int n)
{
	if (wish->delete != NULL) {
		if (n == 0)
			usage(p);
		return strcmp(wish->delete, "-") == 0
			       ? delete_input(p, tables, n)
			       : delete_key(p, str_from(wish->delete), tables, n);
	}
	if (wish->query != NULL) {
		if (n == 0)
			usage(p);
		return strcmp(wish->query, "-") == 0
			       ? query_input(p, tables, n)
			       : query_key(p, str_from(wish->query), tables, n);
	}
	/* Postfix shows the first table, and says nothing if there is none. */
	if (wish->dump)
		return n == 0 ? 1 : query_dump(p, tables[0]);
	if (n == 0)
		usage(p);
	for (int i = 0; i < n; i++)
		create_table(p, tables[i]);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	struct postmap p = {.mem = arena_new(), .fold = true};
	struct wish wish = {.config_dir = NULL};
	int status;

	if (slash != NULL)
		argv[0] = argv[0] + (slash + 1 - argv[0]);
	p.program = argv[0];
	p.aliases = strcmp(p.program, "postalias") == 0;
	parse_options(&p, &wish, argc, argv);
	load_config(&p, &wish);
	status = run(&p, &wish, argv + optind, argc - optind);
	arena_free(&p.mem);
	return status;
}
