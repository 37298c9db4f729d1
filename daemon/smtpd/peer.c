/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "dns/dns.h"
#include "dns/reverse.h"
#include "mail/address.h"
#include "smtp/proxy_header.h"

#include "log.h"
#include "names.h"
#include "session.h"

void
peer_set_text(struct session *s)
{
	s->peer.text = str_printf(s->mem, PRI_STR "[" PRI_STR "]", STR_ARG(s->peer.name),
				  STR_ARG(s->peer.address));
}

/* ---- the socket ---- */

/* An IPv4 address that came over an IPv6 socket is an IPv4 address. */
static void
plain_v4(struct sockaddr_storage *ss)
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	struct sockaddr_in in = {.sin_family = AF_INET};

	if (ss->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return;
	in.sin_port = in6->sin6_port;
	memcpy(&in.sin_addr, &in6->sin6_addr.s6_addr[12], sizeof(in.sin_addr));
	memcpy(ss, &in, sizeof(in));
}

static bool
to_text(struct arena *mem, struct sockaddr_storage *ss, struct str *address_out,
	struct str *port_out)
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_in *in = (const void *)ss;
	char text[INET6_ADDRSTRLEN];
	const void *bytes;
	in_port_t port;

	plain_v4(ss);
	if (ss->ss_family != AF_INET && ss->ss_family != AF_INET6)
		return false;
	bytes = ss->ss_family == AF_INET ? (const void *)&in->sin_addr
					 : (const void *)&in6->sin6_addr;
	port = ss->ss_family == AF_INET ? in->sin_port : in6->sin6_port;
	if (inet_ntop(ss->ss_family, bytes, text, sizeof(text)) == NULL)
		return false;
	*address_out = str_dup(mem, str_from(text));
	*port_out = str_printf(mem, "%u", ntohs(port));
	return true;
}

/* A UNIX socket's clients are this machine's own. Our end of the socket tells what it is,
 * because the other end of a TCP connection that was reset is not known any more, while
 * what it has sent can still be read: that is a stranger. */
static void
look_at_socket(struct session *s)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(ss);
	struct peer *p = &s->peer;

	if (getsockname(stream_fd(s->client), (struct sockaddr *)&ss, &len) != 0)
		return;
	p->is_local = ss.ss_family == AF_UNIX;
	if (p->is_local || !to_text(s->mem, &ss, &p->server_address, &p->server_port))
		return;
	ss = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
	len = sizeof(ss);
	if (getpeername(stream_fd(s->client), (struct sockaddr *)&ss, &len) == 0 &&
	    to_text(s->mem, &ss, &p->address, &p->port))
		p->family = ss.ss_family;
}

/* What a screener has read from a proxy's header counts more than the socket. True: there
 * is no header to come. */
static bool
look_at_passed(struct session *s)
{
	const struct daemon_passed *passed = s->smtpd->daemon->passed;
	struct peer *p = &s->peer;

	s->smtpd->daemon->passed = NULL;
	if (passed == NULL || !passed->is_screened)
		return passed != NULL;
	p->address = str_dup(s->mem, passed->client_address);
	p->port = str_dup(s->mem, passed->client_port);
	p->server_address = str_dup(s->mem, passed->server_address);
	p->server_port = str_dup(s->mem, passed->server_port);
	p->family = str_contains(p->address, ':') ? AF_INET6 : AF_INET;
	return true;
}

/* ---- the name ---- */

static enum access_name
status_of(enum dns_result result)
{
	switch (result) {
	case DNS_FOUND:
		return ACCESS_NAME_OK;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		return ACCESS_NAME_PERM;
	case DNS_TRY_AGAIN:
	case DNS_FAIL:
	case DNS_MALFORMED:
		break;
	}
	return ACCESS_NAME_TEMP;
}

/* Does the name lead back to the address? */
static void
verify(struct session *s, struct str name, bool native)
{
	struct peer *p = &s->peer;
	enum dns_type type = p->family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;
	struct dns_answer answer;

	s->world.dns.ask(s->world.dns.arg, s->now, name, type, native, &answer);
	if (answer.result != DNS_FOUND) {
		log_forged_name(s->smtpd->daemon->log, name, p->address,
				dns_result_text(answer.result));
		p->name_status = status_of(answer.result);
	} else if (!dns_answer_has_address(&answer, p->address)) {
		log_forged_name(s->smtpd->daemon->log, name, p->address, "");
		p->name_status = ACCESS_NAME_FORGED;
	} else {
		p->name = p->reverse_name;
		p->name_status = ACCESS_NAME_OK;
	}
}

