/* SPDX-License-Identifier: Apache-2.0 */
#include "show.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"

enum { REASON_WIDTH = 78 };

static void
json_text(const struct show *s, struct str text)
{
	static const char from[] = "\b\f\n\r\t\"\\";
	static const char to[] = "bfnrt\"\\";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		const char *at = c == 0 ? NULL : strchr(from, c);

		if (at != NULL)
			fprintf(s->out, "\\%c", to[at - from]);
		else if (c < 32)
			fprintf(s->out, "\\u%04X", c);
		else
			fputc(c > 127 && !s->utf8 ? '?' : c, s->out);
	}
}

static void
json_field(const struct show *s, const char *name, struct str value, const char *after)
{
	fprintf(s->out, "\"%s\": \"", name);
	json_text(s, value);
	fprintf(s->out, "\"%s", after);
}

static void
json_message(const struct show *s, const struct queue_list_message *m)
{
	fputc('{', s->out);
	json_field(s, "queue_name", str_from(queue_directory_name(m->queue)), ", ");
	json_field(s, "queue_id", m->id, ", ");
	fprintf(s->out, "\"arrival_time\": %" PRId64 ", \"message_size\": %" PRId64 ", ",
		m->arrival_s, m->size);
	fprintf(s->out, "\"forced_expire\": %s, ", m->forced_expire ? "true" : "false");
	json_field(s, "sender", m->sender, ", \"recipients\": [");
}

static void
text_message(const struct show *s, const struct queue_list_message *m)
{
	struct arena *mem = arena_new();
	time_t when = (time_t)m->arrival_s;
	char stamp[64] = "";
	struct tm tm;
	const char *mark = m->queue == QUEUE_ACTIVE ? "*"
			   : m->queue == QUEUE_HOLD ? "!"
						    : "";
	struct str id = str_printf(mem, PRI_STR "%s%s", STR_ARG(m->id), mark,
				   m->forced_expire ? "#" : "");

	if (localtime_r(&when, &tm) != NULL)
		strftime(stamp, sizeof(stamp), "%a %b %e %H:%M:%S ", &tm);
	if (s->messages == 0 && s->long_ids)
		fprintf(s->out, "%-17s %8s %-19s %s\n", "----Queue ID-----", "--Size--",
			"---Arrival Time----", "--Sender/Recipient------");
	else if (s->messages == 0)
		fprintf(s->out, "%-11s %7s %-20s %s\n", "-Queue ID-", "--Size--",
			"----Arrival Time----", "-Sender/Recipient-------");
	if (s->long_ids)
		fprintf(s->out, "%-17s %8" PRId64 " %19.19s ", id.p, m->size, stamp);
	else
		fprintf(s->out, "%-11s %7" PRId64 " %20.20s ", id.p, m->size, stamp);
	fprintf(s->out, PRI_STR "\n", STR_ARG(m->sender));
	arena_free(&mem);
}

static bool
show_message(void *arg, const struct queue_list_message *m)
{
	struct show *s = arg;

	if (s->json)
		json_message(s, m);
	else
		text_message(s, m);
	s->messages++;
	s->bytes += (uint64_t)m->size;
	s->recipients = 0;
	buf_clear(s->reason);
	return !ferror(s->out);
}

static void
text_recipient(struct show *s, struct str address, struct str reason)
{
	if (!str_eq(reason, buf_str(s->reason))) {
		struct str shown = reason.len > 0 ? reason : STR("reason unavailable");
		int pad = shown.len + 2 < REASON_WIDTH ? REASON_WIDTH - (int)shown.len - 2
						       : 0;

		fprintf(s->out, "%*s(" PRI_STR ")\n", pad, "", STR_ARG(shown));
		buf_clear(s->reason);
		buf_add(s->reason, reason);
	}
	if (s->long_ids)
		fprintf(s->out, "%-17s %8s %-19s ", "", "", "");
	else
		fprintf(s->out, "%-11s %7s %-20s ", "", "", "");
	fprintf(s->out, PRI_STR "\n", STR_ARG(address));
}

static bool
show_recipient(void *arg, struct str address, struct str reason)
{
	struct show *s = arg;

	if (s->json) {
		fputs(s->recipients > 0 ? ", {" : "{", s->out);
		json_field(s, "address", address, "");
		if (reason.len > 0) {
			fputs(", ", s->out);
			json_field(s, "delay_reason", reason, "");
		}
		fputc('}', s->out);
	} else {
		text_recipient(s, address, reason);
	}
	s->recipients++;
	return !ferror(s->out);
}

static bool
show_message_end(void *arg)
{
	const struct show *s = arg;

	fputs(s->json ? "]}\n" : "\n", s->out);
	return !ferror(s->out);
}

struct queue_list_sink
show_sink(struct show *s)
{
	return (struct queue_list_sink){.message = show_message,
					.recipient = show_recipient,
					.end = show_message_end,
					.arg = s};
}

void
show_end(const struct show *s)
{
	if (s->json)
		return;
	if (s->messages == 0)
		fputs("Mail queue is empty\n", s->out);
	else
		fprintf(s->out, "-- %" PRIu64 " Kbytes in %lu Request%s.\n",
			s->bytes / 1024, s->messages, s->messages == 1 ? "" : "s");
}
