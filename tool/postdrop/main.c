/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postdrop: puts a message that a user of this machine submits into the maildrop queue.
 * Installed set-gid, because only that group may write there. Standard input: records;
 * standard output: the queue id at once, and how it went at the end, as attributes
 * (name NUL value NUL ... NUL).
 *
 * The answer 0 is given after the file is complete and on disk. Whatever goes wrong
 * before, the file is removed; when we are killed, it is left without the mode bits of a
 * complete one, and nobody looks at it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/sys.h"
#include "command/command.h"
#include "command/permit.h"
#include "queue/dir.h"
#include "queue/record.h"
#include "queue/writer.h"

#include "drop.h"

enum { READ_BYTES = 65536, RETRY_SECONDS = 10 };

/* cleanup's status bits, which sendmail knows too (facts: queue 3.1). */
enum status { STATUS_BAD = 1, STATUS_WRITE = 2, STATUS_SIZE = 4, STATUS_NOPERM = 512 };

struct postdrop {
	struct command command;
	struct queue_dirs dirs;
	unsigned uid;
	int fd;
	struct str id;
	int64_t max_bytes;  /* message_size_limit; 0: none */
	bool names;         /* queue_sync_names */
	int64_t file_bytes; /* written, or to be */
	struct buf *in, *out;
	struct drop drop;
	unsigned status;
	struct str reason;
	sigset_t wait_mask; /* signals that may arrive while we wait for input */
};

static const int fatal_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

static void
on_signal(int signo)
{
	(void)signo; /* ppoll() returns, that is all it is for */
}

/* Signals are held back except while waiting, so that the file can be removed. */
static void
hold_signals(struct postdrop *p)
{
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++) {
		struct sigaction old;

		sigaction(fatal_signals[i], NULL, &old);
		if (old.sa_handler == SIG_IGN)
			continue;
		sigaction(fatal_signals[i], &(struct sigaction){.sa_handler = on_signal},
			  NULL);
		sigaddset(&held, fatal_signals[i]);
	}
	sigprocmask(SIG_BLOCK, &held, &p->wait_mask);
	signal(SIGXFSZ, SIG_IGN);
}

static void
remove_file(struct postdrop *p)
{
	struct err err;

	if (p->id.len > 0 && !queue_remove(&p->dirs, QUEUE_MAILDROP, p->id, &err))
		log_warning(p->command.log, "uid=%u: %s", p->uid, err.text);
}

NORETURN static void
give_up(struct postdrop *p, const char *text)
{
	remove_file(p);
	log_fatal(p->command.log, 1, "uid=%u: %s", p->uid, text);
}

/* One attribute list, written at once. */
static bool
answer(struct postdrop *p, const char *name1, struct str value1, const char *name2,
       struct str value2, struct err *err)
{
	struct buf *b = buf_new(p->command.mem, 4096);

	buf_add(b, str_from_mem(name1, strlen(name1) + 1));
	buf_add(b, value1);
	buf_add_char(b, '\0');
	buf_add(b, str_from_mem(name2, strlen(name2) + 1));
	buf_add(b, str_head(value2, 1000));
	buf_add(b, str_from_mem("\0\0", 2));
	return io_write_all(STDOUT_FILENO, buf_str(b), "standard output", err);
}

static bool
may_pass(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT || errnum == EMFILE ||
	       errnum == ENFILE || errnum == ENOMEM || errnum == EINTR;
}

/* A full disk is waited for, as Postfix does: the message is not lost by a sender that
 * does not look at exit codes. What waiting cannot mend ends at once. */
static void
create_file(struct postdrop *p, int64_t *created_us)
{
	struct err err;

	while (!queue_create(p->command.mem, &p->dirs, QUEUE_MAILDROP, &p->fd, &p->id,
			     created_us, &err)) {
		p->id = STR_EMPTY;
		if (!may_pass(err.errnum))
			log_fatal(p->command.log, 1, "mail_queue_enter: %s", err.text);
		log_warning(p->command.log, "mail_queue_enter: %s", err.text);
		if (ppoll(NULL, 0, &(struct timespec){.tv_sec = RETRY_SECONDS},
			  &p->wait_mask) < 0)
			exit(1);
	}
}

