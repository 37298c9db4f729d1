/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of this library share. In OpenSSL's callbacks nothing may yield: they
 * find the session by SSL_get_app_data(), the context by SSL_CTX_get_app_data().
 */

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include "fiber/stream.h"
#include "tls/context.h"
#include "tls/session.h"

enum {
	TLS_TEXT_MAX = 1024,        /* names of certificates, server names */
	TLS_SESSION_MAX = 16384,    /* a serialized session */
	TLS_ERRORS_MAX = 20,        /* lines of OpenSSL's per failure */
	TLS_WATCH_MAX = 128,        /* files of a context, links counted */
	TLS_HANDSHAKE_MAX = 102400, /* SSL_CTX_set_max_cert_list(): OpenSSL's default */
};

/* One step on the way to a file. */
struct tls_watched {
	int fd; /* O_PATH of the file or link; -1: not there */
	uint64_t device, inode;
	int64_t size, mtime_ns, ctime_ns;
};

struct tls_context {
	unsigned refs;
	struct arena *mem;
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	const EVP_MD *digest;
	bool is_server;
	bool ask_ccert;
	bool has_own;
	bool tickets;
	bool legacy_keys;
	bool many_labels;
	bool fast_shutdown;
	bool has_told;       /* why it could not be made */
	bool keeps_sessions; /* a server's, not in tickets */
	unsigned log;
	struct tls_protocols protocols;
	struct str ciphers;
	int64_t session_seconds;
	struct maps *sni_maps;
	struct tls_ticket_key keys[TLS_TICKET_KEYS];
	size_t n_keys;
	struct tls_watched watched[TLS_WATCH_MAX];
	size_t n_watched;
	const char *folders[TLS_WATCH_MAX + 1];
	size_t n_folders;
};

/* One TLS session: the state of the stream's layer. */
struct tls_conn {
	struct tls_context *context;
	SSL *ssl;
	struct stream_layer *layer; /* NULL before the push */
	enum stream_io want;        /* why the layer below gave nothing */
	bool is_done;               /* the handshake */
	bool has_failed;            /* OpenSSL's state is of no more use */

	struct arena *mem; /* of texts that callbacks make */
	struct tls_log log;
	/* The first that was wrong with the peer's chain. */
	int verify_error;
	int verify_depth;
	X509 *verify_certificate;
	struct str server_name;
	bool ticket_used; /* server: a session came in a ticket */
	/* Server: a session that was asked for outside, by a client's id. */
	bool hello_seen, hello_answered;
	struct str asked_id;
	struct str loaded_session;
	struct buf new_session; /* id and session to be saved */
	struct str new_id;
	/* Client. */
	void (*save_session)(void *arg, struct str session);
	void *save_arg;
	bool may_save;
};

/* ---- context.c ---- */

void tls_context_ref(struct tls_context *c);
bool tls_protocols_apply(SSL *ssl, const struct tls_protocols *p);

/* ---- errors.c ---- */

/* Take OpenSSL's errors as lines for the log ("TLS library problem: ..."). */
void tls_tell_errors(const struct tls_told *told);
void tls_say(const struct tls_log *log, enum log_level level, const char *format, ...)
	PRINTF_LIKE(3, 4);
void tls_told_printf(const struct tls_told *told, enum log_level level,
		     const char *format, ...) PRINTF_LIKE(3, 4);

/* ---- own.c ---- */

bool tls_own_load(struct tls_context *c, const struct tls_own *own,
		  const struct tls_told *told, struct err *err);
/* Key and chain of PEM text into one session (SNI). */
bool tls_own_use(SSL *ssl, struct str pem, struct err *err);

/* ---- groups.c ---- */

bool tls_groups_set(struct tls_context *c, const struct tls_settings *s,
		    const struct tls_told *told, struct err *err);

/* ---- watch.c ---- */

void tls_watch_file(struct tls_context *c, struct str path);
/* A folder whose files are read when they are needed (CApath): only to be permitted, with
 * those that links in it lead to. */
void tls_watch_folder(struct tls_context *c, const char *path);
void tls_watch_close(struct tls_context *c);

/* ---- ticket.c ---- */

void tls_ticket_install(struct tls_context *c);

/* ---- cache.c: a server's sessions that are not in tickets ---- */

void tls_cache_install(struct tls_context *c, struct str session_context);
/* Between OpenSSL's calls. */
void tls_cache_answer(struct tls_conn *conn, const struct tls_store *store);
void tls_cache_save(struct tls_conn *conn, const struct tls_store *store);

/* ---- sni.c ---- */

void tls_sni_install(struct tls_context *c);

/* ---- layer.c ---- */

BIO_METHOD *tls_bio_method(void);
struct tls_conn *tls_conn_new(struct tls_context *c, struct arena *mem,
			      const struct tls_log *log, struct err *err);
void tls_conn_free(struct tls_conn *conn);
/* Push the layer; from now on the stream owns conn. */
void tls_conn_push(struct tls_conn *conn, struct stream *stream);
enum stream_io tls_conn_io(struct tls_conn *conn, int result);

/* ---- debug.c ---- */

void tls_debug_install(struct tls_conn *conn);

/* ---- verify.c ---- */

int tls_verify_callback(int ok, X509_STORE_CTX *store);
/* What there is to say of a certificate that is not trusted. */
void tls_verify_tell(const struct tls_conn *conn);

/* ---- certificate.c ---- */

void tls_certificate_read(const struct tls_conn *conn, X509 *certificate,
			  struct arena *mem, struct tls_info *info);
struct str tls_certificate_subject(struct arena *mem, X509 *certificate);
struct str tls_certificate_issuer(struct arena *mem, X509 *certificate);

/* ---- info.c ---- */

void tls_info_read(const struct tls_conn *conn, struct arena *mem, struct tls_info *out);

/* ---- dane.c ---- */

/* Give OpenSSL what the level wants the peer to be. */
bool tls_dane_set(struct tls_conn *conn, const struct tls_connect_options *o,
		  struct err *err);
bool tls_fingerprint_matches(const struct tls_info *info,
			     const struct tls_connect_options *o);
