/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Facts as rows of three columns: what it is about, the fact, and why it is so. Printed
 * as aligned text, or taken as JSON. Texts are made printable: nothing in a table or an
 * answer of the DNS can steer the terminal.
 */

#include <jansson.h>

#include "base/str.h"

/* A JSON array of {"what", "value", "why", "indent"}. */
struct rows {
	json_t *list;
};

void rows_init(struct rows *rows);
void rows_release(struct rows *rows);
void rows_add(struct rows *rows, int indent, const char *what, struct str value,
	      struct str why);
void rows_print(const struct rows *rows);

/* A JSON string of a text from outside. */
json_t *json_printable(struct str text);
