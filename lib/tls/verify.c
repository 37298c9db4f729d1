/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a peer's chain. It never ends the handshake: what it means is decided
 * after it, and clients that may be anybody are not turned away.
 */
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/macros.h"

#include "tls_internal.h"

static void
note(struct tls_conn *conn, int depth, X509 *certificate, int error)
{
	/* The innermost error says most: a chain is checked from its root. */
	if (conn->verify_error != X509_V_OK && conn->verify_depth <= depth)
		return;
	X509_free(conn->verify_certificate);
	if (certificate != NULL)
		X509_up_ref(certificate);
	conn->verify_certificate = certificate;
	conn->verify_error = error;
	conn->verify_depth = depth;
}

/* X509_STORE_CTX_set_verify_cb(3). */
int
tls_verify_callback(int ok, X509_STORE_CTX *store)
{
	SSL *ssl =
		X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_conn *conn = SSL_get_app_data(ssl);
	X509 *certificate = X509_STORE_CTX_get_current_cert(store);
	int depth = X509_STORE_CTX_get_error_depth(store);
	/* OpenSSL's own is one more, so that this is called. */
	int limit = SSL_get_verify_depth(ssl) - 1;
	int error = X509_STORE_CTX_get_error(store);

	if (!ok)
		note(conn, depth, certificate, error);
	if (limit >= 0 && depth > limit) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_CHAIN_TOO_LONG);
		note(conn, depth, certificate, X509_V_ERR_CERT_CHAIN_TOO_LONG);
	}
	if ((conn->log.bits & TLS_LOG_VERBOSE) != 0 && conn->mem != NULL) {
		char name[256] = "<unknown>";

		if (certificate != NULL)
			X509_NAME_oneline(X509_get_subject_name(certificate), name,
					  sizeof(name));
		tls_say(&conn->log, LOG_LEVEL_INFO,
			PRI_STR ": depth=%d verify=%d subject=" PRI_STR,
			STR_ARG(conn->log.peer), depth, ok,
			STR_ARG(str_printable(conn->mem, str_from(name), false)));
	}
	return 1;
}

static void
tell_untrusted(const struct tls_conn *conn, const char *what)
{
	tls_say(&conn->log, LOG_LEVEL_INFO,
		"certificate verification failed for " PRI_STR ": %s",
		STR_ARG(conn->log.peer), what);
}

static void
tell_issuer(const struct tls_conn *conn)
{
	char name[256] = "<unknown>";

	if (conn->verify_certificate != NULL)
		X509_NAME_oneline(X509_get_issuer_name(conn->verify_certificate), name,
				  sizeof(name));
	tls_say(&conn->log, LOG_LEVEL_INFO,
		"certificate verification failed for " PRI_STR
		": untrusted issuer " PRI_STR,
		STR_ARG(conn->log.peer),
		STR_ARG(str_printable(conn->mem, str_from(name), false)));
}

void
tls_verify_tell(const struct tls_conn *conn)
{
	switch (conn->verify_error) {
	case X509_V_OK:
		break;
	case X509_V_ERR_CERT_UNTRUSTED:
		tell_untrusted(conn, "not trusted by local or TLSA policy");
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		tell_untrusted(conn, "self-signed certificate");
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
		tell_issuer(conn);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
		tell_untrusted(conn, "certificate not yet valid");
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
		tell_untrusted(conn, "certificate has expired");
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		tell_untrusted(
			conn, conn->context->is_server
				      ? "not designated for use as a client certificate"
				      : "not designated for use as a server certificate");
		break;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		tls_say(&conn->log, LOG_LEVEL_INFO,
			"certificate verification failed for " PRI_STR
			": certificate chain longer than limit(%d)",
			STR_ARG(conn->log.peer), SSL_get_verify_depth(conn->ssl) - 1);
		break;
	default:
		tls_say(&conn->log, LOG_LEVEL_INFO,
			"certificate verification failed for " PRI_STR ": num=%d:%s",
			STR_ARG(conn->log.peer), conn->verify_error,
			X509_verify_cert_error_string(conn->verify_error));
		break;
	}
}
