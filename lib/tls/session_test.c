/* SPDX-License-Identifier: Apache-2.0 */
/* Client and server of this library talk to each other, each in a fiber. */
#include "tls/session.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "mail/base64.h"
#include "table/maps.h"

enum { LOG_MAX = 1 << 20, WAIT_MS = 10000, DAY = 86400 };

/* ---- certificates ---- */

struct identity {
	EVP_PKEY *key;
	X509 *certificate;
	char file[64]; /* key and certificate */
};

static char folder[] = "/tmp/tls-test-XXXXXX";
static struct identity ca, server_id, other_id, expired_id, client_id, stranger_id,
	rsa_id;

static void
add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

static void
write_identity(struct identity *id, const char *name)
{
	FILE *f;

	snprintf(id->file, sizeof(id->file), "%s/%s.pem", folder, name);
	f = fopen(id->file, "w");
	assert_non_null(f);
	PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL);
	PEM_write_X509(f, id->certificate);
	fclose(f);
}

/* by NULL: signed by itself. */
static void
make(struct identity *id, const char *name, const char *host, const struct identity *by,
     long from, long until)
{
	static long serial;
	X509 *x = X509_new();
	X509 *issuer = by == NULL ? x : by->certificate;
	char alt[300];

	if (id->key == NULL)
		id->key = EVP_EC_gen("P-256");
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), until);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
				   (const unsigned char *)host, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	X509_set_pubkey(x, id->key);
	if (id == &ca) {
		add_extension(x, issuer, NID_basic_constraints, "critical,CA:TRUE");
	} else {
		snprintf(alt, sizeof(alt), "DNS:%s", host);
		add_extension(x, issuer, NID_subject_alt_name, alt);
	}
	assert_true(X509_sign(x, by == NULL ? id->key : by->key, EVP_sha256()) > 0);
	id->certificate = x;
	write_identity(id, name);
}

static int
make_all(void **state UNUSED)
{
	assert_non_null(mkdtemp(folder));
	make(&ca, "ca", "Test CA", NULL, -DAY, DAY);
	make(&server_id, "server", "mx.example", &ca, -DAY, DAY);
	make(&other_id, "other", "*.other.example", &ca, -DAY, DAY);
	make(&expired_id, "expired", "mx.example", &ca, -2L * DAY, -DAY);
	make(&client_id, "client", "client.example", &ca, -DAY, DAY);
	make(&stranger_id, "stranger", "mx.example", NULL, -DAY, DAY);
	rsa_id.key = EVP_RSA_gen(2048);
	make(&rsa_id, "rsa", "mx.example", &ca, -DAY, DAY);
	return 0;
}

static int
remove_all(void **state UNUSED)
{
	struct identity *all[] = {&ca,        &server_id,   &other_id, &expired_id,
				  &client_id, &stranger_id, &rsa_id};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		unlink(all[i]->file);
		EVP_PKEY_free(all[i]->key);
		X509_free(all[i]->certificate);
	}
	return rmdir(folder);
}

/* ---- a meeting of two ---- */

struct side {
	struct tls_context *context;
	struct stream *stream;
	struct tls_info info;
	bool ok;
	enum stream_status status;
	struct buf *log;
	char got[64]; /* what the other has said */
	size_t got_len;
};

struct meeting {
	struct arena *mem;
	struct loop *loop;
	struct tls_settings server_settings, client_settings;
	struct tls_server_settings server;
	struct tls_connect_options connect;
	struct tls_accept_options accept;
	struct side s, c;
	struct str saved; /* by the client */
	size_t n_saved;
	void (*instead)(struct meeting *m); /* of a client of ours */
	struct str stored_id, stored;       /* by the server */
	size_t n_loaded;
};

static void
tell(void *arg, enum log_level level, struct str text)
{
	struct buf *out = arg;

	buf_printf(out, "%s" PRI_STR "\n", level == LOG_LEVEL_WARNING ? "warning: " : "",
		   STR_ARG(text));
}

static void
save(void *arg, struct str session)
{
	struct meeting *m = arg;

	m->saved = str_dup(m->mem, session);
	m->n_saved++;
}

