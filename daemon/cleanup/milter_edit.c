/* SPDX-License-Identifier: Apache-2.0 */
#include "milter_edit.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "mail/address_list.h"
#include "mail/dsn_request.h"
#include "mail/header.h"
#include "milter/milter.h"
#include "queue/cleanup_status.h"
#include "queue/file.h"
#include "rewrite/form.h"

#include "cleanup.h"
#include "log.h"
#include "mapping.h"

enum { HEADER_MAX = 4 << 20, COPY_BYTES = 65536, SHOWN_MAX = 100, TOKENS_MAX = 1000 };

struct field {
	struct str text; /* lines with LF between */
	bool is_ours;    /* the Received: of this system: milters do not see it */
};

struct recipient_change {
	bool is_new;
	struct str address;
	struct str orcpt;
	int64_t notify;
	struct recipient_change *next;
};

struct milter_edit {
	struct message *m;
	struct arena *mem; /* of the changes of one milter */

	/* Reading. */
	struct arena *read_mem;
	struct queue_content content;
	struct header_splitter splitter;
	bool header_over, content_over;
	bool received_seen;
	struct str rest; /* what is to come before the next line of the body */

	/* Changes. */
	struct field *fields;
	size_t n_fields, room;
	size_t field_bytes;
	bool has_fields, header_changed;
	int body_fd; /* -1: the body stays */
	int64_t body_bytes;
	bool sender_changed;
	struct str sender;
	struct str envid;
	enum dsn_ret ret;
	struct recipient_change *recipients, **last;
};

static struct log *
log_of(const struct milter_edit *e)
{
	return e->m->cleanup->daemon->log;
}

static bool
fail(struct milter_edit *e, const char *text)
{
	log_write_error(log_of(e), e->m->id, text);
	message_fail(e->m, CLEANUP_WRITE, STR_EMPTY);
	return false;
}

/* ---- reading ---- */

static bool
flush_file(struct milter_edit *e)
{
	struct queue_writer *w = &e->m->writer;

	return queue_writer_flush(w) || fail(e, w->err.text);
}

static void
open_content(struct milter_edit *e)
{
	const struct queue_writer *w = &e->m->writer;

	arena_reset(e->read_mem);
	queue_content_init(e->read_mem, &e->content, w->fd, w->content_start);
	header_splitter_init(e->read_mem, &e->splitter, HEADER_MAX);
	e->header_over = e->content_over = e->received_seen = false;
	e->rest = STR_EMPTY;
}

static bool
source_rewind(void *arg)
{
	struct milter_edit *e = arg;

	if (!flush_file(e))
		return false;
	open_content(e);
	return true;
}

/* A line of the header, or the first piece of one. *field_out: what it ended. */
static void
begin_line(struct milter_edit *e, struct str text, bool whole, struct str *field_out)
{
	switch (header_splitter_line(&e->splitter, text, field_out)) {
	case HEADER_MORE:
	case HEADER_FIELD:
		break;
	case HEADER_END_LINE:
		e->header_over = true;
		break;
	case HEADER_END_TEXT:
	case HEADER_BODY:
		e->header_over = true;
		e->rest = str_concat(e->read_mem, text, whole ? STR("\r\n") : STR_EMPTY);
		break;
	}
}

static enum milter_read
read_failed(struct milter_edit *e, const struct err *err)
{
	IGNORE(fail(e, err->text));
	return MILTER_READ_FAILED;
}

/* A line, or a piece of one, into the field that is being read. */
static void
take_line(struct milter_edit *e, enum queue_content_result got, struct str text,
	  bool *is_piece, struct str *field)
{
	if (got == QUEUE_CONTENT_END) {
		e->header_over = e->content_over = true;
		if (field->len == 0)
			IGNORE(header_splitter_end(&e->splitter, field));
	} else if (*is_piece) {
		header_splitter_more(&e->splitter, text);
	} else {
		begin_line(e, text, got == QUEUE_CONTENT_LINE, field);
	}
	*is_piece = got == QUEUE_CONTENT_PART;
}

/* The next field. A line in pieces is read to its end, as later pieces belong to the
 * field that it began. */
static enum milter_read
next_field(struct milter_edit *e, struct str *field_out)
{
	struct str field = STR_EMPTY;
	bool is_piece = false;
	struct str text = STR_EMPTY;
	struct err err;

	while (!e->header_over && (field.len == 0 || is_piece)) {
		enum queue_content_result got =
			queue_content_next(&e->content, &text, &err);

		if (got == QUEUE_CONTENT_FAILED)
			return read_failed(e, &err);
		take_line(e, got, text, &is_piece, &field);
	}
	*field_out = field;
	return field.len > 0 ? MILTER_READ_GOT : MILTER_READ_END;
}

