/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over a file: envelope up to the M record, then (by the sizes in the first
 * record) straight to the extracted segment, up to the E record. Pointer records may send
 * the walk to the heap behind E and back; the number of jumps is bounded, so that a
 * circle ends as damage.
 */
#include "queue/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/sys.h"

#include "mail/dsn_request.h"

enum { SIZE_FIELDS = 6, JUMPS_MAX = 100000, SPACE_MAX = RECORD_DATA_MAX + 65536 };

struct walk {
	struct record_reader reader;
	const struct queue_file *file;
	enum record_segment segment;
	int jumps;
};

static bool
damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_PERM, "message rejected: %s", what);
}

static void
walk_init(struct arena *mem, struct walk *w, const struct queue_file *f)
{
	*w = (struct walk){.file = f};
	record_reader_init(&w->reader, f->fd, buf_new(mem, SPACE_MAX));
}

static bool
number(struct str data, int64_t *out)
{
	return str_to_i64(str_trim(data), -1, INT64_MAX, out);
}

/* Follow a pointer record; 0 is a dummy. */
static bool
jump(struct walk *w, struct str data, struct err *err)
{
	int64_t to;

	if (!number(data, &to) || to < 0)
		return damaged(err, "bad pointer record");
	if (to == 0)
		return true;
	if (++w->jumps > JUMPS_MAX)
		return damaged(err, "pointer records go in circles");
	record_reader_seek(&w->reader, to);
	return true;
}

/* The next record of envelope or extracted segment that is not about navigation. */
static bool
walk_next(struct walk *w, struct record *out, struct err *err)
{
	for (;;) {
		enum record_result result = record_reader_next(&w->reader, out, err);

		if (result == RECORD_BAD)
			return err->kind == ERR_TEMP ? false
						     : damaged(err, "missing end record");
		if (result != RECORD_GOT)
			return damaged(err, "missing end record");
		if (out->letter == RECORD_LETTER(POINTER)) {
			if (!jump(w, out->data, err))
				return false;
			continue;
		}
		if (out->letter == RECORD_LETTER(MESSAGE) &&
		    w->segment == SEGMENT_ENVELOPE) {
			w->segment = SEGMENT_EXTRACTED;
			record_reader_seek(&w->reader, w->file->content_offset +
							       w->file->segment_size);
			continue;
		}
		if (out->letter == RECORD_LETTER(EXTRACTED))
			continue;
		if (out->letter == RECORD_LETTER(END))
			w->segment = SEGMENT_OVER;
		return true;
	}
}

static bool
parse_size(struct queue_file *f, struct str data, struct err *err)
{
	int64_t fields[SIZE_FIELDS] = {0};
	struct str rest = data;
	struct str word;
	int n = 0;

	while (n < SIZE_FIELDS && str_token(&rest, " ", &word)) {
		if (!str_to_i64(word, 0, INT64_MAX, &fields[n++]))
			return err_set(err, ERR_PERM, "invalid size record: " PRI_STR,
				       STR_ARG(str_head(data, 100)));
	}
	if (n < 3)
		return err_set(err, ERR_PERM, "invalid size record: " PRI_STR,
			       STR_ARG(str_head(data, 100)));
	f->segment_size = fields[0];
	f->content_offset = fields[1];
	f->size_rcpt_count = fields[2];
	f->content_size = n > 4 ? fields[4] : fields[0];
	f->sendopts = fields[5];
	return true;
}

static bool
parse_time(struct queue_file *f, struct str data, struct err *err)
{
	struct str rest = data;
	struct str seconds = STR_EMPTY;
	struct str usec = STR_EMPTY;
	int64_t s = 0;
	int64_t us = 0;

	if (!str_token(&rest, " ", &seconds) ||
	    !str_to_i64(seconds, 0, INT64_MAX / 1000001, &s) ||
	    (str_token(&rest, " ", &usec) && !str_to_i64(usec, 0, 999999, &us)))
		return damaged(err, "bad arrival time record");
	f->arrival_us = s * 1000000 + us;
	return true;
}

