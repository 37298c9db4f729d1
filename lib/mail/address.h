/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Mail addresses in their two forms.
 *
 * The internal form has no quoting: `a b@example.org`. It is what tables are asked for,
 * what queue files hold and what the programs compare. The external form is quoted: for
 * SMTP commands by RFC 5321 section 4.1.2, for headers, and for `<...>` in the log, by
 * RFC 5322 section 3.4.1. An address is cut into local part and domain at its last `@`;
 * only local parts are ever quoted. Bytes above 127 are kept as they are.
 *
 * Pure functions; results are in the arena, or views of the argument where it says so.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

/* Both parts, as views, without the last `@`. Without one: false, the whole address is
 * the local part and the domain is empty. */
bool address_split(struct str address, struct str *local_out, struct str *domain_out);

/* local@domain */
struct str address_join(struct arena *mem, struct str local, struct str domain);

/* Internal to external. An empty address stays empty (callers put it inside `<>`). */
struct str address_quote_smtp(struct arena *mem, struct str internal);
struct str address_quote_header(struct arena *mem, struct str internal);
/* The local part alone, as in a header. */
struct str address_quote_local(struct arena *mem, struct str local);

/* External to internal: removes the quoting of the local part, nothing else. */
struct str address_unquote(struct arena *mem, struct str external);

/*
 * Cut `user+ext` at the first delimiter that is one of `delimiters`
 * (recipient_delimiter). The outputs are views, without the delimiter. False, outputs
 * untouched, where nothing is to be cut: no delimiter, one at the start only, the names
 * postmaster, mailer-daemon and double-bounce, and, when `-` is a delimiter and
 * owner_request_special is on, `owner-x` and `x-request`.
 */
bool address_extension(struct str local, const char *delimiters,
		       bool owner_request_special, struct str *user_out,
		       struct str *extension_out);

/* A host or domain name: labels of letters, digits, `-`, `_`, at most 63 bytes each and
 * 255 together, not numbers alone. Bytes above 127 are allowed in valid UTF-8 when
 * utf8 is set. The reason is in err (ERR_PERM). */
bool hostname_check(struct str name, bool utf8, struct err *err);

enum { HOSTADDR_BYTES_MAX = 16 };

/* An IPv4 or IPv6 address in text, without brackets or prefix. */
bool hostaddr_is_valid(struct str text);

/* The same as bytes in network order. Returns how many: 4, 16, or 0 for what is none. */
size_t hostaddr_bytes(struct str text, unsigned char bytes[static HOSTADDR_BYTES_MAX]);

/* What is inside of <...>, or all of it where the text is not in brackets. */
struct str address_without_brackets(struct str text);

/* `[192.0.2.1]` or `[IPv6:2001:db8::1]`: the address inside, as a view. False for
 * anything else. */
bool literal_parse(struct str text, struct str *address_out);
