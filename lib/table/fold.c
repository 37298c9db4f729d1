/* SPDX-License-Identifier: Apache-2.0 */
#include "table/fold.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "base/arena.h"
#include "base/buf.h"

/* One code point of valid UTF-8 off *rest. */
static wint_t
take_char(struct str *rest)
{
	unsigned char lead = (unsigned char)rest->p[0];
	size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
	wint_t c = lead & (0x3fu >> more);

	for (size_t i = 1; i <= more; i++)
		c = c << 6 | ((unsigned char)rest->p[i] & 0x3f);
	*rest = str_skip(*rest, more + 1);
	return c;
}

static void
put_char(struct buf *out, wint_t c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
	} else if (c < 0x800) {
		buf_add_char(out, (char)(0xc0 | c >> 6));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_add_char(out, (char)(0xe0 | c >> 12));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_add_char(out, (char)(0xf0 | c >> 18));
		buf_add_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* The C library's Unicode tables come with a locale; C.UTF-8 is built into it. Where it
 * is missing only ASCII is folded. Non-ASCII keys are rare, so it is made for each. */
static struct str
fold_unicode(struct arena *mem, struct str key)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	struct buf out;
	struct str folded;

	if (locale == (locale_t)0)
		return str_lower(mem, key);
	/* A letter grows to at most three times its bytes. */
	buf_init(&out, key.len * 3 + 1);
	while (key.len > 0) {
		if ((unsigned char)key.p[0] < 0x80) {
			buf_add_char(&out, char_lower(key.p[0]));
			key = str_skip(key, 1);
		} else {
			put_char(&out, towlower_l(take_char(&key), locale));
		}
	}
	freelocale(locale);
	folded = str_dup(mem, buf_str(&out));
	buf_release(&out);
	return folded;
}

struct str
fold_key(struct arena *mem, struct str key, bool utf8)
{
	if (utf8 && !str_is_ascii(key) && str_is_utf8(key))
		return fold_unicode(mem, key);
	return str_lower(mem, key);
}
