/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discard: a delivery that succeeds and goes nowhere, with the next hop as the reason.
 */
#include "base/str.h"

#include "agent/agent.h"
#include "daemon/daemon.h"

static void
deliver(struct agent_request *r)
{
	struct str reason;
	struct dsn_status status = dsn_status_split("2.0.0", r->msg.nexthop, &reason);
	struct dsn dsn =
		dsn_make(r->mem, dsn_status_with_class(status, '2').text, reason);

	for (size_t i = 0; i < r->n_recipients; i++)
		agent_answer(r, &r->recipients[i], DELIVER_SENT, STR("none"), 0, &dsn);
}

static void
session(struct daemon *d, struct stream *client)
{
	agent_session(d, client, deliver);
}

static bool
init(struct daemon *d, struct err *err)
{
	(void)d;
	(void)err;
	return true;
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "discard",
		.profile = SANDBOX_discard,
		.init = init,
		.session = session,
	};

	return daemon_main(argc, argv, &program);
}
