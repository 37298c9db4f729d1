/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/list_wire.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"

#include "fiber/stream.h"

static const struct str protocol = STR_INIT("mail_queue_list_protocol");

/* ---- writing ---- */

static bool
put(struct stream *out, const char *name, struct str value)
{
	return stream_write(out, str_from_mem(name, strlen(name) + 1)) == STREAM_OK &&
	       stream_write(out, value) == STREAM_OK &&
	       stream_write(out, str_from_mem("", 1)) == STREAM_OK;
}

static bool
put_number(struct stream *out, const char *name, int64_t value)
{
	return stream_printf(out, "%s%c%" PRId64 "%c", name, 0, value, 0) == STREAM_OK;
}

static bool
put_end(struct stream *out)
{
	return stream_write(out, str_from_mem("", 1)) == STREAM_OK;
}

static bool
write_message(void *arg, const struct queue_list_message *m)
{
	struct stream *out = arg;

	return put(out, "queue_name", str_from(queue_directory_name(m->queue))) &&
	       put(out, "queue_id", m->id) && put_number(out, "time", m->arrival_s) &&
	       put_number(out, "size", m->size) &&
	       put_number(out, "forced_expire", m->forced_expire) &&
	       put(out, "sender", m->sender);
}

static bool
write_recipient(void *arg, struct str address, struct str reason)
{
	return put(arg, "recipient", address) && put(arg, "reason", reason);
}

static bool
write_end(void *arg)
{
	return put_end(arg);
}

struct queue_list_sink
list_wire_sink(struct stream *out)
{
	return (struct queue_list_sink){.message = write_message,
					.recipient = write_recipient,
					.end = write_end,
					.arg = out};
}

bool
list_wire_begin(struct stream *out)
{
	return put(out, "protocol", protocol) && put_end(out);
}

bool
list_wire_end(struct stream *out)
{
	return put_end(out) && stream_flush(out) == STREAM_OK;
}

/* ---- reading ---- */

/* A sticky error, so that fields are read in a row and looked at once. */
struct wire {
	struct stream *in;
	struct arena *mem; /* one recipient, or the head of one message */
	struct err *err;
	bool failed;
};

static struct str
fail(struct wire *w, enum err_kind kind, const char *why)
{
	if (!w->failed)
		err_set(w->err, kind, "%s", why);
	w->failed = true;
	return STR_EMPTY;
}

/* Up to the next NUL. */
static struct str
get_text(struct wire *w)
{
	size_t looked = 0;

	while (!w->failed) {
		struct str have = stream_peek(w->in);
		const char *end = have.len == looked ? NULL
						     : memchr(have.p + looked, '\0',
							      have.len - looked);
		enum stream_status status;

		if (end != NULL) {
			struct str s = str_head(have, (size_t)(end - have.p));

			s = str_dup(w->mem, s);
			stream_consume(w->in, s.len + 1);
			return s;
		}
		looked = have.len;
		if (looked > LIST_WIRE_VALUE_MAX)
			return fail(w, ERR_PERM, "value too long");
		status = stream_fill(w->in);
		if (status != STREAM_OK)
			return fail(w, ERR_TEMP, stream_status_name(status));
	}
	return STR_EMPTY;
}

static struct str
get(struct wire *w, const char *name)
{
	struct str found = get_text(w);

	if (!w->failed && !str_eq(found, str_from(name)))
		return fail(w, ERR_PERM, "unexpected attribute");
	return get_text(w);
}

static int64_t
get_number(struct wire *w, const char *name, int64_t max)
{
	struct str text = get(w, name);
	int64_t n = 0;

	if (!w->failed && !str_to_i64(text, 0, max, &n))
		fail(w, ERR_PERM, "bad number");
	return n;
}

/* The rest of a message whose first name was read. */
static bool
read_message(struct wire *w, const struct queue_list_sink *sink)
{
	struct queue_list_message m;
	struct str name;

	m.queue = queue_name_find(get_text(w));
	if (!w->failed && m.queue == QUEUE_NAMES)
		fail(w, ERR_PERM, "unknown queue");
	m.id = get(w, "queue_id");
	m.arrival_s = get_number(w, "time", INT64_MAX);
	m.size = get_number(w, "size", INT64_MAX);
	m.forced_expire = get_number(w, "forced_expire", 1) != 0;
	m.sender = get(w, "sender");
	if (w->failed || !sink->message(sink->arg, &m))
		return false;
	for (;;) {
		struct str address;
		struct str reason;

		arena_reset(w->mem);
		name = get_text(w);
		if (w->failed || name.len == 0)
			break;
		if (!str_eq(name, STR("recipient")))
			fail(w, ERR_PERM, "unexpected attribute");
		address = get_text(w);
		reason = get(w, "reason");
		if (w->failed || !sink->recipient(sink->arg, address, reason))
			return false;
	}
	return !w->failed && sink->end(sink->arg);
}

bool
list_wire_read(struct stream *in, const struct queue_list_sink *sink, bool *stopped_out,
	       struct err *err)
{
	struct wire w = {.in = in, .mem = arena_new(), .err = err};
	bool stopped = false;

	if (!str_eq(get(&w, "protocol"), protocol) || get_text(&w).len != 0)
		fail(&w, ERR_PERM, "not the queue list protocol");
	while (!w.failed && !stopped) {
		struct str name;

		arena_reset(w.mem);
		name = get_text(&w);
		if (w.failed || name.len == 0)
			break;
		if (!str_eq(name, STR("queue_name")))
			fail(&w, ERR_PERM, "unexpected attribute");
		stopped = !read_message(&w, sink);
	}
	arena_free(&w.mem);
	if (!w.failed)
		*stopped_out = stopped;
	return !w.failed;
}
