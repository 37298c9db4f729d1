/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/macros.h"

#include "agent/agent.h"
#include "agent/status_filter.h"
#include "config/access_config.h"
#include "daemon/daemon.h"
#include "daemon/privilege.h"
#include "daemon/tables.h"
#include "table/maps.h"

#include "virtual.h"

/* Whose mailbox it is, a pattern may say, but no part of the address. */
enum { FLAGS = TABLE_DEFAULT | TABLE_NO_REGSUB };

static bool
open_tables(struct virtual_agent *v, struct err *err)
{
	struct access_config access;
	struct str values[4];

	if (!access_config_load(v->daemon->mem, v->daemon->config, &access, err))
		return false;
	values[0] = access.virtual_mailbox_maps;
	values[1] = v->config.virtual_uid_maps;
	values[2] = v->config.virtual_gid_maps;
	values[3] = v->config.virtual_delivery_status_filter;
	if (!daemon_open_maps(v->daemon, "virtual_mailbox_maps", values[0], FLAGS,
			      &v->mailboxes, err) ||
	    !daemon_open_maps(v->daemon, "virtual_uid_maps", values[1], FLAGS, &v->uids,
			      err) ||
	    !daemon_open_maps(v->daemon, "virtual_gid_maps", values[2], FLAGS, &v->gids,
			      err) ||
	    !agent_status_filter_open(v->daemon, "virtual_delivery_status_filter",
				      values[3], &v->status_filter, err))
		return false;
	v->daemon->tables = rewrite_rules_places(v->daemon->mem, &v->rules, values,
						 ARRAY_LEN(values));
	return true;
}

/* A mailbox that holds no message would return all mail. */
static bool
check_limits(const struct virtual_agent *v, struct err *err)
{
	int64_t max = v->config.virtual_mailbox_limit;

	if (v->config.virtual_mailbox_base.len == 0)
		return err_set(err, ERR_CONFIG, "virtual_mailbox_base: no value");
	if (max > 0 &&
	    (v->common.message_size_limit == 0 || max < v->common.message_size_limit))
		return err_set(err, ERR_CONFIG,
			       "main.cf configuration error: virtual_mailbox_limit is "
			       "smaller than message_size_limit");
	return true;
}

static bool
init(struct daemon *d, struct err *err)
{
	static const struct helper_places places = {0};
	struct virtual_agent *v = ARENA_NEW(d->mem, struct virtual_agent);

	v->daemon = d;
	if (!common_config_load(d->mem, d->config, &v->common, err) ||
	    !local_config_load(d->mem, d->config, &v->local, err) ||
	    !virtual_config_load(d->mem, d->config, &v->config, err) ||
	    !check_limits(v, err) || !helper_start(d, &places, &v->helper, err) ||
	    !rewrite_rules_load(d->mem, d->config, NULL, 0, &v->rules, err) ||
	    !open_tables(v, err))
		return false;
	d->state = v;
	/* From here on only the helper has them. */
	return privilege_drop(str_c(d->mem, v->common.mail_owner), err);
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
		.name = "virtual",
		.profile = SANDBOX_virtual,
		.init = init,
		.session = session,
	};

	return daemon_main(argc, argv, &program);
}
