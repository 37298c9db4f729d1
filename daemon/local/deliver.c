/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One recipient: aliases, then .forward, then the mailbox. An alias or .forward file with
 * one local address leads to that address's own delivery; everything else that it names
 * is done as follows: commands and files at once, addresses together in one new message,
 * last, when nothing that could fail for now is left.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"

#include "agent/agent.h"
#include "agent/pass.h"
#include "daemon/daemon.h"
#include "deliver/list.h"
#include "mail/address.h"
#include "queue/file.h"
#include "rewrite/form.h"
#include "table/maps.h"

#include "local.h"

enum { DEPTH_MAX = 100, FORWARD_MAX = 20000, DELIVERED_MAX = 1000 };

/* The delivery of one of qmgr's recipients. */
struct work {
	struct local *l;
	struct agent_request *r;
	struct agent_recipient *rcpt;
	struct arena *mem;
	struct str sender;    /* that of the message, or an alias's owner */
	struct str delivered; /* Delivered-To: */
	struct str *forwards; /* addresses for a new message */
	size_t n_forwards;
	struct map *seen; /* what was done: duplicates are left out */
	struct dsn worst; /* the worst of what commands and files gave */
	bool any;
	bool passed; /* another agent has answered */
};

/* Where a target was found, and whose rights it has. */
struct origin {
	struct job_owner owner;
	const char *what; /* alias, forward, include */
	struct str name;  /* of the alias or user */
	unsigned depth;
};

static void deliver_local(struct work *w, struct str address, const struct origin *from);

static void
note(struct work *w, const struct dsn *dsn)
{
	static const char order[] = "254"; /* what waits is worse than what failed */
	size_t now = str_index(STR("254"), dsn->status.text[0]);
	size_t old = w->any ? str_index(str_from(order), w->worst.status.text[0]) : 0;

	if (!w->any || now > old)
		w->worst = *dsn;
	w->any = true;
}

static void
note_text(struct work *w, const char *status, struct str text)
{
	struct dsn dsn = dsn_make(w->mem, status, text);

	note(w, &dsn);
}

static bool
is_listed(struct str list, const char *word)
{
	struct str item;

	while (str_token(&list, ", \t\r\n", &item)) {
		if (str_ieq(item, str_from(word)))
			return true;
	}
	return false;
}

/* ---- jobs ---- */

static struct str
context(struct work *w)
{
	const struct msg_deliver_request *m = &w->r->msg;
	const struct {
		const char *name;
		struct str value;
	} rows[] = {
		{"CLIENT_ADDRESS", m->client_address},
		{"CLIENT_HELO", m->client_helo},
		{"CLIENT_HOSTNAME", m->client_name},
		{"CLIENT_PROTOCOL", m->client_proto},
		{"ENVID", m->envelope_id},
		{"SASL_METHOD", m->sasl_method},
		{"SASL_SENDER", m->sasl_sender},
		{"SASL_USERNAME", m->sasl_username},
	};
	struct buf *b = buf_new(w->mem, 65536);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].value.len == 0 || str_contains(rows[i].value, '\0'))
			continue;
		buf_printf(b, "%s=" PRI_STR, rows[i].name, STR_ARG(rows[i].value));
		buf_add_char(b, '\0');
	}
	return buf_str(b);
}

static struct deliver_spec
make_spec(struct work *w, struct str address)
{
	const struct local_config *c = &w->l->config;
	struct deliver_spec s = {
		.queue_id = w->r->msg.queue_id,
		.sender = w->sender,
		.recipient = address,
		.original = w->rcpt->msg.orig_address,
		.delivered = w->delivered,
		.delimiter = str_head(w->l->common.recipient_delimiter, 1),
		.shell = c->local_command_shell,
		.forward_path = c->forward_path,
		.home_mailbox = c->home_mailbox,
		.spool_directory = c->mail_spool_directory,
		.execution_directory = c->command_execution_directory,
		.forward_filter = c->forward_expansion_filter,
		.command_filter = c->command_expansion_filter,
		.directory_filter = c->execution_directory_expansion_filter,
		.environment = w->l->environment,
		.context = context(w),
		.locks = c->mailbox_delivery_lock,
		.hostname = w->l->common.myhostname,
		.content_offset = w->r->msg.content_offset,
		.offset = w->rcpt->msg.offset,
		.arrival_us = w->r->msg.arrival_us,
		.max_bytes = c->mailbox_size_limit,
		.time_limit_s = c->command_time_limit,
		.lock_attempts = c->deliver_lock_attempts,
		.lock_delay_s = c->deliver_lock_delay,
		.stale_lock_s = c->stale_lock_time,
		.line_limit = w->l->common.line_length_limit,
		.flags = (c->strict_mailbox_ownership ? DELIVER_STRICT_OWNER : 0) |
			 (c->require_home_directory ? DELIVER_NEED_HOME : 0) |
			 ((w->r->msg.flags & DELIVER_VERIFY) != 0 ? DELIVER_CHECK_ONLY
								  : 0),
	};
	struct str user;
	struct str extension;

	IGNORE(!address_split(address, &s.local, &s.domain));
	s.user = s.local;
	if (address_extension(s.local, str_c(w->mem, w->l->common.recipient_delimiter),
			      w->l->rules.config.owner_request_special, &user,
			      &extension)) {
		s.user = user;
		s.extension = extension;
	}
	s.user = str_lower(w->mem, s.user);
	return s;
}

