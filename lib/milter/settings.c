/* SPDX-License-Identifier: Apache-2.0 */
#include "milter/settings.h"

#include "base/arena.h"
#include "base/macros.h"

#include "config/value.h"

bool
milter_failure_parse(struct str text, enum milter_failure *out, struct err *err)
{
	static const struct {
		const char *word;
		enum milter_failure failure;
	} rows[] = {{"accept", MILTER_FAIL_ACCEPT},
		    {"reject", MILTER_FAIL_REJECT},
		    {"tempfail", MILTER_FAIL_TEMPFAIL},
		    {"quarantine", MILTER_FAIL_QUARANTINE},
		    {"shutdown", MILTER_FAIL_SHUTDOWN}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_ieq(text, str_from(rows[i].word))) {
			*out = rows[i].failure;
			return true;
		}
	return err_set(err, ERR_CONFIG, "unrecognized milter default action: " PRI_STR,
		       STR_ARG(text));
}

/* "6", "6, no_header_reply" */
static bool
parse_version(struct str text, int *version_out, bool *no_header_reply_out,
	      struct err *err)
{
	struct str rest = text;
	int64_t version = 0;
	struct str word;

	*no_header_reply_out = false;
	while (list_next(&rest, &word)) {
		int64_t number;

		if (str_ieq(word, STR("no_header_reply")))
			*no_header_reply_out = true;
		else if (version == 0 &&
			 str_to_i64(word, MILTER_VERSION_MIN, MILTER_VERSION_MAX,
				    &number) &&
			 number != 5)
			version = number;
		else
			return err_set(err, ERR_CONFIG,
				       "bad milter protocol information: " PRI_STR,
				       STR_ARG(word));
	}
	if (version == 0)
		return err_set(err, ERR_CONFIG,
			       "no milter protocol version information: " PRI_STR,
			       STR_ARG(text));
	*version_out = (int)version;
	return true;
}

/* "name = value" in braces, or "name=value" */
static bool
split_pair(struct str item, struct str *name_out, struct str *value_out, struct err *err)
{
	const char *why = "missing '=' after attribute name";
	struct str inner = item;

	/* "{x}=y" begins with a brace and has none around it. */
	if (str_starts(item, STR("{")) && list_brace_len(item) == item.len &&
	    !list_unbrace(item, &inner, &why))
		return err_set(err, ERR_CONFIG, "%s: \"" PRI_STR "\"", why,
			       STR_ARG(item));
	if (!str_split(inner, '=', name_out, value_out))
		return err_set(err, ERR_CONFIG, "%s: \"" PRI_STR "\"", why,
			       STR_ARG(item));
	*name_out = str_trim(*name_out);
	*value_out = str_trim(*value_out);
	return true;
}

static bool
parse_defaults(struct arena *mem, struct milter_settings *s, struct err *err)
{
	struct str rest = s->config.milter_macro_defaults;
	struct str item;
	size_t n = 0;

	while (list_next(&rest, &item))
		n++;
	s->defaults = arena_alloc_array(mem, n + 1, sizeof(*s->defaults));
	rest = s->config.milter_macro_defaults;
	while (list_next(&rest, &item)) {
		struct milter_macro *m = &s->defaults[s->n_defaults];

		if (!split_pair(item, &m->name, &m->value, err))
			return err_prefix(err, "milter_macro_defaults");
		s->n_defaults++;
	}
	return true;
}

bool
milter_settings_load(struct arena *mem, const struct config *cfg,
		     struct milter_settings *out, struct err *err)
{
	struct milter_settings s = {.n_defaults = 0};
	const struct milter_config *c = &s.config;

	if (!milter_config_load(mem, cfg, &s.config, err) ||
	    !milter_failure_parse(c->milter_default_action, &s.failure, err) ||
	    !parse_version(c->milter_protocol, &s.version, &s.no_header_reply, err) ||
	    !parse_defaults(mem, &s, err))
		return false;
	s.stage_macros[MILTER_STAGE_CONNECT] = c->milter_connect_macros;
	s.stage_macros[MILTER_STAGE_HELO] = c->milter_helo_macros;
	s.stage_macros[MILTER_STAGE_MAIL] = c->milter_mail_macros;
	s.stage_macros[MILTER_STAGE_RCPT] = c->milter_rcpt_macros;
	s.stage_macros[MILTER_STAGE_DATA] = c->milter_data_macros;
	s.stage_macros[MILTER_STAGE_END_OF_HEADER] = c->milter_end_of_header_macros;
	s.stage_macros[MILTER_STAGE_END_OF_MESSAGE] = c->milter_end_of_data_macros;
	s.stage_macros[MILTER_STAGE_UNKNOWN] = c->milter_unknown_command_macros;
	*out = s;
	return true;
}

