/* SPDX-License-Identifier: Apache-2.0 */
#include "cleanup.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"

#include "daemon/daemon.h"
#include "mail/address.h"
#include "mail/dsn_request.h"
#include "queue/cleanup_status.h"
#include "rewrite/expand.h"
#include "rewrite/form.h"

#include "bounce.h"
#include "log.h"
#include "mapping.h"
#include "milter.h"

/* The size record tells qmgr what was asked for, as bits above its own. */
enum { NOTIFY_SHIFT = 1 };

/* There: other records stand between recipients, so all must be read (Postfix's qmgr). */
enum { QMGR_OPT_MIXED = 1 };

static void
write_string(struct message *m, char letter, struct str data)
{
	queue_writer_record(&m->writer, letter, data);
}

/* ---- recipients ---- */

/* Key of the duplicate filter: the same recipient may come by two ways that are reported
 * differently. Upper and lower case are the same. */
static bool
is_duplicate(struct message *m, struct str address)
{
	const struct cleanup_config *c = &m->cleanup->config;
	struct str key = address;

	if (c->enable_original_recipient)
		key = str_printf(m->mem, PRI_STR "\n%" PRId64 "\n" PRI_STR "\n" PRI_STR,
				 STR_ARG(m->dsn_orcpt), m->dsn_notify,
				 STR_ARG(m->original), STR_ARG(key));
	key = str_lower(m->mem, key);
	if (map_find(m->recipients, key) != NULL)
		return true;
	if (map_count(m->recipients) < (size_t)c->duplicate_filter_limit)
		map_set(m->recipients, key, m);
	return false;
}

static void
write_recipient(struct message *m, struct str address)
{
	if (is_duplicate(m, address))
		return;
	if (m->dsn_notify != 0)
		queue_writer_printf(&m->writer, RECORD_LETTER(ATTRIBUTE),
				    "notify_flags=%" PRId64, m->dsn_notify);
	if (m->dsn_orcpt.len > 0)
		queue_writer_attribute(&m->writer, "dsn_orig_rcpt", m->dsn_orcpt);
	write_string(m, RECORD_LETTER(ORIGINAL), m->original);
	write_string(m, RECORD_LETTER(RECIPIENT), address);
	m->last_recipient = str_dup(m->mem, address);
	m->has_utf8_recipient = m->has_utf8_recipient || !str_is_ascii(address);
	m->n_recipients++;
}

/* The address with its domain, in the form of ORCPT, where no ORCPT came. */
static struct str
make_orcpt(struct message *m, struct str form)
{
	bool utf8 = m->cleanup->common.smtputf8_enable && !str_is_ascii(form);

	return str_printf(m->mem, "%s;" PRI_STR, utf8 ? "utf-8" : "rfc822",
			  STR_ARG(form));
}

/* Who asked to hear of success hears that the address stands for others, and nothing from
 * those (RFC 3461 section 5.2.7.3). */
static void
report_expansion(struct message *m, struct str address)
{
	struct err err;

	if ((m->dsn_notify & DSN_NOTIFY_SUCCESS) == 0)
		return;
	if (!bounce_expanded(m, address, &err)) {
		log_warning(m->cleanup->daemon->log, PRI_STR ": %s", STR_ARG(m->id),
			    err.text);
		message_fail(m, CLEANUP_DEFER, STR_EMPTY);
	}
	m->dsn_notify &= ~(int64_t)DSN_NOTIFY_SUCCESS;
	if (m->dsn_notify == 0)
		m->dsn_notify = DSN_NOTIFY_NEVER;
}

static void
expand_and_write(struct message *m, struct str address)
{
	struct expand_result x;
	struct err err;

	if ((m->flags & CLEANUP_FLAG_MAP_OK) == 0) {
		write_recipient(m, address);
		return;
	}
	if (!expand_recipient(m->mem, &m->cleanup->rules, address, &x, &err)) {
		log_table_problem(m->cleanup->daemon->log, m->id, err.text);
		message_fail(m, CLEANUP_DEFER, STR_EMPTY);
		return;
	}
	if (x.n_addresses > 1 || !str_eq(x.addresses[0], address))
		report_expansion(m, address);
	for (size_t i = 0; i < x.n_addresses; i++)
		write_recipient(m, x.addresses[i]);
}

