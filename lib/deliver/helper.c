/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "fiber/loop.h"
#include "fiber/stream.h"

#include "deliver/job_internal.h"

/* What the helper is told: nothing in it has a length. */
struct order {
	uint32_t kind;
	struct job_owner owner;
	uint8_t has_message;
};

struct helper {
	struct daemon *daemon;
	int fd;
};

enum { SPOOL_NONE = -1 };

/* ---- the child of a job ---- */

static bool
find_account(struct job *j, const struct job_owner *o)
{
	const struct passwd *pw;

	if (o->user[0] == '\0') {
		j->uid = (uid_t)o->uid;
		j->gid = (gid_t)o->gid;
		j->name = j->home = j->login_shell = STR_EMPTY;
		return true;
	}
	pw = getpwnam(o->user);
	if (pw == NULL)
		return false;
	j->uid = pw->pw_uid;
	j->gid = pw->pw_gid;
	j->name = str_dup(j->mem, str_from(pw->pw_name));
	j->home = str_dup(j->mem, str_from(pw->pw_dir));
	j->login_shell = str_dup(j->mem, str_from(pw->pw_shell));
	return true;
}

static bool
enter_root(struct job *j, const char *chroot_path)
{
	if (j->kind != JOB_PIPE || chroot_path == NULL)
		return true;
	if (chroot(chroot_path) == 0 && chdir("/") == 0)
		return true;
	job_dsn(j, "4.3.0", "cannot change root directory to %s: %s", chroot_path,
		strerror(errno));
	return false;
}

/* The spool's group stays as saved group, so that it can be used for the lock alone. */
static bool
become(struct job *j)
{
	gid_t saved = j->spool_gid != (gid_t)SPOOL_NONE ? j->spool_gid : j->gid;

	if (geteuid() != 0) {
		j->spool_gid = (gid_t)SPOOL_NONE;
		return geteuid() == j->uid;
	}
	if (setgroups(1, &j->gid) != 0 || setresgid(j->gid, j->gid, saved) != 0 ||
	    setresuid(j->uid, j->uid, j->uid) != 0)
		return false;
	return geteuid() == j->uid && getegid() == j->gid &&
	       (j->uid == 0 || setuid(0) != 0);
}

static void
send_result(struct job *j, int line)
{
	struct err err;

	/* Who asked may be gone; what was done stays done. */
	IGNORE(!io_write_all(line, buf_str(j->result), "result", &err));
}

static bool
may_be_root(const struct job *j)
{
	return j->kind == JOB_USER || j->uid != 0;
}

static void
work(struct job *j, const struct order *o, int line, const char *chroot_path)
{
	struct str wire;
	struct err err;

	/* Read to its end in any case: what is left unread would cost us our answer. */
	if (!io_read_all(j->mem, line, DELIVER_SPEC_MAX, "job", &wire, &err))
		job_dsn(j, "4.3.0", "bad job: %s", err.text);
	else if (!find_account(j, &o->owner))
		deliver_result_add_end(j->result, DELIVER_UNKNOWN_USER);
	else if (!may_be_root(j))
		job_dsn(j, "4.3.5", "mail system configuration error");
	else if (!enter_root(j, chroot_path))
		; /* it has said why */
	else if (!become(j))
		job_dsn(j, "4.3.0", "cannot act for user " PRI_STR, STR_ARG(j->name));
	else if (!deliver_spec_decode(wire, &j->spec))
		job_dsn(j, "4.3.0", "bad job");
	else
		job_run(j);
	send_result(j, line);
}

/* Line at 3, message at 4, nothing else. */
static void
arrange_descriptors(int *line, int *message)
{
	int high_line = fcntl(*line, F_DUPFD_CLOEXEC, 100);
	int high_message = *message >= 0 ? fcntl(*message, F_DUPFD_CLOEXEC, 100) : -1;

	*line = dup3(high_line, 3, O_CLOEXEC);
	*message = high_message >= 0 ? dup3(high_message, 4, O_CLOEXEC) : -1;
	close_range(*message >= 0 ? 5 : 4, ~0U, 0);
}

/* The group that may write to the spool, where not everybody may. */
static gid_t
spool_group(const char *directory)
{
	struct stat st;

	if (directory == NULL || stat(directory, &st) != 0 ||
	    (st.st_mode & S_IWOTH) != 0 || (st.st_mode & S_IWGRP) == 0)
		return (gid_t)SPOOL_NONE;
	return st.st_gid;
}

NORETURN static void
run_child(const struct order *o, int line, int message,
	  const struct helper_places *places)
{
	struct arena *mem = arena_new();
	struct job j = {.mem = mem,
			.kind = (enum job_kind)o->kind,
			.spool_gid = o->kind == JOB_USER
					     ? spool_group(places->spool_directory)
					     : (gid_t)SPOOL_NONE,
			.result = buf_new(mem, DELIVER_RESULT_MAX)};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	setsid();
	arrange_descriptors(&line, &message);
	j.message = message;
	umask(077);
	work(&j, o, line, places->chroot);
	_exit(0);
}