static void
run_job(struct work *w, enum job_kind kind, const struct job_owner *owner,
	const struct deliver_spec *spec, struct deliver_result *result)
{
	helper_run(w->l->helper, w->mem, kind, owner, spec, w->r->msg.message, result);
	for (size_t i = 0; i < result->n_warnings; i++)
		log_warning(w->l->daemon->log, PRI_STR ": " PRI_STR,
			    STR_ARG(w->r->msg.queue_id), STR_ARG(result->warnings[i]));
	if (result->end == DELIVER_LOST)
		note_text(w, "4.3.0", STR("the delivering process died"));
	else if (result->end == DELIVER_DONE)
		note(w, &result->dsn);
}

/* ---- targets ---- */

static bool
has_owner(const struct job_owner *o)
{
	return o->user[0] != '\0' || o->uid > 0;
}

/* Root's aliases act as default_privs, never as root. */
static struct job_owner
rights(struct work *w, const struct origin *from)
{
	struct job_owner o = from->owner;

	if (!has_owner(&o) || str_eq(str_from(o.user), STR("root")))
		IGNORE(!job_owner_by_name(w->l->config.default_privs, &o));
	return o;
}

static bool
seen_before(struct work *w, struct str what)
{
	return map_set(w->seen, what, w) != NULL;
}

static void targets(struct work *w, const struct deliver_target *list, size_t n,
		    const struct origin *from);

static void
include(struct work *w, struct str path, const struct origin *from)
{
	struct origin next = *from;
	struct job_owner owner = rights(w, from);
	struct deliver_spec spec = make_spec(w, w->rcpt->msg.address);
	struct deliver_result result;

	if (seen_before(w, str_concat(w->mem, STR(":include:"), path)))
		return;
	spec.path = path;
	run_job(w, JOB_INCLUDE, &owner, &spec, &result);
	if (result.end != DELIVER_EXPANDED)
		return;
	next.what = "include";
	next.depth++;
	if (!has_owner(&from->owner) && result.uid > 0 && result.gid > 0)
		next.owner = (struct job_owner){.uid = result.uid, .gid = result.gid};
	targets(w, result.targets, result.n_targets, &next);
}

static void
outside(struct work *w, struct str text, const struct origin *from)
{
	bool command = text.p[0] == '|';
	struct job_owner owner = rights(w, from);
	struct deliver_spec spec = make_spec(w, w->rcpt->msg.address);
	struct deliver_result result;

	if (!is_listed(command ? w->l->config.allow_mail_to_commands
			       : w->l->config.allow_mail_to_files,
		       from->what)) {
		note_text(w, "5.7.1",
			  command ? STR("mail to command is restricted")
				  : STR("mail to file is restricted"));
		return;
	}
	if (seen_before(w, str_printf(w->mem, "%s/%ld/" PRI_STR, owner.user,
				      (long)owner.uid, STR_ARG(text))))
		return;
	if (!is_listed(w->l->config.prepend_delivered_header,
		       command ? "command" : "file"))
		spec.delivered = STR_EMPTY;
	if (command)
		spec.command = str_trim(str_skip(text, 1));
	else
		spec.path = text;
	run_job(w, command ? JOB_COMMAND : JOB_FILE, &owner, &spec, &result);
}

