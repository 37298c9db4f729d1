/* SPDX-License-Identifier: Apache-2.0 */
#include "transcript.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "config/value.h"
#include "daemon/daemon.h"
#include "daemon/submit.h"
#include "mail/address.h"

#include "log.h"
#include "session.h"

/* Lines are folded at this width, further lines of one are indented. */
enum { FOLD_WIDTH = 78, FOLD_INDENT = 4 };

/* ---- classes ---- */

enum {
	CLASS_PROTOCOL = 1 << 0,
	CLASS_POLICY = 1 << 1,
	CLASS_RESOURCE = 1 << 2,
	CLASS_SOFTWARE = 1 << 3,
	CLASS_DATA = 1 << 4,
	CLASS_OTHER = 1 << 5, /* not about sessions */
};

static const struct {
	const char *name;
	unsigned bit;
} class_names[] = {
	{"protocol", CLASS_PROTOCOL}, {"policy", CLASS_POLICY},
	{"resource", CLASS_RESOURCE}, {"software", CLASS_SOFTWARE},
	{"data", CLASS_DATA},         {"bounce", CLASS_OTHER},
	{"2bounce", CLASS_OTHER},     {"delay", CLASS_OTHER},
};

bool
transcript_settings(struct smtpd *smtpd, struct err *err)
{
	struct str rest = smtpd->notices.notify_classes;
	struct str name;

	smtpd->notify = 0;
	while (list_next(&rest, &name)) {
		unsigned bit = 0;

		for (size_t i = 0; i < ARRAY_LEN(class_names); i++) {
			if (str_ieq(name, str_from(class_names[i].name)))
				bit = class_names[i].bit;
		}
		if (bit == 0)
			return err_set(err, ERR_CONFIG,
				       "unknown notify_classes value \"" PRI_STR "\"",
				       STR_ARG(name));
		smtpd->notify |= bit & ~(unsigned)CLASS_OTHER;
	}
	return true;
}

/* What a reply of our own tells about the error; the first row that it begins with. Those
 * of access lists bring their class with them. */
static const struct {
	const char *reply;
	unsigned class;
} reply_classes[] = {
	{"452 4.3.1 ", CLASS_RESOURCE},
	{"451 4.3.0 Error: queue file write error", CLASS_RESOURCE},
	{"451 4.3.5 ", CLASS_SOFTWARE},
	{"452 4.5.3 ", CLASS_POLICY},
	{"552 5.3.4 Message size", CLASS_POLICY},
	{"550 5.7.0 ", CLASS_POLICY},
	{"503 5.5.1 Error: send HELO/EHLO first", CLASS_POLICY},
	{"502 5.5.1 VRFY ", CLASS_POLICY},
	{"538 ", CLASS_POLICY},
	{"500 ", CLASS_PROTOCOL},
	{"501 ", CLASS_PROTOCOL},
	{"502 ", CLASS_PROTOCOL},
	{"503 ", CLASS_PROTOCOL},
	{"504 ", CLASS_PROTOCOL},
	{"555 ", CLASS_PROTOCOL},
};

static unsigned
class_of_reply(struct str reply)
{
	for (size_t i = 0; i < ARRAY_LEN(reply_classes); i++) {
		if (str_starts(reply, str_from(reply_classes[i].reply)))
			return reply_classes[i].class;
	}
	return 0;
}

static unsigned
class_of_answer(const struct access_answer *answer)
{
	switch (answer->class) {
	case ACCESS_POLICY:
		return CLASS_POLICY;
	case ACCESS_RESOURCE:
		return CLASS_RESOURCE;
	case ACCESS_SOFTWARE:
		return CLASS_SOFTWARE;
	case ACCESS_DATA_ERROR:
		return CLASS_DATA;
	}
	return 0;
}

/* ---- keeping ---- */

void
transcript_begin(struct session *s)
{
	buf_init(&s->transcript.text, TRANSCRIPT_BYTES);
}

static void
add(struct session *s, const char *who, struct str line)
{
	struct transcript *t = &s->transcript;

	if (s->smtpd->notify == 0)
		return;
	t->lines++;
	if (t->text.len + line.len + FOLD_WIDTH > TRANSCRIPT_BYTES) {
		t->dropped++;
		return;
	}
	buf_add_c(&t->text, who);
	buf_add(&t->text, line);
	buf_add_char(&t->text, '\n');
}

void
transcript_command(struct session *s, struct str line)
{
	struct str rest = line;
	struct str verb = STR_EMPTY;
	struct str mechanism = STR_EMPTY;

	if (str_token(&rest, " \t", &verb) && str_ieq(verb, STR("AUTH")) &&
	    str_token(&rest, " \t", &mechanism) && str_trim(rest).len > 0)
		line = str_printf(s->now, PRI_STR " " PRI_STR " ****", STR_ARG(verb),
				  STR_ARG(mechanism));
	add(s, "In:  ", line);
}

