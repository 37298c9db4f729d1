/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys and their certificates: from files into a context, from text into a
 * session. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/arena.h"
#include "base/macros.h"

#include "tls_internal.h"

enum { CHAIN_FILES_MAX = 20, PEM_OBJECTS_MAX = 100 };

/* ---- PEM text: key, its certificate, those of CAs; perhaps several times ---- */

/* What the chain is put into: a context or one session. */
struct place {
	SSL_CTX *context;
	SSL *ssl;
};

struct chain {
	EVP_PKEY *key;
	X509 *leaf;
	STACK_OF(X509) * others;
	bool has_key; /* there is only one, and it is here already */
};

static void
chain_clear(struct chain *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->leaf);
	sk_X509_pop_free(c->others, X509_free);
	*c = (struct chain){.key = NULL};
}

static bool
chain_install(const struct place *to, struct chain *c, const char *source,
	      struct err *err)
{
	int ok;

	if (c->key == NULL && c->leaf == NULL)
		return true;
	if (c->leaf == NULL)
		return err_set(err, ERR_CONFIG,
			       "error loading chain from %s: key without a certificate",
			       source);
	ok = to->ssl != NULL
		     ? SSL_use_cert_and_key(to->ssl, c->leaf, c->key, c->others, 1)
		     : SSL_CTX_use_cert_and_key(to->context, c->leaf, c->key, c->others,
						1);
	chain_clear(c);
	return ok == 1 || err_set(err, ERR_CONFIG,
				  "key in %s does not match next certificate", source);
}

static bool
take_certificate(struct chain *c, X509 *x, const char *source, struct err *err)
{
	if (c->key == NULL) {
		X509_free(x);
		return err_set(err, ERR_CONFIG,
			       "error loading chain from %s: key not first", source);
	}
	if (c->leaf == NULL) {
		c->leaf = x;
		return true;
	}
	if (c->others == NULL)
		c->others = sk_X509_new_null();
	if (c->others == NULL || sk_X509_push(c->others, x) == 0) {
		X509_free(x);
		return err_set(err, ERR_TEMP, "error loading chain from %s", source);
	}
	return true;
}

static bool
is_key(const char *name)
{
	struct str n = str_from(name);

	return str_ends(n, STR("PRIVATE KEY")) &&
	       !str_eq(n, STR("ENCRYPTED PRIVATE KEY"));
}

/* Nobody is there to type a password. */
static int
no_password(char *p UNUSED, int size UNUSED, int writes UNUSED, void *arg UNUSED)
{
	return -1;
}

static bool
take_object(const struct place *to, struct chain *c, const char *name,
	    const unsigned char *data, long n, const char *source, struct err *err)
{
	X509 *x;

	if (is_key(name)) {
		/* It was found before, behind its certificate. */
		if (c->has_key)
			return true;
		if (!chain_install(to, c, source, err))
			return false;
		c->key = d2i_AutoPrivateKey(NULL, &data, n);
		return c->key != NULL ||
		       err_set(err, ERR_CONFIG,
			       "error loading private key from %s: bad PEM object",
			       source);
	}
	if (!str_eq(str_from(name), STR(PEM_STRING_X509)) &&
	    !str_eq(str_from(name), STR(PEM_STRING_X509_OLD)))
		return true;
	x = d2i_X509(NULL, &data, n);
	if (x == NULL)
		return err_set(err, ERR_CONFIG, "error loading certificate from %s",
			       source);
	return take_certificate(c, x, source, err);
}

static bool
load_pem(const struct place *to, struct chain *c, BIO *bio, const char *source,
	 struct err *err)
{
	bool ok = true;
	int i = 0;

	for (; ok && i < PEM_OBJECTS_MAX; i++) {
		char *name = NULL;
		char *header = NULL;
		unsigned char *data = NULL;
		long n;

		if (PEM_read_bio(bio, &name, &header, &data, &n) != 1)
			break;
		if (header[0] != '\0')
			ok = err_set(err, ERR_CONFIG,
				     "error loading %s from %s: encrypted PEM objects "
				     "are not supported",
				     name, source);
		else
			ok = take_object(to, c, name, data, n, source, err);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)n);
	}
	if (ok && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		ERR_clear_error();
	return ok &&
	       (i > 0 || err_set(err, ERR_CONFIG,
				 "error loading chain from %s: no PEM objects", source));
}

bool
tls_own_use(SSL *ssl, struct str pem, struct err *err)
{
	const struct place to = {.ssl = ssl};
	struct chain c = {.key = NULL};
	BIO *bio = BIO_new_mem_buf(pem.p, (int)MIN_OF(pem.len, (size_t)INT_MAX));
	bool ok;

	if (bio == NULL)
		return err_set(err, ERR_TEMP, "no memory");
	ok = load_pem(&to, &c, bio, "tls_server_sni_maps", err) &&
	     chain_install(&to, &c, "tls_server_sni_maps", err);
	chain_clear(&c);
	BIO_free(bio);
	return ok;
}

/* ---- files ---- */

static bool
cannot_open(const char *path, struct err *err)
{
	ERR_clear_error();
	return err_errno(err, ERR_CONFIG, "error opening chain file: %s", path);
}

static bool
load_chain_file(struct tls_context *c, const char *path, struct chain *chain,
		struct err *err)
{
	const struct place to = {.context = c->ssl};
	BIO *bio;
	bool ok;

