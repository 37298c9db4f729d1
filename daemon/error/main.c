/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error and retry: a delivery that fails, for good or for now, with the next hop as the
 * reason.
 */
#include "base/str.h"

#include "agent/agent.h"
#include "daemon/daemon.h"

static void
deliver(struct agent_request *r)
{
	bool soft = str_eq(str_from(r->daemon->service), STR("retry"));
	struct str reason;
	struct dsn_status status =
		dsn_status_split(soft ? "4.0.0" : "5.0.0", r->msg.nexthop, &reason);
	struct dsn dsn;

	if (reason.len == 0)
		reason = STR("Address is undeliverable");
	dsn = dsn_make(r->mem, dsn_status_with_class(status, soft ? '4' : '5').text,
		       reason);
	for (size_t i = 0; i < r->n_recipients; i++)
		agent_answer(r, &r->recipients[i],
			     soft ? DELIVER_DEFERRED : DELIVER_BOUNCED, STR("none"), 0,
			     &dsn);
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
		.name = "error",
		.profile = SANDBOX_error,
		.init = init,
		.session = session,
	};

	return daemon_main(argc, argv, &program);
}
