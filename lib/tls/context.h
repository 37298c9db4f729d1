/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What many TLS sessions share: certificates and keys, trusted CAs, curves, options,
 * session tickets. One context per role and configuration, made with the privileges that
 * read the private keys, before the sandbox.
 *
 * A context never changes. When a certificate is renewed a new context is made (see
 * tls_context_is_stale()) and the old one ends with its last session.
 *
 * The settings are plain values with the meaning of the parameters of the same names
 * (postconf(5): smtpd_tls_... and smtp_tls_...); texts are copied.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

#include "tls/policy.h"

struct arena;
struct maps;
struct tls_context;

/* A private key with its certificate and those of the CAs between, in PEM files. */
struct tls_own {
	struct str chain_files; /* a list; not empty: all others are not used */
	struct str cert_file, key_file;
	struct str eccert_file, eckey_file;
	struct str dcert_file, dkey_file;
};

/* Both roles. */
struct tls_settings {
	struct tls_own own; /* all empty: no certificate */
	struct str ca_file, ca_path;
	bool append_default_ca;
	int verify_depth;
	struct str fingerprint_digest; /* "sha256" */

	/* tls_eecdh_auto_curves, _strong_curve, _ultra_curve; grade: "auto", "strong",
	 * "ultra", "none" (servers; clients: empty, the same as auto) */
	struct str eecdh_grade;
	struct str auto_curves, strong_curve, ultra_curve;
	struct str dh_param_file; /* servers; empty or "auto": OpenSSL's own choice */

	struct str disable_workarounds; /* tls_disable_workarounds */
	struct str ssl_options;         /* tls_ssl_options */
	bool preempt_cipherlist;        /* tls_preempt_cipherlist; servers */
	bool legacy_key_fingerprints;   /* tls_legacy_public_key_fingerprints */
	bool wildcard_many_labels;      /* tls_wildcard_matches_multiple_labels */
	bool fast_shutdown;             /* tls_fast_shutdown_enable */
	unsigned log;                   /* enum tls_log_bit */
};

/* tls_config_file and tls_config_name: OpenSSL's own configuration. "default": OpenSSL's;
 * "none": nothing; else a file. Once, before the first context. */
bool tls_library_init(struct str config_file, struct str config_name,
		      struct err *err) MUST_CHECK;

struct tls_server_settings {
	struct tls_protocols protocols;
	struct str ciphers; /* tls_ciphers_make() */
	bool ask_ccert;     /* ask for a client's certificate */
	bool cert_optional; /* no certificate of our own is no error (anonymous ciphers) */
	struct maps *sni_maps; /* NULL: none; must outlive the context */
	struct str
		session_context; /* sessions are good for this name only (the service) */
	int64_t session_seconds; /* life of sessions and tickets; 0: neither */
	bool tickets;
	bool keeps_sessions; /* sessions without tickets go to a struct tls_store */
};

/* What there is to say about a failed or odd start, as complete texts for the log. */
struct tls_told {
	void (*fn)(void *arg, enum log_level level, struct str text); /* may be NULL */
	void *arg;
};

/* False (ERR_CONFIG): all that Postfix would log, with OpenSSL's own lines, was told; err
 * has the gist of it. */
bool tls_server_context_new(const struct tls_settings *settings,
			    const struct tls_server_settings *server,
			    const struct tls_told *told, struct tls_context **out,
			    struct err *err) MUST_CHECK;
bool tls_client_context_new(const struct tls_settings *settings,
			    const struct tls_told *told, struct tls_context **out,
			    struct err *err) MUST_CHECK;
/* The caller's share; sessions that still run keep theirs. NULL in *context is fine. */
void tls_context_free(struct tls_context **context);

/* ---- renewed files ---- */

/* Have the files of keys, certificates and CAs been changed since they were read? Asks
 * the kernel by descriptors that were opened when the context was made, so that it works
 * without the right to search their folders: to be called at most once a minute or so. */
bool tls_context_is_stale(const struct tls_context *context);

/* The folders that a process must be allowed to read to make the same context again, for
 * struct daemon's `tables`; links are followed. In mem, ended by NULL. */
const char *const *tls_context_folders(const struct tls_context *context,
				       struct arena *mem);

/* True if every file can be opened now, by this process. */
bool tls_settings_readable(const struct tls_settings *settings);

/* ---- session tickets of servers ---- */

enum { TLS_TICKET_NAME = 16, TLS_TICKET_SECRET = 32 };
struct tls_ticket_key {
	unsigned char name[TLS_TICKET_NAME];
	unsigned char cipher[TLS_TICKET_SECRET]; /* AES-256-CBC */
	unsigned char mac[TLS_TICKET_SECRET];    /* HMAC-SHA256 */
	int64_t encrypts_until;                  /* seconds since 1970 */
	int64_t decrypts_until;
};
enum { TLS_TICKET_KEYS = 2 };

/* The keys to use from now on, newest first. Without keys no tickets are issued. A ticket
 * of a key that is not here makes a full handshake. */
void tls_context_set_ticket_keys(struct tls_context *context,
				 const struct tls_ticket_key *keys, size_t n);
/* Is there no key that may encrypt now (so that it is time to ask for new ones)? False
 * when tickets are off. */
bool tls_context_wants_ticket_keys(const struct tls_context *context,
				   int64_t now_seconds);