/* Attributes that a field of the struct stands for. */
static void
know_attribute(struct queue_file *f, struct str name, struct str value)
{
	int64_t n = 0;

	if (str_eq(name, STR("encoding")))
		f->encoding = value;
	else if (str_eq(name, STR("envelope_id")))
		f->envelope_id = value;
	else if (str_eq(name, STR("create_time")) && number(value, &n) && n >= 0 &&
		 n < INT64_MAX / 1000001)
		f->create_s = n;
	else if (str_eq(name, STR("ret_flags")) && number(value, &n))
		f->dsn_ret = n;
	else if (str_eq(name, STR("trace_flags")) && number(value, &n))
		f->trace_flags = n;
}

static bool
is_recipient_attribute(struct str name)
{
	return str_eq(name, STR("dsn_orig_rcpt")) || str_eq(name, STR("notify_flags"));
}

static bool
take_attribute(struct arena *mem, struct queue_file *f, struct str data, struct err *err)
{
	struct queue_attribute *a = &f->attributes[f->n_attributes];
	struct str name;
	struct str value;

	if (!str_split(data, '=', &name, &value) || name.len == 0)
		return err_set(err, ERR_PERM, "bad attribute record: " PRI_STR,
			       STR_ARG(str_head(data, 100)));
	if (is_recipient_attribute(name))
		return true;
	if (f->n_attributes == QUEUE_ATTRIBUTES_MAX)
		return damaged(err, "too many attributes");
	a->name = str_dup(mem, name);
	a->value = str_dup(mem, value);
	f->n_attributes++;
	know_attribute(f, a->name, a->value);
	return true;
}

static void
note_recipient(struct queue_file *f, int64_t offset)
{
	if (f->first_rcpt == 0)
		f->first_rcpt = offset;
}

/* Records whose text is kept as it is. */
static const struct {
	char letter;
	size_t offset;
} texts[] = {
	{'S', offsetof(struct queue_file, sender)},
	{'F', offsetof(struct queue_file, full_name)},
	{'L', offsetof(struct queue_file, filter)},
	{'>', offsetof(struct queue_file, redirect)},
	{'V', offsetof(struct queue_file, verp)},
};

static void
take_text(struct arena *mem, struct queue_file *f, const struct record *r)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (r->letter == texts[i].letter)
			*(struct str *)(void *)((char *)f + texts[i].offset) =
				str_dup(mem, r->data);
	}
}

/* Everything but recipients; what no reader acts on is passed over. */
static bool
take_other(struct arena *mem, struct queue_file *f, const struct record *r,
	   bool *has_sender, struct err *err)
{
	int64_t n = 0;

	take_text(mem, f, r);
	if (r->letter == RECORD_LETTER(SENDER)) {
		*has_sender = true;
		return r->data.len <= QUEUE_ADDRESS_MAX ||
		       damaged(err, "sender too long");
	}
	if (r->letter == RECORD_LETTER(TIME))
		return parse_time(f, r->data, err);
	if (r->letter == RECORD_LETTER(ATTRIBUTE)) {
		if (str_starts(r->data, STR("trace_flags=")))
			f->trace_offset = r->offset;
		return take_attribute(mem, f, r->data, err);
	}
	if (r->letter == RECORD_LETTER(WARN)) {
		f->warn_offset = r->offset;
		f->warn_us = number(r->data, &n) && n > 0 && n < INT64_MAX / 1000000
				     ? n * 1000000
				     : 0;
	}
	return true;
}

static bool
take_record(struct arena *mem, struct queue_file *f, const struct record *r,
	    enum record_segment segment, bool *has_sender, struct err *err)
{
	if (record_find(r->letter, segment) == RECORD_TYPES)
		return err_set(err, ERR_PERM,
			       "message rejected: unexpected record type %d",
			       (unsigned char)r->letter);
	/* Whoever gets it next would see a part of it. */
	if (str_contains(r->data, '\0'))
		return damaged(err, "null byte in the envelope");
	if (r->letter == RECORD_LETTER(RECIPIENT)) {
		note_recipient(f, r->offset);
		f->rcpt_count++;
		return r->data.len <= QUEUE_ADDRESS_MAX ||
		       damaged(err, "recipient too long");
	}
	if (r->letter == RECORD_LETTER(DONE)) {
		note_recipient(f, r->offset);
		f->done_count++;
		return true;
	}
	if (r->letter == RECORD_LETTER(ORIGINAL) ||
	    (r->letter == RECORD_LETTER(ATTRIBUTE) &&
	     (str_starts(r->data, STR("notify_flags=")) ||
	      str_starts(r->data, STR("dsn_orig_rcpt=")))))
		note_recipient(f, r->offset);
	return take_other(mem, f, r, has_sender, err);
}

