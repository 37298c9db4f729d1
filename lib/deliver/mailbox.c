/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending to a mailbox file, and a maildir. Both say "done" only when the message is on
 * disk. What does not get to its end leaves nothing: the file is cut to its old length, a
 * maildir has seen only a file in tmp/.
 *
 * A maildir's file name follows from the message and the recipient, so that a delivery
 * that is repeated after a crash finds its own file instead of making a second one.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/sys.h"

#include "deliver/job_internal.h"

struct sink {
	int fd;
	int64_t bytes;
	int64_t max_bytes; /* 0: none */
	int errnum;
};

static bool
sink_write(void *arg, struct str piece)
{
	struct sink *s = arg;
	struct err err;

	s->bytes += (int64_t)piece.len;
	if (s->max_bytes > 0 && s->bytes > s->max_bytes) {
		s->errnum = EFBIG;
		return false;
	}
	if (io_write_all(s->fd, piece, "mailbox", &err))
		return true;
	s->errnum = err.errnum;
	return false;
}

/* ---- failure ---- */

static const char *
failure_status(const struct job *j, int errnum)
{
	if (errnum == EDQUOT || errnum == EFBIG)
		return "5.2.2";
	if (j->kind == JOB_FILE &&
	    (errnum == ENOENT || errnum == ENOTDIR || errnum == EISDIR ||
	     errnum == EACCES || errnum == EPERM || errnum == ELOOP))
		return "5.2.0";
	return "4.2.0";
}

static void
mailbox_failed(struct job *j, const char *status, const char *path, const char *why)
{
	if (j->kind == JOB_MAILBOX)
		job_dsn(j, status, "delivery failed to mailbox %s: %s", path, why);
	else if (j->kind == JOB_FILE)
		job_dsn(j, status, "cannot append message to file %s: %s", path, why);
	else
		job_dsn(j, status, "cannot update mailbox %s for user " PRI_STR ". %s",
			path, STR_ARG(j->spec.user), why);
}

/* ---- locks ---- */

struct lock {
	const char *path; /* of the dot lock, NULL: none */
};

static void
use_spool_group(struct job *j, bool use)
{
	if (j->spool_gid != (gid_t)-1)
		IGNORE(setegid(use ? j->spool_gid : j->gid) != 0);
}

static bool
wants_lock(const struct job *j, const char *name)
{
	struct str rest = j->spec.locks;
	struct str word;

	while (str_token(&rest, ", \t", &word)) {
		if (str_ieq(word, str_from(name)))
			return true;
	}
	return false;
}

static void
remove_stale(struct job *j, const char *path)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ctim.tv_sec + j->spec.stale_lock_s < sys_now_us() / 1000000)
		IGNORE(sys_unlinkat(AT_FDCWD, path, 0) != 0);
}

/* Where nobody but root may make files in the directory, others cannot make such a lock
 * either, and it is not needed. */
static bool
dot_lock(struct job *j, const char *mailbox, struct lock *lock)
{
	const char *path = str_printf(j->mem, "%s.lock", mailbox).p;
	int fd = -1;

	use_spool_group(j, true);
	for (int64_t i = 0; fd < 0 && i < j->spec.lock_attempts; i++) {
		if (i > 0)
			sleep((unsigned)j->spec.lock_delay_s);
		fd = sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				0);
		if (fd < 0 && errno != EEXIST)
			break;
		if (fd < 0)
			remove_stale(j, path);
	}
	use_spool_group(j, false);
	if (fd < 0)
		return errno == EACCES || errno == EPERM;
	sys_close(fd);
	lock->path = path;
	return true;
}

static bool
file_lock(struct job *j, int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	bool by_fcntl = !wants_lock(j, "fcntl");
	bool by_flock = !wants_lock(j, "flock");

	for (int64_t i = 0; i < j->spec.lock_attempts; i++) {
		if (i > 0)
			sleep((unsigned)j->spec.lock_delay_s);
		by_fcntl = by_fcntl || sys_fcntl(fd, F_SETLK, &whole) == 0;
		by_flock = by_flock || sys_flock(fd, LOCK_EX | LOCK_NB) == 0;
		if (by_fcntl && by_flock)
			return true;
	}
	return false;
}

static void
unlock(struct job *j, struct lock *lock)
{
	if (lock->path == NULL)
		return;
	use_spool_group(j, true);
	IGNORE(sys_unlinkat(AT_FDCWD, lock->path, 0) != 0);
	use_spool_group(j, false);
}

/* ---- mailbox files ---- */

/* Made anew, or opened as it is: never through a link in the last place, never waiting
 * for a FIFO's reader. */
