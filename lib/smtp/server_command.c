/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/server_command.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/macros.h"

#include "mail/address.h"
#include "mail/token.h"
#include "mail/verp.h"

static const struct {
	const char *name;
	unsigned flags;
} verbs[] = {
#define VERB(name, flags) {#name, (flags)},
#include "smtp/server_verb.def"
#undef VERB
};

const char *
smtp_verb_name(enum smtp_verb verb)
{
	return verb < SMTP_VERBS ? verbs[verb].name : "UNKNOWN";
}

unsigned
smtp_verb_flags(enum smtp_verb verb)
{
	return verb < SMTP_VERBS ? verbs[verb].flags : 0;
}

enum smtp_verb
smtp_verb_find(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_ieq(word, str_from(verbs[i].name)))
			return (enum smtp_verb)i;
	return SMTP_VERBS;
}

/* ---- words ---- */

/* Length of the word at the start of s; *open_out: its end is missing. */
static size_t
word_length(struct str s, bool *open_out)
{
	unsigned depth = 0;
	bool quoted = false;
	size_t i;

	for (i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (quoted || depth > 0) {
			if (c == '\\' && i + 1 < s.len)
				i++;
			else if (c == '"')
				quoted = !quoted;
			else if (!quoted && c == '<')
				depth++;
			else if (!quoted && c == '>')
				depth--;
		} else if (char_is_space(c)) {
			break;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '<') {
			depth = 1;
		}
	}
	*open_out = quoted || depth > 0;
	return i;
}

/* FROM: and TO: are words of their own, whatever follows. */
static size_t
keyword_length(const struct smtp_words *words, struct str rest)
{
	if (words->n != 1)
		return 0;
	if (str_ieq(words->word[0], STR("MAIL")) && str_istarts(rest, STR("FROM:")))
		return STR("FROM:").len;
	if (str_ieq(words->word[0], STR("RCPT")) && str_istarts(rest, STR("TO:")))
		return STR("TO:").len;
	return 0;
}

void
smtp_words_split(struct arena *mem, struct str line, struct smtp_words *out)
{
	struct str rest = str_head(line, str_index(line, '\0'));
	size_t count = 1;

	/* No more words than blanks and one, and FROM: or TO:. */
	for (size_t i = 0; i < rest.len; i++)
		count += char_is_space(rest.p[i]);
	count = MIN_OF(count + 1, (size_t)SMTP_WORDS_MAX);
	*out = (struct smtp_words){.word = arena_alloc_array(mem, count, sizeof(rest))};
	for (;;) {
		size_t n;

		while (rest.len > 0 && char_is_space(rest.p[0]))
			rest = str_skip(rest, 1);
		if (rest.len == 0)
			return;
		n = keyword_length(out, rest);
		if (n == 0)
			n = word_length(rest, &out->open);
		if (out->n + 1 == count)
			n = rest.len;
		out->word[out->n++] = str_head(rest, n);
		rest = str_skip(rest, n);
	}
}

struct str
smtp_words_join(struct arena *mem, const struct smtp_words *words, size_t first)
{
	struct buf *out = buf_new(mem, SIZE_MAX / 4);

	for (size_t i = first; i < words->n; i++) {
		if (i > first)
			buf_add_char(out, ' ');
		buf_add(out, words->word[i]);
	}
	return buf_str(out);
}

bool
smtp_is_header_like(struct str word)
{
	size_t colon = str_index(word, ':');

	if (colon == 0 || colon == word.len)
		return false;
	for (size_t i = 0; i < colon; i++)
		if (!char_is_print(word.p[i]) || word.p[i] == ' ')
			return false;
	return true;
}

/* ---- addresses ---- */

/* "@a,@b:c@d": only the last part counts (RFC 5321 appendix C). */
static struct str
without_route(struct str text)
{
	size_t colon = str_index(text, ':');

	if (text.len == 0 || text.p[0] != '@' || colon == text.len)
		return text;
	return str_skip(text, colon + 1);
}

static bool
domain_is_legal(struct str address, bool utf8)
{
	struct str local;
	struct str domain;
	struct str literal;
	struct err err;

	if (!address_split(address, &local, &domain))
		return true;
	if (domain.len > 0 && domain.p[0] == '[')
		return literal_parse(domain, &literal);
	if (domain.len > 1 && domain.p[domain.len - 1] == '.')
		domain.len--;
	return hostname_check(domain, utf8, &err);
}

