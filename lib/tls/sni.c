/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_server_sni_maps: other keys and chains for names that clients ask for. Tables hold
 * the PEM text in Base64, as `postmap -F` writes it.
 */
#include "base/arena.h"
#include "base/macros.h"

#include "mail/base64.h"
#include "table/maps.h"

#include "tls_internal.h"

enum { SNI_MAX = 255 };

static bool
is_host_name(struct str name)
{
	if (name.len == 0 || name.len > SNI_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!char_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '.' &&
		    name.p[i] != '_')
			return false;
	return name.p[0] != '.' && name.p[0] != '-';
}

/* The name, then ".domain" of all domains that it is in. */
static enum lookup
find(const struct tls_context *c, struct arena *mem, struct str name,
     struct maps_hit *hit, struct err *err)
{
	struct str key = name;

	while (key.len > 0) {
		enum lookup found = maps_find(c->sni_maps, mem, key, MAPS_ALL, hit, err);
		size_t dot;

		if (found != LOOKUP_ABSENT)
			return found;
		dot = str_index(str_skip(key, 1), '.');
		key = str_skip(key, dot + 1);
	}
	return LOOKUP_ABSENT;
}

static bool
use_chain(struct tls_conn *conn, struct str name, const struct maps_hit *hit)
{
	struct arena *mem = arena_new();
	const struct tls_told told = {.fn = conn->log.fn, .arg = conn->log.arg};
	struct str pem;
	struct err err;
	bool ok = base64_decode(mem, hit->value, &pem);

	if (!ok)
		err_set(&err, ERR_CONFIG, "malformed BASE64 value: %s", hit->table);
	else
		ok = tls_own_use(conn->ssl, pem, &err);
	if (!ok) {
		tls_say(&conn->log, LOG_LEVEL_WARNING,
			"TLS SNI " PRI_STR " from " PRI_STR ": %s", STR_ARG(name),
			STR_ARG(conn->log.peer), err.text);
		tls_tell_errors(&told);
	}
	arena_free(&mem);
	return ok;
}

/* SSL_CTX_set_tlsext_servername_callback(3). */
static int
name_came(SSL *ssl, int *alert UNUSED, void *arg UNUSED)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);
	const char *text = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct maps_hit hit;
	enum lookup found;
	struct str name;
	struct err err;

	if (text == NULL || conn->mem == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	name = str_lower(conn->mem, str_from(text));
	if (!is_host_name(name)) {
		tls_say(&conn->log, LOG_LEVEL_WARNING,
			"TLS SNI from " PRI_STR " is invalid: " PRI_STR,
			STR_ARG(conn->log.peer),
			STR_ARG(str_printable(conn->mem, str_head(name, SNI_MAX),
					      false)));
		return SSL_TLSEXT_ERR_NOACK;
	}
	found = find(conn->context, conn->mem, name, &hit, &err);
	if (found == LOOKUP_FOUND && use_chain(conn, name, &hit)) {
		conn->server_name = name;
		return SSL_TLSEXT_ERR_OK;
	}
	if (found == LOOKUP_ABSENT) {
		tls_say(&conn->log, LOG_LEVEL_INFO,
			"TLS SNI " PRI_STR " from " PRI_STR
			" not matched, using default chain",
			STR_ARG(name), STR_ARG(conn->log.peer));
		return SSL_TLSEXT_ERR_NOACK;
	}
	if (found == LOOKUP_FAILED)
		tls_say(&conn->log, LOG_LEVEL_WARNING, "%s", err.text);
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void
tls_sni_install(struct tls_context *c)
{
	if (c->sni_maps != NULL && maps_count(c->sni_maps) > 0)
		SSL_CTX_set_tlsext_servername_callback(c->ssl, name_came);
}
