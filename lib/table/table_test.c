/* SPDX-License-Identifier: Apache-2.0 */
/* All types through the common interface, and lists of them; postmap's comparison with
 * Debian's (test/compat) has more rows. */
#include "table/table.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"

#include "table/build.h"
#include "table/maps.h"

struct row {
	const char *table, *key;
	enum lookup result;
	const char *value;
};

static const struct row rows[] = {
	{"inline:{a=b}", "a", LOOKUP_FOUND, "b"},
	{"inline:{a=b}", "A", LOOKUP_FOUND, "b"},
	{"inline:{A=b}", "a", LOOKUP_FOUND, "b"},
	{"inline:{a=b}", "b", LOOKUP_ABSENT, NULL},
	{"inline:{a=b, {c = d e}}", "c", LOOKUP_FOUND, "d e"},
	{"inline:{\xc3\xa9=1}", "\xc3\x89", LOOKUP_FOUND, "1"},
	{"inline:{\xc3\xa9=1}", "\xc3", LOOKUP_ABSENT, NULL},
	{"static:x y", "anything", LOOKUP_FOUND, "x y"},
	{"static:{ x y }", "anything", LOOKUP_FOUND, "x y"},
	{"static:x", "\xff", LOOKUP_ABSENT, NULL},
	{"static:\xff", "a", LOOKUP_FAILED, NULL},
	{"fail:x", "a", LOOKUP_FAILED, NULL},
	{"unix:passwd.byname", "no such user", LOOKUP_ABSENT, NULL},
	{"proxy:inline:{a=b}", "a", LOOKUP_FOUND, "b"},
	{"proxy:proxy:inline:{a=b}", "a", LOOKUP_FOUND, "b"},
	{"unionmap:{inline:{a=b},static:c}", "a", LOOKUP_FOUND, "b,c"},
	{"unionmap:{inline:{a=b},inline:{c=d}}", "c", LOOKUP_FOUND, "d"},
	{"unionmap:{inline:{a=b},inline:{c=d}}", "x", LOOKUP_ABSENT, NULL},
	{"unionmap:{static:c,fail:x}", "a", LOOKUP_FAILED, NULL},
	{"pipemap:{inline:{a=b},inline:{b=c}}", "a", LOOKUP_FOUND, "c"},
	{"pipemap:{inline:{a=b},inline:{c=c}}", "a", LOOKUP_ABSENT, NULL},
	{"pipemap:{inline:{a=b},fail:x}", "a", LOOKUP_FAILED, NULL},
	{"pipemap:{inline:{a=b},fail:x}", "z", LOOKUP_ABSENT, NULL},
	{"pipemap:{unionmap:{inline:{a=b}},regexp:{{/(.)/ <$1>}}}", "a", LOOKUP_FOUND,
	 "<b>"},
	{"cidr:{{10.0.0.0/8 x},{::/0 six}}", "10.1.1.1", LOOKUP_FOUND, "x"},
	{"cidr:{{10.0.0.0/8 x},{::/0 six}}", "::1", LOOKUP_FOUND, "six"},
	{"cidr:{{!10.0.0.0/8 x}}", "11.0.0.1", LOOKUP_FOUND, "x"},
	{"cidr:{{!10.0.0.0/8 x}}", "::1", LOOKUP_ABSENT, NULL},
	{"cidr:{{if 10.0.0.0/8},{10.1.0.0/16 x},{endif},{0.0.0.0/0 rest}}", "10.1.1.1",
	 LOOKUP_FOUND, "x"},
	{"cidr:{{if 10.0.0.0/8},{11.1.0.0/16 x},{endif},{0.0.0.0/0 rest}}", "11.1.1.1",
	 LOOKUP_FOUND, "rest"},
	{"cidr:{{10.0.0.0/8 x}}", "10.1.1", LOOKUP_ABSENT, NULL},
	{"regexp:{{/^A(.*)Z$/ $1-$1}}", "aqz", LOOKUP_FOUND, "q-q"},
	{"regexp:{{/^A/i x}}", "a", LOOKUP_ABSENT, NULL},
	{"regexp:{{/(a)|(b)/ [$1][$2]}}", "b", LOOKUP_FOUND, "[][b]"},
	{"regexp:{{!/a/ x}}", "b", LOOKUP_FOUND, "x"},
	{"regexp:{{if !/a/},{/b/ x},{endif}}", "ab", LOOKUP_ABSENT, NULL},
	{"regexp:{{/a/ $$1}}", "a", LOOKUP_FOUND, "$1"},
	{"randmap:{a}", "k", LOOKUP_FOUND, "a"},
	{"randmap:{a,a a}", "k", LOOKUP_FOUND, "a"},
	{"randmap:{{a b}}", "k", LOOKUP_FOUND, "{a b}"},
	{"pcre:{{/^A(.*?)Z/ $1-$1}}", "aqzz", LOOKUP_FOUND, "q-q"},
	{"pcre:{{/^A/i x}}", "a", LOOKUP_ABSENT, NULL},
	{"pcre:{{/^A.*Z/U x}}", "a\nz", LOOKUP_FOUND, "x"},
	{"pcre:{{/^A.Z/s x}}", "a\nz", LOOKUP_ABSENT, NULL},
	{"pcre:{{/^z/ x}}", "a\nz", LOOKUP_ABSENT, NULL},
	{"pcre:{{/^z/m x}}", "a\nz", LOOKUP_FOUND, "x"},
	{"pcre:{{/a b/x x}}", "ab", LOOKUP_FOUND, "x"},
	{"pcre:{{/b/A x}}", "ab", LOOKUP_ABSENT, NULL},
	{"pcre:{{/b$/ x}}", "ab\n", LOOKUP_FOUND, "x"},
	{"pcre:{{/b$/E x}}", "ab\n", LOOKUP_ABSENT, NULL},
	{"pcre:{{/(a)|(b)/ [$1][$2]}}", "b", LOOKUP_FOUND, "[][b]"},
	{"pcre:{{!/a/ x}}", "b", LOOKUP_FOUND, "x"},
	{"pcre:{{if !/a/},{/b/ x},{endif}}", "ab", LOOKUP_ABSENT, NULL},
	{"pcre:{{/^..$/ x}}", "\xc3\xa9", LOOKUP_FOUND, "x"},
	{"pcre:{{/^(a|aa)+$/ x}}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
	 LOOKUP_FAILED, NULL},
	{"pcre:{{/a(?=(b))/ <$1>}}", "ab", LOOKUP_FOUND, "<b>"},
	{"pcre:{{/(?=ab\\K)/ x}}", "ab", LOOKUP_ABSENT, NULL},
};

