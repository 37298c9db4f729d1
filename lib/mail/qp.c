/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/qp.h"

#include <string.h>

void
qp_encoder_init(struct qp_encoder *e, qp_line_fn emit, void *arg)
{
	*e = (struct qp_encoder){.emit = emit, .arg = arg};
}

static void
flush(struct qp_encoder *e, bool whole)
{
	size_t len = e->len;

	e->len = 0;
	e->emit(e->arg, str_from_mem(e->line, len), whole);
}

/* n bytes that stay on one line, with room for a soft break after them. A line is broken
 * where Postfix breaks it. */
static void
put(struct qp_encoder *e, const char *p, size_t n)
{
	if (e->len > QP_LINE_MAX - 4) {
		e->line[e->len++] = '=';
		flush(e, false);
	}
	memcpy(e->line + e->len, p, n);
	e->len += n;
}

static void
put_coded(struct qp_encoder *e, char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char coded[3] = {'=', digits[(unsigned char)c >> 4],
			       digits[(unsigned char)c & 15]};

	put(e, coded, sizeof(coded));
}

/* A blank at the end of a line may get lost on the way. A piece ends where nobody knows
 * what follows, so a blank there is coded as well. */
void
qp_encoder_line(struct qp_encoder *e, struct str piece, bool whole)
{
	for (size_t i = 0; i < piece.len; i++) {
		char c = piece.p[i];
		bool last = i + 1 == piece.len;

		if (char_is_blank(c) ? last : (c == '=' || !char_is_print(c)))
			put_coded(e, c);
		else
			put(e, &c, 1);
	}
	if (whole)
		flush(e, true);
}
