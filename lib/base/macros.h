/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Compiler attributes and the few macros that every file may use.
 */

#include <stddef.h>

/* The caller must look at the result. */
#define MUST_CHECK        __attribute__((warn_unused_result))
/* Printf-like: format is argument f, the first value is argument a. */
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN          __attribute__((noreturn))
#define UNUSED            __attribute__((unused))
/* Call fn(&variable) when the variable goes out of scope. */
#define CLEANUP(fn)       __attribute__((cleanup(fn)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The structure of type T whose member M is at p. */
#define CONTAINER_OF(p, T, M) ((T *)(void *)((char *)(p)-offsetof(T, M)))

#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

/* Say in so many words that a MUST_CHECK result does not matter here. */
#define IGNORE(expr)                                                                     \
	do {                                                                             \
		if (expr) {                                                              \
		}                                                                        \
	} while (0)
