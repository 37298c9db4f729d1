/* SPDX-License-Identifier: Apache-2.0 */
#include "pickup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/date.h"
#include "queue/cleanup_status.h"
#include "queue/receive.h"
#include "queue/record.h"

#include "log.h"

enum { FUTURE_WARN_S = 7200, OLD_WARN_S = 86400, SPACE_MAX = RECORD_DATA_MAX + 65536 };

enum outcome {
	OUTCOME_DONE,    /* cleanup has it */
	OUTCOME_DAMAGED, /* nobody will ever have it */
	OUTCOME_KEEP,    /* not now */
};

/* One file on its way. */
struct job {
	struct pickup *p;
	struct arena *mem;
	struct str name; /* in maildrop */
	struct str path;
	struct stat st;
	int fd;
	struct record_reader in;
	struct stream *cleanup;
	struct ipc ipc;
	struct str id; /* the new one */
	struct str sender;
	bool requeued;
	bool first_line_seen;
	struct buf *out;
};

static bool
send_record(struct job *j, char letter, struct str data)
{
	buf_clear(j->out);
	record_encode(j->out, letter, data);
	return stream_write(j->cleanup, buf_str(j->out)) == STREAM_OK;
}

static enum outcome
next_record(struct job *j, struct record *r)
{
	struct err err;
	enum record_result result = record_reader_next(&j->in, r, &err);

	if (result == RECORD_GOT)
		return OUTCOME_DONE;
	if (result == RECORD_BAD && err.kind == ERR_TEMP) {
		log_file_error(j->p->daemon->log, j->path, err.text);
		return OUTCOME_KEEP;
	}
	log_malformed(j->p->daemon->log, j->st.st_uid, result == RECORD_BAD ? -1 : -2);
	return OUTCOME_DAMAGED;
}

/* Of a message that postsuper put back: what cleanup will make anew. */
static bool
drop_from_requeued(const struct job *j, enum record_type type, struct str data)
{
	if (!j->requeued)
		return false;
	return type == RECORD_FILTER || type == RECORD_REDIRECT || type == RECORD_SIZE ||
	       type == RECORD_DONE || type == RECORD_WARN || type == RECORD_KILLED ||
	       type == RECORD_CANCELLED || type == RECORD_INSPECT ||
	       (type == RECORD_ATTRIBUTE && !str_starts(data, STR("notify_flags=")) &&
		!str_starts(data, STR("dsn_orig_rcpt=")) &&
		!str_starts(data, STR("envelope_id=")) &&
		!str_starts(data, STR("ret_flags=")));
}

/* What queue files have and users may not say; DSN requests that are attributes today. */
static bool
drop_from_user(const struct job *j, enum record_type type, enum record_segment segment)
{
	return type == RECORD_DSN_ENVID || type == RECORD_DSN_NOTIFY ||
	       (!j->requeued && !record_from_user(type, segment));
}

/* Records of envelope or extracted segment, up to the one that ends it. */
static enum outcome
copy_segment(struct job *j, enum record_segment segment, char end)
{
	for (;;) {
		struct record r;
		enum outcome got = next_record(j, &r);
		enum record_type type;

		if (got != OUTCOME_DONE)
			return got;
		if (r.letter == end)
			return OUTCOME_DONE;
		type = record_find(r.letter, segment);
		if (type == RECORD_POINTER)
			continue;
		if (type == RECORD_TYPES) {
			log_malformed(j->p->daemon->log, j->st.st_uid,
				      (unsigned char)r.letter);
			return OUTCOME_DAMAGED;
		}
		if (type == RECORD_SENDER)
			j->sender = str_dup(j->mem, r.data);
		/* The time of a user's file is the file's own. */
		if (drop_from_user(j, type, segment) ||
		    drop_from_requeued(j, type, r.data) || type == RECORD_TIME)
			continue;
		if (!send_record(j, r.letter, r.data))
			return OUTCOME_KEEP;
	}
}

