/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/submit.h"

#include "base/buf.h"
#include "base/macros.h"

#include "config/common_config.h"
#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/date.h"
#include "queue/cleanup_status.h"
#include "queue/record.h"

enum { CONNECT_MS = 10000 };

static void
record(struct submission *s, char letter, struct str data)
{
	struct buf b;

	if (s->failed)
		return;
	buf_init(&b, RECORD_DATA_MAX + RECORD_HEAD_MAX);
	record_encode(&b, letter, data);
	s->failed = stream_write(s->stream, buf_str(&b)) != STREAM_OK;
	buf_release(&b);
}

static bool
greet(struct submission *s, struct err *err)
{
	const struct msg_cleanup_start start = {
		.flags = CLEANUP_FLAG_MAP_OK |
			 (s->filtered ? CLEANUP_FLAG_FILTER | CLEANUP_FLAG_MILTER : 0)};
	struct msg_cleanup_hello hello;
	struct ipc ipc;

	ipc_init(&ipc, s->stream);
	if (ipc_receive(&ipc, s->mem, &ipc_cleanup_hello, &hello, err) != IPC_DONE)
		return err_set(err, ERR_TEMP, "no answer from cleanup");
	s->queue_id = hello.queue_id;
	return ipc_send(&ipc, &ipc_cleanup_start, &start, err);
}

bool
submit_begin(struct submission *s, struct str sender, struct str recipient, int timeout_s,
	     struct err *err)
{
	if (!daemon_connect(s->daemon, "public/cleanup", CONNECT_MS, &s->stream, err))
		return false;
	stream_set_timeout_ms(s->stream, (int64_t)timeout_s * 1000);
	if (!greet(s, err)) {
		stream_close(&s->stream);
		return false;
	}
	record(s, RECORD_LETTER(ATTRIBUTE), STR("rewrite_context=local"));
	if (s->trace_flags != 0)
		record(s, RECORD_LETTER(ATTRIBUTE),
		       str_printf(s->mem, "trace_flags=%d", s->trace_flags));
	record(s, RECORD_LETTER(SENDER), sender);
	record(s, RECORD_LETTER(RECIPIENT), recipient);
	record(s, RECORD_LETTER(MESSAGE), STR_EMPTY);
	return true;
}

void
submit_line(struct submission *s, struct str line, bool whole)
{
	record(s, whole ? RECORD_LETTER(LINE) : RECORD_LETTER(PART), line);
}

void
submit_trace(struct submission *s, const struct common_config *c, time_t now_s)
{
	submit_line(s,
		    str_printf(s->mem, "Received: by " PRI_STR " (" PRI_STR ")",
			       STR_ARG(c->myhostname), STR_ARG(c->mail_name)),
		    true);
	submit_line(s,
		    str_printf(s->mem, "\tid " PRI_STR "; " PRI_STR, STR_ARG(s->queue_id),
			       STR_ARG(date_format(s->mem, now_s))),
		    true);
}

void
submit_date(struct submission *s, time_t now_s)
{
	submit_line(
		s,
		str_printf(s->mem, "Date: " PRI_STR, STR_ARG(date_format(s->mem, now_s))),
		true);
}

void
submit_text(struct submission *s, struct str text)
{
	struct str line;

	while (str_line(&text, &line))
		submit_line(s, line, true);
}

bool
submit_end(struct submission *s, struct err *err)
{
	struct msg_cleanup_done done = {0};
	/* Both sides have said which version they speak. */
	struct ipc ipc = {.stream = s->stream, .greeted = true, .met = true};
	bool ok;

	record(s, RECORD_LETTER(EXTRACTED), STR_EMPTY);
	record(s, RECORD_LETTER(END), STR_EMPTY);
	if (s->failed)
		ok = err_set(err, ERR_TEMP, "lost connection with cleanup");
	else
		ok = ipc_receive(&ipc, s->mem, &ipc_cleanup_done, &done, err) ==
			     IPC_DONE ||
		     err_set(err, ERR_TEMP, "no answer from cleanup");
	if (ok && done.status != CLEANUP_OK)
		ok = err_set(err, ERR_TEMP, "cleanup: " PRI_STR, STR_ARG(done.reason));
	stream_close(&s->stream);
	return ok;
}
