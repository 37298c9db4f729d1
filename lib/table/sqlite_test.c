/* SPDX-License-Identifier: Apache-2.0 */
/* The library behind sqlite: also makes the databases here. What answers look like beside
 * Debian's is in test/compat/test_postmap.py. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/macros.h"

#include "table/library.h"
#include "table/places.h"
#include "table/table.h"

#define FUNCTIONS(F) F(sqlite3_open) F(sqlite3_exec) F(sqlite3_close)

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};

struct place {
	struct arena *mem;
	struct functions f;
	char dir[40];
};

static int
set_up(void **state)
{
	static const struct library library = {"libsqlite3.so.0", "libsqlite3-0"};
	struct place *p = calloc(1, sizeof(*p));
	struct err err;

	p->mem = arena_new();
	strcpy(p->dir, "/tmp/sqlite_test.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	assert_true(library_functions(&library, names, ARRAY_LEN(names), &p->f,
				      sizeof(p->f), &err));
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	char command[100];

	arena_free(&p->mem);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static const char *
path(struct place *p, const char *name)
{
	return str_printf(p->mem, "%s/%s", p->dir, name).p;
}

static void
run_sql(struct place *p, const char *name, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(p->f.sqlite3_open(path(p, name), &db), SQLITE_OK);
	assert_int_equal(p->f.sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(p->f.sqlite3_close(db), SQLITE_OK);
}

/* Settings beside dbpath. */
static void
write_settings(struct place *p, const char *settings)
{
	struct err err;

	assert_true(io_replace_file(
		path(p, "cf"),
		str_printf(p->mem, "dbpath = %s\n%s\n", path(p, "db"), settings), 0600,
		&err));
}

static struct table *
open_table(struct place *p)
{
	struct table *t;
	struct err err;

	if (!table_open(p->mem, str_printf(p->mem, "sqlite:%s", path(p, "cf")),
			TABLE_DEFAULT, &t, &err))
		fail_msg("%s", err.text);
	return t;
}

static void
assert_value(struct place *p, struct table *t, const char *key, const char *value)
{
	struct err err = {.text = ""};
	struct str got;
	enum lookup result = table_lookup(t, p->mem, str_from(key), &got, &err);

	if (value == NULL && result == LOOKUP_ABSENT)
		return;
	if (value == NULL || result != LOOKUP_FOUND)
		fail_msg("%s: %d %s", key, result, err.text);
	assert_string_equal(str_c(p->mem, got), value);
}

static void
assert_fails(struct place *p, struct table *t, const char *key, const char *why)
{
	struct err err = {.text = ""};
	struct str got;

	assert_int_equal(table_lookup(t, p->mem, str_from(key), &got, &err),
			 LOOKUP_FAILED);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s", err.text);
}

static const char content[] =
	"CREATE TABLE t (k TEXT, v TEXT);"
	"INSERT INTO t VALUES ('a', '1'), ('c', '1'), ('c', '2'), ('n', NULL), ('e', ''),"
	"('o''b', 'quoted'), ('u@d.e', 'x@y'), ('u@d.e', 'plain'), ('''', 'one');";

#define QUERY "query = SELECT v FROM t WHERE k = '%s'\n"

static void
test_answers(void **state)
{
	static const struct {
		const char *settings, *key, *value;
	} rows[] = {
		{QUERY, "a", "1"},
		{QUERY, "A", "1"},
		{QUERY, "c", "1,2"},
		{QUERY, "n", NULL},
		{QUERY, "e", NULL},
		{QUERY, "zz", NULL},
		{QUERY, "o'b", "quoted"},
		{QUERY, "'", "one"},
		{QUERY, "x' OR 'a' = 'a", NULL},
		{QUERY "result_format = <%u:%d>", "u@d.e", "<x:y>"},
		{QUERY "result_format = %s-%U", "u@d.e", "x@y-u,plain-u"},
		{QUERY "domain = d.e, inline:{f.g=x}", "u@d.e", "x@y,plain"},
		{QUERY "domain = d.e, inline:{f.g=x}", "a", NULL},
		{QUERY "domain = other", "u@d.e", NULL},
		{QUERY "domain = inline:{d.e=x}", "u@d.e", "x@y,plain"},
		{"query = SELECT 1, 2 WHERE '%1' = 'e'", "u@d.e", "1"},
		{"query = SELECT 1, 2 WHERE '%1' = 'e'", "e", NULL},
		{"select_field = v\ntable = t\nwhere_field = k\n"
		 "additional_conditions = AND v <> '1'",
		 "c", "2"},
	};
	struct place *p = *state;

	run_sql(p, "db", content);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		write_settings(p, rows[i].settings);
		assert_value(p, open_table(p), rows[i].key, rows[i].value);
	}
}

