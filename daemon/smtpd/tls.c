/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/value.h"
#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "fiber/loop.h"
#include "table/maps.h"

#include "smtpd.h"
#include "tlsmgr.h"

/* How often the files are looked at. */
#if defined(HIKYAKU_FAULTS)
enum { CHECK_MS = 500 };
#else
enum { CHECK_MS = 60000 };
#endif

static void
tell(void *arg, enum log_level level, struct str text)
{
	log_write(arg, level, PRI_STR, STR_ARG(text));
}

/* ---- what the configuration says ---- */

static bool
load_level(struct smtpd *d, struct err *err)
{
	struct tls_service *t = d->tls;
	struct str word = t->config.smtpd_tls_security_level;
	enum tls_level level = TLS_LEVEL_NONE;

	if (word.len == 0) {
		t->enforces = t->config.smtpd_enforce_tls;
		t->uses = t->config.smtpd_use_tls || t->enforces;
		return true;
	}
	if (!tls_level_parse(word, &level))
		return err_set(err, ERR_CONFIG, "Invalid TLS level \"" PRI_STR "\"",
			       STR_ARG(word));
	if (level > TLS_LEVEL_ENCRYPT)
		log_warning(d->daemon->log,
			    "smtpd_tls_security_level: unsupported TLS level \"" PRI_STR
			    "\", using \"encrypt\"",
			    STR_ARG(word));
	t->enforces = level >= TLS_LEVEL_ENCRYPT;
	t->uses = level >= TLS_LEVEL_MAY;
	return true;
}

static bool
load_ciphers(struct tls_service *t, struct arena *mem, struct err *err)
{
	const struct smtpd_tls_config *c = &t->config;
	struct str bases[TLS_GRADES] = {
		[TLS_GRADE_NULL] = t->shared.tls_null_cipherlist,
		[TLS_GRADE_EXPORT] = t->shared.tls_export_cipherlist,
		[TLS_GRADE_LOW] = t->shared.tls_low_cipherlist,
		[TLS_GRADE_MEDIUM] = t->shared.tls_medium_cipherlist,
		[TLS_GRADE_HIGH] = t->shared.tls_high_cipherlist,
	};
	struct str exclude[3] = {c->smtpd_tls_exclude_ciphers, STR_EMPTY, STR_EMPTY};
	struct str word =
		t->enforces ? c->smtpd_tls_mandatory_ciphers : c->smtpd_tls_ciphers;
	enum tls_grade grade = TLS_GRADE_MEDIUM;

	if (!tls_grade_parse(word, &grade))
		return err_set(err, ERR_CONFIG,
			       "invalid TLS cipher grade: \"" PRI_STR "\"",
			       STR_ARG(word));
	if (t->enforces)
		exclude[1] = c->smtpd_tls_mandatory_exclude_ciphers;
	/* Who asks for a certificate cannot have a session without any. */
	if (c->smtpd_tls_ask_ccert)
		exclude[2] = STR("aNULL");
	return tls_ciphers_make(mem, bases[grade], exclude, ARRAY_LEN(exclude),
				&t->server.ciphers, err);
}

/* Sessions are good for this service with this policy only. */
static struct str
session_context(const struct smtpd *d)
{
	const struct smtpd_tls_config *c = &d->tls->config;

	return str_printf(d->daemon->mem,
			  "%s|" PRI_STR "|" PRI_STR "|" PRI_STR "|%d|%d|%d|" PRI_STR,
			  d->daemon->service, STR_ARG(d->common.myhostname),
			  STR_ARG(c->smtpd_tls_CAfile), STR_ARG(c->smtpd_tls_CApath),
			  d->tls->enforces, c->smtpd_tls_ask_ccert,
			  c->smtpd_tls_ccert_verifydepth,
			  STR_ARG(d->tls->server.ciphers));
}

