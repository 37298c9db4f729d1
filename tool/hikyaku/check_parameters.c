/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.cf by itself: names, values, and values that do not go together.
 */
#include "base/arena.h"
#include "base/err.h"

#include "config/expand.h"
#include "config/param.h"
#include "config/value.h"

#include "check_rows.h"
#include "finding.h"

void
check_overridden(struct check *c)
{
	for (size_t i = 0; i < config_warning_count(c->config); i++) {
		struct str text = config_warning_at(c->config, i);
		struct place place = place_from_text(c, &text);

		finding_add(c, place, text, STR_EMPTY);
	}
}

/* ---- names ---- */

/* One finding for each setting of main.cf whose name is `use` to us. */
static void
each_use(struct check *c, enum config_use use,
	 void (*tell)(struct check *c, const struct config_setting *s))
{
	for (size_t i = 0; i < config_setting_count(c->config); i++) {
		const struct config_setting *s = config_setting_at(c->config, i);

		if (config_use(c->config, s->name) == use)
			tell(c, s);
	}
}

static void
tell_unknown(struct check *c, const struct config_setting *s)
{
	const struct param *near = param_nearest(s->name);

	finding_add(c, place_setting(c, s),
		    str_printf(c->mem,
			       "There is no parameter " PRI_STR
			       ", so this line has no effect.",
			       STR_ARG(s->name)),
		    near == NULL ? STR("Remove it.")
				 : str_printf(c->mem, "Did you mean " PRI_STR "?",
					      STR_ARG(param_name(near))));
}

void
check_unknown_parameter(struct check *c)
{
	each_use(c, CONFIG_USE_UNKNOWN, tell_unknown);
}

static void
tell_no_effect(struct check *c, const struct config_setting *s)
{
	finding_add(c, place_setting(c, s),
		    str_printf(c->mem, PRI_STR " is not supported yet: it has no effect.",
			       STR_ARG(s->name)),
		    STR_EMPTY);
}

static void
tell_newer(struct check *c, const struct config_setting *s)
{
	finding_add(c, place_setting(c, s),
		    str_printf(c->mem,
			       PRI_STR " belongs to a Postfix newer than 3.7 and is not "
				       "supported: it has no effect.",
			       STR_ARG(s->name)),
		    STR_EMPTY);
}

void
check_no_effect(struct check *c)
{
	each_use(c, CONFIG_USE_NOT_ACTED, tell_no_effect);
	each_use(c, CONFIG_USE_NEWER, tell_newer);
}

static void
tell_old(struct check *c, const struct config_setting *s)
{
	finding_add(c, place_setting(c, s),
		    str_printf(c->mem, PRI_STR " is an old name. It still works.",
			       STR_ARG(s->name)),
		    str_printf(c->mem, "The name is now %s.",
			       param_summary(param_find(s->name))));
}

void
check_old_name(struct check *c)
{
	each_use(c, CONFIG_USE_OLD, tell_old);
}

/* ---- values ---- */

static bool
value_is_good(const struct check *c, const struct param *row, struct err *err)
{
	struct str text;
	int64_t number;
	bool truth;

	switch (row->type) {
	case PARAM_BOOL:
		return config_get_bool(c->config, param_name(row), &truth, err);
	case PARAM_INT:
	case PARAM_LONG:
		return config_get_int(c->config, param_name(row), &number, err);
	case PARAM_TIME_S:
	case PARAM_TIME_M:
	case PARAM_TIME_H:
	case PARAM_TIME_D:
	case PARAM_TIME_W:
		return config_get_time(c->config, param_name(row), &number, err);
	case PARAM_STR:
		if (!config_get(c->mem, c->config, param_name(row), &text, err))
			return false;
		return (int64_t)text.len >= row->min ||
		       err_set(err, ERR_CONFIG, "The value may not be empty");
	case PARAM_RAW:
		return true;
	}
	return true;
}

static const char *
wanted(enum param_type type)
{
	switch (type) {
	case PARAM_BOOL:
		return "Write yes or no.";
	case PARAM_INT:
	case PARAM_LONG:
		return "Write a number.";
	case PARAM_TIME_S:
	case PARAM_TIME_M:
	case PARAM_TIME_H:
	case PARAM_TIME_D:
	case PARAM_TIME_W:
		return "Write a number and its unit: s, m, h, d or w.";
	case PARAM_STR:
	case PARAM_RAW:
		break;
	}
	return "";
}

