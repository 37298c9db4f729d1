/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "config/expand.h"
#include "config/param.h"
#include "config/value.h"

enum { NOTES_MAX = 5000 };

/* What is being collected. `scope` is the entry of master.cf whose -o settings are looked
 * at, NULL for main.cf. */
struct collector {
	struct arena *mem;
	const struct config *cfg;
	const struct entries *entries;
	struct map *names;      /* text to struct name */
	struct map *used;       /* main.cf names that something refers to */
	struct map *used_here;  /* the same for the -o settings of the entry */
	struct map *complaints; /* texts of `undefined` */
	const struct master_entry *scope;
	bool is_default; /* the text is a default: nothing undefined in it */
	struct names *out;
};

static void
add_name(struct collector *c, struct str text, enum name_class class, struct str def)
{
	struct name *n;

	if (map_find(c->names, text) != NULL)
		return;
	n = ARENA_NEW(c->mem, struct name);
	*n = (struct name){text, class, def};
	map_set(c->names, text, n);
}

static void
add_builtin(struct collector *c)
{
	for (size_t i = 0; i < param_count(); i++) {
		const struct param *p = param_at(i);

		switch (p->state) {
		case PARAM_ACTED:
		case PARAM_KNOWN:
		case PARAM_OURS:
		case PARAM_RUNTIME:
			add_name(c, param_name(p), NAME_BUILTIN, param_default(p));
			break;
		case PARAM_NEWER:
		case PARAM_OLD:
			break;
		}
	}
}

/* Programs that deliver get all derived parameters. */
static bool
is_transport(struct str command)
{
	static const char *const programs[] = {"smtp", "lmtp",  "local",
					       "pipe", "error", "virtual"};

	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		if (str_eq(command, str_from(programs[i])))
			return true;
	}
	return false;
}

static void
add_derived(struct collector *c, struct str service, const char *suffix)
{
	struct str text = str_printf(c->mem, PRI_STR "_%s", STR_ARG(service), suffix);

	add_name(c, text, NAME_SERVICE, config_transport_default(text));
}

static void
add_services(struct collector *c)
{
	static const char *const suffixes[] = {
		"delivery_slot_cost",
		"delivery_slot_discount",
		"delivery_slot_loan",
		"destination_concurrency_failed_cohort_limit",
		"destination_concurrency_limit",
		"destination_concurrency_negative_feedback",
		"destination_concurrency_positive_feedback",
		"destination_rate_delay",
		"destination_recipient_limit",
		"extra_recipient_limit",
		"initial_destination_concurrency",
		"minimum_delivery_slots",
		"recipient_limit",
		"recipient_refill_delay",
		"recipient_refill_limit",
		"transport_rate_delay",
	};

	for (size_t i = 0; i < c->entries->count; i++) {
		struct str service = c->entries->at[i]->field[MASTER_FIELD_SERVICE];
		struct str command = c->entries->at[i]->field[MASTER_FIELD_COMMAND];

		for (size_t k = 0; is_transport(command) && k < ARRAY_LEN(suffixes); k++)
			add_derived(c, service, suffixes[k]);
		if (str_eq(command, STR("pipe")) || str_eq(command, STR("spawn")))
			add_derived(c, service, "time_limit");
	}
}

static bool
is_predefined(const struct collector *c, struct str name)
{
	const struct name *n = map_find(c->names, name);

	return n != NULL && n->class != NAME_USER;
}

static void scan(struct collector *c, struct str text);

static bool
local_setting(const struct master_entry *entry, struct str name, struct str *value)
{
	bool found = false;

	for (size_t i = 0; entry != NULL && i < entry->arg_count; i++) {
		struct str n, v;

		if (master_entry_setting(entry, i, &n, &v) && str_eq(n, name)) {
			*value = v;
			found = true;
		}
	}
	return found;
}

