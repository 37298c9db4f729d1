/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to rows, and lists to items.
 */
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/map.h"

#include "config/value.h"
#include "policy/policy.h"
#include "table/table.h"

#include "access/restrict_internal.h"
#include "access/rules_internal.h"

static const struct restriction rows[] = {
#define RESTRICTION(name, argument, function, subject, type)                             \
	{STR_INIT(#name), ARGUMENT_##argument, restrict_##function, SUBJECT_##subject,   \
	 (type)},
#include "access/restrictions.def"
#undef RESTRICTION
};

const struct restriction *
restriction_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_ieq(rows[i].name, name))
			return &rows[i];
	}
	return NULL;
}

const struct item_list *
class_find(const struct access_rules *rules, struct str name)
{
	for (size_t i = 0; i < rules->n_classes; i++) {
		if (str_eq(str_from(rules->classes[i].name), name))
			return &rules->classes[i];
	}
	return NULL;
}

/* What is being taken apart. rules is NULL in a table's row. */
struct parse {
	struct arena *mem;
	struct access_rules *rules;
	const char *list;
	struct str rest;
};

static const char *
bad(struct parse *p, struct item *item, const char *text)
{
	item->bad = text;
	if (p->rules != NULL)
		rules_warn(p->rules, str_printf(p->mem, "%s: %s", p->list, text).p);
	return text;
}

static void
take_table(struct parse *p, struct item *item, struct str spec)
{
	struct err err;

	if (p->rules == NULL) {
		bad(p, item, "do not specify lookup tables inside SMTPD access maps");
		return;
	}
	item->table = map_find(p->rules->tables, spec);
	if (item->table != NULL)
		return;
	if (!table_open(p->mem, spec, TABLE_DEFAULT, &item->table, &err)) {
		rules_warn(p->rules, str_printf(p->mem, "%s: %s", p->list, err.text).p);
		item->table = table_failing(p->mem, spec, &err);
	}
	IGNORE(map_set(p->rules->tables, spec, item->table) != NULL);
}

static void
take_table_argument(struct parse *p, struct item *item)
{
	if (list_next(&p->rest, &item->argument) && item->argument.len > 0 &&
	    item->argument.p[0] == '{')
		bad(p, item,
		    str_printf(p->mem,
			       "restriction " PRI_STR ": options in braces are not "
			       "supported yet",
			       STR_ARG(item->name))
			    .p);
	else if (!str_contains(item->argument, ':'))
		bad(p, item,
		    str_printf(p->mem,
			       "restriction " PRI_STR ": bad argument \"" PRI_STR
			       "\": need maptype:mapname",
			       STR_ARG(item->name), STR_ARG(item->argument))
			    .p);
	else
		take_table(p, item, item->argument);
}

static void
take_zone(struct parse *p, struct item *item)
{
	struct err err;

	if (!list_next(&p->rest, &item->argument)) {
		bad(p, item,
		    str_printf(p->mem,
			       "restriction " PRI_STR " requires domain name argument",
			       STR_ARG(item->name))
			    .p);
		item->bad_is_skip = true;
	} else if (!zone_parse(item->argument, &item->zone, &err)) {
		bad(p, item, str_printf(p->mem, "RBL reply error: %s", err.text).p);
	}
}

static void
take_seconds(struct parse *p, struct item *item)
{
	if (!list_next(&p->rest, &item->argument) ||
	    !str_to_i64(item->argument, 0, INT32_MAX, &item->seconds))
		bad(p, item,
		    str_printf(p->mem,
			       "restriction " PRI_STR " must be followed by number",
			       STR_ARG(item->name))
			    .p);
}

/* One policy service is one object, however often it is named. A table's row may name
 * those that main.cf does. */
static void
take_service(struct parse *p, struct item *item)
{
	struct policy_service *service;
	struct err err;

	if (!list_next(&p->rest, &item->argument)) {
		bad(p, item,
		    str_printf(p->mem, "restriction " PRI_STR " requires a server name",
			       STR_ARG(item->name))
			    .p);
		return;
	}
	item->argument = str_dup(p->mem, item->argument);
	if (p->rules == NULL)
		return;
	item->policy = map_find(p->rules->policies, item->argument);
	if (item->policy != NULL)
		return;
	service = ARENA_NEW(p->mem, struct policy_service);
	if (!policy_service_parse(p->mem, item->argument, &p->rules->policy_config,
				  service, &err)) {
		p->rules->fatal = item->bad = arena_strdup(p->mem, err.text);
		return;
	}
	item->policy = service;
	IGNORE(map_set(p->rules->policies, item->argument, service) != NULL);
}

