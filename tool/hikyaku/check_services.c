/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master.cf: services that are missing, wrong or in each other's way.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/io.h"

#include "config/param.h"
#include "config/value.h"
#include "daemon/services.h"
#include "dns/server_name.h"
#include "table/cidr_net.h"

#include "check_rows.h"
#include "finding.h"

enum { PROC_NET_MAX = 16 << 20, HEX = 16 };

static bool
is_on(const struct check *c, const struct master_service *s)
{
	return !master_cf_disabled(c->master.master_service_disable, s);
}

/* ---- the file ---- */

void
check_master_form(struct check *c)
{
	struct master_services services;
	struct str text;
	struct err err;

	if (master_cf_load(c->mem, c->config, &services, &err))
		return;
	text = str_from(arena_strdup(c->mem, err.text));
	finding_add(c, place_from_text(c, &text), text, STR_EMPTY);
}

void
check_service_twice(struct check *c)
{
	for (size_t i = 0; i < c->services.warning_count; i++) {
		struct str text = c->services.warnings[i];
		struct place place = place_from_text(c, &text);

		finding_add(c, place, str_printf(c->mem, PRI_STR ".", STR_ARG(text)),
			    STR("Remove one of the two lines."));
	}
}

/* ---- programs ---- */

void
check_service_absent(struct check *c)
{
	for (size_t i = 0; i < c->services.count; i++) {
		const struct master_service *s = &c->services.at[i];
		struct str text;

		if (is_on(c, s) && service_warning(c->mem, c->common.daemon_directory,
						   s->name, s->command, &text))
			finding_add(c, place_service(c, s),
				    str_printf(c->mem, PRI_STR ".", STR_ARG(text)),
				    STR_EMPTY);
	}
}

/* What mail needs. The sockets of the public ones are looked for in public/. */
static const struct needed {
	const char *name;
	bool is_private;
	bool wants_wakeup;
	const char *without;
	const char *line;
} needed[] = {
	{"pickup", false, true, "mail submitted with sendmail is not taken up",
	 "pickup unix n - n 60 1 pickup"},
	{"cleanup", false, false, "no mail can be put into the queue",
	 "cleanup unix n - n - 0 cleanup"},
	{"qmgr", false, true, "no mail is delivered", "qmgr unix n - n 300 1 qmgr"},
	{"bounce", true, false, "nothing can be returned to its sender",
	 "bounce unix - - n - 0 bounce"},
	{"defer", true, false, "the reasons why mail waits cannot be kept",
	 "defer unix - - n - 0 bounce"},
	{"trace", true, false, "delivery reports cannot be made",
	 "trace unix - - n - 0 bounce"},
	{"showq", false, false, "mailq shows nothing", "showq unix n - n - - showq"},
};

/* As unix or as the old fifo. */
static const struct master_service *
find_service(const struct check *c, struct str name)
{
	const struct master_service *s = master_cf_find(&c->services, name, MASTER_UNIX);

	if (s == NULL)
		s = master_cf_find(&c->services, name, MASTER_FIFO);
	return s != NULL && is_on(c, s) ? s : NULL;
}

void
check_service_needed(struct check *c)
{
	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		const struct needed *n = &needed[i];

		if (find_service(c, str_from(n->name)) == NULL)
			finding_add(c, place_file(c->services.file),
				    str_printf(c->mem, "The service %s is missing: %s.",
					       n->name, n->without),
				    str_printf(c->mem, "Add the line: %s", n->line));
	}
}

void
check_service_limits(struct check *c)
{
	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		const struct needed *n = &needed[i];
		const struct master_service *s = find_service(c, str_from(n->name));

		if (s == NULL)
			continue;
		if (s->is_private != n->is_private)
			finding_add(c, place_service(c, s),
				    str_printf(c->mem,
					       "Its socket is looked for in %s, but the "
					       "third column puts it elsewhere: %s.",
					       n->is_private ? "private" : "public",
					       n->without),
				    str_printf(c->mem, "Write %s in the third column.",
					       n->is_private ? "-" : "n"));
		if (n->wants_wakeup && s->wakeup_s == 0)
			finding_add(c, place_service(c, s),
				    STR("Without a wake-up time mail that was left lying "
					"when the system stopped may wait until other "
					"mail comes."),
				    str_printf(c->mem, "Write it as: %s", n->line));
	}
}

/* One finding for all: Debian's master.cf has it in nearly every line. */
void
check_service_chroot(struct check *c)
{
	const struct master_service *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < c->services.count; i++) {
		const struct master_service *s = &c->services.at[i];

		if (!str_eq(s->field[MASTER_FIELD_CHROOT], STR("y")))
			continue;
		if (n++ == 0)
			first = s;
	}
	if (n == 0)
		return;
	finding_add(c, place_service(c, first),
		    str_printf(c->mem,
			       "The y in the chroot column (of %zu service%s) has no "
			       "effect: every daemon is confined in other ways, and sees "
			       "the system's own files.",
			       n, n == 1 ? "" : "s"),
		    STR_EMPTY);
}

