/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/sys.h"

enum { LINE_MAX_BYTES = 256, ADDRESS_MAX = 64, MODE = 0600 };

static const char first_line[] = "hikyaku-postscreen 1\n";

struct cache {
	const char *path;
	int fd;              /* appending; -1: memory only */
	struct map *clients; /* address to struct stamps */
};

struct cache *
cache_new(const char *path)
{
	struct cache *c = mem_alloc(sizeof(*c));

	*c = (struct cache){.path = path, .fd = -1, .clients = map_new()};
	return c;
}

void
cache_free(struct cache **c)
{
	const struct map_entry *e;
	size_t at = 0;

	if (*c == NULL)
		return;
	while ((e = map_next((*c)->clients, &at)) != NULL)
		mem_free(e->value);
	map_free(&(*c)->clients);
	if ((*c)->fd >= 0)
		sys_close((*c)->fd);
	mem_free(*c);
	*c = NULL;
}

/* ---- memory ---- */

bool
cache_find(const struct cache *c, struct str address, struct stamps *out)
{
	const struct stamps *s = map_find(c->clients, address);

	if (s != NULL)
		*out = *s;
	return s != NULL;
}

static bool
keep(struct cache *c, struct str address, const struct stamps *s)
{
	struct stamps *old = map_find(c->clients, address);

	if (old == NULL) {
		if (map_count(c->clients) >= CACHE_CLIENTS_MAX)
			return false;
		old = mem_alloc(sizeof(*old));
		map_set(c->clients, address, old);
	}
	*old = *s;
	return true;
}

/* ---- lines ---- */

static void
format(struct buf *out, struct str address, const struct stamps *s)
{
	buf_add(out, address);
	for (unsigned t = 0; t < TESTS; t++)
		buf_printf(out, " %" PRId64, s->until[t]);
	buf_add_char(out, '\n');
}

static bool
parse(struct str line, struct str *address_out, struct stamps *out)
{
	struct str word;

	if (!str_token(&line, " ", address_out) || address_out->len > ADDRESS_MAX)
		return false;
	for (unsigned t = 0; t < TESTS; t++)
		if (!str_token(&line, " ", &word) ||
		    !str_to_i64(word, 0, INT64_MAX / 2, &out->until[t]))
			return false;
	return line.len == 0;
}

/* What comes after the last line end is half a line. */
static size_t
take_lines(struct cache *c, struct str text)
{
	size_t done = 0;

	for (;;) {
		struct str rest = str_skip(text, done);
		size_t end = str_index(rest, '\n');
		struct str address;
		struct stamps s;

		if (end == rest.len)
			return done;
		if (parse(str_head(rest, end), &address, &s))
			IGNORE(keep(c, address, &s));
		done += end + 1;
	}
}

/* ---- the file ---- */

static bool
read_all(struct cache *c, int fd, struct err *err)
{
	struct arena *mem = arena_new();
	struct buf *b = buf_new(mem, 1 << 17);
	int64_t budget = CACHE_FILE_MAX;
	bool ok = true;

	while (budget > 0) {
		char *p = buf_reserve(b, 1 << 16);
		ssize_t n = p == NULL ? 0 : sys_read(fd, p, 1 << 16);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ok = err_errno(err, ERR_TEMP, "read %s", c->path);
		if (n <= 0)
			break;
		budget -= n;
		buf_commit(b, (size_t)n);
		buf_consume(b, take_lines(c, buf_str(b)));
		/* A line without end is none of ours. */
		if (b->len > LINE_MAX_BYTES)
			buf_clear(b);
	}
	arena_free(&mem);
	return ok;
}

static bool
put(int fd, struct str text)
{
	while (text.len > 0) {
		ssize_t n = sys_write(fd, text.p, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text = str_skip(text, (size_t)n);
	}
	return true;
}

bool
cache_load(struct cache *c, struct err *err)
{
	struct stat st;

	if (c->path == NULL)
		return true;
	c->fd = sys_openat(AT_FDCWD, c->path,
			   O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, MODE);
	if (c->fd < 0)
		return err_errno(err, ERR_TEMP, "open %s", c->path);
	if (sys_fstat(c->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_size > 0 || put(c->fd, STR(first_line))) && read_all(c, c->fd, err))
		return true;
	sys_close(c->fd);
	c->fd = -1;
	return err_set(err, ERR_TEMP, "%s cannot be used", c->path);
}

bool
cache_store(struct cache *c, struct str address, const struct stamps *s, struct err *err)
{
	struct buf line;
	bool ok;

	if (!keep(c, address, s))
		return err_set(err, ERR_TEMP, "more than %d clients", CACHE_CLIENTS_MAX);
	if (c->fd < 0)
		return true;
	buf_init(&line, LINE_MAX_BYTES);
	format(&line, address, s);
	ok = buf_ok(&line) && put(c->fd, buf_str(&line));
	buf_release(&line);
	return ok || err_errno(err, ERR_TEMP, "write %s", c->path);
}

static bool
write_all(struct cache *c, int fd)
{
	const struct map_entry *e;
	struct buf b;
	size_t at = 0;
	bool ok = true;

	buf_init(&b, 1 << 17);
	buf_add_c(&b, first_line);
	while (ok && (e = map_next(c->clients, &at)) != NULL) {
		format(&b, e->key, e->value);
		if (b.len > 1 << 16) {
			ok = put(fd, buf_str(&b));
			buf_clear(&b);
		}
	}
	ok = ok && put(fd, buf_str(&b));
	buf_release(&b);
	return ok;
}

static bool
replace_file(struct cache *c, struct err *err)
{
	struct arena *mem = arena_new();
	const char *fresh = str_printf(mem, "%s.new", c->path).p;
	int fd;
	bool ok;

	IGNORE(sys_unlinkat(AT_FDCWD, fresh, 0) != 0);
	fd = sys_openat(AT_FDCWD, fresh,
			O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
			MODE);
	ok = fd >= 0 && write_all(c, fd) &&
	     sys_renameat(AT_FDCWD, fresh, AT_FDCWD, c->path) == 0;
	if (ok) {
		sys_close(c->fd);
		c->fd = fd;
	} else {
		IGNORE(err_errno(err, ERR_TEMP, "write %s", fresh));
		if (fd >= 0)
			sys_close(fd);
	}
	arena_free(&mem);
	return ok;
}

bool
cache_clean(struct cache *c, int64_t oldest, size_t *retained_out, size_t *dropped_out,
	    struct err *err)
{
	const struct map_entry *e;
	size_t dropped = 0;
	size_t at = 0;

	while ((e = map_next(c->clients, &at)) != NULL) {
		struct stamps *s = e->value;
		int64_t last = 0;

		for (unsigned t = 0; t < TESTS; t++)
			last = s->until[t] > last ? s->until[t] : last;
		if (last >= oldest)
			continue;
		map_remove(c->clients, e->key);
		mem_free(s);
		dropped++;
	}
	*dropped_out = dropped;
	*retained_out = map_count(c->clients);
	return c->fd < 0 || replace_file(c, err);
}
