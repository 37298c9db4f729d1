/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <inttypes.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "mail/address.h"
#include "mail/bounce_template.h"
#include "mail/date.h"

enum { WRAP_COLUMN = 79, INDENT = 4 };

static struct str
subject_of(const struct report *r)
{
	const struct bounce_template *t = r->words;

	return r->audience == REPORT_TO_SENDER || t->postmaster_subject.len == 0
		       ? t->subject
		       : t->postmaster_subject;
}

void
report_wrap(struct buf *out, struct str text)
{
	size_t column = 0;
	struct str word;

	while (str_token(&text, " \t\r\n", &word)) {
		if (column > 0 && column + 1 + word.len > WRAP_COLUMN) {
			buf_printf(out, "\n%*s", INDENT, "");
			column = INDENT;
		} else if (column > 0) {
			buf_add_char(out, ' ');
			column++;
		}
		buf_add(out, word);
		column += word.len;
	}
	buf_add_char(out, '\n');
}

static struct str
boundary(struct arena *mem, const struct report *r)
{
	return str_printf(mem, PRI_STR ".%" PRId64 "/" PRI_STR, STR_ARG(r->queue_id),
			  r->now_us / 1000000, STR_ARG(r->boundary_host));
}

static struct str
date_of(struct arena *mem, int64_t us)
{
	return date_format(mem, (time_t)(us / 1000000));
}

static void
add_header(struct arena *mem, struct buf *out, const struct report *r)
{
	buf_printf(out, "From: " PRI_STR "\n", STR_ARG(r->words->from));
	buf_printf(out, "Subject: " PRI_STR "\n", STR_ARG(subject_of(r)));
	buf_printf(out, "To: " PRI_STR "\n", STR_ARG(address_quote_header(mem, r->to)));
	if (r->message_id.len > 0) {
		buf_printf(out, "References: " PRI_STR "\n", STR_ARG(r->message_id));
		buf_printf(out, "In-Reply-To: " PRI_STR "\n", STR_ARG(r->message_id));
	}
	buf_printf(out, "Auto-Submitted: %s\n",
		   r->audience == REPORT_TO_SENDER ? "auto-replied" : "auto-generated");
	buf_add_c(out, "MIME-Version: 1.0\n");
	buf_printf(
		out,
		"Content-Type: multipart/report; report-type=%s;\n\tboundary=\"" PRI_STR
		"\"\n",
		r->utf8 ? "global-delivery-status" : "delivery-status",
		STR_ARG(boundary(mem, r)));
	if (r->is_8bit || r->utf8 || !str_is_ascii(r->words->text))
		buf_add_c(out, "Content-Transfer-Encoding: 8bit\n");
	buf_add_c(out, "\nThis is a MIME-encapsulated message.\n\n");
}

static void
add_part(struct arena *mem, struct buf *out, const struct report *r,
	 const char *description, const char *type, bool text_is_8bit)
{
	buf_printf(out, "--" PRI_STR "\nContent-Description: %s\nContent-Type: %s\n",
		   STR_ARG(boundary(mem, r)), description, type);
	/* A message/delivery-status is always ASCII. */
	if (text_is_8bit || r->utf8 ||
	    (r->is_8bit && !str_starts(str_from(type), STR("message/del"))))
		buf_add_c(out, "Content-Transfer-Encoding: 8bit\n");
	buf_add_char(out, '\n');
}

static bool
has_original(const struct report_recipient *rcpt)
{
	return rcpt->original.len > 0 && !str_ieq(rcpt->original, rcpt->address);
}

/* "<address> (expanded from <original>): reason" */
static void
explain_recipient(struct arena *mem, struct buf *out, const struct report *r,
		  const struct report_recipient *rcpt)
{
	struct str to = address_quote_header(mem, rcpt->address);
	struct str text;

	if (has_original(rcpt))
		text = str_printf(
			mem, "<" PRI_STR "> (expanded from <" PRI_STR ">): " PRI_STR,
			STR_ARG(to), STR_ARG(address_quote_header(mem, rcpt->original)),
			STR_ARG(rcpt->reason));
	else
		text = str_printf(mem, "<" PRI_STR ">: " PRI_STR, STR_ARG(to),
				  STR_ARG(rcpt->reason));
	buf_add_char(out, '\n');
	report_wrap(out, str_printable(mem, text, r->utf8_text));
}

static void
add_explanation(struct arena *mem, struct buf *out, const struct report *r)
{
	const struct bounce_template *t = r->words;
	bool plain = str_ieq(t->charset, STR("us-ascii"));
	struct str charset = plain && r->is_8bit ? STR("utf-8") : t->charset;

	add_part(mem, out, r, "Notification",
		 str_printf(mem, "text/plain; charset=" PRI_STR, STR_ARG(charset)).p,
		 !str_is_ascii(t->text));
	if (r->audience != REPORT_TO_POSTMASTER_UNDELIVERABLE) {
		buf_add(out, t->text);
		if (!str_ends(t->text, STR("\n")))
			buf_add_char(out, '\n');
	}
	for (size_t i = 0; i < r->n_recipients; i++)
		explain_recipient(mem, out, r, &r->recipients[i]);
	buf_add_char(out, '\n');
}