static struct tls_settings
settings(void)
{
	return (struct tls_settings){
		.own = {.chain_files = STR_EMPTY,
			.cert_file = STR_EMPTY,
			.key_file = STR_EMPTY,
			.eccert_file = STR_EMPTY,
			.eckey_file = STR_EMPTY,
			.dcert_file = STR_EMPTY,
			.dkey_file = STR_EMPTY},
		.ca_file = str_from(ca.file),
		.ca_path = STR_EMPTY,
		.verify_depth = 9,
		.fingerprint_digest = STR("sha256"),
		.eecdh_grade = STR("auto"),
		.auto_curves = STR("X25519 prime256v1"),
		.strong_curve = STR("prime256v1"),
		.ultra_curve = STR("secp384r1"),
		.dh_param_file = STR_EMPTY,
		.disable_workarounds = STR_EMPTY,
		.ssl_options = STR_EMPTY,
		.wildcard_many_labels = true,
		.fast_shutdown = true,
	};
}

static const struct tls_ticket_key ticket_key = {
	.name = "0123456789abcde",
	.cipher = "key",
	.mac = "mac",
	.encrypts_until = INT64_MAX,
	.decrypts_until = INT64_MAX,
};

static struct meeting *
meeting_new(void)
{
	struct arena *mem = arena_new();
	struct meeting *m = ARENA_NEW(mem, struct meeting);

	m->mem = mem;
	m->loop = loop_new();
	m->s.log = buf_new(mem, LOG_MAX);
	m->c.log = buf_new(mem, LOG_MAX);
	m->server_settings = m->client_settings = settings();
	m->server_settings.own.chain_files = str_from(server_id.file);
	m->server = (struct tls_server_settings){
		.ciphers = STR_EMPTY,
		.session_context = STR("smtp"),
		.session_seconds = 3600,
		.tickets = true,
	};
	m->accept.log = (struct tls_log){.bits = TLS_LOG_SUMMARY,
					 .fn = tell,
					 .arg = m->s.log,
					 .peer = STR("client[192.0.2.1]")};
	m->connect = (struct tls_connect_options){
		.log = {.bits = TLS_LOG_SUMMARY,
			.fn = tell,
			.arg = m->c.log,
			.peer = STR("mx.example[192.0.2.2]:25")},
		.level = TLS_LEVEL_MAY,
		.ciphers = STR_EMPTY,
		.server_name = STR_EMPTY,
		.dane_digests = STR("sha512 sha256"),
		.session = STR_EMPTY,
		.save_session = save,
		.save_arg = m,
	};
	m->saved = m->stored = m->stored_id = STR_EMPTY;
	return m;
}

static void
meeting_end(struct meeting *m)
{
	struct arena *mem = m->mem;

	tls_context_free(&m->s.context);
	tls_context_free(&m->c.context);
	loop_free(&m->loop);
	arena_free(&mem);
}

/* After the handshake each says a line and reads the other's. */
static void
exchange(struct side *a, const char *text)
{
	struct str line;

	if (!a->ok)
		return;
	IGNORE(stream_printf(a->stream, "%s\r\n", text) != STREAM_OK);
	if (stream_read_line(a->stream, sizeof(a->got), &line) != STREAM_OK)
		return;
	memcpy(a->got, line.p, line.len);
	a->got_len = line.len;
}

static void
run_server(void *arg)
{
	struct meeting *m = arg;

	m->s.ok = tls_accept(m->s.stream, m->s.context, m->mem, &m->accept, &m->s.info,
			     &m->s.status);
	exchange(&m->s, "from server");
	stream_close(&m->s.stream);
}

static void
run_client(void *arg)
{
	struct meeting *m = arg;

	if (m->instead != NULL) {
		m->instead(m);
	} else {
		m->c.ok = tls_connect(m->c.stream, m->c.context, m->mem, &m->connect,
				      &m->c.info, &m->c.status);
		exchange(&m->c, "from client");
	}
	stream_close(&m->c.stream);
}

static void
make_contexts(struct meeting *m)
{
	const struct tls_told told = {.fn = tell, .arg = m->s.log};
	struct err err;

	if (m->s.context == NULL &&
	    !tls_server_context_new(&m->server_settings, &m->server, &told, &m->s.context,
				    &err))
		fail_msg("server: %s", err.text);
	if (m->c.context == NULL &&
	    !tls_client_context_new(&m->client_settings, &told, &m->c.context, &err))
		fail_msg("client: %s", err.text);
	if (m->server.tickets)
		tls_context_set_ticket_keys(m->s.context, &ticket_key, 1);
}

