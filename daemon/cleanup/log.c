/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"

#include "mail/address.h"

#include "cleanup.h"

enum { LOGGED_CONTENT_MAX = 200, LINE_MAX_BYTES = 16384 };

void
log_message_id(struct log *log, struct str id, struct str value)
{
	log_info(log, PRI_STR ": message-id=" PRI_STR, STR_ARG(id), STR_ARG(value));
}

void
log_resent_message_id(struct log *log, struct str id, struct str value)
{
	log_info(log, PRI_STR ": resent-message-id=" PRI_STR, STR_ARG(id),
		 STR_ARG(value));
}

void
log_hops(struct log *log, struct str id)
{
	log_warning(log, PRI_STR ": message rejected: hopcount exceeded", STR_ARG(id));
}

void
log_multiple(struct log *log, struct str id, const char *parameter, struct str address)
{
	log_warning(log, PRI_STR ": multi-valued %s entry for " PRI_STR, STR_ARG(id),
		    parameter, STR_ARG(address));
}

void
log_table_problem(struct log *log, struct str id, const char *text)
{
	log_warning(log, PRI_STR ": %s -- message not accepted, try again later",
		    STR_ARG(id), text);
}

void
log_too_large(struct log *log, struct str id)
{
	log_warning(log, PRI_STR ": queue file size limit exceeded", STR_ARG(id));
}

void
log_write_error(struct log *log, struct str id, const char *text)
{
	log_warning(log, PRI_STR ": write queue file: %s", STR_ARG(id), text);
}

void
log_bad_client(struct log *log, struct str id, struct str text)
{
	log_warning(log, PRI_STR ": " PRI_STR " -- discarding this message", STR_ARG(id),
		    STR_ARG(text));
}

static void
add_envelope(struct buf *out, struct arena *mem, const struct message *m)
{
	if (m->has_sender)
		buf_printf(out, " from=<" PRI_STR ">",
			   STR_ARG(address_quote_header(mem, m->sender)));
	if (m->last_recipient.len > 0)
		buf_printf(out, " to=<" PRI_STR ">",
			   STR_ARG(address_quote_header(mem, m->last_recipient)));
}

static struct str
origin_of(const struct message *m)
{
	return m->origin.len > 0 ? m->origin : STR("local");
}

void
log_check(struct log *log, const struct message *m, const char *action, const char *what,
	  struct str content, struct str text)
{
	struct arena *mem = arena_new();
	struct buf *out = buf_new(mem, LINE_MAX_BYTES);

	buf_printf(out, PRI_STR ": %s: %s " PRI_STR " from " PRI_STR ";", STR_ARG(m->id),
		   action, what, STR_ARG(str_head(content, LOGGED_CONTENT_MAX)),
		   STR_ARG(origin_of(m)));
	add_envelope(out, mem, m);
	if (m->proto.len > 0)
		buf_printf(out, " proto=" PRI_STR, STR_ARG(m->proto));
	if (m->helo.len > 0)
		buf_printf(out, " helo=<" PRI_STR ">", STR_ARG(m->helo));
	if (text.len > 0)
		buf_printf(out, ": " PRI_STR, STR_ARG(text));
	log_info(log, "%s", out->p);
	arena_free(&mem);
}

void
log_mime_problem(struct log *log, const struct message *m, const char *problem,
		 struct str where)
{
	struct arena *mem = arena_new();
	struct buf *out = buf_new(mem, LINE_MAX_BYTES);

	buf_printf(out, PRI_STR ": reject: mime-error %s: " PRI_STR " from " PRI_STR ";",
		   STR_ARG(m->id), problem, STR_ARG(str_head(where, LOGGED_CONTENT_MAX)),
		   STR_ARG(origin_of(m)));
	add_envelope(out, mem, m);
	log_info(log, "%s", out->p);
	arena_free(&mem);
}

void
log_bounced(struct log *log, struct str id, struct str to, struct str original,
	    struct str delay, const char *dsn, const char *text)
{
	struct arena *mem = arena_new();
	struct str orig = STR_EMPTY;

	if (original.len > 0 && !str_ieq(original, to))
		orig = str_printf(mem, " orig_to=<" PRI_STR ">,",
				  STR_ARG(address_quote_header(mem, original)));
	log_info(log,
		 PRI_STR ": to=<" PRI_STR ">," PRI_STR " relay=none, delay=" PRI_STR
			 ", delays=" PRI_STR "/0/0/0, dsn=%s, status=bounced (%s)",
		 STR_ARG(id), STR_ARG(address_quote_header(mem, to)), STR_ARG(orig),
		 STR_ARG(delay), STR_ARG(delay), dsn, text);
	arena_free(&mem);
}

void
log_milter(struct log *log, struct str id, const char *what,
	   const struct log_milter *about, struct str text)
{
	struct arena *mem = arena_new();
	struct buf *out = buf_new(mem, LINE_MAX_BYTES);

	buf_printf(out, PRI_STR ": %s: %s from " PRI_STR "[" PRI_STR "]: " PRI_STR,
		   STR_ARG(id), what, about->stage, STR_ARG(about->client_name),
		   STR_ARG(about->client_address),
		   STR_ARG(str_printable(mem, text, false)));
	buf_printf(out, "; from=<" PRI_STR ">", STR_ARG(about->sender));
	if (about->recipient.len > 0)
		buf_printf(out, " to=<" PRI_STR ">", STR_ARG(about->recipient));
	if (about->protocol.len > 0)
		buf_printf(out, " proto=" PRI_STR, STR_ARG(about->protocol));
	if (about->helo.len > 0)
		buf_printf(out, " helo=<" PRI_STR ">", STR_ARG(about->helo));
	log_info(log, "%s", out->p);
	arena_free(&mem);
}

void
log_milter_recipient(struct log *log, struct str id)
{
	log_warning(log,
		    PRI_STR ": milter configuration error: can't reject recipient in "
			    "non-smtpd(8) submission",
		    STR_ARG(id));
	log_warning(log, PRI_STR ": message not accepted, try again later", STR_ARG(id));
}
