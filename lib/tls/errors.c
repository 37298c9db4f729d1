/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>
#include <stdarg.h>

#include "base/buf.h"

#include "tls_internal.h"

enum { LINE_MAX_BYTES = 2000 };

static void PRINTF_LIKE(4, 0)
	tell(void (*fn)(void *arg, enum log_level level, struct str text), void *arg,
	     enum log_level level, const char *format, va_list ap)
{
	struct buf text;

	if (fn == NULL)
		return;
	buf_init(&text, LINE_MAX_BYTES);
	buf_vprintf(&text, format, ap);
	if (buf_ok(&text))
		fn(arg, level, buf_str(&text));
	buf_release(&text);
}

void
tls_say(const struct tls_log *log, enum log_level level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	tell(log->fn, log->arg, level, format, ap);
	va_end(ap);
}

void
tls_told_printf(const struct tls_told *told, enum log_level level, const char *format,
		...)
{
	va_list ap;

	va_start(ap, format);
	tell(told->fn, told->arg, level, format, ap);
	va_end(ap);
}

void
tls_tell_errors(const struct tls_told *told)
{
	const char *file;
	const char *data;
	unsigned long code;
	char text[256];
	int line;
	int flags;

	for (int i = 0; i < TLS_ERRORS_MAX; i++) {
		code = ERR_get_error_all(&file, &line, NULL, &data, &flags);
		if (code == 0)
			return;
		ERR_error_string_n(code, text, sizeof(text));
		if ((flags & ERR_TXT_STRING) != 0)
			tls_told_printf(told, LOG_LEVEL_WARNING,
					"TLS library problem: %s:%s:%d:%.500s:", text,
					file, line, data);
		else
			tls_told_printf(told, LOG_LEVEL_WARNING,
					"TLS library problem: %s:%s:%d:", text, file,
					line);
	}
	ERR_clear_error();
}
