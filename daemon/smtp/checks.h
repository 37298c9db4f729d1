/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * smtp_header_checks, smtp_mime_header_checks, smtp_nested_header_checks and
 * smtp_body_checks: header_checks(5) on the way out. Only what changes the text or writes
 * to the log is possible here; the message has been accepted.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "mail/mime.h"

struct arena;
struct maps;
struct smtp;

struct checks {
	struct maps *header; /* each NULL if there is none */
	struct maps *mime;
	struct maps *nested;
	struct maps *body;
};

/* Open the tables of a parameter, with warnings in the log; NULL for none. */
bool checks_open(struct smtp *s, const char *title, struct str text, struct maps **out,
		 struct err *err) MUST_CHECK;

bool checks_load(struct smtp *s, struct checks *out, struct err *err) MUST_CHECK;

enum check_result { CHECK_KEEP, CHECK_DROP, CHECK_FAILED };

/* The header field or body line *text; it may be replaced, in mem. *before_out: what is
 * to be written before it (empty: nothing). CHECK_FAILED: a table does not answer, which
 * is in the log. */
enum check_result checks_header(struct smtp *s, struct arena *mem, struct str queue_id,
				enum mime_header_class which, struct str *text,
				struct str *before_out);
enum check_result checks_body(struct smtp *s, struct arena *mem, struct str queue_id,
			      struct str *text, struct str *before_out);
