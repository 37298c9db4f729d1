/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests: a dialogue with the dummy engine over a stream in memory.
 */

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"

#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "table/maps.h"
#include "table/match.h"

#include "dummy.h"
#include "postscreen.h"

enum { DUMMY_OUTPUT_MAX = 1 << 20 };

struct dummy_talk {
	struct arena *mem;
	struct daemon daemon;
	struct screen screen;
	struct client client;
	struct buf *said;
};

static inline bool
dummy_screen(struct dummy_talk *t, int log_fd, struct err *err)
{
	struct screen *s = &t->screen;

	s->daemon = &t->daemon;
	s->log = log_new("postscreen");
	log_to_fd(s->log, log_fd, "host");
	s->banner = STR("host.example ESMTP");
	s->common.myhostname = STR("host.example");
	s->common.line_length_limit = 512;
	s->common.message_size_limit = 1000;
	s->common.smtputf8_enable = true;
	s->config.postscreen_command_count_limit = 20;
	s->config.postscreen_command_time_limit = 10;
	s->config.postscreen_discard_ehlo_keywords = STR("dsn");
	for (unsigned i = 0; i < TESTS; i++)
		s->ttl[i] = 100;
	return match_open(t->mem, MATCH_STRINGS, "forbidden", STR("CONNECT GET POST"), 0,
			  &s->forbidden, err) &&
	       maps_open(t->mem, "filter", STR_EMPTY, TABLE_DEFAULT, &s->command_filter,
			 err) &&
	       maps_open(t->mem, "discard", STR_EMPTY, TABLE_DEFAULT, &s->discard_maps,
			 err);
}

static inline bool
dummy_talk_start(struct dummy_talk *t, enum screen_action action, struct err *err)
{
	*t = (struct dummy_talk){.mem = arena_new()};
	for (unsigned i = 0; i < TESTS; i++)
		t->screen.action[i] = action;
	return dummy_screen(t, -1, err);
}

/* The whole of what the client says; what it heard is in t->said. */
static inline void
dummy_talk_run(struct dummy_talk *t, struct str input, size_t step)
{
	t->said = buf_new(t->mem, DUMMY_OUTPUT_MAX);
	t->client = (struct client){
		.screen = &t->screen,
		.config = &t->screen.config,
		.mem = t->mem,
		.now = arena_new_child(t->mem),
		.stream = stream_from_memory(input, t->said, step),
		.address = STR("192.0.2.1"),
		.port = STR("1"),
		.rcpt_reply = STR("450 4.3.2 Service currently unavailable"),
		.final_reply = STR_EMPTY,
		.helo = STR_EMPTY,
		.sender = STR_EMPTY,
	};
	dummy_run(&t->client);
	stream_close(&t->client.stream);
}

static inline void
dummy_talk_end(struct dummy_talk *t)
{
	log_free(&t->screen.log);
	arena_free(&t->mem);
}
