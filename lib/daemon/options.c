/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"

/* Options that take a value, and those that do not. */
static const char with_value[] = "nostmi";
static const char flags[] = "cdDlNruvVSz";

static bool
number(const char *what, const char *text, int64_t max, int *out, struct err *err)
{
	int64_t n;

	if (!str_to_i64(str_from(text), 0, max, &n))
		return err_set(err, ERR_CONFIG, "bad value of option -%s: %s", what,
			       text);
	*out = (int)n;
	return true;
}

static bool
add_override(struct daemon_options *o, const char *text, struct err *err)
{
	struct str name, value;

	if (!str_split(str_from(text), '=', &name, &value))
		return err_set(err, ERR_CONFIG,
			       "option -o: missing '=' after parameter name: %s", text);
	name = str_trim(name);
	if (name.len == 0)
		return err_set(err, ERR_CONFIG, "option -o: missing parameter name: %s",
			       text);
	o->overrides[o->override_count++] =
		(struct config_override){.name = name, .value = str_trim(value)};
	return true;
}

static bool
take_value(struct daemon_options *o, char letter, const char *value, struct err *err)
{
	switch (letter) {
	case 'n':
		o->service = value;
		return true;
	case 't':
		o->type = value;
		return true;
	case 'o':
		return add_override(o, value, err);
	case 's':
		return number("s", value, OPTIONS_SOCKETS_MAX, &o->sockets, err);
	case 'm':
		return number("m", value, INT32_MAX, &o->max_sessions, err);
	default:
		return true;
	}
}

static void
take_flag(struct daemon_options *o, char letter)
{
	o->unprivileged |= letter == 'u';
	o->stderr_log |= letter == 'V';
	o->stand_alone |= letter == 'S';
	o->successor |= letter == 'N';
	o->verbose += letter == 'v';
}

/* One argument of letters, "-uvn" "smtp" or "-nsmtp". *at moves over a value that is the
 * next argument. */
static bool
take_argument(struct daemon_options *o, int argc, char **argv, int *at, struct err *err)
{
	for (const char *p = argv[*at] + 1; *p != '\0'; p++) {
		if (strchr(flags, *p) != NULL) {
			take_flag(o, *p);
			continue;
		}
		if (strchr(with_value, *p) == NULL)
			return err_set(err, ERR_CONFIG, "unknown option: -%c", *p);
		if (p[1] != '\0')
			return take_value(o, *p, p + 1, err);
		if (*at + 1 >= argc)
			return err_set(err, ERR_CONFIG, "option -%c needs a value", *p);
		return take_value(o, *p, argv[++*at], err);
	}
	return true;
}

bool
daemon_options_parse(struct arena *mem, int argc, char **argv, struct daemon_options *out,
		     struct err *err)
{
	struct daemon_options o = {.sockets = 1};
	const char **args;
	int at = 1;

	o.overrides = arena_alloc_array(mem, (size_t)argc + 1, sizeof(*o.overrides));
	for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
		if (strcmp(argv[at], "--") == 0) {
			at++;
			break;
		}
		if (!take_argument(&o, argc, argv, &at, err))
			return false;
	}
	args = arena_alloc_array(mem, (size_t)(argc > at ? argc - at : 0) + 1,
				 sizeof(*args));
	for (int i = at; i < argc; i++)
		args[i - at] = argv[i];
	o.args = args;
	*out = o;
	return true;
}
