/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/config.h"
#include "daemon/daemon.h"
#include "mail/mime.h"
#include "table/maps.h"

#include "checks.h"
#include "generic.h"
#include "smtp.h"

/* What one header field may become, whatever tables make of it. */
enum { OUTPUT_MAX = 64 << 20 };

struct output_rules {
	struct mime_limits limits;
	struct checks checks;
	struct generic generic;
};

struct output {
	struct arena *mem;
	struct smtp *smtp;
	const struct output_rules *rules;
	struct str queue_id;
	struct output_source source;

	struct arena *message; /* from output_start() to the next */
	struct mime *mime;     /* NULL: the lines pass as they are */
	struct buf *ready;     /* lines with newlines, not yet taken */
	size_t taken;          /* of these */
	bool is_converted;
	bool at_end;
	bool failed; /* a table does not answer; the log has it */
};

/* ---- settings ---- */

static bool
limit_get(const struct config *cfg, struct str name, size_t *out, struct err *err)
{
	int64_t value;

	if (!config_get_int(cfg, name, &value, err))
		return false;
	*out = value > 0 ? (size_t)value : 0;
	return true;
}

bool
output_load(struct smtp *s, struct err *err)
{
	struct output_rules *r = ARENA_NEW(s->daemon->mem, struct output_rules);
	const struct config *cfg = s->daemon->config;

	s->output = r;
	return limit_get(cfg, STR("header_size_limit"), &r->limits.header_bytes, err) &&
	       limit_get(cfg, STR("mime_nesting_limit"), &r->limits.nesting, err) &&
	       limit_get(cfg, STR("mime_boundary_length_limit"),
			 &r->limits.boundary_bytes, err) &&
	       checks_load(s, &r->checks, err) && generic_load(s, &r->generic, err);
}

const struct checks *
output_checks(const struct smtp *s)
{
	return &s->output->checks;
}

const struct generic *
output_generic(const struct smtp *s)
{
	return &s->output->generic;
}

bool
output_is_outdated(const struct smtp *s)
{
	const struct output_rules *r = s->output;
	const struct maps *const all[] = {r->checks.header, r->checks.mime,
					  r->checks.nested, r->checks.body,
					  r->generic.maps};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i] != NULL && maps_is_outdated(all[i]))
			return true;
	}
	return false;
}

static bool
has_checks(const struct output_rules *r)
{
	return r->checks.header != NULL || r->checks.mime != NULL ||
	       r->checks.nested != NULL || r->checks.body != NULL;
}

/* ---- what the parser finds ---- */

static void
add_line(struct output *o, struct str line)
{
	buf_add(o->ready, line);
	buf_add_char(o->ready, '\n');
}

static void
take_header(void *arg, enum mime_header_class which, const struct header_name *row,
	    struct str text)
{
	struct output *o = arg;
	struct arena *mem = arena_new();
	enum check_result checked;
	struct str before;
	struct err err;

	checked = checks_header(o->smtp, mem, o->queue_id, which, &text, &before);
	if (before.len > 0)
		add_line(o, before);
	o->failed = o->failed || checked == CHECK_FAILED;
	if (checked == CHECK_KEEP && which == MIME_HEADER_PRIMARY &&
	    !generic_header(o->smtp, &o->rules->generic, mem, row, &text, &err)) {
		log_warning(o->smtp->daemon->log, "%s", err.text);
		o->failed = true;
	}
	if (checked == CHECK_KEEP)
		add_line(o, text);
	arena_free(&mem);
}

static void
take_header_end(void *arg UNUSED)
{
}

static void
take_body(void *arg, struct str line, bool whole)
{
	struct output *o = arg;
	struct arena *mem = NULL;
	enum check_result checked = CHECK_KEEP;
	struct str before = STR_EMPTY;

	if (o->rules->checks.body != NULL) {
		mem = arena_new();
		checked = checks_body(o->smtp, mem, o->queue_id, &line, &before);
		o->failed = o->failed || checked == CHECK_FAILED;
	}
	if (before.len > 0)
		add_line(o, before);
	if (checked == CHECK_KEEP) {
		buf_add(o->ready, line);
		if (whole)
			buf_add_char(o->ready, '\n');
	}
	arena_free(&mem);
}

/* ---- the filter ---- */

struct output *
output_new(struct arena *mem, struct smtp *s, struct str queue_id,
	   const struct output_source *source)
{
	struct output *o = ARENA_NEW(mem, struct output);

	*o = (struct output){.mem = mem,
			     .smtp = s,
			     .rules = s->output,
			     .queue_id = queue_id,
			     .source = *source};
	return o;
}

void
output_start(struct output *o, bool convert)
{
	static const struct mime_events events = {
		.header = take_header, .header_end = take_header_end, .body = take_body};

	unsigned parse = convert ? MIME_DOWNGRADE : has_checks(o->rules) ? 0 : MIME_OFF;

	arena_free(&o->message);
	o->mime = NULL;
	o->is_converted = convert;
	o->taken = 0;
	o->at_end = o->failed = false;
	if (parse == MIME_OFF && o->rules->generic.maps == NULL)
		return;
	o->message = arena_new_child(o->mem);
	o->ready = buf_new(o->message, OUTPUT_MAX);
	o->mime = mime_new(o->message, parse, &o->rules->limits, &events, o);
}

/* Feed the parser with one piece. False: there is no more, or it cannot go on. */
static bool
pull(struct output *o, enum smtp_content *result, struct dsn *failure)
{
	struct str text = STR_EMPTY;
	unsigned problems = 0;

	*result = o->source.next(o->source.arg, &text);
	switch (*result) {
	case SMTP_CONTENT_LINE:
	case SMTP_CONTENT_PART:
		problems = mime_line(o->mime, text, *result == SMTP_CONTENT_LINE);
		break;
	case SMTP_CONTENT_END:
		problems = mime_end(o->mime);
		o->at_end = true;
		break;
	case SMTP_CONTENT_FAILED:
		return false;
	}
	/* The others may be found in a mail that has come so far; it is not for us to
	 * judge. */
	if (o->is_converted && (problems & MIME_PROBLEM_NESTING) != 0) {
		const struct mime_problem *row = mime_problem_find(MIME_PROBLEM_NESTING);

		*failure = dsn_make(o->mem, row->status, str_from(row->text));
		*result = SMTP_CONTENT_FAILED;
		return false;
	}
	if (o->failed) {
		*result = SMTP_CONTENT_FAILED;
		return false;
	}
	if (!buf_ok(o->ready)) {
		*failure = dsn_make(o->mem, "5.6.0", STR("header field is too long"));
		*result = SMTP_CONTENT_FAILED;
		return false;
	}
	return true;
}

enum smtp_content
output_next(struct output *o, struct str *text_out, struct dsn *failure_out)
{
	enum smtp_content result = SMTP_CONTENT_LINE;
	struct str rest;
	size_t line;

	if (o->mime == NULL)
		return o->source.next(o->source.arg, text_out);
	while (o->taken == o->ready->len) {
		if (o->at_end)
			return SMTP_CONTENT_END;
		buf_clear(o->ready);
		o->taken = 0;
		if (!pull(o, &result, failure_out))
			return result;
	}
	rest = str_skip(buf_str(o->ready), o->taken);
	line = str_index(rest, '\n');
	*text_out = str_head(rest, line);
	o->taken += MIN_OF(line + 1, rest.len);
	return line < rest.len ? SMTP_CONTENT_LINE : SMTP_CONTENT_PART;
}
