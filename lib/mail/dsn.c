/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/dsn.h"

#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/macros.h"
#include "base/panic.h"

const char *
dsn_action_name(enum dsn_action action)
{
	static const char *const names[] = {
		[DSN_NONE] = "",
		[DSN_DELIVERED] = "delivered",
		[DSN_RELAYED] = "relayed",
		[DSN_DELAYED] = "delayed",
		[DSN_FAILED] = "failed",
		[DSN_EXPANDED] = "expanded",
		[DSN_DELIVERABLE] = "deliverable",
		[DSN_UNDELIVERABLE] = "undeliverable",
	};

	return names[action];
}

/* Length of one to three digits at the start of s, 0 if there are none or more. */
static size_t
digits(struct str s)
{
	size_t n = 0;

	while (n < s.len && char_is_digit(s.p[n]))
		n++;
	return n <= 3 ? n : 0;
}

size_t
dsn_status_length(struct str text)
{
	size_t at = 0;

	if (text.len < 5 || (text.p[0] != '2' && text.p[0] != '4' && text.p[0] != '5'))
		return 0;
	at = 1;
	for (int part = 0; part < 2; part++) {
		size_t n;

		if (at >= text.len || text.p[at] != '.')
			return 0;
		n = digits(str_skip(text, at + 1));
		if (n == 0)
			return 0;
		at += 1 + n;
	}
	return at == text.len || char_is_space(text.p[at]) ? at : 0;
}

static struct dsn_status
status_from(struct str text)
{
	struct dsn_status s = {0};

	ensure(text.len < sizeof(s.text));
	memcpy(s.text, text.p, text.len);
	return s;
}

struct dsn_status
dsn_status_split(const char *default_status, struct str text, struct str *rest_out)
{
	struct str t = str_trim_left(text);
	size_t n = dsn_status_length(t);

	*rest_out = n > 0 ? str_trim_left(str_skip(t, n)) : t;
	return status_from(n > 0 ? str_head(t, n) : str_from(default_status));
}

struct dsn_status
dsn_status_from_reply(int code, struct str text)
{
	struct str t = str_trim_left(text);
	size_t n = dsn_status_length(t);
	char plain[] = "x.0.0";

	if (code < 200 || code > 599)
		return status_from(STR("5.5.0"));
	/* An intermediate reply has no class of its own: the dialogue goes on. */
	plain[0] = (char)('0' + code / 100);
	if (plain[0] == '3')
		plain[0] = '4';
	if (n > 0 && t.p[0] == plain[0])
		return status_from(str_head(t, n));
	return status_from(str_from(plain));
}

struct dsn_status
dsn_status_with_class(struct dsn_status status, char class)
{
	status.text[0] = class;
	return status;
}

static enum dsn_action
action_of(char class)
{
	return class == '2' ? DSN_DELIVERED : class == '4' ? DSN_DELAYED : DSN_FAILED;
}

struct dsn
dsn_make(struct arena *mem, const char *status, struct str reason)
{
	struct str s = str_from(status);

	ensure(dsn_status_length(s) == s.len);
	return (struct dsn){
		.status = status_from(s),
		.action = action_of(status[0]),
		.reason = str_dup(mem, reason),
		.diag_type = STR_EMPTY,
		.diag_text = STR_EMPTY,
		.mta_type = STR_EMPTY,
		.mta_name = STR_EMPTY,
	};
}

struct dsn
dsn_printf(struct arena *mem, const char *status, const char *format, ...)
{
	struct dsn d;
	va_list ap;

	va_start(ap, format);
	d = dsn_make(mem, status, str_vprintf(mem, format, ap));
	va_end(ap);
	return d;
}

struct dsn
dsn_from_err(struct arena *mem, const struct err *err)
{
	return dsn_make(mem, err->kind == ERR_CONFIG ? "4.3.5" : "4.3.0",
			str_from(err->text));
}

struct dsn
dsn_dup(struct arena *mem, const struct dsn *dsn)
{
	struct dsn d = *dsn;

	d.reason = str_dup(mem, dsn->reason);
	d.diag_type = str_dup(mem, dsn->diag_type);
	d.diag_text = str_dup(mem, dsn->diag_text);
	d.mta_type = str_dup(mem, dsn->mta_type);
	d.mta_name = str_dup(mem, dsn->mta_name);
	return d;
}
