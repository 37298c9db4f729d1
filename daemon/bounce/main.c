/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/panic.h"
#include "base/sys.h"

#include "config/config.h"
#include "daemon/daemon.h"
#include "fiber/offload.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/address.h"

#include "bounce.h"

enum { SYNC_THREADS = 4 };

static void
warn(void *arg, const char *text)
{
	const struct bounce *b = arg;

	log_warning(b->daemon->log, "%s", text);
}

/* bounce_template_file. Whatever is wrong with it, notices go out. */
static void
load_templates(struct bounce *b)
{
	struct daemon *d = b->daemon;
	struct bounce_templates *t = &b->templates;
	const struct bounce_template_ear ear = {.warn = warn, .arg = b};
	struct bounce_templates built_in;
	const char *path = str_c(d->mem, b->config.bounce_template_file);
	struct str text;
	struct err err;

	bounce_templates_default(t);
	built_in = *t;
	if (path[0] != '\0' &&
	    (!io_read_file(d->mem, AT_FDCWD, path, BOUNCE_TEMPLATE_FILE_MAX, &text,
			   &err) ||
	     !bounce_templates_parse(d->mem, path, text, &ear, t, &err)))
		warn(b, err.text);
	for (size_t i = 0; i < BOUNCE_TEMPLATES; i++) {
		struct bounce_template *one = &t->of[i];

		if (bounce_template_expand(d->mem, path, (enum bounce_template_kind)i,
					   d->config, &ear, one->text, &one->text, &err))
			continue;
		warn(b, err.text);
		*one = built_in.of[i];
		ensure(bounce_template_expand(d->mem, path, (enum bounce_template_kind)i,
					      d->config, &ear, one->text, &one->text,
					      &err));
	}
}

static bool
init(struct daemon *d, struct err *err)
{
	struct bounce *b = ARENA_NEW(d->mem, struct bounce);
	int root;

	b->daemon = d;
	if (!common_config_load(d->mem, d->config, &b->common, err) ||
	    !bounce_config_load(d->mem, d->config, &b->config, err))
		return false;
	load_templates(b);
	b->log = queue_name_find(str_from(d->service));
	if (b->log != QUEUE_BOUNCE && b->log != QUEUE_DEFER && b->log != QUEUE_TRACE)
		return err_set(err, ERR_CONFIG,
			       "service %s: must be bounce, defer or trace", d->service);
	b->postmaster_sender = address_join(d->mem, b->common.double_bounce_sender,
					    b->common.myhostname);
	root = sys_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (root < 0)
		return err_errno(err, ERR_TEMP, "open queue directory");
	if (!queue_dirs_init(&b->dirs, root, b->common.hash_queue_names,
			     b->common.hash_queue_depth, b->common.enable_long_queue_ids,
			     err))
		return false;
	b->offload = offload_new(d->loop, SYNC_THREADS);
	d->state = b;
	return true;
}

static bool
serve_request(struct bounce *b, const struct ipc_message *which, void *value,
	      struct err *err)
{
	bool ok;

	if (which == &ipc_bounce_append)
		return notice_append(b, value, err);
	if (which == &ipc_bounce_flush) {
		struct msg_bounce_flush *m = value;

		ok = notice_flush(b, m, err);
		if (m->message >= 0)
			sys_close(m->message);
		return ok;
	}
	ok = notice_warn(b, value, err);
	if (((struct msg_bounce_warn *)value)->message >= 0)
		sys_close(((struct msg_bounce_warn *)value)->message);
	return ok;
}

static void
session(struct daemon *d, struct stream *client)
{
	static const struct ipc_message *const accepted[] = {
		&ipc_bounce_append, &ipc_bounce_flush, &ipc_bounce_warn, NULL};
	struct bounce *b = d->state;
	struct arena *mem = arena_new();
	const struct ipc_message *which;
	struct ipc ipc;
	struct err err;
	void *value;

	stream_set_timeout_ms(client, b->common.ipc_timeout * 1000);
	ipc_init(&ipc, client);
	while (ipc_receive_any(&ipc, mem, accepted, &which, &value, &err) == IPC_DONE) {
		struct msg_bounce_done done = {.reason = STR_EMPTY};

		done.ok = serve_request(b, which, value, &err);
		if (!done.ok) {
			done.reason = str_from(err.text);
			log_warning(d->log, "%s", err.text);
		}
		if (!ipc_send(&ipc, &ipc_bounce_done, &done, &err) ||
		    !ipc_flush(&ipc, &err))
			break;
		arena_reset(mem);
	}
	arena_free(&mem);
}

static void
release(struct daemon *d)
{
	struct bounce *b = d->state;

	offload_free(&b->offload);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "bounce",
		.profile = SANDBOX_bounce,
		.init = init,
		.session = session,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
