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

/* For whom and when. */
static struct str
last_line(struct arena *mem, const struct received *r)
{
	struct str quoted = address_quote_header(mem, r->recipient);

	if (r->recipient.len == 0)
		return str_printf(mem, "\t" PRI_STR, STR_ARG(r->date));
	return str_printf(mem, "\tfor <" PRI_STR ">; " PRI_STR, STR_ARG(quoted),
			  STR_ARG(r->date));
}

/* Fit for a comment: brackets in pairs, nothing but ASCII (RFC 5322 section 3.2.2). */
static struct str
comment_text(struct arena *mem, struct str text)
{
	struct str clean = str_printable(mem, text, false);
	char *copy = str_c(mem, clean);
	size_t depth = 0;

	for (size_t i = 0; i < clean.len; i++) {
		if (copy[i] == '\\' || (copy[i] == ')' && depth == 0))
			copy[i] = '?';
		else if (copy[i] == '(')
			depth++;
		else if (copy[i] == ')')
			depth--;
	}
	/* Those that are not closed. */
	depth = 0;
	for (size_t i = clean.len; i > 0; i--) {
		if (copy[i - 1] == ')')
			depth++;
		else if (copy[i - 1] == '(' && depth > 0)
			depth--;
		else if (copy[i - 1] == '(')
			copy[i - 1] = '?';
	}
	return str_from_mem(copy, clean.len);
}

size_t
received_format(struct arena *mem, const struct received *r,
		struct str lines_out[RECEIVED_LINES])
{
	const char *end = r->recipient.len > 0 ? "" : ";";
	struct str helo = r->helo.len > 0 ? r->helo : r->name;
	bool v6 = str_contains(r->address, ':');
	size_t n = 1;

	if (r->hide_client) {
		lines_out[0] = str_printf(
			mem, "Received: by " PRI_STR " (" PRI_STR ") id " PRI_STR "%s",
			STR_ARG(r->myhostname), STR_ARG(r->mail_name), STR_ARG(r->id),
			end);
		lines_out[1] = last_line(mem, r);
		return 2;
	}
	lines_out[0] = str_printf(
		mem, "Received: from " PRI_STR " (" PRI_STR " [%s" PRI_STR "])",
		STR_ARG(helo), STR_ARG(r->name), v6 ? "IPv6:" : "", STR_ARG(r->address));
	if (r->login.len > 0)
		lines_out[n++] = str_printf(mem, "\t(Authenticated sender: " PRI_STR ")",
					    STR_ARG(comment_text(mem, r->login)));
	lines_out[n++] = str_printf(
		mem, "\tby " PRI_STR " (" PRI_STR ") with %s%s" PRI_STR "%s",
		STR_ARG(r->myhostname), STR_ARG(r->mail_name), protocol_name(r),
		r->id.len > 0 ? " id " : "", STR_ARG(r->id), end);
	lines_out[n++] = last_line(mem, r);
	return n;
}
