/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/mem.h"

/* What the lines of an input look like, as one text: line end signs are $ (LF), ^ (CR
 * LF),
 * + (too long) and . (end of input). */
static void
describe_lines(struct str input, size_t max_bytes, size_t step, char *out, size_t size)
{
	struct stream *s = stream_from_memory(input, NULL, step);
	size_t used = 0;

	for (;;) {
		struct str line = STR_EMPTY;
		enum stream_status status = stream_read_line(s, max_bytes, &line);
		char mark = status == STREAM_TOO_LONG               ? '+'
			    : status == STREAM_EOF                  ? '.'
			    : stream_line_end(s) == STREAM_EOL_CRLF ? '^'
			    : stream_line_end(s) == STREAM_EOL_LF   ? '$'
								    : '?';

		used += (size_t)snprintf(out + used, size - used, PRI_STR "%c",
					 STR_ARG(line), mark);
		if (status == STREAM_EOF && line.len == 0)
			break;
		assert_true(status == STREAM_OK || status == STREAM_TOO_LONG ||
			    status == STREAM_EOF);
	}
	stream_close(&s);
}

static void
lines(void **state)
{
	static const struct {
		const char *name;
		const char *input;
		size_t max_bytes;
		const char *want;
	} rows[] = {
		{"empty", "", 10, "."},
		{"lf", "a\nb\n", 10, "a$b$."},
		{"crlf", "a\r\nb\r\n", 10, "a^b^."},
		{"mixed", "a\r\n\nb\n\r\n", 10, "a^$b$^."},
		{"no end", "a\nbc", 10, "a$bc.."},
		{"bare cr stays", "a\rb\r\r\n", 10, "a\rb\r^."},
		{"cr at the end", "a\r", 10, "a\r.."},
		{"just fits", "12345\n12345\r\n", 5, "12345$12345^."},
		{"one more", "123456\r\nx\n", 5, "12345+6^x$."},
		{"much more", "123456789abc\n", 5, "12345+6789a+bc$."},
		{"cr is the one more", "12345\rx\n", 5, "12345+\rx$."},
		{"exactly, no end", "12345", 5, "12345.."},
		{"exactly, cr, no end", "12345\r", 5, "12345.\r.."},
		{"limit 0", "\n\r\n", 0, "$^."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t step = 0; step < 8; step++) {
			char got[200] = "";

			describe_lines(str_from(rows[i].input), rows[i].max_bytes, step,
				       got, sizeof(got));
			if (strcmp(got, rows[i].want) != 0)
				fail_msg("%s, step %zu: got %s, want %s", rows[i].name,
					 step, got, rows[i].want);
		}
	}
}

static void
long_line(void **state)
{
	enum { LONG = 100000 };
	char *big = mem_alloc(LONG + 2);
	struct stream *s;
	struct str line;

	(void)state;
	memset(big, 'x', LONG);
	big[LONG] = '\n';
	for (size_t step = 0; step <= 1000; step += 333) {
		s = stream_from_memory(str_from_mem(big, LONG + 1), NULL, step);
		assert_int_equal(stream_read_line(s, LONG, &line), STREAM_OK);
		assert_int_equal(line.len, LONG);
		assert_memory_equal(line.p, big, LONG);
		assert_int_equal(stream_read_line(s, LONG, &line), STREAM_EOF);
		assert_int_equal(line.len, 0);
		stream_close(&s);
	}
	mem_free(big);
}

static void
nul_bytes_are_bytes(void **state)
{
	static const char input[] = "a\0b\nc";
	struct stream *s = stream_from_memory(str_from_mem(input, 5), NULL, 0);
	struct str line;

	(void)state;
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_OK);
	assert_int_equal(line.len, 3);
	assert_memory_equal(line.p, "a\0b", 3);
	stream_close(&s);
}

static void
blocks(void **state)
{
	(void)state;
	for (size_t step = 0; step < 5; step++) {
		struct stream *s = stream_from_memory(STR("line\nblockrest"), NULL, step);
		char p[10] = "";
		struct str line;
		enum stream_status status;
		size_t got = 0;
		size_t had;

		assert_int_equal(stream_read_line(s, 10, &line), STREAM_OK);
		assert_int_equal(stream_read_exact(s, p, 5), STREAM_OK);
		assert_memory_equal(p, "block", 5);
		had = stream_buffered(s);
		status = stream_fill(s);
		/* More than before, or all was there already. */
		assert_true(status == STREAM_OK ? stream_buffered(s) > had
						: status == STREAM_EOF && had == 4);
		assert_int_equal(stream_peek(s).p[0], 'r');
		stream_consume(s, 1);
		assert_int_equal(stream_read(s, p, sizeof(p), &got), STREAM_OK);
		assert_true(got >= 1 && got <= 3);
		assert_int_equal(p[0], 'e');
		assert_int_equal(stream_read_exact(s, p, 9), STREAM_EOF);
		assert_int_equal(stream_read(s, p, 1, &got), STREAM_EOF);
		assert_int_equal(stream_fill(s), STREAM_EOF);
		assert_int_equal(stream_read(s, p, 0, &got), STREAM_OK);
		assert_true(stream_has_input(s));
		assert_int_equal(stream_fd(s), -1);
		stream_close(&s);
		assert_null(s);
	}
}

