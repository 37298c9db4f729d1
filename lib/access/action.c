/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands to the right in an access(5) table. Words are rows; what is none of them is
 * a list of restrictions.
 */
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"

#include "mail/dsn.h"

#include "access/eval_internal.h"

/* A row that was found. */
struct action {
	const char *table;
	struct str key;
	struct str value; /* whole */
	struct str text;  /* after the first word */
	const struct speaker *who;
};

/* "[dsn] [text]" of a refusal. */
static struct str
split_text(struct eval *e, const struct action *a, const char *default_dsn,
	   const char *default_text, struct str *dsn_out)
{
	struct str text;
	struct dsn_status status = dsn_status_split(default_dsn, a->text, &text);

	*dsn_out = eval_fix_dsn(e, str_dup(e->mem, str_from(status.text)), a->who->class);
	return text.len > 0 ? text : str_from(default_text);
}

static enum verdict
refuse(struct eval *e, const struct action *a, int code, const char *default_dsn)
{
	struct str dsn;
	struct str text = split_text(e, a, default_dsn, "Access denied", &dsn);

	return eval_refuse(e, a->who, code, dsn.p, str_c(e->mem, text));
}

static enum verdict
act_reject(struct eval *e, const struct action *a)
{
	return refuse(e, a, e->rules->c.access_map_reject_code, "5.7.1");
}

static enum verdict
act_defer(struct eval *e, const struct action *a)
{
	return refuse(e, a, e->rules->c.access_map_defer_code, "4.7.1");
}

static enum verdict
act_defer_if_permit(struct eval *e, const struct action *a)
{
	struct str dsn;
	struct str text = split_text(e, a, "4.7.1", "Service unavailable", &dsn);

	return eval_defer_if_permit(e, e->rules->c.access_map_defer_code, dsn.p,
				    "<" PRI_STR ">: %s rejected: " PRI_STR,
				    STR_ARG(a->who->name), a->who->class, STR_ARG(text));
}

static enum verdict
act_defer_if_reject(struct eval *e, const struct action *a)
{
	struct str dsn;
	struct str text = split_text(e, a, "4.7.1", "Service unavailable", &dsn);

	return eval_defer_if_reject(e, e->rules->c.access_map_defer_code, dsn.p,
				    "<" PRI_STR ">: %s rejected: " PRI_STR,
				    STR_ARG(a->who->name), a->who->class, STR_ARG(text));
}

static enum verdict
act_dunno(struct eval *e, const struct action *a)
{
	(void)e;
	(void)a;
	return GO_ON;
}

static enum verdict
act_permit(struct eval *e, const struct action *a)
{
	return eval_permit(e, a->value, a->who, str_printf(e->mem, "from %s", a->table));
}

static enum verdict
effect(struct eval *e, struct str text)
{
	if (e->step != NULL) {
		e->step->verdict = ACCESS_VERDICT_EFFECT;
		e->step->text = text;
	}
	return GO_ON;
}

static enum verdict
act_warn(struct eval *e, const struct action *a)
{
	eval_log(e, "warn", a->text);
	return effect(e, STR("logged"));
}

static enum verdict
act_info(struct eval *e, const struct action *a)
{
	eval_log(e, "info", a->text);
	return effect(e, STR("logged"));
}

static enum verdict
act_hang_up(struct eval *e, const struct action *a)
{
	eval_log(e, "hangup", a->text);
	*e->out = (struct access_answer){.result = ACCESS_HANG_UP,
					 .closes = true,
					 .reply = STR_EMPTY,
					 .class = ACCESS_POLICY};
	return HANG_UP;
}

/* ---- what is done to the message ---- */

/* Only where there is a message to do it to. */
static bool
has_message(struct eval *e, const struct action *a, const char *name)
{
	const char *why = NULL;

	if (e->a->world->has_proxy && !str_eq(str_from(name), STR("PREPEND")))
		why = str_printf(e->mem,
				 "access table %s: with smtpd_proxy_filter specified, "
				 "action %s is unavailable",
				 a->table, name)
			      .p;
	else if (e->phase == ACCESS_ETRN)
		why = str_printf(e->mem,
				 "access table %s: action %s is unavailable in "
				 "smtpd_etrn_restrictions",
				 a->table, name)
			      .p;
	else if (e->phase < ACCESS_MAIL)
		why = str_printf(e->mem,
				 "access table %s: with smtpd_delay_reject=no, action %s "
				 "is always skipped in Client host or Helo command "
				 "restrictions",
				 a->table, name)
			      .p;
	if (why == NULL)
		return true;
	eval_warn(e, "%s", why);
	if (e->step != NULL) {
		e->step->verdict = ACCESS_VERDICT_ERROR;
		e->step->text = str_from(why);
	}
	return false;
}

