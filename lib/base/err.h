/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Why an operation failed: a kind for the program, a text for a person.
 *
 * A function that can fail returns bool (or a named enum) and takes `struct err *err`
 * last. On failure its outputs are untouched and *err is filled. The setters return false
 * so that a failing function can say `return err_set(...)`. A mail decision (bounce,
 * defer) is not an error but a result; see mail/dsn.h.
 */

#include <stdbool.h>

#include "base/macros.h"

enum err_kind {
	ERR_NONE,
	ERR_TEMP,   /* may work later: no disk space, time-out, server down */
	ERR_PERM,   /* will not work: bad syntax, damaged data, not allowed */
	ERR_CONFIG, /* the administrator must change something */
};

enum { ERR_TEXT_MAX = 512 };

struct err {
	enum err_kind kind;
	int errnum; /* errno where there was one, else 0 */
	char text[ERR_TEXT_MAX];
};

/* Fill *err; the text is cut at ERR_TEXT_MAX - 1 bytes. Always false. */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* As err_set(), then ": " and the text of the current errno, which is kept in errnum. */
bool err_errno(struct err *err, enum err_kind kind, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Put "context: " before the text that is there. Always false. */
bool err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#ifdef __clang_analyzer__
/* The analyzer does not look into another file: tell it what "always false" means. */
#define err_set(...)    ((void)err_set(__VA_ARGS__), false)
#define err_errno(...)  ((void)err_errno(__VA_ARGS__), false)
#define err_prefix(...) ((void)err_prefix(__VA_ARGS__), false)
#endif
