/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postlog(1): log lines from the command line or standard input, as the mail system's
 * own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "daemon/logging.h"

enum { LINE_BYTES_MAX = 65536, LINE_BYTES = 4096 };

static const struct {
	const char *name;
	enum log_level level;
} priorities[] = {
	{"info", LOG_LEVEL_INFO},       {"warn", LOG_LEVEL_WARNING},
	{"warning", LOG_LEVEL_WARNING}, {"error", LOG_LEVEL_ERROR},
	{"err", LOG_LEVEL_ERROR},       {"fatal", LOG_LEVEL_FATAL},
	{"crit", LOG_LEVEL_FATAL},      {"panic", LOG_LEVEL_PANIC},
};

struct postlog {
	struct log *log;
	const char *config_dir;
	const char *tag; /* NULL: the default */
	enum log_level level;
};

static bool
set_priority(struct postlog *p, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(priorities); i++) {
		if (strcasecmp(priorities[i].name, name) == 0) {
			p->level = priorities[i].level;
			return true;
		}
	}
	return false;
}

static void
parse_options(struct postlog *p, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "c:ip:t:v")) != -1) {
		switch (c) {
		case 'c':
			p->config_dir = optarg;
			break;
		case 'i':
			break; /* the process id is always there */
		case 'p':
			if (!set_priority(p, optarg))
				log_fatal(p->log, 1, "unknown logging priority \"%s\"",
					  optarg);
			break;
		case 't':
			p->tag = optarg;
			break;
		case 'v':
			log_set_level(p->log, LOG_LEVEL_DEBUG);
			break;
		default:
			log_fatal(p->log, 1,
				  "usage: %s [-c config_dir] [-i] [-p priority] [-t tag] "
				  "[-v] [text]",
				  argv[0]);
		}
	}
}

static void
log_text(const struct postlog *p, struct str text)
{
	log_write(p->log, p->level, PRI_STR, STR_ARG(text));
}

static void
log_arguments(const struct postlog *p, struct arena *mem, char **words)
{
	struct buf *text = buf_new(mem, LINE_BYTES_MAX);

	for (size_t i = 0; words[i] != NULL; i++) {
		if (i > 0)
			buf_add_char(text, ' ');
		buf_add_c(text, words[i]);
	}
	log_text(p, buf_str(text));
}

/* A line that is too long comes in pieces; the log cuts them anyway. */
static void
log_input(const struct postlog *p)
{
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), stdin) != NULL)
		log_text(p, str_trim_right(str_from(line)));
}

int
main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct postlog p = {.level = LOG_LEVEL_INFO, .log = log_new("postfix/postlog")};
	struct config_options options = {.process_name = "postlog"};
	struct config *cfg;
	struct err err;

	parse_options(&p, argc, argv);
	options.dir = p.config_dir;
	if (!config_load(mem, &options, &cfg, &err) ||
	    !logging_open(p.log, mem, cfg, "postlog", &err))
		log_fatal(p.log, 1, "%s", err.text);
	if (p.tag != NULL)
		log_set_tag(p.log, p.tag);
	/* As Postfix: people who watch see it too. */
	if (isatty(STDERR_FILENO))
		log_copy_stderr(p.log, LOG_LEVEL_DEBUG);
	if (argv[optind] != NULL)
		log_arguments(&p, mem, argv + optind);
	else
		log_input(&p);
	log_free(&p.log);
	arena_free(&mem);
	return 0;
}
