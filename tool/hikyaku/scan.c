/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/macros.h"
#include "base/map.h"

#include "find.h"
#include "log_line.h"
#include "source.h"
#include "story.h"

enum {
	SEARCH_IDS_MAX = 6,   /* more open ids than that: walk the lines */
	NEAR_BYTES = 1 << 20, /* how far to look for an id that may be another host's */
	FAR_BYTES = 16 << 20,
	CLOSE_BLOCKS = 4, /* how long an id is still looked for after "removed" */
	PROBES_MAX = 256, /* ids of other systems that are looked for here */
	MESSAGE_IDS_MAX = 256,
	MENTION_MIN = 8, /* a shorter id may be any number */
};

struct wanted {
	struct list link;   /* in open, or in nothing */
	struct list queued; /* in todo */
	struct str id;
	struct find find;
	struct str message_id;
	bool is_message_id; /* `id` is one: the messages that have it are looked for */
	bool filtered;      /* went into or came out of a content filter */
	bool born_here;     /* forwarded or bounced: begins with its message-id line */
	bool probe;         /* perhaps an id of another system */
	bool seen;          /* there was a line of this id */
	bool begun;         /* its first line was found */
	bool removed;
	int blocks_since; /* since "removed" */
};

struct scan {
	struct arena *mem;
	struct story *story;
	struct str key;
	struct find find;
	struct scan_options options;
	struct scan_facts facts;
	struct map *ids;
	struct list open;
	struct list todo;
	size_t n_open, n_second, n_probes, n_message_ids;
	/* While a source is read: */
	struct source *source;
	unsigned file;
	int64_t reference_s;
	uint64_t block_end;
	bool second_pass;
};

struct scan *
scan_new(struct arena *mem, struct story *story, struct str key,
	 struct scan_options options)
{
	struct scan *s = ARENA_NEW(mem, struct scan);

	s->mem = mem;
	s->story = story;
	s->key = str_dup(mem, str_head(key, FIND_PATTERN_MAX));
	s->options = options;
	s->ids = map_new_in(mem);
	list_init(&s->open);
	list_init(&s->todo);
	find_init(&s->find, s->key);
	return s;
}

static void
open_id(struct scan *s, struct wanted *w)
{
	if (!list_is_empty(&w->link))
		return;
	list_append(&s->open, &w->link);
	s->n_open++;
	w->removed = false;
	w->blocks_since = 0;
}

static void
close_id(struct scan *s, struct wanted *w)
{
	list_remove(&w->link);
	s->n_open--;
}

static struct wanted *
wanted_new(struct scan *s, struct str id, bool probe)
{
	struct wanted *w = ARENA_NEW(s->mem, struct wanted);

	w->id = str_dup(s->mem, id);
	w->probe = probe;
	list_init(&w->link);
	list_init(&w->queued);
	find_init(&w->find, w->id);
	map_set(s->ids, w->id, w);
	return w;
}

/* Look for this id: backwards at the end of the block, and from then on. */
static void
want(struct scan *s, struct str id, bool born_here, bool probe)
{
	struct wanted *w = map_find(s->ids, id);

	if (w == NULL) {
		if (map_count(s->ids) >= SCAN_IDS_MAX) {
			s->facts.too_many = true;
			return;
		}
		if (probe && ++s->n_probes > PROBES_MAX)
			return;
		w = wanted_new(s, id, probe);
	} else if ((w->probe && !w->seen && probe) || !list_is_empty(&w->link)) {
		return;
	}
	w->born_here = w->born_here || born_here;
	w->probe = w->probe && probe;
	if (list_is_empty(&w->queued))
		list_append(&s->todo, &w->queued);
}

/* Look for other messages with this message-id, not far from here. */
static void
want_message_id(struct scan *s, struct str message_id)
{
	struct wanted *w;

	if (message_id.len <= strlen("<>") || message_id.len > FIND_PATTERN_MAX ||
	    s->n_message_ids == MESSAGE_IDS_MAX || map_find(s->ids, message_id) != NULL)
		return;
	s->n_message_ids++;
	w = wanted_new(s, message_id, true);
	w->is_message_id = true;
	list_append(&s->todo, &w->queued);
}