/* The one address in the tree, or NULL; with strict nothing else may be there. */
static const struct token *
only_address(struct token_list list, bool strict)
{
	const struct token *found = NULL;

	for (const struct token *t = list.first; t != NULL; t = t->next) {
		if (t->kind == TOKEN_ADDRESS) {
			if (found != NULL)
				return NULL;
			found = t;
		} else if (strict || (t->kind == TOKEN_OPERATOR &&
				      (t->op == ',' || t->op == ';'))) {
			return NULL;
		}
	}
	return found;
}

static bool
has_comment(struct token_list list)
{
	for (const struct token *t = list.first; t != NULL; t = t->next)
		if (t->kind == TOKEN_COMMENT)
			return true;
	return false;
}

enum smtp_path_result
smtp_path_parse(struct arena *mem, struct str text, const struct smtp_path_rules *rules,
		struct str *address_out)
{
	struct str inner = str_trim(address_without_brackets(text));
	const struct token *only;
	struct token_list list;
	struct str address;
	bool cut = false;
	bool open;

	IGNORE(word_length(text, &open) == 0);
	if (open)
		return SMTP_PATH_OPEN;
	if (rules->strict && (text.len < 2 || text.p[0] != '<'))
		return SMTP_PATH_ILLEGAL;
	if (inner.len == 0) {
		*address_out = STR_EMPTY;
		return rules->may_be_empty && text.len > 0 ? SMTP_PATH_OK
							   : SMTP_PATH_ILLEGAL;
	}
	list = token_parse(mem, without_route(inner), TOKEN_LIMIT_DEFAULT, &cut);
	only = cut ? NULL : only_address(list, rules->strict);
	if (only == NULL || (rules->strict && has_comment(only->inner)))
		return SMTP_PATH_ILLEGAL;
	address = token_print(mem, only->inner, TOKEN_INTERNAL);
	if ((address.len == 0 && !rules->may_be_empty) ||
	    !domain_is_legal(address, rules->utf8))
		return SMTP_PATH_ILLEGAL;
	*address_out = address;
	return SMTP_PATH_OK;
}

/* ---- replies ---- */

static bool
refuse(struct smtp_command_fault *fault, struct str reply)
{
	*fault = (struct smtp_command_fault){.reply = reply, .illegal = STR_EMPTY};
	return false;
}

static bool
refuse_option(struct arena *mem, struct smtp_command_fault *fault, struct str word)
{
	return refuse(fault, str_printf(mem, "555 5.5.4 Unsupported option: " PRI_STR,
					STR_ARG(word)));
}

/* The address of a command, or the reply in bad. */
static bool
take_path(struct arena *mem, struct str text, const struct smtp_offer *offer, bool utf8,
	  bool may_be_empty, struct str bad, struct str *address_out,
	  struct smtp_command_fault *fault)
{
	const struct smtp_path_rules rules = {
		.strict = offer->strict, .utf8 = utf8, .may_be_empty = may_be_empty};

	switch (smtp_path_parse(mem, text, &rules, address_out)) {
	case SMTP_PATH_OK:
		break;
	case SMTP_PATH_OPEN:
		return refuse(fault, bad);
	case SMTP_PATH_ILLEGAL:
		*fault = (struct smtp_command_fault){.reply = bad, .illegal = text};
		return false;
	}
	if (offer->must_declare && !utf8 && !str_is_ascii(*address_out))
		return refuse(fault, STR("553 5.6.7 Must declare SMTPUTF8 to send "
					 "unicode address"));
	return true;
}

/* The value of "NAME=value". */
static bool
option(struct str word, struct str name, struct str *value_out)
{
	if (!str_istarts(word, name))
		return false;
	*value_out = str_skip(word, name.len);
	return true;
}

/* ---- MAIL ---- */

static bool
take_size(struct str value, struct smtp_mail_command *out,
	  struct smtp_command_fault *fault)
{
	if (value.len == 0)
		return refuse(fault, STR("501 5.5.4 Bad message size syntax"));
	for (size_t i = 0; i < value.len; i++)
		if (!char_is_digit(value.p[i]))
			return refuse(fault, STR("501 5.5.4 Bad message size syntax"));
	if (!str_to_i64(value, 0, INT64_MAX, &out->size))
		return refuse(fault, STR("552 5.3.4 Message size exceeds file system "
					 "imposed limit"));
	return true;
}