static bool
send_received(struct job *j)
{
	struct str date = date_format(j->mem, (time_t)(sys_now_us() / 1000000));
	struct str first = str_printf(
		j->mem, "Received: by " PRI_STR " (" PRI_STR ", from userid %ld)",
		STR_ARG(j->p->common.myhostname), STR_ARG(j->p->common.mail_name),
		(long)j->st.st_uid);
	struct str second = str_printf(j->mem, "\tid " PRI_STR "; " PRI_STR,
				       STR_ARG(j->id), STR_ARG(date));

	return send_record(j, RECORD_LETTER(MESSAGE), STR_EMPTY) &&
	       (j->requeued || (send_record(j, RECORD_LETTER(LINE), first) &&
				send_record(j, RECORD_LETTER(LINE), second)));
}

static bool
send_text(struct job *j, const struct record *r)
{
	bool blank = r->data.len > 0 && char_is_blank(r->data.p[0]);

	/* A first line that begins with a blank would continue our Received: line. */
	if (!j->first_line_seen && blank && !j->requeued &&
	    !send_record(j, RECORD_LETTER(LINE), STR_EMPTY))
		return false;
	j->first_line_seen = true;
	return send_record(j, r->letter, r->data);
}

static enum outcome
copy_content(struct job *j)
{
	if (!send_received(j))
		return OUTCOME_KEEP;
	for (;;) {
		struct record r;
		enum outcome got = next_record(j, &r);

		if (got != OUTCOME_DONE)
			return got;
		if (r.letter == RECORD_LETTER(EXTRACTED))
			return send_record(j, r.letter, r.data) ? OUTCOME_DONE
								: OUTCOME_KEEP;
		if (r.letter == RECORD_LETTER(PADDING) ||
		    r.letter == RECORD_LETTER(POINTER))
			continue;
		if (r.letter != RECORD_LETTER(LINE) && r.letter != RECORD_LETTER(PART)) {
			log_malformed(j->p->daemon->log, j->st.st_uid,
				      (unsigned char)r.letter);
			return OUTCOME_DAMAGED;
		}
		if (!send_text(j, &r))
			return OUTCOME_KEEP;
	}
}

static bool
send_time(struct job *j)
{
	int64_t now_us = sys_now_us();
	int64_t us = j->requeued ? now_us
				 : (int64_t)j->st.st_mtim.tv_sec * 1000000 +
					   j->st.st_mtim.tv_nsec / 1000;
	struct str text =
		str_printf(j->mem, "%" PRId64 " %" PRId64, MIN_OF(us, now_us) / 1000000,
			   MIN_OF(us, now_us) % 1000000);

	return send_record(j, RECORD_LETTER(TIME), text);
}

static enum outcome
copy_message(struct job *j)
{
	enum outcome got;

	struct str filter = j->p->content_filter;

	if (!send_time(j) ||
	    (filter.len > 0 && !send_record(j, RECORD_LETTER(FILTER), filter)))
		return OUTCOME_KEEP;
	got = copy_segment(j, SEGMENT_ENVELOPE, RECORD_LETTER(MESSAGE));
	if (got != OUTCOME_DONE)
		return got;
	if (j->sender.p == NULL) {
		log_no_sender(j->p->daemon->log, j->id, j->st.st_uid);
		return OUTCOME_DAMAGED;
	}
	log_pickup(j->p->daemon->log, j->id, j->st.st_uid, j->sender,
		   j->requeued ? j->name : STR_EMPTY);
	got = copy_content(j);
	if (got == OUTCOME_DONE)
		got = copy_segment(j, SEGMENT_EXTRACTED, RECORD_LETTER(END));
	if (got == OUTCOME_DONE && !send_record(j, RECORD_LETTER(END), STR_EMPTY))
		got = OUTCOME_KEEP;
	return got;
}

static bool
connect_cleanup(struct job *j, struct err *err)
{
	unsigned flags = CLEANUP_FLAG_BOUNCE | CLEANUP_FLAG_FILTER | CLEANUP_FLAG_BCC_OK |
			 CLEANUP_FLAG_MAP_OK | CLEANUP_FLAG_AUTOUTF8 |
			 (j->requeued ? 0 : CLEANUP_FLAG_MILTER);
	const struct msg_cleanup_start start = {
		.flags = receive_override_flags(j->p->overrides, flags)};
	struct msg_cleanup_hello hello;

	if (!daemon_connect(j->p->daemon, "public/cleanup", 10000, &j->cleanup, err))
		return false;
	stream_set_timeout_ms(j->cleanup, j->p->common.ipc_timeout * 1000);
	ipc_init(&j->ipc, j->cleanup);
	if (ipc_receive(&j->ipc, j->mem, &ipc_cleanup_hello, &hello, err) != IPC_DONE)
		return err_prefix(err, "cleanup");
	j->id = hello.queue_id;
	return ipc_send(&j->ipc, &ipc_cleanup_start, &start, err);
}

