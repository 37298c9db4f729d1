/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/config.h"
#include "config/value.h"
#include "daemon/tables.h"
#include "table/maps.h"
#include "table/match.h"
#include "table/places.h"

#include "cache.h"
#include "postscreen.h"

enum { ACCESS_ITEMS_MAX = 256 };

/* ---- the permanent list ---- */

static bool
parse_item(struct screen *s, struct str word, struct access_item *item, struct err *err)
{
	static const struct {
		const char *word;
		int kind;
	} rows[] = {{"permit_mynetworks", ITEM_PERMIT_MYNETWORKS},
		    {"permit", ITEM_PERMIT},
		    {"reject", ITEM_REJECT},
		    {"dunno", ITEM_DUNNO}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_ieq(word, str_from(rows[i].word))) {
			item->kind = rows[i].kind;
			return true;
		}
	if (!str_contains(word, ':')) {
		log_warning(s->log,
			    "unknown command: postscreen_access_list=" PRI_STR
			    " -- ignoring the remainder of this access list",
			    STR_ARG(word));
		item->kind = ITEM_DUNNO;
		return true;
	}
	item->kind = ITEM_TABLE;
	return daemon_open_maps(s->daemon, "postscreen_access_list", word, TABLE_DEFAULT,
				&item->table, err);
}

static bool
load_access(struct screen *s, struct err *err)
{
	struct str rest = s->config.postscreen_access_list;
	struct str word;

	s->access =
		arena_alloc_array(s->daemon->mem, ACCESS_ITEMS_MAX, sizeof(*s->access));
	while (list_next(&rest, &word)) {
		if (s->n_access == ACCESS_ITEMS_MAX)
			return err_set(err, ERR_CONFIG,
				       "postscreen_access_list: more than %d items",
				       ACCESS_ITEMS_MAX);
		if (!parse_item(s, word, &s->access[s->n_access++], err))
			return false;
	}
	return true;
}

static bool
ask_table(const struct screen *s, struct arena *mem, const struct access_item *item,
	  struct str address, enum access_word *out)
{
	struct maps_hit hit;
	struct err err;

	switch (maps_find(item->table, mem, address, MAPS_ALL, &hit, &err)) {
	case LOOKUP_ABSENT:
		return false;
	case LOOKUP_FAILED:
		log_warning(s->log, "%s -- ignoring the remainder of this access list",
			    err.text);
		*out = ACCESS_WORD_DUNNO;
		return true;
	case LOOKUP_FOUND:
		break;
	}
	if (str_ieq(hit.value, STR("dunno")))
		return false;
	*out = ACCESS_WORD_DUNNO;
	if (str_ieq(hit.value, STR("permit")))
		*out = ACCESS_WORD_PERMIT;
	else if (str_ieq(hit.value, STR("reject")))
		*out = ACCESS_WORD_REJECT;
	else
		log_warning(s->log,
			    "%s: unknown command: " PRI_STR
			    " -- ignoring the remainder of this access list",
			    hit.table, STR_ARG(hit.value));
	return true;
}

enum access_word
settings_access(const struct screen *s, struct arena *mem, struct str address)
{
	for (size_t i = 0; i < s->n_access; i++) {
		enum access_word word;
		struct err err;

		switch (s->access[i].kind) {
		case ITEM_PERMIT_MYNETWORKS:
			if (match_find_host(s->mynetworks, STR("unknown"), address, NULL,
					    &err) == MATCH_YES)
				return ACCESS_WORD_PERMIT;
			break;
		case ITEM_PERMIT:
			return ACCESS_WORD_PERMIT;
		case ITEM_REJECT:
			return ACCESS_WORD_REJECT;
		case ITEM_DUNNO:
			return ACCESS_WORD_DUNNO;
		case ITEM_TABLE:
			if (ask_table(s, mem, &s->access[i], address, &word))
				return word;
			break;
		}
	}
	return ACCESS_WORD_DUNNO;
}

/* ---- the rest ---- */

static bool
parse_action(const char *name, struct str word, enum screen_action *out, struct err *err)
{
	static const char *const words[] = {
		[ACTION_IGNORE] = "ignore",
		[ACTION_ENFORCE] = "enforce",
		[ACTION_DROP] = "drop",
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_ieq(word, str_from(words[i]))) {
			*out = (enum screen_action)i;
			return true;
		}
	/* The older word for ignore. */
	if (str_ieq(word, STR("continue"))) {
		*out = ACTION_IGNORE;
		return true;
	}
	return err_set(err, ERR_CONFIG, "bad %s value: " PRI_STR, name, STR_ARG(word));
}