/* ---- the helper ---- */

static bool
is_sane(const struct order *o)
{
	bool named = o->owner.user[0] != '\0';

	return o->kind <= JOB_PIPE && memchr(o->owner.user, '\0', JOB_USER_MAX) != NULL &&
	       (named || (o->owner.uid > 0 && o->owner.uid < UINT32_MAX &&
			  o->owner.gid > 0 && o->owner.gid < UINT32_MAX));
}

/* False when the agent is gone. */
static bool
receive(int fd, struct order *o, int fds[2])
{
	char control[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct iovec iov = {o, sizeof(*o)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	fds[0] = fds[1] = -1;
	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*o))
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return fds[0] >= 0;
}

NORETURN static void
helper_main(int fd, const struct helper_places *places)
{
	struct order o;
	int fds[2];

	signal(SIGCHLD, SIG_IGN); /* children end by themselves */
	signal(SIGTERM, SIG_IGN); /* we end with the agent */
	while (receive(fd, &o, fds)) {
		if (is_sane(&o) && sys_fork() == 0)
			run_child(&o, fds[0], fds[1], places);
		close(fds[0]);
		if (fds[1] >= 0)
			close(fds[1]);
	}
	_exit(0);
}

bool
helper_start(struct daemon *d, const struct helper_places *places, struct helper **out,
	     struct err *err)
{
	struct helper *h = ARENA_NEW(d->mem, struct helper);
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_errno(err, ERR_TEMP, "socketpair");
	pid = sys_fork();
	if (pid < 0)
		return err_errno(err, ERR_TEMP, "fork");
	if (pid == 0) {
		/* The master's line and the sockets are not ours. */
		int mine = fcntl(pair[1], F_DUPFD_CLOEXEC, 100);

		for (int i = 3; i < 100; i++)
			close(i);
		close_range((unsigned)mine + 1, ~0U, 0);
		helper_main(dup3(mine, 3, O_CLOEXEC), places);
	}
	close(pair[1]);
	h->daemon = d;
	h->fd = pair[0];
	*out = h;
	return true;
}

/* ---- the agent ---- */

bool
job_owner_by_name(struct str user, struct job_owner *out)
{
	if (user.len == 0 || user.len >= JOB_USER_MAX || str_contains(user, '\0'))
		return false;
	*out = (struct job_owner){.uid = -1, .gid = -1};
	memcpy(out->user, user.p, user.len);
	return true;
}

static bool
send_order(struct helper *h, const struct order *o, int line, int message)
{
	int fds[2] = {line, message};
	size_t bytes = sizeof(int) * (message >= 0 ? 2 : 1);
	char control[CMSG_SPACE(sizeof(fds))] = {0};
	struct iovec iov = {(void *)(uintptr_t)o, sizeof(*o)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = CMSG_SPACE(bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(c), fds, bytes);
	return sys_sendmsg(h->fd, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(*o);
}

static bool
exchange(struct stream *s, const struct deliver_spec *spec, struct buf *answer)
{
	struct buf wire;
	bool ok;

	buf_init(&wire, DELIVER_SPEC_MAX);
	deliver_spec_encode(spec, &wire);
	/* The child has limits of its own for each thing it does. */
	stream_set_timeout_ms(s, -1);
	ok = buf_ok(&wire) && stream_write(s, buf_str(&wire)) == STREAM_OK &&
	     stream_shutdown(s, SHUT_WR) == STREAM_OK;
	buf_release(&wire);
	while (ok) {
		char piece[4096];
		size_t n;
		enum stream_status got = stream_read(s, piece, sizeof(piece), &n);

		if (got != STREAM_OK)
			return got == STREAM_EOF;
		buf_add(answer, str_from_mem(piece, n));
	}
	return false;
}

void
helper_run(struct helper *h, struct arena *mem, enum job_kind kind,
	   const struct job_owner *owner, const struct deliver_spec *spec, int message,
	   struct deliver_result *out)
{
	const struct order o = {.kind = kind, .owner = *owner};
	struct buf *answer = buf_new(mem, DELIVER_RESULT_MAX);
	struct stream *s;
	int pair[2];

	*out = (struct deliver_result){.end = DELIVER_LOST};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		log_warning(h->daemon->log, "socketpair: %s", strerror(errno));
		return;
	}
	if (!send_order(h, &o, pair[1], message)) {
		/* Without it we are of no use; the master starts both again. */
		log_fatal(h->daemon->log, 1, "the helper process is gone");
	}
	sys_close(pair[1]);
	s = stream_from_fd(h->daemon->loop, pair[0]);
	if (exchange(s, spec, answer) && buf_ok(answer))
		deliver_result_decode(mem, buf_str(answer), out);
	stream_close(&s);
}
