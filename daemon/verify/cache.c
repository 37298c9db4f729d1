/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/sys.h"

enum { LINES_SPARE = 1000, FILE_MODE = 0600, FIELDS = 5 };

void
cache_init(struct cache *c, const struct verify_config *config, const char *path)
{
	*c = (struct cache){
		.config = config, .entries = map_new(), .path = path, .fd = -1};
}

static void
close_file(struct cache *c)
{
	if (c->fd >= 0)
		sys_close(c->fd);
	c->fd = -1;
}

void
cache_release(struct cache *c)
{
	const struct map_entry *e;
	size_t at = 0;

	close_file(c);
	while ((e = map_next(c->entries, &at)) != NULL)
		mem_free(e->value);
	map_free(&c->entries);
}

/* ---- entries ---- */

static struct str
reason_of(const struct cache_entry *e)
{
	return (struct str){e->reason, e->reason_len};
}

static bool
is_too_old(const struct cache *c, const struct cache_entry *e, int64_t now)
{
	int64_t life = e->status == VERIFY_OK
			       ? c->config->address_verify_positive_expire_time
			       : c->config->address_verify_negative_expire_time;

	if (e->status == VERIFY_PENDING)
		return e->probed + CACHE_PROBE_S < now;
	return e->updated + life < now;
}

static bool
wants_refresh(const struct cache *c, const struct cache_entry *e, int64_t now)
{
	int64_t age = e->status == VERIFY_OK
			      ? c->config->address_verify_positive_refresh_time
			      : c->config->address_verify_negative_refresh_time;

	return e->status == VERIFY_PENDING || e->updated + age < now;
}

static void
drop_oldest(struct cache *c)
{
	size_t at = 0;
	const struct map_entry *e = map_next(c->entries, &at);

	if (e != NULL)
		mem_free(map_remove(c->entries, e->key));
}

static struct cache_entry *
put(struct cache *c, struct str address, enum verify_result status, int64_t probed,
    int64_t updated, struct str reason)
{
	struct cache_entry *e;

	reason = str_head(reason, CACHE_REASON_MAX);
	e = mem_alloc(mem_size_add(sizeof(*e), reason.len));
	*e = (struct cache_entry){status, probed, updated, reason.len};
	if (reason.len > 0)
		memcpy(e->reason, reason.p, reason.len);
	if (map_count(c->entries) >= CACHE_ENTRIES_MAX &&
	    map_find(c->entries, address) == NULL)
		drop_oldest(c);
	mem_free(map_set(c->entries, address, e));
	return e;
}

/* ---- the file ---- */

/* Addresses with control characters stay in memory. */
static bool
fits_in_line(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	}
	return s.len > 0;
}

static void
add_line(struct buf *b, struct arena *mem, struct str address,
	 const struct cache_entry *e)
{
	if (e == NULL) {
		buf_printf(b, PRI_STR "\t\n", STR_ARG(address));
		return;
	}
	buf_printf(b, PRI_STR "\t%d\t%" PRId64 "\t%" PRId64 "\t" PRI_STR "\n",
		   STR_ARG(address), (int)e->status, e->probed, e->updated,
		   STR_ARG(str_printable(mem, reason_of(e), true)));
}

/* A file that cannot be written any more is given up until it is written anew. */
static void
append(struct cache *c, struct str address, const struct cache_entry *e)
{
	struct arena *mem;
	struct buf *b;
	struct err err;

	if (c->fd < 0 || !fits_in_line(address))
		return;
	mem = arena_new();
	b = buf_new(mem, 64 << 10);
	add_line(b, mem, address, e);
	if (buf_ok(b) && !io_write_all(c->fd, buf_str(b), c->path, &err))
		close_file(c);
	c->n_lines++;
	arena_free(&mem);
}

static bool
is_number(struct str field, int64_t max, int64_t *out)
{
	return str_to_i64(field, 0, max, out);
}

static void
read_line(struct cache *c, struct str line, int64_t now)
{
	struct str field[FIELDS];
	struct cache_entry *e;
	int64_t status;
	int64_t probed;
	int64_t updated;
	size_t n = 0;

	while (n < FIELDS - 1 && str_split(line, '\t', &field[n], &line))
		n++;
	field[n++] = line;
	if (n == 2 && field[1].len == 0)
		mem_free(map_remove(c->entries, field[0]));
	if (n != FIELDS || field[0].len == 0 ||
	    !is_number(field[1], VERIFY_PENDING, &status) ||
	    !is_number(field[2], INT64_MAX / 2, &probed) ||
	    !is_number(field[3], INT64_MAX / 2, &updated))
		return;
	e = put(c, field[0], (enum verify_result)status, MIN_OF(probed, now),
		MIN_OF(updated, now), field[4]);
	if (is_too_old(c, e, now))
		mem_free(map_remove(c->entries, field[0]));
}

