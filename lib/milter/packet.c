/* SPDX-License-Identifier: Apache-2.0 */
#include "milter/packet.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "milter/milter.h"

static const struct {
	char letter;
	const char *name;
} replies[] = {{'+', "SMFIR_ADDRCPT"},     {'-', "SMFIR_DELRCPT"},
	       {'a', "SMFIR_ACCEPT"},      {'b', "SMFIR_REPLBODY"},
	       {'c', "SMFIR_CONTINUE"},    {'d', "SMFIR_DISCARD"},
	       {'f', "SMFIR_CONN_FAIL"},   {'m', "SMFIR_CHGHEADER"},
	       {'p', "SMFIR_PROGRESS"},    {'r', "SMFIR_REJECT"},
	       {'t', "SMFIR_TEMPFAIL"},    {'4', "SMFIR_SHUTDOWN"},
	       {'h', "SMFIR_ADDHEADER"},   {'i', "SMFIR_INSHEADER"},
	       {'y', "SMFIR_REPLYCODE"},   {'q', "SMFIR_QUARANTINE"},
	       {'s', "SMFIR_SKIP"},        {'e', "SMFIR_CHGFROM"},
	       {'2', "SMFIR_ADDRCPT_PAR"}, {'l', "SMFIR_SETSYMLIST"}},
  commands[] = {{'A', "SMFIC_ABORT"},  {'B', "SMFIC_BODY"},    {'C', "SMFIC_CONNECT"},
		{'D', "SMFIC_MACRO"},  {'E', "SMFIC_BODYEOB"}, {'H', "SMFIC_HELO"},
		{'L', "SMFIC_HEADER"}, {'M', "SMFIC_MAIL"},    {'N', "SMFIC_EOH"},
		{'O', "SMFIC_OPTNEG"}, {'Q', "SMFIC_QUIT"},    {'R', "SMFIC_RCPT"},
		{'T', "SMFIC_DATA"},   {'U', "SMFIC_UNKNOWN"}, {'K', "SMFIC_QUIT_NC"}};

const char *
milter_reply_name(char letter)
{
	for (size_t i = 0; i < ARRAY_LEN(replies); i++)
		if (replies[i].letter == letter)
			return replies[i].name;
	return "(unknown filter reply)";
}

const char *
milter_command_name(char letter)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].letter == letter)
			return commands[i].name;
	return "(unknown MTA event)";
}

/* ---- versions ---- */

enum {
	VERSION_2 = 0x7f,
	VERSION_3 = VERSION_2 | MILTER_NO_UNKNOWN,
	VERSION_4 = VERSION_3 | MILTER_NO_DATA,
	VERSION_6 = (1 << 21) - 1,
};

uint32_t
milter_version_flags(int version)
{
	if (version >= 6)
		return VERSION_6;
	if (version >= 4)
		return VERSION_4;
	return version == 3 ? VERSION_3 : VERSION_2;
}

uint32_t
milter_version_lacks(int version)
{
	return (version < 3 ? MILTER_NO_UNKNOWN : 0u) |
	       (version < 4 ? MILTER_NO_DATA : 0u);
}

/* ---- making ---- */

size_t
milter_packet_begin(struct buf *out, char letter)
{
	size_t mark = out->len;

	milter_put_number(out, 0);
	buf_add_char(out, letter);
	return mark;
}

void
milter_packet_end(struct buf *out, size_t mark)
{
	uint32_t length;

	if (!buf_ok(out))
		return;
	length = htonl((uint32_t)(out->len - mark - MILTER_HEAD_BYTES));
	memcpy(out->p + mark, &length, sizeof(length));
}

void
milter_put_number(struct buf *out, uint32_t number)
{
	uint32_t bytes = htonl(number);

	buf_add(out, str_from_mem(&bytes, sizeof(bytes)));
}

void
milter_put_text(struct buf *out, struct str text)
{
	buf_add(out, str_head(text, str_index(text, '\0')));
	buf_add_char(out, '\0');
}

/* ---- reading ---- */

uint32_t
milter_number(const char bytes[4])
{
	uint32_t number;

	memcpy(&number, bytes, sizeof(number));
	return ntohl(number);
}

size_t
milter_packet_length(const char head[MILTER_HEAD_BYTES])
{
	uint32_t length = milter_number(head);

	return length > MILTER_PACKET_MAX ? 0 : length;
}

bool
milter_take_number(struct str *rest, uint32_t *out)
{
	if (rest->len < sizeof(uint32_t))
		return false;
	*out = milter_number(rest->p);
	*rest = str_skip(*rest, sizeof(uint32_t));
	return true;
}

bool
milter_take_text(struct str *rest, struct str *out)
{
	size_t end = str_index(*rest, '\0');

	if (end == rest->len)
		return false;
	*out = str_head(*rest, end);
	*rest = str_skip(*rest, end + 1);
	return true;
}

bool
milter_options_parse(struct str data, struct milter_options *out)
{
	struct milter_options o = {.version = 0};

	if (!milter_take_number(&data, &o.version) ||
	    !milter_take_number(&data, &o.actions) ||
	    !milter_take_number(&data, &o.flags))
		return false;
	while (data.len > 0) {
		uint32_t stage;
		struct str names;

		if (!milter_take_number(&data, &stage) ||
		    !milter_take_text(&data, &names) || names.len > MILTER_SYMLIST_MAX)
			return false;
		if (stage >= MILTER_SYMBOL_LISTS) {
			o.has_unknown_stage = true;
			o.unknown_stage = stage;
			continue;
		}
		o.has_macros[stage] = true;
		o.macros[stage] = names;
	}
	*out = o;
	return true;
}

/* ---- replies to the client ---- */

/* "550 text", "450-text" */
static bool
has_code(struct str line)
{
	return line.len >= 4 && (line.p[0] == '4' || line.p[0] == '5') &&
	       char_is_digit(line.p[1]) && char_is_digit(line.p[2]) &&
	       (line.p[3] == ' ' || line.p[3] == '-');
}

/* What could be a status code is of the same class. */
static bool
is_reply(struct str text)
{
	return has_code(text) &&
	       (text.len == 4 || !char_is_digit(text.p[4]) || text.p[4] == text.p[0]);
}

/* "%%" means "%": libmilter has its callers double it. */
static void
add_clean(struct buf *out, struct str line)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if (c == '%' && (++i == line.len || line.p[i] != '%')) {
			i--;
			continue;
		}
		buf_add_char(out, c == '\t' || (c >= 32 && c != 127) ? line.p[i] : '?');
	}
}

/* The first code counts for all lines, so that each client reads the same reply. */
static void
add_line(struct buf *out, struct str line, bool is_last)
{
	struct str text = line;

	if (has_code(line))
		text = str_skip(line, 4);
	if (out->len > 0) {
		buf_add_c(out, "\r\n");
		buf_add(out, str_head(buf_str(out), 3));
	} else {
		buf_add(out, str_head(line, 3));
	}
	buf_add_char(out, is_last ? ' ' : '-');
	add_clean(out, text);
}

bool
milter_reply_clean(struct arena *mem, struct str text, struct str *clean_out)
{
	struct buf *out = buf_new(mem, SIZE_MAX / 4);
	struct str rest = text;
	struct str line;

	if (text.len > MILTER_REPLY_MAX || !is_reply(text))
		return false;
	while (str_line(&rest, &line))
		add_line(out, line, rest.len == 0);
	*clean_out = buf_str(out);
	return true;
}