static void
add_forward(struct work *w, struct str address)
{
	if (seen_before(w, str_lower(w->mem, address)))
		return;
	if (w->n_forwards == FORWARD_MAX) {
		note_text(w, "5.4.6", STR("too many addresses in an alias"));
		return;
	}
	if ((w->n_forwards & (w->n_forwards - 1)) == 0) {
		struct str *more = arena_alloc_array(w->mem, w->n_forwards * 2 + 1,
						     sizeof(struct str));

		for (size_t i = 0; i < w->n_forwards; i++)
			more[i] = w->forwards[i];
		w->forwards = more;
	}
	w->forwards[w->n_forwards++] = address;
}

/* alone: nothing else came of the same place. */
static void
one_address(struct work *w, struct str text, bool alone, const struct origin *from)
{
	struct str plain = str_starts(text, STR("\\")) ? str_skip(text, 1) : text;
	struct str address = rewrite_form(w->mem, &w->l->rules, plain);
	struct str local;
	struct str domain;
	const char *what;
	struct err err;

	if (!address_split(address, &local, &domain)) {
		note_text(w, "5.1.3", STR("bad address syntax"));
		return;
	}
	/* A user who lists himself wants his mailbox. */
	if (rewrite_is_local(&w->l->rules, domain, &what, &err) == MATCH_YES &&
	    ((alone && !str_eq(str_from(from->what), STR("include"))) ||
	     str_ieq(local, from->name)))
		deliver_local(w, address, from);
	else
		add_forward(w, address);
}

static void
targets(struct work *w, const struct deliver_target *list, size_t n,
	const struct origin *from)
{
	if (from->depth > DEPTH_MAX) {
		note_text(w, "5.4.6",
			  str_printf(w->mem, "alias database loop for " PRI_STR,
				     STR_ARG(from->name)));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct str t = list[i].text;

		if (t.len > 0 && (t.p[0] == '|' || t.p[0] == '/'))
			outside(w, t, from);
		else if (str_istarts(t, STR(":include:")))
			include(w, str_skip(t, STR(":include:").len), from);
		else
			one_address(w, t, n == 1 && w->n_forwards == 0 && !w->any, from);
	}
}

/* ---- aliases ---- */

struct collect {
	struct work *w;
	struct deliver_target *list;
	size_t n;
};

static bool
collect_entry(void *arg, struct str entry)
{
	struct collect *c = arg;

	c->list[c->n++].text = str_dup(c->w->mem, entry);
	return c->n < LIST_ENTRIES_MAX;
}

/* Whose the table is, by its file. */
static struct job_owner
table_owner(struct work *w, const char *table)
{
	struct str name = str_from(table);
	struct str path = str_skip(name, str_index(name, ':') + 1);
	struct stat st;

	if ((stat(str_printf(w->mem, PRI_STR ".db", STR_ARG(path)).p, &st) == 0 ||
	     stat(str_c(w->mem, path), &st) == 0) &&
	    st.st_uid > 0 && st.st_gid > 0)
		return (struct job_owner){.uid = st.st_uid, .gid = st.st_gid};
	return (struct job_owner){.uid = -1, .gid = -1};
}

/* The alias's owner gets what comes back. False: the table failed. */
static bool
use_list_owner(struct work *w, struct str name)
{
	struct str owner = str_concat(w->mem, STR("owner-"), name);
	struct maps_hit hit;
	struct err err;

	if (str_istarts(name, STR("owner-")))
		return true;
	switch (maps_find(w->l->aliases, w->mem, owner, MAPS_ALL, &hit, &err)) {
	case LOOKUP_FOUND:
		w->sender = rewrite_form(w->mem, &w->l->rules, owner);
		return true;
	case LOOKUP_ABSENT:
		return true;
	case LOOKUP_FAILED:
		break;
	}
	return false;
}

static void
use_alias(struct work *w, struct str name, const struct maps_hit *hit,
	  const struct origin *from)
{
	struct collect c = {.w = w};
	struct origin next = {.owner = table_owner(w, hit->table),
			      .what = "alias",
			      .name = name,
			      .depth = from->depth + 1};

	if (!use_list_owner(w, name)) {
		note_text(w, "4.3.0", STR("alias database unavailable"));
		return;
	}
	c.list = arena_alloc_array(w->mem, LIST_ENTRIES_MAX, sizeof(*c.list));
	if (!list_parse(w->mem, hit->value, collect_entry, &c)) {
		note_text(w, "5.4.6", STR("too many addresses in an alias"));
		return;
	}
	targets(w, c.list, c.n, &next);
}

