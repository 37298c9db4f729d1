/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header and body. The header is read field by field: some are dropped, addresses are
 * completed, and what is missing is added at its end. The body passes line by line.
 */
#include <inttypes.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/date.h"
#include "queue/cleanup_status.h"
#include "queue/id.h"
#include "rewrite/form.h"

#include "cleanup.h"
#include "log.h"

static uint64_t
bit(enum header_kind kind)
{
	return UINT64_C(1) << kind;
}

static bool
has(const struct message *m, enum header_kind kind)
{
	return (m->seen_headers & bit(kind)) != 0;
}

/* In pieces if it is long, as readers of queue files expect. */
static void
write_line(struct message *m, struct str line)
{
	size_t limit = (size_t)m->cleanup->common.line_length_limit;

	for (; line.len > limit; line = str_skip(line, limit))
		queue_writer_record(&m->writer, RECORD_LETTER(PART),
				    str_head(line, limit));
	queue_writer_record(&m->writer, RECORD_LETTER(LINE), line);
}

/* A field of one or more lines. */
static void
write_field(struct message *m, struct str text)
{
	struct str line;

	while (str_line(&text, &line))
		write_line(m, line);
}

static void
write_header(struct message *m, struct str text)
{
	write_field(m, text);
}

/* ---- single fields ---- */

static bool
complete_address(void *arg, struct arena *mem, struct str external, struct str *new_out,
		 struct err *err)
{
	const struct message *m = arg;

	(void)err;
	*new_out =
		rewrite_form_external(mem, &m->cleanup->rules, REWRITE_LOCAL, external);
	return true;
}

/* An address field: every address gets its domain. */
static void
rewrite_addresses(struct message *m, const struct header_field *f, struct str text)
{
	struct arena *mem = arena_new();
	struct str value;
	struct err err;
	bool changed;

	if (address_list_rewrite(mem, f->value,
				 (size_t)m->cleanup->config.header_address_token_limit,
				 complete_address, m, &value, &changed, &err) &&
	    changed)
		write_header(m, header_fold(mem, f->name, value));
	else
		write_header(m, text);
	arena_free(&mem);
}

static bool
is_dropped(const struct message *m, const struct header_field *f)
{
	struct str list = m->cleanup->config.message_drop_headers;
	struct str name;

	while (str_token(&list, ", \t\r\n", &name)) {
		if (str_ieq(name, f->name))
			return true;
	}
	return false;
}

static void
count_hop(struct message *m)
{
	if (++m->hops < m->cleanup->config.hopcount_limit ||
	    (m->status & CLEANUP_HOPS) != 0)
		return;
	log_hops(m->cleanup->daemon->log, m->id);
	message_fail(m, CLEANUP_HOPS, STR_EMPTY);
}

/* What BODY= will say is what the header says: a body of eight bits that is not declared
 * cannot be converted either. */
static void
note_encoding(struct message *m, struct str value)
{
	value = str_trim(value);
	if (str_ieq(value, STR("8bit")) || str_ieq(value, STR("binary")))
		m->encoding = STR("8bit");
}

static void
note_field(struct message *m, const struct header_field *f)
{
	struct log *log = m->cleanup->daemon->log;
	struct arena *mem = arena_new();

	m->seen_headers |= bit(f->row->kind);
	if (f->row->kind == HEADER_MESSAGE_ID)
		log_message_id(log, m->id, header_unfold(mem, f->value));
	else if (f->row->kind == HEADER_RESENT_MESSAGE_ID)
		log_resent_message_id(log, m->id, header_unfold(mem, f->value));
	else if (f->row->kind == HEADER_RECEIVED)
		count_hop(m);
	else if (f->row->kind == HEADER_CONTENT_TRANSFER_ENCODING)
		note_encoding(m, f->value);
	arena_free(&mem);
}

static void
take_field(struct message *m, struct str text)
{
	struct header_field f;

	/* A NUL is the end of a field for most who will read it: make it so for all. */
	text = str_head(text, str_index(text, '\0'));
	if (text.len == 0 || !header_field_parse(text, &f))
		return;
	if (f.row != NULL)
		note_field(m, &f);
	if (is_dropped(m, &f))
		return;
	if (f.row != NULL &&
	    (f.row->flags & (HEADER_IS_SENDER | HEADER_IS_RECIPIENT)) != 0)
		rewrite_addresses(m, &f, text);
	else
		write_header(m, text);
}

/* ---- what is missing ---- */

static struct str
make_message_id(struct message *m)
{
	time_t now = (time_t)(m->created_us / 1000000);
	struct str host = m->cleanup->common.myhostname;
	struct tm tm;

	if (queue_id_is_long(m->id))
		return str_printf(m->mem, "<" PRI_STR "@" PRI_STR ">", STR_ARG(m->id),
				  STR_ARG(host));
	gmtime_r(&now, &tm);
	return str_printf(m->mem, "<%04d%02d%02d%02d%02d%02d." PRI_STR "@" PRI_STR ">",
			  tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			  tm.tm_min, tm.tm_sec, STR_ARG(m->id), STR_ARG(host));
}

