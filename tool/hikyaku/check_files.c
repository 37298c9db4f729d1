/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The places that the configuration names: files, owners, disks. Only looks.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/sys.h"

#include "queue/dir.h"

#include "check_rows.h"
#include "filesystem.h"
#include "finding.h"

enum {
	FREE_PERCENT = 3,
	FREE_ENOUGH = 1 << 30, /* bytes: however small a part of the disk */
	INODES_PERCENT = 3,
	INODES_ENOUGH = 100000,
	MAIL_MAX = 1000000,
};

static struct place
place_of(const struct check *c, const char *path)
{
	return place_file(arena_strdup(c->mem, path));
}

/* ---- configuration ---- */

static void
look_if_writable(struct check *c, const char *path)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0)
		return;
	if ((st.st_mode & 0022) != 0)
		finding_add(c, place_of(c, path),
			    STR("Others than its owner can change it, and with it what "
				"the mail system does."),
			    str_printf(c->mem, "Run: chmod go-w %s", path));
	if (st.st_uid != 0 && st.st_uid != geteuid())
		finding_add(c, place_of(c, path),
			    str_printf(c->mem, "It belongs to user id %u, not to root.",
				       st.st_uid),
			    c->root ? str_printf(c->mem, "Run: chown root %s", path)
				    : STR_EMPTY);
}

void
check_config_writable(struct check *c)
{
	struct str dir = str_from(config_dir(c->config));

	look_if_writable(c, config_dir(c->config));
	look_if_writable(c, path_join(c, dir, "main.cf"));
	look_if_writable(c, path_join(c, dir, "master.cf"));
}

/* ---- queue directories ---- */

void
check_queue_missing(struct check *c)
{
	const char *root = str_c(c->mem, c->common.queue_directory);
	struct stat st;

	if (sys_fstatat(AT_FDCWD, root, &st, 0) != 0) {
		finding_add(c, place_parameter(c, "queue_directory"),
			    str_printf(c->mem, "%s: %s.", root, strerror(errno)),
			    STR("`postfix start` makes it if its parent is there."));
		return;
	}
	for (int q = 0; q < QUEUE_NAMES; q++) {
		const char *path = path_join(c, c->common.queue_directory,
					     queue_directory_name((enum queue_name)q));

		if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0 && errno == ENOENT)
			finding_add(c, place_of(c, path), STR("It is missing."),
				    STR("`postfix start` and `postfix check` make it."));
	}
}

static void
look_at_mode(struct check *c, const char *path, mode_t mode, bool shared)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0)
		return;
	if (st.st_uid != c->owner)
		finding_add(c, place_of(c, path),
			    str_printf(c->mem,
				       "It belongs to user id %u and not to mail_owner "
				       "(" PRI_STR "), whose daemons must use it.",
				       st.st_uid, STR_ARG(c->common.mail_owner)),
			    STR("Run: postfix set-permissions"));
	if (c->root && shared && st.st_gid != c->setgid_group)
		finding_add(c, place_of(c, path),
			    str_printf(c->mem,
				       "Its group is not setgid_group (" PRI_STR
				       "): users cannot submit or list mail.",
				       STR_ARG(c->common.setgid_group)),
			    STR("Run: postfix set-permissions"));
	if ((st.st_mode & 07777 & ~mode) != 0)
		finding_add(c, place_of(c, path),
			    str_printf(c->mem,
				       "Its mode is %04o, which lets in more people than "
				       "%04o.",
				       (unsigned)(st.st_mode & 07777), (unsigned)mode),
			    STR("Run: postfix set-permissions"));
}

void
check_queue_mode(struct check *c)
{
	struct str root = c->common.queue_directory;

	for (int i = 0; i < QUEUE_NAMES; i++) {
		enum queue_name q = (enum queue_name)i;

		look_at_mode(c, path_join(c, root, queue_directory_name(q)),
			     queue_directory_mode(q), q == QUEUE_MAILDROP);
	}
	look_at_mode(c, path_join(c, root, "public"), 0710, true);
	look_at_mode(c, path_join(c, root, "private"), 0700, false);
}

/* postdrop writes to maildrop/ and postqueue reaches public/ by their group. The daemons'
 * own user needs no such thing. */
void
check_setgid_programs(struct check *c)
{
	static const char *const names[] = {"postdrop", "postqueue"};

	for (size_t i = 0; c->root && i < ARRAY_LEN(names); i++) {
		const char *path = path_join(c, c->common.command_directory, names[i]);
		struct stat st;

		if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0 ||
		    (st.st_gid == c->setgid_group && (st.st_mode & 02111) == 02111))
			continue;
		finding_add(c, place_of(c, path),
			    str_printf(c->mem,
				       "It is not set-gid " PRI_STR ": only root can %s.",
				       STR_ARG(c->common.setgid_group),
				       i == 0 ? "submit mail" : "see or flush the queue"),
			    STR("Run: postfix set-permissions"));
	}
}

/* ---- file systems ---- */

