/* SPDX-License-Identifier: Apache-2.0 */
#include "attributes.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "deliver/copy.h"

enum { ARGS_MAX = 1000 };

static bool
parse_flags(struct arena *mem, struct str value, struct pipe_attributes *out,
	    struct err *err)
{
	static const struct {
		char letter;
		unsigned flag, copy_flag;
	} rows[] = {
		{'B', 0, COPY_BLANK},       {'D', 0, COPY_DELIVERED},
		{'F', 0, COPY_FROM},        {'O', 0, COPY_ORIGINAL},
		{'R', 0, COPY_RETURN_PATH}, {'X', PIPE_FINAL, 0},
		{'.', 0, COPY_DOT},         {'>', 0, COPY_QUOTE},
		{'h', PIPE_FOLD_HOST, 0},   {'q', PIPE_QUOTE, 0},
		{'u', PIPE_FOLD_USER, 0},
	};

	for (size_t i = 0; i < value.len; i++) {
		bool known = false;

		for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
			if (rows[k].letter != value.p[i])
				continue;
			out->flags |= rows[k].flag;
			out->copy_flags |= rows[k].copy_flag;
			known = true;
		}
		if (!known)
			return err_set(err, ERR_CONFIG, "unknown flag: %c (ignored)",
				       value.p[i]);
		if (value.p[i] == 'D' || value.p[i] == 'O')
			out->single = str_printf(mem, PRI_STR "%c", STR_ARG(out->single),
						 value.p[i]);
	}
	return true;
}

/* \n and so on, \ooo. */
static struct str
unescape(struct arena *mem, struct str text)
{
	static const char letters[] = "abfnrtv";
	static const char values[] = "\a\b\f\n\r\t\v";
	struct buf *b = buf_new(mem, text.len);

	for (size_t i = 0; i < text.len; i++) {
		const char *at;
		unsigned n = 0;
		size_t digits = 0;

		if (text.p[i] != '\\' || i + 1 == text.len) {
			buf_add_char(b, text.p[i]);
			continue;
		}
		i++;
		while (digits < 3 && i + digits < text.len && text.p[i + digits] >= '0' &&
		       text.p[i + digits] <= '7')
			n = n * 8 + (unsigned)(text.p[i + digits++] - '0');
		at = memchr(letters, text.p[i], sizeof(letters) - 1);
		if (digits > 0) {
			buf_add_char(b, (char)(unsigned char)n);
			i += digits - 1;
		} else {
			buf_add_char(b, at != NULL ? values[at - letters] : text.p[i]);
		}
	}
	return buf_str(b);
}

static bool
parse_user(struct str value, struct pipe_attributes *out)
{
	out->user = value;
	out->group = STR_EMPTY;
	IGNORE(str_split(value, ':', &out->user, &out->group));
	return true;
}

static bool
parse_size(struct str value, struct pipe_attributes *out, struct err *err)
{
	return str_to_i64(value, 0, INT64_MAX, &out->max_bytes) ||
	       err_set(err, ERR_CONFIG, "bad size attribute: " PRI_STR, STR_ARG(value));
}

/* The rest of the line is the command. */
static bool
take_argv(struct arena *mem, struct str first, const char *const *rest,
	  struct pipe_attributes *out, struct err *err)
{
	size_t n = 0;

	while (rest[n] != NULL)
		n++;
	if (n > ARGS_MAX)
		return err_set(err, ERR_CONFIG, "too many words in argv");
	out->argv = arena_alloc_array(mem, n + 1, sizeof(struct str));
	if (first.len > 0)
		out->argv[out->argc++] = first;
	for (size_t i = 0; i < n; i++)
		out->argv[out->argc++] = str_from(rest[i]);
	return true;
}

static bool
parse_word(struct arena *mem, struct str name, struct str value,
	   struct pipe_attributes *out, struct err *err)
{
	if (str_ieq(name, STR("flags")))
		return parse_flags(mem, value, out, err);
	if (str_ieq(name, STR("user")))
		return parse_user(value, out);
	if (str_ieq(name, STR("size")))
		return parse_size(value, out, err);
	if (str_ieq(name, STR("directory")))
		out->directory = value;
	else if (str_ieq(name, STR("chroot")))
		out->chroot = value;
	else if (str_ieq(name, STR("eol")))
		out->eol = unescape(mem, value);
	else if (str_ieq(name, STR("null_sender")))
		out->null_sender = value;
	else
		return err_set(err, ERR_CONFIG, "unknown attribute name: " PRI_STR,
			       STR_ARG(name));
	return true;
}

/* { word with blanks } */
static struct str
without_braces(struct str word)
{
	if (word.len >= 2 && word.p[0] == '{' && word.p[word.len - 1] == '}')
		return str_trim(str_head(str_skip(word, 1), word.len - 2));
	return word;
}

bool
pipe_attributes_parse(struct arena *mem, const char *const *words,
		      struct pipe_attributes *out, struct err *err)
{
	struct pipe_attributes a = {.eol = STR("\n"),
				    .null_sender = STR("MAILER-DAEMON"),
				    .user = STR_EMPTY,
				    .group = STR_EMPTY,
				    .single = STR_EMPTY,
				    .directory = STR_EMPTY,
				    .chroot = STR_EMPTY};

	for (size_t i = 0; words[i] != NULL && a.argv == NULL; i++) {
		struct str name;
		struct str value;

		if (!str_split(without_braces(str_from(words[i])), '=', &name, &value))
			return err_set(err, ERR_CONFIG, "unknown attribute name: %s",
				       words[i]);
		if (str_ieq(name, STR("argv"))
			    ? !take_argv(mem, value, words + i + 1, &a, err)
			    : !parse_word(mem, str_trim(name), str_trim(value), &a, err))
			return false;
	}
	if (a.user.len == 0)
		return err_set(err, ERR_CONFIG, "missing user= command-line attribute");
	if (a.argc == 0)
		return err_set(err, ERR_CONFIG, "missing argv= command-line attribute");
	*out = a;
	return true;
}
