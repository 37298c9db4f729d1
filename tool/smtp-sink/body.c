/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <string.h>

static void
emit(struct body *b, const char *from, const char *to)
{
	if (b->emit != NULL && to > from)
		b->emit(b->arg, str_from_mem(from, (size_t)(to - from)));
}

static enum body_state
after(enum body_state state, char c)
{
	if (c == '\r')
		return state == BODY_DOT ? BODY_DOT_CR : BODY_CR;
	if (c == '\n' && state == BODY_CR)
		return BODY_LINE_START;
	if (c == '.' && state == BODY_LINE_START)
		return BODY_DOT;
	return BODY_TEXT;
}

bool
body_scan(struct body *b, struct str *in)
{
	const char *p = in->p;
	const char *end = in->p + in->len;

	while (p < end) {
		const char *next = p + 1;

		if (b->state == BODY_TEXT) {
			/* Most bytes: up to the next CR. */
			next = memchr(p, '\r', (size_t)(end - p));
			if (next == NULL)
				next = end;
			emit(b, p, next);
			if (next < end) {
				next++;
				b->state = BODY_CR;
			}
			p = next;
			continue;
		}
		if (b->state == BODY_DOT_CR && *p == '\n') {
			*in = str_skip(*in, (size_t)(next - in->p));
			b->state = BODY_LINE_START;
			return true;
		}
		if (*p != '\r' && !(b->state == BODY_LINE_START && *p == '.'))
			emit(b, p, next);
		b->state = after(b->state, *p);
		p = next;
	}
	*in = STR_EMPTY;
	return false;
}
