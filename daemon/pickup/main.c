/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes what postdrop left in maildrop/ and gives it to cleanup. Triggered by postdrop,
 * woken by the master, and after each file looks again.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/sys.h"

#include "config/receive_config.h"
#include "daemon/daemon.h"
#include "fiber/event.h"
#include "fiber/fiber.h"
#include "queue/receive.h"

#include "pickup.h"

enum { TRIGGER_BYTES = 100 };

/* One fiber does the work; everybody else only says that there may be some. */
static void
work(void *arg)
{
	struct daemon *d = arg;
	struct pickup *p = d->state;

	while (!d->draining) {
		p->wanted = false;
		pickup_scan(p);
		while (!p->wanted && !d->draining) {
			if (event_wait(&p->work, LOOP_FOREVER) == FIBER_CANCELLED)
				return;
		}
	}
}

static void
wake(struct daemon *d)
{
	struct pickup *p = d->state;

	p->wanted = true;
	event_signal_all(&p->work);
}

/* A trigger connection: what it says does not matter. */
static void
triggered(struct daemon *d, int fd)
{
	char bytes[TRIGGER_BYTES];
	int client = sys_accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client < 0)
		return;
	while (sys_read(client, bytes, sizeof(bytes)) > 0)
		;
	sys_close(client);
	wake(d);
}

static bool
init(struct daemon *d, struct err *err)
{
	struct pickup *p = ARENA_NEW(d->mem, struct pickup);
	struct receive_config receive;

	p->daemon = d;
	if (!common_config_load(d->mem, d->config, &p->common, err) ||
	    !receive_config_load(d->mem, d->config, &receive, err) ||
	    !receive_override_parse(receive.receive_override_options, &p->overrides, err))
		return false;
	p->content_filter = receive.content_filter;
	p->owner = geteuid() == 0 ? (uid_t)-1 : geteuid();
	p->root = sys_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (p->root < 0)
		return err_errno(err, ERR_TEMP, "open queue directory");
	if (!queue_dirs_init(&p->dirs, p->root, STR_EMPTY, 1,
			     p->common.enable_long_queue_ids, err))
		return false;
	event_init(&p->work, d->loop);
	d->state = p;
	return true;
}

static void
start(struct daemon *d)
{
	struct pickup *p = d->state;

	p->owner = geteuid();
	p->worker = fiber_spawn(d->loop, "pickup", work, d);
}

static void
drain(struct daemon *d)
{
	wake(d);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "pickup",
		.profile = SANDBOX_pickup,
		.init = init,
		.start = start,
		.raw_listener = triggered,
		.wakeup = wake,
		.drain = drain,
	};

	return daemon_main(argc, argv, &program);
}
