/* SPDX-License-Identifier: Apache-2.0 */
/*
 * showq: who connects gets the list of the queue (queue/list_wire.h), no question asked.
 */
#include <fcntl.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/sys.h"

#include "config/cleanup_config.h"
#include "config/common_config.h"
#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "queue/list.h"
#include "queue/list_wire.h"

struct showq {
	struct common_config common;
	struct cleanup_config cleanup;
	struct queue_dirs dirs;
	struct queue_list_options options;
};

/* One listing: the wire's sink, and a pause after each message. */
struct listing {
	struct daemon *daemon;
	struct queue_list_sink wire;
};

static bool
tell_message(void *arg, const struct queue_list_message *m)
{
	struct listing *l = arg;

	return l->wire.message(l->wire.arg, m);
}

static bool
tell_recipient(void *arg, struct str address, struct str reason)
{
	struct listing *l = arg;

	return l->wire.recipient(l->wire.arg, address, reason);
}

/* Others shall have their turn, however long the queue is. */
static bool
tell_end(void *arg)
{
	struct listing *l = arg;

	return l->wire.end(l->wire.arg) && fiber_yield(l->daemon->loop);
}

static void
tell_warning(void *arg, const char *text)
{
	const struct listing *l = arg;

	log_warning(l->daemon->log, "%s", text);
}

static void
session(struct daemon *d, struct stream *client)
{
	const struct showq *s = d->state;
	struct listing l = {.daemon = d, .wire = list_wire_sink(client)};
	const struct queue_list_sink sink = {.message = tell_message,
					     .recipient = tell_recipient,
					     .end = tell_end,
					     .warning = tell_warning,
					     .arg = &l};

	stream_set_timeout_ms(client, s->common.ipc_timeout * 1000);
	/* A reader that went away is its own affair. */
	if (list_wire_begin(client) && queue_list(&s->dirs, &s->options, &sink))
		IGNORE(!list_wire_end(client));
}

static bool
init(struct daemon *d, struct err *err)
{
	struct showq *s = ARENA_NEW(d->mem, struct showq);
	int root;

	if (!common_config_load(d->mem, d->config, &s->common, err) ||
	    !cleanup_config_load(d->mem, d->config, &s->cleanup, err))
		return false;
	root = sys_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (root < 0)
		return err_errno(err, ERR_TEMP, "open queue directory");
	if (!queue_dirs_init(&s->dirs, root, s->common.hash_queue_names,
			     s->common.hash_queue_depth, s->common.enable_long_queue_ids,
			     err))
		return false;
	s->options.null_sender = s->common.empty_address_recipient;
	s->options.remember_max = s->cleanup.duplicate_filter_limit;
	d->state = s;
	return true;
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "showq",
		.profile = SANDBOX_showq,
		.init = init,
		.session = session,
	};

	return daemon_main(argc, argv, &program);
}