static bool
has_name(struct str field, struct str name)
{
	return str_ieq(str_head(field, header_name_length(field)), name);
}

/* The first Received: field is that of this system: sendmail adds its own only after the
 * milters, so none expects it. */
static bool
is_ours(struct milter_edit *e, struct str field)
{
	if (e->received_seen || !has_name(field, STR("Received")))
		return false;
	e->received_seen = true;
	return true;
}

static enum milter_read
source_header(void *arg, struct str *name_out, struct str *value_out)
{
	struct milter_edit *e = arg;
	struct str field;
	enum milter_read got;
	size_t colon;

	do {
		got = next_field(e, &field);
		if (got != MILTER_READ_GOT)
			return got;
	} while (is_ours(e, field));
	colon = str_index(field, ':');
	*name_out = str_head(field, header_name_length(field));
	*value_out = str_skip(field, colon + 1);
	return MILTER_READ_GOT;
}

static enum milter_read
source_body(void *arg, struct str *text_out)
{
	struct milter_edit *e = arg;
	struct err err;

	if (e->rest.len > 0) {
		*text_out = e->rest;
		e->rest = STR_EMPTY;
		return MILTER_READ_GOT;
	}
	if (e->content_over)
		return MILTER_READ_END;
	switch (queue_content_next(&e->content, text_out, &err)) {
	case QUEUE_CONTENT_LINE:
		e->rest = STR("\r\n");
		if (text_out->len == 0)
			return source_body(e, text_out);
		return MILTER_READ_GOT;
	case QUEUE_CONTENT_PART:
		return MILTER_READ_GOT;
	case QUEUE_CONTENT_END:
		e->content_over = true;
		return MILTER_READ_END;
	case QUEUE_CONTENT_FAILED:
		break;
	}
	IGNORE(fail(e, err.text));
	return MILTER_READ_FAILED;
}

/* ---- the header ---- */

static bool
add_field(struct milter_edit *e, size_t at, struct str text, bool ours)
{
	e->field_bytes += text.len + 1;
	if (e->field_bytes > HEADER_MAX)
		return fail(e, "header is too long for a change by a milter");
	if (e->n_fields == e->room) {
		size_t room = e->room * 2 + 64;
		struct field *more = arena_alloc_array(e->mem, room, sizeof(*e->fields));

		for (size_t i = 0; i < e->n_fields; i++)
			more[i] = e->fields[i];
		e->fields = more;
		e->room = room;
	}
	for (size_t i = e->n_fields++; i > at; i--)
		e->fields[i] = e->fields[i - 1];
	e->fields[at] = (struct field){.text = str_dup(e->mem, text), .is_ours = ours};
	return true;
}

/* The header as it is, for changing it. */
static bool
load_header(struct milter_edit *e)
{
	struct str field;

	if (e->has_fields)
		return true;
	if (!source_rewind(e))
		return false;
	for (;;) {
		switch (next_field(e, &field)) {
		case MILTER_READ_FAILED:
			return false;
		case MILTER_READ_END:
			e->has_fields = true;
			return true;
		case MILTER_READ_GOT:
			break;
		}
		if (!add_field(e, e->n_fields, field, is_ours(e, field)))
			return false;
	}
}

/* "name:value" as lines that belong together; nothing where the name is none, as it would
 * end the header for whoever reads it next. */
static bool
make_field(struct milter_edit *e, struct str name, struct str value, struct str *out)
{
	struct buf *text = buf_new(e->mem, SIZE_MAX / 4);
	struct str line;
	bool first = true;

	buf_add(text, name);
	buf_add_char(text, ':');
	if (header_name_length(buf_str(text)) != name.len || name.len == 0) {
		log_warning(log_of(e),
			    PRI_STR
			    ": ignoring header field from Milter: bad name \"%s\"",
			    STR_ARG(e->m->id),
			    str_printable(e->mem, str_head(name, SHOWN_MAX), false).p);
		return false;
	}
	while (str_line(&value, &line)) {
		if (!first)
			buf_add_char(text, '\n');
		if (!first && (line.len == 0 || !char_is_blank(line.p[0])))
			buf_add_char(text, '\t');
		for (size_t i = 0; i < line.len; i++)
			buf_add_char(text, line.p[i] == '\r' ? ' ' : line.p[i]);
		first = false;
	}
	*out = buf_str(text);
	return true;
}

