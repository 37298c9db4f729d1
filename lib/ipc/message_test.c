/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/panic.h"

#include "fiber/stream.h"
#include "ipc/messages.h"

static const struct msg_bounce_append sample = {
	.queue_id = STR_INIT("4F00D1234"),
	.recipient = STR_INIT("a b@example.org"),
	.orig_recipient = STR_INIT(""),
	.offset = 512,
	.dsn_orcpt = STR_INIT(""),
	.dsn = STR_INIT("5.1.1"),
	.action = STR_INIT("failed"),
	.reason = STR_INIT("host said: \"no\" \xff\n"),
	.mta_type = STR_INIT(""),
	.mta_name = STR_INIT(""),
	.diag_type = STR_INIT(""),
	.diag_text = STR_INIT(""),
};

/* What lies between a message's name and its final NUL. */
static struct str
fields_of(struct buf *wire, const struct ipc_message *m)
{
	struct str all = str_skip(buf_str(wire), strlen(m->name) + 1);

	return str_head(all, all.len - 1);
}

static void
test_round_trip(void **state)
{
	struct arena *mem = arena_new();
	struct buf *wire = buf_new(mem, IPC_MESSAGE_MAX);
	struct msg_bounce_append got;
	struct err err;

	(void)state;
	ipc_encode(wire, &ipc_bounce_append, &sample);
	assert_true(ipc_decode(mem, &ipc_bounce_append,
			       fields_of(wire, &ipc_bounce_append), &got, &err));
	assert_true(str_eq(got.queue_id, sample.queue_id));
	assert_true(str_eq(got.recipient, sample.recipient));
	assert_true(str_eq(got.reason, sample.reason));
	assert_int_equal(got.offset, 512);
	assert_int_equal(got.dsn_notify, 0);
	assert_int_equal(got.mta_name.len, 0);
	arena_free(&mem);
}

static void
test_bad_messages(void **state)
{
#define WIRE(literal) STR_INIT(literal)
	static const struct {
		const char *what;
		struct str fields;
		bool ok;
		const char *error;
	} rows[] = {
		{"complete", WIRE("ok\0001\0"), true, NULL},
		{"unknown field is skipped", WIRE("ok\0001\0zzz\0q\0"), true, NULL},
		{"missing", WIRE(""), false, "bounce_done.ok: missing"},
		{"number too large", WIRE("ok\0002\0"), false,
		 "bounce_done.ok: bad number"},
		{"not a number", WIRE("ok\0yes\0"), false, "bounce_done.ok: bad number"},
		{"negative", WIRE("ok\0-1\0"), false, "bounce_done.ok: bad number"},
		{"twice", WIRE("ok\0001\0ok\0000\0"), false,
		 "bounce_done.ok: given twice"},
		{"cut", WIRE("ok\0001"), false, "bounce_done: cut short"},
		{"name alone", WIRE("ok"), false, "bounce_done: cut short"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct msg_bounce_done got = {.ok = 77};
		struct err err = {0};

		assert_int_equal(
			ipc_decode(mem, &ipc_bounce_done, rows[i].fields, &got, &err),
			rows[i].ok);
		if (rows[i].ok)
			assert_int_equal(got.ok, 1);
		else
			assert_int_equal(got.ok, 77); /* untouched */
		if (rows[i].error != NULL)
			assert_string_equal(err.text, rows[i].error);
		arena_free(&mem);
	}
}

static void
test_too_long(void **state)
{
	struct arena *mem = arena_new();
	struct buf *wire = buf_new(mem, 10000);
	struct msg_cleanup_hello got;
	struct err err;

	(void)state;
	buf_add(wire, str_from_mem("queue_id", 9));
	for (int i = 0; i < 101; i++)
		buf_add_char(wire, 'A');
	buf_add_char(wire, '\0');
	assert_false(ipc_decode(mem, &ipc_cleanup_hello, buf_str(wire), &got, &err));
	assert_string_equal(err.text, "cleanup_hello.queue_id: 101 bytes, limit 100");
	buf_clear(wire);
	for (int i = 0; i <= IPC_FIELDS_MAX; i++)
		buf_add(wire, str_from_mem("x\0y", 4));
	assert_false(ipc_decode(mem, &ipc_cleanup_hello, buf_str(wire), &got, &err));
	assert_string_equal(err.text, "cleanup_hello: too many fields");
	arena_free(&mem);
}

/* Rows that cannot work are found here: names, limits, one descriptor, distinct fields.
 */
static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; ipc_all_messages[i] != NULL; i++) {
		const struct ipc_message *m = ipc_all_messages[i];
		size_t fds = 0;
		size_t n;
		const struct ipc_field *f = m->fields(&n);

		assert_in_range(n, 1, IPC_FIELDS_MAX);
		for (size_t a = 0; a < n; a++) {
			assert_true(f[a].offset + sizeof(int) <= m->size);
			fds += f[a].type == IPC_TYPE_FD;
			assert_true(f[a].type == IPC_TYPE_FD || f[a].max > 0);
			for (size_t b = a + 1; b < n; b++)
				assert_string_not_equal(f[a].name, f[b].name);
		}
		assert_in_range(fds, 0, 1);
	}
}

