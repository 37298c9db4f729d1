/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The command line of smtp-sink.
 */

#include "fiber/endpoint.h"
#include "sink.h"

struct options {
	struct endpoint *endpoint;
	const char *endpoint_text;
	int backlog;
	int window_bytes;
	size_t max_sessions;
	const char *user;
	const char *root;
};

/* Fills both; ends the process with a message when something is wrong. */
void options_parse(struct arena *mem, struct options *o, struct sink *sink, int argc,
		   char **argv);

/* C escapes (\a \b \f \n \r \t \v \ddd \\) in text; other characters after a backslash
 * stand for themselves. */
struct str options_unescape(struct arena *mem, const char *text);
