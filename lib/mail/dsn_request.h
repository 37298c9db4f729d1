/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a sender asks for in delivery reports (RFC 3461): NOTIFY, RET, ORCPT, ENVID.
 * The numbers of the masks are those stored in queue files.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

enum {
	DSN_NOTIFY_NEVER = 1u << 0,
	DSN_NOTIFY_SUCCESS = 1u << 1,
	DSN_NOTIFY_FAILURE = 1u << 2,
	DSN_NOTIFY_DELAY = 1u << 3,
	DSN_NOTIFY_ANY = 15u,
};

enum dsn_ret {
	DSN_RET_NONE = 0,
	DSN_RET_FULL = 1,
	DSN_RET_HDRS = 2,
};

/* "success,failure", any case. NEVER goes with nothing else. */
bool dsn_notify_parse(struct str text, unsigned *mask_out, struct err *err) MUST_CHECK;
/* "SUCCESS,FAILURE"; empty for 0. */
struct str dsn_notify_format(struct arena *mem, unsigned mask);
bool dsn_notify_is_valid(unsigned mask);

bool dsn_ret_parse(struct str text, enum dsn_ret *ret_out, struct err *err) MUST_CHECK;
const char *dsn_ret_format(enum dsn_ret ret);

/* ORCPT: "rfc822;xtext". The result is "type;decoded text" as kept in queue files. With
 * utf8 the type "utf-8" is allowed, whose text is mail/uxtext.h's. */
bool dsn_orcpt_parse(struct arena *mem, struct str text, bool utf8, struct str *out,
		     struct err *err) MUST_CHECK;
/* From the kept form back to the wire: the type as it is, the rest encoded for it. */
struct str dsn_orcpt_format(struct arena *mem, struct str orcpt);

/* ENVID: xtext, decoded; nothing but printable ASCII may come out (RFC 3461 4.4). */
bool dsn_envid_parse(struct arena *mem, struct str text, struct str *out,
		     struct err *err) MUST_CHECK;
