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
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"

#include "agent/agent.h"
#include "config/expand.h"
#include "daemon/daemon.h"
#include "deliver/list.h"
#include "mail/address.h"
#include "rewrite/form.h"
#include "table/maps.h"

#include "work.h"

enum { DEPTH_MAX = 100, FORWARD_MAX = 20000, INCLUDE_MAX = 1000, LUSER_MAX = 4096 };

/* Where a target was found, and whose rights it has. */
struct origin {
	struct job_owner owner;
	const char *what;     /* alias, forward, include */
	struct str name;      /* of the alias or user */
	struct str unmatched; /* the extension, where it goes on to what is found */
	unsigned depth;
};

static void deliver_local(struct work *w, struct str address, const struct origin *from);

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
		s.delimiter = str_head(str_skip(s.local, user.len), 1);
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
		work_note_text(w, "4.3.0", STR("the delivering process died"));
	else if (result->end == DELIVER_DONE)
		work_note(w, &result->dsn);
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
	size_t limit = (size_t)w->l->cleanup.duplicate_filter_limit;

	if (map_find(w->seen, what) != NULL)
		return true;
	if (limit == 0 || map_count(w->seen) < limit)
		IGNORE(map_set(w->seen, what, w) != NULL);
	return false;
}

static bool
propagates(struct work *w, const char *class)
{
	return work_lists(w->l->rules.config.propagate_unmatched_extensions, class);
}

static void targets(struct work *w, const struct deliver_target *list, size_t n,
		    const struct origin *from);

static void
include(struct work *w, struct str path, const struct origin *from)
{
	struct origin next = *from;
	struct job_owner owner = rights(w, from);
	struct deliver_spec *spec = ARENA_NEW(w->mem, struct deliver_spec);
	struct deliver_result *result = ARENA_NEW(w->mem, struct deliver_result);

	/* Whatever the filter's limit is: lists may name each other. */
	if (map_set(w->included, path, w) != NULL)
		return;
	if (map_count(w->included) > INCLUDE_MAX) {
		work_note_text(w, "4.3.0", STR("too many include files"));
		return;
	}
	*spec = make_spec(w, w->rcpt->msg.address);
	spec->path = path;
	run_job(w, JOB_INCLUDE, &owner, spec, result);
	if (result->end != DELIVER_EXPANDED)
		return;
	next.what = "include";
	next.depth++;
	if (!propagates(w, "include"))
		next.unmatched = STR_EMPTY;
	if (!has_owner(&from->owner) && result->uid > 0 && result->gid > 0)
		next.owner = (struct job_owner){.uid = result->uid, .gid = result->gid};
	targets(w, result->targets, result->n_targets, &next);
}

