/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/sys.h"

#include "mail/delay.h"

#include "postscreen.h"

#define PRI_CLIENT    "[" PRI_STR "]:" PRI_STR
#define CLIENT_ARG(c) STR_ARG((c)->address), STR_ARG((c)->port)

enum { TEXT_MAX = 100, ESCAPED_MAX = 8192, DECIMALS = 2 };

struct str
escape_text(struct arena *mem, struct str text)
{
	static const char plain[] = "\a\b\f\n\r\t\v\\";
	static const char letters[] = "abfnrtv\\";
	struct buf *out = buf_new(mem, ESCAPED_MAX);

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];
		const char *known = c == '\0' ? NULL : strchr(plain, c);

		if (known != NULL)
			buf_printf(out, "\\%c", letters[known - plain]);
		else if (char_is_print(c))
			buf_add_char(out, c);
		else
			buf_printf(out, "\\%03o", (unsigned)(unsigned char)c);
	}
	return buf_str(out);
}

static struct str
elapsed(const struct client *c)
{
	return delay_format(c->mem, sys_now_us() - c->since_us, DECIMALS);
}

void
log_client_connect(const struct client *c)
{
	log_info(c->screen->log, "CONNECT from " PRI_CLIENT " to [" PRI_STR "]:" PRI_STR,
		 CLIENT_ARG(c), STR_ARG(c->server_address), STR_ARG(c->server_port));
}

void
log_client_disconnect(const struct client *c)
{
	log_client(c, "DISCONNECT");
}

void
log_client(const struct client *c, const char *what)
{
	log_info(c->screen->log, "%s " PRI_CLIENT, what, CLIENT_ARG(c));
}

void
log_client_after(const struct client *c, const char *what, const char *where)
{
	log_info(c->screen->log, "%s from " PRI_CLIENT " after %s", what, CLIENT_ARG(c),
		 where);
}

void
log_client_from(const struct client *c, const char *what)
{
	log_info(c->screen->log, "%s from " PRI_CLIENT, what, CLIENT_ARG(c));
}

void
log_refused_connect(const struct client *c, const char *why)
{
	log_info(c->screen->log, "NOQUEUE: reject: CONNECT from " PRI_CLIENT ": %s",
		 CLIENT_ARG(c), why);
}

void
log_pregreet(const struct client *c, size_t n, struct str text)
{
	struct str shown = str_head(escape_text(c->mem, text), TEXT_MAX);

	log_info(c->screen->log,
		 "PREGREET %zu after " PRI_STR " from " PRI_CLIENT ": " PRI_STR, n,
		 STR_ARG(elapsed(c)), CLIENT_ARG(c), STR_ARG(shown));
}

void
log_dnsbl(const struct client *c, int score)
{
	log_info(c->screen->log, "DNSBL rank %d for " PRI_CLIENT, score, CLIENT_ARG(c));
}

void
log_hangup(const struct client *c, const char *phase)
{
	log_info(c->screen->log, "HANGUP after " PRI_STR " from " PRI_CLIENT " in %s",
		 STR_ARG(elapsed(c)), CLIENT_ARG(c), phase);
}

void
log_pipelining(const struct client *c, struct str command, struct str text)
{
	log_info(c->screen->log,
		 "COMMAND PIPELINING from " PRI_CLIENT " after " PRI_STR ": " PRI_STR,
		 CLIENT_ARG(c), STR_ARG(str_head(command, TEXT_MAX)),
		 STR_ARG(escape_text(c->now, str_head(text, TEXT_MAX))));
}

void
log_non_smtp(const struct client *c, struct str command, struct str rest)
{
	log_info(c->screen->log,
		 "NON-SMTP COMMAND from " PRI_CLIENT " after %s: " PRI_STR " " PRI_STR,
		 CLIENT_ARG(c), c->where,
		 STR_ARG(str_printable(c->now, str_head(command, TEXT_MAX), false)),
		 STR_ARG(str_printable(c->now, rest, false)));
}

void
log_reject_rcpt(const struct client *c, struct str reply, struct str recipient)
{
	log_info(c->screen->log,
		 "NOQUEUE: reject: RCPT from " PRI_CLIENT ": " PRI_STR "; from=<" PRI_STR
		 ">, to=<" PRI_STR ">, proto=%s, helo=<" PRI_STR ">",
		 CLIENT_ARG(c), STR_ARG(reply), STR_ARG(c->sender), STR_ARG(recipient),
		 c->is_esmtp ? "ESMTP" : "SMTP", STR_ARG(c->helo));
}