static struct str
escape(struct message *m, struct str name)
{
	struct buf *out = buf_new(m->mem, 2 * name.len);

	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, name.p[i]);
	}
	return buf_str(out);
}

/* A name as a phrase (RFC 5322 section 3.2.5): quoted unless it is plain words. */
static struct str
phrase(struct message *m, struct str name)
{
	struct str rest = name;
	struct str word;

	while (str_token(&rest, " \t", &word)) {
		if (!str_eq(address_quote_local(m->mem, word), word) ||
		    str_contains(word, '.'))
			return str_printf(m->mem, "\"" PRI_STR "\"",
					  STR_ARG(escape(m, name)));
	}
	return name;
}

static struct str
make_from(struct message *m)
{
	struct str quoted = address_quote_header(m->mem, m->sender);

	if (m->sender.len == 0)
		return m->cleanup->common.empty_address_recipient;
	if (m->full_name.len == 0)
		return quoted;
	return str_printf(m->mem, PRI_STR " <" PRI_STR ">",
			  STR_ARG(phrase(m, m->full_name)), STR_ARG(quoted));
}

static void
add_missing(struct message *m)
{
	bool resent = has(m, HEADER_RESENT_TO) || has(m, HEADER_RESENT_CC) ||
		      has(m, HEADER_RESENT_FROM) || has(m, HEADER_RESENT_BCC);
	const char *prefix = resent ? "Resent-" : "";
	struct str undisclosed = m->cleanup->config.undisclosed_recipients_header;

	if (!has(m, resent ? HEADER_RESENT_MESSAGE_ID : HEADER_MESSAGE_ID)) {
		struct str id = make_message_id(m);

		write_line(m, str_printf(m->mem, "%sMessage-Id: " PRI_STR, prefix,
					 STR_ARG(id)));
		if (resent)
			log_resent_message_id(m->cleanup->daemon->log, m->id, id);
		else
			log_message_id(m->cleanup->daemon->log, m->id, id);
	}
	if (!has(m, resent ? HEADER_RESENT_DATE : HEADER_DATE))
		write_line(m,
			   str_printf(m->mem, "%sDate: " PRI_STR, prefix,
				      STR_ARG(date_format(m->mem, (time_t)(m->arrival_us /
									   1000000)))));
	if (!has(m, resent ? HEADER_RESENT_FROM : HEADER_FROM))
		write_line(m, str_printf(m->mem, "%sFrom: " PRI_STR, prefix,
					 STR_ARG(make_from(m))));
	if (undisclosed.len > 0 && !has(m, HEADER_TO) && !has(m, HEADER_CC) &&
	    !has(m, HEADER_BCC) && !resent)
		write_line(m, undisclosed);
}

static void
end_header(struct message *m)
{
	add_missing(m);
	m->header_done = true;
}

/* With the line between header and body, which a message without a body does not have. */
static void
begin_body(struct message *m)
{
	end_header(m);
	write_line(m, STR_EMPTY);
}

/* ---- lines ---- */

void
content_begin(struct message *m)
{
	queue_writer_content(&m->writer);
	header_splitter_init(m->mem, &m->header,
			     (size_t)m->cleanup->config.header_size_limit);
}

/* A bare CR or NUL would end a line for somebody else: a blank does not. */
static struct str
without_stray_bytes(struct message *m, struct str text)
{
	char *copy;

	if (!str_contains(text, '\r') && !str_contains(text, '\n'))
		return text;
	copy = str_c(m->mem, text);
	for (size_t i = 0; i < text.len; i++) {
		if (copy[i] == '\r' || copy[i] == '\n')
			copy[i] = ' ';
	}
	return str_from_mem(copy, text.len);
}

static void
body_text(struct message *m, struct str text, bool whole)
{
	queue_writer_record(&m->writer, whole ? RECORD_LETTER(LINE) : RECORD_LETTER(PART),
			    text);
}

void
content_text(struct message *m, struct str text, bool whole)
{
	struct str field;

	text = without_stray_bytes(m, text);
	if (m->header_done) {
		body_text(m, text, whole);
		return;
	}
	if (m->inside_line) {
		header_splitter_more(&m->header, text);
		m->inside_line = !whole;
		return;
	}
	m->inside_line = !whole;
	switch (header_splitter_line(&m->header, text, &field)) {
	case HEADER_MORE:
		break;
	case HEADER_FIELD:
		take_field(m, field);
		break;
	case HEADER_END_LINE:
		take_field(m, field);
		begin_body(m);
		break;
	case HEADER_END_TEXT:
		take_field(m, field);
		begin_body(m);
		body_text(m, text, whole);
		break;
	case HEADER_BODY:
		body_text(m, text, whole);
		break;
	}
}

void
content_end(struct message *m)
{
	struct str field;

	if (!m->header_done) {
		if (header_splitter_end(&m->header, &field))
			take_field(m, field);
		end_header(m);
	}
	queue_writer_extracted(&m->writer);
}
