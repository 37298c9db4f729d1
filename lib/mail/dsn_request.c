/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/dsn_request.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "mail/uxtext.h"
#include "mail/xtext.h"

static const struct {
	struct str word;
	unsigned bit;
} notify_words[] = {
	{STR_INIT("NEVER"), DSN_NOTIFY_NEVER},
	{STR_INIT("SUCCESS"), DSN_NOTIFY_SUCCESS},
	{STR_INIT("FAILURE"), DSN_NOTIFY_FAILURE},
	{STR_INIT("DELAY"), DSN_NOTIFY_DELAY},
};

bool
dsn_notify_is_valid(unsigned mask)
{
	return mask != 0 && (mask & ~(unsigned)DSN_NOTIFY_ANY) == 0 &&
	       ((mask & DSN_NOTIFY_NEVER) == 0 || mask == DSN_NOTIFY_NEVER);
}

static unsigned
notify_bit(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(notify_words); i++) {
		if (str_ieq(word, notify_words[i].word))
			return notify_words[i].bit;
	}
	return 0;
}

bool
dsn_notify_parse(struct str text, unsigned *mask_out, struct err *err)
{
	struct str rest = text;
	unsigned mask = 0;
	struct str word;

	while (str_token(&rest, ", \t", &word)) {
		unsigned bit = notify_bit(word);

		if (bit == 0)
			return err_set(err, ERR_PERM, "bad NOTIFY value: " PRI_STR,
				       STR_ARG(str_head(word, 100)));
		mask |= bit;
	}
	if (!dsn_notify_is_valid(mask))
		return err_set(err, ERR_PERM, "bad NOTIFY combination: " PRI_STR,
			       STR_ARG(str_head(text, 100)));
	*mask_out = mask;
	return true;
}

struct str
dsn_notify_format(struct arena *mem, unsigned mask)
{
	struct buf *out = buf_new(mem, 100);

	for (size_t i = 0; i < ARRAY_LEN(notify_words); i++) {
		if ((mask & notify_words[i].bit) == 0)
			continue;
		if (out->len > 0)
			buf_add_char(out, ',');
		buf_add(out, notify_words[i].word);
	}
	return buf_str(out);
}

bool
dsn_ret_parse(struct str text, enum dsn_ret *ret_out, struct err *err)
{
	if (str_ieq(text, STR("FULL")))
		*ret_out = DSN_RET_FULL;
	else if (str_ieq(text, STR("HDRS")))
		*ret_out = DSN_RET_HDRS;
	else
		return err_set(err, ERR_PERM, "bad RET value: " PRI_STR,
			       STR_ARG(str_head(text, 100)));
	return true;
}

const char *
dsn_ret_format(enum dsn_ret ret)
{
	return ret == DSN_RET_FULL ? "FULL" : ret == DSN_RET_HDRS ? "HDRS" : "";
}

bool
dsn_orcpt_parse(struct arena *mem, struct str text, bool utf8, struct str *out,
		struct err *err)
{
	struct str type;
	struct str rest;
	struct str decoded;
	bool is_utf8;

	if (!str_split(text, ';', &type, &rest) || type.len == 0 || rest.len == 0)
		return err_set(err, ERR_PERM, "bad ORCPT syntax");
	is_utf8 = str_ieq(type, STR("utf-8"));
	if (!str_ieq(type, STR("rfc822")) && !(utf8 && is_utf8))
		return err_set(err, ERR_PERM, "unknown ORCPT address type: " PRI_STR,
			       STR_ARG(str_head(type, 100)));
	if (!(is_utf8 ? uxtext_decode : xtext_decode)(mem, rest, &decoded))
		return err_set(err, ERR_PERM, "bad ORCPT encoding");
	*out = str_printf(mem, PRI_STR ";" PRI_STR, STR_ARG(str_lower(mem, type)),
			  STR_ARG(decoded));
	return true;
}

struct str
dsn_orcpt_format(struct arena *mem, struct str orcpt)
{
	struct str type = STR("rfc822");
	struct str rest = orcpt;

	IGNORE(str_split(orcpt, ';', &type, &rest));
	rest = (str_ieq(type, STR("utf-8")) ? uxtext_encode : xtext_encode)(mem, rest);
	return str_printf(mem, PRI_STR ";" PRI_STR, STR_ARG(type), STR_ARG(rest));
}

bool
dsn_envid_parse(struct arena *mem, struct str text, struct str *out, struct err *err)
{
	struct str decoded;

	if (!xtext_decode(mem, text, &decoded))
		return err_set(err, ERR_PERM, "bad ENVID encoding");
	for (size_t i = 0; i < decoded.len; i++)
		if (!char_is_print(decoded.p[i]))
			return err_set(err, ERR_PERM, "ENVID holds what does not print");
	*out = decoded;
	return true;
}
