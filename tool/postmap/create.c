/* SPDX-License-Identifier: Apache-2.0 */
#include "create.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/sys.h"
#include "mail/base64.h"
#include "table/build.h"
#include "table/fold.h"
#include "table/source.h"
#include "table/table.h"

#include "alias.h"

enum { FILES_MAX = 100 << 20 };

/* One table in the making. */
struct job {
	const struct postmap *p;
	struct arena *mem;
	struct str type;
	const char *path;   /* without the suffix */
	const char *source; /* for messages */
	struct build *build;
};

/* ---- the source ---- */

/* Root gives the table to whoever owns the source, and has no more rights than they when
 * it writes: the directory may be theirs too. */
static void
become_owner(const struct job *job, const struct stat *st)
{
	if (job->p->keep_root || geteuid() != 0 || st->st_uid == 0)
		return;
	if (setegid(st->st_gid) != 0 || seteuid(st->st_uid) != 0)
		postmap_die(job->p, "become the owner of %s: %s", job->source,
			    strerror(errno));
}

static void
become_root(void)
{
	if (geteuid() != 0 && getuid() == 0)
		IGNORE(seteuid(0) != 0 || setegid(getgid()) != 0);
}

static struct str
read_source(const struct job *job, struct stat *st)
{
	int fd = job->p->incremental
			 ? STDIN_FILENO
			 : sys_openat(AT_FDCWD, job->path, O_RDONLY | O_CLOEXEC, 0);
	struct str text;
	struct err err;

	if (fd < 0)
		postmap_die(job->p, "open %s: %s", job->path, strerror(errno));
	if (sys_fstat(fd, st) != 0)
		postmap_die(job->p, "look at %s: %s", job->source, strerror(errno));
	if (!io_read_all(job->mem, fd, SOURCE_FILE_MAX, job->source, &text, &err))
		postmap_die(job->p, "%s", err.text);
	if (fd != STDIN_FILENO)
		sys_close(fd);
	return text;
}

/* ---- entries ---- */

static struct str
folded(const struct job *job, struct arena *mem, struct str key)
{
	return job->p->fold ? fold_key(mem, key, job->p->utf8) : key;
}

/* -F: the files that the value names, with a line end between, in base64. False if one
 * cannot be read: the entry is then left out. */
static bool
read_files(const struct job *job, struct arena *mem, const struct source_line *line,
	   struct str *value)
{
	struct buf *all = buf_new(mem, FILES_MAX);
	struct str names = *value;
	struct str name, text;
	struct err err;

	while (str_token(&names, ", \t\r\n", &name)) {
		if (!io_read_file(mem, AT_FDCWD, str_c(mem, name), FILES_MAX, &text,
				  &err)) {
			postmap_warn(job->p, "%s, line %d: %s: skipping this entry",
				     job->source, line->first, err.text);
			return false;
		}
		if (all->len > 0)
			buf_add_char(all, '\n');
		buf_add(all, text);
	}
	if (!buf_ok(all)) {
		postmap_warn(job->p,
			     "%s, line %d: more than %d bytes: skipping this entry",
			     job->source, line->first, FILES_MAX);
		return false;
	}
	*value = base64_encode(mem, buf_str(all));
	return true;
}

/* Postfix names a table in a way of its own for each type, and scripts look for it. */
static const char *
name_for_duplicates(const struct job *job, struct arena *mem)
{
	if (str_eq(job->type, STR("cdb")))
		return job->path;
	if (str_eq(job->type, STR("lmdb")))
		return str_printf(mem, "lmdb:%s", job->path).p;
	return build_path(job->build);
}

static void
add_entry(const struct job *job, struct arena *mem, const struct source_line *line,
	  struct source_entry *entry)
{
	struct str key = folded(job, mem, entry->key);
	struct err err;

