/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message is "name\0" ("field\0value\0")* "\0". The codec works on a whole message; the
 * connection part reads attribute by attribute up to the empty name and keeps the limit
 * on the total, so that a peer cannot make us hold more than IPC_MESSAGE_MAX bytes.
 */
#include "ipc/message.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/reader.h"

#include "fiber/stream.h"

enum { VERSION_MAX = 40, NAME_MAX_BYTES = 60 };

static const struct str version = STR_INIT("hikyaku-ipc 1");

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
			return err_set(d->err, ERR_PERM,
				       "%s.%s: %zu bytes, limit %" PRId64,
				       d->message->name, f->name, text.len, f->max);
		*(struct str *)at = str_dup(d->mem, text);
		return true;
	case IPC_TYPE_NUM:
		if (!str_to_i64(text, 0, f->max, at))
			return err_set(d->err, ERR_PERM, "%s.%s: bad number",
				       d->message->name, f->name);
		return true;
	case IPC_TYPE_FD:
		*(int *)at = IPC_FD_COMING;
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
	   void *value_out, struct err *err)
{
	struct decoding d = {.mem = mem, .message = message, .err = err};
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
			return err_set(err, ERR_PERM, "%s: too many fields",
				       message->name);
		if (!decode_pair(&d, name, text, &seen))
			return false;
	}
	if (!check_required(message, seen, err))
		return false;
	memcpy(value_out, d.value, message->size);
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

/* ---- connections ---- */

void
ipc_init(struct ipc *ipc, struct stream *stream)
{
	*ipc = (struct ipc){.stream = stream};
	if (stream_fd(stream) >= 0)
		stream_accept_fds(stream);
}

static bool
stream_failed(struct ipc *ipc, enum stream_status status, const char *doing,
	      struct err *err)
{
	if (status == STREAM_ERROR) {
		errno = stream_errno(ipc->stream);
		return err_errno(err, ERR_TEMP, "%s", doing);
	}
	return err_set(err, ERR_TEMP, "%s: %s", doing, stream_status_name(status));
}

/* The descriptor field of the message if the value has one to send, else -1. */
static int *
fd_field(const struct ipc_message *message, void *value)
{
	size_t n;
	const struct ipc_field *fields = message->fields(&n);

	for (size_t i = 0; i < n; i++) {
		if (fields[i].type == IPC_TYPE_FD)
			return member_out(value, &fields[i]);
	}
	return NULL;
}

static int
fd_to_send(const struct ipc_message *message, const void *value)
{
	size_t n;
	const struct ipc_field *fields = message->fields(&n);

	for (size_t i = 0; i < n; i++) {
		if (fields[i].type == IPC_TYPE_FD)
			return fd_of(value, &fields[i]);
	}
	return -1;
}

/* What the other end would refuse, or take for something else. */
static bool
is_sendable(const struct ipc_field *f, const void *value)
{
	switch (f->type) {
	case IPC_TYPE_STR:
		return str_of(value, f).len <= (size_t)f->max &&
		       !str_contains(str_of(value, f), '\0');
	case IPC_TYPE_NUM:
		return number_of(value, f) >= 0 && number_of(value, f) <= f->max;
	case IPC_TYPE_FD:
		break;
	}
	return true;
}

static bool
check_value(const struct ipc_message *message, const void *value, struct err *err)
{
	size_t n;
	const struct ipc_field *fields = message->fields(&n);

	for (size_t i = 0; i < n; i++) {
		if (!is_sendable(&fields[i], value))
			return err_set(err, ERR_PERM,
				       "%s.%s: a value that cannot be sent",
				       message->name, fields[i].name);
	}
	return true;
}

bool
ipc_send(struct ipc *ipc, const struct ipc_message *message, const void *value,
	 struct err *err)
{
	int fd = fd_to_send(message, value);
	enum stream_status status;
	struct buf out;

	if (!check_value(message, value, err))
		return false;
	buf_init(&out, IPC_MESSAGE_MAX);
	if (!ipc->greeted)
		add_text(&out, version);
	ipc_encode(&out, message, value);
	if (!buf_ok(&out)) {
		buf_release(&out);
		return err_set(err, ERR_PERM, "message %s: too large", message->name);
	}
	ipc->greeted = true;
	status = stream_write(ipc->stream, buf_str(&out));
	buf_release(&out);
	if (status == STREAM_OK && fd >= 0)
		status = stream_send_fd(ipc->stream, fd);
	return status == STREAM_OK || stream_failed(ipc, status, "send", err);
}

bool
ipc_flush(struct ipc *ipc, struct err *err)
{
	enum stream_status status = stream_flush(ipc->stream);

	return status == STREAM_OK || stream_failed(ipc, status, "send", err);
}

/* Append bytes up to and with the next NUL to *out. */
static enum stream_status
read_text(struct stream *s, struct buf *out, size_t max_bytes)
{
	size_t start = out->len;

	for (;;) {
		struct str have = stream_peek(s);
		size_t at = str_index(have, '\0');
		enum stream_status status;

		buf_add(out, str_head(have, MIN_OF(at + 1, have.len)));
		stream_consume(s, MIN_OF(at + 1, have.len));
		if (out->len - start > max_bytes || !buf_ok(out))
			return STREAM_TOO_LONG;
		if (at < have.len)
			return STREAM_OK;
		status = stream_fill(s);
		if (status != STREAM_OK)
			return status;
	}
}

