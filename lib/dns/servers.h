/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which name servers to ask: those of parameter resolver_nameservers, or those of a file
 * in the form of resolv.conf(5), looked at again when it changes. Options and search
 * lists of that file do not concern us: names are looked up as they are.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

enum {
	SERVERS_MAX = 16,
	SERVERS_TEXT_MAX = 80, /* an address with scope and @port */
	SERVERS_FILE_MAX = 65536,
};

/* Each "ADDRESS" or "ADDRESS@PORT". */
struct servers {
	char list[SERVERS_MAX][SERVERS_TEXT_MAX];
	size_t n;
};

/* The value of resolver_nameservers: addresses separated by commas or blanks. */
bool servers_parse_list(struct str text, struct servers *out, struct err *err) MUST_CHECK;

/* The text of a resolv.conf. Like the C library: lines that are not understood do not
 * matter, and without a server it is the one on this machine. */
void servers_parse_file(struct str text, struct servers *out);

bool servers_same(const struct servers *a, const struct servers *b);

/* Where they come from. */
struct servers_source {
	const char *file; /* NULL: a fixed list */
	struct servers now;
	struct stat seen; /* the file as it was read; st_ino 0: it was not there */
};

/* parameter: empty (/etc/resolv.conf), "/file", or a list. */
bool servers_open(struct arena *mem, struct str parameter, struct servers_source *source,
		  struct err *err) MUST_CHECK;

/* Look at the file again; true if there are other servers now. A file that cannot be read
 * or was emptied (it is being replaced) changes nothing. */
bool servers_refresh(struct servers_source *source);
