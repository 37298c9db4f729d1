/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each action is tried twice in forked children: unconfined, to see whether it is
 * possible at all here, and in the sandbox. A child that the filter kills was denied.
 */
#include "daemon/sandbox.h"

#if defined(HIKYAKU_FAULTS)

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/str.h"
#include "base/sys.h"

#include "daemon/landlock.h"
#include "daemon/profile.h"

/* A test process that the probe's children may try to reach, and the ways to it. */
struct probe {
	struct arena *mem;
	const struct profile *profile;
	const struct sandbox_paths *paths;
	int version; /* Landlock's */
	struct sockaddr_in tcp;
	struct sockaddr_un abstract;
	socklen_t abstract_len;
	pid_t parent;
	long secret; /* what read_parent_memory() wants */
};

/* ---- actions: true if it worked ---- */

static const char *
file_in(struct probe *p, const char *dir)
{
	return str_printf(p->mem, "%s/probe.%d", dir, (int)getpid()).p;
}

static bool
list_directory(struct probe *p UNUSED, const char *dir)
{
	DIR *d = opendir(dir);
	bool ok = d != NULL && readdir(d) != NULL;

	if (d != NULL)
		closedir(d);
	return ok;
}

static bool
create_file(struct probe *p, const char *dir)
{
	const char *path = file_in(p, dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, "x", 1) == 1;

	if (fd >= 0)
		close(fd);
	return ok && unlink(path) == 0;
}

static bool
move_file(struct probe *p, const char *from_to)
{
	struct str from, to;
	const char *here, *there;
	int fd;

	if (!str_split(str_from(from_to), ':', &from, &to))
		return false;
	here = file_in(p, str_c(p->mem, from));
	there = file_in(p, str_c(p->mem, to));
	fd = open(here, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	close(fd);
	return rename(here, there) == 0 && unlink(there) == 0;
}

static bool
read_file(struct probe *p UNUSED, const char *path)
{
	char c;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && read(fd, &c, 1) == 1;

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool
read_config(struct probe *p, const char *unused UNUSED)
{
	return read_file(p,
			 str_printf(p->mem, "%s/main.cf", p->paths->config_directory).p);
}

static bool
write_data(struct probe *p, const char *unused UNUSED)
{
	return create_file(p, p->paths->data_directory);
}

static bool
make_symlink(struct probe *p, const char *dir)
{
	const char *path = file_in(p, dir);

	return symlink("/etc/passwd", path) == 0 && unlink(path) == 0;
}

static bool
make_node(struct probe *p, const char *dir)
{
	const char *path = file_in(p, dir);

	return mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0 && unlink(path) == 0;
}

static bool
execute(struct probe *p UNUSED, const char *path)
{
	execl(path, path, (char *)NULL);
	return false;
}

static bool
fork_child(struct probe *p UNUSED, const char *unused UNUSED)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static void *
thread_main(void *arg)
{
	return arg;
}

static bool
start_thread(struct probe *p, const char *unused UNUSED)
{
	pthread_t t;

	return pthread_create(&t, NULL, thread_main, p) == 0 &&
	       pthread_join(t, NULL) == 0;
}

static bool
trace_parent(struct probe *p, const char *unused UNUSED)
{
	return ptrace(PTRACE_SEIZE, p->parent, NULL, NULL) == 0;
}

static bool
read_parent_memory(struct probe *p, const char *unused UNUSED)
{
	long copy = 0;
	struct iovec here = {&copy, sizeof(copy)};
	struct iovec there = {&p->secret, sizeof(p->secret)};

	return process_vm_readv(p->parent, &here, 1, &there, 1, 0) == sizeof(copy);
}

static bool
signal_parent(struct probe *p, const char *unused UNUSED)
{
	return kill(p->parent, 0) == 0;
}

static bool
signal_self(struct probe *p UNUSED, const char *unused UNUSED)
{
	return kill(getpid(), 0) == 0;
}

static bool
map_code(struct probe *p UNUSED, const char *unused UNUSED)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) != MAP_FAILED;
}

/* Nobody needs to listen: what counts is that we may ask. */
static bool
may_connect(int fd, const void *sa, socklen_t len)
{
	return fd >= 0 && (connect(fd, sa, len) == 0 || errno == ECONNREFUSED ||
			   errno == ENOENT || errno == ENETUNREACH);
}

static bool
unix_connect(struct probe *p UNUSED, const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1);
	return may_connect(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &sa,
			   sizeof(sa));
}

static bool
abstract_connect(struct probe *p, const char *unused UNUSED)
{
	return may_connect(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &p->abstract,
			   p->abstract_len);
}

