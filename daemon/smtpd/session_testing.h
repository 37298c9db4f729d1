/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests and fuzzers: whole sessions of smtpd in memory, many thousands a second.
 * The server is the real one, from the configuration of a text; its client is a list
 * of pieces that arrive one after the other, each when the server waits; cleanup is a
 * script that keeps what it was sent.
 *
 * Defines daemon_connect() and its kin, so it is included by one file of a program.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/panic.h"

#include "config/config.h"
#include "daemon/daemon.h"
#include "fiber/loop.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "queue/cleanup_status.h"
#include "queue/record.h"
#include "sasl/server.h"
#include "tls/session.h"

#include "session.h"
#include "smtpd.h"
#include "tls.h"

enum { TALK_OUT_MAX = 1 << 20, TALK_MESSAGES_MAX = 64, TALK_MESSAGE_MAX = 1 << 20 };

/* What cleanup does with a message. */
enum talk_cleanup {
	TALK_TAKES,
	TALK_REFUSES_CONTENT,
	TALK_HAS_NO_SPACE,
	TALK_IS_AWAY,   /* cannot be connected */
	TALK_IS_SILENT, /* ends the connection before its first word */
	TALK_BREAKS,    /* says its id and nothing more */
	TALK_CLEANUPS
};

/* What becomes of a log-in. */
enum talk_login {
	TALK_KNOWN, /* it is "user" */
	TALK_WRONG,
	TALK_NOT_NOW,
	TALK_ASKS_KNOWN, /* after a challenge */
	TALK_ASKS_WRONG,
	TALK_NOBODY_THERE, /* saslauth breaks off */
	TALK_LOGINS
};

/* One session: give `pieces`, run it, look at the rest. */
struct talk {
	struct arena *mem;
	const struct str *pieces;
	size_t n_pieces;
	size_t at;
	size_t taken;    /* bytes of the present piece */
	bool has_waited; /* for it */
	struct buf out;  /* all that the server said */
	/* By number of connection; beyond the end the last one counts. */
	const enum talk_cleanup *cleanups;
	size_t n_cleanups;
	size_t connections;
	/* The same of saslauth; none: TALK_WRONG. */
	const enum talk_login *logins;
	size_t n_logins;
	size_t logins_seen;
	/* What cleanup got, connection by connection: records. */
	struct buf records[TALK_MESSAGES_MAX];
};

/* The server; made once. */
struct talk_server {
	struct daemon daemon; /* first: daemon_connect() gets it */
	struct arena *mem;
	struct smtpd *smtpd;
	struct str answers[TALK_CLEANUPS]; /* all that cleanup says */
	struct str names;                  /* of mechanisms, from saslauth */
	int lists;                         /* how often they have been asked for */
	struct str verdicts[TALK_LOGINS];
	struct talk *talk;
};

/* ---- the client ---- */

static inline enum stream_io
talk_read(struct stream_layer *layer, void *p, size_t n, size_t *got_out)
{
	struct talk *t = layer->state;
	struct str piece;

	if (t->at == t->n_pieces)
		return STREAM_IO_EOF;
	/* A piece comes when the server has nothing else to do. */
	if (!t->has_waited)
		return STREAM_IO_WANT_READ;
	piece = str_head(str_skip(t->pieces[t->at], t->taken), n);
	memcpy(p, piece.p, piece.len);
	*got_out = piece.len;
	t->taken += piece.len;
	if (t->taken == t->pieces[t->at].len) {
		t->at++;
		t->taken = 0;
		t->has_waited = false;
	}
	return STREAM_IO_DONE;
}

static inline enum stream_io
talk_write(struct stream_layer *layer, const struct iovec *v, int count UNUSED,
	   size_t *put_out)
{
	struct talk *t = layer->state;

	buf_add(&t->out, str_from_mem(v->iov_base, v->iov_len));
	ensure(buf_ok(&t->out));
	*put_out = v->iov_len;
	return STREAM_IO_DONE;
}