static void
test_failures(void **state)
{
	static const struct {
		const char *settings, *key, *why;
	} rows[] = {
		{QUERY "expansion_limit = 1", "c", "Expansion limit exceeded"},
		{"query = SELECT nosuch FROM t", "a", "no such column"},
		{"query = DELETE FROM t", "a", "readonly"},
		{QUERY "domain = fail:x", "a@b", "fail:"},
		{"query = WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)"
		 " SELECT count(*) FROM r",
		 "a", "takes too long"},
		{"query = WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)"
		 " SELECT x FROM r",
		 "a", "too long"},
	};
	struct place *p = *state;

	run_sql(p, "db", content);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		write_settings(p, rows[i].settings);
		assert_fails(p, open_table(p), rows[i].key, rows[i].why);
	}
	write_settings(p, QUERY "expansion_limit = 2");
	assert_value(p, open_table(p), "c", "1,2");
	assert_value(p, open_table(p), "a", "1");
}

static void
test_bad_settings(void **state)
{
	static const char *const rows[][2] = {
		{"", "no query"},
		{"query = %x", "Invalid query template"},
		{QUERY "result_format = %", "Invalid result template"},
		{QUERY "expansion_limit = many", "bad numerical value"},
		{QUERY "dbpath = /nonexistent/db", "/nonexistent/db: No such file"},
		{QUERY "dbpath = /etc/passwd", "not a database"},
		{QUERY "dbpath =", "no dbpath"},
	};
	struct place *p = *state;
	struct table *t;
	struct err err;

	run_sql(p, "db", content);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *self = strstr(rows[i][0], "SELF");
		const char *text = rows[i][0];

		if (self != NULL)
			text = str_printf(p->mem, "%.*s%s", (int)(self - text), text,
					  path(p, "cf"))
				       .p;
		write_settings(p, text);
		if (table_open(p->mem, str_printf(p->mem, "sqlite:%s", path(p, "cf")),
			       TABLE_DEFAULT, &t, &err))
			fail_msg("opened: %s", rows[i][0]);
		if (strstr(err.text, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], err.text);
	}
	assert_false(table_open(p->mem, STR("sqlite:name"), TABLE_DEFAULT, &t, &err));
	assert_non_null(strstr(err.text, "settings in main.cf cannot be read here"));
	assert_false(
		table_open(p->mem, STR("sqlite:/nonexistent"), TABLE_DEFAULT, &t, &err));
	assert_non_null(strstr(err.text, "/nonexistent: No such file"));
}

static void
test_warnings(void **state)
{
	struct place *p = *state;
	const char *const *texts;

	run_sql(p, "db", content);
	write_settings(p, QUERY "nosuch = x\nnothing\n");
	assert_int_equal(table_warnings(open_table(p), &texts), 2);
	assert_non_null(strstr(texts[0], "line 3: unused parameter: nosuch"));
	assert_non_null(strstr(texts[1], "line 4: no \"name = value\""));
}

static void
test_changes_are_seen(void **state)
{
	struct place *p = *state;
	struct table *t;

	run_sql(p, "db", content);
	write_settings(p, QUERY);
	t = open_table(p);
	assert_value(p, t, "a", "1");
	run_sql(p, "db", "UPDATE t SET v = '9' WHERE k = 'a'");
	assert_value(p, t, "a", "9");
	run_sql(p, "new",
		"CREATE TABLE t (k TEXT, v TEXT); INSERT INTO t VALUES "
		"('a', '10')");
	assert_int_equal(rename(path(p, "new"), path(p, "db")), 0);
	assert_value(p, t, "a", "10");
	assert_value(p, t, "c", NULL);
	run_sql(p, "db", "PRAGMA journal_mode = WAL; UPDATE t SET v = '11'");
	assert_value(p, t, "a", "11");
}

/* The directory of the database is one of the places, too. */
static void
test_places(void **state)
{
	struct place *p = *state;
	const char *const *list;
	struct str value;
	struct err err;

	assert_true(io_replace_file(path(p, "cf"), STR("dbpath = /else/where/db\n"), 0600,
				    &err));
	value = str_printf(p->mem, "hash:/a/b, proxy:sqlite:%s", path(p, "cf"));
	list = table_places(p->mem, &value, 1);
	assert_string_equal(list[0], "/a");
	assert_string_equal(list[1], p->dir);
	assert_string_equal(list[2], "/else/where");
	assert_null(list[3]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_settings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_warnings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changes_are_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
