/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/mime.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "mail/header.h"
#include "mail/mime_type.h"
#include "mail/qp.h"

enum state { STATE_HEADER, STATE_BODY };

/* An open multipart. */
struct level {
	struct level *outer;
	struct arena *mem; /* of this level */
	struct str boundary;
	bool is_digest;
};

struct mime {
	struct arena *mem;
	unsigned options;
	struct mime_limits limits;
	struct mime_events events;
	void *arg;

	enum state state;
	enum mime_header_class header_class;
	struct buf *field; /* being collected */
	bool line_open;    /* the last piece was not the end of its line */
	bool primary_done;
	struct arena *scratch; /* for one field */

	struct level *level; /* innermost open multipart */
	size_t depth;
	struct arena *content_mem;
	struct mime_content content; /* of the part we are in */
	enum mime_encoding encoding;
	struct str encoding_text;
	struct str type_text; /* the Content-Type field */

	bool encoding_changed; /* MIME_DOWNGRADE: body goes through the encoder */
	struct qp_encoder qp;
	unsigned problems;
	bool has_8bit;
};

/* Sorted by weight. */
static const struct mime_problem problems[] = {
	{MIME_PROBLEM_NESTING, "5.6.0", "MIME nesting exceeds safety limit"},
	{MIME_PROBLEM_TRUNCATED_HEADER, "5.6.0",
	 "message header length exceeds safety limit"},
	{MIME_PROBLEM_8BIT_IN_HEADER, "5.6.0",
	 "improper use of 8-bit data in message header"},
	{MIME_PROBLEM_8BIT_IN_BODY, "5.6.0",
	 "improper use of 8-bit data in message body"},
	{MIME_PROBLEM_ENCODING_DOMAIN, "5.6.0",
	 "invalid message/* or multipart/* encoding domain"},
};

const struct mime_problem *
mime_problem_find(unsigned mask)
{
	for (size_t i = 0; i < ARRAY_LEN(problems); i++) {
		if ((mask & problems[i].bit) != 0)
			return &problems[i];
	}
	return NULL;
}

static void
note_problem(struct mime *m, unsigned bit, struct str where)
{
	if ((m->problems & bit) != 0)
		return;
	m->problems |= bit;
	if (m->events.problem != NULL)
		m->events.problem(m->arg, bit, where);
}

/* ---- parts ---- */

static void
begin_header(struct mime *m, enum mime_header_class which, enum mime_type type)
{
	m->state = STATE_HEADER;
	m->header_class = which;
	arena_reset(m->content_mem);
	m->content = (struct mime_content){.type = type, .boundary = STR_EMPTY};
	m->encoding = MIME_7BIT;
	m->encoding_text = m->type_text = STR_EMPTY;
	m->encoding_changed = false;
}

static void
emit_encoded(void *arg, struct str line, bool whole UNUSED)
{
	struct mime *m = arg;

	m->events.body(m->arg, line, true);
}

struct mime *
mime_new(struct arena *mem, unsigned options, const struct mime_limits *limits,
	 const struct mime_events *events, void *arg)
{
	struct mime *m = ARENA_NEW(mem, struct mime);

	m->mem = mem;
	m->options = options;
	m->limits = *limits;
	m->events = *events;
	m->arg = arg;
	m->scratch = arena_new_child(mem);
	m->content_mem = arena_new_child(mem);
	m->field = buf_new(mem, limits->header_bytes);
	qp_encoder_init(&m->qp, emit_encoded, m);
	begin_header(m, MIME_HEADER_PRIMARY, MIME_TYPE_TEXT);
	return m;
}

static void
push_level(struct mime *m)
{
	struct level *level;
	struct arena *mem;

	/* As Postfix counts: two more than the limit. */
	if (m->depth > m->limits.nesting + 1) {
		note_problem(m, MIME_PROBLEM_NESTING, m->type_text);
		return;
	}
	mem = arena_new_child(m->mem);
	m->depth++;
	level = ARENA_NEW(mem, struct level);
	level->outer = m->level;
	level->mem = mem;
	level->boundary =
		str_dup(mem, str_head(m->content.boundary, m->limits.boundary_bytes));
	level->is_digest = m->content.type == MIME_TYPE_DIGEST;
	m->level = level;
}