/* Larger than the buffer: goes past it. */
static void
big_block(void **state)
{
	enum { BIG = 3 * STREAM_IN_BYTES + 5 };
	char *in = mem_alloc(BIG);
	char *out = mem_alloc(BIG);

	(void)state;
	for (size_t i = 0; i < BIG; i++)
		in[i] = (char)(i * 7);
	for (size_t step = 0; step < 3000; step += 999) {
		struct stream *s = stream_from_memory(str_from_mem(in, BIG), NULL, step);

		memset(out, 0, BIG);
		assert_int_equal(stream_read_exact(s, out, 3), STREAM_OK);
		assert_int_equal(stream_read_exact(s, out + 3, BIG - 3), STREAM_OK);
		assert_memory_equal(in, out, BIG);
		stream_close(&s);
	}
	mem_free(in);
	mem_free(out);
}

static void
output_is_gathered(void **state)
{
	struct buf out;
	struct stream *s;
	char *half = mem_alloc(STREAM_OUT_BYTES);
	size_t n = STREAM_OUT_BYTES / 2 + 1;

	(void)state;
	memset(half, 'h', STREAM_OUT_BYTES);
	buf_init(&out, 1000000);
	s = stream_from_memory(STR_EMPTY, &out, 0);
	assert_int_equal(stream_write(s, STR("220 ")), STREAM_OK);
	assert_int_equal(stream_printf(s, "%s %d\r\n", "hello", 7), STREAM_OK);
	assert_int_equal(out.len, 0);
	assert_int_equal(stream_unsent(s), 13);
	assert_int_equal(stream_flush(s), STREAM_OK);
	assert_string_equal(out.p, "220 hello 7\r\n");
	assert_int_equal(stream_unsent(s), 0);
	buf_clear(&out);

	assert_int_equal(stream_write(s, str_from_mem(half, n)), STREAM_OK);
	assert_int_equal(out.len, 0);
	assert_int_equal(stream_write(s, str_from_mem(half, n)), STREAM_OK);
	assert_int_equal(out.len, n);
	assert_int_equal(stream_unsent(s), n);
	/* A block as large as the buffer goes through, after what waits. */
	half[0] = 'X';
	assert_int_equal(stream_write(s, str_from_mem(half, STREAM_OUT_BYTES)),
			 STREAM_OK);
	assert_int_equal(out.len, 2 * n + STREAM_OUT_BYTES);
	assert_int_equal(out.p[2 * n], 'X');
	assert_int_equal(stream_unsent(s), 0);
	stream_close(&s);
	buf_release(&out);
	mem_free(half);
}

static void
long_printf(void **state)
{
	struct buf out;
	struct stream *s;
	char big[2000];

	(void)state;
	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	buf_init(&out, 10000);
	s = stream_from_memory(STR_EMPTY, &out, 0);
	assert_int_equal(stream_printf(s, "<%s>", big), STREAM_OK);
	stream_close(&s); /* sends it */
	assert_int_equal(out.len, sizeof(big) + 1);
	assert_int_equal(out.p[0], '<');
	assert_int_equal(out.p[out.len - 1], '>');
	buf_release(&out);
}

static void
writev_goes_through(void **state)
{
	struct iovec v[70];
	struct buf out;
	struct stream *s;
	char want[100] = "first:";

	(void)state;
	buf_init(&out, 10000);
	s = stream_from_memory(STR_EMPTY, &out, 0);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		static char letters[] = "abcdefghij";

		/* Some are empty. */
		v[i] = (struct iovec){letters + i % 10, i % 10 == 3 ? 0 : 1};
		if (i % 10 != 3)
			want[strlen(want)] = letters[i % 10];
	}
	assert_int_equal(stream_write(s, STR("first:")), STREAM_OK);
	assert_int_equal(stream_writev_through(s, v, ARRAY_LEN(v)), STREAM_OK);
	assert_string_equal(out.p, want);
	assert_int_equal(stream_writev_through(s, v, 0), STREAM_OK);
	stream_close(&s);
	buf_release(&out);
}

static void
write_error_sticks(void **state)
{
	struct buf out;
	struct stream *s;

	(void)state;
	buf_init(&out, 10);
	s = stream_from_memory(STR("x"), &out, 0);
	assert_int_equal(stream_write(s, STR("0123456789a")), STREAM_OK);
	assert_int_equal(stream_flush(s), STREAM_ERROR);
	assert_int_equal(stream_errno(s), ENOSPC);
	buf_clear(&out);
	assert_int_equal(stream_write(s, STR("b")), STREAM_ERROR);
	assert_int_equal(stream_printf(s, "b"), STREAM_ERROR);
	assert_int_equal(stream_writev_through(s, NULL, 0), STREAM_ERROR);
	assert_int_equal(stream_flush(s), STREAM_ERROR);
	assert_int_equal(out.len, 0);
	stream_close(&s);
	assert_int_equal(out.len, 0);
	buf_release(&out);
}

