/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/str.h"
#include "base/sys.h"

#include "config/common_config.h"
#include "config/config.h"
#include "fiber/connect.h"
#include "fiber/fiber.h"
#include "fiber/listen.h"
#include "fiber/loop.h"
#include "fiber/stream.h"

#include "daemon/logging.h"

enum { CONTROL_FD = 3, FIRST_LISTENER_FD = 4, OVERRIDES_MAX = 200, LISTENERS_MAX = 64 };

/* What came with argv, and what main() keeps besides struct daemon. */
struct running {
	struct daemon d;          /* first: a daemon is its running */
	struct arena *config_mem; /* of the present configuration */
	struct common_config common;
	struct config_override overrides[OVERRIDES_MAX];
	size_t n_overrides;
	const char *service;
	const char *type;
	const char *config_dir;
	unsigned verbose;
	size_t n_listeners;
	struct listener *listeners[LISTENERS_MAX];
	struct watch raw[LISTENERS_MAX];
	struct watch control;
	bool drop_privileges;
	bool to_stderr;
};

/* ---- arguments ---- */

static bool
take_override(struct running *r, const char *text)
{
	struct config_override *o = &r->overrides[r->n_overrides];
	struct str all = str_from(text);

	if (r->n_overrides == OVERRIDES_MAX || !str_split(all, '=', &o->name, &o->value))
		return false;
	o->name = str_trim(o->name);
	o->value = str_trim(o->value);
	r->n_overrides++;
	return true;
}

static bool
parse_arguments(struct running *r, int argc, char **argv)
{
	int c;

	r->service = r->d.program->name;
	r->type = "unix";
	r->n_listeners = 1;
	while ((c = getopt(argc, argv, "+c:m:n:o:s:t:uvVS")) != -1) {
		switch (c) {
		case 'c':
			r->config_dir = optarg;
			break;
		case 'm':
			r->d.max_sessions = strtoul(optarg, NULL, 10);
			break;
		case 'n':
			r->service = optarg;
			break;
		case 'o':
			if (!take_override(r, optarg))
				return false;
			break;
		case 's':
			r->n_listeners = strtoul(optarg, NULL, 10);
			break;
		case 't':
			r->type = optarg;
			break;
		case 'u':
			r->drop_privileges = true;
			break;
		case 'v':
			r->verbose++;
			break;
		case 'V':
			r->to_stderr = true;
			break;
		case 'S':
			r->d.stand_alone = true;
			break;
		default:
			return false;
		}
	}
	r->d.service = r->service;
	r->d.args = (const char *const *)argv + optind;
	return r->n_listeners <= LISTENERS_MAX;
}

/* ---- configuration and log ---- */

static bool
load_config(struct running *r, struct arena *mem, struct config **out, struct err *err)
{
	const struct config_options options = {
		.dir = r->config_dir,
		.process_name = r->d.program->name,
		.service_name = r->service,
		.overrides = r->overrides,
		.override_count = r->n_overrides,
	};

	return config_load(mem, &options, out, err);
}

static void
prepare(struct running *r, struct err *err)
{
	struct config *cfg;

	if (!load_config(r, r->config_mem, &cfg, err) ||
	    !common_config_load(r->config_mem, cfg, &r->common, err) ||
	    !logging_open(r->d.log, r->config_mem, cfg, r->d.program->name, err))
		log_fatal(r->d.log, 1, "%s", err->text);
	r->d.config = cfg;
	if (r->to_stderr)
		log_copy_stderr(r->d.log, LOG_LEVEL_INFO);
	if (r->verbose > 0)
		log_set_level(r->d.log, LOG_LEVEL_DEBUG);
	if (chdir(str_c(r->config_mem, r->common.queue_directory)) < 0)
		log_fatal(r->d.log, 1, "chdir " PRI_STR ": %s",
			  STR_ARG(r->common.queue_directory), strerror(errno));
}

/* ---- privileges and limits ---- */

static void
set_limits(void)
{
	const struct rlimit no_core = {0, 0};
	struct rlimit files;

	IGNORE(setrlimit(RLIMIT_CORE, &no_core) < 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		IGNORE(setrlimit(RLIMIT_NOFILE, &files) < 0);
	}
}

/* Root becomes mail_owner; everybody else stays what they are. */
static void
become_mail_owner(struct running *r)
{
	const char *name = str_c(r->config_mem, r->common.mail_owner);
	struct passwd *pw;

	if (!r->drop_privileges || geteuid() != 0)
		return;
	errno = 0;
	pw = getpwnam(name);
	if (pw == NULL)
		log_fatal(r->d.log, 1, "mail_owner: unknown user %s", name);
	if (pw->pw_uid == 0)
		log_fatal(r->d.log, 1, "mail_owner: %s has the privileges of root", name);
	if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		log_fatal(r->d.log, 1, "become user %s: %s", name, strerror(errno));
}

static void
confine(struct running *r)
{
	const struct sandbox_paths paths = {
		.queue_directory = str_c(r->config_mem, r->common.queue_directory),
		.config_directory = config_dir(r->d.config),
		.data_directory = str_c(r->config_mem, r->common.data_directory),
		.read_only = r->d.tables,
	};
	struct err err;

	if (!sandbox_enter(r->d.program->profile, &paths, r->d.log, &err))
		log_fatal(r->d.log, 1, "%s", err.text);
}

/* ---- sessions ---- */

