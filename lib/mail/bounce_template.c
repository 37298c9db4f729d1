/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/bounce_template.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "config/config.h"
#include "config/value.h"

#define SIGNED "\n                   The mail system ($mail_name)\n"
#define HOST   "This is the mail system at host $myhostname.\n\n"

static const struct {
	const char *name;
	const char *subject;
	const char *postmaster_subject; /* NULL: there are no copies */
	const char *text;
} kinds[BOUNCE_TEMPLATES] = {
	[BOUNCE_TEMPLATE_FAILURE] =
		{"failure", "Undelivered Mail Returned to Sender",
		 "Postmaster Copy: Undelivered Mail",
		 HOST
		 "Your message could not be delivered to the recipients below, and it "
		 "will not be\n"
		 "tried again. After each address stands the reason, in the words of "
		 "the system\n"
		 "that refused or failed.\n"
		 "\n"
		 "If you do not understand the reason, ask <postmaster> and include "
		 "this report.\n" SIGNED},
	[BOUNCE_TEMPLATE_DELAY] =
		{"delay", "Delayed Mail (still being retried)",
		 "Postmaster Warning: Delayed Mail",
		 HOST "THIS IS A WARNING ONLY. YOU DO NOT NEED TO SEND YOUR MESSAGE "
		      "AGAIN.\n"
		      "\n"
		      "Your message has not yet been delivered to the recipients below. "
		      "After each\n"
		      "address stands what has prevented it so far. Delivery will be "
		      "tried again.\n" SIGNED},
	[BOUNCE_TEMPLATE_SUCCESS] =
		{"success", "Successful Mail Delivery Report", NULL,
		 HOST "Your message was delivered to the destinations below. If it went "
		      "to a system that\n"
		      "does not report any further, or to a mailing list, this is the "
		      "last you hear.\n" SIGNED},
	[BOUNCE_TEMPLATE_VERIFY] =
		{"verify", "Mail Delivery Status Report", NULL,
		 HOST "This is the delivery status report that you asked for.\n" SIGNED},
};

const char *
bounce_template_name(enum bounce_template_kind kind)
{
	return kinds[kind].name;
}

static struct bounce_template
default_of(size_t kind)
{
	const char *postmaster = kinds[kind].postmaster_subject;

	return (struct bounce_template){
		.charset = STR("us-ascii"),
		.from = STR("Mail Delivery System <MAILER-DAEMON>"),
		.subject = str_from(kinds[kind].subject),
		.postmaster_subject =
			postmaster == NULL ? STR_EMPTY : str_from(postmaster),
		.text = str_from(kinds[kind].text),
	};
}

void
bounce_templates_default(struct bounce_templates *out)
{
	for (size_t i = 0; i < BOUNCE_TEMPLATES; i++)
		out->of[i] = default_of(i);
}

/* ---- reading ---- */

struct reader {
	struct arena *mem;
	const char *path;
	const struct bounce_template_ear *ear;
	size_t line; /* number of the last one */
	struct str rest;
};

static bool
complain(const struct reader *r, const char *name, const char *what)
{
	r->ear->warn(r->ear->arg,
		     str_printf(r->mem, "%s: %s in %s template -- ignoring this template",
				r->path, what, name)
			     .p);
	return false;
}

static bool
complain_of_label(const struct reader *r, const char *name, const char *what,
		  struct str label, const char *after)
{
	return complain(
		r, name,
		str_printf(r->mem, "%s \"" PRI_STR "\" %s", what, STR_ARG(label), after)
			.p);
}

static struct str *
field_of(struct bounce_template *t, struct str label)
{
	if (str_ieq(label, STR("Charset")))
		return &t->charset;
	if (str_ieq(label, STR("From")))
		return &t->from;
	if (str_ieq(label, STR("Subject")))
		return &t->subject;
	if (str_ieq(label, STR("Postmaster-Subject")))
		return &t->postmaster_subject;
	return NULL;
}

/* "Label: value"; a label has no blanks. */
static bool
is_header(struct str line, struct str *label_out, struct str *value_out)
{
	if (!str_split(line, ':', label_out, value_out) || label_out->len == 0)
		return false;
	for (size_t i = 0; i < label_out->len; i++) {
		unsigned char c = (unsigned char)label_out->p[i];

		if (c <= ' ' || c >= 127)
			return false;
	}
	*value_out = str_trim_left(*value_out);
	return true;
}

static bool
take_header(const struct reader *r, const char *name, struct bounce_template *t,
	    struct str label, struct str value)
{
	struct str *field = field_of(t, label);

	if (field == NULL)
		return complain_of_label(r, name, "unknown", label, "header label");
	if (field->len == 0)
		return complain_of_label(r, name, "inapplicable", label, "header label");
	if (value.len == 0)
		return complain_of_label(r, name, "empty", label, "header value");
	if (!str_is_ascii(value) || str_contains(value, '\0'))
		return complain_of_label(r, name, "non-ASCII", label, "header value");
	*field = value;
	return true;
}