static void
test_rows(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		enum lookup result;
		struct str value;
		struct table *t;
		struct err err;

		if (!table_open(mem, str_from(rows[i].table), TABLE_DEFAULT, &t, &err))
			fail_msg("%s: %s", rows[i].table, err.text);
		assert_string_equal(table_name(t), rows[i].table);
		result = table_lookup(t, mem, str_from(rows[i].key), &value, &err);
		if (result != rows[i].result)
			fail_msg("%s of %s: %d", rows[i].key, rows[i].table, result);
		if (result == LOOKUP_FOUND && !str_eq(value, str_from(rows[i].value)))
			fail_msg("%s of %s: " PRI_STR, rows[i].key, rows[i].table,
				 STR_ARG(value));
		if (result == LOOKUP_FAILED)
			assert_non_null(strstr(err.text, "query error"));
		arena_free(&mem);
	}
}

static const char *const bad_tables[][2] = {
	{"", "expecting \"type:name\""},
	{"x", "expecting \"type:name\""},
	{":x", "expecting \"type:name\""},
	{"hash:", "expecting \"type:name\""},
	{"nosuch:x", "unsupported dictionary type: nosuch"},
	{"nis:x", "unsupported dictionary type: nis (known"},
	{"proxy:nis:x", "unsupported dictionary type: nis (known"},
	{"inline:{a}", "missing '='"},
	{"inline:{ }", "empty table"},
	{"unionmap:{}", "bad syntax"},
	{"randmap:x", "need \"randmap:{value...}\""},
	{"randmap:{ }", "need \"randmap:{value...}\""},
	{"unionmap:{nis:x}", "unsupported dictionary type: nis"},
	{"unix:shadow.byname", "unknown table"},
	{"lmdb:/nonexistent/x", "open database /nonexistent/x.lmdb: No such file"},
	{"cdb:/nonexistent/x", "open database /nonexistent/x.cdb: No such file"},
	{"hash:/nonexistent/x", "open database /nonexistent/x.db: No such file"},
	{"texthash:/nonexistent/x", "open database /nonexistent/x: No such file"},
	{"cidr:/nonexistent/x", "open /nonexistent/x: No such file"},
	{"cidr:/tmp", "Is a directory"},
	{"proxy:proxy:proxy:proxy:proxy:proxy:proxy:proxy:static:x", "inside each other"},
};

