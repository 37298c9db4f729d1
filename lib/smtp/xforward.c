/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/xforward.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "mail/xtext.h"

enum xforward {
	XFORWARD_NAME = 1u << 0,
	XFORWARD_ADDR = 1u << 1,
	XFORWARD_PORT = 1u << 2,
	XFORWARD_PROTO = 1u << 3,
	XFORWARD_HELO = 1u << 4,
	XFORWARD_IDENT = 1u << 5,
	XFORWARD_SOURCE = 1u << 6,
};

static const struct {
	struct str name;
	unsigned bit;
} xforward_names[] = {
	{STR_INIT("NAME"), XFORWARD_NAME},     {STR_INIT("ADDR"), XFORWARD_ADDR},
	{STR_INIT("PORT"), XFORWARD_PORT},     {STR_INIT("PROTO"), XFORWARD_PROTO},
	{STR_INIT("HELO"), XFORWARD_HELO},     {STR_INIT("IDENT"), XFORWARD_IDENT},
	{STR_INIT("SOURCE"), XFORWARD_SOURCE},
};

unsigned
smtp_xforward_parse(struct str offer)
{
	unsigned mask = 0;
	struct str word;

	while (str_token(&offer, " \t", &word)) {
		for (size_t i = 0; i < ARRAY_LEN(xforward_names); i++)
			mask |= str_ieq(word, xforward_names[i].name)
					? xforward_names[i].bit
					: 0;
	}
	return mask;
}

static void
add(struct arena *mem, struct buf *out, unsigned offered, unsigned bit, struct str value)
{
	if ((offered & bit) == 0 || value.len == 0 || str_ieq(value, STR("unknown")))
		return;
	for (size_t i = 0; i < ARRAY_LEN(xforward_names); i++) {
		if (xforward_names[i].bit == bit)
			buf_printf(out, " " PRI_STR "=", STR_ARG(xforward_names[i].name));
	}
	if (bit == XFORWARD_ADDR && str_contains(value, ':') &&
	    !str_istarts(value, STR("IPv6:")))
		buf_add_c(out, "IPv6:");
	buf_add(out, xtext_encode(mem, value));
}

bool
smtp_xforward_add(struct arena *mem, struct buf *out, unsigned offered,
		  const struct smtp_origin *o, bool session)
{
	size_t before = out->len;
	size_t named;

	buf_add_c(out, "XFORWARD");
	named = out->len;
	if (!session) {
		add(mem, out, offered, XFORWARD_NAME, o->name);
		add(mem, out, offered, XFORWARD_ADDR, o->address);
		add(mem, out, offered, XFORWARD_PORT, o->port);
	} else {
		add(mem, out, offered, XFORWARD_PROTO, o->proto);
		add(mem, out, offered, XFORWARD_HELO, o->helo);
		add(mem, out, offered, XFORWARD_IDENT, o->ident);
		add(mem, out, offered, XFORWARD_SOURCE,
		    o->is_local ? STR("LOCAL") : STR("REMOTE"));
	}
	if (out->len == named) {
		buf_truncate(out, before);
		return false;
	}
	buf_add_c(out, "\r\n");
	return true;
}
