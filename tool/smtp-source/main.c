/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp-source(1): sends test messages, many at once.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "fiber/fiber.h"
#include "session.h"

enum { FILE_BYTES_MAX = 1 << 30, SESSIONS_MAX = 100000, SPARE_DESCRIPTORS = 50 };

struct options {
	int family;
	int64_t length;
	const char *file;
	int64_t messages;
};

NORETURN static void
usage(struct log *log)
{
	log_fatal(
		log, 1,
		"usage: smtp-source [-46AcdLNov] [-C connect_count] [-f from] [-F file] "
		"[-l length] [-m messages] [-M hostname] [-r recipients] "
		"[-R random_delay] [-s sessions] [-S subject] [-t to] [-T window] "
		"[-w delay] [inet:]host[:port]|unix:path");
}

static int64_t
number(struct log *log, const char *what, const char *text, int64_t max)
{
	int64_t value;

	if (!str_to_i64(str_from(text), 1, max, &value))
		log_fatal(log, 1, "bad %s: %s", what, text);
	return value;
}

static bool
flag(struct source *source, struct options *o, int c)
{
	const struct {
		int option;
		bool *value;
	} rows[] = {
		{'A', &source->go_on},      {'c', &source->show_counter},
		{'d', &source->stay},       {'L', &source->lmtp},
		{'N', &source->number_all}, {'o', &source->old_mode},
		{'v', &source->verbose},
	};

	if (c == '4' || c == '6') {
		o->family = c == '4' ? AF_INET : AF_INET6;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].option == c) {
			*rows[i].value = true;
			return true;
		}
	}
	return false;
}

static bool
number_option(struct source *source, struct options *o, int c, const char *arg)
{
	const struct {
		int option;
		const char *what;
		int64_t max;
		int *value;
	} rows[] = {
		{'C', "connection count", INT_MAX, &source->connect_tries},
		{'r', "recipient count", INT_MAX, &source->recipients},
		{'R', "random delay", 86400, &source->random_delay_s},
		{'s', "session count", SESSIONS_MAX, &source->sessions},
		{'T', "TCP window size", 65535, &source->window_bytes},
		{'w', "delay", 86400, &source->fixed_delay_s},
	};

	if (c == 'l') {
		o->length = number(source->log, "message length", arg, FILE_BYTES_MAX);
		return true;
	}
	if (c == 'm') {
		o->messages = number(source->log, "message count", arg, INT_MAX);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].option == c) {
			*rows[i].value =
				(int)number(source->log, rows[i].what, arg, rows[i].max);
			return true;
		}
	}
	return false;
}

static bool
text_option(struct source *source, struct options *o, int c, const char *arg)
{
	switch (c) {
	case 'f':
		source->from = arg;
		return true;
	case 'F':
		o->file = arg;
		return true;
	case 'M':
		source->host = arg;
		return true;
	case 'S':
		source->subject = arg;
		return true;
	case 't':
		source->to = arg;
		return true;
	default:
		return false;
	}
}

static void
check_combinations(const struct source *source, const struct options *o)
{
	if (o->length > 0 && o->file != NULL)
		log_fatal(source->log, 1, "-l option cannot be used with -F");
	if (source->fixed_delay_s > 0 && source->random_delay_s > 0)
		log_fatal(source->log, 1, "use only one of -w and -R");
}

static void
parse_options(struct source *source, struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "46AcC:df:F:l:Lm:M:Nor:R:s:S:t:T:vw:")) != -1) {
		if (!flag(source, o, c) && !number_option(source, o, c, optarg) &&
		    !text_option(source, o, c, optarg))
			usage(source->log);
	}
	if (argc - optind != 1)
		usage(source->log);
	check_combinations(source, o);
}

static const char *
machine_name(struct arena *mem)
{
	char *name = arena_alloc(mem, HOST_NAME_MAX + 1);

	return gethostname(name, HOST_NAME_MAX) == 0 ? name : "localhost";
}

static void
set_defaults(struct arena *mem, struct source *source, const struct options *o)
{
	const char *foo;

	if (source->host == NULL)
		source->host = machine_name(mem);
	foo = str_printf(mem, "foo@%s", source->host).p;
	if (source->from == NULL)
		source->from = foo;
	if (source->to == NULL)
		source->to = foo;
	source->remaining = o->messages;
	source->sessions = (int)MIN_OF(o->messages, (int64_t)source->sessions);
}

static void
prepare_body(struct arena *mem, struct source *source, const struct options *o)
{
	struct str content;
	struct err err;

	if (o->file == NULL) {
		source->body = source_make_body(mem, o->length);
		return;
	}
	if (!io_read_file(mem, AT_FDCWD, o->file, FILE_BYTES_MAX, &content, &err))
		log_fatal(source->log, 1, "%s", err.text);
	source->body = source_stuff(mem, content);
	source->body_has_headers = true;
}

static void
allow_descriptors(const struct source *source)
{
	rlim_t need = (rlim_t)source->sessions + SPARE_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = MIN_OF(need, limit.rlim_max);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < need)
		log_fatal(source->log, 1,
			  "the limit of open files does not allow %d sessions",
			  source->sessions);
}

int
main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct source source = {.sessions = 1, .recipients = 1, .connect_tries = 1};
	struct options o = {.family = AF_UNSPEC, .messages = 1};
	struct err err;

	source.log = log_new("smtp-source");
	parse_options(&source, &o, argc, argv);
	set_defaults(mem, &source, &o);
	source.endpoint = ARENA_NEW(mem, struct endpoint);
	if (!endpoint_for_connecting(mem, argv[optind], o.family, "smtp", source.endpoint,
				     &err))
		log_fatal(source.log, 1, "%s", err.text);
	prepare_body(mem, &source, &o);
	allow_descriptors(&source);
	srandom((unsigned)time(NULL) ^ (unsigned)getpid());
	source.loop = loop_new();
	for (int i = 0; i < source.sessions; i++) {
		if (fiber_spawn(source.loop, "session", session_main, &source) == NULL)
			log_fatal(source.log, 1, "no memory for %d sessions",
				  source.sessions);
	}
	loop_run(source.loop);
	if (source.show_counter)
		printf("\n");
	loop_free(&source.loop);
	log_free(&source.log);
	arena_free(&mem);
	return 0;
}
