/* SPDX-License-Identifier: Apache-2.0 */
/* One milter: connecting, agreeing, one exchange. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "fiber/loop.h"
#include "fiber/stream.h"

#include "milter/milter_internal.h"

enum { UNAVAILABLE_TEXT_MAX = 200 };

const struct milter_event milter_connect_event = {
	.letter = 'C',
	.stage = MILTER_STAGE_CONNECT,
	.off = MILTER_NO_CONNECT,
	.silent = MILTER_NOREPLY_CONNECT,
	.is_connection = true,
};
const struct milter_event milter_helo_event = {
	.letter = 'H',
	.stage = MILTER_STAGE_HELO,
	.off = MILTER_NO_HELO,
	.silent = MILTER_NOREPLY_HELO,
	.is_connection = true,
};
const struct milter_event milter_mail_event = {
	.letter = 'M',
	.stage = MILTER_STAGE_MAIL,
	.off = MILTER_NO_MAIL,
	.silent = MILTER_NOREPLY_MAIL,
};
const struct milter_event milter_rcpt_event = {
	.letter = 'R',
	.stage = MILTER_STAGE_RCPT,
	.off = MILTER_NO_RCPT,
	.silent = MILTER_NOREPLY_RCPT,
};
const struct milter_event milter_data_event = {
	.letter = 'T',
	.stage = MILTER_STAGE_DATA,
	.off = MILTER_NO_DATA,
	.silent = MILTER_NOREPLY_DATA,
};
const struct milter_event milter_unknown_event = {
	.letter = 'U',
	.stage = MILTER_STAGE_UNKNOWN,
	.off = MILTER_NO_UNKNOWN,
	.silent = MILTER_NOREPLY_UNKNOWN,
};
const struct milter_event milter_header_event = {
	.letter = 'L',
	.stage = MILTER_STAGE_END_OF_HEADER,
	.off = MILTER_NO_HEADERS,
	.silent = MILTER_NOREPLY_HEADER,
	.is_content = true,
};
const struct milter_event milter_end_of_header_event = {
	.letter = 'N',
	.stage = MILTER_STAGE_END_OF_HEADER,
	.off = MILTER_NO_END_OF_HEADER,
	.silent = MILTER_NOREPLY_END_OF_HEADER,
	.is_content = true,
};
const struct milter_event milter_body_event = {
	.letter = 'B',
	.stage = MILTER_STAGE_END_OF_MESSAGE,
	.off = MILTER_NO_BODY,
	.silent = MILTER_NOREPLY_BODY,
	.is_content = true,
};
const struct milter_event milter_end_event = {
	.letter = 'E',
	.stage = MILTER_STAGE_END_OF_MESSAGE,
	.is_content = true,
};

/* ---- failures ---- */

static void PRINTF_LIKE(2, 0) warn_list(struct milter *m, const char *format, va_list ap)
{
	const struct milter_world *w = m->all->world;
	struct arena *mem = arena_new();
	struct str text = str_vprintf(mem, format, ap);

	w->warn(w->arg, str_printf(mem, "milter " PRI_STR ": " PRI_STR,
				   STR_ARG(m->setting->text), STR_ARG(text)));
	arena_free(&mem);
}

void
milter_warn(struct milter *m, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	warn_list(m, format, ap);
	va_end(ap);
}

static struct milter_answer
default_action(const struct milter *m, const char *reject, const char *tempfail)
{
	switch (m->setting->failure) {
	case MILTER_FAIL_ACCEPT:
		break;
	case MILTER_FAIL_REJECT:
		return (struct milter_answer){MILTER_REFUSE, str_from(reject)};
	case MILTER_FAIL_TEMPFAIL:
		return (struct milter_answer){MILTER_REFUSE, str_from(tempfail)};
	case MILTER_FAIL_QUARANTINE:
		return (struct milter_answer){MILTER_HOLD, STR_EMPTY};
	case MILTER_FAIL_SHUTDOWN:
		return (struct milter_answer){MILTER_SHUTDOWN, STR_EMPTY};
	}
	return (struct milter_answer){MILTER_CONTINUE, STR_EMPTY};
}

/* Another process may hold the connection, too: end it for all. */
static void
hang_up(struct milter *m)
{
	if (m->stream == NULL)
		return;
	stream_discard_output(m->stream);
	IGNORE(stream_shutdown(m->stream, SHUT_RDWR) == STREAM_OK);
	stream_close(&m->stream);
}

static struct milter_answer
failed(struct milter *m)
{
	hang_up(m);
	m->state = MILTER_FAILED;
	m->standing = default_action(m, "550 5.5.0 Service unavailable",
				     "451 4.7.1 Service unavailable - try again later");
	return m->standing;
}

