/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"

#include "base/arena.h"
#include "base/log.h"

#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "mail/check_action.h"
#include "table/maps.h"

#include "log.h"
#include "output.h"
#include "smtp.h"

bool
checks_open(struct smtp *s, const char *title, struct str text, struct maps **out,
	    struct err *err)
{
	return daemon_open_checks(s->daemon, title, text, TABLE_DEFAULT | TABLE_KEEP_OLD,
				  out, err);
}

bool
checks_load(struct smtp *s, struct checks *out, struct err *err)
{
	const struct smtp_config *c = &s->config;

	return checks_open(s, "smtp_header_checks", c->smtp_header_checks, &out->header,
			   err) &&
	       checks_open(s, "smtp_mime_header_checks", c->smtp_mime_header_checks,
			   &out->mime, err) &&
	       checks_open(s, "smtp_nested_header_checks", c->smtp_nested_header_checks,
			   &out->nested, err) &&
	       checks_open(s, "smtp_body_checks", c->smtp_body_checks, &out->body, err);
}

static enum check_result
check(struct smtp *s, struct arena *mem, struct str queue_id, struct maps *maps,
      bool is_header, struct str *text, struct str *before_out)
{
	struct log *log = s->daemon->log;
	const char *what = is_header ? "header" : "body";
	struct check_action a;
	struct maps_hit hit;
	struct err err;

	*before_out = STR_EMPTY;
	switch (maps_find(maps, mem, *text, MAPS_ALL, &hit, &err)) {
	case LOOKUP_ABSENT:
		return CHECK_KEEP;
	case LOOKUP_FAILED:
		log_warning(log, "%s", err.text);
		log_check_failed(log, queue_id, what);
		return CHECK_FAILED;
	case LOOKUP_FOUND:
		break;
	}
	a = check_action_parse(mem, maps_title(maps), hit.value, is_header,
			       CHECK_ON_OUTPUT);
	if (a.warning.len > 0)
		log_warning(log, PRI_STR, STR_ARG(a.warning));
	if (a.verb == CHECK_DUNNO)
		return CHECK_KEEP;
	if (a.verb == CHECK_IGNORE)
		return CHECK_DROP;
	log_check(log, queue_id, check_verb_name(a.verb), what, *text, a.text);
	if (a.verb == CHECK_STRIP)
		return CHECK_DROP;
	if (a.verb == CHECK_PREPEND)
		*before_out = a.text;
	if (a.verb == CHECK_REPLACE)
		*text = a.text;
	return CHECK_KEEP;
}

enum check_result
checks_header(struct smtp *s, struct arena *mem, struct str queue_id,
	      enum mime_header_class which, struct str *text, struct str *before_out)
{
	const struct checks *k = output_checks(s);
	struct maps *const maps[] = {[MIME_HEADER_PRIMARY] = k->header,
				     [MIME_HEADER_MULTIPART] = k->mime,
				     [MIME_HEADER_NESTED] = k->nested};

	*before_out = STR_EMPTY;
	return maps[which] == NULL
		       ? CHECK_KEEP
		       : check(s, mem, queue_id, maps[which], true, text, before_out);
}

enum check_result
checks_body(struct smtp *s, struct arena *mem, struct str queue_id, struct str *text,
	    struct str *before_out)
{
	const struct checks *k = output_checks(s);

	*before_out = STR_EMPTY;
	return k->body == NULL
		       ? CHECK_KEEP
		       : check(s, mem, queue_id, k->body, false, text, before_out);
}
