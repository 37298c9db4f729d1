/* SPDX-License-Identifier: Apache-2.0 */
#include "stress.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/macros.h"

#include "config/config.h"
#include "config/param.h"
#include "config/smtpd_tls_config.h"
#include "daemon/daemon.h"
#include "dns/server_name.h"
#include "fiber/loop.h"
#include "queue/receive.h"

#include "delegate.h"
#include "log.h"
#include "smtpd.h"

bool
stress_note(struct stress *s, int64_t now_ms, size_t n, size_t max, bool *warn_out)
{
	bool is_on = s->until_ms > now_ms;

	*warn_out = false;
	if (max == 0 || n < max)
		return is_on;
	/* The session that takes the last place has come in time. */
	s->until_ms = now_ms + STRESS_MS;
	*warn_out = now_ms >= s->warn_next_ms;
	if (*warn_out)
		s->warn_next_ms = now_ms + STRESS_MS;
	return is_on;
}

struct smtpd *
stress_choose(struct smtpd *smtpd, size_t n)
{
	struct stress *s = smtpd->stress;
	struct daemon *d = smtpd->daemon;
	bool warn;
	bool is_on;

	if (s == NULL || s->smtpd == NULL)
		return smtpd;
	is_on = stress_note(s, loop_now_ms(d->loop), n, d->max_sessions, &warn);
	if (warn)
		log_stress(d->log, d->service, s->port, s->limit);
	return is_on ? s->smtpd : smtpd;
}

/* ---- what differs ---- */

static bool
differs(struct arena *mem, const struct config *a, const struct config *b,
	struct str name)
{
	struct str one;
	struct str two;
	struct err err;

	return config_get(mem, a, name, &one, &err) &&
	       config_get(mem, b, name, &two, &err) && !str_eq(one, two);
}

/* Access control is made from rows of these areas, and from restriction classes, which
 * have names of their own. */
static bool
access_differs(const struct config *a, const struct config *b)
{
	static const char *const areas[] = {"access", "policy", "rewrite", "common"};
	struct arena *mem = arena_new();
	bool found = false;

	for (size_t i = 0; i < param_count() && !found; i++) {
		const struct param *row = param_at(i);

		for (size_t k = 0; k < ARRAY_LEN(areas) && !found; k++)
			found = strcmp(row->area, areas[k]) == 0 &&
				differs(mem, a, b, param_name(row));
	}
	for (size_t i = 0; i < config_setting_count(a) && !found; i++) {
		struct str name = config_setting_at(a, i)->name;

		found = param_find(name) == NULL && differs(mem, a, b, name);
	}
	arena_free(&mem);
	return found;
}

/* ---- loading ---- */

static void
add_places(struct daemon *d, const char *const *more)
{
	const char **all;
	size_t n = 0;
	size_t m = 0;

	while (d->tables != NULL && d->tables[n] != NULL)
		n++;
	while (more[m] != NULL)
		m++;
	all = arena_alloc_array(d->mem, n + m + 1, sizeof(*all));
	for (size_t i = 0; i < n; i++)
		all[i] = d->tables[i];
	for (size_t i = 0; i < m; i++)
		all[n + i] = more[i];
	d->tables = all;
}

static bool
load_access(struct smtpd *s, const struct config *cfg, struct err *err)
{
	struct daemon *d = s->daemon;
	const struct str *values;
	size_t n;

	if (!rewrite_rules_load(d->mem, cfg, NULL, 0, &s->rewrite, err) ||
	    !access_rules_load(d->mem, cfg, &s->rewrite, &s->access, err))
		return false;
	values = access_rules_values(s->access, &n);
	add_places(d, rewrite_rules_places(d->mem, &s->rewrite, values, n));
	delegate_settings(s);
	return true;
}

static size_t
whole_limit(const struct smtpd *s)
{
	long workers = s->common.workers;

	if (workers == 0)
		workers = sysconf(_SC_NPROCESSORS_ONLN);
	return s->daemon->max_sessions * (size_t)MAX_OF(workers, 1L);
}

bool
stress_settings(struct smtpd *smtpd, const struct config *cfg, struct err *err)
{
	struct daemon *d = smtpd->daemon;
	struct stress *s = ARENA_NEW(d->mem, struct stress);
	struct smtpd_tls_config tls;

	s->port = server_port(str_from(d->service));
	s->limit = whole_limit(smtpd);
	s->smtpd = ARENA_NEW(d->mem, struct smtpd);
	s->smtpd->daemon = d;
	if (!common_config_load(d->mem, cfg, &s->smtpd->common, err) ||
	    !smtpd_config_load(d->mem, cfg, &s->smtpd->config, err) ||
	    !verify_config_load(d->mem, cfg, &s->smtpd->verify, err) ||
	    !smtpd_tls_config_load(d->mem, cfg, &tls, err))
		return false;
	s->smtpd->starttls_s = tls.smtpd_starttls_timeout;
	if (access_differs(d->config, cfg) && !load_access(s->smtpd, cfg, err))
		return false;
	if (s->smtpd->access != NULL && (smtpd->overrides & RECEIVE_ANY_RECIPIENT) != 0)
		access_rules_take_any_recipient(s->smtpd->access);
	smtpd->needs_tcp |= s->smtpd->needs_tcp;
	smtpd->stress = s;
	return true;
}

void
stress_start(struct smtpd *smtpd)
{
	struct stress *s = smtpd->stress;
	struct smtpd other;

	if (s == NULL)
		return;
	other = *smtpd;
	other.common = s->smtpd->common;
	other.config = s->smtpd->config;
	other.verify = s->smtpd->verify;
	other.starttls_s = s->smtpd->starttls_s;
	if (s->smtpd->access != NULL) {
		/* The access rules point to the rewriting rules where they are. */
		other.rewrite = s->smtpd->rewrite;
		other.access = s->smtpd->access;
	}
	*s->smtpd = other;
}
