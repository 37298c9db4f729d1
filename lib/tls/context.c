/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/context.h"

#include <openssl/err.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/panic.h"

#include "table/maps.h"

#include "tls_internal.h"

/* ---- OpenSSL's own configuration ---- */

bool
tls_library_init(struct str config_file, struct str config_name, struct err *err)
{
	struct arena *mem = arena_new();
	OPENSSL_INIT_SETTINGS *settings = OPENSSL_INIT_new();
	uint64_t flags = OPENSSL_INIT_LOAD_CONFIG;
	bool ok = settings != NULL;

	if (str_eq(config_file, STR("none"))) {
		flags = OPENSSL_INIT_NO_LOAD_CONFIG;
	} else if (ok && config_file.len > 0 && !str_eq(config_file, STR("default"))) {
		OPENSSL_INIT_set_config_filename(settings, str_c(mem, config_file));
		OPENSSL_INIT_set_config_file_flags(settings, 0);
	}
	if (ok && config_name.len > 0)
		OPENSSL_INIT_set_config_appname(settings, str_c(mem, config_name));
	ok = ok && OPENSSL_init_ssl(flags, settings) == 1;
	OPENSSL_INIT_free(settings);
	arena_free(&mem);
	ERR_clear_error();
	return ok || err_set(err, ERR_CONFIG,
			     "error loading the '" PRI_STR "' settings from the " PRI_STR
			     " OpenSSL configuration file",
			     STR_ARG(config_name.len > 0 ? config_name : STR("default")),
			     STR_ARG(config_file));
}

/* ---- options ---- */

struct option_name {
	const char *name;
	uint64_t bit;
};

static const struct option_name workarounds[] = {
	{"CRYPTOPRO_TLSEXT_BUG", SSL_OP_CRYPTOPRO_TLSEXT_BUG},
	{"DONT_INSERT_EMPTY_FRAGMENTS", SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS},
	{"LEGACY_SERVER_CONNECT", SSL_OP_LEGACY_SERVER_CONNECT},
	{"TLSEXT_PADDING", SSL_OP_TLSEXT_PADDING},
	{"SAFARI_ECDHE_ECDSA_BUG", SSL_OP_SAFARI_ECDHE_ECDSA_BUG},
	{"CVE-2010-4180", 0},
	{"MICROSOFT_BIG_SSLV3_BUFFER", 0},
	{"MICROSOFT_SESS_ID_BUG", 0},
	{"MSIE_SSLV2_RSA_PADDING", 0},
	{"NETSCAPE_CHALLENGE_BUG", 0},
	{"NETSCAPE_REUSE_CIPHER_CHANGE_BUG", 0},
	{"SSLEAY_080_CLIENT_DH_BUG", 0},
	{"SSLREF2_REUSE_CERT_TYPE_BUG", 0},
	{"TLS_BLOCK_PADDING_BUG", 0},
	{"TLS_D5_BUG", 0},
	{"TLS_ROLLBACK_BUG", SSL_OP_TLS_ROLLBACK_BUG},
};

static const struct option_name ssl_options[] = {
	{"ENABLE_MIDDLEBOX_COMPAT", SSL_OP_ENABLE_MIDDLEBOX_COMPAT},
	{"LEGACY_SERVER_CONNECT", SSL_OP_LEGACY_SERVER_CONNECT},
	{"NO_COMPRESSION", SSL_OP_NO_COMPRESSION},
	{"NO_RENEGOTIATION", SSL_OP_NO_RENEGOTIATION},
	{"NO_SESSION_RESUMPTION_ON_RENEGOTIATION",
	 SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION},
	{"NO_TICKET", SSL_OP_NO_TICKET},
	{"PRIORITIZE_CHACHA", SSL_OP_PRIORITIZE_CHACHA},
};

