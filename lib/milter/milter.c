/* SPDX-License-Identifier: Apache-2.0 */
/* All milters of a client: the connection and the envelope. */
#include "milter/milter.h"

#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "fiber/stream.h"

#include "milter/milter_internal.h"

enum { LEAVE_MS = 1000 };

/* Room for macros and the packet itself. */
enum { OUT_MAX = 4 * MILTER_PACKET_MAX };

struct milters *
milters_new(struct arena *mem, const struct milter_settings *settings,
	    const struct milter_list *list, const struct milter_world *world)
{
	struct arena *own = arena_new_child(mem);
	struct milters *all = ARENA_NEW(own, struct milters);

	all->mem = own;
	all->connection = arena_new_child(own);
	all->settings = settings;
	all->world = world;
	all->out = buf_new(own, OUT_MAX);
	all->in = buf_new(own, MILTER_PACKET_MAX);
	all->n = list == NULL ? 0 : list->n;
	all->list = arena_alloc_array(own, all->n + 1, sizeof(*all->list));
	for (size_t i = 0; i < all->n; i++) {
		all->list[i].all = all;
		all->list[i].setting = &list->milters[i];
	}
	return all;
}

size_t
milters_count(const struct milters *m)
{
	return m->n;
}

/* ---- packets without an answer ---- */

static void
tell(struct milter *m, char letter)
{
	struct buf *out = m->all->out;

	buf_clear(out);
	milter_packet_end(out, milter_packet_begin(out, letter));
	stream_set_timeout_ms(m->stream, LEAVE_MS);
	/* A failure shows at the next event. */
	IGNORE(stream_write(m->stream, buf_str(out)) == STREAM_OK &&
	       stream_flush(m->stream) == STREAM_OK);
	stream_set_timeout_ms(m->stream, -1);
}

void
milters_abort(struct milters *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct milter *m = &all->list[i];

		if (m->state != MILTER_READY && m->state != MILTER_DONE_MESSAGE)
			continue;
		stream_set_deadline_ms(m->stream, LOOP_FOREVER);
		tell(m, 'A');
		m->state = MILTER_READY;
	}
}

void
milters_disconnect(struct milters *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct milter *m = &all->list[i];

		if (m->stream != NULL) {
			stream_set_deadline_ms(m->stream, LOOP_FOREVER);
			/* A copy that was handed over is not ours to end. */
			if (!m->is_imported)
				tell(m, 'Q');
			stream_discard_output(m->stream);
		}
		stream_close(&m->stream);
		m->state = MILTER_CLOSED;
		m->standing = (struct milter_answer){MILTER_CONTINUE, STR_EMPTY};
	}
	arena_reset(all->connection);
}

void
milters_free(struct milters **m)
{
	struct arena *mem;

	if (*m == NULL)
		return;
	milters_disconnect(*m);
	mem = (*m)->mem;
	*m = NULL;
	arena_free(&mem);
}

/* ---- events ---- */

/* What one milter says to an event whose data `put` adds. */
typedef void put_fn(struct buf *out, const void *arg);

static struct milter_answer
tell_one(struct milter *m, struct arena *mem, const struct milter_event *event,
	 put_fn *put, const void *arg)
{
	struct milter_answer none = {MILTER_CONTINUE, STR_EMPTY};
	size_t mark;

	if (m->state != MILTER_READY)
		return m->state == MILTER_DONE_MESSAGE ? none : m->standing;
	if (m->version >= MILTER_VERSION_MIN &&
	    (milter_version_lacks(m->version) & event->off) != 0)
		return none;
	if (!milter_wants(m, event)) {
		/* Macros are for later events, too. */
		size_t begin;

		buf_clear(m->all->out);
		begin = milter_packet_begin(m->all->out, 'D');
		buf_add_char(m->all->out, event->letter);
		milter_put_macros(m, mem, event->stage, m->all->out);
		milter_packet_end(m->all->out, begin);
		IGNORE(milter_send_out(m, event, &none));
		return none;
	}
	mark = milter_event_begin(m, mem, event);
	put(m->all->out, arg);
	return milter_event_end(m, mem, event, mark);
}

static struct milter_answer
tell_all(struct milters *all, struct arena *mem, const struct milter_event *event,
	 put_fn *put, const void *arg)
{
	struct milter_answer answer = {MILTER_CONTINUE, STR_EMPTY};

	for (size_t i = 0; i < all->n && answer.verdict == MILTER_CONTINUE; i++)
		answer = tell_one(&all->list[i], mem, event, put, arg);
	return answer;
}

static void
put_nothing(struct buf *out UNUSED, const void *arg UNUSED)
{
}

static void
put_str(struct buf *out, const void *arg)
{
	const struct str *text = arg;

	milter_put_text(out, *text);
}

struct words {
	const struct str *list;
	size_t n;
};

static void
put_words(struct buf *out, const void *arg)
{
	const struct words *words = arg;

	for (size_t i = 0; i < words->n; i++)
		milter_put_text(out, words->list[i]);
}

static void
put_client(struct buf *out, const void *arg)
{
	const struct milter_client *c = arg;
	char family = c->family == AF_INET    ? '4'
		      : c->family == AF_INET6 ? '6'
		      : c->family == AF_UNIX  ? 'L'
					      : 'U';

	milter_put_text(out, c->name);
	buf_add_char(out, family);
	if (family == 'U')
		return;
	buf_add_char(out, (char)(unsigned char)(c->port >> 8));
	buf_add_char(out, (char)(unsigned char)c->port);
	milter_put_text(out, c->address);
}

struct milter_answer
milters_connect(struct milters *all, struct arena *mem,
		const struct milter_client *client)
{
	struct milter_answer answer = {MILTER_CONTINUE, STR_EMPTY};

	for (size_t i = 0; i < all->n && answer.verdict == MILTER_CONTINUE; i++) {
		struct milter *m = &all->list[i];

		if (m->state != MILTER_CLOSED || milter_open(m, mem, &answer))
			answer = tell_one(m, mem, &milter_connect_event, put_client,
					  client);
	}
	return answer;
}

struct milter_answer
milters_helo(struct milters *all, struct arena *mem, struct str text)
{
	return tell_all(all, mem, &milter_helo_event, put_str, &text);
}

struct milter_answer
milters_mail(struct milters *all, struct arena *mem, const struct str *args, size_t n)
{
	const struct words words = {args, n};

	return tell_all(all, mem, &milter_mail_event, put_words, &words);
}

struct milter_answer
milters_rcpt(struct milters *all, struct arena *mem, const struct str *args, size_t n)
{
	const struct words words = {args, n};

	return tell_all(all, mem, &milter_rcpt_event, put_words, &words);
}

void
milters_refused_rcpt(struct milters *all, struct arena *mem, const struct str *args,
		     size_t n)
{
	const struct words words = {args, n};

	for (size_t i = 0; i < all->n; i++) {
		struct milter *m = &all->list[i];

		/* It is refused whatever they say. */
		if (m->state == MILTER_READY && (m->flags & MILTER_REFUSED_RCPT) != 0)
			IGNORE(tell_one(m, mem, &milter_rcpt_event, put_words, &words)
				       .verdict == MILTER_CONTINUE);
	}
}

struct milter_answer
milters_data(struct milters *all, struct arena *mem)
{
	return tell_all(all, mem, &milter_data_event, put_nothing, NULL);
}

struct milter_answer
milters_unknown(struct milters *all, struct arena *mem, struct str line)
{
	return tell_all(all, mem, &milter_unknown_event, put_str, &line);
}
