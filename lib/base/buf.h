/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bytes that grow, up to a maximum that is set at creation. There is always a NUL one
 * past the end. An append that would pass the maximum adds nothing and sets a mark that
 * stays until buf_clear(): append all fields, then ask buf_ok() once.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct buf {
	char *p; /* never NULL after buf_init() */
	size_t len;
	size_t size;
	size_t max_bytes;
	bool overflow;
};

/* max_bytes: what len may reach. Release with buf_release(). */
void buf_init(struct buf *b, size_t max_bytes);
void buf_release(struct buf *b);

/* A buffer that ends with the arena. */
struct buf *buf_new(struct arena *mem, size_t max_bytes);

void buf_add(struct buf *b, struct str s);
void buf_add_c(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list ap) PRINTF_LIKE(2, 0);

/* Room for n more bytes at p + len, or NULL (and the mark) if the maximum forbids it;
 * after writing there call buf_commit(). */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* Cut to len bytes (not more than there are). */
void buf_truncate(struct buf *b, size_t len);
/* Remove the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* Empty, mark gone, memory kept. */
void buf_clear(struct buf *b);
/* Empty, mark gone, memory given back: for sessions that wait. */
void buf_shrink(struct buf *b);

bool buf_ok(const struct buf *b);
struct str buf_str(const struct buf *b);