static void
meet(struct meeting *m)
{
	int pair[2];

	make_contexts(m);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	m->s.stream = stream_from_fd(m->loop, pair[0]);
	m->c.stream = stream_from_fd(m->loop, pair[1]);
	m->s.got_len = m->c.got_len = 0;
	stream_set_timeout_ms(m->s.stream, WAIT_MS);
	stream_set_timeout_ms(m->c.stream, WAIT_MS);
	assert_non_null(fiber_spawn(m->loop, "server", run_server, m));
	assert_non_null(fiber_spawn(m->loop, "client", run_client, m));
	loop_run(m->loop);
}

static void
assert_talked(const struct meeting *m)
{
	if (!m->s.ok || !m->c.ok)
		fail_msg("no handshake\nserver: %s\nclient: %s", m->s.log->p,
			 m->c.log->p);
	assert_true(str_eq(str_from_mem(m->s.got, m->s.got_len), STR("from client")));
	assert_true(str_eq(str_from_mem(m->c.got, m->c.got_len), STR("from server")));
}

static void
assert_logged(const struct side *a, const char *text)
{
	if (strstr(a->log->p, text) == NULL)
		fail_msg("not logged: %s\nbut: %s", text, a->log->p);
}

/* ---- tests ---- */

static void
test_plain(void **state UNUSED)
{
	struct meeting *m = meeting_new();

	meet(m);
	assert_talked(m);
	assert_true(str_eq(m->s.info.protocol, STR("TLSv1.3")));
	assert_true(str_eq(m->s.info.cipher, STR("TLS_AES_256_GCM_SHA384")));
	assert_int_equal(m->s.info.used_bits, 256);
	assert_false(m->s.info.has_certificate);
	assert_true(m->c.info.has_certificate);
	assert_true(str_eq(m->c.info.subject, STR("mx.example")));
	assert_true(str_eq(m->c.info.issuer, STR("Test CA")));
	assert_true(m->c.info.is_trusted);
	assert_false(m->c.info.is_matched);
	assert_logged(&m->s,
		      "Anonymous TLS connection established from client[192.0.2.1]: "
		      "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) "
		      "key-exchange X25519 server-signature ECDSA (prime256v1) "
		      "server-digest SHA256\n");
	assert_logged(&m->c, "Trusted TLS connection established to "
			     "mx.example[192.0.2.2]:25: TLSv1.3 with cipher ");
	meeting_end(m);
}

static void
test_protocols(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	struct err err;

	assert_true(tls_protocols_parse(STR("<=TLSv1.2"), &m->server.protocols, &err));
	meet(m);
	assert_talked(m);
	assert_true(str_eq(m->c.info.protocol, STR("TLSv1.2")));
	assert_true(str_eq(m->c.info.cipher, STR("ECDHE-ECDSA-AES256-GCM-SHA384")));
	/* Before TLS 1.3 nobody tells of keys and signatures. */
	assert_int_equal(m->c.info.key_exchange.len, 0);
	/* And a client that wants more. */
	assert_true(tls_protocols_parse(STR("TLSv1.3"), &m->connect.protocols, &err));
	meet(m);
	assert_false(m->s.ok || m->c.ok);
	assert_int_equal(m->s.status, STREAM_OK);
	assert_logged(&m->s, "SSL_accept error from client[192.0.2.1]: -1\n"
			     "warning: TLS library problem: error:");
	assert_logged(&m->s, "unsupported protocol");
	assert_logged(&m->c, "SSL_connect error to mx.example[192.0.2.2]:25: -1\n");
	meeting_end(m);
}

static void
test_ciphers(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	struct err err;

	assert_true(tls_protocols_parse(STR("!TLSv1.3"), &m->server.protocols, &err));
	m->server.ciphers =
		STR("aNULL:-aNULL:HIGH:!AESGCM:!CHACHA20:!AESCCM:!CAMELLIA:!ARIA");
	m->server_settings.own.chain_files = str_from(rsa_id.file);
	m->connect.ciphers = STR("AES128-SHA256:ECDHE-RSA-AES128-SHA256");
	meet(m);
	assert_talked(m);
	assert_true(str_eq(m->s.info.cipher, STR("AES128-SHA256")));
	/* Nothing in common. */
	m->connect.ciphers = STR("ECDHE-RSA-AES128-GCM-SHA256");
	meet(m);
	assert_false(m->s.ok || m->c.ok);
	assert_logged(&m->s, "no shared cipher");
	meeting_end(m);
}