void
check_bad_value(struct check *c)
{
	for (size_t i = 0; i < config_setting_count(c->config); i++) {
		const struct config_setting *s = config_setting_at(c->config, i);
		const struct param *row = param_find(s->name);
		struct str text;
		struct err err;

		if (row == NULL || config_use(c->config, s->name) != CONFIG_USE_ACTED ||
		    value_is_good(c, row, &err))
			continue;
		text = str_from(arena_strdup(c->mem, err.text));
		place_from_text(c, &text);
		finding_add(c, place_setting(c, s),
			    str_printf(c->mem, PRI_STR ".", STR_ARG(text)),
			    str_from(wanted(row->type)));
	}
}

#define ADDRESS_CLASSES                                                                  \
	"envelope_sender envelope_recipient header_sender header_recipient"

/* Parameters whose value is made of known words. */
static const struct vocabulary {
	const char *parameter;
	const char *words;
} vocabularies[] = {
	{"mynetworks_style", "class subnet host"},
	{"smtp_host_lookup", "dns native"},
	{"smtp_dns_support_level", "disabled enabled dnssec"},
	{"smtp_address_preference", "any ipv4 ipv6"},
	{"notify_classes", "bounce 2bounce data delay policy protocol resource software"},
	{"propagate_unmatched_extensions",
	 "canonical virtual alias forward include generic"},
	{"smtp_pix_workarounds", "disable_esmtp delay_dotcrlf"},
	{"sendmail_fix_line_endings", "always never strict"},
	{"canonical_classes", ADDRESS_CLASSES},
	{"sender_canonical_classes", "envelope_sender header_sender"},
	{"recipient_canonical_classes", "envelope_recipient header_recipient"},
	{"masquerade_classes", ADDRESS_CLASSES},
	{"hash_queue_names",
	 "maildrop incoming active deferred hold corrupt bounce defer trace flush saved"},
};

void
check_bad_word(struct check *c)
{
	for (size_t i = 0; i < ARRAY_LEN(vocabularies); i++) {
		const struct vocabulary *v = &vocabularies[i];
		struct str rest = value_of(c, v->parameter);
		struct str item;

		while (config_is_set(c->config, str_from(v->parameter)) &&
		       list_next(&rest, &item)) {
			if (list_has(str_from(v->words), item))
				continue;
			finding_add(c, place_parameter(c, v->parameter),
				    str_printf(c->mem,
					       "\"" PRI_STR "\" has no meaning here.",
					       STR_ARG(item)),
				    str_printf(c->mem, "The words are: %s.", v->words));
		}
	}
}

struct reference {
	struct check *c;
	const struct config_setting *setting;
};

/* A name that is not there is empty, and often meant so (${x?...}). Only one that looks
 * like a typing error is worth a word. */
static void
see_reference(void *arg, struct str name)
{
	struct reference *r = arg;
	struct check *c = r->c;
	const struct param *near;

	if (config_origin(c->config, name).where != CONFIG_FROM_NOWHERE)
		return;
	near = param_nearest(name);
	if (near == NULL)
		return;
	finding_add(c, place_setting(c, r->setting),
		    str_printf(c->mem,
			       "There is no parameter " PRI_STR ", so $" PRI_STR
			       " is empty here.",
			       STR_ARG(name), STR_ARG(name)),
		    str_printf(c->mem, "Did you mean $" PRI_STR "?",
			       STR_ARG(param_name(near))));
}

void
check_bad_reference(struct check *c)
{
	for (size_t i = 0; i < config_setting_count(c->config); i++) {
		struct reference r = {c, config_setting_at(c->config, i)};
		const struct param *row = param_find(r.setting->name);

		if (row == NULL || row->type != PARAM_RAW)
			expand_names(r.setting->value, see_reference, &r);
	}
}

/* ---- values that do not go together ---- */

static struct str
seconds(const struct check *c, int64_t s)
{
	static const struct {
		int64_t seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (s > 0 && s % units[i].seconds == 0)
			return str_printf(c->mem, "%lld%c",
					  (long long)(s / units[i].seconds),
					  units[i].unit);
	}
	return str_printf(c->mem, "%llds", (long long)s);
}

