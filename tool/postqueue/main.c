/* SPDX-License-Identifier: Apache-2.0 */
/* postqueue: shows the queue as showq tells it. */
#include <string.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"

#include "config/common_config.h"
#include "config/config.h"
#include "fiber/connect.h"
#include "fiber/fiber.h"
#include "queue/list_wire.h"

#include "show.h"

enum { REASON_MAX = 1 << 17, CONNECT_MS = 10000 };

struct postqueue {
	struct arena *mem;
	struct loop *loop;
	struct common_config common;
	struct show show;
	bool ok;
	struct err err;
};

static int
fatal(const char *text)
{
	fflush(stdout);
	fprintf(stderr, "postqueue: fatal: %s\n", text);
	return EX_UNAVAILABLE;
}

static void
show(void *arg)
{
	struct postqueue *p = arg;
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const struct queue_list_sink sink = show_sink(&p->show);
	struct stream *in;
	bool stopped = false;

	snprintf(to.sun_path, sizeof(to.sun_path), "public/" PRI_STR,
		 STR_ARG(str_head(p->common.showq_service_name, 90)));
	if (!stream_connect(p->loop, (const struct sockaddr *)&to, sizeof(to), NULL, 0,
			    CONNECT_MS, &in, &p->err)) {
		struct err why = p->err;

		err_set(&p->err, ERR_TEMP,
			"Queue report unavailable - mail system is down (Connect to "
			"the " PRI_STR " " PRI_STR " service: %s)",
			STR_ARG(p->common.mail_name),
			STR_ARG(p->common.showq_service_name), strerror(why.errnum));
		return;
	}
	p->ok = list_wire_read(in, &sink, &stopped, &p->err);
	if (!p->ok)
		err_set(&p->err, ERR_PERM, "malformed showq server response");
	stream_close(&in);
}

int
main(int argc, char **argv)
{
	struct postqueue p = {.mem = arena_new(), .show = {.out = stdout}};
	struct config_options options = {.process_name = "postqueue"};
	struct config *cfg;
	int mode = 0;
	int c;

	while ((c = getopt(argc, argv, "c:fi:jps:v")) > 0) {
		if (c == 'c')
			options.dir = optarg;
		else if (c == 'f' || c == 'i' || c == 's')
			return fatal("options -f, -i and -s are not available yet");
		else if (c == '?' || (c != 'v' && mode != 0))
			mode = '?';
		else if (c != 'v')
			mode = c;
	}
	if ((mode != 'p' && mode != 'j') || optind < argc)
		return fatal("usage: postqueue -j | postqueue -p");
	if (getuid() != geteuid() || getgid() != getegid())
		return fatal("must not be set-uid or set-gid yet: access lists are not "
			     "checked");
	if (!config_load(p.mem, &options, &cfg, &p.err) ||
	    !common_config_load(p.mem, cfg, &p.common, &p.err))
		return fatal(p.err.text);
	if (chdir(str_c(p.mem, p.common.queue_directory)) < 0)
		return fatal("cannot change to the queue directory");
	p.show.json = mode == 'j';
	p.show.long_ids = p.common.enable_long_queue_ids;
	p.show.utf8 = p.common.smtputf8_enable;
	p.show.reason = buf_new(p.mem, REASON_MAX);
	p.loop = loop_new();
	if (fiber_spawn(p.loop, "show", show, &p) == NULL)
		return fatal("cannot start");
	loop_run(p.loop);
	loop_free(&p.loop);
	if (!p.ok)
		return fatal(p.err.text);
	show_end(&p.show);
	fflush(stdout); /* stdout remembers the error */
	if (ferror(stdout))
		return fatal("output write error");
	arena_free(&p.mem);
	return 0;
}
