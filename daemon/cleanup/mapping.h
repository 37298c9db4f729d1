/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The tables between an address and the queue file, other than virtual_alias_maps: which
 * address stands for another (canonical, masquerading), and who gets a copy. A table that
 * does not answer fails the message for now (CLEANUP_WRITE, as in Postfix), with a line
 * in the log. Nothing is asked for a message without CLEANUP_FLAG_MAP_OK or
 * CLEANUP_FLAG_BCC_OK.
 */

#include <stdbool.h>

#include "base/str.h"

#include "rewrite/canonical.h"

struct arena;
struct maps;
struct message;

/* An address in internal form, complete; the same if nothing stands in its place. */
struct str mapping_address(struct message *m, struct arena *mem, enum canonical_kind kind,
			   struct str address);

/* Whom the table (sender_bcc_maps, recipient_bcc_maps) has for this address. */
bool mapping_copy(struct message *m, struct maps *maps, struct str address,
		  struct str *copy_out);
