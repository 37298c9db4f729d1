/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/verp.h"

#include "base/arena.h"
#include "base/panic.h"

bool
verp_delimiters_are_good(struct str delimiters, struct str allowed)
{
	return delimiters.len == 2 && str_contains(allowed, delimiters.p[0]) &&
	       str_contains(allowed, delimiters.p[1]);
}

/* The parts before and behind the last @; without one there is nothing behind. */
static void
split(struct str address, struct str *local_out, struct str *domain_out)
{
	size_t at = address.len;

	while (at > 0 && address.p[at - 1] != '@')
		at--;
	*local_out = at > 0 ? str_head(address, at - 1) : address;
	*domain_out = at > 0 ? str_skip(address, at) : STR_EMPTY;
}

struct str
verp_sender(struct arena *mem, struct str delimiters, struct str sender,
	    struct str recipient)
{
	struct str local, domain, rcpt_local, rcpt_domain, out;

	ensure(delimiters.len == 2);
	split(sender, &local, &domain);
	split(recipient, &rcpt_local, &rcpt_domain);
	out = str_printf(mem, PRI_STR "%c" PRI_STR, STR_ARG(local), delimiters.p[0],
			 STR_ARG(rcpt_local));
	if (rcpt_domain.len > 0)
		out = str_printf(mem, PRI_STR "%c" PRI_STR, STR_ARG(out), delimiters.p[1],
				 STR_ARG(rcpt_domain));
	if (domain.len > 0)
		out = str_printf(mem, PRI_STR "@" PRI_STR, STR_ARG(out), STR_ARG(domain));
	return out;
}
