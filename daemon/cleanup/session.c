/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <inttypes.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "queue/cleanup_status.h"

#include "bounce.h"
#include "cleanup.h"
#include "durable.h"
#include "log.h"
#include "milter.h"
#include "qmgr.h"

/* In the size record: what delivery agents must tell or ask the next server. */
enum { SENDOPT_UTF8 = 1, SENDOPT_UTF8_HEADER = 2, SENDOPT_UTF8_SENDER = 4 };

void
message_fail(struct message *m, unsigned status, struct str why)
{
	if (m->status == CLEANUP_OK)
		m->why = str_dup(m->mem, why);
	m->status |= status;
}

/* ---- reading records ---- */

enum read_result { READ_RECORD, READ_LOST };

static enum read_result
read_record(struct stream *s, struct record *out)
{
	for (;;) {
		size_t used = 0;

		switch (record_decode(stream_peek(s), out, &used)) {
		case RECORD_GOT:
			/* The view stays good until the next read. */
			stream_consume(s, used);
			return READ_RECORD;
		case RECORD_BAD:
			return READ_LOST;
		case RECORD_CUT:
		case RECORD_NO_MORE:
			break;
		}
		if (stream_fill(s) != STREAM_OK)
			return READ_LOST;
	}
}

/* With CLEANUP_FLAG_BOUNCE a message that is refused for what it is gets stored all the
 * same, so that there is something to return. */
static bool
keeps_storing(const struct message *m)
{
	unsigned fatal = (m->flags & CLEANUP_FLAG_BOUNCE) != 0
				 ? CLEANUP_BAD | CLEANUP_WRITE | CLEANUP_DEFER
				 : ~0u;

	return (m->status & fatal) == 0;
}

static void
take_record(struct message *m, const struct record *r)
{
	if (m->segment == SEGMENT_ENVELOPE && r->letter == RECORD_LETTER(MILTERS)) {
		milter_receive(m, m->ipc, r->data);
	} else if (m->segment == SEGMENT_ENVELOPE &&
		   r->letter == RECORD_LETTER(MESSAGE)) {
		envelope_end(m);
		content_begin(m);
		m->segment = SEGMENT_CONTENT;
	} else if (m->segment == SEGMENT_CONTENT &&
		   r->letter == RECORD_LETTER(EXTRACTED)) {
		content_end(m);
		m->segment = SEGMENT_EXTRACTED;
	} else if (m->segment == SEGMENT_CONTENT && (r->letter == RECORD_LETTER(LINE) ||
						     r->letter == RECORD_LETTER(PART))) {
		content_text(m, r->data, r->letter == RECORD_LETTER(LINE));
	} else if (m->segment == SEGMENT_EXTRACTED && r->letter == RECORD_LETTER(END)) {
		envelope_finish(m);
		m->segment = SEGMENT_OVER;
	} else if (m->segment == SEGMENT_ENVELOPE || m->segment == SEGMENT_EXTRACTED) {
		envelope_record(m, r);
	} else {
		message_fail(m, CLEANUP_BAD,
			     str_printf(m->mem, "record type %d not allowed",
					(unsigned char)r->letter));
	}
}

static void
note_writer(struct message *m)
{
	struct log *log = m->cleanup->daemon->log;

	if (m->writer.failed && (m->status & CLEANUP_WRITE) == 0) {
		log_write_error(log, m->id, m->writer.err.text);
		message_fail(m, CLEANUP_WRITE, STR_EMPTY);
	}
	if (m->writer.too_large && (m->status & CLEANUP_SIZE) == 0) {
		log_too_large(log, m->id);
		message_fail(m, CLEANUP_SIZE, STR_EMPTY);
	}
}

/* Records until the last one. After a failure they are read and forgotten, so that the
 * client can finish. False: the client is gone. */
static bool
read_message(struct message *m, struct stream *s)
{
	enum record_segment seen = SEGMENT_ENVELOPE;

	while (seen != SEGMENT_OVER) {
		struct record r;

		if (read_record(s, &r) != READ_RECORD)
			return false;
		if (r.letter == RECORD_LETTER(END))
			seen = SEGMENT_OVER;
		if (keeps_storing(m))
			take_record(m, &r);
		note_writer(m);
	}
	if (m->segment != SEGMENT_OVER && keeps_storing(m))
		message_fail(m, CLEANUP_BAD, STR("end record in the wrong place"));
	return true;
}

/* ---- finishing ---- */

/* Where a message turns out to need SMTPUTF8 (RFC 6531). */
static int64_t
sendopts(const struct message *m)
{
	int64_t opts;

	if (!m->cleanup->common.smtputf8_enable)
		return 0;
	opts = (m->has_8bit_header ? SENDOPT_UTF8_HEADER : 0) |
	       (str_is_ascii(m->sender) ? 0 : SENDOPT_UTF8_SENDER);

	if ((m->flags & CLEANUP_FLAG_SMTPUTF8) != 0)
		return opts | SENDOPT_UTF8;
	return (m->flags & CLEANUP_FLAG_AUTOUTF8) != 0 &&
			       (opts != 0 || m->has_utf8_recipient)
		       ? opts | SENDOPT_UTF8
		       : opts;
}

static void
finish_file(struct message *m)
{
	struct err err;

	if (m->encoding.len > 0)
		queue_writer_attribute(&m->writer, "encoding", m->encoding);
	m->writer.sendopts |= sendopts(m);
	if (!message_end_file(m, &err)) {
		note_writer(m);
		return;
	}
	if (!durable_commit(m, &err)) {
		log_write_error(m->cleanup->daemon->log, m->id, err.text);
		message_fail(m, CLEANUP_WRITE, STR_EMPTY);
	}
}

