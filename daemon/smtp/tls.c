/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/config.h"
#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "dns/dns.h"
#include "dns/lookup.h"
#include "smtp/nexthop.h"
#include "table/maps.h"
#include "tls/context.h"
#include "tls/session.h"

#include "smtp.h"
#include "tls_internal.h"

static void
tell(void *arg, enum log_level level, struct str text)
{
	log_write(arg, level, PRI_STR, STR_ARG(text));
}

/* ---- loading ---- */

static bool
parse_level(struct str word, const char *parameter, enum tls_level *out, struct err *err)
{
	return tls_level_parse(word, out) ||
	       err_set(err, ERR_CONFIG, "invalid %s \"" PRI_STR "\"", parameter,
		       STR_ARG(word));
}

/* smtp_tls_security_level, or what stood for it before there was one. */
static bool
load_level(struct smtp_tls *t, struct err *err)
{
	const struct smtp_tls_config *c = &t->config;

	t->level = TLS_LEVEL_NONE;
	if (c->smtp_tls_security_level.len > 0)
		return parse_level(c->smtp_tls_security_level, "smtp_tls_security_level",
				   &t->level, err);
	if (c->smtp_enforce_tls)
		t->level = c->smtp_tls_enforce_peername ? TLS_LEVEL_VERIFY
							: TLS_LEVEL_ENCRYPT;
	else if (c->smtp_use_tls)
		t->level = TLS_LEVEL_MAY;
	return true;
}

static void
fill_settings(const struct smtp_tls *t, struct tls_settings *out)
{
	const struct smtp_tls_config *c = &t->config;
	struct str anchors = c->smtp_tls_trust_anchor_file;
	struct str anchor;

	*out = (struct tls_settings){
		.own = {.chain_files = c->smtp_tls_chain_files,
			.cert_file = c->smtp_tls_cert_file,
			.key_file = c->smtp_tls_key_file,
			.eccert_file = c->smtp_tls_eccert_file,
			.eckey_file = c->smtp_tls_eckey_file,
			.dcert_file = c->smtp_tls_dcert_file,
			.dkey_file = c->smtp_tls_dkey_file},
		.ca_file = c->smtp_tls_CAfile,
		.ca_path = c->smtp_tls_CApath,
		.append_default_ca = t->shared.tls_append_default_CA,
		.verify_depth = (int)c->smtp_tls_scert_verifydepth,
		.fingerprint_digest = c->smtp_tls_fingerprint_digest,
		.eecdh_grade = STR_EMPTY,
		.auto_curves = t->shared.tls_eecdh_auto_curves,
		.strong_curve = t->shared.tls_eecdh_strong_curve,
		.ultra_curve = t->shared.tls_eecdh_ultra_curve,
		.dh_param_file = STR_EMPTY,
		.disable_workarounds = t->shared.tls_disable_workarounds,
		.ssl_options = t->shared.tls_ssl_options,
		.legacy_key_fingerprints = t->shared.tls_legacy_public_key_fingerprints,
		.wildcard_many_labels = t->shared.tls_wildcard_matches_multiple_labels,
		.fast_shutdown = t->shared.tls_fast_shutdown_enable,
		.log = t->log,
	};
	/* Only this is trusted, then. */
	if (str_token(&anchors, ", \t\r\n", &anchor)) {
		out->ca_file = anchor;
		out->ca_path = STR_EMPTY;
		out->append_default_ca = false;
	}
}

/* Without a context mail goes on where TLS is only a wish, and waits where it is not. */
static bool
load_context(struct smtp *s, struct err *err)
{
	struct smtp_tls *t = s->tls;
	const struct tls_told told = {.fn = tell, .arg = s->daemon->log};
	struct tls_settings settings;
	struct err why;

	if (!tls_library_init(t->shared.tls_config_file, t->shared.tls_config_name, err))
		return false;
	fill_settings(t, &settings);
	if (!tls_client_context_new(&settings, &told, &t->context, &why)) {
		log_warning(s->daemon->log, "TLS cannot be used: %s", why.text);
		t->context = NULL;
	}
	return true;
}

static bool
load_words(struct smtp *s, struct err *err)
{
	struct smtp_tls *t = s->tls;
	struct tls_protocols ignored;
	struct str bad;

	t->log = tls_log_parse(t->config.smtp_tls_loglevel, &bad);
	if (bad.len > 0)
		log_warning(s->daemon->log,
			    "smtp_tls_loglevel: unknown value \"" PRI_STR "\"",
			    STR_ARG(bad));
	t->has_dnssec = str_ieq(s->config.smtp_dns_support_level, STR("dnssec"));
	return load_level(t, err) &&
	       parse_level(t->config.smtp_tls_dane_insecure_mx_policy,
			   "smtp_tls_dane_insecure_mx_policy", &t->insecure_mx, err) &&
	       tls_protocols_parse(t->config.smtp_tls_protocols, &ignored, err) &&
	       tls_protocols_parse(t->config.smtp_tls_mandatory_protocols, &ignored, err);
}

