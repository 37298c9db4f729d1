/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite: a question in SQL to a database file. sqlite_table(5) of Postfix: dbpath, query
 * (or the older select_field, table, where_field, additional_conditions), result_format,
 * domain, expansion_limit.
 *
 * The file is opened for reading only, and once, when the table is; what others write
 * into it is seen by the next look-up, and a file that was put into its place is opened
 * anew. Parameters in main.cf ("sqlite:name" with name_dbpath) are not read: a table does
 * not know main.cf.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

#include "base/buf.h"
#include "base/sys.h"

#include "config/value.h"

#include "table/settings.h"
#include "table/template.h"

enum {
	QUERY_MAX = 1 << 20,
	DOMAINS_MAX = 1000,
	/* While another program writes. */
	BUSY_MS = 1000,
	/* A question that takes longer gets no answer. */
	QUERY_MS = 2000,
	STEPS_BETWEEN_LOOKS = 10000,
};

static const struct library library = {
	.soname = "libsqlite3.so.0",
	.package = "libsqlite3-0",
};

#define FUNCTIONS(F)                                                                     \
	F(sqlite3_busy_timeout)                                                          \
	F(sqlite3_close)                                                                 \
	F(sqlite3_column_bytes)                                                          \
	F(sqlite3_column_text)                                                           \
	F(sqlite3_errmsg)                                                                \
	F(sqlite3_finalize)                                                              \
	F(sqlite3_open_v2)                                                               \
	F(sqlite3_prepare_v2)                                                            \
	F(sqlite3_progress_handler)                                                      \
	F(sqlite3_step)

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};

/* A member of domain: a name, or a table that is asked for it. */
struct domain {
	struct str name;
	struct table *table; /* NULL: the name */
};

struct sqlite {
	struct functions f;
	const char *path; /* dbpath */
	sqlite3 *db;      /* NULL: the last attempt to open it again failed */
	struct file_id id;
	struct str query, result_format;
	int64_t expansion_limit; /* 0: none */
	struct domain *domains;
	size_t n_domains;
	int64_t give_up; /* when the question that runs has taken too long */
};

enum {
	ROW_DBPATH,
	ROW_QUERY,
	ROW_FORMAT,
	ROW_DOMAIN,
	ROW_LIMIT,
	ROW_SELECT,
	ROW_TABLE,
	ROW_WHERE,
	ROW_MORE,
	N_ROWS
};

static void
close_file(void *p)
{
	struct sqlite *s = p;

	if (s->db != NULL)
		s->f.sqlite3_close(s->db);
	s->db = NULL;
}

/* Not zero ends the question. */
static int
look_at_clock(void *arg)
{
	const struct sqlite *s = arg;

	return sys_mono_ms() > s->give_up;
}

static int
start_query(struct sqlite *s, const char *query, sqlite3_stmt **statement_out)
{
	s->give_up = sys_mono_ms() + QUERY_MS;
	return s->f.sqlite3_prepare_v2(s->db, query, -1, statement_out, NULL);
}

/* Read something, so that all files that a look-up needs are open before a sandbox is
 * closed. */
static int
warm_up(struct sqlite *s)
{
	sqlite3_stmt *statement = NULL;
	int rc = start_query(s, "PRAGMA schema_version", &statement);

	if (rc == SQLITE_OK)
		s->f.sqlite3_step(statement);
	return s->f.sqlite3_finalize(statement) == SQLITE_OK ? rc : SQLITE_ERROR;
}

static bool
open_file(struct sqlite *s, struct err *err)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, s->path, &st, 0) != 0)
		return err_errno(err, ERR_CONFIG, "open database %s", s->path);
	if (s->f.sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READONLY, NULL) !=
	    SQLITE_OK) {
		err_set(err, ERR_CONFIG, "open database %s: %s", s->path,
			s->db != NULL ? s->f.sqlite3_errmsg(s->db) : "no memory");
		close_file(s);
		return false;
	}
	s->f.sqlite3_busy_timeout(s->db, BUSY_MS);
	s->f.sqlite3_progress_handler(s->db, STEPS_BETWEEN_LOOKS, look_at_clock, s);
	if (warm_up(s) != SQLITE_OK) {
		err_set(err, ERR_TEMP, "open database %s: %s", s->path,
			s->f.sqlite3_errmsg(s->db));
		close_file(s);
		return false;
	}
	s->id = file_id_of(&st);
	return true;
}

/* ---- what the file of settings says ---- */

static bool
check_template(const char *path, const char *what, struct str text, struct err *err)
{
	return template_is_valid(text) ||
	       err_set(err, ERR_CONFIG, "%s: Invalid %s template: " PRI_STR, path, what,
		       STR_ARG(text));
}

