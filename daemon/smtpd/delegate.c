/* SPDX-License-Identifier: Apache-2.0 */
#include "delegate.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "policy/policy.h"

#include "session.h"
#include "transaction.h"

enum { US_PER_S = 1000000 };

void
delegate_settings(struct smtpd *smtpd)
{
	const struct policy_service *const *services;
	size_t n;

	services = access_rules_policies(smtpd->access, &n);
	for (size_t i = 0; i < n; i++)
		smtpd->needs_tcp |= !services[i]->server.is_unix;
}

void
delegate_start(struct smtpd *smtpd)
{
	smtpd->policies = policy_pool_new(smtpd->daemon->mem, smtpd->daemon->loop);
}

void
delegate_drain(struct smtpd *smtpd)
{
	policy_pool_close(smtpd->policies);
}

static void
warn(void *arg, struct str text)
{
	const struct session *s = arg;

	log_warning(s->smtpd->daemon->log, PRI_STR, STR_ARG(text));
}

static bool
ask(void *arg, struct arena *mem, const struct policy_service *service,
    struct str request, struct str *action_out)
{
	struct session *s = arg;

	return policy_ask(s->smtpd->policies, mem, &s->world.dns, service, request, warn,
			  s, action_out);
}

void
delegate_prepare(struct session *s)
{
	s->world.policy = ask;
	s->world.policy_arg = s;
	s->serial = s->smtpd->limits->n_sessions++;
}

/* All zero but for the session where there is no message. */
struct str
session_instance(const struct session *s)
{
	int64_t us = s->tx == NULL ? 0 : s->tx->arrival_us;

	return str_printf(s->now, "%x.%" PRIx64 ".%" PRIx64 ".%x", (unsigned)getpid(),
			  us / US_PER_S, us % US_PER_S, s->serial);
}
