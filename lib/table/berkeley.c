/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash: and btree: read side.
 *
 * Postfix writes keys and values with a NUL at the end, others without; both are read,
 * and once a hit has shown which it is only that is tried. Postfix's postmap changes a
 * file in place under an exclusive lock, so each look-up takes a shared one and then
 * looks whether the file is still what was opened: the library's page cache would not
 * notice.
 */
#include "table/berkeley_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"

#include "table/build_internal.h"

enum { OPEN_ATTEMPTS = 5, LOCK_STEP_MS = 5 };

enum nul_style { NUL_UNKNOWN, NUL_YES, NUL_NO };

struct berkeley {
	char *path; /* with .db */
	DB *db;     /* NULL: the last attempt to open it again failed */
	int fd;     /* for locks; its own, as closing the library's drops its locks */
	struct file_id id;
	enum nul_style style;
};

/* The library's messages are kept for whoever asks, instead of printed. */
struct said {
	char text[200];
	char *(*strerror)(int);
};

#define NUMBER_TEXT_(n) #n
#define NUMBER_TEXT(n)  NUMBER_TEXT_(n)
#define VERSION         NUMBER_TEXT(DB_VERSION_MAJOR) "." NUMBER_TEXT(DB_VERSION_MINOR)

const struct library berkeley_library = {
	.soname = "libdb-" VERSION ".so",
	.package = "libdb" VERSION,
};

#define FUNCTIONS(F) F(db_create) F(db_strerror)

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const function_names[] = {FUNCTIONS(LIBRARY_NAME)};

static void
remember(const DB_ENV *env UNUSED, const char *prefix, const char *text)
{
	struct said *said = (struct said *)(uintptr_t)prefix;

	strncpy(said->text, text, sizeof(said->text) - 1);
}

bool
berkeley_new(DB **db_out, struct err *err)
{
	struct functions f;
	struct said *said;
	DB *db;
	int rc;

	if (!library_functions(&berkeley_library, function_names,
			       ARRAY_LEN(function_names), &f, sizeof(f), err))
		return false;
	rc = f.db_create(&db, NULL, 0);
	if (rc != 0)
		return err_set(err, ERR_TEMP, "Berkeley DB: %s", f.db_strerror(rc));
	/* The prefix is handed to the function untouched: our way to know the handle. */
	said = mem_alloc(sizeof(*said));
	said->strerror = f.db_strerror;
	db->app_private = said;
	db->set_errpfx(db, (const char *)said);
	db->set_errcall(db, remember);
	*db_out = db;
	return true;
}

void
berkeley_close(DB **db)
{
	void *said;

	if (*db == NULL)
		return;
	said = (*db)->app_private;
	(*db)->close(*db, 0);
	mem_free(said);
	*db = NULL;
}

const char *
berkeley_text(const DB *db, int rc)
{
	const struct said *said = db->app_private;

	/* For system errors the number says it all and shorter. */
	if (rc > 0 || said->text[0] == '\0')
		return said->strerror(rc);
	return said->text;
}

DBTYPE
berkeley_type(struct str type)
{
	return str_eq(type, STR("btree")) ? DB_BTREE : DB_HASH;
}

bool
berkeley_lock(int fd, int operation, const char *path, struct err *err)
{
	int64_t give_up = sys_mono_ms() + BERKELEY_LOCK_MS;

	while (sys_flock(fd, operation | LOCK_NB) != 0) {
		struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};

		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, ERR_TEMP, "lock %s", path);
		if (sys_mono_ms() > give_up)
			return err_set(err, ERR_TEMP,
				       "%s has been locked by another program for %d s",
				       path, BERKELEY_LOCK_MS / 1000);
		nanosleep(&step, NULL);
	}
	return true;
}

DBT
berkeley_datum(struct str s, bool with_nul)
{
	DBT d;

	memset(&d, 0, sizeof(d));
	d.data = (void *)(uintptr_t)s.p;
	d.size = (u_int32_t)(s.len + (with_nul ? 1 : 0));
	return d;
}

struct str
berkeley_str(const DBT *d)
{
	struct str s = str_from_mem(d->data, d->size);

	/* As Postfix reads it: a C string. */
	return str_head(s, str_index(s, '\0'));
}

static void
close_file(struct berkeley *b)
{
	berkeley_close(&b->db);
	if (b->fd >= 0)
		sys_close(b->fd);
	b->fd = -1;
}

static void
close_at_end(void *p)
{
	close_file(p);
}