static void
discard(void **state)
{
	struct buf out;
	struct stream *s;
	struct str line;

	(void)state;
	buf_init(&out, 1000);
	s = stream_from_memory(STR("STARTTLS\r\nEVIL\r\n"), &out, 0);
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_OK);
	assert_int_equal(stream_buffered(s), 6);
	assert_int_equal(stream_write(s, STR("no")), STREAM_OK);
	stream_discard_buffers(s);
	assert_int_equal(stream_buffered(s), 0);
	assert_int_equal(stream_unsent(s), 0);
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_EOF);
	stream_idle(s);
	stream_close(&s);
	assert_int_equal(out.len, 0);
	stream_close(&s); /* NULL is allowed */
	buf_release(&out);
}

/* -- a layer that flips upper and lower case, two bytes at a time, and says goodbye -- */

struct flip {
	int closed;
	int byes;
	bool refuse;
};

static enum stream_io
flip_read(struct stream_layer *layer, void *p, size_t n, size_t *got_out)
{
	struct flip *f = layer->state;
	enum stream_io io;
	char *c = p;

	if (f->refuse) {
		layer->errnum = EPROTO;
		return STREAM_IO_ERROR;
	}
	io = layer->below->ops->read(layer->below, p, MIN_OF(n, (size_t)2), got_out);
	for (size_t i = 0; io == STREAM_IO_DONE && i < *got_out; i++)
		c[i] = (char)(c[i] ^ 0x20);
	return io;
}

static enum stream_io
flip_write(struct stream_layer *layer, const struct iovec *v, int count, size_t *put_out)
{
	const char *from = v[0].iov_base;
	char two[2];
	struct iovec out = {two, MIN_OF(v[0].iov_len, sizeof(two))};

	(void)count;
	for (size_t i = 0; i < out.iov_len; i++)
		two[i] = (char)(from[i] ^ 0x20);
	return layer->below->ops->write(layer->below, &out, 1, put_out);
}

static enum stream_io
flip_bye(struct stream_layer *layer)
{
	struct flip *f = layer->state;
	struct iovec bye = {(char[]){'.'}, 1};
	size_t put;

	f->byes++;
	return layer->below->ops->write(layer->below, &bye, 1, &put);
}

static void
flip_close(struct stream_layer *layer)
{
	struct flip *f = layer->state;

	f->closed++;
}

static const struct stream_ops flip_ops = {
	.name = "flip",
	.read = flip_read,
	.write = flip_write,
	.bye = flip_bye,
	.close = flip_close,
};

static void
layer_on_top(void **state)
{
	struct flip f = {0};
	struct buf out;
	struct stream_layer *top;
	struct stream *s;
	struct str line;

	(void)state;
	buf_init(&out, 1000);
	/* One byte at a time, so that nothing of the second line is read too early. */
	s = stream_from_memory(STR("plain\nhELLO\x2a"), &out, 1);
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_OK);
	assert_int_equal(stream_write(s, STR("go")), STREAM_OK);
	assert_int_equal(stream_flush(s), STREAM_OK);
	top = stream_push(s, &flip_ops, &f);
	assert_ptr_equal(top, stream_top(s));
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_OK);
	assert_true(str_eq(line, STR("Hello")));
	assert_int_equal(stream_write(s, STR("Answer")), STREAM_OK);
	stream_close(&s);
	assert_string_equal(out.p, "goaNSWER.");
	assert_int_equal(f.closed, 1);
	assert_int_equal(f.byes, 1);
	buf_release(&out);
}

static void
layer_that_fails(void **state)
{
	struct flip f = {.refuse = true};
	struct stream *s = stream_from_memory(STR("x"), NULL, 0);
	struct str line;

	(void)state;
	stream_push(s, &flip_ops, &f);
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_ERROR);
	assert_int_equal(stream_errno(s), EPROTO);
	f.refuse = false;
	assert_int_equal(stream_read_line(s, 100, &line), STREAM_ERROR);
	stream_close(&s);
	assert_int_equal(f.byes, 0); /* nothing to say after an error */
	assert_int_equal(f.closed, 1);
}

static void
names(void **state)
{
	(void)state;
	assert_string_equal(stream_status_name(STREAM_TIMEOUT), "timeout");
	assert_string_equal(stream_status_name(STREAM_OK), "ok");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(long_line),
		cmocka_unit_test(nul_bytes_are_bytes),
		cmocka_unit_test(blocks),
		cmocka_unit_test(big_block),
		cmocka_unit_test(output_is_gathered),
		cmocka_unit_test(long_printf),
		cmocka_unit_test(writev_goes_through),
		cmocka_unit_test(write_error_sticks),
		cmocka_unit_test(discard),
		cmocka_unit_test(layer_on_top),
		cmocka_unit_test(layer_that_fails),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