static void
flush(struct postdrop *p)
{
	struct err err;

	p->file_bytes += (int64_t)p->out->len;
	if (p->status == 0 && p->max_bytes > 0 && p->file_bytes > p->max_bytes) {
		p->status = STATUS_SIZE;
		log_warning(p->command.log, "uid=%u: %s", p->uid, strerror(EFBIG));
	}
	if (p->status == 0 && !io_write_all(p->fd, buf_str(p->out), "queue file", &err)) {
		p->status = err.errnum == EFBIG ? STATUS_SIZE : STATUS_WRITE;
		log_warning(p->command.log, "uid=%u: %s", p->uid, strerror(err.errnum));
	}
	buf_clear(p->out);
}

/* False at the end of input. */
static bool
read_more(struct postdrop *p)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char *at = buf_reserve(p->in, READ_BYTES);
	ssize_t n;

	if (ppoll(&input, 1, NULL, &p->wait_mask) < 0) {
		remove_file(p);
		exit(1);
	}
	n = sys_read(STDIN_FILENO, at, READ_BYTES);
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		give_up(p, "error reading standard input");
	if (n > 0)
		buf_commit(p->in, (size_t)n);
	return n != 0;
}

static void
check_sender(struct postdrop *p)
{
	struct command *c = &p->command;
	struct err err;

	switch (permit_sender(c, p->uid, p->drop.sender, &err)) {
	case PERMIT_YES:
		return;
	case PERMIT_FAILED:
		log_warning(c->log, "uid=%u: %s", p->uid, err.text);
		p->status = STATUS_WRITE;
		return;
	case PERMIT_NO:
		p->status = STATUS_NOPERM;
		p->reason =
			str_printf(c->mem, "not authorized to use sender='" PRI_STR "'",
				   STR_ARG(p->drop.sender));
		return;
	}
}

/* All records that are in the buffer. True when the message is whole. */
static bool
take_records(struct postdrop *p)
{
	struct str rest = buf_str(p->in);
	struct arena *mem = arena_new();
	enum drop_result result;

	do {
		struct str warning;
		size_t used = 0;
		struct err err;

		result = drop_take(mem, &p->drop, rest, p->out, &used, &warning, &err);
		if (result == DROP_REFUSED)
			give_up(p, err.text);
		if (warning.len > 0)
			log_warning(p->command.log, "uid=%u: " PRI_STR, p->uid,
				    STR_ARG(warning));
		if (p->drop.got_sender && p->status == 0)
			check_sender(p);
		if (p->out->len >= READ_BYTES)
			flush(p);
		rest = str_skip(rest, used);
	} while (result == DROP_TAKEN && p->status != STATUS_NOPERM);
	buf_consume(p->in, p->in->len - rest.len);
	arena_free(&mem);
	return result == DROP_END || p->status == STATUS_NOPERM;
}

/* The end: complete and synced, or away with it. */
static void
finish(struct postdrop *p)
{
	struct err err;

	flush(p);
	if (p->status == 0 && (p->drop.senders == 0 || p->drop.recipients == 0))
		p->status = STATUS_BAD;
	if (p->status == 0 &&
	    !queue_writer_commit(p->fd, QUEUE_MODE_MAILDROP, p->names, &err)) {
		p->status = STATUS_WRITE;
		log_warning(p->command.log, "uid=%u: %s", p->uid, err.text);
	}
	sys_close(p->fd);
	if (p->status != 0)
		remove_file(p);
	/* Who waits for it sees that we end. */
	IGNORE(!answer(p, "status", str_printf(p->command.mem, "%u", p->status), "reason",
		       p->reason, &err));
}

