/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "config/config.h"
#include "config/value.h"
#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "queue/receive.h"
#include "table/maps.h"
#include "table/match.h"

#include "auth.h"
#include "delegate.h"
#include "milter.h"
#include "names.h"
#include "proxy.h"
#include "smtpd.h"
#include "tls.h"
#include "transcript.h"

static void
warn(void *arg, const char *text)
{
	log_warning(arg, "%s", text);
}

static bool
open_lists(struct smtpd *s, struct err *err)
{
	const struct smtpd_config *c = &s->config;

	return daemon_open_maps(s->daemon, "smtpd_discard_ehlo_keyword_address_maps",
				c->smtpd_discard_ehlo_keyword_address_maps, TABLE_DEFAULT,
				&s->discard_maps, err) &&
	       daemon_open_maps(s->daemon, "smtpd_command_filter",
				c->smtpd_command_filter, TABLE_DEFAULT,
				&s->command_filter, err) &&
	       daemon_open_maps(s->daemon, "smtpd_milter_maps", c->smtpd_milter_maps,
				TABLE_DEFAULT, &s->milter_maps, err) &&
	       daemon_open_match(
		       s->daemon, MATCH_ADDRESSES, "smtpd_authorized_xclient_hosts",
		       c->smtpd_authorized_xclient_hosts, &s->xclient_hosts, err) &&
	       daemon_open_match(
		       s->daemon, MATCH_ADDRESSES, "smtpd_authorized_xforward_hosts",
		       c->smtpd_authorized_xforward_hosts, &s->xforward_hosts, err) &&
	       daemon_open_match(s->daemon, MATCH_ADDRESSES,
				 "smtpd_authorized_verp_clients",
				 c->smtpd_authorized_verp_clients, &s->verp_hosts, err) &&
	       daemon_open_match(s->daemon, MATCH_ADDRESSES,
				 "smtpd_forbid_bare_newline_exclusions",
				 c->smtpd_forbid_bare_newline_exclusions,
				 &s->newline_exclusions, err) &&
	       daemon_open_match(s->daemon, MATCH_STRINGS, "smtpd_forbidden_commands",
				 c->smtpd_forbidden_commands, &s->forbidden_commands,
				 err) &&
	       daemon_open_match(s->daemon, MATCH_STRINGS, "smtpd_noop_commands",
				 c->smtpd_noop_commands, &s->noop_commands, err);
}

static bool
load_newline_mode(struct smtpd *s, struct err *err)
{
	static const struct {
		const char *word;
		enum newline_mode mode;
	} rows[] = {{"normalize", NEWLINE_NORMALIZE},
		    {"yes", NEWLINE_NORMALIZE},
		    {"note", NEWLINE_NOTE},
		    {"reject", NEWLINE_REJECT},
		    {"no", NEWLINE_ANY}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_ieq(s->config.smtpd_forbid_bare_newline,
			    str_from(rows[i].word))) {
			s->newlines = rows[i].mode;
			return true;
		}
	return err_set(err, ERR_CONFIG, "bad smtpd_forbid_bare_newline: " PRI_STR,
		       STR_ARG(s->config.smtpd_forbid_bare_newline));
}

static bool
load_proxy(struct smtpd *s, struct err *err)
{
	struct str name = s->config.smtpd_upstream_proxy_protocol;

	s->has_proxy = name.len > 0;
	return name.len == 0 || str_eq(name, STR("haproxy")) ||
	       err_set(err, ERR_CONFIG,
		       "unsupported smtpd_upstream_proxy_protocol: " PRI_STR,
		       STR_ARG(name));
}

static void
load_protocols(struct smtpd *s)
{
	struct str list = s->common.inet_protocols;
	bool all = list_has(list, STR("all"));

	s->ipv4 = all || list_has(list, STR("ipv4"));
	s->ipv6 = all || list_has(list, STR("ipv6"));
}