static int
open_mailbox(struct job *j, const char *path, bool *is_new)
{
	int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	int fd = -1;

	*is_new = false;
	for (int i = 0; fd < 0 && i < 10; i++) {
		fd = sys_openat(AT_FDCWD, path, flags | O_NOFOLLOW, 0);
		if (fd >= 0 || errno != ENOENT)
			break;
		use_spool_group(j, true);
		fd = sys_openat(AT_FDCWD, path, flags | O_CREAT | O_EXCL, 0600);
		use_spool_group(j, false);
		*is_new = fd >= 0;
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (*is_new && j->spool_gid != (gid_t)-1)
		IGNORE(fchown(fd, (uid_t)-1, j->gid) != 0);
	return fd;
}

/* Refused: what is not the recipient's own plain file. Devices are for those who deliver
 * to /dev/null. */
static bool
check_mailbox(struct job *j, int fd, const char *path, struct stat *st)
{
	if (sys_fstat(fd, st) != 0) {
		mailbox_failed(j, "4.2.0", path, strerror(errno));
		return false;
	}
	if (S_ISCHR(st->st_mode) && j->kind == JOB_FILE)
		return true;
	if (!S_ISREG(st->st_mode)) {
		mailbox_failed(
			j, "5.2.0", path,
			str_printf(j->mem, "destination %s is not a regular file", path)
				.p);
		return false;
	}
	if (st->st_nlink != 1) {
		mailbox_failed(j, "5.2.0", path, "file has more than one hard link");
		return false;
	}
	if (j->kind == JOB_FILE && (st->st_mode & 0111) != 0) {
		mailbox_failed(j, "5.7.1", path, "file is executable");
		return false;
	}
	if (j->kind != JOB_FILE && (j->spec.flags & DELIVER_STRICT_OWNER) != 0 &&
	    st->st_uid != j->uid) {
		deliver_result_add_warning(
			j->result, "specify \"strict_mailbox_ownership = no\" to ignore "
				   "mailbox ownership mismatch");
		mailbox_failed(j, "4.2.0", path,
			       str_printf(j->mem,
					  "destination %s is not owned by recipient",
					  path)
				       .p);
		return false;
	}
	return true;
}

static void
sync_directory_of(struct job *j, const char *path)
{
	struct str whole = str_from(path);
	struct str dir = str_head(whole, str_rindex(whole, '/') + 1);
	int fd = sys_openat(AT_FDCWD, str_c(j->mem, dir),
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd >= 0) {
		IGNORE(sys_fsync(fd) != 0);
		sys_close(fd);
	}
}

static void
append(struct job *j, int fd, const char *path, const struct stat *st, const char *what)
{
	struct copy_text text =
		job_text(j, COPY_FROM | COPY_QUOTE | COPY_BLANK | COPY_RETURN_PATH |
				    COPY_ORIGINAL | COPY_DELIVERED);
	struct sink sink = {.fd = fd, .max_bytes = j->spec.max_bytes};
	bool plain = S_ISREG(st->st_mode);
	enum copy_result result;
	struct err err;

	if (plain)
		sink.bytes = st->st_size;
	else
		sink.max_bytes = 0;
	result = copy_message(&text, sink_write, &sink, &err);
	if (result == COPY_OK && plain && sys_fsync(fd) != 0) {
		sink.errnum = errno;
		result = COPY_UNWRITTEN;
	}
	if (result == COPY_OK) {
		job_dsn(j, "2.0.0", "delivered to %s", what);
		return;
	}
	if (plain && sys_ftruncate(fd, st->st_size) == 0)
		IGNORE(sys_fsync(fd) != 0);
	if (result == COPY_UNREADABLE)
		job_dsn(j, "4.3.0", "%s", err.text);
	else
		mailbox_failed(j, failure_status(j, sink.errnum), path,
			       sink.errnum == EFBIG && plain
				       ? "error writing message: File too large"
				       : str_printf(j->mem, "error writing message: %s",
						    strerror(sink.errnum))
						 .p);
}

void
mailbox_append(struct job *j, const char *path, const char *what)
{
	struct lock lock = {NULL};
	struct stat st;
	bool is_new;
	int fd;

	if ((j->spec.flags & DELIVER_CHECK_ONLY) != 0) {
		job_dsn(j, "2.0.0", "delivers to %s", what);
		return;
	}
	fd = open_mailbox(j, path, &is_new);
	if (fd < 0) {
		mailbox_failed(
			j, failure_status(j, errno), path,
			str_printf(j->mem, "cannot open file: %s", strerror(errno)).p);
		return;
	}
	if (check_mailbox(j, fd, path, &st)) {
		bool plain = S_ISREG(st.st_mode);

		if (plain && wants_lock(j, "dotlock") && !dot_lock(j, path, &lock))
			mailbox_failed(j, "4.2.0", path,
				       "unable to create lock file: File exists");
		else if (plain && !file_lock(j, fd))
			mailbox_failed(j, "4.2.0", path,
				       "unable to lock for exclusive access: Resource "
				       "temporarily unavailable");
		else if (sys_fstat(fd, &st) == 0) /* now nobody else writes */
			append(j, fd, path, &st, what);
		unlock(j, &lock);
	}
	sys_close(fd);
	if (is_new)
		sync_directory_of(j, path);
}

/* ---- maildir ---- */

/* With the rights of the owner, as all that is done here. */
static void
make_parents(struct job *j, const char *path)
{
	struct str whole = str_from(path);

	for (size_t i = 1; i + 1 < whole.len; i++) {
		if (whole.p[i] == '/')
			IGNORE(sys_mkdirat(AT_FDCWD, str_c(j->mem, str_head(whole, i)),
					   0700) != 0);
	}
}

static bool
make_maildir(struct job *j, const char *path)
{
	static const char *const parts[] = {"", "tmp", "new", "cur"};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const char *dir = str_printf(j->mem, "%s%s", path, parts[i]).p;

		if (sys_mkdirat(AT_FDCWD, dir, 0700) == 0 || errno == EEXIST)
			continue;
		if (i > 0 || errno != ENOENT)
			return false;
		make_parents(j, path);
		if (sys_mkdirat(AT_FDCWD, dir, 0700) != 0 && errno != EEXIST)
			return false;
	}
	return true;
}

