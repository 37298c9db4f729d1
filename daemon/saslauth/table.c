/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "fiber/offload.h"
#include "sasl/verifier.h"
#include "table/maps.h"

#include "limit.h"

enum { NAMES_MAX = 1024, V6_NET_BYTES = 8 };

struct tables {
	struct maps *maps;
	struct limit *clients, *users;
	unsigned char key[SECRET_KEY_BYTES]; /* for what unknown users are told */
	/* The rows that were found last, so that an unknown user costs as much. */
	struct secret sample[2]; /* by enum secret_kind */
	enum secret_kind last_kind;
};

/* The state of a log-in. */
struct table_login {
	struct verifier *verifier;
	struct str client;
};

struct check {
	struct secret secret;
	struct str password;
	bool matches;
};

static const struct str failed_text = STR_INIT("authentication failure");

bool
tables_new(struct saslauth *s, struct err *err)
{
	struct daemon *d = s->daemon;
	struct tables *t = ARENA_NEW(d->mem, struct tables);

	if (getrandom(t->key, sizeof(t->key), 0) != (ssize_t)sizeof(t->key))
		return err_errno(err, ERR_TEMP, "random numbers");
	if (!daemon_open_maps(d, "smtpd_sasl_password_maps",
			      s->config.smtpd_sasl_password_maps, TABLE_DEFAULT, &t->maps,
			      err))
		return false;
	secret_decoy(STR_EMPTY, t->key, SECRET_CRYPT, &t->sample[SECRET_CRYPT]);
	secret_decoy(STR_EMPTY, t->key, SECRET_SCRAM, &t->sample[SECRET_SCRAM]);
	t->clients = limit_new(s->config.smtpd_sasl_table_failure_limit);
	t->users = limit_new(s->config.smtpd_sasl_table_failure_limit);
	s->tables = t;
	return true;
}

void
tables_release(struct saslauth *s)
{
	limit_free(&s->tables->clients);
	limit_free(&s->tables->users);
}

bool
tables_mechanisms(struct saslauth *s, struct arena *mem, struct str maps,
		  struct str *names_out, struct str *trouble_out)
{
	struct buf *out = buf_new(mem, NAMES_MAX);
	struct str rest = s->config.smtpd_sasl_table_mechanisms;
	struct str word;

	if (maps.len == 0) {
		*trouble_out = STR("smtpd_sasl_password_maps is empty");
		return false;
	}
	/* The table is open since the start. */
	if (!str_eq(maps, s->config.smtpd_sasl_password_maps)) {
		*trouble_out = STR("smtpd_sasl_password_maps must be set in main.cf");
		return false;
	}
	while (str_token(&rest, ", \t\r\n", &word)) {
		struct str upper = str_dup(mem, word);
		char *p = arena_memdup(mem, upper.p, upper.len);

		for (size_t i = 0; i < upper.len; i++)
			p[i] = char_upper(p[i]);
		if (verifier_new(mem, str_from_mem(p, upper.len), NULL) == NULL) {
			*trouble_out = str_printf(mem,
						  "unknown word in "
						  "smtpd_sasl_table_mechanisms: " PRI_STR,
						  STR_ARG(word));
			return false;
		}
		buf_printf(out, "%s" PRI_STR, out->len > 0 ? " " : "",
			   STR_ARG(str_from_mem(p, upper.len)));
	}
	*names_out = buf_str(out);
	return true;
}

/* ---- limits ---- */

static int64_t
now_ms(void)
{
	return sys_now_us() / 1000;
}

/* A whole network of IPv6 is one client: it costs nothing to have another address. */
static struct str
client_name(struct arena *mem, struct str address)
{
	unsigned char raw[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET6, str_c(mem, address), raw) != 1)
		return address;
	return str_dup(mem, str_from_mem((const char *)raw, V6_NET_BYTES));
}

static bool
must_wait(const struct tables *t, const struct table_login *state)
{
	int64_t now = now_ms();

	return limit_is_reached(t->clients, state->client, now) ||
	       limit_is_reached(t->users, verifier_user(state->verifier), now);
}

static void
count_failure(struct tables *t, const struct table_login *state)
{
	int64_t now = now_ms();

	limit_count(t->clients, state->client, now);
	if (verifier_user(state->verifier).len > 0)
		limit_count(t->users, verifier_user(state->verifier), now);
}

/* ---- one log-in ---- */

static void
answer(struct sasl_answer *out, enum sasl_status status, struct str text, struct str user)
{
	*out = (struct sasl_answer){.status = status, .text = text, .user = user};
}

/* The user's row, or one that nothing fits. */
static enum lookup
find_row(struct login *l, struct str user, enum secret_kind wanted, bool any_kind,
	 struct secret *out)
{
	struct tables *t = l->saslauth->tables;
	struct log *log = l->saslauth->daemon->log;
	enum lookup result;
	struct maps_hit hit;
	struct err err;