static void
test_preempt(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	struct err err;

	assert_true(tls_protocols_parse(STR("TLSv1.2"), &m->server.protocols, &err));
	m->server_settings.preempt_cipherlist = true;
	m->server.ciphers =
		STR("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384");
	m->connect.ciphers =
		STR("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256");
	meet(m);
	assert_talked(m);
	assert_true(str_eq(m->s.info.cipher, STR("ECDHE-ECDSA-AES128-GCM-SHA256")));
	meeting_end(m);
}

static void
test_eecdh(void **state UNUSED)
{
	struct meeting *m = meeting_new();

	m->server_settings.eecdh_grade = STR("strong");
	meet(m);
	assert_talked(m);
	assert_true(str_eq(m->s.info.key_exchange, STR("ECDHE")));
	assert_true(str_eq(m->s.info.key_curve, STR("prime256v1")));
	meeting_end(m);
}

static void
test_client_certificate(void **state UNUSED)
{
	struct meeting *m = meeting_new();

	m->server.ask_ccert = true;
	m->client_settings.own.cert_file = m->client_settings.own.key_file =
		str_from(client_id.file);
	m->accept.log.bits |= TLS_LOG_PEERCERT | TLS_LOG_UNTRUSTED;
	meet(m);
	assert_talked(m);
	assert_true(m->s.info.has_certificate && m->s.info.is_trusted);
	assert_false(m->s.info.is_matched);
	assert_true(str_eq(m->s.info.subject, STR("client.example")));
	assert_int_equal(m->s.info.certificate_fingerprint.len, 95);
	assert_logged(&m->s, "client[192.0.2.1]: subject_CN=client.example, "
			     "issuer=Test CA, fingerprint=");
	assert_logged(&m->s, "Trusted TLS connection established from ");
	assert_logged(&m->s,
		      " client-signature ECDSA (prime256v1) client-digest SHA256\n");
	/* One that nobody has signed. */
	tls_context_free(&m->c.context);
	m->client_settings.own.cert_file = m->client_settings.own.key_file =
		str_from(stranger_id.file);
	meet(m);
	assert_talked(m);
	assert_true(m->s.info.has_certificate && !m->s.info.is_trusted);
	assert_true(m->s.info.untrusted_why.len > 0);
	assert_logged(&m->s, "certificate verification failed for client[192.0.2.1]: "
			     "self-signed certificate\n");
	meeting_end(m);
}

static void
test_chain_too_long(void **state UNUSED)
{
	struct meeting *m = meeting_new();

	m->server.ask_ccert = true;
	m->server_settings.verify_depth = 0;
	m->accept.log.bits |= TLS_LOG_UNTRUSTED;
	m->client_settings.own.chain_files = str_from(client_id.file);
	meet(m);
	assert_talked(m);
	assert_false(m->s.info.is_trusted);
	assert_logged(&m->s, "certificate chain longer than limit(0)\n");
	meeting_end(m);
}

/* ---- who is the server? ---- */

struct verify_case {
	enum tls_level level;
	const char *name; /* wanted */
	const char *file; /* of the server */
	const char *trust;
	const char *logged;
};

