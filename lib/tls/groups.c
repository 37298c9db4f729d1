/* SPDX-License-Identifier: Apache-2.0 */
/* Key exchange: curves by grade, Diffie-Hellman parameters. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

#include "tls_internal.h"

enum { GROUPS_MAX = 1024 };

/* Those of the list that this OpenSSL knows, "A:B". */
static struct str
known_groups(struct tls_context *c, struct str list, const struct tls_told *told)
{
	struct buf *out = buf_new(c->mem, GROUPS_MAX);
	SSL_CTX *scratch = SSL_CTX_new(TLS_method());
	struct str rest = list;
	struct str word;

	while (scratch != NULL && str_token(&rest, ",: \t\r\n", &word)) {
		if (SSL_CTX_set1_groups_list(scratch, str_c(c->mem, word)) != 1) {
			tls_told_printf(told, LOG_LEVEL_WARNING,
					"ignoring unknown ECDHE curve \"" PRI_STR "\"",
					STR_ARG(word));
			continue;
		}
		buf_printf(out, "%s" PRI_STR, out->len > 0 ? ":" : "", STR_ARG(word));
	}
	SSL_CTX_free(scratch);
	ERR_clear_error();
	return buf_str(out);
}

static bool
set_curves(struct tls_context *c, const struct tls_settings *s,
	   const struct tls_told *told, struct err *err)
{
	struct str list = s->auto_curves;

	if (str_ieq(s->eecdh_grade, STR("none")))
		/* The only way to have no ECDHE: no curve in common with anybody. */
		return true;
	if (str_ieq(s->eecdh_grade, STR("strong")))
		list = s->strong_curve;
	else if (str_ieq(s->eecdh_grade, STR("ultra")))
		list = s->ultra_curve;
	else if (s->eecdh_grade.len > 0 && !str_ieq(s->eecdh_grade, STR("auto")))
		tls_told_printf(told, LOG_LEVEL_WARNING,
				"unknown eecdh grade \"" PRI_STR "\", using \"auto\"",
				STR_ARG(s->eecdh_grade));
	if (list.len == 0)
		return true;
	list = known_groups(c, list, told);
	if (list.len > 0 && SSL_CTX_set1_groups_list(c->ssl, str_c(c->mem, list)) == 1)
		return true;
	return err_set(err, ERR_CONFIG,
		       "unable to set any TLS group: disabling TLS "
		       "support");
}

/* A file that cannot be used is a warning: OpenSSL's choice is as good. */
static void
set_dh(struct tls_context *c, const struct tls_settings *s, const struct tls_told *told)
{
	EVP_PKEY *params = NULL;
	BIO *bio = NULL;

	SSL_CTX_set_dh_auto(c->ssl, 1);
	if (s->dh_param_file.len == 0 || str_ieq(s->dh_param_file, STR("auto")))
		return;
	tls_watch_file(c, s->dh_param_file);
	bio = BIO_new_file(str_c(c->mem, s->dh_param_file), "r");
	if (bio == NULL) {
		tls_told_printf(told, LOG_LEVEL_WARNING,
				"error opening DH parameter file \"" PRI_STR
				"\": %s -- using compiled-in defaults",
				STR_ARG(s->dh_param_file), strerror(errno));
		ERR_clear_error();
		return;
	}
	params = PEM_read_bio_Parameters(bio, NULL);
	if (params == NULL) {
		tls_told_printf(told, LOG_LEVEL_WARNING,
				"error reading DH parameters from file \"" PRI_STR
				"\" -- using compiled-in defaults",
				STR_ARG(s->dh_param_file));
		tls_tell_errors(told);
	} else if (SSL_CTX_set0_tmp_dh_pkey(c->ssl, params) == 1) {
		SSL_CTX_set_dh_auto(c->ssl, 0);
	} else {
		EVP_PKEY_free(params);
		tls_told_printf(told, LOG_LEVEL_WARNING,
				"DH parameters of file " PRI_STR
				" cannot be used -- using compiled-in defaults",
				STR_ARG(s->dh_param_file));
		tls_tell_errors(told);
	}
	BIO_free(bio);
}

bool
tls_groups_set(struct tls_context *c, const struct tls_settings *s,
	       const struct tls_told *told, struct err *err)
{
	if (!set_curves(c, s, told, err))
		return false;
	if (c->is_server)
		set_dh(c, s, told);
	return true;
}
