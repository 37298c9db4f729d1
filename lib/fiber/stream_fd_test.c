/* SPDX-License-Identifier: Apache-2.0 */
/* Streams over sockets and pipes: waiting, deadlines, cancelling, descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/mem.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"

struct world {
	struct loop *loop;
	struct stream *a;
	struct stream *b;
	struct fiber *fiber;
	int done;
	enum stream_status status;
	int64_t took_ms;
	size_t bytes;
};

static void
world_init(struct world *w)
{
	int fds[2];

	*w = (struct world){.loop = loop_new()};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	w->a = stream_from_fd(w->loop, fds[0]);
	w->b = stream_from_fd(w->loop, fds[1]);
	assert_int_equal(stream_fd(w->a), fds[0]);
	assert_ptr_equal(stream_loop(w->a), w->loop);
}

static void
world_run(struct world *w, void (*one)(void *), void (*other)(void *))
{
	w->fiber = fiber_spawn(w->loop, "one", one, w);
	assert_non_null(w->fiber);
	if (other != NULL)
		assert_non_null(fiber_spawn(w->loop, "other", other, w));
	loop_run(w->loop);
	stream_close(&w->a);
	stream_close(&w->b);
	loop_free(&w->loop);
}

/* Asks without flushing: reading does it. */
static void
asks(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < 100; i++) {
		struct str line;

		assert_int_equal(stream_printf(w->a, "question %d\r\n", i), STREAM_OK);
		assert_int_equal(stream_read_line(w->a, 100, &line), STREAM_OK);
		assert_true(str_starts(line, STR("answer to question ")));
	}
	w->done++;
	stream_close(&w->a);
}

static void
answers(void *arg)
{
	struct world *w = arg;
	struct str line;

	while (stream_read_line(w->b, 100, &line) == STREAM_OK) {
		assert_int_equal(
			stream_printf(w->b, "answer to " PRI_STR "\n", STR_ARG(line)),
			STREAM_OK);
		w->done++;
	}
}

static void
dialogue(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, asks, answers);
	assert_int_equal(w.done, 101);
}

static void
reads_with_timeout(void *arg)
{
	struct world *w = arg;
	int64_t begin = loop_now_ms(w->loop);
	struct str line = STR("untouched");

	stream_set_timeout_ms(w->a, 30);
	w->status = stream_read_line(w->a, 100, &line);
	w->took_ms = loop_now_ms(w->loop) - begin;
	assert_true(str_eq(line, STR("untouched")));
	/* Nothing is lost: what came before the time was up is still there. */
	assert_int_equal(stream_buffered(w->a), w->bytes);
	assert_int_equal(stream_write(w->b, STR("\n")), STREAM_OK);
	assert_int_equal(stream_flush(w->b), STREAM_OK);
	assert_int_equal(stream_read_line(w->a, 100, &line), STREAM_OK);
	assert_int_equal(line.len, w->bytes);
}

/* A byte now and then does not prolong the request. */
static void
drips(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < 5 && fiber_sleep(w->loop, 4); i++) {
		assert_int_equal(stream_write(w->b, STR("x")), STREAM_OK);
		assert_int_equal(stream_flush(w->b), STREAM_OK);
		w->bytes++;
	}
}

static void
timeout_is_per_request(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, reads_with_timeout, drips);
	assert_int_equal(w.status, STREAM_TIMEOUT);
	assert_true(w.took_ms >= 30 && w.took_ms < 5000);
	assert_true(w.bytes >= 1);
}

static void
reads_until_deadline(void *arg)
{
	struct world *w = arg;
	struct str line;

	stream_set_timeout_ms(w->a, 60000);
	stream_set_deadline_ms(w->a, loop_deadline_ms(w->loop, 20));
	w->status = stream_read_line(w->a, 100, &line);
	stream_set_deadline_ms(w->a, loop_now_ms(w->loop) - 1);
	assert_int_equal(stream_read_line(w->a, 100, &line), STREAM_TIMEOUT);
}

static void
earlier_limit_counts(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, reads_until_deadline, NULL);
	assert_int_equal(w.status, STREAM_TIMEOUT);
}

/* The peer does not read: the kernel's buffer fills. */
static void
writes_with_timeout(void *arg)
{
	struct world *w = arg;
	char block[8192];

	memset(block, 'x', sizeof(block));
	stream_set_timeout_ms(w->a, 20);
	do
		w->status = stream_write(w->a, str_from_mem(block, sizeof(block)));
	while (w->status == STREAM_OK);
	assert_int_equal(w->status, STREAM_TIMEOUT);
	assert_int_equal(stream_write(w->a, STR("more")), STREAM_TIMEOUT);
	assert_int_equal(stream_unsent(w->a), 0);
}

static void
write_timeout_sticks(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, writes_with_timeout, NULL);
	assert_int_equal(w.status, STREAM_TIMEOUT);
}

enum { BULK = 3000000 };

