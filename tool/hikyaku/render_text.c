/* SPDX-License-Identifier: Apache-2.0 */
#include "render.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "outcome.h"
#include "page.h"
#include "story.h"

static const char *
status_colour(struct str status)
{
	if (str_eq(status, STR("sent")) || str_eq(status, STR("deliverable")))
		return PAGE_GREEN;
	if (str_eq(status, STR("deferred")) || str_eq(status, STR("SOFTBOUNCE")))
		return PAGE_BROWN;
	return PAGE_RED;
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
	const char *relay = str_eq(l->relay, STR("none")) ? "no server reached"
							  : page_clean(r, l->relay);
	bool sent = str_eq(l->status, STR("sent"));
	struct buf *status = buf_new(r->mem, 100);

	buf_printf(status, "%-9s", page_clean(r, str_head(l->status, 40)));
	fprintf(r->out, "    %s  %-33s ", page_clock(r, l->time_us, since_us), relay);
	page_paint(r, status_colour(l->status), status->p);
	fprintf(r->out, " %-6s  %s\n", page_clean(r, l->dsn), page_clean(r, l->reason));
	if (!sent)
		page_explanation(r, 14, e);
	if (sent || l->delays[2] >= 5 || l->delays[3] >= 5)
		show_delays(r, l, 14);
	if (l->conn_use > 1)
		fprintf(r->out, "%*sMessage %lld over the same connection.\n", 14, "",
			(long long)l->conn_use);
	if (l->tls.len > 0)
		fprintf(r->out, "%*sTLS: %s.\n", 14, "", page_clean(r, l->tls));
	if (sent && l->link.len > 0 && !str_starts(l->reason, STR("forwarded as ")))
		fprintf(r->out, "%*sThere its queue id is %s.\n", 14, "",
			page_clean(r, l->link));
}

