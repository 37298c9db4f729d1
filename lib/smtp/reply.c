/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/reply.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

/* RFC 5321 section 4.2.1, without the 1xx that SMTP does not use. */
enum { CODE_MIN = 200, CODE_MAX = 599 };

/* "250-text", "250 text" or "250": the code, whatever it is worth; or 0. */
static int
line_code(struct str line, bool *last_out)
{
	int code = 0;

	if (line.len < 3)
		return 0;
	for (size_t i = 0; i < 3; i++) {
		if (!char_is_digit(line.p[i]))
			return 0;
		code = code * 10 + (line.p[i] - '0');
	}
	if (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return 0;
	*last_out = line.len == 3 || line.p[3] == ' ';
	return code;
}

/* One line of at most REPLY_LINE_MAX bytes; what is beyond is read and forgotten. */
static enum stream_status
read_bounded_line(struct stream *s, struct arena *mem, struct str *line_out)
{
	enum stream_status status = stream_read_line(s, REPLY_LINE_MAX, line_out);
	struct str rest;
	int pieces = 0;

	*line_out = status == STREAM_OK || status == STREAM_TOO_LONG
			    ? str_dup(mem, *line_out)
			    : STR_EMPTY;
	while (status == STREAM_TOO_LONG && ++pieces < REPLY_LINES_MAX)
		status = stream_read_line(s, REPLY_LINE_MAX, &rest);
	return status == STREAM_TOO_LONG ? STREAM_ERROR : status;
}

static struct str
without_code(struct str line)
{
	return str_skip(line, 4);
}

enum smtp_reply_result
smtp_reply_read(struct stream *s, struct arena *mem,
		const struct smtp_reply_filter *filter, struct smtp_reply *reply_out,
		enum stream_status *stream_out)
{
	struct buf *text = buf_new(mem, REPLY_TEXT_MAX);
	struct smtp_reply r = {0};
	bool last = false;

	for (int lines = 0; !last; lines++) {
		enum stream_status status;
		struct str line;
		struct str rest;

		status = read_bounded_line(s, mem, &line);
		if (status != STREAM_OK) {
			*stream_out = status;
			return REPLY_LOST;
		}
		if (lines >= REPLY_LINES_MAX) {
			*reply_out = (struct smtp_reply){.text = line};
			return REPLY_BAD;
		}
		if (filter != NULL &&
		    filter->line(filter->arg, mem, line, &line) == FILTER_FAILED) {
			*reply_out = (struct smtp_reply){.text = line};
			return REPLY_FILTER_FAILED;
		}
		if (text->len > 0)
			buf_add_char(text, '\n');
		buf_add(text, line);
		r.code = line_code(line, &last);
		if (r.code == 0)
			continue; /* something else that the server had to say */
		if (r.code < CODE_MIN || r.code > CODE_MAX) {
			*reply_out = (struct smtp_reply){.text = line};
			return REPLY_BAD;
		}
		rest = without_code(line);
		r.status = dsn_status_from_reply(r.code, rest);
	}
	r.text = buf_str(text);
	*reply_out = r;
	return REPLY_READ;
}

struct str
smtp_reply_one_line(struct arena *mem, const struct smtp_reply *reply)
{
	char *copy = str_c(mem, reply->text);

	for (size_t i = 0; i < reply->text.len; i++) {
		if (copy[i] == '\n')
			copy[i] = ' ';
	}
	return str_from_mem(copy, reply->text.len);
}

bool
smtp_reply_next_line(struct str *rest, struct str *line_out)
{
	struct str line;

	if (!str_line(rest, &line))
		return false;
	*line_out = without_code(line);
	return true;
}