static enum outcome
hear_verdict(struct job *j)
{
	struct msg_cleanup_done done;
	struct err err;

	if (ipc_receive(&j->ipc, j->mem, &ipc_cleanup_done, &done, &err) != IPC_DONE)
		return OUTCOME_KEEP;
	if (done.status == CLEANUP_OK)
		return OUTCOME_DONE;
	/* cleanup has said why the message must wait. */
	if ((done.status & CLEANUP_DEFER) == 0)
		log_refused(j->p->daemon->log, j->path, j->id, done.reason);
	/* Only what no later try can mend is given up. */
	return (done.status & ~(CLEANUP_BAD | CLEANUP_RCPT)) == 0 ? OUTCOME_DAMAGED
								  : OUTCOME_KEEP;
}

static enum outcome
pick_up(struct job *j)
{
	enum outcome got;
	struct err err;

	if (!connect_cleanup(j, &err)) {
		log_file_error(j->p->daemon->log, j->path, err.text);
		return OUTCOME_KEEP;
	}
	record_reader_init(&j->in, j->fd, buf_new(j->mem, SPACE_MAX));
	j->out = buf_new(j->mem, SPACE_MAX);
	got = copy_message(j);
	return got == OUTCOME_DONE ? hear_verdict(j) : got;
}

static void
warn_of_time(struct job *j)
{
	int64_t now = sys_now_us() / 1000000;

	if (j->st.st_mtime > now + FUTURE_WARN_S)
		log_future(j->p->daemon->log, j->name, j->path, j->st.st_mtime - now);
	else if (j->st.st_mtime < now - OLD_WARN_S)
		log_old(j->p->daemon->log, j->name, j->path,
			(now - j->st.st_mtime) / 86400);
}

/* True if the file is gone from maildrop. */
static bool
process(struct pickup *p, struct str name)
{
	struct arena *mem = arena_new();
	struct job j = {.p = p, .mem = mem, .name = name};
	enum outcome got = OUTCOME_KEEP;
	struct str warning;
	struct err err;

	j.path = queue_path(mem, &p->dirs, QUEUE_MAILDROP, name);
	switch (queue_check(mem, &p->dirs, QUEUE_MAILDROP, name, &j.st, &warning)) {
	case QUEUE_FILE_STRANGE:
		log_warning(p->daemon->log, PRI_STR, STR_ARG(warning));
		break;
	case QUEUE_FILE_INCOMPLETE:
	case QUEUE_FILE_GONE:
		break;
	case QUEUE_FILE_READY:
		if (!queue_open(&p->dirs, QUEUE_MAILDROP, name, false, &j.fd, &err)) {
			log_file_error(p->daemon->log, j.path, err.text);
			break;
		}
		/* Put back by postsuper -r: ours, and not readable by everybody. */
		j.requeued = j.st.st_uid == p->owner && (j.st.st_mode & S_IROTH) == 0;
		warn_of_time(&j);
		got = pick_up(&j);
		stream_close(&j.cleanup);
		sys_close(j.fd);
		break;
	}
	if (got != OUTCOME_KEEP && !queue_remove(&p->dirs, QUEUE_MAILDROP, name, &err)) {
		log_file_error(p->daemon->log, j.path, err.text);
		got = OUTCOME_KEEP;
	}
	arena_free(&mem);
	return got != OUTCOME_KEEP;
}

static bool
scan_once(struct pickup *p)
{
	struct queue_scan *scan = queue_scan_new(&p->dirs, QUEUE_MAILDROP);
	struct arena *mem = arena_new();
	bool removed = false;
	struct str name;

	while (!p->daemon->draining && queue_scan_next(scan, mem, &name)) {
		removed = process(p, name) || removed;
		arena_reset(mem);
	}
	queue_scan_free(&scan);
	arena_free(&mem);
	return removed;
}

void
pickup_scan(struct pickup *p)
{
	while (!p->daemon->draining && scan_once(p))
		;
}
