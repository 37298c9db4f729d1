/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation that one process begins and another goes on with. */
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"

#include "milter/milter_internal.h"

enum { MACROS_MAX = 262144 };

/* NUL becomes LF, and an LF inside a value a blank. */
static struct str
export_macros(struct milter *m, struct arena *mem, enum milter_stage stage)
{
	struct buf *out = buf_new(mem, MACROS_MAX);

	milter_put_macros(m, mem, stage, out);
	if (!buf_ok(out))
		return STR_EMPTY;
	for (size_t i = 0; i < out->len; i++) {
		if (out->p[i] == '\n' || out->p[i] == '\r')
			out->p[i] = ' ';
		else if (out->p[i] == '\0')
			out->p[i] = '\n';
	}
	return buf_str(out);
}

static bool
send_one(struct milter *m, struct arena *mem, struct ipc *ipc, struct err *err)
{
	struct msg_cleanup_milter msg = {
		.name = m->setting->text,
		.state = m->state,
		.version = m->version,
		.actions = m->actions,
		.protocol = m->flags,
		.content_ms = m->setting->content_ms,
		.failure = m->setting->failure,
		.verdict = m->standing.verdict,
		.reply = m->standing.reply,
		.header_macros = STR_EMPTY,
		.end_macros = STR_EMPTY,
		.connection = -1,
	};

	if (m->state == MILTER_READY) {
		msg.header_macros = export_macros(m, mem, MILTER_STAGE_END_OF_HEADER);
		msg.end_macros = export_macros(m, mem, MILTER_STAGE_END_OF_MESSAGE);
		if (stream_flush(m->stream) == STREAM_OK)
			msg.connection = stream_fd(m->stream);
	}
	return ipc_send(ipc, &ipc_cleanup_milter, &msg, err);
}

bool
milters_send(struct milters *all, struct arena *mem, struct ipc *ipc, struct err *err)
{
	for (size_t i = 0; i < all->n; i++)
		if (!send_one(&all->list[i], mem, ipc, err))
			return false;
	return true;
}

static void
take_one(struct milter *m, struct milter_setting *setting,
	 const struct msg_cleanup_milter *msg)
{
	const struct milter_world *w = m->all->world;

	*setting = (struct milter_setting){.text = msg->name,
					   .content_ms = msg->content_ms,
					   .command_ms = msg->content_ms,
					   .failure = (enum milter_failure)msg->failure,
					   .version = (int)msg->version};
	m->setting = setting;
	m->is_imported = true;
	m->version = (int)msg->version;
	m->actions = (uint32_t)msg->actions;
	m->flags = (uint32_t)msg->protocol;
	m->state = (enum milter_state)msg->state;
	m->standing.verdict = (enum milter_verdict)msg->verdict;
	m->standing.reply = msg->reply;
	m->values[MILTER_STAGE_END_OF_HEADER] = msg->header_macros;
	m->values[MILTER_STAGE_END_OF_MESSAGE] = msg->end_macros;
	if (msg->connection >= 0)
		m->stream = stream_from_fd(w->loop, msg->connection);
}

static bool
is_sound(const struct msg_cleanup_milter *msg)
{
	return msg->state <= MILTER_FAILED && msg->failure <= MILTER_FAIL_SHUTDOWN &&
	       msg->verdict <= MILTER_SHUTDOWN &&
	       (msg->state != MILTER_READY || msg->connection >= 0);
}

bool
milters_receive(struct arena *mem, const struct milter_settings *settings, size_t n,
		const struct milter_world *world, struct ipc *ipc, struct milters **out,
		struct err *err)
{
	struct milter_setting *list;
	struct milters *all;

	if (n > MILTER_LIST_MAX)
		return err_set(err, ERR_PERM, "%zu milters", n);
	list = arena_alloc_array(mem, n + 1, sizeof(*list));
	all = milters_new(mem, settings, &(struct milter_list){n, list}, world);
	/* Descriptors end with the conversation, also after a failure. */
	*out = all;
	for (size_t i = 0; i < n; i++) {
		struct msg_cleanup_milter msg;

		if (ipc_receive(ipc, mem, &ipc_cleanup_milter, &msg, err) != IPC_DONE)
			return false;
		if (!is_sound(&msg)) {
			if (msg.connection >= 0)
				close(msg.connection);
			return err_set(err, ERR_PERM, "bad milter state");
		}
		take_one(&all->list[i], &list[i], &msg);
	}
	return true;
}
