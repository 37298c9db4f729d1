/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/sys.h"
#include "config/config.h"
#include "queue/dir.h"

enum owner { OWNER_ROOT, OWNER_MAIL };

enum { NAMES_MAX = 10000 };

/* Directories in queue_directory besides the queues themselves. `shared`: the group is
 * setgid_group. */
struct directory {
	const char *name;
	mode_t mode;
	enum owner owner;
	bool shared;
};

static const struct directory others[] = {
	{"public", 0710, OWNER_MAIL, true},
	{"private", 0700, OWNER_MAIL, false},
	{"pid", 0755, OWNER_ROOT, false},
	{"journal", 0700, OWNER_MAIL, false},
};

enum { DIRECTORIES = QUEUE_NAMES + ARRAY_LEN(others) };

static struct directory
directory_at(size_t i)
{
	enum queue_name q = (enum queue_name)i;

	if (i >= QUEUE_NAMES)
		return others[i - QUEUE_NAMES];
	return (struct directory){.name = queue_directory_name(q),
				  .mode = queue_directory_mode(q),
				  .owner = OWNER_MAIL,
				  .shared = q == QUEUE_MAILDROP};
}

static uid_t
uid_of(const struct instance *in, enum owner owner)
{
	if (!in->root)
		return geteuid();
	return owner == OWNER_ROOT ? 0 : in->owner;
}

/* Owner and mode. chown first: it may take the mode's high bits away. */
static bool
give(const struct instance *in, const char *path, const struct directory *d)
{
	gid_t gid = d->shared ? in->setgid_group : (gid_t)-1;

	if (in->root && fchownat(AT_FDCWD, path, uid_of(in, d->owner), gid,
				 AT_SYMLINK_NOFOLLOW) != 0) {
		say_error(in, "chown %s: %s", path, strerror(errno));
		return false;
	}
	if (sys_fchmodat(AT_FDCWD, path, d->mode, 0) != 0) {
		say_error(in, "chmod %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static bool
is_directory(const char *path)
{
	struct stat st;

	return sys_fstatat(AT_FDCWD, path, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static bool
make_directory(const struct instance *in, const char *path, const struct directory *d)
{
	if (is_directory(path))
		return true;
	if (sys_mkdirat(AT_FDCWD, path, 0700) != 0) {
		say_error(in, "unable to create missing queue directory %s: %s", path,
			  strerror(errno));
		return false;
	}
	return give(in, path, d);
}

static bool
make_missing(const struct instance *in)
{
	const struct directory root = {"", 0755, OWNER_ROOT, false};
	bool ok = make_directory(in, in->queue_directory, &root);

	for (size_t i = 0; ok && i < DIRECTORIES; i++) {
		struct directory d = directory_at(i);

		ok = make_directory(in, path_in(in, in->common.queue_directory, d.name),
				    &d);
	}
	return ok;
}

static bool
must_exist(const struct instance *in, struct str path, const char *what)
{
	if (is_directory(str_c(in->mem, path)))
		return true;
	say_error(in, "%s " PRI_STR " does not exist", what, STR_ARG(path));
	return false;
}

static bool
must_have_file(const struct instance *in, const char *name)
{
	const char *path = path_in(in, str_from(config_dir(in->config)), name);

	if (access(path, R_OK) == 0)
		return true;
	say_error(in, "no %s file found: %s: %s", name, path, strerror(errno));
	return false;
}

/* The data directory is the mail owner's alone: caches are trusted. */
static bool
check_data_directory(const struct instance *in)
{
	const struct directory d = {"", 0700, OWNER_MAIL, false};
	const char *path = str_c(in->mem, in->common.data_directory);
	struct stat st;

	if (!make_directory(in, path, &d) || sys_fstatat(AT_FDCWD, path, &st, 0) != 0)
		return false;
	if (st.st_uid == uid_of(in, OWNER_MAIL))
		return true;
	say_error(in, "data_directory %s is not owned by " PRI_STR, path,
		  STR_ARG(in->common.mail_owner));
	return false;
}

/* postsuper puts names and directories of queue files right. As Postfix, only while the
 * mail system does not run. */
static bool
check_queue_structure(const struct instance *in)
{
	const char *const args[] = {"-c", config_dir(in->config), NULL};
	const char *program = path_in(in, in->common.command_directory, "postsuper");
	pid_t pid;

	if (access(program, X_OK) != 0 || instance_is_running(in, &pid))
		return true;
	return run_program(in, program, args) == 0;
}

bool
check_fatal(const struct instance *in)
{
	return must_have_file(in, "main.cf") && must_have_file(in, "master.cf") &&
	       must_exist(in, in->common.daemon_directory, "daemon_directory") &&
	       must_exist(in, in->common.command_directory, "command_directory") &&
	       make_missing(in) && check_data_directory(in) && check_queue_structure(in);
}

/* -- warnings ---------------------------------------------------------------- */

static void
warn_owner(const struct instance *in, const char *path, const struct stat *st,
	   enum owner owner)
{
	if (st->st_uid == uid_of(in, owner))
		return;
	if (!in->root || owner == OWNER_MAIL)
		say_warning(in, "not owned by " PRI_STR ": %s",
			    STR_ARG(in->common.mail_owner), path);
	else
		say_warning(in, "not owned by root: %s", path);
}

static void
warn_writable(const struct instance *in, const char *path, const struct stat *st)
{
	if (!S_ISLNK(st->st_mode) && (st->st_mode & 022) != 0)
		say_warning(in, "group or other writable: %s", path);
}

/* What an administrator installs: nobody else may change it. */
static void
warn_installed(const struct instance *in, const char *path)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0)
		return;
	warn_owner(in, path, &st, OWNER_ROOT);
	warn_writable(in, path, &st);
}

static void
warn_installed_below(const struct instance *in, struct str dir)
{
	DIR *d = opendir(str_c(in->mem, dir));
	const struct dirent *e;
	int n = 0;

	warn_installed(in, str_c(in->mem, dir));
	while (d != NULL && n++ < NAMES_MAX && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.')
			warn_installed(in, path_in(in, dir, e->d_name));
	}
	if (d != NULL)
		closedir(d);
}

static void
warn_queue_directory(const struct instance *in, const struct directory *d)
{
	const char *path = path_in(in, in->common.queue_directory, d->name);
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0)
		return;
	warn_owner(in, path, &st, d->owner);
	if (in->root && d->shared && st.st_gid != in->setgid_group)
		say_warning(in, "not owned by group " PRI_STR ": %s",
			    STR_ARG(in->common.setgid_group), path);
	if ((st.st_mode & 07777 & ~d->mode) != 0)
		say_warning(in, "mode %04o, expected %04o: %s",
			    (unsigned)(st.st_mode & 07777), (unsigned)d->mode, path);
}

/* postqueue and postdrop reach the sockets and maildrop by their group. An ordinary
 * user's instance needs none of it. */
static void
warn_setgid(const struct instance *in, const char *name)
{
	const char *path = path_in(in, in->common.command_directory, name);
	struct stat st;

	if (!in->root || sys_fstatat(AT_FDCWD, path, &st, 0) != 0)
		return;
	if (st.st_gid != in->setgid_group)
		say_warning(in, "not owned by group " PRI_STR ": %s",
			    STR_ARG(in->common.setgid_group), path);
	if ((st.st_mode & 02111) != 02111)
		say_warning(in, "not set-gid or not owner+group+world executable: %s",
			    path);
}

static void
warn_damaged(const struct instance *in)
{
	DIR *d = opendir(path_in(in, in->common.queue_directory, "corrupt"));
	const struct dirent *e;
	int n = 0;

	while (d != NULL && n++ < NAMES_MAX && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.')
			say_warning(in, "damaged message: corrupt/%s", e->d_name);
	}
	if (d != NULL)
		closedir(d);
}

static void
warn_instances(const struct instance *in)
{
	if (in->common.multi_instance_directories.len > 0)
		say_warning(in,
			    "multi_instance_directories is not acted on: this command is "
			    "about %s alone",
			    config_dir(in->config));
	if (in->common.multi_instance_wrapper.len > 0)
		say_warning(in, "multi_instance_wrapper is not acted on");
}

void
check_warn(const struct instance *in)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, in->queue_directory, &st, 0) == 0) {
		warn_owner(in, in->queue_directory, &st, OWNER_ROOT);
		warn_writable(in, in->queue_directory, &st);
	}
	for (size_t i = 0; i < DIRECTORIES; i++) {
		struct directory d = directory_at(i);

		warn_queue_directory(in, &d);
	}
	warn_installed_below(in, str_from(config_dir(in->config)));
	warn_installed_below(in, in->common.daemon_directory);
	warn_setgid(in, "postqueue");
	warn_setgid(in, "postdrop");
	warn_damaged(in);
	warn_instances(in);
}

