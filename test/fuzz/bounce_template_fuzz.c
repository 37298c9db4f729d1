/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounce_template_file on any bytes: what comes out are four whole templates, and what
 * postconf -t prints of them is read again as the same.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/panic.h"

#include "mail/bounce_template.h"

#include "fuzz.h"

enum { PRINTED_MAX = 1 << 22 };

static void
count(void *arg, const char *text)
{
	size_t *n = arg;

	ensure(text[0] != '\0');
	(*n)++;
}

static void
check(const struct bounce_template *t)
{
	ensure(t->charset.len > 0 && str_is_ascii(t->charset));
	ensure(t->from.len > 0 && str_is_ascii(t->from));
	ensure(t->subject.len > 0 && str_is_ascii(t->subject));
	ensure(t->text.len > 0);
	ensure(str_is_ascii(t->text) || !str_ieq(t->charset, STR("us-ascii")));
}

static bool
has_marker(struct str text)
{
	struct str line;

	while (str_line(&text, &line)) {
		if (str_eq(line, STR("EOF")))
			return true;
	}
	return false;
}

static void
read_again(struct arena *mem, const struct bounce_templates *t)
{
	struct bounce_templates again;
	struct buf *printed = buf_new(mem, PRINTED_MAX);
	struct buf *printed_again = buf_new(mem, PRINTED_MAX);
	size_t warnings = 0;
	const struct bounce_template_ear ear = {.warn = count, .arg = &warnings};
	struct err err;

	for (size_t i = 0; i < BOUNCE_TEMPLATES; i++) {
		if (has_marker(t->of[i].text))
			return;
	}
	bounce_templates_format(printed, t);
	bounce_templates_default(&again);
	ensure(bounce_templates_parse(mem, "printed", buf_str(printed), &ear, &again,
				      &err));
	ensure(warnings == 0);
	bounce_templates_format(printed_again, &again);
	ensure(str_eq(buf_str(printed), buf_str(printed_again)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct bounce_templates t;
	size_t warnings = 0;
	const struct bounce_template_ear ear = {.warn = count, .arg = &warnings};
	struct err err = {0};

	bounce_templates_default(&t);
	if (!bounce_templates_parse(mem, "file", str_from_mem(data, size), &ear, &t,
				    &err))
		ensure(err.text[0] != '\0');
	for (size_t i = 0; i < BOUNCE_TEMPLATES; i++)
		check(&t.of[i]);
	read_again(mem, &t);
	arena_free(&mem);
	return 0;
}
