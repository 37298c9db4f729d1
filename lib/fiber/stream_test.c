/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/macros.h"

#include "fiber/connect.h"
#include "fiber/fiber.h"
#include "fiber/listen.h"
#include "fiber/loop.h"

static void
expect_line(struct stream *s, size_t max, enum stream_status status, const char *line,
	    enum stream_eol eol)
{
	struct str got = STR_EMPTY;

	assert_int_equal(stream_read_line(s, max, &got), status);
	assert_true(str_eq(got, str_from(line)));
	assert_int_equal(stream_line_end(s), eol);
}

static void
test_lines(void **state)
{
	(void)state;
	for (size_t step = 0; step < 4; step++) {
		struct stream *s = stream_from_memory(
			STR("one\r\ntwo\n\n12345\r\n123456\r\ncr\rin\nrest"), NULL, step);

		expect_line(s, 5, STREAM_OK, "one", STREAM_EOL_CRLF);
		expect_line(s, 5, STREAM_OK, "two", STREAM_EOL_LF);
		expect_line(s, 5, STREAM_OK, "", STREAM_EOL_LF);
		expect_line(s, 5, STREAM_OK, "12345", STREAM_EOL_CRLF);
		expect_line(s, 5, STREAM_TOO_LONG, "12345", STREAM_EOL_NONE);
		expect_line(s, 5, STREAM_OK, "6", STREAM_EOL_CRLF);
		expect_line(s, 5, STREAM_OK, "cr\rin", STREAM_EOL_LF);
		expect_line(s, 5, STREAM_EOF, "rest", STREAM_EOL_NONE);
		expect_line(s, 5, STREAM_EOF, "", STREAM_EOL_NONE);
		stream_close(&s);
	}
}

static void
test_memory_output(void **state)
{
	struct arena *mem = arena_new();
	struct buf *out = buf_new(mem, 100000);
	struct stream *s = stream_from_memory(STR_EMPTY, out, 3);
	char abc[] = "abc";
	char rest[] = "defgh";
	struct iovec v[2] = {{abc, 3}, {rest, 5}};

	(void)state;
	assert_int_equal(stream_write(s, STR("hello ")), STREAM_OK);
	assert_int_equal(stream_printf(s, "%d ", 42), STREAM_OK);
	assert_int_equal(out->len, 0);
	assert_int_equal(stream_unsent(s), 9);
	assert_int_equal(stream_writev_through(s, v, 2), STREAM_OK);
	assert_true(str_eq(buf_str(out), STR("hello 42 abcdefgh")));
	for (int i = 0; i < 2000; i++)
		assert_int_equal(stream_write(s, STR("0123456789")), STREAM_OK);
	stream_close(&s);
	assert_int_equal(out->len, 17 + 20000);
	arena_free(&mem);
}

/* ---- over sockets ---- */

struct pair {
	struct loop *loop;
	struct stream *a;
	struct stream *b;
	struct str text;
	int failed;
	bool done;
};

static void
start(struct pair *p)
{
	int fds[2];

	*p = (struct pair){.loop = loop_new()};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p->a = stream_from_fd(p->loop, fds[0]);
	p->b = stream_from_fd(p->loop, fds[1]);
}

static void
finish(struct pair *p)
{
	loop_run(p->loop);
	assert_true(p->done);
	stream_close(&p->a);
	stream_close(&p->b);
	loop_free(&p->loop);
}

static void
slow_writer(void *arg)
{
	struct pair *p = arg;

	for (const char *c = "hello\r\nworld\n"; *c != '\0'; c++) {
		assert_int_equal(stream_write(p->a, str_from_mem(c, 1)), STREAM_OK);
		assert_int_equal(stream_flush(p->a), STREAM_OK);
		assert_true(fiber_yield(p->loop));
	}
	stream_close(&p->a);
}

static void
line_reader(void *arg)
{
	struct pair *p = arg;

	stream_set_timeout_ms(p->b, 10000);
	expect_line(p->b, 100, STREAM_OK, "hello", STREAM_EOL_CRLF);
	expect_line(p->b, 100, STREAM_OK, "world", STREAM_EOL_LF);
	expect_line(p->b, 100, STREAM_EOF, "", STREAM_EOL_NONE);
	p->done = true;
}

