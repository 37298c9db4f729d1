/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is read again, whole or byte by byte; what is cut or wrong fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

#include "fiber/stream.h"
#include "queue/list_wire.h"

static bool
note_message(void *arg, const struct queue_list_message *m)
{
	buf_printf(arg, "M %s " PRI_STR " %d %d %d " PRI_STR "\n",
		   queue_directory_name(m->queue), STR_ARG(m->id), (int)m->arrival_s,
		   (int)m->size, m->forced_expire, STR_ARG(m->sender));
	return true;
}

static bool
note_recipient(void *arg, struct str address, struct str reason)
{
	buf_printf(arg, "R " PRI_STR " (" PRI_STR ")\n", STR_ARG(address),
		   STR_ARG(reason));
	return true;
}

static bool
note_end(void *arg)
{
	buf_add_c(arg, "E\n");
	return true;
}

static bool
read_back(struct str wire, size_t step, struct buf *notes, struct err *err)
{
	const struct queue_list_sink sink = {.message = note_message,
					     .recipient = note_recipient,
					     .end = note_end,
					     .arg = notes};
	struct stream *in = stream_from_memory(wire, NULL, step);
	bool stopped = true;
	bool ok = list_wire_read(in, &sink, &stopped, err);

	assert_true(!ok || !stopped);
	stream_close(&in);
	return ok;
}

static void
test_round_trip(void **state)
{
	struct arena *mem = arena_new();
	struct buf *wire = buf_new(mem, 200000);
	struct buf *notes = buf_new(mem, 200000);
	struct stream *out = stream_from_memory(STR_EMPTY, wire, 0);
	struct queue_list_sink sink = list_wire_sink(out);
	char *longest = arena_alloc(mem, 10001);
	const struct queue_list_message m = {QUEUE_DEFERRED, STR("0AB12"),      1700, 42,
					     true,           STR("a@b.example")};
	struct err err;

	(void)state;
	memset(longest, 'x', 10000);
	assert_true(list_wire_begin(out));
	assert_true(sink.message(sink.arg, &m));
	assert_true(sink.recipient(sink.arg, STR("c@d.example"), STR("no route")));
	assert_true(sink.recipient(sink.arg, STR("e@d.example"), str_from(longest)));
	assert_true(sink.end(sink.arg));
	assert_true(list_wire_end(out));
	stream_close(&out);

	for (size_t step = 0; step < 3; step++) {
		struct str want = str_printf(mem,
					     "M deferred 0AB12 1700 42 1 a@b.example\n"
					     "R c@d.example (no route)\n"
					     "R e@d.example (%s)\nE\n",
					     longest);

		buf_clear(notes);
		assert_true(read_back(buf_str(wire), step, notes, &err));
		assert_true(str_eq(buf_str(notes), want));
	}
	for (size_t cut = 0; cut < 250; cut++) {
		buf_clear(notes);
		assert_false(read_back(str_head(buf_str(wire), cut), 0, notes, &err));
	}
	wire->p[0] = 'P';
	assert_false(read_back(buf_str(wire), 0, notes, &err));
	assert_int_equal(err.kind, ERR_PERM);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
