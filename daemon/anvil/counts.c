/* SPDX-License-Identifier: Apache-2.0 */
#include "counts.h"

#include "base/macros.h"
#include "base/map.h"
#include "base/mem.h"

struct client {
	time_t start; /* of this stretch */
	int64_t connections;
	int64_t rates[ANVIL_EVENTS];
};

/* In a map, which holds pointers. */
struct number {
	int64_t n;
};

void
counts_init(struct counts *c, int64_t unit_s)
{
	*c = (struct counts){.clients = map_new(), .unit_s = unit_s};
}

static void
forget_peak(struct counts_peak *peak)
{
	mem_free((void *)(uintptr_t)peak->client.p);
	*peak = (struct counts_peak){.value = 0};
}

void
counts_release(struct counts *c)
{
	const struct map_entry *entry;
	size_t at = 0;

	while ((entry = map_next(c->clients, &at)) != NULL)
		mem_free(entry->value);
	map_free(&c->clients);
	for (size_t i = 0; i < ANVIL_EVENTS; i++)
		forget_peak(&c->peaks[i]);
	forget_peak(&c->clients_peak);
}

/* ---- peaks ---- */

static void
note_peak(struct counts_peak *peak, int64_t value, struct str client, time_t now)
{
	char *copy;

	if (value <= peak->value)
		return;
	if (!str_eq(peak->client, client) || peak->client.p == NULL) {
		copy = mem_alloc(client.len + 1);
		for (size_t i = 0; i < client.len; i++)
			copy[i] = client.p[i];
		forget_peak(peak);
		peak->client = str_from_mem(copy, client.len);
	}
	peak->value = value;
	peak->when = now;
}

void
counts_tell_peaks(struct counts *c,
		  void (*tell)(void *arg, const char *name, bool is_rate,
			       const struct counts_peak *peak),
		  void *arg)
{
	static const struct {
		enum anvil_event event;
		const char *name;
		bool is_rate;
	} rows[] = {
		{ANVIL_CONNECT, "connection rate", true},
		{ANVIL_DISCONNECT, "connection count", false},
		{ANVIL_MESSAGE, "message rate", true},
		{ANVIL_RECIPIENT, "recipient rate", true},
		{ANVIL_NEW_TLS, "newtls rate", true},
		{ANVIL_AUTH, "auth rate", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct counts_peak *peak = &c->peaks[rows[i].event];

		if (peak->value > 0)
			tell(arg, rows[i].name, rows[i].is_rate, peak);
		forget_peak(peak);
	}
	if (c->clients_peak.value > 0)
		tell(arg, "cache size", false, &c->clients_peak);
	forget_peak(&c->clients_peak);
}

/* ---- whose connections ---- */

void
counts_owner_init(struct counts_owner *o)
{
	o->connections = map_new();
}

static void
disconnect(struct counts *c, struct str name, int64_t n)
{
	struct client *client = map_find(c->clients, name);

	if (client != NULL)
		client->connections = MAX_OF(client->connections - n, (int64_t)0);
}

void
counts_owner_release(struct counts *c, struct counts_owner *o)
{
	const struct map_entry *entry;
	size_t at = 0;

	while ((entry = map_next(o->connections, &at)) != NULL) {
		disconnect(c, entry->key, ((struct number *)entry->value)->n);
		mem_free(entry->value);
	}
	map_free(&o->connections);
}

static void
own_one(struct counts_owner *o, struct str name)
{
	struct number *n = map_find(o->connections, name);

	if (n == NULL) {
		n = mem_alloc(sizeof(*n));
		IGNORE(map_set(o->connections, name, n) != NULL);
	}
	n->n++;
}

/* False: it has none. */
static bool
disown_one(struct counts_owner *o, struct str name)
{
	struct number *n = map_find(o->connections, name);

	if (n == NULL)
		return false;
	if (--n->n == 0)
		mem_free(map_remove(o->connections, name));
	return true;
}

/* ---- events ---- */

static struct client *
find_or_add(struct counts *c, struct str name, time_t now)
{
	struct client *client = map_find(c->clients, name);

	if (client != NULL || map_count(c->clients) >= COUNTS_CLIENTS_MAX)
		return client;
	client = mem_alloc(sizeof(*client));
	client->start = now;
	IGNORE(map_set(c->clients, name, client) != NULL);
	note_peak(&c->clients_peak, (int64_t)map_count(c->clients), STR_EMPTY, now);
	return client;
}

static bool
is_over(const struct counts *c, const struct client *client, time_t now)
{
	return client->start + c->unit_s < now || client->start > now;
}

static int64_t
count_event(struct counts *c, struct client *client, struct str name,
	    enum anvil_event event, time_t now)
{
	if (is_over(c, client, now)) {
		for (size_t i = 0; i < ANVIL_EVENTS; i++)
			client->rates[i] = 0;
		client->start = now;
	}
	client->rates[event]++;
	note_peak(&c->peaks[event], client->rates[event], name, now);
	return client->rates[event];
}

void
counts_add(struct counts *c, struct counts_owner *o, struct str name,
	   enum anvil_event event, time_t now, int64_t *count_out, int64_t *rate_out)
{
	struct client *client;

	*count_out = *rate_out = 0;
	if (event == ANVIL_DISCONNECT) {
		if (disown_one(o, name))
			disconnect(c, name, 1);
		return;
	}
	client = find_or_add(c, name, now);
	if (client == NULL)
		return;
	*rate_out = count_event(c, client, name, event, now);
	if (event == ANVIL_CONNECT) {
		own_one(o, name);
		client->connections++;
		note_peak(&c->peaks[ANVIL_DISCONNECT], client->connections, name, now);
	}
	*count_out = client->connections;
}

void
counts_expire(struct counts *c, time_t now)
{
	const struct map_entry *entry;
	size_t at = 0;

	while ((entry = map_next(c->clients, &at)) != NULL) {
		struct client *client = entry->value;

		if (client->connections == 0 && is_over(c, client, now))
			mem_free(map_remove(c->clients, entry->key));
	}
}
