/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ldap: a search in a directory. ldap_table(5) of Postfix. What is made of the entries
 * that are found is in ldap_result.c.
 */
#include "table/ldap_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "config/value.h"

static const struct library library = {
	.soname = "libldap-2.5.so.0",
	.package = "libldap-2.5-0",
};

static const char *const names[] = {LDAP_FUNCTIONS(LIBRARY_NAME)};

enum {
	ROW_HOST = QUERY_ROWS,
	ROW_PORT,
	ROW_TIMEOUT,
	ROW_BASE,
	ROW_FILTER,
	ROW_OLD_FORMAT,
	ROW_RESULT,
	ROW_SPECIAL,
	ROW_TERMINAL,
	ROW_LEAF,
	ROW_SCOPE,
	ROW_BIND,
	ROW_BIND_DN,
	ROW_BIND_PW,
	ROW_CACHE,
	ROW_CACHE_EXPIRY,
	ROW_CACHE_SIZE,
	ROW_RECURSION,
	ROW_SIZE,
	ROW_DEREFERENCE,
	ROW_REFERRALS,
	ROW_VERSION,
	ROW_DEBUG,
	ROW_SASL_MECHS,
	ROW_SASL_REALM,
	ROW_SASL_AUTHZ,
	ROW_SASL_SSF,
	ROW_START_TLS,
	ROW_CA_DIR,
	ROW_CA_FILE,
	ROW_CERT,
	ROW_KEY,
	ROW_REQUIRE,
	ROW_RANDOM,
	ROW_CIPHERS,
	N_ROWS
};

static const struct setting defaults[N_ROWS] = {
	[QUERY_FORMAT] = {"result_format", STR_INIT("")},
	[QUERY_DOMAIN] = {"domain", STR_INIT("")},
	[QUERY_LIMIT] = {"expansion_limit", STR_INIT("0")},
	[ROW_HOST] = {"server_host", STR_INIT("localhost")},
	[ROW_PORT] = {"server_port", STR_INIT("389")},
	[ROW_TIMEOUT] = {"timeout", STR_INIT("10")},
	[ROW_BASE] = {"search_base", STR_INIT("")},
	[ROW_FILTER] = {"query_filter", STR_INIT("(mailacceptinggeneralid=%s)")},
	[ROW_OLD_FORMAT] = {"result_filter", STR_INIT("%s")},
	[ROW_RESULT] = {"result_attribute", STR_INIT("maildrop")},
	[ROW_SPECIAL] = {"special_result_attribute", STR_INIT("")},
	[ROW_TERMINAL] = {"terminal_result_attribute", STR_INIT("")},
	[ROW_LEAF] = {"leaf_result_attribute", STR_INIT("")},
	[ROW_SCOPE] = {"scope", STR_INIT("sub")},
	[ROW_BIND] = {"bind", STR_INIT("yes")},
	[ROW_BIND_DN] = {"bind_dn", STR_INIT("")},
	[ROW_BIND_PW] = {"bind_pw", STR_INIT("")},
	[ROW_CACHE] = {"cache", STR_INIT("")},
	[ROW_CACHE_EXPIRY] = {"cache_expiry", STR_INIT("")},
	[ROW_CACHE_SIZE] = {"cache_size", STR_INIT("")},
	[ROW_RECURSION] = {"recursion_limit", STR_INIT("1000")},
	[ROW_SIZE] = {"size_limit", STR_INIT("")},
	[ROW_DEREFERENCE] = {"dereference", STR_INIT("0")},
	[ROW_REFERRALS] = {"chase_referrals", STR_INIT("no")},
	[ROW_VERSION] = {"version", STR_INIT("3")},
	[ROW_DEBUG] = {"debuglevel", STR_INIT("0")},
	[ROW_SASL_MECHS] = {"sasl_mechs", STR_INIT("")},
	[ROW_SASL_REALM] = {"sasl_realm", STR_INIT("")},
	[ROW_SASL_AUTHZ] = {"sasl_authz_id", STR_INIT("")},
	[ROW_SASL_SSF] = {"sasl_minssf", STR_INIT("0")},
	[ROW_START_TLS] = {"start_tls", STR_INIT("no")},
	[ROW_CA_DIR] = {"tls_ca_cert_dir", STR_INIT("")},
	[ROW_CA_FILE] = {"tls_ca_cert_file", STR_INIT("")},
	[ROW_CERT] = {"tls_cert", STR_INIT("")},
	[ROW_KEY] = {"tls_key", STR_INIT("")},
	[ROW_REQUIRE] = {"tls_require_cert", STR_INIT("no")},
	[ROW_RANDOM] = {"tls_random_file", STR_INIT("")},
	[ROW_CIPHERS] = {"tls_cipher_suite", STR_INIT("")},
};