static int
open_part(struct job *j, const char *path, const char *part)
{
	return sys_openat(AT_FDCWD, str_printf(j->mem, "%s%s", path, part).p,
			  O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

/* Unique in the way that maildirs want it, and the same when we try again. */
static const char *
maildir_name(struct job *j)
{
	struct str who =
		str_printf(j->mem, PRI_STR "\n" PRI_STR, STR_ARG(j->spec.recipient),
			   STR_ARG(j->spec.delivered));

	return str_printf(j->mem,
			  "%" PRId64 ".Q" PRI_STR "M%06" PRId64 "P%" PRId64 "R%08" PRIx64
			  "." PRI_STR,
			  j->spec.arrival_us / 1000000, STR_ARG(j->spec.queue_id),
			  j->spec.arrival_us % 1000000, j->spec.offset,
			  str_hash(who, 0) & 0xffffffffu, STR_ARG(j->spec.hostname))
		.p;
}

static int
open_temporary(int tmp, const char *name)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = sys_openat(tmp, name, flags, 0600);

	/* Left by one that died. */
	if (fd < 0 && errno == EEXIST && sys_unlinkat(tmp, name, 0) == 0)
		fd = sys_openat(tmp, name, flags, 0600);
	return fd;
}

/* Fills sink->errnum on failure. */
static enum copy_result
write_maildir(struct job *j, int tmp, int new, const char *name, struct sink *sink,
	      struct err *err)
{
	struct copy_text text =
		job_text(j, COPY_RETURN_PATH | COPY_ORIGINAL | COPY_DELIVERED);
	enum copy_result result;

	sink->fd = open_temporary(tmp, name);
	if (sink->fd < 0) {
		sink->errnum = errno;
		return COPY_UNWRITTEN;
	}
	result = copy_message(&text, sink_write, sink, err);
	if (result == COPY_OK &&
	    (sys_fsync(sink->fd) != 0 ||
	     (sys_linkat(tmp, name, new, name, 0) != 0 && errno != EEXIST) ||
	     sys_fsync(new) != 0)) {
		sink->errnum = errno;
		result = COPY_UNWRITTEN;
	}
	sys_close(sink->fd);
	IGNORE(sys_unlinkat(tmp, name, 0) != 0);
	return result;
}

void
maildir_deliver(struct job *j, const char *path, const char *what)
{
	struct sink sink = {.max_bytes = j->spec.max_bytes};
	const char *name = maildir_name(j);
	enum copy_result result = COPY_UNWRITTEN;
	struct err err;
	int tmp;
	int new;

	if ((j->spec.flags & DELIVER_CHECK_ONLY) != 0) {
		job_dsn(j, "2.0.0", "delivers to %s", what);
		return;
	}
	tmp = open_part(j, path, "tmp");
	new = open_part(j, path, "new");
	if ((tmp < 0 || new < 0) && errno == ENOENT && make_maildir(j, path)) {
		if (tmp < 0)
			tmp = open_part(j, path, "tmp");
		if (new < 0)
			new = open_part(j, path, "new");
	}
	if (tmp < 0 || new < 0)
		sink.errnum = errno;
	else
		result = write_maildir(j, tmp, new, name, &sink, &err);
	if (result == COPY_OK)
		job_dsn(j, "2.0.0", "delivered to %s", what);
	else if (result == COPY_UNREADABLE)
		job_dsn(j, "4.3.0", "%s", err.text);
	else
		job_dsn(j, failure_status(j, sink.errnum),
			"maildir delivery failed: create maildir file %stmp/%s: %s", path,
			name, strerror(sink.errnum));
	if (tmp >= 0)
		sys_close(tmp);
	if (new >= 0)
		sys_close(new);
}
