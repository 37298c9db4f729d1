/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socketmap: a netstring "name key" to a server, a netstring back. socketmap_table(5) of
 * Postfix. Keys are whole, as with patterns.
 */
#include <string.h>

#include "base/buf.h"
#include "base/sys.h"

#include "table/answers.h"
#include "table/table_internal.h"
#include "table/wire.h"

enum {
	REPLY_MAX = 100000,
	LENGTH_DIGITS = 9,
	TIMEOUT_MS = 100000,
	IDLE_MS = 10000,
	AGE_MS = 100000,
	TRIES = 2,
};

struct socketmap {
	struct wire wire;
	struct wire_place place;
	struct str name; /* first word of a request */
	int64_t born, used;
};

static void
release(void *p)
{
	struct socketmap *s = p;

	wire_release(&s->wire);
}

static bool
socketmap_open(struct table *t, struct str name, struct err *err)
{
	struct socketmap *s = ARENA_NEW(t->mem, struct socketmap);
	size_t colon = str_rindex(name, ':');

	s->name = str_skip(name, colon + 1);
	if (colon == name.len || s->name.len == 0 ||
	    !wire_place_parse(t->mem, str_head(name, colon), false, &s->place, err))
		return err_set(err, ERR_CONFIG,
			       "%s: need inet:host:port:name or unix:path:name", t->name);
	wire_init(&s->wire, REPLY_MAX);
	arena_defer(t->mem, release, s);
	t->state = s;
	return true;
}

/* "12:" */
static bool
read_length(struct wire *w, int64_t *n_out, struct err *err)
{
	char digits[LENGTH_DIGITS + 1];
	size_t n = 0;
	struct str c;

	for (;;) {
		if (!wire_bytes(w, 1, &c, err))
			return false;
		if (c.p[0] == ':')
			break;
		if (n == LENGTH_DIGITS || !char_is_digit(c.p[0]))
			return err_set(err, ERR_TEMP, "the answer is no netstring");
		digits[n++] = c.p[0];
	}
	if (!str_to_i64(str_from_mem(digits, n), 0, INT32_MAX, n_out))
		return err_set(err, ERR_TEMP, "the answer is no netstring");
	return *n_out <= REPLY_MAX ||
	       err_set(err, ERR_TEMP, "the answer has more than %d bytes", REPLY_MAX);
}

static bool
read_netstring(struct wire *w, struct arena *mem, struct str *out, struct err *err)
{
	struct str view;
	int64_t n;

	if (!read_length(w, &n, err) || !wire_bytes(w, (size_t)n, &view, err))
		return false;
	*out = str_dup(mem, view);
	if (!wire_bytes(w, 1, &view, err))
		return false;
	return view.p[0] == ',' || err_set(err, ERR_TEMP, "the answer is no netstring");
}

enum lookup
socketmap_answer(struct wire *w, struct arena *mem, struct str *value_out,
		 bool *usable_out, struct err *err)
{
	static const struct str failures[] = {STR_INIT("TEMP"), STR_INIT("TIMEOUT"),
					      STR_INIT("PERM")};
	struct str reply, word, rest = STR_EMPTY;

	*usable_out = false;
	if (!read_netstring(w, mem, &reply, err))
		return LOOKUP_FAILED;
	*usable_out = true;
	if (!str_split(reply, ' ', &word, &rest))
		word = reply;
	if (str_eq(word, STR("OK"))) {
		*value_out = rest;
		return LOOKUP_FOUND;
	}
	if (str_eq(word, STR("NOTFOUND")))
		return LOOKUP_ABSENT;
	rest = str_printable(mem, str_head(rest, 200), false);
	for (size_t i = 0; i < ARRAY_LEN(failures); i++)
		if (str_eq(word, failures[i])) {
			err_set(err, ERR_TEMP, PRI_STR " error: " PRI_STR, STR_ARG(word),
				STR_ARG(rest));
			return LOOKUP_FAILED;
		}
	*usable_out = false;
	err_set(err, ERR_TEMP, "unexpected answer");
	return LOOKUP_FAILED;
}

static bool
is_usable(const struct socketmap *s)
{
	int64_t now = sys_mono_ms();

	return wire_is_connected(&s->wire) && now - s->used < IDLE_MS &&
	       now - s->born < AGE_MS && !wire_is_stale(&s->wire);
}

static enum lookup
socketmap_lookup(struct table *t, struct arena *mem, struct str key,
		 struct str *value_out, struct err *err)
{
	struct socketmap *s = t->state;
	struct str request =
		str_printf(mem, "%zu:" PRI_STR " " PRI_STR ",", s->name.len + 1 + key.len,
			   STR_ARG(s->name), STR_ARG(key));

	wire_set_timeout(&s->wire, TIMEOUT_MS);
	for (int i = 0; i < TRIES; i++) {
		bool fresh = !is_usable(s);
		bool usable = false;
		enum lookup result = LOOKUP_FAILED;

		if (fresh && !wire_connect(&s->wire, &s->place, err))
			return LOOKUP_FAILED;
		if (fresh)
			s->born = sys_mono_ms();
		if (wire_send(&s->wire, request, err))
			result = socketmap_answer(&s->wire, mem, value_out, &usable, err);
		s->used = sys_mono_ms();
		if (result != LOOKUP_FAILED || usable)
			return result;
		wire_close(&s->wire);
		if (fresh)
			break;
	}
	return LOOKUP_FAILED;
}

const struct table_type table_type_socketmap = {
	.name = "socketmap",
	.is_pattern = true,
	.is_remote = true,
	.open = socketmap_open,
	.lookup = socketmap_lookup,
};
