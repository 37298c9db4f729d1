/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dovecot's authentication server, asked by its client protocol (version 1.0, which all
 * releases since 1.0 speak). One connection for all sessions of the process; each request
 * has a number. A fiber reads while somebody waits, and only then: so nothing has to be
 * stopped when the process ends, and a server that has gone in the meantime is noticed
 * when the connection is needed next. A connection that breaks fails the requests on it
 * for now; one that turns out to be stale is replaced once, in silence.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/panic.h"

#include "fiber/event.h"
#include "fiber/stream.h"
#include "sasl/dovecot_reply.h"
#include "sasl/server_internal.h"

enum {
	CONNECT_MS = 10000,
	WAIT_MS = 20000, /* for somebody else to connect */
	REQUEST_MAX = 32768,
	HELLO_LINES_MAX = 200,
};

struct offer {
	struct str name;
	unsigned properties;
	bool is_private;
};

/* One request that waits for its answer. */
struct waiter {
	struct list link;
	unsigned id;
	struct arena *mem;
	struct event answered;
	bool done, lost;
	struct dovecot_reply reply;
};

struct dovecot {
	struct server_name name;
	struct loop *loop;
	struct gate connecting, writing;
	struct stream *stream; /* NULL: not connected */
	bool doomed;           /* to be closed by the fiber that is writing to it */
	uint64_t connection;   /* which one */
	unsigned last_id;
	struct arena *mem; /* ends with the connection */
	struct offer offers[SASL_MECHANISMS_MAX];
	size_t n_offers;
	struct list waiting;
	struct fiber *reader;
};

static const struct str lost_text = STR_INIT("Connection lost to authentication server");

bool
dovecot_new(struct sasl_server *server, struct err *err)
{
	struct dovecot *d = ARENA_NEW(server->mem, struct dovecot);
	struct str path = server->setup.path;

	/* Postfix takes a path without a type, too. */
	if (!str_starts(path, STR("inet:")) && !str_starts(path, STR("unix:")))
		path = str_concat(server->mem, STR("unix:"), path);
	if (!server_name_parse(server->mem, path, &d->name, err))
		return err_prefix(err, "smtpd_sasl_path");
	server->needs_tcp = !d->name.is_unix;
	server->dovecot = d;
	d->loop = server->setup.loop;
	list_init(&d->waiting);
	return true;
}

/* ---- the connection ---- */

static void
close_connection(struct dovecot *d)
{
	stream_discard_output(d->stream);
	stream_close(&d->stream);
	d->doomed = false;
	d->n_offers = 0;
	arena_free(&d->mem);
}

static void
disconnect(struct dovecot *d)
{
	if (d->stream == NULL)
		return;
	d->doomed = d->writing.inside > 0;
	if (d->doomed)
		IGNORE(shutdown(stream_fd(d->stream), SHUT_RDWR) != 0);
	else
		close_connection(d);
	list_foreach (at, &d->waiting) {
		struct waiter *w = CONTAINER_OF(at, struct waiter, link);

		w->lost = true;
		event_signal_all(&w->answered);
	}
}

static bool
take_offer(struct dovecot *d, const struct dovecot_reply *r)
{
	if (d->n_offers == SASL_MECHANISMS_MAX)
		return false;
	d->offers[d->n_offers++] = (struct offer){.name = str_dup(d->mem, r->text),
						  .properties = r->properties,
						  .is_private = r->is_private};
	return true;
}

/* What it says at the beginning, up to DONE. */
static bool
read_hello(struct dovecot *d, struct err *err)
{
	struct dovecot_reply r;
	struct str line;

	for (int i = 0; i < HELLO_LINES_MAX; i++) {
		enum stream_status status;

		status = stream_read_line(d->stream, DOVECOT_LINE_MAX, &line);
		if (status != STREAM_OK)
			return err_set(err, ERR_TEMP, "no greeting: %s",
				       stream_status_name(status));
		if (!dovecot_reply_parse(d->mem, line, &r))
			return err_set(err, ERR_TEMP, "greeting not understood");
		if (r.kind == DOVECOT_VERSION && r.number != 1)
			return err_set(err, ERR_TEMP, "protocol version %u", r.number);
		if (r.kind == DOVECOT_MECH && !take_offer(d, &r))
			return err_set(err, ERR_TEMP, "too many mechanisms");
		if (r.kind == DOVECOT_SPID && d->n_offers == 0)
			return err_set(err, ERR_TEMP,
				       "no mechanisms: not the socket for clients?");
		if (r.kind == DOVECOT_DONE)
			return true;
	}
	return err_set(err, ERR_TEMP, "endless greeting");
}

