/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "fiber/connect.h"
#include "fiber/fiber.h"

enum { CLIENTS_MAX = 300 };

struct world {
	struct loop *loop;
	struct listener *listener;
	struct sockaddr_in address;
	struct fiber *fiber;
	size_t most;
	int clients;
	int done;
	int failed;
	int cancelled;
	struct err err;
};

static int
listen_on_loopback(struct sockaddr_in *address, int backlog)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*address);

	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return fd;
}

static void
world_init(struct world *w, size_t max_sessions, listener_fn *fn)
{
	int fd;

	*w = (struct world){.loop = loop_new()};
	fd = listen_on_loopback(&w->address, 500);
	w->listener = listener_new(w->loop, fd, max_sessions, fn, w);
}

static bool
dial(struct world *w, struct stream **out)
{
	return stream_connect(w->loop, (struct sockaddr *)&w->address, sizeof(w->address),
			      NULL, 0, 20000, out, &w->err);
}

static void
echo_line(struct stream *s, const struct listener_peer *peer, void *arg)
{
	struct world *w = arg;
	struct str line;

	w->most = MAX_OF(w->most, listener_sessions(w->listener));
	assert_int_equal(peer->address.ss_family, AF_INET);
	assert_true(peer->address_len >= sizeof(struct sockaddr_in));
	if (stream_read_line(s, 100, &line) == STREAM_OK)
		IGNORE(stream_printf(s, PRI_STR "\n", STR_ARG(line)) != STREAM_OK);
	stream_close(&s);
}

static void
client_done(struct world *w)
{
	w->done++;
	if (w->done == w->clients)
		listener_stop(w->listener);
}

static void
client(void *arg)
{
	struct world *w = arg;
	struct stream *s;
	struct str line;

	if (!dial(w, &s)) {
		fail_msg("%s", w->err.text);
		return;
	}
	assert_int_equal(stream_write(s, STR("hello\n")), STREAM_OK);
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_OK);
	assert_true(str_eq(line, STR("hello")));
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_EOF);
	stream_close(&s);
	client_done(w);
}

static void
world_run(struct world *w, int clients, void (*fn)(void *))
{
	w->clients = clients;
	for (int i = 0; i < clients; i++)
		assert_non_null(fiber_spawn(w->loop, "client", fn, w));
	loop_run(w->loop);
}

static void
serves_many(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 1000, echo_line);
	world_run(&w, CLIENTS_MAX, client);
	assert_int_equal(w.done, CLIENTS_MAX);
	assert_int_equal(listener_accepted(w.listener), CLIENTS_MAX);
	assert_int_equal(listener_sessions(w.listener), 0);
	listener_free(&w.listener);
	assert_null(w.listener);
	loop_free(&w.loop);
}

static void
limits_sessions(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 3, echo_line);
	world_run(&w, 50, client);
	assert_int_equal(w.done, 50);
	assert_int_equal(w.most, 3);
	listener_free(&w.listener);
	loop_free(&w.loop);
}

/* Use up all descriptors but the one that the client needs. */
static int
starve(int *fds, int max, const struct rlimit *limit)
{
	int count = 0;

	while (count < max && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	assert_true(count < max && (rlim_t)count <= limit->rlim_cur);
	assert_true(count > 0);
	close(fds[--count]);
	return count;
}

static void
starving_client(void *arg)
{
	struct world *w = arg;
	static const struct rlimit small = {64, 64};
	struct rlimit old;
	struct rlimit now;
	int fds[64] = {0};
	int count;
	int64_t begin;
	struct stream *s;
	struct str line;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	now = (struct rlimit){small.rlim_cur, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	count = starve(fds, 64, &now);
	assert_true(dial(w, &s));
	assert_int_equal(stream_write(s, STR("hello\n")), STREAM_OK);
	assert_int_equal(stream_flush(s), STREAM_OK);
	assert_true(fiber_sleep(w->loop, 50));
	/* It has met EMFILE, and does not spin: the processor is free. */
	assert_int_equal(listener_failed(w->listener), EMFILE);
	assert_int_equal(listener_failed(w->listener), 0);
	while (count > 0)
		close(fds[--count]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	begin = loop_now_ms(w->loop);
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_OK);
	assert_true(loop_now_ms(w->loop) - begin < 5000);
	stream_close(&s);
	client_done(w);
}

static void
survives_lack_of_descriptors(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 10, echo_line);
	world_run(&w, 1, starving_client);
	assert_int_equal(w.done, 1);
	listener_free(&w.listener);
	loop_free(&w.loop);
}

static void
never_ends(struct stream *s, const struct listener_peer *peer, void *arg)
{
	struct world *w = arg;
	struct str line;

	(void)peer;
	if (stream_read_line(s, 100, &line) == STREAM_CANCELLED)
		w->cancelled++;
	stream_close(&s);
}

static void
client_that_waits(void *arg)
{
	struct world *w = arg;
	struct stream *s;
	struct str line;

	assert_true(dial(w, &s));
	w->done++;
	if (w->done == w->clients) {
		assert_true(fiber_sleep(w->loop, 10));
		listener_cancel_sessions(w->listener);
		/* Freed while sessions are there: that waits for them. */
		listener_free(&w->listener);
	}
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_EOF);
	stream_close(&s);
}

