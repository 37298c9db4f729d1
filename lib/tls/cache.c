/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server's sessions that are not in tickets. OpenSSL asks for them in the middle of a
 * handshake, where nobody may wait; so the handshake is stopped when the client's hello
 * is there (the fiber then gets the session from wherever it is kept) and goes on with
 * what was found.
 */
#include <openssl/evp.h>

#include "base/arena.h"
#include "base/macros.h"

#include "tls_internal.h"

/* Fit for a table's key: hexadecimal. */
static struct str
id_text(struct arena *mem, const unsigned char *id, size_t n)
{
	struct buf *out = buf_new(mem, (size_t)2 * SSL_MAX_SSL_SESSION_ID_LENGTH);

	for (size_t i = 0; i < n && i < SSL_MAX_SSL_SESSION_ID_LENGTH; i++)
		buf_printf(out, "%02X", (unsigned)id[i]);
	return buf_str(out);
}

/* SSL_CTX_set_client_hello_cb(3). In TLS 1.3 the id is in the PSK extension, where
 * OpenSSL alone finds it: there sessions without tickets are not kept. */
static int
hello_came(SSL *ssl, int *alert UNUSED, void *arg UNUSED)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);
	const unsigned char *id;
	size_t n;

	if (conn->hello_answered)
		return SSL_CLIENT_HELLO_SUCCESS;
	conn->hello_seen = true;
	n = SSL_client_hello_get0_session_id(ssl, &id);
	if (n == 0) {
		conn->hello_answered = true;
		return SSL_CLIENT_HELLO_SUCCESS;
	}
	conn->asked_id = id_text(conn->mem, id, n);
	return SSL_CLIENT_HELLO_RETRY;
}

void
tls_cache_answer(struct tls_conn *conn, const struct tls_store *store)
{
	struct str session;

	conn->hello_answered = true;
	if (store->load == NULL)
		return;
	if ((conn->log.bits & TLS_LOG_CACHE) != 0)
		tls_say(&conn->log, LOG_LEVEL_INFO,
			PRI_STR ": looking up session " PRI_STR " in smtpd cache",
			STR_ARG(conn->log.peer), STR_ARG(conn->asked_id));
	if (store->load(store->arg, conn->mem, conn->asked_id, &session))
		conn->loaded_session = session;
}

static SSL_SESSION *
get_session(SSL *ssl, const unsigned char *id, int n, int *copy_out)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);
	const unsigned char *p = (const unsigned char *)conn->loaded_session.p;
	struct str text = id_text(conn->mem, id, (size_t)n);

	*copy_out = 0;
	if (conn->loaded_session.len == 0 || !str_eq(text, conn->asked_id))
		return NULL;
	if ((conn->log.bits & TLS_LOG_CACHE) != 0)
		tls_say(&conn->log, LOG_LEVEL_INFO,
			PRI_STR ": reloaded session " PRI_STR " from smtpd cache",
			STR_ARG(conn->log.peer), STR_ARG(text));
	return d2i_SSL_SESSION(NULL, &p, (long)conn->loaded_session.len);
}

static int
new_server_session(struct tls_conn *conn, SSL_SESSION *session)
{
	unsigned n;
	const unsigned char *id = SSL_SESSION_get_id(session, &n);
	int size = i2d_SSL_SESSION(session, NULL);
	unsigned char *p;

	if (conn->mem == NULL || n == 0 || size <= 0 || size > TLS_SESSION_MAX)
		return 0;
	buf_clear(&conn->new_session);
	p = (unsigned char *)buf_reserve(&conn->new_session, (size_t)size);
	if (p == NULL)
		return 0;
	buf_commit(&conn->new_session, (size_t)i2d_SSL_SESSION(session, &p));
	conn->new_id = id_text(conn->mem, id, n);
	return 0;
}

static int
new_client_session(struct tls_conn *conn, SSL_SESSION *session)
{
	unsigned char *text = NULL;
	int n;

	if (conn->save_session == NULL || !SSL_SESSION_is_resumable(session))
		return 0;
	n = i2d_SSL_SESSION(session, &text);
	if (n > 0 && n <= TLS_SESSION_MAX) {
		struct str der = str_from_mem(text, (size_t)n);

		if (conn->may_save) {
			conn->save_session(conn->save_arg, der);
		} else {
			/* Before the end of the handshake: the peer is not checked. */
			buf_clear(&conn->new_session);
			buf_add(&conn->new_session, der);
		}
	}
	OPENSSL_free(text);
	return 0;
}

static int
new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);

	return conn->context->is_server ? new_server_session(conn, session)
					: new_client_session(conn, session);
}

void
tls_cache_save(struct tls_conn *conn, const struct tls_store *store)
{
	if (conn->new_id.len == 0 || store->save == NULL)
		return;
	if ((conn->log.bits & TLS_LOG_CACHE) != 0)
		tls_say(&conn->log, LOG_LEVEL_INFO,
			PRI_STR ": save session " PRI_STR " to smtpd cache",
			STR_ARG(conn->log.peer), STR_ARG(conn->new_id));
	store->save(store->arg, conn->new_id, buf_str(&conn->new_session));
	conn->new_id = STR_EMPTY;
	buf_shrink(&conn->new_session);
}

/* Sessions are good for one kind of service only. */
static void
set_context_id(struct tls_context *c, struct str name)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_Digest(name.p, name.len, digest, &n, EVP_sha256(), NULL) == 1)
		SSL_CTX_set_session_id_context(
			c->ssl, digest, MIN_OF(n, (unsigned)SSL_MAX_SID_CTX_LENGTH));
}

void
tls_cache_install(struct tls_context *c, struct str session_context)
{
	long mode = SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR;

	if (!c->is_server) {
		SSL_CTX_set_session_cache_mode(c->ssl, mode | SSL_SESS_CACHE_CLIENT);
		SSL_CTX_sess_set_new_cb(c->ssl, new_session);
		return;
	}
	set_context_id(c, session_context);
	SSL_CTX_set_timeout(c->ssl, (long)c->session_seconds);
	/* A cache of none, but a session id: clients that want one are happy. */
	SSL_CTX_set_session_cache_mode(c->ssl, c->keeps_sessions
						       ? mode | SSL_SESS_CACHE_SERVER
						       : (long)SSL_SESS_CACHE_OFF);
	if (!c->keeps_sessions)
		return;
	SSL_CTX_sess_set_new_cb(c->ssl, new_session);
	SSL_CTX_sess_set_get_cb(c->ssl, get_session);
	SSL_CTX_set_client_hello_cb(c->ssl, hello_came, NULL);
}
