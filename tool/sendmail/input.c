/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/sys.h"

enum { READ_BYTES = 65536 };

void
input_init(struct arena *mem, struct input *in, int fd, size_t limit,
	   enum line_endings endings, bool dot_ends)
{
	*in = (struct input){
		.fd = fd, .limit = limit, .endings = endings, .dot_ends = dot_ends};
	in->data = buf_new(mem, (size_t)2 * READ_BYTES + limit + 1);
}

static bool
fill(struct input *in, struct err *err)
{
	ssize_t n;

	do {
		n = sys_read(in->fd, buf_reserve(in->data, READ_BYTES), READ_BYTES);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(err, ERR_PERM, "error reading input");
	if (n == 0)
		in->at_end = true;
	else
		buf_commit(in->data, (size_t)n);
	return true;
}

/* Up to a line end or limit bytes, whichever comes first; *used includes the line end. */
static enum input_result
cut(struct input *in, struct str *text, size_t *used, struct err *err)
{
	for (;;) {
		struct str rest = buf_str(in->data);
		size_t n = str_index(str_head(rest, in->limit), '\n');

		*text = str_head(rest, n);
		if (n < rest.len && n < in->limit) {
			*used = n + 1;
			return INPUT_LINE;
		}
		*used = n;
		if (n == in->limit)
			return INPUT_PART;
		if (in->at_end)
			return n > 0 ? INPUT_PART : INPUT_END;
		if (!fill(in, err))
			return INPUT_FAILED;
	}
}

static struct str
without_cr(struct str s)
{
	while (s.len > 0 && s.p[s.len - 1] == '\r')
		s.len--;
	return s;
}

static void
mend_ending(struct input *in, enum input_result result, struct str *text)
{
	if (result != INPUT_LINE)
		return;
	if (!in->decided && in->endings == LINE_ENDINGS_STRICT)
		in->endings = str_ends(*text, STR("\r")) ? LINE_ENDINGS_ALWAYS
							 : LINE_ENDINGS_NEVER;
	in->decided = true;
	if (in->endings == LINE_ENDINGS_ALWAYS)
		*text = without_cr(*text);
}

static bool
is_mbox_line(struct str text)
{
	return str_starts(text, STR("From ")) || str_starts(text, STR(">From "));
}

enum input_result
input_next(struct input *in, struct str *text, struct err *err)
{
	size_t used = in->used;
	bool in_line = in->in_line;

	if (in->finished)
		return INPUT_END;
	in->used = 0;
	for (;;) {
		enum input_result result;

		buf_consume(in->data, used);
		used = 0;
		result = cut(in, text, &used, err);
		if (result == INPUT_END || result == INPUT_FAILED)
			return result;
		mend_ending(in, result, text);
		/* Postfix keeps one that is longer than the limit, or not ended. */
		if (!in->started && result == INPUT_LINE && is_mbox_line(*text))
			continue;
		in->started = true;
		in->in_line = result == INPUT_PART;
		if (in->dot_ends && !in_line && str_eq(*text, STR("."))) {
			in->finished = true;
			return INPUT_END;
		}
		/* The bytes stay where they are until the next call. */
		in->used = used;
		return result;
	}
}
