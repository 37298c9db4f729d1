/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is told what: the sender of an ordinary message gets a report from the null sender;
 * a report that could not be delivered goes to the postmaster from double_bounce_sender;
 * one that comes from there goes nowhere. So no two systems can keep each other busy with
 * reports.
 */
#include <errno.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "config/value.h"
#include "daemon/daemon.h"
#include "fiber/offload.h"
#include "ipc/messages.h"
#include "mail/address.h"
#include "mail/dsn_request.h"
#include "mail/header.h"
#include "mail/verp.h"
#include "queue/file.h"
#include "queue/log_file.h"

#include "bounce.h"
#include "daemon/submit.h"
#include "log.h"
#include "report.h"

enum { REPORT_MAX = 64 << 20, TRACE_VERIFY = 512, TRACE_RECORD = 1024 };

/* ---- entries ---- */

struct append {
	struct bounce *b;
	const struct msg_bounce_append *m;
	struct log_entry entry;
	struct err *err;
	bool ok;
};

static void
append_blocking(void *arg)
{
	struct append *a = arg;

	a->ok = log_file_append(&a->b->dirs, a->b->log, a->m->queue_id, &a->entry,
				a->b->config.backwards_bounce_logfile_compatibility,
				a->err);
}

bool
notice_append(struct bounce *b, const struct msg_bounce_append *m, struct err *err)
{
	struct append a = {.b = b, .m = m, .err = err};

	a.entry = (struct log_entry){
		.recipient = m->recipient,
		.original = m->orig_recipient,
		.offset = m->offset,
		.dsn_orcpt = m->dsn_orcpt,
		.dsn_notify = m->dsn_notify,
		.dsn = m->dsn,
		.action = m->action,
		.reason = m->reason,
		.mta_type = m->mta_type,
		.mta_name = m->mta_name,
		.diag_type = m->diag_type,
		.diag_text = m->diag_text,
	};
	offload_run(b->offload, append_blocking, &a);
	return a.ok;
}

/* ---- a report ---- */

/* What all reports on one message have in common. */
struct notice {
	struct bounce *b;
	struct arena *mem;
	struct str id;
	struct str sender;
	struct str envelope_id;
	int64_t dsn_return;
	int message;
	struct queue_file file;
	bool has_file;
	enum report_kind kind;
	struct report_recipient *recipients;
	size_t n_recipients;
	int64_t arrival_us;
	int64_t expires_us;
};

/* Does the sender want to hear of this recipient? (RFC 3461 section 4.1) */
static bool
wants_report(int64_t notify, enum report_kind kind)
{
	switch (kind) {
	case REPORT_FAILURE:
		return notify == 0 || (notify & DSN_NOTIFY_FAILURE) != 0;
	case REPORT_DELAY:
		return notify == 0 || (notify & DSN_NOTIFY_DELAY) != 0;
	case REPORT_SUCCESS:
		return (notify & DSN_NOTIFY_SUCCESS) != 0;
	case REPORT_VERIFY:
		break;
	}
	return true;
}

static bool
read_recipients(struct notice *n, struct err *err)
{
	struct log_entry *entries;
	size_t count;

	if (!log_file_read(n->mem, &n->b->dirs, n->b->log, n->id, &entries, &count, err))
		return false;
	n->recipients = arena_alloc_array(n->mem, count + 1, sizeof(*n->recipients));
	for (size_t i = 0; i < count; i++) {
		const struct log_entry *e = &entries[i];

		if (!wants_report(e->dsn_notify, n->kind))
			continue;
		n->recipients[n->n_recipients++] = (struct report_recipient){
			.address = e->recipient,
			.original = e->original,
			.dsn_orcpt = e->dsn_orcpt,
			.dsn = e->dsn,
			.action = e->action,
			.reason = e->reason,
			.mta_name = e->mta_name,
			.diag_type = e->diag_type,
			.diag_text = e->diag_text,
		};
	}
	return true;
}

static bool
headers_only(const struct notice *n, enum report_audience audience)
{
	return n->kind != REPORT_FAILURE || audience == REPORT_TO_POSTMASTER_COPY ||
	       n->dsn_return == DSN_RET_HDRS ||
	       n->file.content_size > n->b->config.bounce_size_limit;
}

/* The original, or its header. A file that ends in the middle is returned as far as it
 * goes. */
