/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr.h"

#include "base/arena.h"
#include "base/macros.h"
#include "base/mem.h"

#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"

#include "cleanup.h"

enum { CONNECT_MS = 1000, SEND_MS = 1000 };

struct qmgr_link {
	struct stream *stream;
	struct ipc ipc;
};

void
qmgr_link_close(struct qmgr_link **link)
{
	if (*link == NULL)
		return;
	stream_close(&(*link)->stream);
	mem_free(*link);
	*link = NULL;
}

static struct qmgr_link *
link_open(struct cleanup *c)
{
	struct qmgr_link *link;
	struct stream *s;
	struct err err;

	if (!daemon_connect(c->daemon, "public/qmgr", CONNECT_MS, &s, &err))
		return NULL;
	stream_set_timeout_ms(s, SEND_MS);
	link = mem_alloc(sizeof(*link));
	link->stream = s;
	ipc_init(&link->ipc, s);
	return link;
}

/* Who uses it takes it away: another session that has something to tell opens its own. */
static struct qmgr_link *
take_link(struct cleanup *c)
{
	struct qmgr_link *link = c->qmgr;

	c->qmgr = NULL;
	return link;
}

static void
keep_link(struct cleanup *c, struct qmgr_link *link)
{
	if (c->qmgr == NULL)
		c->qmgr = link;
	else
		qmgr_link_close(&link);
}

/* qmgr answers only when it is full, or is gone. */
static void
hear_qmgr(struct cleanup *c)
{
	struct qmgr_link *link = take_link(c);
	struct arena *mem;
	struct msg_qmgr_full full;
	struct err err;

	if (link == NULL)
		return;
	mem = arena_new();
	while (link != NULL && stream_has_input(link->stream)) {
		c->qmgr_is_full = ipc_receive(&link->ipc, mem, &ipc_qmgr_full, &full,
					      &err) == IPC_DONE;
		if (!c->qmgr_is_full)
			qmgr_link_close(&link);
	}
	if (link != NULL)
		keep_link(c, link);
	arena_free(&mem);
}

void
qmgr_wait(struct cleanup *c)
{
	hear_qmgr(c);
	if (c->qmgr_is_full)
		IGNORE(!fiber_sleep(c->daemon->loop, c->config.in_flow_delay * 1000));
}

void
qmgr_announce(struct cleanup *c, struct str queue_id, int file)
{
	const struct msg_qmgr_arrived arrived = {.queue_id = queue_id, .file = file};
	struct qmgr_link *link;
	struct err err;

	hear_qmgr(c);
	link = take_link(c);
	if (link == NULL)
		link = link_open(c);
	if (link == NULL)
		return;
	c->qmgr_is_full = false;
	if (ipc_send(&link->ipc, &ipc_qmgr_arrived, &arrived, &err) &&
	    ipc_flush(&link->ipc, &err))
		keep_link(c, link);
	else
		qmgr_link_close(&link);
}
