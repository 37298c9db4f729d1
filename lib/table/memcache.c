/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memcache: memcached's text protocol. memcache_table(5) of Postfix: what is not in the
 * cache comes from the backup table, and goes into the cache.
 */
#include <poll.h>
#include <string.h>

#include "base/buf.h"
#include "base/sys.h"

#include "table/answers.h"
#include "table/query.h"
#include "table/wire.h"

enum { CACHE_KEY_MAX = 250, DATA_MAX = TABLE_VALUE_MAX, LINE_LIMIT = 1 << 16 };

struct memcache {
	struct wire wire;
	struct wire_place place;
	struct query query; /* its text is key_format */
	struct table *backup;
	int64_t ttl, flags, data_max, line_max, tries, pause_s, timeout_s;
};

enum {
	ROW_SERVER = QUERY_ROWS,
	ROW_BACKUP,
	ROW_FLAGS,
	ROW_TTL,
	ROW_KEY,
	ROW_DATA_MAX,
	ROW_LINE_MAX,
	ROW_TRIES,
	ROW_PAUSE,
	ROW_TIMEOUT,
	N_ROWS
};

static void
release(void *p)
{
	struct memcache *s = p;

	wire_release(&s->wire);
}

static bool
take_numbers(struct table *t, struct memcache *s, const struct setting *rows,
	     struct err *err)
{
	return setting_number(t, &rows[ROW_FLAGS], 0, INT32_MAX, &s->flags, err) &&
	       setting_number(t, &rows[ROW_TTL], 0, INT32_MAX, &s->ttl, err) &&
	       setting_number(t, &rows[ROW_DATA_MAX], 1, DATA_MAX, &s->data_max, err) &&
	       setting_number(t, &rows[ROW_LINE_MAX], 1, LINE_LIMIT, &s->line_max, err) &&
	       setting_number(t, &rows[ROW_TRIES], 1, 100, &s->tries, err) &&
	       setting_seconds(t, &rows[ROW_PAUSE], 3600, &s->pause_s, err) &&
	       setting_seconds(t, &rows[ROW_TIMEOUT], 3600, &s->timeout_s, err);
}

static bool
memcache_open(struct table *t, struct str name, struct err *err)
{
	struct memcache *s = ARENA_NEW(t->mem, struct memcache);
	struct setting rows[N_ROWS] = {
		QUERY_SETTINGS,
		[ROW_SERVER] = {"memcache", STR("inet:localhost:11211")},
		[ROW_BACKUP] = {"backup", STR_EMPTY},
		[ROW_FLAGS] = {"flags", STR("0")},
		[ROW_TTL] = {"ttl", STR("3600")},
		[ROW_KEY] = {"key_format", STR("%s")},
		[ROW_DATA_MAX] = {"data_size_limit", STR("10240")},
		[ROW_LINE_MAX] = {"line_size_limit", STR("1024")},
		[ROW_TRIES] = {"max_try", STR("2")},
		[ROW_PAUSE] = {"retry_pause", STR("1")},
		[ROW_TIMEOUT] = {"timeout", STR("2")},
	};

	if (!table_settings_open(t, name, rows, N_ROWS, err) ||
	    !query_take(t, &s->query, rows, rows[ROW_KEY].value, err) ||
	    !take_numbers(t, s, rows, err))
		return false;
	if (!wire_place_parse(t->mem, rows[ROW_SERVER].value, false, &s->place, err))
		return err_prefix(err, "%s: memcache", t->name);
	if (rows[ROW_BACKUP].value.len > 0 &&
	    !table_open_inner(t, rows[ROW_BACKUP].value, &s->backup, err))
		return false;
	wire_init(&s->wire, (size_t)MAX_OF(s->data_max, s->line_max) + 2);
	arena_defer(t->mem, release, s);
	t->state = s;
	return true;
}

/* ---- the protocol ---- */

/* "VALUE key flags bytes" */
static bool
parse_header(struct str line, int64_t max, int64_t *n_out, struct err *err)
{
	struct str word, number = STR_EMPTY;
	int words = 0;

	while (str_token(&line, " ", &word)) {
		number = word;
		if (++words == 4)
			break;
	}
	if (words < 4 || !str_to_i64(number, 0, INT32_MAX, n_out))
		return err_set(err, ERR_TEMP, "unexpected answer");
	return *n_out <= max ||
	       err_set(err, ERR_TEMP, "a value of more than %d bytes", (int)max);
}

