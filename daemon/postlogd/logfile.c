/* SPDX-License-Identifier: Apache-2.0 */
#include "logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"

static bool
open_file(const char *path, int *fd_out, struct err *err)
{
	int fd;

	/* The descriptor that we have, not a new one of the same file: it may be a pipe
	 * or a socket that cannot be opened again. */
	if (strcmp(path, "/dev/stdout") == 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = sys_openat(AT_FDCWD, path,
				O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
				0600);
	if (fd < 0)
		return err_errno(err, ERR_CONFIG, "open logfile '%s'", path);
	*fd_out = fd;
	return true;
}

bool
logfile_open(struct logfile *f, const char *path, const char *host, struct err *err)
{
	struct logfile fresh = {.host = host};

	if (!open_file(path, &fresh.fd, err))
		return false;
	buf_init(&fresh.batch, LOGFILE_BATCH_BYTES);
	*f = fresh;
	return true;
}

void
logfile_release(struct logfile *f)
{
	logfile_flush(f);
	sys_close(f->fd);
	buf_release(&f->batch);
}

static void
add_line(struct logfile *f, struct str line)
{
	char *room;

	if (f->batch.len + line.len + 1 > LOGFILE_BATCH_BYTES)
		logfile_flush(f);
	room = buf_reserve(&f->batch, line.len + 1);
	if (room == NULL) {
		f->lost++;
		return;
	}
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.p[i];

		room[i] = c < ' ' || c == 127 ? '?' : (char)c;
	}
	room[line.len] = '\n';
	buf_commit(&f->batch, line.len + 1);
	f->lines++;
}

void
logfile_add(struct logfile *f, struct str text)
{
	while (text.len > 0) {
		size_t end = str_index(text, '\n');

		if (end > 0)
			add_line(f, str_head(text, end));
		text = str_skip(text, end + 1);
	}
}

/* Bytes that were written: less than there are only when it fails for good. */
static size_t
write_out(int fd, struct str all)
{
	size_t done = 0;

	while (done < all.len) {
		ssize_t n = sys_write(fd, all.p + done, all.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static size_t
count_lines(struct str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += text.p[i] == '\n';
	return n;
}

/* "Mon dd hh:mm:ss host postfix/postlogd[pid]: warning: ..." before the next lines. */
static void
tell_lost(struct logfile *f)
{
	char stamp[32] = "";
	time_t now = (time_t)(sys_now_us() / 1000000);
	struct tm tm;
	struct buf told;
	struct str text;

	if (f->lost == 0 && !f->torn)
		return;
	buf_init(&told, 1024);
	localtime_r(&now, &tm);
	IGNORE(strftime(stamp, sizeof(stamp), "%b %d %H:%M:%S", &tm) == 0);
	if (f->torn)
		buf_add_char(&told, '\n');
	if (f->lost > 0)
		buf_printf(
			&told,
			"%s %s postfix/postlogd[%d]: warning: %zu log lines were lost: "
			"%s\n",
			stamp, f->host, (int)getpid(), f->lost, strerror(f->lost_errno));
	text = buf_str(&told);
	if (write_out(f->fd, text) == text.len) {
		f->lost = 0;
		f->torn = false;
	}
	buf_release(&told);
}

void
logfile_flush(struct logfile *f)
{
	struct str all = buf_str(&f->batch);
	size_t done;

	if (all.len == 0)
		return;
	tell_lost(f);
	done = write_out(f->fd, all);
	if (done < all.len) {
		f->lost_errno = errno;
		f->lost += count_lines(str_skip(all, done));
		f->torn = done > 0 && all.p[done - 1] != '\n';
	}
	buf_clear(&f->batch);
	f->lines = 0;
}
