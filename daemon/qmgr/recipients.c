/* SPDX-License-Identifier: Apache-2.0 */
#include "recipients.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"

#include "daemon/daemon.h"
#include "fiber/loop.h"

#include "qmgr.h"

/* More at once would hold up the others. */
enum { PART_MAX = 5000 };

struct recipient {
	struct sched_recipient sched; /* first */
	char *address;                /* set by routing; owned */
	char text[];                  /* what the strings point to */
};

static struct str
put(char **at, struct str s)
{
	struct str copy = {*at, s.len};

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return copy;
}

static struct sched_recipient *
recipient_new(const struct queue_recipient *from)
{
	size_t text = mem_size_add(from->address.len,
				   mem_size_add(from->original.len, from->dsn_orcpt.len));
	struct recipient *r = mem_alloc(mem_size_add(sizeof(*r), text));
	char *at = r->text;

	r->sched.offset = from->offset;
	r->sched.address = put(&at, from->address);
	r->sched.orig_address = put(&at, from->original);
	r->sched.dsn_orcpt = put(&at, from->dsn_orcpt);
	r->sched.dsn_notify = from->dsn_notify & 15;
	return &r->sched;
}

static struct recipient *
recipient_of(struct sched_recipient *r)
{
	return CONTAINER_OF(r, struct recipient, sched);
}

void
recipient_set_address(struct sched_recipient *sched, struct str address)
{
	struct recipient *r = recipient_of(sched);
	char *copy;

	if (str_eq(sched->address, address))
		return;
	copy = mem_alloc(mem_size_add(address.len, 1));
	memcpy(copy, address.p, address.len);
	sched->address = (struct str){copy, address.len};
	mem_free(r->address);
	r->address = copy;
}

/* ---- reading ---- */

/* How many more of this message there may be; t NULL: not known yet where they go. */
static int64_t
room(const struct message *m, const struct sched_transport *t)
{
	const struct qmgr_config *c = &m->qmgr->config;
	int64_t all =
		MAX_OF(c->qmgr_message_recipient_limit, c->qmgr_message_active_limit) -
		m->qmgr->n_recipients;
	int64_t least = c->qmgr_message_recipient_minimum - m->n_recipients;

	if (t != NULL)
		all = MIN_OF(all, sched_room(t, &m->sched));
	return MIN_OF(MAX_OF(all, least), PART_MAX - m->n_recipients);
}

/* By address, upper and lower case alike, so that the order does not depend on how an
 * alias was written; the same address as it came. */
static int
by_address(const void *left, const void *right)
{
	const struct queue_recipient *a = left;
	const struct queue_recipient *b = right;
	size_t n = MIN_OF(a->address.len, b->address.len);
	int order = n == 0 ? 0 : strncasecmp(a->address.p, b->address.p, n);

	if (order == 0 && a->address.len != b->address.len)
		order = a->address.len < b->address.len ? -1 : 1;
	return order != 0 ? order : (a->offset > b->offset) - (a->offset < b->offset);
}

static bool
read_part(struct message *m, int64_t max, struct err *err)
{
	struct arena *mem = arena_new();
	struct queue_recipient *list;
	struct sched_recipient *first = NULL;
	struct sched_recipient **last = &first;
	size_t n;

	if (!queue_file_recipients(mem, &m->file, false, (size_t)max, &m->next_rcpt,
				   &list, &n, err)) {
		arena_free(&mem);
		return false;
	}
	qsort(list, n, sizeof(*list), by_address);
	for (size_t i = 0; i < n; i++) {
		*last = recipient_new(&list[i]);
		last = &(*last)->next;
	}
	arena_free(&mem);
	m->sched.unread = m->next_rcpt == 0 ? 0 : MAX_OF(m->sched.unread - (int64_t)n, 0);
	m->n_recipients += (int64_t)n;
	m->qmgr->n_recipients += (int64_t)n;
	m->n_after_read = m->n_recipients;
	m->last_read_ms = loop_now_ms(m->qmgr->daemon->loop);
	active_route(m, first);
	return true;
}

bool
recipients_read(struct message *m, struct err *err)
{
	return read_part(m, MAX_OF(room(m, NULL), 1), err);
}

static void
refill(struct message *m, const struct sched_transport *t)
{
	int64_t max = room(m, t);
	struct err err;

	if (m->next_rcpt == 0 || max <= 0 || m->is_damaged ||
	    (m->n_after_read - m->n_recipients < t->params.refill_limit &&
	     loop_now_ms(m->qmgr->daemon->loop) - m->last_read_ms <
		     t->params.refill_delay_ms))
		return;
	if (!read_part(m, max, &err)) {
		/* Those that are under way come first. What may pass is tried again. */
		log_error(m->qmgr->daemon->log, PRI_STR ": %s", STR_ARG(m->id), err.text);
		m->is_damaged = err.kind != ERR_TEMP;
		m->n_after_read = m->n_recipients;
		m->last_read_ms = loop_now_ms(m->qmgr->daemon->loop);
	}
}

void
recipients_drop(struct message *m, struct sched_recipient *list)
{
	while (list != NULL) {
		struct recipient *r = recipient_of(list);

		list = list->next;
		mem_free(r->address);
		mem_free(r);
		m->n_recipients--;
		m->qmgr->n_recipients--;
	}
}

void
recipients_done(struct message *m, const struct sched_transport *t,
		struct sched_recipient *list)
{
	recipients_drop(m, list);
	refill(m, t);
}