static void
show_recipient(const struct render *r, const struct recipient *rcpt, int64_t since_us)
{
	fprintf(r->out, "  to <%s>", page_clean(r, rcpt->to));
	if (rcpt->orig_to.len > 0)
		fprintf(r->out, "   (addressed to <%s>)", page_clean(r, rcpt->orig_to));
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
	page_label(r, "accepted");
	fprintf(r->out, "%s   ", page_clock(r, l->time_us, since_us));
	if (l->kind == LOG_PICKUP && l->orig_id.len > 0)
		fprintf(r->out, "queued again, before it was %s\n",
			page_clean(r, l->orig_id));
	else if (l->kind == LOG_PICKUP)
		fprintf(r->out, "on this machine, by user id %s\n",
			page_clean(r, l->uid));
	else
		fprintf(r->out, "from %s", page_clean(r, l->client));
	if (l->kind == LOG_PICKUP)
		return;
	if (l->sasl_user.len > 0)
		fprintf(r->out, ", logged in as %s (%s)", page_clean(r, l->sasl_user),
			page_clean(r, l->sasl_method));
	if (l->orig_id.len > 0)
		fprintf(r->out, ", after the filter; before it was %s",
			page_clean(r, l->orig_id));
	if (l->orig_client.len > 0)
		fprintf(r->out, " from %s", page_clean(r, l->orig_client));
	fprintf(r->out, "   (%s)\n", page_clean(r, l->tag));
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

/* What an event is called, where it is not a mere note. */
static const char *
event_name(const struct render *r, const struct log_line *l)
{
	static const char *const names[LOG_KINDS] = {
		[LOG_NOTIFICATION] = "report",   [LOG_EXPIRED] = "expired",
		[LOG_LOST] = "broken off",       [LOG_HELD] = "hold",
		[LOG_RELEASED] = "released",     [LOG_REQUEUED] = "requeued",
		[LOG_FORCE_EXPIRED] = "expired", [LOG_SOFT] = "next server",
		[LOG_REMOVED] = "removed",
	};

	if (l->kind == LOG_ACTION)
		return page_clean(r, str_head(l->action, 40));
	return names[l->kind] != NULL ? names[l->kind] : note_word(l);
}

/* An event in words; as it was logged where there are no better ones. */
static const char *
event_text(const struct render *r, const struct log_line *l)
{
	static const char *const texts[LOG_KINDS] = {
		[LOG_HELD] = "put on hold by an administrator",
		[LOG_RELEASED] = "released from hold by an administrator",
		[LOG_REQUEUED] = "an administrator had it queued again under a new id",
		[LOG_FORCE_EXPIRED] = "an administrator ended its waiting",
	};
	struct str text;

	if (texts[l->kind] != NULL)
		return texts[l->kind];
	if (l->kind == LOG_REMOVED && str_eq(l->daemon, STR("postsuper")))
		return "deleted from the queue by an administrator";
	if (l->kind == LOG_EXPIRED)
		return str_eq(l->status, STR("force-expired"))
			       ? "its waiting was ended: returned to the sender"
			       : "waited too long: returned to the sender";
	if (l->kind == LOG_NOTIFICATION)
		text = str_printf(r->mem, "%s sent as %s", page_clean(r, l->status),
				  page_clean(r, l->link));
	else if (l->kind == LOG_ACTION)
		text = str_printf(r->mem, "at %s: %s%s%s", page_clean(r, l->stage),
				  page_clean(r, l->reason), l->to.len > 0 ? "; for " : "",
				  page_clean(r, l->to));
	else if (l->kind == LOG_LOST || l->kind == LOG_SOFT || l->kind == LOG_REMOVED)
		text = str_from(page_clean(r, l->text));
	else
		text = str_printf(r->mem, "%s: %s", page_clean(r, l->tag),
				  page_clean(r, l->text));
	return str_c(r->mem, text);
}

/* Is it told by the head, the recipients or the end of the message's story? */
static bool
is_told_elsewhere(const struct message *m, const struct event *e)
{
	const struct log_line *l = &e->line;

	if (l->kind == LOG_MESSAGE_ID)
		return str_eq(l->message_id, m->message_id);
	if (l->kind == LOG_REMOVED)
		return str_eq(l->text, STR("removed")) &&
		       !str_eq(l->daemon, STR("postsuper"));
	return l->kind == LOG_DELIVERY || l->kind == LOG_ACTIVE || e == m->start;
}

static void
show_event(const struct render *r, const struct event *e, int64_t since_us)
{
	const struct log_line *l = &e->line;

	page_label(r, event_name(r, l));
	fprintf(r->out, "%s   %s\n", page_clock(r, l->time_us, since_us),
		event_text(r, l));
	if (l->kind == LOG_ACTION || l->kind == LOG_SOFT)
		page_explanation(r, 14, e);
}

/* It is still in the queue: where, and what comes next. */
static void
show_open(const struct render *r, const struct message *m, const struct outcome *o)
{
	page_label(r, "still open");
	switch (o->place) {
	case PLACE_HOLD:
		fprintf(r->out, "in the hold queue; postsuper -H %s lets it go\n",
			page_clean(r, m->id));
		break;
	case PLACE_DEFERRED:
		fputs("in the deferred queue\n", r->out);
		page_label(r, "next try");
		fprintf(r->out,
			"from %s on (minimal_backoff_time); at once: postqueue -i %s\n",
			page_day(r, o->next_us), page_clean(r, m->id));
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
		page_label(r, "expires");
		fprintf(r->out, "%s (%s); to delete it: postsuper -d %s\n",
			page_day(r, o->expires_us),
			o->from != NULL && o->from->line.from.len == 0
				? "bounce_queue_lifetime"
				: "maximal_queue_lifetime",
			page_clean(r, m->id));
	}
}

static void
show_end(const struct render *r, const struct message *m, const struct outcome *o)
{
	size_t total = o->n_recipients;

	if (o->place == PLACE_GONE || o->place == PLACE_DELETED) {
		page_label(r, "finished");
		fprintf(r->out, "%s   ",
			page_clock(r, m->removed->line.time_us, o->arrived_us));
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
		page_label(r, "refused");
		fputs("the client was told; nothing of it is in the queue\n", r->out);
		return;
	}
	if (o->place == PLACE_DISCARDED) {
		page_label(r, "discarded");
		fputs("thrown away; nobody was told\n", r->out);
		return;
	}
	if (o->place == PLACE_REQUEUED) {
		page_label(r, "finished");
		fputs("lives on under its new queue id\n", r->out);
		return;
	}
	if (o->place == PLACE_UNKNOWN) {
		page_label(r, "end");
		fprintf(r->out,
			"not in the log; is it still queued? postqueue -p | grep %s\n",
			page_clean(r, m->id));
		return;
	}
	show_open(r, m, o);
}

static void
show_head(const struct render *r, const struct message *m, const struct outcome *o)
{
	page_paint(r, PAGE_BOLD, page_clean(r, m->id));
	fprintf(r->out, "   %s", page_day(r, o->arrived_us));
	if (o->from != NULL)
		fprintf(r->out, "   from <%s>", page_clean(r, o->from->line.from));
	if (o->size >= 0)
		fprintf(r->out, "   %lld bytes", (long long)o->size);
	if (o->nrcpt >= 0)
		fprintf(r->out, "   %lld recipient%s", (long long)o->nrcpt,
			o->nrcpt == 1 ? "" : "s");
	fputc('\n', r->out);
}

/* Those that stand before the recipients, or (last) after them. */
static void
show_events(const struct render *r, const struct message *m, const struct outcome *o,
	    bool last)
{
	for (size_t i = 0; i < m->n_events; i++) {
		const struct event *e = m->events[i];
		bool is_last =
			e->line.kind == LOG_NOTIFICATION || e->line.kind == LOG_REMOVED;

		if (is_last == last && !is_told_elsewhere(m, e))
			show_event(r, e, o->arrived_us);
	}
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
		page_label(&local, "message-id");
		fprintf(r->out, "%s\n", page_clean(&local, m->message_id));
	}
	show_events(&local, m, &o, false);
	for (size_t i = 0; i < o.n_recipients; i++)
		show_recipient(&local, &o.recipients[i], o.arrived_us);
	show_events(&local, m, &o, true);
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
	page_paint(&local, PAGE_BOLD, page_clean(&local, m->id));
	fprintf(r->out, "  %s  %s", page_day(&local, o.arrived_us), outcome_word(&o));
	if (o.from != NULL)
		fprintf(r->out, "  <%s>", page_clean(&local, o.from->line.from));
	if (o.n_recipients > 0)
		fprintf(r->out, " to <%s>", page_clean(&local, o.recipients[0].to));
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
		page_label(r, "program");
		fprintf(r->out, "%s\n", page_clean(r, l->tag));
		return;
	}
	page_label(r, "client");
	fprintf(r->out, "%s", page_clean(r, l->client));
	if (l->helo.len > 0)
		fprintf(r->out, ", calls itself %s", page_clean(r, l->helo));
	if (l->sasl_user.len > 0)
		fprintf(r->out, ", user %s", page_clean(r, l->sasl_user));
	fprintf(r->out, "   (%s)\n", page_clean(r, l->tag));
}

