/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"

#include "smtp/server_command.h"

#include "session.h"

enum { LINE_MAX_BYTES = 2000, LOGGED_TEXT_MAX = 100, LONG_LINE_SHOWN = 30 };

void
log_connect(struct log *log, struct str who, struct str port)
{
	log_info(log, "connect from " PRI_STR "%s" PRI_STR, STR_ARG(who),
		 port.len > 0 ? ":" : "", STR_ARG(port));
}

static void
add_count(struct buf *out, const char *name, const struct command_count *count)
{
	struct buf *b = out;

	buf_add_char(b, ' ');
	for (const char *p = name; *p != '\0'; p++)
		buf_add_char(b, char_lower(*p));
	buf_printf(b, "=%u", count->ok);
	if (count->ok != count->total)
		buf_printf(b, "/%u", count->total);
}

void
log_disconnect(struct log *log, struct str who, struct str port,
	       const struct command_count *counts, bool bare_lf)
{
	struct command_count all = {0, 0};
	struct buf text;

	buf_init(&text, LINE_MAX_BYTES);
	for (size_t i = 0; i <= SMTP_VERBS; i++) {
		if (counts[i].total == 0)
			continue;
		add_count(&text, smtp_verb_name((enum smtp_verb)i), &counts[i]);
		all.ok += counts[i].ok;
		all.total += counts[i].total;
	}
	if (all.total == 0)
		buf_add_c(&text, " commands=0/0");
	else
		add_count(&text, "commands", &all);
	log_info(log, "disconnect from " PRI_STR "%s" PRI_STR "%s%s", STR_ARG(who),
		 port.len > 0 ? ":" : "", STR_ARG(port), text.p,
		 bare_lf ? " notes=bare_lf" : "");
	buf_release(&text);
}

/* ", name=value" where there is a value. */
static void
add_field(struct buf *out, const char *name, struct str value)
{
	if (value.len > 0)
		buf_printf(out, ", %s=" PRI_STR, name, STR_ARG(value));
}

void
log_client(struct log *log, struct str id, struct str who, struct str sasl_method,
	   struct str sasl_username, struct str sasl_sender, struct str orig_id,
	   struct str orig_client)
{
	struct buf text;

	buf_init(&text, LINE_MAX_BYTES);
	buf_printf(&text, PRI_STR ": client=" PRI_STR, STR_ARG(id), STR_ARG(who));
	add_field(&text, "sasl_method", sasl_method);
	add_field(&text, "sasl_username", sasl_username);
	add_field(&text, "sasl_sender", sasl_sender);
	add_field(&text, "orig_queue_id", orig_id);
	add_field(&text, "orig_client", orig_client);
	log_info(log, "%s", text.p);
	buf_release(&text);
}

void
log_auth_failed(struct log *log, struct str who, struct str method, struct str reason,
		struct str user)
{
	struct str shown = str_head(method, LOGGED_TEXT_MAX);

	log_warning(log,
		    PRI_STR ": SASL " PRI_STR " authentication failed: " PRI_STR
			    ", sasl_username=" PRI_STR,
		    STR_ARG(who), STR_ARG(shown), STR_ARG(reason),
		    STR_ARG(str_head(user, LOGGED_TEXT_MAX)));
}

void
log_auth_aborted(struct log *log, struct str who, struct str method)
{
	log_warning(log, PRI_STR ": SASL " PRI_STR " authentication aborted",
		    STR_ARG(who), STR_ARG(str_head(method, LOGGED_TEXT_MAX)));
}

void
log_end(struct log *log, const char *reason, const char *where, int64_t bytes,
	struct str who)
{
	if (bytes >= 0)
		log_info(log, "%s after %s (%" PRId64 " bytes) from " PRI_STR, reason,
			 where, bytes, STR_ARG(who));
	else
		log_info(log, "%s after %s from " PRI_STR, reason, where, STR_ARG(who));
}