/* ---- a list ---- */

static bool
parse_seconds(struct str text, int64_t *ms_out, struct err *err)
{
	int64_t seconds;

	if (!value_time(text, 's', &seconds) || seconds < 1)
		return err_set(err, ERR_CONFIG, "bad time value: " PRI_STR,
			       STR_ARG(text));
	*ms_out = seconds * 1000;
	return true;
}

static bool
parse_option(struct milter_setting *m, struct str name, struct str value, struct err *err)
{
	if (str_eq(name, STR("connect_timeout")))
		return parse_seconds(value, &m->connect_ms, err);
	if (str_eq(name, STR("command_timeout")))
		return parse_seconds(value, &m->command_ms, err);
	if (str_eq(name, STR("content_timeout")))
		return parse_seconds(value, &m->content_ms, err);
	if (str_eq(name, STR("default_action")))
		return milter_failure_parse(value, &m->failure, err);
	if (str_eq(name, STR("protocol")))
		return parse_version(value, &m->version, &m->no_header_reply, err);
	return err_set(err, ERR_CONFIG, "unexpected attribute: " PRI_STR, STR_ARG(name));
}

static struct str
skip_separators(struct str text)
{
	while (text.len > 0 && (char_is_space(text.p[0]) || text.p[0] == ','))
		text = str_skip(text, 1);
	return text;
}

/* Take "name=value", perhaps with blanks around the "=" or in braces, off *rest. */
static bool
take_option(struct str *rest, struct str *name_out, struct str *value_out,
	    struct err *err)
{
	size_t at = str_index(*rest, '=');
	struct str option;

	if (rest->p[0] == '{') {
		IGNORE(list_next(rest, &option));
		return split_pair(option, name_out, value_out, err);
	}
	if (at == rest->len)
		return err_set(err, ERR_CONFIG,
			       "milter service syntax error: \"" PRI_STR "\"",
			       STR_ARG(*rest));
	*name_out = str_trim(str_head(*rest, at));
	*rest = str_trim_left(str_skip(*rest, at + 1));
	*value_out = STR_EMPTY;
	IGNORE(list_next(rest, value_out));
	return true;
}

/* What stands in braces: the name, then options. */
static bool
parse_group(struct milter_setting *m, struct str item, struct err *err)
{
	const char *why;
	struct str rest;
	struct str name;
	struct str value;

	if (!list_unbrace(item, &rest, &why))
		return err_set(err, ERR_CONFIG, "milter service syntax error: %s", why);
	if (!list_next(&rest, &m->text))
		return err_set(err, ERR_CONFIG,
			       "empty milter definition: \"" PRI_STR "\"", STR_ARG(item));
	for (rest = skip_separators(rest); rest.len > 0; rest = skip_separators(rest))
		if (!take_option(&rest, &name, &value, err) ||
		    !parse_option(m, name, value, err))
			return false;
	return true;
}

static bool
parse_milter(struct arena *mem, const struct milter_settings *s, struct str item,
	     struct milter_setting *m, struct err *err)
{
	const struct milter_config *c = &s->config;

	*m = (struct milter_setting){.text = item,
				     .connect_ms = c->milter_connect_timeout * 1000,
				     .command_ms = c->milter_command_timeout * 1000,
				     .content_ms = c->milter_content_timeout * 1000,
				     .failure = s->failure,
				     .version = s->version,
				     .no_header_reply = s->no_header_reply};
	if (str_starts(item, STR("{")) && !parse_group(m, item, err))
		return false;
	m->text = str_dup(mem, m->text);
	return server_name_parse(mem, m->text, &m->server, err) ||
	       err_prefix(err, "Milter service " PRI_STR, STR_ARG(m->text));
}

bool
milter_list_parse(struct arena *mem, const struct milter_settings *settings,
		  struct str text, struct milter_list *out, struct err *err)
{
	struct milter_list list = {0, NULL};
	struct str rest = text;
	struct str item;

	while (list_next(&rest, &item))
		list.n++;
	if (list.n > MILTER_LIST_MAX)
		return err_set(err, ERR_CONFIG, "more than %d milters", MILTER_LIST_MAX);
	list.milters = arena_alloc_array(mem, list.n + 1, sizeof(*list.milters));
	rest = text;
	for (size_t i = 0; list_next(&rest, &item); i++)
		if (!parse_milter(mem, settings, item, &list.milters[i], err))
			return false;
	*out = list;
	return true;
}

bool
milter_list_needs_tcp(const struct milter_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (!list->milters[i].server.is_unix)
			return true;
	return false;
}
