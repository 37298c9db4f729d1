/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fiber costs: the time of a switch, the memory of a session that waits.
 *
 *	bench_fiber [-n fibers] [-s switches]
 *
 * Figures depend on the build: use preset release.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/sys.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"

struct bench {
	struct loop *loop;
	long switches;
	long fibers;
	long waiting;
	long echoed;
	struct stream **far;
};

static void
row(const char *what, double value, const char *unit)
{
	printf("%-52s %10.1f %s\n", what, value, unit);
}

static long
rss_bytes(void)
{
	long size = 0;
	long resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL || fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	if (f != NULL)
		fclose(f);
	return resident * sysconf(_SC_PAGESIZE);
}

static void
yields(void *arg)
{
	struct bench *b = arg;

	for (long i = 0; i < b->switches; i++)
		IGNORE(!fiber_yield(b->loop));
}

/* With so many fibers ready, the look at the descriptors after each round does not count.
 */
static void
bench_switch(struct bench *b)
{
	enum { CROWD = 1000 };
	long each = b->switches / CROWD + 1;
	struct bench part = {.loop = b->loop, .switches = each};
	int64_t begin;

	for (int i = 0; i < CROWD; i++) {
		if (fiber_spawn(b->loop, "yields", yields, &part) == NULL)
			exit(1);
	}
	begin = sys_mono_us();
	loop_run(b->loop);
	row("resume and yield, 1000 fibers ready",
	    (double)(sys_mono_us() - begin) * 1000. / (double)(each * CROWD), "ns");
}

static void
bench_lone_yield(struct bench *b)
{
	int64_t begin;

	if (fiber_spawn(b->loop, "yields", yields, b) == NULL)
		exit(1);
	begin = sys_mono_us();
	loop_run(b->loop);
	row("resume, yield and a look at the descriptors",
	    (double)(sys_mono_us() - begin) * 1000. / (double)b->switches, "ns");
}

static void
nothing(void *arg)
{
	(void)arg;
}

static void
bench_spawn(struct bench *b)
{
	int64_t begin = sys_mono_us();

	for (long i = 0; i < b->switches; i++) {
		if (fiber_spawn(b->loop, "nothing", nothing, NULL) == NULL)
			exit(1);
		if (i % 100 == 99)
			loop_run(b->loop);
	}
	loop_run(b->loop);
	row("a fiber from spawn to end",
	    (double)(sys_mono_us() - begin) * 1000. / (double)b->switches, "ns");
}

struct session {
	struct bench *bench;
	int fd;
};

/* Echo lines, each awaited with a deadline. */
static void
session_main(void *arg)
{
	struct session *session = arg;
	struct bench *b = session->bench;
	struct stream *s = stream_from_fd(b->loop, session->fd);
	struct str line;

	mem_free(session);
	stream_set_timeout_ms(s, 300000);
	b->waiting++;
	while (stream_read_line(s, 1000, &line) == STREAM_OK)
		stream_printf(s, PRI_STR "\n", STR_ARG(line));
	stream_close(&s);
}

static void
driver_main(void *arg)
{
	struct bench *b = arg;
	struct str line;
	int64_t begin;

	while (b->waiting < b->fibers)
		IGNORE(!fiber_yield(b->loop));
	IGNORE(!fiber_sleep(b->loop, 20));
	begin = sys_mono_us();
	for (long i = 0; i < b->fibers; i++) {
		stream_write(b->far[i], STR("hello\n"));
		if (stream_read_line(b->far[i], 100, &line) == STREAM_OK)
			b->echoed++;
	}
	row("a line echoed by one of them",
	    (double)(sys_mono_us() - begin) / (double)b->fibers, "us");
	for (long i = 0; i < b->fibers; i++)
		stream_close(&b->far[i]);
}

static void
memory_main(void *arg)
{
	struct bench *b = arg;
	long before = rss_bytes();

	for (long i = 0; i < b->fibers; i++) {
		struct session *session = mem_alloc(sizeof(*session));
		int fds[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
			perror("socketpair");
			exit(1);
		}
		session->bench = b;
		session->fd = fds[0];
		b->far[i] = stream_from_fd(b->loop, fds[1]);
		if (fiber_spawn(b->loop, "session", session_main, session) == NULL) {
			fprintf(stderr, "bench_fiber: no stack for fiber %ld\n", i);
			exit(1);
		}
	}
	while (b->waiting < b->fibers)
		IGNORE(!fiber_yield(b->loop));
	IGNORE(!fiber_sleep(b->loop, 20));
	row("resident memory of a session that waits (both ends)",
	    (double)(rss_bytes() - before) / (double)b->fibers, "bytes");
	if (fiber_spawn(b->loop, "driver", driver_main, b) == NULL)
		exit(1);
}

static void
bench_sessions(struct bench *b)
{
	struct rlimit limit;
	rlim_t need = (rlim_t)b->fibers * 2 + 50;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < need) {
		struct rlimit more = {need, MAX_OF(need, limit.rlim_max)};

		/* root may raise both, others the first up to the second. */
		if (setrlimit(RLIMIT_NOFILE, &more) < 0) {
			more = (struct rlimit){limit.rlim_max, limit.rlim_max};
			IGNORE(setrlimit(RLIMIT_NOFILE, &more) < 0);
		}
		IGNORE(getrlimit(RLIMIT_NOFILE, &limit) < 0);
	}
	if (limit.rlim_cur < need) {
		b->fibers = ((long)limit.rlim_cur - 50) / 2;
		printf("(the limit of open files allows only %ld sessions)\n", b->fibers);
	}
	b->far = mem_alloc_array((size_t)b->fibers, sizeof(struct stream *));
	if (fiber_spawn(b->loop, "memory", memory_main, b) == NULL)
		exit(1);
	loop_run(b->loop);
	if (b->echoed != b->fibers) {
		fprintf(stderr, "bench_fiber: %ld of %ld lines came back\n", b->echoed,
			b->fibers);
		exit(1);
	}
	mem_free(b->far);
}

int
main(int argc, char **argv)
{
	struct bench b = {.fibers = 10000, .switches = 3000000};
	int opt;

	while ((opt = getopt(argc, argv, "n:s:")) != -1) {
		long value = optarg != NULL ? strtol(optarg, NULL, 10) : 0;

		if (value <= 0 || (opt != 'n' && opt != 's')) {
			fprintf(stderr, "usage: bench_fiber [-n fibers] [-s switches]\n");
			return 64;
		}
		*(opt == 'n' ? &b.fibers : &b.switches) = value;
	}
	b.loop = loop_new();
	bench_sessions(&b);
	bench_switch(&b);
	bench_lone_yield(&b);
	bench_spawn(&b);
	loop_free(&b.loop);
	return 0;
}
