/* SPDX-License-Identifier: Apache-2.0 */
#include "submit.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/sys.h"
#include "queue/record.h"

enum { FLUSH_BYTES = 65536, LIST_MAX = 16384, ANSWER_CHUNK = 512, ATTRIBUTE_MAX = 10 };

/* The bits of a status, the more important ones first (facts: logs 5). */
static const struct {
	unsigned bit;
	struct str text;
} texts[] = {
	{128, STR_INIT("service unavailable")},
	{1, STR_INIT("internal protocol error")},
	{64, STR_INIT("no recipients specified")},
	{16, STR_INIT("too many hops")},
	{4, STR_INIT("message file too big")},
	{8, STR_INIT("message content rejected")},
	{2, STR_INIT("queue file write error")},
	{512, STR_INIT("service denied")},
};

static void
close_pipe(int *fd)
{
	if (*fd >= 0)
		sys_close(*fd);
	*fd = -1;
}

/* The child, with the ends of the pipes as its standard input and output; -1 with errno.
 * Not fork(): a copy of our address space only to throw it away is a good part of what a
 * short program costs. */
static pid_t
spawn(const char *const *argv, int in, int out)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	pid_t child = -1;
	int status;

	posix_spawn_file_actions_init(&actions);
	status = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	if (status == 0)
		status = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (status == 0)
		status = sys_posix_spawn(&child, argv[0], &actions, NULL,
					 (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (status == 0)
		return child;
	if (status > 0)
		errno = status;
	return -1;
}

static int
wait_for(struct submit *s)
{
	int status = 0;

	while (s->child > 0 && sys_waitpid(s->child, &status, 0) < 0 && errno == EINTR)
		;
	s->child = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The next byte of the answer, -1 at its end. */
static int
next_byte(struct submit *s)
{
	if (s->answer->len == s->answer_at) {
		char chunk[ANSWER_CHUNK];
		ssize_t n;

		do {
			n = sys_read(s->from, chunk, sizeof(chunk));
		} while (n < 0 && errno == EINTR);
		if (n <= 0)
			return -1;
		buf_clear(s->answer);
		buf_add(s->answer, str_from_mem(chunk, (size_t)n));
		s->answer_at = 0;
	}
	return (unsigned char)s->answer->p[s->answer_at++];
}

/* One attribute list: NAME NUL VALUE NUL ... NUL. False when it does not come whole. */
static bool
read_list(struct submit *s, struct str pairs[ATTRIBUTE_MAX][2], size_t *count_out)
{
	char *text = arena_alloc(s->mem, LIST_MAX);
	size_t length = 0;
	size_t words = 0;
	size_t start = 0;

	while (length < LIST_MAX) {
		int c = next_byte(s);

		if (c < 0)
			return false;
		text[length++] = (char)c;
		if (c != '\0')
			continue;
		if (length - start == 1 && words % 2 == 0) {
			*count_out = words / 2;
			return true;
		}
		if (words / 2 == ATTRIBUTE_MAX)
			return false;
		pairs[words / 2][words % 2] =
			str_from_mem(text + start, length - start - 1);
		words++;
		start = length;
	}
	return false;
}

static bool
read_greeting(struct submit *s)
{
	struct str pairs[ATTRIBUTE_MAX][2];
	size_t n = 0;

	return read_list(s, pairs, &n) && n > 0 && str_eq(pairs[0][0], STR("protocol")) &&
	       str_eq(pairs[0][1], STR("postdrop_protocol"));
}

static const char *
join(struct arena *mem, const char *const *argv)
{
	struct buf *b = buf_new(mem, 10000);

	for (size_t i = 0; argv[i] != NULL; i++) {
		if (i > 0)
			buf_add_char(b, ' ');
		buf_add_c(b, argv[i]);
	}
	return b->p;
}

bool
submit_start(struct arena *mem, struct submit *s, const char *const *argv,
	     int *status_out, struct err *err)
{
	int in[2];
	int out[2];

	*s = (struct submit){
		.mem = mem, .to = -1, .from = -1, .command = join(mem, argv)};
	*status_out = -1;
	s->out = buf_new(mem, 2 * FLUSH_BYTES + RECORD_DATA_MAX);
	if (pipe2(in, O_CLOEXEC) < 0)
		return err_errno(err, ERR_TEMP, "unable to execute %s", s->command);
	if (pipe2(out, O_CLOEXEC) < 0) {
		sys_close(in[0]);
		sys_close(in[1]);
		return err_errno(err, ERR_TEMP, "unable to execute %s", s->command);
	}
	s->answer = buf_new(mem, ANSWER_CHUNK);
	s->child = spawn(argv, in[0], out[1]);
	if (s->child < 0)
		err_errno(err, ERR_TEMP, "unable to execute %s", s->command);
	sys_close(in[0]);
	sys_close(out[1]);
	s->to = in[1];
	s->from = out[0];
	if (s->child > 0 && read_greeting(s))
		return true;
	close_pipe(&s->to);
	close_pipe(&s->from);
	if (s->child < 0)
		return false;
	*status_out = wait_for(s);
	return err_set(err, ERR_TEMP, "unable to execute %s: Application error",
		       s->command);
}

static void
flush(struct submit *s)
{
	struct err err;

	if (!s->failed && !io_write_all(s->to, buf_str(s->out), "postdrop", &err))
		s->failed = true;
	buf_clear(s->out);
}

void
submit_record(struct submit *s, char letter, struct str data)
{
	record_encode(s->out, letter, data);
	if (s->out->len >= FLUSH_BYTES)
		flush(s);
}

void
submit_text(struct submit *s, struct str text, size_t limit, bool ends)
{
	while (text.len >= limit) {
		submit_record(s, RECORD_LETTER(PART), str_head(text, limit));
		text = str_skip(text, limit);
	}
	if (ends)
		submit_record(s, RECORD_LETTER(LINE), text);
	else if (text.len > 0)
		submit_record(s, RECORD_LETTER(PART), text);
}

void
submit_attribute(struct submit *s, const char *name, struct str value)
{
	struct arena *mem = arena_new();

	submit_record(s, RECORD_LETTER(ATTRIBUTE),
		      str_printf(mem, "%s=" PRI_STR, name, STR_ARG(value)));
	arena_free(&mem);
}

static struct str
status_text(uint64_t status)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if ((status & texts[i].bit) != 0)
			return texts[i].text;
	}
	return STR("unknown error");
}

enum submit_result
submit_finish(struct submit *s, struct str *why_out)
{
	struct str pairs[ATTRIBUTE_MAX][2];
	struct str reason = STR_EMPTY;
	uint64_t status = 0;
	bool known = false;
	size_t n = 0;

	flush(s);
	close_pipe(&s->to);
	if (read_list(s, pairs, &n)) {
		for (size_t i = 0; i < n; i++) {
			if (str_eq(pairs[i][0], STR("status")))
				known = str_to_u64(pairs[i][1], UINT32_MAX, &status);
			else if (str_eq(pairs[i][0], STR("reason")))
				reason = pairs[i][1];
		}
	}
	close_pipe(&s->from);
	wait_for(s);
	if (!known)
		return SUBMIT_LOST;
	if (status == 0)
		return SUBMIT_DONE;
	*why_out = reason.len > 0 ? reason : status_text(status);
	return SUBMIT_REFUSED;
}

void
submit_cancel(struct submit *s)
{
	close_pipe(&s->to);
	close_pipe(&s->from);
	wait_for(s);
}
