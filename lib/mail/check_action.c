/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/check_action.h"

#include "base/arena.h"
#include "base/macros.h"

#include "mail/dsn.h"
#include "mail/header.h"

/* What an action's text must be. */
enum need { NEED_NOTHING, NEED_TEXT, NEED_TRANSPORT, NEED_ADDRESS };

static const struct {
	struct str word;
	enum check_verb verb;
	enum need need;
	const char *name; /* in the log */
} rows[] = {
	{STR_INIT("DUNNO"), CHECK_DUNNO, NEED_NOTHING, "dunno"},
	{STR_INIT("OK"), CHECK_DUNNO, NEED_NOTHING, "dunno"},
	{STR_INIT("BCC"), CHECK_BCC, NEED_ADDRESS, "bcc"},
	{STR_INIT("DISCARD"), CHECK_DISCARD, NEED_NOTHING, "discard"},
	{STR_INIT("FILTER"), CHECK_FILTER, NEED_TRANSPORT, "filter"},
	{STR_INIT("HOLD"), CHECK_HOLD, NEED_NOTHING, "hold"},
	{STR_INIT("IGNORE"), CHECK_IGNORE, NEED_NOTHING, "ignore"},
	{STR_INIT("INFO"), CHECK_INFO, NEED_NOTHING, "info"},
	{STR_INIT("PASS"), CHECK_PASS, NEED_NOTHING, "pass"},
	{STR_INIT("PREPEND"), CHECK_PREPEND, NEED_TEXT, "prepend"},
	{STR_INIT("REDIRECT"), CHECK_REDIRECT, NEED_ADDRESS, "redirect"},
	{STR_INIT("REJECT"), CHECK_REJECT, NEED_NOTHING, "reject"},
	{STR_INIT("REPLACE"), CHECK_REPLACE, NEED_TEXT, "replace"},
	{STR_INIT("STRIP"), CHECK_STRIP, NEED_NOTHING, "strip"},
	{STR_INIT("WARN"), CHECK_WARN, NEED_NOTHING, "warning"},
};

const char *
check_verb_name(enum check_verb verb)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].verb == verb)
			return rows[i].name;
	}
	return "";
}

static struct str
fault_of_text(struct arena *mem, const char *table, struct str word, struct str text,
	      bool is_header)
{
	if (text.len == 0)
		return str_printf(mem, PRI_STR " action without text in %s map",
				  STR_ARG(word), table);
	if (is_header && header_name_length(text) == 0)
		return str_printf(mem,
				  "bad " PRI_STR " header text \"" PRI_STR "\" in %s map "
				  "-- need \"headername: headervalue\"",
				  STR_ARG(word), STR_ARG(text), table);
	return STR_EMPTY;
}

static struct str
fault_of_transport(struct arena *mem, const char *table, struct str text)
{
	if (text.len == 0)
		return str_printf(mem, "missing FILTER command argument in %s map",
				  table);
	if (!str_contains(text, ':'))
		return str_printf(mem,
				  "bad FILTER command " PRI_STR
				  " in %s -- need transport:destination",
				  STR_ARG(text), table);
	return STR_EMPTY;
}

static struct str
fault_of_address(struct arena *mem, const char *table, enum check_verb verb,
		 struct str text)
{
	if (str_contains(text, '@'))
		return STR_EMPTY;
	return str_printf(mem, "bad %s \"" PRI_STR "\" in %s map -- need user@domain",
			  verb == CHECK_BCC ? "BCC address" : "REDIRECT target",
			  STR_ARG(text), table);
}

struct check_action
check_action_parse(struct arena *mem, const char *table, struct str value, bool is_header,
		   unsigned allowed)
{
	struct check_action a = {.verb = CHECK_DUNNO, .warning = STR_EMPTY};
	size_t n = 0;
	size_t row = 0;

	while (n < value.len && !char_is_blank(value.p[n]))
		n++;
	a.text = str_skip(value, n);
	while (a.text.len > 0 && char_is_space(a.text.p[0]))
		a.text = str_skip(a.text, 1);
	while (row < ARRAY_LEN(rows) && !str_ieq(str_head(value, n), rows[row].word))
		row++;
	if (row == ARRAY_LEN(rows) || (allowed & 1u << rows[row].verb) == 0) {
		a.warning = str_printf(mem, "%s command in %s map: " PRI_STR,
				       allowed == CHECK_ALL ? "unknown" : "unsupported",
				       table, STR_ARG(value));
		return a;
	}
	switch (rows[row].need) {
	case NEED_NOTHING:
		break;
	case NEED_TEXT:
		a.warning = fault_of_text(mem, table, rows[row].word, a.text, is_header);
		break;
	case NEED_TRANSPORT:
		a.warning = fault_of_transport(mem, table, a.text);
		break;
	case NEED_ADDRESS:
		a.warning = fault_of_address(mem, table, rows[row].verb, a.text);
		break;
	}
	if (a.warning.len == 0)
		a.verb = rows[row].verb;
	return a;
}

struct str
check_action_reason(struct arena *mem, struct str text, struct str *warning_out)
{
	struct str rest;
	struct dsn_status status = dsn_status_split("5.7.1", text, &rest);

	*warning_out = STR_EMPTY;
	if (text.len == 0)
		rest = STR("message content rejected");
	if (status.text[0] != '4' && status.text[0] != '5') {
		*warning_out = str_printf(
			mem, "bad DSN action in " PRI_STR " -- need 4.x.x or 5.x.x",
			STR_ARG(text));
		status = dsn_status_with_class(status, '4');
	}
	return str_printf(mem, "%s " PRI_STR, status.text, STR_ARG(rest));
}
