/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * XFORWARD: telling a server of ours, such as a content filter, where a mail came from,
 * so that its log can say so. An extension of Postfix; values are xtext (RFC 3461 section
 * 4).
 */

#include <stdbool.h>

#include "base/str.h"

struct arena;
struct buf;

/* Where the mail came from, for a server that XFORWARD is offered by. Empty: unknown. */
struct smtp_origin {
	struct str name;
	struct str address; /* as text */
	struct str port;
	struct str proto;
	struct str helo;
	struct str ident; /* the queue id that our log has */
	bool is_local;    /* a client whose mail we rewrite as our own users' */
};

/* The attributes in an EHLO line, as bits for smtp_xforward_add(). */
unsigned smtp_xforward_parse(struct str offer);

/* Append a command with what is known and may be told: of the client, or (session) of its
 * session. False: nothing, and nothing was appended. */
bool smtp_xforward_add(struct arena *mem, struct buf *out, unsigned offered,
		       const struct smtp_origin *o, bool session);