static void
sessions_can_be_cancelled(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 10, never_ends);
	world_run(&w, 5, client_that_waits);
	assert_int_equal(w.cancelled, 5);
	assert_null(w.listener);
	loop_free(&w.loop);
}

static void
dials_nobody(void *arg)
{
	struct world *w = arg;
	struct stream *s = NULL;

	assert_false(dial(w, &s));
	assert_int_equal(w->err.errnum, ECONNREFUSED);
	assert_int_equal(w->err.kind, ERR_TEMP);
	assert_null(s);
	w->done++;
}

static void
connection_refused(void **state)
{
	struct world w = {.loop = loop_new()};

	(void)state;
	close(listen_on_loopback(&w.address, 1));
	world_run(&w, 1, dials_nobody);
	assert_int_equal(w.done, 1);
	loop_free(&w.loop);
}

static void
dials_from(void *arg)
{
	struct world *w = arg;
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in mine;
	socklen_t len = sizeof(mine);
	struct stream *s;

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 5);
	assert_true(stream_connect(w->loop, (struct sockaddr *)&w->address,
				   sizeof(w->address), (struct sockaddr *)&from,
				   sizeof(from), 5000, &s, &w->err));
	assert_int_equal(getsockname(stream_fd(s), (struct sockaddr *)&mine, &len), 0);
	assert_int_equal(mine.sin_addr.s_addr, from.sin_addr.s_addr);
	stream_close(&s);
	/* An address that is not ours (TEST-NET-1). */
	from.sin_addr.s_addr = htonl(0xc0000201);
	assert_false(stream_connect(w->loop, (struct sockaddr *)&w->address,
				    sizeof(w->address), (struct sockaddr *)&from,
				    sizeof(from), 5000, &s, &w->err));
	assert_int_equal(w->err.errnum, EADDRNOTAVAIL);
	client_done(w);
}

static void
bind_address(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 10, echo_line);
	world_run(&w, 1, dials_from);
	assert_int_equal(w.done, 1);
	listener_free(&w.listener);
	loop_free(&w.loop);
}

/* A UNIX-domain server that never accepts. */
static void
dials_full_backlog(void *arg)
{
	struct world *w = arg;
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct stream *s[10] = {NULL};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t begin;
	size_t n = 0;

	/* An abstract name: nothing in the file system. */
	snprintf(to.sun_path + 1, sizeof(to.sun_path) - 1, "listen-test-%d",
		 (int)getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(fd, 1), 0);
	begin = loop_now_ms(w->loop);
	while (n < ARRAY_LEN(s) &&
	       stream_connect(w->loop, (struct sockaddr *)&to, sizeof(to), NULL, 0, 30,
			      &s[n], &w->err))
		n++;
	assert_true(n >= 1 && n < ARRAY_LEN(s));
	assert_int_equal(w->err.errnum, ETIMEDOUT);
	assert_true(loop_now_ms(w->loop) - begin >= 30);
	while (n > 0)
		stream_close(&s[--n]);
	close(fd);
	w->done++;
}

static void
full_backlog_times_out(void **state)
{
	struct world w = {.loop = loop_new()};

	(void)state;
	world_run(&w, 1, dials_full_backlog);
	assert_int_equal(w.done, 1);
	loop_free(&w.loop);
}

static void
dials_cancelled(void *arg)
{
	struct world *w = arg;
	struct stream *s;

	fiber_cancel(fiber_current(w->loop));
	assert_false(dial(w, &s));
	assert_int_equal(w->err.errnum, ECANCELED);
	client_done(w);
}

static void
connect_can_be_cancelled(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 10, never_ends);
	world_run(&w, 1, dials_cancelled);
	assert_int_equal(w.done, 1);
	listener_free(&w.listener);
	loop_free(&w.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_many),
		cmocka_unit_test(limits_sessions),
		cmocka_unit_test(survives_lack_of_descriptors),
		cmocka_unit_test(sessions_can_be_cancelled),
		cmocka_unit_test(connection_refused),
		cmocka_unit_test(bind_address),
		cmocka_unit_test(full_backlog_times_out),
		cmocka_unit_test(connect_can_be_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