static bool
insert_at(struct milter_edit *e, size_t at, struct str name, struct str value)
{
	struct str text;

	if (!load_header(e))
		return false;
	if (!make_field(e, name, value, &text))
		return true;
	e->header_changed = true;
	return add_field(e, MIN_OF(at, e->n_fields), text, false);
}

static bool
changes_add_header(void *arg, struct str name, struct str value)
{
	return insert_at(arg, SIZE_MAX, name, value);
}

static bool
changes_insert_header(void *arg, uint32_t position, struct str name, struct str value)
{
	return insert_at(arg, position, name, value);
}

static bool
find_field(const struct milter_edit *e, uint32_t index, struct str name, size_t *at_out)
{
	for (size_t i = 0; i < e->n_fields; i++) {
		if (e->fields[i].is_ours || !has_name(e->fields[i].text, name))
			continue;
		if (--index == 0) {
			*at_out = i;
			return true;
		}
	}
	return false;
}

static bool
changes_change_header(void *arg, uint32_t index, struct str name, struct str value)
{
	struct milter_edit *e = arg;
	struct str text;
	size_t at;

	if (!load_header(e))
		return false;
	if (!find_field(e, index, name, &at))
		return value.len == 0 || insert_at(e, SIZE_MAX, name, value);
	if (value.len > 0 && !make_field(e, name, value, &text))
		return true;
	e->header_changed = true;
	e->n_fields--;
	e->field_bytes -= e->fields[at].text.len + 1;
	for (size_t i = at; i < e->n_fields; i++)
		e->fields[i] = e->fields[i + 1];
	return value.len == 0 || add_field(e, at, text, false);
}

/* ---- the envelope ---- */

/* The first address of what a milter gave, in internal form. */
static struct str
one_address(struct milter_edit *e, struct str text, const char *request)
{
	struct address_list list;

	address_list_parse_all(e->mem, text, TOKENS_MAX, &list);
	if (list.count > 1)
		log_warning(log_of(e), PRI_STR ": %s: \"" PRI_STR "\"", STR_ARG(e->m->id),
			    request, STR_ARG(str_printable(e->mem, text, false)));
	return list.count == 0 ? STR_EMPTY : str_dup(e->mem, list.internal[0]);
}

static bool
changes_sender(void *arg, struct str address, struct str params)
{
	struct milter_edit *e = arg;
	struct message *m = e->m;
	struct str form = one_address(e, address, "Milter request to add multi-sender");
	struct str word;
	struct str envid;
	struct err err;

	if (form.len > 0)
		form = rewrite_form(e->mem, &m->cleanup->rules, form);
	e->sender = mapping_address(m, e->mem, CANONICAL_ENVELOPE_SENDER, form);
	e->sender_changed = true;
	while (str_token(&params, " \t\r\n", &word)) {
		enum dsn_ret ret;

		if (str_istarts(word, STR("RET=")) &&
		    dsn_ret_parse(str_skip(word, 4), &ret, &err))
			e->ret = ret;
		else if (str_istarts(word, STR("ENVID=")) &&
			 dsn_envid_parse(e->mem, str_skip(word, 6), &envid, &err))
			e->envid = envid;
		else
			log_warning(log_of(e),
				    "Ignoring bad ESMTP parameter \"" PRI_STR
				    "\" in SMFI_CHGFROM request",
				    STR_ARG(str_printable(e->mem, word, false)));
	}
	return m->status == CLEANUP_OK;
}

static void
recipient_param(struct milter_edit *e, struct recipient_change *r, struct str word)
{
	struct str shown = str_printable(e->mem, str_head(word, SHOWN_MAX), false);
	bool utf8 = e->m->cleanup->common.smtputf8_enable;
	const char *bad = NULL;
	unsigned notify;
	struct err err;

	if (str_istarts(word, STR("NOTIFY="))) {
		if (dsn_notify_parse(str_skip(word, 7), &notify, &err))
			r->notify = notify;
		else
			bad = "Bad NOTIFY parameter";
	} else if (str_istarts(word, STR("ORCPT="))) {
		if (!dsn_orcpt_parse(e->mem, str_skip(word, 6), utf8, &r->orcpt, &err))
			bad = "Bad ORCPT parameter";
	} else {
		bad = "ignoring ESMTP argument";
	}
	if (bad != NULL)
		log_warning(log_of(e),
			    PRI_STR ": %s from Milter or header/body_checks: \"" PRI_STR
				    "\"",
			    STR_ARG(e->m->id), bad, STR_ARG(shown));
}

