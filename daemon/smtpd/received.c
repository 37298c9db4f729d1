/* SPDX-License-Identifier: Apache-2.0 */
#include "received.h"

#include "base/arena.h"

#include "mail/address.h"
#include "tls/session.h"

/* RFC 3848, RFC 6531 section 4.3. */
static struct str
protocol_name(struct arena *mem, const struct received *r)
{
	const char *base = r->smtputf8 ? "UTF8SMTP" : "ESMTP";

	if (!r->smtputf8 && !str_eq(r->protocol, STR("ESMTP")))
		return STR("SMTP");
	return str_printf(mem, "%s%s%s", base, r->is_tls ? "S" : "",
			  r->authenticated ? "A" : "");
}

/* ---- TLS ---- */

static struct str
certificate(struct arena *mem, const struct received *r)
{
	const struct tls_info *t = r->tls;

	if (t->has_certificate)
		return str_printf(
			mem, "\t(Client CN \"" PRI_STR "\", Issuer \"" PRI_STR "\" (%s))",
			STR_ARG(t->subject), STR_ARG(t->issuer),
			t->is_trusted ? "verified OK" : "not verified");
	return r->asks_ccert ? STR("\t(Client did not present a certificate)")
			     : STR("\t(No client certificate requested)");
}

/* At most four lines. */
static size_t
tls_lines(struct arena *mem, const struct received *r, struct str *out)
{
	const struct tls_info *t = r->tls;
	struct str middle =
		str_concat(mem, tls_info_key_exchange(mem, t),
			   tls_info_signature(mem, "server", &t->server_signature));
	struct str client = tls_info_signature(mem, "client", &t->client_signature);
	size_t n = 0;

	out[n++] = str_printf(mem,
			      "\t(using " PRI_STR " with cipher " PRI_STR " (%d/%d bits)",
			      STR_ARG(t->protocol), STR_ARG(t->cipher), t->used_bits,
			      t->algorithm_bits);
	if (middle.len > 0)
		out[n++] = str_concat(mem, STR("\t"), middle);
	if (client.len > 0)
		out[n++] = str_concat(mem, STR("\t"), client);
	out[n - 1] = str_concat(mem, out[n - 1], STR(")"));
	out[n++] = certificate(mem, r);
	return n;
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
	size_t n = 0;

	if (r->hide_client) {
		lines_out[0] = str_printf(
			mem, "Received: by " PRI_STR " (" PRI_STR ") id " PRI_STR "%s",
			STR_ARG(r->myhostname), STR_ARG(r->mail_name), STR_ARG(r->id),
			end);
		lines_out[1] = last_line(mem, r);
		return 2;
	}
	lines_out[n++] = str_printf(
		mem, "Received: from " PRI_STR " (" PRI_STR " [%s" PRI_STR "])",
		STR_ARG(helo), STR_ARG(r->name), v6 ? "IPv6:" : "", STR_ARG(r->address));
	if (r->tls != NULL)
		n += tls_lines(mem, r, lines_out + n);
	if (r->login.len > 0)
		lines_out[n++] = str_printf(mem, "\t(Authenticated sender: " PRI_STR ")",
					    STR_ARG(comment_text(mem, r->login)));
	lines_out[n++] = str_printf(
		mem, "\tby " PRI_STR " (" PRI_STR ") with " PRI_STR "%s" PRI_STR "%s",
		STR_ARG(r->myhostname), STR_ARG(r->mail_name),
		STR_ARG(protocol_name(mem, r)), r->id.len > 0 ? " id " : "",
		STR_ARG(r->id), end);
	lines_out[n++] = last_line(mem, r);
	return n;
}