static void
disconnect(struct ldap *s)
{
	if (s->ld != NULL)
		s->f.ldap_unbind_ext_s(s->ld, NULL, NULL);
	s->ld = NULL;
}

static void
release(void *p)
{
	disconnect(p);
}

/* ---- settings ---- */

/* URLs as they are, hosts made into such. */
static const char *
uris(struct table *t, struct str list, struct str port)
{
	struct buf *out = buf_new(t->mem, SETTINGS_FILE_MAX);
	struct str item;

	while (list_next(&list, &item)) {
		bool has_port = str_rindex(item, ':') < item.len &&
				(item.p[0] != '[' || item.p[item.len - 1] != ']');

		if (out->len > 0)
			buf_add_char(out, ' ');
		if (str_find(item, STR("://")) < item.len)
			buf_add(out, item);
		else if (has_port)
			buf_printf(out, "ldap://" PRI_STR, STR_ARG(item));
		else
			buf_printf(out, "ldap://" PRI_STR ":" PRI_STR, STR_ARG(item),
				   STR_ARG(port));
	}
	return out->p;
}

static bool
take_scope(struct table *t, struct ldap *s, struct str scope, struct err *err)
{
	if (str_ieq(scope, STR("sub")))
		s->scope = LDAP_SCOPE_SUBTREE;
	else if (str_ieq(scope, STR("one")))
		s->scope = LDAP_SCOPE_ONELEVEL;
	else if (str_ieq(scope, STR("base")))
		s->scope = LDAP_SCOPE_BASE;
	else
		return err_set(err, ERR_CONFIG, "%s: bad scope: " PRI_STR, t->name,
			       STR_ARG(scope));
	return true;
}

static bool
take_bind(struct table *t, struct ldap *s, struct str bind, struct err *err)
{
	bool yes;

	if (str_ieq(bind, STR("sasl")))
		s->bind = LDAP_BIND_SASL;
	else if (str_ieq(bind, STR("simple")))
		s->bind = LDAP_BIND_SIMPLE;
	else if (str_ieq(bind, STR("none")))
		s->bind = LDAP_BIND_NONE;
	else if (value_bool(bind, &yes))
		s->bind = yes ? LDAP_BIND_SIMPLE : LDAP_BIND_NONE;
	else
		return err_set(err, ERR_CONFIG, "%s: bad bind: " PRI_STR, t->name,
			       STR_ARG(bind));
	return s->bind != LDAP_BIND_SASL || s->version == LDAP_VERSION3 ||
	       err_set(err, ERR_CONFIG, "%s: bind = sasl needs version = 3", t->name);
}

static bool
take_attributes(struct table *t, struct ldap *s, const struct setting *rows,
		struct err *err)
{
	static const int lists[] = {[LDAP_RESULT] = ROW_RESULT,
				    [LDAP_SPECIAL] = ROW_SPECIAL,
				    [LDAP_TERMINAL] = ROW_TERMINAL,
				    [LDAP_LEAF] = ROW_LEAF};