static struct recipient_change *
note_recipient(struct milter_edit *e, struct str address)
{
	struct recipient_change *r = ARENA_NEW(e->mem, struct recipient_change);

	r->address = address;
	r->orcpt = STR_EMPTY;
	*e->last = r;
	e->last = &r->next;
	return r;
}

static bool
changes_add_recipient(void *arg, struct str address, struct str params)
{
	struct milter_edit *e = arg;
	struct recipient_change *r;
	struct str word;
	struct str form = one_address(
		e, address,
		"Milter or header/body_checks request to add multi-recipient");

	if (form.len == 0) {
		log_warning(log_of(e),
			    PRI_STR
			    ": ignoring attempt from Milter to add null recipient",
			    STR_ARG(e->m->id));
		return true;
	}
	r = note_recipient(e, form);
	r->is_new = true;
	while (str_token(&params, " \t\r\n", &word))
		recipient_param(e, r, word);
	return true;
}

static bool
changes_delete_recipient(void *arg, struct str address)
{
	struct milter_edit *e = arg;

	note_recipient(e,
		       one_address(e, address, "Milter request to drop multi-recipient"));
	return true;
}

/* Strike out each recipient that the client gave by this address. */
static bool
strike_recipient(struct milter_edit *e, struct str address)
{
	struct queue_writer *w = &e->m->writer;
	struct arena *mem = arena_new();
	struct str original = STR_EMPTY;
	struct record_reader reader;
	struct record r;
	struct err err = {.kind = ERR_TEMP};
	bool ok = true;

	record_reader_init(&reader, w->fd,
			   buf_new(mem, RECORD_DATA_MAX + 2 * RECORD_READER_BYTES));
	while (ok && record_reader_next(&reader, &r, &err) == RECORD_GOT) {
		if (r.letter == RECORD_LETTER(MESSAGE)) {
			record_reader_seek(&reader, w->content_end);
		} else if (r.letter == RECORD_LETTER(ORIGINAL)) {
			original = str_dup(mem, r.data);
		} else if (r.letter == RECORD_LETTER(RECIPIENT)) {
			struct str asked = original.len > 0 ? original : r.data;

			if (str_eq(asked, address)) {
				ok = sys_pwrite(w->fd, "/", 1, r.offset) == 1;
				w->rcpt_count--;
			}
			original = STR_EMPTY;
		}
	}
	arena_free(&mem);
	return ok || fail(e, "cannot strike out a recipient");
}

static bool
apply_recipients(struct milter_edit *e)
{
	for (const struct recipient_change *r = e->recipients; r != NULL; r = r->next) {
		if (r->is_new)
			envelope_add(e->m, r->address, r->orcpt, r->notify);
		else if (!flush_file(e) || !strike_recipient(e, r->address))
			return false;
	}
	return e->m->status == CLEANUP_OK;
}

/* ---- the body ---- */

/* A file without a name. */
static bool
open_scratch(struct milter_edit *e, int *fd_out)
{
	const struct cleanup *c = e->m->cleanup;
	int64_t created_us;
	struct str id;
	struct err err;

	if (!queue_create(e->mem, &c->dirs, QUEUE_INCOMING, fd_out, &id, &created_us,
			  &err))
		return fail(e, err.text);
	if (!queue_remove(&c->dirs, QUEUE_INCOMING, id, &err)) {
		close(*fd_out);
		return fail(e, err.text);
	}
	return true;
}

static bool
changes_body(void *arg, struct str piece)
{
	struct milter_edit *e = arg;
	int64_t limit = e->m->cleanup->common.message_size_limit;
	struct err err;

	if (e->body_fd < 0 && !open_scratch(e, &e->body_fd))
		return false;
	e->body_bytes += (int64_t)piece.len;
	if (limit > 0 && e->body_bytes > limit) {
		log_too_large(log_of(e), e->m->id);
		message_fail(e->m, CLEANUP_SIZE, STR_EMPTY);
		return false;
	}
	return io_write_all(e->body_fd, piece, "body of a milter", &err) ||
	       fail(e, err.text);
}

