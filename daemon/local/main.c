/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/macros.h"

#include "agent/agent.h"
#include "agent/status_filter.h"
#include "daemon/daemon.h"
#include "daemon/privilege.h"
#include "daemon/tables.h"
#include "deliver/environment.h"
#include "fiber/loop.h"
#include "table/maps.h"

#include "local.h"

enum { STACK_BYTES = 1 << 20 };

static bool
open_tables(struct local *l, struct err *err)
{
	struct access_config access;
	struct str values[5];

	if (!access_config_load(l->daemon->mem, l->daemon->config, &access, err))
		return false;
	values[0] = access.alias_maps;
	values[1] = l->config.mailbox_transport_maps;
	values[2] = l->config.fallback_transport_maps;
	values[3] = l->config.mailbox_command_maps;
	values[4] = l->config.local_delivery_status_filter;
	if (!daemon_open_maps(l->daemon, "alias_maps", values[0],
			      TABLE_DEFAULT | TABLE_NO_REGSUB, &l->aliases, err) ||
	    !daemon_open_maps(l->daemon, "mailbox_transport_maps", values[1],
			      TABLE_DEFAULT | TABLE_NO_REGSUB, &l->transports, err) ||
	    !daemon_open_maps(l->daemon, "fallback_transport_maps", values[2],
			      TABLE_DEFAULT | TABLE_NO_REGSUB, &l->fallback_transports,
			      err) ||
	    !daemon_open_maps(l->daemon, "mailbox_command_maps", values[3],
			      TABLE_DEFAULT | TABLE_NO_REGSUB, &l->commands, err) ||
	    !agent_status_filter_open(l->daemon, "local_delivery_status_filter",
				      values[4], &l->status_filter, err))
		return false;
	l->daemon->tables = rewrite_rules_places(l->daemon->mem, &l->rules, values,
						 ARRAY_LEN(values));
	return true;
}

static bool
start_helper(struct local *l, struct err *err)
{
	struct daemon *d = l->daemon;
	const struct helper_places places = {
		.spool_directory = str_c(d->mem, l->config.mail_spool_directory)};

	return helper_start(d, &places, &l->helper, err);
}

static bool
init(struct daemon *d, struct err *err)
{
	struct local *l = ARENA_NEW(d->mem, struct local);

	l->daemon = d;
	if (!common_config_load(d->mem, d->config, &l->common, err) ||
	    !local_config_load(d->mem, d->config, &l->config, err) ||
	    !cleanup_config_load(d->mem, d->config, &l->cleanup, err) ||
	    !start_helper(l, err) ||
	    !rewrite_rules_load(d->mem, d->config, NULL, 0, &l->rules, err) ||
	    !open_tables(l, err))
		return false;
	l->environment = environment_list(d->mem, l->config.export_environment);
	/* An alias may lead to an alias a hundred times. */
	loop_set_stack_bytes(d->loop, STACK_BYTES);
	d->state = l;
	/* From here on only the helper has them. */
	return privilege_drop(str_c(d->mem, l->common.mail_owner), err);
}

static void
session(struct daemon *d, struct stream *client)
{
	agent_session(d, client, deliver);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "local",
		.profile = SANDBOX_local,
		.init = init,
		.session = session,
	};

	return daemon_main(argc, argv, &program);
}
