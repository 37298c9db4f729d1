/* SPDX-License-Identifier: Apache-2.0 */
#include "show.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "names.h"
#include "print.h"

struct context {
	struct postconf *p;
	struct config *cfg;
	struct entries entries;
};

/* A configuration in which the -o settings of the entry hold. */
static bool
config_of_entry(struct context *c, const struct master_entry *e, struct config **out,
		struct err *err)
{
	const struct options *o = &c->p->options;
	struct config_override *all = arena_alloc_array(
		c->p->mem, o->override_count + e->arg_count + 1, sizeof(*all));
	struct config_options options = {
		.dir = o->dir, .process_name = "postconf", .overrides = all};

	for (size_t i = 0; i < o->override_count; i++)
		all[options.override_count++] = o->overrides[i];
	for (size_t i = 0; i < e->arg_count; i++) {
		struct config_override *next = &all[options.override_count];

		if (master_entry_setting(e, i, &next->name, &next->value))
			options.override_count++;
	}
	return config_load(c->p->mem, &options, out, err);
}

/* The entry with the values of its -o settings expanded, for -x. */
static bool
expand_entry(struct context *c, const struct master_entry *e, struct master_entry *out,
	     struct err *err)
{
	struct config *cfg;

	*out = *e;
	if (!config_of_entry(c, e, &cfg, err))
		return false;
	for (size_t i = 0; i < e->arg_count; i++) {
		struct str name, value;

		if (!master_entry_setting(e, i, &name, &value))
			continue;
		if (!config_expand(c->p->mem, cfg, value, &value, err))
			return macro_error(c->p, err);
		out->args[i] = str_printf(c->p->mem, PRI_STR "=" PRI_STR, STR_ARG(name),
					  STR_ARG(value));
	}
	return true;
}

static void
print_entry(struct context *c, const struct master_entry *e)
{
	struct str text = master_entry_format(c->p->mem, e, option(&c->p->options, 'f'));

	printf(PRI_STR "\n", STR_ARG(text));
}

static struct str
label(struct context *c, const struct master_entry *e, struct str last)
{
	return str_printf(c->p->mem, PRI_STR "/" PRI_STR "/" PRI_STR,
			  STR_ARG(e->field[MASTER_FIELD_SERVICE]),
			  STR_ARG(e->field[MASTER_FIELD_TYPE]), STR_ARG(last));
}

static void
print_command(struct context *c, const struct master_entry *e, struct str name)
{
	const struct options *o = &c->p->options;
	/* One more than what is printed: Postfix folds this line so. */
	size_t column = option(o, 'h') ? 0 : name.len + 4;
	struct str text = master_entry_command(c->p->mem, e, option(o, 'f'), column);

	if (option(o, 'h'))
		printf(PRI_STR "\n", STR_ARG(text));
	else if (option(o, 'H'))
		printf(PRI_STR "\n", STR_ARG(name));
	else
		printf(PRI_STR " = " PRI_STR "\n", STR_ARG(name), STR_ARG(text));
}

static void
print_field(struct context *c, const struct master_entry *e, enum master_field field)
{
	const struct options *o = &c->p->options;
	struct str name = label(c, e, str_from(master_field_name(field)));

	if (field == MASTER_FIELD_COMMAND)
		print_command(c, e, name);
	else
		print_setting(name, e->field[field], option(o, 'f'), option(o, 'h'),
			      option(o, 'H'));
}

static bool
show_fields(struct context *c, const struct master_entry *e, struct str wanted,
	    struct err *err)
{
	enum master_field only = MASTER_FIELD_COUNT;

	if (wanted.len > 0 && !str_eq(wanted, STR("*")) &&
	    !master_field_parse(wanted, &only))
		return err_set(err, ERR_CONFIG,
			       "invalid service attribute name: \"" PRI_STR "\"",
			       STR_ARG(wanted));
	for (enum master_field f = 0; f < MASTER_FIELD_COUNT; f++) {
		if (only == MASTER_FIELD_COUNT || only == f)
			print_field(c, e, f);
	}
	return true;
}