void
transcript_secret(struct session *s)
{
	add(s, "In:  ", STR("****"));
}

void
transcript_reply(struct session *s, struct str reply, const struct access_answer *answer)
{
	struct str rest = reply;
	struct str line;

	s->transcript.errors |=
		answer != NULL ? class_of_answer(answer) : class_of_reply(reply);
	while (str_line(&rest, &line))
		add(s, "Out: ", line);
}

/* ---- telling ---- */

/* As many words as fit, without the blanks around them: a word that is too long goes on a
 * line of its own. */
static struct str
fold(struct str *text, size_t width)
{
	struct str line = *text;
	size_t end = line.len;

	if (line.len > width) {
		end = 0;
		for (size_t i = 0; i < line.len && (i <= width || end == 0); i++) {
			if (line.p[i] == ' ' && i > 0)
				end = i;
		}
		end = end == 0 ? line.len : end;
	}
	*text = str_trim_left(str_skip(line, end));
	return str_trim_right(str_head(line, end));
}

static void
send_line(struct submission *to, struct arena *mem, struct str line)
{
	struct str rest = str_printable(mem, line, true);
	const char *indent = " ";
	size_t width = FOLD_WIDTH;

	while (rest.len > 0) {
		struct str part = fold(&rest, width);

		submit_line(to, str_printf(mem, "%s" PRI_STR, indent, STR_ARG(part)),
			    true);
		indent = "     ";
		width = FOLD_WIDTH - FOLD_INDENT;
	}
}

static void
write_letter(struct session *s, struct submission *to, const char *reason)
{
	const struct transcript *t = &s->transcript;
	struct arena *mem = to->mem;
	struct str rest = buf_str(&t->text);
	time_t now_s = (time_t)(sys_now_us() / 1000000);
	struct str line;

	submit_trace(to, &s->smtpd->common, now_s);
	submit_date(to, now_s);
	submit_text(to, str_printf(mem,
				   "From: Mail Delivery System <MAILER-DAEMON>\n"
				   "To: Postmaster <" PRI_STR ">\n"
				   "Subject: " PRI_STR
				   " SMTP server: errors from " PRI_STR "\n\n"
				   "Transcript of session follows.\n\n",
				   STR_ARG(s->smtpd->notices.error_notice_recipient),
				   STR_ARG(s->smtpd->common.mail_name),
				   STR_ARG(s->peer.text)));
	while (str_line(&rest, &line))
		send_line(to, mem, line);
	if (t->dropped > 0)
		submit_line(to, str_printf(mem, " (%zu more lines)", t->dropped), true);
	submit_line(to, STR_EMPTY, true);
	if (reason != NULL)
		submit_line(to, str_printf(mem, "Session aborted, reason: %s", reason),
			    true);
	submit_line(to, STR_EMPTY, true);
	submit_line(to, STR("For other details, see the local mail logfile"), true);
}

static void
tell(struct session *s, const char *reason)
{
	const struct smtpd *d = s->smtpd;
	struct arena *mem = arena_new();
	struct submission to = {
		.daemon = d->daemon,
		.mem = mem,
		.filtered =
			list_has(d->notices.internal_mail_filter_classes, STR("notify"))};
	struct str sender =
		address_join(mem, d->common.double_bounce_sender, d->common.myorigin);
	struct err err;
	bool ok = submit_begin(&to, sender, d->notices.error_notice_recipient,
			       (int)d->common.ipc_timeout, &err);

	if (ok) {
		write_letter(s, &to, reason);
		ok = submit_end(&to, &err);
	}
	if (!ok)
		log_warning(d->daemon->log, "postmaster notify: %s", err.text);
	arena_free(&mem);
}

static void
flush(struct session *s, const char *reason)
{
	struct transcript *t = &s->transcript;

	/* As sendmail's caller reads all replies, it needs no letter. */
	if ((t->errors & s->smtpd->notify) != 0 && !s->smtpd->daemon->stand_alone)
		tell(s, reason);
	buf_clear(&t->text);
	t->lines = t->dropped = 0;
	t->errors = 0;
}

void
transcript_turn(struct session *s)
{
	if ((int64_t)s->transcript.lines > s->smtpd->config.smtpd_history_flush_threshold)
		flush(s, NULL);
}

void
transcript_end(struct session *s, const char *reason)
{
	flush(s, reason);
	buf_release(&s->transcript.text);
}
