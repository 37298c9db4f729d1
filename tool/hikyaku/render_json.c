/* SPDX-License-Identifier: Apache-2.0 */
#include "render.h"

#include <jansson.h>
#include <time.h>

#include "base/arena.h"
#include "base/macros.h"

#include "explain_reply.h"
#include "outcome.h"
#include "story.h"

enum { SECOND_US = 1000000 };

/* Fields without a value are left out. */
static void
put(json_t *o, struct arena *mem, const char *name, struct str s)
{
	struct str text;

	if (s.len == 0)
		return;
	text = str_printable(mem, s, true);
	json_object_set_new(o, name, json_stringn(text.p, text.len));
}

static void
put_number(json_t *o, const char *name, int64_t n)
{
	if (n >= 0)
		json_object_set_new(o, name, json_integer(n));
}

/* UTC, to the microsecond where the log has one. */
static void
put_time(json_t *o, struct arena *mem, const char *name, int64_t us)
{
	time_t t = us / SECOND_US;
	struct tm tm = {0};
	char text[40];

	if (us == 0)
		return;
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	put(o, mem, name,
	    us % SECOND_US == 0
		    ? str_printf(mem, "%sZ", text)
		    : str_printf(mem, "%s.%06dZ", text, (int)(us % SECOND_US)));
}

static void
put_explanation(json_t *o, const struct event *e)
{
	struct explanation x = explain_line(&e->line);

	if (x.meaning != NULL)
		json_object_set_new(o, "meaning", json_string(x.meaning));
	if (x.advice != NULL)
		json_object_set_new(o, "advice", json_string(x.advice));
}

static json_t *
event_json(struct arena *mem, const struct event *e)
{
	static const char *const severities[] = {"info", "warning", "error", "fatal",
						 "panic"};
	const struct log_line *l = &e->line;
	json_t *o = json_object();

	put_time(o, mem, "time", l->time_us);
	json_object_set_new(o, "kind", json_string(log_kind_name(l->kind)));
	put(o, mem, "host", l->host);
	put(o, mem, "tag", l->tag);
	put_number(o, "pid", l->pid);
	json_object_set_new(o, "severity", json_string(severities[l->severity]));
	put(o, mem, "queue_id", l->id);
	put(o, mem, "action", l->action);
	put(o, mem, "stage", l->stage);
	put(o, mem, "client", l->client);
	put(o, mem, "helo", l->helo);
	put(o, mem, "protocol", l->proto);
	put(o, mem, "sasl_method", l->sasl_method);
	put(o, mem, "sasl_username", l->sasl_user);
	put(o, mem, "uid", l->uid);
	put(o, mem, "original_queue_id", l->orig_id);
	put(o, mem, "original_client", l->orig_client);
	if (l->has_from && l->from.len == 0)
		json_object_set_new(o, "from", json_string(""));
	put(o, mem, "from", l->from);
	put(o, mem, "to", l->to);
	put(o, mem, "text", l->text);
	put(o, mem, "linked_queue_id", l->link);
	if (l->kind == LOG_ACTION || l->kind == LOG_SOFT)
		put_explanation(o, e);
	return o;
}

static json_t *
attempt_json(struct arena *mem, const struct event *e)
{
	static const char *const names[] = {"before_queue_manager", "queue_manager",
					    "connecting", "sending"};
	const struct log_line *l = &e->line;
	json_t *o = json_object();

	put_time(o, mem, "time", l->time_us);
	put(o, mem, "agent", l->tag);
	put(o, mem, "relay", l->relay);
	put(o, mem, "status", l->status);
	put(o, mem, "dsn", l->dsn);
	put(o, mem, "reason", l->reason);
	put(o, mem, "tls", l->tls);
	put(o, mem, "linked_queue_id", l->link);
	if (l->conn_use > 0)
		put_number(o, "connection_use", l->conn_use);
	if (l->has_delays) {
		json_t *delays = json_object();

		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			json_object_set_new(delays, names[i], json_real(l->delays[i]));
		json_object_set_new(o, "delays_s", delays);
		json_object_set_new(o, "delay_s", json_real(l->delay));
	}
	if (!str_eq(l->status, STR("sent")))
		put_explanation(o, e);
	return o;
}

static json_t *
recipients_json(struct arena *mem, const struct outcome *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < o->n_recipients; i++) {
		const struct recipient *r = &o->recipients[i];
		json_t *item = json_object();
		json_t *attempts = json_array();

		put(item, mem, "to", r->to);
		put(item, mem, "original_to", r->orig_to);
		for (size_t j = 0; j < r->n_attempts; j++)
			json_array_append_new(attempts,
					      attempt_json(mem, r->attempts[j]));
		json_object_set_new(item, "attempts", attempts);
		json_array_append_new(list, item);
	}
	return list;
}