static void
complain_undefined(struct collector *c, struct str name)
{
	struct names *out = c->out;
	struct str text = str_printf(
		c->mem, "%s: undefined parameter: " PRI_STR,
		c->scope != NULL ? c->entries->file : config_file(c->cfg), STR_ARG(name));

	if (map_set(c->complaints, text, c->out) == NULL &&
	    out->undefined_count < NOTES_MAX)
		out->undefined[out->undefined_count++] = text;
}

/* Something refers to $name. */
static void
refer(void *closure, struct str name)
{
	struct collector *c = closure;
	const struct param *row = param_find(name);
	struct str value;

	if (local_setting(c->scope, name, &value)) {
		if (map_set(c->used_here, name, c) == NULL)
			scan(c, value);
		return;
	}
	if (is_predefined(c, name))
		return;
	if (config_is_set(c->cfg, name)) {
		if (map_set(c->used, name, c) != NULL)
			return;
		add_name(c, name, NAME_USER, STR_EMPTY);
		scan(c, config_get_raw(c->cfg, name));
		return;
	}
	if (c->is_default || (row != NULL && row->state == PARAM_OLD) ||
	    str_eq(name, STR("stress")))
		return;
	complain_undefined(c, name);
}

static void
scan(struct collector *c, struct str text)
{
	if (str_contains(text, '$'))
		expand_names(text, refer, c);
}

/* Tables whose parameters may stand in main.cf with the table's name in front (the form
 * before /file.cf): what their names end in. */
static const struct {
	const char *type;
	const char *suffixes;
} table_parameters[] = {
	{"ldap",
	 "bind bind_dn bind_pw cache cache_expiry cache_size chase_referrals "
	 "debuglevel dereference domain leaf_result_attribute query_filter "
	 "recursion_limit "
	 "result_attribute result_filter result_format sasl_authz_id sasl_mechs "
	 "sasl_minssf sasl_realm scope search_base server_host server_port size_limit "
	 "special_result_attribute start_tls terminal_result_attribute timeout "
	 "tls_ca_cert_dir tls_ca_cert_file tls_cert tls_cipher_suite tls_key "
	 "tls_random_file tls_require_cert version expansion_limit"},
	{"mysql",
	 "user password dbname hosts query result_format select_field table "
	 "where_field additional_conditions select_function domain expansion_limit "
	 "option_file option_group require_result_set tls_cert_file tls_key_file "
	 "tls_CAfile tls_CApath tls_ciphers tls_verify_cert"},
	{"pgsql", "user password dbname hosts query result_format select_field table "
		  "where_field additional_conditions select_function domain "
		  "expansion_limit"},
	{"sqlite", "dbpath query result_format select_field table where_field "
		   "additional_conditions domain expansion_limit"},
	{"memcache", "memcache backup flags ttl key_format line_size_limit "
		     "data_size_limit timeout max_try retry_pause domain"},
};

static void
refer_table(struct collector *c, struct str item)
{
	struct str type, name, word;

	if (str_starts(item, STR("proxy:")))
		item = str_skip(item, 6);
	if (!str_split(item, ':', &type, &name) || str_starts(name, STR("/")) ||
	    str_starts(name, STR(".")))
		return;
	for (size_t i = 0; i < ARRAY_LEN(table_parameters); i++) {
		struct str rest = str_from(table_parameters[i].suffixes);

		if (!str_eq(type, str_from(table_parameters[i].type)))
			continue;
		while (words_next(&rest, &word)) {
			struct str full = str_printf(c->mem, PRI_STR "_" PRI_STR,
						     STR_ARG(name), STR_ARG(word));

			if (config_is_set(c->cfg, full))
				refer(c, full);
		}
	}
}