/* What is in the buffer, in lines; the last one only if nothing follows. */
static void
write_lines(struct milter_edit *e, struct queue_writer *w, struct buf *text, bool at_end)
{
	size_t limit = (size_t)e->m->cleanup->common.line_length_limit;

	for (;;) {
		size_t lf = str_index(buf_str(text), '\n');
		bool whole = lf < text->len || (at_end && text->len > 0);
		struct str line = str_head(buf_str(text), lf);

		if (!whole && text->len <= limit)
			return;
		if (whole && line.len <= limit) {
			size_t used = MIN_OF(lf + 1, text->len);

			if (line.len > 0 && line.p[line.len - 1] == '\r')
				line.len--;
			queue_writer_record(w, RECORD_LETTER(LINE),
					    content_clean(e->read_mem, line));
			buf_consume(text, used);
		} else {
			queue_writer_record(
				w, RECORD_LETTER(PART),
				content_clean(e->read_mem, str_head(line, limit - 1)));
			buf_consume(text, limit - 1);
		}
	}
}

static bool
write_new_body(struct milter_edit *e, struct queue_writer *w)
{
	struct buf *text = buf_new(e->mem, SIZE_MAX / 4);
	int64_t at = 0;

	queue_writer_record(w, RECORD_LETTER(LINE), STR_EMPTY);
	while (at < e->body_bytes) {
		ssize_t n = sys_pread(e->body_fd, buf_reserve(text, COPY_BYTES),
				      COPY_BYTES, at);

		if (n <= 0)
			return fail(e, "cannot read the body of a milter");
		buf_commit(text, (size_t)n);
		at += n;
		write_lines(e, w, text, at == e->body_bytes);
		arena_reset(e->read_mem);
	}
	return true;
}

/* ---- a new file ---- */

static void
write_field(struct milter_edit *e, struct queue_writer *w, struct str text)
{
	size_t limit = (size_t)e->m->cleanup->common.line_length_limit;
	struct str line;

	while (str_line(&text, &line)) {
		while (line.len > limit) {
			queue_writer_record(w, RECORD_LETTER(PART),
					    str_head(line, limit));
			line = str_skip(line, limit);
		}
		queue_writer_record(w, RECORD_LETTER(LINE), line);
	}
}

/* Records of the content from here on: the body with the empty line before it. */
static bool
copy_body(struct milter_edit *e, struct queue_writer *w, struct record_reader *reader)
{
	bool in_header = true;
	bool is_piece = false;
	struct record r;
	struct err err = {.kind = ERR_TEMP};

	for (;;) {
		if (record_reader_next(reader, &r, &err) != RECORD_GOT)
			return fail(e, "cannot read the queue file");
		if (r.letter == RECORD_LETTER(EXTRACTED))
			return true;
		if (r.letter != RECORD_LETTER(LINE) && r.letter != RECORD_LETTER(PART))
			continue;
		if (in_header && !is_piece && r.data.len == 0)
			in_header = false;
		is_piece = r.letter == RECORD_LETTER(PART);
		if (!in_header && e->body_fd < 0)
			queue_writer_record(w, r.letter, r.data);
	}
}

static bool
write_content(struct milter_edit *e, struct queue_writer *w, struct record_reader *reader)
{
	if (!load_header(e))
		return false;
	queue_writer_content(w);
	for (size_t i = 0; i < e->n_fields; i++)
		write_field(e, w, e->fields[i].text);
	if (!copy_body(e, w, reader) || (e->body_fd >= 0 && !write_new_body(e, w)))
		return false;
	queue_writer_extracted(w);
	return true;
}

static void
write_sender(struct milter_edit *e, struct queue_writer *w)
{
	queue_writer_record(w, RECORD_LETTER(SENDER), e->sender);
	if (e->ret != DSN_RET_NONE)
		queue_writer_printf(w, RECORD_LETTER(ATTRIBUTE), "ret_flags=%d",
				    (int)e->ret);
	if (e->envid.len > 0)
		queue_writer_attribute(w, "envelope_id", e->envid);
}

/* With a new sender go the wishes of the old one. */
static bool
goes_with_sender(const struct record *r)
{
	return r->letter == RECORD_LETTER(ATTRIBUTE) &&
	       (str_starts(r->data, STR("ret_flags=")) ||
		str_starts(r->data, STR("envelope_id=")));
}

