/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/panic.h"

enum { FIRST_SIZE = 64 };

/* What an empty buffer points to, so that it costs no memory; never written. */
static char nothing[1];

void
buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.p = nothing, .max_bytes = max_bytes};
}

void
buf_release(struct buf *b)
{
	if (b->p != nothing)
		mem_free(b->p);
	buf_init(b, b->max_bytes);
}

static void
release_deferred(void *p)
{
	buf_release(p);
}

struct buf *
buf_new(struct arena *mem, size_t max_bytes)
{
	struct buf *b = ARENA_NEW(mem, struct buf);

	buf_init(b, max_bytes);
	arena_defer(mem, release_deferred, b);
	return b;
}

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t need;

	if (n > b->max_bytes - b->len) {
		b->overflow = true;
		return NULL;
	}
	need = b->len + n + 1;
	if (need > b->size) {
		size_t size = MAX_OF(b->size * 2, (size_t)FIRST_SIZE);

		size = MAX_OF(MIN_OF(size, b->max_bytes + 1), need);
		b->p = mem_realloc(b->p == nothing ? NULL : b->p, size);
		b->p[b->len] = '\0';
		b->size = size;
	}
	return b->p + b->len;
}

void
buf_commit(struct buf *b, size_t n)
{
	ensure(b->size > b->len && n <= b->size - b->len - 1);
	b->len += n;
	b->p[b->len] = '\0';
}

void
buf_add(struct buf *b, struct str s)
{
	char *at;

	if (s.len == 0)
		return;
	at = buf_reserve(b, s.len);
	if (at == NULL)
		return;
	memcpy(at, s.p, s.len);
	buf_commit(b, s.len);
}

void
buf_add_c(struct buf *b, const char *s)
{
	buf_add(b, str_from(s));
}

void
buf_add_char(struct buf *b, char c)
{
	buf_add(b, (struct str){&c, 1});
}

void
buf_vprintf(struct buf *b, const char *format, va_list ap)
{
	va_list again;
	int len;
	char *at;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, format, ap);
	ensure(len >= 0);
	at = buf_reserve(b, (size_t)len);
	if (at != NULL) {
		IGNORE(vsnprintf(at, (size_t)len + 1, format, again) < 0);
		buf_commit(b, (size_t)len);
	}
	va_end(again);
}

void
buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vprintf(b, format, ap);
	va_end(ap);
}

void
buf_truncate(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->p[len] = '\0';
}

void
buf_consume(struct buf *b, size_t n)
{
	ensure(n <= b->len);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->len - n);
	buf_truncate(b, b->len - n);
}

void
buf_clear(struct buf *b)
{
	buf_truncate(b, 0);
	b->overflow = false;
}

void
buf_shrink(struct buf *b)
{
	buf_release(b);
}

bool
buf_ok(const struct buf *b)
{
	return !b->overflow;
}

struct str
buf_str(const struct buf *b)
{
	return (struct str){b->p, b->len};
}
