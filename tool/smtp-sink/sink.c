/* SPDX-License-Identifier: Apache-2.0 */
#include "sink.h"

#include <stdio.h>
#include <stdlib.h>

enum { DELAY_MAX_S = 86400, ROLLS_MAX = 1000 };

static const struct str command_names[SINK_COMMANDS] = {
	[SINK_CONNECT] = STR_INIT("CONNECT"), [SINK_HELO] = STR_INIT("HELO"),
	[SINK_EHLO] = STR_INIT("EHLO"),       [SINK_LHLO] = STR_INIT("LHLO"),
	[SINK_MAIL] = STR_INIT("MAIL"),       [SINK_RCPT] = STR_INIT("RCPT"),
	[SINK_DATA] = STR_INIT("DATA"),       [SINK_DOT] = STR_INIT("."),
	[SINK_RSET] = STR_INIT("RSET"),       [SINK_NOOP] = STR_INIT("NOOP"),
	[SINK_VRFY] = STR_INIT("VRFY"),       [SINK_AUTH] = STR_INIT("AUTH"),
	[SINK_XCLIENT] = STR_INIT("XCLIENT"), [SINK_XFORWARD] = STR_INIT("XFORWARD"),
	[SINK_QUIT] = STR_INIT("QUIT"),
};

bool
sink_command_find(struct str name, enum sink_command *out)
{
	for (size_t i = 0; i < SINK_COMMANDS; i++) {
		if (str_ieq(name, command_names[i])) {
			*out = (enum sink_command)i;
			return true;
		}
	}
	return false;
}

bool
sink_rules_set(struct sink *sink, const char *list,
	       bool *(*pick)(struct command_rule *rule), struct err *err)
{
	struct str rest = str_from(list);
	struct str name;

	while (str_token(&rest, ", \t\r\n", &name)) {
		enum sink_command command;

		if (!sink_command_find(name, &command))
			return err_set(err, ERR_CONFIG, "unknown command: " PRI_STR,
				       STR_ARG(name));
		*pick(&sink->rules[command]) = true;
	}
	return true;
}

bool
sink_delay_set(struct sink *sink, const char *text, struct err *err)
{
	struct str rest = str_from(text);
	struct str name;
	struct str odds = STR_EMPTY;
	enum sink_command command;
	int64_t delay_s;
	int64_t percent = 0;

	if (!str_split(rest, ':', &name, &rest))
		return err_set(err, ERR_CONFIG, "invalid command delay argument: %s",
			       text);
	if (!sink_command_find(name, &command))
		return err_set(err, ERR_CONFIG, "unknown command: " PRI_STR,
			       STR_ARG(name));
	if (str_split(rest, ':', &rest, &odds) && !str_to_i64(odds, 1, 99, &percent))
		return err_set(err, ERR_CONFIG,
			       "delay odds for '" PRI_STR "' out of range",
			       STR_ARG(name));
	if (!str_to_i64(rest, 1, DELAY_MAX_S, &delay_s))
		return err_set(err, ERR_CONFIG,
			       "bad '" PRI_STR "' delay: want 1 to %d seconds",
			       STR_ARG(name), DELAY_MAX_S);
	sink->rules[command].delay_s = (int)delay_s;
	sink->rules[command].odds = (int)percent;
	return true;
}

int64_t
sink_delay_ms(const struct command_rule *rule)
{
	int64_t times = 1;

	/* With probability odds/100 once more, each time anew. */
	while (rule->odds > 0 && times < ROLLS_MAX && random() % 100 < rule->odds)
		times++;
	return times * rule->delay_s * 1000;
}

void
sink_show_counters(const struct sink *sink)
{
	if (!sink->show_counters)
		return;
	printf("sess=%lld quit=%lld mesg=%lld\r", (long long)sink->sessions,
	       (long long)sink->quits, (long long)sink->messages);
	fflush(stdout);
}
