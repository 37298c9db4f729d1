/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtpd_reject_footer: lines behind a refusal. "\n" in the text is a line end, "\c" at
 * its start puts it behind the last line of the reply. Every line gets the code and the
 * enhanced code of the reply.
 */
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/sys.h"

#include "mail/dsn.h"

#include "access/access.h"
#include "access/eval_internal.h"
#include "access/template_internal.h"

enum { REPLY_WITH_FOOTER_MAX = 65536 };

static struct str
local_time(struct arena *mem)
{
	time_t now = (time_t)(sys_now_us() / 1000000);
	struct tm tm;
	char text[sizeof("Mmm dd hh:mm:ss") + 8];

	if (localtime_r(&now, &tm) == NULL ||
	    strftime(text, sizeof(text), "%b %d %H:%M:%S", &tm) == 0)
		return STR_EMPTY;
	return str_dup(mem, str_from(text));
}

/* The footer's template for this reply; empty: none. */
static struct str
find_template(const struct access *a, struct arena *mem, struct str reply)
{
	struct maps_hit hit;
	struct err err;
	struct str text = a->rules->c.smtpd_reject_footer;

	if (maps_count(a->rules->footers) == 0)
		return text;
	switch (maps_find(a->rules->footers, mem, reply, MAPS_ALL, &hit, &err)) {
	case LOOKUP_FOUND:
		return hit.value;
	case LOOKUP_FAILED:
		if (a->world->log != NULL)
			a->world->log(a->world->log_arg, LOG_LEVEL_WARNING,
				      str_from(err.text));
		break;
	case LOOKUP_ABSENT:
		break;
	}
	return text;
}

/* Where the last line of a reply begins. */
static size_t
last_line(struct str reply)
{
	size_t at = str_rindex(reply, '\n');

	return at < reply.len ? at + 1 : 0;
}

/* Up to the next "\n" of two characters. */
static struct str
take_line(struct str *rest)
{
	size_t end = str_find(*rest, STR("\\n"));
	struct str line = str_head(*rest, end);

	*rest = str_skip(*rest, end + 2);
	return line;
}

static struct str
add_footer(struct arena *mem, struct str reply, struct str footer)
{
	struct str last = str_skip(reply, last_line(reply));
	struct str code = str_head(last, 3);
	struct str dsn = str_skip(last, 4);
	bool joined = str_starts(footer, STR("\\c"));
	struct buf *b = buf_new(mem, REPLY_WITH_FOOTER_MAX);
	size_t at;

	dsn = str_head(dsn, dsn_status_length(dsn));
	buf_add(b, reply);
	at = last_line(reply);
	if (joined) {
		footer = str_skip(footer, 2);
		buf_add(b, take_line(&footer));
	}
	while (footer.len > 0) {
		if (buf_ok(b))
			b->p[at + 3] = '-';
		buf_add_c(b, "\r\n");
		at = b->len;
		buf_printf(b, PRI_STR " " PRI_STR "%s", STR_ARG(code), STR_ARG(dsn),
			   dsn.len > 0 ? " " : "");
		buf_add(b, take_line(&footer));
	}
	return buf_ok(b) ? buf_str(b) : reply;
}

struct str
access_footer(const struct access *a, struct arena *mem,
	      const struct access_request *request, struct str reply)
{
	struct template_values values = {
		.request = request,
		.hostname = a->rules->hostname,
		.allowed = a->rules->c.smtpd_expansion_filter,
		.localtime = local_time(mem),
		.rbl_class = STR_EMPTY,
		.rbl_domain = STR_EMPTY,
		.rbl_what = STR_EMPTY,
		.rbl_reason = STR_EMPTY,
	};
	struct str template;
	struct str footer;
	struct err err;

	if (reply.len < 4 || (reply.p[0] != '4' && reply.p[0] != '5'))
		return reply;
	template = find_template(a, mem, reply);
	if (template.len == 0)
		return reply;
	if (!access_template_expand(mem, template, &values, &footer, &err)) {
		if (a->world->log != NULL)
			a->world->log(
				a->world->log_arg, LOG_LEVEL_WARNING,
				str_printf(mem, "smtpd_reject_footer: %s", err.text));
		return reply;
	}
	return add_footer(mem, reply, footer);
}
