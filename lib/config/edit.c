/* SPDX-License-Identifier: Apache-2.0 */
#include "config/edit.h"

#include <errno.h>
#include <fcntl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/sys.h"
#include "config/lines.h"

enum { FILE_BYTES_MAX = 1048576, NOTES_MAX = 1000, LOCK_TRIES = 100, LOCK_WAIT_MS = 100 };

static void
note(struct edit_notes *notes, struct str text)
{
	if (notes->count < NOTES_MAX)
		notes->at[notes->count++] = text;
}

struct change {
	const struct config_override *item;
	unsigned seen; /* entries of that name in the file */
};

static struct change *
change_find(struct change *changes, size_t count, struct str name)
{
	/* The last request for a name wins. */
	for (size_t i = count; i-- > 0;) {
		if (str_eq(changes[i].item->name, name))
			return &changes[i];
	}
	return NULL;
}

static void
write_setting(struct buf *out, const struct config_override *item)
{
	buf_printf(out, PRI_STR " = " PRI_STR "\n", STR_ARG(item->name),
		   STR_ARG(item->value));
}

/* Comment and empty lines among the lines of an entry stay when the entry goes. */
static void
write_entry(struct buf *out, struct str raw, enum edit_mode mode)
{
	struct str line, rest = raw;

	while (rest.len > 0) {
		size_t len = MIN_OF(str_index(rest, '\n') + 1, rest.len);
		struct str text;

		line = str_head(rest, len);
		rest = str_skip(rest, len);
		text = str_trim(line);
		if (text.len == 0 || *text.p == '#') {
			buf_add(out, line);
		} else if (mode == EDIT_COMMENT) {
			buf_add_char(out, '#');
			buf_add(out, line);
		}
	}
}

bool
edit_main(struct arena *mem, struct str old, enum edit_mode mode,
	  const struct config_override *items, size_t count, struct str *out_text,
	  struct edit_notes *notes, struct err *err)
{
	struct buf *out = buf_new(mem, FILE_BYTES_MAX);
	struct change *changes = arena_alloc_array(mem, count + 1, sizeof(*changes));
	struct lines at = lines_start(old);
	struct lines_item line;

	notes->at = arena_alloc_array(mem, NOTES_MAX, sizeof(struct str));
	notes->count = 0;
	for (size_t i = 0; i < count; i++) {
		changes[i].item = &items[i];
		if (mode == EDIT_SET && change_find(changes, i, items[i].name) != NULL) {
			struct change *c = change_find(changes, i, items[i].name);

			note(notes,
			     str_printf(mem,
					"ignoring earlier request: '" PRI_STR
					" = " PRI_STR "'",
					STR_ARG(c->item->name), STR_ARG(c->item->value)));
			c->seen = 1; /* not to be appended */
		}
	}
	while (lines_next(mem, &at, &line)) {
		struct str name =
			str_head(line.text, str_index_any(line.text, "= \t\r\n"));
		struct change *c = line.kind == LINES_TEXT
					   ? change_find(changes, count, name)
					   : NULL;

		if (c == NULL) {
			buf_add(out, line.raw);
			continue;
		}
		if (++c->seen == 2)
			note(notes,
			     str_printf(mem, "%s: multiple entries for \"" PRI_STR "\"",
					notes->file, STR_ARG(name)));
		if (mode == EDIT_SET)
			write_setting(out, c->item);
		write_entry(out, line.raw, mode);
	}
	/* A last line without its end must not grow together with a new one. */
	if (out->len > 0 && out->p[out->len - 1] != '\n')
		buf_add_char(out, '\n');
	for (size_t i = 0; i < count && mode == EDIT_SET; i++) {
		if (changes[i].seen == 0)
			write_setting(out, changes[i].item);
	}
	if (!buf_ok(out))
		return err_set(err, ERR_CONFIG, "%s: larger than %d bytes", notes->file,
			       FILE_BYTES_MAX);
	*out_text = buf_str(out);
	return true;
}

/* The lock is on the file that has the name now: whoever waited for the old one must
 * look again, because it has been replaced meanwhile. */
static int
open_locked(const char *path, struct err *err)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		int fd = sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
		struct stat mine, now;
		const struct timespec wait = {.tv_nsec = LOCK_WAIT_MS * 1000000L};

		if (fd < 0) {
			err_errno(err, ERR_TEMP, "open %s", path);
			return -1;
		}
		if (sys_flock(fd, LOCK_EX | LOCK_NB) == 0 && sys_fstat(fd, &mine) == 0 &&
		    sys_fstatat(AT_FDCWD, path, &now, 0) == 0 &&
		    mine.st_ino == now.st_ino && mine.st_dev == now.st_dev)
			return fd;
		sys_close(fd);
		nanosleep(&wait, NULL);
	}
	err_set(err, ERR_TEMP, "lock %s: somebody else is changing it", path);
	return -1;
}

bool
edit_file(struct arena *mem, const char *path, edit_fn *change, void *closure,
	  struct err *err)
{
	int fd = open_locked(path, err);
	struct str old, new;
	bool ok;

	if (fd < 0)
		return false;
	ok = io_read_all(mem, fd, FILE_BYTES_MAX, path, &old, err) &&
	     change(mem, old, &new, closure, err);
	if (ok && !str_eq(old, new))
		ok = io_replace_file(path, new, 0644, err);
	sys_close(fd);
	return ok;
}
