/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ABI versions: 1 files (5.13), 2 moving between directories (5.19), 3 truncate (6.2),
 * 4 TCP (6.7), 5 device ioctl (6.10), 6 scopes of signals and abstract sockets (6.12).
 */
#include "daemon/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/sys.h"

enum {
	CALL_CREATE_RULESET = 444,
	CALL_ADD_RULE = 445,
	CALL_RESTRICT_SELF = 446,
	ASK_VERSION = 1u << 0,
	RULE_PATH = 1,
	RULE_PORT = 2,
};

enum {
	FS_EXECUTE = 1u << 0,
	FS_WRITE_FILE = 1u << 1,
	FS_READ_FILE = 1u << 2,
	FS_READ_DIR = 1u << 3,
	FS_REMOVE_DIR = 1u << 4,
	FS_REMOVE_FILE = 1u << 5,
	FS_MAKE_DIR = 1u << 7,
	FS_MAKE_REG = 1u << 8,
	FS_ALL_V1 = (1u << 13) - 1,
	FS_REFER = 1u << 13,
	FS_TRUNCATE = 1u << 14,
	FS_IOCTL_DEV = 1u << 15,
	FS_OF_FILES =
		FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
	FS_READING = FS_READ_FILE | FS_READ_DIR,
	FS_CHANGING = FS_READING | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE |
		      FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE,
	NET_BIND_TCP = 1u << 0,
	NET_CONNECT_TCP = 1u << 1,
	SCOPE_ABSTRACT_UNIX = 1u << 0,
	SCOPE_SIGNAL = 1u << 1,
};