/* Messages move between these by rename(2). */
void
check_queue_split(struct check *c)
{
	static const enum queue_name queues[] = {QUEUE_INCOMING, QUEUE_ACTIVE,
						 QUEUE_DEFERRED, QUEUE_HOLD,
						 QUEUE_CORRUPT,  QUEUE_MAILDROP};
	struct stat root;

	if (sys_fstatat(AT_FDCWD, str_c(c->mem, c->common.queue_directory), &root, 0) !=
	    0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
		const char *path = path_join(c, c->common.queue_directory,
					     queue_directory_name(queues[i]));
		struct stat st;

		if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0 || st.st_dev == root.st_dev)
			continue;
		finding_add(c, place_of(c, path),
			    STR("It is on another file system than queue_directory: "
				"messages cannot be moved to it and from it."),
			    STR("Put the whole of queue_directory on one file system."));
	}
}

static enum filesystem_kind
queue_kind(const struct check *c)
{
	struct statfs fs;

	if (statfs(str_c(c->mem, c->common.queue_directory), &fs) != 0)
		return FILESYSTEM_DISK;
	return filesystem_kind((unsigned long)fs.f_type);
}

void
check_queue_memory(struct check *c)
{
	enum filesystem_kind kind = queue_kind(c);

	if (kind == FILESYSTEM_MEMORY)
		finding_add(c, place_parameter(c, "queue_directory"),
			    STR("The queue is in memory: mail in it is lost when the "
				"machine stops."),
			    STR("Put it on a disk."));
	else if (kind == FILESYSTEM_LAYER)
		finding_add(c, place_parameter(c, "queue_directory"),
			    STR("The queue is in the container's own layer: mail in it "
				"is lost when the container is replaced."),
			    STR("Put it on a volume."));
}

void
check_queue_network(struct check *c)
{
	if (queue_kind(c) == FILESYSTEM_NETWORK)
		finding_add(c, place_parameter(c, "queue_directory"),
			    STR("The queue is on a network file system: sockets and "
				"locks may not work there, and the mail stops when the "
				"server does."),
			    STR("Put it on a local disk."));
}

static bool
queue_numbers(const struct check *c, struct statvfs *out)
{
	return statvfs(str_c(c->mem, c->common.queue_directory), out) == 0;
}

void
check_queue_space(struct check *c)
{
	uint64_t free_bytes, all_bytes, needed_bytes;
	struct statvfs fs;

	if (!queue_numbers(c, &fs))
		return;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	all_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	/* One message and a half, as queue_minfree is usually set. */
	needed_bytes = (uint64_t)c->common.message_size_limit / 2 * 3;
	if (free_bytes >= needed_bytes &&
	    (free_bytes >= FREE_ENOUGH || free_bytes >= all_bytes / 100 * FREE_PERCENT))
		return;
	finding_add(c, place_parameter(c, "queue_directory"),
		    str_printf(c->mem,
			       "Only %llu MB are free there: new mail is refused when "
			       "the disk is full.",
			       (unsigned long long)(free_bytes >> 20)),
		    STR("Make room, or look with mailq what fills the queue."));
}

void
check_queue_inodes(struct check *c)
{
	struct statvfs fs;

	if (!queue_numbers(c, &fs) || fs.f_files == 0 || fs.f_favail >= INODES_ENOUGH ||
	    fs.f_favail >= fs.f_files / 100 * INODES_PERCENT)
		return;
	finding_add(c, place_parameter(c, "queue_directory"),
		    str_printf(c->mem,
			       "The file system can take only %llu more files, and each "
			       "message is at least one.",
			       (unsigned long long)fs.f_favail),
		    STR("Remove files, or make a file system with more inodes."));
}

/* ---- mail ---- */

static size_t
count_mail(const struct check *c, enum queue_name q)
{
	int root = sys_openat(AT_FDCWD, str_c(c->mem, c->common.queue_directory),
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	struct queue_dirs dirs;
	struct queue_scan *scan;
	struct str id;
	struct err err;
	size_t n = 0;

	if (root < 0)
		return 0;
	if (queue_dirs_init(&dirs, root, c->common.hash_queue_names,
			    c->common.hash_queue_depth, c->common.enable_long_queue_ids,
			    &err)) {
		struct arena *mem = arena_new();

		scan = queue_scan_new(&dirs, q);
		for (; n < MAIL_MAX && queue_scan_next(scan, mem, &id); n++)
			arena_reset(mem);
		queue_scan_free(&scan);
		arena_free(&mem);
	}
	sys_close(root);
	return n;
}

void
check_mail_held(struct check *c)
{
	size_t n = count_mail(c, QUEUE_HOLD);

	if (n > 0)
		finding_add(c,
			    place_of(c, path_join(c, c->common.queue_directory, "hold")),
			    str_printf(c->mem,
				       "%zu message%s on hold: not delivered until "
				       "released.",
				       n, n == 1 ? " is" : "s are"),
			    STR("mailq marks them with !; `postsuper -H ID` releases "
				"one."));
}

void
check_mail_damaged(struct check *c)
{
	size_t n = count_mail(c, QUEUE_CORRUPT);

	if (n > 0)
		finding_add(
			c,
			place_of(c, path_join(c, c->common.queue_directory, "corrupt")),
			str_printf(c->mem, "%zu message%s set aside because %s damaged.",
				   n, n == 1 ? " was" : "s were",
				   n == 1 ? "it is" : "they are"),
			STR("`postcat FILE` shows what can be read of one; the log "
			    "says what was wrong."));
}