static void
pop_level(struct mime *m)
{
	struct arena *mem = m->level->mem;

	m->level = m->level->outer;
	m->depth--;
	arena_free(&mem);
}

static bool
is_multipart(const struct mime *m)
{
	return m->content.type == MIME_TYPE_MULTIPART ||
	       m->content.type == MIME_TYPE_DIGEST;
}

static bool
is_composite(const struct mime *m)
{
	return is_multipart(m) || m->content.type == MIME_TYPE_MESSAGE ||
	       m->content.type == MIME_TYPE_MESSAGE_PART;
}

/* ---- fields ---- */

static bool
is_encoding_dropped(const struct mime *m, const struct header_name *row)
{
	return (m->options & MIME_DOWNGRADE) != 0 && row != NULL &&
	       row->kind == HEADER_CONTENT_TRANSFER_ENCODING &&
	       (m->encoding == MIME_8BIT || m->encoding == MIME_BINARY);
}

static void
read_content_field(struct mime *m, const struct header_field *f, struct str text)
{
	if ((m->options & MIME_OFF) != 0 || f->row == NULL)
		return;
	if (f->row->kind == HEADER_CONTENT_TYPE) {
		m->content = mime_content_parse(m->content_mem, f->value);
		m->type_text = str_dup(m->content_mem, text);
	} else if (f->row->kind == HEADER_CONTENT_TRANSFER_ENCODING) {
		m->encoding = mime_encoding_parse(m->scratch, f->value);
		m->encoding_text = str_dup(m->content_mem, str_trim(f->value));
	}
}

static void
finish_field(struct mime *m)
{
	struct str text = buf_str(m->field);
	struct header_field f;

	if (text.len == 0)
		return;
	if (!str_is_ascii(text)) {
		note_problem(m, MIME_PROBLEM_8BIT_IN_HEADER, text);
		m->has_8bit = true;
	}
	if (header_field_parse(text, &f)) {
		read_content_field(m, &f, text);
		if (!is_encoding_dropped(m, f.row))
			m->events.header(m->arg, m->header_class, f.row, text);
	}
	arena_reset(m->scratch);
	buf_clear(m->field);
}

/* What does not fit is cut off, byte-exact up to the limit. */
static void
add_to_field(struct mime *m, struct str s)
{
	size_t room = m->field->max_bytes - m->field->len;

	if (s.len > room) {
		note_problem(m, MIME_PROBLEM_TRUNCATED_HEADER, buf_str(m->field));
		s = str_head(s, room);
	}
	buf_add(m->field, s);
}

/* ---- end of a header ---- */

static void
write_encoding_field(struct mime *m)
{
	static const char composite[] = "Content-Transfer-Encoding: 7bit";
	static const char single[] = "Content-Transfer-Encoding: quoted-printable";

	if ((m->options & MIME_DOWNGRADE) == 0 ||
	    (m->encoding != MIME_8BIT && m->encoding != MIME_BINARY))
		return;
	m->events.header(m->arg, m->header_class,
			 header_name_get(HEADER_CONTENT_TRANSFER_ENCODING),
			 str_from(is_composite(m) ? composite : single));
	m->encoding_changed = !is_composite(m);
}

static void
finish_header(struct mime *m)
{
	finish_field(m);
	write_encoding_field(m);
	m->state = STATE_BODY;
	if (!m->primary_done) {
		m->primary_done = true;
		m->events.header_end(m->arg);
	}
	if (m->events.part != NULL)
		m->events.part(m->arg);
	if ((m->options & MIME_OFF) != 0)
		return;
	if (is_composite(m) && m->encoding == MIME_ENCODED)
		note_problem(m, MIME_PROBLEM_ENCODING_DOMAIN, m->encoding_text);
	if (is_multipart(m) && m->content.boundary.len > 0) {
		push_level(m);
		/* What stands before the first part is nobody's. */
		m->encoding = MIME_7BIT;
	}
}