	if (job->p->files && !read_files(job, mem, line, &entry->value))
		return;
	switch (build_add(job->build, key, entry->value, &err)) {
	case BUILD_ADDED:
		break;
	case BUILD_DUPLICATE:
		if (!job->p->quiet_duplicates)
			postmap_warn(job->p, "%s: duplicate entry: \"" PRI_STR "\"",
				     name_for_duplicates(job, mem), STR_ARG(key));
		break;
	case BUILD_FAILED:
		postmap_die(job->p, "%s", err.text);
	}
}

/* The entry of a line of the source; false if it has none, which was told. */
static bool
parse_map(const struct job *job, struct arena *mem, const struct source_line *line,
	  struct source_entry *entry_out)
{
	enum source_kind kind = source_parse(line, job->p->utf8, entry_out);

	if (kind != SOURCE_ENTRY)
		postmap_warn(job->p, "%s",
			     source_complaint(mem, kind, job->source, line));
	return kind == SOURCE_ENTRY || kind == SOURCE_ENTRY_COLON;
}

static bool
parse_aliases(const struct job *job, struct arena *mem, const struct source_line *line,
	      struct source_entry *entry_out)
{
	enum source_kind why;

	switch (alias_parse(mem, line, job->p->utf8, entry_out, &why)) {
	case ALIAS_ENTRY:
		return true;
	case ALIAS_NOT_TEXT:
		postmap_warn(job->p, "%s", source_complaint(mem, why, job->source, line));
		break;
	case ALIAS_NO_PAIR:
		postmap_warn(job->p, "%s, line %d: need name:value pair", job->source,
			     line->first);
		break;
	case ALIAS_NOT_LOCAL:
		postmap_warn(job->p, "%s, line %d: name must be local", job->source,
			     line->first);
		break;
	}
	return false;
}

/* What Sendmail's newaliases leaves, for programs that look for it: that the file is
 * complete, and for NIS when and where it was made. */
static void
add_signature(const struct job *job)
{
	const struct {
		struct str key, value;
	} rows[] = {
		{STR("@"), STR("@")},
		{STR("YP_LAST_MODIFIED"),
		 str_printf(job->mem, "%ld", (long)(sys_now_us() / 1000000))},
		{STR("YP_MASTER_NAME"), job->p->hostname},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err;

		if (!build_replace(job->build, rows[i].key, rows[i].value, &err))
			postmap_die(job->p, "%s", err.text);
	}
}

static void
add_entries(const struct job *job, struct str text)
{
	struct arena *mem = arena_new();
	struct source_lines lines;
	struct source_line line;
	struct source_entry entry;

	source_lines_init(&lines, mem, text);
	while (source_lines_next(&lines, &line)) {
		if (job->p->aliases ? parse_aliases(job, mem, &line, &entry)
				    : parse_map(job, mem, &line, &entry))
			add_entry(job, mem, &line, &entry);
		arena_reset(mem);
	}
	if (job->p->aliases)
		add_signature(job);
	arena_free(&mem);
}

/* ---- the table ---- */

static void
open_build(struct job *job, const struct stat *st, bool in_place)
{
	const struct postmap *p = job->p;
	const struct build_options options = {
		.duplicate = p->replace ? BUILD_DUPLICATE_REPLACE : BUILD_DUPLICATE_KEEP,
		.nul = p->nul,
		.in_place = in_place,
		/* What group and others may not do with the source they may not do with
		 * the table. */
		.mode = p->default_permissions ? 0644 : 0600 | (st->st_mode & 0044),
		.owner = (uid_t)-1,
		.group = (gid_t)-1,
	};
	struct err err;

	if (!build_open(job->mem, job->type, job->path, &options, &job->build, &err))
		postmap_die(p, "%s", err.text);
}

static bool
table_stat(const struct job *job, struct stat *st)
{
	const char *path =
		str_printf(job->mem, "%s%s", job->path, table_type_suffix(job->type)).p;

	return sys_fstatat(AT_FDCWD, path, st, 0) == 0;
}

