/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cdb: read side, by tinycdb. A file never changes, it is replaced. Keys and values with
 * and without a NUL at the end are read: both are tried.
 */
#include "table/cdb_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/sys.h"

#include "table/build_internal.h"

const struct library cdb_library = {
	.soname = "libcdb.so.1",
	.package = "libcdb1",
};

#define FUNCTIONS(F) F(cdb_find) F(cdb_free) F(cdb_get) F(cdb_init) F(cdb_seqnext)

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};

struct cdb_file {
	struct functions f;
	char *path; /* with .cdb */
	struct cdb cdb;
	bool is_open; /* false: the last attempt to open it again failed */
	struct file_id id;
};

static void
close_file(void *p)
{
	struct cdb_file *c = p;

	if (!c->is_open)
		return;
	c->f.cdb_free(&c->cdb);
	sys_close(c->cdb.cdb_fd);
	c->is_open = false;
}

static bool
open_file(struct cdb_file *c, struct err *err)
{
	struct stat st;
	int fd = sys_openat(AT_FDCWD, c->path, O_RDONLY | O_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return err_errno(err, ERR_CONFIG, "open database %s", c->path);
	ok = sys_fstat(fd, &st) == 0 && c->f.cdb_init(&c->cdb, fd) == 0;
	if (!ok) {
		if (errno == EPROTO)
			err_set(err, ERR_TEMP, "open database %s: it is no cdb file",
				c->path);
		else
			err_errno(err, ERR_TEMP, "open database %s", c->path);
		sys_close(fd);
		return false;
	}
	c->cdb.cdb_fd = fd;
	c->id = file_id_of(&st);
	c->is_open = true;
	return true;
}

static bool
cdb_open(struct table *t, struct str name, struct err *err)
{
	struct cdb_file *c = ARENA_NEW(t->mem, struct cdb_file);

	c->path = str_c(t->mem, str_concat(t->mem, name, STR(".cdb")));
	t->state = c;
	if (!library_functions(&cdb_library, names, ARRAY_LEN(names), &c->f, sizeof(c->f),
			       err) ||
	    !open_file(c, err))
		return false;
	arena_defer(t->mem, close_file, c);
	return true;
}

/* The file as it is now. */
static bool
begin(struct table *t, struct cdb_file *c, struct err *err)
{
	if (c->is_open && file_id_changed(c->path, &c->id) &&
	    table_may_reopen(t, c->path))
		close_file(c);
	return c->is_open || open_file(c, err);
}

/* As Postfix reads it: a C string. False if the file says what cannot be. */
static bool
text_at(const struct cdb_file *c, unsigned length, unsigned position, struct str *out)
{
	const void *p = c->f.cdb_get(&c->cdb, length, position);
	struct str s;

	if (p == NULL)
		return false;
	s = str_from_mem(p, length);
	*out = str_head(s, str_index(s, '\0'));
	return true;
}

static bool
damaged(const struct cdb_file *c, struct err *err)
{
	return err_set(err, ERR_TEMP, "%s is damaged", c->path);
}

static enum lookup
cdb_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	   struct err *err)
{
	struct cdb_file *c = t->state;
	struct str value;
	int rc;

	if (!begin(t, c, err))
		return LOOKUP_FAILED;
	rc = c->f.cdb_find(&c->cdb, key.p, (unsigned)key.len);
	/* Behind the key there is a NUL: table_lookup(). */
	if (rc == 0)
		rc = c->f.cdb_find(&c->cdb, key.p, (unsigned)key.len + 1);
	if (rc == 0)
		return LOOKUP_ABSENT;
	if (rc < 0 || !text_at(c, cdb_datalen(&c->cdb), cdb_datapos(&c->cdb), &value)) {
		damaged(c, err);
		return LOOKUP_FAILED;
	}
	if (value.len > TABLE_VALUE_MAX) {
		err_set(err, ERR_TEMP, "%s: value too long", c->path);
		return LOOKUP_FAILED;
	}
	*value_out = str_dup(mem, value);
	return LOOKUP_FOUND;
}

static bool
cdb_walk(struct table *t, table_entry_fn fn, void *arg, struct err *err)
{
	struct cdb_file *c = t->state;
	struct str key, value;
	unsigned at;
	int rc;

	if (!begin(t, c, err))
		return false;
	cdb_seqinit(&at, &c->cdb);
	while ((rc = c->f.cdb_seqnext(&at, &c->cdb)) > 0) {
		if (!text_at(c, cdb_keylen(&c->cdb), cdb_keypos(&c->cdb), &key) ||
		    !text_at(c, cdb_datalen(&c->cdb), cdb_datapos(&c->cdb), &value))
			return damaged(c, err);
		if (!fn(key, value, arg))
			break;
	}
	return rc >= 0 || damaged(c, err);
}

const struct table_type table_type_cdb = {
	.name = "cdb",
	.library = &cdb_library,
	.build = &cdb_build,
	.open = cdb_open,
	.lookup = cdb_lookup,
	.walk = cdb_walk,
};
