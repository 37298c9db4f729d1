/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header and body. The header is read field by field: some are dropped, addresses are
 * completed, and what is missing is added at its end. The body passes line by line.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/value.h"
#include "daemon/daemon.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/date.h"
#include "mail/mime.h"
#include "queue/cleanup_status.h"
#include "queue/id.h"
#include "rewrite/form.h"

#include "checks.h"
#include "cleanup.h"
#include "log.h"
#include "mapping.h"

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

/* A line of the header, in pieces if it is long. */
static void
write_line(struct message *m, struct str line)
{
	size_t limit = (size_t)m->cleanup->common.line_length_limit;

	while (line.len > limit) {
		queue_writer_record(&m->writer, RECORD_LETTER(PART),
				    str_head(line, limit));
		line = str_skip(line, limit);
	}
	queue_writer_record(&m->writer, RECORD_LETTER(LINE), line);
}

/* Blanks between name and colon are not kept, as not everybody takes them for a field. */
static struct str
without_blanks_after_name(struct arena *mem, struct str text)
{
	size_t n = header_name_length(text);

	if (n == 0 || text.p[n] == ':')
		return text;
	return str_concat(mem, str_head(text, n), str_skip(text, str_index(text, ':')));
}

void
content_header(struct message *m, struct str text)
{
	bool continues = false;
	struct str line;

	m->has_8bit_header = m->has_8bit_header || !str_is_ascii(text);
	text = without_blanks_after_name(m->mem, text);
	while (str_line(&text, &line)) {
		bool first = !continues;

		continues = true;
		/* A line that a rule made must not look like a field of its own. */
		if (!first && (line.len == 0 || !char_is_blank(line.p[0])))
			line = str_concat(m->mem, STR("\t"), line);
		write_line(m, line);
	}
}

/* ---- single fields ---- */

struct field_rewrite {
	struct message *m;
	enum canonical_kind kind;
};

static bool
complete_address(void *arg, struct arena *mem, struct str external, struct str *new_out,
		 struct err *err)
{
	const struct field_rewrite *r = arg;
	struct message *m = r->m;
	struct str complete = rewrite_form_external(
		mem, &m->cleanup->rules, m->is_remote ? REWRITE_REMOTE : REWRITE_LOCAL,
		external);
	struct str internal = address_unquote(mem, complete);
	struct str mapped = mapping_address(m, mem, r->kind, internal);

	(void)err;
	*new_out =
		str_eq(mapped, internal) ? complete : address_quote_header(mem, mapped);
	return true;
}

/* An address field: every address gets its domain, and what stands in its place. */
static void
rewrite_addresses(struct message *m, const struct header_field *f, struct str text)
{
	struct arena *mem = arena_new();
	struct field_rewrite r = {.m = m,
				  .kind = (f->row->flags & HEADER_IS_SENDER) != 0
						  ? CANONICAL_HEADER_SENDER
						  : CANONICAL_HEADER_RECIPIENT};
	struct str value;
	struct err err;
	bool changed;

	if (address_list_rewrite(mem, f->value,
				 (size_t)m->cleanup->config.header_address_token_limit,
				 complete_address, &r, &value, &changed, &err) &&
	    changed)
		content_header(m, header_fill(mem, header_fold(mem, f->name, value)));
	else
		content_header(m, text);
	arena_free(&mem);
}

static bool
is_dropped(const struct message *m, const struct header_field *f)
{
	return list_has(m->cleanup->config.message_drop_headers, f->name);
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

/* Many clients send eight bits and only the header says so. */
static void
note_encoding(struct message *m, struct str value)
{
	if (str_ieq(str_trim(value), STR("8bit")))
		m->encoding = STR("8bit");
}

static void
note_field(struct message *m, const struct header_field *f)
{
	struct log *log = m->cleanup->daemon->log;

	m->seen_headers |= bit(f->row->kind);
	m->is_resent = m->is_resent || (f->row->flags & HEADER_RESENT) != 0;
	m->has_message_id = m->has_message_id || f->row->kind == HEADER_MESSAGE_ID;
	if (f->row->kind == HEADER_MESSAGE_ID)
		log_message_id(log, m->id, f->value);
	else if (f->row->kind == HEADER_RESENT_MESSAGE_ID)
		log_resent_message_id(log, m->id, f->value);
	else if (f->row->kind == HEADER_RECEIVED)
		count_hop(m);
	else if (f->row->kind == HEADER_CONTENT_TRANSFER_ENCODING)
		note_encoding(m, f->value);
}

/* Mail of others is left alone unless there is a domain for it. */
static bool
rewrites_headers(const struct message *m)
{
	return !m->is_remote ||
	       m->cleanup->rules.config.remote_header_rewrite_domain.len > 0;
}

static void
take_field(struct message *m, struct str text)
{
	struct header_field f;

	if (!header_field_parse(text, &f))
		return;
	if (f.row != NULL)
		note_field(m, &f);
	if (is_dropped(m, &f))
		return;
	if (f.row != NULL && rewrites_headers(m) &&
	    (f.row->flags & (HEADER_IS_SENDER | HEADER_IS_RECIPIENT)) != 0)
		rewrite_addresses(m, &f, text);
	else
		content_header(m, text);
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

/* A name as a phrase (RFC 5322 section 3.2.5): words with one blank between them, or
 * quoted as it is. */
static void
add_phrase(struct buf *out, struct str name)
{
	static const char specials[] = "()<>[]:;@\\,.\"!%";
	struct str word;
	bool quoted = false;

	for (size_t i = 0; i < name.len; i++)
		quoted = quoted || memchr(specials, name.p[i], sizeof(specials) - 1) ||
			 (!char_is_blank(name.p[i]) && (unsigned char)name.p[i] < 32) ||
			 name.p[i] == 127;
	if (!quoted) {
		while (str_token(&name, " \t", &word)) {
			buf_add(out, word);
			buf_add_char(out, ' ');
		}
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, name.p[i]);
	}
	buf_add_c(out, "\" ");
}

static struct str
make_from(struct message *m)
{
	struct buf *out;

	if (m->sender.len == 0)
		return m->cleanup->common.empty_address_recipient;
	if (m->full_name.len == 0)
		return address_quote_header(m->mem, m->sender);
	out = buf_new(m->mem, SIZE_MAX / 4);
	add_phrase(out, m->full_name);
	buf_printf(out, "<" PRI_STR ">",
		   STR_ARG(address_quote_header(m->mem, m->sender)));
	return buf_str(out);
}

static void
add_missing(struct message *m)
{
	bool resent = m->is_resent;
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
		m->has_message_id = m->has_message_id || !resent;
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
	    !has(m, HEADER_RESENT_TO) && !has(m, HEADER_RESENT_CC))
		write_line(m, undisclosed);
}