static json_t *
message_json(struct arena *mem, const struct message *m, const struct schedule *schedule)
{
	json_t *item = json_object();
	json_t *events = json_array();
	struct outcome o;

	outcome_init(&o, mem, m, schedule);
	put(item, mem, "queue_id", m->id);
	put(item, mem, "host", m->host);
	put_time(item, mem, "arrived", o.arrived_us);
	json_object_set_new(item, "outcome", json_string(outcome_word(&o)));
	json_object_set_new(item, "open", json_boolean(outcome_is_open(&o)));
	put_time(item, mem, "next_attempt", o.next_us);
	put_time(item, mem, "expires", o.expires_us);
	if (m->removed != NULL)
		put_time(item, mem, "finished", m->removed->line.time_us);
	if (o.from != NULL) {
		struct str from = str_printable(mem, o.from->line.from, true);

		json_object_set_new(item, "from", json_stringn(from.p, from.len));
	}
	put_number(item, "size", o.size);
	put_number(item, "recipient_count", o.nrcpt);
	put(item, mem, "message_id", m->message_id);
	json_object_set_new(item, "recipients", recipients_json(mem, &o));
	for (size_t i = 0; i < m->n_events; i++) {
		if (m->events[i]->line.kind != LOG_DELIVERY)
			json_array_append_new(events, event_json(mem, m->events[i]));
	}
	json_object_set_new(item, "events", events);
	return item;
}

static json_t *
groups_json(const struct render *r, struct group *const *groups, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		struct arena *mem = arena_new_child(r->mem);
		json_t *messages = json_array();
		json_t *story = json_object();

		for (size_t j = 0; j < groups[i]->n_messages; j++)
			json_array_append_new(
				messages,
				message_json(mem, groups[i]->messages[j], r->schedule));
		json_object_set_new(story, "messages", messages);
		json_array_append_new(list, story);
		arena_free(&mem);
	}
	return list;
}

static void
dump(const struct render *r, json_t *root, size_t flags)
{
	json_dumpf(root, r->out, flags);
	fputc('\n', r->out);
	json_decref(root);
}

static json_t *
odd_json(struct arena *mem, const struct render_facts *facts)
{
	json_t *list = json_array();

	for (size_t i = 0; i < facts->n_odd; i++) {
		struct str text = str_printable(mem, facts->odd[i], true);

		json_array_append_new(list, json_stringn(text.p, text.len));
	}
	return list;
}

void
render_json(const struct render *r, const struct render_facts *facts,
	    struct group *const *groups, size_t n_groups, struct event *const *loose,
	    size_t n_loose)
{
	json_t *root = json_object();
	json_t *searched = json_object();
	json_t *files = json_array();
	json_t *others = json_array();

	put(root, r->mem, "key", facts->key);
	for (size_t i = 0; i < facts->n_files; i++) {
		struct str name = str_printable(r->mem, str_from(facts->files[i]), true);

		json_array_append_new(files, json_stringn(name.p, name.len));
	}
	json_object_set_new(searched, "files", files);
	put_number(searched, "bytes", (int64_t)facts->bytes);
	put_number(searched, "lines", (int64_t)facts->lines);
	put_number(searched, "damaged_lines", (int64_t)facts->damaged);
	put_number(searched, "not_kept", (int64_t)facts->not_kept);
	put_number(searched, "session_lines", (int64_t)facts->sessions);
	json_object_set_new(root, "searched", searched);
	json_object_set_new(root, "stories", groups_json(r, groups, n_groups));
	for (size_t i = 0; i < n_loose; i++) {
		json_t *o = event_json(r->mem, loose[i]);

		if (json_object_get(o, "meaning") == NULL)
			put_explanation(o, loose[i]);
		json_array_append_new(others, o);
	}
	json_object_set_new(root, "without_queue_id", others);
	json_object_set_new(root, "no_log_lines", odd_json(r->mem, facts));
	dump(r, root, JSON_INDENT(2));
}

void
render_json_event(const struct render *r, const struct event *e)
{
	struct arena *mem = arena_new_child(r->mem);
	json_t *o =
		e->line.kind == LOG_DELIVERY ? attempt_json(mem, e) : event_json(mem, e);

	put(o, mem, "queue_id", e->line.id);
	put(o, mem, "to", e->line.to);
	dump(r, o, JSON_COMPACT);
	fflush(r->out);
	arena_free(&mem);
}