static void
run_session(struct stream *s, const struct listener_peer *peer, void *arg)
{
	struct daemon *d = arg;

	(void)peer;
	d->n_sessions++;
	d->program->session(d, s);
	stream_close(&s);
	d->n_sessions--;
}

static void
raw_ready(struct watch *w, unsigned ready, void *arg)
{
	struct running *r = arg;
	size_t i = (size_t)(w - r->raw);

	(void)ready;
	r->d.program->raw_listener(&r->d, FIRST_LISTENER_FD + (int)i);
}

static void
serve(struct running *r)
{
	size_t max = r->d.max_sessions > 0 ? r->d.max_sessions : SIZE_MAX;

	for (size_t i = 0; i < r->n_listeners; i++) {
		int fd = FIRST_LISTENER_FD + (int)i;

		IGNORE(fcntl(fd, F_SETFD, FD_CLOEXEC) < 0);
		if (r->d.program->raw_listener != NULL) {
			watch_init(&r->raw[i], r->d.loop, fd, WATCH_READ, raw_ready, r);
			watch_start(&r->raw[i]);
		} else {
			r->listeners[i] =
				listener_new(r->d.loop, fd, max, run_session, &r->d);
		}
	}
}

/* ---- the master's word ---- */

static void
begin_drain(struct running *r)
{
	if (r->d.draining)
		return;
	r->d.draining = true;
	watch_stop(&r->control);
	for (size_t i = 0; i < r->n_listeners; i++) {
		if (r->d.program->raw_listener != NULL)
			watch_stop(&r->raw[i]);
		else
			listener_stop(r->listeners[i]);
	}
	if (r->d.program->drain != NULL)
		r->d.program->drain(&r->d);
}

static void
reload(struct running *r)
{
	struct arena *mem = arena_new();
	struct config *fresh;
	struct err err;

	if (!load_config(r, mem, &fresh, &err) ||
	    !r->d.program->reload(&r->d, fresh, &err)) {
		log_error(r->d.log, "reload: %s -- the old configuration stays in force",
			  err.text);
		arena_free(&mem);
		return;
	}
	/* What the old one's strings are still used for is the daemon's to say: it stays
	 * until the process ends. */
	r->d.config = fresh;
}

static void
control_ready(struct watch *w, unsigned ready, void *arg)
{
	struct running *r = arg;
	char c;
	ssize_t n = sys_read(CONTROL_FD, &c, 1);

	(void)w;
	(void)ready;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		begin_drain(r);
	else if (c == 'H' && r->d.program->reload != NULL)
		reload(r);
	else if (c == 'W' && r->d.program->wakeup != NULL)
		r->d.program->wakeup(&r->d);
}

static void
tell_ready(struct running *r)
{
	IGNORE(fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0);
	IGNORE(fcntl(CONTROL_FD, F_SETFL, O_NONBLOCK) < 0);
	if (sys_write(CONTROL_FD, "R", 1) != 1)
		log_fatal(r->d.log, 1,
			  "do not run this program by hand: the master does");
	watch_init(&r->control, r->d.loop, CONTROL_FD, WATCH_READ, control_ready, r);
	watch_start(&r->control);
}

int
daemon_main(int argc, char **argv, const struct daemon_program *program)
{
	struct running *r;
	struct stat st;
	struct arena *mem = arena_new();
	struct err err;

	r = ARENA_NEW(mem, struct running);
	r->d.mem = mem;
	r->d.program = program;
	r->d.log = log_new(program->name);
	r->config_mem = arena_new_child(mem);
	if (!parse_arguments(r, argc, argv))
		log_fatal(r->d.log, 1,
			  "usage: %s [-c dir] [-n service] [-o name=value] ...",
			  program->name);
	if (fstat(CONTROL_FD, &st) < 0 || !S_ISSOCK(st.st_mode))
		log_fatal(r->d.log, 1,
			  "do not run this program by hand: the master does");
	umask(077);
	signal(SIGHUP, SIG_IGN);
	prepare(r, &err);
	set_limits();
	r->d.loop = loop_new();
	if (!program->init(&r->d, &err))
		log_fatal(r->d.log, 1, "%s", err.text);
	become_mail_owner(r);
	confine(r);
	tell_ready(r);
	serve(r);
	if (program->start != NULL)
		program->start(&r->d);
	loop_run(r->d.loop);
	log_free(&r->d.log);
	return 0;
}

/* ---- others ---- */

bool
daemon_connect(struct daemon *d, const char *class_and_name, int timeout_ms,
	       struct stream **stream_out, struct err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (strlen(class_and_name) >= sizeof(to.sun_path))
		return err_set(err, ERR_CONFIG, "socket name too long: %s",
			       class_and_name);
	strncpy(to.sun_path, class_and_name, sizeof(to.sun_path) - 1);
	return stream_connect(d->loop, (struct sockaddr *)&to, sizeof(to), NULL, 0,
			      timeout_ms, stream_out, err) ||
	       err_prefix(err, "service %s", class_and_name);
}

bool
daemon_trigger(struct daemon *d, const char *class_and_name, const char *bytes)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(bytes);
	bool ok;
	int fd;

	(void)d;
	if (strlen(class_and_name) >= sizeof(to.sun_path))
		return false;
	strncpy(to.sun_path, class_and_name, sizeof(to.sun_path) - 1);
	fd = sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	ok = sys_connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	     sys_send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
	sys_close(fd);
	return ok;
}
