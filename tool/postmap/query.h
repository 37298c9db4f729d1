/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* -q and -s: reading tables. */

#include "postmap.h"

/* The value of the key in the first of the tables that has it, to standard output. The
 * exit status. */
int query_key(const struct postmap *p, struct str key, char **tables, int n_tables);

/* The same for each line of standard input, as "key TAB value". */
int query_input(const struct postmap *p, char **tables, int n_tables);

/* All entries of a table. */
int query_dump(const struct postmap *p, const char *table);
