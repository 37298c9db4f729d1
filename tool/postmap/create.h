/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Making tables from text, and deleting keys from them. */

#include "postmap.h"

/* Build the table of this argument from the file of that name, or (-i) add the entries of
 * standard input to it. */
void create_table(const struct postmap *p, const char *argument);

/* Delete the key from all of the tables: 0 if it was in one of them, else 1. */
int delete_key(const struct postmap *p, struct str key, char **tables, int n_tables);

/* The same for each line of standard input. */
int delete_input(const struct postmap *p, char **tables, int n_tables);
