/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The queue list as postqueue -p prints it (columns, reasons in parentheses, totals) and
 * as -j does (an object a line). Facts: programs 2. Pure: bytes go to a FILE.
 */

#include <stdbool.h>
#include <stdio.h>

#include "queue/list.h"

struct buf;

struct show {
	FILE *out;
	bool json;
	bool long_ids; /* wider columns */
	bool utf8;     /* JSON: smtputf8_enable; otherwise bytes above 127 become '?' */
	unsigned long messages;
	uint64_t bytes;
	size_t recipients;  /* of the present message */
	struct buf *reason; /* text: what was printed last */
};

/* A sink that prints. `s` must outlive it, and so must reason: 64 KiB or more. */
struct queue_list_sink show_sink(struct show *s);
/* Totals, or "Mail queue is empty"; nothing for JSON. */
void show_end(const struct show *s);