static int
compare_settings(const void *a, const void *b)
{
	return str_cmp(((const struct config_override *)a)->name,
		       ((const struct config_override *)b)->name);
}

/* The -o settings in byte order of their names, the last one of a name. Returns whether
 * there was one. */
static bool
show_params(struct context *c, const struct master_entry *e, struct str wanted)
{
	const struct options *o = &c->p->options;
	struct config_override *all =
		arena_alloc_array(c->p->mem, e->arg_count + 1, sizeof(*all));
	size_t count = 0;

	for (size_t i = 0; i < e->arg_count; i++) {
		struct str name, value;
		size_t k = 0;

		if (!master_entry_setting(e, i, &name, &value))
			continue;
		if (wanted.len > 0 && !str_eq(wanted, STR("*")) && !str_eq(wanted, name))
			continue;
		while (k < count && !str_eq(all[k].name, name))
			k++;
		all[k] = (struct config_override){name, value};
		count = MAX_OF(count, k + 1);
	}
	qsort(all, count, sizeof(*all), compare_settings);
	for (size_t i = 0; i < count; i++)
		print_setting(label(c, e, all[i].name), all[i].value, option(o, 'f'),
			      option(o, 'h'), option(o, 'H'));
	return count > 0;
}

static bool
show_request(struct context *c, struct str request, struct err *err)
{
	bool matched = false;

	for (size_t i = 0; i < c->entries.count; i++) {
		const struct master_entry *e = c->entries.at[i];
		struct master_entry expanded;
		struct str rest;

		if (!entry_matches(e, request, &rest))
			continue;
		if (option(&c->p->options, 'x')) {
			if (!expand_entry(c, e, &expanded, err))
				return false;
			e = &expanded;
		}
		if (option(&c->p->options, 'M')) {
			print_entry(c, e);
			matched = true;
		} else if (option(&c->p->options, 'F')) {
			if (!show_fields(c, e, rest, err))
				return false;
			matched = true;
		} else if (show_params(c, e, rest)) {
			matched = true;
		}
	}
	if (!matched && c->p->options.arg_count > 0)
		log_warning(c->p->log, "unmatched request: \"" PRI_STR "\"",
			    STR_ARG(request));
	return true;
}

/* An attribute name is wrong even where no service matches. */
static bool
check_request(struct context *c, struct str request, struct err *err)
{
	struct str rest;
	enum master_field field;

	if (!option(&c->p->options, 'F') || !str_split(request, '/', &rest, &request) ||
	    !str_split(request, '/', &rest, &request) || str_eq(request, STR("*")))
		return true;
	return master_field_parse(request, &field) ||
	       err_set(err, ERR_CONFIG, "invalid service attribute name: \"" PRI_STR "\"",
		       STR_ARG(request));
}

/* Only what concerns this file; the default mode tells of main.cf. */
static void
complain(struct context *c, const struct str *texts, size_t count)
{
	for (size_t i = 0; !option(&c->p->options, 'q') && i < count; i++) {
		if (str_starts(texts[i], str_from(c->entries.file)))
			log_warning(c->p->log, PRI_STR, STR_ARG(texts[i]));
	}
}

bool
show_master(struct postconf *p, struct err *err)
{
	struct context c = {.p = p};
	struct names names;

	if (!load_main(p, false, &c.cfg, err) ||
	    !entries_load(p->mem, c.cfg, &c.entries, err))
		return false;
	for (size_t i = 0; i < c.entries.notes.count; i++)
		log_warning(p->log, PRI_STR, STR_ARG(c.entries.notes.at[i]));
	names = names_collect(p->mem, c.cfg, &c.entries);
	complain(&c, names.undefined, names.undefined_count);
	for (size_t i = 0; i < p->options.arg_count; i++) {
		if (!check_request(&c, str_from(p->options.args[i]), err) ||
		    !show_request(&c, str_from(p->options.args[i]), err))
			return false;
	}
	if (p->options.arg_count == 0 && !show_request(&c, STR("*"), err))
		return false;
	fflush(stdout);
	complain(&c, names.unused, names.unused_count);
	return true;
}