static void
test_trickle(void **state)
{
	struct pair p;

	(void)state;
	start(&p);
	IGNORE(fiber_spawn(p.loop, "writer", slow_writer, &p) == NULL);
	IGNORE(fiber_spawn(p.loop, "reader", line_reader, &p) == NULL);
	finish(&p);
}

static void
timing_out(void *arg)
{
	struct pair *p = arg;
	struct str line;

	stream_set_timeout_ms(p->a, 10);
	assert_int_equal(stream_read_line(p->a, 100, &line), STREAM_TIMEOUT);
	/* A read that timed out may be tried again. */
	assert_int_equal(stream_write(p->b, STR("late\n")), STREAM_OK);
	assert_int_equal(stream_flush(p->b), STREAM_OK);
	expect_line(p->a, 100, STREAM_OK, "late", STREAM_EOL_LF);
	stream_set_deadline_ms(p->a, loop_now_ms(p->loop) - 1);
	assert_int_equal(stream_read_line(p->a, 100, &line), STREAM_TIMEOUT);
	p->done = true;
}

static void
test_timeout(void **state)
{
	struct pair p;

	(void)state;
	start(&p);
	IGNORE(fiber_spawn(p.loop, "timing out", timing_out, &p) == NULL);
	finish(&p);
}

/* A peer that does not read: the write ends at its deadline, whatever there is to send.
 */
static void
stuck_writer(void *arg)
{
	struct pair *p = arg;
	enum stream_status status = STREAM_OK;

	stream_set_timeout_ms(p->a, 10);
	for (int i = 0; i < 10000 && status == STREAM_OK; i++)
		status = stream_write(p->a,
				      STR("0123456789012345678901234567890123456789"
					  "0123456789012345678901234567890123456789"
					  "0123456789012345678901234567890123456789"));
	assert_int_equal(status, STREAM_TIMEOUT);
	assert_int_equal(stream_flush(p->a), STREAM_TIMEOUT); /* sticks */
	p->done = true;
}

static void
test_stuck_write(void **state)
{
	struct pair p;

	(void)state;
	start(&p);
	IGNORE(fiber_spawn(p.loop, "stuck", stuck_writer, &p) == NULL);
	finish(&p);
}

static void
fd_sender(void *arg)
{
	struct pair *p = arg;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(stream_write(p->a, STR("take this\n")), STREAM_OK);
	assert_int_equal(stream_send_fd(p->a, fd), STREAM_OK);
	close(fd);
	assert_int_equal(stream_write(p->a, STR("xx")), STREAM_OK);
	assert_int_equal(stream_flush(p->a), STREAM_OK);
}

static void
fd_receiver(void *arg)
{
	struct pair *p = arg;
	int fd = -1;

	stream_accept_fds(p->b);
	expect_line(p->b, 100, STREAM_OK, "take this", STREAM_EOL_LF);
	assert_int_equal(stream_receive_fd(p->b, &fd), STREAM_OK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(stream_receive_fd(p->b, &fd), STREAM_ERROR);
	assert_int_equal(stream_errno(p->b), EBADMSG);
	p->done = true;
}

static void
test_descriptors(void **state)
{
	struct pair p;

	(void)state;
	start(&p);
	IGNORE(fiber_spawn(p.loop, "receiver", fd_receiver, &p) == NULL);
	IGNORE(fiber_spawn(p.loop, "sender", fd_sender, &p) == NULL);
	finish(&p);
}

/* ---- listening and connecting ---- */

struct service {
	struct loop *loop;
	struct listener *listener;
	struct sockaddr_un address;
	int sessions;
	int most;
	int clients_done;
};

static void
echo(struct stream *s, const struct listener_peer *peer, void *arg)
{
	struct service *v = arg;
	struct str line;

	(void)peer;
	v->sessions++;
	v->most = MAX_OF(v->most, v->sessions);
	while (stream_read_line(s, 100, &line) == STREAM_OK)
		IGNORE(stream_printf(s, PRI_STR "\n", STR_ARG(line)) != STREAM_OK ||
		       stream_flush(s) != STREAM_OK);
	v->sessions--;
	stream_close(&s);
}

enum { CLIENTS = 20 };

static void
client(void *arg)
{
	struct service *v = arg;
	struct stream *s;
	struct err err;

	assert_true(stream_connect(v->loop, (struct sockaddr *)&v->address,
				   sizeof(v->address), NULL, 0, 10000, &s, &err));
	assert_int_equal(stream_write(s, STR("ping\n")), STREAM_OK);
	assert_int_equal(stream_flush(s), STREAM_OK);
	stream_set_timeout_ms(s, 10000);
	expect_line(s, 100, STREAM_OK, "ping", STREAM_EOL_LF);
	stream_close(&s);
	if (++v->clients_done == CLIENTS)
		listener_free(&v->listener);
}

static void
serve(struct service *v, size_t max_sessions)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*v = (struct service){.loop = loop_new(), .address.sun_family = AF_UNIX};
	snprintf(v->address.sun_path + 1, sizeof(v->address.sun_path) - 1,
		 "stream-test-%d", (int)getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&v->address, sizeof(v->address)), 0);
	assert_int_equal(listen(fd, 3), 0);
	v->listener = listener_new(v->loop, fd, max_sessions, echo, v);
}

