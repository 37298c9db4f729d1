/* SPDX-License-Identifier: Apache-2.0 */
#include "render.h"

#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "explain_reply.h"
#include "outcome.h"
#include "story.h"

enum { SECOND_US = 1000000, LINE_WIDTH = 100, TEXT_MAX = 4000 };

#define BOLD  "\033[1m"
#define RED   "\033[31m"
#define GREEN "\033[32m"
#define BROWN "\033[33m"

/* Characters outside ASCII that steer a terminal or turn the writing direction: C1
 * controls (U+0080 to U+009F), line separators and bidirectional marks. */
static size_t
steering_length(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	if (u[0] == 0xc2 && u[1] >= 0x80 && u[1] <= 0x9f)
		return 2;
	if (u[0] == 0xe2 && u[1] == 0x80 &&
	    (u[2] == 0x8e || u[2] == 0x8f || (u[2] >= 0xa8 && u[2] <= 0xae)))
		return 3;
	if (u[0] == 0xe2 && u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9)
		return 3;
	return 0;
}

/* Text from the log, safe to show. */
static const char *
clean(const struct render *r, struct str s)
{
	char *text = str_c(r->mem, str_printable(r->mem, str_head(s, TEXT_MAX), true));

	/* The text is valid UTF-8 and ends with a NUL: looking ahead stays within it. */
	for (char *p = text; *p != '\0'; p++)
		memset(p, '?', steering_length(p));
	return text;
}

static struct tm
local_time(int64_t us)
{
	time_t t = us / SECOND_US;
	struct tm tm = {0};

	localtime_r(&t, &tm);
	return tm;
}

