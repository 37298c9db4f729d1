/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses into their usual form (Postfix: trivial-rewrite(8)): routes cut, `site!user`
 * and `user%site` turned round where there is no `@`, a missing domain added. Pure text;
 * no table is asked.
 *
 * What stands in quotes is never an operator, so header addresses are rewritten in their
 * external form; the internal form is rewritten as if its local part were quoted where it
 * has to be.
 */

#include <stdbool.h>

#include "base/str.h"

struct arena;
struct rewrite_rules;

enum rewrite_context {
	REWRITE_LOCAL,  /* mail of our own: append_at_myorigin, append_dot_mydomain */
	REWRITE_REMOTE, /* headers of mail from others: remote_header_rewrite_domain takes
			   the place of myorigin and mydomain; when it is empty, callers
			   leave such headers alone */
};

/* An internal address as written to its usual form, context local. An empty address, and
 * `@` alone, is empty. */
struct str rewrite_form(struct arena *mem, const struct rewrite_rules *rules,
			struct str address);

/* External to external, as for mail/address_list.h. */
struct str rewrite_form_external(struct arena *mem, const struct rewrite_rules *rules,
				 enum rewrite_context context, struct str address);