static void
copy_original(struct notice *n, struct submission *s, bool header)
{
	struct queue_content c;
	bool whole_before = true;
	struct err err;

	if (!n->has_file)
		return;
	queue_content_init(n->mem, &c, n->message, n->file.content_offset);
	for (;;) {
		struct str text;
		enum queue_content_result got = queue_content_next(&c, &text, &err);

		if (got != QUEUE_CONTENT_LINE && got != QUEUE_CONTENT_PART)
			return;
		if (header && whole_before && text.len == 0)
			return;
		submit_line(s, text, got == QUEUE_CONTENT_LINE);
		whole_before = got == QUEUE_CONTENT_LINE;
	}
}

static struct str
original_message_id(struct notice *n)
{
	struct header_splitter split;
	struct queue_content c;
	struct str field = STR_EMPTY;
	struct str text;
	struct err err;

	if (!n->has_file || !n->b->config.enable_threaded_bounces)
		return STR_EMPTY;
	header_splitter_init(n->mem, &split, 100000);
	queue_content_init(n->mem, &c, n->message, n->file.content_offset);
	while (queue_content_next(&c, &text, &err) == QUEUE_CONTENT_LINE) {
		enum header_event event = header_splitter_line(&split, text, &field);
		struct header_field f;

		if (header_field_parse(field, &f) && f.row != NULL &&
		    f.row->kind == HEADER_MESSAGE_ID)
			return header_unfold(n->mem, str_dup(n->mem, f.value));
		if (event != HEADER_MORE && event != HEADER_FIELD)
			break;
	}
	return STR_EMPTY;
}

/* The original's, as a report tells it. */
static struct str
named_sender(const struct notice *n)
{
	if (n->sender.len > 0)
		return n->sender;
	return address_join(n->mem, STR("MAILER-DAEMON"), n->b->common.myhostname);
}

static const struct bounce_template *
words_of(const struct notice *n)
{
	const struct bounce_template *of = n->b->templates.of;

	switch (n->kind) {
	case REPORT_DELAY:
		return &of[BOUNCE_TEMPLATE_DELAY];
	case REPORT_SUCCESS:
		return &of[BOUNCE_TEMPLATE_SUCCESS];
	case REPORT_VERIFY:
		return &of[BOUNCE_TEMPLATE_VERIFY];
	case REPORT_FAILURE:
		break;
	}
	return &of[BOUNCE_TEMPLATE_FAILURE];
}

static bool
send_report(struct notice *n, enum report_audience audience, struct str from,
	    struct str to, struct err *err)
{
	struct report r = {
		.words = words_of(n),
		.kind = n->kind,
		.audience = audience,
		.to = to,
		.sender = named_sender(n),
		.queue_id = n->id,
		.boundary_host = n->b->common.myhostname,
		.mail_name = n->b->common.mail_name,
		.reporting_mta = n->b->common.myhostname,
		.envelope_id = n->envelope_id,
		.message_id = original_message_id(n),
		.now_us = sys_now_us(),
		.arrival_us = n->arrival_us,
		.expires_us = n->expires_us,
		.is_8bit = n->b->common.smtputf8_enable ||
			   (n->has_file && str_eq(n->file.encoding, STR("8bit"))),
		.utf8_text = n->b->common.smtputf8_enable,
		.headers_only = headers_only(n, audience),
		.recipients = n->recipients,
		.n_recipients = n->n_recipients,
	};
	struct buf *text = buf_new(n->mem, REPORT_MAX);
	struct submission s = {.daemon = n->b->daemon,
			       .mem = n->mem,
			       .filtered =
				       list_has(n->b->config.internal_mail_filter_classes,
						STR("bounce"))};

	if (!submit_begin(&s, from, to, (int)n->b->common.ipc_timeout, err))
		return false;
	submit_trace(&s, &n->b->common, r.now_us / 1000000);
	submit_date(&s, r.now_us / 1000000);
	report_begin(n->mem, text, &r);
	submit_text(&s, buf_str(text));
	copy_original(n, &s, r.headers_only);
	buf_clear(text);
	report_end(n->mem, text, &r);
	submit_text(&s, buf_str(text));
	if (!submit_end(&s, err))
		return false;
	log_notification(n->b->daemon->log, n->id, n->kind, audience, s.queue_id);
	return true;
}

/* ---- who is told ---- */

static bool
class_is_on(const struct bounce *b, const char *class)
{
	return list_has(b->config.notify_classes, str_from(class));
}

static bool
is_double_bounce(const struct notice *n)
{
	struct str name = n->b->common.double_bounce_sender;

	return str_ieq(n->sender, name) || str_ieq(n->sender, n->b->postmaster_sender);
}

