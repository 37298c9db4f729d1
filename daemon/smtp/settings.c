/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/config.h"
#include "config/rewrite_config.h"
#include "daemon/daemon.h"
#include "smtp/lookups.h"

#include "smtp.h"

enum { OWN_MAX = 1000 };

/* ---- our own addresses ---- */

struct own {
	struct arena *mem;
	struct str *list;
	size_t n;
};

static void
own_add(struct own *o, const struct sockaddr *sa)
{
	char text[INET6_ADDRSTRLEN];
	const void *address;

	if (sa == NULL || o->n == OWN_MAX)
		return;
	if (sa->sa_family == AF_INET)
		address = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	else if (sa->sa_family == AF_INET6)
		address = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	else
		return;
	if (inet_ntop(sa->sa_family, address, text, sizeof(text)) != NULL)
		o->list[o->n++] = str_dup(o->mem, str_from(text));
}

static bool
own_add_all(struct own *o, struct err *err)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) < 0)
		return err_errno(err, ERR_TEMP, "getifaddrs");
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		own_add(o, i->ifa_addr);
	freeifaddrs(all);
	return true;
}

static bool
own_add_names(struct own *o, const char *parameter, struct str list, struct err *err)
{
	struct str item;

	while (str_token(&list, ", \t\r\n", &item)) {
		const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
		struct addrinfo *found;
		struct str host = item;
		int e;

		if (str_ieq(item, STR("all"))) {
			if (!own_add_all(o, err))
				return false;
			continue;
		}
		if (str_ieq(item, STR("loopback-only")))
			host = STR("localhost");
		if (host.len > 2 && host.p[0] == '[')
			host = str_head(str_skip(host, 1), host.len - 2);
		e = getaddrinfo(str_c(o->mem, host), NULL, &hints, &found);
		if (e != 0)
			return err_set(err, ERR_CONFIG,
				       "parameter %s: no address for " PRI_STR ": %s",
				       parameter, STR_ARG(host), gai_strerror(e));
		for (struct addrinfo *a = found; a != NULL; a = a->ai_next)
			own_add(o, a->ai_addr);
		freeaddrinfo(found);
	}
	return true;
}

/* ---- parts ---- */

static bool
load_rules(struct smtp *s, struct err *err)
{
	struct own own = {.mem = s->daemon->mem};

	own.list = arena_alloc_array(own.mem, OWN_MAX, sizeof(*own.list));
	if (!own_add_names(&own, "inet_interfaces", s->common.inet_interfaces, err) ||
	    !own_add_names(&own, "proxy_interfaces", s->common.proxy_interfaces, err))
		return false;
	s->rules = (struct lookup_rules){.own = own.list, .n_own = own.n};
	return smtp_lookup_rules(&s->config, &s->common, &s->rules, err);
}

static bool
load_options(struct smtp *s, struct err *err)
{
	const struct smtp_config *c = &s->config;

	s->options = (struct smtp_client_options){
		.helo_name = c->smtp_helo_name,
		.my_hostname = s->common.myhostname,
		.never_send_ehlo = c->smtp_never_send_ehlo,
		.always_send_ehlo = c->smtp_always_send_ehlo,
		.skip_5xx_greeting = c->smtp_skip_5xx_greeting,
		.line_length_limit = c->smtp_line_length_limit,
		.timeouts = {.helo_ms = c->smtp_helo_timeout * 1000,
			     .mail_ms = c->smtp_mail_timeout * 1000,
			     .rcpt_ms = c->smtp_rcpt_timeout * 1000,
			     .data_init_ms = c->smtp_data_init_timeout * 1000,
			     .data_xfer_ms = c->smtp_data_xfer_timeout * 1000,
			     .data_done_ms = c->smtp_data_done_timeout * 1000,
			     .rset_ms = c->smtp_rset_timeout * 1000,
			     .quit_ms = c->smtp_quit_timeout * 1000},
	};
	return smtp_features_parse(c->smtp_discard_ehlo_keywords,
				   &s->options.discard_features, err);
}

static bool
load_bind(struct smtp *s, struct err *err)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&s->bind4;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&s->bind6;
	const char *a4 = str_c(s->daemon->mem, s->config.smtp_bind_address);
	const char *a6 = str_c(s->daemon->mem, s->config.smtp_bind_address6);

	if (a4[0] != '\0') {
		if (inet_pton(AF_INET, a4, &in->sin_addr) != 1)
			return err_set(err, ERR_CONFIG, "bad smtp_bind_address: %s", a4);
		in->sin_family = AF_INET;
		s->bind4_len = sizeof(*in);
	}
	if (a6[0] != '\0') {
		if (inet_pton(AF_INET6, a6, &in6->sin6_addr) != 1)
			return err_set(err, ERR_CONFIG, "bad smtp_bind_address6: %s", a6);
		in6->sin6_family = AF_INET6;
		s->bind6_len = sizeof(*in6);
	}
	return true;
}

bool
settings_load(struct smtp *s, struct err *err)
{
	const struct config *cfg = s->daemon->config;
	struct rewrite_config rewrite;

	if (!common_config_load(s->daemon->mem, cfg, &s->common, err) ||
	    !smtp_config_load(s->daemon->mem, cfg, &s->config, err) ||
	    !rewrite_config_load(s->daemon->mem, cfg, &rewrite, err) ||
	    !config_get_bool(cfg, STR("soft_bounce"), &s->soft_bounce, err))
		return false;
	s->relayhost = rewrite.relayhost;
	return load_rules(s, err) && load_options(s, err) && load_bind(s, err);
}
