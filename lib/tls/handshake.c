/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/macros.h"

#include "tls_internal.h"

/* ---- the dialogue ---- */

static enum stream_io
step(struct stream_layer *layer)
{
	struct tls_conn *conn = layer->state;
	enum stream_io io;
	int result;

	ERR_clear_error();
	conn->want = STREAM_IO_DONE;
	result = SSL_do_handshake(conn->ssl);
	if (result == 1) {
		conn->is_done = true;
		return STREAM_IO_DONE;
	}
	if (SSL_get_error(conn->ssl, result) == SSL_ERROR_WANT_CLIENT_HELLO_CB)
		return STREAM_IO_DONE;
	io = tls_conn_io(conn, result);
	return io == STREAM_IO_ERROR && conn->want == STREAM_IO_EOF ? STREAM_IO_EOF : io;
}

static void
tell_failure(const struct tls_conn *conn, struct stream *stream,
	     enum stream_status *status)
{
	const struct tls_told told = {.fn = conn->log.fn, .arg = conn->log.arg};
	const char *call = conn->context->is_server ? "SSL_accept error from"
						    : "SSL_connect error to";
	const char *why = "lost connection";

	if (*status == STREAM_ERROR && ERR_peek_error() != 0) {
		tls_say(&conn->log, LOG_LEVEL_INFO, "%s " PRI_STR ": -1", call,
			STR_ARG(conn->log.peer));
		tls_tell_errors(&told);
		*status = STREAM_OK;
		return;
	}
	if (*status == STREAM_TIMEOUT)
		why = strerror(ETIMEDOUT);
	else if (*status == STREAM_ERROR && conn->want == STREAM_IO_ERROR)
		why = strerror(stream_errno(stream));
	tls_say(&conn->log, LOG_LEVEL_INFO, "%s " PRI_STR ": %s", call,
		STR_ARG(conn->log.peer), why);
}

static bool
shake_hands(struct tls_conn *conn, struct stream *stream, const struct tls_store *store,
	    enum stream_status *status_out)
{
	enum stream_status status;

	do {
		status = stream_layer_drive(stream, step, conn->layer);
		if (status == STREAM_OK && !conn->is_done)
			tls_cache_answer(conn, store);
	} while (status == STREAM_OK && !conn->is_done);
	if (status != STREAM_OK) {
		conn->has_failed = true;
		tell_failure(conn, stream, &status);
	}
	*status_out = status;
	ERR_clear_error();
	return conn->is_done;
}

/* ---- what is logged about it ---- */

static void
tell_names(const struct tls_conn *conn)
{
	X509 *peer = SSL_get0_peer_certificate(conn->ssl);
	char name[256];

	if (peer == NULL || (conn->log.bits & TLS_LOG_VERBOSE) == 0)
		return;
	X509_NAME_oneline(X509_get_subject_name(peer), name, sizeof(name));
	tls_say(&conn->log, LOG_LEVEL_INFO, "subject=" PRI_STR,
		STR_ARG(str_printable(conn->mem, str_from(name), false)));
	X509_NAME_oneline(X509_get_issuer_name(peer), name, sizeof(name));
	tls_say(&conn->log, LOG_LEVEL_INFO, "issuer=" PRI_STR,
		STR_ARG(str_printable(conn->mem, str_from(name), false)));
}

static void
tell_certificate(const struct tls_conn *conn, const struct tls_info *info)
{
	if (info->has_certificate && (conn->log.bits & TLS_LOG_PEERCERT) != 0)
		tls_say(&conn->log, LOG_LEVEL_INFO,
			PRI_STR ": subject_CN=" PRI_STR ", issuer=" PRI_STR
				", fingerprint=" PRI_STR ", pkey_fingerprint=" PRI_STR,
			STR_ARG(conn->log.peer), STR_ARG(info->subject),
			STR_ARG(info->issuer), STR_ARG(info->certificate_fingerprint),
			STR_ARG(info->key_fingerprint));
}

