/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A look-up table named "type:name", whatever is behind it. The types are rows in
 * types.def; postconf(5) and DATABASE types are Postfix's.
 *
 * A table lives in the arena it was opened in. It is for one thread. A look-up blocks
 * only as long as reading a local file takes. Tables that need a server are asked through
 * proxymap in daemons (host.h): the calling fiber waits, and others may be inside the
 * same table meanwhile. In tools and in proxymap's threads they are asked in place and
 * block. `proxy:type:name` is the inner table, asked in the same way.
 *
 * Tables on disk notice that their file was rebuilt (by rename or in place) and read the
 * new one; when the new one cannot be opened the look-up fails until it can.
 *
 * Keys: tables of fixed keys fold the key to lower case when TABLE_FOLD is given;
 * pattern tables (regexp, cidr) see it as it is. With TABLE_UTF8 folding is Unicode's and
 * a key that is not valid UTF-8 is absent.
 *
 * Limits: TABLE_VALUE_MAX bytes per value, TABLE_KEY_MAX per key (longer ones and ones
 * with a NUL inside are absent),
 * TABLE_DEPTH_MAX tables within tables, table/source.h for text files.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct table;

enum lookup {
	LOOKUP_FOUND,
	LOOKUP_ABSENT,
	LOOKUP_FAILED, /* the answer is not known: defer */
};

enum table_flag {
	TABLE_FOLD = 1u << 0,      /* fold keys of fixed-key tables */
	TABLE_UTF8 = 1u << 1,      /* keys and values are UTF-8 or do not exist */
	TABLE_NO_REGSUB = 1u << 2, /* refuse $1 in pattern tables: what a user can
				      write must not become a command or file name */
	/* A file that was changed and that we may not open again (it was opened with the
	 * rights of the start): go on with what we have, and say table_is_outdated(). */
	TABLE_KEEP_OLD = 1u << 3,
};

/* What nearly all map parameters use. */
enum { TABLE_DEFAULT = TABLE_FOLD | TABLE_UTF8 };

enum {
	TABLE_KEY_MAX = 4096,        /* fixed keys */
	TABLE_PATTERN_MAX = 1 << 20, /* what is matched against patterns */
	TABLE_VALUE_MAX = 1 << 20,
	TABLE_DEPTH_MAX = 8,
};

/* Load what any type needs, now instead of when such a table is opened: for a daemon that
 * opens tables later, when its sandbox lets it load nothing. */
void table_load_libraries(void);

/* Open "type:name". Errors are ERR_CONFIG: no type, unknown type, a type that is known
 * but not supported yet (the text lists those that are), no such file, bad syntax. */
bool table_open(struct arena *mem, struct str spec, unsigned flags,
		struct table **table_out, struct err *err) MUST_CHECK;

/* A table whose look-ups all fail with the text of *why: what stands in a daemon for a
 * table that could not be opened, as one bad table must not stop the mail of the rest. */
struct table *table_failing(struct arena *mem, struct str spec, const struct err *why);

/* The value is in mem. On LOOKUP_FAILED err tells ("table hash:/x: ..."). */
enum lookup table_lookup(struct table *t, struct arena *mem, struct str key,
			 struct str *value_out, struct err *err) MUST_CHECK;

/* "type:name" as given to table_open(). */
const char *table_name(const struct table *t);

/* TABLE_KEEP_OLD: does its file, or one inside it, wait for somebody who may open it? */
bool table_is_outdated(const struct table *t);

/* Keys are matched against patterns; the caller tries only whole addresses, not parts. */
bool table_is_pattern(const struct table *t);

/* What was noticed while opening (duplicate entries, missing values, ...): complete texts
 * to log as warnings. Opening again after a rebuild adds nothing to it. */
size_t table_warnings(const struct table *t, const char *const **texts_out);

/* One call of fn per entry; false from fn stops. */
typedef bool (*table_entry_fn)(struct str key, struct str value, void *arg);

/* Walk all entries in the table's own order. Fails (ERR_PERM) for types that cannot. */
bool table_walk(struct table *t, table_entry_fn fn, void *arg,
		struct err *err) MUST_CHECK;

/* How the type of a table stands with us; name without ':'. */
enum table_support {
	TABLE_SUPPORTED,
	TABLE_KNOWN, /* Postfix has it, we do not yet */
	TABLE_UNKNOWN,
};
enum table_support table_type_support(struct str type);

/* Does it need a server on the network or a socket? */
bool table_type_is_remote(struct str type);

/* What the name of a table of this type has behind it on disk (".db"), for types whose
 * files can be built (postmap); NULL for all others. */
const char *table_type_suffix(struct str type);

/* The names of the supported types in alphabetical order, ended by NULL. */
const char *const *table_types(void);
