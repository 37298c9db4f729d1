/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/arena.h"

#include "agent/agent.h"
#include "agent/status_filter.h"
#include "config/config.h"
#include "config/local_config.h"
#include "daemon/daemon.h"
#include "daemon/privilege.h"
#include "deliver/environment.h"

#include "pipe.h"

/* Neither root nor who owns the queue: a command is somebody else's. */
static bool
find_owner(struct pipe_agent *p, struct err *err)
{
	struct arena *mem = p->daemon->mem;
	const char *user = str_c(mem, p->attributes.user);
	const char *group = str_c(mem, p->attributes.group);
	uid_t uid;
	uid_t mail_uid;
	gid_t gid;
	gid_t mail_gid;
	gid_t setgid_gid;

	if (!privilege_find_user(user, &uid, &gid, err) ||
	    (group[0] != '\0' && !privilege_find_group(group, &gid, err)) ||
	    !privilege_find_user(str_c(mem, p->common.mail_owner), &mail_uid, &mail_gid,
				 err))
		return false;
	if (uid == 0 || gid == 0)
		return err_set(err, ERR_CONFIG,
			       "user= command-line attribute specifies root privileges");
	/* Without root's rights all is one account's. */
	if (geteuid() == 0 && (uid == mail_uid || gid == mail_gid))
		return err_set(err, ERR_CONFIG,
			       "user= command-line attribute specifies mail system owner "
			       "%s",
			       str_c(mem, p->common.mail_owner));
	if (geteuid() == 0 &&
	    privilege_find_group(str_c(mem, p->common.setgid_group), &setgid_gid, err) &&
	    gid == setgid_gid)
		return err_set(err, ERR_CONFIG,
			       "user= command-line attribute specifies mail system "
			       "setgid_group");
	p->owner = (struct job_owner){.uid = uid, .gid = gid};
	return true;
}

static bool
init(struct daemon *d, struct err *err)
{
	struct pipe_agent *p = ARENA_NEW(d->mem, struct pipe_agent);
	struct helper_places places = {0};
	struct local_config local;

	p->daemon = d;
	if (!common_config_load(d->mem, d->config, &p->common, err) ||
	    !local_config_load(d->mem, d->config, &local, err) ||
	    !config_get_bool(d->config, STR("owner_request_special"),
			     &p->owner_request_special, err) ||
	    !config_transport_time(d->config, str_from(d->service), STR("time_limit"),
				   &p->time_limit_s, err) ||
	    !pipe_attributes_parse(d->mem, d->args, &p->attributes, err) ||
	    !find_owner(p, err))
		return false;
	if (!agent_status_filter_open(d, "pipe_delivery_status_filter",
				      local.pipe_delivery_status_filter,
				      &p->status_filter, err))
		return false;
	p->environment = environment_list(d->mem, local.export_environment);
	if (p->attributes.chroot.len > 0)
		places.chroot = str_c(d->mem, p->attributes.chroot);
	d->state = p;
	/* From here on only the helper has our privileges. */
	return helper_start(d, &places, &p->helper, err) &&
	       privilege_drop(str_c(d->mem, p->common.mail_owner), err);
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
		.name = "pipe",
		.profile = SANDBOX_pipe,
		.init = init,
		.session = session,
	};

	return daemon_main(argc, argv, &program);
}
