/* SPDX-License-Identifier: Apache-2.0 */
#include "command/command.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/sys.h"
#include "config/config.h"
#include "config/value.h"
#include "daemon/logging.h"
#include "table/host.h"

enum { ENVIRONMENT_MAX = 1000 };

/* A file that we open must never become somebody's standard error. */
static void
open_standard_descriptors(void)
{
	int fd;

	do {
		fd = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		sys_close(fd);
}

static bool
descriptor_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

void
command_init(struct command *c, struct arena *mem, const char *name)
{
	*c = (struct command){.mem = mem, .name = name};
	if (!descriptor_is_open(STDIN_FILENO) || !descriptor_is_open(STDOUT_FILENO) ||
	    !descriptor_is_open(STDERR_FILENO))
		open_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	c->log = log_new(str_printf(mem, "postfix/%s", name).p);
	c->privileged = getauxval(AT_SECURE) != 0 || getuid() != geteuid() ||
			getgid() != getegid();
}

static bool
list_has_path(struct str list, struct str path)
{
	struct str item;

	while (list_next(&list, &item)) {
		if (str_eq(item, path))
			return true;
	}
	return false;
}

/* The default main.cf, which only the administrator can write, decides. */
static bool
directory_is_known(struct command *c, struct str dir, struct err *err)
{
	static const char *const lists[] = {"alternate_config_directories",
					    "multi_instance_directories"};
	const struct config_options options = {.dir = HIKYAKU_CONFIG_DIR};
	struct config *cfg;

	if (!config_load(c->mem, &options, &cfg, err))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct str value;

		if (!config_get(c->mem, cfg, str_from(lists[i]), &value, err))
			return false;
		if (list_has_path(value, dir))
			return true;
	}
	return err_set(err, ERR_CONFIG,
		       "unauthorized configuration directory name: " PRI_STR
		       " (alternate_config_directories in " HIKYAKU_CONFIG_DIR
		       "/main.cf does not list it)",
		       STR_ARG(dir));
}

void
command_load(struct command *c, const char *dir, enum log_level shown, int status)
{
	struct config_options options = {.dir = dir, .process_name = c->name};
	struct config *cfg;
	struct err err;

	if (dir == NULL)
		options.dir = dir = getenv("MAIL_CONFIG");
	/* The superuser could say the same in the default main.cf. */
	if (c->privileged && getuid() != 0 && dir != NULL &&
	    strcmp(dir, HIKYAKU_CONFIG_DIR) != 0 &&
	    !directory_is_known(c, str_from(dir), &err))
		log_fatal(c->log, status, "%s", err.text);
	if (!config_load(c->mem, &options, &cfg, &err))
		log_fatal(c->log, status, "%s", err.text);
	c->config = cfg;
	table_host_config(c->mem, cfg);
	if (c->privileged)
		command_environment(c, "import_environment");
	if (!logging_open(c->log, c->mem, cfg, c->name, &err))
		log_fatal(c->log, status, "%s", err.text);
	log_copy_stderr(c->log, shown);
	for (size_t i = 0; i < config_warning_count(cfg); i++)
		log_warning(c->log, PRI_STR, STR_ARG(config_warning_at(cfg, i)));
}

struct str
command_get(struct command *c, const char *name)
{
	struct str value;
	struct err err;

	if (!config_get(c->mem, c->config, str_from(name), &value, &err))
		log_fatal(c->log, 1, "%s", err.text);
	return value;
}

int64_t
command_get_int(struct command *c, const char *name)
{
	int64_t value;
	struct err err;

	if (!config_get_int(c->config, str_from(name), &value, &err))
		log_fatal(c->log, 1, "%s", err.text);
	return value;
}

int64_t
command_get_time(struct command *c, const char *name)
{
	int64_t value;
	struct err err;

	if (!config_get_time(c->config, str_from(name), &value, &err))
		log_fatal(c->log, 1, "%s", err.text);
	return value;
}

bool
command_get_bool(struct command *c, const char *name)
{
	bool value;
	struct err err;

	if (!config_get_bool(c->config, str_from(name), &value, &err))
		log_fatal(c->log, 1, "%s", err.text);
	return value;
}

void
command_environment(struct command *c, const char *parameter)
{
	struct str list = command_get(c, parameter);
	char *kept[ENVIRONMENT_MAX][2];
	struct str item;
	size_t n = 0;

	while (n < ENVIRONMENT_MAX && list_next(&list, &item)) {
		struct str inner;
		struct str name;
		struct str value;
		const char *why;

		if (list_unbrace(item, &inner, &why))
			item = inner;
		if (!str_split(item, '=', &name, &value)) {
			const char *old = getenv(str_c(c->mem, item));

			if (old == NULL)
				continue;
			name = item;
			value = str_from(old);
		}
		kept[n][0] = str_c(c->mem, name);
		kept[n++][1] = str_c(c->mem, value);
	}
	clearenv();
	for (size_t i = 0; i < n; i++)
		setenv(kept[i][0], kept[i][1], 1);
	/* The loader of a child must find its programs; as Postfix has it. */
	setenv("PATH", "/bin:/usr/bin:/sbin:/usr/sbin", 0);
}

const char *
command_user(struct command *c, unsigned uid)
{
	const struct passwd *pw = getpwuid(uid);

	return pw == NULL ? NULL : arena_strdup(c->mem, pw->pw_name);
}

const char *
command_user_or_unknown(struct command *c, unsigned uid)
{
	const char *user = command_user(c, uid);

	return user == NULL ? "unknown" : user;
}

static bool
trigger_socket(const char *path, char byte, struct err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	bool ok;
	int fd;

	if (strlen(path) >= sizeof(to.sun_path))
		return err_set(err, ERR_CONFIG, "name of socket %s is too long", path);
	memcpy(to.sun_path, path, strlen(path));
	fd = sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, ERR_TEMP, "socket");
	ok = sys_connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 &&
	     sys_send(fd, &byte, 1, MSG_NOSIGNAL) == 1;
	if (!ok)
		IGNORE(err_errno(err, ERR_TEMP, "connect to %s", path));
	sys_close(fd);
	return ok;
}

static bool
trigger_fifo(const char *path, char byte, struct err *err)
{
	int fd = sys_openat(AT_FDCWD, path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "open %s", path);
	ok = sys_write(fd, &byte, 1) == 1 || err_errno(err, ERR_TEMP, "write %s", path);
	sys_close(fd);
	return ok;
}

bool
command_trigger(const char *path, char byte, struct err *err)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, ERR_TEMP, "unable to look up %s", path);
	if (S_ISSOCK(st.st_mode))
		return trigger_socket(path, byte, err);
	if (S_ISFIFO(st.st_mode))
		return trigger_fifo(path, byte, err);
	return err_set(err, ERR_CONFIG, "%s is not a socket or a fifo", path);
}