static void
take_argument(struct parse *p, struct item *item)
{
	switch (item->row->argument) {
	case ARGUMENT_NONE:
	case ARGUMENT_NEXT:
		break;
	case ARGUMENT_TABLE:
		take_table_argument(p, item);
		break;
	case ARGUMENT_ZONE:
		take_zone(p, item);
		break;
	case ARGUMENT_SECONDS:
		take_seconds(p, item);
		break;
	case ARGUMENT_SERVICE:
		take_service(p, item);
		break;
	}
	if (item->row->run == restrict_check_destination && p->rules != NULL)
		rules_warn(p->rules, str_printf(p->mem,
						"support for restriction \"" PRI_STR
						"\" will be removed from Postfix; use "
						"\"reject_unauth_destination\" instead",
						STR_ARG(item->name))
					     .p);
	if (item->row->run == restrict_unsupported && p->rules != NULL)
		rules_warn(p->rules,
			   str_printf(p->mem,
				      "%s: restriction " PRI_STR
				      " is not supported yet: where it is reached, "
				      "requests are refused with 451 4.3.5",
				      p->list, STR_ARG(item->name))
				   .p);
}

static void
take_item(struct parse *p, struct item *item, struct str word)
{
	item->name = str_dup(p->mem, word);
	item->row = restriction_find(word);
	if (item->row != NULL) {
		item->name = item->row->name;
		take_argument(p, item);
	} else if (str_contains(word, ':')) {
		item->is_table = true;
		item->argument = item->name;
		take_table(p, item, item->name);
	}
}

static bool
ends_list(const struct item *item)
{
	return item->row != NULL && !item->warn &&
	       (item->row->run == restrict_permit || item->row->run == restrict_reject ||
		item->row->run == restrict_defer ||
		item->row->run == restrict_check_destination);
}

/* Only once all is read are class names known: rules_load() asks for this after. */
static void
check_items(struct parse *p, const struct item_list *list)
{
	for (size_t i = 0; i + 1 < list->n; i++) {
		if (ends_list(&list->items[i])) {
			rules_warn(p->rules,
				   str_printf(p->mem,
					      "%s: restriction `" PRI_STR
					      "' after `" PRI_STR "' is ignored",
					      p->list, STR_ARG(list->items[i + 1].name),
					      STR_ARG(list->items[i].name))
					   .p);
			return;
		}
	}
}

static bool
parse_items(struct parse *p, struct item_list *out, struct err *err)
{
	size_t size = 8;
	bool warn = false;
	struct str word;

	*out = (struct item_list){.name = p->list};
	out->items = arena_alloc_array(p->mem, size, sizeof(*out->items));
	while (list_next(&p->rest, &word)) {
		struct item *item;

		if (out->n >= ACCESS_ITEMS_MAX)
			return err_set(err, ERR_CONFIG, "%s: more than %d restrictions",
				       p->list, ACCESS_ITEMS_MAX);
		if (out->n == size) {
			struct item *bigger =
				arena_alloc_array(p->mem, size * 2, sizeof(*bigger));

			memcpy(bigger, out->items, size * sizeof(*bigger));
			out->items = bigger;
			size *= 2;
		}
		item = &out->items[out->n];
		*item = (struct item){.argument = STR_EMPTY, .warn = warn};
		take_item(p, item, word);
		warn = item->row != NULL && item->row->argument == ARGUMENT_NEXT;
		out->n += !warn;
	}
	return true;
}

bool
item_list_parse(struct arena *mem, struct access_rules *rules, const char *name,
		struct str text, struct item_list *out, struct err *err)
{
	struct parse p = {.mem = mem, .rules = rules, .list = name, .rest = text};

	if (!parse_items(&p, out, err))
		return false;
	check_items(&p, out);
	return true;
}

bool
item_list_parse_row(struct arena *mem, const char *name, struct str text,
		    struct item_list *out, struct err *err)
{
	struct parse p = {.mem = mem, .list = name, .rest = text};

	return parse_items(&p, out, err);
}