bool
check_configuration(const struct instance *in)
{
	const char *const args[] = {"-k", "-c", config_dir(in->config), NULL};

	return run_program(in, path_in(in, in->common.daemon_directory, "master"),
			   args) == 0;
}

static bool
say_finding(const struct instance *in, struct str line)
{
	struct str warning = STR("warning: "), error = STR("error: ");

	if (str_starts(line, warning))
		say_warning(in, PRI_STR, STR_ARG(str_skip(line, warning.len)));
	if (!str_starts(line, error))
		return true;
	say_error(in, PRI_STR, STR_ARG(str_skip(line, error.len)));
	return false;
}

bool
check_meaning(const struct instance *in)
{
	const char *const args[] = {
		"check", "--brief", "--untold", "-c", config_dir(in->config), NULL};
	const char *program = path_in(in, in->common.command_directory, "hikyaku");
	struct str text, line;
	bool ok = true;

	if (access(program, X_OK) != 0)
		return true;
	if (!run_and_read(in, program, args, &text))
		return true;
	while (str_line(&text, &line))
		ok = say_finding(in, line) && ok;
	return ok;
}

bool
set_permissions(const struct instance *in)
{
	const struct directory data = {"", 0700, OWNER_MAIL, false};
	const struct directory setgid = {"", 02755, OWNER_ROOT, true};
	static const char *const programs[] = {"postqueue", "postdrop"};
	bool ok = make_missing(in) &&
		  give(in, str_c(in->mem, in->common.data_directory), &data);

	for (size_t i = 0; i < DIRECTORIES; i++) {
		struct directory d = directory_at(i);

		ok = give(in, path_in(in, in->common.queue_directory, d.name), &d) && ok;
	}
	for (size_t i = 0; in->root && i < ARRAY_LEN(programs); i++) {
		const char *path = path_in(in, in->common.command_directory, programs[i]);

		if (access(path, F_OK) == 0)
			ok = give(in, path, &setgid) && ok;
	}
	return ok;
}
