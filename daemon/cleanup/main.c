/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/sys.h"

#include "config/config.h"
#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "fiber/stream.h"

#include "cleanup.h"
#include "durable.h"
#include "milter.h"
#include "qmgr.h"
#include "session.h"

static void
warn(void *arg, const char *text)
{
	log_warning(arg, "%s", text);
}

static bool
init(struct daemon *d, struct err *err)
{
	struct cleanup *c = ARENA_NEW(d->mem, struct cleanup);
	bool needs_tcp;
	int root;

	c->daemon = d;
	if (!common_config_load(d->mem, d->config, &c->common, err) ||
	    !cleanup_config_load(d->mem, d->config, &c->config, err) ||
	    !config_get_time(d->config, STR("delay_warning_time"), &c->delay_warning_s,
			     err) ||
	    !rewrite_rules_load(d->mem, d->config, NULL, 0, &c->rules, err) ||
	    !rewrite_rules_check_classes(&c->rules, err) ||
	    !maps_open(d->mem, "sender_bcc_maps", c->config.sender_bcc_maps,
		       TABLE_DEFAULT, &c->sender_bcc, err) ||
	    !maps_open(d->mem, "recipient_bcc_maps", c->config.recipient_bcc_maps,
		       TABLE_DEFAULT, &c->recipient_bcc, err) ||
	    !checks_load(c, err) || !milter_load(c, &needs_tcp, err))
		return false;
	if (needs_tcp)
		d->profile = SANDBOX_cleanup_tcp;
	d->tables = rewrite_rules_places(
		d->mem, &c->rules,
		(struct str[]){c->config.sender_bcc_maps, c->config.recipient_bcc_maps,
			       c->config.header_checks, c->config.mime_header_checks,
			       c->config.nested_header_checks, c->config.body_checks},
		6);
	rewrite_rules_warnings(&c->rules, warn, d->log);
	daemon_warn_of_maps(d, c->sender_bcc);
	daemon_warn_of_maps(d, c->recipient_bcc);
	root = sys_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (root < 0)
		return err_errno(err, ERR_TEMP, "open queue directory");
	if (!queue_dirs_init(&c->dirs, root, c->common.hash_queue_names,
			     c->common.hash_queue_depth, c->common.enable_long_queue_ids,
			     err))
		return false;
	if (!durable_new(c, &c->durable, err))
		return false;
	d->state = c;
	return true;
}

static void
release(struct daemon *d)
{
	struct cleanup *c = d->state;

	qmgr_link_close(&c->qmgr);
	durable_free(&c->durable);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "cleanup",
		.profile = SANDBOX_cleanup,
		.init = init,
		.session = session_run,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
