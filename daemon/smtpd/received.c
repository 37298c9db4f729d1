/* SPDX-License-Identifier: Apache-2.0 */
#include "received.h"

#include "base/arena.h"

#include "mail/address.h"

/* RFC 3848, RFC 6531 section 4.3. */
static const char *
protocol_name(const struct received *r)
{
	bool esmtp = str_eq(r->protocol, STR("ESMTP"));

	if (r->smtputf8)
		return r->authenticated ? "UTF8SMTPA" : "UTF8SMTP";
	if (esmtp && r->authenticated)
		return "ESMTPA";
	return esmtp ? "ESMTP" : "SMTP";
}

void
received_format(struct arena *mem, const struct received *r,
		struct str lines_out[RECEIVED_LINES])
{
	struct str helo = r->helo.len > 0 ? r->helo : r->name;
	bool v6 = str_contains(r->address, ':');
	bool one = r->recipient.len > 0;

	lines_out[0] = str_printf(
		mem, "Received: from " PRI_STR " (" PRI_STR " [%s" PRI_STR "])",
		STR_ARG(helo), STR_ARG(r->name), v6 ? "IPv6:" : "", STR_ARG(r->address));
	lines_out[1] =
		str_printf(mem, "\tby " PRI_STR " (" PRI_STR ") with %s id " PRI_STR "%s",
			   STR_ARG(r->myhostname), STR_ARG(r->mail_name),
			   protocol_name(r), STR_ARG(r->id), one ? "" : ";");
	if (one) {
		struct str quoted = address_quote_header(mem, r->recipient);

		lines_out[2] = str_printf(mem, "\tfor <" PRI_STR ">; " PRI_STR,
					  STR_ARG(quoted), STR_ARG(r->date));
	} else {
		lines_out[2] = str_printf(mem, "\t" PRI_STR, STR_ARG(r->date));
	}
}