	tls_watch_file(c, str_from(path));
	bio = BIO_new_file(path, "r");
	if (bio == NULL)
		return cannot_open(path, err);
	ok = load_pem(&to, chain, bio, path, err);
	BIO_free(bio);
	return ok;
}

/* A key may be in one file, its certificate in the next. */
static bool
load_chain_files(struct tls_context *c, struct str files, struct err *err)
{
	const struct place to = {.context = c->ssl};
	struct chain chain = {.key = NULL};
	struct str rest = files;
	struct str path;
	bool ok = true;

	for (int i = 0; ok && str_token(&rest, ", \t\r\n", &path); i++) {
		if (i >= CHAIN_FILES_MAX)
			ok = err_set(err, ERR_CONFIG, "too many chain files");
		else
			ok = load_chain_file(c, str_c(c->mem, path), &chain, err);
	}
	ok = ok && chain_install(&to, &chain, str_c(c->mem, files), err);
	chain_clear(&chain);
	return ok;
}

static bool
use_certificate(struct tls_context *c, const char *type, const char *path,
		struct err *err)
{
	if (SSL_CTX_use_certificate_chain_file(c->ssl, path) > 0)
		return true;
	return err_set(
		err, ERR_CONFIG,
		"cannot get %s certificate from file \"%s\": disabling TLS support", type,
		path);
}

static bool
use_key(struct tls_context *c, const char *type, const char *path, struct err *err)
{
	if (SSL_CTX_use_PrivateKey_file(c->ssl, path, SSL_FILETYPE_PEM) > 0 &&
	    SSL_CTX_check_private_key(c->ssl) == 1)
		return true;
	return err_set(
		err, ERR_CONFIG,
		"cannot get %s private key from file \"%s\": disabling TLS support", type,
		path);
}

/* Key and chain in one file, in any order. */
static bool
use_one_file(struct tls_context *c, const char *path, struct err *err)
{
	const struct place to = {.context = c->ssl};
	struct chain chain = {.key = NULL};
	BIO *bio = BIO_new_file(path, "r");
	EVP_PKEY *key;
	bool ok;

	if (bio == NULL)
		return cannot_open(path, err);
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (key == NULL && SSL_CTX_use_certificate_chain_file(c->ssl, path) <= 0) {
		ERR_clear_error();
		return err_set(err, ERR_CONFIG, "No PEM data in %s", path);
	}
	if (key == NULL)
		return err_set(err, ERR_CONFIG, "No private key found in %s", path);
	chain.key = key;
	chain.has_key = true;
	bio = BIO_new_file(path, "r");
	ok = bio != NULL ? load_pem(&to, &chain, bio, path, err) : cannot_open(path, err);
	BIO_free(bio);
	ok = ok && chain_install(&to, &chain, path, err);
	chain_clear(&chain);
	return ok;
}

static bool
load_pair(struct tls_context *c, const char *type, struct str cert, struct str key,
	  bool *is_chain_out, struct err *err)
{
	const char *cert_path = str_c(c->mem, cert);
	const char *key_path = key.len > 0 ? str_c(c->mem, key) : cert_path;

	if (cert.len == 0)
		return true;
	tls_watch_file(c, cert);
	*is_chain_out = key.len == 0 || str_eq(cert, key);
	if (!*is_chain_out)
		tls_watch_file(c, key);
	c->has_own = *is_chain_out ? use_one_file(c, cert_path, err)
				   : use_certificate(c, type, cert_path, err) &&
					     use_key(c, type, key_path, err);
	return c->has_own;
}

static bool
load(struct tls_context *c, const struct tls_own *own, bool *is_chain_out,
     struct err *err)
{
	SSL_CTX_set_default_passwd_cb(c->ssl, no_password);
	*is_chain_out = true;
	if (own->chain_files.len == 0)
		return load_pair(c, "DSA", own->dcert_file, own->dkey_file, is_chain_out,
				 err) &&
		       load_pair(c, "RSA", own->cert_file, own->key_file, is_chain_out,
				 err) &&
		       load_pair(c, "ECDSA", own->eccert_file, own->eckey_file,
				 is_chain_out, err);
	c->has_own = load_chain_files(c, own->chain_files, err);
	return c->has_own;
}

/* The files that a chain was to come from. */
static struct str
chain_source(struct tls_context *c, const struct tls_own *own)
{
	const struct str files[] = {own->dcert_file, own->cert_file, own->eccert_file};
	struct str text = own->chain_files;

	for (size_t i = 0; text.len == 0 && i < ARRAY_LEN(files); i++)
		text = files[i];
	return str_dup(c->mem, text);
}

bool
tls_own_load(struct tls_context *c, const struct tls_own *own,
	     const struct tls_told *told, struct err *err)
{
	bool is_chain = false;
	bool is_there;

	if (load(c, own, &is_chain, err))
		return true;
	/* In Postfix's order: what is wrong, OpenSSL's words, what follows from it. */
	is_there = err->errnum != ENOENT;
	tls_told_printf(told, LOG_LEVEL_WARNING, "%s", err->text);
	tls_tell_errors(told);
	if (is_chain && is_there)
		tls_told_printf(
			told, LOG_LEVEL_WARNING,
			"error loading private keys and certificates from: " PRI_STR
			": disabling TLS support",
			STR_ARG(chain_source(c, own)));
	c->has_told = true;
	return false;
}