/* A copy that cannot be made is not worth keeping the message for. */
static void
copy_to_postmaster(struct notice *n, const char *class, struct str to)
{
	struct err err;

	if (class_is_on(n->b, class) &&
	    !send_report(n, REPORT_TO_POSTMASTER_COPY, n->b->postmaster_sender, to, &err))
		log_warning(n->b->daemon->log,
			    PRI_STR ": postmaster notification failed: %s",
			    STR_ARG(n->id), err.text);
}

/* With VERP one report for each recipient, to the sender address that is its own: who
 * reads them need not look inside. */
static bool
tell_sender(struct notice *n, struct err *err)
{
	struct report_recipient *all = n->recipients;
	size_t count = n->n_recipients;
	bool each = n->kind == REPORT_FAILURE && n->has_file && n->file.verp.len == 2 &&
		    !n->b->config.disable_verp_bounces;
	bool ok = true;

	if (!each)
		return send_report(n, REPORT_TO_SENDER, STR_EMPTY, n->sender, err);
	for (size_t i = 0; i < count && ok; i++) {
		const struct report_recipient *r = &all[i];
		struct str about = r->original.len > 0 ? r->original : r->address;

		n->recipients = &all[i];
		n->n_recipients = 1;
		ok = send_report(n, REPORT_TO_SENDER, STR_EMPTY,
				 verp_sender(n->mem, n->file.verp, n->sender, about),
				 err);
	}
	n->recipients = all;
	n->n_recipients = count;
	return ok;
}

static bool
send_all(struct notice *n, struct err *err)
{
	bool failure = n->kind == REPORT_FAILURE;

	if (n->n_recipients == 0)
		return true;
	if (is_double_bounce(n)) {
		if (failure)
			log_discarded(n->b->daemon->log, n->id);
		return true;
	}
	if (n->sender.len == 0) {
		/* Of reports only failures are told, and only to the postmaster. */
		if (!failure ||
		    (!class_is_on(n->b, "bounce") && !class_is_on(n->b, "2bounce")))
			return true;
		return send_report(n, REPORT_TO_POSTMASTER_UNDELIVERABLE,
				   n->b->postmaster_sender,
				   n->b->config.double_bounce_notice_recipient, err);
	}
	if (!tell_sender(n, err))
		return false;
	if (failure)
		copy_to_postmaster(n, "bounce", n->b->config.bounce_notice_recipient);
	else if (n->kind == REPORT_DELAY)
		copy_to_postmaster(n, "delay", n->b->config.delay_notice_recipient);
	return true;
}

static void
open_original(struct notice *n, int fd)
{
	struct err err;

	n->message = fd;
	n->has_file = fd >= 0 && queue_file_open(n->mem, fd, &n->file, &err);
}

static bool
remove_log(struct bounce *b, struct str id, struct err *err)
{
	return queue_remove(&b->dirs, b->log, id, err);
}

bool
notice_flush(struct bounce *b, const struct msg_bounce_flush *m, struct err *err)
{
	struct notice n = {.b = b,
			   .mem = arena_new(),
			   .id = m->queue_id,
			   .sender = m->sender,
			   .envelope_id = m->envelope_id,
			   .dsn_return = m->dsn_return,
			   .arrival_us = m->arrival_us};
	bool ok;

	n.kind = b->log != QUEUE_TRACE                             ? REPORT_FAILURE
		 : (m->flags & (TRACE_VERIFY | TRACE_RECORD)) != 0 ? REPORT_VERIFY
								   : REPORT_SUCCESS;
	open_original(&n, m->message);
	ok = read_recipients(&n, err) && send_all(&n, err) &&
	     remove_log(b, m->queue_id, err);
	arena_free(&n.mem);
	return ok;
}

bool
notice_warn(struct bounce *b, const struct msg_bounce_warn *m, struct err *err)
{
	struct notice n = {.b = b,
			   .mem = arena_new(),
			   .id = m->queue_id,
			   .sender = m->sender,
			   .envelope_id = m->envelope_id,
			   .dsn_return = m->dsn_return,
			   .kind = REPORT_DELAY,
			   .arrival_us = m->arrival_us,
			   .expires_us = m->expires_us};
	bool ok;

	open_original(&n, m->message);
	ok = read_recipients(&n, err) && send_all(&n, err);
	arena_free(&n.mem);
	return ok;
}
