/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/writer.h"

#include <inttypes.h>
#include <linux/magic.h>
#include <stdarg.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/panic.h"
#include "base/sys.h"

#include "queue/record.h"

/* Lines end with CR LF when the message travels: that is what SIZE= promises. */
enum { LINE_END_BYTES = 2 };
enum { FLUSH_BYTES = 32768, OUT_MAX = FLUSH_BYTES + RECORD_DATA_MAX + RECORD_HEAD_MAX };

static void
write_size_record(struct queue_writer *w, struct buf *out)
{
	struct arena *mem = arena_new();
	/* Fixed width, so that it can be written again in place. */
	struct str data =
		str_printf(mem,
			   "%15" PRId64 " %15" PRId64 " %15" PRId64 " %15" PRId64
			   " %15" PRId64 " %15" PRId64,
			   w->content_end - w->content_start, w->content_start,
			   w->rcpt_count, w->qmgr_opts, w->content_size, w->sendopts);

	record_encode(out, RECORD_LETTER(SIZE), data);
	arena_free(&mem);
}

void
queue_writer_init(struct arena *mem, struct queue_writer *w, int fd, int64_t max_bytes)
{
	*w = (struct queue_writer){.fd = fd, .max_bytes = max_bytes};
	w->out = buf_new(mem, OUT_MAX);
	write_size_record(w, w->out);
}

static void
flush(struct queue_writer *w)
{
	if (!w->failed && !io_write_all(w->fd, buf_str(w->out), "queue file", &w->err))
		w->failed = true;
	w->flushed += (int64_t)w->out->len;
	buf_clear(w->out);
}

bool
queue_writer_flush(struct queue_writer *w)
{
	flush(w);
	return !w->failed;
}

int64_t
queue_writer_offset(const struct queue_writer *w)
{
	return w->flushed + (int64_t)w->out->len;
}

void
queue_writer_record(struct queue_writer *w, char letter, struct str data)
{
	int64_t after = queue_writer_offset(w) + (int64_t)data.len + RECORD_HEAD_MAX;

	if (w->failed || w->too_large)
		return;
	if (w->max_bytes > 0 && after > w->max_bytes) {
		w->too_large = true;
		return;
	}
	record_encode(w->out, letter, data);
	if (letter == RECORD_LETTER(RECIPIENT))
		w->rcpt_count++;
	if (w->content_start > 0 && w->content_end == 0)
		w->content_size += (int64_t)data.len +
				   (letter == RECORD_LETTER(LINE) ? LINE_END_BYTES : 0);
	if (w->out->len >= FLUSH_BYTES)
		flush(w);
}

void
queue_writer_printf(struct queue_writer *w, char letter, const char *format, ...)
{
	struct arena *mem = arena_new();
	va_list ap;

	va_start(ap, format);
	queue_writer_record(w, letter, str_vprintf(mem, format, ap));
	va_end(ap);
	arena_free(&mem);
}

void
queue_writer_attribute(struct queue_writer *w, const char *name, struct str value)
{
	queue_writer_printf(w, RECORD_LETTER(ATTRIBUTE), "%s=" PRI_STR, name,
			    STR_ARG(value));
}

void
queue_writer_content(struct queue_writer *w)
{
	ensure(w->content_start == 0);
	queue_writer_record(w, RECORD_LETTER(MESSAGE), STR_EMPTY);
	w->content_start = queue_writer_offset(w);
}

void
queue_writer_extracted(struct queue_writer *w)
{
	ensure(w->content_start > 0 && w->content_end == 0);
	w->content_end = queue_writer_offset(w);
	queue_writer_record(w, RECORD_LETTER(EXTRACTED), STR_EMPTY);
}

/* Nothing has been written yet: the size record is put right in memory. */
static void
write_whole(struct queue_writer *w, struct str size)
{
	ensure(size.len <= w->out->len);
	for (size_t i = 0; i < size.len; i++)
		w->out->p[i] = size.p[i];
	w->failed = !io_write_all(w->fd, buf_str(w->out), "queue file", &w->err);
	w->is_whole = !w->failed;
}

struct str
queue_writer_whole(const struct queue_writer *w)
{
	return w->is_whole ? buf_str(w->out) : STR_EMPTY;
}

bool
queue_writer_end(struct queue_writer *w)
{
	struct arena *mem = arena_new();
	struct buf *size = buf_new(mem, 256);

	ensure(w->content_end > 0);
	queue_writer_record(w, RECORD_LETTER(END), STR_EMPTY);
	write_size_record(w, size);
	if (w->flushed == 0 && !w->failed && !w->too_large)
		write_whole(w, buf_str(size));
	else
		flush(w);
	if (!w->is_whole && !w->failed && !w->too_large) {
		ssize_t n = sys_pwrite(w->fd, size->p, size->len, 0);

		if (n < 0)
			w->failed = !err_errno(&w->err, ERR_TEMP, "write queue file");
		else if ((size_t)n != size->len)
			w->failed = !err_set(&w->err, ERR_TEMP,
					     "write queue file: short write");
	}
	arena_free(&mem);
	return !w->failed && !w->too_large;
}

bool
queue_writer_commit(int fd, mode_t mode, bool names, struct err *err)
{
	if (sys_fchmod(fd, mode) < 0)
		return err_errno(err, ERR_TEMP, "chmod queue file");
	if (sys_fsync(fd) < 0)
		return err_errno(err, ERR_TEMP, "sync queue file");
	if (names && sys_syncfs(fd) < 0)
		return err_errno(err, ERR_TEMP, "sync queue file system");
	return true;
}

bool
queue_writer_names(int fd, struct str word, bool *out, struct err *err)
{
	struct statfs fs;

	*out = str_eq(word, STR("yes"));
	if (*out || str_eq(word, STR("no")))
		return true;
	if (!str_eq(word, STR("auto")))
		return err_set(err, ERR_CONFIG,
			       "queue_sync_names: \"" PRI_STR
			       "\" is none of yes, no, auto",
			       STR_ARG(word));
	if (sys_fstatfs(fd, &fs) < 0)
		return err_errno(err, ERR_TEMP, "type of the queue's file system");
	*out = fs.f_type != EXT4_SUPER_MAGIC && fs.f_type != XFS_SUPER_MAGIC &&
	       fs.f_type != TMPFS_MAGIC;
	return true;
}