static struct str
complete_recipient(struct message *m, struct str address)
{
	return mapping_address(m, m->mem, CANONICAL_ENVELOPE_RECIPIENT,
			       rewrite_form(m->mem, &m->cleanup->rules, address));
}

void
envelope_add(struct message *m, struct str address, struct str orcpt, int64_t notify)
{
	struct str form = complete_recipient(m, address);

	m->original = form;
	m->dsn_orcpt = orcpt;
	m->dsn_notify = notify;
	m->writer.qmgr_opts |= notify << NOTIFY_SHIFT;
	expand_and_write(m, form);
	m->original = m->dsn_orcpt = STR_EMPTY;
	m->dsn_notify = 0;
}

/* A recipient whom nobody but the configuration named: the sender never hears of it. */
static void
add_copy(struct message *m, struct str address)
{
	int64_t opts = m->writer.qmgr_opts;

	envelope_add(m, address, STR_EMPTY, DSN_NOTIFY_NEVER);
	m->writer.qmgr_opts = opts;
}

void
envelope_recipient(struct message *m, struct str address)
{
	struct str form = complete_recipient(
		m,
		address.len > 0 ? address : m->cleanup->common.empty_address_recipient);
	struct str copy;

	/* As asked, not as it is after an alias. */
	m->writer.qmgr_opts |= m->dsn_notify << NOTIFY_SHIFT;
	if (m->original.len == 0)
		m->original = str_dup(m->mem, address);
	if (m->dsn_orcpt.len == 0)
		m->dsn_orcpt = make_orcpt(m, form);
	expand_and_write(m, form);
	m->original = m->dsn_orcpt = STR_EMPTY;
	m->dsn_notify = 0;
	if (mapping_copy(m, m->cleanup->recipient_bcc, form, &copy))
		add_copy(m, copy);
}

/* ---- the rest ---- */

static void
take_sender(struct message *m, struct str address)
{
	struct str form = address.len == 0
				  ? STR_EMPTY
				  : rewrite_form(m->mem, &m->cleanup->rules, address);

	m->sender = mapping_address(m, m->mem, CANONICAL_ENVELOPE_SENDER, form);
	m->has_sender = true;
}

static void
take_time(struct message *m, struct str data)
{
	struct str seconds = data;
	struct str usec = STR_EMPTY;
	int64_t s;
	int64_t us = 0;

	IGNORE(str_split(data, ' ', &seconds, &usec));
	if (usec.len > 0 && !str_to_i64(usec, 0, 999999, &us))
		us = 0;
	if (str_to_i64(seconds, 0, INT64_MAX / 2000000, &s))
		m->arrival_us = s * 1000000 + us;
}

/* Attributes that belong to the next recipient. */
static bool
take_recipient_attribute(struct message *m, struct str name, struct str value)
{
	if (str_eq(name, STR("dsn_orig_rcpt"))) {
		m->dsn_orcpt = str_dup(m->mem, value);
		return true;
	}
	if (str_eq(name, STR("notify_flags"))) {
		IGNORE(!str_to_i64(value, 0, 15, &m->dsn_notify));
		return true;
	}
	return false;
}

/* Who it is that the lines of the checks speak of. */
static void
take_log_attribute(struct message *m, struct str name, struct str value)
{
	if (str_eq(name, STR("log_message_origin")))
		m->origin = str_dup(m->mem, value);
	else if (str_eq(name, STR("log_protocol_name")))
		m->proto = str_dup(m->mem, value);
	else if (str_eq(name, STR("log_helo_name")))
		m->helo = str_dup(m->mem, value);
}

static void
take_attribute(struct message *m, struct str data)
{
	struct str name;
	struct str value;

	if (!str_split(data, '=', &name, &value) || name.len == 0) {
		message_fail(m, CLEANUP_BAD, STR("bad attribute record"));
		return;
	}
	/* Ours to say. */
	if (str_eq(name, STR("create_time")))
		return;
	milter_attribute(m, name, value);
	if (str_eq(name, STR("encoding")))
		m->encoding = str_dup(m->mem, value);
	take_log_attribute(m, name, value);
	if (str_eq(name, STR("rewrite_context")))
		m->is_remote = str_eq(value, STR("remote"));
	if (take_recipient_attribute(m, name, value))
		return;
	if (m->segment == SEGMENT_ENVELOPE && m->n_recipients > 0)
		m->writer.qmgr_opts |= QMGR_OPT_MIXED;
	write_string(m, RECORD_LETTER(ATTRIBUTE), data);
}

