/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which logs to read: those that were named, or the usual places with their rotated and
 * compressed siblings (mail.log.1, mail.log.2.gz, maillog-20261101, ...). Ordered by the
 * time of their first line, oldest first.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { LOGFILES_MAX = 1000 };

struct arena;
struct source;

struct logfiles {
	struct source **sources;
	const char **names;
	size_t n;
	size_t n_failed; /* named or found, but not readable */
};

/* names: NULL-terminated; empty: the usual places, that is maillog_file (may be NULL or
 * empty), else /var/log/mail.log, else /var/log/maillog, each with its siblings.
 * Unreadable files are told to `warn` and left out. False if there is nothing to read. */
bool logfiles_open(struct arena *mem, const char *const *names, const char *maillog_file,
		   void (*warn)(const char *text), struct logfiles *out,
		   struct err *err) MUST_CHECK;

/* Is `name` the base name `base` or a rotated sibling of it? */
bool logfiles_is_sibling(const char *name, const char *base);