static bool
take_ret(struct str value, bool offered, struct smtp_mail_command *out,
	 struct smtp_command_fault *fault)
{
	struct err err;

	if (!offered)
		return refuse(fault, STR("501 5.7.1 DSN support is disabled"));
	if (out->ret != DSN_RET_NONE || !dsn_ret_parse(value, &out->ret, &err))
		return refuse(fault, STR("501 5.5.4 Bad RET parameter syntax"));
	return true;
}

static bool
take_envid(struct arena *mem, struct str value, bool offered,
	   struct smtp_mail_command *out, struct smtp_command_fault *fault)
{
	struct err err;

	if (!offered)
		return refuse(fault, STR("501 5.7.1 DSN support is disabled"));
	if (out->envid.len > 0 || value.len == 0 ||
	    !dsn_envid_parse(mem, value, &out->envid, &err))
		return refuse(fault, STR("501 5.5.4 Bad ENVID parameter syntax"));
	return true;
}

/* RFC 4954 section 5: of no meaning from a client that is not logged in. */
static bool
take_auth(struct str value, bool counts, struct smtp_mail_command *out,
	  struct smtp_command_fault *fault)
{
	if (!counts)
		return true;
	if (out->auth.p != NULL)
		return refuse(fault, STR("503 5.5.4 Error: multiple AUTH= options"));
	/* No address is longer; the queue and its agents have a limit. */
	if (!str_eq(value, STR("<>")) && value.len <= SMTP_AUTH_MAX)
		out->auth = value;
	return true;
}

static bool
take_verp(struct str word, const struct smtp_offer *offer, struct smtp_mail_command *out,
	  struct arena *mem, struct smtp_command_fault *fault)
{
	struct str value;

	out->verp = offer->verp_default;
	if (option(word, STR("XVERP="), &value))
		out->verp = value;
	return verp_delimiters_are_good(out->verp, offer->verp_allowed) ||
	       refuse(fault, str_printf(mem,
					"501 5.5.4 Error: XVERP needs two characters "
					"from " PRI_STR,
					STR_ARG(offer->verp_allowed)));
}

static bool
take_mail_option(struct arena *mem, struct str word, const struct smtp_offer *offer,
		 struct smtp_mail_command *out, struct smtp_command_fault *fault)
{
	struct str value;

	if (str_ieq(word, STR("BODY=8BITMIME")))
		out->body = SMTP_BODY_8BITMIME;
	else if (str_ieq(word, STR("BODY=7BIT")))
		out->body = SMTP_BODY_7BIT;
	else if (option(word, STR("SIZE="), &value))
		return take_size(value, out, fault);
	else if (offer->utf8 && str_ieq(word, STR("SMTPUTF8")))
		out->smtputf8 = true;
	else if (option(word, STR("RET="), &value))
		return take_ret(value, offer->dsn, out, fault);
	else if (option(word, STR("ENVID="), &value))
		return take_envid(mem, value, offer->dsn, out, fault);
	else if (offer->verp &&
		 (str_ieq(word, STR("XVERP")) || option(word, STR("XVERP="), &value)))
		return take_verp(word, offer, out, mem, fault);
	else if (option(word, STR("AUTH="), &value))
		return take_auth(value, offer->auth, out, fault);
	else
		return refuse_option(mem, fault, word);
	return true;
}

bool
smtp_mail_parse(struct arena *mem, const struct smtp_words *words,
		const struct smtp_offer *offer, struct smtp_mail_command *out,
		struct smtp_command_fault *fault)
{
	struct smtp_mail_command mail = {
		.size = -1, .address = STR_EMPTY, .envid = STR_EMPTY, .verp = STR_EMPTY};
	bool utf8 = false;

	if (words->n < 3 || !str_ieq(words->word[1], STR("FROM:")))
		return refuse(fault, STR("501 5.5.4 Syntax: MAIL FROM:<address>"));
	for (size_t i = 3; i < words->n && offer->utf8; i++)
		utf8 = utf8 || str_ieq(words->word[i], STR("SMTPUTF8"));
	if (!take_path(mem, words->word[2], offer, utf8, true,
		       STR("501 5.1.7 Bad sender address syntax"), &mail.address, fault))
		return false;
	for (size_t i = 3; i < words->n; i++)
		if (!take_mail_option(mem, words->word[i], offer, &mail, fault))
			return false;
	if (mail.verp.len > 0 && mail.address.len == 0)
		return refuse(fault,
			      STR("503 5.5.4 Error: XVERP requires non-null sender"));
	if (mail.auth.p == NULL)
		mail.auth = STR_EMPTY;
	*out = mail;
	return true;
}