struct milter_answer
milter_fail(struct milter *m, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	warn_list(m, format, ap);
	va_end(ap);
	return failed(m);
}

struct milter_answer
milter_misconfigured(struct milter *m, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	warn_list(m, format, ap);
	va_end(ap);
	IGNORE(failed(m).verdict == MILTER_CONTINUE);
	m->standing = default_action(
		m, "550 5.3.5 Server configuration error",
		"451 4.3.5 Server configuration problem - try again later");
	return m->standing;
}

struct milter_answer
milter_unexpected(struct milter *m, const struct milter_event *event, char letter)
{
	return milter_fail(m, "unexpected filter response %s after event %s",
			   milter_reply_name(letter), milter_command_name(event->letter));
}

/* ---- bytes ---- */

static const char *
why_not(struct stream *s, enum stream_status status)
{
	return status == STREAM_ERROR ? strerror(stream_errno(s))
				      : stream_status_name(status);
}

static void
set_time(struct milter *m, int64_t ms)
{
	struct loop *loop = stream_loop(m->stream);

	if (loop != NULL)
		stream_set_deadline_ms(m->stream, loop_now_ms(loop) + ms);
}

static int64_t
time_of(const struct milter *m, const struct milter_event *event)
{
	return event->is_content ? m->setting->content_ms : m->setting->command_ms;
}

static bool
receive(struct milter *m, const char *after, char *letter_out, struct str *data_out,
	struct milter_answer *answer_out)
{
	struct buf *in = m->all->in;
	enum stream_status status;
	char head[MILTER_HEAD_BYTES];
	size_t length;

	status = stream_read_exact(m->stream, head, sizeof(head));
	if (status != STREAM_OK) {
		*answer_out = milter_fail(m, "can't read %s reply packet header: %s",
					  after, why_not(m->stream, status));
		return false;
	}
	length = milter_packet_length(head);
	if (length == 0) {
		uint32_t told = milter_number(head);

		*answer_out = told == 0 ? milter_fail(m, "bad packet length: 0")
					: milter_fail(m,
						      "unreasonable packet length: %u > "
						      "%d",
						      told, MILTER_PACKET_MAX);
		return false;
	}
	buf_clear(in);
	status = stream_read_exact(m->stream, buf_reserve(in, length), length);
	if (status != STREAM_OK) {
		*answer_out = milter_fail(m, "EOF while reading data: %s",
					  why_not(m->stream, status));
		return false;
	}
	buf_commit(in, length);
	*letter_out = in->p[0];
	*data_out = str_skip(buf_str(in), 1);
	return true;
}

bool
milter_read_packet(struct milter *m, const struct milter_event *event, char *letter_out,
		   struct str *data_out, struct milter_answer *answer_out)
{
	set_time(m, time_of(m, event));
	return receive(m, milter_command_name(event->letter), letter_out, data_out,
		       answer_out);
}

bool
milter_send_out(struct milter *m, const struct milter_event *event,
		struct milter_answer *answer_out)
{
	struct buf *out = m->all->out;
	enum stream_status status;
	const char *name = milter_command_name(event->letter);

	if (!buf_ok(out)) {
		*answer_out = milter_fail(m, "%s is too long", name);
		return false;
	}
	set_time(m, time_of(m, event));
	status = stream_write(m->stream, buf_str(out));
	if (status == STREAM_OK)
		return true;
	*answer_out = milter_fail(m, "can't read %s reply packet header: %s", name,
				  why_not(m->stream, status));
	return false;
}

/* ---- options ---- */

static bool
connect_to(struct milter *m, struct arena *mem, struct milter_answer *answer_out)
{
	const struct milter_world *w = m->all->world;
	struct err err;

	if (w->open != NULL) {
		m->stream = w->open(w->arg, (size_t)(m - m->all->list));
	} else if (!server_name_connect(w->loop, mem, w->dns, &m->setting->server,
					m->setting->connect_ms, &m->stream, &err)) {
		m->stream = NULL;
		w->warn(w->arg,
			str_printf(mem, "connect to Milter service " PRI_STR ": %s",
				   STR_ARG(m->setting->text),
				   err.errnum != 0 ? strerror(err.errnum) : err.text));
	}
	if (m->stream != NULL)
		return true;
	*answer_out = failed(m);
	return false;
}

static uint32_t
offered_flags(const struct milter *m)
{
	return milter_version_flags(m->setting->version) |
	       (m->setting->no_header_reply ? (uint32_t)MILTER_NOREPLY_HEADER : 0u);
}

static bool
check_options(struct milter *m, const struct milter_options *o,
	      struct milter_answer *answer_out)
{
	uint32_t flags = offered_flags(m);

