/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/list.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/io.h"

#include "mail/token.h"

#include "deliver/job_internal.h"

enum { FILE_MAX = 16 << 20 };

/* The length of the first entry: up to a comma that is in no quotes, comment, or <>. */
static size_t
entry_length(struct str s)
{
	bool quoted = false;
	size_t depth = 0;
	size_t angle = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '\\')
			i++;
		else if (c == '"' && depth == 0)
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == '<' && depth == 0)
			angle++;
		else if (c == '>' && angle > 0)
			angle--;
		else if (c == ',' && depth == 0 && angle == 0)
			return i;
	}
	return s.len;
}

static bool
is_special(struct str s)
{
	return str_starts(s, STR("|")) || str_starts(s, STR("/")) ||
	       str_istarts(s, STR(":include:"));
}

/* "text" as a whole in quotes: without them. */
static bool
unquote(struct arena *mem, struct str s, struct str *out)
{
	struct buf *b;

	if (s.len < 2 || s.p[0] != '"' || s.p[s.len - 1] != '"')
		return false;
	b = buf_new(mem, s.len);
	for (size_t i = 1; i + 1 < s.len; i++) {
		if (s.p[i] == '"')
			return false;
		if (s.p[i] == '\\' && i + 2 < s.len)
			i++;
		buf_add_char(b, s.p[i]);
	}
	*out = buf_str(b);
	return true;
}

static bool
addresses(struct arena *mem, struct str text, bool (*fn)(void *arg, struct str entry),
	  void *arg)
{
	struct token_list list = token_parse(mem, text, TOKEN_LIMIT_DEFAULT, NULL);

	for (struct token *t = token_next_address(list, NULL); t != NULL;
	     t = token_next_address(list, t)) {
		struct str entry = token_print(mem, t->inner, TOKEN_INTERNAL);

		if (entry.len > 0 && !fn(arg, entry))
			return false;
	}
	return true;
}

bool
list_parse(struct arena *mem, struct str line, bool (*fn)(void *arg, struct str entry),
	   void *arg)
{
	while (line.len > 0) {
		size_t len = entry_length(line);
		struct str entry = str_trim(str_head(line, len));
		struct str plain;

		line = str_skip(line, len + 1);
		if (entry.len == 0)
			continue;
		if (unquote(mem, entry, &plain) && is_special(plain))
			entry = plain;
		if (is_special(entry) ? !fn(arg, entry) : !addresses(mem, entry, fn, arg))
			return false;
	}
	return true;
}

struct entries {
	struct buf *out;
	size_t n;
};

static bool
add_entry(void *arg, struct str entry)
{
	struct entries *e = arg;

	if (e->n++ == DELIVER_TARGETS_MAX)
		return false;
	deliver_result_add_target(e->out, entry);
	return buf_ok(e->out);
}

bool
list_read_file(struct job *j, int fd, const char *path)
{
	size_t limit = j->spec.line_limit > 0 ? (size_t)j->spec.line_limit : SIZE_MAX;
	struct entries entries = {.out = j->result};
	struct str text;
	struct str line;
	struct err err;

	if (!io_read_all(j->mem, fd, FILE_MAX, path, &text, &err)) {
		job_dsn(j, "4.2.4", "%s", err.text);
		return false;
	}
	while (str_line(&text, &line)) {
		if (str_starts(line, STR("#")))
			continue;
		while (line.len > 0) {
			struct str chunk = str_head(line, limit);

			line = str_skip(line, chunk.len);
			if (!list_parse(j->mem, chunk, add_entry, &entries)) {
				buf_clear(j->result);
				job_dsn(j, "4.3.0", "too many addresses in %s", path);
				return false;
			}
		}
	}
	return true;
}
