/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Turns log lines into messages and their connections.
 *
 * The scanner adds every line that belongs to something it looks for, in any order and
 * perhaps twice. story_finish() sorts them, splits a queue id that was used again into
 * one message each, gives each line that mentions a queue id to the message that had it
 * at that time, and joins messages that are steps of one way: forwarded, passed through a
 * content filter, queued again, reported by a bounce. Such a group is told as one story.
 * Where no line names the next id (a filter that submits anew), the message-id tells.
 *
 * All memory is the story's arena's; it holds only what matched and at most
 * STORY_BYTES_MAX of it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "log_line.h"

enum { STORY_BYTES_MAX = 512 * 1024 * 1024 };

struct arena;
struct story;

struct event {
	struct log_line line; /* its strs live as long as the story */
	unsigned file;        /* index of the file, oldest first */
	uint64_t offset;      /* where in the file */
	struct str about;     /* the queue id it begins with or mentions; or empty */
	bool is_key;          /* what the user asked for is in this line */
};

struct group;

struct message {
	struct str id, host;
	struct event **events; /* in the order of the log */
	size_t n_events;
	struct group *group;
	bool has_key;
	int64_t first_us, last_us; /* of the lines that begin with its id */
	/* Found in the lines; NULL where the lines do not say. */
	const struct event *start;   /* LOG_CLIENT or LOG_PICKUP */
	const struct event *active;  /* the last "queue active" */
	const struct event *removed; /* the end */
	struct str message_id;       /* empty if unknown */
};

/* Messages that are one story; the first is the oldest. */
struct group {
	struct message **messages;
	size_t n_messages;
};

struct story *story_new(struct arena *mem);

struct story_line {
	struct str raw;      /* a log line (log_line_parse() accepts it) */
	int64_t reference_s; /* see log_stamp.h */
	unsigned file;
	uint64_t offset;
	struct str mentions; /* a queue id that stands somewhere in it; or empty */
	bool is_key;
};

/* Keep the line (it is copied). When the story is full, it is only counted. */
void story_add(struct story *s, const struct story_line *line);

/* Every line kept so far: before story_finish() as added, after it sorted, none twice. */
struct event **story_events(const struct story *s, size_t *n_out);

void story_finish(struct story *s);

/* After story_finish(): groups with a key line, oldest first. */
struct group **story_groups(const struct story *s, size_t *n_out);
/* After story_finish(): key lines that belong to no message (NOQUEUE and such). */
struct event **story_loose(const struct story *s, size_t *n_out);
/* Lines that were not kept because the story was full. */
uint64_t story_dropped(const struct story *s);
