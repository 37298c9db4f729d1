/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/buf.h"

#include "mail/address.h"

#include "access/access.h"
#include "access/eval_internal.h"

enum { LINE_MAX_BYTES = 4096 };

const char *
access_phase_name(enum access_phase phase)
{
	switch (phase) {
	case ACCESS_CONNECT:
		return "CONNECT";
	case ACCESS_HELO:
		return "HELO";
	case ACCESS_EHLO:
		return "EHLO";
	case ACCESS_MAIL:
		return "MAIL";
	case ACCESS_RCPT:
		return "RCPT";
	case ACCESS_DATA:
		return "DATA";
	case ACCESS_END_OF_MESSAGE:
		return "END-OF-MESSAGE";
	case ACCESS_VRFY:
		return "VRFY";
	case ACCESS_ETRN:
		return "ETRN";
	case ACCESS_UNKNOWN:
		return "UNKNOWN";
	}
	return "unknown";
}

const char *
access_verdict_name(enum access_verdict verdict)
{
	switch (verdict) {
	case ACCESS_VERDICT_NONE:
		return "goes on";
	case ACCESS_VERDICT_PERMIT:
		return "permit";
	case ACCESS_VERDICT_REJECT:
		return "reject";
	case ACCESS_VERDICT_SKIPPED:
		return "skipped";
	case ACCESS_VERDICT_LATER:
		return "noted";
	case ACCESS_VERDICT_WARNED:
		return "warned";
	case ACCESS_VERDICT_EFFECT:
		return "effect";
	case ACCESS_VERDICT_LIST:
		return "list";
	case ACCESS_VERDICT_ERROR:
		return "error";
	case ACCESS_VERDICT_POSTPONED:
		return "postponed";
	}
	return "unknown";
}

struct str
eval_client_text(struct arena *mem, const struct access_request *request)
{
	if (request->client_text.len > 0)
		return request->client_text;
	return str_printf(mem, PRI_STR "[" PRI_STR "]", STR_ARG(request->client_name),
			  STR_ARG(request->client_address));
}

struct str
access_log_line(struct arena *mem, const struct access_request *request,
		enum access_phase phase, const char *what, struct str text)
{
	struct buf *b = buf_new(mem, LINE_MAX_BYTES);
	struct str id = request->queue_id.len > 0 ? request->queue_id : STR("NOQUEUE");

	buf_printf(b, PRI_STR ": %s: %s from " PRI_STR ": " PRI_STR ";", STR_ARG(id),
		   what, access_phase_name(phase),
		   STR_ARG(eval_client_text(mem, request)),
		   STR_ARG(str_head(text, ACCESS_REPLY_MAX)));
	if (request->has_sender)
		buf_printf(b, " from=<" PRI_STR ">",
			   STR_ARG(address_quote_header(mem, request->sender)));
	if (request->has_recipient)
		buf_printf(b, " to=<" PRI_STR ">",
			   STR_ARG(address_quote_header(mem, request->recipient)));
	if (request->protocol.len > 0)
		buf_printf(b, " proto=" PRI_STR, STR_ARG(request->protocol));
	if (request->has_helo)
		buf_printf(b, " helo=<" PRI_STR ">", STR_ARG(request->helo));
	return buf_str(b);
}
