/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/address.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

enum {
	HOSTNAME_MAX = 255, /* RFC 1035 section 2.3.4 */
	LABEL_MAX = 63,
	HOSTADDR_MAX = INET6_ADDRSTRLEN,
};

bool
address_split(struct str address, struct str *local_out, struct str *domain_out)
{
	size_t at = str_rindex(address, '@');

	*local_out = str_head(address, at);
	*domain_out = str_skip(address, at + 1);
	return at < address.len;
}

struct str
address_join(struct arena *mem, struct str local, struct str domain)
{
	return str_printf(mem, PRI_STR "@" PRI_STR, STR_ARG(local), STR_ARG(domain));
}

/* Words and single dots: what needs no quotes. specials differ between the two RFCs. */
static bool
is_dot_string(struct str local, const char *specials)
{
	if (local.len == 0 || local.p[0] == '.' || local.p[local.len - 1] == '.')
		return false;
	for (size_t i = 0; i < local.len; i++) {
		char c = local.p[i];

		if (c == '.' && local.p[i - 1] == '.')
			return false;
		if ((unsigned char)c <= 32 || c == 127 || strchr(specials, c) != NULL)
			return false;
	}
	return true;
}

static void
add_quoted(struct buf *out, struct str local, const char *escaped)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < local.len; i++) {
		char c = local.p[i];

		if (c != '\0' && strchr(escaped, c) != NULL)
			buf_add_char(out, '\\');
		buf_add_char(out, c);
	}
	buf_add_char(out, '"');
}

static struct str
quote(struct arena *mem, struct str address, size_t local_len, const char *specials,
      const char *escaped)
{
	struct str local = str_head(address, local_len);
	struct buf *out;

	if (address.len == 0 || is_dot_string(local, specials))
		return str_dup(mem, address);
	out = buf_new(mem, 2 * address.len + 2);
	add_quoted(out, local, escaped);
	buf_add(out, str_skip(address, local_len));
	return buf_str(out);
}

struct str
address_quote_smtp(struct arena *mem, struct str internal)
{
	return quote(mem, internal, str_rindex(internal, '@'), "<>()[]\\,;:@\"",
		     "\r\n\"\\");
}

/* "@a,@b:" in front of an address: how long it is; 0 if there is none. */
static size_t
route_len(struct str internal)
{
	size_t colon = str_index(internal, ':');

	if (internal.len == 0 || internal.p[0] != '@' || colon + 1 >= internal.len)
		return 0;
	return colon + 1;
}

struct str
address_quote_header(struct arena *mem, struct str internal)
{
	size_t route = route_len(internal);

	if (route > 0)
		return str_concat(mem, str_head(internal, route),
				  address_quote_header(mem, str_skip(internal, route)));
	return quote(mem, internal, str_rindex(internal, '@'), "()<>@,;:\\\"[]",
		     "\r\"\\");
}

struct str
address_quote_local(struct arena *mem, struct str local)
{
	return quote(mem, local, local.len, "()<>@,;:\\\"[]", "\r\"\\");
}

struct str
address_unquote(struct arena *mem, struct str external)
{
	size_t local_len = str_rindex(external, '@');
	struct buf *out = buf_new(mem, external.len);

	for (size_t i = 0; i < local_len; i++) {
		char c = external.p[i];

		if (c == '"')
			continue;
		if (c == '\\') {
			if (i + 1 == local_len)
				continue;
			c = external.p[++i];
		}
		buf_add_char(out, c);
	}
	buf_add(out, str_skip(external, local_len));
	return buf_str(out);
}

/* Names that the mail system itself needs whole. */
static bool
is_never_split(struct str local)
{
	static const struct str names[] = {
		STR_INIT("postmaster"),
		STR_INIT("mailer-daemon"),
		STR_INIT("double-bounce"),
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_ieq(local, names[i]))
			return true;
	}
	return false;
}

bool
address_extension(struct str local, const char *delimiters, bool owner_request_special,
		  struct str *user_out, struct str *extension_out)
{
	struct str request = STR("-request");
	size_t at = str_index_any(local, delimiters);

	if (at == 0 || at == local.len || is_never_split(local))
		return false;
	if (owner_request_special && strchr(delimiters, '-') != NULL) {
		if (str_istarts(local, STR("owner-")))
			return false;
		if (local.len > request.len && str_iends(local, request))
			return false;
	}
	*user_out = str_head(local, at);
	*extension_out = str_skip(local, at + 1);
	return true;
}

static bool
label_check(struct str label, struct err *err)
{
	if (label.len == 0)
		return err_set(err, ERR_PERM, "misplaced dot in host name");
	if (label.len > LABEL_MAX)
		return err_set(err, ERR_PERM, "host name part is longer than %d bytes",
			       LABEL_MAX);
	if (label.p[0] == '-' || label.p[label.len - 1] == '-')
		return err_set(err, ERR_PERM, "misplaced hyphen in host name");
	return true;
}

static bool
is_name_char(char c)
{
	return char_is_alnum(c) || c == '-' || c == '_';
}

bool
hostname_check(struct str name, bool utf8, struct err *err)
{
	struct str rest = name;
	bool only_digits = true;

	if (name.len == 0)
		return err_set(err, ERR_PERM, "empty host name");
	if (name.len > HOSTNAME_MAX)
		return err_set(err, ERR_PERM, "host name is longer than %d bytes",
			       HOSTNAME_MAX);
	if (utf8 && !str_is_utf8(name))
		return err_set(err, ERR_PERM, "host name is not valid UTF-8");
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];
		bool high = (unsigned char)c > 127;

		if (!is_name_char(c) && c != '.' && !(high && utf8))
			return err_set(err, ERR_PERM,
				       "character %d not allowed in a host name",
				       (unsigned char)c);
		if (!char_is_digit(c) && c != '.')
			only_digits = false;
	}
	if (only_digits)
		return err_set(err, ERR_PERM, "host name consists of numbers only");
	for (;;) {
		size_t dot = str_index(rest, '.');

		if (!label_check(str_head(rest, dot), err))
			return false;
		if (dot == rest.len)
			return true;
		rest = str_skip(rest, dot + 1);
	}
}

size_t
hostaddr_bytes(struct str text, unsigned char bytes[static HOSTADDR_BYTES_MAX])
{
	bool v6 = str_contains(text, ':');
	char copy[HOSTADDR_MAX];

	if (text.len == 0 || text.len >= sizeof(copy) || str_contains(text, '\0'))
		return 0;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	if (inet_pton(v6 ? AF_INET6 : AF_INET, copy, bytes) != 1)
		return 0;
	return v6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
}

bool
hostaddr_is_valid(struct str text)
{
	unsigned char ignored[HOSTADDR_BYTES_MAX];

	return hostaddr_bytes(text, ignored) > 0;
}

struct str
address_without_brackets(struct str text)
{
	if (text.len >= 2 && text.p[0] == '<' && text.p[text.len - 1] == '>')
		return str_head(str_skip(text, 1), text.len - 2);
	return text;
}

bool
literal_parse(struct str text, struct str *address_out)
{
	struct str ipv6 = STR("ipv6:");
	struct str inner;

	if (text.len < 3 || text.p[0] != '[' || text.p[text.len - 1] != ']')
		return false;
	inner = str_head(str_skip(text, 1), text.len - 2);
	if (str_istarts(inner, ipv6)) {
		inner = str_skip(inner, ipv6.len);
		if (!str_contains(inner, ':'))
			return false;
	}
	if (!hostaddr_is_valid(inner))
		return false;
	*address_out = inner;
	return true;
}