static inline enum stream_status
talk_wait(struct stream_layer *layer, bool for_write UNUSED, int64_t deadline_ms UNUSED)
{
	struct talk *t = layer->state;

	t->has_waited = true;
	return STREAM_OK;
}

static inline void
talk_close(struct stream_layer *layer UNUSED)
{
}

static const struct stream_ops talk_client_ops = {
	.name = "talk",
	.read = talk_read,
	.write = talk_write,
	.wait = talk_wait,
	.close = talk_close,
};

/* ---- cleanup ---- */

static inline struct str
talk_answer(struct arena *mem, enum talk_cleanup how)
{
	const struct msg_cleanup_hello hello = {.queue_id = STR("ABCDEF")};
	struct msg_cleanup_done done = {.status = CLEANUP_OK, .reason = STR_EMPTY};
	struct buf *out = buf_new(mem, TALK_OUT_MAX);
	struct stream *s = stream_from_memory(STR_EMPTY, out, 0);
	struct ipc ipc;
	struct err err;

	ipc_init(&ipc, s);
	if (how == TALK_REFUSES_CONTENT)
		done.status = CLEANUP_CONT;
	if (how == TALK_HAS_NO_SPACE)
		done.status = CLEANUP_WRITE;
	ensure(how == TALK_IS_AWAY || how == TALK_IS_SILENT ||
	       ipc_send(&ipc, &ipc_cleanup_hello, &hello, &err));
	ensure(how >= TALK_IS_AWAY || ipc_send(&ipc, &ipc_cleanup_done, &done, &err));
	stream_close(&s);
	return buf_str(out);
}

/* ---- saslauth ---- */

static inline struct str
talk_names(struct arena *mem)
{
	const struct msg_sasl_names names = {.names = STR("PLAIN LOGIN"),
					     .trouble = STR_EMPTY};
	struct buf *out = buf_new(mem, TALK_OUT_MAX);
	struct stream *s = stream_from_memory(STR_EMPTY, out, 0);
	struct ipc ipc;
	struct err err;

	ipc_init(&ipc, s);
	ensure(ipc_send(&ipc, &ipc_sasl_names, &names, &err));
	stream_close(&s);
	return buf_str(out);
}

static inline void
talk_say_login(struct ipc *ipc, enum sasl_status status, struct str text, struct str user)
{
	const struct msg_sasl_answer a = {.status = status, .text = text, .user = user};
	struct err err;

	ensure(ipc_send(ipc, &ipc_sasl_answer, &a, &err));
}

static inline struct str
talk_verdict(struct arena *mem, enum talk_login how)
{
	struct buf *out = buf_new(mem, TALK_OUT_MAX);
	struct stream *s = stream_from_memory(STR_EMPTY, out, 0);
	struct ipc ipc;

	ipc_init(&ipc, s);
	if (how == TALK_ASKS_KNOWN || how == TALK_ASKS_WRONG)
		talk_say_login(&ipc, SASL_ANSWER_MORE, STR("VXNlcjo="), STR_EMPTY);
	if (how == TALK_KNOWN || how == TALK_ASKS_KNOWN)
		talk_say_login(&ipc, SASL_ANSWER_DONE, STR_EMPTY, STR("user"));
	if (how == TALK_WRONG || how == TALK_ASKS_WRONG)
		talk_say_login(&ipc, SASL_ANSWER_FAIL, STR("no"), STR_EMPTY);
	if (how == TALK_NOT_NOW)
		talk_say_login(&ipc, SASL_ANSWER_LATER, STR("later"), STR_EMPTY);
	stream_close(&s);
	return buf_str(out);
}

/* Names are asked for twice, without TLS and with it; talk_server_new() sees to it that
 * this is before everything else. */
