/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/sys.h"

#include "mail/address.h"

/* One row a field; addresses are kept in their quoted form. */
enum field_kind { FIELD_TEXT, FIELD_ADDRESS, FIELD_NUMBER };

static const struct {
	const char *name;
	size_t offset;
	enum field_kind kind;
} fields[] = {
#define FIELD(name, member, kind)                                                        \
	{                                                                                \
		name, offsetof(struct log_entry, member), kind                           \
	}
	FIELD("recipient", recipient, FIELD_ADDRESS),
	FIELD("original_recipient", original, FIELD_ADDRESS),
	FIELD("offset", offset, FIELD_NUMBER),
	FIELD("dsn_orig_rcpt", dsn_orcpt, FIELD_TEXT),
	FIELD("notify_flags", dsn_notify, FIELD_NUMBER),
	FIELD("status", dsn, FIELD_TEXT),
	FIELD("action", action, FIELD_TEXT),
	FIELD("diag_type", diag_type, FIELD_TEXT),
	FIELD("diag_text", diag_text, FIELD_TEXT),
	FIELD("mta_type", mta_type, FIELD_TEXT),
	FIELD("mta_mname", mta_name, FIELD_TEXT),
	FIELD("reason", reason, FIELD_TEXT),
#undef FIELD
};

static void *
member(struct log_entry *e, size_t i)
{
	return (char *)e + fields[i].offset;
}

static struct str
one_line(struct arena *mem, struct str s)
{
	char *copy = str_c(mem, s);

	for (size_t i = 0; i < s.len; i++) {
		if (copy[i] == '\n' || copy[i] == '\r' || copy[i] == '\0')
			copy[i] = ' ';
	}
	return str_from_mem(copy, s.len);
}

static void
format_field(struct arena *mem, struct buf *out, struct log_entry *e, size_t i)
{
	if (fields[i].kind == FIELD_NUMBER) {
		int64_t n = *(int64_t *)member(e, i);

		if (n != 0)
			buf_printf(out, "%s=%" PRId64 "\n", fields[i].name, n);
	} else {
		struct str s = *(struct str *)member(e, i);

		if (s.len == 0 &&
		    fields[i].offset != offsetof(struct log_entry, recipient))
			return;
		if (fields[i].kind == FIELD_ADDRESS)
			s = address_quote_header(mem, s);
		buf_printf(out, "%s=" PRI_STR "\n", fields[i].name,
			   STR_ARG(one_line(mem, s)));
	}
}

void
log_entry_format(struct arena *mem, struct buf *out, const struct log_entry *entry,
		 bool with_old_line)
{
	struct log_entry e = *entry;

	if (str_ieq(e.original, e.recipient))
		e.original = STR_EMPTY;
	if (with_old_line)
		buf_printf(out, "<" PRI_STR ">: " PRI_STR "\n",
			   STR_ARG(one_line(mem, address_quote_header(mem, e.recipient))),
			   STR_ARG(one_line(mem, e.reason)));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		format_field(mem, out, &e, i);
	buf_add_char(out, '\n');
}

static bool
append_synced(int fd, struct str text, struct err *err)
{
	struct stat st;

	if (sys_fstat(fd, &st) < 0)
		return err_errno(err, ERR_TEMP, "fstat");
	if (io_write_all(fd, text, "log file", err)) {
		if (sys_fsync(fd) == 0)
			return true;
		IGNORE(err_errno(err, ERR_TEMP, "sync"));
	}
	/* Half an entry would be read as a whole one. */
	IGNORE(sys_ftruncate(fd, st.st_size) < 0);
	return false;
}

bool
log_file_append(const struct queue_dirs *dirs, enum queue_name q, struct str id,
		const struct log_entry *entry, bool with_old_line, struct err *err)
{
	struct arena *mem = arena_new();
	struct buf *out = buf_new(mem, 1 << 20);
	bool ok;
	int fd;

	ok = queue_open_append(dirs, q, id, &fd, err);
	if (ok) {
		log_entry_format(mem, out, entry, with_old_line);
		ok = append_synced(fd, buf_str(out), err) ||
		     err_prefix(err, "append file %s " PRI_STR, queue_directory_name(q),
				STR_ARG(id));
		sys_close(fd);
	}
	arena_free(&mem);
	return ok;
}

static void
parse_field(struct arena *mem, struct log_entry *e, struct str line)
{
	struct str name;
	struct str value;

	if (!str_split(line, '=', &name, &value))
		return;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (!str_eq(name, str_from(fields[i].name)))
			continue;
		if (fields[i].kind == FIELD_NUMBER)
			IGNORE(!str_to_i64(value, 0, INT64_MAX, member(e, i)));
		else if (fields[i].kind == FIELD_ADDRESS)
			*(struct str *)member(e, i) = address_unquote(mem, value);
		else
			*(struct str *)member(e, i) = str_dup(mem, value);
	}
}

static const struct log_entry no_entry = {
	.recipient = STR_INIT(""),
	.original = STR_INIT(""),
	.dsn_orcpt = STR_INIT(""),
	.dsn = STR_INIT(""),
	.action = STR_INIT(""),
	.reason = STR_INIT(""),
	.mta_type = STR_INIT(""),
	.mta_name = STR_INIT(""),
	.diag_type = STR_INIT(""),
	.diag_text = STR_INIT(""),
};

static size_t
count_blocks(struct str text)
{
	size_t n = 1;

	for (size_t i = 0; i + 1 < text.len; i++)
		n += text.p[i] == '\n' && text.p[i + 1] == '\n';
	return MIN_OF(n, (size_t)LOG_FILE_ENTRIES_MAX);
}

void
log_file_parse(struct arena *mem, struct str text, struct log_entry **entries_out,
	       size_t *count_out)
{
	size_t max = count_blocks(text) + 1;
	struct log_entry *entries = arena_alloc_array(mem, max, sizeof(*entries));
	struct log_entry e = no_entry;
	struct str line;
	size_t n = 0;

	while (n < max && str_line(&text, &line)) {
		if (line.len > 0) {
			parse_field(mem, &e, line);
			if (text.len > 0)
				continue;
		}
		if (e.recipient.len > 0 || e.reason.len > 0)
			entries[n++] = e;
		e = no_entry;
	}
	*entries_out = entries;
	*count_out = n;
}

bool
log_file_read(struct arena *mem, const struct queue_dirs *dirs, enum queue_name q,
	      struct str id, struct log_entry **entries_out, size_t *count_out,
	      struct err *err)
{
	struct arena *scratch = arena_new();
	struct str text = STR_EMPTY;
	bool ok;
	int fd;

	ok = queue_open(dirs, q, id, false, &fd, err);
	if (ok) {
		ok = io_read_all(scratch, fd, LOG_FILE_MAX, "log file", &text, err);
		sys_close(fd);
	} else if (err->errnum == ENOENT) {
		ok = true;
	}
	if (ok)
		log_file_parse(mem, text, entries_out, count_out);
	arena_free(&scratch);
	return ok;
}
