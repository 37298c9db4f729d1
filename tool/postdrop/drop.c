/* SPDX-License-Identifier: Apache-2.0 */
#include "drop.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

enum { TEXT_SHOWN = 200 };

/* Attributes that a sender may set, and their values; no value: any. */
static const struct {
	struct str name;
	struct str values[4];
} attributes[] = {
	{STR_INIT("encoding"), {STR_INIT("7bit"), STR_INIT("8bit"), STR_INIT("")}},
	{STR_INIT("rewrite_context"), {STR_INIT("local"), STR_INIT("remote")}},
	{STR_INIT("trace_flags"), {STR_INIT("512"), STR_INIT("1024"), STR_INIT("0")}},
	{STR_INIT("create_time"), {{NULL, 0}}},
	{STR_INIT("envelope_id"), {{NULL, 0}}},
	{STR_INIT("dsn_orig_rcpt"), {{NULL, 0}}},
	{STR_INIT("notify_flags"), {{NULL, 0}}},
	{STR_INIT("ret_flags"), {{NULL, 0}}},
};

static bool
attribute_is_allowed(struct str name, struct str value)
{
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
		if (!str_eq(name, attributes[i].name))
			continue;
		if (attributes[i].values[0].p == NULL)
			return true;
		for (size_t v = 0; v < ARRAY_LEN(attributes[i].values); v++) {
			if (attributes[i].values[v].p != NULL &&
			    str_eq(value, attributes[i].values[v]))
				return true;
		}
	}
	return false;
}

/* Blanks around name and value are not kept; what is not allowed is left out. */
static void
take_attribute(struct arena *mem, struct str text, struct buf *out,
	       struct str *warning_out)
{
	struct str name;
	struct str value;

	if (!str_split(text, '=', &name, &value)) {
		*warning_out = str_printf(mem,
					  "ignoring malformed record: missing '=' after "
					  "attribute name: " PRI_STR,
					  STR_ARG(str_head(text, TEXT_SHOWN)));
		return;
	}
	name = str_trim(name);
	value = str_trim(value);
	if (name.len == 0) {
		*warning_out = str_printf(mem,
					  "ignoring malformed record: missing attribute "
					  "name: " PRI_STR,
					  STR_ARG(str_head(text, TEXT_SHOWN)));
		return;
	}
	text = str_printf(mem, PRI_STR "=" PRI_STR, STR_ARG(name), STR_ARG(value));
	if (!attribute_is_allowed(name, value)) {
		*warning_out = str_printf(mem, "ignoring attribute record: " PRI_STR,
					  STR_ARG(str_head(text, TEXT_SHOWN)));
		return;
	}
	record_encode(out, RECORD_LETTER(ATTRIBUTE), text);
}

static bool
is_one_line(struct str data)
{
	return !str_contains(data, '\n') && !str_contains(data, '\r') &&
	       !str_contains(data, '\0');
}

static bool
next_segment(struct drop *d, char letter)
{
	if (letter == RECORD_LETTER(MESSAGE))
		d->segment = SEGMENT_CONTENT;
	else if (letter == RECORD_LETTER(EXTRACTED))
		d->segment = SEGMENT_EXTRACTED;
	else if (letter == RECORD_LETTER(END))
		d->segment = SEGMENT_OVER;
	return d->segment == SEGMENT_OVER;
}

static enum drop_result
take_record(struct arena *mem, struct drop *d, const struct record *r, struct buf *out,
	    struct str *warning_out, struct err *err)
{
	enum record_type type = record_find(r->letter, d->segment);

	/* The time is ours to say: main.c writes it first. */
	if (type == RECORD_TYPES || type == RECORD_TIME ||
	    !record_from_user(type, d->segment)) {
		err_set(err, ERR_PERM, "unexpected record type: %d",
			(unsigned char)r->letter);
		return DROP_REFUSED;
	}
	if (d->segment != SEGMENT_CONTENT && !is_one_line(r->data)) {
		err_set(err, ERR_PERM, "line end or null byte in record type: %d",
			(unsigned char)r->letter);
		return DROP_REFUSED;
	}
	if (type == RECORD_ATTRIBUTE) {
		take_attribute(mem, r->data, out, warning_out);
		return DROP_TAKEN;
	}
	if (type == RECORD_SENDER) {
		d->senders++;
		d->got_sender = true;
		d->sender = r->data;
	} else if (type == RECORD_RECIPIENT) {
		d->recipients++;
	}
	record_encode(out, r->letter, r->data);
	return next_segment(d, r->letter) ? DROP_END : DROP_TAKEN;
}

enum drop_result
drop_take(struct arena *mem, struct drop *d, struct str input, struct buf *out,
	  size_t *used_out, struct str *warning_out, struct err *err)
{
	struct record r = {0};
	size_t used = 0;
	enum record_result result = record_decode(input, &r, &used);

	*warning_out = STR_EMPTY;
	d->got_sender = false;
	if (result == RECORD_NO_MORE)
		return DROP_MORE;
	/* A longer record need not arrive to be refused. */
	if (result == RECORD_BAD ||
	    (result == RECORD_GOT && r.data.len > d->max_length) ||
	    (result == RECORD_CUT && input.len > d->max_length + RECORD_HEAD_MAX)) {
		err_set(err, ERR_PERM, "malformed input");
		return DROP_REFUSED;
	}
	if (result == RECORD_CUT)
		return DROP_MORE;
	*used_out = used;
	return take_record(mem, d, &r, out, warning_out, err);
}
