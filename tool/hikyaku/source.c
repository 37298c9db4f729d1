/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `buf` holds bytes base..base+len of the log. Blocks are handed out from `next` on. For
 * a plain file everything before `next` is thrown away before reading more; for a stream
 * only when the buffer is full, and then SOURCE_KEEP bytes stay.
 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/sys.h"

struct source {
	struct source_facts facts;
	int fd;        /* plain file */
	gzFile stream; /* everything else */
	char *buf;
	size_t size;
	uint64_t base;
	size_t len, next;
	bool follow;
	bool in_huge_line;
	char *again; /* for source_again() of a plain file */
	ino_t inode;
	dev_t device;
};

static void
close_stream(void *p)
{
	gzclose(p);
}

static bool
is_compressed(int fd)
{
	unsigned char magic[2];

	return sys_pread(fd, magic, sizeof(magic), 0) == 2 && magic[0] == 0x1f &&
	       magic[1] == 0x8b;
}

static bool
open_stream(struct arena *mem, struct source *s, int fd, struct err *err)
{
	s->stream = gzdopen(fd, "rb");
	if (s->stream == NULL) {
		close(fd);
		return err_set(err, ERR_TEMP, "%s: cannot be decompressed",
			       s->facts.path);
	}
	gzbuffer(s->stream, SOURCE_BLOCK);
	arena_defer(mem, close_stream, s->stream);
	s->fd = -1;
	s->size = SOURCE_KEEP + 16 * (size_t)SOURCE_BLOCK;
	return true;
}

bool
source_open(struct arena *mem, const char *path, struct source **source_out,
	    struct err *err)
{
	struct source *s = ARENA_NEW(mem, struct source);
	struct stat st;
	int fd;

	s->facts.path = arena_strdup(mem, path);
	s->facts.modified_s = sys_now_us() / 1000000;
	if (strcmp(path, "-") == 0) {
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return err_errno(err, ERR_TEMP, "standard input");
		if (!open_stream(mem, s, fd, err))
			return false;
	} else {
		fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
		if (fd < 0)
			return err_errno(err, ERR_TEMP, "open %s", path);
		if (sys_fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
			sys_close(fd);
			return err_set(err, ERR_PERM, "%s: not a log file", path);
		}
		s->facts.modified_s = st.st_mtim.tv_sec;
		s->inode = st.st_ino;
		s->device = st.st_dev;
		if (!S_ISREG(st.st_mode) || is_compressed(fd)) {
			if (!open_stream(mem, s, fd, err))
				return false;
		} else {
			arena_defer_close(mem, fd);
			s->fd = fd;
			s->size = (size_t)2 * SOURCE_BLOCK;
			s->facts.seekable = true;
			s->again = arena_alloc(mem, SOURCE_BLOCK);
			posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		}
	}
	s->buf = arena_alloc(mem, s->size);
	*source_out = s;
	return true;
}

const struct source_facts *
source_facts(const struct source *s)
{
	return &s->facts;
}

static void
make_room(struct source *s)
{
	size_t keep = s->facts.seekable ? 0 : SOURCE_KEEP;
	size_t drop;

	if (!s->facts.seekable && s->size - s->len >= SOURCE_BLOCK)
		return;
	drop = s->next > keep ? s->next - keep : 0;
	if (drop == 0)
		return;
	memmove(s->buf, s->buf + drop, s->len - drop);
	s->base += drop;
	s->len -= drop;
	s->next -= drop;
}

/* Read more behind what is there. False at the end. */
static bool
fill(struct source *s)
{
	size_t room = MIN_OF(s->size - s->len, (size_t)SOURCE_BLOCK);
	ssize_t n;

	if (s->stream != NULL) {
		int z = 0;

		n = gzread(s->stream, s->buf + s->len, (unsigned)room);
		if (n <= 0) {
			gzerror(s->stream, &z);
			s->facts.damaged = s->facts.damaged || n < 0 || z != Z_OK;
		}
	} else {
		do
			n = sys_read(s->fd, s->buf + s->len, room);
		while (n < 0 && errno == EINTR);
		s->facts.damaged = s->facts.damaged || n < 0;
	}
	if (n <= 0)
		return false;
	s->len += (size_t)n;
	return true;
}

/* A line that fills a block is no maillog line: forget it up to its end. */
static void
drop_huge_line(struct source *s)
{
	if (!s->in_huge_line)
		s->facts.huge_lines++;
	s->in_huge_line = true;
	s->next = s->len;
}

bool
source_next(struct source *s, struct str *block_out, uint64_t *offset_out)
{
	for (;;) {
		struct str fresh;
		size_t end;
		bool more;

		make_room(s);
		more = fill(s);
		fresh = str_from_mem(s->buf + s->next, s->len - s->next);
		if (s->in_huge_line && fresh.len > 0) {
			size_t lf = str_index(fresh, '\n');

			s->next += MIN_OF(lf + 1, fresh.len);
			s->in_huge_line = lf == fresh.len;
			fresh = str_skip(fresh, lf + 1);
		}
		end = str_rindex(fresh, '\n');
		if (end == fresh.len && !more && (fresh.len == 0 || s->follow))
			return false;
		if (end < fresh.len || !more) {
			end = MIN_OF(end + 1, fresh.len);
			*block_out = str_head(fresh, end);
			*offset_out = s->base + s->next;
			s->next += end;
			return true;
		}
		if (fresh.len >= SOURCE_BLOCK)
			drop_huge_line(s);
	}
}

struct str
source_again(struct source *s, uint64_t from, uint64_t to, uint64_t *offset_out)
{
	to = MIN_OF(to, from + SOURCE_BLOCK);
	if (s->facts.seekable) {
		ssize_t n = sys_pread(s->fd, s->again, (size_t)(to - from), (off_t)from);

		*offset_out = from;
		return n <= 0 ? STR_EMPTY : str_from_mem(s->again, (size_t)n);
	}
	from = MAX_OF(from, s->base);
	to = MIN_OF(to, s->base + s->next);
	*offset_out = from;
	if (from >= to)
		return STR_EMPTY;
	return str_from_mem(s->buf + (from - s->base), (size_t)(to - from));
}

void
source_follow(struct source *s)
{
	s->follow = true;
}

bool
source_rewind(struct source *s, struct err *err)
{
	if (s->stream != NULL ? gzrewind(s->stream) != 0
			      : sys_lseek(s->fd, 0, SEEK_SET) != 0)
		return err_set(err, ERR_PERM, "%s cannot be read a second time",
			       s->facts.path);
	s->base = 0;
	s->len = s->next = 0;
	s->in_huge_line = false;
	return true;
}

bool
source_was_rotated(const struct source *s)
{
	struct stat now;

	if (!s->facts.seekable || sys_fstatat(AT_FDCWD, s->facts.path, &now, 0) < 0)
		return false;
	return now.st_ino != s->inode || now.st_dev != s->device ||
	       (uint64_t)now.st_size < s->base + s->next;
}
