/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The words between a delivery agent and the process that delivers with the recipient's
 * rights: a job's description one way (rows of spec.def), its result the other. Both are
 * tagged fields, a byte, a length of four bytes, the data; readers stop at the first
 * thing that is not as it should be.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#include "mail/dsn.h"

struct arena;

enum deliver_flags {
	DELIVER_STRICT_OWNER = 1u << 0, /* strict_mailbox_ownership */
	DELIVER_NEED_HOME = 1u << 1,    /* require_home_directory */
	DELIVER_FORWARD_DONE = 1u << 2, /* .forward was looked at before */
	DELIVER_FORWARD_ONLY = 1u << 3, /* if there is none, leave the mailbox alone */
	DELIVER_CHECK_ONLY = 1u << 4,   /* say what would happen */
	DELIVER_NO_ACCOUNT = 1u << 6,   /* commands see no HOME and SHELL */
	DELIVER_IS_FORWARD = 1u << 5,   /* JOB_INCLUDE for a user */
};

struct deliver_spec {
#define SPEC_STR(field) struct str field;
#define SPEC_NUM(field) int64_t field;
#include "deliver/spec.def"
#undef SPEC_STR
#undef SPEC_NUM
};

enum { DELIVER_SPEC_MAX = 4 << 20, DELIVER_RESULT_MAX = 16 << 20 };

/* Fields that were never set (p == NULL) are empty at the other end. */
void deliver_spec_encode(const struct deliver_spec *spec, struct buf *out);
/* The texts are views of wire. */
bool deliver_spec_decode(struct str wire, struct deliver_spec *out) MUST_CHECK;

enum deliver_end {
	DELIVER_LOST,         /* the job's process died */
	DELIVER_DONE,         /* dsn says how it went, sent or not */
	DELIVER_EXPANDED,     /* targets, for whoever expands */
	DELIVER_NO_FORWARD,   /* with DELIVER_FORWARD_ONLY: there is none */
	DELIVER_UNKNOWN_USER, /* no such account */
};

enum { DELIVER_TARGETS_MAX = 100000, DELIVER_WARNINGS_MAX = 20 };

struct deliver_target {
	struct str text; /* internal form: "user@example.org", "|command", "/file" */
};

struct deliver_result {
	enum deliver_end end;
	struct dsn dsn;
	struct deliver_target *targets;
	size_t n_targets;
	struct str warnings[DELIVER_WARNINGS_MAX]; /* for the log */
	size_t n_warnings;
	int64_t uid, gid; /* whose rights the job had: of a .forward file's targets */
	struct str user, home;
	bool extension_matched; /* a .forward file of this address alone */
};

void deliver_result_add_target(struct buf *out, struct str text);
void deliver_result_add_warning(struct buf *out, const char *format, ...)
	PRINTF_LIKE(2, 3);
void deliver_result_add_dsn(struct buf *out, const struct dsn *dsn);
void deliver_result_add_owner(struct buf *out, struct str user, struct str home,
			      int64_t uid, int64_t gid);
void deliver_result_add_match(struct buf *out);
/* Last: nothing before it counts without. */
void deliver_result_add_end(struct buf *out, enum deliver_end end);

/* Anything that is not a whole result is DELIVER_LOST. Texts are in mem. */
void deliver_result_decode(struct arena *mem, struct str wire,
			   struct deliver_result *out);
