/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "config/common_config.h"
#include "config/config.h"
#include "fiber/connect.h"
#include "fiber/fiber.h"
#include "fiber/listen.h"
#include "fiber/loop.h"
#include "fiber/stream.h"

#include "daemon/asker.h"
#include "daemon/logging.h"
#include "daemon/options.h"
#include "daemon/pass.h"
#include "daemon/privilege.h"

enum { CONTROL_FD = 3, FIRST_SOCKET = 4, STOP_GRACE_MS = 1500 };

/* The daemon and what its author does not see. */
struct process {
	struct daemon d;
	struct daemon_options options;
	const char *program_name; /* argv[0]'s last part: in the log */
	const char *mail_owner;
	struct sandbox_paths paths;
	struct table_asker *asker; /* NULL: tables are asked in place */
	struct watch control;
	struct watch raw[OPTIONS_SOCKETS_MAX];
	struct listener *listeners[OPTIONS_SOCKETS_MAX];
	struct timer stop_timer;
};

static void
die(struct process *p, const struct err *err)
{
	log_fatal(p->d.log, 1, "%s", err->text);
}

/* -- start ------------------------------------------------------------------- */

static bool
load_config(struct process *p, struct arena *mem, bool under_stress,
	    const struct config **out, struct err *err)
{
	struct config_options options = {
		.process_name = p->program_name,
		.service_name = p->d.service,
		.overrides = p->options.overrides,
		.override_count = p->options.override_count,
		.stress = under_stress,
	};
	struct config *cfg;

	if (!config_load(mem, &options, &cfg, err))
		return false;
	*out = cfg;
	return true;
}

bool
daemon_load_config(struct daemon *d, bool under_stress, const struct config **out,
		   struct err *err)
{
	return load_config(CONTAINER_OF(d, struct process, d), d->mem, under_stress, out,
			   err);
}

