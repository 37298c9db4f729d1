/* SPDX-License-Identifier: Apache-2.0 */
#include "logfiles.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/macros.h"

#include "log_stamp.h"
#include "source.h"

struct item {
	struct source *source;
	const char *name;
	int64_t first_us;
	size_t given; /* position on the command line */
};

/* The characters that log rotation adds: .1, -20261124, .20261124-101112, .gz */
bool
logfiles_is_sibling(const char *name, const char *base)
{
	struct str rest = str_from(name);

	if (!str_starts(rest, str_from(base)))
		return false;
	rest = str_skip(rest, strlen(base));
	if (str_ends(rest, STR(".gz")))
		rest.len -= 3;
	if (rest.len == 0)
		return true;
	if (rest.p[0] != '.' && rest.p[0] != '-')
		return false;
	for (size_t i = 1; i < rest.len; i++) {
		if (!char_is_digit(rest.p[i]) && rest.p[i] != '-' && rest.p[i] != '.')
			return false;
	}
	return rest.len > 1;
}

/* The time of the first line that has one; the file's own time if none has. */
static int64_t
first_time(struct source *s)
{
	int64_t reference_s = source_facts(s)->modified_s;
	int64_t at = reference_s * 1000000;
	struct str block;
	struct str line;
	uint64_t offset;
	struct err ignored;

	if (strcmp(source_facts(s)->path, "-") == 0)
		return INT64_MAX;
	if (source_next(s, &block, &offset)) {
		while (str_line(&block, &line) &&
		       !log_stamp_parse(&line, reference_s, &at)) {
		}
	}
	IGNORE(!source_rewind(s, &ignored));
	return at;
}

static int
item_order(const void *a, const void *b)
{
	const struct item *x = a;
	const struct item *y = b;

	if (x->first_us != y->first_us)
		return x->first_us < y->first_us ? -1 : 1;
	return x->given < y->given ? -1 : x->given > y->given;
}

/* Names of the files in dir that belong to base, in the arena. */
static size_t
siblings(struct arena *mem, const char *dir, const char *base, const char **names,
	 size_t max)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	if (d == NULL)
		return 0;
	while (n < max && (e = readdir(d)) != NULL) {
		if (logfiles_is_sibling(e->d_name, base))
			names[n++] = str_c(mem, str_printf(mem, "%s/%s", dir, e->d_name));
	}
	closedir(d);
	return n;
}

/* maillog_file and what `postfix logrotate` made of it. */
static size_t
maillog_siblings(struct arena *mem, const char *maillog_file, const char **names,
		 size_t max)
{
	struct str path = str_from(maillog_file);
	size_t slash = str_rindex(path, '/');

	/* /dev/stdout goes where the container sends it. */
	if (slash == path.len || slash == 0 || str_starts(path, STR("/dev/")))
		return 0;
	return siblings(mem, str_c(mem, str_head(path, slash)),
			str_c(mem, str_skip(path, slash + 1)), names, max);
}

static size_t
usual_places(struct arena *mem, const char *maillog_file, const char **names, size_t max)
{
	size_t n = maillog_siblings(mem, maillog_file, names, max);

	if (n == 0)
		n = siblings(mem, "/var/log", "mail.log", names, max);
	if (n == 0)
		n = siblings(mem, "/var/log", "maillog", names, max);
	return n;
}

bool
logfiles_open(struct arena *mem, const char *const *names, const char *maillog_file,
	      void (*warn)(const char *text), struct logfiles *out, struct err *err)
{
	const char **found = arena_alloc_array(mem, LOGFILES_MAX, sizeof(*found));
	struct item *items = arena_alloc_array(mem, LOGFILES_MAX, sizeof(*items));
	struct logfiles files = {0};
	size_t n = 0;

	while (n < LOGFILES_MAX && names[n] != NULL) {
		found[n] = names[n];
		n++;
	}
	if (names[n] != NULL)
		return err_set(err, ERR_PERM, "more than %d files", LOGFILES_MAX);
	if (n == 0)
		n = usual_places(mem, maillog_file, found, LOGFILES_MAX);
	if (n == 0)
		return err_set(
			err, ERR_CONFIG,
			"no /var/log/mail.log or /var/log/maillog: name the log file "
			"(with a journal: journalctl -o short-iso -t postfix | "
			"hikyaku trace KEY -)");
	for (size_t i = 0; i < n; i++) {
		struct item *item = &items[files.n];

		if (!source_open(mem, found[i], &item->source, err)) {
			warn(err->text);
			files.n_failed++;
			continue;
		}
		item->name = found[i];
		item->given = i;
		item->first_us = first_time(item->source);
		files.n++;
	}
	if (files.n == 0)
		return err_set(err, ERR_TEMP, "no log could be read");
	qsort(items, files.n, sizeof(*items), item_order);
	files.sources = arena_alloc_array(mem, files.n, sizeof(*files.sources));
	files.names = arena_alloc_array(mem, files.n, sizeof(*files.names));
	for (size_t i = 0; i < files.n; i++) {
		files.sources[i] = items[i].source;
		files.names[i] = items[i].name;
	}
	*out = files;
	return true;
}
