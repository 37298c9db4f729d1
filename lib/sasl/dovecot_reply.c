/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl/dovecot_reply.h"

#include "base/arena.h"
#include "base/buf.h"

#include "sasl/mechanism.h"

static const struct {
	struct str word;
	enum dovecot_kind kind;
	bool has_number;
} kinds[] = {
	{STR_INIT("VERSION"), DOVECOT_VERSION, true},
	{STR_INIT("MECH"), DOVECOT_MECH, false},
	{STR_INIT("SPID"), DOVECOT_SPID, false},
	{STR_INIT("DONE"), DOVECOT_DONE, false},
	{STR_INIT("OK"), DOVECOT_OK, true},
	{STR_INIT("CONT"), DOVECOT_CONT, true},
	{STR_INIT("FAIL"), DOVECOT_FAIL, true},
};

static const struct {
	struct str word;
	unsigned property;
} properties[] = {
	{STR_INIT("plaintext"), SASL_PLAINTEXT},
	{STR_INIT("active"), SASL_ACTIVE_ATTACK},
	{STR_INIT("dictionary"), SASL_DICTIONARY},
	{STR_INIT("anonymous"), SASL_ANONYMOUS},
	{STR_INIT("forward-secrecy"), SASL_FORWARD_SECRECY},
	{STR_INIT("mutual-auth"), SASL_MUTUAL_AUTH},
};

/* The next word; an empty one counts. */
static bool
take_word(struct str *rest, struct str *word_out)
{
	if (rest->p == NULL)
		return false;
	if (str_split(*rest, '\t', word_out, rest))
		return true;
	*word_out = *rest;
	rest->p = NULL;
	rest->len = 0;
	return true;
}

/* What \001 and this letter stand for. */
static char
unescape_char(char c)
{
	switch (c) {
	case '0':
		return '\0';
	case '1':
		return '\001';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	default:
		return c;
	}
}

static struct str
unescape(struct arena *mem, struct str text)
{
	struct buf *out = buf_new(mem, DOVECOT_LINE_MAX);

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '\001' && i + 1 < text.len)
			buf_add_char(out, unescape_char(text.p[++i]));
		else
			buf_add_char(out, text.p[i]);
	}
	return buf_str(out);
}

static void
take_property(struct str word, struct dovecot_reply *out)
{
	out->is_private = out->is_private || str_eq(word, STR("private"));
	for (size_t i = 0; i < ARRAY_LEN(properties); i++)
		if (str_eq(word, properties[i].word))
			out->properties |= properties[i].property;
}

static bool
parse_mechanism(struct str rest, struct dovecot_reply *out)
{
	struct str word;

	if (!take_word(&rest, &out->text) || !sasl_name_is_valid(out->text))
		return false;
	while (take_word(&rest, &word))
		take_property(word, out);
	return true;
}

static void
parse_outcome(struct arena *mem, struct str rest, struct dovecot_reply *out)
{
	struct str word;

	while (take_word(&rest, &word)) {
		if (str_starts(word, STR("user=")))
			out->user = unescape(mem, str_skip(word, 5));
		else if (out->kind != DOVECOT_FAIL)
			continue;
		else if (str_starts(word, STR("reason=")))
			out->text = unescape(mem, str_skip(word, 7));
		else if (str_eq(word, STR("temp")) || str_eq(word, STR("code=temp_fail")))
			out->is_temporary = true;
	}
}

bool
dovecot_reply_parse(struct arena *mem, struct str line, struct dovecot_reply *out)
{
	struct dovecot_reply reply = {
		.kind = DOVECOT_OTHER, .text = STR_EMPTY, .user = STR_EMPTY};
	bool has_number = false;
	struct str rest = line;
	struct str word;
	uint64_t number;

	if (!take_word(&rest, &word) || word.len == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!str_eq(word, kinds[i].word))
			continue;
		reply.kind = kinds[i].kind;
		has_number = kinds[i].has_number;
	}
	if (has_number) {
		if (!take_word(&rest, &word) || !str_to_u64(word, UINT32_MAX, &number))
			return false;
		reply.number = (unsigned)number;
	}
	if (reply.kind == DOVECOT_MECH && !parse_mechanism(rest, &reply))
		return false;
	if (reply.kind == DOVECOT_CONT)
		IGNORE(take_word(&rest, &reply.text));
	if (reply.kind == DOVECOT_OK || reply.kind == DOVECOT_FAIL)
		parse_outcome(mem, rest, &reply);
	*out = reply;
	return true;
}
