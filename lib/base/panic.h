/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The end of a process that found a bug in itself, or has no memory.
 *
 * Always compiled in. Writes "file:line: text" to standard error and to syslog's socket
 * if there is one, then aborts; the master restarts daemons with a back-off.
 * For wrong input, failed operations and bad configuration use struct err instead.
 */

#include "base/macros.h"

#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)

/* Abort with the text of the condition when it is false: a bug of the caller. */
#define ensure(cond)                                                                     \
	do {                                                                             \
		if (!(cond))                                                             \
			panic_at(__FILE__, __LINE__, "not true: %s", #cond);             \
	} while (0)

NORETURN void panic_at(const char *file, int line, const char *format, ...)
	PRINTF_LIKE(3, 4);
