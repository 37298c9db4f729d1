/* SPDX-License-Identifier: Apache-2.0 */
#include "access/template_internal.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "config/expand.h"
#include "mail/address.h"

#include "access/access.h"

struct expansion {
	struct arena *mem;
	const struct template_values *v;
	bool allowed[256];
};

/* smtpd_expansion_filter is written with C's escapes. */
static void
read_filter(struct expansion *x, struct str text)
{
	static const char letters[] = "abfnrtv";
	static const char bytes[] = "\a\b\f\n\r\t\v";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		const char *letter;
		unsigned value = 0;
		size_t digits = 0;

		if (c != '\\' || i + 1 == text.len) {
			x->allowed[c] = true;
			continue;
		}
		while (digits < 3 && i + 1 < text.len && text.p[i + 1] >= '0' &&
		       text.p[i + 1] <= '7') {
			value = value * 8 + (unsigned)(text.p[++i] - '0');
			digits++;
		}
		if (digits == 0) {
			c = (unsigned char)text.p[++i];
			letter = c != '\0' ? strchr(letters, c) : NULL;
			value = letter != NULL ? (unsigned char)bytes[letter - letters]
					       : c;
		}
		x->allowed[value & 255u] = true;
	}
}

static struct str
filtered(struct expansion *x, struct str value)
{
	char *copy = str_c(x->mem, value);

	for (size_t i = 0; i < value.len; i++) {
		if (!x->allowed[(unsigned char)copy[i]])
			copy[i] = '_';
	}
	return str_from_mem(copy, value.len);
}

static struct str
or_null_address(struct str address)
{
	return address.len > 0 ? address : STR("<>");
}

/* Of "sender" and "sender_name", "sender_domain": what is asked for. */
static struct str
part_of(struct str address, struct str suffix)
{
	struct str local;
	struct str domain;

	IGNORE(address_split(address, &local, &domain));
	if (str_eq(suffix, STR("_name")))
		return or_null_address(local);
	return str_eq(suffix, STR("_domain")) ? domain : or_null_address(address);
}

static bool
address_value(struct str name, struct str prefix, bool has, struct str address,
	      struct str *out)
{
	struct str suffix = str_skip(name, prefix.len);

	if (!str_starts(name, prefix) ||
	    (suffix.len > 0 && !str_eq(suffix, STR("_name")) &&
	     !str_eq(suffix, STR("_domain"))))
		return false;
	*out = has ? part_of(address, suffix) : STR_EMPTY;
	return true;
}

static bool
session_value(struct expansion *x, struct str name, struct str *out)
{
	const struct access_request *r = x->v->request;
	const struct {
		const char *name;
		struct str value;
	} rows[] = {
		{"client",
		 str_printf(x->mem, PRI_STR "[" PRI_STR "]", STR_ARG(r->client_name),
			    STR_ARG(r->client_address))},
		{"client_address", r->client_address},
		{"client_name", r->client_name},
		{"client_port", r->client_port},
		{"reverse_client_name", r->client_reverse_name},
		{"helo_name", r->has_helo ? r->helo : STR_EMPTY},
		{"server_name", x->v->hostname},
		{"localtime", x->v->localtime},
		{"sasl_username", r->sasl_username},
		{"sasl_method", r->sasl_method},
		{"sasl_sender", r->sasl_sender},
		{"ccert_subject", r->ccert_subject},
		{"ccert_issuer", r->ccert_issuer},
		{"rbl_code", str_printf(x->mem, "%03d", x->v->rbl_code)},
		{"rbl_class", x->v->rbl_class},
		{"rbl_domain", x->v->rbl_domain},
		{"rbl_what", x->v->rbl_what},
		{"rbl_reason", x->v->rbl_reason},
		{"rbl_txt", x->v->rbl_reason},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_eq(name, str_from(rows[i].name))) {
			*out = rows[i].value.p != NULL ? rows[i].value : STR_EMPTY;
			return true;
		}
	}
	return address_value(name, STR("sender"), r->has_sender, r->sender, out) ||
	       address_value(name, STR("recipient"), r->has_recipient, r->recipient, out);
}

static enum expand_found
look_up(void *closure, struct str name, struct str *out)
{
	struct expansion *x = closure;
	struct str value;

	if (!session_value(x, name, &value))
		return EXPAND_UNKNOWN;
	*out = filtered(x, value);
	return EXPAND_LITERAL;
}

bool
access_template_expand(struct arena *mem, struct str text,
		       const struct template_values *values, struct str *out,
		       struct err *err)
{
	struct expansion x = {.mem = mem, .v = values};
	struct buf *b = buf_new(mem, TEMPLATE_MAX);

	read_filter(&x, values->allowed);
	if (!expand_text(text, look_up, &x, b, err))
		return false;
	*out = buf_str(b);
	return true;
}
