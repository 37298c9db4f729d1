/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/job_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/sys.h"

#include "config/expand.h"

void
job_set_dsn(struct job *j, const struct dsn *dsn)
{
	deliver_result_add_dsn(j->result, dsn);
	deliver_result_add_end(j->result, DELIVER_DONE);
}

void
job_dsn(struct job *j, const char *status, const char *format, ...)
{
	struct dsn dsn;
	va_list ap;

	va_start(ap, format);
	dsn = dsn_make(j->mem, status, str_vprintf(j->mem, format, ap));
	va_end(ap);
	job_set_dsn(j, &dsn);
}

struct copy_text
job_text(struct job *j, unsigned flags)
{
	return (struct copy_text){.flags = flags,
				  .eol = STR("\n"),
				  .sender = j->spec.sender,
				  .null_sender = STR("MAILER-DAEMON"),
				  .original = j->spec.original,
				  .delivered = j->spec.delivered,
				  .message = j->message,
				  .content_offset = j->spec.content_offset};
}

/* ---- expansion ---- */

struct expansion {
	struct job *job;
	struct str filter;
	bool used_extension;
};

static enum expand_found
find_value(void *closure, struct str name, struct str *out)
{
	struct expansion *e = closure;
	const struct job *j = e->job;
	const struct {
		struct str name, value;
	} values[] = {
		{STR("user"), j->spec.user},
		{STR("home"), j->home},
		{STR("shell"), j->login_shell},
		{STR("domain"), j->spec.domain},
		{STR("local"), j->spec.local},
		{STR("mailbox"), j->spec.local},
		{STR("recipient"), j->spec.recipient},
		{STR("extension"), j->spec.extension},
		{STR("recipient_delimiter"),
		 j->spec.extension.len > 0 ? j->spec.delimiter : STR_EMPTY},
	};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (str_eq(values[i].name, name)) {
			char *p;

			if (values[i].value.len == 0)
				return EXPAND_UNKNOWN;
			if (str_eq(name, STR("extension")))
				e->used_extension = true;
			p = str_c(j->mem, values[i].value);
			for (size_t k = 0; k < values[i].value.len; k++) {
				if (!str_contains(e->filter, p[k]))
					p[k] = '_';
			}
			*out = str_from(p);
			return EXPAND_LITERAL;
		}
	}
	return EXPAND_UNKNOWN;
}

static bool
expand(struct job *j, struct str text, struct str filter, struct str *out,
       bool *used_extension)
{
	struct expansion e = {j, filter, false};
	struct buf *b = buf_new(j->mem, 65536);
	struct err err;

	if (!expand_text(text, find_value, &e, b, &err))
		return false;
	*out = buf_str(b);
	*used_extension = e.used_extension;
	return true;
}

bool
job_expand(struct job *j, struct str text, struct str filter, struct str *out)
{
	bool used;

	return expand(j, text, filter, out, &used);
}

/* ---- .forward ---- */

enum forward { FORWARD_NONE, FORWARD_FOUND, FORWARD_DECIDED };

/* Is the file one that its owner alone could have written? */
static bool
is_trusted(struct job *j, int fd, const char *path)
{
	struct stat st;

	if (sys_fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		deliver_result_add_warning(j->result, "file %s is not a regular file",
					   path);
		return false;
	}
	if (st.st_uid != 0 && st.st_uid != j->uid) {
		deliver_result_add_warning(j->result, "file %s has bad owner uid %ld",
					   path, (long)st.st_uid);
		return false;
	}
	if ((st.st_mode & 002) != 0) {
		deliver_result_add_warning(j->result, "file %s is world writable", path);
		return false;
	}
	return true;
}

static enum forward
read_forward(struct job *j, const char *path)
{
	/* Without waiting: it may be a FIFO. */
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
			    0);
	size_t before = j->result->len;

	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == EACCES ||
		    errno == ELOOP || errno == ENAMETOOLONG)
			return FORWARD_NONE;
		job_dsn(j, "4.3.0", "cannot open %s: %s", path, strerror(errno));
		return FORWARD_DECIDED;
	}
	if (!is_trusted(j, fd, path)) {
		sys_close(fd);
		return FORWARD_NONE;
	}
	if (!list_read_file(j, fd, path)) {
		sys_close(fd);
		return FORWARD_DECIDED;
	}
	sys_close(fd);
	/* An empty one means: do not forward. */
	return j->result->len == before ? FORWARD_NONE : FORWARD_FOUND;
}