static void
tell_summary(const struct tls_conn *conn, const struct tls_info *info)
{
	struct str text = tls_info_summary(conn->mem, info);

	if ((conn->log.bits & TLS_LOG_SUMMARY) == 0)
		return;
	tls_say(&conn->log, LOG_LEVEL_INFO,
		"%s TLS connection %s %s " PRI_STR "%s" PRI_STR ": " PRI_STR,
		tls_info_trust(info), info->is_reused ? "reused" : "established",
		conn->context->is_server ? "from" : "to", STR_ARG(conn->log.peer),
		info->server_name.len > 0 ? " to " : "", STR_ARG(info->server_name),
		STR_ARG(text));
}

static void
tell_start(const struct tls_conn *conn, struct str ciphers)
{
	if ((conn->log.bits & TLS_LOG_VERBOSE) == 0)
		return;
	tls_say(&conn->log, LOG_LEVEL_INFO, "setting up TLS connection %s " PRI_STR,
		conn->context->is_server ? "from" : "to", STR_ARG(conn->log.peer));
	tls_say(&conn->log, LOG_LEVEL_INFO, PRI_STR ": TLS cipher list \"" PRI_STR "\"",
		STR_ARG(conn->log.peer), STR_ARG(ciphers));
}

static void
tell_reuse(const struct tls_conn *conn, const struct tls_info *info)
{
	if ((conn->log.bits & TLS_LOG_CACHE) != 0 && info->is_reused)
		tls_say(&conn->log, LOG_LEVEL_INFO, PRI_STR ": Reusing old session%s",
			STR_ARG(conn->log.peer),
			info->is_ticketed ? " (RFC 5077 session ticket)" : "");
}

/* ---- server ---- */

/* Without a key that may encrypt no ticket: an empty one is worth nothing. */
static void
prepare_tickets(struct tls_conn *conn)
{
	if (!conn->context->tickets)
		return;
	if (tls_context_wants_ticket_keys(conn->context, time(NULL)))
		SSL_set_num_tickets(conn->ssl, 0);
	else
		SSL_set_num_tickets(conn->ssl, 1);
}

bool
tls_accept(struct stream *stream, struct tls_context *context, struct arena *mem,
	   const struct tls_accept_options *options, struct tls_info *info_out,
	   enum stream_status *status_out)
{
	struct tls_conn *conn;
	struct err err;

	conn = tls_conn_new(context, mem, &options->log, &err);
	if (conn == NULL) {
		tls_say(&options->log, LOG_LEVEL_WARNING, "%s", err.text);
		*status_out = STREAM_OK;
		return false;
	}
	SSL_set_accept_state(conn->ssl);
	prepare_tickets(conn);
	tls_conn_push(conn, stream);
	tell_start(conn, context->ciphers);
	if (!shake_hands(conn, stream, &options->store, status_out))
		return false;
	tls_cache_save(conn, &options->store);
	tls_info_read(conn, mem, info_out);
	tell_names(conn);
	if (info_out->has_certificate && !info_out->is_trusted &&
	    (conn->log.bits & TLS_LOG_UNTRUSTED) != 0)
		tls_verify_tell(conn);
	tell_certificate(conn, info_out);
	tell_reuse(conn, info_out);
	tell_summary(conn, info_out);
	conn->mem = NULL;
	return true;
}

/* ---- client ---- */

static void
offer_session(struct tls_conn *conn, struct str session)
{
	const unsigned char *p = (const unsigned char *)session.p;
	SSL_SESSION *old;

	if (session.len == 0 || session.len > TLS_SESSION_MAX)
		return;
	old = d2i_SSL_SESSION(NULL, &p, (long)session.len);
	if (old != NULL && SSL_set_session(conn->ssl, old) != 1)
		ERR_clear_error();
	SSL_SESSION_free(old);
	ERR_clear_error();
}

