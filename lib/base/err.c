/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What the analyzer is told instead of these. */
#undef err_set
#undef err_errno
#undef err_prefix

static void set_text(struct err *err, const char *format, va_list ap) PRINTF_LIKE(2, 0);

static void
set_text(struct err *err, const char *format, va_list ap)
{
	if (vsnprintf(err->text, sizeof(err->text), format, ap) < 0)
		err->text[0] = '\0';
}

static void
append(struct err *err, const char *a, const char *b)
{
	size_t used = strlen(err->text);

	IGNORE(snprintf(err->text + used, sizeof(err->text) - used, "%s%s", a, b) < 0);
}

bool
err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
	va_list ap;

	err->kind = kind;
	err->errnum = 0;
	va_start(ap, format);
	set_text(err, format, ap);
	va_end(ap);
	return false;
}

bool
err_errno(struct err *err, enum err_kind kind, const char *format, ...)
{
	int saved = errno;
	va_list ap;

	err->kind = kind;
	err->errnum = saved;
	va_start(ap, format);
	set_text(err, format, ap);
	va_end(ap);
	append(err, ": ", strerror(saved));
	errno = saved;
	return false;
}

bool
err_prefix(struct err *err, const char *format, ...)
{
	struct err old = *err;
	va_list ap;

	va_start(ap, format);
	set_text(err, format, ap);
	va_end(ap);
	append(err, ": ", old.text);
	return false;
}
