/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"

#include "explain_reply.h"
#include "render.h"
#include "story.h"

enum { SECOND_US = 1000000, LINE_WIDTH = 100, TEXT_MAX = 4000 };

/* Characters outside ASCII that steer a terminal or turn the writing direction: C1
 * controls (U+0080 to U+009F), line separators and bidirectional marks. */
static size_t
steering_length(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	if (u[0] == 0xc2 && u[1] >= 0x80 && u[1] <= 0x9f)
		return 2;
	if (u[0] == 0xe2 && u[1] == 0x80 &&
	    (u[2] == 0x8e || u[2] == 0x8f || (u[2] >= 0xa8 && u[2] <= 0xae)))
		return 3;
	if (u[0] == 0xe2 && u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9)
		return 3;
	return 0;
}

/* Text from the log, safe to show. */
const char *
page_clean(const struct render *r, struct str s)
{
	char *text = str_c(r->mem, str_printable(r->mem, str_head(s, TEXT_MAX), true));

	/* The text is valid UTF-8 and ends with a NUL: looking ahead stays within it. */
	for (char *p = text; *p != '\0'; p++)
		memset(p, '?', steering_length(p));
	return text;
}

static struct tm
local_time(int64_t us)
{
	time_t t = us / SECOND_US;
	struct tm tm = {0};

	localtime_r(&t, &tm);
	return tm;
}

static const char *
format_time(const struct render *r, int64_t us, const char *format)
{
	struct tm tm = local_time(us);
	char text[64];

	/* The formats are the literals in this file. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	strftime(text, sizeof(text), format, &tm);
#pragma GCC diagnostic pop
	return arena_strdup(r->mem, text);
}

/* The clock, with the date in front when it is not the day of `since`. */
const char *
page_clock(const struct render *r, int64_t us, int64_t since_us)
{
	struct tm a = local_time(us);
	struct tm b = local_time(since_us);

	if (a.tm_year == b.tm_year && a.tm_yday == b.tm_yday)
		return format_time(r, us, "%H:%M:%S");
	return format_time(r, us, "%d %b %H:%M:%S");
}

void
page_paint(const struct render *r, const char *colour, const char *text)
{
	if (r->colour)
		fprintf(r->out, "%s%s\033[0m", colour, text);
	else
		fputs(text, r->out);
}

/* The text in lines of at most LINE_WIDTH, each after `indent` blanks. */
void
page_wrapped(const struct render *r, int indent, const char *text)
{
	struct str rest = str_from(text);
	struct str word;
	int column = 0;

	while (str_token(&rest, " ", &word)) {
		if (column == 0 || column + 1 + (int)word.len > LINE_WIDTH) {
			fprintf(r->out, "%s%*s", column == 0 ? "" : "\n", indent, "");
			column = indent;
		} else {
			fputc(' ', r->out);
			column++;
		}
		fprintf(r->out, PRI_STR, STR_ARG(word));
		column += (int)word.len;
	}
	fputc('\n', r->out);
}

void
page_label(const struct render *r, const char *name)
{
	fprintf(r->out, "  %-11s ", name);
}

void
page_explanation(const struct render *r, int indent, const struct event *e)
{
	struct explanation x = explain_line(&e->line);

	if (x.meaning != NULL)
		page_wrapped(r, indent, x.meaning);
	if (x.advice != NULL)
		page_wrapped(r, indent, x.advice);
}

const char *
page_day(const struct render *r, int64_t us)
{
	return format_time(r, us, "%a %d %b %H:%M:%S");
}