/* Over a stream, whole and byte by byte: two messages, then a clean end. */
static void
test_connection(void **state)
{
	static const struct ipc_message *const accepted[] = {&ipc_bounce_append,
							     &ipc_bounce_done, NULL};
	const struct msg_bounce_done done = {.ok = 1, .reason = STR_INIT("fine")};
	struct arena *mem = arena_new();
	struct buf *wire = buf_new(mem, IPC_MESSAGE_MAX);
	struct stream *s = stream_from_memory(STR_EMPTY, wire, 0);
	struct ipc ipc;
	struct err err;

	(void)state;
	ipc_init(&ipc, s);
	assert_true(ipc_send(&ipc, &ipc_bounce_append, &sample, &err));
	assert_true(ipc_send(&ipc, &ipc_bounce_done, &done, &err));
	assert_true(ipc_flush(&ipc, &err));
	stream_close(&s);
	for (size_t step = 0; step < 3; step++) {
		const struct ipc_message *which;
		void *value;

		s = stream_from_memory(buf_str(wire), NULL, step);
		ipc_init(&ipc, s);
		assert_int_equal(
			ipc_receive_any(&ipc, mem, accepted, &which, &value, &err),
			IPC_DONE);
		assert_ptr_equal(which, &ipc_bounce_append);
		assert_true(
			str_eq(((struct msg_bounce_append *)value)->dsn, STR("5.1.1")));
		assert_int_equal(
			ipc_receive_any(&ipc, mem, accepted, &which, &value, &err),
			IPC_DONE);
		assert_ptr_equal(which, &ipc_bounce_done);
		assert_int_equal(
			ipc_receive_any(&ipc, mem, accepted, &which, &value, &err),
			IPC_CLOSED);
		stream_close(&s);
	}
	arena_free(&mem);
}

/* Every cut of a conversation is a failure or a clean close, never half a message. */
static void
test_cut_connection(void **state)
{
	const struct msg_bounce_done done = {.ok = 1, .reason = STR_INIT("fine")};
	struct arena *mem = arena_new();
	struct buf *wire = buf_new(mem, IPC_MESSAGE_MAX);
	struct stream *s = stream_from_memory(STR_EMPTY, wire, 0);
	struct ipc ipc;
	struct err err;

	(void)state;
	ipc_init(&ipc, s);
	assert_true(ipc_send(&ipc, &ipc_bounce_done, &done, &err));
	assert_true(ipc_flush(&ipc, &err));
	stream_close(&s);
	for (size_t n = 0; n < wire->len; n++) {
		struct msg_bounce_done got;
		enum ipc_result result;

		s = stream_from_memory(str_head(buf_str(wire), n), NULL, 0);
		ipc_init(&ipc, s);
		result = ipc_receive(&ipc, mem, &ipc_bounce_done, &got, &err);
		/* Nothing at all, or nothing after the version. */
		assert_int_equal(result, n == 0 || n == 14 ? IPC_CLOSED : IPC_FAILED);
		stream_close(&s);
	}
	arena_free(&mem);
}

static void
test_wrong_peer(void **state)
{
	static const struct str rows[] = {
		STR_INIT("EHLO example.org\r\n\0"),
		STR_INIT("hikyaku-ipc 2\0bounce_done\0ok\0001\0\0"),
		STR_INIT("hikyaku-ipc 1\0deliver_done\0deferred\0000\0\0"),
		STR_INIT("a very long line that never ends and is not a version of ours "
			 "at all"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct stream *s = stream_from_memory(rows[i], NULL, 0);
		struct arena *mem = arena_new();
		struct msg_bounce_done got;
		struct ipc ipc;
		struct err err;

		ipc_init(&ipc, s);
		assert_int_equal(ipc_receive(&ipc, mem, &ipc_bounce_done, &got, &err),
				 IPC_FAILED);
		stream_close(&s);
		arena_free(&mem);
	}
}

/* A value with a null byte would be read as the next field. */
static void
test_not_sendable(void **state)
{
	struct arena *mem = arena_new();
	struct buf *wire = buf_new(mem, IPC_MESSAGE_MAX);
	struct stream *stream = stream_from_memory(STR_EMPTY, wire, 0);
	struct msg_bounce_append m = sample;
	struct ipc ipc;
	struct err err;
	enum { TOO_LONG = 10001 };
	char *long_text = arena_alloc(mem, TOO_LONG);

	(void)state;
	ipc_init(&ipc, stream);
	m.recipient = STR("a@b\0offset\0007");
	assert_false(ipc_send(&ipc, &ipc_bounce_append, &m, &err));
	assert_int_equal(err.kind, ERR_PERM);
	assert_string_equal(err.text,
			    "bounce_append.recipient: a value that cannot be sent");
	memset(long_text, 'x', TOO_LONG);
	m.recipient = str_from_mem(long_text, TOO_LONG);
	assert_false(ipc_send(&ipc, &ipc_bounce_append, &m, &err));
	m = sample;
	m.offset = -1;
	assert_false(ipc_send(&ipc, &ipc_bounce_append, &m, &err));
	/* Nothing has gone out, and the connection is as good as before. */
	assert_true(ipc_flush(&ipc, &err));
	assert_int_equal(wire->len, 0);
	assert_true(ipc_send(&ipc, &ipc_bounce_append, &sample, &err));
	stream_close(&stream);
	assert_true(wire->len > 0);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_bad_messages),
		cmocka_unit_test(test_too_long),   cmocka_unit_test(test_rows),
		cmocka_unit_test(test_connection), cmocka_unit_test(test_cut_connection),
		cmocka_unit_test(test_wrong_peer), cmocka_unit_test(test_not_sendable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
