/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "agent/agent.h"
#include "daemon/daemon.h"

#include "smtp.h"
#include "tls.h"

static bool
init(struct daemon *d, struct err *err)
{
	struct smtp *s = ARENA_NEW(d->mem, struct smtp);

	s->daemon = d;
	s->lmtp = str_eq(str_from(d->program->name), STR("lmtp"));
	if (!settings_load(s, err))
		return false;
	cache_init(s);
	if (tls_reads_files(s)) {
		d->profile = SANDBOX_smtp_files;
		d->tables = tls_folders(s);
	}
	d->state = s;
	return true;
}

static void
session(struct daemon *d, struct stream *client)
{
	agent_session(d, client, deliver);
}

static void
drain(struct daemon *d)
{
	cache_drop_all(d->state);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
#ifdef AS_LMTP
		.name = "lmtp",
#else
		.name = "smtp",
#endif
		.profile = SANDBOX_smtp,
		.init = init,
		.session = session,
		.drain = drain,
	};

	return daemon_main(argc, argv, &program);
}
