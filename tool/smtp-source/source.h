/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What smtp-source was told to send, and how far it is. One struct source per process;
 * each of its sessions (session.h) is a fiber that takes messages off `remaining`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/str.h"
#include "fiber/endpoint.h"
#include "fiber/loop.h"

struct source {
	struct loop *loop;
	struct log *log;
	struct endpoint *endpoint;
	int window_bytes;
	const char *host; /* -M, or the machine's name */
	const char *from;
	const char *to;
	const char *subject;   /* NULL: none */
	struct str body;       /* ready to send, without the final dot */
	bool body_has_headers; /* -F */
	bool lmtp;
	bool old_mode;   /* -o */
	bool stay;       /* -d */
	bool go_on;      /* -A */
	bool number_all; /* -N */
	bool show_counter;
	bool verbose;
	int sessions;
	int recipients;
	int connect_tries;
	int fixed_delay_s;  /* -w */
	int random_delay_s; /* -R */

	int64_t remaining;        /* messages that nobody has begun */
	int64_t recipient_number; /* -N: the last one given */
	int64_t done;
};

/* Text of length bytes with CR LF in it (-l), never ending in a line end; or four short
 * lines for 0. */
struct str source_make_body(struct arena *mem, int64_t length);

/* The file's lines with dots stuffed and CR LF at their ends. */
struct str source_stuff(struct arena *mem, struct str file);

/* "<number>to", or "to" for 0. */
struct str source_recipient(struct arena *mem, const char *to, int64_t number);
