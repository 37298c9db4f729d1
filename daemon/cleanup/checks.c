/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"

#include "base/arena.h"
#include "base/log.h"

#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "mail/check_action.h"
#include "queue/cleanup_status.h"
#include "table/maps.h"

#include "cleanup.h"
#include "log.h"

enum { CHECKS_END = CLEANUP_FLAG_FILTER | CLEANUP_FLAG_MILTER };

/* ---- tables ---- */

bool
checks_load(struct cleanup *c, struct err *err)
{
	const struct cleanup_config *p = &c->config;
	struct checks *k = &c->checks;

	byte_set_parse(p->message_reject_characters, &k->rejected);
	byte_set_parse(p->message_strip_characters, &k->stripped);
	return daemon_open_checks(c->daemon, "header_checks", p->header_checks,
				  TABLE_DEFAULT, &k->header, err) &&
	       daemon_open_checks(c->daemon, "mime_header_checks", p->mime_header_checks,
				  TABLE_DEFAULT, &k->mime, err) &&
	       daemon_open_checks(c->daemon, "nested_header_checks",
				  p->nested_header_checks, TABLE_DEFAULT, &k->nested,
				  err) &&
	       daemon_open_checks(c->daemon, "body_checks", p->body_checks, TABLE_DEFAULT,
				  &k->body, err);
}

static bool
is_strict(const struct cleanup_config *p)
{
	return p->strict_8bitmime || p->strict_7bit_headers || p->strict_8bitmime_body ||
	       p->strict_mime_encoding_domain;
}

bool
checks_need_mime(const struct message *m)
{
	const struct checks *k = &m->cleanup->checks;
	bool any = k->header != NULL || k->mime != NULL || k->nested != NULL ||
		   k->body != NULL || is_strict(&m->cleanup->config);

	return any && (m->flags & CLEANUP_FLAG_FILTER) != 0 &&
	       !m->cleanup->config.disable_mime_input_processing;
}

/* ---- actions ---- */

/* What was matched. */
struct match_context {
	const char *table;
	bool is_header;
	const char *part; /* "header", "body", "content" */
	struct str content;
};

static void
note(struct message *m, const struct match_context *x, enum check_verb verb,
     struct str text)
{
	log_check(m->cleanup->daemon->log, m, check_verb_name(verb), x->part, x->content,
		  text);
}

static void
reject(struct message *m, const struct match_context *x, struct str text)
{
	struct str warning;

	m->why = check_action_reason(m->mem, text, &warning);
	if (warning.len > 0)
		log_warning(m->cleanup->daemon->log, PRI_STR, STR_ARG(warning));
	m->status |= m->why.p[0] == '4' ? CLEANUP_DEFER : CLEANUP_CONT;
	m->flags &= ~(unsigned)CHECKS_END;
	note(m, x, CHECK_REJECT, m->why);
}

static void
copy_to(struct message *m, struct str address)
{
	if (m->n_bcc >= CHECKS_BCC_MAX) {
		log_warning(m->cleanup->daemon->log, PRI_STR ": too many BCC actions",
			    STR_ARG(m->id));
		return;
	}
	if (m->bcc == NULL)
		m->bcc = arena_alloc_array(m->mem, CHECKS_BCC_MAX, sizeof(*m->bcc));
	m->bcc[m->n_bcc++] = str_dup(m->mem, address);
}

static void
prepend(struct message *m, const struct match_context *x, struct str text)
{
	if (x->is_header)
		content_header(m, text);
	else
		content_body(m, text, true);
}

/* Where the message goes, and whether it is looked at any longer. */
static void
act_on_message(struct message *m, const struct check_action *a)
{
	if (a->verb == CHECK_FILTER)
		m->filter = str_dup(m->mem, a->text);
	else if (a->verb == CHECK_REDIRECT)
		m->redirect = str_dup(m->mem, a->text);
	else if (a->verb == CHECK_BCC)
		copy_to(m, a->text);
	else if (a->verb == CHECK_HOLD)
		m->flags |= CLEANUP_FLAG_HOLD;
	else if (a->verb == CHECK_DISCARD)
		m->flags |= CLEANUP_FLAG_DISCARD;
	if (a->verb == CHECK_PASS || a->verb == CHECK_REDIRECT ||
	    a->verb == CHECK_DISCARD)
		m->flags &= ~(unsigned)CHECKS_END;
}

/* False: what was matched is dropped. */
static bool
act(struct message *m, struct arena *mem, const struct match_context *x,
    const struct check_action *a, struct str *text)
{
	switch (a->verb) {
	case CHECK_DUNNO:
		return true;
	case CHECK_IGNORE:
		return false;
	case CHECK_REJECT:
		reject(m, x, a->text);
		return true;
	case CHECK_PREPEND:
		note(m, x, a->verb, a->text);
		prepend(m, x, a->text);
		return true;
	case CHECK_REPLACE:
		note(m, x, a->verb, a->text);
		*text = str_dup(mem, a->text);
		return true;
	case CHECK_STRIP:
		note(m, x, a->verb, a->text);
		return false;
	case CHECK_HOLD:
		/* Once is enough, and what is dropped is not kept. */
		if ((m->flags & (CLEANUP_FLAG_HOLD | CLEANUP_FLAG_DISCARD)) != 0)
			return true;
		break;
	case CHECK_BCC:
	case CHECK_DISCARD:
	case CHECK_FILTER:
	case CHECK_INFO:
	case CHECK_PASS:
	case CHECK_REDIRECT:
	case CHECK_WARN:
		break;
	}
	note(m, x, a->verb, a->text);
	act_on_message(m, a);
	return true;
}

