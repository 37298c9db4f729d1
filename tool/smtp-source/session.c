/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/panic.h"
#include "base/sys.h"
#include "fiber/connect.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "mail/date.h"

enum {
	TIMEOUT_MS = 300 * 1000,
	RETRY_MS = 10,
	REPLY_LINE_MAX = 2048,
	REPLY_LINES_MAX = 200
};

struct session {
	struct source *source;
	struct stream *stream;
	struct arena *mem;              /* one message */
	char reply[REPLY_LINE_MAX + 1]; /* the last line */
};

NORETURN static void
lost(const struct session *s, const char *doing, enum stream_status status)
{
	if (status == STREAM_TIMEOUT)
		log_fatal(s->source->log, 1, "timeout while %s", doing);
	log_fatal(s->source->log, 1, "lost connection while %s", doing);
}

/* -- replies ------------------------------------------------------------------------ */

/* The whole reply; its last line stays in s->reply. The first digit. */
static char
read_reply(struct session *s, const char *doing)
{
	for (int i = 0; i < REPLY_LINES_MAX; i++) {
		struct str line;
		enum stream_status status =
			stream_read_line(s->stream, REPLY_LINE_MAX, &line);

		if (status != STREAM_OK)
			lost(s, doing, status);
		if (s->source->verbose)
			log_info(s->source->log, "<<< " PRI_STR, STR_ARG(line));
		if (line.len >= 4 && line.p[3] == '-')
			continue;
		memcpy(s->reply, line.p, line.len);
		s->reply[line.len] = '\0';
		return line.len > 0 ? line.p[0] : '\0';
	}
	log_fatal(s->source->log, 1, "endless reply while %s", doing);
}

/* True if the reply is of the class that we need; else a warning, or the end. */
static bool
expect(struct session *s, char class, const char *doing, const char *what)
{
	if (read_reply(s, doing) == class)
		return true;
	if (!s->source->go_on)
		log_fatal(s->source->log, 1, "%s: %s", what, s->reply);
	log_warning(s->source->log, "%s: %s", what, s->reply);
	return false;
}

static void
command(struct session *s, struct str line)
{
	if (s->source->verbose)
		log_info(s->source->log, PRI_STR, STR_ARG(line));
	/* Failures stick: reading the reply finds them. */
	IGNORE(stream_write(s->stream, line) != STREAM_OK);
	IGNORE(stream_write(s->stream, STR("\r\n")) != STREAM_OK);
}

/* -- one message -------------------------------------------------------------------- */

static void
add_headers(struct session *s)
{
	const struct source *source = s->source;
	struct str date = date_format(s->mem, (time_t)(sys_now_us() / 1000000));

	IGNORE(stream_printf(s->stream,
			     "From: <%s>\r\nTo: <%s>\r\nDate: " PRI_STR "\r\n"
			     "Message-Id: <%04x.%04x.%04llx@%s>\r\n",
			     source->from, source->to, STR_ARG(date), (unsigned)getpid(),
			     (unsigned)stream_fd(s->stream),
			     (unsigned long long)source->remaining,
			     source->host) != STREAM_OK);
	if (source->subject != NULL)
		IGNORE(stream_printf(s->stream, "Subject: %s\r\n", source->subject) !=
		       STREAM_OK);
	IGNORE(stream_write(s->stream, STR("\r\n")) != STREAM_OK);
}

static void
send_body(struct session *s)
{
	const struct source *source = s->source;
	struct iovec v[2] = {{(void *)(uintptr_t)source->body.p, source->body.len},
			     {(char[]){".\r\n"}, 3}};
	enum stream_status status;

	if (!source->old_mode && !source->body_has_headers)
		add_headers(s);
	if (source->verbose)
		log_info(source->log, ".");
	status = stream_writev_through(s->stream, v, 2);
	if (status != STREAM_OK)
		lost(s, "sending message", status);
}

static bool
send_recipients(struct session *s)
{
	struct source *source = s->source;

	for (int i = source->recipients; i > 0; i--) {
		/* The last one is as given, unless all are to be different. */
		int64_t number = source->number_all ? ++source->recipient_number
				 : i > 1            ? i
						    : 0;
		struct str to = source_recipient(s->mem, source->to, number);

		command(s, str_printf(s->mem, "RCPT TO:<" PRI_STR ">", STR_ARG(to)));
		if (!expect(s, '2', "sending recipient", "recipient rejected"))
			return false;
	}
	return true;
}

