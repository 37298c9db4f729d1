/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The text of a log line, after its header, severity and queue id: a table of beginnings
 * sorts it into kinds, each with a function that takes it apart. Rows are tried from top
 * to bottom. The part of log_line.c that knows what the daemons say.
 */

struct log_line;

/* Fills in the kind and what it has from text, daemon, id and noqueue. */
void log_text_parse(struct log_line *l);
