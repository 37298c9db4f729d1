/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run while building: prints the numbers of the rows of all.def in the order of their
 * names, so that look-ups at run time need no sorting at start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	const char *name;
	unsigned number;
};

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

int
main(void)
{
	struct row rows[] = {
#define PARAM(T, name, ...)           {#name, 0},
#define PARAM_AS(T, field, name, ...) {name, 0},
#include "config/all.def"
#undef PARAM
#undef PARAM_AS
	};
	size_t count = sizeof(rows) / sizeof(rows[0]);

	for (size_t i = 0; i < count; i++)
		rows[i].number = (unsigned)i;
	qsort(rows, count, sizeof(rows[0]), compare);
	for (size_t i = 0; i < count; i++)
		printf("%u,\n", rows[i].number);
	return fflush(stdout) == 0 ? 0 : 1;
}
