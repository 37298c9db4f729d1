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
static struct identity ca, server_id, other_id, expired_id, client_id, stranger_id, rsa_id;

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
	make(&expired_id, "expired", "mx.example", &ca, -2 * DAY, -DAY);
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
	    !tls_server_context_new(&m->server_settings, &m->server, &told,
				    &m->s.context, &err))
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
		fail_msg("no handshake\nserver: %s\nclient: %s", m->s.log->p, m->c.log->p);
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
	assert_logged(&m->s, "Anonymous TLS connection established from client[192.0.2.1]: "
			     "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) "
			     "key-exchange X25519 server-signature ECDSA (prime256v1) "
			     "server-digest SHA256\n");
	assert_logged(&m->c, "Trusted TLS connection established to "
			     "mx.example[192.0.2.2]:25: TLSv1.3 with cipher ");
	meeting_end(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests(tests, make_all, remove_all);
}
