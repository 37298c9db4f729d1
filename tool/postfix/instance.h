/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The mail system that a postfix(1) command is about: its configuration, who runs the
 * command, whether it runs, and the log. Lines go to the log and to standard error, both
 * as "postfix/postfix-script: text", which people and scripts look for.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"
#include "config/common_config.h"
#include "config/log_config.h"
#include "config/master_config.h"

struct arena;
struct log;

struct instance {
	struct arena *mem;
	struct log *log;
	struct config *config;
	struct common_config common;
	struct log_config logging;
	struct master_config master;
	const char *queue_directory;
	const char *pid_file;
	bool verbose;
	bool root;   /* else an ordinary user's own instance */
	uid_t owner; /* of the queue: mail_owner, or who we are */
	gid_t owner_group;
	gid_t setgid_group;
};

bool instance_open(struct arena *mem, const char *config_dir, struct instance *out,
		   struct err *err) MUST_CHECK;

void say_info(const struct instance *in, const char *format, ...) PRINTF_LIKE(2, 3);
void say_warning(const struct instance *in, const char *format, ...) PRINTF_LIKE(2, 3);
void say_error(const struct instance *in, const char *format, ...) PRINTF_LIKE(2, 3);
NORETURN void say_fatal(const struct instance *in, const char *format, ...)
	PRINTF_LIKE(2, 3);

/* Whether the mail system runs; the pid if the file says one, else 0. Fatal if it cannot
 * be told. */
bool instance_is_running(const struct instance *in, pid_t *pid_out);

/* "dir/name" in the instance's memory. */
const char *path_in(const struct instance *in, struct str dir, const char *name);

/* Run program (path) with arguments ended by NULL; the exit status, 128 + signal if it
 * was killed, -1 if it could not be started. */
int run_program(const struct instance *in, const char *program, const char *const *args);
/* The same, with its standard output as text. False, and said so, if it could not be run
 * to its end; its status does not matter. */
bool run_and_read(const struct instance *in, const char *program, const char *const *args,
		  struct str *text_out);
/* Start it and leave it to itself: it outlives us. False if it could not be started. */
bool launch_program(const struct instance *in, const char *program,
		    const char *const *args) MUST_CHECK;
/* Become it. */
NORETURN void become_program(const struct instance *in, const char *program,
			     const char *const *args);