static void
follow_link(struct scan *s, const struct log_line *l)
{
	bool forwarded = l->kind == LOG_NOTIFICATION ||
			 str_starts(l->reason, STR("forwarded as "));

	if (!log_is_queue_id(l->link))
		return;
	want(s, l->link, forwarded,
	     l->kind == LOG_DELIVERY && !forwarded && !log_is_relay_here(l));
}

static void
note_progress(struct scan *s, struct wanted *w, const struct log_line *l)
{
	w->seen = true;
	if (w->probe) {
		/* So it is ours after all. */
		w->probe = false;
		open_id(s, w);
	}
	if (l->kind == LOG_CLIENT || l->kind == LOG_PICKUP ||
	    (l->kind == LOG_MESSAGE_ID && w->born_here))
		w->begun = true;
	if (l->kind == LOG_REMOVED)
		w->removed = true;
	if (l->kind == LOG_MESSAGE_ID && w->message_id.len == 0)
		w->message_id = str_dup(s->mem, l->message_id);
	w->filtered = w->filtered || log_is_handed_on(l) || log_is_from_here(l);
	if (w->filtered)
		want_message_id(s, w->message_id);
}

static bool
parse(struct scan *s, struct str raw, struct log_line *out)
{
	bool ok = log_line_parse(raw, s->reference_s, out);

	if (!ok || str_contains(raw, '\0'))
		s->facts.damaged++;
	return ok;
}

static void
keep(struct scan *s, struct str raw, uint64_t offset, struct str mentions, bool is_key)
{
	story_add(s->story, &(struct story_line){
				    .raw = raw,
				    .reference_s = s->reference_s,
				    .file = s->file,
				    .offset = offset,
				    .mentions = mentions,
				    .is_key = is_key,
			    });
}

/* Does the id stand in the line as a word of its own? */
static bool
mentions(struct str raw, struct str id)
{
	struct str rest = raw;
	size_t at;

	if (id.len < MENTION_MIN)
		return false;
	while ((at = str_find(rest, id)) < rest.len) {
		const char *p = rest.p + at;

		rest = str_skip(rest, at + id.len);
		if ((p == raw.p || !char_is_alnum(p[-1])) &&
		    (rest.len == 0 || !char_is_alnum(rest.p[0])))
			return true;
	}
	return false;
}

/* A line that contains a wanted id somewhere. */
static void
id_line(struct scan *s, struct str raw, uint64_t offset, struct wanted *w)
{
	struct log_line l;

	if (!parse(s, raw, &l))
		return;
	if (w->is_message_id) {
		if (l.kind == LOG_MESSAGE_ID && str_eq(l.message_id, w->id))
			want(s, l.id, false, false);
	} else if (str_eq(l.id, w->id)) {
		keep(s, raw, offset, STR_EMPTY, false);
		note_progress(s, w, &l);
		follow_link(s, &l);
	} else if (str_eq(l.link, w->id) && l.id.len > 0) {
		/* Another message leads to this one. Its own lines bring it in. */
		w->born_here = w->born_here || l.kind == LOG_NOTIFICATION ||
			       str_starts(l.reason, STR("forwarded as "));
		want(s, l.id, false, false);
	} else if (l.id.len == 0 && !w->probe && mentions(raw, w->id)) {
		keep(s, raw, offset, w->id, false);
	}
}

static bool
is_word(char c)
{
	return char_is_alnum(c) || c == '_' || c == '-';
}

/* Does the key stand there as a whole? "192.0.2.1" is not in "192.0.2.10", nor
 * "taro@example.jp" in "kintaro@example.jp"; "example.jp" is in "mx.example.jp". */