static inline struct stream *
talk_saslauth(struct talk_server *server)
{
	struct talk *t = server->talk;
	enum talk_login how = TALK_WRONG;

	if (server->lists < 2) {
		server->lists++;
		return stream_from_memory(server->names, NULL, 0);
	}
	if (t->n_logins > 0)
		how = t->logins[MIN_OF(t->logins_seen, t->n_logins - 1)];
	t->logins_seen++;
	return stream_from_memory(server->verdicts[how], NULL, 0);
}

/* ---- TLS ---- */

bool
tls_accept(struct stream *stream UNUSED, struct tls_context *context UNUSED,
	   struct arena *mem UNUSED, const struct tls_accept_options *options UNUSED,
	   struct tls_info *info_out, enum stream_status *status_out)
{
	*info_out = *tls_info_none();
	*status_out = STREAM_OK;
	return true;
}

/* ---- connections ---- */

static inline enum talk_cleanup
talk_next_cleanup(const struct talk *t)
{
	if (t->n_cleanups == 0)
		return TALK_TAKES;
	return t->cleanups[MIN_OF(t->connections, t->n_cleanups - 1)];
}

void
daemon_ask_successor(struct daemon *d UNUSED)
{
}

bool
daemon_is_successor(const struct daemon *d UNUSED)
{
	return false;
}

bool
daemon_connect(struct daemon *d, const char *class_and_name, int timeout_ms UNUSED,
	       struct stream **stream_out, struct err *err)
{
	struct talk_server *server = (struct talk_server *)d;
	struct talk *t = server->talk;
	enum talk_cleanup how;

	*stream_out = NULL;
	if (strcmp(class_and_name, "private/saslauth") == 0) {
		*stream_out = talk_saslauth(server);
		return true;
	}
	if (strcmp(class_and_name, "public/cleanup") != 0)
		return err_set(err, ERR_TEMP, "%s is not in this test", class_and_name);
	how = talk_next_cleanup(t);
	ensure(t->connections < TALK_MESSAGES_MAX);
	if (how == TALK_IS_AWAY) {
		t->connections++;
		return err_set(err, ERR_TEMP, "connect: Connection refused");
	}
	*stream_out = stream_from_memory(server->answers[how],
					 &t->records[t->connections++], 0);
	return true;
}

/* ---- the whole ---- */

static inline struct config *
talk_load_config(struct arena *mem, const char *text)
{
	static const char base[] = "compatibility_level = 3.6\n"
				   "myhostname = mx.test\nmydomain = test\n"
				   "mynetworks = 127.0.0.0/8\n"
				   "smtpd_client_connection_count_limit = 0\n"
				   "smtpd_peername_lookup = no\n"
				   "smtpd_error_sleep_time = 0\n";
	char dir[] = "/tmp/smtpd_test.XXXXXX";
	struct config_options options = {.dir = dir, .process_name = "smtpd"};
	struct config *cfg;
	struct str path;
	struct err err;
	bool ok;

	ensure(mkdtemp(dir) != NULL);
	path = str_printf(mem, "%s/main.cf", dir);
	ok = io_replace_file(path.p, str_printf(mem, "%s%s", base, text), 0600, &err) &&
	     config_load(mem, &options, &cfg, &err);
	unlink(path.p);
	rmdir(dir);
	if (!ok)
		panic("%s: %s", err.text, text);
	return cfg;
}

/* Pieces are kept by reference; none is empty. */
static inline void
talk_init(struct talk *t, struct arena *mem, const struct str *pieces, size_t n)
{
	*t = (struct talk){.mem = mem, .pieces = pieces, .n_pieces = n};
	buf_init(&t->out, TALK_OUT_MAX);
	for (size_t i = 0; i < TALK_MESSAGES_MAX; i++)
		buf_init(&t->records[i], TALK_MESSAGE_MAX);
}

static inline void
talk_run(struct talk_server *server, struct talk *t)
{
	struct stream *client = stream_new(NULL, &talk_client_ops, t);

	server->talk = t;
	session_run(&server->daemon, client);
	stream_close(&client);
	server->talk = NULL;
}