static void
test_names(void **state UNUSED)
{
	const struct verify_case cases[] = {
		{TLS_LEVEL_SECURE, "mx.example", server_id.file, "Verified",
		 "Verified TLS"},
		{TLS_LEVEL_VERIFY, "MX.Example", server_id.file, "Verified",
		 "Verified TLS"},
		{TLS_LEVEL_VERIFY, ".example", server_id.file, "Verified",
		 "Verified TLS"},
		{TLS_LEVEL_VERIFY, "mx2.example", server_id.file, "Untrusted",
		 "num=62:hostname mismatch"},
		{TLS_LEVEL_VERIFY, ".mx.example", server_id.file, "Untrusted",
		 "mismatch"},
		{TLS_LEVEL_VERIFY, "a.other.example", other_id.file, "Verified", ""},
		{TLS_LEVEL_VERIFY, "b.a.other.example", other_id.file, "Verified", ""},
		{TLS_LEVEL_VERIFY, "other.example", other_id.file, "Untrusted",
		 "mismatch"},
		{TLS_LEVEL_VERIFY, "mx.example", expired_id.file, "Untrusted",
		 "certificate has expired"},
		{TLS_LEVEL_VERIFY, "mx.example", stranger_id.file, "Untrusted",
		 "self-signed certificate"},
		{TLS_LEVEL_ENCRYPT, "mx.example", stranger_id.file, "Untrusted", ""},
		{TLS_LEVEL_ENCRYPT, "other", server_id.file, "Trusted", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct verify_case *t = &cases[i];
		struct meeting *m = meeting_new();
		const struct str names[] = {STR("x.test"), str_from(t->name)};

		m->server_settings.own.chain_files = str_from(t->file);
		m->connect.level = t->level;
		m->connect.names = names;
		m->connect.n_names = ARRAY_LEN(names);
		meet(m);
		assert_talked(m);
		if (strcmp(tls_info_trust(&m->c.info), t->trust) != 0)
			fail_msg("%zu %s: %s\n%s", i, t->name, tls_info_trust(&m->c.info),
				 m->c.log->p);
		assert_logged(&m->c, t->logged);
		/* A session with somebody else is not kept. */
		assert_int_equal(m->n_saved > 0, !tls_level_checks_peer(t->level) ||
							 m->c.info.is_matched);
		meeting_end(m);
	}
}

static void
test_fingerprint(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	struct str prints[2] = {STR("AA:BB"), STR_EMPTY};

	m->server_settings.own.chain_files = str_from(stranger_id.file);
	m->connect.level = TLS_LEVEL_FINGERPRINT;
	m->connect.fingerprints = prints;
	m->connect.n_fingerprints = ARRAY_LEN(prints);
	meet(m);
	assert_talked(m);
	assert_false(m->c.info.is_matched);
	prints[1] = str_lower(m->mem, m->c.info.certificate_fingerprint);
	meet(m);
	assert_true(m->c.info.is_matched && m->c.info.is_trusted);
	prints[1] = m->c.info.key_fingerprint;
	meet(m);
	assert_true(m->c.info.is_matched);
	assert_logged(&m->c, "Verified TLS connection established to ");
	meeting_end(m);
}

static struct str
digest(struct meeting *m, const struct identity *id, bool of_key)
{
	unsigned char *der = NULL;
	unsigned char *out = arena_alloc(m->mem, 32);
	int n = of_key ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(id->certificate), &der)
		       : i2d_X509(id->certificate, &der);

	assert_int_equal(EVP_Digest(der, (size_t)n, out, NULL, EVP_sha256(), NULL), 1);
	OPENSSL_free(der);
	return str_from_mem(out, 32);
}

static void
test_dane(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	const struct str names[] = {STR("mx.example")};
	struct tls_tlsa records[] = {
		{.usage = 1,
		 .selector = 1,
		 .matching = 1,
		 .data = digest(m, &server_id, true)},
		{.usage = 3,
		 .selector = 1,
		 .matching = 1,
		 .data = digest(m, &stranger_id, true)},
	};

	m->server_settings.own.chain_files = str_from(stranger_id.file);
	m->connect.level = TLS_LEVEL_DANE;
	m->connect.names = names;
	m->connect.n_names = 1;
	m->connect.tlsa = records;
	m->connect.n_tlsa = ARRAY_LEN(records);
	assert_int_equal(tls_tlsa_usable(records, 2, m->connect.dane_digests), 1);
	assert_int_equal(tls_tlsa_usable(records, 2, STR("sha512")), 0);
	meet(m);
	assert_talked(m);
	assert_true(m->c.info.is_matched);
	assert_logged(&m->c, "Verified TLS connection established to ");
	/* The key of somebody else. */
	records[1].data = digest(m, &client_id, true);
	meet(m);
	assert_talked(m);
	assert_false(m->c.info.is_matched);
	/* A CA: the name counts too. */
	tls_context_free(&m->s.context);
	m->server_settings.own.chain_files = str_from(server_id.file);
	records[1] = (struct tls_tlsa){.usage = 3,
				       .selector = 0,
				       .matching = 1,
				       .data = digest(m, &server_id, false)};
	m->connect.level = TLS_LEVEL_DANE_ONLY;
	meet(m);
	assert_true(m->c.info.is_matched);
	m->connect.level = TLS_LEVEL_HALF_DANE;
	meet(m);
	assert_true(m->c.info.is_trusted && !m->c.info.is_matched);
	/* Nothing that can be used. */
	m->connect.level = TLS_LEVEL_DANE_ONLY;
	m->connect.n_tlsa = 1;
	meet(m);
	assert_false(m->c.ok);
	assert_logged(&m->c, "no usable TLSA records");
	meeting_end(m);
}