static bool
read_first_record(struct walk *w, struct queue_file *f, struct err *err)
{
	struct record r;

	if (!walk_next(w, &r, err))
		return false;
	if (r.letter != RECORD_LETTER(SIZE))
		return damaged(err, "missing size record");
	return parse_size(f, r.data, err);
}

static bool
read_structure(struct arena *mem, struct walk *w, struct queue_file *f, struct err *err)
{
	bool has_sender = false;

	if (!read_first_record(w, f, err))
		return false;
	for (;;) {
		struct record r;

		if (!walk_next(w, &r, err))
			return false;
		if (w->segment == SEGMENT_OVER)
			break;
		if (!take_record(mem, f, &r, w->segment, &has_sender, err))
			return false;
	}
	if (f->arrival_us == 0)
		return damaged(err, "missing arrival time record");
	if (!has_sender)
		return damaged(err, "missing sender record");
	if (f->create_s == 0)
		f->create_s = f->arrival_us / 1000000;
	return true;
}

bool
queue_file_open(struct arena *mem, int fd, struct queue_file *out, struct err *err)
{
	struct arena *scratch = arena_new();
	struct walk w;
	bool ok;

	*out = (struct queue_file){.fd = fd};
	walk_init(scratch, &w, out);
	ok = read_structure(mem, &w, out, err);
	arena_free(&scratch);
	return ok;
}

struct str
queue_file_attribute(const struct queue_file *f, const char *name)
{
	struct str wanted = str_from(name);

	for (size_t i = f->n_attributes; i > 0; i--) {
		if (str_eq(f->attributes[i - 1].name, wanted))
			return f->attributes[i - 1].value;
	}
	return STR_EMPTY;
}

/* ---- recipients ---- */

/* What the records before a recipient say of it. */
static void
take_prefix(struct arena *mem, struct queue_recipient *next, const struct record *r)
{
	struct str name;
	struct str value;
	int64_t n;

	if (r->letter == RECORD_LETTER(ORIGINAL)) {
		next->original = str_dup(mem, r->data);
	} else if (r->letter == RECORD_LETTER(ATTRIBUTE) &&
		   str_split(r->data, '=', &name, &value)) {
		if (str_eq(name, STR("dsn_orig_rcpt")))
			next->dsn_orcpt = str_dup(mem, value);
		else if (str_eq(name, STR("notify_flags")) && number(value, &n) && n >= 0)
			next->dsn_notify = n & DSN_NOTIFY_ANY;
	}
}

static const struct queue_recipient no_recipient = {
	.address = STR_INIT(""), .original = STR_INIT(""), .dsn_orcpt = STR_INIT("")};

bool
queue_file_recipients(struct arena *mem, const struct queue_file *f, bool with_done,
		      size_t max, int64_t *offset, struct queue_recipient **out,
		      size_t *count_out, struct err *err)
{
	struct queue_recipient *list = arena_alloc_array(mem, max, sizeof(*list));
	struct queue_recipient next = no_recipient;
	struct arena *scratch = arena_new();
	struct walk w;
	size_t n = 0;
	bool ok = true;

	walk_init(scratch, &w, f);
	record_reader_seek(&w.reader, *offset);
	if (*offset >= f->content_offset)
		w.segment = SEGMENT_EXTRACTED;
	while (*offset != 0 && n < max) {
		struct record r;

		ok = walk_next(&w, &r, err);
		if (!ok)
			break;
		if (w.segment == SEGMENT_OVER) {
			*offset = 0;
			break;
		}
		take_prefix(mem, &next, &r);
		if (r.letter != RECORD_LETTER(RECIPIENT) &&
		    r.letter != RECORD_LETTER(DONE))
			continue;
		next.done = r.letter == RECORD_LETTER(DONE);
		next.offset = r.offset;
		next.address = str_dup(mem, r.data);
		if (!next.done || with_done)
			list[n++] = next;
		next = no_recipient;
		*offset = w.reader.offset;
	}
	arena_free(&scratch);
	if (!ok)
		return false;
	*out = list;
	*count_out = n;
	return true;
}

