/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"

#include "queue/crc32c.h"
#include "queue/journal_internal.h"

enum { FILL_BYTES = 1 << 20, NUMBER_MAX = 1000 };

static const char mark_path[] = "journal/mark.0";

/* ---- records ---- */

uint32_t
journal_head_crc(const struct journal_head *h)
{
	size_t skip = offsetof(struct journal_head, sequence);

	return crc32c(0, str_from_mem((const char *)h + skip, sizeof(*h) - skip));
}

uint32_t
journal_record_crc(const char *record, const struct journal_record *r)
{
	size_t skip = offsetof(struct journal_record, sequence);

	return crc32c(
		0, str_from_mem(record + skip, sizeof(*r) - skip + r->id_len + r->bytes));
}

static void
add_record(struct buf *batch, int type, enum queue_name q, struct str id, struct str file)
{
	static const char zeros[8];
	struct journal_record r = {.magic = JOURNAL_RECORD_MAGIC,
				   .time_us = sys_mono_us(),
				   .bytes = (uint32_t)file.len,
				   .type = (uint8_t)type,
				   .queue = (uint8_t)q,
				   .id_len = (uint8_t)id.len};
	size_t size = journal_record_size(&r);

	ensure(id.len > 0 && id.len <= UINT8_MAX && file.len <= JOURNAL_MESSAGE_MAX);
	buf_add(batch, str_from_mem((const char *)&r, sizeof(r)));
	buf_add(batch, id);
	buf_add(batch, file);
	buf_add(batch, str_from_mem(zeros, size - sizeof(r) - id.len - file.len));
}

void
journal_add_message(struct buf *batch, enum queue_name q, struct str id, struct str file)
{
	add_record(batch, JOURNAL_MESSAGE, q, id, file);
}

void
journal_add_removed(struct buf *batch, struct str id)
{
	add_record(batch, JOURNAL_REMOVED, QUEUE_ACTIVE, id, STR_EMPTY);
}

/* The sequence number is known only now. */
static void
seal(char *batch, size_t len, uint64_t sequence)
{
	for (size_t at = 0; at < len;) {
		struct journal_record r;

		memcpy(&r, batch + at, sizeof(r));
		r.sequence = sequence;
		memcpy(batch + at, &r, sizeof(r));
		r.crc = journal_record_crc(batch + at, &r);
		memcpy(batch + at, &r, sizeof(r));
		at += journal_record_size(&r);
	}
}

/* ---- files ---- */

