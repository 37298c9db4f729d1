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
#include "scan.h"
#include "source.h"
#include "story.h"

enum { EXIT_FOUND = 0, EXIT_NOTHING = 1, EXIT_USAGE = 2 };
enum { FEW = 3, FOLLOW_MS = 500, KEY_MIN = 3 };

struct trace {
	struct arena *mem;
	struct str key;
	bool json, all, follow;
	struct scan_range range;
	const char *const *names;
	const char *config_dir;   /* -c; NULL: the usual one, which may be missing */
	const char *maillog_file; /* from main.cf, or NULL */
	struct schedule schedule;
	struct logfiles files;
	struct story *story;
	struct scan *scan;
	struct render render;
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
			t->all = true;
		else if (c == 'c')
			t->config_dir = optarg;
		else if (c == 'j')
			t->json = true;
		else if (c == 'f')
			t->follow = true;
		else if (c == 's') {
			if (!parse_time(optarg, false, &t->range.since_us))
				return false;
		} else if (c == 'u') {
			if (!parse_time(optarg, true, &t->range.until_us))
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
	t->key = str_trim(str_from(argv[optind]));
	t->names = (const char *const *)argv + optind + 1;
	return true;
}

/* A message-id or address may be given with its brackets. */
static bool
prepare_key(struct trace *t)
{
	if (str_starts(t->key, STR("<")) && str_ends(t->key, STR(">")) && t->key.len > 2)
		t->key = (struct str){t->key.p + 1, t->key.len - 2};
	if (t->key.len >= KEY_MIN && t->key.len <= FIND_PATTERN_MAX)
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
		else if (!t->json)
			warn("the beginning of some messages is no longer in memory; "
			     "name "
			     "the file to see it");
	}
}

static const char *
show_time(struct trace *t, int64_t us)
{
	time_t s = us / 1000000;
	struct tm tm = {0};
	char text[40];

	localtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	return arena_strdup(t->mem, text);
}

static void
tell_nothing(struct trace *t)
{
	const struct scan_facts *f = scan_facts(t->scan);
	FILE *out = t->render.out;

	fprintf(out, "Nothing found for " PRI_STR ".\n",
		STR_ARG(str_printable(t->mem, t->key, true)));
	fprintf(out, "searched    ");
	for (size_t i = 0; i < t->files.n; i++)
		fprintf(out, "%s%s", i == 0 ? "" : ", ", t->files.names[i]);
	fprintf(out, "\n            %llu lines", (unsigned long long)f->lines);
	if (f->first_us != 0)
		fprintf(out, ", from %s to %s", show_time(t, f->first_us),
			show_time(t, f->last_us));
	fputc('\n', out);
	if (t->range.since_us != INT64_MIN || t->range.until_us != INT64_MAX)
		fputs("            only what falls between --since and --until\n", out);
	fputs("to try      a part that is certainly right: the local part or the domain "
	      "alone,\n"
	      "            the other side's address, or an older log (name the files)\n",
	      out);
	if (t->files.n_failed > 0)
		fputs("            run as root or in group adm: some logs could not be "
		      "read\n",
		      out);
}

/* Before anything is told: what may be missing from it. */
static void
tell_gaps(struct trace *t)
{
	const struct scan_facts *f = scan_facts(t->scan);
	uint64_t huge = 0;

	for (size_t i = 0; i < t->files.n; i++) {
		const struct source_facts *s = source_facts(t->files.sources[i]);

		huge += s->huge_lines;
		if (s->damaged)
			fprintf(stderr, "hikyaku trace: %s ends early: damaged or cut\n",
				s->path);
	}
	if (huge > 0)
		fprintf(stderr, "hikyaku trace: %llu line%s too long to be log lines\n",
			(unsigned long long)huge, huge == 1 ? "" : "s");
	if (f->damaged > 0)
		fprintf(stderr, "hikyaku trace: %llu damaged line%s\n",
			(unsigned long long)f->damaged, f->damaged == 1 ? "" : "s");
	if (story_dropped(t->story) > 0 || f->too_many)
		fprintf(stderr,
			"hikyaku trace: too much matches; not everything is shown. "
			"Use --since or a narrower key\n");
}

static int64_t
group_time(const struct group *g)
{
	return g->messages[0]->events[0]->line.time_us;
}

static size_t
show_results(struct trace *t)
{
	size_t n_groups;
	size_t n_loose;
	struct group **groups = story_groups(t->story, &n_groups);
	struct event **loose = story_loose(t->story, &n_loose);
	bool brief = !t->all && n_groups + n_loose > FEW;

	if (t->json) {
		render_json(&t->render,
			    &(struct render_facts){
				    .key = str_c(t->mem, t->key),
				    .files = t->files.names,
				    .n_files = t->files.n,
				    .bytes = scan_facts(t->scan)->bytes,
				    .lines = scan_facts(t->scan)->lines,
				    .damaged = scan_facts(t->scan)->damaged,
				    .not_kept = story_dropped(t->story),
			    },
			    groups, n_groups, loose, n_loose);
		return n_groups + n_loose;
	}
	for (size_t g = 0, l = 0; g < n_groups || l < n_loose;) {
		if (!brief && g + l > 0)
			fputc('\n', t->render.out);
		if (l < n_loose &&
		    (g == n_groups || loose[l]->line.time_us < group_time(groups[g])))
			render_text_loose(&t->render, loose[l++], brief);
		else if (brief)
			render_text_summary(&t->render, groups[g++]);
		else
			render_text_group(&t->render, groups[g++]);
	}
	if (brief)
		fprintf(t->render.out,
			"%zu messages, %zu lines without one. In full: --all, or trace a "
			"queue id.\n",
			n_groups, n_loose);
	return n_groups + n_loose;
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
		if (t->json)
			render_json_event(&t->render, e);
		else
			render_text_event(&t->render, e);
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
	fflush(t->render.out);
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

int
trace_main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct trace t = {.mem = mem, .range = {INT64_MIN, INT64_MAX}};
	struct err err;
	int status = EXIT_USAGE;

	if (!parse_options(&t, argc, argv) || !prepare_key(&t) || !load_config(&t))
		goto out;
	if (!logfiles_open(mem, t.names, t.maillog_file, warn, &t.files, &err)) {
		warn(err.text);
		goto out;
	}
	t.story = story_new(arena_new_child(mem));
	t.scan = scan_new(mem, t.story, t.key, t.range);
	t.render = (struct render){
		.out = stdout,
		.mem = arena_new_child(mem),
		.schedule = &t.schedule,
		.colour = !t.json && isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL,
	};
	scan_all(&t);
	story_finish(t.story);
	tell_gaps(&t);
	status = EXIT_FOUND;
	if (show_results(&t) == 0) {
		status = t.files.n_failed > 0 ? EXIT_USAGE : EXIT_NOTHING;
		if (!t.json)
			tell_nothing(&t);
	}
	if (t.follow)
		follow(&t);
out:
	arena_free(&mem);
	return status;
}
