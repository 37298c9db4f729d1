/* SPDX-License-Identifier: Apache-2.0 */
/* postcat: shows queue files. Files by name, or by queue id with -q. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/sys.h"
#include "config/config.h"
#include "queue/dir.h"
#include "queue/id.h"

#include "show.h"

enum { STDIN_MAX = 1 << 30 };

struct postcat {
	struct arena *mem;
	const char *program;
	const char *config_dir;
	bool by_id;
	unsigned what;
	int64_t start;
	struct queue_dirs dirs;
};

NORETURN static void
die(const struct postcat *p, const char *text)
{
	fflush(stdout);
	fprintf(stderr, "%s: fatal: %s\n", p->program, text);
	exit(1);
}

NORETURN static void
die_err(const struct postcat *p, const struct err *err)
{
	die(p, err->text);
}

static void
parse_options(struct postcat *p, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "bc:defhoqrs:v")) > 0) {
		switch (c) {
		case 'b':
			p->what |= SHOW_BODY;
			break;
		case 'c':
			p->config_dir = optarg;
			break;
		case 'd':
			p->what |= SHOW_TYPE;
			break;
		case 'e':
			p->what |= SHOW_ENVELOPE;
			break;
		case 'f':
			p->what |= SHOW_NAME;
			break;
		case 'h':
			p->what |= SHOW_HEADER;
			break;
		case 'o':
			p->what |= SHOW_OFFSET;
			break;
		case 'q':
			p->by_id = true;
			break;
		case 'r':
			p->what |= SHOW_RAW;
			break;
		case 's':
			if (!str_to_i64(str_from(optarg), 0, INT64_MAX, &p->start))
				die(p, str_printf(p->mem, "bad offset: %s", optarg).p);
			break;
		case 'v':
			p->what |= SHOW_RECORDS;
			break;
		default:
			die(p, "usage: postcat [-b (body text)] [-c config_dir] [-d "
			       "(decimal record type)] [-e (envelope records)] [-h "
			       "(header text)] [-q (access queue)] [-v] [file(s)...]");
		}
	}
	if ((p->what & (SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY)) == 0)
		p->what |= SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY;
}

static void
show(const struct postcat *p, int fd, const char *name)
{
	struct arena *mem = arena_new_child(p->mem);
	const struct show_request request = {.program = p->program,
					     .name = name,
					     .fd = fd,
					     .what = p->what,
					     .start = p->start};
	struct err err = {0};
	struct stat st;

	if (sys_fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		fprintf(stderr, "%s: warning: close %s: %s\n", p->program, name,
			strerror(EISDIR));
	else if (!show_file(mem, &request, stdout, &err))
		die_err(p, &err);
	sys_close(fd);
	arena_free(&mem);
}

/* Pointers need a file that can be sought: a pipe is read to its end first. */
static void
show_stdin(const struct postcat *p)
{
	int fd = STDIN_FILENO;
	struct err err;
	struct str all;

	if (sys_lseek(fd, 0, SEEK_CUR) < 0) {
		if (!io_read_all(p->mem, fd, STDIN_MAX, "standard input", &all, &err))
			die_err(p, &err);
		fd = memfd_create("stdin", MFD_CLOEXEC);
		if (fd < 0 || !io_write_all(fd, all, "memory file", &err))
			die(p, "no memory for standard input");
	}
	show(p, fd, "stdin");
}

static void
show_id(const struct postcat *p, struct str id)
{
	static const enum queue_name order[] = {QUEUE_MAILDROP, QUEUE_INCOMING,
						QUEUE_ACTIVE,   QUEUE_DEFERRED,
						QUEUE_HOLD,     QUEUE_SAVED};
	struct err err = {0};
	int fd;

	if (!queue_id_is_valid(id))
		die(p, str_printf(p->mem, "bad mail queue ID: " PRI_STR, STR_ARG(id)).p);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (queue_open(&p->dirs, order[i], id, false, &fd, &err)) {
			show(p, fd, queue_path(p->mem, &p->dirs, order[i], id).p);
			return;
		}
		if (err.errnum != ENOENT)
			break;
	}
	die(p, str_printf(p->mem, "open queue file " PRI_STR ": %s", STR_ARG(id),
			  strerror(err.errnum))
		       .p);
}

static void
open_queue(struct postcat *p)
{
	const struct config_options options = {.dir = p->config_dir,
					       .process_name = "postcat"};
	struct config *cfg;
	struct str directory, names;
	int64_t depth;
	struct err err;
	int root;

	if (!config_load(p->mem, &options, &cfg, &err) ||
	    !config_get(p->mem, cfg, STR("queue_directory"), &directory, &err) ||
	    !config_get(p->mem, cfg, STR("hash_queue_names"), &names, &err) ||
	    !config_get_int(cfg, STR("hash_queue_depth"), &depth, &err))
		die_err(p, &err);
	if (!p->by_id)
		return;
	root = sys_openat(AT_FDCWD, directory.p, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (root < 0)
		die(p, str_printf(p->mem, "chdir " PRI_STR ": %s", STR_ARG(directory),
				  strerror(errno))
			       .p);
	if (!queue_dirs_init(&p->dirs, root, names, depth, false, &err))
		die_err(p, &err);
}

int
main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct postcat p = {.mem = mem, .program = argc > 0 ? argv[0] : "postcat"};

	parse_options(&p, argc, argv);
	open_queue(&p);
	if (optind >= argc && !p.by_id)
		show_stdin(&p);
	for (int i = optind; i < argc; i++) {
		int fd;

		if (p.by_id) {
			show_id(&p, str_from(argv[i]));
			continue;
		}
		fd = sys_openat(AT_FDCWD, argv[i], O_RDONLY | O_CLOEXEC, 0);
		if (fd < 0)
			die(&p,
			    str_printf(mem, "open %s: %s", argv[i], strerror(errno)).p);
		show(&p, fd, argv[i]);
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		die(&p, "write standard output");
	arena_free(&mem);
	return 0;
}
