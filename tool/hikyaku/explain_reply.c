/* SPDX-License-Identifier: Apache-2.0 */
#include "explain_reply.h"

#include <string.h>

#include "base/macros.h"

#include "log_line.h"

struct reply_row {
	const char *dsn; /* "4.7.1"; "*" for a part; "" for any */
	enum reply_step step;
	const char *pattern; /* alternatives with |, parts in order with * */
	struct explanation explanation;
};

static const struct reply_row rows[] = {
#define REPLY(dsn, step, pattern, meaning, advice)                                       \
	{dsn, STEP_##step, pattern, {meaning, advice}},
#include "replies.def"
#undef REPLY
};

static size_t
find_folded(struct str s, struct str part)
{
	for (size_t i = 0; i + part.len <= s.len; i++) {
		if (str_ieq(str_head(str_skip(s, i), part.len), part))
			return i;
	}
	return s.len;
}

static bool
has_parts(struct str text, struct str parts)
{
	struct str part;

	while (str_token(&parts, "*", &part)) {
		size_t at = find_folded(text, part);

		if (at == text.len)
			return false;
		text = str_skip(text, at + part.len);
	}
	return true;
}

static bool
text_fits(struct str text, struct str pattern)
{
	struct str alternative;

	if (pattern.len == 0)
		return true;
	while (str_token(&pattern, "|", &alternative)) {
		if (has_parts(text, alternative))
			return true;
	}
	return false;
}

static bool
dsn_fits(struct str dsn, struct str pattern)
{
	struct str a;
	struct str b;

	if (pattern.len == 0)
		return true;
	while (str_token(&pattern, ".", &b)) {
		if (!str_token(&dsn, ".", &a) || (!str_eq(b, STR("*")) && !str_eq(a, b)))
			return false;
	}
	return true;
}

static bool
has(struct str text, const char *part)
{
	return find_folded(text, str_from(part)) < text.len;
}

enum reply_step
explain_step(const struct reply_facts *f)
{
	static const struct {
		const char *part;
		enum reply_step step;
	} signs[] = {
		{"SASL ", STEP_AUTH},
		{"Name service error", STEP_DNS},
		{"nullMX", STEP_DNS},
		{"host not found", STEP_DNS},
		{"TLS", STEP_TLS},
		{"Server certificate", STEP_TLS},
		{"in reply to MAIL FROM", STEP_MAIL},
		{"while sending MAIL FROM", STEP_MAIL},
		{"in reply to RCPT TO", STEP_RCPT},
		{"while sending RCPT TO", STEP_RCPT},
		{"in reply to DATA", STEP_DATA},
		{"in reply to end of DATA", STEP_DATA},
		{"while sending DATA", STEP_DATA},
		{"while sending message body", STEP_DATA},
		{"while sending end of data", STEP_DATA},
		{"refused to talk to me", STEP_GREETING},
		{"while receiving the initial", STEP_GREETING},
		{"while performing the", STEP_GREETING},
		{"connect to ", STEP_CONNECT},
	};

	if (str_eq(f->daemon, STR("smtpd")) || str_eq(f->daemon, STR("postscreen")) ||
	    str_eq(f->daemon, STR("cleanup")))
		return STEP_IN;
	for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
		if (has(f->text, signs[i].part)) {
			/* A remote reply may speak of TLS at any step. */
			if (signs[i].step == STEP_TLS && has(f->text, "in reply to"))
				continue;
			return signs[i].step;
		}
	}
	if (!str_eq(f->daemon, STR("smtp")) && !str_eq(f->daemon, STR("lmtp")))
		return STEP_LOCAL;
	return STEP_ANY;
}

/* The first "N.N.N" in the text. */
static struct str
dsn_in(struct str text)
{
	for (size_t i = 0; i + 5 <= text.len; i++) {
		struct str s = str_skip(text, i);
		size_t n = 0;

		if ((i > 0 && !char_is_blank(text.p[i - 1]) && text.p[i - 1] != '-') ||
		    s.p[0] < '2' || s.p[0] > '5' || s.p[1] != '.')
			continue;
		while (n < s.len && (char_is_digit(s.p[n]) || s.p[n] == '.'))
			n++;
		return str_head(s, n);
	}
	return STR_EMPTY;
}

struct explanation
explain_reply(const struct reply_facts *facts)
{
	enum reply_step step = explain_step(facts);
	struct str dsn = facts->dsn.len > 0 ? facts->dsn : dsn_in(facts->text);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if ((rows[i].step == STEP_ANY || rows[i].step == step) &&
		    dsn_fits(dsn, str_from(rows[i].dsn)) &&
		    text_fits(facts->text, str_from(rows[i].pattern)))
			return rows[i].explanation;
	}
	return (struct explanation){NULL, NULL};
}

struct explanation
explain_line(const struct log_line *l)
{
	static const struct explanation content = {
		"A rule on headers or content did this (header_checks, body_checks and "
		"relatives).",
		NULL};

	/* Such a line quotes the message: its words are not ours and mean nothing here.
	 */
	if (l->kind == LOG_ACTION &&
	    (str_eq(l->stage, STR("header")) || str_eq(l->stage, STR("body")) ||
	     str_eq(l->stage, STR("content"))))
		return content;
	return explain_reply(&(struct reply_facts){
		.daemon = l->daemon,
		.status = l->status,
		.dsn = l->dsn,
		.text = l->reason,
	});
}

size_t
explain_count(void)
{
	return ARRAY_LEN(rows);
}
