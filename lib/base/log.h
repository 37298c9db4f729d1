/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where log lines go. A struct log belongs to a process (no global); whoever decides what
 * to do about something logs it, once. Lines that outside tools parse are made by the
 * typed functions of a daemon's log.c, which end here.
 *
 * Text is cut at 2000 bytes, unprintable bytes become '?' (valid UTF-8 stays, see
 * log_set_ascii()). Severity above info is written before the text as Postfix does:
 * "warning: ", "error: ", "fatal:
 * ", "panic: ". A line is on its way when the call returns; a logger that does not read
 * delays us at most 1 s per line, then lines are dropped, counted, and the count is
 * logged when the logger is back.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_FATAL,
	LOG_LEVEL_PANIC
};

struct log;

/* tag: "postfix/smtp"; the line says "tag[pid]: ". Nothing is open yet: lines
 * go to standard error as "program: text", program being the tag's last part. */
struct log *log_new(const char *tag);
void log_free(struct log **log);

void log_set_tag(struct log *log, const char *tag);
const char *log_tag(const struct log *log);

/* syslog(3)'s socket; facility is LOG_MAIL etc. Missing /dev/log is tried again per line.
 */
void log_to_syslog(struct log *log, int facility);

/* Datagrams to postlogd: "Mon dd hh:mm:ss host tag[pid]: text" to the socket at path.
 * If nobody listens there and fallback_file is not NULL the line is appended to that file
 * (for programs that run before postlogd). host: the first label of myhostname. */
void log_to_postlog(struct log *log, const char *path, const char *host,
		    const char *fallback_file);

/* Lines in the form of log_to_postlog(), written to a descriptor (postlogd itself,
 * tests). */
void log_to_fd(struct log *log, int fd, const char *host);

/* Also copy each line of at least this level to standard error as "program: text". */
void log_copy_stderr(struct log *log, enum log_level from);

/* Lines below this level are dropped; default LOG_LEVEL_INFO. */
void log_set_level(struct log *log, enum log_level level);

/* Every byte above 127 becomes '?' (smtputf8_enable = no); default false. */
void log_set_ascii(struct log *log, bool ascii);

/* How many lines were dropped since the last call that told of them. */
unsigned log_dropped(const struct log *log);

void log_write(struct log *log, enum log_level level, const char *format, ...)
	PRINTF_LIKE(3, 4);

#define log_debug(log, ...)   log_write((log), LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(log, ...)    log_write((log), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(log, ...) log_write((log), LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(log, ...)   log_write((log), LOG_LEVEL_ERROR, __VA_ARGS__)

/* Log, wait one second (a restart loop then cannot spin), exit. Only main.c files,
 * lib/daemon and tools call this; status: 1 or a sysexits(3) value. */
NORETURN void log_fatal(struct log *log, int status, const char *format, ...)
	PRINTF_LIKE(3, 4);