/* True when the name was an alias, or could not be looked for. */
static bool
try_alias(struct work *w, struct str name, const struct origin *from)
{
	struct maps_hit hit;
	struct err err;

	/* An alias that lists its own name means the user. */
	if (maps_count(w->l->aliases) == 0 || str_ieq(name, from->name))
		return false;
	switch (maps_find(w->l->aliases, w->mem, name, MAPS_ALL, &hit, &err)) {
	case LOOKUP_ABSENT:
		return false;
	case LOOKUP_FAILED:
		log_warning(w->l->daemon->log, "%s", err.text);
		note_text(w, "4.3.0", STR("alias database unavailable"));
		return true;
	case LOOKUP_FOUND:
		break;
	}
	use_alias(w, name, &hit, from);
	return true;
}

/* ---- users ---- */

/* From a table by user, else the parameter; false: the table failed. */
static bool
setting_for(struct work *w, struct maps *maps, struct str user, struct str otherwise,
	    struct str *out)
{
	struct maps_hit hit;
	struct err err;

	*out = otherwise;
	if (maps_count(maps) == 0)
		return true;
	switch (maps_find(maps, w->mem, user, MAPS_ALL, &hit, &err)) {
	case LOOKUP_FOUND:
		*out = hit.value;
		return true;
	case LOOKUP_ABSENT:
		return true;
	case LOOKUP_FAILED:
		break;
	}
	log_warning(w->l->daemon->log, "%s", err.text);
	note_text(w, "4.3.0", STR("table lookup failure"));
	return false;
}

static void
pass(struct work *w, struct str transport)
{
	agent_pass(w->r, transport);
	w->passed = true;
}

static void
unknown_user(struct work *w, const struct deliver_spec *spec, const struct origin *from)
{
	struct str to;

	if (!setting_for(w, w->l->fallback_transports, spec->user,
			 w->l->config.fallback_transport, &to))
		return;
	if (to.len > 0) {
		pass(w, to);
	} else if (w->l->config.luser_relay.len > 0 &&
		   !seen_before(w, STR("luser_relay"))) {
		struct str address = w->l->config.luser_relay;

		if (str_contains(address, '$')) {
			log_warning(w->l->daemon->log,
				    "luser_relay: variables are not implemented yet");
			note_text(w, "4.3.5", STR("mail system configuration error"));
			return;
		}
		one_address(w, address, true, from);
	} else if (str_eq(spec->user, STR("postmaster")) ||
		   str_eq(spec->user, STR("mailer-daemon"))) {
		log_warning(w->l->daemon->log, "required alias not found: " PRI_STR,
			    STR_ARG(spec->user));
		note_text(w, "2.0.0", STR("discarded"));
	} else {
		note_text(w, "5.1.1",
			  str_printf(w->mem, "unknown user: \"" PRI_STR "\"",
				     STR_ARG(spec->user)));
	}
}

static void
forward_of_user(struct work *w, const struct deliver_spec *spec,
		const struct deliver_result *result, const struct origin *from)
{
	struct origin next = {
		.what = "forward", .name = spec->user, .depth = from->depth + 1};

	if (!job_owner_by_name(result->user, &next.owner)) {
		note_text(w, "4.3.0", STR("user lookup error"));
		return;
	}
	targets(w, result->targets, result->n_targets, &next);
}

static void
deliver_user(struct work *w, struct deliver_spec *spec, const struct origin *from)
{
	struct str key = str_concat(w->mem, STR("forward "), spec->user);
	struct deliver_result result;
	struct job_owner owner;
	struct str transport;

	if (!setting_for(w, w->l->transports, spec->user, w->l->config.mailbox_transport,
			 &transport) ||
	    !setting_for(w, w->l->commands, spec->user, w->l->config.mailbox_command,
			 &spec->command))
		return;
	if (transport.len > 0)
		spec->flags |= DELIVER_FORWARD_ONLY;
	if (map_find(w->seen, key) != NULL)
		spec->flags |= DELIVER_FORWARD_DONE;
	IGNORE(map_set(w->seen, key, w) != NULL);
	if (!job_owner_by_name(spec->user, &owner))
		result = (struct deliver_result){.end = DELIVER_UNKNOWN_USER};
	else
		run_job(w, JOB_USER, &owner, spec, &result);
	if (result.end == DELIVER_EXPANDED)
		forward_of_user(w, spec, &result, from);
	else if (transport.len > 0 &&
		 (result.end == DELIVER_NO_FORWARD || result.end == DELIVER_UNKNOWN_USER))
		pass(w, transport);
	else if (result.end == DELIVER_UNKNOWN_USER)
		unknown_user(w, spec, from);
}