/* ---- lines ---- */

/* A field in the body: only the transfer encoding matters to us. */
static void
take_part_field(struct message *m, struct str text)
{
	struct header_field f;

	if (header_field_parse(text, &f) && f.row != NULL &&
	    f.row->kind == HEADER_CONTENT_TRANSFER_ENCODING)
		note_encoding(m, f.value);
	content_header(m, text);
}

static void
on_header(void *arg, enum mime_header_class which, const struct header_name *row,
	  struct str text)
{
	struct message *m = arg;
	struct arena *mem = arena_new();

	(void)row;
	/* A NUL is the end of a field for most who will read it: make it so for all. */
	text = without_blanks_after_name(mem, str_head(text, str_index(text, '\0')));
	if (text.len > 0 && checks_header(m, mem, which, &text)) {
		if (which == MIME_HEADER_PRIMARY)
			take_field(m, text);
		else
			take_part_field(m, text);
	}
	arena_free(&mem);
}

static void
on_header_end(void *arg)
{
	struct message *m = arg;

	if (rewrites_headers(m) || m->cleanup->config.always_add_missing_headers)
		add_missing(m);
	if (!m->has_message_id)
		log_message_id(m->cleanup->daemon->log, m->id, STR("<>"));
}

void
content_body(struct message *m, struct str text, bool whole)
{
	m->line_is_open = !whole;
	queue_writer_record(&m->writer, whole ? RECORD_LETTER(LINE) : RECORD_LETTER(PART),
			    text);
}

static void
on_body(void *arg, struct str text, bool whole)
{
	struct message *m = arg;
	struct arena *mem;
	struct str line = text;

	if (m->cleanup->checks.body == NULL) {
		content_body(m, text, whole);
		return;
	}
	mem = arena_new();
	if (checks_body(m, mem, &line))
		content_body(m, line, whole);
	m->part_offset += (int64_t)text.len + (whole ? 1 : 0);
	arena_free(&mem);
}

static void
on_problem(void *arg, unsigned bit, struct str where)
{
	checks_mime_problem(arg, bit, where);
}

static void
on_part(void *arg)
{
	struct message *m = arg;

	m->part_offset = 0;
}

void
content_begin(struct message *m)
{
	const struct cleanup_config *c = &m->cleanup->config;
	const struct mime_limits limits = {.header_bytes = (size_t)c->header_size_limit,
					   .nesting = (size_t)c->mime_nesting_limit,
					   .boundary_bytes =
						   (size_t)c->mime_boundary_length_limit};
	const struct mime_events events = {.header = on_header,
					   .header_end = on_header_end,
					   .part = on_part,
					   .problem = on_problem,
					   .body = on_body};

	queue_writer_content(&m->writer);
	/* Without checks nobody here looks into the parts of a message. */
	m->mime =
		mime_new(m->mem, checks_need_mime(m) ? 0 : MIME_OFF, &limits, &events, m);
}

/* A bare CR would end a line for somebody else: a blank does not. */
struct str
content_clean(struct arena *mem, struct str text)
{
	char *copy;

	if (!str_contains(text, '\r') && !str_contains(text, '\n'))
		return text;
	copy = str_c(mem, text);
	for (size_t i = 0; i < text.len; i++) {
		if (copy[i] == '\r' || copy[i] == '\n')
			copy[i] = ' ';
	}
	return str_from_mem(copy, text.len);
}

void
content_text(struct message *m, struct str text, bool whole)
{
	const struct checks *k = &m->cleanup->checks;
	struct arena *mem;

	/* Nearly always; this is done for each line. */
	if (!k->rejected.any && !k->stripped.any && !str_contains(text, '\r') &&
	    !str_contains(text, '\n')) {
		mime_line(m->mime, text, whole);
		return;
	}
	mem = arena_new();
	if (checks_bytes(m, mem, &text))
		mime_line(m->mime, content_clean(mem, text), whole);
	arena_free(&mem);
}

void
content_end(struct message *m)
{
	mime_end(m->mime);
	/* Every message ends with a line end. */
	if (m->line_is_open)
		queue_writer_record(&m->writer, RECORD_LETTER(LINE), STR_EMPTY);
	queue_writer_extracted(&m->writer);
}