/* Values of machine-readable fields: one line, nothing that could end it. */
static struct str
field_value(struct arena *mem, const struct report *r, struct str value)
{
	return str_printable(mem, value, r->utf8_text);
}

/* What was put off counts as failed once it is given up. */
static struct str
final_action(const struct report *r, const struct report_recipient *rcpt)
{
	return r->kind == REPORT_FAILURE ? STR("failed") : rcpt->action;
}

static void
add_status_of_recipient(struct arena *mem, struct buf *out, const struct report *r,
			const struct report_recipient *rcpt)
{
	const char *type = r->utf8 && !str_is_ascii(rcpt->address) ? "utf-8" : "rfc822";
	struct str original = has_original(rcpt) ? rcpt->original : rcpt->address;

	buf_printf(
		out, "\nFinal-Recipient: %s; " PRI_STR "\n", type,
		STR_ARG(field_value(mem, r, address_quote_header(mem, rcpt->address))));
	if (rcpt->dsn_orcpt.len > 0)
		buf_printf(out, "Original-Recipient: " PRI_STR "\n",
			   STR_ARG(field_value(mem, r, rcpt->dsn_orcpt)));
	else
		buf_printf(out, "Original-Recipient: rfc822;" PRI_STR "\n",
			   STR_ARG(field_value(mem, r,
					       address_quote_header(mem, original))));
	buf_printf(out, "Action: " PRI_STR "\nStatus: " PRI_STR "\n",
		   STR_ARG(final_action(r, rcpt)), STR_ARG(rcpt->dsn));
	if (rcpt->mta_name.len > 0)
		buf_printf(out, "Remote-MTA: dns; " PRI_STR "\n",
			   STR_ARG(field_value(mem, r, rcpt->mta_name)));
	if (rcpt->diag_text.len > 0)
		report_wrap(out,
			    str_printf(mem, "Diagnostic-Code: " PRI_STR "; " PRI_STR,
				       STR_ARG(rcpt->diag_type),
				       STR_ARG(field_value(mem, r, rcpt->diag_text))));
	else
		report_wrap(out, str_printf(mem, "Diagnostic-Code: X-Postfix; " PRI_STR,
					    STR_ARG(field_value(mem, r, rcpt->reason))));
	if (r->kind == REPORT_DELAY && r->expires_us > 0)
		buf_printf(out, "Will-Retry-Until: " PRI_STR "\n",
			   STR_ARG(date_of(mem, r->expires_us)));
}

static void
add_status(struct arena *mem, struct buf *out, const struct report *r)
{
	add_part(mem, out, r, "Delivery report",
		 r->utf8 ? "message/global-delivery-status" : "message/delivery-status",
		 false);
	buf_printf(out, "Reporting-MTA: dns; " PRI_STR "\n", STR_ARG(r->reporting_mta));
	if (r->envelope_id.len > 0)
		buf_printf(out, "Original-Envelope-Id: " PRI_STR "\n",
			   STR_ARG(field_value(mem, r, r->envelope_id)));
	buf_printf(out, "X-Postfix-Queue-ID: " PRI_STR "\n", STR_ARG(r->queue_id));
	buf_printf(out, "X-Postfix-Sender: rfc822; " PRI_STR "\n",
		   STR_ARG(field_value(mem, r, address_quote_header(mem, r->sender))));
	if (r->arrival_us > 0)
		buf_printf(out, "Arrival-Date: " PRI_STR "\n",
			   STR_ARG(date_of(mem, r->arrival_us)));
	for (size_t i = 0; i < r->n_recipients; i++)
		add_status_of_recipient(mem, out, r, &r->recipients[i]);
	buf_add_char(out, '\n');
}

/* Head of the part with the original, and the line that tells its envelope sender. */
static void
add_original(struct arena *mem, struct buf *out, const struct report *r)
{
	bool failed = r->kind == REPORT_FAILURE || r->kind == REPORT_DELAY;
	const char *type;

	if (r->headers_only)
		type = r->utf8 ? "message/global-headers" : "text/rfc822-headers";
	else
		type = r->utf8 ? "message/global" : "message/rfc822";
	add_part(mem, out, r,
		 r->headers_only
			 ? (failed ? "Undelivered Message Headers" : "Message Headers")
			 : (failed ? "Undelivered Message" : "Message"),
		 type, false);
	buf_printf(out, "Return-Path: <" PRI_STR ">\n",
		   STR_ARG(address_quote_header(mem, r->sender)));
}

void
report_begin(struct arena *mem, struct buf *out, const struct report *r)
{
	add_header(mem, out, r);
	add_explanation(mem, out, r);
	add_status(mem, out, r);
	add_original(mem, out, r);
}

void
report_end(struct arena *mem, struct buf *out, const struct report *r)
{
	buf_printf(out, "\n--" PRI_STR "--\n", STR_ARG(boundary(mem, r)));
}