static bool
load_rows(struct smtp *s, struct err *err)
{
	return daemon_open_maps(s->daemon, "smtp_tls_policy_maps",
				s->tls->config.smtp_tls_policy_maps,
				TABLE_DEFAULT | TABLE_KEEP_OLD, &s->tls->rows, err);
}

bool
tls_load(struct smtp *s, struct err *err)
{
	struct smtp_tls *t = ARENA_NEW(s->daemon->mem, struct smtp_tls);
	struct arena *mem = s->daemon->mem;

	s->tls = t;
	tls_cache_init(&t->cache);
	if (!smtp_tls_config_load(mem, s->daemon->config, &t->config, err) ||
	    !tls_config_load(mem, s->daemon->config, &t->shared, err) ||
	    !load_words(s, err) || !load_rows(s, err))
		return false;
	if (t->config.smtp_tls_wrappermode && t->level < TLS_LEVEL_ENCRYPT)
		t->level = TLS_LEVEL_ENCRYPT;
	s->options.timeouts.starttls_ms = t->config.smtp_starttls_timeout * 1000;
	if (t->level == TLS_LEVEL_NONE && maps_count(t->rows) == 0)
		return true;
	return load_context(s, err);
}

bool
tls_reads_files(const struct smtp *s)
{
	const struct smtp_tls *t = s->tls;

	return t->context != NULL &&
	       (t->config.smtp_tls_CApath.len > 0 || t->shared.tls_append_default_CA);
}

const char *const *
tls_folders(const struct smtp *s)
{
	return tls_context_folders(s->tls->context, s->daemon->mem);
}

bool
tls_is_outdated(const struct smtp *s)
{
	return maps_is_outdated(s->tls->rows);
}

/* ---- DANE ---- */

struct planning {
	struct smtp *s;
	struct arena *mem;
	const struct dns_asker *dns;
	const struct tls_policy *policy;
	const struct nexthop *n;
	const struct lookup_answer *hosts;
	const struct lookup_host *host;
	struct tls_connect_options *o;
	struct dsn *dsn;
};

static bool
tlsa_failed(struct planning *p, const char *status, const char *what)
{
	*p->dsn = dsn_printf(p->mem, status, "%s for " PRI_STR ":%u", what,
			     STR_ARG(p->host->name), p->host->port);
	return false;
}

/* Records of a name, DNSSEC-proved or none. False: nobody knows. */
static bool
ask_tlsa(struct planning *p, struct str host)
{
	struct dns_answer answer = {.why = STR_EMPTY};
	struct str name =
		str_printf(p->mem, "_%u._tcp." PRI_STR, p->host->port, STR_ARG(host));
	struct tls_tlsa *list;

	p->dns->ask(p->dns->arg, p->mem, name, DNS_TYPE_TLSA, false, &answer);
	switch (answer.result) {
	case DNS_FOUND:
		break;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		return true;
	case DNS_TRY_AGAIN:
	case DNS_FAIL:
	case DNS_MALFORMED:
		return tlsa_failed(p, "4.7.5", "TLSA lookup error");
	}
	if (!answer.authenticated)
		return true;
	list = arena_alloc_array(p->mem, TLS_TLSA_MAX, sizeof(*list));
	for (size_t i = 0; i < answer.n_records && p->o->n_tlsa < TLS_TLSA_MAX; i++) {
		const struct dns_record *r = &answer.records[i];
		const unsigned char *b = (const unsigned char *)r->text.p;

		if (r->type == DNS_TYPE_TLSA && r->text.len > 3)
			list[p->o->n_tlsa++] =
				(struct tls_tlsa){.usage = b[0],
						  .selector = b[1],
						  .matching = b[2],
						  .data = str_skip(r->text, 3)};
	}
	p->o->tlsa = list;
	return true;
}

/* The name behind aliases first, if all of the way is proved; then the name itself (RFC
 * 7672 section 2.2.2). *base_out: where there were records. */
static bool
find_tlsa(struct planning *p, struct str *base_out)
{
	const struct lookup_host *host = p->host;

	*base_out = host->name;
	if (!p->s->tls->has_dnssec || (p->hosts->by_mx && !p->hosts->is_secure &&
				       p->s->tls->insecure_mx < TLS_LEVEL_DANE))
		return true;
	if (!host->is_secure &&
	    !p->s->tls->config.smtp_tls_force_insecure_host_tlsa_lookup)
		return true;
	if (host->is_secure && host->canonical.len > 0 &&
	    !str_ieq(host->canonical, host->name)) {
		if (!ask_tlsa(p, host->canonical))
			return false;
		if (p->o->n_tlsa > 0) {
			*base_out = host->canonical;
			return true;
		}
	}
	return ask_tlsa(p, host->name);
}