static const char *
format_time(const struct render *r, int64_t us, const char *format)
{
	struct tm tm = local_time(us);
	char text[64];

	/* The formats are the literals in this file. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	strftime(text, sizeof(text), format, &tm);
#pragma GCC diagnostic pop
	return arena_strdup(r->mem, text);
}

/* The clock, with the date in front when it is not the day of `since`. */
static const char *
clock_of(const struct render *r, int64_t us, int64_t since_us)
{
	struct tm a = local_time(us);
	struct tm b = local_time(since_us);

	if (a.tm_year == b.tm_year && a.tm_yday == b.tm_yday)
		return format_time(r, us, "%H:%M:%S");
	return format_time(r, us, "%d %b %H:%M:%S");
}

static void
paint(const struct render *r, const char *colour, const char *text)
{
	if (r->colour)
		fprintf(r->out, "%s%s\033[0m", colour, text);
	else
		fputs(text, r->out);
}

static const char *
status_colour(struct str status)
{
	if (str_eq(status, STR("sent")) || str_eq(status, STR("deliverable")))
		return GREEN;
	if (str_eq(status, STR("deferred")) || str_eq(status, STR("SOFTBOUNCE")))
		return BROWN;
	return RED;
}

/* The text in lines of at most LINE_WIDTH, each after `indent` blanks. */
static void
wrapped(const struct render *r, int indent, const char *text)
{
	struct str rest = str_from(text);
	struct str word;
	int column = 0;

	while (str_token(&rest, " ", &word)) {
		if (column == 0 || column + 1 + (int)word.len > LINE_WIDTH) {
			fprintf(r->out, "%s%*s", column == 0 ? "" : "\n", indent, "");
			column = indent;
		} else {
			fputc(' ', r->out);
			column++;
		}
		fprintf(r->out, PRI_STR, STR_ARG(word));
		column += (int)word.len;
	}
	fputc('\n', r->out);
}

static void
label(const struct render *r, const char *name)
{
	fprintf(r->out, "  %-11s ", name);
}

static void
show_explanation(const struct render *r, int indent, const struct event *e)
{
	struct explanation x = explain_line(&e->line);

	if (x.meaning != NULL)
		wrapped(r, indent, x.meaning);
	if (x.advice != NULL)
		wrapped(r, indent, x.advice);
}

/* 300, 1.2, 0.04: as many digits as help. */
static void
add_seconds(struct buf *b, double s, const char *what)
{
	if (s < 0.05)
		return;
	if (b->len > 0)
		buf_add_c(b, ", ");
	if (s >= 7200)
		buf_printf(b, "%.1f h %s", s / 3600, what);
	else if (s >= 10)
		buf_printf(b, "%.0f s %s", s, what);
	else
		buf_printf(b, "%.2g s %s", s, what);
}

static void
show_delays(const struct render *r, const struct log_line *l, int indent)
{
	struct buf *b = buf_new(r->mem, 400);

	if (!l->has_delays)
		return;
	add_seconds(b, l->delays[0], "in the queue");
	add_seconds(b, l->delays[1], "waiting for a free delivery slot");
	add_seconds(b, l->delays[2], "connecting");
	add_seconds(b, l->delays[3], "sending");
	if (b->len > 0)
		fprintf(r->out, "%*s%s.\n", indent, "", b->p);
}

static void
show_attempt(const struct render *r, const struct event *e, int64_t since_us)
{
	const struct log_line *l = &e->line;
	const char *relay =
		str_eq(l->relay, STR("none")) ? "no server reached" : clean(r, l->relay);
	bool sent = str_eq(l->status, STR("sent"));
	struct buf *status = buf_new(r->mem, 100);

	buf_printf(status, "%-9s", clean(r, str_head(l->status, 40)));
	fprintf(r->out, "    %s  %-33s ", clock_of(r, l->time_us, since_us), relay);
	paint(r, status_colour(l->status), status->p);
	fprintf(r->out, " %-6s  %s\n", clean(r, l->dsn), clean(r, l->reason));
	if (!sent)
		show_explanation(r, 14, e);
	if (sent || l->delays[2] >= 5 || l->delays[3] >= 5)
		show_delays(r, l, 14);
	if (l->conn_use > 1)
		fprintf(r->out, "%*sMessage %lld over the same connection.\n", 14, "",
			(long long)l->conn_use);
	if (l->tls.len > 0)
		fprintf(r->out, "%*sTLS: %s.\n", 14, "", clean(r, l->tls));
	if (sent && l->link.len > 0 && !str_starts(l->reason, STR("forwarded as ")))
		fprintf(r->out, "%*sThere its queue id is %s.\n", 14, "",
			clean(r, l->link));
}

static void
show_recipient(const struct render *r, const struct recipient *rcpt, int64_t since_us)
{
	fprintf(r->out, "  to <%s>", clean(r, rcpt->to));
	if (rcpt->orig_to.len > 0)
		fprintf(r->out, "   (addressed to <%s>)", clean(r, rcpt->orig_to));
	fputc('\n', r->out);
	for (size_t i = 0; i < rcpt->n_attempts; i++)
		show_attempt(r, rcpt->attempts[i], since_us);
}

static void
show_accepted(const struct render *r, const struct message *m, int64_t since_us)
{
	const struct log_line *l;

	if (m->start == NULL)
		return;
	l = &m->start->line;
	label(r, "accepted");
	fprintf(r->out, "%s   ", clock_of(r, l->time_us, since_us));
	if (l->kind == LOG_PICKUP && l->orig_id.len > 0)
		fprintf(r->out, "queued again, before it was %s\n", clean(r, l->orig_id));
	else if (l->kind == LOG_PICKUP)
		fprintf(r->out, "on this machine, by user id %s\n", clean(r, l->uid));
	else
		fprintf(r->out, "from %s", clean(r, l->client));
	if (l->kind == LOG_PICKUP)
		return;
	if (l->sasl_user.len > 0)
		fprintf(r->out, ", logged in as %s (%s)", clean(r, l->sasl_user),
			clean(r, l->sasl_method));
	if (l->orig_id.len > 0)
		fprintf(r->out, ", after the filter; before it was %s",
			clean(r, l->orig_id));
	if (l->orig_client.len > 0)
		fprintf(r->out, " from %s", clean(r, l->orig_client));
	fprintf(r->out, "   (%s)\n", clean(r, l->tag));
}

static const char *
note_word(const struct log_line *l)
{
	switch (l->severity) {
	case LOG_SEV_INFO:
		break;
	case LOG_SEV_WARNING:
		return "warning";
	case LOG_SEV_ERROR:
		return "error";
	case LOG_SEV_FATAL:
		return "fatal";
	case LOG_SEV_PANIC:
		return "panic";
	}
	return "note";
}

/* A line that trace has no words for: who said it, and what. */
static const char *
as_logged(const struct render *r, const struct log_line *l)
{
	return str_c(r->mem,
		     str_printf(r->mem, "%s: %s", clean(r, l->tag), clean(r, l->text)));
}

/* Everything that is neither the beginning nor a delivery. */
static void /* NOLINTNEXTLINE(readability-function-size): one case per kind */
show_other(const struct render *r, const struct event *e, int64_t since_us)
{
	const struct log_line *l = &e->line;
	const char *name = NULL;
	const char *text = clean(r, l->text);

	switch (l->kind) {
	case LOG_NOTIFICATION:
		name = "report";
		text = str_c(r->mem, str_printf(r->mem, "%s sent as %s",
						clean(r, l->status), clean(r, l->link)));
		break;
	case LOG_EXPIRED:
		name = "expired";
		text = "waited too long: returned to the sender";
		break;
	case LOG_ACTION:
		name = clean(r, str_head(l->action, 40));
		text = str_c(r->mem,
			     str_printf(r->mem, "at %s: %s%s%s", clean(r, l->stage),
					clean(r, l->reason),
					l->to.len > 0 ? "; for " : "", clean(r, l->to)));
		break;
	case LOG_LOST:
		name = "broken off";
		break;
	case LOG_HELD:
		name = "hold";
		text = "put on hold by an administrator";
		break;
	case LOG_RELEASED:
		name = "released";
		text = "released from hold by an administrator";
		break;
	case LOG_REQUEUED:
		name = "requeued";
		text = "an administrator had it queued again under a new id";
		break;
	case LOG_FORCE_EXPIRED:
		name = "expired";
		text = "an administrator ended its waiting";
		break;
	case LOG_SOFT:
		name = "next server";
		break;
	case LOG_REMOVED:
		if (str_eq(l->text, STR("removed")) &&
		    !str_eq(l->daemon, STR("postsuper")))
			return;
		name = "removed";
		text = str_eq(l->daemon, STR("postsuper"))
			       ? "deleted from the queue by an administrator"
			       : text;
		break;
	case LOG_SKIPPED:
	case LOG_OTHER:
	case LOG_CONNECT_TO:
	case LOG_AUTH_FAILED:
	case LOG_RATE_LIMIT:
	case LOG_POSTSCREEN:
	case LOG_TLS:
	case LOG_TLS_FAILED:
	case LOG_STATISTICS:
	case LOG_CONNECT:
	case LOG_DISCONNECT:
		name = note_word(l);
		text = as_logged(r, l);
		break;
	case LOG_CLIENT:
	case LOG_PICKUP:
	case LOG_MESSAGE_ID:
	case LOG_ACTIVE:
	case LOG_DELIVERY:
	case LOG_KINDS:
		return;
	}
	label(r, name);
	fprintf(r->out, "%s   %s\n", clock_of(r, l->time_us, since_us), text);
	if (l->kind == LOG_ACTION || l->kind == LOG_SOFT)
		show_explanation(r, 14, e);
}

static const char *
day_and_clock(const struct render *r, int64_t us)
{
	return format_time(r, us, "%a %d %b %H:%M:%S");
}

/* It is still in the queue: where, and what comes next. */
static void
show_open(const struct render *r, const struct message *m, const struct outcome *o)
{
	label(r, "still open");
	switch (o->place) {
	case PLACE_HOLD:
		fprintf(r->out, "in the hold queue; postsuper -H %s lets it go\n",
			clean(r, m->id));
		break;
	case PLACE_DEFERRED:
		fputs("in the deferred queue\n", r->out);
		label(r, "next try");
		fprintf(r->out,
			"from %s on (minimal_backoff_time); at once: postqueue -i %s\n",
			day_and_clock(r, o->next_us), clean(r, m->id));
		break;
	case PLACE_ACTIVE:
		fputs("handed to delivery; the log has no result yet\n", r->out);
		break;
	case PLACE_UNKNOWN:
	case PLACE_GONE:
	case PLACE_DELETED:
	case PLACE_REFUSED:
	case PLACE_DISCARDED:
	case PLACE_REQUEUED:
		break;
	}
	if (o->place == PLACE_DEFERRED || o->place == PLACE_ACTIVE) {
		label(r, "expires");
		fprintf(r->out, "%s (%s); to delete it: postsuper -d %s\n",
			day_and_clock(r, o->expires_us),
			o->from != NULL && o->from->line.from.len == 0
				? "bounce_queue_lifetime"
				: "maximal_queue_lifetime",
			clean(r, m->id));
	}
}

static void
show_end(const struct render *r, const struct message *m, const struct outcome *o)
{
	size_t total = o->n_recipients;

	if (o->place == PLACE_GONE || o->place == PLACE_DELETED) {
		label(r, "finished");
		fprintf(r->out, "%s   ",
			clock_of(r, m->removed->line.time_us, o->arrived_us));
		if (total == 0)
			fputs("nothing was delivered\n", r->out);
		else
			fprintf(r->out, "%s %zu of %zu%s\n",
				o->n_forwarded > 0 && o->n_sent == 0 ? "passed on to"
								     : "delivered to",
				o->n_sent + o->n_forwarded, total,
				o->n_bounced > 0 ? ", the sender was told of the rest"
						 : "");
		return;
	}
	if (o->place == PLACE_REFUSED) {
		label(r, "refused");
		fputs("the client was told; nothing of it is in the queue\n", r->out);
		return;
	}
	if (o->place == PLACE_DISCARDED) {
		label(r, "discarded");
		fputs("thrown away; nobody was told\n", r->out);
		return;
	}
	if (o->place == PLACE_REQUEUED) {
		label(r, "finished");
		fputs("lives on under its new queue id\n", r->out);
		return;
	}
	if (o->place == PLACE_UNKNOWN) {
		label(r, "end");
		fprintf(r->out,
			"not in the log; is it still queued? postqueue -p | grep %s\n",
			clean(r, m->id));
		return;
	}
	show_open(r, m, o);
}

static void
show_head(const struct render *r, const struct message *m, const struct outcome *o)
{
	paint(r, BOLD, clean(r, m->id));
	fprintf(r->out, "   %s", day_and_clock(r, o->arrived_us));
	if (o->from != NULL)
		fprintf(r->out, "   from <%s>", clean(r, o->from->line.from));
	if (o->size >= 0)
		fprintf(r->out, "   %lld bytes", (long long)o->size);
	if (o->nrcpt >= 0)
		fprintf(r->out, "   %lld recipient%s", (long long)o->nrcpt,
			o->nrcpt == 1 ? "" : "s");
	fputc('\n', r->out);
}

static void
show_message(const struct render *r, const struct message *m)
{
	struct outcome o;
	struct render local = *r;

	local.mem = arena_new_child(r->mem);
	outcome_init(&o, local.mem, m, r->schedule);
	show_head(&local, m, &o);
	show_accepted(&local, m, o.arrived_us);
	if (m->message_id.len > 0) {
		label(&local, "message-id");
		fprintf(r->out, "%s\n", clean(&local, m->message_id));
	}
	for (size_t i = 0; i < m->n_events; i++) {
		if (m->events[i]->line.kind != LOG_NOTIFICATION &&
		    m->events[i]->line.kind != LOG_REMOVED)
			show_other(&local, m->events[i], o.arrived_us);
	}
	for (size_t i = 0; i < o.n_recipients; i++)
		show_recipient(&local, &o.recipients[i], o.arrived_us);
	for (size_t i = 0; i < m->n_events; i++) {
		if (m->events[i]->line.kind == LOG_NOTIFICATION ||
		    m->events[i]->line.kind == LOG_REMOVED)
			show_other(&local, m->events[i], o.arrived_us);
	}
	show_end(&local, m, &o);
	arena_free(&local.mem);
}

/* Why a message stands after the one before it: the line that led to it. */
static const char *
link_word(const struct group *g, const struct message *m)
{
	for (size_t i = 0; i < g->n_messages; i++) {
		const struct message *other = g->messages[i];

		for (size_t j = 0; other != m && j < other->n_events; j++) {
			const struct log_line *l = &other->events[j]->line;

			if (!str_eq(l->link, m->id))
				continue;
			if (l->kind == LOG_NOTIFICATION)
				return "The report about it:";
			if (str_starts(l->reason, STR("forwarded as ")))
				return "Forwarded as:";
			if (l->kind == LOG_DELIVERY)
				return "Handed on to this machine as:";
		}
	}
	return "Went on as:";
}

void
render_text_group(const struct render *r, const struct group *g)
{
	for (size_t i = 0; i < g->n_messages; i++) {
		if (i > 0)
			fprintf(r->out, "%s\n", link_word(g, g->messages[i]));
		show_message(r, g->messages[i]);
	}
}

void
render_text_summary(const struct render *r, const struct group *g)
{
	const struct message *m = g->messages[0];
	struct render local = *r;
	struct outcome o;

	local.mem = arena_new_child(r->mem);
	for (size_t i = 1; i < g->n_messages && !m->has_key; i++)
		m = g->messages[i];
	outcome_init(&o, local.mem, m, r->schedule);
	paint(&local, BOLD, clean(&local, m->id));
	fprintf(r->out, "  %s  %s", day_and_clock(&local, o.arrived_us),
		outcome_word(&o));
	if (o.from != NULL)
		fprintf(r->out, "  <%s>", clean(&local, o.from->line.from));
	if (o.n_recipients > 0)
		fprintf(r->out, " to <%s>", clean(&local, o.recipients[0].to));
	if (o.n_recipients > 1)
		fprintf(r->out, " and %zu more", o.n_recipients - 1);
	if (g->n_messages > 1)
		fprintf(r->out, "  (%zu steps)", g->n_messages);
	fputc('\n', r->out);
	arena_free(&local.mem);
}

/* Who sent it, as what, and which program says so. */
static void
show_client(const struct render *r, const struct log_line *l)
{
	if (l->client.len == 0) {
		label(r, "program");
		fprintf(r->out, "%s\n", clean(r, l->tag));
		return;
	}
	label(r, "client");
	fprintf(r->out, "%s", clean(r, l->client));
	if (l->helo.len > 0)
		fprintf(r->out, ", calls itself %s", clean(r, l->helo));
	if (l->sasl_user.len > 0)
		fprintf(r->out, ", user %s", clean(r, l->sasl_user));
	fprintf(r->out, "   (%s)\n", clean(r, l->tag));
}

static void
show_loose(const struct render *r, const struct event *e, const char *what)
{
	const struct log_line *l = &e->line;

	paint(r, BOLD, what);
	fprintf(r->out, "   %s", day_and_clock(r, l->time_us));
	if (l->has_from)
		fprintf(r->out, "   from <%s>", clean(r, l->from));
	if (l->to.len > 0)
		fprintf(r->out, "   to <%s>", clean(r, l->to));
	fputc('\n', r->out);
	show_client(r, l);
	if (l->kind == LOG_ACTION)
		label(r, clean(r, str_head(l->action, 40)));
	else if (l->kind == LOG_OTHER)
		label(r, note_word(l));
	else
		label(r, log_kind_name(l->kind));
	if (l->kind == LOG_ACTION && l->stage.len > 0)
		fprintf(r->out, "at %s: ", clean(r, l->stage));
	fprintf(r->out, "%s\n", clean(r, l->reason));
	show_explanation(r, 14, e);
}

void
render_text_loose(const struct render *r, const struct event *e, bool one_line)
{
	const struct log_line *l = &e->line;
	const char *what = l->kind == LOG_ACTION ? "no queue id" : "no message";
	struct render local = *r;

	local.mem = arena_new_child(r->mem);
	if (one_line)
		fprintf(r->out, "%s  %s  %s: %s\n", what,
			day_and_clock(&local, l->time_us), clean(&local, l->tag),
			clean(&local, l->text));
	else
		show_loose(&local, e, what);
	arena_free(&local.mem);
}

void
render_text_odd(const struct render *r, struct str line)
{
	struct render local = *r;

	local.mem = arena_new_child(r->mem);
	fprintf(r->out, "no log line   %s\n", clean(&local, line));
	arena_free(&local.mem);
}

void
render_text_event(const struct render *r, const struct event *e)
{
	struct render local = *r;
	const struct log_line *l = &e->line;

	local.mem = arena_new_child(r->mem);
	fprintf(r->out, "%s  ", day_and_clock(&local, l->time_us));
	paint(&local, BOLD, l->id.len > 0 ? clean(&local, l->id) : "-");
	fprintf(r->out, "  %s: %s\n", clean(&local, l->daemon), clean(&local, l->text));
	if ((l->kind == LOG_DELIVERY && !str_eq(l->status, STR("sent"))) ||
	    l->kind == LOG_ACTION)
		show_explanation(&local, 4, e);
	fflush(r->out);
	arena_free(&local.mem);
}