static bool
load_actions(struct screen *s, struct err *err)
{
	const struct postscreen_config *c = &s->config;

	s->ttl[TEST_PREGREET] = c->postscreen_greet_ttl;
	s->ttl[TEST_PIPELINING] = c->postscreen_pipelining_ttl;
	s->ttl[TEST_NON_SMTP] = c->postscreen_non_smtp_command_ttl;
	s->ttl[TEST_BARE_NEWLINE] = c->postscreen_bare_newline_ttl;
	s->enabled = (c->postscreen_greet_banner.len > 0 ? 1u << TEST_PREGREET : 0) |
		     (s->dnsbl.n_sites > 0 ? 1u << TEST_DNSBL : 0) |
		     (c->postscreen_pipelining_enable ? 1u << TEST_PIPELINING : 0) |
		     (c->postscreen_non_smtp_command_enable ? 1u << TEST_NON_SMTP : 0) |
		     (c->postscreen_bare_newline_enable ? 1u << TEST_BARE_NEWLINE : 0);
	return parse_action("postscreen_greet_action", c->postscreen_greet_action,
			    &s->action[TEST_PREGREET], err) &&
	       parse_action("postscreen_dnsbl_action", c->postscreen_dnsbl_action,
			    &s->action[TEST_DNSBL], err) &&
	       parse_action("postscreen_pipelining_action",
			    c->postscreen_pipelining_action, &s->action[TEST_PIPELINING],
			    err) &&
	       parse_action("postscreen_non_smtp_command_action",
			    c->postscreen_non_smtp_command_action,
			    &s->action[TEST_NON_SMTP], err) &&
	       parse_action("postscreen_bare_newline_action",
			    c->postscreen_bare_newline_action,
			    &s->action[TEST_BARE_NEWLINE], err) &&
	       parse_action("postscreen_denylist_action", c->postscreen_denylist_action,
			    &s->deny_action, err);
}

static bool
load_lists(struct screen *s, struct err *err)
{
	const struct postscreen_config *c = &s->config;
	struct str mynetworks;

	return config_get(s->daemon->mem, s->daemon->config, STR("mynetworks"),
			  &mynetworks, err) &&
	       daemon_open_match(s->daemon, MATCH_ADDRESSES, "mynetworks", mynetworks,
				 &s->mynetworks, err) &&
	       daemon_open_match(
		       s->daemon, MATCH_ADDRESSES, "postscreen_allowlist_interfaces",
		       c->postscreen_allowlist_interfaces, &s->allow_interfaces, err) &&
	       daemon_open_match(s->daemon, MATCH_STRINGS,
				 "postscreen_forbidden_commands",
				 c->postscreen_forbidden_commands, &s->forbidden, err) &&
	       daemon_open_maps(s->daemon, "postscreen_command_filter",
				c->postscreen_command_filter, TABLE_DEFAULT,
				&s->command_filter, err) &&
	       daemon_open_maps(s->daemon, "postscreen_discard_ehlo_keyword_address_maps",
				c->postscreen_discard_ehlo_keyword_address_maps,
				TABLE_DEFAULT, &s->discard_maps, err) &&
	       daemon_open_maps(s->daemon, "postscreen_dnsbl_reply_map",
				c->postscreen_dnsbl_reply_map, TABLE_DEFAULT,
				&s->dnsbl_names, err);
}

static bool
load_proxy(struct screen *s, struct err *err)
{
	struct str name = s->config.postscreen_upstream_proxy_protocol;
	struct str list = s->common.inet_protocols;
	bool all = list_has(list, STR("all"));

	s->ipv4 = all || list_has(list, STR("ipv4"));
	s->ipv6 = all || list_has(list, STR("ipv6"));
	s->has_proxy = name.len > 0;
	return name.len == 0 || str_eq(name, STR("haproxy")) ||
	       err_set(err, ERR_CONFIG,
		       "unsupported postscreen_upstream_proxy_protocol: " PRI_STR,
		       STR_ARG(name));
}

/* Our file stands beside the one that the parameter names, which is Postfix's. */
static void
load_cache(struct screen *s)
{
	struct arena *mem = s->daemon->mem;
	struct str name = s->config.postscreen_cache_map;
	struct str path = str_skip(name, str_index(name, ':') + 1);
	struct str folder =
		str_printf(mem, PRI_STR "/", STR_ARG(s->common.data_directory));

	if (name.len == 0)
		return;
	s->cache_name = str_c(mem, name);
	if (!str_starts(path, folder) || str_contains(str_skip(path, folder.len), '/')) {
		log_warning(s->log,
			    "postscreen_cache_map is not in data_directory: results are "
			    "kept in memory only");
		s->cache = cache_new(NULL);
	} else {
		s->cache =
			cache_new(str_printf(mem, PRI_STR ".hikyaku", STR_ARG(path)).p);
	}
}

bool
settings_load(struct screen *s, struct err *err)
{
	struct daemon *d = s->daemon;
	const struct postscreen_config *c = &s->config;
	const struct config *stress;

	s->log = d->log;
	if (!common_config_load(d->mem, d->config, &s->common, err) ||
	    !postscreen_config_load(d->mem, d->config, &s->config, err) ||
	    !config_get(d->mem, d->config, STR("smtpd_banner"), &s->banner, err) ||
	    !daemon_load_config(d, true, &stress, err) ||
	    !postscreen_config_load(d->mem, stress, &s->stress, err) ||
	    !dnsbl_parse(d->mem, c->postscreen_dnsbl_sites, &s->dnsbl, err) ||
	    !load_actions(s, err) || !load_access(s, err) || !load_lists(s, err) ||
	    !load_proxy(s, err))
		return false;
	s->service =
		str_printf(d->mem, "private/" PRI_STR, STR_ARG(c->smtpd_service_name)).p;
	load_cache(s);
	d->tables = table_places(d->mem,
				 (const struct str[]){
					 c->postscreen_access_list,
					 c->postscreen_forbidden_commands,
					 c->postscreen_command_filter,
					 c->postscreen_discard_ehlo_keyword_address_maps,
					 c->postscreen_dnsbl_reply_map,
					 c->postscreen_allowlist_interfaces,
				 },
				 6);
	return true;
}