static void
writes_bulk(void *arg)
{
	struct world *w = arg;
	char *block = mem_alloc(BULK);
	struct iovec v[2] = {{block, BULK / 2}, {block + BULK / 2, BULK - BULK / 2}};

	for (size_t i = 0; i < BULK; i++)
		block[i] = (char)(i * 31 >> 3);
	assert_int_equal(stream_write(w->a, STR("<")), STREAM_OK);
	assert_int_equal(stream_writev_through(w->a, v, 2), STREAM_OK);
	assert_int_equal(stream_write(w->a, STR(">")), STREAM_OK);
	assert_int_equal(stream_shutdown(w->a, SHUT_WR), STREAM_OK);
	mem_free(block);
}

static void
reads_bulk(void *arg)
{
	struct world *w = arg;
	char *block = mem_alloc(BULK + 2);
	size_t got;

	assert_int_equal(stream_read_exact(w->b, block, BULK + 2), STREAM_OK);
	assert_int_equal(block[0], '<');
	assert_int_equal(block[BULK + 1], '>');
	for (size_t i = 0; i < BULK; i++) {
		if (block[i + 1] != (char)(i * 31 >> 3))
			fail_msg("byte %zu differs", i);
	}
	assert_int_equal(stream_read(w->b, block, 1, &got), STREAM_EOF);
	mem_free(block);
	w->done++;
}

static void
bulk(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, writes_bulk, reads_bulk);
	assert_int_equal(w.done, 1);
}

static void
reads_until_cancelled(void *arg)
{
	struct world *w = arg;
	struct str line;

	w->status = stream_read_line(w->a, 100, &line);
	assert_int_equal(stream_read_line(w->a, 100, &line), STREAM_CANCELLED);
}

static void
cancels(void *arg)
{
	struct world *w = arg;

	assert_true(fiber_sleep(w->loop, 5));
	fiber_cancel(w->fiber);
}

static void
cancel_ends_a_read(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, reads_until_cancelled, cancels);
	assert_int_equal(w.status, STREAM_CANCELLED);
}

static void
peer_is_gone(void *arg)
{
	struct world *w = arg;
	struct str line;

	stream_close(&w->b);
	assert_int_equal(stream_read_line(w->a, 100, &line), STREAM_EOF);
	assert_int_equal(stream_write(w->a, STR("x")), STREAM_OK);
	assert_int_equal(stream_flush(w->a), STREAM_ERROR); /* and no SIGPIPE */
	assert_int_equal(stream_errno(w->a), EPIPE);
	w->done++;
}

static void
writing_to_nobody(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, peer_is_gone, NULL);
	assert_int_equal(w.done, 1);
}

static void
talks_early(void *arg)
{
	struct world *w = arg;
	struct str line;

	assert_false(stream_has_input(w->a));
	assert_int_equal(stream_write(w->b, STR("one\n")), STREAM_OK);
	assert_int_equal(stream_flush(w->b), STREAM_OK);
	assert_true(stream_has_input(w->a));
	assert_int_equal(stream_read_line(w->a, 100, &line), STREAM_OK);
	/* The last read was short, and yet we look. */
	assert_int_equal(stream_write(w->b, STR("two\n")), STREAM_OK);
	assert_int_equal(stream_flush(w->b), STREAM_OK);
	assert_true(stream_has_input(w->a));
	w->done++;
}

static void
input_can_be_seen(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, talks_early, NULL);
	assert_int_equal(w.done, 1);
}

/* -- descriptors ------------------------------------------------------------------ */

static int
file_with(const char *text)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fds[1]);
	return fds[0];
}

static void
expect_content(int fd, const char *want)
{
	char got[100] = "";

	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, want);
	close(fd);
}

static void
sends_fds(void *arg)
{
	struct world *w = arg;
	int one = file_with("one");
	int two = file_with("two");

	assert_int_equal(stream_write(w->a, STR("before\n")), STREAM_OK);
	assert_int_equal(stream_send_fd(w->a, one), STREAM_OK);
	assert_int_equal(stream_send_fd(w->a, two), STREAM_OK);
	assert_int_equal(stream_write(w->a, STR("after\n")), STREAM_OK);
	assert_int_equal(stream_flush(w->a), STREAM_OK);
	close(one);
	close(two);
}

static void
receives_fds(void *arg)
{
	struct world *w = arg;
	struct str line;
	int one;
	int two;

	stream_accept_fds(w->b);
	assert_int_equal(stream_read_line(w->b, 100, &line), STREAM_OK);
	assert_true(str_eq(line, STR("before")));
	assert_int_equal(stream_receive_fd(w->b, &one), STREAM_OK);
	assert_int_equal(stream_receive_fd(w->b, &two), STREAM_OK);
	assert_int_equal(stream_read_line(w->b, 100, &line), STREAM_OK);
	assert_true(str_eq(line, STR("after")));
	expect_content(one, "one");
	expect_content(two, "two");
	w->done++;
}

static void
descriptors_travel_in_order(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, sends_fds, receives_fds);
	assert_int_equal(w.done, 1);
}