static bool
is_whole(struct scan *s, struct str block, size_t at)
{
	struct str after = str_skip(block, at + s->key.len);
	bool is_address = str_contains(s->key, '@');
	bool is_number = char_is_digit(s->key.p[0]) || str_contains(s->key, ':');
	char first = s->key.p[0];
	char last = s->key.p[s->key.len - 1];

	if (at > 0 && is_word(first)) {
		char before = block.p[at - 1];

		if (is_word(before) || (before == '.' && (is_address || is_number)) ||
		    (before == '+' && is_address))
			return false;
	}
	if (after.len > 0 && is_word(last)) {
		if (is_word(after.p[0]))
			return false;
		if (after.p[0] == '.' && after.len > 1 && is_word(after.p[1]))
			return false;
	}
	return true;
}

/* Lines that every session has: they tell nothing about a message. */
static bool
is_of_session(const struct log_line *l)
{
	return l->id.len == 0 && l->severity == LOG_SEV_INFO &&
	       (l->kind == LOG_CONNECT || l->kind == LOG_DISCONNECT ||
		l->kind == LOG_TLS || l->kind == LOG_STATISTICS ||
		(l->kind == LOG_POSTSCREEN && (str_eq(l->action, STR("CONNECT")) ||
					       str_eq(l->action, STR("DISCONNECT")))));
}

/* It is no log line, but what was asked for stands there. */
static void
odd_line(struct scan *s, struct str raw)
{
	if (s->facts.n_odd < SCAN_ODD_MAX)
		s->facts.odd[s->facts.n_odd++] =
			str_dup(s->mem, str_head(raw, LOG_LINE_MAX));
}

static void
key_line(struct scan *s, struct str raw, uint64_t offset)
{
	struct log_line l;

	if (!parse(s, raw, &l)) {
		odd_line(s, raw);
		return;
	}
	if (l.time_us < s->options.since_us || l.time_us > s->options.until_us)
		return;
	if (!s->options.sessions && is_of_session(&l)) {
		s->facts.sessions++;
		return;
	}
	keep(s, raw, offset, STR_EMPTY, true);
	if (l.id.len > 0) {
		struct wanted *w;

		want(s, l.id, false, false);
		w = map_find(s->ids, l.id);
		if (w != NULL)
			note_progress(s, w, &l);
		follow_link(s, &l);
	}
}

/* The line around position `at`, which is moved behind it. */
static struct str
line_around(struct str block, size_t *at)
{
	size_t begin = str_rindex(str_head(block, *at), '\n');
	size_t end = *at + str_index(str_skip(block, *at), '\n');

	begin = begin == *at ? 0 : begin + 1;
	*at = MIN_OF(end + 1, block.len);
	return (struct str){block.p + begin, end - begin};
}

static void
search_key(struct scan *s, struct str block, uint64_t base)
{
	size_t at = find_next(&s->find, block, 0);

	while (at < block.len) {
		if (is_whole(s, block, at)) {
			struct str raw = line_around(block, &at);

			key_line(s, raw, base + (uint64_t)(raw.p - block.p));
		} else {
			at++;
		}
		at = find_next(&s->find, block, at);
	}
}

static void
search_id(struct scan *s, struct str block, uint64_t base, struct wanted *w)
{
	size_t at = find_next(&w->find, block, 0);

	while (at < block.len) {
		struct str raw = line_around(block, &at);

		id_line(s, raw, base + (uint64_t)(raw.p - block.p), w);
		at = find_next(&w->find, block, at);
	}
}

static void
walk_lines(struct scan *s, struct str block, uint64_t base)
{
	struct str rest = block;
	struct str raw;

	while (str_line(&rest, &raw)) {
		struct str ids[2] = {log_quick_id(raw), log_quick_link(raw)};

		for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
			struct wanted *w =
				ids[i].len == 0 ? NULL : map_find(s->ids, ids[i]);

			if (w != NULL && !list_is_empty(&w->link))
				id_line(s, raw, base + (uint64_t)(raw.p - block.p), w);
		}
	}
}