struct ruleset_attr {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct path_attr {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

struct port_attr {
	uint64_t allowed;
	uint64_t port;
};

/* What name services read: files that are replaced by rename, so their directories. */
static const char *const system_places[] = {
	"/etc",
	"/lib",
	"/lib64",
	"/usr/lib",
	"/usr/lib64",
	"/usr/share/dns",
	"/usr/share/zoneinfo",
	"/var/lib/unbound",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/run/NetworkManager",
	"/run/connman",
};

int
landlock_version(void)
{
	long v = syscall(CALL_CREATE_RULESET, NULL, 0, ASK_VERSION);

	return v < 0 ? 0 : (int)v;
}

static uint64_t
fs_known(int version)
{
	uint64_t all = FS_ALL_V1;

	if (version >= 2)
		all |= FS_REFER;
	if (version >= 3)
		all |= FS_TRUNCATE;
	if (version >= 5)
		all |= FS_IOCTL_DEV;
	return all;
}

static struct ruleset_attr
handled(const struct profile *p, int version)
{
	struct ruleset_attr a = {.fs = fs_known(version)};

	/* Version 1 forbids every move between directories, wanted or not. */
	if (version < 2 && profile_moves_files(p))
		a.fs = 0;
	if (version >= 4) {
		a.net = NET_BIND_TCP;
		if (p->network == NET_UNIX)
			a.net |= NET_CONNECT_TCP;
	}
	if (version >= 6)
		a.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	return a;
}

/* A place that does not exist gets no rule: nothing there can be reached then. */
static bool
allow_path(int ruleset, const char *path, uint64_t rights, struct err *err)
{
	int fd = sys_openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
	struct path_attr a = {.allowed = rights, .parent_fd = fd};
	struct stat st;
	bool ok;

	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
			return true;
		return err_errno(err, ERR_TEMP, "open %s", path);
	}
	if (sys_fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		a.allowed &= FS_OF_FILES;
	ok = a.allowed == 0 || syscall(CALL_ADD_RULE, ruleset, RULE_PATH, &a, 0) == 0;
	if (!ok)
		err_errno(err, ERR_TEMP, "sandbox: allow %s", path);
	sys_close(fd);
	return ok;
}

static bool
allow_all(int ruleset, const char *const *list, size_t n, uint64_t rights,
	  struct err *err)
{
	for (size_t i = 0; i < n && list[i] != NULL; i++) {
		if (!allow_path(ruleset, list[i], rights, err))
			return false;
	}
	return true;
}

static bool
allow_rule(int ruleset, const struct profile_rule *r, const struct sandbox_paths *paths,
	   uint64_t known, struct err *err)
{
	uint64_t rights = (r->change ? FS_CHANGING : FS_READING) & known;
	const char *directory = NULL;
	struct arena *mem;
	bool ok;

	switch (r->place) {
	case PLACE_QUEUE:
		if (paths->queue_directory == NULL)
			return true;
		mem = arena_new();
		ok = allow_path(
			ruleset,
			str_printf(mem, "%s/%s", paths->queue_directory, r->directory).p,
			rights, err);
		arena_free(&mem);
		return ok;
	case PLACE_CONFIG:
		directory = paths->config_directory;
		break;
	case PLACE_DATA:
		directory = paths->data_directory;
		break;
	case PLACE_TABLES:
		return paths->read_only == NULL ||
		       allow_all(ruleset, paths->read_only, SIZE_MAX, rights, err);
	case PLACE_SYSTEM:
		return allow_all(ruleset, system_places, ARRAY_LEN(system_places), rights,
				 err);
	case PLACE_NONE:
	case PLACE_EVERYWHERE:
		break;
	}
	return directory == NULL || allow_path(ruleset, directory, rights, err);
}

static bool
fill(int ruleset, const struct profile *p, const struct sandbox_paths *paths,
     const struct ruleset_attr *a, struct err *err)
{
	struct port_attr any_port = {.allowed = NET_BIND_TCP, .port = 0};

	for (size_t i = 0; a->fs != 0 && i < PROFILE_RULES_MAX; i++) {
		if (!allow_rule(ruleset, &p->rules[i], paths, a->fs, err))
			return false;
	}
#if defined(__SANITIZE_ADDRESS__)
	/* The leak checker reads the process's own memory map. */
	if (a->fs != 0 && !allow_path(ruleset, "/proc", FS_READING, err))
		return false;
#endif
	/* A source address without a port of its own (smtp_bind_address). */
	if (a->net != 0 && p->network != NET_UNIX &&
	    syscall(CALL_ADD_RULE, ruleset, RULE_PORT, &any_port, 0) != 0)
		return err_errno(err, ERR_TEMP, "sandbox: allow unnamed ports");
	return true;
}

static const char *
what_is_missing(const struct profile *p, int version)
{
	if (version < 2 && profile_moves_files(p))
		return "rules for files";
	if (version < 3)
		return "rules for truncation, TCP and signals";
	if (version < 4)
		return "rules for TCP and signals";
	if (version < 6)
		return "rules for signals";
	return NULL;
}

enum landlock_result
landlock_enter(const struct profile *p, const struct sandbox_paths *paths, int version,
	       const char **what_out, struct err *err)
{
	struct ruleset_attr a = handled(p, version);
	size_t size = version >= 6   ? sizeof(a)
		      : version >= 4 ? offsetof(struct ruleset_attr, scoped)
				     : offsetof(struct ruleset_attr, net);
	const char *missing = what_is_missing(p, version);
	bool ok;
	int ruleset;

	if (version < 1 || (a.fs == 0 && a.net == 0)) {
		*what_out = "rules for files, TCP and signals";
		return LANDLOCK_ABSENT;
	}
	ruleset = (int)syscall(CALL_CREATE_RULESET, &a, size, 0);
	if (ruleset < 0) {
		err_errno(err, ERR_TEMP, "sandbox: create rules");
		return LANDLOCK_FAILED;
	}
	ok = fill(ruleset, p, paths, &a, err);
	if (ok && syscall(CALL_RESTRICT_SELF, ruleset, 0) != 0)
		ok = err_errno(err, ERR_TEMP, "sandbox: enter rules");
	sys_close(ruleset);
	if (!ok)
		return LANDLOCK_FAILED;
	*what_out = missing;
	return missing == NULL ? LANDLOCK_FULL : LANDLOCK_PARTIAL;
}