/* ---- RCPT ---- */

static bool
take_rcpt_option(struct arena *mem, struct str word, const struct smtp_offer *offer,
		 bool utf8, struct smtp_rcpt_command *out,
		 struct smtp_command_fault *fault)
{
	struct str value;
	struct err err;

	if (option(word, STR("NOTIFY="), &value)) {
		if (!offer->dsn)
			return refuse(fault, STR("501 5.7.1 DSN support is disabled"));
		if (out->notify != 0 || !dsn_notify_parse(value, &out->notify, &err))
			return refuse(fault, STR("501 5.5.4 Error: Bad NOTIFY parameter "
						 "syntax"));
		return true;
	}
	if (option(word, STR("ORCPT="), &value)) {
		if (!offer->dsn)
			return refuse(fault, STR("501 5.7.1 DSN support is disabled"));
		/* No address at all is taken, too. */
		if (out->orcpt.len == 0 && str_ieq(value, STR("rfc822;")))
			out->orcpt = value;
		else if (out->orcpt.len > 0 ||
			 !dsn_orcpt_parse(mem, value, utf8 || offer->utf8, &out->orcpt,
					  &err))
			return refuse(fault, STR("501 5.5.4 Error: Bad ORCPT parameter "
						 "syntax"));
		return true;
	}
	return refuse_option(mem, fault, word);
}

bool
smtp_rcpt_parse(struct arena *mem, const struct smtp_words *words,
		const struct smtp_offer *offer, bool utf8, struct smtp_rcpt_command *out,
		struct smtp_command_fault *fault)
{
	struct smtp_rcpt_command rcpt = {.address = STR_EMPTY, .orcpt = STR_EMPTY};

	if (words->n < 3 || !str_ieq(words->word[1], STR("TO:")))
		return refuse(fault, STR("501 5.5.4 Syntax: RCPT TO:<address>"));
	if (!take_path(mem, words->word[2], offer, utf8, false,
		       STR("501 5.1.3 Bad recipient address syntax"), &rcpt.address,
		       fault))
		return false;
	rcpt.text = address_without_brackets(words->word[2]);
	for (size_t i = 3; i < words->n; i++)
		if (!take_rcpt_option(mem, words->word[i], offer, utf8, &rcpt, fault))
			return false;
	*out = rcpt;
	return true;
}

/* ---- others ---- */

bool
smtp_vrfy_parse(struct arena *mem, const struct smtp_words *words,
		const struct smtp_offer *offer, struct str *text_out,
		struct str *address_out, struct smtp_command_fault *fault)
{
	struct smtp_words rest = *words;
	bool utf8 = false;
	struct str text;

	if (rest.n > 2 && offer->utf8 &&
	    str_ieq(rest.word[rest.n - 1], STR("SMTPUTF8"))) {
		utf8 = true;
		rest.n--;
	}
	if (rest.n < 2)
		return refuse(fault, STR("501 5.5.4 Syntax: VRFY address [SMTPUTF8]"));
	text = smtp_words_join(mem, &rest, 1);
	/* An address that is not closed is worth a warning, here. */
	if (!take_path(mem, text, offer, utf8, false,
		       STR("501 5.1.3 Bad recipient address syntax"), address_out,
		       fault)) {
		if (str_starts(fault->reply, STR("501 5.1.3")))
			fault->illegal = text;
		return false;
	}
	*text_out = text;
	return true;
}

bool
smtp_bdat_parse(const struct smtp_words *words, int64_t *count_out, bool *last_out)
{
	bool last = words->n == 3 && str_ieq(words->word[2], STR("LAST"));
	int64_t count;

	if (words->n < 2 || (words->n > 2 && !last) || words->word[1].len == 0 ||
	    !char_is_digit(words->word[1].p[0]) ||
	    !str_to_i64(words->word[1], 0, INT64_MAX, &count))
		return false;
	*count_out = count;
	*last_out = last;
	return true;
}
