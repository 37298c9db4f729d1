/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/log.h"
#include "base/map.h"

#include "daemon/daemon.h"
#include "daemon/logging.h"

#include "cache.h"
#include "client.h"
#include "postscreen.h"

enum { MS = 1000 };

static void
clean(struct timer *t, void *arg)
{
	struct screen *s = arg;
	int64_t oldest = screen_now() - s->config.postscreen_cache_retention_time;
	size_t retained;
	size_t dropped;
	struct err err;

	if (!cache_clean(s->cache, oldest, &retained, &dropped, &err))
		log_warning(s->log, "%s", err.text);
	log_info(s->log, "cache %s full cleanup: retained=%zu dropped=%zu entries",
		 s->cache_name, retained, dropped);
	timer_start_ms(t, s->config.postscreen_cache_cleanup_interval * MS);
}

static bool
init(struct daemon *d, struct err *err)
{
	struct screen *s = ARENA_NEW(d->mem, struct screen);

	s->daemon = d;
	s->dnsblog = log_new("dnsblog");
	if (!settings_load(s, err) ||
	    !logging_open(s->dnsblog, d->mem, d->config, "dnsblog", err))
		return false;
	s->connections = map_new_in(d->mem);
	d->state = s;
	return true;
}

static void
start(struct daemon *d)
{
	struct screen *s = d->state;
	struct err err;

	timer_init(&s->cleanup, d->loop, clean, s);
	if (s->cache == NULL)
		return;
	if (!cache_load(s->cache, &err))
		log_warning(s->log, "%s: results are kept in memory only", err.text);
	if (s->config.postscreen_cache_cleanup_interval > 0)
		timer_start_ms(&s->cleanup,
			       s->config.postscreen_cache_cleanup_interval * MS);
}

static void
drain(struct daemon *d)
{
	struct screen *s = d->state;

	timer_stop(&s->cleanup);
}

static void
release(struct daemon *d)
{
	struct screen *s = d->state;

	cache_free(&s->cache);
	log_free(&s->dnsblog);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "postscreen",
		.profile = SANDBOX_postscreen,
		.init = init,
		.start = start,
		.drain = drain,
		.release = release,
		.session = client_serve,
	};

	return daemon_main(argc, argv, &program);
}