static void
test_anchor_file(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	const struct str names[] = {STR("mx.example")};
	struct str anchors[] = {str_from(ca.file)};

	m->client_settings.ca_file = STR_EMPTY;
	m->connect.level = TLS_LEVEL_SECURE;
	m->connect.names = names;
	m->connect.n_names = 1;
	meet(m);
	assert_false(m->c.info.is_matched);
	m->connect.anchor_files = anchors;
	m->connect.n_anchor_files = 1;
	meet(m);
	assert_talked(m);
	assert_true(m->c.info.is_matched);
	meeting_end(m);
}

/* ---- sessions ---- */

static void
test_tickets(void **state UNUSED)
{
	for (int v12 = 0; v12 < 2; v12++) {
		struct meeting *m = meeting_new();
		struct tls_ticket_key other = ticket_key;
		struct err err;

		if (v12)
			assert_true(tls_protocols_parse(STR("TLSv1.2"),
							&m->server.protocols, &err));
		meet(m);
		assert_talked(m);
		assert_true(m->n_saved > 0);
		m->connect.session = m->saved;
		meet(m);
		assert_talked(m);
		assert_true(m->s.info.is_reused && m->s.info.is_ticketed);
		assert_true(m->c.info.is_reused);
		assert_logged(&m->s, "TLS connection reused from client[192.0.2.1]: ");
		/* Keys that are not known any more: from the beginning. */
		other.name[0] = 'x';
		make_contexts(m);
		m->server.tickets = false; /* meet() sets no keys */
		tls_context_set_ticket_keys(m->s.context, &other, 1);
		meet(m);
		assert_talked(m);
		assert_false(m->s.info.is_reused);
		/* No keys: no tickets. */
		tls_context_set_ticket_keys(m->s.context, NULL, 0);
		assert_true(tls_context_wants_ticket_keys(m->s.context, time(NULL)));
		m->n_saved = 0;
		m->connect.session = STR_EMPTY;
		meet(m);
		assert_talked(m);
		if (!v12)
			assert_int_equal(m->n_saved, 0);
		meeting_end(m);
	}
}

static void
test_ticket_of_another_service(void **state UNUSED)
{
	struct meeting *m = meeting_new();

	meet(m);
	m->connect.session = m->saved;
	tls_context_free(&m->s.context);
	m->server.session_context = STR("submission");
	meet(m);
	assert_talked(m);
	assert_false(m->s.info.is_reused);
	meeting_end(m);
}

static bool
store_load(void *arg, struct arena *mem UNUSED, struct str id, struct str *out)
{
	struct meeting *m = arg;

	m->n_loaded++;
	*out = m->stored;
	return str_eq(id, m->stored_id);
}

static void
store_save(void *arg, struct str id, struct str session)
{
	struct meeting *m = arg;

	m->stored_id = str_dup(m->mem, id);
	m->stored = str_dup(m->mem, session);
}

static void
test_cache(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	struct err err;

	m->server.tickets = false;
	m->server.keeps_sessions = true;
	m->accept.store =
		(struct tls_store){.load = store_load, .save = store_save, .arg = m};
	assert_true(tls_protocols_parse(STR("TLSv1.2"), &m->server.protocols, &err));
	meet(m);
	assert_talked(m);
	assert_int_equal(m->stored_id.len, 64);
	assert_true(m->stored.len > 0);
	m->n_loaded = 0;
	m->connect.session = m->saved;
	meet(m);
	assert_talked(m);
	assert_int_equal(m->n_loaded, 1);
	assert_true(m->s.info.is_reused && !m->s.info.is_ticketed);
	meeting_end(m);
}

