/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/reader.h"

static void
add(struct buf *out, unsigned char tag, struct str data)
{
	unsigned char head[5] = {tag, (unsigned char)(data.len >> 24),
				 (unsigned char)(data.len >> 16),
				 (unsigned char)(data.len >> 8), (unsigned char)data.len};

	buf_add(out, str_from_mem(head, sizeof(head)));
	buf_add(out, data);
}

static bool
take(struct reader *r, unsigned char *tag, struct str *data)
{
	if (reader_at_end(r) || !reader_ok(r))
		return false;
	*tag = reader_u8(r);
	*data = reader_bytes(r, reader_u32(r));
	return reader_ok(r);
}

static void
add_number(struct buf *out, unsigned char tag, int64_t n)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRId64, n);

	add(out, tag, str_from_mem(text, (size_t)len));
}

static bool
to_number(struct str text, int64_t *out)
{
	return str_to_i64(text, INT64_MIN, INT64_MAX, out);
}

/* ---- jobs ---- */

enum spec_tag {
#define SPEC_STR(field) SPEC_##field,
#define SPEC_NUM(field) SPEC_##field,
#include "deliver/spec.def"
#undef SPEC_STR
#undef SPEC_NUM
};

static void
add_text_if_any(struct buf *out, unsigned char tag, struct str text)
{
	if (text.len > 0)
		add(out, tag, text);
}

static void
add_number_if_any(struct buf *out, unsigned char tag, int64_t number)
{
	if (number != 0)
		add_number(out, tag, number);
}

void
deliver_spec_encode(const struct deliver_spec *spec, struct buf *out)
{
#define SPEC_STR(field) add_text_if_any(out, SPEC_##field, spec->field);
#define SPEC_NUM(field) add_number_if_any(out, SPEC_##field, spec->field);
#include "deliver/spec.def"
#undef SPEC_STR
#undef SPEC_NUM
}

static bool
set_field(struct deliver_spec *spec, unsigned char tag, struct str data)
{
	switch (tag) {
#define SPEC_STR(field)                                                                  \
	case SPEC_##field:                                                               \
		spec->field = data;                                                      \
		return true;
#define SPEC_NUM(field)                                                                  \
	case SPEC_##field:                                                               \
		return to_number(data, &spec->field);
#include "deliver/spec.def"
#undef SPEC_STR
#undef SPEC_NUM
	default:
		return false;
	}
}

bool
deliver_spec_decode(struct str wire, struct deliver_spec *out)
{
	struct deliver_spec spec = {
#define SPEC_STR(field) .field = STR_EMPTY,
#define SPEC_NUM(field) .field = 0,
#include "deliver/spec.def"
#undef SPEC_STR
#undef SPEC_NUM
	};
	struct reader r;
	struct str data;
	unsigned char tag;

	reader_init(&r, wire);
	while (take(&r, &tag, &data)) {
		if (!set_field(&spec, tag, data))
			return false;
	}
	if (!reader_ok(&r))
		return false;
	*out = spec;
	return true;
}

/* ---- results ---- */

void
deliver_result_add_target(struct buf *out, struct str text)
{
	add(out, 't', text);
}

void
deliver_result_add_warning(struct buf *out, const char *format, ...)
{
	struct buf text;
	va_list ap;

	buf_init(&text, 4096);
	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	add(out, 'w', buf_str(&text));
	buf_release(&text);
}

void
deliver_result_add_dsn(struct buf *out, const struct dsn *dsn)
{
	add(out, 's', str_from(dsn->status.text));
	add(out, 'r', dsn->reason);
	if (dsn->diag_type.len > 0) {
		add(out, 'd', dsn->diag_type);
		add(out, 'x', dsn->diag_text);
	}
}

void
deliver_result_add_owner(struct buf *out, struct str user, struct str home, int64_t uid,
			 int64_t gid)
{
	add(out, 'n', user);
	add(out, 'h', home);
	add_number(out, 'u', uid);
	add_number(out, 'g', gid);
}

void
deliver_result_add_match(struct buf *out)
{
	add(out, 'm', STR_EMPTY);
}

void
deliver_result_add_end(struct buf *out, enum deliver_end end)
{
	add_number(out, 'e', end);
}

static bool
add_target(struct arena *mem, struct deliver_result *result, struct str text)
{
	size_t n = result->n_targets;

	if (n == DELIVER_TARGETS_MAX)
		return false;
	if ((n & (n - 1)) == 0) { /* grow at powers of two */
		struct deliver_target *more = arena_alloc_array(
			mem, n == 0 ? 1 : n * 2, sizeof(struct deliver_target));

		if (n > 0)
			memcpy(more, result->targets, n * sizeof(*more));
		result->targets = more;
	}
	result->targets[result->n_targets++].text = str_dup(mem, text);
	return true;
}

static bool
add_field(struct arena *mem, struct deliver_result *result, unsigned char tag,
	  struct str data, bool *ended)
{
	int64_t end = 0;

	switch (tag) {
	case 't':
		return add_target(mem, result, data);
	case 'w':
		if (result->n_warnings < DELIVER_WARNINGS_MAX)
			result->warnings[result->n_warnings++] = str_dup(mem, data);
		return true;
	case 's':
		if (data.len == 0 || dsn_status_length(data) != data.len)
			return false;
		result->dsn = dsn_make(mem, str_c(mem, data), STR_EMPTY);
		return true;
	case 'r':
		result->dsn.reason = str_printable(mem, data, true);
		return true;
	case 'd':
		result->dsn.diag_type = str_dup(mem, data);
		return true;
	case 'x':
		result->dsn.diag_text = str_printable(mem, data, true);
		return true;
	case 'n':
		result->user = str_dup(mem, data);
		return true;
	case 'h':
		result->home = str_dup(mem, data);
		return true;
	case 'u':
		return to_number(data, &result->uid);
	case 'g':
		return to_number(data, &result->gid);
	case 'm':
		result->extension_matched = true;
		return true;
	case 'e':
		if (!to_number(data, &end) || end <= DELIVER_LOST ||
		    end > DELIVER_UNKNOWN_USER)
			return false;
		result->end = (enum deliver_end)end;
		*ended = true;
		return true;
	default:
		return false;
	}
}

void
deliver_result_decode(struct arena *mem, struct str wire, struct deliver_result *out)
{
	struct reader r;
	struct str data;
	unsigned char tag;
	bool ended = false;

	*out = (struct deliver_result){
		.uid = -1, .gid = -1, .user = STR_EMPTY, .home = STR_EMPTY};
	reader_init(&r, wire);
	while (!ended && take(&r, &tag, &data)) {
		if (!add_field(mem, out, tag, data, &ended)) {
			ended = false;
			break;
		}
	}
	if (!ended || !reader_at_end(&r) ||
	    (out->end == DELIVER_DONE && out->dsn.status.text[0] == '\0'))
		out->end = DELIVER_LOST;
}