/* "0x..." too. */
static bool
hex_bits(struct str word, uint64_t *out)
{
	uint64_t bits = 0;

	if (!str_istarts(word, STR("0x")) || word.len < 3 || word.len > 18)
		return false;
	for (size_t i = 2; i < word.len; i++) {
		char c = char_lower(word.p[i]);

		if (char_is_digit(c))
			bits = bits << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			bits = bits << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*out = bits;
	return true;
}

static uint64_t
option_bits(const struct option_name *rows, size_t n, const char *parameter,
	    struct str list, const struct tls_told *told)
{
	uint64_t bits = 0;
	struct str rest = list;
	struct str word;

	while (str_token(&rest, ", \t\r\n", &word)) {
		uint64_t hex = 0;
		size_t i = 0;

		while (i < n && !str_ieq(word, str_from(rows[i].name)))
			i++;
		if (i < n)
			bits |= rows[i].bit;
		else if (hex_bits(word, &hex))
			bits |= hex;
		else
			tls_told_printf(told, LOG_LEVEL_WARNING,
					"unknown %s value \"" PRI_STR "\" in \"" PRI_STR
					"\"",
					parameter, STR_ARG(word), STR_ARG(list));
	}
	return bits;
}

static void
set_options(struct tls_context *c, const struct tls_settings *s,
	    const struct tls_told *told)
{
	uint64_t bits = SSL_OP_ALL;

	bits &= ~option_bits(workarounds, ARRAY_LEN(workarounds),
			     "tls_disable_workarounds", s->disable_workarounds, told);
	bits |= option_bits(ssl_options, ARRAY_LEN(ssl_options), "tls_ssl_options",
			    s->ssl_options, told);
	if (c->is_server && s->preempt_cipherlist)
		bits |= SSL_OP_CIPHER_SERVER_PREFERENCE;
	if ((bits & SSL_OP_NO_TICKET) != 0)
		c->tickets = false;
	/* How a connection ends matters to SMTP, not to TLS: it has its own end. */
	bits |= SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF;
	SSL_CTX_set_options(c->ssl, bits);
	SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS |
					 SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* What is too weak is for the lists of protocols and ciphers to say. */
	SSL_CTX_set_security_level(c->ssl, 0);
}

static uint64_t
protocol_options(unsigned excluded)
{
	return ((excluded & TLS_BIT_SSLV3) != 0 ? SSL_OP_NO_SSLv3 : 0) |
	       ((excluded & TLS_BIT_TLSV1) != 0 ? SSL_OP_NO_TLSv1 : 0) |
	       ((excluded & TLS_BIT_TLSV1_1) != 0 ? SSL_OP_NO_TLSv1_1 : 0) |
	       ((excluded & TLS_BIT_TLSV1_2) != 0 ? SSL_OP_NO_TLSv1_2 : 0) |
	       ((excluded & TLS_BIT_TLSV1_3) != 0 ? SSL_OP_NO_TLSv1_3 : 0);
}

bool
tls_protocols_apply(SSL *ssl, const struct tls_protocols *p)
{
	SSL_set_options(ssl, protocol_options(p->excluded));
	return SSL_set_min_proto_version(ssl, p->min) == 1 &&
	       SSL_set_max_proto_version(ssl, p->max) == 1;
}

/* ---- certification authorities ---- */

/* Where they were to come from: CAfile="F" CApath="P". */
static struct str
ca_text(struct tls_context *c, const struct tls_settings *s)
{
	struct buf *out = buf_new(c->mem, TLS_TEXT_MAX);

	if (s->ca_file.len > 0)
		buf_printf(out, "CAfile=\"" PRI_STR "\"", STR_ARG(s->ca_file));
	if (s->ca_path.len > 0)
		buf_printf(out, "%sCApath=\"" PRI_STR "\"", out->len > 0 ? " " : "",
			   STR_ARG(s->ca_path));
	return buf_str(out);
}

static bool
load_cas(struct tls_context *c, const struct tls_settings *s, const struct tls_told *told,
	 struct err *err)
{
	const char *file = s->ca_file.len > 0 ? str_c(c->mem, s->ca_file) : NULL;
	const char *folder = s->ca_path.len > 0 ? str_c(c->mem, s->ca_path) : NULL;

	if (file == NULL && folder == NULL)
		return true;
	if (file != NULL)
		tls_watch_file(c, s->ca_file);
	if (folder != NULL)
		tls_watch_folder(c, folder);
	if (s->append_default_ca)
		tls_watch_folder(c, X509_get_default_cert_dir());
	if (SSL_CTX_load_verify_locations(c->ssl, file, folder) != 1) {
		err_set(err, ERR_CONFIG,
			"cannot load Certification Authority data, " PRI_STR
			": disabling TLS support",
			STR_ARG(ca_text(c, s)));
		tls_told_printf(told, LOG_LEVEL_INFO, "%s", err->text);
		tls_tell_errors(told);
		c->has_told = true;
		return false;
	}
	if (c->is_server && c->ask_ccert && file != NULL)
		SSL_CTX_set_client_CA_list(c->ssl, SSL_load_client_CA_file(file));
	if (s->append_default_ca && SSL_CTX_set_default_verify_paths(c->ssl) != 1)
		return err_set(err, ERR_CONFIG,
			       "cannot set default OpenSSL certificate verification "
			       "paths: disabling TLS support");
	return true;
}

/* ---- making ---- */

static struct tls_context *
context_new(const struct tls_settings *s, bool is_server)
{
	struct arena *mem = arena_new();
	struct tls_context *c = ARENA_NEW(mem, struct tls_context);

	c->mem = mem;
	c->refs = 1;
	c->is_server = is_server;
	c->ssl = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	c->bio = tls_bio_method();
	ensure(c->ssl != NULL && c->bio != NULL);
	SSL_CTX_set_app_data(c->ssl, c);
	c->legacy_keys = s->legacy_key_fingerprints;
	c->many_labels = s->wildcard_many_labels;
	c->fast_shutdown = s->fast_shutdown;
	c->log = s->log;
	c->ciphers = STR_EMPTY;
	return c;
}

void
tls_context_ref(struct tls_context *c)
{
	c->refs++;
}

void
tls_context_free(struct tls_context **context)
{
	struct tls_context *c = *context;

	*context = NULL;
	if (c == NULL || --c->refs > 0)
		return;
	tls_watch_close(c);
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->bio);
	OPENSSL_cleanse(c->keys, sizeof(c->keys));
	arena_free(&c->mem);
}