/* "<value>: CLASS triggers ACTION x", or the row's own words. */
static struct str
effect_text(struct eval *e, const struct action *a, const char *name, struct str own)
{
	struct str done =
		own.len > 0 ? own : str_printf(e->mem, "triggers %s action", name);

	return str_printf(e->mem, "<" PRI_STR ">: %s " PRI_STR, STR_ARG(a->who->name),
			  a->who->class, STR_ARG(done));
}

static struct str
triggers(struct eval *e, const struct action *a, const char *name)
{
	return str_printf(e->mem, "<" PRI_STR ">: %s triggers %s " PRI_STR,
			  STR_ARG(a->who->name), a->who->class, name, STR_ARG(a->text));
}

static struct str
keep(struct eval *e, struct str s)
{
	return str_dup(e->a->transaction, s);
}

static enum verdict
act_hold(struct eval *e, const struct action *a)
{
	struct str text;

	if (!has_message(e, a, "HOLD"))
		return GO_ON;
	text = effect_text(e, a, "HOLD", a->text);
	if (!e->a->effects.hold) /* once per message */
		eval_log(e, "hold", text);
	if (!e->is_quiet)
		e->a->effects.hold = true;
	return effect(e, text);
}

static enum verdict
act_discard(struct eval *e, const struct action *a)
{
	struct str text;

	if (!has_message(e, a, "DISCARD"))
		return GO_ON;
	text = effect_text(e, a, "DISCARD", a->text);
	eval_log(e, "discard", text);
	if (!e->is_quiet)
		e->a->effects.discard = true;
	IGNORE(effect(e, text) != GO_ON);
	return PERMIT;
}

/* A value that is not what the action needs is named and does nothing. */
static enum verdict
useless(struct eval *e, const struct action *a, const char *what)
{
	struct str text = str_printf(e->mem, "access table %s entry \"" PRI_STR "\" %s",
				     a->table, STR_ARG(a->key), what);

	eval_warn(e, PRI_STR, STR_ARG(text));
	if (e->step != NULL) {
		e->step->verdict = ACCESS_VERDICT_ERROR;
		e->step->text = text;
	}
	return GO_ON;
}

static enum verdict
act_filter(struct eval *e, const struct action *a)
{
	struct str text;

	if (!has_message(e, a, "FILTER"))
		return GO_ON;
	if (a->text.len == 0)
		return useless(e, a, "has FILTER entry without value");
	if (!str_contains(a->text, ':'))
		return useless(e, a, "requires transport:destination");
	text = triggers(e, a, "FILTER");
	eval_log(e, "filter", text);
	if (!e->is_quiet)
		e->a->effects.filter = keep(e, a->text);
	return effect(e, text);
}

static enum verdict
act_redirect(struct eval *e, const struct action *a)
{
	struct str text;

	if (!has_message(e, a, "REDIRECT"))
		return GO_ON;
	if (!str_contains(a->text, '@'))
		return useless(e, a, "requires user@domain target");
	text = triggers(e, a, "REDIRECT");
	eval_log(e, "redirect", text);
	if (!e->is_quiet)
		e->a->effects.redirect = keep(e, a->text);
	return effect(e, text);
}

/* One more in an array that grows with the transaction. False: there are too many. */
static bool
append(struct eval *e, struct str **list, size_t *n, struct str text)
{
	if (*n >= ACCESS_EFFECTS_MAX)
		return false;
	if ((*n & (*n - 1)) == 0) {
		struct str *bigger = arena_alloc_array(
			e->a->transaction, *n == 0 ? 1 : *n * 2, sizeof(*bigger));

		if (*n > 0)
			memcpy(bigger, *list, *n * sizeof(*bigger));
		*list = bigger;
	}
	(*list)[(*n)++] = keep(e, text);
	return true;
}

static enum verdict
act_bcc(struct eval *e, const struct action *a)
{
	struct access_effects *f = &e->a->effects;
	struct str text;

	if (!has_message(e, a, "BCC"))
		return GO_ON;
	if (!str_contains(a->text, '@'))
		return useless(e, a, "requires user@domain target");
	text = triggers(e, a, "BCC");
	eval_log(e, "bcc", text);
	if (!e->is_quiet && !append(e, &e->a->bcc, &f->n_bcc, a->text))
		return useless(e, a, "is one BCC too many");
	f->bcc = e->a->bcc;
	return effect(e, text);
}

