/* SPDX-License-Identifier: Apache-2.0 */
#include "errors.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"
#include "fiber/loop.h"

enum { LINE_MAX_BYTES = 2000, READ_BYTES = 4096, LINES_PER_SECOND = 50 };

struct errors {
	struct log *log;
	struct loop *loop;
	int ends[2];
	struct watch watch;
	struct buf text;
	int64_t second; /* of the present count */
	unsigned lines;
	unsigned dropped;
};

static void
log_line(struct errors *e, struct str line)
{
	int64_t second = loop_now_ms(e->loop) / 1000;

	if (line.len == 0)
		return;
	if (second != e->second) {
		if (e->dropped > 0)
			log_warning(e->log, "%u lines of standard error were dropped",
				    e->dropped);
		e->second = second;
		e->lines = e->dropped = 0;
	}
	if (e->lines++ < LINES_PER_SECOND)
		log_warning(e->log, "standard error: " PRI_STR, STR_ARG(line));
	else
		e->dropped++;
}

static void
log_lines(struct errors *e, bool all)
{
	for (;;) {
		struct str text = buf_str(&e->text);
		size_t end = str_index(text, '\n');

		if (end == text.len && !all && text.len < LINE_MAX_BYTES)
			return;
		if (text.len == 0)
			return;
		log_line(e, str_head(text, MIN_OF(end, LINE_MAX_BYTES)));
		buf_consume(&e->text, MIN_OF(end + 1, text.len));
	}
}

static bool
take(struct errors *e)
{
	char *room = buf_reserve(&e->text, READ_BYTES);
	ssize_t n = room == NULL ? -1 : sys_read(e->ends[0], room, READ_BYTES);

	if (n <= 0)
		return false;
	buf_commit(&e->text, (size_t)n);
	return true;
}

static void
ready(struct watch *w UNUSED, unsigned events UNUSED, void *arg)
{
	struct errors *e = arg;

	IGNORE(take(e));
	log_lines(e, false);
}

bool
errors_open(struct loop *loop, struct log *log, struct errors **out, struct err *err)
{
	struct errors *e = mem_alloc(sizeof(*e));

	/* Non-blocking at both ends: whoever writes more than fits loses it. */
	if (pipe2(e->ends, O_CLOEXEC | O_NONBLOCK) != 0) {
		mem_free(e);
		return err_errno(err, ERR_TEMP, "pipe");
	}
	e->log = log;
	e->loop = loop;
	buf_init(&e->text, LINE_MAX_BYTES + 2 * READ_BYTES);
	watch_init(&e->watch, loop, e->ends[0], WATCH_READ, ready, e);
	watch_start(&e->watch);
	*out = e;
	return true;
}

int
errors_fd(const struct errors *e)
{
	return e->ends[1];
}

void
errors_close(struct errors **ep)
{
	struct errors *e = *ep;

	*ep = NULL;
	while (take(e))
		log_lines(e, false);
	log_lines(e, true);
	watch_stop(&e->watch);
	buf_release(&e->text);
	sys_close(e->ends[0]);
	sys_close(e->ends[1]);
	mem_free(e);
}
