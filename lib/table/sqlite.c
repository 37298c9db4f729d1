/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite: a question in SQL to a database file. sqlite_table(5) of Postfix: dbpath, query
 * (or the older select_field, table, where_field, additional_conditions), result_format,
 * domain, expansion_limit.
 *
 * The file is opened for reading only, and once, when the table is; what others write
 * into it is seen by the next look-up, and a file that was put into its place is opened
 * anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

#include "base/buf.h"
#include "base/sys.h"

#include "table/query.h"

enum {
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

struct sqlite {
	struct functions f;
	const char *path; /* dbpath */
	sqlite3 *db;      /* NULL: the last attempt to open it again failed */
	struct file_id id;
	struct query query;
	int64_t give_up; /* when the question that runs has taken too long */
};

enum { ROW_DBPATH = QUERY_SQL_ROWS, N_ROWS };

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

static bool
sqlite_open(struct table *t, struct str name, struct err *err)
{
	struct sqlite *s = ARENA_NEW(t->mem, struct sqlite);
	struct setting rows[N_ROWS] = {
		QUERY_SETTINGS,
		QUERY_SQL_SETTINGS,
		[ROW_DBPATH] = {"dbpath", STR_EMPTY},
	};
	struct str text;

	t->state = s;
	if (!library_functions(&library, names, ARRAY_LEN(names), &s->f, sizeof(s->f),
			       err) ||
	    !table_settings_open(t, name, rows, N_ROWS, err))
		return false;
	s->path = str_c(t->mem, rows[ROW_DBPATH].value);
	if (s->path[0] == '\0')
		return err_set(err, ERR_CONFIG, "%s: there is no dbpath", t->name);
	if (!query_sql(t, rows, &text, err) ||
	    !query_take(t, &s->query, rows, text, err) || !open_file(s, err))
		return false;
	arena_defer(t->mem, close_file, s);
	return true;
}

/* ---- asking ---- */

/* In a string of SQL only this means something. */
static void
quote(void *arg UNUSED, struct buf *out, struct str part)
{
	for (size_t i = 0; i < part.len; i++) {
		if (part.p[i] == '\'')
			buf_add_char(out, '\'');
		buf_add_char(out, part.p[i]);
	}
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
	struct query_rows rows;
	int rc;

	query_rows_init(&rows, mem);
	while ((rc = s->f.sqlite3_step(statement)) == SQLITE_ROW) {
		const void *p = s->f.sqlite3_column_text(statement, 0);
		int bytes = s->f.sqlite3_column_bytes(statement, 0);

		if (p != NULL && !query_add_row(&s->query, mem, &rows,
						str_from_mem(p, (size_t)bytes), key, err))
			return LOOKUP_FAILED;
	}
	if (rc == SQLITE_INTERRUPT)
		return fail(s, "", "the answer takes too long", err);
	if (rc != SQLITE_DONE)
		return fail(s, "SQL step failed: ", s->f.sqlite3_errmsg(s->db), err);
	return query_result(&rows, value_out);
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
	sqlite3_stmt *statement = NULL;
	enum lookup result = query_wants(&s->query, key, err);
	struct str query;

	if (result == LOOKUP_FOUND)
		result = query_expand(&s->query, mem, s->query.text, key, quote, NULL,
				      &query, err);
	if (result != LOOKUP_FOUND)
		return result;
	if (!begin(s, err))
		return LOOKUP_FAILED;
	if (start_query(s, query.p, &statement) != SQLITE_OK)
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