/* One text without its NUL, as a view of *text. */
static enum stream_status
read_name(struct stream *s, struct buf *text, size_t max_bytes, struct str *out)
{
	enum stream_status status;

	buf_clear(text);
	status = read_text(s, text, max_bytes);
	if (status == STREAM_OK)
		*out = str_head(buf_str(text), text->len - 1);
	return status;
}

/* The pairs of a message, without the empty name that ends it. */
static enum stream_status
read_fields(struct stream *s, struct buf *text)
{
	buf_clear(text);
	for (;;) {
		size_t before = text->len;
		enum stream_status status = read_text(s, text, IPC_MESSAGE_MAX);

		if (status != STREAM_OK)
			return status;
		if (text->len == before + 1) {
			buf_truncate(text, before);
			return STREAM_OK;
		}
		status = read_text(s, text, IPC_MESSAGE_MAX);
		if (status != STREAM_OK)
			return status;
	}
}

static enum ipc_result
read_version(struct ipc *ipc, struct buf *text, struct err *err)
{
	enum stream_status status;
	struct str got;

	if (ipc->met)
		return IPC_DONE;
	if (stream_peek(ipc->stream).len == 0) {
		status = stream_fill(ipc->stream);
		if (status == STREAM_EOF)
			return IPC_CLOSED;
	}
	status = read_name(ipc->stream, text, VERSION_MAX, &got);
	if (status != STREAM_OK) {
		IGNORE(stream_failed(ipc, status, "receive version", err));
		return IPC_FAILED;
	}
	if (!str_eq(got, version)) {
		IGNORE(err_set(err, ERR_PERM, "the peer does not speak " PRI_STR,
			       STR_ARG(version)));
		return IPC_FAILED;
	}
	ipc->met = true;
	return IPC_DONE;
}

static const struct ipc_message *
find_message(const struct ipc_message *const *accepted, struct str name)
{
	for (size_t i = 0; accepted[i] != NULL; i++) {
		if (str_eq(name, str_from(accepted[i]->name)))
			return accepted[i];
	}
	return NULL;
}

static bool
receive_fd(struct ipc *ipc, const struct ipc_message *message, void *value,
	   struct err *err)
{
	int *fd = fd_field(message, value);
	enum stream_status status;

	if (fd == NULL || *fd != IPC_FD_COMING)
		return true;
	*fd = -1;
	status = stream_receive_fd(ipc->stream, fd);
	return status == STREAM_OK ||
	       stream_failed(ipc, status, "receive descriptor", err);
}

/* The name of the next message; the end of file before its first byte is a clean close.
 */
static enum ipc_result
read_message_name(struct ipc *ipc, struct buf *text, struct str *name_out,
		  struct err *err)
{
	enum ipc_result result;
	enum stream_status status;

	if (!ipc_flush(ipc, err))
		return IPC_FAILED;
	result = read_version(ipc, text, err);
	if (result != IPC_DONE)
		return result;
	status = read_name(ipc->stream, text, NAME_MAX_BYTES, name_out);
	if (status == STREAM_EOF && text->len == 0)
		return IPC_CLOSED;
	if (status == STREAM_OK)
		return IPC_DONE;
	IGNORE(stream_failed(ipc, status, "receive", err));
	return IPC_FAILED;
}

static enum ipc_result
receive(struct ipc *ipc, struct arena *mem, const struct ipc_message *const *accepted,
	const struct ipc_message **which_out, void **value_out, struct err *err)
{
	struct buf *text = buf_new(mem, IPC_MESSAGE_MAX);
	const struct ipc_message *message;
	enum stream_status status;
	enum ipc_result result;
	struct str name;
	void *value;

	result = read_message_name(ipc, text, &name, err);
	if (result != IPC_DONE)
		return result;
	message = find_message(accepted, name);
	if (message == NULL) {
		IGNORE(err_set(err, ERR_PERM, "unexpected message " PRI_STR,
			       STR_ARG(str_printable(mem, name, false))));
		return IPC_FAILED;
	}
	status = read_fields(ipc->stream, text);
	if (status != STREAM_OK) {
		IGNORE(stream_failed(ipc, status, message->name, err));
		return IPC_FAILED;
	}
	value = arena_alloc(mem, message->size);
	if (!ipc_decode(mem, message, buf_str(text), value, err) ||
	    !receive_fd(ipc, message, value, err))
		return IPC_FAILED;
	buf_shrink(text);
	*which_out = message;
	*value_out = value;
	return IPC_DONE;
}

enum ipc_result
ipc_receive_any(struct ipc *ipc, struct arena *mem,
		const struct ipc_message *const *accepted,
		const struct ipc_message **which_out, void **value_out, struct err *err)
{
	return receive(ipc, mem, accepted, which_out, value_out, err);
}

enum ipc_result
ipc_receive(struct ipc *ipc, struct arena *mem, const struct ipc_message *message,
	    void *value_out, struct err *err)
{
	const struct ipc_message *const accepted[] = {message, NULL};
	const struct ipc_message *which;
	enum ipc_result result;
	void *value;

	result = receive(ipc, mem, accepted, &which, &value, err);
	if (result == IPC_DONE)
		memcpy(value_out, value, message->size);
	return result;
}