int
journal_open_locked(int root, const char *path, int flags)
{
	int fd = sys_openat(root, path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st;
	int why;

	if (fd < 0)
		return -1;
	/* Between the two the replay may have taken it for a dead one. */
	if (sys_fcntl(fd, F_OFD_SETLK, &lock) == 0 && sys_fstat(fd, &st) == 0) {
		if (st.st_nlink > 0)
			return fd;
		errno = ENOENT;
	}
	why = errno == EACCES || errno == EAGAIN ? EWOULDBLOCK : errno;
	sys_close(fd);
	errno = why;
	return -1;
}

bool
journal_sync_directory(int root, struct err *err)
{
	int fd = sys_openat(root, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "open directory journal");
	ok = sys_fsync(fd) == 0 || err_errno(err, ERR_TEMP, "sync directory journal");
	sys_close(fd);
	return ok;
}

bool
journal_is_mark(struct str name)
{
	return str_eq(name, STR("mark.0"));
}

/* Asks without taking the lock: two that count must not take each other for owners. */
static bool
count_one(int directory, const char *name, struct journal_census *c, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = sys_openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	bool ok;

	if (fd < 0)
		return errno == ENOENT ||
		       err_errno(err, ERR_TEMP, "open journal/%s", name);
	ok = sys_fcntl(fd, F_OFD_GETLK, &lock) == 0 ||
	     err_errno(err, ERR_TEMP, "ask for the lock of journal/%s", name);
	sys_close(fd);
	if (ok && lock.l_type == F_UNLCK) {
		c->dead++;
	} else if (ok) {
		c->live++;
		c->keeper = c->keeper || str_starts(str_from(name), STR("qmgr."));
	}
	return ok;
}

bool
journal_count(int root, struct journal_census *out, struct err *err)
{
	int fd = sys_openat(root, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	struct dirent *e;
	bool ok = true;
	DIR *d;

	*out = (struct journal_census){0};
	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd < 0)
		return err_errno(err, ERR_TEMP, "open directory journal");
	d = fdopendir(fd);
	if (d == NULL) {
		sys_close(fd);
		return err_errno(err, ERR_TEMP, "read directory journal");
	}
	while (ok && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.' && !journal_is_mark(str_from(e->d_name)))
			ok = count_one(dirfd(d), e->d_name, out, err);
	}
	closedir(d);
	return ok;
}

static bool
read_boot(char *boot, struct err *err)
{
	struct arena *mem = arena_new();
	struct str text;
	bool ok = io_read_file(mem, AT_FDCWD, "/proc/sys/kernel/random/boot_id", 100,
			       &text, err);

	if (ok)
		memcpy(boot, text.p, MIN_OF(text.len, (size_t)JOURNAL_BOOT_BYTES));
	arena_free(&mem);
	return ok;
}

bool
journal_init(struct journal *j, int root, const char *name, int64_t size,
	     bool needs_keeper, struct err *err)
{
	*j = (struct journal){.root = root,
			      .name = name,
			      .size = MAX_OF(size, (int64_t)JOURNAL_SIZE_MIN),
			      .needs_keeper = needs_keeper};
	return read_boot(j->boot, err);
}

/* A short count goes on; nothing is tried again after an error. */
static bool
write_at(int fd, const char *p, size_t len, int64_t at, struct err *err)
{
	while (len > 0) {
		ssize_t n = sys_pwrite(fd, p, len, at);

		if (n <= 0)
			return err_errno(err, ERR_TEMP, "write journal");
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool
write_head(int fd, uint64_t sequence, int64_t mark, const char *boot, struct err *err)
{
	struct journal_head h = {
		.magic = JOURNAL_MAGIC, .sequence = sequence, .mark = mark};

	memcpy(h.boot, boot, sizeof(h.boot));
	h.crc = journal_head_crc(&h);
	return write_at(fd, (const char *)&h, sizeof(h), 0, err);
}

/* ENOSPC shows here, and not when a message is written. */
static bool
fill(int fd, int64_t size, struct err *err)
{
	char *zeros = mem_alloc(FILL_BYTES);
	bool ok = true;

	for (int64_t at = 0; ok && at < size; at += FILL_BYTES)
		ok = write_at(fd, zeros, (size_t)MIN_OF(size - at, (int64_t)FILL_BYTES),
			      at, err);
	mem_free(zeros);
	return ok;
}

static bool
make_file(struct journal *j, int fd, struct err *err)
{
	j->sequence++;
	j->at = JOURNAL_BLOCK;
	return fill(fd, j->size, err) && write_head(fd, j->sequence, 0, j->boot, err) &&
	       (sys_fsync(fd) == 0 || err_errno(err, ERR_TEMP, "sync journal")) &&
	       journal_sync_directory(j->root, err);
}

static int
new_file(struct journal *j, struct arena *mem, struct str *path_out, struct err *err)
{
	while (j->number < NUMBER_MAX) {
		struct str path = str_printf(mem, "journal/%s.%u", j->name, j->number++);
		int fd = journal_open_locked(j->root, path.p, O_CREAT | O_EXCL);

		*path_out = path;
		if (fd >= 0)
			return fd;
		if (errno != EEXIST && errno != EWOULDBLOCK && errno != ENOENT)
			break;
		if (errno == ENOENT && j->number > JOURNAL_FILES_MAX)
			break;
	}
	IGNORE(err_errno(err, ERR_TEMP, "create file in directory journal"));
	j->number = 0;
	return -1;
}

static bool
may_begin(struct journal *j, struct err *err)
{
	struct journal_census c;

	if (j->n_fds == JOURNAL_FILES_MAX)
		return err_set(err, ERR_PERM, "journal: too many files had errors");
	if (!journal_count(j->root, &c, err))
		return false;
	if (j->needs_keeper && !c.keeper)
		return err_set(err, ERR_PERM, "journal: qmgr does not keep one");
	if (c.live + c.dead >= JOURNAL_ALL_MAX)
		return err_set(err, ERR_PERM, "journal: %d files are there already",
			       c.live + c.dead);
	return true;
}

static bool
begin(struct journal *j, struct err *err)
{
	struct arena *mem = arena_new();
	struct str path = STR_EMPTY;
	int fd = -1;

	if (may_begin(j, err))
		fd = new_file(j, mem, &path, err);
	if (fd >= 0 && !make_file(j, fd, err)) {
		IGNORE(sys_unlinkat(j->root, path.p, 0) < 0);
		sys_close(fd);
		fd = -1;
	}
	arena_free(&mem);
	if (fd < 0)
		return false;
	j->fds[j->n_fds++] = fd;
	j->usable = true;
	return true;
}

/* Full: what its records are for is on disk after this. */
static bool
begin_anew(struct journal *j, struct err *err)
{
	int fd = j->fds[j->n_fds - 1];
	int64_t mark = sys_mono_us();

	if (sys_syncfs(j->root) < 0)
		return err_errno(err, ERR_TEMP, "sync queue file system");
	j->sequence++;
	j->at = JOURNAL_BLOCK;
	return write_head(fd, j->sequence, mark, j->boot, err) &&
	       (sys_fdatasync(fd) == 0 || err_errno(err, ERR_TEMP, "sync journal"));
}

/* ---- writing ---- */

bool
journal_sync(struct journal *j, struct err *err)
{
	if (!j->usable || sys_fdatasync(j->fds[j->n_fds - 1]) == 0)
		return true;
	j->usable = false;
	return err_errno(err, ERR_TEMP, "sync journal");
}

static bool
has_room(const struct journal *j, size_t len)
{
	return j->at + (int64_t)len <= j->size;
}

bool
journal_write(struct journal *j, struct str batch, bool sync, struct err *err)
{
	char *sealed;
	bool ok;

	ensure(batch.len <= JOURNAL_BATCH_MAX);
	if (!j->usable && !begin(j, err))
		return false;
	if (!has_room(j, batch.len) && !begin_anew(j, err)) {
		j->usable = false;
		return false;
	}
	sealed = mem_alloc(batch.len);
	memcpy(sealed, batch.p, batch.len);
	seal(sealed, batch.len, j->sequence);
	ok = write_at(j->fds[j->n_fds - 1], sealed, batch.len, j->at, err);
	mem_free(sealed);
	j->at += (int64_t)batch.len;
	j->usable = ok;
	return ok && (!sync || journal_sync(j, err));
}

/* ---- the end ---- */

static bool
is_mine(const struct journal *j, ino_t inode)
{
	struct stat st;

	for (unsigned i = 0; i < j->n_fds; i++) {
		if (sys_fstat(j->fds[i], &st) == 0 && st.st_ino == inode)
			return true;
	}
	return false;
}

/* By inode: the names of what was given up are not remembered. */
static bool
remove_files(struct journal *j, struct err *err)
{
	int fd = sys_openat(j->root, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (is_mine(j, e->d_ino))
			IGNORE(sys_unlinkat(dirfd(d), e->d_name, 0) < 0);
	}
	if (d != NULL)
		closedir(d);
	return journal_sync_directory(j->root, err);
}

bool
journal_close(struct journal *j, struct err *err)
{
	bool ok = true;

	if (j->n_fds == 0)
		return true;
	/* Others may still hold messages of which our file says that they are gone. */
	if (!j->needs_keeper)
		ok = journal_mark(j->root, j->boot, err);
	if (ok && sys_syncfs(j->root) < 0)
		ok = err_errno(err, ERR_TEMP, "sync queue file system");
	ok = ok && remove_files(j, err);
	for (unsigned i = 0; i < j->n_fds; i++)
		sys_close(j->fds[i]);
	j->n_fds = 0;
	j->usable = false;
	return ok;
}

bool
journal_mark(int root, const char *known_boot, struct err *err)
{
	char boot[JOURNAL_BOOT_BYTES] = {0};
	int64_t mark = sys_mono_us();
	struct journal_census c;
	bool ok;
	int fd;

	if (!journal_count(root, &c, err))
		return false;
	if (c.live == 0)
		return true;
	if (sys_syncfs(root) < 0)
		return err_errno(err, ERR_TEMP, "sync queue file system");
	fd = sys_openat(root, mark_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, ERR_TEMP, "open file %s", mark_path);
	if (known_boot != NULL)
		memcpy(boot, known_boot, sizeof(boot));
	ok = (known_boot != NULL || read_boot(boot, err)) &&
	     write_head(fd, 1, mark, boot, err) &&
	     (sys_fsync(fd) == 0 || err_errno(err, ERR_TEMP, "sync journal")) &&
	     journal_sync_directory(root, err);
	sys_close(fd);
	return ok;
}
