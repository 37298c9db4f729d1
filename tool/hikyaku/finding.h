/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a check has to work with, and what it hands back: findings. A finding is one
 * sentence on what is wrong and what comes of it, with its place, and a second one on
 * what to do. Its grade is that of the row in checks.def.
 *
 * All texts live in the check's arena. At most FINDINGS_MAX are kept, FINDINGS_PER_ROW of
 * one row.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#include "config/common_config.h"
#include "config/config.h"
#include "config/master_cf.h"
#include "config/master_config.h"
#include "config/qmgr_config.h"
#include "config/smtp_config.h"
#include "rewrite/rules.h"

#include "stub.h"

struct arena;
struct config_origin;

enum finding_level { FINDING_NOTE, FINDING_WARNING, FINDING_ERROR };

enum { FINDINGS_MAX = 2000, FINDINGS_PER_ROW = 100 };

/* Where it stands. */
struct place {
	const char *file; /* NULL: nowhere in particular */
	unsigned line;    /* 0: the file as a whole */
	struct str what;  /* "relayhost = x", "smtp inet"; may be empty */
};

struct finding {
	const char *check; /* name of the row */
	enum finding_level level;
	struct place place;
	struct str text;
	struct str advice; /* empty: none */
};

struct check {
	struct arena *mem;
	struct config *config;
	struct common_config common; /* these only for rows that need AREAS */
	struct smtp_config smtp;
	struct qmgr_config qmgr;
	struct master_config master;
	struct rewrite_rules rules;
	struct master_services services; /* only for rows that need SERVICES */
	bool root;
	bool stopped; /* the values are too bad to look at anything else */
	bool running; /* the mail system runs */
	uid_t owner;  /* of the queue */
	gid_t setgid_group;
	struct stub dns; /* only for rows that need DNS */

	const char *row; /* that is running */
	enum finding_level level;
	size_t row_findings;
	struct finding *findings;
	size_t n_findings;
};

void finding_add(struct check *c, struct place place, struct str text, struct str advice);

/* The setting of a parameter, "main.cf:12: name = value" (raw); for one that is not set,
 * "name = default" without line. */
struct place place_parameter(const struct check *c, const char *name);
struct place place_setting(const struct check *c, const struct config_setting *s);
/* An entry of master.cf: "smtp inet". */
struct place place_service(const struct check *c, const struct master_service *s);
struct place place_file(const char *path);

/* Takes "FILE, line 3: " or "FILE: line 3: " off a text that begins so. */
struct place place_from_text(const struct check *c, struct str *text);

/* The expanded value, empty if it cannot be expanded (another check tells of that). */
struct str value_of(const struct check *c, const char *name);

/* "a/b" in the check's memory. */
const char *path_join(const struct check *c, struct str dir, const char *name);
