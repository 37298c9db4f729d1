/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tables.h"

#include "base/log.h"

#include "daemon/daemon.h"
#include "table/maps.h"

static void
warn(struct daemon *d, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		log_warning(d->log, "%s", texts[i]);
}

void
daemon_warn_of_maps(struct daemon *d, const struct maps *maps)
{
	const char *const *texts;
	size_t n = maps_warnings(maps, &texts);

	warn(d, texts, n);
}

void
daemon_warn_of_match(struct daemon *d, const struct match *match)
{
	const char *const *texts;
	size_t n = match_warnings(match, &texts);

	warn(d, texts, n);
}

bool
daemon_open_maps(struct daemon *d, const char *title, struct str text, unsigned flags,
		 struct maps **out, struct err *err)
{
	if (!maps_open(d->mem, title, text, flags, out, err))
		return false;
	daemon_warn_of_maps(d, *out);
	return true;
}

bool
daemon_open_checks(struct daemon *d, const char *title, struct str text, unsigned flags,
		   struct maps **out, struct err *err)
{
	*out = NULL;
	if (str_trim(text).len == 0)
		return true;
	if (!daemon_open_maps(d, title, text, flags, out, err))
		return false;
	if (maps_count(*out) == 0)
		*out = NULL;
	return true;
}

bool
daemon_open_match(struct daemon *d, enum match_kind kind, const char *title,
		  struct str text, struct match **out, struct err *err)
{
	if (!match_open(d->mem, kind, title, text, 0, out, err))
		return false;
	daemon_warn_of_match(d, *out);
	return true;
}