/* Logs of an earlier message that had this id would be taken for this one's. */
static void
remove_old_logs(struct message *m)
{
	static const enum queue_name logs[] = {QUEUE_BOUNCE, QUEUE_DEFER, QUEUE_TRACE};

	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		struct str path = queue_path(m->mem, &m->cleanup->dirs, logs[i], m->id);

		if (sys_unlinkat(m->cleanup->dirs.root, path.p, 0) == 0)
			log_warning(m->cleanup->daemon->log,
				    "%s: removed spurious " PRI_STR " log",
				    queue_directory_name(logs[i]), STR_ARG(m->id));
	}
}

static void
remove_file(struct message *m)
{
	struct err err;

	if (!queue_remove(&m->cleanup->dirs, QUEUE_INCOMING, m->id, &err))
		log_warning(m->cleanup->daemon->log, PRI_STR ": %s", STR_ARG(m->id),
			    err.text);
	IGNORE(queue_remove(&m->cleanup->dirs, QUEUE_TRACE, m->id, &err));
}

/* The message is whole: where does it go? */
static void
conclude(struct message *m)
{
	struct err err;

	milter_inspect(m);
	note_writer(m);
	/* After a failure recipients may be missing that will be there the next time. */
	if (m->n_recipients == 0 && m->status == CLEANUP_OK)
		message_fail(m, CLEANUP_RCPT, STR_EMPTY);
	if ((m->flags & CLEANUP_FLAG_BOUNCE) != 0 && m->status != CLEANUP_OK &&
	    (m->status & ~(unsigned)(CLEANUP_HOPS | CLEANUP_SIZE | CLEANUP_CONT)) == 0) {
		bounce_message(m);
		remove_file(m);
		return;
	}
	if (m->status == CLEANUP_OK && (m->flags & CLEANUP_FLAG_DISCARD) == 0)
		finish_file(m);
	if (m->status != CLEANUP_OK || (m->flags & CLEANUP_FLAG_DISCARD) != 0) {
		remove_file(m);
		return;
	}
	if ((m->flags & CLEANUP_FLAG_HOLD) == 0) {
		qmgr_announce(m->cleanup, m->id, m->fd);
		return;
	}
	if (!queue_move(&m->cleanup->dirs, QUEUE_INCOMING, QUEUE_HOLD, m->id, &err)) {
		log_warning(m->cleanup->daemon->log, PRI_STR ": %s", STR_ARG(m->id),
			    err.text);
		remove_file(m);
		message_fail(m, CLEANUP_WRITE, STR_EMPTY);
	}
}

static struct str
reason_of(const struct message *m)
{
	const struct cleanup_text *text = cleanup_text_find(m->status);

	if (m->why.len > 0)
		return m->why;
	return text == NULL ? STR_EMPTY : str_from(text->text);
}

/* ---- the dialogue ---- */

static bool
open_message(struct message *m, struct err *err)
{
	const struct cleanup *c = m->cleanup;

	if (!queue_create(m->mem, &c->dirs, QUEUE_INCOMING, &m->fd, &m->id,
			  &m->created_us, err))
		return false;
	arena_defer_close(m->mem, m->fd);
	m->recipients = map_new_in(m->mem);
	m->sender = m->full_name = m->original = m->dsn_orcpt = STR_EMPTY;
	m->encoding = m->why = STR_EMPTY;
	m->origin = m->proto = m->helo = m->last_recipient = STR_EMPTY;
	m->filter = m->redirect = STR_EMPTY;
	/* The limit is for all of the file, envelope included. */
	queue_writer_init(m->mem, &m->writer, m->fd, c->common.message_size_limit);
	remove_old_logs(m);
	return true;
}

static bool
greet(struct message *m, struct ipc *ipc, struct err *err)
{
	const struct msg_cleanup_hello hello = {.queue_id = m->id};
	struct msg_cleanup_start start;

	if (!ipc_send(ipc, &ipc_cleanup_hello, &hello, err) ||
	    ipc_receive(ipc, m->mem, &ipc_cleanup_start, &start, err) != IPC_DONE)
		return false;
	m->flags = (unsigned)start.flags;
	return true;
}

void
session_run(struct daemon *d, struct stream *client)
{
	struct arena *mem = arena_new();
	struct message m = {.cleanup = d->state, .mem = mem, .fd = -1};
	struct ipc ipc;
	struct err err;

	qmgr_wait(m.cleanup);
	stream_set_timeout_ms(client, m.cleanup->common.ipc_timeout * 1000);
	ipc_init(&ipc, client);
	m.ipc = &ipc;
	if (!open_message(&m, &err)) {
		log_warning(d->log, "%s", err.text);
	} else if (!greet(&m, &ipc, &err) || !read_message(&m, client)) {
		/* The client changed its mind, or is gone: as if nothing had been. */
		remove_file(&m);
	} else {
		struct msg_cleanup_done done;

		conclude(&m);
		/* smtpd goes on with them once it has our answer. */
		milter_end(&m);
		if ((m.status & CLEANUP_BAD) != 0)
			log_bad_client(d->log, m.id, reason_of(&m));
		done = (struct msg_cleanup_done){.status = m.status,
						 .reason = reason_of(&m),
						 .size = m.writer.content_size};
		IGNORE(ipc_send(&ipc, &ipc_cleanup_done, &done, &err) &&
		       ipc_flush(&ipc, &err));
	}
	milter_end(&m);
	arena_free(&mem);
}
