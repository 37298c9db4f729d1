/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the tests of this folder: a message on its way into a file in memory, with the
 * configuration of a text, and what was written told as text.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"

#include "config/config.h"
#include "daemon/daemon.h"
#include "queue/cleanup_status.h"

#include "cleanup.h"

enum { TOLD_MAX = 100000 };

struct fixture {
	struct daemon daemon;
	struct cleanup cleanup;
	struct message m;
	int log_fd;
};

static inline void
load_config(struct arena *mem, const char *text, struct fixture *f)
{
	static const char base[] = "compatibility_level = 3.6\n"
				   "myhostname = mx.test\nmydomain = test\n"
				   "myorigin = test\nmydestination = test\n";
	char dir[] = "/tmp/cleanup_test.XXXXXX";
	struct config_options options = {.dir = dir};
	struct cleanup *c = &f->cleanup;
	struct config *cfg;
	struct str path;
	struct err err;
	bool ok;

	assert_non_null(mkdtemp(dir));
	path = str_printf(mem, "%s/main.cf", dir);
	assert_true(
		io_replace_file(path.p, str_printf(mem, "%s%s", base, text), 0600, &err));
	ok = config_load(mem, &options, &cfg, &err) &&
	     common_config_load(mem, cfg, &c->common, &err) &&
	     cleanup_config_load(mem, cfg, &c->config, &err) &&
	     config_get_time(cfg, STR("delay_warning_time"), &c->delay_warning_s, &err) &&
	     rewrite_rules_load(mem, cfg, NULL, 0, &c->rules, &err) &&
	     maps_open(mem, "sender_bcc_maps", c->config.sender_bcc_maps, TABLE_DEFAULT,
		       &c->sender_bcc, &err) &&
	     maps_open(mem, "recipient_bcc_maps", c->config.recipient_bcc_maps,
		       TABLE_DEFAULT, &c->recipient_bcc, &err);
	unlink(path.p);
	rmdir(dir);
	if (!ok)
		fail_msg("%s: %s", text, err.text);
}

/* Ready for the envelope. */
static inline struct fixture *
fixture_new(struct arena *mem, const char *config)
{
	struct fixture *f = ARENA_NEW(mem, struct fixture);
	struct message *m = &f->m;

	load_config(mem, config, f);
	f->log_fd = memfd_create("log", MFD_CLOEXEC);
	f->daemon.mem = mem;
	f->daemon.log = log_new("postfix/cleanup");
	log_to_fd(f->daemon.log, f->log_fd, "mx");
	f->cleanup.daemon = &f->daemon;
	m->cleanup = &f->cleanup;
	m->mem = mem;
	m->id = STR("ABC1");
	m->fd = memfd_create("queue file", MFD_CLOEXEC);
	assert_true(f->log_fd >= 0 && m->fd >= 0);
	m->flags = CLEANUP_FLAG_BCC_OK | CLEANUP_FLAG_MAP_OK;
	m->sender = m->full_name = m->original = m->dsn_orcpt = STR_EMPTY;
	m->encoding = m->why = STR_EMPTY;
	m->origin = m->proto = m->helo = m->last_recipient = STR_EMPTY;
	m->filter = m->redirect = STR_EMPTY;
	m->recipients = map_new_in(mem);
	queue_writer_init(mem, &m->writer, m->fd, 0);
	return f;
}

static inline void
fixture_free(struct fixture *f)
{
	log_free(&f->daemon.log);
	close(f->log_fd);
	close(f->m.fd);
}

static inline struct str
file_text(struct arena *mem, int fd)
{
	char *text = arena_alloc(mem, TOLD_MAX);
	ssize_t n = pread(fd, text, TOLD_MAX, 0);

	assert_true(n >= 0);
	return str_from_mem(text, (size_t)n);
}

/* The records after the size and the times, as "Stext|Rtext|". Pieces of lines are
 * told as they are. */
static inline struct str
fixture_records(struct arena *mem, struct fixture *f)
{
	struct buf *out = buf_new(mem, TOLD_MAX);
	struct str rest;
	struct record r;
	size_t used;

	/* What is still in the buffer of the writer. */
	assert_true(io_write_all(f->m.fd, buf_str(f->m.writer.out), "file",
				 &(struct err){0}));
	rest = file_text(mem, f->m.fd);
	while (record_decode(rest, &r, &used) == RECORD_GOT) {
		rest = str_skip(rest, used);
		if (r.letter == 'C' || r.letter == 'T' ||
		    str_starts(r.data, STR("create_time=")))
			continue;
		buf_add_char(out, r.letter);
		buf_add(out, r.data);
		buf_add_char(out, '|');
	}
	assert_int_equal(rest.len, 0);
	return buf_str(out);
}