/* From what stands between the markers. */
static bool
make_template(const struct reader *r, size_t kind, struct str body,
	      struct bounce_template *out)
{
	const char *name = kinds[kind].name;
	struct bounce_template t = default_of(kind);
	struct str line, label, value;

	for (;;) {
		struct str before = body;

		if (!str_line(&body, &line))
			return complain(r, name, "missing message text");
		if (!is_header(line, &label, &value)) {
			if (str_trim(line).len > 0)
				body = before;
			break;
		}
		if (!take_header(r, name, &t, label, value))
			return false;
	}
	if (body.len == 0)
		return complain(r, name, "missing message text");
	if (str_contains(body, '\0'))
		return complain(r, name, "null byte");
	if (!str_is_ascii(body) && str_ieq(t.charset, STR("us-ascii")))
		return complain(r, name, "8-bit message text, but Charset: us-ascii");
	t.text = body;
	*out = t;
	return true;
}

static bool
next_line(struct reader *r, struct str *line_out)
{
	if (!str_line(&r->rest, line_out))
		return false;
	r->line++;
	return true;
}

/* Up to the marker; without one, to the end of the file. */
static struct str
read_body(struct reader *r, struct str marker)
{
	const char *start = r->rest.p;
	struct str line;

	for (;;) {
		const char *here = r->rest.p;

		if (!next_line(r, &line)) {
			r->ear->warn(r->ear->arg,
				     str_printf(r->mem,
						"%s, line %zu: missing \"" PRI_STR
						"\" end marker",
						r->path, r->line + 1, STR_ARG(marker))
					     .p);
			return str_from_mem(start, (size_t)(here - start));
		}
		if (str_eq(line, marker))
			return str_from_mem(start, (size_t)(here - start));
	}
}

static bool
find_kind(struct str name, size_t *kind_out)
{
	struct str end = STR("_template");
	struct str start = str_head(name, name.len - MIN_OF(name.len, end.len));

	for (size_t i = 0; i < BOUNCE_TEMPLATES; i++) {
		*kind_out = i;
		if (str_ends(name, end) && str_eq(start, str_from(kinds[i].name)))
			return true;
	}
	return false;
}

static void
take_template(struct reader *r, struct str name, struct str body,
	      struct bounce_templates *out)
{
	struct str text;
	size_t kind;

	if (find_kind(name, &kind)) {
		IGNORE(!make_template(r, kind, body, &out->of[kind]));
		return;
	}
	text = str_printf(r->mem,
			  "%s, line %zu: unknown template name: " PRI_STR
			  " -- ignoring this template",
			  r->path, r->line, STR_ARG(name));
	r->ear->warn(r->ear->arg, text.p);
}

bool
bounce_templates_parse(struct arena *mem, const char *path, struct str text,
		       const struct bounce_template_ear *ear,
		       struct bounce_templates *out, struct err *err)
{
	struct reader r = {.mem = mem, .path = path, .ear = ear, .rest = text};
	struct str line, name, value;

	while (next_line(&r, &line)) {
		line = str_trim(line);
		if (line.len == 0 || line.p[0] == '#')
			continue;
		if (!str_split(line, '=', &name, &value))
			return err_set(err, ERR_CONFIG,
				       "%s, line %zu: missing '=' after attribute name: "
				       "\"" PRI_STR "\"",
				       path, r.line,
				       STR_ARG(str_printable(mem, line, true)));
		name = str_trim(name);
		value = str_trim(value);
		if (str_starts(value, STR("<<")))
			value = read_body(&r, str_trim(str_skip(value, 2)));
		take_template(&r, name, value, out);
	}
	return true;
}

/* ---- values ---- */

static const struct {
	const char *parameter;
	char unit; /* of a bare number */
} times[] = {{"delay_warning_time", 'h'}, {"maximal_queue_lifetime", 'd'}};

static const struct {
	const char *name;
	int64_t seconds;
} units[] = {{"seconds", 1},
	     {"minutes", 60},
	     {"hours", 3600},
	     {"days", 86400},
	     {"weeks", 604800}};

struct expansion {
	struct arena *mem;
	const char *path;
	const char *kind;
	const struct config *config;
	const struct bounce_template_ear *ear;
};

static bool
time_value(const struct expansion *x, size_t row, struct str name, struct str suffix,
	   struct str *out, struct err *err)
{
	struct str text;
	int64_t seconds = 0;

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (!str_eq(suffix, str_from(units[i].name)))
			continue;
		if (!config_get(x->mem, x->config, str_from(times[row].parameter), &text,
				err) ||
		    (!value_time(text, times[row].unit, &seconds) &&
		     !err_set(err, ERR_CONFIG, "%s: not a time", times[row].parameter)))
			return false;
		*out = str_printf(x->mem, "%" PRId64, seconds / units[i].seconds);
		if (seconds / units[i].seconds == 0)
			x->ear->warn(
				x->ear->arg,
				str_printf(x->mem,
					   "%s: zero result in %s template conversion of "
					   "parameter \"" PRI_STR
					   "\": please use a smaller unit",
					   x->path, x->kind, STR_ARG(name))
					.p);
		return true;
	}
	return err_set(err, ERR_CONFIG,
		       "%s: unrecognized suffix \"" PRI_STR "\" in parameter \"" PRI_STR
		       "\"",
		       x->path, STR_ARG(suffix), STR_ARG(name));
}

