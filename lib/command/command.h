/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the commands share: configuration, log, environment, who is calling, waking up a
 * service.
 *
 * Commands that are installed set-gid (postdrop, postqueue) are run by people who do not
 * have that group. Such a process is "privileged" here: it takes another configuration
 * directory only if the default main.cf lists it (alternate_config_directories,
 * multi_instance_directories), and it keeps of its environment what import_environment
 * names. Without set-gid nothing of that applies: whoever owns the queue just uses it.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

struct arena;
struct config;

struct command {
	struct arena *mem; /* lives as long as the process */
	const char *name;  /* "postdrop" */
	struct log *log;   /* standard error until command_load(), then the log as well */
	const struct config *config;
	bool privileged;
};

/* name: for the log. Ignores SIGPIPE, opens descriptors 0 to 2 if they are closed. */
void command_init(struct command *c, struct arena *mem, const char *name);

/* Load main.cf (dir: NULL, or what -c said), clean the environment, open the log; lines
 * of level shown and above go to standard error too. Ends the process with status when
 * that fails. */
void command_load(struct command *c, const char *dir, enum log_level shown, int status);

/* A parameter's expanded value; ends the process with status 1 if it cannot be had. */
struct str command_get(struct command *c, const char *name);
int64_t command_get_int(struct command *c, const char *name);
/* In seconds. */
int64_t command_get_time(struct command *c, const char *name);
bool command_get_bool(struct command *c, const char *name);

/* Set the environment to what the list allows: NAME keeps a variable, NAME=value sets it.
 * (import_environment, export_environment). */
void command_environment(struct command *c, const char *parameter);

/* Login name of a uid, or NULL. In c->mem. It costs as much as reading main.cf. */
const char *command_user(struct command *c, unsigned uid);

/* The same for messages and look-ups: "unknown" for a uid without a name. */
const char *command_user_or_unknown(struct command *c, unsigned uid);

/* Send one byte to the socket or fifo at path, relative to the working directory, without
 * waiting. False with errno as errnum: there is none (ENOENT), or nobody listens. */
bool command_trigger(const char *path, char byte, struct err *err);