static bool
open_connection(struct sasl_server *server, const struct sasl_peer *peer, struct err *err)
{
	struct dovecot *d = server->dovecot;
	struct stream *stream;

	d->mem = arena_new();
	if (!server_name_connect(d->loop, d->mem, peer->dns, &d->name, CONNECT_MS,
				 &stream, err)) {
		arena_free(&d->mem);
		return false;
	}
	d->stream = stream;
	d->connection++;
	stream_set_timeout_ms(stream, CONNECT_MS);
	IGNORE(stream_printf(stream, "VERSION\t1\t0\nCPID\t%ld\n", (long)getpid()) ==
	       STREAM_OK);
	if (stream_flush(stream) == STREAM_OK && read_hello(d, err)) {
		stream_set_timeout_ms(stream, -1);
		return true;
	}
	disconnect(d);
	return err->kind != ERR_NONE ? false : err_set(err, ERR_TEMP, "connection lost");
}

/* Something to read while nobody waits: most likely the end. */
static bool
is_stale(struct dovecot *d)
{
	return d->reader == NULL && stream_has_input(d->stream);
}

/* *fresh_out: it has not been there before. */
static bool
need_connection(struct sasl_server *server, const struct sasl_peer *peer, bool *fresh_out,
		struct err *err)
{
	struct dovecot *d = server->dovecot;
	bool ok;

	*err = (struct err){.kind = ERR_NONE};
	if (d->connecting.queue.loop == NULL) {
		gate_init(&d->connecting, d->loop, 1);
		gate_init(&d->writing, d->loop, 1);
	}
	if (gate_enter(&d->connecting, loop_now_ms(d->loop) + WAIT_MS) != FIBER_WOKEN)
		return err_set(err, ERR_TEMP, "too many wait for the connection");
	*fresh_out = false;
	if (d->stream != NULL && !d->doomed && is_stale(d))
		disconnect(d);
	ok = d->stream != NULL && !d->doomed;
	if (d->doomed) {
		IGNORE(err_set(err, ERR_TEMP, "connection lost"));
	} else if (!ok) {
		*fresh_out = true;
		ok = open_connection(server, peer, err);
	}
	gate_leave(&d->connecting);
	return ok || err_prefix(err, "SASL: Connect to " PRI_STR " failed",
				STR_ARG(server->setup.path));
}

/* ---- reading ---- */

static struct waiter *
find_waiter(struct dovecot *d, unsigned id)
{
	list_foreach (at, &d->waiting) {
		struct waiter *w = CONTAINER_OF(at, struct waiter, link);

		if (w->id == id && !w->done)
			return w;
	}
	return NULL;
}

/* False: this is no server to go on with. */
static bool
take_reply(struct dovecot *d, struct str line)
{
	struct arena *mem = arena_new_child(d->mem);
	struct dovecot_reply r;
	struct waiter *w;
	bool ok = dovecot_reply_parse(mem, line, &r);

	if (ok &&
	    (r.kind == DOVECOT_OK || r.kind == DOVECOT_CONT || r.kind == DOVECOT_FAIL)) {
		/* Without one: of a request that was given up. */
		w = find_waiter(d, r.number);
		if (w != NULL) {
			w->reply = r;
			w->reply.text = str_dup(w->mem, r.text);
			w->reply.user = str_dup(w->mem, r.user);
			w->done = true;
			event_signal_all(&w->answered);
		}
	}
	arena_free(&mem);
	return ok;
}

static bool
somebody_waits(const struct dovecot *d)
{
	list_foreach (at, &d->waiting)
		if (!CONTAINER_OF(at, struct waiter, link)->done)
			return true;
	return false;
}

static void
read_replies(void *arg)
{
	struct dovecot *d = arg;
	struct str line;

	while (somebody_waits(d))
		if (stream_read_line(d->stream, DOVECOT_LINE_MAX, &line) != STREAM_OK ||
		    !take_reply(d, line)) {
			d->reader = NULL;
			disconnect(d);
			return;
		}
	d->reader = NULL;
}

/* ---- asking ---- */

static bool
send_line(struct dovecot *d, struct str line)
{
	uint64_t connection = d->connection;
	bool ok = false;

	if (gate_enter(&d->writing, loop_now_ms(d->loop) + CONNECT_MS) != FIBER_WOKEN)
		return false;
	if (d->stream != NULL && !d->doomed && d->connection == connection)
		ok = stream_write(d->stream, line) == STREAM_OK &&
		     stream_flush(d->stream) == STREAM_OK;
	gate_leave(&d->writing);
	if (d->doomed && d->writing.inside == 0)
		close_connection(d);
	return ok;
}

/* Send the request and wait. False: no answer. */
static bool
ask(struct dovecot *d, struct waiter *w, struct str line)
{
	int64_t deadline = loop_now_ms(d->loop) + SASL_SERVER_MS;

	event_init(&w->answered, d->loop);
	list_append(&d->waiting, &w->link);
	if (!send_line(d, line))
		w->lost = true;
	if (!w->lost && d->reader == NULL) {
		d->reader = fiber_spawn(d->loop, "dovecot", read_replies, d);
		w->lost = d->reader == NULL;
	}
	while (!w->done && !w->lost)
		if (event_wait(&w->answered, deadline) != FIBER_WOKEN)
			break;
	list_remove(&w->link);
	/* Nobody is left to read for. */
	if (!w->done && d->reader != NULL && !somebody_waits(d))
		fiber_cancel(d->reader);
	return w->done;
}

