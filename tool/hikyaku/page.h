/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What render_text.c writes with: text from the log made safe for a terminal, times,
 * colours, labels, lines of a readable width. Strings returned live in r->mem.
 */

#include <stdint.h>

#include "base/str.h"

#define PAGE_BOLD  "\033[1m"
#define PAGE_RED   "\033[31m"
#define PAGE_GREEN "\033[32m"
#define PAGE_BROWN "\033[33m"

struct event;
struct render;

/* Text from the log: without control characters and others that steer a terminal. */
const char *page_clean(const struct render *r, struct str s);

/* The clock, with the date in front when it is not the day of `since`. */
const char *page_clock(const struct render *r, int64_t us, int64_t since_us);
/* Tue 24 Nov 10:00:00 */
const char *page_day(const struct render *r, int64_t us);

/* The text, in the colour if there are colours. */
void page_paint(const struct render *r, const char *colour, const char *text);
/* The name of what follows, in a column of its own. */
void page_label(const struct render *r, const char *name);
/* The text in lines of a readable width, each after `indent` blanks. */
void page_wrapped(const struct render *r, int indent, const char *text);
/* What the line means and what can be done, where that is known. */
void page_explanation(const struct render *r, int indent, const struct event *e);