	if (o->version > (uint32_t)m->setting->version) {
		*answer_out = milter_fail(
			m, "protocol version %u conflict with MTA protocol version %d",
			o->version, m->setting->version);
		return false;
	}
	if ((o->actions & ~(uint32_t)MILTER_ACTIONS) != 0) {
		*answer_out =
			milter_fail(m,
				    "request mask 0x%x conflict with MTA request mask "
				    "0x%x",
				    o->actions, (unsigned)MILTER_ACTIONS);
		return false;
	}
	if (o->version < MILTER_VERSION_MIN)
		milter_warn(m, "unexpected protocol version %u", o->version);
	if (o->has_unknown_stage)
		milter_warn(m, "ignoring unknown macro type %u", o->unknown_stage);
	m->version = (int)o->version;
	m->actions = o->actions;
	m->flags =
		(o->flags & flags) | milter_version_lacks(m->setting->version) |
		(o->version < MILTER_VERSION_MIN ? 0u
						 : milter_version_lacks((int)o->version));
	return true;
}

static void
take_names(struct milter *m, const struct milter_options *o)
{
	for (size_t i = 0; i < MILTER_STAGES; i++)
		m->names[i] = m->all->settings->stage_macros[i];
	for (size_t i = 0; i < MILTER_SYMBOL_LISTS; i++)
		if (o->has_macros[i] && o->macros[i].len > 0)
			m->names[i] = str_dup(m->all->connection, o->macros[i]);
}

static bool
agree(struct milter *m, struct milter_answer *answer_out)
{
	struct buf *out = m->all->out;
	struct milter_options options;
	struct str data;
	char letter;
	size_t mark;

	buf_clear(out);
	mark = milter_packet_begin(out, 'O');
	milter_put_number(out, (uint32_t)m->setting->version);
	milter_put_number(out, MILTER_ACTIONS);
	milter_put_number(out, offered_flags(m));
	milter_packet_end(out, mark);
	set_time(m, m->setting->connect_ms);
	if (stream_write(m->stream, buf_str(out)) != STREAM_OK) {
		*answer_out = milter_fail(m, "write error in initial handshake");
		return false;
	}
	if (!receive(m, "SMFIC_OPTNEG", &letter, &data, answer_out)) {
		milter_warn(m, "read error in initial handshake");
		return false;
	}
	if (letter != 'O') {
		char shown = char_is_print(letter) ? letter : '?';

		*answer_out = milter_fail(
			m, "unexpected reply \"%c\" in initial handshake", shown);
		return false;
	}
	if (!milter_options_parse(data, &options)) {
		milter_warn(m, "input packet too short for network long");
		*answer_out = milter_fail(m, "read error in initial handshake");
		return false;
	}
	if (!check_options(m, &options, answer_out))
		return false;
	take_names(m, &options);
	return true;
}

bool
milter_open(struct milter *m, struct arena *mem, struct milter_answer *answer_out)
{
	if (!connect_to(m, mem, answer_out) || !agree(m, answer_out))
		return false;
	m->state = MILTER_READY;
	return true;
}

/* ---- macros ---- */

/* With or without braces it is the same name. */
static struct str
bare_name(struct str name)
{
	return name.len > 2 && name.p[0] == '{' && name.p[name.len - 1] == '}'
		       ? str_from_mem(name.p + 1, name.len - 2)
		       : name;
}

static bool
find_macro(struct milter *m, struct arena *mem, struct str name, struct str *value_out)
{
	const struct milter_world *w = m->all->world;
	const struct milter_settings *s = m->all->settings;

	if (w->macro != NULL && w->macro(w->arg, mem, bare_name(name), value_out))
		return true;
	for (size_t i = 0; i < s->n_defaults; i++)
		if (str_eq(bare_name(s->defaults[i].name), bare_name(name))) {
			*value_out = s->defaults[i].value;
			return true;
		}
	return false;
}

void
milter_put_macros(struct milter *m, struct arena *mem, enum milter_stage stage,
		  struct buf *out)
{
	struct str rest = m->names[stage];
	struct str name;

	if (m->is_imported) {
		rest = (size_t)stage < ARRAY_LEN(m->values) ? m->values[stage]
							    : STR_EMPTY;
		while (str_line(&rest, &name))
			milter_put_text(out, name);
		return;
	}
	while (str_token(&rest, ", \t\r\n", &name)) {
		struct str value;

		if (!find_macro(m, mem, name, &value))
			continue;
		milter_put_text(out, name);
		milter_put_text(out, value);
	}
}

/* ---- events ---- */