static void
test_errors(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_tables); i++) {
		struct arena *mem = arena_new();
		struct table *t;
		struct err err;

		if (table_open(mem, str_from(bad_tables[i][0]), TABLE_DEFAULT, &t, &err))
			fail_msg("%s: opened", bad_tables[i][0]);
		if (strstr(err.text, bad_tables[i][1]) == NULL)
			fail_msg("%s: %s", bad_tables[i][0], err.text);
		assert_int_equal(err.kind, ERR_CONFIG);
		arena_free(&mem);
	}
}

static void
test_keys_that_cannot_be(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct str value;
	struct table *t;
	struct err err;
	char *longest = arena_alloc(mem, TABLE_KEY_MAX + 2);

	memset(longest, 'a', TABLE_KEY_MAX + 1);
	assert_true(table_open(mem, STR("static:x"), TABLE_DEFAULT, &t, &err));
	assert_int_equal(
		table_lookup(t, mem, str_from_mem(longest, TABLE_KEY_MAX), &value, &err),
		LOOKUP_FOUND);
	assert_int_equal(table_lookup(t, mem, str_from_mem(longest, TABLE_KEY_MAX + 1),
				      &value, &err),
			 LOOKUP_ABSENT);
	assert_int_equal(table_lookup(t, mem, STR("a\0b"), &value, &err), LOOKUP_ABSENT);
	arena_free(&mem);
}

static void
test_no_substitution_where_forbidden(void **state UNUSED)
{
	struct arena *mem = arena_new();
	const char *const *texts;
	struct str value;
	struct table *t;
	struct err err;

	assert_true(table_open(mem, STR("regexp:{{/(a)/ $1}, {/a/ plain}}"),
			       TABLE_DEFAULT | TABLE_NO_REGSUB, &t, &err));
	assert_int_equal(table_warnings(t, &texts), 1);
	assert_non_null(strstr(texts[0], "not allowed"));
	assert_int_equal(table_lookup(t, mem, STR("a"), &value, &err), LOOKUP_FOUND);
	assert_true(str_eq(value, STR("plain")));
	arena_free(&mem);
}

static void
test_types(void **state UNUSED)
{
	assert_int_equal(table_type_support(STR("hash")), TABLE_SUPPORTED);
	assert_int_equal(table_type_support(STR("nis")), TABLE_KNOWN);
	assert_int_equal(table_type_support(STR("nosuch")), TABLE_UNKNOWN);
	assert_string_equal(table_type_suffix(STR("hash")), ".db");
	assert_string_equal(table_type_suffix(STR("btree")), ".db");
	assert_null(table_type_suffix(STR("texthash")));
	assert_null(table_type_suffix(STR("mysql")));
	for (const char *const *t = table_types(); t[1] != NULL; t++)
		assert_true(strcmp(t[0], t[1]) < 0);
}