/* After the empty line: an attached message begins with a header, also where an encoding
 * is named that the rules forbid: as likely as not it has none. */
static void
begin_body(struct mime *m)
{
	if ((m->options & MIME_OFF) == 0 && m->content.type == MIME_TYPE_MESSAGE)
		begin_header(m, MIME_HEADER_NESTED, MIME_TYPE_TEXT);
}

/* ---- body ---- */

/* "--boundary" of an open multipart ends the parts inside it; compared as a prefix, as
 * Postfix does, because blanks may follow. */
static struct level *
find_boundary(const struct mime *m, struct str line)
{
	struct level *level = m->level;

	if (!str_starts(line, STR("--")))
		return NULL;
	while (level != NULL && !str_starts(str_skip(line, 2), level->boundary))
		level = level->outer;
	return level;
}

static void
take_boundary(struct mime *m, struct level *level, struct str line)
{
	struct str after = str_skip(line, 2 + level->boundary.len);

	while (m->level != level)
		pop_level(m);
	if (str_starts(after, STR("--"))) {
		pop_level(m);
		begin_header(m, MIME_HEADER_MULTIPART, MIME_TYPE_TEXT);
		m->state = STATE_BODY;
	} else {
		begin_header(m, MIME_HEADER_MULTIPART,
			     level->is_digest ? MIME_TYPE_MESSAGE : MIME_TYPE_TEXT);
	}
}

static void
body_line(struct mime *m, struct str line, bool whole)
{
	if (!str_is_ascii(line)) {
		m->has_8bit = true;
		if (m->encoding == MIME_7BIT)
			note_problem(m, MIME_PROBLEM_8BIT_IN_BODY, line);
	}
	if (m->encoding_changed)
		qp_encoder_line(&m->qp, line, whole);
	else
		m->events.body(m->arg, line, whole);
}

static void
take_body_line(struct mime *m, struct str line, bool whole, bool starts_line)
{
	struct level *level = starts_line ? find_boundary(m, line) : NULL;

	if (level == NULL) {
		body_line(m, line, whole);
		return;
	}
	take_boundary(m, level, line);
	m->events.body(m->arg, line, whole);
}

/* ---- lines ---- */

/* A line in a header: part of a field, or the end. */
static void
take_header_line(struct mime *m, struct str line, bool whole)
{
	if (m->field->len > 0 && line.len > 0 && char_is_blank(line.p[0])) {
		add_to_field(m, STR("\n"));
		add_to_field(m, line);
		return;
	}
	if (header_name_length(line) > 0) {
		finish_field(m);
		add_to_field(m, line);
		return;
	}
	finish_header(m);
	if (line.len == 0 && whole) {
		m->events.body(m->arg, STR_EMPTY, true);
		begin_body(m);
		return;
	}
	/* The other end must not take the line for a field. In the header of a part it
	 * cannot do harm, and what is inside the body is not ours to change. */
	if (m->header_class == MIME_HEADER_PRIMARY)
		m->events.body(m->arg, STR_EMPTY, true);
	take_body_line(m, line, whole, true);
}

unsigned
mime_line(struct mime *m, struct str line, bool whole)
{
	bool starts_line = !m->line_open;

	m->line_open = !whole;
	if (m->state == STATE_BODY)
		take_body_line(m, line, whole, starts_line);
	else if (!starts_line && m->field->len > 0)
		add_to_field(m, line);
	else if (!starts_line)
		m->events.body(m->arg, line, whole); /* rest of a boundary */
	else
		take_header_line(m, line, whole);
	return m->problems;
}

unsigned
mime_end(struct mime *m)
{
	if (m->state == STATE_HEADER) {
		finish_header(m);
	} else if (m->line_open && m->encoding_changed) {
		qp_encoder_line(&m->qp, STR_EMPTY, true);
	}
	return m->problems;
}

bool
mime_has_8bit(const struct mime *m)
{
	return m->has_8bit;
}