static bool
take_query(struct table *t, struct sqlite *s, const char *path,
	   const struct setting *rows, struct err *err)
{
	static const int needed[] = {ROW_TABLE, ROW_SELECT, ROW_WHERE};

	s->query = rows[ROW_QUERY].value;
	if (s->query.len > 0)
		return check_template(path, "query", s->query, err);
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (rows[needed[i]].value.len == 0)
			return err_set(err, ERR_CONFIG,
				       "%s: there is no query (and no %s)", path,
				       rows[needed[i]].name);
	s->query = str_printf(
		t->mem,
		"SELECT " PRI_STR " FROM " PRI_STR " WHERE " PRI_STR " = '%%s' " PRI_STR,
		STR_ARG(rows[ROW_SELECT].value), STR_ARG(rows[ROW_TABLE].value),
		STR_ARG(rows[ROW_WHERE].value), STR_ARG(rows[ROW_MORE].value));
	return check_template(path, "query", s->query, err);
}

static bool
take_domains(struct table *t, struct sqlite *s, const char *path, struct str list,
	     struct err *err)
{
	struct str item;

	s->domains = arena_alloc_array(t->mem, DOMAINS_MAX, sizeof(*s->domains));
	while (list_next(&list, &item)) {
		struct domain *d = &s->domains[s->n_domains];

		if (s->n_domains == DOMAINS_MAX)
			return err_set(err, ERR_CONFIG, "%s: more than %d domains", path,
				       DOMAINS_MAX);
		if (item.p[0] == '/' || item.p[0] == '!')
			return err_set(err, ERR_CONFIG,
				       "%s: domain: \"" PRI_STR "\" is not supported: "
				       "only names and tables are",
				       path, STR_ARG(item));
		if (str_contains(item, ':') && !table_open_inner(t, item, &d->table, err))
			return false;
		d->name = item;
		s->n_domains++;
	}
	return true;
}

static bool
take_settings(struct table *t, struct sqlite *s, const char *path,
	      const struct setting *rows, struct err *err)
{
	struct str limit = rows[ROW_LIMIT].value;

	s->path = str_c(t->mem, rows[ROW_DBPATH].value);
	s->result_format = rows[ROW_FORMAT].value;
	if (rows[ROW_DBPATH].value.len == 0)
		return err_set(err, ERR_CONFIG, "%s: there is no dbpath", path);
	if (!str_to_i64(limit, 0, INT32_MAX, &s->expansion_limit))
		return err_set(err, ERR_CONFIG,
			       "%s: bad numerical value: "
			       "expansion_limit = " PRI_STR,
			       path, STR_ARG(limit));
	return take_query(t, s, path, rows, err) &&
	       check_template(path, "result", s->result_format, err) &&
	       take_domains(t, s, path, rows[ROW_DOMAIN].value, err);
}

static bool
sqlite_open(struct table *t, struct str name, struct err *err)
{
	struct sqlite *s = ARENA_NEW(t->mem, struct sqlite);
	const char *path = str_c(t->mem, name);
	struct setting rows[N_ROWS] = {
		[ROW_DBPATH] = {"dbpath", STR_EMPTY},
		[ROW_QUERY] = {"query", STR_EMPTY},
		[ROW_FORMAT] = {"result_format", STR("%s")},
		[ROW_DOMAIN] = {"domain", STR_EMPTY},
		[ROW_LIMIT] = {"expansion_limit", STR("0")},
		[ROW_SELECT] = {"select_field", STR_EMPTY},
		[ROW_TABLE] = {"table", STR_EMPTY},
		[ROW_WHERE] = {"where_field", STR_EMPTY},
		[ROW_MORE] = {"additional_conditions", STR_EMPTY},
	};

	t->state = s;
	if (name.p[0] != '/' && name.p[0] != '.')
		return err_set(err, ERR_CONFIG,
			       "%s: parameters in main.cf (%s_dbpath) are not supported: "
			       "name a file, with / or . at its beginning",
			       t->name, path);
	if (!library_functions(&library, names, ARRAY_LEN(names), &s->f, sizeof(s->f),
			       err) ||
	    !table_settings_load(t, path, rows, N_ROWS, err) ||
	    !take_settings(t, s, path, rows, err) || !open_file(s, err))
		return false;
	arena_defer(t->mem, close_file, s);
	return true;
}

/* ---- asking ---- */