static void
fill_settings(struct smtpd *d)
{
	struct tls_service *t = d->tls;
	const struct smtpd_tls_config *c = &t->config;

	t->settings = (struct tls_settings){
		.own = {.chain_files = c->smtpd_tls_chain_files,
			.cert_file = c->smtpd_tls_cert_file,
			.key_file = c->smtpd_tls_key_file,
			.eccert_file = c->smtpd_tls_eccert_file,
			.eckey_file = c->smtpd_tls_eckey_file,
			.dcert_file = c->smtpd_tls_dcert_file,
			.dkey_file = c->smtpd_tls_dkey_file},
		.ca_file = c->smtpd_tls_CAfile,
		.ca_path = c->smtpd_tls_CApath,
		.append_default_ca = t->shared.tls_append_default_CA,
		.verify_depth = c->smtpd_tls_ccert_verifydepth,
		.fingerprint_digest = c->smtpd_tls_fingerprint_digest,
		.eecdh_grade = c->smtpd_tls_eecdh_grade,
		.auto_curves = t->shared.tls_eecdh_auto_curves,
		.strong_curve = t->shared.tls_eecdh_strong_curve,
		.ultra_curve = t->shared.tls_eecdh_ultra_curve,
		.dh_param_file = c->smtpd_tls_dh1024_param_file,
		.disable_workarounds = t->shared.tls_disable_workarounds,
		.ssl_options = t->shared.tls_ssl_options,
		.preempt_cipherlist = t->shared.tls_preempt_cipherlist,
		.legacy_key_fingerprints = t->shared.tls_legacy_public_key_fingerprints,
		.wildcard_many_labels = t->shared.tls_wildcard_matches_multiple_labels,
		.fast_shutdown = t->shared.tls_fast_shutdown_enable,
		.log = t->log,
	};
	/* "none": no certificate, and that is meant. */
	if (str_ieq(c->smtpd_tls_cert_file, STR("none"))) {
		t->settings.own.cert_file = t->settings.own.key_file = STR_EMPTY;
		t->server.cert_optional = true;
	}
	t->server.ask_ccert = c->smtpd_tls_ask_ccert;
	t->server.session_seconds = c->smtpd_tls_session_cache_timeout;
	t->server.tickets = t->shared.tls_session_ticket_cipher.len > 0 &&
			    !list_has(t->shared.tls_ssl_options, STR("NO_TICKET"));
	t->server.keeps_sessions =
		c->smtpd_tls_session_cache_database.len > 0 ||
		(!t->server.tickets && c->smtpd_tls_always_issue_session_ids);
	t->server.session_context = session_context(d);
}

static bool
load_sni(struct smtpd *d, struct err *err)
{
	struct tls_service *t = d->tls;

	return daemon_open_maps(d->daemon, "tls_server_sni_maps",
				t->shared.tls_server_sni_maps, TABLE_DEFAULT,
				&t->server.sni_maps, err);
}

/* ---- the context ---- */

static bool
has_certificate(const struct tls_own *own)
{
	return own->chain_files.len > 0 || own->cert_file.len > 0 ||
	       own->eccert_file.len > 0 || own->dcert_file.len > 0;
}

/* What Postfix says of settings that do not go together. */
static bool
check_settings(struct smtpd *d)
{
	struct tls_service *t = d->tls;
	struct smtpd_tls_config *c = &t->config;
	bool has = has_certificate(&t->settings.own);
	struct log *log = d->daemon->log;

	if (c->smtpd_tls_req_ccert && !t->enforces) {
		log_warning(log, "Can't require client certs unless TLS is required");
		c->smtpd_tls_req_ccert = false;
	}
	if (c->smtpd_tls_req_ccert) {
		t->server.ask_ccert = c->smtpd_tls_ask_ccert = true;
		/* Who is turned away is told of. */
		t->log |= TLS_LOG_UNTRUSTED;
	}
	if (!has && c->smtpd_tls_ask_ccert)
		log_warning(log, "Need a server cert to request client certs");
	if (has || (t->server.cert_optional && !c->smtpd_tls_ask_ccert))
		return true;
	log_warning(log, "No server certs available. TLS won't be enabled");
	return false;
}

