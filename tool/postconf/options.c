/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/value.h"

unsigned
option_index(char c)
{
	const char *at = strchr(OPTION_LETTERS, c);

	return at == NULL ? 63 : (unsigned)(at - OPTION_LETTERS);
}

bool
option(const struct options *o, char c)
{
	return o->set & OPTION_BIT(c);
}

/* Of the letters of one row only one may be given. */
static const char *const exclusive[] = {
	"aAblmMFPptT", /* what to show */
	"dn",          "hH",      "eX#",
	"efhHoxdn", /* an edit shows nothing; checked for e, X and # below */
	"Xfhoxdn",     "#fhoxdn",
};

/* With the first letter the others make no sense. */
static const char *const without[] = {
	"MCdhHn",       "FCdn",         "PCdn",         "aCdefhHnoxX#",
	"ACdefhHnoxX#", "lCdefhHnoxX#", "mCdefhHnoxX#", "bCdefhHnoxX#",
	"tCdefhHnoxX#", "TCdefhHnoxX#", "F#",
};

/* Which letters of the row were given, in its order. */
static size_t
given(const struct options *o, const char *row, struct buf *out)
{
	size_t n = 0;

	for (const char *c = row; *c != '\0'; c++) {
		if (!option(o, *c))
			continue;
		buf_printf(out, " -%c", *c);
		n++;
	}
	return n;
}

static bool
conflicts(const struct options *o, struct err *err)
{
	struct buf list;
	bool ok = true;

	buf_init(&list, 200);
	for (size_t i = 0; ok && i < ARRAY_LEN(exclusive); i++) {
		const char *row = exclusive[i];
		/* The rows of edits are about their first letter. */
		bool about_edit = strchr("eX#", row[0]) != NULL && row[1] == 'f';

		buf_clear(&list);
		if (about_edit && !option(o, row[0]))
			continue;
		if (given(o, row, &list) > 1)
			ok = err_set(err, ERR_CONFIG, "specify one of%s", list.p);
	}
	for (size_t i = 0; ok && i < ARRAY_LEN(without); i++) {
		buf_clear(&list);
		if (option(o, without[i][0]) && given(o, without[i] + 1, &list) > 0)
			ok = err_set(err, ERR_CONFIG, "with option -%c, do not specify%s",
				     without[i][0], list.p);
	}
	buf_release(&list);
	return ok;
}

static bool
parse_classes(const char *text, unsigned *out, struct err *err)
{
	static const struct {
		const char *name;
		unsigned bits;
	} names[] = {{"builtin", CLASS_BUILTIN},
		     {"service", CLASS_SERVICE},
		     {"user", CLASS_USER},
		     {"all", CLASS_ALL}};
	struct str rest = str_from(text), word;

	*out = 0;
	while (list_next(&rest, &word)) {
		size_t i;

		for (i = 0; i < ARRAY_LEN(names); i++) {
			if (str_ieq(word, str_from(names[i].name)))
				break;
		}
		if (i == ARRAY_LEN(names))
			return err_set(err, ERR_CONFIG,
				       "unknown -C option value \"" PRI_STR
				       "\" in \"%s\"",
				       STR_ARG(word), text);
		*out |= names[i].bits;
	}
	return true;
}

static bool
add_override(struct arena *mem, struct options *o, const char *arg, struct err *err)
{
	struct str name, value;

	if (!str_split(str_from(arg), '=', &name, &value) || str_trim(name).len == 0)
		return err_set(err, ERR_CONFIG, "invalid -o option value \"%s\"", arg);
	o->overrides[o->override_count++] = (struct config_override){
		str_dup(mem, str_trim(name)), str_dup(mem, str_trim(value))};
	return true;
}

static const char usage[] =
	"usage: postconf [-a (server SASL types)] [-A (client SASL types)] "
	"[-c config_dir] [-C param_class] [-d (parameter defaults)] "
	"[-e (edit configuration)] [-f (fold lines)] [-F (master.cf fields)] "
	"[-h (no names)] [-H (no values)] [-l (lock types)] [-m (map types)] "
	"[-M (master.cf)] [-n (non-default parameters)] "
	"[-o name=value (override parameter value)] [-p (main.cf, default)] "
	"[-P (master.cf parameters)] [-q (no warnings about parameters)] [-v (verbose)] "
	"[-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [name...]";

bool
options_parse(struct arena *mem, int argc, char **argv, struct options *out,
	      struct err *err)
{
	int c;

	*out = (struct options){.classes = CLASS_ALL};
	out->overrides =
		arena_alloc_array(mem, (size_t)argc + 1, sizeof(*out->overrides));
	optind = 1;
	opterr = 0;
	while ((c = getopt(argc, argv, "+aAbc:C:deEfFhHlmMno:pPqtT:vxX#")) != -1) {
		if (c == '?')
			return err_set(err, ERR_CONFIG, "invalid option -- '%c'; %s",
				       optopt, usage);
		out->set |= OPTION_BIT((char)c);
		if (c == 'c')
			out->dir = optarg;
		if (c == 'C' && !parse_classes(optarg, &out->classes, err))
			return false;
		if (c == 'o' && !add_override(mem, out, optarg, err))
			return false;
	}
	out->args = argv + optind;
	out->arg_count = (size_t)(argc - optind);
	/* name=value is an edit even without -e. */
	if (!option(out, 'd') && !option(out, 'l') && !option(out, 'm')) {
		for (size_t i = 0; i < out->arg_count; i++) {
			if (strchr(out->args[i], '=') != NULL)
				out->set |= OPTION_BIT('e');
		}
	}
	return conflicts(out, err);
}
