/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * main() of every daemon: options, configuration, log, sockets from the master, privilege
 * drop, sandbox, loop. A daemon's main.c is a struct daemon_program and one call.
 *
 * What the master gives a daemon
 *	argv	COMMAND -n SERVICE -t unix|inet|unix-dgram|pass [-u] [-v] [-m sessions]
 *		[-s sockets] [-o name=value]... args (options.h)
 *	fd 0-2	/dev/null (standard error is the terminal's with -V)
 *	fd 3	control: a stream socket pair. The daemon writes "R" when it is ready to
 *		serve. End of file means "finish": accept nothing more, end the work in
 *		hand, exit 0. So a daemon outlives neither a reload (its successor has the
 *		sockets already) nor its master. Also sent by the master: "H" = re-read
 *		your configuration in place (only programs with a reload function), "W" =
 *		wake-up time of the wakeup column
 *		The daemon writes "N" to ask for a successor
 *	fd 4...	the listening sockets, -s N of them (default 1)
 *	SIGTERM	stop: finish at once; what still runs after 1.5 seconds is given up.
 *		Blocked until the loop runs
 *
 * Order at start: configuration, log, change to queue_directory (all names below it are
 * relative from here on), init() [opens tables, directories, sockets that it needs by
 * name], privilege drop, sandbox_enter(), start(), "R", loop. What fails before "R" is
 * logged as fatal and the exit status is 1; the master throttles.
 *
 * Sessions: every accepted connection gets a fiber that runs session(); at most
 * `max_sessions` per listening socket at a time (the maxproc column divided by the number
 * of worker processes; 0 = no limit but the descriptors'). Datagram and single-byte
 * trigger services do their own reading: set raw_listener.
 *
 * There is no watchdog: daemon_timeout was for processes that serve one request at a
 * time. Every session's deadlines are its own.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#include "daemon/sandbox.h"

struct arena;
struct config;
struct log;
struct loop;
struct stream;

/* What came with a connection that another service has accepted (type pass); empty where
 * the socket tells the truth. */
struct daemon_passed {
	struct str client_address, client_port, server_address, server_port;
	bool is_screened; /* whoever passed it has read the header of a proxy */
};

struct daemon {
	struct arena *mem; /* lives as long as the process */
	struct loop *loop;
	struct log *log;
	const struct config *config; /* frozen; the parameters of main.cf and -o */
	const struct daemon_program *program;
	/* The program's; init() may choose another, when the configuration needs more. */
	enum sandbox_profile profile;
	const char *service;     /* master.cf name: "smtp", "relay" */
	const char *const *args; /* what was left of argv, ended by NULL */
	/* init() may set it: files and directories of tables that the sandbox lets us
	 * read, if the profile has TABLES; ended by NULL. */
	const char *const *tables;
	void *state; /* made by init() */
	size_t max_sessions;
	size_t n_sessions;
	bool draining;  /* finishing: end of file on the control socket, or stopping */
	bool stopping;  /* SIGTERM */
	bool successor; /* started at the wish of one that runs */
	/* Of the session that begins, type pass only, else NULL: until session() first
	 * blocks. */
	const struct daemon_passed *passed;
	bool stand_alone; /* run with -S: one session, on the socket at descriptor 0 */
};

struct daemon_program {
	const char *name;             /* of the program: "smtp" */
	enum sandbox_profile profile; /* daemon/profiles.def */
	bool asks_in_place; /* tables that need a server are not asked through proxymap
			       (asker.h) but by us */

	/* Make the daemon's state from the configuration; open what needs names. Runs
	 * with the privileges of the start, outside the loop. May be NULL. */
	bool (*init)(struct daemon *d, struct err *err);

	/* After the sandbox: spawn own fibers, start timers. May be NULL. */
	void (*start)(struct daemon *d);

	/* One connection, in a fiber of its own; the stream is closed by the caller on
	 * return. NULL together with raw_listener. */
	void (*session)(struct daemon *d, struct stream *client);

	/* A readable listening socket, in the loop (no fiber): triggers and datagrams. */
	void (*raw_listener)(struct daemon *d, int fd);

	/* The wake-up column's time has come. May be NULL. */
	void (*wakeup)(struct daemon *d);

	/* A reload in place: `fresh` was loaded; on success it becomes d->config, on
	 * failure the old one stays. NULL: the process is replaced instead. */
	bool (*reload)(struct daemon *d, const struct config *fresh, struct err *err);

	/* Finishing was asked for: stop own timers and watches, cancel idle fibers. The
	 * process exits when no fiber, timer and watch is left. May be NULL. */
	void (*drain)(struct daemon *d);

	/* The process is about to exit in an orderly way: free `state`. May be NULL. */
	void (*release)(struct daemon *d);
};

/* Never returns to a caller that has anything left to do: the result is main()'s. */
int daemon_main(int argc, char **argv, const struct daemon_program *program);

/* The configuration as it was loaded at start, into d->mem; under_stress: with $stress
 * set to "yes". From init(). */
bool daemon_load_config(struct daemon *d, bool under_stress, const struct config **out,
			struct err *err) __attribute__((warn_unused_result));

/* Connect to a service of ours by its class and name ("public/cleanup", "private/bounce")
 * within timeout_ms, from a fiber. Works in the sandbox: UNIX sockets are no files to it,
 * and the name is relative to the working directory. */
bool daemon_connect(struct daemon *d, const char *class_and_name, int timeout_ms,
		    struct stream **stream_out, struct err *err)
	__attribute__((warn_unused_result));

/* Give an accepted connection to a service of type pass ("private/smtpd"), from a fiber:
 * true when it has it. fd stays open and the caller's. */
bool daemon_pass(struct daemon *d, const char *class_and_name, int fd,
		 const struct daemon_passed *passed, int timeout_ms, struct err *err)
	__attribute__((warn_unused_result));

/* Ask the master to start this process anew, with the rights of the start (files that
 * only root may read have changed). When the successor is ready this one is told to
 * finish as in a reload, so that its sessions go on to their end. A successor that ends
 * before (the new files are broken; it should log why) changes nothing. While one is
 * being started, further wishes have no effect. */
void daemon_ask_successor(struct daemon *d);

/* Is this such a successor, before it is ready? Then init() should fail where a first
 * start would rather go on with less. */
bool daemon_is_successor(const struct daemon *d);

/* Send trigger bytes to a service's socket; false when nobody listens. Does not wait. */
bool daemon_trigger(struct daemon *d, const char *class_and_name, const char *bytes);