static void
refer_main(struct collector *c)
{
	struct str list, item;

	for (size_t i = 0; i < config_setting_count(c->cfg); i++) {
		const struct config_setting *s = config_setting_at(c->cfg, i);
		const struct param *row = param_find(s->name);
		struct str rest = s->value;

		/* A raw parameter has variables of its own. A name that nobody uses
		 * counts as a user of others all the same. */
		if (row != NULL && row->type == PARAM_RAW)
			continue;
		scan(c, s->value);
		while (list_next(&rest, &item))
			refer_table(c, item);
	}
	/* Restriction classes are user-defined names that are used without a $. */
	list = config_get_raw(c->cfg, STR("smtpd_restriction_classes"));
	while (list_next(&list, &item)) {
		if (config_is_set(c->cfg, item))
			refer(c, item);
	}
	c->is_default = true;
	for (size_t i = 0; i < param_count(); i++) {
		if (param_at(i)->type != PARAM_RAW)
			scan(c, param_default(param_at(i)));
	}
	c->is_default = false;
}

static void
unused(struct collector *c, const char *file, struct str name, struct str value)
{
	if (c->out->unused_count < NOTES_MAX)
		c->out->unused[c->out->unused_count++] =
			str_printf(c->mem, "%s: unused parameter: " PRI_STR "=" PRI_STR,
				   file, STR_ARG(name), STR_ARG(value));
}

static bool
is_last_setting(const struct master_entry *entry, size_t at, struct str name)
{
	struct str n, v;

	for (size_t i = at + 1; i < entry->arg_count; i++) {
		if (master_entry_setting(entry, i, &n, &v) && str_eq(n, name))
			return false;
	}
	return true;
}

static void
refer_entry(struct collector *c, const struct master_entry *entry)
{
	struct str name, value;

	c->scope = entry;
	c->used_here = map_new_in(c->mem);
	for (size_t i = 0; i < entry->arg_count; i++) {
		if (master_entry_setting(entry, i, &name, &value) &&
		    is_predefined(c, name))
			scan(c, value);
	}
	/* What only this entry refers to is reported for it; main.cf's names that it
	 * refers to are in c->used by now. */
	for (size_t i = 0; i < entry->arg_count; i++) {
		if (master_entry_setting(entry, i, &name, &value) &&
		    is_last_setting(entry, i, name) && !is_predefined(c, name) &&
		    map_find(c->used_here, name) == NULL &&
		    map_find(c->names, name) == NULL)
			unused(c, c->entries->file, name, value);
	}
	c->scope = NULL;
}

static int
compare(const void *a, const void *b)
{
	return str_cmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void
sort_names(struct collector *c)
{
	const struct map_entry *e;
	size_t at = 0;

	c->out->at =
		arena_alloc_array(c->mem, map_count(c->names) + 1, sizeof(struct name));
	while ((e = map_next(c->names, &at)) != NULL)
		c->out->at[c->out->count++] = *(const struct name *)e->value;
	qsort(c->out->at, c->out->count, sizeof(struct name), compare);
}

struct names
names_collect(struct arena *mem, const struct config *cfg, const struct entries *entries)
{
	struct names out = {
		.undefined = arena_alloc_array(mem, NOTES_MAX, sizeof(struct str)),
		.unused = arena_alloc_array(mem, NOTES_MAX, sizeof(struct str))};
	struct collector c = {.mem = mem,
			      .cfg = cfg,
			      .entries = entries,
			      .names = map_new_in(mem),
			      .used = map_new_in(mem),
			      .used_here = map_new_in(mem),
			      .complaints = map_new_in(mem),
			      .out = &out};

	add_builtin(&c);
	add_services(&c);
	refer_main(&c);
	for (size_t i = 0; i < entries->count; i++)
		refer_entry(&c, entries->at[i]);
	for (size_t i = 0; i < config_setting_count(cfg); i++) {
		const struct config_setting *s = config_setting_at(cfg, i);

		if (map_find(c.names, s->name) == NULL)
			unused(&c, config_file(cfg), s->name, s->value);
	}
	sort_names(&c);
	return out;
}

const struct name *
names_find(const struct names *names, struct str text)
{
	const struct name key = {.text = text};

	return bsearch(&key, names->at, names->count, sizeof(struct name), compare);
}
