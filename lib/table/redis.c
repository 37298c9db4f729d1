/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis: one command per look-up, in RESP. Not Postfix's; the settings are in tables(5).
 *
 * The command is split into words before the key is put in: a key is never a word of its
 * own, nor an end of one. The protocol is read here and not by libhiredis, whose time
 * limit begins anew with every byte and which takes answers of any size.
 */
#include <string.h>

#include "base/buf.h"
#include "base/sys.h"

#include "config/value.h"

#include "table/answers.h"
#include "table/query.h"
#include "table/wire.h"

enum {
	LINE_MAX_BYTES = 4096,
	LIST_MAX = 100000,
	WORDS_MAX = 32,
	HOSTS_MAX = 16,
	DATABASES_MAX = 1 << 20,
};

struct redis {
	struct wire wire;
	struct wire_place hosts[HOSTS_MAX];
	size_t n_hosts;
	struct query query; /* its text is the command */
	struct str words[WORDS_MAX];
	size_t n_words;
	struct str user, password;
	int64_t database, timeout_s;
};

enum {
	ROW_HOSTS = QUERY_ROWS,
	ROW_USER,
	ROW_PASSWORD,
	ROW_DB,
	ROW_COMMAND,
	ROW_TIMEOUT,
	N_ROWS
};

static void
release(void *p)
{
	struct redis *s = p;

	wire_release(&s->wire);
}

static bool
names_port(struct str item)
{
	if (str_starts(item, STR("unix:")))
		return true;
	if (str_starts(item, STR("inet:")))
		item = str_skip(item, strlen("inet:"));
	return item.len > 0 && item.p[item.len - 1] != ']' && str_contains(item, ':');
}

static bool
take_hosts(struct table *t, struct redis *s, struct str list, struct err *err)
{
	struct str item;

	while (list_next(&list, &item)) {
		if (s->n_hosts == HOSTS_MAX)
			return err_set(err, ERR_CONFIG, "%s: more than %d hosts", t->name,
				       HOSTS_MAX);
		/* Without a port it is Redis's own. */
		if (!names_port(item))
			item = str_printf(t->mem, PRI_STR ":6379", STR_ARG(item));
		if (!wire_place_parse(t->mem, item, true, &s->hosts[s->n_hosts], err))
			return err_prefix(err, "%s: hosts: " PRI_STR, t->name,
					  STR_ARG(item));
		s->n_hosts++;
	}
	return s->n_hosts > 0 || err_set(err, ERR_CONFIG, "%s: no hosts", t->name);
}

static bool
take_command(struct table *t, struct redis *s, struct str text, struct err *err)
{
	struct str word;

	while (str_token(&text, " \t\r\n", &word)) {
		if (s->n_words == WORDS_MAX)
			return err_set(err, ERR_CONFIG, "%s: command: more than %d words",
				       t->name, WORDS_MAX);
		s->words[s->n_words++] = word;
	}
	return s->n_words > 1 ||
	       err_set(err, ERR_CONFIG, "%s: command needs a key, as in \"GET %%s\"",
		       t->name);
}

static bool
redis_open(struct table *t, struct str name, struct err *err)
{
	struct redis *s = ARENA_NEW(t->mem, struct redis);
	struct setting rows[N_ROWS] = {
		QUERY_SETTINGS,
		[ROW_HOSTS] = {"hosts", STR("localhost")},
		[ROW_USER] = {"user", STR_EMPTY},
		[ROW_PASSWORD] = {"password", STR_EMPTY},
		[ROW_DB] = {"db", STR("0")},
		[ROW_COMMAND] = {"command", STR("GET %s")},
		[ROW_TIMEOUT] = {"timeout", STR("2")},
	};

	if (!table_settings_open(t, name, rows, N_ROWS, err) ||
	    !query_take(t, &s->query, rows, rows[ROW_COMMAND].value, err) ||
	    !take_hosts(t, s, rows[ROW_HOSTS].value, err) ||
	    !take_command(t, s, rows[ROW_COMMAND].value, err) ||
	    !setting_number(t, &rows[ROW_DB], 0, DATABASES_MAX, &s->database, err) ||
	    !setting_seconds(t, &rows[ROW_TIMEOUT], 3600, &s->timeout_s, err))
		return false;
	s->user = rows[ROW_USER].value;
	s->password = rows[ROW_PASSWORD].value;
	wire_init(&s->wire, TABLE_VALUE_MAX);
	arena_defer(t->mem, release, s);
	t->state = s;
	return true;
}