/* The value of a name that only templates have; empty: it is one of main.cf. */
static bool
special_value(const struct expansion *x, struct str name, struct str *out,
	      struct err *err)
{
	*out = STR_EMPTY;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct str prefix = str_printf(x->mem, "%s_", times[i].parameter);

		if (str_starts(name, prefix))
			return time_value(x, i, name, str_skip(name, prefix.len), out,
					  err);
	}
	if (config_is_set(x->config, name) ||
	    config_use(x->config, name) != CONFIG_USE_UNKNOWN)
		return true;
	return err_set(err, ERR_CONFIG, "%s: undefined $name in %s template: " PRI_STR,
		       x->path, x->kind, STR_ARG(name));
}

static bool
is_bracket(char c)
{
	return c == '{' || c == '(';
}

/* Length of "$name", "${name" or "$(name" at the start of text; 0: no name. */
static size_t
name_at(struct str text, struct str *name_out)
{
	size_t start = text.len > 1 && is_bracket(text.p[1]) ? 2 : 1;
	size_t end = start;

	while (end < text.len && (char_is_alnum(text.p[end]) || text.p[end] == '_'))
		end++;
	*name_out = str_head(str_skip(text, start), end - start);
	return name_out->len > 0 ? end : 0;
}

/* Does what begins with a bracket end with one? */
static bool
is_closed(struct str text, size_t n)
{
	return !is_bracket(text.p[1]) ||
	       str_contains(str_skip(text, n), text.p[1] == '{' ? '}' : ')');
}

/* Put in what main.cf does not know; the rest is for config_expand(). */
static bool
resolve_special(const struct expansion *x, struct str text, struct buf *out,
		struct err *err)
{
	while (text.len > 0) {
		size_t dollar = str_index(text, '$');
		struct str name, value;
		size_t n;

		buf_add(out, str_head(text, dollar));
		text = str_skip(text, dollar);
		if (text.len > 1 && text.p[1] == '$') {
			buf_add(out, STR("$$"));
			text = str_skip(text, 2);
			continue;
		}
		n = name_at(text, &name);
		if (n == 0) {
			buf_add(out, str_head(text, 1));
			text = str_skip(text, 1);
			continue;
		}
		if (!is_closed(text, n))
			return err_set(err, ERR_CONFIG,
				       "%s: bad $name syntax in %s template: " PRI_STR,
				       x->path, x->kind, STR_ARG(name));
		if (!special_value(x, name, &value, err))
			return false;
		n += value.len > 0 && is_bracket(text.p[1]);
		buf_add(out, value.len > 0 ? value : str_head(text, n));
		text = str_skip(text, n);
	}
	return true;
}

bool
bounce_template_expand(struct arena *mem, const char *path,
		       enum bounce_template_kind kind, const struct config *config,
		       const struct bounce_template_ear *ear, struct str text,
		       struct str *out, struct err *err)
{
	const struct expansion x = {.mem = mem,
				    .path = path,
				    .kind = kinds[kind].name,
				    .config = config,
				    .ear = ear};
	struct buf *plain = buf_new(mem, (size_t)BOUNCE_TEMPLATE_FILE_MAX * 2);
	struct err why;

	if (!resolve_special(&x, text, plain, err))
		return false;
	if (!config_expand(mem, config, buf_str(plain), out, &why))
		return err_set(err, ERR_CONFIG, "%s: bad $name syntax in %s template: %s",
			       path, x.kind, why.text);
	return true;
}

/* ---- showing ---- */

static void
add_field(struct buf *out, const char *label, struct str value)
{
	if (value.len > 0)
		buf_printf(out, "%s: " PRI_STR "\n", label, STR_ARG(value));
}

void
bounce_templates_format(struct buf *out, const struct bounce_templates *t)
{
	for (size_t i = 0; i < BOUNCE_TEMPLATES; i++) {
		const struct bounce_template *one = &t->of[i];

		buf_printf(out, "%s%s_template = <<EOF\n", i > 0 ? "\n" : "",
			   kinds[i].name);
		add_field(out, "Charset", one->charset);
		add_field(out, "From", one->from);
		add_field(out, "Subject", one->subject);
		add_field(out, "Postmaster-Subject", one->postmaster_subject);
		buf_printf(out, "\n" PRI_STR "%sEOF\n", STR_ARG(one->text),
			   str_ends(one->text, STR("\n")) ? "" : "\n");
	}
}
