/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message through the MIME parser: every byte comes out in order, in pieces or whole,
 * and the quoted-printable conversion ends within its limits.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/panic.h"

#include "mail/mime.h"

#include "fuzz.h"

static const struct mime_limits limits = {100000, 100, 70};

static void
on_header(void *arg, enum mime_header_class which, const struct header_name *row,
	  struct str text)
{
	(void)which;
	(void)row;
	buf_add(arg, text);
	buf_add_char(arg, '\n');
}

static void
on_header_end(void *arg)
{
	(void)arg;
}

static void
on_body(void *arg, struct str line, bool whole)
{
	buf_add(arg, line);
	if (whole)
		buf_add_char(arg, '\n');
}

static const struct mime_events events = {
	.header = on_header, .header_end = on_header_end, .body = on_body};

static struct str
run(struct arena *mem, unsigned options, struct str text, size_t piece)
{
	struct buf *out = buf_new(mem, 16 * text.len + 1000);
	struct mime *m = mime_new(mem, options, &limits, &events, out);
	struct str line;

	while (str_line(&text, &line)) {
		while (line.len > piece) {
			mime_line(m, str_head(line, piece), false);
			line = str_skip(line, piece);
		}
		mime_line(m, line, true);
	}
	mime_end(m);
	ensure(buf_ok(out));
	return buf_str(out);
}

/* Newlines aside, which may be added after a header. */
static void
compare(struct str in, struct str out)
{
	size_t i = 0;

	for (size_t k = 0; k < out.len; k++) {
		if (out.p[k] == '\n')
			continue;
		while (i < in.len && in.p[i] == '\n')
			i++;
		ensure(i < in.len && in.p[i] == out.p[k]);
		i++;
	}
	while (i < in.len)
		ensure(in.p[i++] == '\n');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str text = str_from_mem(data, size);

	/* CR LF is one line end to str_line(). */
	if (size < 10000 && !str_contains(text, '\r')) {
		compare(text, run(mem, 0, text, size + 1));
		compare(text, run(mem, 0, text, 5));
		run(mem, MIME_DOWNGRADE, text, size + 1);
	}
	arena_free(&mem);
	return 0;
}
