/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "agent/status_filter.h"
#include "config/config.h"
#include "config/rewrite_config.h"
#include "daemon/daemon.h"
#include "rewrite/own.h"
#include "smtp/lookups.h"
#include "table/match.h"

#include "login.h"
#include "output.h"
#include "quirks.h"
#include "smtp.h"
#include "tls.h"

static bool
load_rules(struct smtp *s, struct err *err)
{
	struct own_addresses own;

	own_addresses_load(s->daemon->mem, s->common.inet_interfaces,
			   s->common.proxy_interfaces, &own);
	if (own.warning.len > 0)
		log_warning(s->daemon->log, PRI_STR, STR_ARG(own.warning));
	s->rules = (struct lookup_rules){.own = own.list, .n_own = own.n};
	if (!smtp_lookup_rules(&s->config, &s->common, &s->rules, err))
		return false;
	s->rules.check_loops = s->rules.check_loops && !s->lmtp;
	return true;
}

static void
load_options(struct smtp *s)
{
	const struct smtp_config *c = &s->config;

	s->options = (struct smtp_client_options){
		.lmtp = s->lmtp,
		.helo_name = c->smtp_helo_name,
		.my_hostname = s->common.myhostname,
		.never_send_ehlo = c->smtp_never_send_ehlo,
		.always_send_ehlo = c->smtp_always_send_ehlo,
		.skip_5xx_greeting = c->smtp_skip_5xx_greeting,
		.raw_envelope = !c->smtp_quote_rfc821_envelope,
		.wait_for_quit = !c->smtp_skip_quit_response,
		.per_request_deadline = c->smtp_per_request_deadline,
		.min_data_rate = c->smtp_min_data_rate,
		.line_length_limit = c->smtp_line_length_limit,
		.timeouts = {.helo_ms = c->smtp_helo_timeout * 1000,
			     .mail_ms = c->smtp_mail_timeout * 1000,
			     .rcpt_ms = c->smtp_rcpt_timeout * 1000,
			     .xforward_ms = c->smtp_xforward_timeout * 1000,
			     .data_init_ms = c->smtp_data_init_timeout * 1000,
			     .data_xfer_ms = c->smtp_data_xfer_timeout * 1000,
			     .data_done_ms = c->smtp_data_done_timeout * 1000,
			     .rset_ms = c->smtp_rset_timeout * 1000,
			     .quit_ms = c->smtp_quit_timeout * 1000},
	};
}

/* inet_interfaces names the one address that we may use: then we use it to go out, too.
 */
static struct str
only_interface(struct smtp *s, bool v6)
{
	struct own_addresses own;
	struct str only = STR_EMPTY;

	if (str_ieq(s->common.inet_interfaces, STR("all")))
		return only;
	own_addresses_load(s->daemon->mem, s->common.inet_interfaces, STR_EMPTY, &own);
	for (size_t i = 0; i < own.n; i++) {
		if (str_contains(own.list[i], ':') != v6)
			continue;
		if (only.len > 0)
			return STR_EMPTY;
		only = own.list[i];
	}
	if (str_starts(only, STR("127.")) || str_eq(only, STR("::1")))
		return STR_EMPTY;
	return only;
}

static bool
load_bind(struct smtp *s, struct err *err)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&s->bind4;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&s->bind6;
	struct str four = s->config.smtp_bind_address;
	struct str six = s->config.smtp_bind_address6;
	const char *a4 =
		str_c(s->daemon->mem, four.len > 0 ? four : only_interface(s, false));
	const char *a6 =
		str_c(s->daemon->mem, six.len > 0 ? six : only_interface(s, true));

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

static bool
load_verify_target(struct smtp *s, struct err *err)
{
	struct str target = s->config.smtp_address_verify_target;

	s->probe_data = str_ieq(target, STR("data"));
	return s->probe_data || str_ieq(target, STR("rcpt")) ||
	       err_set(err, ERR_CONFIG,
		       "bad protocol stage: \"smtp_address_verify_target = " PRI_STR "\"",
		       STR_ARG(target));
}

bool
settings_load(struct smtp *s, struct err *err)
{
	const struct config *cfg = s->daemon->config;
	struct rewrite_config rewrite;

	if (!common_config_load(s->daemon->mem, cfg, &s->common, err) ||
	    !smtp_config_load(s->daemon->mem, cfg, &s->config, err) ||
	    !rewrite_config_load(s->daemon->mem, cfg, &rewrite, err) ||
	    !config_get_bool(cfg, STR("soft_bounce"), &s->soft_bounce, err) ||
	    !config_get_time(cfg, STR("minimal_backoff_time"), &s->minimal_backoff_s,
			     err))
		return false;
	s->relayhost = rewrite.relayhost;
	load_options(s);
	return load_rules(s, err) && load_bind(s, err) && load_verify_target(s, err) &&
	       quirks_load(s, err) && output_load(s, err) && tls_load(s, err) &&
	       login_load(s, err) &&
	       agent_status_filter_open(s->daemon, "smtp_delivery_status_filter",
					s->config.smtp_delivery_status_filter,
					&s->status_filter, err) &&
	       match_open(s->daemon->mem, MATCH_DOMAINS,
			  "smtp_connection_cache_destinations",
			  s->config.smtp_connection_cache_destinations, 0,
			  &s->cache_destinations, err);
}