/* Is the file that the library opened by name the one that we locked? */
static bool
is_same_file(DB *db, int fd)
{
	struct stat ours, theirs;
	int db_fd;

	return db->fd(db, &db_fd) == 0 && sys_fstat(fd, &ours) == 0 &&
	       sys_fstat(db_fd, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino;
}

/* One attempt, under the lock. retry_out: another file came into its place. */
static bool
open_locked(struct table *t, struct berkeley *b, bool *retry_out, struct err *err)
{
	struct stat st;
	int rc;

	*retry_out = false;
	if (!berkeley_new(&b->db, err))
		return false;
	rc = b->db->open(b->db, NULL, b->path, NULL,
			 berkeley_type(str_from(t->type->name)), DB_RDONLY, 0644);
	if (rc != 0)
		return err_set(err, rc == ENOENT || rc == EACCES ? ERR_CONFIG : ERR_TEMP,
			       "open database %s: %s", b->path, berkeley_text(b->db, rc));
	if (!is_same_file(b->db, b->fd)) {
		*retry_out = true;
		return false;
	}
	if (sys_fstat(b->fd, &st) != 0)
		return err_errno(err, ERR_TEMP, "open database %s", b->path);
	b->id = file_id_of(&st);
	b->style = NUL_UNKNOWN;
	return true;
}

/* On success the file is open and locked (shared). */
static bool
open_file(struct table *t, struct berkeley *b, struct err *err)
{
	bool retry = true;

	for (int attempt = 0; retry && attempt < OPEN_ATTEMPTS; attempt++) {
		b->fd = sys_openat(AT_FDCWD, b->path, O_RDONLY | O_CLOEXEC, 0);
		if (b->fd < 0)
			return err_errno(err, ERR_CONFIG, "open database %s", b->path);
		retry = false;
		if (berkeley_lock(b->fd, LOCK_SH, b->path, err) &&
		    open_locked(t, b, &retry, err))
			return true;
		close_file(b);
	}
	if (retry)
		err_set(err, ERR_TEMP, "open database %s: it is replaced all the time",
			b->path);
	return false;
}

static bool
berkeley_open(struct table *t, struct str name, struct err *err)
{
	struct berkeley *b = ARENA_NEW(t->mem, struct berkeley);

	b->path = str_c(t->mem, str_concat(t->mem, name, STR(".db")));
	b->fd = -1;
	t->state = b;
	if (!open_file(t, b, err))
		return false;
	arena_defer(t->mem, close_at_end, b);
	sys_flock(b->fd, LOCK_UN);
	return true;
}

static bool
must_reopen(struct table *t, const struct berkeley *b)
{
	return file_id_changed(b->path, &b->id) && table_may_reopen(t, b->path);
}

/* Lock the file as it is now, opening it again if it is another one. */
static bool
begin(struct table *t, struct berkeley *b, struct err *err)
{
	if (b->db == NULL)
		return open_file(t, b, err);
	if (!must_reopen(t, b)) {
		if (!berkeley_lock(b->fd, LOCK_SH, b->path, err))
			return false;
		/* It may have been changed while we waited. */
		if (!must_reopen(t, b))
			return true;
	}
	close_file(b);
	return open_file(t, b, err);
}

static int
get(struct berkeley *b, struct str key, bool with_nul, DBT *value)
{
	DBT k = berkeley_datum(key, with_nul);

	memset(value, 0, sizeof(*value));
	return b->db->get(b->db, NULL, &k, value, 0);
}

static enum lookup
berkeley_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
		struct err *err)
{
	struct berkeley *b = t->state;
	DBT value;
	int rc = DB_NOTFOUND;
	enum lookup result = LOOKUP_ABSENT;

	if (!begin(t, b, err))
		return LOOKUP_FAILED;
	if (b->style != NUL_NO && (rc = get(b, key, true, &value)) == 0)
		b->style = NUL_YES;
	if (rc == DB_NOTFOUND && b->style != NUL_YES &&
	    (rc = get(b, key, false, &value)) == 0)
		b->style = NUL_NO;
	if (rc == 0 && value.size <= TABLE_VALUE_MAX) {
		*value_out = str_dup(mem, berkeley_str(&value));
		result = LOOKUP_FOUND;
	} else if (rc != DB_NOTFOUND) {
		err_set(err, ERR_TEMP, "%s: %s", b->path,
			rc != 0 ? berkeley_text(b->db, rc) : "value too long");
		result = LOOKUP_FAILED;
	}
	sys_flock(b->fd, LOCK_UN);
	return result;
}

static bool
berkeley_walk(struct table *t, table_entry_fn fn, void *arg, struct err *err)
{
	struct berkeley *b = t->state;
	DBC *cursor;
	DBT key, value;
	int rc;

	if (!begin(t, b, err))
		return false;
	rc = b->db->cursor(b->db, NULL, &cursor, 0);
	if (rc == 0) {
		memset(&key, 0, sizeof(key));
		memset(&value, 0, sizeof(value));
		while ((rc = cursor->get(cursor, &key, &value, DB_NEXT)) == 0)
			if (!fn(berkeley_str(&key), berkeley_str(&value), arg))
				break;
		cursor->close(cursor);
	}
	if (rc != 0 && rc != DB_NOTFOUND)
		err_set(err, ERR_TEMP, "%s: %s", b->path, berkeley_text(b->db, rc));
	sys_flock(b->fd, LOCK_UN);
	return rc == 0 || rc == DB_NOTFOUND;
}

const struct table_type table_type_hash = {
	.name = "hash",
	.build = &berkeley_build,
	.library = &berkeley_library,
	.open = berkeley_open,
	.lookup = berkeley_lookup,
	.walk = berkeley_walk,
};

const struct table_type table_type_btree = {
	.name = "btree",
	.build = &berkeley_build,
	.library = &berkeley_library,
	.open = berkeley_open,
	.lookup = berkeley_lookup,
	.walk = berkeley_walk,
};