/* low should not be more than high. */
static void
should_not_exceed(struct check *c, const char *low, int64_t low_s, const char *high,
		  int64_t high_s, const char *consequence, const char *advice)
{
	/* The one of the two that somebody wrote. */
	bool low_is_set = config_is_set(c->config, str_from(low));

	if (low_s <= high_s)
		return;
	finding_add(c, place_parameter(c, low_is_set ? low : high),
		    str_printf(c->mem,
			       "%s is " PRI_STR ", more than %s (" PRI_STR "): %s", low,
			       STR_ARG(seconds(c, low_s)), high,
			       STR_ARG(seconds(c, high_s)), consequence),
		    str_from(advice));
}

void
check_queue_times(struct check *c)
{
	const struct qmgr_config *q = &c->qmgr;

	should_not_exceed(c, "minimal_backoff_time", q->minimal_backoff_time,
			  "maximal_backoff_time", q->maximal_backoff_time,
			  "the time between attempts cannot grow.",
			  "Make maximal_backoff_time the larger one.");
	should_not_exceed(c, "queue_run_delay", q->queue_run_delay,
			  "minimal_backoff_time", q->minimal_backoff_time,
			  "mail waits longer than its retry time says.",
			  "Set queue_run_delay to no more than minimal_backoff_time.");
	should_not_exceed(c, "bounce_queue_lifetime", q->bounce_queue_lifetime,
			  "maximal_queue_lifetime", q->maximal_queue_lifetime,
			  "notices about mail are kept longer than the mail itself.",
			  "Set bounce_queue_lifetime to no more than "
			  "maximal_queue_lifetime.");
	if (q->maximal_queue_lifetime > 0) {
		should_not_exceed(c, "maximal_backoff_time", q->maximal_backoff_time,
				  "maximal_queue_lifetime", q->maximal_queue_lifetime,
				  "mail may be returned before it was tried again.",
				  "Set maximal_backoff_time to a small part of "
				  "maximal_queue_lifetime.");
		should_not_exceed(c, "delay_warning_time", c->common.delay_warning_time,
				  "maximal_queue_lifetime", q->maximal_queue_lifetime,
				  "senders are never warned: the mail is returned first.",
				  "Set delay_warning_time to some hours.");
	}
}

/* A limit of 0 is none. */
static void
mailbox_holds(struct check *c, const char *limit)
{
	int64_t message = c->common.message_size_limit;
	int64_t mailbox;
	struct err err;

	if (!config_get_int(c->config, str_from(limit), &mailbox, &err) || mailbox == 0 ||
	    (message > 0 && message <= mailbox))
		return;
	finding_add(
		c,
		place_parameter(c, config_is_set(c->config, str_from(limit))
					   ? limit
					   : "message_size_limit"),
		message == 0
			? str_printf(c->mem,
				     "Messages of any size are accepted, but mailboxes "
				     "end at %s = %lld bytes: larger ones cannot be "
				     "stored.",
				     limit, (long long)mailbox)
			: str_printf(c->mem,
				     "Messages of up to message_size_limit = %lld bytes "
				     "are accepted, but %s is only %lld: larger ones "
				     "cannot be stored.",
				     (long long)message, limit, (long long)mailbox),
		str_printf(c->mem,
			   "Raise %s (0 is no limit) or lower message_size_limit.",
			   limit));
}

void
check_size_limits(struct check *c)
{
	mailbox_holds(c, "mailbox_size_limit");
	mailbox_holds(c, "virtual_mailbox_limit");
}

void
check_left_on(struct check *c)
{
	struct str deferred = c->qmgr.defer_transports;

	if (c->common.soft_bounce)
		finding_add(c, place_parameter(c, "soft_bounce"),
			    STR("Mail that can never be delivered is not returned but "
				"tried again until it expires."),
			    STR("Set soft_bounce = no when the tests are over."));
	if (deferred.len > 0)
		finding_add(
			c, place_parameter(c, "defer_transports"),
			str_printf(c->mem,
				   "Mail for these transports waits until it is asked "
				   "for: " PRI_STR ".",
				   STR_ARG(deferred)),
			STR("Empty it, or run `postqueue -f` to send the mail."));
}