enum lookup
memcache_answer(struct wire *w, struct arena *mem, size_t line_max, size_t data_max,
		struct str *value_out, struct err *err)
{
	struct str line, view, value;
	int64_t n;

	if (!wire_line(w, line_max, &line, err))
		return LOOKUP_FAILED;
	if (str_eq(line, STR("END")))
		return LOOKUP_ABSENT;
	if (!str_starts(line, STR("VALUE "))) {
		err_set(err, ERR_TEMP, PRI_STR,
			STR_ARG(str_printable(mem, str_head(line, 200), false)));
		return LOOKUP_FAILED;
	}
	if (!parse_header(line, (int64_t)data_max, &n, err) ||
	    !wire_bytes(w, (size_t)n, &view, err))
		return LOOKUP_FAILED;
	value = str_dup(mem, view);
	if (!wire_line(w, line_max, &line, err))
		return LOOKUP_FAILED;
	if (line.len == 0 && !wire_line(w, line_max, &line, err))
		return LOOKUP_FAILED;
	if (!str_eq(line, STR("END"))) {
		err_set(err, ERR_TEMP, "unexpected answer");
		return LOOKUP_FAILED;
	}
	*value_out = value;
	return LOOKUP_FOUND;
}

static bool
begin(struct memcache *s, struct err *err)
{
	wire_set_timeout(&s->wire, s->timeout_s * 1000);
	return (wire_is_connected(&s->wire) && !wire_is_stale(&s->wire)) ||
	       wire_connect(&s->wire, &s->place, err);
}

static enum lookup
get(struct memcache *s, struct arena *mem, struct str key, struct str *value_out,
    struct err *err)
{
	struct str line = str_printf(mem, "get " PRI_STR "\r\n", STR_ARG(key));

	for (int64_t i = 0; i < s->tries; i++) {
		enum lookup result;

		if (i > 0)
			poll(NULL, 0, (int)s->pause_s * 1000);
		/* Who accepts no connection now is not asked again. */
		if (!begin(s, err))
			return LOOKUP_FAILED;
		if (wire_send(&s->wire, line, err)) {
			result = memcache_answer(&s->wire, mem, (size_t)s->line_max,
						 (size_t)s->data_max, value_out, err);
			if (result != LOOKUP_FAILED)
				return result;
		}
		wire_close(&s->wire);
	}
	return LOOKUP_FAILED;
}

/* What was not in the cache. That it cannot be put there is no failure. */
static void
put(struct memcache *s, struct arena *mem, struct str key, struct str value)
{
	struct str text = str_printf(mem, "set " PRI_STR " %d %d %zu\r\n" PRI_STR "\r\n",
				     STR_ARG(key), (int)s->flags, (int)s->ttl, value.len,
				     STR_ARG(value));
	struct err err;
	struct str line;

	if (value.len > (size_t)s->data_max)
		return;
	if (!begin(s, &err) || !wire_send(&s->wire, text, &err) ||
	    !wire_line(&s->wire, (size_t)s->line_max, &line, &err) ||
	    !str_eq(line, STR("STORED")))
		wire_close(&s->wire);
}

/* What the protocol can carry. */
static bool
is_valid_key(struct str key)
{
	if (key.len == 0 || key.len > CACHE_KEY_MAX)
		return false;
	for (size_t i = 0; i < key.len; i++)
		if ((unsigned char)key.p[i] <= ' ' || key.p[i] == 0x7f)
			return false;
	return true;
}

static enum lookup
memcache_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
		struct err *err)
{
	struct memcache *s = t->state;
	enum lookup result = query_wants(&s->query, key, err);
	struct str name;
	bool cached;

	if (result == LOOKUP_FOUND)
		result = query_expand(&s->query, mem, s->query.text, key, NULL, NULL,
				      &name, err);
	if (result != LOOKUP_FOUND)
		return result;
	cached = is_valid_key(name);
	result = cached ? get(s, mem, name, value_out, err) : LOOKUP_ABSENT;
	if (result == LOOKUP_FOUND || s->backup == NULL)
		return result;
	result = table_lookup(s->backup, mem, key, value_out, err);
	if (result == LOOKUP_FOUND && cached)
		put(s, mem, name, *value_out);
	return result;
}

const struct table_type table_type_memcache = {
	.name = "memcache",
	.is_remote = true,
	.open = memcache_open,
	.lookup = memcache_lookup,
};