static bool
write_at(int fd, int64_t offset, struct str data, const char *what, struct err *err)
{
	ssize_t n;

	do {
		n = sys_pwrite(fd, data.p, data.len, offset);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(err, ERR_TEMP, "%s", what);
	return (size_t)n == data.len || err_set(err, ERR_TEMP, "%s: short write", what);
}

bool
queue_file_mark_done(int fd, int64_t recipient_offset, struct err *err)
{
	const char done = RECORD_LETTER(DONE);

	return write_at(fd, recipient_offset, str_from_mem(&done, 1),
			"mark recipient as done", err);
}

bool
queue_file_end_trace(struct queue_file *f, struct err *err)
{
	const char killed = RECORD_LETTER(KILLED);

	f->trace_flags = 0;
	return f->trace_offset == 0 ||
	       write_at(f->fd, f->trace_offset, str_from_mem(&killed, 1),
			"end the trace request", err);
}

bool
queue_file_set_warning(const struct queue_file *f, int64_t time_s, struct err *err)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%15" PRId64,
			 time_s == 0 ? (int64_t)-1 : time_s);

	if (f->warn_offset == 0)
		return true;
	/* Type byte and one byte of length come before the fixed 15 bytes. */
	return write_at(f->fd, f->warn_offset + 2, str_from_mem(text, (size_t)n),
			"update warning time", err);
}

/* ---- content ---- */

void
queue_content_init(struct arena *mem, struct queue_content *c, int fd,
		   int64_t content_offset)
{
	*c = (struct queue_content){.start = content_offset};
	record_reader_init(&c->reader, fd, buf_new(mem, SPACE_MAX));
	record_reader_seek(&c->reader, content_offset);
}

void
queue_content_rewind(struct queue_content *c)
{
	record_reader_seek(&c->reader, c->start);
	c->jumps = 0;
}

static bool
content_jump(struct queue_content *c, struct str data, struct err *err)
{
	int64_t to;

	if (!number(data, &to) || to < 0 || ++c->jumps > JUMPS_MAX)
		return damaged(err, "bad pointer record");
	if (to > 0)
		record_reader_seek(&c->reader, to);
	return true;
}

/* A record of the content that is no text. True: go on with the next. */
static bool
content_control(struct queue_content *c, const struct record *r, struct err *err)
{
	if (r->letter == RECORD_LETTER(PADDING))
		return true;
	if (r->letter == RECORD_LETTER(POINTER))
		return content_jump(c, r->data, err);
	return err_set(err, ERR_PERM, "message rejected: unexpected record type %d",
		       (unsigned char)r->letter);
}

enum queue_content_result
queue_content_next(struct queue_content *c, struct str *text_out, struct err *err)
{
	struct record r;

	while (record_reader_next(&c->reader, &r, err) == RECORD_GOT) {
		if (r.letter == RECORD_LETTER(LINE) || r.letter == RECORD_LETTER(PART)) {
			*text_out = r.data;
			return r.letter == RECORD_LETTER(LINE) ? QUEUE_CONTENT_LINE
							       : QUEUE_CONTENT_PART;
		}
		if (r.letter == RECORD_LETTER(EXTRACTED))
			return QUEUE_CONTENT_END;
		if (!content_control(c, &r, err))
			return QUEUE_CONTENT_FAILED;
	}
	if (err->kind != ERR_TEMP)
		IGNORE(damaged(err, "missing end record"));
	return QUEUE_CONTENT_FAILED;
}