static bool
write_file(struct milter_edit *e, struct queue_writer *w)
{
	struct buf *space = buf_new(e->mem, RECORD_DATA_MAX + 2 * RECORD_READER_BYTES);
	struct record_reader reader;
	enum record_result got;
	struct record r;
	struct err err = {.kind = ERR_TEMP};

	record_reader_init(&reader, e->m->writer.fd, space);
	while ((got = record_reader_next(&reader, &r, &err)) == RECORD_GOT) {
		if (r.letter == RECORD_LETTER(MESSAGE)) {
			if (!write_content(e, w, &reader))
				return false;
		} else if (r.letter == RECORD_LETTER(SENDER) && e->sender_changed) {
			write_sender(e, w);
		} else if (r.letter != RECORD_LETTER(SIZE) &&
			   !(e->sender_changed && goes_with_sender(&r))) {
			queue_writer_record(w, r.letter, r.data);
		}
	}
	if (got != RECORD_NO_MORE)
		return fail(e, "cannot read the queue file");
	return !w->failed || fail(e, w->err.text);
}

static bool
rewrite_file(struct milter_edit *e)
{
	struct message *m = e->m;
	struct queue_writer old = m->writer;
	struct queue_writer w;
	int fd;

	if (!flush_file(e) || !load_header(e) || !open_scratch(e, &fd))
		return false;
	queue_writer_init(m->mem, &w, fd, 0);
	w.qmgr_opts = old.qmgr_opts;
	w.sendopts = old.sendopts;
	if (!write_file(e, &w)) {
		close(fd);
		return false;
	}
	arena_defer_close(m->mem, fd);
	m->writer = w;
	if (e->sender_changed)
		m->sender = str_dup(m->mem, e->sender);
	return true;
}

/* ---- one milter after the other ---- */

static void
begin_changes(struct milter_edit *e)
{
	if (e->body_fd >= 0)
		close(e->body_fd);
	arena_reset(e->mem);
	e->fields = NULL;
	e->n_fields = e->room = e->field_bytes = 0;
	e->has_fields = e->header_changed = e->sender_changed = false;
	e->body_fd = -1;
	e->body_bytes = 0;
	e->sender = e->envid = STR_EMPTY;
	e->ret = DSN_RET_NONE;
	e->recipients = NULL;
	e->last = &e->recipients;
}

static bool
changes_done(void *arg, bool keep)
{
	struct milter_edit *e = arg;
	bool ok = true;

	if (keep)
		ok = apply_recipients(e) &&
		     ((!e->header_changed && !e->sender_changed && e->body_fd < 0) ||
		      rewrite_file(e));
	begin_changes(e);
	return ok;
}

static void
close_body(void *arg)
{
	struct milter_edit *e = arg;

	if (e->body_fd >= 0)
		close(e->body_fd);
}

struct milter_edit *
milter_edit_new(struct message *m, struct milter_source *source_out,
		struct milter_changes *changes_out)
{
	struct milter_edit *e = ARENA_NEW(m->mem, struct milter_edit);

	e->m = m;
	e->mem = arena_new_child(m->mem);
	e->read_mem = arena_new_child(m->mem);
	e->body_fd = -1;
	arena_defer(m->mem, close_body, e);
	begin_changes(e);
	*source_out = (struct milter_source){.rewind = source_rewind,
					     .header = source_header,
					     .body = source_body,
					     .arg = e};
	*changes_out =
		(struct milter_changes){.add_header = changes_add_header,
					.insert_header = changes_insert_header,
					.change_header = changes_change_header,
					.change_sender = changes_sender,
					.add_recipient = changes_add_recipient,
					.delete_recipient = changes_delete_recipient,
					.replace_body = changes_body,
					.done = changes_done,
					.arg = e};
	return e;
}

static bool
settle(struct message *m, struct err *err)
{
	struct arena *mem = arena_new();
	char *block = arena_alloc(mem, COPY_BYTES);
	int64_t size = queue_writer_offset(&m->writer);
	bool ok = m->writer.fd == m->fd || sys_ftruncate(m->fd, 0) == 0;

	for (int64_t at = 0; ok && m->writer.fd != m->fd && at < size;) {
		ssize_t n = sys_pread(m->writer.fd, block, COPY_BYTES, at);

		for (ssize_t put = 0; ok && put < n;) {
			ssize_t w = sys_pwrite(m->fd, block + put, (size_t)(n - put),
					       at + put);

			ok = w > 0;
			put += w;
		}
		ok = ok && n > 0;
		at += n;
	}
	arena_free(&mem);
	return ok || err_errno(err, ERR_TEMP, "write queue file");
}

bool
message_end_file(struct message *m, struct err *err)
{
	struct queue_writer *w = &m->writer;

	if (!queue_writer_end(w)) {
		*err = w->err;
		return false;
	}
	if (settle(m, err))
		return true;
	w->failed = true;
	w->err = *err;
	return false;
}
