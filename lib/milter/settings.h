/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which milters there are and how to treat them, as main.cf has it: a list of "inet:...",
 * "unix:..." or "{ name, parameter = value, ... }" (facts: protocols 7). Loaded once; a
 * session of milters (milter.h) only reads it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "config/milter_config.h"
#include "dns/server_name.h"

struct arena;

/* Where macros are sent: the numbers of SMFIL_SETSYMLIST, then those that have none. */
enum milter_stage {
	MILTER_STAGE_CONNECT,
	MILTER_STAGE_HELO,
	MILTER_STAGE_MAIL,
	MILTER_STAGE_RCPT,
	MILTER_STAGE_DATA,
	MILTER_STAGE_END_OF_MESSAGE,
	MILTER_STAGE_END_OF_HEADER,
	MILTER_STAGE_UNKNOWN,
	MILTER_STAGES
};

/* What becomes of mail when a milter does not do its part. */
enum milter_failure {
	MILTER_FAIL_ACCEPT,
	MILTER_FAIL_REJECT,
	MILTER_FAIL_TEMPFAIL,
	MILTER_FAIL_QUARANTINE,
	MILTER_FAIL_SHUTDOWN,
};

enum {
	MILTER_VERSION_MIN = 2,
	MILTER_VERSION_MAX = 6,
	MILTER_LIST_MAX = 100, /* milters in one list */
};

struct milter_setting {
	struct str text; /* "inet:host:port", for the log */
	struct server_name server;
	int64_t connect_ms;
	int64_t command_ms;
	int64_t content_ms;
	enum milter_failure failure;
	int version;          /* the highest that we offer */
	bool no_header_reply; /* offered whatever the version */
};

struct milter_list {
	size_t n;
	struct milter_setting *milters;
};

/* Name and value, from milter_macro_defaults. */
struct milter_macro {
	struct str name;
	struct str value;
};

/* All that is common to the lists. */
struct milter_settings {
	struct milter_config config;
	enum milter_failure failure;
	int version;
	bool no_header_reply;
	struct str stage_macros[MILTER_STAGES]; /* names with blanks or commas between */
	struct milter_macro *defaults;
	size_t n_defaults;
};

/* milter_* of main.cf. ERR_CONFIG as Postfix says it. */
bool milter_settings_load(struct arena *mem, const struct config *cfg,
			  struct milter_settings *out, struct err *err) MUST_CHECK;

/* A list of milters. Texts live in mem. An empty list is none. */
bool milter_list_parse(struct arena *mem, const struct milter_settings *settings,
		       struct str text, struct milter_list *out,
		       struct err *err) MUST_CHECK;

/* Is one of them reached by TCP? */
bool milter_list_needs_tcp(const struct milter_list *list);

/* "accept", "reject", "tempfail", "quarantine", "shutdown". */
bool milter_failure_parse(struct str text, enum milter_failure *out,
			  struct err *err) MUST_CHECK;