static void
deliver_local(struct work *w, struct str address, const struct origin *from)
{
	struct deliver_spec spec = make_spec(w, address);
	struct str name = str_lower(w->mem, spec.local);

	/* What the log and the report say it came from. */
	if (from->depth > 0) {
		if (w->rcpt->msg.orig_address.len == 0)
			w->rcpt->msg.orig_address = w->rcpt->msg.address;
		w->rcpt->msg.address = address;
	}
	if (from->depth > DEPTH_MAX)
		note_text(w, "5.4.6",
			  str_printf(w->mem, "alias database loop for " PRI_STR,
				     STR_ARG(name)));
	else if (!try_alias(w, name, from) &&
		 (str_eq(name, spec.user) || !try_alias(w, spec.user, from)))
		deliver_user(w, &spec, from);
}

/* ---- the whole ---- */

/* Was it delivered to this address before, as its header says? */
static bool
is_loop(struct work *w)
{
	static const struct str name = STR_INIT("Delivered-To:");
	struct queue_content content;
	struct str line;
	struct err err;

	queue_content_init(w->mem, &content, w->r->msg.message, w->r->msg.content_offset);
	for (size_t i = 0; i < DELIVERED_MAX; i++) {
		enum queue_content_result got = queue_content_next(&content, &line, &err);

		if ((got != QUEUE_CONTENT_LINE && got != QUEUE_CONTENT_PART) ||
		    line.len == 0)
			return false;
		if (str_istarts(line, name) &&
		    str_ieq(address_unquote(w->mem, str_trim(str_skip(line, name.len))),
			    w->delivered))
			return true;
	}
	return false;
}

static void
send_forwards(struct work *w)
{
	struct str delivered = is_listed(w->l->config.prepend_delivered_header, "forward")
				       ? w->delivered
				       : STR_EMPTY;
	struct str id;
	struct err err;

	if ((w->r->msg.flags & DELIVER_VERIFY) != 0) {
		note_text(w, "2.0.0", STR("forwards to other addresses"));
	} else if (forward(w->l, w->r, w->sender, delivered, w->forwards, w->n_forwards,
			   &id, &err)) {
		note_text(w, "2.0.0",
			  str_printf(w->mem, "forwarded as " PRI_STR, STR_ARG(id)));
	} else {
		log_warning(w->l->daemon->log, PRI_STR ": %s",
			    STR_ARG(w->r->msg.queue_id), err.text);
		note_text(w, "4.3.0", STR("unable to forward message"));
	}
}

static void
deliver_one(struct agent_request *r, struct agent_recipient *rcpt)
{
	struct work w = {.l = r->daemon->state,
			 .r = r,
			 .rcpt = rcpt,
			 .mem = r->mem,
			 .sender = r->msg.sender,
			 .delivered = rcpt->msg.address,
			 .seen = map_new_in(r->mem)};
	const struct origin qmgr = {.what = "", .name = STR_EMPTY};
	char class;

	if (is_loop(&w))
		note_text(&w, "5.4.6",
			  str_printf(w.mem, "mail forwarding loop for " PRI_STR,
				     STR_ARG(w.delivered)));
	else
		deliver_local(&w, rcpt->msg.address, &qmgr);
	if (w.passed)
		return;
	/* What waits is done again as a whole: then the rest is not sent twice. */
	if (w.n_forwards > 0 && !(w.any && w.worst.status.text[0] == '4'))
		send_forwards(&w);
	if (!w.any)
		note_text(&w, "2.0.0", STR("nothing to deliver to"));
	class = w.worst.status.text[0];
	if (class == '5' && w.l->common.soft_bounce)
		w.worst.status = dsn_status_with_class(w.worst.status, class = '4');
	agent_answer(r, rcpt,
		     class == '2'   ? DELIVER_SENT
		     : class == '5' ? DELIVER_BOUNCED
				    : DELIVER_DEFERRED,
		     r->msg.transport, 0, &w.worst);
}

void
deliver(struct agent_request *r)
{
	for (size_t i = 0; i < r->n_recipients && !r->lost; i++) {
		if (!r->recipients[i].done)
			deliver_one(r, &r->recipients[i]);
	}
}
