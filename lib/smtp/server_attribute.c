/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/server_attribute.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/macros.h"

#include "mail/address.h"
#include "mail/xtext.h"
#include "smtp/server_command.h"

enum { VALUE_MAX = 255, PORT_MAX = 65535 };

const char smtp_xclient_names[] =
	"NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT";
const char smtp_xforward_names[] = "NAME ADDR PROTO HELO SOURCE PORT IDENT";

enum { IN_XCLIENT = 1, IN_XFORWARD = 2 };

static const struct row {
	const char *name;
	unsigned commands;
} rows[SMTP_ATTRIBUTES] = {
	[SMTP_ATTRIBUTE_NAME] = {"NAME", IN_XCLIENT | IN_XFORWARD},
	[SMTP_ATTRIBUTE_REVERSE_NAME] = {"REVERSE_NAME", IN_XCLIENT},
	[SMTP_ATTRIBUTE_ADDR] = {"ADDR", IN_XCLIENT | IN_XFORWARD},
	[SMTP_ATTRIBUTE_PORT] = {"PORT", IN_XCLIENT | IN_XFORWARD},
	[SMTP_ATTRIBUTE_PROTO] = {"PROTO", IN_XCLIENT | IN_XFORWARD},
	[SMTP_ATTRIBUTE_HELO] = {"HELO", IN_XCLIENT | IN_XFORWARD},
	[SMTP_ATTRIBUTE_LOGIN] = {"LOGIN", IN_XCLIENT},
	[SMTP_ATTRIBUTE_DESTADDR] = {"DESTADDR", IN_XCLIENT},
	[SMTP_ATTRIBUTE_DESTPORT] = {"DESTPORT", IN_XCLIENT},
	[SMTP_ATTRIBUTE_IDENT] = {"IDENT", IN_XFORWARD},
	[SMTP_ATTRIBUTE_SOURCE] = {"SOURCE", IN_XFORWARD},
};

struct parser {
	struct arena *mem;
	bool is_xclient;
	bool ipv4, ipv6;
	struct str *reply_out;
};

static bool
bad_value(const struct parser *p, enum smtp_attribute which, struct str value)
{
	*p->reply_out = str_printf(p->mem, "501 5.5.4 Bad %s syntax: " PRI_STR,
				   rows[which].name, STR_ARG(value));
	return false;
}

/* "IPV6:..." and the dotted form; *value becomes the plain address. */
static bool
take_address(const struct parser *p, struct str *value)
{
	struct str plain = *value;
	bool is_v6 = str_istarts(plain, STR("IPV6:"));

	if (is_v6)
		plain = str_skip(plain, STR("IPV6:").len);
	if (!hostaddr_is_valid(plain) || is_v6 != str_contains(plain, ':') ||
	    !(is_v6 ? p->ipv6 : p->ipv4))
		return false;
	*value = is_v6 ? str_lower(p->mem, plain) : plain;
	return true;
}

static bool
value_is_legal(const struct parser *p, enum smtp_attribute which, struct str *value)
{
	struct err err;
	int64_t port;

	switch (which) {
	case SMTP_ATTRIBUTE_NAME:
	case SMTP_ATTRIBUTE_REVERSE_NAME:
		return hostname_check(*value, true, &err);
	case SMTP_ATTRIBUTE_ADDR:
	case SMTP_ATTRIBUTE_DESTADDR:
		return take_address(p, value);
	case SMTP_ATTRIBUTE_PORT:
	case SMTP_ATTRIBUTE_DESTPORT:
		return str_to_i64(*value, 0, PORT_MAX, &port);
	case SMTP_ATTRIBUTE_PROTO:
		if (p->is_xclient)
			return str_ieq(*value, STR("SMTP")) ||
			       str_ieq(*value, STR("ESMTP"));
		return true;
	case SMTP_ATTRIBUTE_SOURCE:
		return str_ieq(*value, STR("LOCAL")) || str_ieq(*value, STR("REMOTE"));
	case SMTP_ATTRIBUTE_HELO:
	case SMTP_ATTRIBUTE_LOGIN:
	case SMTP_ATTRIBUTE_IDENT:
	case SMTP_ATTRIBUTES:
		break;
	}
	return true;
}

static enum smtp_attribute
find(const struct parser *p, struct str name)
{
	for (size_t i = 0; i < SMTP_ATTRIBUTES; i++)
		if (str_ieq(name, str_from(rows[i].name)) &&
		    (rows[i].commands & (p->is_xclient ? IN_XCLIENT : IN_XFORWARD)) != 0)
			return (enum smtp_attribute)i;
	return SMTP_ATTRIBUTES;
}

static bool
take(const struct parser *p, struct str word, struct smtp_attributes *out)
{
	enum smtp_attribute which;
	struct str name;
	struct str value;
	struct str raw;
	bool is_name;

	if (!str_split(word, '=', &name, &value) || value.len == 0) {
		*p->reply_out = STR("501 5.5.4 Error: attribute=value expected");
		return false;
	}
	if (value.len > VALUE_MAX) {
		*p->reply_out = STR("501 5.5.4 Error: attribute value too long");
		return false;
	}
	which = find(p, name);
	if (which == SMTP_ATTRIBUTES) {
		*p->reply_out =
			str_printf(p->mem, "501 5.5.4 Bad %s attribute name: " PRI_STR,
				   p->is_xclient ? "XCLIENT" : "XFORWARD", STR_ARG(name));
		return false;
	}
	if (xtext_decode(p->mem, value, &raw))
		value = raw;
	is_name = which == SMTP_ATTRIBUTE_NAME || which == SMTP_ATTRIBUTE_REVERSE_NAME;
	if (str_ieq(value, STR("[UNAVAILABLE]"))) {
		out->known[which] = SMTP_UNAVAILABLE;
	} else if (is_name && str_ieq(value, STR("[TEMPUNAVAIL]"))) {
		out->known[which] = SMTP_TEMPUNAVAIL;
	} else {
		if (!value_is_legal(p, which, &value))
			return bad_value(p, which, value);
		out->known[which] = SMTP_SAID;
	}
	out->value[which] = value;
	return true;
}

bool
smtp_attributes_parse(struct arena *mem, const struct smtp_words *words, bool is_xclient,
		      bool ipv4, bool ipv6, struct smtp_attributes *out,
		      struct str *reply_out)
{
	const struct parser p = {.mem = mem,
				 .is_xclient = is_xclient,
				 .ipv4 = ipv4,
				 .ipv6 = ipv6,
				 .reply_out = reply_out};

	*out = (struct smtp_attributes){.known = {SMTP_NOT_SAID}};
	for (size_t i = 0; i < SMTP_ATTRIBUTES; i++)
		out->value[i] = STR_EMPTY;
	if (words->n < 2) {
		*reply_out = str_printf(mem, "501 5.5.4 Syntax: %s attribute=value...",
					is_xclient ? "XCLIENT" : "XFORWARD");
		return false;
	}
	for (size_t i = 1; i < words->n; i++)
		if (!take(&p, words->word[i], out))
			return false;
	return true;
}
