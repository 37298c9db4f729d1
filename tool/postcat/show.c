/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the records. The state says in which part of the file the pass is; each
 * record is printed or not by state and request. Where only content or only envelope is
 * asked for, the sizes of the first record tell where to jump.
 */
#include "show.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/sys.h"
#include "mail/header.h"
#include "queue/record.h"

enum { REVERSE_MAX = 10000 };

/* The extracted part is printed as the envelope is. */
enum state { STATE_ENVELOPE, STATE_HEADER, STATE_BODY };

struct show {
	const struct show_request *request;
	struct arena *mem;
	FILE *out;
	struct record_reader reader;
	enum state state;
	int64_t data_offset; /* -1: not known */
	int64_t data_size;
	int64_t offset; /* what is shown for the next record: silent ones before count */
	int reverse;
	char previous; /* letter of the record before, of text only if printed */
	bool skipped;  /* this record was text that nobody asked for */
	bool finished;
	struct err *err;
};

static bool
asked(const struct show *s, unsigned what)
{
	return (s->request->what & what) != 0;
}

static void
warn(const struct show *s, const char *what, struct str detail)
{
	fflush(s->out);
	fprintf(stderr, "%s: warning: %s%s" PRI_STR "\n", s->request->program,
		s->request->name, what,
		STR_ARG(str_printable(s->mem, str_head(detail, 100), true)));
}

static unsigned
state_part(enum state state)
{
	switch (state) {
	case STATE_HEADER:
		return SHOW_HEADER;
	case STATE_BODY:
		return SHOW_BODY;
	case STATE_ENVELOPE:
		break;
	}
	return SHOW_ENVELOPE;
}

static void
print_prefix(const struct show *s, const struct record *r)
{
	if (asked(s, SHOW_NAME))
		fprintf(s->out, "%s: ", s->request->name);
	if (asked(s, SHOW_OFFSET))
		fprintf(s->out, "%9" PRId64 " ", s->offset);
	if (asked(s, SHOW_TYPE))
		fprintf(s->out, "%3d ", (unsigned char)r->letter);
}

static void
print_banner(const struct show *s, const struct record *r, const char *title)
{
	if (!asked(s, SHOW_ENVELOPE))
		return;
	print_prefix(s, r);
	fprintf(s->out, "*** %s %s ***\n", title, s->request->name);
}

/* The part of a payload before the first NUL: Postfix prints C strings. */
static struct str
c_part(struct str data)
{
	return str_head(data, str_index(data, '\0'));
}

static const char *
label(char letter)
{
	static const enum record_segment order[] = {SEGMENT_ENVELOPE, SEGMENT_EXTRACTED,
						    SEGMENT_CONTENT};

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		enum record_type type = record_find(letter, order[i]);

		if (type != RECORD_TYPES)
			return record_name(type);
	}
	return letter == RECORD_LETTER(FLAGS) ? record_name(RECORD_FLAGS)
					      : "unknown_record_type";
}

static void
print_plain(const struct show *s, const struct record *r, const char *name)
{
	print_prefix(s, r);
	fprintf(s->out, "%s: " PRI_STR "\n", name, STR_ARG(c_part(r->data)));
}

static void
print_time(const struct show *s, const struct record *r, const char *name,
	   struct str value)
{
	time_t t = (time_t)strtoll(str_c(s->mem, value), NULL, 10);
	struct tm tm;
	char text[64] = "\n";

	if (localtime_r(&t, &tm) != NULL)
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y\n", &tm);
	print_prefix(s, r);
	fprintf(s->out, "%s: %s", name, text);
}

