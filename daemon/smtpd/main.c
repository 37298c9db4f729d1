/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "daemon/daemon.h"

#include "delegate.h"
#include "session.h"
#include "smtpd.h"
#include "stress.h"

/* There is none without a limit. */
static bool
prepare_for_stress(struct smtpd *s, struct err *err)
{
	struct daemon *d = s->daemon;
	const struct config *cfg;

	if (d->max_sessions == 0 || d->stand_alone)
		return true;
	return daemon_load_config(d, true, &cfg, err) && stress_settings(s, cfg, err);
}

static bool
init(struct daemon *d, struct err *err)
{
	struct smtpd *s = ARENA_NEW(d->mem, struct smtpd);

	s->daemon = d;
	if (!settings_load(s, err) || !prepare_for_stress(s, err))
		return false;
	if (s->needs_tcp)
		d->profile = SANDBOX_smtpd_tcp;
	d->state = s;
	return true;
}

static void
start(struct daemon *d)
{
	delegate_start(d->state);
	limits_start(d->state);
	stress_start(d->state);
}

static void
drain(struct daemon *d)
{
	delegate_drain(d->state);
}

static void
release(struct daemon *d)
{
	limits_release(d->state);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "smtpd",
		.profile = SANDBOX_smtpd,
		.init = init,
		.start = start,
		.drain = drain,
		.release = release,
		.session = session_run,
	};

	return daemon_main(argc, argv, &program);
}
