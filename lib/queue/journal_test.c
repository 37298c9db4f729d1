/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "queue/crc32c.h"
#include "queue/journal.h"

enum { MESSAGES = 6, SEEDS = 500, LIVES = 12, TEXT_MAX = 9000 };

static const char *const places[] = {"incoming", "active",  "deferred",
				     "hold",     "corrupt", "journal"};

/* No sys_*() here: a child still has to read its own HIKYAKU_FAULT. */
static void
make_queue(char *dir)
{
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		assert_int_equal(mkdir(places[i], 0700), 0);
}

static void
remove_queue(const char *dir)
{
	char command[200];

	assert_int_equal(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static struct str
text_of(struct arena *mem, unsigned n)
{
	size_t len = 1 + (size_t)n * 7919 % TEXT_MAX;
	char *p = arena_alloc(mem, len);

	for (size_t i = 0; i < len; i++)
		p[i] = (char)((size_t)n * 31 + i * 7);
	return str_from_mem(p, len);
}

static struct str
id_of(struct arena *mem, unsigned n)
{
	return str_printf(mem, "ABCDE%X", 0x1000 + n);
}

static const char *
path_of(struct arena *mem, unsigned n)
{
	return str_printf(mem, "incoming/" PRI_STR, STR_ARG(id_of(mem, n))).p;
}

static void
put_file(struct arena *mem, unsigned n, struct str text)
{
	int fd = open(path_of(mem, n), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	if (fd < 0 || write(fd, text.p, text.len) != (ssize_t)text.len)
		abort();
	close(fd);
}

static bool
is_whole(struct arena *mem, unsigned n)
{
	struct str text = text_of(mem, n);
	char *got = arena_alloc(mem, TEXT_MAX + 1);
	int fd = open(path_of(mem, n), O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, got, TEXT_MAX + 1);
	close(fd);
	return len == (ssize_t)text.len && memcmp(got, text.p, text.len) == 0;
}

static bool
exists(struct arena *mem, unsigned n)
{
	return access(path_of(mem, n), F_OK) == 0;
}

static struct queue_dirs
here(void)
{
	return (struct queue_dirs){.root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
				   .hash_depth = 1};
}

static int
files_left(void)
{
	struct arena *mem = arena_new();
	int n = 0;

	for (int i = 0; i < 20; i++)
		n += access(str_printf(mem, "journal/cleanup.%d", i).p, F_OK) == 0;
	arena_free(&mem);
	return n;
}

static bool
accept_one(struct arena *mem, struct journal *j, unsigned n, bool sync)
{
	struct buf *batch = buf_new(mem, JOURNAL_BATCH_MAX);
	struct err err;

	put_file(mem, n, text_of(mem, n));
	journal_add_message(batch, QUEUE_INCOMING, id_of(mem, n), text_of(mem, n));
	return journal_write(j, buf_str(batch), sync, &err);
}

/* ---- a call that goes wrong, at each place in turn ---- */

/* A life of a process: what was accepted goes to the pipe, byte by byte. */
static _Noreturn void
live(const char *fault, const char *count, int out, int fill)
{
	struct arena *mem = arena_new();
	struct journal j;
	struct err err;
	char done = 'C';

	setenv("HIKYAKU_FAULT", fault, 1);
	if (count != NULL)
		setenv("HIKYAKU_FAULT_COUNT", count, 1);
	if (!journal_init(&j, here().root, "cleanup", JOURNAL_SIZE_MIN, false, &err))
		_exit(1);
	for (unsigned n = 0; n < MESSAGES; n++) {
		char c = (char)('0' + n);

		if (accept_one(mem, &j, n, true))
			IGNORE(write(out, &c, 1) < 0);
		/* The file is full from the second message on. */
		if (n == 0 && fill != 0 && j.usable)
			j.at = j.size - 100;
	}
	if (journal_close(&j, &err))
		IGNORE(write(out, &done, 1) < 0);
	exit(0);
}

/* What it said it accepted; 'C': it ended well. */
static void
let_live(const char *fault, const char *count, int fill, char *told)
{
	int ends[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		live(fault, count, ends[1], fill);
	close(ends[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	n = read(ends[0], told, MESSAGES + 1);
	close(ends[0]);
	assert_true(n >= 0);
	told[n] = '\0';
}

/* In a child: it reads its own environment. */
static int
replay(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		const struct queue_dirs dirs = here();
		struct journal_replayed told;
		struct err err;
		bool ok;

		unsetenv("HIKYAKU_FAULT");
		ok = journal_replay(&dirs, NULL, &told, &err);
		if (!ok)
			fprintf(stderr, "%s\n", err.text);
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* The power fails: no queue file was ever synced. */
static void
lose_files(struct arena *mem)
{
	for (unsigned n = 0; n < MESSAGES; n++)
		unlink(path_of(mem, n));
}

static void
check_fault(struct arena *mem, const char *fault, int fill)
{
	char dir[] = "/dev/shm/journal.XXXXXX";
	char told[MESSAGES + 2];

	make_queue(dir);
	let_live(fault, NULL, fill, told);
	/* Without the file, with one that began anew, or with a mark, all was synced. */
	if (fill == 0 && files_left() > 0 && access("journal/mark.0", F_OK) != 0)
		lose_files(mem);
	assert_int_equal(replay(), 0);
	for (unsigned n = 0; n < MESSAGES; n++) {
		if (strchr(told, (char)('0' + n)) != NULL && !is_whole(mem, n))
			fail_msg("%s: message %u is lost (%s)", fault, n, told);
	}
	assert_int_equal(files_left(), 0);
	remove_queue(dir);
}

static int
count_calls(int fill)
{
	char dir[] = "/dev/shm/journal.XXXXXX";
	char told[MESSAGES + 2];
	char line[200];
	char *blank;
	long n;
	FILE *f;

	make_queue(dir);
	let_live("*:*:1000000:EIO", "count", fill, told);
	assert_string_equal(told, "012345C");
	f = fopen("count", "re");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	blank = strchr(line, ' ');
	assert_non_null(blank);
	n = strtol(blank, NULL, 10);
	assert_true(n > 0);
	remove_queue(dir);
	return (int)n;
}

static void
test_each_call(void **state)
{
	static const char *const actions[] = {"EIO",  "ENOSPC", "EINTR",
					      "kill", "killed", "short"};
	struct arena *mem = arena_new();

	(void)state;
	for (int fill = 0; fill < 2; fill++) {
		int calls = count_calls(fill);

		assert_true(calls > 20);
		for (int n = 1; n <= calls; n++) {
			for (size_t i = 0; i < ARRAY_LEN(actions); i++)
				check_fault(mem,
					    str_printf(mem, "*:*:%d:%s", n, actions[i]).p,
					    fill);
		}
	}
	arena_free(&mem);
}

/* Nothing is accepted that was not synced: each sync is missed when it fails. */
static void
test_each_sync(void **state)
{
	static const struct {
		const char *fault;
		int fill;
		const char *told;
	} rows[] = {
		{"*:fdatasync:1:EIO:on", 0, "C"},
		{"*:fdatasync:3:EIO:once", 0, "01345C"},
		{"*:fsync:1:EIO:once", 0, "12345C"},     /* the new file */
		{"*:fsync:2:EIO:once", 0, "12345C"},     /* its directory */
		{"*:fsync:3:EIO:once", 0, "012345"},     /* the directory at the end */
		{"*:syncfs:1:EIO:on", 0, "012345"},      /* at the end */
		{"*:syncfs:1:EIO:once", 1, "02345C"},    /* when the file is full */
		{"*:fdatasync:2:EIO:once", 1, "02345C"}, /* its new head */
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char dir[] = "/dev/shm/journal.XXXXXX";
		char told[MESSAGES + 2];

		make_queue(dir);
		let_live(rows[i].fault, NULL, rows[i].fill, told);
		if (strcmp(told, rows[i].told) != 0)
			fail_msg("%s: %s", rows[i].fault, told);
		remove_queue(dir);
	}
}

/* ---- power cuts, from a seed ---- */

static unsigned
draw(unsigned *seed, unsigned below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

/* What was written after the last sync is there or not, sector by sector. */
static void
tear(int fd, int64_t from, int64_t to, unsigned *seed)
{
	static const char zeros[512];

	for (int64_t at = from; at < to; at = (at / 512 + 1) * 512) {
		int64_t end = MIN_OF((at / 512 + 1) * 512, to);

		if (draw(seed, 2) == 0 &&
		    pwrite(fd, zeros, (size_t)(end - at), at) != end - at)
			abort();
	}
}

static void
lose_at_random(struct arena *mem, unsigned n, unsigned *seed)
{
	struct str text = text_of(mem, n);

	switch (draw(seed, 4)) {
	case 0:
		unlink(path_of(mem, n));
		break;
	case 1:
		if (truncate(path_of(mem, n), draw(seed, (unsigned)text.len)) < 0)
			abort();
		break;
	case 2:
		if (chmod(path_of(mem, n), 0600) < 0)
			abort();
		break;
	default:
		break;
	}
}

static void
play(unsigned seed)
{
	char dir[] = "/dev/shm/journal.XXXXXX";
	struct arena *mem = arena_new();
	struct buf *note = buf_new(mem, 1000);
	bool removed[LIVES + 1] = {false};
	struct journal_replayed told;
	struct queue_dirs dirs;
	struct journal mail;
	struct journal kept;
	struct err err;
	unsigned n_mail = 1 + draw(&seed, LIVES);
	int64_t synced;

	make_queue(dir);
	dirs = here();
	assert_true(journal_init(&kept, dirs.root, "qmgr", 0, false, &err));
	assert_true(journal_init(&mail, dirs.root, "cleanup", 0, true, &err));
	assert_true(journal_write(&kept, STR_EMPTY, true, &err));
	for (unsigned n = 0; n < n_mail; n++) {
		assert_true(accept_one(mem, &mail, n, true));
		if (draw(&seed, 3) != 0)
			continue;
		buf_clear(note);
		journal_add_removed(note, id_of(mem, n));
		assert_true(journal_write(&kept, buf_str(note), true, &err));
		unlink(path_of(mem, n));
		removed[n] = true;
	}
	synced = mail.at;
	assert_true(accept_one(mem, &mail, n_mail, false)); /* nobody was told */
	tear(mail.fds[0], synced, mail.at, &seed);
	for (unsigned n = 0; n <= n_mail; n++)
		if (!removed[n])
			lose_at_random(mem, n, &seed);
	close(mail.fds[0]);
	close(kept.fds[0]);
	assert_true(journal_replay(&dirs, NULL, &told, &err));
	assert_int_equal(told.damaged, 0);
	for (unsigned n = 0; n < n_mail; n++) {
		assert_int_equal(exists(mem, n), !removed[n]);
		assert_true(removed[n] || is_whole(mem, n));
	}
	assert_true(journal_replay(&dirs, NULL, &told, &err));
	assert_int_equal(told.files, 0);
	close(dirs.root);
	remove_queue(dir);
	arena_free(&mem);
}

static void
test_power_cuts(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= SEEDS; seed++)
		play(seed);
}

/* ---- damaged files, from a seed ---- */

enum { DAMAGES = 1000, FILE_READ_MAX = 1 << 16 };

/* One kind of damage to the bytes of a file; its new length. */
static size_t
damage(char *file, size_t len, unsigned *seed)
{
	size_t at = draw(seed, (unsigned)len);
	size_t to = draw(seed, (unsigned)len);
	size_t n = 1 + draw(seed, 600);

	n = MIN_OF(n, len - MAX_OF(at, to));
	switch (draw(seed, 6)) {
	case 0:
		return at;
	case 1:
		file[at] = (char)(file[at] ^ 1 << draw(seed, 8));
		break;
	case 2:
		memset(file + at, 0, n);
		break;
	case 3:
		memmove(file + to, file + at, n);
		break;
	case 4:
		/* Only the heads of records and of the file. */
		at -= at % 512;
		file[at] = (char)draw(seed, 256);
		break;
	default:
		for (size_t i = 0; i < n; i++)
			file[at + i] = (char)draw(seed, 256);
		break;
	}
	return len;
}

static size_t
read_journal(char file[FILE_READ_MAX])
{
	int fd = open("journal/cleanup.0", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, file, FILE_READ_MAX);

	assert_true(n > JOURNAL_BLOCK);
	close(fd);
	return (size_t)n;
}

static void
empty_journal(void)
{
	DIR *dir = opendir("journal");
	const struct dirent *e;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] != '.')
			assert_int_equal(unlinkat(dirfd(dir), e->d_name, 0), 0);
	}
	closedir(dir);
}

static void
replay_damaged(struct arena *mem, const char *file, size_t len, unsigned seed)
{
	struct queue_dirs dirs = here();
	struct journal_replayed told;
	struct err err;
	int fd;

	/* The replay before this one has left a mark. */
	empty_journal();
	fd = open("journal/cleanup.0", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, file, len), len);
	close(fd);
	for (unsigned n = 0; n < MESSAGES; n++)
		unlink(path_of(mem, n));
	if (journal_replay(&dirs, NULL, &told, &err)) {
		assert_true(told.restored <= MESSAGES);
		/* Whole, or not at all. */
		for (unsigned n = 0; n < MESSAGES; n++) {
			if (exists(mem, n) && !is_whole(mem, n))
				fail_msg("seed %u: message %u was restored wrong", seed,
					 n);
		}
	} else {
		assert_true(err.text[0] != '\0');
	}
	close(dirs.root);
}

/* A damaged journal costs what is damaged: nothing comes back that was not written. */
static void
test_damage_anywhere(void **state)
{
	char dir[] = "/dev/shm/journal.XXXXXX";
	struct arena *mem = arena_new();
	char *file = arena_alloc(mem, FILE_READ_MAX);
	char *copy = arena_alloc(mem, FILE_READ_MAX);
	size_t whole = 0;
	struct journal j;
	struct err err;
	size_t len;

	(void)state;
	make_queue(dir);
	assert_true(
		journal_init(&j, here().root, "cleanup", JOURNAL_SIZE_MIN, false, &err));
	for (unsigned n = 0; n < MESSAGES; n++)
		assert_true(accept_one(mem, &j, n, true));
	len = MIN_OF(read_journal(file), (size_t)j.at);
	close(j.fds[0]);
	for (unsigned seed = 1; seed <= DAMAGES; seed++) {
		unsigned drawn = seed;

		memcpy(copy, file, len);
		replay_damaged(mem, copy, damage(copy, len, &drawn), seed);
		for (unsigned n = 0; n < MESSAGES; n++)
			whole += exists(mem, n);
	}
	/* Much of it comes back all the same. */
	assert_true(whole > (size_t)DAMAGES * MESSAGES / 3);
	assert_true(whole < (size_t)DAMAGES * MESSAGES);
	remove_queue(dir);
	arena_free(&mem);
}

/* ---- one by one ---- */

struct fixture {
	char dir[32];
	struct arena *mem;
	struct queue_dirs dirs;
	struct journal kept;
	struct journal mail;
	struct err err;
};

static void
start(struct fixture *f)
{
	*f = (struct fixture){.dir = "/dev/shm/journal.XXXXXX", .mem = arena_new()};
	make_queue(f->dir);
	f->dirs = here();
	assert_true(journal_init(&f->kept, f->dirs.root, "qmgr", 0, false, &f->err));
	assert_true(journal_init(&f->mail, f->dirs.root, "cleanup", 0, true, &f->err));
}

static void
stop(struct fixture *f)
{
	close(f->dirs.root);
	remove_queue(f->dir);
	arena_free(&f->mem);
}

/* A bad sector in the middle: said, and all else is used. */
static void
test_damage(void **state)
{
	struct journal_replayed told;
	struct fixture f;
	int64_t second;

	(void)state;
	start(&f);
	assert_true(journal_write(&f.kept, STR_EMPTY, true, &f.err));
	assert_true(accept_one(f.mem, &f.mail, 0, true));
	second = f.mail.at;
	assert_true(accept_one(f.mem, &f.mail, 1, true));
	assert_true(accept_one(f.mem, &f.mail, 2, true));
	assert_int_equal(pwrite(f.mail.fds[0], "?", 1, second + 100), 1);
	lose_files(f.mem);
	close(f.mail.fds[0]);
	close(f.kept.fds[0]);
	assert_true(journal_replay(&f.dirs, NULL, &told, &f.err));
	assert_int_equal(told.damaged, 1);
	assert_int_equal(told.restored, 2);
	assert_true(is_whole(f.mem, 0) && !exists(f.mem, 1) && is_whole(f.mem, 2));
	stop(&f);
}

/* postsuper -d while the system runs, then a power cut. */
static void
test_mark(void **state)
{
	struct journal_replayed told;
	struct fixture f;

	(void)state;
	start(&f);
	assert_true(journal_mark(f.dirs.root, NULL, &f.err)); /* nobody is there */
	assert_int_not_equal(access("journal/mark.0", F_OK), 0);
	assert_true(journal_write(&f.kept, STR_EMPTY, true, &f.err));
	assert_true(accept_one(f.mem, &f.mail, 0, true));
	unlink(path_of(f.mem, 0));
	assert_true(journal_mark(f.dirs.root, NULL, &f.err));
	assert_true(accept_one(f.mem, &f.mail, 1, true));
	unlink(path_of(f.mem, 1));
	close(f.mail.fds[0]);
	close(f.kept.fds[0]);
	assert_true(journal_replay(&f.dirs, NULL, &told, &f.err));
	assert_true(!exists(f.mem, 0) && is_whole(f.mem, 1));
	stop(&f);
}

/* Who may write, and who may read. */
static void
test_order(void **state)
{
	struct journal_replayed told;
	struct fixture f;

	(void)state;
	start(&f);
	assert_false(accept_one(f.mem, &f.mail, 0, true)); /* no keeper */
	assert_true(journal_write(&f.kept, STR_EMPTY, true, &f.err));
	assert_true(accept_one(f.mem, &f.mail, 0, true));
	lose_files(f.mem);
	assert_true(journal_replay(&f.dirs, NULL, &told, &f.err));
	assert_int_equal(told.files, 0); /* they live */
	close(f.mail.fds[0]);
	assert_true(journal_init(&f.mail, f.dirs.root, "cleanup", 0, true, &f.err));
	assert_true(accept_one(f.mem, &f.mail, 1, true)); /* a dead one beside it */
	assert_int_equal(files_left(), 2);
	close(f.mail.fds[0]);
	close(f.kept.fds[0]);
	assert_true(journal_replay(&f.dirs, NULL, &told, &f.err));
	assert_true(is_whole(f.mem, 0) && is_whole(f.mem, 1));
	assert_true(journal_init(&f.mail, f.dirs.root, "cleanup", 0, true, &f.err));
	assert_true(journal_init(&f.kept, f.dirs.root, "qmgr", 0, false, &f.err));
	assert_true(journal_write(&f.kept, STR_EMPTY, true, &f.err));
	assert_true(accept_one(f.mem, &f.mail, 2, true));
	assert_true(journal_close(&f.mail, &f.err) && journal_close(&f.kept, &f.err));
	assert_int_equal(files_left(), 0);
	stop(&f);
}

/* A qmgr that died alone: its notes count for the messages of a live cleanup. */
static void
test_keeper_dies(void **state)
{
	struct buf *note;
	struct journal_replayed told;
	struct fixture f;

	(void)state;
	start(&f);
	note = buf_new(f.mem, 1000);
	assert_true(journal_write(&f.kept, STR_EMPTY, true, &f.err));
	assert_true(accept_one(f.mem, &f.mail, 0, true));
	journal_add_removed(note, id_of(f.mem, 0));
	assert_true(journal_write(&f.kept, buf_str(note), false, &f.err));
	unlink(path_of(f.mem, 0));
	close(f.kept.fds[0]);
	assert_true(journal_replay(&f.dirs, NULL, &told, &f.err));
	assert_int_equal(told.files, 1);
	close(f.mail.fds[0]); /* and now the rest */
	assert_true(journal_replay(&f.dirs, NULL, &told, &f.err));
	assert_false(exists(f.mem, 0));
	stop(&f);
}

/* A cleanup that died alone leaves nothing for ever. */
static void
test_reclaim(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	assert_true(journal_write(&f.kept, STR_EMPTY, true, &f.err));
	assert_true(accept_one(f.mem, &f.mail, 0, true));
	assert_true(journal_reclaim(f.dirs.root, &f.err));
	assert_int_equal(files_left(), 1);
	close(f.mail.fds[0]);
	assert_true(journal_init(&f.mail, f.dirs.root, "cleanup", 0, true, &f.err));
	assert_true(accept_one(f.mem, &f.mail, 1, true));
	assert_int_equal(files_left(), 2);
	assert_true(journal_reclaim(f.dirs.root, &f.err));
	assert_int_equal(files_left(), 1);
	assert_true(journal_close(&f.mail, &f.err) && journal_close(&f.kept, &f.err));
	stop(&f);
}

static void
test_crc(void **state)
{
	(void)state;
	assert_int_equal(crc32c(0, STR("123456789")), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, STR("1234")), STR("56789")), 0xe3069283);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: the children of these have to read their environment. */
		cmocka_unit_test(test_each_call),  cmocka_unit_test(test_each_sync),
		cmocka_unit_test(test_power_cuts), cmocka_unit_test(test_damage_anywhere),
		cmocka_unit_test(test_damage),     cmocka_unit_test(test_mark),
		cmocka_unit_test(test_order),      cmocka_unit_test(test_keeper_dies),
		cmocka_unit_test(test_reclaim),    cmocka_unit_test(test_crc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