/* ---- -o ---- */

static void
look_at_option(struct check *c, const struct master_service *s, struct str name)
{
	const struct param *row = param_find(name);
	bool for_qmgr = config_transport_default(name).len > 0 ||
			(row != NULL && str_eq(str_from(row->area), STR("qmgr")));
	struct place place = place_service(c, s);

	place.what = str_printf(c->mem, PRI_STR " -o " PRI_STR, STR_ARG(place.what),
				STR_ARG(name));
	if (for_qmgr && !str_eq(s->command, STR("qmgr"))) {
		finding_add(c, place,
			    STR("Only the queue manager reads this, and from main.cf: "
				"here it has no effect."),
			    STR("Move it to main.cf."));
	} else if (row == NULL && config_use(c->config, name) == CONFIG_USE_UNKNOWN) {
		const struct param *near = param_nearest(name);

		finding_add(c, place, STR("There is no such parameter."),
			    near == NULL ? STR_EMPTY
					 : str_printf(c->mem, "Did you mean " PRI_STR "?",
						      STR_ARG(param_name(near))));
	} else if (row != NULL &&
		   (row->state == PARAM_KNOWN || row->state == PARAM_NEWER)) {
		finding_add(c, place, STR("It is not supported yet and has no effect."),
			    STR_EMPTY);
	}
}

/* Another -o of the service refers to it: a name of the user's own. */
static bool
is_referred_to(const struct master_service *s, struct str name)
{
	for (size_t i = 0; i < s->override_count; i++) {
		struct str value = s->overrides[i].value;

		if (str_contains(value, '$') && str_find(value, name) < value.len)
			return true;
	}
	return false;
}

void
check_service_option(struct check *c)
{
	for (size_t i = 0; i < c->services.count; i++) {
		const struct master_service *s = &c->services.at[i];

		for (size_t k = 0; k < s->override_count; k++) {
			if (!is_referred_to(s, s->overrides[k].name))
				look_at_option(c, s, s->overrides[k].name);
		}
	}
}

/* ---- transports ---- */

static void
look_at_transport(struct check *c, struct place place, struct str transport,
		  struct str whose)
{
	if (transport.len == 0 || find_service(c, transport) != NULL ||
	    str_eq(transport, STR("error")) || str_eq(transport, STR("retry")))
		return;
	finding_add(c, place,
		    str_printf(c->mem,
			       "There is no transport " PRI_STR " in %s: " PRI_STR
			       " waits until there is.",
			       STR_ARG(transport), c->services.file, STR_ARG(whose)),
		    STR("Add the service, or name one that is there."));
}

/* "smtp:[host]" is smtp. */
static struct str
transport_of(struct str value)
{
	return str_head(value, str_index(value, ':'));
}

struct walk {
	struct check *c;
	const char *parameter;
	const char *table;
};

static bool
look_at_entry(struct str key, struct str value, void *arg)
{
	struct walk *w = arg;
	struct check *c = w->c;

	look_at_transport(c, place_parameter(c, w->parameter), transport_of(value),
			  str_printf(c->mem, "mail for \"" PRI_STR "\" (%s)",
				     STR_ARG(key), w->table));
	return true;
}

static void
look_at_table(struct check *c, struct maps *maps)
{
	for (size_t i = 0; i < maps_count(maps); i++) {
		struct table *table = maps_table(maps, i);
		struct walk w = {c, maps_title(maps), table_name(table)};
		struct err err;

		/* Tables that cannot be walked are seen when they are asked. */
		IGNORE(!table_walk(table, look_at_entry, &w, &err));
	}
}

void
check_transport_missing(struct check *c)
{
	const struct {
		const char *parameter;
		struct str value;
		struct match *domains; /* NULL: always used */
		const char *whose;
	} rows[] = {
		{"default_transport", c->rules.config.default_transport, NULL,
		 "mail for other domains"},
		{"local_transport", c->rules.config.local_transport,
		 c->rules.local_domains, "mail for local domains"},
		{"virtual_transport", c->rules.config.virtual_transport,
		 c->rules.virtual_mailbox_domains, "mail for virtual mailboxes"},
		{"relay_transport", c->rules.config.relay_transport,
		 c->rules.relay_domains, "mail for relay domains"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].domains == NULL || !match_is_empty(rows[i].domains))
			look_at_transport(c, place_parameter(c, rows[i].parameter),
					  transport_of(rows[i].value),
					  str_from(rows[i].whose));
	}
	look_at_table(c, c->rules.transport);
	look_at_table(c, c->rules.sender_transport);
}

