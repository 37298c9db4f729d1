/* SPDX-License-Identifier: Apache-2.0 */
#include "dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/sys.h"
#include "mail/date.h"

enum { DUMP_BUFFER_BYTES = 32768, NAME_TRIES = 100, NAME_BYTES_MAX = 4096 };

struct dump {
	struct arena *mem;
	const char *path;
	bool append; /* -D */
	int fd;
	struct buf buf;
	bool failed;
	struct err err;
};

/* The template with the time filled in. */
static bool
expand_name(struct arena *mem, const char *template, time_t now, const char **out,
	    struct err *err)
{
	char *name = arena_alloc(mem, NAME_BYTES_MAX);
	struct tm tm;

	localtime_r(&now, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	/* The format is the person's who started us. */
	if (strftime(name, NAME_BYTES_MAX, template, &tm) == 0)
		return err_set(err, ERR_CONFIG, "%s: bad dump file template", template);
#pragma GCC diagnostic pop
	*out = name;
	return true;
}

static void
make_directories(const char *path)
{
	char *copy = mem_strdup(path);

	for (char *p = strchr(copy + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		IGNORE(sys_mkdirat(AT_FDCWD, copy, 0755) < 0);
		*p = '/';
	}
	mem_free(copy);
}

static int
open_making_directories(const char *path, int flags, mode_t mode)
{
	int fd = sys_openat(AT_FDCWD, path, flags | O_CLOEXEC, mode);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	make_directories(path);
	return sys_openat(AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

static uint32_t
random_id(void)
{
	uint32_t id;

	/* Never short for so few bytes. */
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		id = (uint32_t)random();
	return id;
}

/* A file for one message; its name ends in *id. */
static bool
open_single(struct dump *d, const char *prefix, uint32_t *id, struct err *err)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		*id = random_id();
		d->path = str_printf(d->mem, "%s%08x", prefix, *id).p;
		d->fd = open_making_directories(d->path, O_WRONLY | O_CREAT | O_EXCL,
						0644);
		if (d->fd >= 0)
			return true;
		if (errno != EEXIST)
			break;
	}
	return err_errno(err, ERR_PERM, "open %s", d->path);
}

/* A file without a name in the directory of d->path. */
static bool
open_nameless(struct dump *d, struct err *err)
{
	struct str path = str_from(d->path);
	size_t slash = str_rindex(path, '/');
	const char *dir = slash == path.len ? "."
			  : slash == 0      ? "/"
					    : str_c(d->mem, str_head(path, slash));
	char *name;

	d->fd = sys_openat(AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (d->fd < 0 && errno == ENOENT) {
		make_directories(d->path);
		d->fd = sys_openat(AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	}
	if (d->fd >= 0)
		return true;
	/* Some file systems cannot do that. */
	name = str_c(d->mem, str_printf(d->mem, "%s.XXXXXX", d->path));
	d->fd = mkostemp(name, O_CLOEXEC);
	if (d->fd < 0)
		return err_errno(err, ERR_PERM, "open %s", name);
	IGNORE(sys_unlinkat(AT_FDCWD, name, 0) < 0);
	return true;
}

static void
write_buffer(struct dump *d)
{
	if (!d->failed)
		d->failed = !io_write_all(d->fd, buf_str(&d->buf), d->path, &d->err);
	buf_clear(&d->buf);
}

static void
add_headers(struct dump *d, const struct sink *sink, const struct dump_envelope *e,
	    uint32_t id, time_t now)
{
	struct str rest = e->rcpts;
	struct str line;

	buf_add(&d->buf, sink->dump_start);
	buf_printf(&d->buf, "X-Client-Addr: %s\nX-Client-Proto: %s\n", e->client,
		   e->proto);
	if (e->has_helo)
		buf_printf(&d->buf, "X-Helo-Args: " PRI_STR "\n", STR_ARG(e->helo));
	buf_printf(&d->buf, "X-Mail-Args: " PRI_STR "\n", STR_ARG(e->mail));
	while (str_line(&rest, &line)) {
		/* There may be many. */
		if (d->buf.len > DUMP_BUFFER_BYTES / 2)
			write_buffer(d);
		buf_printf(&d->buf, "X-Rcpt-Args: " PRI_STR "\n", STR_ARG(line));
	}
	if (e->has_helo)
		buf_printf(&d->buf, "Received: from " PRI_STR, STR_ARG(e->helo));
	else
		buf_printf(&d->buf, "Received: from [%s]", e->client);
	buf_printf(
		&d->buf, " ([%s])\n\tby %s (smtp-sink) with %s id %08x;\n\t" PRI_STR "\n",
		e->client, sink->host, e->proto, id, STR_ARG(date_format(d->mem, now)));
}

static void
release(struct dump **dump)
{
	struct dump *d = *dump;
	struct arena *mem = d->mem;

	if (d->fd >= 0)
		sys_close(d->fd);
	buf_release(&d->buf);
	mem_free(d);
	arena_free(&mem);
	*dump = NULL;
}

bool
dump_open(const struct sink *sink, const struct dump_envelope *envelope,
	  struct dump **out, struct err *err)
{
	struct dump *d = mem_alloc(sizeof(*d));
	time_t now = (time_t)(sys_now_us() / 1000000);
	uint32_t id = random_id();
	const char *name = NULL;
	bool ok;

	d->mem = arena_new();
	d->fd = -1;
	d->append = sink->dump_single == NULL;
	buf_init(&d->buf, (size_t)DUMP_BUFFER_BYTES * 4);
	ok = expand_name(d->mem, d->append ? sink->dump_multi : sink->dump_single, now,
			 &name, err);
	d->path = name;
	if (ok)
		ok = d->append ? open_nameless(d, err) : open_single(d, name, &id, err);
	if (!ok) {
		release(&d);
		return false;
	}
	add_headers(d, sink, envelope, id, now);
	*out = d;
	return true;
}

void
dump_add(void *dump, struct str text)
{
	struct dump *d = dump;

	if (d->buf.len > 0 && d->buf.len + text.len > DUMP_BUFFER_BYTES)
		write_buffer(d);
	if (text.len > DUMP_BUFFER_BYTES) {
		if (!d->failed)
			d->failed = !io_write_all(d->fd, text, d->path, &d->err);
		return;
	}
	buf_add(&d->buf, text);
}

/* All of the nameless file to the end of the named one. */
static bool
append(struct dump *d, struct err *err)
{
	int to = open_making_directories(d->path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	bool ok = to >= 0 && sys_flock(to, LOCK_EX) == 0;
	off_t at = 0;
	char *block = mem_alloc(DUMP_BUFFER_BYTES);

	if (!ok)
		err_errno(err, ERR_TEMP, "open or lock %s", d->path);
	while (ok) {
		ssize_t got = sys_pread(d->fd, block, DUMP_BUFFER_BYTES, at);

		if (got < 0)
			ok = err_errno(err, ERR_TEMP, "read what was gathered for %s",
				       d->path);
		if (got <= 0)
			break;
		ok = io_write_all(to, str_from_mem(block, (size_t)got), d->path, err);
		at += got;
	}
	mem_free(block);
	if (to >= 0)
		sys_close(to);
	return ok;
}

bool
dump_commit(struct dump **dump, struct err *err)
{
	struct dump *d = *dump;
	bool ok;

	dump_add(d, STR("\n"));
	write_buffer(d);
	ok = !d->failed;
	if (!ok)
		*err = d->err;
	else if (d->append)
		ok = append(d, err);
	if (!ok && !d->append)
		IGNORE(sys_unlinkat(AT_FDCWD, d->path, 0) < 0);
	release(dump);
	return ok;
}

void
dump_abort(struct dump **dump)
{
	if (*dump == NULL)
		return;
	if (!(*dump)->append)
		IGNORE(sys_unlinkat(AT_FDCWD, (*dump)->path, 0) < 0);
	release(dump);
}