/* MAIL to DATA. */
static bool
send_envelope(struct session *s)
{
	command(s, str_printf(s->mem, "MAIL FROM:<%s>", s->source->from));
	if (!expect(s, '2', "sending sender", "sender rejected"))
		return false;
	if (!send_recipients(s))
		return false;
	command(s, STR("DATA"));
	return expect(s, '3', "waiting for the reply to DATA", "data rejected");
}

static void
read_final_replies(struct session *s)
{
	int count = s->source->lmtp ? s->source->recipients : 1;

	for (int i = 0; i < count; i++)
		IGNORE(!expect(s, '2', "sending message", "end of data rejected"));
}

static void
count_message(struct source *source)
{
	source->done++;
	if (!source->show_counter)
		return;
	printf("%lld\r", (long long)source->done);
	fflush(stdout);
}

/* The message that was taken off `remaining`. */
static void
send_message(struct session *s)
{
	if (send_envelope(s)) {
		send_body(s);
		read_final_replies(s);
		count_message(s->source);
	} else {
		command(s, STR("RSET"));
		read_reply(s, "waiting for the reply to RSET");
	}
	arena_reset(s->mem);
}

static void
wait_between(struct source *source)
{
	int64_t ms = 0;

	if (source->random_delay_s > 0)
		ms = random() % ((int64_t)source->random_delay_s * 1000 + 1);
	else if (source->fixed_delay_s > 0)
		ms = (int64_t)source->fixed_delay_s * 1000;
	if (ms > 0)
		IGNORE(!fiber_sleep(source->loop, ms));
}

/* -- one connection ----------------------------------------------------------------- */

static bool
connect_to(struct session *s, const struct endpoint_address *to, struct err *err)
{
	const struct source *source = s->source;
	int fd = sys_socket(to->address.ss_family,
			    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "socket");
	/* Before connecting: the window scale is settled in the handshake. */
	if (source->window_bytes > 0) {
		IGNORE(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &source->window_bytes,
				  sizeof(source->window_bytes)) < 0);
		IGNORE(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &source->window_bytes,
				  sizeof(source->window_bytes)) < 0);
	}
	return stream_connect_socket(source->loop, fd,
				     (const struct sockaddr *)&to->address, to->len,
				     TIMEOUT_MS, &s->stream, err);
}

/* All addresses once. */
static bool
connect_to_any(struct session *s, struct err *err)
{
	const struct endpoint *to = s->source->endpoint;

	for (size_t i = 0; i < to->count; i++) {
		if (connect_to(s, &to->addresses[i], err)) {
			stream_set_timeout_ms(s->stream, TIMEOUT_MS);
			return true;
		}
	}
	return false;
}

static void
open_connection(struct session *s)
{
	const struct source *source = s->source;
	struct err err = {.text = ""};

	for (int try = 1; try <= source->connect_tries; try++) {
		if (connect_to_any(s, &err))
			return;
		if (try == source->connect_tries)
			break;
		log_warning(source->log, "%s", err.text);
		IGNORE(!fiber_sleep(source->loop, RETRY_MS));
	}
	log_fatal(source->log, 1, "%s", err.text);
}

static void
greet(struct session *s)
{
	const struct source *source = s->source;
	const char *hello = source->lmtp ? "LHLO" : "HELO";
	struct str rejected = str_printf(s->mem, "%s rejected", hello);

	IGNORE(!expect(s, '2', "reading the greeting", "rejected at server banner"));
	if (source->old_mode)
		return;
	command(s, str_printf(s->mem, "%s %s", hello, source->host));
	IGNORE(!expect(s, '2', "waiting for the reply to HELO", rejected.p));
}

static void
close_connection(struct session *s)
{
	command(s, STR("QUIT"));
	read_reply(s, "waiting for the reply to QUIT");
	stream_close(&s->stream);
}

/* One message, or with -d all that are left. */
static void
run_connection(struct session *s)
{
	struct source *source = s->source;
	bool again;

	source->remaining--;
	open_connection(s);
	greet(s);
	do {
		send_message(s);
		again = source->stay && source->remaining > 0;
		if (again) {
			source->remaining--;
			wait_between(source);
		}
	} while (again);
	close_connection(s);
}

void
session_main(void *arg)
{
	struct source *source = arg;
	struct session s = {.source = source, .mem = arena_new()};

	while (source->remaining > 0) {
		run_connection(&s);
		if (source->remaining > 0)
			wait_between(source);
	}
	arena_free(&s.mem);
}
