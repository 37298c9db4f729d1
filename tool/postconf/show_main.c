/* SPDX-License-Identifier: Apache-2.0 */
#include "show.h"

#include <stdio.h>

#include "base/arena.h"
#include "config/param.h"
#include "names.h"
#include "print.h"

bool
load_main(struct postconf *p, bool defaults_only, struct config **out, struct err *err)
{
	const struct config_options options = {
		.dir = p->options.dir,
		.process_name = "postconf",
		.overrides = p->options.overrides,
		.override_count = defaults_only ? 0 : p->options.override_count,
		.defaults_only = defaults_only,
	};

	if (!config_load(p->mem, &options, out, err))
		return false;
	for (size_t i = 0; i < config_warning_count(*out); i++)
		log_warning(p->log, PRI_STR, STR_ARG(config_warning_at(*out, i)));
	for (size_t i = 0; i < config_setting_count(*out); i++) {
		const struct config_setting *s = config_setting_at(*out, i);
		const struct param *row = param_find(s->name);

		if (row != NULL && row->state == PARAM_RUNTIME &&
		    s->origin.where == CONFIG_FROM_FILE)
			log_warning(p->log,
				    "%s: read-only parameter assignment: " PRI_STR
				    "=" PRI_STR,
				    config_file(*out), STR_ARG(s->name),
				    STR_ARG(s->value));
	}
	return true;
}

bool
macro_error(struct postconf *p, struct err *err)
{
	log_warning(p->log, "%s", err->text);
	return err_set(err, ERR_CONFIG, "macro processing error");
}

static bool
print_name(struct postconf *p, const struct config *cfg, const struct name *name,
	   struct err *err)
{
	const struct param *row = param_find(name->text);
	struct str value = config_get_raw(cfg, name->text);

	/* What the program says of itself cannot be set. */
	if (row != NULL && row->state == PARAM_RUNTIME)
		value = config_default(cfg, name->text);
	else if (option(&p->options, 'x') && (row == NULL || row->type != PARAM_RAW) &&
		 !config_get(p->mem, cfg, name->text, &value, err))
		return macro_error(p, err);
	print_setting(name->text, value, option(&p->options, 'f'),
		      option(&p->options, 'h'), option(&p->options, 'H'));
	return true;
}

static bool
print_all(struct postconf *p, const struct config *cfg, const struct names *names,
	  struct err *err)
{
	for (size_t i = 0; i < names->count; i++) {
		const struct name *name = &names->at[i];

		if (!(p->options.classes & (unsigned)name->class))
			continue;
		if (option(&p->options, 'n') && !config_is_set(cfg, name->text))
			continue;
		if (option(&p->options, 'n') && param_find(name->text) != NULL &&
		    param_find(name->text)->state == PARAM_RUNTIME)
			continue;
		if (!print_name(p, cfg, name, err))
			return false;
	}
	return true;
}

static bool
print_some(struct postconf *p, const struct config *cfg, const struct names *names,
	   struct err *err)
{
	for (size_t i = 0; i < p->options.arg_count; i++) {
		const struct name *name = names_find(names, str_from(p->options.args[i]));

		if (name == NULL || !(p->options.classes & (unsigned)name->class)) {
			log_warning(p->log, "%s: unknown parameter", p->options.args[i]);
			continue;
		}
		if (option(&p->options, 'n') && !config_is_set(cfg, name->text))
			continue;
		if (!print_name(p, cfg, name, err))
			return false;
	}
	return true;
}

bool
show_main(struct postconf *p, struct err *err)
{
	bool defaults = option(&p->options, 'd');
	bool quiet = defaults || option(&p->options, 'q');
	struct config *cfg;
	struct entries entries;
	struct names names;
	bool ok;

	if (!load_main(p, defaults, &cfg, err))
		return false;
	if (!entries_load(p->mem, cfg, &entries, err)) {
		/* Without master.cf there is only less to show. */
		if (err->errnum == 0)
			return false;
		log_warning(p->log, "%s", err->text);
	}
	for (size_t i = 0; i < entries.notes.count; i++)
		log_warning(p->log, PRI_STR, STR_ARG(entries.notes.at[i]));
	names = names_collect(p->mem, cfg, &entries);
	for (size_t i = 0; !quiet && i < names.undefined_count; i++)
		log_warning(p->log, PRI_STR, STR_ARG(names.undefined[i]));
	ok = p->options.arg_count > 0 ? print_some(p, cfg, &names, err)
				      : print_all(p, cfg, &names, err);
	if (!ok)
		return false;
	fflush(stdout);
	for (size_t i = 0; !quiet && i < names.unused_count; i++)
		log_warning(p->log, PRI_STR, STR_ARG(names.unused[i]));
	return true;
}