/* name, blanks, '=', blanks, value, blanks. False with the reason. */
static bool
split_attribute(struct str text, struct str *name, struct str *value, const char **why)
{
	static const char spaces[] = " \t\r\n\v\f";
	struct str rest = text;
	size_t n;

	while (rest.len > 0 && char_is_space(rest.p[0]))
		rest = str_skip(rest, 1);
	n = MIN_OF(str_index(rest, '='), str_index_any(rest, spaces));
	if (n == 0) {
		*why = ": malformed attribute: missing attribute name: ";
		return false;
	}
	*name = str_head(rest, n);
	rest = str_skip(rest, n);
	while (rest.len > 0 && char_is_space(rest.p[0]))
		rest = str_skip(rest, 1);
	if (rest.len == 0 || rest.p[0] != '=') {
		*why = ": malformed attribute: missing '=' after attribute name: ";
		return false;
	}
	rest = str_skip(rest, 1);
	while (rest.len > 0 && char_is_space(rest.p[0]))
		rest = str_skip(rest, 1);
	while (rest.len > 0 && char_is_space(rest.p[rest.len - 1]))
		rest.len--;
	*value = rest;
	return true;
}

static void
print_attribute(const struct show *s, const struct record *r)
{
	struct str name = STR_EMPTY;
	struct str value = STR_EMPTY;
	struct str text = c_part(r->data);
	const char *why = "";

	if (!split_attribute(text, &name, &value, &why)) {
		print_prefix(s, r);
		warn(s, why, text);
		return;
	}
	if (str_eq(name, STR("create_time"))) {
		print_time(s, r, "create_time", value);
		return;
	}
	print_prefix(s, r);
	fprintf(s->out, "%s: " PRI_STR "=" PRI_STR "\n", record_name(RECORD_ATTRIBUTE),
		STR_ARG(name), STR_ARG(value));
}

/* Offsets in the size record, read as loosely as Postfix does. */
static void
take_size(struct show *s, struct str data)
{
	struct str rest = data;
	struct str first;
	struct str second;
	int64_t size = -1;
	int64_t offset = -1;

	if (s->data_offset >= 0) {
		fflush(s->out);
		fprintf(stderr, "%s: warning: file contains multiple size records\n",
			s->request->program);
		return;
	}
	if (!str_token(&rest, " ", &first) || !str_token(&rest, " ", &second) ||
	    !str_to_i64(first, 1, INT64_MAX, &size) ||
	    !str_to_i64(second, 1, INT64_MAX, &offset)) {
		fflush(s->out);
		fprintf(stderr, "%s: warning: invalid size record: " PRI_STR "\n",
			s->request->program,
			STR_ARG(str_printable(s->mem, c_part(data), true)));
	}
	s->data_size = size;
	s->data_offset = offset;
}

static bool
seek(struct show *s, int64_t offset)
{
	if (offset < 0) {
		errno = EINVAL;
		return err_errno(s->err, ERR_PERM, "seek error");
	}
	record_reader_seek(&s->reader, offset);
	return true;
}

static void
print_text(struct show *s, const struct record *r)
{
	bool part = r->letter == RECORD_LETTER(PART);

	if (asked(s, SHOW_RECORDS)) {
		print_prefix(s, r);
		fprintf(s->out, "%s: ",
			record_name(part                                  ? RECORD_PART
				    : r->letter == RECORD_LETTER(PADDING) ? RECORD_PADDING
									  : RECORD_LINE));
	} else if (r->letter == RECORD_LETTER(PADDING)) {
		return;
	} else {
		print_prefix(s, r);
	}
	fwrite(r->data.p, 1, r->data.len, s->out);
	if (!part || asked(s, SHOW_OFFSET | SHOW_RECORDS))
		putc('\n', s->out);
}

/* A record of the envelope, or a stranger in the content. */
static void
print_record(struct show *s, const struct record *r)
{
	switch (r->letter) {
	case RECORD_LETTER(ATTRIBUTE):
		print_attribute(s, r);
		break;
	case RECORD_LETTER(TIME):
		print_time(s, r, record_name(RECORD_TIME), r->data);
		break;
	case RECORD_LETTER(WARN):
		print_time(s, r, record_name(RECORD_WARN), r->data);
		break;
	case RECORD_LETTER(FILTER):
		print_prefix(s, r);
		fprintf(s->out, "%s: ", record_name(RECORD_FILTER));
		fwrite(r->data.p, 1, r->data.len, s->out);
		putc('\n', s->out);
		s->skipped = true;
		break;
	default:
		print_plain(s, r, label(r->letter));
		break;
	}
}

