/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has a file been renewed? It is opened (O_PATH) when it is read, with the rights of the
 * moment, and so is each link on the way to it; later fstat() shows that one was written
 * over, or unlinked because another took its place (that changes the time of the last
 * change of its inode). So nobody needs the right to search the folders then.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/sys.h"

#include "tls_internal.h"

enum { LINKS_MAX = 16, ENTRIES_MAX = 2000 };

static int64_t
in_ns(struct timespec t)
{
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static bool
differs(const struct tls_watched *w, const struct stat *st)
{
	return w->device != (uint64_t)st->st_dev || w->inode != (uint64_t)st->st_ino ||
	       w->size != (int64_t)st->st_size || w->mtime_ns != in_ns(st->st_mtim) ||
	       w->ctime_ns != in_ns(st->st_ctim);
}

static void
remember(struct tls_watched *w, const struct stat *st)
{
	w->device = (uint64_t)st->st_dev;
	w->inode = (uint64_t)st->st_ino;
	w->size = (int64_t)st->st_size;
	w->mtime_ns = in_ns(st->st_mtim);
	w->ctime_ns = in_ns(st->st_ctim);
}

static void
add_path(struct tls_context *c, struct str path)
{
	if (c->n_folders >= TLS_WATCH_MAX)
		return;
	for (size_t i = 0; i < c->n_folders; i++)
		if (str_eq(str_from(c->folders[i]), path))
			return;
	c->folders[c->n_folders++] = str_c(c->mem, path);
}

static void
add_folder(struct tls_context *c, int fd)
{
	char name[PATH_MAX];
	struct str link = str_printf(c->mem, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link.p, name, sizeof(name));

	if (n > 0 && n < (ssize_t)sizeof(name))
		add_path(c, str_from_mem(name, (size_t)n));
}

void
tls_watch_folder(struct tls_context *c, const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	char real[PATH_MAX];

	if (dir == NULL)
		return;
	add_path(c, str_from(path));
	for (int i = 0; i < ENTRIES_MAX && (e = readdir(dir)) != NULL; i++) {
		struct str name;

		if (e->d_type != DT_LNK ||
		    realpath(str_printf(c->mem, "%s/%s", path, e->d_name).p, real) ==
			    NULL)
			continue;
		name = str_from(real);
		add_path(c, str_head(name, str_rindex(name, '/')));
	}
	closedir(dir);
}

/* One step: a name in a folder. True: it is a link, to what *target_out says. */
static bool
watch_step(struct tls_context *c, int folder, struct str name, struct str *target_out)
{
	struct tls_watched *w = &c->watched[c->n_watched++];
	const char *text = str_c(c->mem, name);
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	*w = (struct tls_watched){
		.fd = sys_openat(folder, text, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)};
	if (w->fd < 0 || sys_fstat(w->fd, &st) != 0)
		return false;
	remember(w, &st);
	if (!S_ISLNK(st.st_mode))
		return false;
	n = readlinkat(w->fd, "", target, sizeof(target));
	if (n <= 0 || n >= (ssize_t)sizeof(target))
		return false;
	*target_out = str_dup(c->mem, str_from_mem(target, (size_t)n));
	return true;
}

void
tls_watch_file(struct tls_context *c, struct str path)
{
	int from = AT_FDCWD;

	for (int i = 0; i < LINKS_MAX && c->n_watched < TLS_WATCH_MAX; i++) {
		size_t slash = str_rindex(path, '/');
		struct str folder = slash == path.len ? STR(".")
				    : slash == 0      ? STR("/")
						      : str_head(path, slash);
		struct str name = slash == path.len ? path : str_skip(path, slash + 1);
		int fd = sys_openat(from, str_c(c->mem, folder),
				    O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
		bool is_link = false;

		if (from != AT_FDCWD)
			sys_close(from);
		from = fd;
		if (fd < 0)
			return;
		add_folder(c, fd);
		is_link = watch_step(c, fd, name, &path);
		if (!is_link)
			break;
	}
	if (from != AT_FDCWD)
		sys_close(from);
}

static bool
is_stale(const struct tls_watched *w)
{
	struct stat st;

	return w->fd >= 0 && sys_fstat(w->fd, &st) == 0 && differs(w, &st);
}

bool
tls_context_is_stale(const struct tls_context *context)
{
	for (size_t i = 0; i < context->n_watched; i++)
		if (is_stale(&context->watched[i]))
			return true;
	return false;
}

const char *const *
tls_context_folders(const struct tls_context *context, struct arena *mem)
{
	const char **out = arena_alloc_array(mem, context->n_folders + 1, sizeof(*out));

	for (size_t i = 0; i < context->n_folders; i++)
		out[i] = arena_strdup(mem, context->folders[i]);
	return out;
}

void
tls_watch_close(struct tls_context *c)
{
	for (size_t i = 0; i < c->n_watched; i++)
		if (c->watched[i].fd >= 0)
			sys_close(c->watched[i].fd);
}

static bool
can_read(struct str path)
{
	struct arena *mem = arena_new();
	int fd = path.len == 0 ? -1
			       : sys_openat(AT_FDCWD, str_c(mem, path),
					    O_RDONLY | O_CLOEXEC, 0);
	/* What is not there nobody can read: that is for the loader to say. */
	bool ok = path.len == 0 || fd >= 0 || errno != EACCES;

	if (fd >= 0)
		sys_close(fd);
	arena_free(&mem);
	return ok;
}

bool
tls_settings_readable(const struct tls_settings *s)
{
	const struct str paths[] = {s->own.cert_file,   s->own.key_file,
				    s->own.eccert_file, s->own.eckey_file,
				    s->own.dcert_file,  s->own.dkey_file,
				    s->ca_file,         s->dh_param_file};
	struct str rest = s->own.chain_files;
	struct str path;

	if (s->own.chain_files.len > 0) {
		while (str_token(&rest, ", \t\r\n", &path))
			if (!can_read(path))
				return false;
		return can_read(s->ca_file) && can_read(s->dh_param_file);
	}
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (!can_read(paths[i]))
			return false;
	return true;
}