	result = maps_find(t->maps, l->mem, user, MAPS_ALL, &hit, &err);
	if (result == LOOKUP_FOUND && !secret_parse(hit.value, out, &err)) {
		log_warning(log, "%s: user " PRI_STR ": %s", hit.table, STR_ARG(user),
			    err.text);
		return LOOKUP_FAILED;
	}
	if (result == LOOKUP_FAILED)
		log_warning(log, "%s", err.text);
	if (result != LOOKUP_FOUND)
		return result;
	t->sample[out->kind] = *out;
	t->last_kind = out->kind;
	return any_kind || out->kind == wanted ? LOOKUP_FOUND : LOOKUP_ABSENT;
}

static void
run_check(void *arg)
{
	struct check *c = arg;

	c->matches = secret_matches(&c->secret, c->password);
}

static void
check_password(struct login *l, struct sasl_answer *out)
{
	struct table_login *state = l->state;
	struct tables *t = l->saslauth->tables;
	struct check *check = ARENA_NEW(l->mem, struct check);
	struct str user = verifier_user(state->verifier);
	enum lookup found = find_row(l, user, SECRET_CRYPT, true, &check->secret);

	if (found == LOOKUP_FAILED) {
		answer(out, SASL_ANSWER_LATER, STR("password table unavailable"), user);
		return;
	}
	if (found == LOOKUP_ABSENT)
		check->secret = t->sample[t->last_kind];
	check->password = verifier_password(state->verifier);
	offload_run(l->saslauth->offload, run_check, check);
	if (found == LOOKUP_FOUND && check->matches) {
		limit_forget(t->users, user);
		answer(out, SASL_ANSWER_DONE, STR_EMPTY, user);
		return;
	}
	count_failure(t, state);
	answer(out, SASL_ANSWER_FAIL, failed_text, user);
}

static void
supply_keys(struct login *l, struct sasl_answer *out)
{
	struct table_login *state = l->state;
	struct tables *t = l->saslauth->tables;
	struct str user = verifier_user(state->verifier);
	struct secret *keys = ARENA_NEW(l->mem, struct secret);
	struct str text = STR_EMPTY;

	switch (find_row(l, user, SECRET_SCRAM, false, keys)) {
	case LOOKUP_FOUND:
		break;
	case LOOKUP_ABSENT:
		secret_decoy(user, t->key, SECRET_SCRAM, keys);
		keys->iterations = t->sample[SECRET_SCRAM].iterations;
		break;
	case LOOKUP_FAILED:
		answer(out, SASL_ANSWER_LATER, STR("password table unavailable"), user);
		return;
	}
	IGNORE(verifier_supply(state->verifier, keys, &text) == VERIFIER_MORE);
	answer(out, SASL_ANSWER_MORE, text, user);
}

static void
step(struct login *l, const struct str *response, struct sasl_answer *out)
{
	struct table_login *state = l->state;
	struct tables *t = l->saslauth->tables;
	struct str text;
	enum verifier_status status;

	if (state->verifier == NULL) {
		answer(out, SASL_ANSWER_FAIL, STR("no mechanism available"), STR_EMPTY);
		return;
	}
	status = verifier_step(state->verifier, response, &text);
	if (status != VERIFIER_FAIL && must_wait(t, state)) {
		answer(out, SASL_ANSWER_LATER, STR("too many failures"),
		       verifier_user(state->verifier));
		return;
	}
	switch (status) {
	case VERIFIER_MORE:
		answer(out, SASL_ANSWER_MORE, text, verifier_user(state->verifier));
		break;
	case VERIFIER_LOOKUP:
		supply_keys(l, out);
		break;
	case VERIFIER_CHECK:
		check_password(l, out);
		break;
	case VERIFIER_DONE:
		limit_forget(t->users, verifier_user(state->verifier));
		answer(out, SASL_ANSWER_DONE, STR_EMPTY, verifier_user(state->verifier));
		break;
	case VERIFIER_FAIL:
		count_failure(t, state);
		answer(out, SASL_ANSWER_FAIL, failed_text,
		       verifier_user(state->verifier));
		break;
	}
}

static bool
is_configured(struct login *l)
{
	struct str names = STR_EMPTY;
	struct str trouble;
	struct str word;

	if (!tables_mechanisms(l->saslauth, l->mem, l->start->maps, &names, &trouble))
		return false;
	while (str_token(&names, " ", &word))
		if (str_ieq(word, l->start->mechanism))
			return true;
	return false;
}

void
tables_login(struct login *l)
{
	struct table_login *state = ARENA_NEW(l->mem, struct table_login);

	state->client = client_name(l->mem, l->start->client_address);
	if (is_configured(l))
		state->verifier = verifier_new(l->mem, l->start->mechanism, NULL);
	l->state = state;
	l->step = step;
}
