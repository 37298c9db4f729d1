/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/dsn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/panic.h"

const char *
dsn_action_name(enum dsn_action action)
{
	switch (action) {
	case DSN_NONE:
		return "";
	case DSN_DELIVERED:
		return "delivered";
	case DSN_RELAYED:
		return "relayed";
	case DSN_DELAYED:
		return "delayed";
	case DSN_FAILED:
		return "failed";
	case DSN_EXPANDED:
		return "expanded";
	case DSN_DELIVERABLE:
		return "deliverable";
	case DSN_UNDELIVERABLE:
		return "undeliverable";
	}
	panic("unknown action %d", (int)action);
}

/* "." and one to three digits at the start of s: their length, or 0. */
static size_t
number_length(struct str s)
{
	size_t len = 1;

	if (s.len < 2 || s.p[0] != '.')
		return 0;
	while (len < s.len && char_is_digit(s.p[len]))
		len++;
	return len >= 2 && len <= 4 ? len : 0;
}

size_t
dsn_status_length(struct str text)
{
	size_t subject;
	size_t detail;
	size_t len;

	if (text.len == 0 || (text.p[0] != '2' && text.p[0] != '4' && text.p[0] != '5'))
		return 0;
	subject = number_length(str_skip(text, 1));
	detail = number_length(str_skip(text, 1 + subject));
	len = 1 + subject + detail;
	if (subject == 0 || detail == 0)
		return 0;
	return len == text.len || char_is_space(text.p[len]) ? len : 0;
}

static struct dsn_status
status_from(struct str text)
{
	struct dsn_status status = {""};

	ensure(text.len < sizeof(status.text));
	memcpy(status.text, text.p, text.len);
	return status;
}

struct dsn_status
dsn_status_split(const char *default_status, struct str text, struct str *rest_out)
{
	size_t len;

	text = str_trim_left(text);
	len = dsn_status_length(text);
	*rest_out = str_trim_left(str_skip(text, len));
	return status_from(len > 0 ? str_head(text, len) : str_from(default_status));
}

struct dsn_status
dsn_status_from_reply(int code, struct str text)
{
	size_t len = dsn_status_length(text);
	int class = code / 100;
	struct dsn_status status = {"5.5.0"};

	if (class != 2 && class != 4 && class != 5)
		return status;
	if (len > 0 && text.p[0] == '0' + class)
		return status_from(str_head(text, len));
	snprintf(status.text, sizeof(status.text), "%d.0.0", class);
	return status;
}

struct dsn_status
dsn_status_with_class(struct dsn_status status, char class)
{
	ensure(class == '2' || class == '4' || class == '5');
	status.text[0] = class;
	return status;
}

struct dsn
dsn_make(struct arena *mem, const char *status, struct str reason)
{
	struct str text = str_from(status);
	struct dsn dsn = {
		.reason = str_dup(mem, reason),
		.diag_type = STR_EMPTY,
		.diag_text = STR_EMPTY,
		.mta_type = STR_EMPTY,
		.mta_name = STR_EMPTY,
	};

	ensure(text.len > 0 && dsn_status_length(text) == text.len);
	dsn.status = status_from(text);
	dsn.action = text.p[0] == '2'   ? DSN_DELIVERED
		     : text.p[0] == '4' ? DSN_DELAYED
					: DSN_FAILED;
	return dsn;
}

struct dsn
dsn_printf(struct arena *mem, const char *status, const char *format, ...)
{
	va_list ap;
	struct str reason;

	va_start(ap, format);
	reason = str_vprintf(mem, format, ap);
	va_end(ap);
	return dsn_make(mem, status, reason);
}

struct dsn
dsn_from_err(struct arena *mem, const struct err *err)
{
	const char *status = err->kind == ERR_CONFIG ? "4.3.5" : "4.3.0";

	return dsn_make(mem, status, str_from(err->text));
}

struct dsn
dsn_dup(struct arena *mem, const struct dsn *dsn)
{
	struct dsn copy = *dsn;

	copy.reason = str_dup(mem, dsn->reason);
	copy.diag_type = str_dup(mem, dsn->diag_type);
	copy.diag_text = str_dup(mem, dsn->diag_text);
	copy.mta_type = str_dup(mem, dsn->mta_type);
	copy.mta_name = str_dup(mem, dsn->mta_name);
	return copy;
}