/* ---- ports ---- */

/* Services that the master opens a port for. */
static bool
opens_port(const struct check *c, const struct master_service *s)
{
	return s->type == MASTER_INET && is_on(c, s) &&
	       service_is_installed(c->common.daemon_directory, s->command);
}

static bool
listens_everywhere(const struct check *c, const struct master_service *s)
{
	return s->host.len == 0 && list_has(c->common.inet_interfaces, STR("all"));
}

void
check_port_twice(struct check *c)
{
	for (size_t i = 0; i < c->services.count; i++) {
		const struct master_service *a = &c->services.at[i];

		for (size_t k = 0; k < i && a->type == MASTER_INET; k++) {
			const struct master_service *b = &c->services.at[k];

			if (b->type != MASTER_INET || !is_on(c, a) || !is_on(c, b) ||
			    server_port(a->port) != server_port(b->port) ||
			    (!str_ieq(a->host, b->host) && !listens_everywhere(c, a) &&
			     !listens_everywhere(c, b)))
				continue;
			finding_add(c, place_service(c, a),
				    str_printf(c->mem,
					       "Port %u is opened by " PRI_STR
					       " (line %u) too: only one of them can.",
					       server_port(a->port), STR_ARG(b->name),
					       b->line),
				    STR("Remove one, or give them different addresses."));
		}
	}
}

/* One listening socket of the machine. */
struct listener {
	struct cidr_address address;
	unsigned port;
};

/* "0100007F:0019": words of 32 bits in the machine's order. */
static bool
parse_listener(struct str text, struct listener *out)
{
	struct str hex, port;
	char digits[9] = {0};
	char *end;

	if (!str_split(text, ':', &hex, &port) || (hex.len != 8 && hex.len != 32) ||
	    port.len != 4)
		return false;
	out->address.len = (unsigned char)(hex.len / 2);
	for (size_t i = 0; i < hex.len / 8; i++) {
		uint32_t word;

		memcpy(digits, hex.p + 8 * i, 8);
		word = (uint32_t)strtoul(digits, &end, HEX);
		memcpy(out->address.bytes + 4 * i, &word, sizeof(word));
	}
	memcpy(digits, port.p, 4);
	digits[4] = '\0';
	out->port = (unsigned)strtoul(digits, &end, HEX);
	return *end == '\0';
}

static bool
is_wildcard(const struct cidr_address *a)
{
	static const unsigned char zero[16];

	return memcmp(a->bytes, zero, a->len) == 0;
}

static bool
is_address_of(const struct cidr_address *a, struct str text)
{
	struct cidr_address b;

	return cidr_address_parse(text, &b) && a->len == b.len &&
	       memcmp(a->bytes, b.bytes, a->len) == 0;
}

static bool
clashes(const struct check *c, const struct master_service *s, const struct listener *l)
{
	if (server_port(s->port) != l->port)
		return false;
	if (is_wildcard(&l->address) || listens_everywhere(c, s))
		return true;
	if (s->host.len > 0)
		return is_address_of(&l->address, str_ieq(s->host, STR("localhost"))
							  ? STR("127.0.0.1")
							  : s->host);
	for (size_t i = 0; i < c->rules.n_own_addresses; i++) {
		if (is_address_of(&l->address, c->rules.own_addresses[i]))
			return true;
	}
	return false;
}

static void
look_at_listener(struct check *c, const struct listener *l)
{
	for (size_t i = 0; i < c->services.count; i++) {
		const struct master_service *s = &c->services.at[i];

		if (opens_port(c, s) && clashes(c, s, l))
			finding_add(c, place_service(c, s),
				    str_printf(c->mem,
					       "Another program listens on port %u "
					       "already: the mail system cannot start.",
					       l->port),
				    str_printf(c->mem,
					       "`ss -ltnp 'sport = %u'` shows which; "
					       "stop it, or use another port.",
					       l->port));
	}
}

static void
look_at_sockets(struct check *c, const char *path)
{
	struct str text, line, word[4];
	struct err err;

	if (!io_read_file(c->mem, AT_FDCWD, path, PROC_NET_MAX, &text, &err))
		return;
	while (str_line(&text, &line)) {
		struct listener l;
		size_t n = 0;

		while (n < ARRAY_LEN(word) && str_token(&line, " ", &word[n]))
			n++;
		if (n == ARRAY_LEN(word) && str_eq(word[3], STR("0A")) &&
		    parse_listener(word[1], &l))
			look_at_listener(c, &l);
	}
}

/* While the mail system runs the ports are its own. */
void
check_port_taken(struct check *c)
{
	if (c->running)
		return;
	look_at_sockets(c, "/proc/net/tcp");
	look_at_sockets(c, "/proc/net/tcp6");
}
