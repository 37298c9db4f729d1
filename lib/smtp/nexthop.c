/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/nexthop.h"

#include <arpa/inet.h>

#include "base/arena.h"
#include "base/macros.h"

#include "dns/server_name.h"

static bool
bad(struct err *err, const char *what, struct str text)
{
	return err_set(err, ERR_CONFIG, "%s in server description: " PRI_STR, what,
		       STR_ARG(text));
}

/* "[host]" or "[host]:port". */
static bool
parse_brackets(struct str text, struct nexthop *n, struct err *err)
{
	size_t end = str_index(text, ']');
	struct str rest = str_skip(text, end + 1);

	if (end == text.len)
		return bad(err, "missing ']'", text);
	n->host = str_head(str_skip(text, 1), end - 1);
	if (str_istarts(n->host, STR("ipv6:")))
		n->host = str_skip(n->host, 5);
	if (rest.len > 0 && rest.p[0] != ':')
		return bad(err, "garbage after ']'", text);
	n->service = str_skip(rest, 1);
	if (rest.len == 1)
		return bad(err, "missing port after ':'", text);
	return true;
}

/* "host" or "host:port"; a bare IPv6 address has more than one colon. */
static bool
parse_plain(struct str text, struct nexthop *n, struct err *err)
{
	size_t colon = str_index(text, ':');

	n->mx = true;
	n->host = str_head(text, colon);
	n->service = str_skip(text, colon + 1);
	if (str_contains(n->service, ':')) {
		n->host = text;
		n->service = STR_EMPTY;
		return true;
	}
	if (colon < text.len && n->service.len == 0)
		return bad(err, "missing port after ':'", text);
	return true;
}

bool
nexthop_parse(struct arena *mem, struct str text, bool lmtp, struct str default_port,
	      struct nexthop *out, struct err *err)
{
	struct nexthop n = {.text = str_dup(mem, text)};
	struct str rest = n.text;

	if (lmtp && str_istarts(rest, STR("unix:"))) {
		n.host = str_skip(rest, 5);
		n.is_unix = true;
		*out = n;
		return n.host.len > 0 || bad(err, "missing path", text);
	}
	if (lmtp && str_istarts(rest, STR("inet:")))
		rest = str_skip(rest, 5);
	if (!(rest.len > 0 && rest.p[0] == '[' ? parse_brackets(rest, &n, err)
					       : parse_plain(rest, &n, err)))
		return false;
	if (n.host.len == 0)
		return bad(err, "missing host name", text);
	if (n.host.len > 255)
		return bad(err, "too long a host name", text);
	n.port = server_port(n.service.len > 0 ? n.service : default_port);
	if (n.port == 0)
		return bad(err, "unknown service or bad port", text);
	n.mx = n.mx && !lmtp;
	*out = n;
	return true;
}

bool
nexthop_list(struct arena *mem, struct str text, struct str **items_out,
	     size_t *count_out, struct err *err)
{
	struct str *items = arena_alloc_array(mem, NEXTHOP_LIST_MAX, sizeof(*items));
	struct str item;
	size_t n = 0;

	if (str_istarts(str_trim(text), STR("unix:"))) {
		items[n++] = str_trim(text);
	} else {
		while (str_token(&text, ", \t\r\n", &item)) {
			if (n == NEXTHOP_LIST_MAX)
				return err_set(err, ERR_CONFIG,
					       "more than %d destinations in a list",
					       NEXTHOP_LIST_MAX);
			items[n++] = item;
		}
	}
	*items_out = items;
	*count_out = n;
	return true;
}