static void
outside(struct work *w, struct str text, const struct origin *from)
{
	bool command = text.p[0] == '|';
	struct job_owner owner = rights(w, from);
	struct deliver_spec spec = make_spec(w, w->rcpt->msg.address);
	struct deliver_result result;

	if (!work_lists(command ? w->l->config.allow_mail_to_commands
				: w->l->config.allow_mail_to_files,
			from->what)) {
		work_note_text(w, "5.7.1",
			       command ? STR("mail to command is restricted")
				       : STR("mail to file is restricted"));
		return;
	}
	if (seen_before(w, str_printf(w->mem, "%s/%ld/" PRI_STR, owner.user,
				      (long)owner.uid, STR_ARG(text))))
		return;
	if (!work_lists(w->l->config.prepend_delivered_header,
			command ? "command" : "file"))
		spec.delivered = STR_EMPTY;
	/* Nobody's home is no place for anybody's command. */
	if (!str_eq(str_from(from->what), STR("forward")))
		spec.flags |= DELIVER_NO_ACCOUNT;
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
		work_note_text(w, "4.3.0", STR("too many addresses in alias expansion"));
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

static struct str
extended(struct work *w, struct str address, struct str extension)
{
	struct str local;
	struct str domain;

	if (extension.len == 0 || w->l->common.recipient_delimiter.len == 0 ||
	    !address_split(address, &local, &domain))
		return address;
	return str_printf(w->mem, PRI_STR "%c" PRI_STR "@" PRI_STR, STR_ARG(local),
			  w->l->common.recipient_delimiter.p[0], STR_ARG(extension),
			  STR_ARG(domain));
}

/* alone: nothing else came of the same place. */
static void
one_address(struct work *w, struct str text, bool alone, const struct origin *from)
{
	struct str plain = str_starts(text, STR("\\")) ? str_skip(text, 1) : text;
	struct str address =
		extended(w, rewrite_form(w->mem, &w->l->rules, plain), from->unmatched);
	struct str local;
	struct str domain;
	const char *what;
	struct err err;

	if (!address_split(address, &local, &domain)) {
		work_note_text(w, "5.1.3", STR("bad address syntax"));
		return;
	}
	/* A user who lists himself wants his mailbox. */
	if (rewrite_is_local(&w->l->rules, domain, &what, &err) == MATCH_YES &&
	    ((alone && !w->is_list && !str_eq(str_from(from->what), STR("include"))) ||
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
		work_note_text(w, "5.4.6",
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

	if (c->n == FORWARD_MAX)
		return false;
	if ((c->n & (c->n - 1)) == 0) { /* grow at powers of two */
		struct deliver_target *more = arena_alloc_array(
			c->w->mem, c->n * 2 + 1, sizeof(struct deliver_target));

		for (size_t i = 0; i < c->n; i++)
			more[i] = c->list[i];
		c->list = more;
	}
	c->list[c->n++].text = str_dup(c->w->mem, entry);
	return true;
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

/* The alias's owner gets what comes back, and all addresses go into a new message, so
 * that none waits for another. False: the table failed. */
static bool
use_list_owner(struct work *w, struct str name)
{
	struct str owner = str_concat(w->mem, STR("owner-"), name);
	struct maps_hit hit;
	struct err err;

	if (w->l->config.reset_owner_alias)
		w->is_list = false;
	if (!w->l->rules.config.owner_request_special)
		return true;
	switch (maps_find(w->l->aliases, w->mem, owner, MAPS_ALL, &hit, &err)) {
	case LOOKUP_FOUND:
		w->sender =
			rewrite_form(w->mem, &w->l->rules,
				     w->l->config.expand_owner_alias ? hit.value : owner);
		w->is_list = true;
		return true;
	case LOOKUP_ABSENT:
		return true;
	case LOOKUP_FAILED:
		log_warning(w->l->daemon->log, "%s", err.text);
		break;
	}
	return false;
}

static void
use_alias(struct work *w, struct str name, struct str unmatched,
	  const struct maps_hit *hit, const struct origin *from)
{
	struct collect c = {.w = w};
	struct origin next = {.owner = table_owner(w, hit->table),
			      .what = "alias",
			      .name = name,
			      .unmatched = propagates(w, "alias") ? unmatched : STR_EMPTY,
			      .depth = from->depth + 1};

	if (!use_list_owner(w, name)) {
		work_note_text(w, "4.3.0", STR("alias database unavailable"));
		return;
	}
	if (!list_parse(w->mem, hit->value, collect_entry, &c)) {
		work_note_text(w, "4.3.0", STR("too many addresses in alias expansion"));
		return;
	}
	if (c.n == 0) {
		log_warning(w->l->daemon->log,
			    "no recipient in alias lookup result: " PRI_STR,
			    STR_ARG(name));
		work_note_text(w, "4.3.5", STR("mail system configuration error"));
		return;
	}
	targets(w, c.list, c.n, &next);
}

/* True when the name was an alias, or could not be looked for. */
static bool
try_alias(struct work *w, struct str name, struct str unmatched,
	  const struct origin *from)
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
		work_note_text(w, "4.3.0", STR("alias database unavailable"));
		return true;
	case LOOKUP_FOUND:
		break;
	}
	use_alias(w, name, unmatched, &hit, from);
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
	work_note_text(w, "4.3.0", STR("table lookup failure"));
	return false;
}

static void
pass(struct work *w, struct str transport)
{
	if (w->n_passes == WORK_PASSES_MAX) {
		work_note_text(w, "4.3.0", STR("too many addresses in alias expansion"));
		return;
	}
	w->passes[w->n_passes++] = (struct work_pass){
		w->rcpt->msg.address, w->rcpt->msg.orig_address, transport};
}

static enum expand_found
find_value(void *closure, struct str name, struct str *out)
{
	const struct deliver_spec *s = closure;
	const struct {
		struct str name, value;
	} values[] = {
		{STR("user"), s->user},
		{STR("domain"), s->domain},
		{STR("local"), s->local},
		{STR("mailbox"), s->local},
		{STR("recipient"), s->recipient},
		{STR("extension"), s->extension},
		{STR("recipient_delimiter"),
		 s->extension.len > 0 ? s->delimiter : STR_EMPTY},
	};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (str_eq(values[i].name, name) && values[i].value.len > 0) {
			*out = values[i].value;
			return EXPAND_LITERAL;
		}
	}
	return EXPAND_UNKNOWN;
}

static void
no_such_user(struct work *w, const struct deliver_spec *spec)
{
	work_note_text(
		w, "5.1.1",
		str_printf(w->mem, "unknown user: \"" PRI_STR "\"", STR_ARG(spec->user)));
}

static void
relay_of_unknown(struct work *w, struct deliver_spec *spec, const struct origin *from)
{
	struct buf *b = buf_new(w->mem, LUSER_MAX);
	struct str address;
	struct err err;

	if (!expand_text(w->l->config.luser_relay, find_value, spec, b, &err)) {
		log_warning(w->l->daemon->log, "luser_relay: %s", err.text);
		work_note_text(w, "4.3.5", STR("mail system configuration error"));
		return;
	}
	address = rewrite_form(w->mem, &w->l->rules, buf_str(b));
	/* One that is as unknown as what led there. */
	if (buf_str(b).len == 0 || str_ieq(address, spec->recipient) ||
	    seen_before(w, STR("luser_relay")))
		no_such_user(w, spec);
	else
		one_address(w, address, true, from);
}

static void
unknown_user(struct work *w, struct deliver_spec *spec, const struct origin *from)
{
	struct str to;

	if (!setting_for(w, w->l->fallback_transports, spec->user,
			 w->l->config.fallback_transport, &to))
		return;
	if (to.len > 0) {
		pass(w, to);
	} else if (w->l->config.luser_relay.len > 0) {
		relay_of_unknown(w, spec, from);
	} else if (str_eq(spec->user, STR("postmaster")) ||
		   str_eq(spec->user, STR("mailer-daemon"))) {
		log_warning(w->l->daemon->log, "required alias not found: " PRI_STR,
			    STR_ARG(spec->user));
		work_note_text(w, "2.0.0", STR("discarded"));
	} else {
		no_such_user(w, spec);
	}
}

static void
forward_of_user(struct work *w, const struct deliver_spec *spec,
		const struct deliver_result *result, const struct origin *from)
{
	struct origin next = {.what = "forward",
			      .name = spec->user,
			      .unmatched = !result->extension_matched &&
							   propagates(w, "forward")
						   ? spec->extension
						   : STR_EMPTY,
			      .depth = from->depth + 1};

	if (!job_owner_by_name(result->user, &next.owner)) {
		work_note_text(w, "4.3.0", STR("user lookup error"));
		return;
	}
	targets(w, result->targets, result->n_targets, &next);
}

/* Root's mailbox command runs as default_privs, too. */
static void
command_of_root(struct work *w, struct deliver_spec *spec, struct str home)
{
	const struct origin root = {.what = "alias"};
	struct job_owner owner = rights(w, &root);
	struct deliver_result result;

	spec->home = home;
	run_job(w, JOB_COMMAND, &owner, spec, &result);
}

static void
deliver_user(struct work *w, struct deliver_spec *spec, const struct origin *from)
{
	struct str key = str_concat(w->mem, STR("forward "), spec->user);
	struct deliver_result *result = ARENA_NEW(w->mem, struct deliver_result);
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
		*result = (struct deliver_result){.end = DELIVER_UNKNOWN_USER};
	else
		run_job(w, JOB_USER, &owner, spec, result);
	if (result->end == DELIVER_EXPANDED)
		forward_of_user(w, spec, result, from);
	else if (transport.len > 0 && (result->end == DELIVER_NO_FORWARD ||
				       result->end == DELIVER_UNKNOWN_USER))
		pass(w, transport);
	else if (result->end == DELIVER_NO_FORWARD)
		command_of_root(w, spec, result->home);
	else if (result->end == DELIVER_UNKNOWN_USER)
		unknown_user(w, spec, from);
}

static void
loop(struct work *w)
{
	work_note_text(w, "5.4.6",
		       str_printf(w->mem, "mail forwarding loop for " PRI_STR,
				  STR_ARG(w->delivered)));
}

static void
deliver_local(struct work *w, struct str address, const struct origin *from)
{
	/* In the arena: aliases lead here again, and the stack is small. */
	struct deliver_spec *spec = ARENA_NEW(w->mem, struct deliver_spec);
	struct str name;

	*spec = make_spec(w, address);
	name = str_lower(w->mem, spec->local);

	/* What the log and the report say it came from. */
	if (from->depth > 0) {
		if (w->rcpt->msg.orig_address.len == 0)
			w->rcpt->msg.orig_address = w->rcpt->msg.address;
		w->rcpt->msg.address = address;
	}
	if (!w->l->config.frozen_delivered_to && from->depth > 0) {
		w->delivered = spec->delivered = address;
		if (work_is_loop(w)) {
			loop(w);
			return;
		}
	}
	if (from->depth > DEPTH_MAX)
		work_note_text(w, "5.4.6",
			       str_printf(w->mem, "alias database loop for " PRI_STR,
					  STR_ARG(name)));
	else if (!try_alias(w, name, STR_EMPTY, from) &&
		 (str_eq(name, spec->user) ||
		  !try_alias(w, spec->user, spec->extension, from)))
		deliver_user(w, spec, from);
}

/* ---- the whole ---- */

static void
deliver_one(struct agent_request *r, struct agent_recipient *rcpt)
{
	struct work *w = ARENA_NEW(r->mem, struct work);
	const struct origin qmgr = {.what = "", .name = STR_EMPTY};

	*w = (struct work){.l = r->daemon->state,
			   .r = r,
			   .rcpt = rcpt,
			   .mem = r->mem,
			   .sender = r->msg.sender,
			   .delivered = rcpt->msg.address,
			   .seen = map_new_in(r->mem),
			   .included = map_new_in(r->mem)};
	if (work_is_loop(w))
		loop(w);
	else
		deliver_local(w, rcpt->msg.address, &qmgr);
	work_finish(w);
}

void
deliver(struct agent_request *r)
{
	const struct local *l = r->daemon->state;

	r->filter = l->status_filter;
	for (size_t i = 0; i < r->n_recipients && !r->lost; i++) {
		if (!r->recipients[i].done)
			deliver_one(r, &r->recipients[i]);
	}
}
