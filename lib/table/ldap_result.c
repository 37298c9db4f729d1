/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>
#include <sys/time.h>

#include "table/ldap_internal.h"

/* References can fan out without being deep. */
enum { SEARCHES_MAX = 10000, DEPTH_MAX = 1000 };

/* "attr;option" counts as the attribute. */
static bool
is_attribute(const char *wanted, const char *name)
{
	size_t n = strcspn(name, ";");

	return strcasecmp(wanted, name) == 0 ||
	       (strncasecmp(wanted, name, n) == 0 && wanted[n] == '\0');
}

static bool
has_kind(const struct ldap *s, const char *name, enum ldap_kind kind)
{
	for (size_t i = 0; i < s->n_attributes; i++)
		if (s->kinds[i] == kind && is_attribute(s->attributes[i], name))
			return true;
	return false;
}

/* Call fn for each attribute of the entry with its values; false ends it. */
typedef bool (*attribute_fn)(struct ldap_search *x, const char *name,
			     struct berval **values, void *arg);

static bool
each_attribute(struct ldap_search *x, LDAPMessage *entry, attribute_fn fn, void *arg)
{
	const struct ldap_functions *f = &x->s->f;
	BerElement *state = NULL;
	bool ok = true;

	for (char *name = f->ldap_first_attribute(x->s->ld, entry, &state); name != NULL;
	     name = ok ? f->ldap_next_attribute(x->s->ld, entry, state) : NULL) {
		struct berval **values = f->ldap_get_values_len(x->s->ld, entry, name);

		if (values != NULL) {
			ok = fn(x, name, values, arg);
			f->ldap_value_free_len(values);
		}
		f->ldap_memfree(name);
	}
	if (state != NULL)
		f->ber_free(state, 0);
	return ok;
}

/* What an entry has, before its values count. */
struct entry {
	bool has_terminal, has_special;
	int64_t depth;
};

static bool
look(struct ldap_search *x, const char *name, struct berval **values, void *arg)
{
	struct entry *e = arg;

	if (values[0] == NULL)
		return true;
	e->has_terminal = e->has_terminal || has_kind(x->s, name, LDAP_TERMINAL);
	e->has_special = e->has_special || has_kind(x->s, name, LDAP_SPECIAL);
	return true;
}

static bool
add_values(struct ldap_search *x, struct berval **values)
{
	for (; *values != NULL; values++)
		if (!query_add_row(&x->s->query, x->mem, &x->rows,
				   str_from_mem((*values)->bv_val, (*values)->bv_len),
				   x->key, x->err))
			return false;
	return true;
}

static bool
follow_url(struct ldap_search *x, const char *text, int64_t depth)
{
	LDAPURLDesc *url;
	bool ok;

	if (x->s->f.ldap_url_parse(text, &url) != LDAP_URL_SUCCESS)
		return err_set(x->err, ERR_TEMP, "%s: malformed URL in an entry",
			       x->s->query.name);
	ok = ldap_search_run(
		x, url->lud_dn, url->lud_scope,
		url->lud_filter != NULL ? url->lud_filter : "(objectClass=*)", depth);
	x->s->f.ldap_free_urldesc(url);
	return ok;
}

static bool
follow(struct ldap_search *x, struct berval **values, int64_t depth)
{
	for (; *values != NULL; values++) {
		struct str value = str_from_mem((*values)->bv_val, (*values)->bv_len);
		const char *text = str_c(x->mem, value);
		bool ok;

		if (str_contains(value, '\0'))
			continue;
		ok = x->s->f.ldap_is_ldap_url(text)
			     ? follow_url(x, text, depth)
			     : ldap_search_run(x, text, LDAP_SCOPE_BASE,
					       "(objectClass=*)", depth);
		if (!ok)
			return false;
	}
	return true;
}

static bool
take(struct ldap_search *x, const char *name, struct berval **values, void *arg)
{
	const struct entry *e = arg;
	const struct ldap *s = x->s;

	if (e->has_terminal)
		return !has_kind(s, name, LDAP_TERMINAL) || add_values(x, values);
	if (has_kind(s, name, LDAP_RESULT) ||
	    (!e->has_special && has_kind(s, name, LDAP_LEAF)))
		return add_values(x, values);
	return !has_kind(s, name, LDAP_SPECIAL) || follow(x, values, e->depth + 1);
}

static bool
take_entries(struct ldap_search *x, LDAPMessage *result, int64_t depth)
{
	const struct ldap_functions *f = &x->s->f;

	for (LDAPMessage *m = f->ldap_first_entry(x->s->ld, result); m != NULL;
	     m = f->ldap_next_entry(x->s->ld, m)) {
		struct entry entry = {.depth = depth};

		if (!each_attribute(x, m, look, &entry) ||
		    !each_attribute(x, m, take, &entry))
			return false;
	}
	return true;
}

/* Answers of a server that works. */
static bool
is_answer(int rc)
{
	return rc > 0 && rc != LDAP_UNAVAILABLE && rc != LDAP_BUSY;
}

bool
ldap_search_run(struct ldap_search *x, const char *base, int scope, const char *filter,
		int64_t depth)
{
	struct ldap *s = x->s;
	struct timeval limit = {.tv_sec = s->timeout_s};
	char *attributes[LDAP_ATTRIBUTES_MAX + 1];
	LDAPMessage *result = NULL;
	bool ok;
	int rc;

	if (depth > MIN_OF(s->recursion, DEPTH_MAX) || ++x->n_searches > SEARCHES_MAX)
		return err_set(x->err, ERR_TEMP, "%s: Recursion limit exceeded",
			       s->query.name);
	/* The library does not write to the names. */
	memcpy(attributes, s->attributes, s->n_attributes * sizeof(attributes[0]));
	attributes[s->n_attributes] = NULL;
	rc = s->f.ldap_search_ext_s(s->ld, base, scope, filter, attributes, 0, NULL, NULL,
				    &limit, (int)s->size_limit, &result);
	ok = rc == LDAP_SUCCESS && take_entries(x, result, depth);
	if (result != NULL)
		s->f.ldap_msgfree(result);
	if (rc == LDAP_SUCCESS || rc == LDAP_NO_SUCH_OBJECT)
		return ok || rc == LDAP_NO_SUCH_OBJECT;
	x->lost = !is_answer(rc);
	return err_set(x->err, ERR_TEMP, "Search error %d: %s", rc,
		       s->f.ldap_err2string(rc));
}
