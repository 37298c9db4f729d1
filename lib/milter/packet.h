/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Packets of the milter protocol: a length of four bytes in network order, a letter,
 * data: numbers of four bytes and texts that end in NUL. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct buf;

enum { MILTER_HEAD_BYTES = 4 };

/* What we may be asked to do, and what a milter may change. */
enum {
	MILTER_ACTION_ADD_HEADER = 1u << 0,
	MILTER_ACTION_BODY = 1u << 1,
	MILTER_ACTION_ADD_RCPT = 1u << 2,
	MILTER_ACTION_DELETE_RCPT = 1u << 3,
	MILTER_ACTION_CHANGE_HEADER = 1u << 4,
	MILTER_ACTION_QUARANTINE = 1u << 5,
	MILTER_ACTION_SENDER = 1u << 6,
	MILTER_ACTION_ADD_RCPT_PARAMS = 1u << 7,
	MILTER_ACTION_MACROS = 1u << 8,
	MILTER_ACTIONS = (1u << 9) - 1,
};

/* What a milter need not be told, need not answer, and understands. */
enum {
	MILTER_NO_CONNECT = 1u << 0,
	MILTER_NO_HELO = 1u << 1,
	MILTER_NO_MAIL = 1u << 2,
	MILTER_NO_RCPT = 1u << 3,
	MILTER_NO_BODY = 1u << 4,
	MILTER_NO_HEADERS = 1u << 5,
	MILTER_NO_END_OF_HEADER = 1u << 6,
	MILTER_NOREPLY_HEADER = 1u << 7,
	MILTER_NO_UNKNOWN = 1u << 8,
	MILTER_NO_DATA = 1u << 9,
	MILTER_SKIP = 1u << 10,
	MILTER_REFUSED_RCPT = 1u << 11,
	MILTER_NOREPLY_CONNECT = 1u << 12,
	MILTER_NOREPLY_HELO = 1u << 13,
	MILTER_NOREPLY_MAIL = 1u << 14,
	MILTER_NOREPLY_RCPT = 1u << 15,
	MILTER_NOREPLY_DATA = 1u << 16,
	MILTER_NOREPLY_UNKNOWN = 1u << 17,
	MILTER_NOREPLY_END_OF_HEADER = 1u << 18,
	MILTER_NOREPLY_BODY = 1u << 19,
	MILTER_LEADING_SPACE = 1u << 20,
};

/* Those of the flags above that a version knows; events of later versions that it does
 * not know are never told. */
uint32_t milter_version_flags(int version);
uint32_t milter_version_lacks(int version);

/* ---- making ---- */

/* Begin a packet; the mark for milter_packet_end(). */
size_t milter_packet_begin(struct buf *out, char letter);
void milter_packet_end(struct buf *out, size_t mark);
void milter_put_number(struct buf *out, uint32_t number);
void milter_put_text(struct buf *out, struct str text);

/* ---- reading ---- */

/* The length of what follows the head; 0: none can be that long (or short). */
size_t milter_packet_length(const char head[MILTER_HEAD_BYTES]);
uint32_t milter_number(const char bytes[4]);

/* Take one off the front of *rest; false: not there. */
bool milter_take_number(struct str *rest, uint32_t *out);
bool milter_take_text(struct str *rest, struct str *out);

/* "SMFIR_CONTINUE" and its like, for the log. */
const char *milter_reply_name(char letter);
const char *milter_command_name(char letter);

/* Whether this can be a reply to the client: 4xx or 5xx, and if a digit follows, the same
 * class again. The clean form has one code in all lines, CR LF between them, nothing but
 * what can be printed; "%%" has become "%". */
bool milter_reply_clean(struct arena *mem, struct str text, struct str *clean_out);

/* ---- the answer to our offer ---- */

enum { MILTER_SYMBOL_LISTS = 7 };

struct milter_options {
	uint32_t version;
	uint32_t actions;
	uint32_t flags;
	bool has_macros[MILTER_SYMBOL_LISTS]; /* by enum milter_stage */
	struct str macros[MILTER_SYMBOL_LISTS];
	uint32_t unknown_stage; /* a list for one that we do not know */
	bool has_unknown_stage;
};

/* data: after the letter. The texts are views. */
bool milter_options_parse(struct str data, struct milter_options *out);