static bool
make_context(struct smtpd *d, struct tls_context **out)
{
	struct tls_service *t = d->tls;
	const struct tls_told told = {.fn = tell, .arg = d->daemon->log};
	struct err err;

	return tls_server_context_new(&t->settings, &t->server, &told, out, &err);
}

static bool
load_context(struct smtpd *d)
{
	struct tls_service *t = d->tls;
	struct str list = t->enforces ? t->config.smtpd_tls_mandatory_protocols
				      : t->config.smtpd_tls_protocols;
	struct err err;

	if (!tls_library_init(t->shared.tls_config_file, t->shared.tls_config_name,
			      &err)) {
		log_warning(d->daemon->log, "%s: disabling TLS support", err.text);
		return false;
	}
	if (!tls_protocols_parse(list, &t->server.protocols, &err)) {
		log_warning(d->daemon->log, "%s: disabling TLS support", err.text);
		return false;
	}
	if (!load_ciphers(t, d->daemon->mem, &err)) {
		log_warning(d->daemon->log, "%s", err.text);
		return false;
	}
	t->server.session_context = session_context(d);
	return make_context(d, &t->context);
}

bool
tls_service_load(struct smtpd *d, struct err *err)
{
	struct arena *mem = d->daemon->mem;
	struct tls_service *t = ARENA_NEW(mem, struct tls_service);
	struct str bad;

	d->tls = t;
	t->server.ciphers = STR_EMPTY;
	if (!tls_config_load(mem, d->daemon->config, &t->shared, err) ||
	    !smtpd_tls_config_load(mem, d->daemon->config, &t->config, err) ||
	    !load_level(d, err))
		return false;
	t->enforces = t->enforces || t->config.smtpd_tls_wrappermode;
	t->uses = t->uses || t->enforces;
	if (!t->uses || d->daemon->stand_alone) {
		t->uses = t->enforces = false;
		return true;
	}
	t->log = tls_log_parse(t->config.smtpd_tls_loglevel, &bad);
	if (bad.len > 0)
		log_warning(d->daemon->log,
			    "unknown smtpd_tls_loglevel value \"" PRI_STR "\" in "
			    "\"" PRI_STR "\"",
			    STR_ARG(bad), STR_ARG(t->config.smtpd_tls_loglevel));
	fill_settings(d);
	if (!load_sni(d, err))
		return false;
	if (!check_settings(d) || !load_context(d)) {
		/* A successor that was asked for on account of renewed files: they do not
		 * do, and who runs now has the old ones. */
		if (daemon_is_successor(d->daemon))
			return err_set(err, ERR_CONFIG,
				       "renewed TLS files cannot be used");
		t->context = NULL;
	}
	return true;
}

const char *const *
tls_service_folders(const struct smtpd *d)
{
	static const char *const none[] = {NULL};

	return d->tls->context == NULL
		       ? none
		       : tls_context_folders(d->tls->context, d->daemon->mem);
}

/* ---- renewal ---- */

static void
renew(struct smtpd *d)
{
	struct tls_service *t = d->tls;
	struct tls_context *fresh;

	if (!tls_settings_readable(&t->settings)) {
		daemon_ask_successor(d->daemon);
		return;
	}
	if (!make_context(d, &fresh)) {
		log_warning(d->daemon->log,
			    "the TLS certificates and keys from before stay in use");
		return;
	}
	tls_context_free(&t->context);
	t->context = fresh;
	t->asked_ms = 0;
	log_info(d->daemon->log, "TLS certificates and keys were read again");
}

struct tls_context *
tls_service_context(struct smtpd *d)
{
	struct tls_service *t = d->tls;
	int64_t now = loop_now_ms(d->daemon->loop);

	if (t->context == NULL)
		return NULL;
	if (now - t->checked_ms >= CHECK_MS) {
		t->checked_ms = now;
		if (tls_context_is_stale(t->context))
			renew(d);
	}
	tlsmgr_refresh_keys(d);
	return t->context;
}
