/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp: one line to a server, one line back. tcp_table(5) of Postfix. Keys are whole, as
 * with patterns: the server may have any notion of what matches.
 */
#include <string.h>

#include "base/buf.h"
#include "base/sys.h"

#include "table/answers.h"
#include "table/table_internal.h"
#include "table/wire.h"

enum {
	LINE_MAX_BYTES = 4096,
	TIMEOUT_MS = 100000,
	REQUEST_MAX = 3 * TABLE_PATTERN_MAX + 10,
	TRIES = 2,
};

struct tcp {
	struct wire wire;
	struct wire_place place;
};

static void
release(void *p)
{
	struct tcp *s = p;

	wire_release(&s->wire);
}

static bool
tcp_open(struct table *t, struct str name, struct err *err)
{
	struct tcp *s = ARENA_NEW(t->mem, struct tcp);

	if (!wire_place_parse(t->mem, name, true, &s->place, err))
		return err_prefix(err, "%s", t->name);
	wire_init(&s->wire, LINE_MAX_BYTES);
	arena_defer(t->mem, release, s);
	t->state = s;
	return true;
}

/* Printable characters but % and blanks stand for themselves. */
static struct str
request(struct arena *mem, struct str key)
{
	struct buf *out = buf_new(mem, REQUEST_MAX);

	buf_add_c(out, "get ");
	for (size_t i = 0; i < key.len; i++) {
		if (char_is_print(key.p[i]) && key.p[i] != ' ' && key.p[i] != '%')
			buf_add_char(out, key.p[i]);
		else
			buf_printf(out, "%%%02X", (unsigned char)key.p[i]);
	}
	buf_add_char(out, '\n');
	return buf_str(out);
}

static int
hex_digit(char c)
{
	if (char_is_digit(c))
		return c - '0';
	c = char_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
unquote(struct arena *mem, struct str text, struct str *out)
{
	struct buf *b = buf_new(mem, LINE_MAX_BYTES);

	for (size_t i = 0; i < text.len; i++) {
		int high, low;

		if (text.p[i] != '%') {
			buf_add_char(b, text.p[i]);
			continue;
		}
		if (i + 2 >= text.len || (high = hex_digit(text.p[i + 1])) < 0 ||
		    (low = hex_digit(text.p[i + 2])) < 0)
			return false;
		buf_add_char(b, (char)(high * 16 + low));
		i += 2;
	}
	*out = buf_str(b);
	return true;
}

enum lookup
tcp_answer(struct wire *w, struct arena *mem, struct str *value_out, struct err *err)
{
	struct str line, text;

	if (!wire_line(w, LINE_MAX_BYTES, &line, err))
		return LOOKUP_FAILED;
	if (line.len < 3 || (line.len > 3 && !char_is_space(line.p[3]))) {
		err_set(err, ERR_TEMP, "unexpected answer");
		return LOOKUP_FAILED;
	}
	if (!unquote(mem, str_trim_left(str_skip(line, 3)), &text)) {
		err_set(err, ERR_TEMP, "bad encoding in the answer");
		return LOOKUP_FAILED;
	}
	if (str_starts(line, STR("500")))
		return LOOKUP_ABSENT;
	if (str_starts(line, STR("200"))) {
		*value_out = text;
		return LOOKUP_FOUND;
	}
	err_set(err, ERR_TEMP, PRI_STR,
		STR_ARG(str_printable(mem, str_head(line, 200), false)));
	return LOOKUP_FAILED;
}

static enum lookup
tcp_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	   struct err *err)
{
	struct tcp *s = t->state;
	struct str line = request(mem, key);

	wire_set_timeout(&s->wire, TIMEOUT_MS);
	for (int i = 0; i < TRIES; i++) {
		bool fresh = !wire_is_connected(&s->wire) || wire_is_stale(&s->wire);
		enum lookup result;

		if (fresh && !wire_connect(&s->wire, &s->place, err))
			return LOOKUP_FAILED;
		if (wire_send(&s->wire, line, err)) {
			result = tcp_answer(&s->wire, mem, value_out, err);
			if (result != LOOKUP_FAILED)
				return result;
		}
		wire_close(&s->wire);
		/* A connection that was left idle may have ended by then. */
		if (fresh)
			break;
	}
	return LOOKUP_FAILED;
}

const struct table_type table_type_tcp = {
	.name = "tcp",
	.is_pattern = true,
	.is_remote = true,
	.open = tcp_open,
	.lookup = tcp_lookup,
};