/* ---- the protocol ---- */

static bool
read_count(struct str line, int64_t max, int64_t *out, struct err *err)
{
	if (!str_to_i64(str_skip(line, 1), -1, INT64_MAX, out))
		return err_set(err, ERR_TEMP, "unexpected answer");
	return *out <= max || err_set(err, ERR_TEMP, "the answer is too long");
}

static enum lookup
read_bulk(struct wire *w, struct arena *mem, struct str line, struct str *value_out,
	  struct err *err)
{
	struct str view, value;
	int64_t n;

	if (!read_count(line, TABLE_VALUE_MAX, &n, err))
		return LOOKUP_FAILED;
	if (n < 0)
		return LOOKUP_ABSENT;
	if (!wire_bytes(w, (size_t)n, &view, err))
		return LOOKUP_FAILED;
	value = str_dup(mem, view);
	if (!wire_line(w, LINE_MAX_BYTES, &view, err))
		return LOOKUP_FAILED;
	if (view.len != 0) {
		err_set(err, ERR_TEMP, "unexpected answer");
		return LOOKUP_FAILED;
	}
	*value_out = value;
	return value.len > 0 ? LOOKUP_FOUND : LOOKUP_ABSENT;
}

/* A member of a list, or what is no list. */
static enum lookup
read_scalar(struct wire *w, struct arena *mem, struct str line, struct str *value_out,
	    bool *usable_out, struct err *err)
{
	switch (line.len > 0 ? line.p[0] : '\0') {
	case '+':
	case ':':
		*value_out = str_dup(mem, str_skip(line, 1));
		return line.len > 1 ? LOOKUP_FOUND : LOOKUP_ABSENT;
	case '$':
		return read_bulk(w, mem, line, value_out, err);
	case '-':
		*usable_out = true;
		err_set(err, ERR_TEMP, PRI_STR,
			STR_ARG(str_printable(mem, str_head(str_skip(line, 1), 200),
					      false)));
		return LOOKUP_FAILED;
	default:
		err_set(err, ERR_TEMP, "unexpected answer");
		return LOOKUP_FAILED;
	}
}

static enum lookup
read_list(struct wire *w, struct arena *mem, struct str line, int64_t limit,
	  struct str *value_out, struct err *err)
{
	struct buf *all = buf_new(mem, TABLE_VALUE_MAX);
	bool ignored;
	int64_t n;

	if (!read_count(line, LIST_MAX, &n, err))
		return LOOKUP_FAILED;
	if (limit > 0 && n > limit) {
		err_set(err, ERR_TEMP, "Expansion limit exceeded");
		return LOOKUP_FAILED;
	}
	for (int64_t i = 0; i < n; i++) {
		struct str member;

		if (!wire_line(w, LINE_MAX_BYTES, &line, err))
			return LOOKUP_FAILED;
		switch (read_scalar(w, mem, line, &member, &ignored, err)) {
		case LOOKUP_FAILED:
			return LOOKUP_FAILED;
		case LOOKUP_ABSENT:
			break;
		case LOOKUP_FOUND:
			if (all->len > 0)
				buf_add_char(all, ',');
			buf_add(all, member);
			break;
		}
		if (!buf_ok(all)) {
			err_set(err, ERR_TEMP, "the answer is too long");
			return LOOKUP_FAILED;
		}
	}
	*value_out = buf_str(all);
	return all->len > 0 ? LOOKUP_FOUND : LOOKUP_ABSENT;
}

