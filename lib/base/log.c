/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"

enum { TEXT_MAX = 2000, SEND_WAIT_MS = 1000 };

enum sink { SINK_STDERR, SINK_SYSLOG, SINK_POSTLOG, SINK_FD };

struct log {
	char *tag;
	char *host;
	char *path; /* of the datagram socket */
	char *fallback_file;
	enum sink sink;
	enum log_level level;
	enum log_level stderr_from;
	int facility;
	int fd;
	unsigned dropped;
	bool ascii;
};

static const struct {
	const char *prefix;
	int priority;
} levels[] = {
	[LOG_LEVEL_DEBUG] = {"", LOG_DEBUG},
	[LOG_LEVEL_INFO] = {"", LOG_INFO},
	[LOG_LEVEL_WARNING] = {"warning: ", LOG_WARNING},
	[LOG_LEVEL_ERROR] = {"error: ", LOG_ERR},
	[LOG_LEVEL_FATAL] = {"fatal: ", LOG_CRIT},
	[LOG_LEVEL_PANIC] = {"panic: ", LOG_CRIT},
};

struct log *
log_new(const char *tag)
{
	struct log *log = mem_alloc(sizeof(*log));

	log->tag = mem_strdup(tag);
	log->level = LOG_LEVEL_INFO;
	log->stderr_from = LOG_LEVEL_PANIC + 1;
	log->fd = -1;
	return log;
}

/* Leave the sink we have; standard error is what remains. */
static void
forget_sink(struct log *log)
{
	if (log->fd >= 0 && log->sink != SINK_FD)
		sys_close(log->fd);
	log->fd = -1;
	log->sink = SINK_STDERR;
	mem_free(log->host);
	mem_free(log->path);
	mem_free(log->fallback_file);
	log->host = log->path = log->fallback_file = NULL;
}

void
log_free(struct log **log)
{
	if (*log == NULL)
		return;
	forget_sink(*log);
	mem_free((*log)->tag);
	mem_free(*log);
	*log = NULL;
}

void
log_set_tag(struct log *log, const char *tag)
{
	mem_free(log->tag);
	log->tag = mem_strdup(tag);
}

const char *
log_tag(const struct log *log)
{
	return log->tag;
}

void
log_to_syslog(struct log *log, int facility)
{
	forget_sink(log);
	log->sink = SINK_SYSLOG;
	log->facility = facility;
	log->path = mem_strdup("/dev/log");
}

void
log_to_postlog(struct log *log, const char *path, const char *host,
	       const char *fallback_file)
{
	forget_sink(log);
	log->sink = SINK_POSTLOG;
	log->path = mem_strdup(path);
	log->host = mem_strdup(host);
	if (fallback_file != NULL)
		log->fallback_file = mem_strdup(fallback_file);
}

void
log_to_fd(struct log *log, int fd, const char *host)
{
	forget_sink(log);
	log->sink = SINK_FD;
	log->fd = fd;
	log->host = mem_strdup(host);
}

void
log_copy_stderr(struct log *log, enum log_level from)
{
	log->stderr_from = from;
}

void
log_set_level(struct log *log, enum log_level level)
{
	log->level = level;
}

void
log_set_ascii(struct log *log, bool ascii)
{
	log->ascii = ascii;
}

unsigned
log_dropped(const struct log *log)
{
	return log->dropped;
}

static const char *
program_of(const char *tag)
{
	const char *slash = strrchr(tag, '/');

	return slash == NULL ? tag : slash + 1;
}

static struct str
syslog_line(struct arena *mem, const struct log *log, enum log_level level,
	    struct str text)
{
	char stamp[32];
	time_t now = (time_t)(sys_now_us() / 1000000);
	struct tm tm;

	localtime_r(&now, &tm);
	IGNORE(strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm) == 0);
	return str_printf(mem, "<%d>%s %s[%d]: %s" PRI_STR,
			  log->facility | levels[level].priority, stamp, log->tag,
			  (int)getpid(), levels[level].prefix, STR_ARG(text));
}

