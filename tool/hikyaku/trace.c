/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/sys.h"
#include "config/config.h"

#include "find.h"
#include "log_stamp.h"
#include "logfiles.h"
#include "outcome.h"
#include "render.h"
#include "report.h"
#include "scan.h"
#include "source.h"
#include "story.h"

enum { EXIT_FOUND = 0, EXIT_NOTHING = 1, EXIT_USAGE = 2 };
enum { FOLLOW_MS = 500, KEY_MIN = 3 };

struct trace {
	struct arena *mem;
	bool follow;
	struct scan_options options;
	const char *const *names;
	const char *config_dir;   /* -c; NULL: the usual one, which may be missing */
	const char *maillog_file; /* from main.cf, or NULL */
	struct schedule schedule;
	struct logfiles files;
	struct story *story;
	struct scan *scan;
	struct report report; /* also has the key and --json */
};

static void
warn(const char *text)
{
	fprintf(stderr, "hikyaku trace: %s\n", text);
}

static int
usage(void)
{
	fputs("usage: hikyaku trace [--all] [--json] [--follow] [--since TIME] [--until "
	      "TIME] [-c CONFIG_DIR] KEY [FILE...]\n"
	      "KEY: mail address, queue id, message-id, host name or IP address\n"
	      "TIME: 2026-11-24, \"2026-11-24 10:00\", 10:00, yesterday, 2h, 3d\n",
	      stderr);
	return EXIT_USAGE;
}

static bool
parse_time(const char *text, bool end_of_day, int64_t *out)
{
	if (log_stamp_parse_when(str_from(text), sys_now_us() / 1000000, end_of_day, out))
		return true;
	fprintf(stderr, "hikyaku trace: not a time: %s\n", text);
	return false;
}

static bool
parse_options(struct trace *t, int argc, char **argv)
{
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},
		{"json", no_argument, NULL, 'j'},
		{"follow", no_argument, NULL, 'f'},
		{"since", required_argument, NULL, 's'},
		{"until", required_argument, NULL, 'u'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "ac:jfs:u:", options, NULL)) != -1) {
		if (c == 'a')
			t->options.sessions = true;
		else if (c == 'c')
			t->config_dir = optarg;
		else if (c == 'j')
			t->report.json = true;
		else if (c == 'f')
			t->follow = true;
		else if (c == 's') {
			if (!parse_time(optarg, false, &t->options.since_us))
				return false;
		} else if (c == 'u') {
			if (!parse_time(optarg, true, &t->options.until_us))
				return false;
		} else {
			usage();
			return false;
		}
	}
	if (optind >= argc) {
		usage();
		return false;
	}
	t->report.key = str_trim(str_from(argv[optind]));
	t->names = (const char *const *)argv + optind + 1;
	return true;
}

/* A message-id or address may be given with its brackets. */
static bool
prepare_key(struct trace *t)
{
	if (str_starts(t->report.key, STR("<")) && str_ends(t->report.key, STR(">")) &&
	    t->report.key.len > 2)
		t->report.key = (struct str){t->report.key.p + 1, t->report.key.len - 2};
	if (t->report.key.len >= KEY_MIN && t->report.key.len <= FIND_PATTERN_MAX)
		return true;
	fprintf(stderr, "hikyaku trace: a key has %d to %d characters\n", KEY_MIN,
		FIND_PATTERN_MAX);
	return false;
}

/* The log's place and the times of the queue. Without a main.cf (a machine that only
 * collects logs) the defaults are used, unless -c named one. */
static bool
load_config(struct trace *t)
{
	const struct config_options options = {.dir = t->config_dir};
	struct schedule s = schedule_default;
	struct config *cfg;
	struct str maillog_file;
	struct err err;

	t->schedule = s;
	if (!config_load(t->mem, &options, &cfg, &err)) {
		if (t->config_dir == NULL && err.errnum == ENOENT)
			return true;
		warn(err.text);
		return t->config_dir == NULL;
	}
	if (!config_get_time(cfg, STR("minimal_backoff_time"), &s.minimal_backoff_s,
			     &err) ||
	    !config_get_time(cfg, STR("maximal_backoff_time"), &s.maximal_backoff_s,
			     &err) ||
	    !config_get_time(cfg, STR("maximal_queue_lifetime"), &s.queue_lifetime_s,
			     &err) ||
	    !config_get_time(cfg, STR("bounce_queue_lifetime"), &s.bounce_lifetime_s,
			     &err) ||
	    !config_get(t->mem, cfg, STR("maillog_file"), &maillog_file, &err)) {
		warn(err.text);
		return t->config_dir == NULL;
	}
	t->schedule = s;
	t->maillog_file = str_c(t->mem, maillog_file);
	return true;
}