static void
test_listener(void **state)
{
	struct service v;

	(void)state;
	serve(&v, 4);
	for (int i = 0; i < CLIENTS; i++)
		IGNORE(fiber_spawn(v.loop, "client", client, &v) == NULL);
	loop_run(v.loop);
	assert_int_equal(v.clients_done, CLIENTS);
	assert_in_range(v.most, 1, 4);
	loop_free(&v.loop);
}

static void
out_of_descriptors(void *arg)
{
	struct service *v = arg;
	struct rlimit old;
	struct rlimit low;
	struct stream *s;
	struct err err;
	int64_t before;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(stream_connect(v->loop, (struct sockaddr *)&v->address,
				   sizeof(v->address), NULL, 0, 10000, &s, &err));
	low = old;
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	before = loop_now_ms(v->loop);
	assert_true(fiber_sleep(v->loop, 50));
	assert_int_equal(listener_failed(v->listener), EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(stream_write(s, STR("ping\n")), STREAM_OK);
	assert_int_equal(stream_flush(s), STREAM_OK);
	expect_line(s, 100, STREAM_OK, "ping", STREAM_EOL_LF);
	assert_true(loop_now_ms(v->loop) - before >= 50);
	stream_close(&s);
	listener_free(&v->listener);
}

static void
test_out_of_descriptors(void **state)
{
	struct service v;

	(void)state;
	serve(&v, 10);
	IGNORE(fiber_spawn(v.loop, "client", out_of_descriptors, &v) == NULL);
	loop_run(v.loop);
	loop_free(&v.loop);
}

/* Question and answer without a word of flushing: reading sends what is buffered. */
static void
asker(void *arg)
{
	struct pair *p = arg;

	stream_set_timeout_ms(p->a, 2000);
	stream_printf(p->a, "question\n");
	expect_line(p->a, 100, STREAM_OK, "answer", STREAM_EOL_LF);
	stream_close(&p->a);
}

static void
answerer(void *arg)
{
	struct pair *p = arg;

	stream_set_timeout_ms(p->b, 2000);
	expect_line(p->b, 100, STREAM_OK, "question", STREAM_EOL_LF);
	stream_printf(p->b, "answer\n");
	expect_line(p->b, 100, STREAM_EOF, "", STREAM_EOL_NONE);
	p->done = true;
}

static void
test_reading_sends(void **state)
{
	struct pair p;

	(void)state;
	start(&p);
	assert_non_null(fiber_spawn(p.loop, "answerer", answerer, &p));
	assert_non_null(fiber_spawn(p.loop, "asker", asker, &p));
	finish(&p);
}

static void
refused(void *arg)
{
	struct loop *loop = arg;
	struct sockaddr_un to = {.sun_family = AF_UNIX,
				 .sun_path = "/nonexistent/socket"};
	struct stream *s = NULL;
	struct err err;

	assert_false(stream_connect(loop, (struct sockaddr *)&to, sizeof(to), NULL, 0,
				    100, &s, &err));
	assert_int_equal(err.errnum, ENOENT);
	assert_int_equal(err.kind, ERR_TEMP);
	assert_null(s);
}

static void
test_connect_refused(void **state)
{
	struct loop *loop = loop_new();

	(void)state;
	IGNORE(fiber_spawn(loop, "refused", refused, loop) == NULL);
	loop_run(loop);
	loop_free(&loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_memory_output),
		cmocka_unit_test(test_trickle),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_stuck_write),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_listener),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_reading_sends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
