/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a message, and what milters change in it. */
#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "fiber/stream.h"

#include "milter/milter_internal.h"

static const struct milter_answer go_on = {MILTER_CONTINUE, {"", 0}};
static const struct milter_answer broken = {MILTER_REFUSE, {"", 0}};

struct telling {
	struct milter *m;
	struct arena *mem; /* of the answer */
	struct arena *now; /* of one event */
	const struct milter_source *source;
	const struct milter_changes *changes;
	size_t n_changes;
	bool hold;
};

/* Our own side has failed: the milter must not take this for the end of a message. */
static struct milter_answer
break_off(struct telling *t)
{
	stream_discard_output(t->m->stream);
	IGNORE(stream_shutdown(t->m->stream, SHUT_RDWR) == STREAM_OK);
	stream_close(&t->m->stream);
	t->m->state = MILTER_FAILED;
	t->m->standing = (struct milter_answer){
		MILTER_REFUSE, STR("451 4.3.0 Error: queue file write error")};
	return broken;
}

/* ---- header and body ---- */

static struct milter_answer
tell_field(struct telling *t, struct str name, struct str value)
{
	struct milter *m = t->m;
	struct buf *out = m->all->out;
	size_t mark = milter_event_begin(m, t->now, &milter_header_event);

	if ((m->flags & MILTER_LEADING_SPACE) == 0 && value.len > 0 && value.p[0] == ' ')
		value = str_skip(value, 1);
	milter_put_text(out, name);
	milter_put_text(out, value);
	return milter_event_end(m, t->mem, &milter_header_event, mark);
}

static struct milter_answer
tell_header(struct telling *t)
{
	struct milter_answer answer = go_on;
	struct str name;
	struct str value;

	for (;;) {
		switch (t->source->header(t->source->arg, &name, &value)) {
		case MILTER_READ_FAILED:
			return break_off(t);
		case MILTER_READ_END:
			return answer;
		case MILTER_READ_GOT:
			break;
		}
		if (milter_wants(t->m, &milter_header_event))
			answer = tell_field(t, name, value);
		if (answer.verdict != MILTER_CONTINUE || t->m->state != MILTER_READY)
			return answer;
		arena_reset(t->now);
	}
}

static struct milter_answer
tell_end_of_header(struct telling *t)
{
	struct milter *m = t->m;
	size_t mark;

	if (!milter_wants(m, &milter_end_of_header_event))
		return go_on;
	mark = milter_event_begin(m, t->now, &milter_end_of_header_event);
	return milter_event_end(m, t->mem, &milter_end_of_header_event, mark);
}

static struct milter_answer
tell_chunk(struct telling *t, struct buf *chunk)
{
	struct milter *m = t->m;
	size_t mark = milter_event_begin(m, t->now, &milter_body_event);

	buf_add(m->all->out, buf_str(chunk));
	buf_clear(chunk);
	return milter_event_end(m, t->mem, &milter_body_event, mark);
}

static struct milter_answer
tell_text(struct telling *t, struct buf *chunk, struct str text)
{
	struct milter_answer answer = go_on;

	while (text.len > 0 && answer.verdict == MILTER_CONTINUE &&
	       milter_wants(t->m, &milter_body_event)) {
		struct str piece = str_head(text, MILTER_CHUNK_BYTES - chunk->len);

		buf_add(chunk, piece);
		text = str_skip(text, piece.len);
		if (chunk->len == MILTER_CHUNK_BYTES)
			answer = tell_chunk(t, chunk);
	}
	return answer;
}

static struct milter_answer
tell_body(struct telling *t)
{
	struct buf *chunk = buf_new(t->now, MILTER_CHUNK_BYTES);
	struct milter_answer answer = go_on;
	struct str text;

	while (answer.verdict == MILTER_CONTINUE &&
	       milter_wants(t->m, &milter_body_event)) {
		switch (t->source->body(t->source->arg, &text)) {
		case MILTER_READ_FAILED:
			return break_off(t);
		case MILTER_READ_END:
			return chunk->len > 0 ? tell_chunk(t, chunk) : answer;
		case MILTER_READ_GOT:
			break;
		}
		answer = tell_text(t, chunk, text);
	}
	return answer;
}

/* ---- changes ---- */

enum change_result { CHANGE_DONE, CHANGE_REFUSED, CHANGE_MALFORMED, CHANGE_UNKNOWN };

static enum change_result
result_of(bool ok)
{
	return ok ? CHANGE_DONE : CHANGE_REFUSED;
}

/* A value as it will stand after the colon. */
static struct str
spaced(const struct telling *t, struct str value)
{
	return (t->m->flags & MILTER_LEADING_SPACE) != 0
		       ? value
		       : str_concat(t->now, STR(" "), value);
}

static enum change_result
change_header(struct telling *t, char letter, struct str data)
{
	const struct milter_changes *c = t->changes;
	uint32_t number = 0;
	struct str name;
	struct str value;

	if ((letter != 'h' && !milter_take_number(&data, &number)) ||
	    !milter_take_text(&data, &name) || !milter_take_text(&data, &value))
		return CHANGE_MALFORMED;
	if (letter == 'h')
		return result_of(c->add_header(c->arg, name, spaced(t, value)));
	if (letter == 'i')
		return result_of(
			c->insert_header(c->arg, number, name, spaced(t, value)));
	if (value.len > 0)
		value = spaced(t, value);
	return result_of(c->change_header(c->arg, number == 0 ? 1 : number, name, value));
}