enum lookup
redis_answer(struct wire *w, struct arena *mem, int64_t limit, struct str *value_out,
	     bool *usable_out, struct err *err)
{
	struct str line;

	*usable_out = false;
	if (!wire_line(w, LINE_MAX_BYTES, &line, err))
		return LOOKUP_FAILED;
	if (line.len > 0 && line.p[0] == '*')
		return read_list(w, mem, line, limit, value_out, err);
	return read_scalar(w, mem, line, value_out, usable_out, err);
}

static struct str
encode(struct arena *mem, const struct str *words, size_t n)
{
	struct buf *out = buf_new(mem, QUERY_MAX);

	buf_printf(out, "*%zu\r\n", n);
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "$%zu\r\n", words[i].len);
		buf_add(out, words[i]);
		buf_add_c(out, "\r\n");
	}
	return buf_ok(out) ? buf_str(out) : STR_EMPTY;
}

/* A command whose answer does not matter, if it is none of failure. */
static bool
tell(struct redis *s, struct arena *mem, const struct str *words, size_t n,
     struct err *err)
{
	struct str value;
	bool usable;

	return wire_send(&s->wire, encode(mem, words, n), err) &&
	       redis_answer(&s->wire, mem, 0, &value, &usable, err) != LOOKUP_FAILED;
}

static bool
log_in(struct redis *s, struct arena *mem, struct err *err)
{
	struct str auth[3] = {STR("AUTH"), s->password, STR_EMPTY};
	struct str choose[2] = {STR("SELECT"), STR_EMPTY};
	size_t n = 2;

	if (s->user.len > 0) {
		auth[1] = s->user;
		auth[2] = s->password;
		n = 3;
	}
	if (s->password.len > 0 && !tell(s, mem, auth, n, err))
		return false;
	choose[1] = str_printf(mem, "%d", (int)s->database);
	return s->database == 0 || tell(s, mem, choose, 2, err);
}

/* The first host that takes us. */
static bool
connect_to_one(struct redis *s, struct arena *mem, struct err *err)
{
	for (size_t i = 0; i < s->n_hosts; i++) {
		wire_set_timeout(&s->wire, s->timeout_s * 1000);
		if (wire_connect(&s->wire, &s->hosts[i], err) && log_in(s, mem, err))
			return true;
		wire_close(&s->wire);
	}
	return false;
}

static enum lookup
ask(struct redis *s, struct arena *mem, struct str request, struct str *value_out,
    struct err *err)
{
	bool fresh = !wire_is_connected(&s->wire) || wire_is_stale(&s->wire);

	for (;;) {
		enum lookup result = LOOKUP_FAILED;
		bool usable = false;

		if (fresh && !connect_to_one(s, mem, err))
			return LOOKUP_FAILED;
		wire_set_timeout(&s->wire, s->timeout_s * 1000);
		if (wire_send(&s->wire, request, err))
			result = redis_answer(&s->wire, mem, s->query.expansion_limit,
					      value_out, &usable, err);
		if (result != LOOKUP_FAILED || usable)
			return result;
		wire_close(&s->wire);
		if (fresh)
			return LOOKUP_FAILED;
		fresh = true;
	}
}

static enum lookup
redis_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	     struct err *err)
{
	struct redis *s = t->state;
	enum lookup result = query_wants(&s->query, key, err);
	struct str words[WORDS_MAX];
	struct query_rows rows;
	struct str value;

	for (size_t i = 0; i < s->n_words && result == LOOKUP_FOUND; i++)
		result = query_expand(&s->query, mem, s->words[i], key, NULL, NULL,
				      &words[i], err);
	if (result == LOOKUP_FOUND)
		result = ask(s, mem, encode(mem, words, s->n_words), &value, err);
	if (result != LOOKUP_FOUND)
		return result;
	query_rows_init(&rows, mem);
	if (!query_add_row(&s->query, mem, &rows, value, key, err))
		return LOOKUP_FAILED;
	return query_result(&rows, value_out);
}

const struct table_type table_type_redis = {
	.name = "redis",
	.is_remote = true,
	.open = redis_open,
	.lookup = redis_lookup,
};