static bool
tcp_connect(struct probe *p, const char *unused UNUSED)
{
	return may_connect(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), &p->tcp,
			   sizeof(p->tcp));
}

/* A port that is free as far as the kernel told us. */
static bool
tcp_bind(struct probe *p, const char *unused UNUSED)
{
	struct sockaddr_in sa = p->tcp;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 &&
	       (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno == EADDRINUSE);
}

static bool
open_socket(struct probe *p UNUSED, const char *kind)
{
	static const struct {
		const char *kind;
		int family, type, protocol;
	} kinds[] = {
		{"udp", AF_INET, SOCK_DGRAM, 0},
		{"raw", AF_INET, SOCK_RAW, IPPROTO_ICMP},
		{"packet", AF_PACKET, SOCK_RAW, 0},
		{"netlink", AF_NETLINK, SOCK_RAW, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) == 0)
			return socket(kinds[i].family, kinds[i].type | SOCK_CLOEXEC,
				      kinds[i].protocol) >= 0;
	}
	return false;
}

static bool
do_mount(struct probe *p UNUSED, const char *unused UNUSED)
{
	return mount("none", "/mnt", "tmpfs", 0, NULL) == 0 && umount("/mnt") == 0;
}

static bool
do_unshare(struct probe *p UNUSED, const char *unused UNUSED)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static bool
do_chroot(struct probe *p UNUSED, const char *unused UNUSED)
{
	return chroot("/") == 0;
}

static bool
become_root(struct probe *p UNUSED, const char *unused UNUSED)
{
	return setuid(0) == 0;
}

/* Calls with arguments that do nothing: any answer but "no such call" and "not you" shows
 * that the kernel's code was reached. */
static bool
raw_call(struct probe *p UNUSED, const char *name)
{
	long r = -1;

	errno = ENOSYS;
	if (strcmp(name, "io_uring_setup") == 0)
		r = syscall(SYS_io_uring_setup, 0, NULL);
	else if (strcmp(name, "memfd_create") == 0)
		r = syscall(SYS_memfd_create, "probe", 0);
	else if (strcmp(name, "userfaultfd") == 0)
		r = syscall(SYS_userfaultfd, -1);
	else if (strcmp(name, "bpf") == 0)
		r = syscall(SYS_bpf, -1, NULL, 0);
	else if (strcmp(name, "perf_event_open") == 0)
		r = syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
	else if (strcmp(name, "keyctl") == 0)
		r = syscall(SYS_keyctl, 0, -3, 0);
	else if (strcmp(name, "personality") == 0)
		r = syscall(SYS_personality, 0xffffffff);
	return r >= 0 || (errno != ENOSYS && errno != EPERM && errno != EACCES);
}

/* ---- what a profile must have ---- */

static bool
need_nothing(const struct probe *p UNUSED, const char *arg UNUSED)
{
	return true;
}

static bool
need_nothing_has_it(const struct probe *p UNUSED, const char *arg UNUSED)
{
	return false;
}

static bool
need_read(const struct probe *p, const char *arg)
{
	return profile_allows(p->profile, arg, false);
}

static bool
need_change(const struct probe *p, const char *arg)
{
	return profile_allows(p->profile, arg, true);
}

static bool
need_move(const struct probe *p, const char *arg UNUSED)
{
	return profile_allows(p->profile, "incoming", true) &&
	       profile_allows(p->profile, "active", true);
}

static bool
need_config(const struct probe *p, const char *arg UNUSED)
{
	/* /etc/postfix lies in what PLACE_SYSTEM gives. */
	return profile_has_place(p->profile, PLACE_CONFIG) ||
	       (profile_has_place(p->profile, PLACE_SYSTEM) &&
		str_starts(str_from(p->paths->config_directory), STR("/etc/")));
}

static bool
need_data(const struct probe *p, const char *arg UNUSED)
{
	return profile_has_place(p->profile, PLACE_DATA);
}

static bool
need_system(const struct probe *p, const char *arg UNUSED)
{
	return profile_has_place(p->profile, PLACE_SYSTEM);
}

static bool
need_proc(const struct probe *p UNUSED, const char *arg UNUSED)
{
#if defined(__SANITIZE_ADDRESS__)
	return true;
#else
	return false;
#endif
}

static bool
need_fork(const struct probe *p UNUSED, const char *arg UNUSED)
{
	return false;
}

static bool
need_threads(const struct probe *p, const char *arg UNUSED)
{
	return (p->profile->calls & CALLS_THREADS) != 0;
}

static bool
need_code(const struct probe *p, const char *arg UNUSED)
{
	return (p->profile->calls & CALLS_CODE) != 0;
}

static bool
need_tcp(const struct probe *p, const char *arg UNUSED)
{
	return p->profile->network != NET_UNIX;
}

