/* SPDX-License-Identifier: Apache-2.0 */
/* Header (time, host, tag), then severity and queue id, and last the text. */
#include "log_line.h"

#include <string.h>

#include "base/macros.h"

#include "log_stamp.h"
#include "log_text.h"

enum { SHORT_ID_MIN = 6, LONG_ID_MIN = 10, ID_MAX = 64, QUICK_HEADER_MAX = 256 };

static bool
is_hex_upper(char c)
{
	return char_is_digit(c) || (c >= 'A' && c <= 'F');
}

/* Long ids use digits and consonants, so that they never spell a word. */
static bool
is_base52(char c)
{
	return char_is_alnum(c) && strchr("aeiouAEIOU", c) == NULL;
}

bool
log_is_queue_id(struct str s)
{
	bool hex = s.len >= SHORT_ID_MIN;
	bool base52 = s.len >= LONG_ID_MIN;

	if (s.len > ID_MAX)
		return false;
	for (size_t i = 0; i < s.len && (hex || base52); i++) {
		hex = hex && is_hex_upper(s.p[i]);
		base52 = base52 && is_base52(s.p[i]);
	}
	/* 'z' stands between the time and the inode number of a long id. */
	return hex || (base52 && str_contains(s, 'z'));
}

/* Take `prefix` off *s. */
static bool
take(struct str *s, struct str prefix)
{
	if (!str_starts(*s, prefix))
		return false;
	*s = str_skip(*s, prefix.len);
	return true;
}

/* "<22>" or "<22>1 " in front of the time. True if RFC 5424 follows. */
static bool
take_priority(struct str *s)
{
	size_t end = str_index(*s, '>');

	if (s->len == 0 || s->p[0] != '<' || end > 4 || end == s->len)
		return false;
	*s = str_skip(*s, end + 1);
	return take(s, STR("1 "));
}

static void
parse_tag(struct log_line *l, struct str tag)
{
	size_t open = str_index(tag, '[');
	struct str pid = str_skip(tag, open + 1);
	size_t slash;

	if (!str_to_i64(str_head(pid, str_index(pid, ']')), 0, INT64_MAX, &l->pid))
		l->pid = -1;
	l->tag = str_head(tag, open);
	slash = str_rindex(l->tag, '/');
	l->daemon = slash < l->tag.len ? str_skip(l->tag, slash + 1) : l->tag;
}

/* APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA SP text (RFC 5424 section 6). */
static bool
take_header_5424(struct log_line *l, struct str *s)
{
	struct str fields[3];
	bool quoted = false;
	size_t i = 0;

	for (size_t n = 0; n < ARRAY_LEN(fields); n++) {
		if (!str_split(*s, ' ', &fields[n], s))
			return false;
	}
	parse_tag(l, fields[0]);
	if (!str_to_i64(fields[1], 0, INT64_MAX, &l->pid))
		l->pid = -1;
	if (take(s, STR("-")))
		return take(s, STR(" ")) || s->len == 0;
	while (i < s->len &&
	       (quoted || s->p[i] != ']' || (i + 1 < s->len && s->p[i + 1] == '['))) {
		if (s->p[i] == '\\')
			i++;
		else if (s->p[i] == '"')
			quoted = !quoted;
		i++;
	}
	*s = str_skip(*s, i + 1);
	return take(s, STR(" "));
}

static bool
take_header(struct log_line *l, struct str *s)
{
	size_t end = str_find(*s, STR(": "));

	if (end == s->len || str_index(*s, ' ') < end)
		return false;
	parse_tag(l, str_head(*s, end));
	*s = str_skip(*s, end + 2);
	return l->tag.len > 0;
}

static void
take_severity(struct log_line *l, struct str *s)
{
	static const struct {
		struct str word;
		enum log_severity severity;
	} words[] = {
		{STR_INIT("warning: "), LOG_SEV_WARNING},
		{STR_INIT("error: "), LOG_SEV_ERROR},
		{STR_INIT("fatal: "), LOG_SEV_FATAL},
		{STR_INIT("panic: "), LOG_SEV_PANIC},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (take(s, words[i].word))
			l->severity = words[i].severity;
	}
}

static void
take_id(struct log_line *l, struct str *s)
{
	struct str id = str_head(*s, str_find(*s, STR(": ")));

	if (id.len == s->len)
		return;
	if (str_eq(id, STR("NOQUEUE")))
		l->noqueue = true;
	else if (log_is_queue_id(id))
		l->id = id;
	else
		return;
	*s = str_skip(*s, id.len + 2);
}

bool
log_line_parse(struct str line, int64_t reference_s, struct log_line *out)
{
	struct log_line l = {.pid = -1, .size = -1, .nrcpt = -1};
	struct str s = str_trim(str_head(line, LOG_LINE_MAX));
	bool is_5424 = take_priority(&s);

	if (!log_stamp_parse(&s, reference_s, &l.time_us))
		return false;
	s = str_trim_left(s);
	if (!str_split(s, ' ', &l.host, &s))
		return false;
	if (is_5424 ? !take_header_5424(&l, &s) : !take_header(&l, &s))
		return false;
	take_severity(&l, &s);
	take_id(&l, &s);
	l.text = s;
	log_text_parse(&l);
	*out = l;
	return true;
}

struct str
log_quick_id(struct str line)
{
	struct str s = str_head(line, QUICK_HEADER_MAX);
	struct log_line ignored = {0};
	size_t at = str_find(s, STR("]: "));

	if (at == s.len) {
		at = str_find(s, STR(" - ")); /* RFC 5424 without structured data */
		while (at < s.len && str_starts(str_skip(s, at + 2), STR(" - ")))
			at += 2;
	}
	if (at == s.len)
		return STR_EMPTY;
	s = str_skip(s, at + 3);
	take(&s, STR("- "));
	take_severity(&ignored, &s);
	s = str_head(s, str_index(s, ':'));
	return log_is_queue_id(s) ? s : STR_EMPTY;
}

struct str
log_quick_link(struct str line)
{
	struct str s = str_trim_right(line);
	size_t n;

	while (s.len > 0 && (s.p[s.len - 1] == ')' || s.p[s.len - 1] == ' '))
		s.len--;
	for (n = 0; n < s.len && char_is_alnum(s.p[s.len - 1 - n]); n++) {
	}
	s = str_skip(s, s.len - n);
	return log_is_queue_id(s) ? s : STR_EMPTY;
}