static void
start_job(struct job *job, const struct postmap *p, struct arena *mem,
	  const char *argument)
{
	struct str name;

	*job = (struct job){.p = p, .mem = mem};
	postmap_split(p, str_from(argument), &job->type, &name);
	job->path = str_c(mem, name);
	job->source = p->incremental ? "stdin" : job->path;
}

void
create_table(const struct postmap *p, const char *argument)
{
	struct arena *mem = arena_new_child(p->mem);
	struct job job;
	struct stat st, there;
	struct str text;
	struct err err;

	start_job(&job, p, mem, argument);
	text = read_source(&job, &st);
	if (table_type_support(job.type) != TABLE_SUPPORTED)
		postmap_die(p, "unsupported dictionary type: " PRI_STR,
			    STR_ARG(job.type));
	if (table_type_suffix(job.type) == NULL)
		postmap_die(p,
			    "unsupported dictionary type: " PRI_STR
			    " does not support bulk-mode creation",
			    STR_ARG(job.type));
	become_owner(&job, &st);
	if (p->incremental)
		st.st_mode = 0644;
	open_build(&job, &st, p->incremental && table_stat(&job, &there));
	add_entries(&job, text);
	if (!build_commit(job.build, &err))
		postmap_die(p, "%s", err.text);
	become_root();
	arena_free(&mem);
}

/* ---- deleting ---- */

/* Postfix has words of its own for each kind that cannot. */
static void
check_can_delete(const struct job *job, const char *argument)
{
	static const char *const texts[] = {"texthash", "cidr", "pcre", "regexp"};
	enum table_support support = table_type_support(job->type);

	if (table_type_suffix(job->type) != NULL)
		return;
	if (support != TABLE_SUPPORTED)
		postmap_die(job->p, "unsupported dictionary type: " PRI_STR,
			    STR_ARG(job->type));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (str_eq(job->type, str_from(texts[i])))
			postmap_die(job->p, "%s map requires O_RDONLY access mode",
				    argument);
	postmap_die(job->p, "table %s: delete operation is not supported", argument);
}

static void
open_for_delete(struct job *job, const struct postmap *p, struct arena *mem,
		const char *argument)
{
	struct stat st;

	start_job(job, p, mem, argument);
	check_can_delete(job, argument);
	if (table_stat(job, &st))
		become_owner(job, &st);
	open_build(job, &st, true);
}

static bool
delete_one(const struct job *job, struct str key)
{
	struct arena *mem = arena_new();
	enum build_deleted result;
	struct err err;

	result = build_delete(job->build, folded(job, mem, key), &err);
	arena_free(&mem);
	if (result == BUILD_DELETE_FAILED)
		postmap_die(job->p, "%s", err.text);
	return result == BUILD_DELETED;
}

/* Each line of keys from each table. */
static int
delete_keys(const struct postmap *p, struct str keys, char **tables, int n_tables)
{
	int status = 1;

	for (int i = 0; i < n_tables; i++) {
		struct arena *mem = arena_new_child(p->mem);
		struct str rest = keys;
		struct str key;
		struct job job;
		struct err err;

		open_for_delete(&job, p, mem, tables[i]);
		while (str_line(&rest, &key))
			if (delete_one(&job, key))
				status = 0;
		if (!build_commit(job.build, &err))
			postmap_die(p, "%s", err.text);
		become_root();
		arena_free(&mem);
	}
	return status;
}

int
delete_key(const struct postmap *p, struct str key, char **tables, int n_tables)
{
	return delete_keys(p, key, tables, n_tables);
}

int
delete_input(const struct postmap *p, char **tables, int n_tables)
{
	struct str keys;
	struct err err;

	if (!io_read_all(p->mem, STDIN_FILENO, SOURCE_FILE_MAX, "stdin", &keys, &err))
		postmap_die(p, "%s", err.text);
	return delete_keys(p, keys, tables, n_tables);
}
