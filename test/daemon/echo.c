/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon for tests: answers a line with a line.
 *
 *	pid uid service wakeups generation	what they say
 *	config NAME	the parameter's value
 *	sleep MS	"slept" after that time, "cancelled" if told to stop
 *	open PATH	"opened" or the error
 *	panic, exit N	ends the process
 *
 * Argument "fail" makes the start fail, "in-place" is a daemon that reloads in place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/panic.h"
#include "base/str.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"

struct echo {
	unsigned wakeups;
	unsigned generation;
};

static bool
has_argument(const struct daemon *d, const char *word)
{
	for (const char *const *a = d->args; *a != NULL; a++) {
		if (strcmp(*a, word) == 0)
			return true;
	}
	return false;
}

static bool
init(struct daemon *d, struct err *err)
{
	d->state = ARENA_NEW(d->mem, struct echo);
	if (has_argument(d, "fail"))
		return err_set(err, ERR_CONFIG, "told to fail");
	return true;
}

static void
wakeup(struct daemon *d)
{
	struct echo *e = d->state;

	e->wakeups++;
}

static bool
reload(struct daemon *d, const struct config *fresh UNUSED, struct err *err UNUSED)
{
	struct echo *e = d->state;

	e->generation++;
	return true;
}

static struct str
answer_config(struct daemon *d, struct arena *mem, struct str name)
{
	struct str value;
	struct err err;

	if (!config_get(mem, d->config, name, &value, &err))
		return str_printf(mem, "error: %s", err.text);
	return value;
}

static struct str
answer_open(struct arena *mem, struct str path)
{
	int fd = open(str_c(mem, path), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return str_from(strerror(errno));
	close(fd);
	return STR("opened");
}

static int64_t
number(struct str text)
{
	int64_t n;

	return str_to_i64(text, 0, 1000000, &n) ? n : 0;
}

static struct str
answer(struct daemon *d, struct arena *mem, struct str line)
{
	const struct echo *e = d->state;
	struct str word = line;
	struct str rest = STR_EMPTY;

	IGNORE(str_split(line, ' ', &word, &rest));
	if (str_eq(word, STR("pid")))
		return str_printf(mem, "%d", (int)getpid());
	if (str_eq(word, STR("uid")))
		return str_printf(mem, "%d", (int)geteuid());
	if (str_eq(word, STR("service")))
		return str_from(d->service);
	if (str_eq(word, STR("wakeups")))
		return str_printf(mem, "%u", e->wakeups);
	if (str_eq(word, STR("generation")))
		return str_printf(mem, "%u", e->generation);
	if (str_eq(word, STR("config")))
		return answer_config(d, mem, rest);
	if (str_eq(word, STR("sleep")))
		return fiber_sleep(d->loop, number(rest)) ? STR("slept")
							  : STR("cancelled");
	if (str_eq(word, STR("open")))
		return answer_open(mem, rest);
	if (str_eq(word, STR("panic")))
		panic("told to panic");
	if (str_eq(word, STR("exit")))
		_exit((int)number(rest));
	return line;
}

static void
session(struct daemon *d, struct stream *client)
{
	struct str line;

	while (stream_read_line(client, 1000, &line) == STREAM_OK) {
		struct arena *mem = arena_new();
		struct str reply = answer(d, mem, str_dup(mem, line));

		stream_printf(client, PRI_STR "\n", STR_ARG(reply));
		arena_free(&mem);
		if (d->draining)
			break;
	}
	IGNORE(stream_flush(client) != STREAM_OK);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program replaced = {
		.name = "echo",
		.profile = SANDBOX_error,
		.init = init,
		.session = session,
		.wakeup = wakeup,
	};
	static const struct daemon_program in_place = {
		.name = "echo",
		.profile = SANDBOX_qmgr,
		.init = init,
		.session = session,
		.wakeup = wakeup,
		.reload = reload,
	};
	bool stays = argc > 0 && strcmp(argv[argc - 1], "in-place") == 0;

	return daemon_main(argc, argv, stays ? &in_place : &replaced);
}