	for (size_t kind = 0; kind < ARRAY_LEN(lists); kind++) {
		struct str list = rows[lists[kind]].value;
		struct str item;

		while (list_next(&list, &item)) {
			if (s->n_attributes == LDAP_ATTRIBUTES_MAX)
				return err_set(err, ERR_CONFIG,
					       "%s: more than %d attributes", t->name,
					       LDAP_ATTRIBUTES_MAX);
			s->kinds[s->n_attributes] = (enum ldap_kind)kind;
			s->attributes[s->n_attributes++] = str_c(t->mem, item);
		}
	}
	return s->n_attributes > 0 ||
	       err_set(err, ERR_CONFIG, "%s: no result attributes", t->name);
}

static void
take_texts(struct table *t, struct ldap *s, const struct setting *rows)
{
	s->uris = uris(t, rows[ROW_HOST].value, rows[ROW_PORT].value);
	s->base = rows[ROW_BASE].value;
	s->bind_dn = setting_c(t, &rows[ROW_BIND_DN]);
	s->bind_pw = str_c(t->mem, rows[ROW_BIND_PW].value);
	s->sasl_mechs = setting_c(t, &rows[ROW_SASL_MECHS]);
	s->sasl_realm = setting_c(t, &rows[ROW_SASL_REALM]);
	s->sasl_authz = setting_c(t, &rows[ROW_SASL_AUTHZ]);
	s->ca_dir = setting_c(t, &rows[ROW_CA_DIR]);
	s->ca_file = setting_c(t, &rows[ROW_CA_FILE]);
	s->cert = setting_c(t, &rows[ROW_CERT]);
	s->key = setting_c(t, &rows[ROW_KEY]);
	s->ciphers = setting_c(t, &rows[ROW_CIPHERS]);
	for (int i = ROW_CACHE; i <= ROW_CACHE_SIZE; i++)
		if (rows[i].value.len > 0)
			table_warn(t, "%s: %s is ignored: the library has no cache",
				   t->name, rows[i].name);
	if (rows[ROW_RANDOM].value.len > 0)
		table_warn(t, "%s: tls_random_file is ignored", t->name);
}

static bool
take_settings(struct table *t, struct ldap *s, struct setting *rows, struct err *err)
{
	if (rows[QUERY_FORMAT].value.len == 0)
		rows[QUERY_FORMAT].value = rows[ROW_OLD_FORMAT].value;
	if (rows[ROW_SIZE].value.len == 0)
		rows[ROW_SIZE].value = rows[QUERY_LIMIT].value;
	take_texts(t, s, rows);
	return query_take(t, &s->query, rows, rows[ROW_FILTER].value, err) &&
	       query_check_template(t, "search_base", s->base, err) &&
	       take_scope(t, s, rows[ROW_SCOPE].value, err) &&
	       take_attributes(t, s, rows, err) &&
	       setting_seconds(t, &rows[ROW_TIMEOUT], 3600, &s->timeout_s, err) &&
	       setting_number(t, &rows[ROW_RECURSION], 1, INT32_MAX, &s->recursion,
			      err) &&
	       setting_number(t, &rows[ROW_SIZE], 0, INT32_MAX, &s->size_limit, err) &&
	       setting_number(t, &rows[ROW_DEREFERENCE], 0, 3, &s->dereference, err) &&
	       setting_number(t, &rows[ROW_VERSION], 2, 3, &s->version, err) &&
	       setting_number(t, &rows[ROW_DEBUG], 0, INT32_MAX, &s->debug, err) &&
	       setting_number(t, &rows[ROW_SASL_SSF], 0, 4096, &s->min_ssf, err) &&
	       setting_bool(t, &rows[ROW_REFERRALS], &s->referrals, err) &&
	       setting_bool(t, &rows[ROW_START_TLS], &s->start_tls, err) &&
	       setting_bool(t, &rows[ROW_REQUIRE], &s->require, err) &&
	       take_bind(t, s, rows[ROW_BIND].value, err);
}