static void
ask_name(struct session *s)
{
	const struct dns_asker *dns = &s->world.dns;
	struct peer *p = &s->peer;
	struct dns_answer answer;
	bool native = true;
	struct str question;
	struct err err;

	if (!dns_reverse_name(s->now, p->address, STR_EMPTY, &question))
		return;
	dns->ask(dns->arg, s->now, question, DNS_TYPE_PTR, true, &answer);
	if (answer.result != DNS_FOUND) {
		native = false;
		dns->ask(dns->arg, s->now, question, DNS_TYPE_PTR, false, &answer);
	}
	p->name_status = p->reverse_status = status_of(answer.result);
	if (answer.result != DNS_FOUND || answer.n_records == 0)
		return;
	if (!hostname_check(answer.records[0].text, false, &err)) {
		p->name_status = p->reverse_status = ACCESS_NAME_PERM;
		return;
	}
	p->reverse_name = str_dup(s->mem, answer.records[0].text);
	verify(s, p->reverse_name, native);
}

static void
find_name(struct session *s)
{
	struct names *names = s->smtpd->names;
	int64_t now = loop_now_ms(s->smtpd->daemon->loop);
	struct peer *p = &s->peer;

	if (names_find(names, s->mem, p->address, now, &p->name)) {
		p->reverse_name = p->name;
		p->name_status = p->reverse_status = ACCESS_NAME_OK;
		return;
	}
	ask_name(s);
	/* Others are asked for again, and warned of again. */
	if (p->name_status == ACCESS_NAME_OK)
		names_add(names, p->address, p->name, now);
}

/* ---- the proxy before us ---- */

static bool
no_header(struct session *s, const char *why)
{
	log_proxy(s->smtpd->daemon->log, why, stream_peek(s->client));
	return false;
}

static void
take_header(struct session *s, const struct proxy_header *h)
{
	struct peer *p = &s->peer;

	if (h->keeps_peer)
		return;
	p->address = str_dup(s->mem, h->client_address);
	p->port = str_dup(s->mem, h->client_port);
	p->server_address = str_dup(s->mem, h->server_address);
	p->server_port = str_dup(s->mem, h->server_port);
	p->family = h->is_v6 ? AF_INET6 : AF_INET;
}

static bool
read_header(struct session *s)
{
	const struct smtpd *d = s->smtpd;
	struct proxy_header h;
	const char *why;

	for (;;) {
		switch (proxy_header_parse(s->now, stream_peek(s->client), d->ipv4,
					   d->ipv6, &h, &why)) {
		case PROXY_DONE:
			stream_consume(s->client, h.length);
			take_header(s, &h);
			return true;
		case PROXY_BAD:
			return no_header(s, why);
		case PROXY_MORE:
			break;
		}
		switch (stream_fill(s->client)) {
		case STREAM_OK:
			break;
		case STREAM_TIMEOUT:
			return no_header(s, "timeout error");
		case STREAM_EOF:
		case STREAM_ERROR:
		case STREAM_TOO_LONG:
		case STREAM_CANCELLED:
			return no_header(s, "short protocol header");
		}
	}
}

static bool
ask_proxy(struct session *s)
{
	int64_t ms = s->smtpd->config.smtpd_upstream_proxy_timeout * 1000;
	bool ok;

	stream_set_deadline_ms(s->client, loop_deadline_ms(s->smtpd->daemon->loop, ms));
	ok = read_header(s);
	stream_set_deadline_ms(s->client, LOOP_FOREVER);
	return ok;
}

bool
peer_find(struct session *s)
{
	bool ok = true;
	bool is_passed;
	struct peer *p = &s->peer;

	*p = (struct peer){.name = STR("unknown"),
			   .reverse_name = STR("unknown"),
			   .address = STR("unknown"),
			   .port = STR("unknown"),
			   .server_address = STR("unknown"),
			   .server_port = STR("unknown"),
			   .name_status = ACCESS_NAME_PERM,
			   .reverse_status = ACCESS_NAME_PERM,
			   .family = AF_UNSPEC};
	look_at_socket(s);
	is_passed = look_at_passed(s);
	if (p->is_local) {
		p->name = p->reverse_name = STR("localhost");
		p->address = STR("127.0.0.1");
		p->name_status = p->reverse_status = ACCESS_NAME_OK;
		p->family = AF_INET;
	} else {
		ok = is_passed || !s->smtpd->has_proxy || ask_proxy(s);
		if (s->smtpd->config.smtpd_peername_lookup && p->family != AF_UNSPEC)
			find_name(s);
	}
	peer_set_text(s);
	return ok;
}
