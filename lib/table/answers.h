/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading the answer of a table's server: apart from the rest so that they can be fed
 * anything (wire_from_memory()). LOOKUP_FAILED: the connection is of no more use. Values
 * are in mem.
 */

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#include "table/table.h"

struct arena;
struct wire;

/* "200 text", "400 why", "500 why". */
enum lookup tcp_answer(struct wire *w, struct arena *mem, struct str *value_out,
		       struct err *err) MUST_CHECK;

/* A netstring with "OK data", "NOTFOUND ", "TEMP why" and so on. *usable_out: the server
 * has answered, the failure is what it said. */
enum lookup socketmap_answer(struct wire *w, struct arena *mem, struct str *value_out,
			     bool *usable_out, struct err *err) MUST_CHECK;

/* To "get": "VALUE key flags bytes", the value, "END"; or "END" alone. */
enum lookup memcache_answer(struct wire *w, struct arena *mem, size_t line_max,
			    size_t data_max, struct str *value_out,
			    struct err *err) MUST_CHECK;

/* RESP: one reply. Nil is absent; so is what is empty. A list becomes its members with
 * commas between, at most limit of them (0: any number). *usable_out as above. */
enum lookup redis_answer(struct wire *w, struct arena *mem, int64_t limit,
			 struct str *value_out, bool *usable_out,
			 struct err *err) MUST_CHECK;