static inline void
talk_release(struct talk *t)
{
	buf_release(&t->out);
	for (size_t i = 0; i < t->connections; i++)
		buf_release(&t->records[i]);
}

/* A session that has them ask saslauth for its mechanisms. */
static inline void
talk_warm_up(struct talk_server *s)
{
	const struct str pieces[] = {STR_INIT("EHLO x\r\nSTARTTLS\r\n"),
				     STR_INIT("EHLO x\r\nQUIT\r\n")};
	struct arena *mem = arena_new();
	struct talk t;

	talk_init(&t, mem, pieces, ARRAY_LEN(pieces));
	talk_run(s, &t);
	talk_release(&t);
	arena_free(&mem);
}

/* It logs nothing. */
static inline struct talk_server *
talk_server_new(const char *config)
{
	struct arena *mem = arena_new();
	struct talk_server *s = ARENA_NEW(mem, struct talk_server);
	struct err err;

	s->mem = mem;
	s->daemon.mem = mem;
	s->daemon.loop = loop_new();
	s->daemon.log = log_new("smtpd");
	s->daemon.service = "smtp";
	s->daemon.config = talk_load_config(mem, config);
	log_set_level(s->daemon.log, LOG_LEVEL_PANIC);
	s->smtpd = ARENA_NEW(mem, struct smtpd);
	s->smtpd->daemon = &s->daemon;
	if (!settings_load(s->smtpd, &err))
		panic("%s: %s", err.text, config);
	s->daemon.state = s->smtpd;
	for (int i = 0; i < TALK_CLEANUPS; i++)
		s->answers[i] = talk_answer(mem, (enum talk_cleanup)i);
	s->names = talk_names(mem);
	for (int i = 0; i < TALK_LOGINS; i++)
		s->verdicts[i] = talk_verdict(mem, (enum talk_login)i);
	talk_warm_up(s);
	return s;
}

static inline void
talk_server_free(struct talk_server **server)
{
	struct talk_server *s = *server;
	struct arena *mem = s->mem;

	*server = NULL;
	close(s->smtpd->queue_fd);
	tls_context_free(&s->smtpd->tls->context);
	log_free(&s->daemon.log);
	loop_free(&s->daemon.loop);
	arena_free(&mem);
}

/* Cut text into pieces, as a network may; the n_ends offsets in ends, in rising order,
 * are where the client waits for a reply: no piece goes beyond one. */
static inline size_t
talk_cut(struct str text, size_t size, const size_t *ends, size_t n_ends,
	 struct str *pieces, size_t max)
{
	size_t at = 0;
	size_t n = 0;

	while (text.len > 0) {
		ensure(n < max);
		while (n_ends > 0 && *ends <= at) {
			ends++;
			n_ends--;
		}
		pieces[n] = str_head(text, n_ends > 0 ? MIN_OF(size, *ends - at) : size);
		at += pieces[n].len;
		text = str_skip(text, pieces[n++].len);
	}
	return n;
}

/* ---- what cleanup has heard ---- */

/* The records behind cleanup's start message, one after the other: false at the end. */
static inline struct str
talk_records(const struct talk *t, size_t connection)
{
	struct str all = buf_str(&t->records[connection]);
	const char end[] = "\0\0"; /* a message ends in an empty name */
	const char *at = memmem(all.p, all.len, "cleanup_start", 13);

	if (at == NULL)
		return STR_EMPTY;
	all = str_skip(all, (size_t)(at - all.p));
	at = memmem(all.p, all.len, end, 2);
	return at == NULL ? STR_EMPTY : str_skip(all, (size_t)(at - all.p) + 2);
}

static inline bool
talk_next_record(struct str *rest, struct record *out)
{
	size_t used;

	if (record_decode(*rest, out, &used) != RECORD_GOT)
		return false;
	*rest = str_skip(*rest, used);
	return true;
}
