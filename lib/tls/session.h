/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS on a stream: the handshake, which pushes a layer on the stream (fiber/stream.h),
 * and what came of it. After a handshake that succeeded the stream is read and written as
 * before; stream_close() says goodbye to the peer and ends the layer.
 *
 *	struct tls_info info;
 *
 *	stream_set_deadline_ms(s, loop_now_ms(loop) + starttls_timeout * 1000);
 *	if (!tls_connect(s, context, mem, &options, &info)) {
 *		... the reason is logged; the stream can only be closed
 *	}
 *
 * Before: flush output; input must be empty (a server throws it away, a client takes it
 * for an attack). The stream's deadline is the handshake's; set another one after it.
 * No fiber yields inside OpenSSL: functions given here that may yield are called between
 * its calls, the others say so. A memory stream works as well, and needs no fiber.
 *
 * What Postfix logs about a handshake is told to log.fn here: "Anonymous TLS connection
 * established from N[A]: ...", the peer's certificate, why it is not trusted, as the bits
 * say; and failures always.
 *
 * Renegotiation is refused. Memory: about 64 KiB per idle session at most.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#include "fiber/stream.h"
#include "tls/context.h"
#include "tls/policy.h"

struct arena;

/* ---- what was negotiated ---- */

/* A signature of the handshake; name empty: none (or not known). */
struct tls_signature {
	struct str name;   /* "RSA-PSS", "ECDSA" ... */
	struct str curve;  /* of ECDSA */
	int bits;          /* of RSA; 0: not said */
	struct str digest; /* "SHA256"; empty: none */
};

/* Texts are fit for a log line, live in the mem of the handshake and may be empty. */
struct tls_info {
	struct str protocol; /* "TLSv1.3" */
	struct str cipher;   /* "TLS_AES_256_GCM_SHA384" */
	int used_bits, algorithm_bits;
	struct str key_exchange; /* "X25519", "ECDHE", "DHE"; empty: not known */
	struct str key_curve;    /* of ECDHE */
	int key_bits;            /* of DHE */
	struct tls_signature server_signature, client_signature;

	bool is_reused;   /* an earlier session goes on */
	bool is_ticketed; /* it was in a ticket */
	struct str
		server_name; /* SNI: that a client sent, that a server took; or empty */

	/* The peer's certificate; all of this is empty without. */
	bool has_certificate;
	bool is_trusted;    /* a chain to a CA that we trust, in time, for this purpose */
	bool is_matched;    /* and it is who we wanted: by name, fingerprint or DANE */
	struct str subject; /* common name, or the first name; cleaned, may be empty */
	struct str issuer;  /* common name, or organisation */
	struct str certificate_fingerprint; /* "AB:CD:..." */
	struct str key_fingerprint;
	struct str untrusted_why; /* OpenSSL's text where it is not trusted; or empty */
};

/* Nothing was negotiated: all empty. */
const struct tls_info *tls_info_none(void);

/* "Anonymous", "Untrusted", "Trusted", "Verified" */
const char *tls_info_trust(const struct tls_info *info);

/* "TLSv1.3 with cipher C (256/256 bits) key-exchange X25519 server-signature ...": as the
 * log has it after "TLS connection established from N[A]: ". */
struct str tls_info_summary(struct arena *mem, const struct tls_info *info);

/* Its parts, each with a space before it; empty where there is nothing to tell. */
struct str tls_info_key_exchange(struct arena *mem, const struct tls_info *info);
struct str tls_info_signature(struct arena *mem, const char *side,
			      const struct tls_signature *s);

/* ---- for the log ---- */

struct tls_log {
	unsigned bits; /* enum tls_log_bit; failures are told whatever it is */
	void (*fn)(void *arg, enum log_level level, struct str text); /* does not yield */
	void *arg;
	struct str peer; /* "N[A]" of a client, "N[A]:PORT" of a server */
			 /* fn's arg and peer must live as long as the stream. */
};

/* ---- server ---- */

/* Where sessions are kept when they are not in tickets: all NULL for nowhere. Called
 * between OpenSSL's calls: may yield. id is fit for a table's key. */
struct tls_store {
	bool (*load)(void *arg, struct arena *mem, struct str id,
		     struct str *session_out);
	void (*save)(void *arg, struct str id, struct str session);
	void *arg;
};

struct tls_accept_options {
	struct tls_log log;
	struct tls_store store;
};

/* The server's side. False: failed and logged ("SSL_accept error from N[A]: ...");
 * *status_out says whether the stream or (STREAM_OK) the protocol has failed. */
bool tls_accept(struct stream *stream, struct tls_context *context, struct arena *mem,
		const struct tls_accept_options *options, struct tls_info *info_out,
		enum stream_status *status_out) MUST_CHECK;

/* ---- client ---- */

/* A TLSA record (RFC 6698), DNSSEC-validated by whoever hands it over. */
struct tls_tlsa {
	uint8_t usage, selector, matching;
	struct str data; /* as in the record */
};
enum { TLS_TLSA_MAX = 100, TLS_NAMES_MAX = 100 };

struct tls_connect_options {
	struct tls_log log;
	enum tls_level level;
	struct tls_protocols protocols;
	struct str ciphers;     /* tls_ciphers_make() */
	struct str server_name; /* sent as SNI; empty: none */

	/* VERIFY, SECURE: names of which the certificate must have one; a name that
	 * begins with a dot is matched by all below it. With DANE: for TLSA records of
	 * usage 2 (the first one is the TLSA base domain, sent as SNI unless server_name
	 * says something). */
	const struct str *names;
	size_t n_names;

	/* FINGERPRINT: "AB:CD:..." of certificate or public key, in any case. */
	const struct str *fingerprints;
	size_t n_fingerprints;

	/* DANE, HALF_DANE, DANE_ONLY: usable ones decide; those with usage 0 or 1, or
	 * digests that tls_dane_digests does not have, are left out. */
	const struct tls_tlsa *tlsa;
	size_t n_tlsa;
	struct str dane_digests; /* tls_dane_digests */

	/* VERIFY and SECURE: PEM files of CAs that take the place of the context's, as
	 * the policy's tafile= says. */
	const struct str *anchor_files;
	size_t n_anchor_files;

	/* A session that was got from `session`, for the same peer and the same options;
	 * one that does not fit is left out. Empty: none. */
	struct str session;
	/* A session worth keeping has come (TLS 1.3: later, while reading). Not called
	 * for peers that failed the check. Must not yield. May be NULL. */
	void (*save_session)(void *arg, struct str session);
	void *save_arg;
};

/* The client's side. True: encrypted; whether the peer is the right one is in
 * info_out->is_matched, and the caller must look at it where
 * tls_level_checks_peer(level). False: failed and logged ("SSL_connect error to
 * N[A]:PORT: ..."), *status_out as above. */
bool tls_connect(struct stream *stream, struct tls_context *context, struct arena *mem,
		 const struct tls_connect_options *options, struct tls_info *info_out,
		 enum stream_status *status_out) MUST_CHECK;

/* How many of the records DANE could use: with 0 the level is as ENCRYPT (records, but
 * none usable: RFC 7672 section 2.1.3). */
size_t tls_tlsa_usable(const struct tls_tlsa *tlsa, size_t n, struct str dane_digests);