/* postlogd's day has a leading zero where syslogd's has a blank (facts: logs 1.1). */
static struct str
file_line(struct arena *mem, const struct log *log, enum log_level level, struct str text)
{
	char stamp[32];
	time_t now = (time_t)(sys_now_us() / 1000000);
	struct tm tm;

	localtime_r(&now, &tm);
	IGNORE(strftime(stamp, sizeof(stamp), "%b %d %H:%M:%S", &tm) == 0);
	return str_printf(mem, "%s %s %s[%d]: %s" PRI_STR, stamp, log->host, log->tag,
			  (int)getpid(), levels[level].prefix, STR_ARG(text));
}

static bool
socket_open(struct log *log)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (log->fd >= 0)
		return true;
	if (strlen(log->path) >= sizeof(to.sun_path))
		return false;
	strncpy(to.sun_path, log->path, sizeof(to.sun_path) - 1);
	log->fd = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log->fd < 0)
		return false;
	if (sys_connect(log->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return true;
	sys_close(log->fd);
	log->fd = -1;
	return false;
}

/* One datagram. A full queue is waited for, a restarted logger is connected to again. */
static bool
socket_send(struct log *log, struct str line)
{
	for (int attempt = 0; attempt < 3; attempt++) {
		struct pollfd p;

		if (!socket_open(log))
			return false;
		if (sys_send(log->fd, line.p, line.len, MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == EAGAIN || errno == ENOBUFS) {
			p = (struct pollfd){.fd = log->fd, .events = POLLOUT};
			if (poll(&p, 1, SEND_WAIT_MS) <= 0)
				return false;
		} else if (errno != EINTR) {
			sys_close(log->fd);
			log->fd = -1;
		}
	}
	return false;
}

static bool
append_line(int fd, struct arena *mem, struct str line)
{
	struct str whole = str_concat(mem, line, STR("\n"));

	return sys_write(fd, whole.p, whole.len) == (ssize_t)whole.len;
}

static bool
fallback_write(const struct log *log, struct arena *mem, struct str line)
{
	bool ok;
	int fd;

	if (log->fallback_file == NULL)
		return false;
	fd = sys_openat(AT_FDCWD, log->fallback_file,
			O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return false;
	ok = append_line(fd, mem, line);
	sys_close(fd);
	return ok;
}

static bool
deliver(struct log *log, struct arena *mem, enum log_level level, struct str text)
{
	struct str line;

	switch (log->sink) {
	case SINK_SYSLOG:
		return socket_send(log, syslog_line(mem, log, level, text));
	case SINK_POSTLOG:
		line = file_line(mem, log, level, text);
		return socket_send(log, line) || fallback_write(log, mem, line);
	case SINK_FD:
		return append_line(log->fd, mem, file_line(mem, log, level, text));
	case SINK_STDERR:
		break;
	}
	return true;
}

static void emit(struct log *log, enum log_level level, const char *format, va_list ap)
	PRINTF_LIKE(3, 0);

static void
emit(struct log *log, enum log_level level, const char *format, va_list ap)
{
	struct arena *mem = arena_new();
	struct str text = str_head(str_vprintf(mem, format, ap), TEXT_MAX);

	text = str_printable(mem, text, !log->ascii);
	if (log->dropped > 0) {
		unsigned n = log->dropped;
		struct str told = str_printf(mem, "%u log lines were dropped", n);

		if (deliver(log, mem, LOG_LEVEL_WARNING, told))
			log->dropped -= n;
	}
	if (!deliver(log, mem, level, text))
		log->dropped++;
	if (log->sink == SINK_STDERR || level >= log->stderr_from)
		IGNORE(dprintf(STDERR_FILENO, "%s: %s" PRI_STR "\n", program_of(log->tag),
			       levels[level].prefix, STR_ARG(text)) < 0);
	arena_free(&mem);
}

void
log_write(struct log *log, enum log_level level, const char *format, ...)
{
	va_list ap;

	if (level < log->level)
		return;
	va_start(ap, format);
	emit(log, level, format, ap);
	va_end(ap);
}

void
log_fatal(struct log *log, int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	emit(log, LOG_LEVEL_FATAL, format, ap);
	va_end(ap);
	sleep(1);
	exit(status);
}