static bool
prepare_client(struct tls_conn *conn, const struct tls_connect_options *o,
	       struct err *err)
{
	if (!tls_protocols_apply(conn->ssl, &o->protocols))
		return err_set(err, ERR_CONFIG, "unsupported TLS protocol version");
	if (o->ciphers.len > 0 &&
	    SSL_set_cipher_list(conn->ssl, str_c(conn->mem, o->ciphers)) != 1)
		return err_set(err, ERR_CONFIG,
			       "invalid TLS cipher list: \"" PRI_STR "\"",
			       STR_ARG(o->ciphers));
	/* Who has to prove himself does so with algorithms that still prove something;
	 * for the others anything is better than nothing. */
	if (o->level > TLS_LEVEL_ENCRYPT)
		SSL_set_security_level(conn->ssl, 1);
	if (!tls_dane_set(conn, o, err))
		return false;
	if (o->server_name.len > 0 &&
	    SSL_set_tlsext_host_name(conn->ssl, str_c(conn->mem, o->server_name)) != 1)
		return err_set(err, ERR_CONFIG, "server name \"" PRI_STR "\" is too long",
			       STR_ARG(o->server_name));
	conn->save_session = o->save_session;
	conn->save_arg = o->save_arg;
	offer_session(conn, o->session);
	return true;
}

/* Is the peer who the level wants? In a session that goes on the check was made when it
 * began. */
static void
decide(const struct tls_conn *conn, const struct tls_connect_options *o,
       struct tls_info *info)
{
	switch (o->level) {
	case TLS_LEVEL_NONE:
	case TLS_LEVEL_MAY:
	case TLS_LEVEL_ENCRYPT:
	case TLS_LEVEL_HALF_DANE:
		break;
	case TLS_LEVEL_DANE:
	case TLS_LEVEL_DANE_ONLY:
		info->is_matched =
			info->is_trusted &&
			tls_tlsa_usable(o->tlsa, o->n_tlsa, o->dane_digests) > 0 &&
			(info->is_reused ||
			 SSL_get0_dane_authority(conn->ssl, NULL, NULL) >= 0);
		break;
	case TLS_LEVEL_FINGERPRINT:
		info->is_matched =
			info->has_certificate && tls_fingerprint_matches(info, o);
		info->is_trusted = info->is_matched;
		break;
	case TLS_LEVEL_VERIFY:
	case TLS_LEVEL_SECURE:
		info->is_matched = info->is_trusted;
		break;
	}
}

/* From now on sessions may be kept, those that have come meanwhile too. */
static void
begin_saving(struct tls_conn *conn, const struct tls_connect_options *o,
	     const struct tls_info *info)
{
	if (conn->save_session == NULL)
		return;
	if (tls_level_checks_peer(o->level) && !info->is_matched) {
		conn->save_session = NULL;
		return;
	}
	conn->may_save = true;
	if (conn->new_session.len > 0)
		conn->save_session(conn->save_arg, buf_str(&conn->new_session));
	buf_shrink(&conn->new_session);
}

static void
tell_client(const struct tls_conn *conn, const struct tls_connect_options *o,
	    const struct tls_info *info)
{
	bool wanted =
		tls_level_checks_peer(o->level) && o->level != TLS_LEVEL_FINGERPRINT;

	if (info->has_certificate && !info->is_trusted &&
	    (wanted || (conn->log.bits & TLS_LOG_UNTRUSTED) != 0))
		tls_verify_tell(conn);
	tell_certificate(conn, info);
	tell_reuse(conn, info);
	tell_summary(conn, info);
}

bool
tls_connect(struct stream *stream, struct tls_context *context, struct arena *mem,
	    const struct tls_connect_options *options, struct tls_info *info_out,
	    enum stream_status *status_out)
{
	const struct tls_store none = {.load = NULL};
	struct tls_conn *conn;
	struct err err;

	conn = tls_conn_new(context, mem, &options->log, &err);
	if (conn == NULL || !prepare_client(conn, options, &err)) {
		tls_say(&options->log, LOG_LEVEL_WARNING, PRI_STR ": %s",
			STR_ARG(options->log.peer), err.text);
		tls_conn_free(conn);
		ERR_clear_error();
		*status_out = STREAM_OK;
		return false;
	}
	SSL_set_connect_state(conn->ssl);
	tls_conn_push(conn, stream);
	tell_start(conn, options->ciphers);
	if (!shake_hands(conn, stream, &none, status_out))
		return false;
	tls_info_read(conn, mem, info_out);
	decide(conn, options, info_out);
	begin_saving(conn, options, info_out);
	tell_client(conn, options, info_out);
	conn->mem = NULL;
	return true;
}
