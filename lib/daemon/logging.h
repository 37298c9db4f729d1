/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where a program of ours logs, from its configuration: syslog, or maillog_file through
 * postlogd.
 */

#include <stdbool.h>

#include "base/err.h"

struct arena;
struct config;
struct log;

/* The tag is "syslog_name/program", or $MAIL_LOGTAG/program where the environment has it.
 * Until postlogd runs, lines go straight to the file. */
bool logging_open(struct log *log, struct arena *mem, const struct config *cfg,
		  const char *program, struct err *err)
	__attribute__((warn_unused_result));

/* Does maillog_file begin with one of maillog_file_prefixes? */
bool logging_file_allowed(struct arena *mem, const struct config *cfg, struct err *err)
	__attribute__((warn_unused_result));
