/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the library on a real directory: ids, directories, writing and reading
 * messages, damage, log files.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"

#include "queue/dir.h"
#include "queue/file.h"
#include "queue/id.h"
#include "queue/log_file.h"
#include "queue/record.h"
#include "queue/writer.h"

struct fixture {
	struct arena *mem;
	char root[64];
	struct queue_dirs dirs;
};

static void
start(struct fixture *f, bool long_ids)
{
	struct err err;
	int fd;

	f->mem = arena_new();
	strcpy(f->root, "/tmp/queue-test-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	fd = open(f->root, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	for (int q = 0; q < QUEUE_NAMES; q++)
		assert_int_equal(
			mkdirat(fd, queue_directory_name((enum queue_name)q), 0700), 0);
	assert_true(
		queue_dirs_init(&f->dirs, fd, STR("deferred, defer"), 2, long_ids, &err));
}

static void
stop(struct fixture *f)
{
	struct str command = str_printf(f->mem, "rm -r %s", f->root);

	close(f->dirs.root);
	assert_int_equal(system(command.p), 0);
	arena_free(&f->mem);
}

static void
test_id_for_inode(void **state)
{
	static const struct {
		const char *id, *wanted;
		uint64_t inode;
		bool want_long, match_long;
	} rows[] = {
		{"ABCDE1111", "ABCDE1111", 0x1111, false, false},
		{"ABCDE1111", "ABCDE7F", 0x7f, false, false},
		{"abcdeXYZ", "abcde7F", 0x7f, true, true},
		{"ABCDE", "", 0x7f, false, false},
		{"ABC.E1111", "", 0x7f, false, false},
		{"4Bq7ym0sf8zdm", "4Bq7ym0sf8zdm", 1, true, false},
		{"4Bq7ym0sf8zdm", "4Bq7ym0sf8z1", 1, true, true},
		{"4Bq7ym0sf8zdm", "1E2401", 1, false, false},
		{"4Bq7ymAAAAzdm", "", 1, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct str id =
			queue_id_for_inode(mem, str_from(rows[i].id), rows[i].inode,
					   rows[i].want_long, rows[i].match_long);

		assert_string_equal(str_c(mem, id), rows[i].wanted);
		arena_free(&mem);
	}
}

static void
test_rename(void **state)
{
	struct fixture f;
	struct err err;
	struct stat st;

	(void)state;
	start(&f, false);
	close(openat(f.dirs.root, "hold/ABCDE1", O_CREAT | O_WRONLY, 0700));
	close(openat(f.dirs.root, "hold/ABCDE2", O_CREAT | O_WRONLY, 0700));
	assert_false(queue_rename(&f.dirs, STR("hold/ABCDE1"), STR("hold/ABCDE2"), &err));
	assert_int_equal(err.errnum, EEXIST);
	assert_true(queue_rename(&f.dirs, STR("hold/ABCDE1"), STR("deferred/A/B/ABCDE1"),
				 &err));
	assert_int_equal(fstatat(f.dirs.root, "deferred/A/B/ABCDE1", &st, 0), 0);
	assert_false(queue_rename(&f.dirs, STR("hold/ABCDE1"), STR("hold/ABCDE3"), &err));
	assert_int_equal(err.errnum, ENOENT);
	stop(&f);
}

static void
test_record_codec(void **state)
{
	static const size_t sizes[] = {0,     1,     127,    128,
				       16383, 16384, 100000, RECORD_DATA_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct arena *mem = arena_new();
		struct buf *b = buf_new(mem, (size_t)2 * RECORD_DATA_MAX);
		struct str data = str_from_mem(arena_alloc(mem, sizes[i] + 1), sizes[i]);
		struct record r;
		size_t used;

		record_encode(b, 'N', data);
		assert_int_equal(record_decode(buf_str(b), &r, &used), RECORD_GOT);
		assert_int_equal(used, b->len);
		assert_int_equal(r.letter, 'N');
		assert_true(str_eq(r.data, data));
		for (size_t cut = 1; cut < b->len && cut < 10; cut++)
			assert_int_equal(
				record_decode(str_head(buf_str(b), cut), &r, &used),
				RECORD_CUT);
		arena_free(&mem);
	}
	{
		struct record r;
		size_t used;

		assert_int_equal(record_decode(STR(""), &r, &used), RECORD_NO_MORE);
		assert_int_equal(record_decode(STR("N\xff\xff\xff\x7f"), &r, &used),
				 RECORD_BAD);
		assert_int_equal(
			record_decode(STR("N\xff\xff\xff\xff\xff\x01"), &r, &used),
			RECORD_BAD);
	}
}

static void
test_record_rows(void **state)
{
	(void)state;
	assert_int_equal(record_find('L', SEGMENT_ENVELOPE), RECORD_FILTER);
	assert_int_equal(record_find('L', SEGMENT_CONTENT), RECORD_PART);
	assert_int_equal(record_find('N', SEGMENT_ENVELOPE), RECORD_TYPES);
	assert_int_equal(record_find('R', SEGMENT_OVER), RECORD_TYPES);
	assert_true(record_from_user(RECORD_RECIPIENT, SEGMENT_ENVELOPE));
	assert_false(record_from_user(RECORD_POINTER, SEGMENT_CONTENT));
	assert_false(record_from_user(RECORD_FILTER, SEGMENT_ENVELOPE));
}

static void
test_ids(void **state)
{
	static const struct {
		bool is_long;
		int64_t time_us;
		uint64_t inode;
		const char *id;
		const char *hash2;
	} rows[] = {
		{false, 1700000000123456, 0x2bcdef, "1E2402BCDEF", "1/E/"},
		{false, 5, 1, "000051", "0/0/"},
		{true, 1700000000123456, 12345, NULL, "1/E/"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct str id = queue_id_make(mem, rows[i].is_long, rows[i].time_us,
					      rows[i].inode);
		uint64_t inode;

		if (rows[i].id != NULL)
			assert_string_equal(str_c(mem, id), rows[i].id);
		assert_true(queue_id_is_valid(id));
		assert_int_equal(queue_id_is_long(id), rows[i].is_long);
		assert_true(queue_id_inode(id, &inode));
		assert_int_equal(inode, rows[i].inode);
		assert_string_equal(str_c(mem, queue_id_hash_path(mem, id, 2)),
				    rows[i].hash2);
		arena_free(&mem);
	}
	assert_false(queue_id_is_valid(STR("")));
	assert_false(queue_id_is_valid(STR("../x")));
	assert_false(queue_id_is_valid(STR("a.b")));
}

static void
test_directories(void **state)
{
	struct queue_scan *scan;
	struct str warning;
	struct fixture f;
	struct stat st;
	struct str ids[20];
	struct err err;
	struct str id;
	int found = 0;

	(void)state;
	start(&f, false);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		int64_t us;
		int fd;

		assert_true(queue_create(f.mem, &f.dirs, QUEUE_INCOMING, &fd, &ids[i],
					 &us, &err));
		assert_int_equal(queue_check(f.mem, &f.dirs, QUEUE_INCOMING, ids[i], &st,
					     &warning),
				 QUEUE_FILE_INCOMPLETE);
		assert_true(queue_writer_commit(fd, QUEUE_MODE_READY, false, &err));
		close(fd);
		assert_int_equal(queue_check(f.mem, &f.dirs, QUEUE_INCOMING, ids[i], &st,
					     &warning),
				 QUEUE_FILE_READY);
		assert_true(queue_move(&f.dirs, QUEUE_INCOMING, QUEUE_DEFERRED, ids[i],
				       &err));
	}
	assert_false(queue_move(&f.dirs, QUEUE_INCOMING, QUEUE_ACTIVE, ids[0], &err));
	scan = queue_scan_new(&f.dirs, QUEUE_DEFERRED);
	while (queue_scan_next(scan, f.mem, &id))
		found++;
	assert_int_equal(queue_scan_error(scan), 0);
	queue_scan_free(&scan);
	assert_int_equal(found, ARRAY_LEN(ids));
	assert_true(
		queue_set_time(&f.dirs, QUEUE_DEFERRED, ids[0], 1700000000000000, &err));
	assert_int_equal(
		queue_check(f.mem, &f.dirs, QUEUE_DEFERRED, ids[0], &st, &warning),
		QUEUE_FILE_READY);
	assert_int_equal(st.st_mtime, 1700000000);
	assert_true(queue_remove(&f.dirs, QUEUE_DEFERRED, ids[0], &err));
	assert_true(queue_remove(&f.dirs, QUEUE_DEFERRED, ids[0], &err));
	assert_int_equal(
		queue_check(f.mem, &f.dirs, QUEUE_DEFERRED, ids[0], &st, &warning),
		QUEUE_FILE_GONE);
	stop(&f);
}

/* A message with five recipients (one of them in the extracted segment), attributes and a
 * long line. */
static int
write_sample(struct fixture *f, struct str *id_out)
{
	struct queue_writer w;
	struct err err;
	int64_t us;
	int fd;

	assert_true(
		queue_create(f->mem, &f->dirs, QUEUE_INCOMING, &fd, id_out, &us, &err));
	queue_writer_init(f->mem, &w, fd, 0);
	queue_writer_record(&w, 'T', STR("1700000000 123456"));
	queue_writer_attribute(&w, "create_time", STR("1700000000"));
	queue_writer_record(&w, 'S', STR("a@example.org"));
	queue_writer_record(&w, 'W', STR("     1700014400"));
	for (int i = 0; i < 4; i++) {
		queue_writer_attribute(&w, "notify_flags", STR("4"));
		queue_writer_attribute(&w, "dsn_orig_rcpt",
				       STR("rfc822;list@example.org"));
		queue_writer_record(&w, 'O', STR("list@example.org"));
		queue_writer_printf(&w, 'R', "r%d@example.org", i);
	}
	queue_writer_content(&w);
	queue_writer_record(&w, 'N', STR("Subject: test"));
	queue_writer_record(&w, 'N', STR(""));
	queue_writer_record(&w, 'L', STR("begin "));
	queue_writer_record(&w, 'N', STR("end"));
	queue_writer_extracted(&w);
	queue_writer_attribute(&w, "encoding", STR("8bit"));
	queue_writer_record(&w, 'R', STR("bcc@example.org"));
	assert_true(queue_writer_end(&w));
	assert_true(queue_writer_commit(fd, QUEUE_MODE_READY, false, &err));
	return fd;
}

static void
test_message(void **state)
{
	struct queue_recipient *r;
	struct queue_content c;
	struct queue_file q;
	struct fixture f;
	struct err err;
	struct str id;
	struct str text;
	int64_t offset;
	size_t n;
	int fd;

	(void)state;
	start(&f, true);
	fd = write_sample(&f, &id);
	assert_true(queue_file_open(f.mem, fd, &q, &err));
	assert_true(str_eq(q.sender, STR("a@example.org")));
	assert_true(str_eq(q.encoding, STR("8bit")));
	assert_int_equal(q.arrival_us, 1700000000123456);
	assert_int_equal(q.create_s, 1700000000);
	assert_int_equal(q.warn_us, 1700014400000000);
	assert_int_equal(q.rcpt_count, 5);
	assert_int_equal(q.size_rcpt_count, 5);
	assert_int_equal(q.content_size, 28);
	/* In batches of two: 2, 2, 1. */
	offset = q.first_rcpt;
	for (size_t batch = 0; batch < 3; batch++) {
		assert_true(queue_file_recipients(f.mem, &q, false, 2, &offset, &r, &n,
						  &err));
		assert_int_equal(n, batch < 2 ? 2 : 1);
		if (batch == 1) {
			assert_true(str_eq(r[0].address, STR("r2@example.org")));
			assert_true(str_eq(r[0].original, STR("list@example.org")));
			assert_true(
				str_eq(r[0].dsn_orcpt, STR("rfc822;list@example.org")));
			assert_int_equal(r[0].dsn_notify, 4);
			assert_true(queue_file_mark_done(fd, r[0].offset, &err));
		}
	}
	assert_true(str_eq(r[0].address, STR("bcc@example.org")));
	assert_int_equal(r[0].original.len, 0);
	assert_int_equal(offset, 0);
	assert_true(queue_file_set_warning(&q, 0, &err));
	assert_true(queue_file_open(f.mem, fd, &q, &err));
	assert_int_equal(q.rcpt_count, 4);
	assert_int_equal(q.done_count, 1);
	assert_int_equal(q.warn_us, 0);
	queue_content_init(f.mem, &c, fd, q.content_offset);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(queue_content_next(&c, &text, &err), QUEUE_CONTENT_LINE);
		assert_true(str_eq(text, STR("Subject: test")));
		assert_int_equal(queue_content_next(&c, &text, &err), QUEUE_CONTENT_LINE);
		assert_int_equal(queue_content_next(&c, &text, &err), QUEUE_CONTENT_PART);
		assert_true(str_eq(text, STR("begin ")));
		assert_int_equal(queue_content_next(&c, &text, &err), QUEUE_CONTENT_LINE);
		assert_int_equal(queue_content_next(&c, &text, &err), QUEUE_CONTENT_END);
		queue_content_rewind(&c);
	}
	close(fd);
	stop(&f);
}

static void
test_too_large(void **state)
{
	struct queue_writer w;
	struct fixture f;
	struct err err;
	struct str id;
	int64_t us;
	int fd;

	(void)state;
	start(&f, false);
	assert_true(queue_create(f.mem, &f.dirs, QUEUE_INCOMING, &fd, &id, &us, &err));
	queue_writer_init(f.mem, &w, fd, 100000);
	queue_writer_content(&w);
	for (int i = 0; i < 100000; i++)
		queue_writer_record(&w, 'N', STR("a line that fills the disk"));
	queue_writer_extracted(&w);
	assert_false(queue_writer_end(&w));
	assert_true(w.too_large);
	assert_in_range(lseek(fd, 0, SEEK_END), 1, 100000);
	close(fd);
	stop(&f);
}

/* Read everything there is to read; true if nothing complained. */
static bool
read_all(struct arena *mem, int fd)
{
	enum queue_content_result result;
	struct queue_recipient *r;
	struct queue_content c;
	struct queue_file q;
	struct err err = {0};
	struct str text;
	int64_t offset;
	size_t n;

	if (!queue_file_open(mem, fd, &q, &err))
		return false;
	offset = q.first_rcpt;
	while (offset != 0) {
		if (!queue_file_recipients(mem, &q, true, 3, &offset, &r, &n, &err))
			return false;
	}
	queue_content_init(mem, &c, fd, q.content_offset);
	do {
		result = queue_content_next(&c, &text, &err);
	} while (result == QUEUE_CONTENT_LINE || result == QUEUE_CONTENT_PART);
	return result == QUEUE_CONTENT_END;
}

/* Every truncation is noticed; no changed byte does any harm (the sanitizers watch), and
 * a destroyed type byte or length is noticed. */
static void
test_damage(void **state)
{
	struct fixture f;
	struct str whole;
	struct err err;
	struct str id;
	int complaints = 0;
	int fd;

	(void)state;
	start(&f, false);
	fd = write_sample(&f, &id);
	assert_true(io_read_file(f.mem, f.dirs.root,
				 queue_path(f.mem, &f.dirs, QUEUE_INCOMING, id).p, 100000,
				 &whole, &err));
	assert_true(read_all(f.mem, fd));
	for (size_t n = 0; n < whole.len; n++) {
		struct arena *mem = arena_new();

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, whole.p, n, 0), n);
		assert_false(read_all(mem, fd));
		arena_free(&mem);
	}
	for (size_t n = 0; n < whole.len; n++) {
		struct arena *mem = arena_new();
		const char flipped = (char)~whole.p[n];

		assert_int_equal(pwrite(fd, whole.p, whole.len, 0), whole.len);
		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)n), 1);
		complaints += !read_all(mem, fd);
		arena_free(&mem);
	}
	assert_true(complaints > 50);
	close(fd);
	stop(&f);
}