/* "Name: text", with a name of RFC 5322's characters. */
static bool
is_header(struct str text)
{
	size_t colon = str_index(text, ':');

	if (colon == 0 || colon == text.len)
		return false;
	for (size_t i = 0; i < colon; i++) {
		if (!char_is_print(text.p[i]) || text.p[i] == ' ')
			return false;
	}
	return true;
}

static enum verdict
act_prepend(struct eval *e, const struct action *a)
{
	struct access_effects *f = &e->a->effects;

	if (e->phase == ACCESS_END_OF_MESSAGE) {
		eval_warn(e,
			  "access table %s: action PREPEND must be used before "
			  "smtpd_end_of_data_restrictions",
			  a->table);
		return GO_ON;
	}
	if (!has_message(e, a, "PREPEND"))
		return GO_ON;
	if (!is_header(a->text))
		return useless(e, a, "requires header: text");
	if (!e->is_quiet && !append(e, &e->a->prepend, &f->n_prepend, a->text))
		return useless(e, a, "is one PREPEND too many");
	f->prepend = e->a->prepend;
	return effect(e, a->text);
}

/* ---- a list of restrictions ---- */

static bool
names_table(struct eval *e, const struct action *a)
{
	if (!str_contains(a->value, ':'))
		return false;
	eval_warn(e, "access table %s has entry with lookup table: " PRI_STR, a->table,
		  STR_ARG(a->value));
	eval_warn(e, "do not specify lookup tables inside SMTPD access maps");
	eval_warn(e, "define a restriction class and specify its name instead.");
	return true;
}

/* Not inlined, for the stack of act_list(), which comes back to itself. */
static __attribute__((noinline)) bool
parse_list(struct eval *e, const struct action *a, struct item_list *list)
{
	struct err err;

	return item_list_parse_row(e->mem, a->table, a->value, list, &err) && list->n > 0;
}

static enum verdict
act_list(struct eval *e, const struct action *a)
{
	struct speaker outer = e->speaker;
	struct item_list list;
	enum verdict verdict;

	if (names_table(e, a))
		return eval_server_error(e);
	if (e->depth >= ACCESS_DEPTH_MAX) {
		eval_warn(e,
			  "access table %s entry " PRI_STR
			  " causes unreasonable recursion",
			  a->table, STR_ARG(a->value));
		return eval_server_error(e);
	}
	if (!parse_list(e, a, &list)) {
		eval_warn(e, "access table %s entry " PRI_STR " has empty value",
			  a->table, STR_ARG(a->key));
		return eval_server_error(e);
	}
	e->speaker = *a->who;
	verdict = eval_inner_list(e, &list);
	e->speaker = outer;
	return verdict;
}

/* ---- words ---- */

static const struct {
	struct str word;
	enum verdict (*run)(struct eval *e, const struct action *a);
} words[] = {
	{STR_INIT("OK"), act_permit},
	{STR_INIT("RELAY"), act_permit},
	{STR_INIT("DUNNO"), act_dunno},
	{STR_INIT("REJECT"), act_reject},
	{STR_INIT("DEFER"), act_defer},
	{STR_INIT("DEFER_IF_PERMIT"), act_defer_if_permit},
	{STR_INIT("DEFER_IF_REJECT"), act_defer_if_reject},
	{STR_INIT("HANGUP"), act_hang_up},
	{STR_INIT("INFO"), act_info},
	{STR_INIT("WARN"), act_warn},
	{STR_INIT("HOLD"), act_hold},
	{STR_INIT("DISCARD"), act_discard},
	{STR_INIT("FILTER"), act_filter},
	{STR_INIT("REDIRECT"), act_redirect},
	{STR_INIT("BCC"), act_bcc},
	{STR_INIT("PREPEND"), act_prepend},
};

static bool
is_number(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!char_is_digit(s.p[i]))
			return false;
	}
	return s.len > 0;
}

enum verdict
eval_action(struct eval *e, const char *table, struct str key, struct str value,
	    const struct speaker *who)
{
	struct action a = {.table = table, .key = key, .who = who};
	size_t end;
	struct str word;

	a.value = str_trim(value);
	end = str_index_any(a.value, " \t\r\n");
	word = str_head(a.value, end);
	a.text = str_trim(str_skip(a.value, end));
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_ieq(words[i].word, word))
			return words[i].run(e, &a);
	}
	if (is_number(a.value))
		return act_permit(e, &a);
	if (word.len == 3 && is_number(word) && (word.p[0] == '4' || word.p[0] == '5'))
		return refuse(e, &a,
			      (word.p[0] - '0') * 100 + (word.p[1] - '0') * 10 +
				      (word.p[2] - '0'),
			      word.p[0] == '4' ? "4.7.1" : "5.7.1");
	return act_list(e, &a);
}
