/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * canonical(5): one address for another, before anything else is decided about it. For a
 * sender sender_canonical_maps and then canonical_maps, for a recipient
 * recipient_canonical_maps and then canonical_maps; each where its *_classes parameter
 * names the kind of address. Within one map a result is looked up again until it has
 * none or stands for itself.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct rewrite_rules;
struct keys_hit;

enum canonical_kind {
	CANONICAL_ENVELOPE_SENDER,
	CANONICAL_ENVELOPE_RECIPIENT,
	CANONICAL_HEADER_SENDER,
	CANONICAL_HEADER_RECIPIENT,
};

/* Is the kind among the words of a *_classes parameter? */
bool canonical_class_has(struct str classes, enum canonical_kind kind);

/* False (ERR_CONFIG) if there is a word that names no kind. */
bool canonical_class_check(const char *parameter, struct str classes,
			   struct err *err) MUST_CHECK;

/* One replacement, for explanations. */
struct canonical_step {
	const char *parameter;
	struct str from;
	struct str to; /* the table's value */
	struct str key;
	const char *table;
	bool is_multiple; /* the value has more than one address; the first counts. To be
			     logged: "multi-valued PARAMETER entry for FROM" */
};

enum { CANONICAL_ROUNDS_MAX = 10, CANONICAL_STEPS_MAX = 2 * CANONICAL_ROUNDS_MAX };

struct canonical_result {
	struct str address; /* internal form; as it was if no table has it */
	struct canonical_step steps[CANONICAL_STEPS_MAX];
	size_t n_steps;
};

/* What a table's value, in internal form, makes of the address: "@domain" keeps the user,
 * and the extension that was cut off to find it goes along where `propagate` says so. */
struct str canonical_complete(struct arena *mem, const struct rewrite_rules *rules,
			      struct str address, struct str value,
			      const struct keys_hit *hit, bool propagate);

/* The address in internal form, already through rewrite_form(). False: ERR_TEMP with the
 * text that cleanup logs ("canonical_maps map lookup problem for X", "unreasonable
 * canonical_maps map nesting for X"). */
bool canonical_address(struct arena *mem, const struct rewrite_rules *rules,
		       enum canonical_kind kind, struct str address,
		       struct canonical_result *out, struct err *err) MUST_CHECK;