/* In the header: the first line that is neither a field nor its continuation ends it. */
static void
find_body(struct show *s, const struct record *r)
{
	if (s->state != STATE_HEADER || r->letter == RECORD_LETTER(PADDING))
		return;
	/* The rest of a header line that was begun is printed with it. */
	if (s->previous == RECORD_LETTER(PART) && asked(s, SHOW_HEADER) &&
	    !asked(s, SHOW_RECORDS))
		return;
	if (header_name_length(r->data) == 0 &&
	    !(r->data.len > 0 && char_is_blank(r->data.p[0])))
		s->state = STATE_BODY;
}

/* The content is not asked for, or no more of it: go to what follows. */
static bool
skip_content(struct show *s)
{
	if (s->data_offset < 0 || s->data_size < 0)
		return true;
	return seek(s, s->data_offset + s->data_size);
}

static bool
take_text(struct show *s, const struct record *r)
{
	find_body(s, r);
	if (s->state == STATE_BODY && !asked(s, SHOW_BODY)) {
		if (!asked(s, SHOW_ENVELOPE)) {
			s->finished = true;
			return true;
		}
		s->skipped = true;
		return skip_content(s);
	}
	if (asked(s, state_part(s->state)))
		print_text(s, r);
	else
		s->skipped = true;
	return true;
}

static bool
take_message(struct show *s, const struct record *r)
{
	if (s->state != STATE_ENVELOPE)
		warn(s, ": out-of-order message content marker", STR_EMPTY);
	print_banner(s, r, "MESSAGE CONTENTS");
	s->state = STATE_HEADER;
	return asked(s, SHOW_HEADER | SHOW_BODY) || skip_content(s);
}

static bool
take_extracted(struct show *s, const struct record *r)
{
	if (s->state == STATE_ENVELOPE)
		warn(s, ": out-of-order extracted segment marker", STR_EMPTY);
	if (s->previous == RECORD_LETTER(PART) && asked(s, SHOW_ENVELOPE) &&
	    !asked(s, SHOW_OFFSET | SHOW_RECORDS))
		putc('\n', s->out);
	print_banner(s, r, "HEADER EXTRACTED");
	s->state = STATE_ENVELOPE;
	s->finished = !asked(s, SHOW_ENVELOPE);
	return true;
}

static void
take_end(struct show *s, const struct record *r)
{
	if (s->state != STATE_ENVELOPE)
		warn(s, ": out-of-order message end marker", STR_EMPTY);
	print_banner(s, r, "MESSAGE FILE END");
	s->finished = !(asked(s, SHOW_RAW) && asked(s, SHOW_RECORDS));
	s->state = STATE_ENVELOPE;
}

static bool
bad_pointer(struct show *s)
{
	return err_set(s->err, ERR_PERM, "%s",
		       asked(s, SHOW_RECORDS)
			       ? "bad pointer record, or input is not seekable"
			       : "record read error");
}

static bool
take_pointer(struct show *s, const struct record *r)
{
	struct str text = c_part(r->data);
	int64_t to = 0;

	if (asked(s, SHOW_RECORDS) && asked(s, state_part(s->state)))
		print_plain(s, r, record_name(RECORD_POINTER));
	if (asked(s, SHOW_RAW) && asked(s, SHOW_RECORDS))
		return true;
	while (text.len > 0 && char_is_space(text.p[0]))
		text = str_skip(text, 1);
	if (text.len > 0 && !str_to_i64(text, 0, INT64_MAX, &to)) {
		warn(s, ": malformed pointer record value: ", text);
		return bad_pointer(s);
	}
	if (to == 0)
		return true;
	if (to <= s->reader.offset && ++s->reverse > REVERSE_MAX) {
		warn(s, ": too many reverse jump records", STR_EMPTY);
		return bad_pointer(s);
	}
	return seek(s, to);
}

static bool
is_silent(const struct show *s, char letter)
{
	return !asked(s, SHOW_RECORDS) &&
	       (letter == RECORD_LETTER(POINTER) || letter == RECORD_LETTER(PADDING));
}