static void
tell(struct sasl_exchange *x, const struct waiter *w, struct sasl_answer *out)
{
	const struct dovecot_reply *r = &w->reply;

	*out = (struct sasl_answer){.text = r->text, .user = r->user};
	if (r->kind == DOVECOT_CONT)
		out->status = SASL_ANSWER_MORE;
	else if (r->kind == DOVECOT_FAIL)
		out->status = r->is_temporary ? SASL_ANSWER_LATER : SASL_ANSWER_FAIL;
	else if (r->user.len > 0)
		out->status = SASL_ANSWER_DONE;
	else
		sasl_answer_trouble(out, STR("Authentication server named no user"));
	x->connection = x->server->dovecot->connection;
	x->id = w->id;
}

static void
add_parameter(struct buf *out, const char *name, struct str value)
{
	/* Addresses and numbers; what would break the line is none. */
	if (value.len > 0 && str_index_any(value, "\t\r\n") == value.len)
		buf_printf(out, "\t%s=" PRI_STR, name, STR_ARG(value));
}

static struct str
auth_line(const struct sasl_exchange *x, struct arena *mem, unsigned id,
	  const struct str *initial)
{
	const struct sasl_peer *p = x->peer;
	struct buf *out = buf_new(mem, REQUEST_MAX);

	buf_printf(out, "AUTH\t%u\t" PRI_STR "\tservice=" PRI_STR "\tnologin", id,
		   STR_ARG(x->mechanism), STR_ARG(x->server->setup.service));
	add_parameter(out, "lip", p->server_address);
	add_parameter(out, "rip", p->client_address);
	add_parameter(out, "lport", p->server_port);
	add_parameter(out, "rport", p->client_port);
	if (p->is_tls)
		buf_add_c(out, "\tsecured");
	if (initial != NULL)
		buf_printf(out, "\tresp=" PRI_STR, STR_ARG(*initial));
	buf_add_char(out, '\n');
	return buf_ok(out) ? buf_str(out) : STR_EMPTY;
}

static void
begin(struct sasl_exchange *x, struct arena *mem, const struct str *initial,
      struct sasl_answer *answer_out)
{
	struct dovecot *d = x->server->dovecot;
	bool fresh = false;

	/* One more time where the connection was an old one. */
	for (int attempt = 0; attempt < 2 && !fresh; attempt++) {
		struct waiter w = {.mem = mem};
		struct err err;
		struct str line;

		if (!need_connection(x->server, x->peer, &fresh, &err))
			break;
		w.id = ++d->last_id;
		line = auth_line(x, mem, w.id, initial);
		if (line.len == 0)
			break;
		if (ask(d, &w, line)) {
			tell(x, &w, answer_out);
			return;
		}
		if (!w.lost)
			break;
	}
	sasl_answer_trouble(answer_out, lost_text);
}

static void
next(struct sasl_exchange *x, struct arena *mem, struct str response,
     struct sasl_answer *answer_out)
{
	struct dovecot *d = x->server->dovecot;
	struct waiter w = {.mem = mem, .id = x->id};
	struct str line =
		str_printf(mem, "CONT\t%u\t" PRI_STR "\n", x->id, STR_ARG(response));

	/* What is begun on one connection cannot go on on another. */
	if (d->stream != NULL && x->connection == d->connection && ask(d, &w, line))
		tell(x, &w, answer_out);
	else
		sasl_answer_trouble(answer_out, lost_text);
}

static void
cancel(struct sasl_exchange *x)
{
	struct dovecot *d = x->server->dovecot;
	struct arena *mem;

	if (d->stream == NULL || x->connection != d->connection)
		return;
	mem = arena_new();
	IGNORE(send_line(d, str_printf(mem, "CANCEL\t%u\n", x->id)));
	arena_free(&mem);
}

static bool
mechanisms(struct sasl_server *server, struct arena *mem, const struct sasl_peer *peer,
	   struct str *names_out, struct err *err)
{
	struct dovecot *d = server->dovecot;
	struct buf *names;
	bool fresh;

	if (!need_connection(server, peer, &fresh, err))
		return false;
	names = buf_new(mem, (size_t)SASL_MECHANISMS_MAX * (SASL_NAME_MAX + 1));
	for (size_t i = 0; i < d->n_offers; i++)
		if (!d->offers[i].is_private &&
		    sasl_security_allows(&peer->options, d->offers[i].properties))
			buf_printf(names, "%s" PRI_STR, names->len > 0 ? " " : "",
				   STR_ARG(d->offers[i].name));
	*names_out = buf_str(names);
	return true;
}

const struct sasl_server_ops dovecot_ops = {
	.mechanisms = mechanisms, .begin = begin, .next = next, .cancel = cancel};
