/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status_filter.h"

#include "base/arena.h"
#include "base/log.h"

#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "table/maps.h"

struct agent_status_filter {
	struct daemon *daemon;
	struct maps *maps;
};

bool
agent_status_filter_open(struct daemon *d, const char *parameter, struct str value,
			 struct agent_status_filter **out, struct err *err)
{
	struct agent_status_filter *f = ARENA_NEW(d->mem, struct agent_status_filter);

	f->daemon = d;
	*out = NULL;
	if (!maps_open(d->mem, parameter, value, TABLE_DEFAULT | TABLE_KEEP_OLD, &f->maps,
		       err))
		return false;
	daemon_warn_of_maps(d, f->maps);
	if (maps_count(f->maps) > 0)
		*out = f;
	return true;
}

bool
agent_status_filter_is_outdated(const struct agent_status_filter *f)
{
	return f != NULL && maps_is_outdated(f->maps);
}

/* NULL: it may replace that status. */
static const char *
objection(const struct dsn *dsn, struct str answer)
{
	size_t n = dsn_status_length(answer);

	if (n == 0)
		return "does not begin with a status code";
	if ((answer.p[0] == '2') != (dsn->status.text[0] == '2'))
		return "turns success into failure or failure into success";
	if (str_trim(str_skip(answer, n)).len == 0)
		return "has no text behind the status code";
	return NULL;
}

struct dsn
agent_status_filter_apply(struct agent_status_filter *f, struct arena *mem,
			  const struct dsn *dsn)
{
	struct dsn out = *dsn;
	struct maps_hit hit;
	const char *why;
	struct str key;
	struct err err;

	key = str_printf(mem, "%s " PRI_STR, dsn->status.text, STR_ARG(dsn->reason));
	switch (maps_find(f->maps, mem, key, MAPS_ALL, &hit, &err)) {
	case LOOKUP_FOUND:
		break;
	case LOOKUP_ABSENT:
		return out;
	case LOOKUP_FAILED:
		log_warning(f->daemon->log, "%s: %s", maps_title(f->maps), err.text);
		return out;
	}
	why = objection(dsn, hit.value);
	if (why != NULL) {
		log_warning(f->daemon->log,
			    "%s: %s: the answer \"" PRI_STR "\" to \"" PRI_STR
			    "\" %s, and is ignored",
			    maps_title(f->maps), hit.table,
			    STR_ARG(str_printable(mem, hit.value, true)), STR_ARG(key),
			    why);
		return out;
	}
	out.status = dsn_status_split("5.0.0", hit.value, &out.reason);
	out.reason = str_printable(mem, out.reason, true);
	return out;
}
