/* SPDX-License-Identifier: Apache-2.0 */
#include "command/permit.h"

#include "base/arena.h"
#include "base/log.h"
#include "table/maps.h"
#include "table/match.h"

#include "command/command.h"

/* The default lists need no table and no login name. */
static bool
is_anyone(struct str list)
{
	return str_eq(list, STR("static:anyone")) || str_eq(list, STR("static:all"));
}

static void
log_warnings(struct command *c, const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		log_warning(c->log, "%s", texts[i]);
}

enum permit
permit_user(struct command *c, const char *parameter, unsigned uid, struct err *err)
{
	struct str list = command_get(c, parameter);
	const char *const *texts;
	struct match *match;
	size_t count;

	if (is_anyone(str_trim(list)))
		return PERMIT_YES;
	if (!match_open(c->mem, MATCH_STRINGS, parameter, list, 0, &match, err))
		return PERMIT_FAILED;
	count = match_warnings(match, &texts);
	log_warnings(c, texts, count);
	switch (match_find(match, str_from(command_user_or_unknown(c, uid)), NULL, err)) {
	case MATCH_YES:
		return PERMIT_YES;
	case MATCH_NO:
		return PERMIT_NO;
	case MATCH_FAILED:
		break;
	}
	return PERMIT_FAILED;
}

/* One item of a table's value against the sender. */
static bool
item_allows(struct str item, struct str sender, struct str null_key)
{
	size_t at = str_rindex(sender, '@');

	if (str_eq(item, STR("*")))
		return true;
	if (sender.len == 0)
		return str_ieq(item, null_key);
	if (item.len > 1 && item.p[0] == '@')
		return at < sender.len && str_ieq(str_skip(sender, at), item);
	return str_ieq(item, sender);
}

enum permit
permit_sender(struct command *c, unsigned uid, struct str sender, struct err *err)
{
	static const char parameter[] = "local_login_sender_maps";
	struct str list = command_get(c, parameter);
	struct str null_key;
	struct maps_hit hit;
	const char *const *texts;
	struct maps *maps;
	size_t count;
	struct str item;

	if (str_eq(str_trim(list), STR("static:*")))
		return PERMIT_YES;
	null_key = command_get(c, "empty_address_local_login_sender_maps_lookup_key");
	if (!maps_open(c->mem, parameter, list, 0, &maps, err))
		return PERMIT_FAILED;
	count = maps_warnings(maps, &texts);
	log_warnings(c, texts, count);
	switch (maps_find(maps, c->mem, str_from(command_user_or_unknown(c, uid)),
			  MAPS_ALL, &hit, err)) {
	case LOOKUP_ABSENT:
		return PERMIT_NO;
	case LOOKUP_FAILED:
		return PERMIT_FAILED;
	case LOOKUP_FOUND:
		break;
	}
	while (str_token(&hit.value, ", \t\r\n", &item)) {
		if (item_allows(item, sender, null_key))
			return PERMIT_YES;
	}
	return PERMIT_NO;
}