static enum change_result
change_envelope(struct telling *t, char letter, struct str data)
{
	const struct milter_changes *c = t->changes;
	struct str params = STR_EMPTY;
	struct str address;

	if (!milter_take_text(&data, &address) ||
	    (data.len > 0 && !milter_take_text(&data, &params)))
		return CHANGE_MALFORMED;
	if (letter == 'e')
		return result_of(c->change_sender(c->arg, address, params));
	if (letter == '-')
		return result_of(c->delete_recipient(c->arg, address));
	return result_of(c->add_recipient(c->arg, address, params));
}

static enum change_result
change(struct telling *t, char letter, struct str data)
{
	struct str reason;

	switch (letter) {
	case 'h':
	case 'i':
	case 'm':
		return change_header(t, letter, data);
	case 'e':
	case '+':
	case '2':
	case '-':
		return change_envelope(t, letter, data);
	case 'b':
		return result_of(t->changes->replace_body(t->changes->arg, data));
	case 'q':
		if (!milter_take_text(&data, &reason))
			return CHANGE_MALFORMED;
		t->hold = true;
		return CHANGE_DONE;
	default:
		return CHANGE_UNKNOWN;
	}
}

static struct milter_answer
finish(struct telling *t, struct milter_answer answer)
{
	const struct milter_changes *c = t->changes;

	/* What a milter wanted that then failed is not half done. */
	if (answer.verdict != MILTER_CONTINUE || t->m->state == MILTER_FAILED) {
		IGNORE(c->done(c->arg, false));
		return answer;
	}
	if (!c->done(c->arg, true))
		return broken;
	return t->hold ? (struct milter_answer){MILTER_HOLD, STR_EMPTY} : answer;
}

/* A header field without a name cannot be found: libmilter lets that pass. */
static bool
has_no_name(char letter, struct str data)
{
	return letter == 'm' && data.len > 4 && data.p[4] == '\0';
}

static struct milter_answer
hear_changes(struct telling *t)
{
	const struct milter_event *event = &milter_end_event;
	struct milter_answer answer = go_on;
	struct milter *m = t->m;
	int waits = 0;

	for (;;) {
		struct str data;
		char letter;

		arena_reset(t->now);
		if (!milter_read_packet(m, event, &letter, &data, &answer))
			return answer;
		if (letter == 'p') {
			if (++waits > MILTER_PROGRESS_MAX)
				return milter_fail(m, "makes no progress");
			continue;
		}
		if (has_no_name(letter, data))
			return milter_misconfigured(m, "null change header name");
		if (milter_common_reply(m, t->mem, event, letter, data, &answer))
			return answer;
		if ((letter != 'b' || data.len == 0) &&
		    ++t->n_changes > MILTER_CHANGES_MAX)
			return milter_fail(m, "more than %d changes", MILTER_CHANGES_MAX);
		switch (change(t, letter, data)) {
		case CHANGE_DONE:
			break;
		case CHANGE_REFUSED:
			return break_off(t);
		case CHANGE_MALFORMED:
			return milter_fail(m, "packet too short for string");
		case CHANGE_UNKNOWN:
			return milter_unexpected(m, event, letter);
		}
	}
}

static struct milter_answer
tell_end(struct telling *t)
{
	struct milter_answer answer;
	size_t mark = milter_event_begin(t->m, t->now, &milter_end_event);

	milter_packet_end(t->m->all->out, mark);
	if (!milter_send_out(t->m, &milter_end_event, &answer))
		return answer;
	return finish(t, hear_changes(t));
}

/* ---- the whole ---- */

static struct milter_answer
tell_message(struct telling *t)
{
	struct milter_answer (*const steps[])(struct telling *) = {
		tell_header, tell_end_of_header, tell_body, tell_end};
	struct milter_answer answer = go_on;

	t->m->skipped = 0;
	if (!t->source->rewind(t->source->arg))
		return break_off(t);
	for (size_t i = 0; i < ARRAY_LEN(steps) && answer.verdict == MILTER_CONTINUE &&
			   t->m->state == MILTER_READY;
	     i++) {
		answer = steps[i](t);
		arena_reset(t->now);
	}
	return answer;
}

struct milter_answer
milters_message(struct milters *all, struct arena *mem,
		const struct milter_source *source, const struct milter_changes *changes)
{
	struct milter_answer answer = go_on;

	for (size_t i = 0; i < all->n && answer.verdict == MILTER_CONTINUE; i++) {
		struct telling t = {.m = &all->list[i],
				    .mem = mem,
				    .source = source,
				    .changes = changes};

		if (t.m->state == MILTER_READY) {
			t.now = arena_new();
			answer = tell_message(&t);
			arena_free(&t.now);
		} else if (t.m->state != MILTER_DONE_MESSAGE) {
			answer = t.m->standing;
		}
	}
	return answer;
}