/* Pointer records that lead in a circle end. */
static void
test_pointer_circle(void **state)
{
	struct queue_content c;
	struct fixture f;
	struct err err = {0};
	struct str text;
	struct buf *b;
	int fd;

	(void)state;
	start(&f, false);
	b = buf_new(f.mem, 1000);
	record_encode(b, 'N', STR("x"));
	record_encode(b, 'p', STR("              3"));
	record_encode(b, 'p', STR("              3"));
	fd = openat(f.dirs.root, "circle", O_RDWR | O_CREAT, 0600);
	assert_true(io_write_all(fd, buf_str(b), "circle", &err));
	queue_content_init(f.mem, &c, fd, 0);
	assert_int_equal(queue_content_next(&c, &text, &err), QUEUE_CONTENT_LINE);
	assert_int_equal(queue_content_next(&c, &text, &err), QUEUE_CONTENT_FAILED);
	assert_string_equal(err.text, "message rejected: bad pointer record");
	close(fd);
	stop(&f);
}

static void
test_log_file(void **state)
{
	const struct log_entry entry = {
		.recipient = STR("a b@example.org"),
		.original = STR("list@example.org"),
		.offset = 512,
		.dsn_orcpt = STR("rfc822;x"),
		.dsn_notify = 4,
		.dsn = STR("4.4.1"),
		.action = STR("delayed"),
		.reason = STR("connect to a[192.0.2.1]:25:\nrecipient=evil@example.org"),
		.mta_type = STR(""),
		.mta_name = STR(""),
		.diag_type = STR("smtp"),
		.diag_text = STR("450 later"),
	};
	struct log_entry *got;
	struct fixture f;
	struct err err;
	size_t n;

	(void)state;
	start(&f, false);
	assert_true(log_file_read(f.mem, &f.dirs, QUEUE_DEFER, STR("ABCDEF1"), &got, &n,
				  &err));
	assert_int_equal(n, 0);
	for (int i = 0; i < 3; i++)
		assert_true(log_file_append(&f.dirs, QUEUE_DEFER, STR("ABCDEF1"), &entry,
					    i != 1, &err));
	assert_true(log_file_read(f.mem, &f.dirs, QUEUE_DEFER, STR("ABCDEF1"), &got, &n,
				  &err));
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		assert_true(str_eq(got[i].recipient, entry.recipient));
		assert_true(str_eq(got[i].original, entry.original));
		assert_int_equal(got[i].offset, 512);
		assert_int_equal(got[i].dsn_notify, 4);
		assert_true(str_eq(
			got[i].reason,
			STR("connect to a[192.0.2.1]:25: recipient=evil@example.org")));
		assert_true(str_eq(got[i].diag_text, entry.diag_text));
	}
	stop(&f);
}

static void
test_names(void **state)
{
	struct err err;
	bool names = false;
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(queue_writer_names(proc, STR("auto"), &names, &err) && names);
	assert_true(queue_writer_names(proc, STR("no"), &names, &err) && !names);
	assert_true(queue_writer_names(proc, STR("yes"), &names, &err) && names);
	assert_false(queue_writer_names(proc, STR("maybe"), &names, &err));
	close(proc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_id_for_inode),
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_record_codec),
		cmocka_unit_test(test_record_rows),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_pointer_circle),
		cmocka_unit_test(test_log_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