static bool
check(struct message *m, struct arena *mem, struct maps *maps, bool is_header,
      struct str *text)
{
	struct match_context x = {.table = maps_title(maps),
				  .is_header = is_header,
				  .part = is_header ? "header" : "body",
				  .content = *text};
	struct check_action a;
	struct maps_hit hit;
	struct err err;

	switch (maps_find(maps, mem, *text, MAPS_ALL, &hit, &err)) {
	case LOOKUP_ABSENT:
		return true;
	case LOOKUP_FAILED:
		log_table_problem(m->cleanup->daemon->log, m->id,
				  str_printf(mem, "%s map lookup problem", x.table).p);
		message_fail(m, CLEANUP_WRITE, STR_EMPTY);
		return true;
	case LOOKUP_FOUND:
		break;
	}
	a = check_action_parse(mem, x.table, hit.value, is_header, CHECK_ALL);
	if (a.warning.len > 0)
		log_warning(m->cleanup->daemon->log, PRI_STR, STR_ARG(a.warning));
	return act(m, mem, &x, &a, text);
}

/* ---- bytes ---- */

static struct str
without_bytes(struct arena *mem, struct str text, const struct byte_set *set)
{
	char *copy = str_c(mem, text);
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (!set->has[(unsigned char)text.p[i]])
			copy[n++] = text.p[i];
	}
	return str_from_mem(copy, n);
}

bool
checks_bytes(struct message *m, struct arena *mem, struct str *text)
{
	const struct checks *k = &m->cleanup->checks;

	if ((m->flags & CLEANUP_FLAG_FILTER) == 0)
		return true;
	if (k->rejected.any && byte_set_find(&k->rejected, *text) < text->len) {
		const struct match_context x = {
			.part = "content",
			.content = str_head(*text, str_index(*text, '\0'))};

		reject(m, &x, STR("disallowed character"));
		return false;
	}
	if (k->stripped.any && byte_set_find(&k->stripped, *text) < text->len)
		*text = without_bytes(mem, *text, &k->stripped);
	return true;
}

/* ---- fields and lines ---- */

bool
checks_header(struct message *m, struct arena *mem, enum mime_header_class which,
	      struct str *text)
{
	const struct checks *k = &m->cleanup->checks;
	struct maps *maps = NULL;

	switch (which) {
	case MIME_HEADER_PRIMARY:
		maps = k->header;
		break;
	case MIME_HEADER_MULTIPART:
		maps = k->mime;
		break;
	case MIME_HEADER_NESTED:
		maps = k->nested;
		break;
	}
	return maps == NULL || (m->flags & CLEANUP_FLAG_FILTER) == 0 ||
	       check(m, mem, maps, true, text);
}

bool
checks_body(struct message *m, struct arena *mem, struct str *text)
{
	struct maps *maps = m->cleanup->checks.body;
	int64_t limit = m->cleanup->config.body_checks_size_limit;

	if (maps == NULL || (m->flags & CLEANUP_FLAG_FILTER) == 0 ||
	    (limit > 0 && m->part_offset >= limit))
		return true;
	return check(m, mem, maps, false, text);
}

/* The problems that are a reason to refuse the message. */
static unsigned
refused_problems(const struct cleanup_config *p)
{
	unsigned mask = MIME_PROBLEM_NESTING;

	if (p->strict_8bitmime || p->strict_7bit_headers)
		mask |= MIME_PROBLEM_8BIT_IN_HEADER;
	if (p->strict_8bitmime || p->strict_8bitmime_body)
		mask |= MIME_PROBLEM_8BIT_IN_BODY;
	if (p->strict_mime_encoding_domain)
		mask |= MIME_PROBLEM_ENCODING_DOMAIN;
	return mask;
}

void
checks_mime_problem(struct message *m, unsigned problem, struct str where)
{
	const struct mime_problem *row = mime_problem_find(problem);

	if ((m->flags & CLEANUP_FLAG_FILTER) == 0 ||
	    (problem & refused_problems(&m->cleanup->config)) == 0)
		return;
	log_mime_problem(m->cleanup->daemon->log, m, row->text, where);
	if ((m->status & CLEANUP_CONT) == 0)
		m->why = str_printf(m->mem, "%s %s", row->status, row->text);
	m->status |= CLEANUP_CONT;
}

void
checks_finish(struct message *m)
{
	if (m->filter.len > 0)
		queue_writer_record(&m->writer, RECORD_LETTER(FILTER), m->filter);
	if (m->redirect.len > 0)
		queue_writer_record(&m->writer, RECORD_LETTER(REDIRECT), m->redirect);
}