static void
show_loose(const struct render *r, const struct event *e, const char *what)
{
	const struct log_line *l = &e->line;

	page_paint(r, PAGE_BOLD, what);
	fprintf(r->out, "   %s", page_day(r, l->time_us));
	if (l->has_from)
		fprintf(r->out, "   from <%s>", page_clean(r, l->from));
	if (l->to.len > 0)
		fprintf(r->out, "   to <%s>", page_clean(r, l->to));
	fputc('\n', r->out);
	show_client(r, l);
	if (l->kind == LOG_ACTION)
		page_label(r, page_clean(r, str_head(l->action, 40)));
	else if (l->kind == LOG_OTHER)
		page_label(r, note_word(l));
	else
		page_label(r, log_kind_name(l->kind));
	if (l->kind == LOG_ACTION && l->stage.len > 0)
		fprintf(r->out, "at %s: ", page_clean(r, l->stage));
	fprintf(r->out, "%s\n", page_clean(r, l->reason));
	page_explanation(r, 14, e);
}

void
render_text_loose(const struct render *r, const struct event *e, bool one_line)
{
	const struct log_line *l = &e->line;
	const char *what = l->kind == LOG_ACTION ? "no queue id" : "no message";
	struct render local = *r;

	local.mem = arena_new_child(r->mem);
	if (one_line)
		fprintf(r->out, "%s  %s  %s: %s\n", what, page_day(&local, l->time_us),
			page_clean(&local, l->tag), page_clean(&local, l->text));
	else
		show_loose(&local, e, what);
	arena_free(&local.mem);
}

void
render_text_odd(const struct render *r, struct str line)
{
	struct render local = *r;

	local.mem = arena_new_child(r->mem);
	fprintf(r->out, "no log line   %s\n", page_clean(&local, line));
	arena_free(&local.mem);
}

void
render_text_event(const struct render *r, const struct event *e)
{
	struct render local = *r;
	const struct log_line *l = &e->line;

	local.mem = arena_new_child(r->mem);
	fprintf(r->out, "%s  ", page_day(&local, l->time_us));
	page_paint(&local, PAGE_BOLD, l->id.len > 0 ? page_clean(&local, l->id) : "-");
	fprintf(r->out, "  %s: %s\n", page_clean(&local, l->daemon),
		page_clean(&local, l->text));
	if ((l->kind == LOG_DELIVERY && !str_eq(l->status, STR("sent"))) ||
	    l->kind == LOG_ACTION)
		page_explanation(&local, 4, e);
	fflush(r->out);
	arena_free(&local.mem);
}
