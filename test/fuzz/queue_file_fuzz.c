/* SPDX-License-Identifier: Apache-2.0 */
/* A queue file that anybody may have written: opened, read to its end, marked. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/panic.h"
#include "queue/file.h"

#include "fuzz.h"

enum { BATCH = 7, STEPS_MAX = 100000 };

/* Every batch moves on, so that a reader that asks again and again comes to an end. */
static void
read_recipients(const struct queue_file *f)
{
	int64_t at = f->first_rcpt;

	for (int steps = 0; at != 0; steps++) {
		struct arena *mem = arena_new();
		struct queue_recipient *list = NULL;
		size_t n = 0;
		struct err err = {0};
		bool ok = queue_file_recipients(mem, f, steps % 2 != 0, BATCH, &at, &list,
						&n, &err);

		ensure(steps < STEPS_MAX);
		ensure(ok || err.kind == ERR_PERM);
		ensure(n <= BATCH);
		for (size_t i = 0; ok && i < n; i++)
			ensure(queue_file_mark_done(f->fd, list[i].offset, &err));
		arena_free(&mem);
		if (!ok)
			return;
	}
}

static void
read_content(struct arena *mem, const struct queue_file *f)
{
	struct queue_content c;
	struct str text = STR_EMPTY;
	struct err err = {0};
	enum queue_content_result result;

	queue_content_init(mem, &c, f->fd, f->content_offset);
	do {
		result = queue_content_next(&c, &text, &err);
	} while (result == QUEUE_CONTENT_LINE || result == QUEUE_CONTENT_PART);
	ensure(result == QUEUE_CONTENT_END || err.kind == ERR_PERM);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct queue_file *f = ARENA_NEW(mem, struct queue_file);
	struct err err = {0};
	int fd = memfd_create("queue_file", MFD_CLOEXEC);

	ensure(fd >= 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	if (queue_file_open(mem, fd, f, &err)) {
		ensure(f->rcpt_count >= 0 && f->n_attributes <= QUEUE_ATTRIBUTES_MAX);
		read_content(mem, f);
		ensure(queue_file_set_warning(f, -1, &err));
		read_recipients(f);
	} else {
		ensure(err.kind == ERR_PERM && err.text[0] != '\0');
	}
	close(fd);
	arena_free(&mem);
	return 0;
}
