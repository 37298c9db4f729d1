/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/sys.h"

#include "mail/address.h"
#include "queue/file.h"
#include "queue/log_file.h"
#include "queue/record.h"

struct list {
	const struct queue_dirs *dirs;
	const struct queue_list_options *options;
	const struct queue_list_sink *sink;
	struct arena *mem;   /* one message */
	struct arena *brief; /* one recipient */
};

/* One file on its way. */
struct item {
	struct list *list;
	struct queue_list_message m;
	struct record_reader reader;
	struct map *shown;    /* recipients of the defer log */
	int64_t content_size; /* -1: not known */
	int64_t content_at;   /* where the content starts; 0: not known */
	int jumps;
	bool told; /* message() was called */
	bool stop; /* the sink has had enough */
};

static void warn(const struct list *l, const char *format, ...) PRINTF_LIKE(2, 3);

static void
warn(const struct list *l, const char *format, ...)
{
	struct err text;
	va_list ap;

	if (l->sink->warning == NULL)
		return;
	va_start(ap, format);
	vsnprintf(text.text, sizeof(text.text), format, ap);
	va_end(ap);
	l->sink->warning(l->sink->arg, text.text);
}

static struct str
external(struct arena *mem, struct str address)
{
	struct str quoted =
		address_quote_header(mem, str_head(address, QUEUE_ADDRESS_MAX));

	return str_printable(mem, quoted, true);
}

static void
tell_recipient(struct item *it, struct str address, struct str reason)
{
	const struct queue_list_sink *sink = it->list->sink;
	struct str text = external(it->list->brief, address);

	if (text.len == 0)
		text = it->list->options->null_sender;
	if (!sink->recipient(sink->arg, text,
			     str_printable(it->list->brief, reason, true)))
		it->stop = true;
}

/* ---- reasons ---- */

static size_t
remember_max(const struct list *l)
{
	int64_t max = l->options->remember_max;

	return max <= 0 || max > QUEUE_LIST_REMEMBER_MAX ? QUEUE_LIST_REMEMBER_MAX
							 : (size_t)max;
}

static void
tell_entries(struct item *it, struct str text)
{
	struct log_entry *entries;
	size_t count;

	arena_reset(it->list->brief);
	log_file_parse(it->list->brief, text, &entries, &count);
	for (size_t i = 0; i < count && !it->stop; i++) {
		struct str key = entries[i].recipient;

		if (map_find(it->shown, key) != NULL)
			continue;
		/* Beyond the limit a recipient is shown twice, as Postfix does. */
		if (map_count(it->shown) < remember_max(it->list))
			map_set(it->shown, key, it);
		tell_recipient(it, key, entries[i].reason);
	}
}

/* Bytes of whole entries at the start of text: up to and with the last empty line. */
static size_t
whole_entries(struct str text)
{
	for (size_t at = text.len; at > 1; at--) {
		if (text.p[at - 1] == '\n' && text.p[at - 2] == '\n')
			return at;
	}
	return 0;
}

/* The log may be as long as there are recipients, so it is read in pieces. */
static void
tell_log(struct item *it, int fd)
{
	struct buf *in = buf_new(it->list->mem, QUEUE_LIST_ENTRY_MAX);
	int64_t at = 0;

	while (!it->stop) {
		size_t room = QUEUE_LIST_ENTRY_MAX - in->len;
		char *p = buf_reserve(in, room);
		ssize_t got = p == NULL ? 0 : sys_pread(fd, p, room, at);
		size_t whole;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		buf_commit(in, (size_t)got);
		at += got;
		whole = whole_entries(buf_str(in));
		/* No end within the limit: show what there is of it and go on. */
		if (whole == 0 && in->len == QUEUE_LIST_ENTRY_MAX)
			whole = in->len;
		tell_entries(it, str_head(buf_str(in), whole));
		buf_consume(in, whole);
	}
	if (in->len > 0 && !it->stop)
		tell_entries(it, buf_str(in));
}

static void
tell_reasons(struct item *it)
{
	struct err err;
	int fd;

	if (it->m.queue == QUEUE_MAILDROP)
		return;
	if (!queue_open(it->list->dirs, QUEUE_DEFER, it->m.id, false, &fd, &err)) {
		if (err.errnum != ENOENT)
			warn(it->list, "%s", err.text);
		return;
	}
	tell_log(it, fd);
	sys_close(fd);
}

/* ---- records ---- */

static void
take_size(struct item *it, struct str data)
{
	struct str rest = data;
	struct str word;
	int64_t n[2] = {0, 0};

	for (size_t i = 0; i < ARRAY_LEN(n) && str_token(&rest, " ", &word); i++) {
		if (!str_to_i64(word, 0, INT64_MAX / 2, &n[i])) {
			warn(it->list,
			     PRI_STR ": malformed size record: " PRI_STR
				     " -- using file size instead",
			     STR_ARG(it->m.id), STR_ARG(str_head(data, 100)));
			return;
		}
	}
	it->content_size = n[0];
	it->content_at = n[1];
	it->m.size = n[0];
}

static void
take_time(struct item *it, struct str data)
{
	struct str rest = data;
	struct str word;
	int64_t s;

	if (str_token(&rest, " ", &word) && str_to_i64(word, 1, INT64_MAX / 1000000, &s))
		it->m.arrival_s = s;
}