static bool
ldap_open_table(struct table *t, struct str name, struct err *err)
{
	struct ldap *s = ARENA_NEW(t->mem, struct ldap);
	struct setting *rows = arena_memdup(t->mem, defaults, sizeof(defaults));

	if (!library_functions(&library, names, ARRAY_LEN(names), &s->f, sizeof(s->f),
			       err) ||
	    !table_settings_open(t, name, rows, N_ROWS, err) ||
	    !take_settings(t, s, rows, err))
		return false;
	t->state = s;
	arena_defer(t->mem, release, s);
	/* What the library sets up once is not safe for threads, so here. */
	if (s->debug > 0) {
		int level = (int)s->debug;

		s->f.ldap_set_option(NULL, LDAP_OPT_DEBUG_LEVEL, &level);
	}
	if (s->f.ldap_initialize(&s->ld, s->uris) != LDAP_SUCCESS)
		return err_set(err, ERR_CONFIG, "%s: bad server_host: %s", t->name,
			       s->uris);
	disconnect(s);
	return true;
}

/* ---- connecting ---- */

static bool
fail(const struct ldap *s, const char *what, int rc, struct err *err)
{
	return err_set(err, ERR_TEMP, "%s: %s", what, s->f.ldap_err2string(rc));
}

static void
set_text(struct ldap *s, int option, const char *text)
{
	if (text != NULL)
		s->f.ldap_set_option(s->ld, option, text);
}