static bool
take_record(struct show *s, const struct record *r)
{
	bool first;

	switch (r->letter) {
	case RECORD_LETTER(POINTER):
		return take_pointer(s, r);
	case RECORD_LETTER(MESSAGE):
		return take_message(s, r);
	case RECORD_LETTER(EXTRACTED):
		return take_extracted(s, r);
	case RECORD_LETTER(END):
		take_end(s, r);
		return true;
	case RECORD_LETTER(PART):
		if (s->state == STATE_ENVELOPE)
			break;
		return take_text(s, r);
	case RECORD_LETTER(LINE):
	case RECORD_LETTER(PADDING):
		return take_text(s, r);
	case RECORD_LETTER(SIZE):
		first = s->data_offset < 0;
		take_size(s, r->data);
		if (first && !asked(s, SHOW_ENVELOPE)) {
			s->state = STATE_HEADER;
			return seek(s, s->data_offset);
		}
		break;
	default:
		break;
	}
	if (asked(s, state_part(s->state)))
		print_record(s, r);
	return true;
}

/* Say what is wrong with the record at the reader's offset. */
static void
explain_damage(const struct show *s)
{
	unsigned char head[RECORD_HEAD_MAX];
	ssize_t n = sys_pread(s->request->fd, head, sizeof(head), s->reader.offset);
	int type = n > 0 ? head[0] : 0;
	uint32_t length = 0;
	ssize_t i;
	struct str text;

	for (i = 1; i < n; i++) {
		length |= (uint32_t)(head[i] & 0x7f) << (7 * (i - 1));
		if ((head[i] & 0x80) == 0)
			break;
	}
	if (i >= RECORD_HEAD_MAX)
		text = str_printf(s->mem, "too many length bits, record type %d", type);
	else if (i >= n)
		text = str_printf(s->mem, "unexpected EOF reading length, record type %d",
				  type);
	else if ((int32_t)length < 0)
		text = str_printf(s->mem, "illegal length %d, record type %d",
				  (int32_t)length, type);
	else
		text = str_printf(s->mem,
				  "unexpected EOF in data, record type %d length %d",
				  type, (int32_t)length);
	warn(s, ": ", text);
}

/* A first record that no queue file begins with. */
static bool
is_foreign(const struct show *s)
{
	char c;

	if (s->request->start != 0 || sys_pread(s->request->fd, &c, 1, 0) != 1)
		return false;
	return record_find(c, SEGMENT_ENVELOPE) == RECORD_TYPES ||
	       c == RECORD_LETTER(POINTER);
}

bool
show_file(struct arena *mem, const struct show_request *request, FILE *out,
	  struct err *err)
{
	struct show s = {.request = request,
			 .out = out,
			 .data_offset = -1,
			 .data_size = -1,
			 .err = err};
	struct record r;
	bool ok = true;

	if (is_foreign(&s)) {
		s.mem = mem;
		warn(&s, ": input is not a valid queue file", STR_EMPTY);
		return true;
	}
	record_reader_init(&s.reader, request->fd, buf_new(mem, RECORD_DATA_MAX + 65536));
	record_reader_seek(&s.reader, request->start);
	s.offset = request->start;
	s.mem = arena_new_child(mem);
	while (ok && !s.finished) {
		enum record_result result = record_reader_next(&s.reader, &r, err);

		if (result == RECORD_NO_MORE)
			break;
		if (result != RECORD_GOT) {
			explain_damage(&s);
			ok = err_set(err, ERR_PERM, "record read error");
			break;
		}
		if (r.offset == 0 && s.state == STATE_ENVELOPE &&
		    asked(&s, SHOW_ENVELOPE))
			fprintf(out, "*** ENVELOPE RECORDS %s ***\n", request->name);
		ok = take_record(&s, &r);
		arena_reset(s.mem);
		if (is_silent(&s, r.letter))
			continue;
		s.offset = s.reader.offset;
		if (r.letter != RECORD_LETTER(SIZE))
			s.previous = s.skipped ? '\0' : r.letter;
		s.skipped = false;
	}
	return ok;
}