static bool
use_config(struct process *p, struct err *err)
{
	struct daemon *d = &p->d;
	struct common_config c;

	if (!load_config(p, d->mem, false, &d->config, err) ||
	    !common_config_load(d->mem, d->config, &c, err))
		return false;
	p->mail_owner = str_c(d->mem, c.mail_owner);
	p->paths = (struct sandbox_paths){
		.queue_directory = str_c(d->mem, c.queue_directory),
		.config_directory = config_dir(d->config),
		.data_directory = str_c(d->mem, c.data_directory),
	};
	if (chdir(p->paths.queue_directory) != 0)
		return err_errno(err, ERR_CONFIG, "chdir %s", p->paths.queue_directory);
	if (!logging_open(d->log, d->mem, d->config, p->program_name, err))
		return false;
	if (p->options.stderr_log)
		log_copy_stderr(d->log, LOG_LEVEL_DEBUG);
	return true;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Are the descriptors there that the master promises? Else somebody tries it by hand. */
static bool
check_descriptors(const struct process *p, struct err *err)
{
	if (p->options.stand_alone || getenv("HIKYAKU_PROBE") != NULL)
		return true;
	if (isatty(STDIN_FILENO) || !is_open(CONTROL_FD))
		return err_set(err, ERR_CONFIG, "do not run this command by hand");
	for (int i = 0; i < p->options.sockets; i++) {
		if (!is_open(FIRST_SOCKET + i))
			return err_set(err, ERR_CONFIG, "listening socket %d is missing",
				       i);
	}
	return true;
}

static bool
start_up(struct process *p, struct err *err)
{
	struct daemon *d = &p->d;

	if (!check_descriptors(p, err) || !use_config(p, err))
		return false;
	privilege_limits();
	d->loop = loop_new();
	if (d->program->asks_in_place)
		asker_use(NULL, d->mem, d->config);
	else if (!asker_install(d, &p->asker, err))
		return false;
	if (d->program->init != NULL && !d->program->init(d, err))
		return false;
	if (p->options.unprivileged && !privilege_drop(p->mail_owner, err))
		return false;
	p->paths.read_only = d->tables;
	sandbox_probe(d->profile, &p->paths);
	return sandbox_enter(d->profile, &p->paths, d->log, err);
}

/* -- sessions ---------------------------------------------------------------- */

static void
run_session(struct stream *s, const struct listener_peer *peer UNUSED, void *arg)
{
	struct process *p = arg;

	p->d.n_sessions++;
	p->d.program->session(&p->d, s);
	stream_close(&s);
	p->d.n_sessions--;
}

/* A connection that somebody else has accepted. Within the call of session() nothing
 * happens in between, so one place for what came with it is enough. */
static void
run_passed(struct stream *s, const struct listener_peer *peer, void *arg)
{
	struct process *p = arg;
	struct arena *mem = arena_new();
	struct daemon_passed passed;
	struct err err;
	int fd;

	if (pass_receive(s, mem, &passed, &fd, &err)) {
		stream_close(&s);
		p->d.passed = &passed;
		run_session(stream_from_fd(p->d.loop, fd), peer, p);
		p->d.passed = NULL;
	} else {
		if (!p->d.draining)
			log_warning(p->d.log, "passed connection: %s", err.text);
		stream_close(&s);
	}
	arena_free(&mem);
}

static bool
is_pass(const struct process *p)
{
	return p->options.type != NULL && strcmp(p->options.type, "pass") == 0;
}

static void
raw_ready(struct watch *w, unsigned ready UNUSED, void *arg)
{
	struct process *p = arg;

	p->d.program->raw_listener(&p->d, FIRST_SOCKET + (int)(w - p->raw));
}

static void
serve_raw(struct process *p, int i)
{
	int fd = FIRST_SOCKET + i;

	IGNORE(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0);
	watch_init(&p->raw[i], p->d.loop, fd, WATCH_READ, raw_ready, p);
	watch_start(&p->raw[i]);
}

static void
serve(struct process *p)
{
	/* 0 means no limit. */
	size_t limit = p->d.max_sessions > 0 ? p->d.max_sessions : SIZE_MAX;

	for (int i = 0; i < p->options.sockets; i++) {
		if (p->d.program->raw_listener != NULL)
			serve_raw(p, i);
		else if (p->d.program->session != NULL)
			p->listeners[i] =
				listener_new(p->d.loop, FIRST_SOCKET + i, limit,
					     is_pass(p) ? run_passed : run_session, p);
	}
}

static void
stand_alone_session(void *arg)
{
	struct process *p = arg;
	struct stream *s = stream_from_fd(p->d.loop, STDIN_FILENO);
	struct listener_peer unknown = {.address_len = 0};

	run_session(s, &unknown, p);
}

/* -- the end ----------------------------------------------------------------- */

/* Listen no more; the loop ends by itself when nothing is left in it. */
static void
drain(struct process *p)
{
	if (p->d.draining)
		return;
	p->d.draining = true;
	watch_stop(&p->control);
	for (int i = 0; i < p->options.sockets; i++) {
		if (p->listeners[i] != NULL)
			listener_stop(p->listeners[i]);
		else if (p->d.program->raw_listener != NULL)
			watch_stop(&p->raw[i]);
	}
	if (p->d.program->drain != NULL)
		p->d.program->drain(&p->d);
}

static void
give_up(struct timer *t UNUSED, void *arg)
{
	struct process *p = arg;

	loop_stop(p->d.loop);
}

static void
stop(int sig UNUSED, void *arg)
{
	struct process *p = arg;

	if (p->d.stopping)
		return;
	p->d.stopping = true;
	/* drain() once more for a daemon that is finishing already: it may now give up
	 * what it waited for. */
	p->d.draining = false;
	drain(p);
	for (int i = 0; i < p->options.sockets; i++) {
		if (p->listeners[i] != NULL)
			listener_cancel_sessions(p->listeners[i]);
	}
	if (fiber_count(p->d.loop) > 0)
		timer_start_ms(&p->stop_timer, STOP_GRACE_MS);
}

/* -- what the master says ---------------------------------------------------- */

/* The memory of a configuration stays until the process ends, whichever is in force: a
 * fiber may be in the middle of using it. */
static void
reload(struct process *p)
{
	struct arena *mem = arena_new_child(p->d.mem);
	const struct config *fresh;
	struct err err;

	if (!load_config(p, mem, false, &fresh, &err)) {
		arena_free(&mem);
		log_error(p->d.log, "reload: %s; the old configuration stays in force",
			  err.text);
		return;
	}
	asker_use(p->asker, mem, fresh);
	if (p->d.program->reload(&p->d, fresh, &err)) {
		p->d.config = fresh;
		if (logging_open(p->d.log, mem, fresh, p->program_name, &err))
			return;
	}
	log_error(p->d.log, "reload: %s; the old configuration stays in force", err.text);
}

static void
control_byte(struct process *p, char c)
{
	const struct daemon_program *program = p->d.program;

	if (c == 'H' && program->reload != NULL)
		reload(p);
	else if (c == 'W' && program->wakeup != NULL)
		program->wakeup(&p->d);
}

static void
control_ready(struct watch *w UNUSED, unsigned ready UNUSED, void *arg)
{
	struct process *p = arg;
	char bytes[64];
	ssize_t n = sys_read(CONTROL_FD, bytes, sizeof(bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		drain(p);
		return;
	}
	for (ssize_t i = 0; i < n && !p->d.draining; i++)
		control_byte(p, bytes[i]);
}

static void
watch_master(struct process *p)
{
	IGNORE(fcntl(CONTROL_FD, F_SETFL, O_NONBLOCK) < 0);
	watch_init(&p->control, p->d.loop, CONTROL_FD, WATCH_READ, control_ready, p);
	watch_start(&p->control);
	/* A master that has died meanwhile shows as end of file. */
	IGNORE(sys_send(CONTROL_FD, "R", 1, MSG_NOSIGNAL) < 0);
}

static void
run(struct process *p)
{
	struct daemon *d = &p->d;
	sigset_t none;

	timer_init(&p->stop_timer, d->loop, give_up, p);
	loop_on_signal(d->loop, SIGTERM, stop, p);
	/* The master starts us with SIGTERM blocked: until here nobody could act on it.
	 */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (d->program->start != NULL)
		d->program->start(d);
	if (d->stand_alone) {
		if (fiber_spawn(d->loop, "session", stand_alone_session, p) == NULL)
			log_fatal(d->log, 1, "cannot start a session");
	} else {
		serve(p);
		watch_master(p);
	}
	loop_run(d->loop);
}

static void
tidy_up(struct process *p)
{
	for (int i = 0; i < p->options.sockets; i++)
		listener_free(&p->listeners[i]);
	loop_end_fibers(p->d.loop);
	if (p->d.program->release != NULL)
		p->d.program->release(&p->d);
	asker_release(p->asker);
	loop_free(&p->d.loop);
	log_free(&p->d.log);
}

/* In the log; one program may have two names (smtp, lmtp). */
static const char *
program_name(int argc, char **argv, const struct daemon_program *program)
{
	const char *slash;

	if (argc < 1 || argv[0] == NULL)
		return program->name;
	slash = strrchr(argv[0], '/');
	return slash == NULL ? argv[0] : slash + 1;
}

int
daemon_main(int argc, char **argv, const struct daemon_program *program)
{
	struct arena *mem = arena_new();
	struct process *p = ARENA_NEW(mem, struct process);
	struct err err;

	p->d.mem = mem;
	p->d.program = program;
	p->d.profile = program->profile;
	p->program_name = program_name(argc, argv, program);
	p->d.log = log_new(p->program_name);
	if (!daemon_options_parse(mem, argc, argv, &p->options, &err))
		die(p, &err);
	p->d.service = p->options.service == NULL ? p->program_name : p->options.service;
	p->d.args = p->options.args;
	p->d.max_sessions = (size_t)p->options.max_sessions;
	p->d.stand_alone = p->options.stand_alone;
	p->d.successor = p->options.successor;
	if (p->options.verbose > 0)
		log_set_level(p->d.log, LOG_LEVEL_DEBUG);
	if (p->options.stand_alone)
		p->options.sockets = 0;
	if (!start_up(p, &err))
		die(p, &err);
	run(p);
	tidy_up(p);
	arena_free(&mem);
	return 0;
}

void
daemon_ask_successor(struct daemon *d)
{
	if (!d->stand_alone && !d->draining)
		IGNORE(sys_send(CONTROL_FD, "N", 1, MSG_NOSIGNAL) < 0);
}

bool
daemon_is_successor(const struct daemon *d)
{
	return d->successor;
}

/* -- other services ---------------------------------------------------------- */

static bool
unix_address(const char *path, struct sockaddr_un *out)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(sa.sun_path))
		return false;
	memcpy(sa.sun_path, path, n);
	*out = sa;
	return true;
}

bool
daemon_connect(struct daemon *d, const char *class_and_name, int timeout_ms,
	       struct stream **stream_out, struct err *err)
{
	struct sockaddr_un sa;

	if (!unix_address(class_and_name, &sa))
		return err_set(err, ERR_CONFIG, "bad service name: %s", class_and_name);
	if (!stream_connect(d->loop, (struct sockaddr *)&sa, sizeof(sa), NULL, 0,
			    timeout_ms, stream_out, err))
		return err_prefix(err, "connect to %s", class_and_name);
	return true;
}

bool
daemon_trigger(struct daemon *d UNUSED, const char *class_and_name, const char *bytes)
{
	struct sockaddr_un sa;
	bool ok;
	int fd;

	if (!unix_address(class_and_name, &sa))
		return false;
	fd = sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	ok = sys_connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
	     sys_send(fd, bytes, strlen(bytes), MSG_NOSIGNAL) == (ssize_t)strlen(bytes);
	sys_close(fd);
	return ok;
}