/* In 200 draws each of three values comes; not to see one has a chance of 1e-35. */
static void
test_randmap(void **state UNUSED)
{
	struct arena *mem = arena_new();
	int seen[3] = {0};
	struct table *t;
	struct err err;

	assert_true(table_open(mem, STR("randmap:{a, b, c}"), TABLE_DEFAULT, &t, &err));
	for (int i = 0; i < 200; i++) {
		struct str value;

		assert_int_equal(table_lookup(t, mem, STR("k"), &value, &err),
				 LOOKUP_FOUND);
		assert_true(value.len == 1 && value.p[0] >= 'a' && value.p[0] <= 'c');
		seen[value.p[0] - 'a']++;
	}
	assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
	arena_free(&mem);
}

/* ---- files ---- */

struct place {
	struct arena *mem;
	char dir[32];
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	p->mem = arena_new();
	strcpy(p->dir, "/tmp/table_test.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
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

static struct table *
open_table(struct place *p, const char *type, const char *name)
{
	struct table *t;
	struct err err;

	if (!table_open(p->mem, str_printf(p->mem, "%s:%s", type, path(p, name)),
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
	assert_true(str_eq(got, str_from(value)));
}

/* "key value" pairs, ended by NULL. */
static void
build(struct place *p, const char *type, const char *name,
      const struct build_options *options, const char *const *pairs)
{
	struct arena *mem = arena_new();
	struct build *b;
	struct err err;

	if (!build_open(mem, str_from(type), path(p, name), options, &b, &err))
		fail_msg("%s", err.text);
	for (; *pairs != NULL; pairs += 2)
		assert_int_equal(
			build_add(b, str_from(pairs[0]), str_from(pairs[1]), &err),
			BUILD_ADDED);
	if (!build_commit(b, &err))
		fail_msg("%s", err.text);
	arena_free(&mem);
}

static const struct build_options plain_options = {
	.mode = 0640, .owner = (uid_t)-1, .group = (gid_t)-1};

static void
test_text_is_read_again(void **state)
{
	struct place *p = *state;
	struct table *t;
	struct err err;

	assert_true(io_replace_file(path(p, "t"), STR("a 1\n"), 0600, &err));
	t = open_table(p, "texthash", "t");
	assert_value(p, t, "a", "1");
	assert_true(io_replace_file(path(p, "t"), STR("a 2\nb 3\n"), 0600, &err));
	assert_value(p, t, "a", "2");
	assert_value(p, t, "b", "3");
	/* A file that is gone for a moment takes nothing away. */
	unlink(path(p, "t"));
	assert_value(p, t, "b", "3");
	assert_true(io_replace_file(path(p, "t"), STR("a 4\n"), 0600, &err));
	assert_value(p, t, "a", "4");
	assert_value(p, t, "b", NULL);
}

static void
test_built_again(void **state)
{
	static const struct {
		const char *name;
		bool in_place;
	} types[] = {{"hash", true}, {"btree", true}, {"lmdb", true}, {"cdb", false}};
	static const char *const first[] = {"a", "1", "b", "2", NULL};
	static const char *const second[] = {"a", "3", NULL};
	static const char *const third[] = {"c", "4", NULL};
	struct build_options in_place = plain_options;
	struct build_options without = plain_options;
	struct build_options with = plain_options;
	struct place *p = *state;

	in_place.in_place = true;
	without.nul = BUILD_NUL_WITHOUT;
	with.nul = BUILD_NUL_WITH;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const char *type = types[i].name;
		struct table *t;
		struct stat st;

		build(p, type, type, &plain_options, first);
		t = open_table(p, type, type);
		assert_value(p, t, "a", "1");
		assert_value(p, t, "A", "1");
		assert_value(p, t, "b", "2");
		assert_value(p, t, "c", NULL);
		assert_value(p, t, "", NULL);
		build(p, type, type, &plain_options, second);
		assert_value(p, t, "a", "3");
		assert_value(p, t, "b", NULL);
		if (types[i].in_place) {
			build(p, type, type, &in_place, third);
			assert_value(p, t, "a", "3");
			assert_value(p, t, "c", "4");
		}
		build(p, type, type, &without, first);
		assert_value(p, t, "b", "2");
		assert_value(p, t, "c", NULL);
		build(p, type, type, &with, second);
		assert_value(p, t, "a", "3");
		assert_value(p, t, "b", NULL);
		assert_int_equal(stat(str_printf(p->mem, "%s%s", path(p, type),
						 table_type_suffix(str_from(type)))
					      .p,
				      &st),
				 0);
		assert_int_equal(st.st_mode & 07777, 0640);
	}
}

/* A table that grows in place beyond what its reader mapped. */
static void
test_lmdb_grows(void **state)
{
	static const char *const first[] = {"a", "1", NULL};
	struct build_options in_place = plain_options;
	struct place *p = *state;
	struct arena *mem = arena_new();
	struct table *t;
	struct build *b;
	struct err err;

	in_place.in_place = true;
	build(p, "lmdb", "t", &plain_options, first);
	t = open_table(p, "lmdb", "t");
	assert_value(p, t, "a", "1");
	assert_true(build_open(mem, STR("lmdb"), path(p, "t"), &in_place, &b, &err));
	for (int i = 0; i < 20000; i++)
		assert_int_equal(build_add(b, str_printf(mem, "key%d", i),
					   str_printf(mem, "value %d", i), &err),
				 BUILD_ADDED);
	assert_true(build_commit(b, &err));
	arena_free(&mem);
	assert_value(p, t, "key19999", "value 19999");
	assert_value(p, t, "a", "1");
}

static void
test_limits_of_keys(void **state)
{
	struct place *p = *state;
	struct table *t;
	struct build *b;
	struct err err;
	char longest[600];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_true(
		build_open(p->mem, STR("lmdb"), path(p, "t"), &plain_options, &b, &err));
	assert_int_equal(build_add(b, str_from(longest), STR("1"), &err), BUILD_FAILED);
	assert_non_null(strstr(err.text, "a key of 600 bytes"));
	assert_int_equal(build_add(b, str_from(longest + 100), STR("1"), &err),
			 BUILD_ADDED);
	assert_true(build_commit(b, &err));
	t = open_table(p, "lmdb", "t");
	assert_value(p, t, longest, NULL);
	assert_value(p, t, longest + 100, "1");
}

static void
test_cdb_cannot_change(void **state)
{
	static const char *const pairs[] = {"a", "1", NULL};
	struct build_options in_place = plain_options;
	struct place *p = *state;
	struct build *b;
	struct err err;

	in_place.in_place = true;
	build(p, "cdb", "t", &plain_options, pairs);
	assert_false(build_open(p->mem, STR("cdb"), path(p, "t"), &in_place, &b, &err));
	assert_non_null(strstr(err.text, "cannot be changed"));
}

static bool
join(struct str key, struct str value, void *arg)
{
	buf_printf(arg, PRI_STR "=" PRI_STR " ", STR_ARG(key), STR_ARG(value));
	return true;
}

static void
test_walk(void **state)
{
	static const char *const pairs[] = {"b", "2", "a", "1", "c", "3", NULL};
	static const struct {
		const char *type, *all;
	} walks[] = {
		{"btree", "a=1 b=2 c=3 "},
		{"lmdb", "a=1 b=2 c=3 "},
		{"cdb", "b=2 a=1 c=3 "},
	};
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
		struct buf *out = buf_new(p->mem, 1000);
		struct table *t;
		struct err err;

		build(p, walks[i].type, "t", &plain_options, pairs);
		t = open_table(p, walks[i].type, "t");
		assert_true(table_walk(t, join, out, &err));
		assert_string_equal(out->p, walks[i].all);
	}
}

/* What is in a table's place and cannot be read makes look-ups fail, until it can. */
static void
test_damage_fails_until_repaired(void **state)
{
	static const char *const types[] = {"hash", "btree", "lmdb", "cdb"};
	static const char *const pairs[] = {"a", "1", NULL};
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const char *file = str_printf(p->mem, "%s%s", path(p, "t"),
					      table_type_suffix(str_from(types[i])))
					   .p;
		struct table *t;
		struct str value;
		struct err err;

		build(p, types[i], "t", &plain_options, pairs);
		t = open_table(p, types[i], "t");
		assert_value(p, t, "a", "1");
		assert_true(io_replace_file(file, STR("no table"), 0600, &err));
		for (int n = 0; n < 2; n++)
			assert_int_equal(table_lookup(t, p->mem, STR("a"), &value, &err),
					 LOOKUP_FAILED);
		build(p, types[i], "t", &plain_options, pairs);
		assert_value(p, t, "a", "1");
	}
}

/* Debian's postmap holds an exclusive lock while it writes: flock(2) for hash, fcntl(2)
 * for lmdb. */
static bool
lock_as_debian(int fd, bool is_lmdb)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return is_lmdb ? fcntl(fd, F_SETLKW, &lock) == 0 : flock(fd, LOCK_EX) == 0;
}

