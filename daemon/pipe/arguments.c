/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "config/expand.h"
#include "mail/address.h"

#include "attributes.h"

enum { BYTES_MAX = 1 << 20 }; /* a command line may have two megabytes */

struct expansion {
	struct arena *mem;
	const struct pipe_attributes *a;
	const struct pipe_envelope *e;
	const struct pipe_recipient *rcpt;
	bool per_recipient; /* a name of that kind was met */
};

/* The flags h, u and q. */
static struct str
shaped(const struct expansion *x, struct str address)
{
	struct str local;
	struct str domain;
	bool has_domain = address_split(address, &local, &domain);

	if ((x->a->flags & PIPE_FOLD_USER) != 0)
		local = str_lower(x->mem, local);
	if ((x->a->flags & PIPE_FOLD_HOST) != 0)
		domain = str_lower(x->mem, domain);
	if (has_domain)
		local = address_join(x->mem, local, domain);
	return (x->a->flags & PIPE_QUOTE) != 0 ? address_quote_header(x->mem, local)
					       : local;
}

static struct str
host(const struct expansion *x, struct str name)
{
	return (x->a->flags & PIPE_FOLD_HOST) != 0 ? str_lower(x->mem, name) : name;
}

static struct str
sender(const struct expansion *x)
{
	struct str s = x->e->sender.len > 0 ? x->e->sender : x->a->null_sender;

	return s.len > 0 && (x->a->flags & PIPE_QUOTE) != 0
		       ? address_quote_header(x->mem, s)
		       : s;
}

/* Values of the message. */
static bool
find_common(const struct expansion *x, struct str name, struct str *out)
{
	const struct pipe_envelope *e = x->e;
	const struct {
		struct str name, value;
	} rows[] = {
		{STR("client_address"), e->client_address},
		{STR("client_helo"), e->client_helo},
		{STR("client_hostname"), e->client_hostname},
		{STR("client_port"), e->client_port},
		{STR("client_protocol"), e->client_protocol},
		{STR("envid"), e->envelope_id},
		{STR("nexthop"), host(x, e->nexthop)},
		{STR("queue_id"), e->queue_id},
		{STR("sasl_method"), e->sasl_method},
		{STR("sasl_sender"), e->sasl_sender},
		{STR("sasl_username"), e->sasl_username},
		{STR("sender"), sender(x)},
		{STR("size"), str_printf(x->mem, "%lld", (long long)e->size)},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_eq(rows[i].name, name)) {
			*out = rows[i].value;
			return true;
		}
	}
	return false;
}

/* Values of a recipient. */
static bool
find_of_recipient(struct expansion *x, struct str name, struct str *out)
{
	struct str local;
	struct str domain;
	struct str user;
	struct str extension = STR_EMPTY;

	IGNORE(address_split(x->rcpt->address, &local, &domain));
	if ((x->a->flags & PIPE_FOLD_USER) != 0)
		local = str_lower(x->mem, local);
	user = local;
	IGNORE(address_extension(local, x->e->delimiters, x->e->owner_request_special,
				 &user, &extension));
	if (str_eq(name, STR("domain")))
		*out = host(x, domain);
	else if (str_eq(name, STR("recipient")))
		*out = shaped(x, x->rcpt->address);
	else if (str_eq(name, STR("original_recipient")))
		*out = shaped(x, x->rcpt->original);
	else if (str_eq(name, STR("user")))
		*out = user;
	else if (str_eq(name, STR("extension")))
		*out = extension;
	else if (str_eq(name, STR("mailbox")))
		*out = local;
	else
		return false;
	x->per_recipient = true;
	return true;
}

static enum expand_found
find_value(void *closure, struct str name, struct str *out)
{
	struct expansion *x = closure;

	return find_common(x, name, out) || find_of_recipient(x, name, out)
		       ? EXPAND_LITERAL
		       : EXPAND_UNKNOWN;
}

struct unknown {
	struct expansion *x;
	struct str name;
};

static void
look_for_unknown(void *closure, struct str name)
{
	struct unknown *u = closure;
	struct str value;

	if (find_value(u->x, name, &value) == EXPAND_UNKNOWN)
		u->name = name;
}

static bool
add_word(struct expansion *x, struct str word, struct buf *out, struct err *err)
{
	struct buf *b = buf_new(x->mem, BYTES_MAX);

	if (!expand_text(word, find_value, x, b, err))
		return false;
	if (str_contains(buf_str(b), '\0'))
		return err_set(err, ERR_PERM, "NUL in an argument");
	buf_add(out, buf_str(b));
	buf_add_char(out, '\0');
	return buf_ok(out) || err_set(err, ERR_PERM, "command line too long");
}

bool
pipe_arguments(struct arena *mem, const struct pipe_attributes *a,
	       const struct pipe_envelope *e, struct str *out, struct err *err)
{
	struct expansion x = {.mem = mem, .a = a, .e = e};
	struct buf *words = buf_new(mem, BYTES_MAX);

	for (size_t i = 0; i < a->argc; i++) {
		struct unknown u = {.x = &x, .name = STR_EMPTY};

		x.per_recipient = false;
		x.rcpt = &e->recipients[0];
		expand_names(a->argv[i], look_for_unknown, &u);
		if (u.name.len > 0)
			return err_set(err, ERR_CONFIG, "unknown macro name: " PRI_STR,
				       STR_ARG(u.name));
		if (!add_word(&x, a->argv[i], words, err))
			return false;
		for (size_t k = 1; x.per_recipient && k < e->n_recipients; k++) {
			x.rcpt = &e->recipients[k];
			if (!add_word(&x, a->argv[i], words, err))
				return false;
		}
	}
	*out = buf_str(words);
	return true;
}