static bool
load_common(struct tls_context *c, const struct tls_settings *s,
	    const struct tls_told *told, struct err *err)
{
	const char *digest = str_c(c->mem, s->fingerprint_digest);

	c->digest = EVP_get_digestbyname(digest);
	if (c->digest == NULL)
		return err_set(err, ERR_CONFIG, "Digest algorithm \"%s\" not found",
			       digest);
	SSL_CTX_set_verify_depth(c->ssl, s->verify_depth + 1);
	set_options(c, s, told);
	if (!tls_groups_set(c, s, told, err) || !load_cas(c, s, told, err))
		return false;
	return tls_own_load(c, &s->own, told, err);
}

static bool
set_ciphers(struct tls_context *c, struct str ciphers, struct err *err)
{
	if (ciphers.len == 0)
		return true;
	c->ciphers = str_dup(c->mem, ciphers);
	if (SSL_CTX_set_cipher_list(c->ssl, c->ciphers.p) == 1)
		return true;
	return err_set(err, ERR_CONFIG, "invalid TLS cipher list: \"" PRI_STR "\"",
		       STR_ARG(ciphers));
}

static bool
load_server(struct tls_context *c, const struct tls_settings *s,
	    const struct tls_server_settings *server, const struct tls_told *told,
	    struct err *err)
{
	const struct tls_protocols *p = &server->protocols;

	c->ask_ccert = server->ask_ccert;
	c->tickets = server->tickets && server->session_seconds > 0;
	c->session_seconds = server->session_seconds;
	c->sni_maps = server->sni_maps;
	if (!load_common(c, s, told, err) || !set_ciphers(c, server->ciphers, err))
		return false;
	if (!c->has_own && !server->cert_optional)
		return err_set(err, ERR_CONFIG,
			       "No server certs available. TLS won't be enabled");
	SSL_CTX_set_options(c->ssl, protocol_options(p->excluded));
	if (SSL_CTX_set_min_proto_version(c->ssl, p->min) != 1 ||
	    SSL_CTX_set_max_proto_version(c->ssl, p->max) != 1)
		return err_set(err, ERR_CONFIG, "unsupported TLS protocol version");
	c->keeps_sessions = server->keeps_sessions && server->session_seconds > 0;
	SSL_CTX_set_verify(c->ssl,
			   server->ask_ccert ? SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE
					     : SSL_VERIFY_NONE,
			   tls_verify_callback);
	tls_ticket_install(c);
	tls_cache_install(c, server->session_context);
	tls_sni_install(c);
	return true;
}

/* Why it failed, unless that was told where it did. */
static void
tell_rest(const struct tls_context *c, const struct tls_told *told, const struct err *err)
{
	if (!c->has_told)
		tls_told_printf(told, LOG_LEVEL_WARNING, "%s", err->text);
	tls_tell_errors(told);
}

bool
tls_server_context_new(const struct tls_settings *settings,
		       const struct tls_server_settings *server,
		       const struct tls_told *told, struct tls_context **out,
		       struct err *err)
{
	struct tls_context *c = context_new(settings, true);

	ERR_clear_error();
	if ((settings->log & TLS_LOG_VERBOSE) != 0)
		tls_told_printf(told, LOG_LEVEL_INFO,
				"initializing the server-side TLS engine");
	if (!load_server(c, settings, server, told, err)) {
		tell_rest(c, told, err);
		tls_context_free(&c);
		return false;
	}
	*out = c;
	return true;
}

bool
tls_client_context_new(const struct tls_settings *settings, const struct tls_told *told,
		       struct tls_context **out, struct err *err)
{
	struct tls_context *c = context_new(settings, false);

	ERR_clear_error();
	if ((settings->log & TLS_LOG_VERBOSE) != 0)
		tls_told_printf(told, LOG_LEVEL_INFO,
				"initializing the client-side TLS engine");
	if (!load_common(c, settings, told, err) ||
	    (SSL_CTX_dane_enable(c->ssl) <= 0 &&
	     !err_set(err, ERR_TEMP, "DANE is not available"))) {
		tell_rest(c, told, err);
		tls_context_free(&c);
		return false;
	}
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_NONE, tls_verify_callback);
	tls_cache_install(c, STR_EMPTY);
	*out = c;
	return true;
}