static bool
set_options(struct ldap *s, struct err *err)
{
	struct timeval limit = {.tv_sec = s->timeout_s};
	int version = (int)s->version, dereference = (int)s->dereference;
	int require = s->require ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
	int is_server = 0;

	s->f.ldap_set_option(s->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	s->f.ldap_set_option(s->ld, LDAP_OPT_NETWORK_TIMEOUT, &limit);
	s->f.ldap_set_option(s->ld, LDAP_OPT_TIMEOUT, &limit);
	s->f.ldap_set_option(s->ld, LDAP_OPT_DEREF, &dereference);
	/* LDAP_OPT_ON is an address in the library; any other that is none will do. */
	s->f.ldap_set_option(s->ld, LDAP_OPT_REFERRALS, s->referrals ? &version : NULL);
	set_text(s, LDAP_OPT_X_TLS_CACERTDIR, s->ca_dir);
	set_text(s, LDAP_OPT_X_TLS_CACERTFILE, s->ca_file);
	set_text(s, LDAP_OPT_X_TLS_CERTFILE, s->cert);
	set_text(s, LDAP_OPT_X_TLS_KEYFILE, s->key);
	set_text(s, LDAP_OPT_X_TLS_CIPHER_SUITE, s->ciphers);
	s->f.ldap_set_option(s->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &require);
	return s->f.ldap_set_option(s->ld, LDAP_OPT_X_TLS_NEWCTX, &is_server) ==
		       LDAP_OPT_SUCCESS ||
	       err_set(err, ERR_CONFIG, "bad TLS settings");
}

/* What a mechanism asks for. */
static int
interact(LDAP *ld UNUSED, unsigned flags UNUSED, void *arg, void *questions)
{
	const struct ldap *s = arg;

	for (sasl_interact_t *q = questions; q->id != SASL_CB_LIST_END; q++) {
		const char *answer = NULL;

		switch (q->id) {
		case SASL_CB_GETREALM:
			answer = s->sasl_realm;
			break;
		case SASL_CB_AUTHNAME:
			answer = s->bind_dn;
			break;
		case SASL_CB_USER:
			answer = s->sasl_authz;
			break;
		case SASL_CB_PASS:
			answer = s->bind_pw;
			break;
		default:
			break;
		}
		q->result = answer != NULL ? answer : "";
		q->len = (unsigned)strlen(q->result);
	}
	return LDAP_SUCCESS;
}

static int
bind_sasl(struct ldap *s)
{
	char text[40];

	snprintf(text, sizeof(text), "minssf=%d", (int)s->min_ssf);
	s->f.ldap_set_option(s->ld, LDAP_OPT_X_SASL_SECPROPS, text);
	return s->f.ldap_sasl_interactive_bind_s(s->ld, s->bind_dn, s->sasl_mechs, NULL,
						 NULL, LDAP_SASL_QUIET, interact, s);
}

static int
bind_simple(struct ldap *s)
{
	struct berval password = {.bv_len = strlen(s->bind_pw)};

	/* The library does not write to it. */
	memcpy(&password.bv_val, &s->bind_pw, sizeof(password.bv_val));
	return s->f.ldap_sasl_bind_s(s->ld, s->bind_dn, LDAP_SASL_SIMPLE, &password, NULL,
				     NULL, NULL);
}

static bool
connect_server(struct ldap *s, struct err *err)
{
	int rc = s->f.ldap_initialize(&s->ld, s->uris);

	if (rc != LDAP_SUCCESS)
		return fail(s, "connect", rc, err);
	if (!set_options(s, err)) {
		disconnect(s);
		return false;
	}
	if (s->start_tls)
		rc = s->f.ldap_start_tls_s(s->ld, NULL, NULL);
	if (rc == LDAP_SUCCESS && s->bind != LDAP_BIND_NONE)
		rc = s->bind == LDAP_BIND_SASL ? bind_sasl(s) : bind_simple(s);
	if (rc == LDAP_SUCCESS)
		return true;
	disconnect(s);
	return fail(s, "bind", rc, err);
}

/* ---- asking ---- */

/* RFC 4515: what means something in a filter. */
static void
quote_filter(void *arg UNUSED, struct buf *out, struct str part)
{
	for (size_t i = 0; i < part.len; i++) {
		if (memchr("*()\\\0", part.p[i], 5) != NULL)
			buf_printf(out, "\\%02x", (unsigned char)part.p[i]);
		else
			buf_add_char(out, part.p[i]);
	}
}

/* RFC 4514: what means something in a name. */
static void
quote_name(void *arg UNUSED, struct buf *out, struct str part)
{
	for (size_t i = 0; i < part.len; i++) {
		if (memchr(" \t\"#+,;<=>\\\0", part.p[i], 12) != NULL)
			buf_printf(out, "\\%02x", (unsigned char)part.p[i]);
		else
			buf_add_char(out, part.p[i]);
	}
}

static enum lookup
ldap_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	    struct err *err)
{
	struct ldap *s = t->state;
	struct ldap_search search = {.s = s, .mem = mem, .key = key, .err = err};
	enum lookup result =
		str_is_utf8(key) ? query_wants(&s->query, key, err) : LOOKUP_ABSENT;
	bool kept = s->ld != NULL;
	struct str base, filter;

	if (result == LOOKUP_FOUND)
		result = query_expand(&s->query, mem, s->base, key, quote_name, NULL,
				      &base, err);
	if (result == LOOKUP_FOUND)
		result = query_expand(&s->query, mem, s->query.text, key, quote_filter,
				      NULL, &filter, err);
	if (result != LOOKUP_FOUND)
		return result;
	for (;;) {
		if (s->ld == NULL && !connect_server(s, err))
			return LOOKUP_FAILED;
		query_rows_init(&search.rows, mem);
		search.lost = false;
		if (ldap_search_run(&search, base.p, s->scope, filter.p, 0))
			return query_result(&search.rows, value_out);
		if (!search.lost)
			return LOOKUP_FAILED;
		disconnect(s);
		/* It may have closed a connection that was left idle. */
		if (!kept)
			return LOOKUP_FAILED;
		kept = false;
	}
}

const struct table_type table_type_ldap = {
	.name = "ldap",
	.is_remote = true,
	.library = &library,
	.open = ldap_open_table,
	.lookup = ldap_lookup,
};