static void
take_sender(struct item *it, struct str data)
{
	const struct list *l = it->list;

	if (it->told) {
		warn(l,
		     PRI_STR ": duplicate sender address: " PRI_STR
			     " -- skipping remainder of this file",
		     STR_ARG(it->m.id), STR_ARG(str_head(data, 100)));
		it->jumps = QUEUE_LIST_JUMPS_MAX + 1;
		return;
	}
	it->m.sender = data.len == 0 ? l->options->null_sender : external(l->mem, data);
	it->told = true;
	if (!l->sink->message(l->sink->arg, &it->m))
		it->stop = true;
	else
		tell_reasons(it);
}

static void
take_recipient(struct item *it, struct str data)
{
	if (!it->told) {
		warn(it->list,
		     PRI_STR ": missing sender address: " PRI_STR
			     " -- skipping remainder of this file",
		     STR_ARG(it->m.id), STR_ARG(str_head(data, 100)));
		it->jumps = QUEUE_LIST_JUMPS_MAX + 1;
		return;
	}
	if (map_find(it->shown, data) != NULL)
		return;
	arena_reset(it->list->brief);
	tell_recipient(it, data, STR_EMPTY);
}

static void
take_pointer(struct item *it, struct str data)
{
	int64_t to;

	if (!str_to_i64(str_trim(data), 0, INT64_MAX, &to))
		it->jumps = QUEUE_LIST_JUMPS_MAX + 1;
	else if (to > 0 && it->jumps++ < QUEUE_LIST_JUMPS_MAX)
		record_reader_seek(&it->reader, to);
}

/* Over the content, where the size record says how. */
static void
pass_content(struct item *it)
{
	if (it->content_size >= 0 && it->content_at > 0)
		record_reader_seek(&it->reader, it->content_at + it->content_size);
}

static void
take_record(struct item *it, const struct record *r)
{
	if (r->letter == RECORD_LETTER(SIZE))
		take_size(it, r->data);
	else if (r->letter == RECORD_LETTER(TIME))
		take_time(it, r->data);
	else if (r->letter == RECORD_LETTER(SENDER))
		take_sender(it, r->data);
	else if (r->letter == RECORD_LETTER(RECIPIENT))
		take_recipient(it, r->data);
	else if (r->letter == RECORD_LETTER(POINTER))
		take_pointer(it, r->data);
	else if (r->letter == RECORD_LETTER(MESSAGE))
		pass_content(it);
}

static void
read_records(struct item *it)
{
	struct record r;
	struct err err;

	while (!it->stop && it->jumps <= QUEUE_LIST_JUMPS_MAX &&
	       record_reader_next(&it->reader, &r, &err) == RECORD_GOT &&
	       r.letter != RECORD_LETTER(END))
		take_record(it, &r);
}

/* ---- files ---- */

static bool
list_file(struct list *l, enum queue_name q, struct str id, const struct stat *st)
{
	struct item it = {
		.list = l,
		.m = {.queue = q, .id = id, .arrival_s = st->st_mtime},
		.content_size = -1,
	};
	struct err err;
	int fd;

	if (!queue_open(l->dirs, q, id, false, &fd, &err)) {
		if (err.errnum != ENOENT)
			warn(l, "%s", err.text);
		return true;
	}
	it.m.size = st->st_size;
	it.m.forced_expire =
		(st->st_mode & QUEUE_MODE_EXPIRE) != 0 && q != QUEUE_MAILDROP;
	it.shown = map_new_in(l->mem);
	record_reader_init(&it.reader, fd, buf_new(l->mem, (size_t)RECORD_DATA_MAX * 2));
	read_records(&it);
	sys_close(fd);
	if (it.told && !it.stop && !l->sink->end(l->sink->arg))
		it.stop = true;
	return !it.stop;
}

static bool
list_queue(struct list *l, enum queue_name q)
{
	struct queue_scan *scan = queue_scan_new(l->dirs, q);
	bool go_on = true;
	struct str id;

	while (go_on && queue_scan_next(scan, l->mem, &id)) {
		struct str warning = STR_EMPTY;
		struct stat st;

		if (queue_check(l->mem, l->dirs, q, id, &st, &warning) ==
		    QUEUE_FILE_READY)
			go_on = list_file(l, q, id, &st);
		if (warning.len > 0)
			warn(l, PRI_STR, STR_ARG(warning));
		arena_reset(l->mem);
	}
	if (queue_scan_error(scan) != 0 && queue_scan_error(scan) != ENOENT)
		warn(l, "open directory %s: %s", queue_directory_name(q),
		     strerror(queue_scan_error(scan)));
	queue_scan_free(&scan);
	return go_on;
}

bool
queue_list(const struct queue_dirs *dirs, const struct queue_list_options *options,
	   const struct queue_list_sink *sink)
{
	static const enum queue_name order[] = {
		QUEUE_MAILDROP, QUEUE_ACTIVE, QUEUE_INCOMING, QUEUE_DEFERRED, QUEUE_HOLD};
	struct list l = {.dirs = dirs,
			 .options = options,
			 .sink = sink,
			 .mem = arena_new(),
			 .brief = arena_new()};
	bool go_on = true;

	for (size_t i = 0; i < ARRAY_LEN(order) && go_on; i++)
		go_on = list_queue(&l, order[i]);
	arena_free(&l.brief);
	arena_free(&l.mem);
	return go_on;
}