/* What smtpd's access tables asked for after it had told its flags. */
static void
take_flags(struct message *m, struct str data)
{
	int64_t flags;

	if (!str_to_i64(data, 0, UINT16_MAX, &flags))
		message_fail(m, CLEANUP_BAD, STR("bad flags record"));
	else
		m->flags |= (unsigned)flags & (CLEANUP_FLAG_HOLD | CLEANUP_FLAG_DISCARD);
}

static void
write_beginning(struct message *m)
{
	if (m->envelope_written)
		return;
	m->envelope_written = true;
	if (m->arrival_us == 0)
		m->arrival_us = m->created_us;
	queue_writer_printf(&m->writer, RECORD_LETTER(TIME), "%" PRId64 " %" PRId64,
			    m->arrival_us / 1000000, m->arrival_us % 1000000);
	queue_writer_printf(&m->writer, RECORD_LETTER(ATTRIBUTE), "create_time=%" PRId64,
			    m->created_us / 1000000);
}

static void
write_sender(struct message *m)
{
	int64_t delay = m->cleanup->delay_warning_s;
	struct str copy;

	if (m->has_full_name)
		write_string(m, RECORD_LETTER(FULL_NAME), m->full_name);
	write_string(m, RECORD_LETTER(SENDER), m->sender);
	/* Reports are not themselves reported on. */
	if (delay > 0 && m->sender.len > 0)
		queue_writer_printf(&m->writer, RECORD_LETTER(WARN), "%15" PRId64,
				    m->arrival_us / 1000000 + delay);
	if (mapping_copy(m, m->cleanup->sender_bcc, m->sender, &copy))
		add_copy(m, copy);
}

/* Nothing of the envelope may become lines of their own in commands, logs or mailboxes.
 */
static struct str
one_line(struct arena *mem, struct str data)
{
	char *copy;

	data = str_head(data, str_index(data, '\0'));
	if (!str_contains(data, '\n') && !str_contains(data, '\r'))
		return data;
	copy = str_c(mem, data);
	for (size_t i = 0; i < data.len; i++) {
		if (copy[i] == '\r' || copy[i] == '\n')
			copy[i] = ' ';
	}
	return str_from_mem(copy, data.len);
}

void
envelope_record(struct message *m, const struct record *record)
{
	const struct record clean = {.letter = record->letter,
				     .data = one_line(m->mem, record->data)};
	const struct record *r = &clean;
	enum record_type type = record_find(r->letter, m->segment);

	if (type == RECORD_TIME) {
		take_time(m, r->data);
		return;
	}
	if (m->segment == SEGMENT_ENVELOPE)
		write_beginning(m);
	if (type == RECORD_FULL_NAME) {
		m->full_name = str_dup(m->mem, r->data);
		m->has_full_name = true;
	} else if (type == RECORD_SENDER && !m->has_sender) {
		take_sender(m, r->data);
		write_sender(m);
		milter_sender(m);
	} else if (type == RECORD_RECIPIENT && m->has_sender) {
		milter_recipient(m, r->data);
		envelope_recipient(m, r->data);
	} else if (type == RECORD_ORIGINAL)
		m->original = str_dup(m->mem, r->data);
	else if (type == RECORD_ATTRIBUTE)
		take_attribute(m, r->data);
	else if (r->letter == RECORD_LETTER(FLAGS))
		take_flags(m, r->data);
	else if (type == RECORD_FILTER || type == RECORD_REDIRECT ||
		 type == RECORD_VERP || type == RECORD_INSPECT)
		write_string(m, r->letter, r->data);
	else
		message_fail(m, CLEANUP_BAD,
			     str_printf(m->mem, "unexpected record type %d",
					(unsigned char)r->letter));
}

void
envelope_end(struct message *m)
{
	write_beginning(m);
	if (!m->has_sender)
		message_fail(m, CLEANUP_BAD, STR("missing sender"));
}

void
envelope_finish(struct message *m)
{
	struct str copy = m->cleanup->config.always_bcc;

	checks_finish(m);
	for (size_t i = 0; i < m->n_bcc; i++)
		add_copy(m, m->bcc[i]);
	if ((m->flags & CLEANUP_FLAG_BCC_OK) != 0 && copy.len > 0)
		add_copy(m, copy);
}