static enum forward
try_forward(struct job *j)
{
	struct str rest = j->spec.forward_path;
	struct str item;

	while (str_token(&rest, ", \t\r\n", &item)) {
		struct str path;
		enum forward found;
		bool own;

		if (!expand(j, item, j->spec.forward_filter, &path, &own) ||
		    path.len == 0)
			continue;
		/* Nothing of the address leads out of the place that is meant. */
		if (str_contains(j->spec.extension, '/'))
			continue;
		found = read_forward(j, str_c(j->mem, path));
		if (found == FORWARD_FOUND && own)
			deliver_result_add_match(j->result);
		if (found != FORWARD_NONE)
			return found;
	}
	return FORWARD_NONE;
}

/* ---- kinds ---- */

static void
deliver_path(struct job *j, struct str path, const char *what_mbox,
	     const char *what_maildir)
{
	if (str_ends(path, STR("/")))
		maildir_deliver(j, str_c(j->mem, path), what_maildir);
	else
		mailbox_append(j, str_c(j->mem, path), what_mbox);
}

static bool
home_is_there(struct job *j)
{
	struct stat st;

	if ((j->spec.flags & DELIVER_NEED_HOME) == 0)
		return true;
	if (sys_fstatat(AT_FDCWD, str_c(j->mem, j->home), &st, 0) == 0)
		return true;
	job_dsn(j, "4.3.0", "cannot access home directory " PRI_STR ": %s",
		STR_ARG(j->home), strerror(errno));
	return false;
}

static void
deliver_mailbox(struct job *j)
{
	struct str spool = j->spec.spool_directory;

	if (j->spec.command.len > 0) {
		command_deliver(j, j->spec.command);
		return;
	}
	if (j->spec.home_mailbox.len > 0) {
		deliver_path(j,
			     str_printf(j->mem, PRI_STR "/" PRI_STR, STR_ARG(j->home),
					STR_ARG(j->spec.home_mailbox)),
			     "mailbox", "maildir");
		return;
	}
	if (str_ends(spool, STR("/")))
		deliver_path(j,
			     str_printf(j->mem, PRI_STR PRI_STR "/", STR_ARG(spool),
					STR_ARG(j->name)),
			     "mailbox", "maildir");
	else
		deliver_path(j,
			     str_printf(j->mem, PRI_STR "/" PRI_STR, STR_ARG(spool),
					STR_ARG(j->name)),
			     "mailbox", "maildir");
}

/* Who asked has it run as somebody else, with root's home. */
static void
command_of_root(struct job *j)
{
	deliver_result_add_owner(j->result, j->name, j->home, j->uid, j->gid);
	deliver_result_add_end(j->result, DELIVER_NO_FORWARD);
}

static void
user_job(struct job *j)
{
	if (!home_is_there(j))
		return;
	if ((j->spec.flags & DELIVER_FORWARD_DONE) == 0) {
		switch (try_forward(j)) {
		case FORWARD_FOUND:
			deliver_result_add_owner(j->result, j->name, j->home, j->uid,
						 j->gid);
			deliver_result_add_end(j->result, DELIVER_EXPANDED);
			return;
		case FORWARD_DECIDED:
			return;
		case FORWARD_NONE:
			break;
		}
	}
	if ((j->spec.flags & DELIVER_FORWARD_ONLY) != 0)
		deliver_result_add_end(j->result, DELIVER_NO_FORWARD);
	else if (j->uid == 0 && j->spec.command.len > 0)
		command_of_root(j);
	else
		deliver_mailbox(j);
}

static void
include_job(struct job *j)
{
	const char *path = str_c(j->mem, j->spec.path);
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
			    0);
	struct stat st;

	if (fd < 0 || sys_fstat(fd, &st) != 0) {
		job_dsn(j, errno == ENOENT || errno == EACCES ? "5.2.4" : "4.2.4",
			"cannot open include file %s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		job_dsn(j, "5.2.4", "include file %s is not a regular file", path);
	} else if (list_read_file(j, fd, path)) {
		deliver_result_add_owner(j->result, STR_EMPTY, STR_EMPTY, st.st_uid,
					 st.st_gid);
		deliver_result_add_end(j->result, DELIVER_EXPANDED);
	}
	if (fd >= 0)
		sys_close(fd);
}

void
job_run(struct job *j)
{
	switch (j->kind) {
	case JOB_USER:
		user_job(j);
		return;
	case JOB_FILE:
		deliver_path(
			j, j->spec.path,
			str_printf(j->mem, "file: " PRI_STR, STR_ARG(j->spec.path)).p,
			"maildir");
		return;
	case JOB_COMMAND:
		command_deliver(j, j->spec.command);
		return;
	case JOB_INCLUDE:
		include_job(j);
		return;
	case JOB_MAILBOX:
		deliver_path(j, j->spec.path, "mailbox", "maildir");
		return;
	case JOB_PIPE:
		pipe_deliver(j);
		return;
	}
}
