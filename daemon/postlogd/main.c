/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postlogd(8): writes the lines that come as datagrams to maillog_file. A reload or a
 * rotation replaces the process; the socket, which the master holds, keeps the lines
 * meanwhile.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/sys.h"
#include "config/common_config.h"
#include "config/config.h"
#include "config/log_config.h"
#include "daemon/daemon.h"
#include "daemon/logging.h"

#include "logfile.h"

enum {
	DATAGRAM_MAX = 8192,
	DATAGRAMS_PER_TURN = 1000,
	STAMP_WORDS = 4,
	FIRST_SOCKET = 4
};

struct postlogd {
	struct logfile file;
	bool to_syslog; /* maillog_file is not set (any more) */
	char datagram[DATAGRAM_MAX];
};

static bool
init(struct daemon *d, struct err *err)
{
	struct postlogd *p = ARENA_NEW(d->mem, struct postlogd);
	struct common_config common;
	struct log_config c;
	const char *host;

	d->state = p;
	if (!common_config_load(d->mem, d->config, &common, err) ||
	    !log_config_load(d->mem, d->config, &c, err) ||
	    !logging_file_allowed(d->mem, d->config, err))
		return false;
	p->to_syslog = c.maillog_file.len == 0;
	if (p->to_syslog)
		return true;
	host = str_c(d->mem,
		     str_head(common.myhostname, str_index(common.myhostname, '.')));
	if (!logfile_open(&p->file, str_c(d->mem, c.maillog_file), host, err))
		return false;
	/* Not through our own socket: nobody would read while we write. */
	log_to_fd(d->log, p->file.fd, host);
	return true;
}

/* A line of somebody who has not heard yet that the log is syslog again: syslog makes its
 * own date and host. */
static void
forward(struct daemon *d, struct str text)
{
	struct str word;

	for (int i = 0; i < STAMP_WORDS; i++) {
		if (!str_token(&text, " ", &word))
			return;
	}
	log_info(d->log, PRI_STR, STR_ARG(str_trim(text)));
}

static bool
take_one(struct daemon *d, int fd)
{
	struct postlogd *p = d->state;
	ssize_t n = sys_recv(fd, p->datagram, sizeof(p->datagram), MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR;
	if (p->to_syslog)
		forward(d, str_from_mem(p->datagram, (size_t)n));
	else
		logfile_add(&p->file, str_from_mem(p->datagram, (size_t)n));
	return true;
}

static void
readable(struct daemon *d, int fd)
{
	struct postlogd *p = d->state;

	for (int i = 0; i < DATAGRAMS_PER_TURN && take_one(d, fd); i++)
		;
	if (!p->to_syslog)
		logfile_flush(&p->file);
}

/* The last lines of those who were stopped before us. */
static void
drain(struct daemon *d)
{
	if (d->stopping)
		readable(d, FIRST_SOCKET);
}

static void
release(struct daemon *d)
{
	struct postlogd *p = d->state;

	if (!p->to_syslog)
		logfile_release(&p->file);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "postlogd",
		.profile = SANDBOX_postlogd,
		.init = init,
		.raw_listener = readable,
		.drain = drain,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
