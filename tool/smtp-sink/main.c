/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp-sink(1): takes mail and throws it away, or says no, as it is told.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "fiber/endpoint.h"
#include "fiber/listen.h"
#include "options.h"
#include "session.h"

/* Descriptors that are not sessions. */
enum { SPARE_DESCRIPTORS = 64 };

/* As many descriptors as the sessions can use; fewer sessions if that is not allowed. */
static void
allow_descriptors(struct log *log, const struct sink *sink, size_t *max_sessions)
{
	size_t each = sink->dump_single != NULL || sink->dump_multi != NULL ? 2 : 1;
	rlim_t need = (rlim_t)(*max_sessions * each + SPARE_DESCRIPTORS);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
		return;
	if (limit.rlim_max < need) {
		/* root may. */
		struct rlimit more = {need, need};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	limit.rlim_cur = MIN_OF(need, limit.rlim_max);
	IGNORE(setrlimit(RLIMIT_NOFILE, &limit) < 0);
	if (limit.rlim_cur >= need)
		return;
	*max_sessions = limit.rlim_cur > SPARE_DESCRIPTORS
				? (size_t)(limit.rlim_cur - SPARE_DESCRIPTORS) / each
				: 1;
	log_warning(log, "the limit of open files allows only %zu sessions at once",
		    *max_sessions);
}

/* -R and -u. */
static void
drop_privileges(struct log *log, const struct options *o)
{
	struct passwd *user = o->user == NULL ? NULL : getpwnam(o->user);

	if (geteuid() == 0 && o->user == NULL)
		log_fatal(log, 1, "-u option is required if running as root");
	if (o->user != NULL && user == NULL)
		log_fatal(log, 1, "unknown user: %s", o->user);
	if (o->root != NULL && (chroot(o->root) < 0 || chdir("/") < 0))
		log_fatal(log, 1, "chroot %s: %s", o->root, strerror(errno));
	if (user == NULL || (geteuid() == user->pw_uid && geteuid() != 0))
		return;
	if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
	    setuid(user->pw_uid) < 0)
		log_fatal(log, 1, "cannot become user %s: %s", o->user, strerror(errno));
}

/* On every address that the name stands for, at least on one. */
static size_t
listen_on(struct sink *sink, const struct options *o, struct listener **listeners)
{
	struct endpoint_address *at = o->endpoint->addresses;
	size_t count = 0;
	struct err err;

	for (size_t i = 0; i < o->endpoint->count; i++) {
		int fd;

		if (!endpoint_listen(&at[i], o->backlog, o->window_bytes, &fd, &err)) {
			if (i + 1 == o->endpoint->count && count == 0)
				log_fatal(sink->log, 1, "%s: %s", o->endpoint_text,
					  err.text);
			if (o->endpoint->count > 1 && sink->verbose)
				log_info(sink->log, "%s: %s", o->endpoint_text, err.text);
			continue;
		}
		listeners[count++] =
			listener_new(sink->loop, fd, o->max_sessions, session_main, sink);
	}
	return count;
}

int
main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct listener *listeners[ENDPOINT_ADDRESSES_MAX] = {NULL};
	struct sink sink = {0};
	struct options o = {0};
	size_t count;

	sink.log = log_new("smtp-sink");
	sink.syslog = log_new("smtp-sink");
	log_to_syslog(sink.syslog, LOG_MAIL);
	options_parse(mem, &o, &sink, argc, argv);
	allow_descriptors(sink.log, &sink, &o.max_sessions);
	/* strftime() and the Received: line need it after chroot. */
	tzset();
	srandom((unsigned)time(NULL) ^ (unsigned)getpid());
	sink.loop = loop_new();
	loop_set_max_fibers(sink.loop, o.max_sessions * ENDPOINT_ADDRESSES_MAX);
	count = listen_on(&sink, &o, listeners);
	drop_privileges(sink.log, &o);
	loop_run(sink.loop);
	for (size_t i = 0; i < count; i++)
		listener_free(&listeners[i]);
	loop_free(&sink.loop); /* sessions that are left end here */
	log_free(&sink.log);
	log_free(&sink.syslog);
	arena_free(&mem);
	return 0;
}
