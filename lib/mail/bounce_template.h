/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a delivery status notice says to people, and the file in which a site writes its
 * own words: bounce_template_file (bounce(5)).
 *
 *	failure_template = <<EOF
 *	Subject: It came back
 *
 *	This is $myhostname. ...
 *	EOF
 *
 * A template that is wrong is ignored with a warning, and the built-in one counts: a
 * notice must go out in any case.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct buf;
struct config;

enum bounce_template_kind {
	BOUNCE_TEMPLATE_FAILURE,
	BOUNCE_TEMPLATE_DELAY,
	BOUNCE_TEMPLATE_SUCCESS,
	BOUNCE_TEMPLATE_VERIFY,
	BOUNCE_TEMPLATES
};

enum { BOUNCE_TEMPLATE_FILE_MAX = 1 << 20 };

struct bounce_template {
	struct str charset;
	struct str from;
	struct str subject;
	struct str postmaster_subject; /* empty: no copies of this kind */
	struct str text;               /* lines; with $name until it is expanded */
};

struct bounce_templates {
	struct bounce_template of[BOUNCE_TEMPLATES];
};

/* Who hears of what is wrong and does not stop us. */
struct bounce_template_ear {
	void (*warn)(void *arg, const char *text);
	void *arg;
};

/* "failure" */
const char *bounce_template_name(enum bounce_template_kind kind);

void bounce_templates_default(struct bounce_templates *out);

/* Replace templates by those of a file's text. path: for texts. Views of text, and what
 * is in mem. False: the file as a whole makes no sense; what was read before counts. */
bool bounce_templates_parse(struct arena *mem, const char *path, struct str text,
			    const struct bounce_template_ear *ear,
			    struct bounce_templates *out, struct err *err) MUST_CHECK;

/* The text with main.cf's values; delay_warning_time_UNIT and maximal_queue_lifetime_UNIT
 * are whole numbers of seconds, minutes, hours, days or weeks. path: for texts. */
bool bounce_template_expand(struct arena *mem, const char *path,
			    enum bounce_template_kind kind, const struct config *config,
			    const struct bounce_template_ear *ear, struct str text,
			    struct str *out, struct err *err) MUST_CHECK;

/* All four as a file has them: postconf -t. */
void bounce_templates_format(struct buf *out, const struct bounce_templates *t);