/* As in a C string: what does not print becomes \r, \n, \0ab and so on. */
static struct str
escape(struct arena *mem, struct str text)
{
	struct buf *out = buf_new(mem, LINE_MAX_BYTES);
	static const char letters[] = "a\ab\bf\fn\nr\rt\tv\v\\\\";

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];
		const char *l = letters;

		while (*l != '\0' && l[1] != c)
			l += 2;
		if (*l != '\0')
			buf_printf(out, "\\%c", *l);
		else if (char_is_print(c))
			buf_add_char(out, c);
		else
			buf_printf(out, "\\%03o", (unsigned)(unsigned char)c);
	}
	return buf_str(out);
}

void
log_pipelining(struct log *log, const char *where, struct str who, struct str text)
{
	struct arena *mem = arena_new();
	struct str shown = escape(mem, str_head(text, LOGGED_TEXT_MAX));

	log_info(log, "improper command pipelining after %s from " PRI_STR ": " PRI_STR,
		 where, STR_ARG(who), STR_ARG(shown));
	arena_free(&mem);
}

void
log_forbidden(struct log *log, struct str who, struct str text)
{
	struct arena *mem = arena_new();
	struct str shown = escape(mem, str_head(text, LOGGED_TEXT_MAX));

	log_warning(log, "non-SMTP command from " PRI_STR ": " PRI_STR, STR_ARG(who),
		    STR_ARG(shown));
	arena_free(&mem);
}

void
log_long_line(struct log *log, struct str who, size_t limit, struct str text)
{
	struct str shown = str_head(text, LONG_LINE_SHOWN);

	log_warning(log, PRI_STR ": request longer than %zu: " PRI_STR "...",
		    STR_ARG(who), limit, STR_ARG(shown));
}

void
log_illegal_address(struct log *log, struct str who, const char *command, struct str text)
{
	log_warning(log,
		    "Illegal address syntax from " PRI_STR " in %s command: " PRI_STR,
		    STR_ARG(who), command, STR_ARG(text));
}

void
log_forged_name(struct log *log, struct str name, struct str address, const char *why)
{
	log_warning(log,
		    "hostname " PRI_STR " does not resolve to address " PRI_STR "%s%s",
		    STR_ARG(name), STR_ARG(address), why[0] != '\0' ? ": " : "", why);
}

void
log_discarding(struct log *log, struct str keywords)
{
	log_info(log, "discarding EHLO keywords: " PRI_STR, STR_ARG(keywords));
}

void
log_etrn_refused(struct log *log, struct str domain, struct str who)
{
	struct str shown = str_head(domain, LOGGED_TEXT_MAX);

	log_warning(log, "reject: ETRN " PRI_STR "... from " PRI_STR, STR_ARG(shown),
		    STR_ARG(who));
}

void
log_bdat(struct log *log, struct str id, const char *what, struct str who,
	 struct str text)
{
	log_warning(log, PRI_STR ": %s from " PRI_STR "%s" PRI_STR,
		    STR_ARG(id.len > 0 ? id : STR("NOQUEUE")), what, STR_ARG(who),
		    text.len > 0 ? ": " : "", STR_ARG(str_head(text, LOGGED_TEXT_MAX)));
}

void
log_bdat_size(struct log *log, struct str id, struct str who)
{
	log_warning(log,
		    PRI_STR ": BDAT request from " PRI_STR " exceeds message size limit",
		    STR_ARG(id.len > 0 ? id : STR("NOQUEUE")), STR_ARG(who));
}

void
log_size(struct log *log, struct str id)
{
	log_warning(log, PRI_STR ": queue file size limit exceeded", STR_ARG(id));
}

void
log_space(struct log *log, int64_t bytes)
{
	log_warning(log,
		    "not enough free space in mail queue: %" PRId64
		    " bytes < 1.5*message size limit",
		    bytes);
}

void
log_proxy(struct log *log, const char *why, struct str text)
{
	struct arena *mem = arena_new();
	struct str shown = escape(mem, str_head(text, LOGGED_TEXT_MAX));

	log_warning(log, "haproxy read: %s%s" PRI_STR, why, shown.len > 0 ? ": " : "",
		    STR_ARG(shown));
	arena_free(&mem);
}

void
log_cleanup(struct log *log, struct str id, const char *why)
{
	log_warning(log, PRI_STR ": %s", STR_ARG(id.len > 0 ? id : STR("NOQUEUE")), why);
}