/* From the end of the present block backwards, until the message's beginning. */
static void
search_back(struct scan *s, struct wanted *w)
{
	uint64_t limit = w->probe ? NEAR_BYTES : FAR_BYTES;
	uint64_t end = s->block_end;
	uint64_t stop = end > limit ? end - limit : 0;

	while (end > stop && !w->begun) {
		/* A chunk overlaps the one after it, so that no line is cut for both. */
		uint64_t from = end > SOURCE_BLOCK - LOG_LINE_MAX
					? end - (SOURCE_BLOCK - LOG_LINE_MAX)
					: 0;
		uint64_t to = MIN_OF(from + SOURCE_BLOCK, s->block_end);
		uint64_t base;
		struct str chunk = source_again(s->source, from, to, &base);
		size_t cut = base == 0 ? 0 : str_index(chunk, '\n') + 1;

		if (chunk.len == 0)
			break;
		search_id(s, str_skip(chunk, cut), base + cut, w);
		end = base < end ? base : from;
	}
	if (!w->begun && w->seen && !w->probe && (end > 0 || s->file > 0))
		s->n_second++;
}

/* New ids, and those that turn up while looking for them. */
static void
search_todo(struct scan *s)
{
	struct list *first;

	while ((first = list_first(&s->todo)) != NULL) {
		struct wanted *w = CONTAINER_OF(first, struct wanted, queued);

		list_remove(&w->queued);
		if (!w->probe || w->is_message_id)
			open_id(s, w);
		if (w->is_message_id)
			w->removed = true; /* it closes soon */
		w->begun = false;
		search_back(s, w);
	}
}

static void
close_finished(struct scan *s)
{
	list_foreach_safe(at, next, &s->open)
	{
		struct wanted *w = CONTAINER_OF(at, struct wanted, link);

		if (w->removed && ++w->blocks_since > CLOSE_BLOCKS)
			close_id(s, w);
	}
}

static void
search_open(struct scan *s, struct str block, uint64_t base)
{
	if (s->n_open > SEARCH_IDS_MAX) {
		walk_lines(s, block, base);
		return;
	}
	list_foreach_safe(at, next, &s->open)
		search_id(s, block, base, CONTAINER_OF(at, struct wanted, link));
}

static void
note_time(struct scan *s, struct str raw)
{
	struct log_line l;

	if (!log_line_parse(raw, s->reference_s, &l))
		return;
	if (s->facts.first_us == 0)
		s->facts.first_us = l.time_us;
	s->facts.last_us = l.time_us;
}

/* The first line that can be read, and the last one. */
static void
note_span(struct scan *s, struct str block)
{
	struct str last = str_trim_right(block);

	if (s->facts.first_us == 0)
		note_time(s, str_head(block, str_index(block, '\n')));
	if (last.len == 0)
		return;
	note_time(s, str_skip(last, str_rindex(last, '\n') == last.len
					    ? 0
					    : str_rindex(last, '\n') + 1));
}

static void
begin_source(struct scan *s, struct source *source, unsigned file)
{
	s->source = source;
	s->file = file;
	s->reference_s = source_facts(source)->modified_s;
}

void
scan_run(struct scan *s, struct source *source, unsigned file)
{
	struct str block;
	uint64_t base;

	begin_source(s, source, file);
	while (source_next(source, &block, &base)) {
		s->block_end = base + block.len;
		s->facts.bytes += block.len;
		s->facts.lines += find_count_lines(block);
		if (block.len > 0 && block.p[block.len - 1] != '\n')
			s->facts.lines++;
		note_span(s, block);
		search_open(s, block, base);
		search_key(s, block, base);
		search_todo(s);
		close_finished(s);
	}
}

bool
scan_needs_second_pass(const struct scan *s)
{
	return s->n_second > 0;
}

void
scan_run_again(struct scan *s, struct source *source, unsigned file)
{
	const struct map_entry *e;
	size_t at = 0;
	struct str block;
	uint64_t base;

	begin_source(s, source, file);
	/* Everything that is known is looked for; what is found twice is told once. */
	while (!s->second_pass && (e = map_next(s->ids, &at)) != NULL) {
		struct wanted *w = e->value;

		if (!w->probe)
			open_id(s, w);
	}
	s->second_pass = true;
	while (source_next(source, &block, &base)) {
		s->block_end = base + block.len;
		search_open(s, block, base);
		search_todo(s);
	}
}

const struct scan_facts *
scan_facts(const struct scan *s)
{
	return &s->facts;
}