static bool
check_sizes(const struct smtpd *s, struct err *err)
{
	int64_t minfree = s->config.queue_minfree;
	int64_t limit = s->common.message_size_limit;

	if (minfree > 0 && minfree / 3 < limit / 2)
		log_warning(s->daemon->log,
			    "queue_minfree(%" PRId64 ") should be at least "
			    "1.5*message_size_limit(%" PRId64 ")",
			    minfree, limit);
	return limit >= 0 || err_set(err, ERR_CONFIG, "message_size_limit is negative");
}

static const char *const *
join(struct arena *mem, const char *const *a, const char *const *b)
{
	const char **out;
	size_t n = 0;
	size_t m = 0;

	while (a[n] != NULL)
		n++;
	while (b[m] != NULL)
		m++;
	out = arena_alloc_array(mem, n + m + 1, sizeof(*out));
	for (size_t i = 0; i < n; i++)
		out[i] = a[i];
	for (size_t i = 0; i < m; i++)
		out[n + i] = b[i];
	return out;
}

bool
settings_load(struct smtpd *s, struct err *err)
{
	struct daemon *d = s->daemon;
	const struct str *values;
	struct str *all;
	size_t n;

	if (!common_config_load(d->mem, d->config, &s->common, err) ||
	    !smtpd_config_load(d->mem, d->config, &s->config, err) ||
	    !receive_config_load(d->mem, d->config, &s->receive, err) ||
	    !verify_config_load(d->mem, d->config, &s->verify, err) ||
	    !bounce_config_load(d->mem, d->config, &s->notices, err) ||
	    !transcript_settings(s, err) ||
	    !receive_override_parse(s->receive.receive_override_options, &s->overrides,
				    err) ||
	    !rewrite_rules_load(d->mem, d->config, NULL, 0, &s->rewrite, err) ||
	    !access_rules_load(d->mem, d->config, &s->rewrite, &s->access, err) ||
	    !open_lists(s, err) || !load_newline_mode(s, err) || !load_proxy(s, err) ||
	    !proxy_settings(s, err) || !limits_settings(s, err) || !check_sizes(s, err) ||
	    !tls_service_load(s, err) || !milter_load(s, err) || !auth_load(s, err))
		return false;
	load_protocols(s);
	delegate_settings(s);
	s->names = names_new(d->mem);
	s->starttls_s = s->tls->config.smtpd_starttls_timeout;
	if ((s->overrides & RECEIVE_ANY_RECIPIENT) != 0)
		access_rules_take_any_recipient(s->access);
	rewrite_rules_warnings(&s->rewrite, warn, d->log);
	access_rules_warnings(s->access, warn, d->log);
	values = access_rules_values(s->access, &n);
	all = arena_alloc_array(d->mem, n + 16, sizeof(*all));
	for (size_t i = 0; i < n; i++)
		all[i] = values[i];
	all[n++] = s->config.smtpd_discard_ehlo_keyword_address_maps;
	all[n++] = s->config.smtpd_command_filter;
	all[n++] = s->config.smtpd_milter_maps;
	all[n++] = s->config.smtpd_authorized_xclient_hosts;
	all[n++] = s->config.smtpd_authorized_xforward_hosts;
	all[n++] = s->config.smtpd_authorized_verp_clients;
	all[n++] = s->config.smtpd_forbid_bare_newline_exclusions;
	all[n++] = s->config.smtpd_forbidden_commands;
	all[n++] = s->config.smtpd_noop_commands;
	all[n++] = s->sasl_config.smtpd_sasl_mechanism_filter;
	all[n++] = s->sasl_config.smtpd_sasl_exceptions_networks;
	all[n++] = s->config.smtpd_client_event_limit_exceptions;
	all[n++] = s->tls->shared.tls_server_sni_maps;
	d->tables = join(d->mem, rewrite_rules_places(d->mem, &s->rewrite, all, n),
			 tls_service_folders(s));
	s->queue_fd = sys_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return s->queue_fd >= 0 || err_errno(err, ERR_TEMP, "open queue directory");
}
