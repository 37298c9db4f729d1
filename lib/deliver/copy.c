/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/copy.h"

#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/sys.h"

#include "mail/address.h"
#include "queue/file.h"

enum { PIECE_BYTES = 32768, PIECE_MAX = RECORD_DATA_MAX + 2 * PIECE_BYTES };

struct copy {
	const struct copy_text *text;
	struct buf out;
	bool (*write)(void *arg, struct str piece);
	void *arg;
	bool failed;
};

static void
flush(struct copy *c)
{
	if (!c->failed && c->out.len > 0)
		c->failed = !c->write(c->arg, buf_str(&c->out));
	buf_clear(&c->out);
}

static void
add(struct copy *c, struct str s)
{
	buf_add(&c->out, s);
	if (c->out.len >= PIECE_BYTES)
		flush(c);
}

static void
head_line(struct copy *c, const char *name, const char *open, struct str value,
	  const char *close)
{
	buf_printf(&c->out, "%s: %s" PRI_STR "%s" PRI_STR, name, open, STR_ARG(value),
		   close, STR_ARG(c->text->eol));
}

/* The date has no zone: mbox readers expect 24 characters. */
static void
from_line(struct copy *c, struct arena *mem)
{
	struct str sender = c->text->sender.len > 0
				    ? address_quote_header(mem, c->text->sender)
				    : c->text->null_sender;
	time_t now = (time_t)(sys_now_us() / 1000000);
	char date[64] = "";
	struct tm tm;

	if (localtime_r(&now, &tm) != NULL)
		IGNORE(strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm) == 0);
	buf_printf(&c->out, "From " PRI_STR "  %s" PRI_STR, STR_ARG(sender), date,
		   STR_ARG(c->text->eol));
}

static void
head(struct copy *c)
{
	const struct copy_text *t = c->text;
	struct arena *mem = arena_new();

	if ((t->flags & COPY_FROM) != 0)
		from_line(c, mem);
	if ((t->flags & COPY_RETURN_PATH) != 0)
		head_line(c, "Return-Path", "<",
			  t->return_path.len > 0 ? t->return_path
						 : address_quote_header(mem, t->sender),
			  ">");
	if ((t->flags & COPY_ORIGINAL) != 0 && t->original.len > 0)
		head_line(c, "X-Original-To", "", address_quote_header(mem, t->original),
			  "");
	if ((t->flags & COPY_DELIVERED) != 0 && t->delivered.len > 0)
		head_line(c, "Delivered-To", "", address_quote_header(mem, t->delivered),
			  "");
	arena_free(&mem);
}

static enum queue_content_result
body(struct copy *c, struct queue_content *content, struct err *err)
{
	bool at_start = true;
	struct str line;

	for (;;) {
		enum queue_content_result got = queue_content_next(content, &line, err);

		if (got != QUEUE_CONTENT_LINE && got != QUEUE_CONTENT_PART) {
			if (!at_start)
				add(c, c->text->eol);
			return got;
		}
		if (at_start && (c->text->flags & COPY_QUOTE) != 0 &&
		    str_starts(line, STR("From ")))
			add(c, STR(">"));
		if (at_start && (c->text->flags & COPY_DOT) != 0 &&
		    str_starts(line, STR(".")))
			add(c, STR("."));
		add(c, line);
		at_start = got == QUEUE_CONTENT_LINE;
		if (at_start)
			add(c, c->text->eol);
		if (c->failed)
			return got;
	}
}

enum copy_result
copy_message(const struct copy_text *text, bool (*write)(void *arg, struct str piece),
	     void *arg, struct err *err)
{
	struct copy c = {.text = text, .write = write, .arg = arg};
	struct arena *mem = arena_new();
	struct queue_content content;
	enum queue_content_result end;

	buf_init(&c.out, PIECE_MAX);
	queue_content_init(mem, &content, text->message, text->content_offset);
	head(&c);
	end = body(&c, &content, err);
	if ((text->flags & COPY_BLANK) != 0)
		add(&c, text->eol);
	flush(&c);
	buf_release(&c.out);
	arena_free(&mem);
	return c.failed                      ? COPY_UNWRITTEN
	       : end == QUEUE_CONTENT_FAILED ? COPY_UNREADABLE
					     : COPY_OK;
}