/* Is the key one that is asked for? LOOKUP_FOUND if so. */
static enum lookup
check_domain(const struct sqlite *s, struct arena *mem, struct str key, struct err *err)
{
	size_t at = str_rindex(key, '@');
	struct str domain = str_skip(key, at + 1);
	struct str value;

	if (s->n_domains == 0)
		return LOOKUP_FOUND;
	if (at == 0 || domain.len == 0)
		return LOOKUP_ABSENT;
	for (size_t i = 0; i < s->n_domains; i++) {
		const struct domain *d = &s->domains[i];
		enum lookup result;

		if (d->table == NULL) {
			if (str_ieq(d->name, domain))
				return LOOKUP_FOUND;
			continue;
		}
		result = table_lookup(d->table, mem, domain, &value, err);
		if (result != LOOKUP_ABSENT)
			return result;
	}
	return LOOKUP_ABSENT;
}

/* In a string of SQL only this means something. */
static void
quote(struct buf *out, struct str part)
{
	for (size_t i = 0; i < part.len; i++) {
		if (part.p[i] == '\'')
			buf_add_char(out, '\'');
		buf_add_char(out, part.p[i]);
	}
}

/* A row of the answer. */
static bool
add_row(const struct sqlite *s, sqlite3_stmt *statement, struct arena *mem,
	struct str key, struct buf *all, int64_t *n)
{
	const unsigned char *p = s->f.sqlite3_column_text(statement, 0);
	int bytes = s->f.sqlite3_column_bytes(statement, 0);
	struct buf *one;

	if (p == NULL || bytes == 0)
		return true;
	one = buf_new(mem, TABLE_VALUE_MAX);
	if (!template_expand(s->result_format, str_from_mem(p, (size_t)bytes), key, NULL,
			     one))
		return true;
	if (all->len > 0)
		buf_add_char(all, ',');
	buf_add(all, buf_str(one));
	return buf_ok(one) && (s->expansion_limit == 0 || ++*n <= s->expansion_limit);
}

static enum lookup
fail(const struct sqlite *s, const char *what, const char *why, struct err *err)
{
	err_set(err, ERR_TEMP, "%s: %s%s", s->path, what, why);
	return LOOKUP_FAILED;
}

static enum lookup
run(struct sqlite *s, sqlite3_stmt *statement, struct arena *mem, struct str key,
    struct str *value_out, struct err *err)
{
	struct buf *all = buf_new(mem, TABLE_VALUE_MAX);
	int64_t n = 0;
	int rc;

	while ((rc = s->f.sqlite3_step(statement)) == SQLITE_ROW) {
		if (!add_row(s, statement, mem, key, all, &n))
			return fail(s, "", "Expansion limit exceeded", err);
		if (!buf_ok(all))
			return fail(s, "", "the answer is too long", err);
	}
	if (rc == SQLITE_INTERRUPT)
		return fail(s, "", "the answer takes too long", err);
	if (rc != SQLITE_DONE)
		return fail(s, "SQL step failed: ", s->f.sqlite3_errmsg(s->db), err);
	if (all->len == 0)
		return LOOKUP_ABSENT;
	*value_out = buf_str(all);
	return LOOKUP_FOUND;
}

/* The file as it is now. */
static bool
begin(struct sqlite *s, struct err *err)
{
	struct stat st;

	if (s->db != NULL && sys_fstatat(AT_FDCWD, s->path, &st, 0) == 0 &&
	    (st.st_dev != s->id.dev || st.st_ino != s->id.ino))
		close_file(s);
	return s->db != NULL || open_file(s, err);
}

static enum lookup
sqlite_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	      struct err *err)
{
	struct sqlite *s = t->state;
	struct buf *query = buf_new(mem, QUERY_MAX);
	sqlite3_stmt *statement = NULL;
	enum lookup result = check_domain(s, mem, key, err);

	if (result != LOOKUP_FOUND)
		return result;
	if (!template_expand(s->query, key, key, quote, query))
		return LOOKUP_ABSENT;
	if (!buf_ok(query))
		return fail(s, "", "the query is too long", err);
	if (!begin(s, err))
		return LOOKUP_FAILED;
	if (start_query(s, query->p, &statement) != SQLITE_OK)
		return fail(s, "SQL prepare failed: ", s->f.sqlite3_errmsg(s->db), err);
	if (statement == NULL)
		return fail(s, "", "the query is empty", err);
	result = run(s, statement, mem, key, value_out, err);
	s->f.sqlite3_finalize(statement);
	return result;
}

const struct table_type table_type_sqlite = {
	.name = "sqlite",
	.library = &library,
	.open = sqlite_open,
	.lookup = sqlite_lookup,
};