static void
receives_no_fd(void *arg)
{
	struct world *w = arg;
	int fd = -7;

	assert_int_equal(stream_write(w->a, str_from_mem("\0", 1)), STREAM_OK);
	assert_int_equal(stream_flush(w->a), STREAM_OK);
	assert_int_equal(stream_receive_fd(w->b, &fd), STREAM_ERROR);
	assert_int_equal(stream_errno(w->b), EBADMSG);
	assert_int_equal(fd, -7);
	w->done++;
}

static void
missing_descriptor(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_run(&w, receives_no_fd, NULL);
	assert_int_equal(w.done, 1);
}

static int
open_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* More than may queue: refused, and none leaks. */
static void
floods_with_fds(void *arg)
{
	struct world *w = arg;
	int fd = file_with("flood");
	char byte;
	enum stream_status status = STREAM_OK;

	stream_accept_fds(w->b);
	for (int i = 0; i < STREAM_FDS_MAX + 1; i++)
		assert_int_equal(stream_send_fd(w->a, fd), STREAM_OK);
	close(fd);
	for (int i = 0; i < STREAM_FDS_MAX + 1 && status == STREAM_OK; i++)
		status = stream_read_exact(w->b, &byte, 1);
	assert_int_equal(status, STREAM_ERROR);
	assert_int_equal(stream_errno(w->b), EMFILE);
	w->done++;
}

static void
descriptor_flood(void **state)
{
	struct world w;
	int before = open_descriptors();

	(void)state;
	world_init(&w);
	world_run(&w, floods_with_fds, NULL);
	assert_int_equal(w.done, 1);
	assert_int_equal(open_descriptors(), before);
}

static void
detach(void **state)
{
	struct loop *loop = loop_new();
	int fds[2];
	struct stream *s;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	s = stream_from_fd(loop, fds[0]);
	assert_int_equal(stream_detach_fd(&s), fds[0]);
	assert_null(s);
	assert_true(fcntl(fds[0], F_GETFD) >= 0);
	close(fds[0]);
	close(fds[1]);
	loop_free(&loop);
}

static void
reads_pipe(void *arg)
{
	struct world *w = arg;
	struct str line;

	assert_int_equal(stream_read_line(w->a, 100, &line), STREAM_OK);
	assert_true(str_eq(line, STR("through a pipe")));
	assert_int_equal(stream_read_line(w->a, 100, &line), STREAM_EOF);
	w->done++;
}

static void
writes_pipe(void *arg)
{
	struct world *w = arg;

	assert_true(fiber_sleep(w->loop, 2));
	assert_int_equal(stream_write(w->b, STR("through a pipe\n")), STREAM_OK);
	stream_close(&w->b);
}

static void
pipes_work_too(void **state)
{
	struct world w = {.loop = loop_new()};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	w.a = stream_from_fd(w.loop, fds[0]);
	w.b = stream_from_fd(w.loop, fds[1]);
	world_run(&w, reads_pipe, writes_pipe);
	assert_int_equal(w.done, 1);
}

static void
reads_file(void *arg)
{
	struct world *w = arg;
	struct str line;

	assert_int_equal(stream_read_line(w->a, 1000, &line), STREAM_OK);
	assert_true(str_starts(line, STR("/* SPDX")));
	w->done++;
}

static void
files_work_too(void **state)
{
	struct world w = {.loop = loop_new()};
	int fd = open(SOURCE_DIR "/stream_fd_test.c", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	w.a = stream_from_fd(w.loop, fd);
	world_run(&w, reads_file, NULL);
	assert_int_equal(w.done, 1);
}

static void
echoes(void *arg)
{
	struct world *w = arg;
	char block[5000];
	size_t got;

	while (stream_read(w->b, block, sizeof(block), &got) == STREAM_OK)
		assert_int_equal(stream_write(w->b, str_from_mem(block, got)), STREAM_OK);
	stream_close(&w->b);
}

static void
reads_echo(void *arg)
{
	struct world *w = arg;
	char block[5000];
	size_t got;

	while (stream_read(w->a, block, sizeof(block), &got) == STREAM_OK)
		w->bytes += got;
	w->done++;
}

/* One fiber reads while another writes the same stream. */
static void
full_duplex(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	assert_non_null(fiber_spawn(w.loop, "echo", echoes, &w));
	world_run(&w, reads_echo, writes_bulk);
	assert_int_equal(w.done, 1);
	assert_int_equal(w.bytes, BULK + 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogue),
		cmocka_unit_test(timeout_is_per_request),
		cmocka_unit_test(earlier_limit_counts),
		cmocka_unit_test(write_timeout_sticks),
		cmocka_unit_test(bulk),
		cmocka_unit_test(cancel_ends_a_read),
		cmocka_unit_test(writing_to_nobody),
		cmocka_unit_test(input_can_be_seen),
		cmocka_unit_test(descriptors_travel_in_order),
		cmocka_unit_test(missing_descriptor),
		cmocka_unit_test(descriptor_flood),
		cmocka_unit_test(detach),
		cmocka_unit_test(pipes_work_too),
		cmocka_unit_test(files_work_too),
		cmocka_unit_test(full_duplex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