static void
check_waits(struct place *p, const char *type, bool is_lmdb)
{
	static const char *const pairs[] = {"a", "1", NULL};
	const char *file = str_printf(p->mem, "%s%s", path(p, "t"),
				      table_type_suffix(str_from(type)))
				   .p;
	struct table *t;
	pid_t child;
	int ready[2];
	char byte;

	build(p, type, "t", &plain_options, pairs);
	t = open_table(p, type, "t");
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		int fd = open(file, O_RDWR);

		_exit(fd < 0 || !lock_as_debian(fd, is_lmdb) ||
		      write(ready[1], "x", 1) != 1 || usleep(300000) != 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_value(p, t, "a", "1");
	assert_int_equal(waitpid(child, NULL, WNOHANG), child);
	close(ready[0]);
	close(ready[1]);
}

static void
test_waits_for_a_lock(void **state)
{
	check_waits(*state, "hash", false);
	check_waits(*state, "lmdb", true);
}

static void
check_duplicates(struct place *p, const char *type)
{
	struct build_options replace = plain_options;
	struct str kind = str_from(type);
	struct build *b;
	struct err err;

	assert_true(build_open(p->mem, kind, path(p, "t"), &plain_options, &b, &err));
	assert_int_equal(build_add(b, STR("a"), STR("1"), &err), BUILD_ADDED);
	assert_int_equal(build_add(b, STR("a"), STR("2"), &err), BUILD_DUPLICATE);
	assert_int_equal(build_add(b, STR("b"), STR("1"), &err), BUILD_ADDED);
	assert_true(build_replace(b, STR("b"), STR("2"), &err));
	assert_true(build_commit(b, &err));
	assert_value(p, open_table(p, type, "t"), "a", "1");
	assert_value(p, open_table(p, type, "t"), "b", "2");
	replace.duplicate = BUILD_DUPLICATE_REPLACE;
	assert_true(build_open(p->mem, kind, path(p, "t"), &replace, &b, &err));
	assert_int_equal(build_add(b, STR("a"), STR("1"), &err), BUILD_ADDED);
	assert_int_equal(build_add(b, STR("a"), STR("2"), &err), BUILD_ADDED);
	assert_true(build_commit(b, &err));
	assert_value(p, open_table(p, type, "t"), "a", "2");
}

static void
test_duplicates(void **state)
{
	check_duplicates(*state, "hash");
	check_duplicates(*state, "btree");
	check_duplicates(*state, "lmdb");
	check_duplicates(*state, "cdb");
}

/* Whoever gives up leaves the old table and nothing else. */
static void
check_given_up(struct place *p, const char *type)
{
	static const char *const pairs[] = {"a", "1", NULL};
	struct arena *mem = arena_new();
	const char *suffix = table_type_suffix(str_from(type));
	struct build *b;
	struct err err;

	build(p, type, "t", &plain_options, pairs);
	assert_true(
		build_open(mem, str_from(type), path(p, "t"), &plain_options, &b, &err));
	assert_int_equal(build_add(b, STR("a"), STR("2"), &err), BUILD_ADDED);
	arena_free(&mem);
	assert_value(p, open_table(p, type, "t"), "a", "1");
	assert_int_equal(rmdir(p->dir), -1);
	assert_int_equal(unlink(str_printf(p->mem, "%s%s", path(p, "t"), suffix).p), 0);
	assert_int_equal(rmdir(p->dir), 0); /* nothing else was there */
	assert_int_equal(mkdir(p->dir, 0700), 0);
}

static void
test_given_up(void **state)
{
	check_given_up(*state, "hash");
	check_given_up(*state, "lmdb");
	check_given_up(*state, "cdb");
}

/* ---- lists ---- */

static void
test_maps(void **state)
{
	struct place *p = *state;
	const char *const *texts;
	struct maps_hit hit;
	struct maps *m;
	struct err err;

	assert_true(maps_open(p->mem, "virtual_alias_maps",
			      STR("inline:{a=1}, {inline:{a=2 b=3}} regexp:{{/c/ 4}}"
				  "\nfail:x"),
			      TABLE_DEFAULT, &m, &err));
	assert_int_equal(maps_count(m), 4);
	assert_int_equal(maps_warnings(m, &texts), 0);
	assert_int_equal(maps_find(m, p->mem, STR("a"), MAPS_ALL, &hit, &err),
			 LOOKUP_FOUND);
	assert_true(str_eq(hit.value, STR("1")));
	assert_string_equal(hit.table, "inline:{a=1}");
	assert_int_equal(maps_find(m, p->mem, STR("b"), MAPS_ALL, &hit, &err),
			 LOOKUP_FOUND);
	assert_string_equal(hit.table, "inline:{a=2 b=3}");
	assert_int_equal(maps_find(m, p->mem, STR("c"), MAPS_ALL, &hit, &err),
			 LOOKUP_FOUND);
	assert_int_equal(maps_find(m, p->mem, STR("c"), MAPS_PATTERN, &hit, &err),
			 LOOKUP_FOUND);
	assert_int_equal(maps_find(m, p->mem, STR("a"), MAPS_PATTERN, &hit, &err),
			 LOOKUP_ABSENT);
	assert_int_equal(maps_find(m, p->mem, STR("c"), MAPS_FIXED, &hit, &err),
			 LOOKUP_FAILED);
	assert_int_equal(maps_find(m, p->mem, STR("z"), MAPS_ALL, &hit, &err),
			 LOOKUP_FAILED);
	assert_int_equal(maps_find(m, p->mem, STR(""), MAPS_ALL, &hit, &err),
			 LOOKUP_ABSENT);
}

static void
test_maps_with_errors(void **state)
{
	struct place *p = *state;
	const char *const *texts;
	struct maps_hit hit;
	struct maps *m;
	struct err err;

	assert_true(maps_open(p->mem, "m", STR("inline:{a=1} nosuch:x"), TABLE_DEFAULT,
			      &m, &err));
	assert_int_equal(maps_warnings(m, &texts), 1);
	assert_non_null(strstr(texts[0], "nosuch"));
	assert_int_equal(maps_find(m, p->mem, STR("a"), MAPS_ALL, &hit, &err),
			 LOOKUP_FOUND);
	assert_int_equal(maps_find(m, p->mem, STR("b"), MAPS_ALL, &hit, &err),
			 LOOKUP_FAILED);
	/* An empty value is a mistake and no answer. */
	assert_true(maps_open(p->mem, "m", STR("inline:{a=}"), TABLE_DEFAULT, &m, &err));
	assert_int_equal(maps_find(m, p->mem, STR("a"), MAPS_ALL, &hit, &err),
			 LOOKUP_FAILED);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_false(maps_open(p->mem, "m", STR("inline:{a=1"), TABLE_DEFAULT, &m, &err));
	assert_true(maps_open(p->mem, "m", STR(" , "), TABLE_DEFAULT, &m, &err));
	assert_int_equal(maps_count(m), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_keys_that_cannot_be),
		cmocka_unit_test(test_no_substitution_where_forbidden),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_randmap),
		cmocka_unit_test_setup_teardown(test_text_is_read_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_built_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damage_fails_until_repaired, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_waits_for_a_lock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lmdb_grows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limits_of_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cdb_cannot_change, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_walk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_duplicates, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_maps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_maps_with_errors, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