static void
wake_pickup(struct postdrop *p)
{
	struct str service = command_get(&p->command, "pickup_service_name");
	struct str path = str_printf(p->command.mem, "public/" PRI_STR, STR_ARG(service));
	struct err err;

	/* A mail system that is not running takes the file when it starts. Postfix warns
	 * only when there is no socket at all. */
	if (!command_trigger(path.p, 'W', &err) && err.errnum == ENOENT)
		log_warning(p->command.log, "%s", err.text);
}

static void
prepare(struct postdrop *p, const char *config_dir, enum log_level level)
{
	struct command *c = &p->command;
	struct str queue;
	struct err err;
	int root;

	log_set_level(c->log, level);
	command_load(c, config_dir, LOG_LEVEL_WARNING, 1);
	p->uid = getuid();
	switch (permit_user(c, "authorized_submit_users", p->uid, &err)) {
	case PERMIT_YES:
		break;
	case PERMIT_NO:
		log_fatal(c->log, 1, "User %s(%u) is not allowed to submit mail",
			  command_user_or_unknown(c, p->uid), p->uid);
	case PERMIT_FAILED:
		log_fatal(c->log, 1, "%s", err.text);
	}
	queue = command_get(c, "queue_directory");
	if (chdir(queue.p) < 0)
		log_fatal(c->log, 1, "chdir " PRI_STR ": %s", STR_ARG(queue),
			  strerror(errno));
	root = sys_openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (root < 0 ||
	    !queue_dirs_init(&p->dirs, root, STR_EMPTY,
			     command_get_int(c, "hash_queue_depth"),
			     command_get_bool(c, "enable_long_queue_ids"), &err))
		log_fatal(c->log, 1, "chdir " PRI_STR ": %s", STR_ARG(queue),
			  root < 0 ? strerror(errno) : err.text);
	if (!queue_writer_names(root, command_get(c, "queue_sync_names"), &p->names,
				&err))
		log_fatal(c->log, 1, "%s", err.text);
	p->max_bytes = command_get_int(c, "message_size_limit");
	p->drop.max_length = (size_t)command_get_int(c, "line_length_limit");
}

int
main(int argc, char **argv)
{
	struct postdrop p = {.reason = STR_INIT("")};
	struct arena *mem = arena_new();
	enum log_level level = LOG_LEVEL_INFO;
	const char *config_dir = NULL;
	int64_t created_us = 0;
	struct err err;
	int o;

	argv[0] = (char[]){"postdrop"}; /* in the messages of getopt() */
	command_init(&p.command, mem, "postdrop");
	while ((o = getopt(argc, argv, "c:rv")) > 0) {
		if (o == 'c')
			config_dir = optarg;
		else if (o == 'v')
			level = LOG_LEVEL_DEBUG;
		else if (o != 'r') /* the answer is always given */
			log_fatal(p.command.log, 1,
				  "usage: postdrop [-c config_dir] [-v]");
	}
	umask(022);
	hold_signals(&p);
	prepare(&p, config_dir, level);
	create_file(&p, &created_us);
	/* Nobody has to listen; but who does shall not wait for what never comes. */
	if (!answer(&p, "protocol", STR("postdrop_protocol"), "queue_id", p.id, &err) &&
	    err.errnum != EPIPE)
		give_up(&p, err.text);
	p.in = buf_new(mem, READ_BYTES + p.drop.max_length + READ_BYTES);
	p.out = buf_new(mem, 2 * READ_BYTES + RECORD_DATA_MAX);
	record_encode(p.out, RECORD_LETTER(TIME),
		      str_printf(mem, "%" PRId64 " %" PRId64, created_us / 1000000,
				 created_us % 1000000));
	while (!take_records(&p)) {
		if (read_more(&p))
			continue;
		if (p.in->len > 0)
			give_up(&p, "malformed input");
		remove_file(&p); /* the sender changed its mind */
		return 0;
	}
	finish(&p);
	if (p.status == 0)
		wake_pickup(&p);
	return (int)(p.status & 0xff) | (p.status > 0xff);
}
