/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy service as main.cf names it.
 */
#include "base/arena.h"
#include "base/macros.h"

#include "config/value.h"

#include "policy/policy.h"

struct option {
	const char *name;
	int64_t *seconds;
	int64_t *number;
	struct str *text;
	int64_t min;
};

static bool
take_value(struct arena *mem, const struct option *o, struct str value, struct err *err)
{
	if (o->text != NULL) {
		*o->text = str_dup(mem, value);
		return true;
	}
	if (o->seconds != NULL ? value_time(value, 's', o->seconds)
			       : value_int(value, o->number))
		return true;
	return err_set(err, ERR_CONFIG, "bad value of %s: " PRI_STR, o->name,
		       STR_ARG(value));
}

/* "name=value", blanks around the sign allowed. */
static bool
take_option(struct arena *mem, struct str item, struct policy_service *s, struct err *err)
{
	const struct option options[] = {
		{.name = "timeout", .seconds = &s->timeout_s, .min = 1},
		{.name = "max_idle", .seconds = &s->max_idle_s, .min = 1},
		{.name = "max_ttl", .seconds = &s->max_ttl_s, .min = 1},
		{.name = "retry_delay", .seconds = &s->retry_delay_s, .min = 1},
		{.name = "request_limit", .number = &s->request_limit, .min = 0},
		{.name = "try_limit", .number = &s->try_limit, .min = 1},
		{.name = "default_action", .text = &s->default_action},
		{.name = "policy_context", .text = &s->context},
	};
	struct str inner;
	struct str name;
	struct str value;
	const char *why = NULL;

	if (list_unbrace(item, &inner, &why))
		item = inner;
	if (!str_split(item, '=', &name, &value))
		return err_set(err, ERR_CONFIG,
			       "missing '=' after attribute name: " PRI_STR,
			       STR_ARG(item));
	name = str_trim(name);
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		const struct option *o = &options[i];
		const int64_t *number = o->seconds != NULL ? o->seconds : o->number;

		if (!str_eq(name, str_from(o->name)))
			continue;
		if (!take_value(mem, o, str_trim(value), err))
			return false;
		return number == NULL || *number >= o->min ||
		       err_set(err, ERR_CONFIG, "%s is less than %d", o->name,
			       (int)o->min);
	}
	return err_set(err, ERR_CONFIG, "unknown attribute: " PRI_STR, STR_ARG(name));
}

static bool
take_all(struct arena *mem, struct str text, struct policy_service *s, struct err *err)
{
	struct str rest = text;
	struct str item;
	const char *why = NULL;
	bool braced = text.len > 0 && text.p[0] == '{';

	if (braced && !list_unbrace(text, &rest, &why))
		return err_set(err, ERR_CONFIG, "%s", why);
	if (!list_next(&rest, &item))
		return err_set(err, ERR_CONFIG, "empty policy service: \"" PRI_STR "\"",
			       STR_ARG(text));
	if (!str_starts(item, STR("inet:")) && !str_starts(item, STR("unix:")) &&
	    !str_starts(item, STR("local:")))
		return err_set(err, ERR_CONFIG, "unsupported server type: " PRI_STR,
			       STR_ARG(item));
	s->name = str_dup(mem, item);
	while (list_next(&rest, &item)) {
		if (!take_option(mem, item, s, err))
			return false;
	}
	if (!server_name_parse(mem, s->name, &s->server, err))
		return false;
	s->name = str_skip(s->name, str_index(s->name, ':') + 1);
	return true;
}

bool
policy_service_parse(struct arena *mem, struct str text, const struct policy_config *c,
		     struct policy_service *out, struct err *err)
{
	struct policy_service s = {
		.timeout_s = c->smtpd_policy_service_timeout,
		.max_idle_s = c->smtpd_policy_service_max_idle,
		.max_ttl_s = c->smtpd_policy_service_max_ttl,
		.request_limit = c->smtpd_policy_service_request_limit,
		.retry_delay_s = c->smtpd_policy_service_retry_delay,
		.try_limit = c->smtpd_policy_service_try_limit,
		.default_action = c->smtpd_policy_service_default_action,
		.context = c->smtpd_policy_service_policy_context,
	};

	if (!take_all(mem, str_trim(text), &s, err))
		return err_prefix(err, "check_policy_service " PRI_STR, STR_ARG(text));
	*out = s;
	return true;
}
