/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What cleanup does to an address before virtual_alias_maps are asked, as rows: canonical
 * and masquerading; and who gets a copy. For mail from users and clients; reports of the
 * mail system itself are not mapped.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "rewrite/canonical.h"

struct arena;
struct config;
struct maps;
struct rewrite_rules;
struct rows;

struct mapping {
	struct arena *mem;
	const struct config *config;
	const struct rewrite_rules *rules;
	struct maps *sender_bcc;
	struct maps *recipient_bcc;
	struct str always_bcc;
};

/* The rules are kept by reference. */
bool mapping_open(struct arena *mem, const struct config *cfg,
		  const struct rewrite_rules *rules, struct mapping *out,
		  struct err *err) MUST_CHECK;

/* An address of the envelope in internal form. Adds a row for each replacement. False: a
 * table does not answer, and the message is not accepted for now. */
bool mapping_address(const struct mapping *m, enum canonical_kind kind,
		     struct str address, struct rows *rows, struct str *out,
		     struct err *err) MUST_CHECK;

/* Whom maps (one of the two, may be NULL for always_bcc) has for the address: as written
 * there, empty for nobody; and which row says so. */
bool mapping_copy(const struct mapping *m, struct maps *maps, struct str address,
		  struct str *copy_out, struct str *why_out, struct err *err) MUST_CHECK;

/* The name of a table for a reason; one whose content stands in main.cf is cut. */
const char *mapping_table(struct arena *mem, const char *table);