bool
cache_open(struct cache *c, int64_t now, struct err *err)
{
	struct arena *mem;
	struct str text = STR_EMPTY;
	struct str line;

	if (c->path == NULL)
		return true;
	mem = arena_new();
	c->fd = sys_openat(AT_FDCWD, c->path,
			   O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			   FILE_MODE);
	if (c->fd < 0 || !io_read_all(mem, c->fd, CACHE_FILE_MAX, c->path, &text, err)) {
		if (c->fd < 0)
			IGNORE(err_errno(err, ERR_TEMP, "open %s", c->path));
		close_file(c);
		arena_free(&mem);
		return false;
	}
	/* What was cut off by a crash has no end of line. */
	text.len = str_rindex(text, '\n') < text.len ? str_rindex(text, '\n') + 1 : 0;
	while (str_line(&text, &line)) {
		read_line(c, line, now);
		c->n_lines++;
	}
	arena_free(&mem);
	return true;
}

bool
cache_rewrite(struct cache *c, struct err *err)
{
	struct arena *mem;
	struct buf *b;
	const struct map_entry *e;
	size_t at = 0;
	bool ok;

	if (c->path == NULL)
		return true;
	mem = arena_new();
	b = buf_new(mem, CACHE_FILE_MAX);
	while ((e = map_next(c->entries, &at)) != NULL) {
		if (fits_in_line(e->key))
			add_line(b, mem, e->key, e->value);
	}
	ok = (buf_ok(b) || err_set(err, ERR_TEMP, "%s: too large", c->path)) &&
	     io_replace_file(c->path, buf_str(b), FILE_MODE, err);
	arena_free(&mem);
	if (!ok)
		return false;
	close_file(c);
	c->n_lines = map_count(c->entries);
	c->fd = sys_openat(AT_FDCWD, c->path,
			   O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0);
	return c->fd >= 0 || err_errno(err, ERR_TEMP, "open %s", c->path);
}

bool
cache_is_stale(const struct cache *c)
{
	return c->path != NULL &&
	       c->n_lines > map_count(c->entries) * (size_t)2 + LINES_SPARE;
}

/* ---- questions and results ---- */

enum verify_result
cache_query(struct cache *c, struct str address, int64_t now, struct str *reason_out,
	    bool *probe_out)
{
	struct cache_entry *e = map_find(c->entries, address);

	*probe_out = false;
	if (e == NULL || is_too_old(c, e, now))
		e = put(c, address, VERIFY_PENDING, 0, 0,
			STR("Address verification in progress"));
	if (e->probed + CACHE_PROBE_S < now && wants_refresh(c, e, now)) {
		*probe_out = true;
		/* Where no failure comes back, every question is one for a probe. */
		if (e->updated != 0 || c->config->address_verify_negative_cache) {
			e->probed = now;
			append(c, address, e);
		}
	}
	*reason_out = reason_of(e);
	return e->status;
}

void
cache_update(struct cache *c, struct str address, enum verify_result status,
	     struct str reason, int64_t now)
{
	const struct cache_entry *old = map_find(c->entries, address);

	if (status != VERIFY_OK && old != NULL && old->status == VERIFY_OK &&
	    !is_too_old(c, old, now))
		return;
	append(c, address, put(c, address, status, 0, now, reason));
}

void
cache_probe_failed(struct cache *c, struct str address)
{
	struct cache_entry *e = map_find(c->entries, address);

	if (e != NULL)
		e->probed = 0;
}

void
cache_expire(struct cache *c, int64_t now, size_t *kept_out, size_t *dropped_out)
{
	const struct map_entry *e;
	size_t at = 0;

	*dropped_out = 0;
	while ((e = map_next(c->entries, &at)) != NULL) {
		if (!is_too_old(c, e->value, now))
			continue;
		append(c, e->key, NULL);
		mem_free(map_remove(c->entries, e->key));
		++*dropped_out;
	}
	*kept_out = map_count(c->entries);
}