static void
scan_all(struct trace *t)
{
	struct err err;

	if (t->follow)
		source_follow(t->files.sources[t->files.n - 1]);
	for (size_t i = 0; i < t->files.n; i++)
		scan_run(t->scan, t->files.sources[i], (unsigned)i);
	if (!scan_needs_second_pass(t->scan))
		return;
	for (size_t i = 0; i < t->files.n; i++) {
		if (source_rewind(t->files.sources[i], &err))
			scan_run_again(t->scan, t->files.sources[i], (unsigned)i);
		else if (!t->report.json)
			warn("the beginning of some messages is no longer in memory; "
			     "name "
			     "the file to see it");
	}
}

/* Lines that were added since the last time, each once. */
static void
show_new(struct trace *t, size_t *seen, struct map *shown)
{
	size_t n;
	struct event **events = story_events(t->story, &n);

	for (; *seen < n; (*seen)++) {
		struct event *e = events[*seen];
		struct str place = str_printf(t->mem, "%u %llu", e->file,
					      (unsigned long long)e->offset);

		if (map_find(shown, place) != NULL)
			continue;
		map_set(shown, place, e);
		if (t->report.json)
			render_json_event(&t->report.render, e);
		else
			render_text_event(&t->report.render, e);
	}
}

static void
follow(struct trace *t)
{
	struct map *shown = map_new_in(t->mem);
	struct source *source = t->files.sources[t->files.n - 1];
	const char *name = t->files.names[t->files.n - 1];
	unsigned file = (unsigned)t->files.n - 1;
	size_t seen;
	struct event **events = story_events(t->story, &seen);

	for (size_t i = 0; i < seen; i++)
		map_set(shown,
			str_printf(t->mem, "%u %llu", events[i]->file,
				   (unsigned long long)events[i]->offset),
			events[i]);
	fflush(t->report.render.out);
	for (;;) {
		struct source *next;
		struct err err;
		bool rotated = source_was_rotated(source);

		scan_run(t->scan, source, file);
		show_new(t, &seen, shown);
		/* What was written before the rename has been read above. */
		if (rotated && source_open(t->mem, name, &next, &err)) {
			source = next;
			source_follow(source);
			file++;
			continue;
		}
		poll(NULL, 0, FOLLOW_MS);
	}
}

static void
prepare_report(struct trace *t)
{
	struct report *r = &t->report;

	r->render = (struct render){
		.out = stdout,
		.mem = arena_new_child(t->mem),
		.schedule = &t->schedule,
		.colour = !r->json && isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL,
	};
	r->files = &t->files;
	r->scan = t->scan;
	r->story = t->story;
	r->all = t->options.sessions;
	r->limited = t->options.since_us != INT64_MIN || t->options.until_us != INT64_MAX;
}

int
trace_main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct trace t = {.mem = mem, .options = {INT64_MIN, INT64_MAX, false}};
	struct err err;
	int status = EXIT_USAGE;

	if (!parse_options(&t, argc, argv) || !prepare_key(&t) || !load_config(&t))
		goto out;
	if (!logfiles_open(mem, t.names, t.maillog_file, warn, &t.files, &err)) {
		warn(err.text);
		goto out;
	}
	t.story = story_new(arena_new_child(mem));
	t.scan = scan_new(mem, t.story, t.report.key, t.options);
	scan_all(&t);
	story_finish(t.story);
	prepare_report(&t);
	report_gaps(&t.report);
	status = EXIT_FOUND;
	if (report_found(&t.report) == 0) {
		status = t.files.n_failed > 0 ? EXIT_USAGE : EXIT_NOTHING;
		if (!t.report.json)
			report_nothing(&t.report);
	}
	if (t.follow)
		follow(&t);
out:
	arena_free(&mem);
	return status;
}
