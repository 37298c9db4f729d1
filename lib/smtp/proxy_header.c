/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/reader.h"

#include "mail/address.h"

enum {
	V2_FIXED = 16,
	V2_VERSION = 2,
	V2_LOCAL = 0,
	V2_PROXY = 1,
	V2_TCP4 = 0x11,
	V2_TCP6 = 0x21,
	PORT_MAX = 65535,
};

/* Nothing that a mail client says begins like this. */
static const struct str v2_signature = STR_INIT("\r\n\r\n\0\r\nQUIT\n");

struct parser {
	struct arena *mem;
	bool ipv4, ipv6;
	struct proxy_header *out;
	const char **why_out;
};

static enum proxy_result
bad(const struct parser *p, const char *why)
{
	*p->why_out = why;
	return PROXY_BAD;
}

/* ---- version 1 ---- */

static bool
take_address(struct parser *p, struct str *rest, bool v6, struct str *out)
{
	struct str word;

	if (!str_token(rest, " ", &word) || !hostaddr_is_valid(word) ||
	    str_contains(word, ':') != v6)
		return false;
	*out = str_lower(p->mem, word);
	return true;
}

static bool
take_port(struct parser *p, struct str *rest, struct str *out)
{
	struct str word;
	int64_t port;

	if (!str_token(rest, " ", &word) || !str_to_i64(word, 0, PORT_MAX, &port))
		return false;
	*out = str_dup(p->mem, word);
	return true;
}

static enum proxy_result
parse_line(struct parser *p, struct str line)
{
	struct proxy_header *h = p->out;
	struct str rest = line;
	struct str word;

	/* "PROXY", which was seen. */
	if (!str_token(&rest, " ", &word) || !str_token(&rest, " ", &word))
		return bad(p, "bad or missing protocol type");
	h->keeps_peer = str_eq(word, STR("UNKNOWN"));
	if (h->keeps_peer)
		return PROXY_DONE;
	h->is_v6 = str_eq(word, STR("TCP6"));
	if (!(h->is_v6 ? p->ipv6 : p->ipv4 && str_eq(word, STR("TCP4"))))
		return bad(p, "bad or missing protocol type");
	if (!take_address(p, &rest, h->is_v6, &h->client_address))
		return bad(p, "bad or missing client address");
	if (!take_address(p, &rest, h->is_v6, &h->server_address))
		return bad(p, "bad or missing server address");
	if (!take_port(p, &rest, &h->client_port))
		return bad(p, "bad or missing client port");
	if (!take_port(p, &rest, &h->server_port))
		return bad(p, "bad or missing server port");
	return PROXY_DONE;
}

static enum proxy_result
parse_v1(struct parser *p, struct str input)
{
	struct str start = STR("PROXY ");
	size_t lf = str_index(input, '\n');
	struct str line;

	if (!str_starts(input, str_head(start, input.len)))
		return bad(p, "missing protocol header");
	if (lf == input.len)
		return input.len < PROXY_V1_MAX
			       ? PROXY_MORE
			       : bad(p, "missing protocol header terminator");
	if (lf >= PROXY_V1_MAX)
		return bad(p, "missing protocol header terminator");
	line = str_head(input, lf);
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	p->out->length = lf + 1;
	return parse_line(p, line);
}

/* ---- version 2 ---- */

static struct str
address_text(struct parser *p, int family, struct str bytes)
{
	char text[INET6_ADDRSTRLEN] = "";

	IGNORE(inet_ntop(family, bytes.p, text, sizeof(text)) == NULL);
	return str_dup(p->mem, str_from(text));
}

static enum proxy_result
parse_addresses(struct parser *p, struct reader *r, uint8_t family)
{
	bool v6 = family == V2_TCP6;
	size_t size = v6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
	int af = v6 ? AF_INET6 : AF_INET;
	struct proxy_header *h = p->out;
	struct str client = reader_bytes(r, size);
	struct str server = reader_bytes(r, size);
	unsigned client_port = reader_u16(r);
	unsigned server_port = reader_u16(r);

	if (!reader_ok(r))
		return bad(p, "short address field");
	h->is_v6 = v6;
	h->client_address = address_text(p, af, client);
	h->server_address = address_text(p, af, server);
	h->client_port = str_printf(p->mem, "%u", client_port);
	h->server_port = str_printf(p->mem, "%u", server_port);
	return PROXY_DONE;
}

static enum proxy_result
parse_v2(struct parser *p, struct str input)
{
	struct reader r;
	uint8_t version;
	uint8_t family;
	size_t size;

	if (input.len < V2_FIXED)
		return PROXY_MORE;
	reader_init(&r, str_skip(input, v2_signature.len));
	version = reader_u8(&r);
	family = reader_u8(&r);
	size = reader_u16(&r);
	if (version >> 4 != V2_VERSION)
		return bad(p, "unrecognized protocol version");
	if (size > PROXY_V2_MAX - V2_FIXED)
		return bad(p, "too long address field");
	if (input.len < V2_FIXED + size)
		return PROXY_MORE;
	p->out->length = V2_FIXED + size;
	if ((version & 0xfu) == V2_LOCAL) {
		p->out->keeps_peer = true;
		return PROXY_DONE;
	}
	if ((version & 0xfu) != V2_PROXY)
		return bad(p, "bad command in proxy header");
	if (!((family == V2_TCP4 && p->ipv4) || (family == V2_TCP6 && p->ipv6)))
		return bad(p, "unsupported network protocol");
	reader_init(&r, str_head(str_skip(input, V2_FIXED), size));
	return parse_addresses(p, &r, family);
}

enum proxy_result
proxy_header_parse(struct arena *mem, struct str input, bool ipv4, bool ipv6,
		   struct proxy_header *out, const char **why_out)
{
	struct str none = STR_EMPTY;
	struct proxy_header header = {.client_address = none,
				      .client_port = none,
				      .server_address = none,
				      .server_port = none};
	struct parser p = {.mem = mem,
			   .ipv4 = ipv4,
			   .ipv6 = ipv6,
			   .out = &header,
			   .why_out = why_out};
	enum proxy_result result;

	if (input.len == 0)
		return PROXY_MORE;
	result = str_starts(input, str_head(v2_signature, input.len))
			 ? parse_v2(&p, input)
			 : parse_v1(&p, input);
	if (result == PROXY_DONE)
		*out = header;
	return result;
}