static bool
need_udp(const struct probe *p, const char *arg UNUSED)
{
	return p->profile->network == NET_DNS;
}

static const struct {
	const char *name;
	bool (*action)(struct probe *p, const char *arg);
	const char *arg;
	bool (*need)(const struct probe *p, const char *arg);
} tries[] = {
#define TRY(name, action, arg, need) {#name, action, arg, need},
#include "daemon/probe.def"
#undef TRY
};

/* ---- running them ---- */

enum outcome { OUTCOME_DONE, OUTCOME_DENIED, OUTCOME_BROKEN };

/* In a child: 0 it worked (execute() succeeds with 0 too), 1 it did not, 2 no sandbox. */
static enum outcome
run_child(struct probe *p, size_t which, bool confined)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		enum sandbox_profile profile;
		struct err err;

		if (confined && (!profile_find(p->profile->name, &profile) ||
				 !sandbox_enter(profile, p->paths, NULL, &err)))
			_exit(2);
		_exit(tries[which].action(p, tries[which].arg) ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return OUTCOME_BROKEN;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? OUTCOME_DENIED : OUTCOME_BROKEN;
	if (WEXITSTATUS(status) == 0)
		return OUTCOME_DONE;
	return WEXITSTATUS(status) == 1 ? OUTCOME_DENIED : OUTCOME_BROKEN;
}

/* What this kernel's Landlock is too old to deny. */
static bool
too_old(const struct probe *p, size_t which)
{
	if (strcmp(tries[which].name, "abstract_socket") == 0)
		return p->version < 6;
	if (strcmp(tries[which].name, "tcp_bind") == 0)
		return p->version < 4 && p->profile->network != NET_UNIX;
	if ((p->profile->calls & CALLS_READ) != 0)
		return p->version < 1 ||
		       (p->version < 2 && profile_moves_files(p->profile));
	return false;
}

static bool
run_one(struct probe *p, size_t which, FILE *out)
{
	bool expected = tries[which].need(p, tries[which].arg);
	enum outcome seen;
	const char *words[] = {
		[OUTCOME_DONE] = "allowed",
		[OUTCOME_DENIED] = "denied",
		[OUTCOME_BROKEN] = "broken",
	};

	if (run_child(p, which, false) != OUTCOME_DONE ||
	    (!expected && too_old(p, which))) {
		fprintf(out, "%s untested %s\n", tries[which].name,
			expected ? "allowed" : "denied");
		return true;
	}
	seen = run_child(p, which, true);
	fprintf(out, "%s %s %s\n", tries[which].name, words[seen],
		expected ? "allowed" : "denied");
	return seen == (expected ? OUTCOME_DONE : OUTCOME_DENIED);
}

/* A TCP port and an abstract socket outside the sandbox for the children to try. */
static void
listen_outside(struct probe *p)
{
	socklen_t len = sizeof(p->tcp);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int abstract = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	p->tcp = (struct sockaddr_in){.sin_family = AF_INET,
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (bind(tcp, (struct sockaddr *)&p->tcp, sizeof(p->tcp)) == 0 &&
	    listen(tcp, 100) == 0)
		IGNORE(getsockname(tcp, (struct sockaddr *)&p->tcp, &len) != 0);
	p->abstract = (struct sockaddr_un){.sun_family = AF_UNIX};
	p->abstract_len = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1;
	p->abstract_len += (socklen_t)snprintf(p->abstract.sun_path + 1,
					       sizeof(p->abstract.sun_path) - 1,
					       "probe-%d", (int)getpid());
	if (bind(abstract, (struct sockaddr *)&p->abstract, p->abstract_len) == 0)
		IGNORE(listen(abstract, 100) != 0);
}

void
sandbox_probe(enum sandbox_profile profile, const struct sandbox_paths *paths)
{
	const char *file = getenv("HIKYAKU_PROBE");
	struct probe p = {.profile = profile_get(profile), .paths = paths};
	bool ok = true;
	FILE *out;

	if (file == NULL)
		return;
	out = fopen(file, "we");
	if (out == NULL)
		exit(2);
	setvbuf(out, NULL, _IOLBF, 0);
	p.mem = arena_new();
	p.version = landlock_version();
	p.parent = getpid();
	p.secret = 42;
	listen_outside(&p);
	for (size_t i = 0; i < ARRAY_LEN(tries); i++)
		ok = run_one(&p, i, out) && ok;
	fclose(out);
	arena_free(&p.mem);
	exit(ok ? 0 : 1);
}

#else

void
sandbox_probe(enum sandbox_profile profile, const struct sandbox_paths *paths)
{
	(void)profile;
	(void)paths;
}

#endif
