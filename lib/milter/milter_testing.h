/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests: a whole session with one milter whose words are given, and what came of it
 * as text.
 */

#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "fiber/stream.h"
#include "milter/milter.h"

enum { TALK_MAX = 1 << 20 };

struct talk {
	struct arena *mem;
	struct str words; /* of the milter */
	size_t step;
	struct buf *sent; /* to it */
	struct buf *told; /* what happened */
	size_t field;
	bool body_given;
};

static inline struct stream *
talk_open(void *arg, size_t which)
{
	struct talk *t = arg;

	(void)which;
	return stream_from_memory(t->words, t->sent, t->step);
}

static inline void
talk_warn(void *arg, struct str text)
{
	struct talk *t = arg;

	buf_printf(t->told, "warning: " PRI_STR "\n", STR_ARG(text));
}

static inline bool
talk_macro(void *arg, struct arena *mem, struct str name, struct str *out)
{
	(void)arg;
	(void)mem;
	*out = STR("QUEUEID");
	return str_eq(name, STR("i"));
}

static inline bool
talk_rewind(void *arg)
{
	struct talk *t = arg;

	t->field = 0;
	t->body_given = false;
	return true;
}

static inline enum milter_read
talk_header(void *arg, struct str *name, struct str *value)
{
	struct talk *t = arg;

	if (t->field++ == 2)
		return MILTER_READ_END;
	*name = t->field == 1 ? STR("From") : STR("Subject");
	*value = STR(" value");
	return MILTER_READ_GOT;
}

static inline enum milter_read
talk_body(void *arg, struct str *text)
{
	struct talk *t = arg;

	*text = STR("body\r\n");
	if (t->body_given)
		return MILTER_READ_END;
	t->body_given = true;
	return MILTER_READ_GOT;
}

static inline bool
talk_note(void *arg, const char *what, unsigned number, struct str a, struct str b)
{
	struct talk *t = arg;

	buf_printf(t->told, "%s %u [" PRI_STR "] [" PRI_STR "]\n", what, number,
		   STR_ARG(a), STR_ARG(b));
	return true;
}

static inline bool
talk_add_header(void *arg, struct str name, struct str value)
{
	return talk_note(arg, "add", 0, name, value);
}

static inline bool
talk_insert_header(void *arg, uint32_t at, struct str name, struct str value)
{
	return talk_note(arg, "insert", at, name, value);
}

static inline bool
talk_change_header(void *arg, uint32_t index, struct str name, struct str value)
{
	return talk_note(arg, "change", index, name, value);
}

static inline bool
talk_sender(void *arg, struct str address, struct str params)
{
	return talk_note(arg, "sender", 0, address, params);
}

static inline bool
talk_add_recipient(void *arg, struct str address, struct str params)
{
	return talk_note(arg, "recipient", 0, address, params);
}

static inline bool
talk_delete_recipient(void *arg, struct str address)
{
	return talk_note(arg, "no recipient", 0, address, STR_EMPTY);
}

static inline bool
talk_replace_body(void *arg, struct str piece)
{
	return talk_note(arg, "body", (unsigned)piece.len, STR_EMPTY, STR_EMPTY);
}

static inline bool
talk_done(void *arg, bool keep)
{
	return talk_note(arg, keep ? "keep" : "forget", 0, STR_EMPTY, STR_EMPTY);
}

static inline bool
talk_answer(struct talk *t, const char *stage, struct milter_answer answer)
{
	static const char *const names[] = {[MILTER_CONTINUE] = "continue",
					    [MILTER_REFUSE] = "refuse",
					    [MILTER_DISCARD] = "discard",
					    [MILTER_HOLD] = "hold",
					    [MILTER_SHUTDOWN] = "shutdown"};

	if (answer.verdict == MILTER_CONTINUE)
		return true;
	buf_printf(t->told, "%s: %s " PRI_STR "\n", stage, names[answer.verdict],
		   STR_ARG(answer.reply));
	return false;
}

/* Connection to end of message, or to the first objection; what was told. */
static inline struct str
talk_play(struct arena *mem, const struct milter_settings *settings,
	  const struct milter_list *list, struct str words, size_t step)
{
	struct talk t = {.mem = mem,
			 .words = words,
			 .step = step,
			 .sent = buf_new(mem, TALK_MAX),
			 .told = buf_new(mem, SIZE_MAX / 4)};
	const struct milter_world world = {
		.open = talk_open, .warn = talk_warn, .macro = talk_macro, .arg = &t};
	const struct milter_client client = {.name = STR("client"),
					     .address = STR("192.0.2.1"),
					     .port = 25,
					     .family = AF_INET};
	const struct milter_source source = {.rewind = talk_rewind,
					     .header = talk_header,
					     .body = talk_body,
					     .arg = &t};
	const struct milter_changes changes = {
		.add_header = talk_add_header,
		.insert_header = talk_insert_header,
		.change_header = talk_change_header,
		.change_sender = talk_sender,
		.add_recipient = talk_add_recipient,
		.delete_recipient = talk_delete_recipient,
		.replace_body = talk_replace_body,
		.done = talk_done,
		.arg = &t,
	};
	struct str address = STR("<a@b.test>");
	struct milters *m = milters_new(mem, settings, list, &world);

	IGNORE(talk_answer(&t, "connect", milters_connect(m, mem, &client)) &&
	       talk_answer(&t, "helo", milters_helo(m, mem, STR("client"))) &&
	       talk_answer(&t, "mail", milters_mail(m, mem, &address, 1)) &&
	       talk_answer(&t, "rcpt", milters_rcpt(m, mem, &address, 1)) &&
	       talk_answer(&t, "data", milters_data(m, mem)) &&
	       talk_answer(&t, "message", milters_message(m, mem, &source, &changes)));
	milters_abort(m);
	milters_free(&m);
	return buf_str(t.told);
}
