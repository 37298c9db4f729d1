/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/dsn_request.h"

#include "base/arena.h"
#include "base/buf.h"

#include "mail/xtext.h"

enum {
	ORCPT_MAX = 500, /* RFC 3461 section 4.2 */
	ENVID_MAX = 100, /* RFC 3461 section 4.4 */
};

static const struct {
	unsigned bit;
	struct str name;
} notify_names[] = {
	{DSN_NOTIFY_NEVER, STR_INIT("NEVER")},
	{DSN_NOTIFY_SUCCESS, STR_INIT("SUCCESS")},
	{DSN_NOTIFY_FAILURE, STR_INIT("FAILURE")},
	{DSN_NOTIFY_DELAY, STR_INIT("DELAY")},
};

static unsigned
notify_find(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(notify_names); i++) {
		if (str_ieq(notify_names[i].name, word))
			return notify_names[i].bit;
	}
	return 0;
}

bool
dsn_notify_is_valid(unsigned mask)
{
	return (mask & ~(unsigned)DSN_NOTIFY_ANY) == 0 &&
	       ((mask & DSN_NOTIFY_NEVER) == 0 || mask == DSN_NOTIFY_NEVER);
}

bool
dsn_notify_parse(struct str text, unsigned *mask_out, struct err *err)
{
	struct str rest = text;
	struct str word;
	unsigned mask = 0;

	for (bool more = true; more;) {
		unsigned bit;

		more = str_split(rest, ',', &word, &rest);
		bit = notify_find(more ? word : rest);
		if (bit == 0)
			return err_set(err, ERR_PERM, "unknown NOTIFY word");
		mask |= bit;
	}
	if (!dsn_notify_is_valid(mask))
		return err_set(err, ERR_PERM, "NOTIFY=NEVER stands alone");
	*mask_out = mask;
	return true;
}

struct str
dsn_notify_format(struct arena *mem, unsigned mask)
{
	struct buf *out = buf_new(mem, 64);

	for (size_t i = 0; i < ARRAY_LEN(notify_names); i++) {
		if ((mask & notify_names[i].bit) == 0)
			continue;
		if (out->len > 0)
			buf_add_char(out, ',');
		buf_add(out, notify_names[i].name);
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
		return err_set(err, ERR_PERM, "RET is FULL or HDRS");
	return true;
}

const char *
dsn_ret_format(enum dsn_ret ret)
{
	return ret == DSN_RET_FULL ? "FULL" : ret == DSN_RET_HDRS ? "HDRS" : "";
}

/* Decoded values end up in headers of reports and in queue records. */
static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
			return true;
	}
	return false;
}

static bool
is_type(struct str type, bool utf8)
{
	return str_ieq(type, STR("rfc822")) || (utf8 && str_ieq(type, STR("utf-8")));
}

bool
dsn_orcpt_parse(struct arena *mem, struct str text, bool utf8, struct str *out,
		struct err *err)
{
	struct str type;
	struct str coded;
	struct str raw;

	if (text.len > ORCPT_MAX)
		return err_set(err, ERR_PERM, "ORCPT is longer than %d bytes", ORCPT_MAX);
	if (!str_split(text, ';', &type, &coded) || !is_type(type, utf8))
		return err_set(err, ERR_PERM, "ORCPT without a known address type");
	/* RFC 6533: the utf-8 type may also come as plain UTF-8. */
	if (utf8 && !str_is_ascii(coded) && str_is_utf8(coded))
		raw = coded;
	else if (!xtext_decode(mem, coded, &raw))
		return err_set(err, ERR_PERM, "ORCPT is not xtext");
	if (raw.len == 0 || has_control(raw) || !(str_is_ascii(raw) || utf8))
		return err_set(err, ERR_PERM, "ORCPT has no usable address");
	*out = str_printf(mem, PRI_STR ";" PRI_STR, STR_ARG(type), STR_ARG(raw));
	return true;
}

struct str
dsn_orcpt_format(struct arena *mem, struct str orcpt)
{
	struct str type;
	struct str raw;

	if (!str_split(orcpt, ';', &type, &raw))
		return xtext_encode(mem, orcpt);
	return str_printf(mem, PRI_STR ";" PRI_STR, STR_ARG(type),
			  STR_ARG(xtext_encode(mem, raw)));
}

bool
dsn_envid_parse(struct arena *mem, struct str text, struct str *out, struct err *err)
{
	struct str raw;

	if (text.len > ENVID_MAX)
		return err_set(err, ERR_PERM, "ENVID is longer than %d bytes", ENVID_MAX);
	if (!xtext_decode(mem, text, &raw))
		return err_set(err, ERR_PERM, "ENVID is not xtext");
	if (has_control(raw) || !str_is_ascii(raw))
		return err_set(err, ERR_PERM, "ENVID has bytes that are not printable");
	*out = raw;
	return true;
}