bool
milter_wants(struct milter *m, const struct milter_event *event)
{
	return m->state == MILTER_READY && ((m->flags | m->skipped) & event->off) == 0;
}

size_t
milter_event_begin(struct milter *m, struct arena *mem, const struct milter_event *event)
{
	struct buf *out = m->all->out;
	size_t mark;

	buf_clear(out);
	mark = milter_packet_begin(out, 'D');
	buf_add_char(out, event->letter);
	milter_put_macros(m, mem, event->stage, out);
	milter_packet_end(out, mark);
	return milter_packet_begin(out, event->letter);
}

/* A verdict on the connection stands; then nothing more is to be said. */
static struct milter_answer
stand(struct milter *m, const struct milter_event *event, struct milter_answer answer)
{
	if (!event->is_connection)
		return answer;
	stream_close(&m->stream);
	m->state = MILTER_DONE_CONNECTION;
	m->standing = answer;
	m->standing.reply = str_dup(m->all->connection, answer.reply);
	return m->standing;
}

static struct milter_answer
refuse(struct milter *m, const struct milter_event *event, const char *reply)
{
	return stand(m, event, (struct milter_answer){MILTER_REFUSE, str_from(reply)});
}

static struct milter_answer
pass(struct milter *m, const struct milter_event *event, enum milter_verdict verdict)
{
	/* An unknown command belongs to no message. */
	if (!event->is_connection && event != &milter_unknown_event)
		m->state = MILTER_DONE_MESSAGE;
	return stand(m, event, (struct milter_answer){verdict, STR_EMPTY});
}

static struct milter_answer
reply_code(struct milter *m, struct arena *mem, const struct milter_event *event,
	   struct str data)
{
	struct str text;
	struct str clean;

	if (!milter_take_text(&data, &text))
		return milter_fail(m, "packet too short for string");
	if (!milter_reply_clean(mem, text, &clean))
		return milter_misconfigured(
			m, "malformed reply: " PRI_STR,
			STR_ARG(str_printable(mem, str_head(text, UNAVAILABLE_TEXT_MAX),
					      false)));
	return stand(m, event, (struct milter_answer){MILTER_REFUSE, clean});
}

static struct milter_answer
shut_down(struct milter *m)
{
	hang_up(m);
	m->state = MILTER_DONE_CONNECTION;
	m->standing = (struct milter_answer){MILTER_SHUTDOWN, STR_EMPTY};
	return m->standing;
}

bool
milter_common_reply(struct milter *m, struct arena *mem, const struct milter_event *event,
		    char letter, struct str data, struct milter_answer *answer_out)
{
	const struct milter_answer go_on = {MILTER_CONTINUE, STR_EMPTY};

	if (strchr("cadrt4s", letter) != NULL && letter != '\0' && data.len > 0) {
		*answer_out = milter_fail(m, "reply %s was followed by %zu data bytes",
					  milter_reply_name(letter), data.len);
		return true;
	}
	switch (letter) {
	case 's':
		if (event->is_content)
			m->skipped |= event->off;
		*answer_out = go_on;
		return true;
	case 'c':
		*answer_out = go_on;
		return true;
	case 'a':
		*answer_out = pass(m, event, MILTER_CONTINUE);
		return true;
	case 'd':
		if (event->is_connection) {
			milter_warn(m, "DISCARD action is not allowed for connect or "
				       "helo");
			*answer_out = go_on;
		} else {
			*answer_out = pass(m, event, MILTER_DISCARD);
		}
		return true;
	case 'r':
		*answer_out = refuse(m, event, "550 5.7.1 Command rejected");
		return true;
	case 't':
		*answer_out = refuse(m, event,
				     "451 4.7.1 Service unavailable - try again later");
		return true;
	case '4':
		*answer_out = shut_down(m);
		return true;
	case 'y':
		*answer_out = reply_code(m, mem, event, data);
		return true;
	default:
		return false;
	}
}

struct milter_answer
milter_event_end(struct milter *m, struct arena *mem, const struct milter_event *event,
		 size_t mark)
{
	struct milter_answer answer = {MILTER_CONTINUE, STR_EMPTY};
	struct str data;
	char letter = 'p';

	milter_packet_end(m->all->out, mark);
	if (!milter_send_out(m, event, &answer))
		return answer;
	if ((m->flags & event->silent) != 0)
		return answer;
	for (int i = 0; letter == 'p'; i++) {
		if (i > MILTER_PROGRESS_MAX)
			return milter_fail(m, "makes no progress");
		if (!milter_read_packet(m, event, &letter, &data, &answer))
			return answer;
	}
	return milter_common_reply(m, mem, event, letter, data, &answer)
		       ? answer
		       : milter_unexpected(m, event, letter);
}