/* ---- trouble ---- */

static void
send_garbage(struct meeting *m)
{
	IGNORE(stream_printf(m->c.stream, "EHLO client.example\r\nMAIL FROM:<>\r\n") !=
	       STREAM_OK);
	IGNORE(stream_flush(m->c.stream) != STREAM_OK);
}

static void
send_nothing(struct meeting *m UNUSED)
{
}

/* The beginning of a hello that says it is longer. */
static void
send_part(struct meeting *m)
{
	IGNORE(stream_write(m->c.stream, str_from_mem("\x16\x03\x01\x02\x00\x01\x00",
						      7)) != STREAM_OK);
	IGNORE(stream_flush(m->c.stream) != STREAM_OK);
}

static void
test_trouble(void **state UNUSED)
{
	static const struct {
		void (*instead)(struct meeting *m);
		const char *logged;
	} cases[] = {
		{send_garbage, "warning: TLS library problem: error:0A00010B:SSL "
			       "routines::wrong version number:"},
		{send_nothing,
		 "SSL_accept error from client[192.0.2.1]: lost connection\n"},
		{send_part, "SSL_accept error from client[192.0.2.1]: lost connection\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct meeting *m = meeting_new();

		m->instead = cases[i].instead;
		meet(m);
		assert_false(m->s.ok);
		assert_logged(&m->s, cases[i].logged);
		meeting_end(m);
	}
}

static void
wait_for_end(struct meeting *m)
{
	struct str line;

	IGNORE(stream_read_line(m->c.stream, LOG_MAX, &line) != STREAM_OK);
}

static void
test_timeout(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	int pair[2];

	m->instead = wait_for_end;
	make_contexts(m);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	m->s.stream = stream_from_fd(m->loop, pair[0]);
	m->c.stream = stream_from_fd(m->loop, pair[1]);
	stream_set_deadline_ms(m->s.stream, loop_now_ms(m->loop) + 20);
	assert_non_null(fiber_spawn(m->loop, "server", run_server, m));
	assert_non_null(fiber_spawn(m->loop, "client", run_client, m));
	loop_run(m->loop);
	assert_false(m->s.ok);
	assert_int_equal(m->s.status, STREAM_TIMEOUT);
	assert_logged(&m->s,
		      "SSL_accept error from client[192.0.2.1]: Connection timed out\n");
	meeting_end(m);
}

/* A client's bytes one by one, from memory: the same as all at once, to the end. */
static void
test_byte_by_byte(void **state UNUSED)
{
	static const char hello[] = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff"
				    "\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff";

	for (size_t step = 0; step < 3; step++) {
		struct meeting *m = meeting_new();
		struct buf *out = buf_new(m->mem, LOG_MAX);

		make_contexts(m);
		m->s.stream = stream_from_memory(STR(hello), out, step);
		assert_false(tls_accept(m->s.stream, m->s.context, m->mem, &m->accept,
					&m->s.info, &m->s.status));
		assert_int_equal(m->s.status, STREAM_OK);
		assert_logged(&m->s, "SSL_accept error from client[192.0.2.1]: -1\n");
		stream_close(&m->s.stream);
		meeting_end(m);
	}
}

static void
test_sni(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	FILE *f = fopen(other_id.file, "r");
	char pem[4096];
	struct str value;
	struct err err;

	assert_non_null(f);
	value = str_from_mem(pem, fread(pem, 1, sizeof(pem), f));
	fclose(f);
	value = str_printf(m->mem,
			   "inline:{ a.other.example=" PRI_STR " .wild.example=" PRI_STR
			   " bad.example=x }",
			   STR_ARG(base64_encode(m->mem, value)),
			   STR_ARG(base64_encode(m->mem, value)));
	assert_true(maps_open(m->mem, "tls_server_sni_maps", value, TABLE_DEFAULT,
			      &m->server.sni_maps, &err));
	m->connect.server_name = STR("A.Other.Example");
	meet(m);
	assert_talked(m);
	assert_true(str_eq(m->c.info.subject, STR("*.other.example")));
	assert_true(str_eq(m->s.info.server_name, STR("a.other.example")));
	assert_logged(&m->s, "established from client[192.0.2.1] to a.other.example: ");
	m->connect.server_name = STR("x.y.wild.example");
	meet(m);
	assert_true(str_eq(m->c.info.subject, STR("*.other.example")));
	m->connect.server_name = STR("unknown.example");
	meet(m);
	assert_talked(m);
	assert_true(str_eq(m->c.info.subject, STR("mx.example")));
	assert_logged(&m->s,
		      "TLS SNI unknown.example from client[192.0.2.1] not matched, "
		      "using default chain\n");
	m->connect.server_name = STR("bad.example");
	meet(m);
	assert_false(m->c.ok);
	assert_logged(&m->s, "malformed BASE64 value: ");
	meeting_end(m);
}

/* ---- files ---- */

static void
test_bad_files(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	const struct tls_told told = {.fn = tell, .arg = m->s.log};
	struct tls_context *c = NULL;
	char cert[80];
	FILE *f;
	struct err err;

	m->server_settings.own.chain_files = STR("/nonexistent/x.pem");
	assert_false(
		tls_server_context_new(&m->server_settings, &m->server, &told, &c, &err));
	assert_logged(&m->s, "warning: error opening chain file: /nonexistent/x.pem: No "
			     "such file or directory\n");
	/* Without its key. */
	snprintf(cert, sizeof(cert), "%s/cert.pem", folder);
	f = fopen(cert, "w");
	PEM_write_X509(f, server_id.certificate);
	fclose(f);
	m->server_settings.own.chain_files = str_from(cert);
	assert_false(
		tls_server_context_new(&m->server_settings, &m->server, &told, &c, &err));
	assert_logged(&m->s, "key not first\n");
	m->server_settings.own.chain_files = STR_EMPTY;
	m->server_settings.own.cert_file = str_from(cert);
	m->server_settings.own.key_file = str_from(client_id.file);
	assert_false(
		tls_server_context_new(&m->server_settings, &m->server, &told, &c, &err));
	assert_logged(&m->s, "warning: cannot get RSA private key from file \"");
	/* And with it, in two files. */
	m->server_settings.own.key_file = str_from(server_id.file);
	meet(m);
	assert_talked(m);
	unlink(cert);
	meeting_end(m);
}

static void
test_renewal(void **state UNUSED)
{
	struct meeting *m = meeting_new();
	struct identity renewed = {.key = NULL};
	char link_path[80], next_path[80];

	make(&renewed, "renewed", "mx.example", &ca, -DAY, DAY);
	snprintf(link_path, sizeof(link_path), "%s/live.pem", folder);
	snprintf(next_path, sizeof(next_path), "%s/next.pem", folder);
	assert_int_equal(symlink("renewed.pem", link_path), 0);
	m->server_settings.own.chain_files = str_from(link_path);
	make_contexts(m);
	assert_false(tls_context_is_stale(m->s.context));
	assert_string_equal(tls_context_folders(m->s.context, m->mem)[0], folder);
	/* The link is set to another file, as certbot does. */
	assert_int_equal(symlink("server.pem", next_path), 0);
	assert_int_equal(rename(next_path, link_path), 0);
	assert_true(tls_context_is_stale(m->s.context));
	/* The file behind it is written over. */
	assert_int_equal(symlink("renewed.pem", next_path), 0);
	assert_int_equal(rename(next_path, link_path), 0);
	tls_context_free(&m->s.context);
	make_contexts(m);
	assert_false(tls_context_is_stale(m->s.context));
	write_identity(&renewed, "renewed");
	assert_int_equal(truncate(renewed.file, 10), 0);
	assert_true(tls_context_is_stale(m->s.context));
	/* Gone for a moment: no reason to give up what is there. */
	unlink(link_path);
	unlink(renewed.file);
	EVP_PKEY_free(renewed.key);
	X509_free(renewed.certificate);
	meeting_end(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_preempt),
		cmocka_unit_test(test_eecdh),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_chain_too_long),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_dane),
		cmocka_unit_test(test_anchor_file),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_ticket_of_another_service),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_sni),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_renewal),
	};

	return cmocka_run_group_tests(tests, make_all, remove_all);
}
