/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message is "name\0" ("field\0value\0")* "\0". The codec works on a whole message; the
 * connection part reads attribute by attribute up to the empty name and keeps the limit on the
 * total, so that a peer cannot make us hold more than IPC_MESSAGE_MAX bytes.
 */
#include "ipc/message.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/reader.h"

#include "fiber/stream.h"

enum { ATTRIBUTE_MAX = 70000, FDS_MAX = 4 };

static const struct str version_line = STR_INIT("hikyaku-ipc 1");

static const void *
member(const void *value, const struct ipc_field *f)
{
	return (const char *)value + f->offset;
}

static void *
member_out(void *value, const struct ipc_field *f)
{
	return (char *)value + f->offset;
}

static int64_t
number_of(const void *value, const struct ipc_field *f)
{
	return *(const int64_t *)member(value, f);
}

static int
fd_of(const void *value, const struct ipc_field *f)
{
	return *(const int *)member(value, f);
}

static struct str
str_of(const void *value, const struct ipc_field *f)
{
	return *(const struct str *)member(value, f);
}

static void
add_text(struct buf *out, struct str s)
{
	buf_add(out, s);
	buf_add_char(out, '\0');
}

static void
encode_field(struct buf *out, const struct ipc_field *f, const void *value)
{
	switch (f->type) {
	case IPC_TYPE_STR:
		if (!f->required && str_of(value, f).len == 0)
			return;
		add_text(out, str_from(f->name));
		add_text(out, str_of(value, f));
		return;
	case IPC_TYPE_NUM:
		if (!f->required && number_of(value, f) == 0)
			return;
		add_text(out, str_from(f->name));
		buf_printf(out, "%" PRId64, number_of(value, f));
		buf_add_char(out, '\0');
		return;
	case IPC_TYPE_FD:
		if (fd_of(value, f) < 0)
			return;
		add_text(out, str_from(f->name));
		add_text(out, STR_EMPTY);
		return;
	}
}

void
ipc_encode(struct buf *out, const struct ipc_message *message, const void *value)
{
	size_t n;
	const struct ipc_field *fields = message->fields(&n);

	add_text(out, str_from(message->name));
	for (size_t i = 0; i < n; i++)
		encode_field(out, &fields[i], value);
	buf_add_char(out, '\0');
}

/* The struct with every field absent. */
static void
clear_value(const struct ipc_message *message, void *value)
{
	size_t n;
	const struct ipc_field *fields = message->fields(&n);

	memset(value, 0, message->size);
	for (size_t i = 0; i < n; i++) {
		if (fields[i].type == IPC_TYPE_FD)
			*(int *)member_out(value, &fields[i]) = -1;
		else if (fields[i].type == IPC_TYPE_STR)
			*(struct str *)member_out(value, &fields[i]) = STR_EMPTY;
	}
}

struct decoding {
	struct arena *mem;
	const struct ipc_message *message;
	const int *fds;
	size_t n_fds;
	size_t fds_used;
	void *value;
	struct err *err;
};

static bool
decode_field(struct decoding *d, const struct ipc_field *f, struct str text)
{
	void *at = member_out(d->value, f);

	switch (f->type) {
	case IPC_TYPE_STR:
		if (text.len > (size_t)f->max)
			return err_set(d->err, ERR_PERM, "%s.%s: %zu bytes, limit %" PRId64,
				       d->message->name, f->name, text.len, f->max);
		*(struct str *)at = str_dup(d->mem, text);
		return true;
	case IPC_TYPE_NUM:
		if (!str_to_i64(text, 0, f->max, at))
			return err_set(d->err, ERR_PERM, "%s.%s: bad number",
				       d->message->name, f->name);
		return true;
	case IPC_TYPE_FD:
		if (d->fds_used >= d->n_fds)
			return err_set(d->err, ERR_PERM, "%s.%s: no descriptor came",
				       d->message->name, f->name);
		*(int *)at = d->fds[d->fds_used++];
		return true;
	}
	return false;
}

static bool
decode_pair(struct decoding *d, struct str name, struct str text, uint64_t *seen)
{
	size_t n;
	const struct ipc_field *fields = d->message->fields(&n);

	for (size_t i = 0; i < n; i++) {
		if (!str_eq(name, str_from(fields[i].name)))
			continue;
		if ((*seen & (UINT64_C(1) << i)) != 0)
			return err_set(d->err, ERR_PERM, "%s.%s: given twice",
				       d->message->name, fields[i].name);
		*seen |= UINT64_C(1) << i;
		return decode_field(d, &fields[i], text);
	}
	return true; /* a newer peer's field */
}

static bool
check_required(const struct ipc_message *message, uint64_t seen, struct err *err)
{
	size_t n;
	const struct ipc_field *fields = message->fields(&n);

	for (size_t i = 0; i < n; i++) {
		if (fields[i].required && (seen & (UINT64_C(1) << i)) == 0)
			return err_set(err, ERR_PERM, "%s.%s: missing", message->name,
				       fields[i].name);
	}
	return true;
}

bool
ipc_decode(struct arena *mem, const struct ipc_message *message, struct str fields,
	   const int *fds, size_t n_fds, void *value_out, size_t *fds_used_out,
	   struct err *err)
{
	struct decoding d = {.mem = mem, .message = message, .fds = fds, .n_fds = n_fds,
			     .err = err};
	struct reader r;
	uint64_t seen = 0;
	size_t count = 0;

	d.value = arena_alloc(mem, message->size);
	clear_value(message, d.value);
	reader_init(&r, fields);
	while (!reader_at_end(&r)) {
		struct str name = reader_until(&r, '\0');
		struct str text = reader_until(&r, '\0');

		if (!reader_ok(&r))
			return err_set(err, ERR_PERM, "%s: cut short", message->name);
		if (++count > IPC_FIELDS_MAX)
			return err_set(err, ERR_PERM, "%s: too many fields", message->name);
		if (!decode_pair(&d, name, text, &seen))
			return false;
	}
	if (!check_required(message, seen, err))
		return false;
	memcpy(value_out, d.value, message->size);
	*fds_used_out = d.fds_used;
	return true;
}

static void
print_field(struct buf *out, const struct ipc_field *f, const void *value)
{
	switch (f->type) {
	case IPC_TYPE_STR:
		buf_printf(out, " %s=" PRI_STR, f->name, STR_ARG(str_of(value, f)));
		return;
	case IPC_TYPE_NUM:
		buf_printf(out, " %s=%" PRId64, f->name, number_of(value, f));
		return;
	case IPC_TYPE_FD:
		buf_printf(out, " %s=%d", f->name, fd_of(value, f));
		return;
	}
}

struct str
ipc_print(struct arena *mem, const struct ipc_message *message, const void *value)
{
	struct buf *out = buf_new(mem, IPC_MESSAGE_MAX);
	size_t n;
	const struct ipc_field *fields = message->fields(&n);

	buf_printf(out, "%s:", message->name);
	for (size_t i = 0; i < n; i++)
		print_field(out, &fields[i], value);
	return str_printable(mem, buf_str(out), true);
}