/* From the level that is wished for to the one that this host's records allow. */
static bool
plan_dane(struct planning *p)
{
	struct tls_connect_options *o = p->o;
	struct str digests = p->s->tls->shared.tls_dane_digests;
	bool only = p->policy->level == TLS_LEVEL_DANE_ONLY;
	struct str *names = arena_alloc_array(p->mem, 2, sizeof(*names));
	struct str base;

	if (!find_tlsa(p, &base))
		return false;
	if (o->n_tlsa == 0 || tls_tlsa_usable(o->tlsa, o->n_tlsa, digests) == 0) {
		if (only)
			return tlsa_failed(p, "4.7.5", "no usable TLSA records found");
		o->level = o->n_tlsa > 0 ? TLS_LEVEL_ENCRYPT
			   : p->hosts->by_mx && !p->hosts->is_secure &&
					   p->s->tls->insecure_mx < TLS_LEVEL_DANE
				   ? p->s->tls->insecure_mx
				   : TLS_LEVEL_MAY;
		o->tlsa = NULL;
		o->n_tlsa = 0;
		return true;
	}
	if (p->hosts->by_mx && !p->hosts->is_secure)
		o->level = TLS_LEVEL_HALF_DANE;
	o->dane_digests = digests;
	names[0] = base;
	names[1] = p->n->host;
	o->names = names;
	o->n_names = p->hosts->by_mx && p->hosts->is_secure ? 2 : 1;
	return true;
}

/* ---- names ---- */

static struct str
name_for(const struct planning *p, struct str word)
{
	if (str_ieq(word, STR("hostname")))
		return p->host->name;
	if (str_ieq(word, STR("nexthop")))
		return p->n->host;
	if (str_ieq(word, STR("dot-nexthop")))
		return str_printf(p->mem, "." PRI_STR, STR_ARG(p->n->host));
	return word;
}

static void
plan_names(struct planning *p)
{
	struct str *names =
		arena_alloc_array(p->mem, p->policy->n_match + 1, sizeof(*names));

	if (p->policy->level == TLS_LEVEL_FINGERPRINT) {
		p->o->fingerprints = p->policy->match;
		p->o->n_fingerprints = p->policy->n_match;
		return;
	}
	for (size_t i = 0; i < p->policy->n_match; i++)
		names[i] = name_for(p, p->policy->match[i]);
	p->o->names = names;
	p->o->n_names = p->policy->n_match;
}

/* ---- sessions ---- */

/* Lives with the connection. */
struct keeper {
	struct smtp *s;
	struct str key;
};

static void
keep_session(void *arg, struct str session)
{
	struct keeper *k = arg;
	struct smtp_tls *t = k->s->tls;
	int64_t life_ms = t->config.smtp_tls_session_cache_timeout * 1000;

	tls_cache_put(&t->cache, k->key, session,
		      loop_now_ms(k->s->daemon->loop) + life_ms);
}

/* A session is good for the same demands only. */
static void
plan_session(struct planning *p, struct str relay)
{
	struct tls_connect_options *o = p->o;
	struct keeper *k;

	if (p->s->tls->config.smtp_tls_session_cache_database.len == 0)
		return;
	k = ARENA_NEW(p->mem, struct keeper);
	k->s = p->s;
	k->key = str_printf(p->mem, PRI_STR "|%s|" PRI_STR "|%d-%d-%u|" PRI_STR,
			    STR_ARG(relay), tls_level_name(o->level), STR_ARG(o->ciphers),
			    o->protocols.min, o->protocols.max, o->protocols.excluded,
			    STR_ARG(o->server_name));
	for (size_t i = 0; i < o->n_names; i++)
		k->key = str_printf(p->mem, PRI_STR "|" PRI_STR, STR_ARG(k->key),
				    STR_ARG(o->names[i]));
	o->session = tls_cache_find(&p->s->tls->cache, p->mem, k->key,
				    loop_now_ms(p->s->daemon->loop));
	o->save_session = keep_session;
	o->save_arg = k;
}

bool
tls_plan(struct smtp *s, struct arena *mem, const struct connection_order *order,
	 struct str relay, struct smtp_tls_plan *out, struct dsn *dsn)
{
	const struct tls_policy *policy = order->policy;
	struct smtp_tls *t = s->tls;
	struct planning p = {.s = s,
			     .mem = mem,
			     .dns = order->dns,
			     .policy = policy,
			     .n = order->nexthop,
			     .hosts = order->hosts,
			     .host = order->host,
			     .o = &out->options,
			     .dsn = dsn};

	*out = (struct smtp_tls_plan){
		.wrapper = t->config.smtp_tls_wrappermode,
		.note_offer = t->config.smtp_tls_note_starttls_offer,
		.context = t->context,
		.options = {.log = {.bits = t->log,
				    .fn = tell,
				    .arg = s->daemon->log,
				    .peer = relay},
			    .level = policy->level,
			    .protocols = policy->protocols,
			    .ciphers = policy->ciphers,
			    .server_name = STR_EMPTY,
			    .dane_digests = STR_EMPTY,
			    .session = STR_EMPTY},
	};
	if (policy->level == TLS_LEVEL_NONE)
		return true;
	if (policy->servername.len > 0)
		out->options.server_name = name_for(&p, policy->servername);
	if (policy->level == TLS_LEVEL_DANE || policy->level == TLS_LEVEL_DANE_ONLY) {
		if (!plan_dane(&p))
			return false;
	} else {
		plan_names(&p);
	}
	plan_session(&p, relay);
	return true;
}
