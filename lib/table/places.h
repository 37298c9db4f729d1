/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the files of tables and lists lie, from the values of the parameters that name
 * them: for a sandbox that must let them be opened again when they were rebuilt. That is
 * the directory, because a file that was renamed into place is not the one that was there
 * before. A file in the root directory stands for itself. Of a table that has a file of
 * settings (sqlite:, mysql:, ldap:) both count, this file and the files that it names.
 */

#include <stddef.h>

#include "base/str.h"

struct arena;

enum { TABLE_PLACES_MAX = 256 };

/* Absolute names, each once, ended by NULL; no more than TABLE_PLACES_MAX. Does not look
 * whether they exist; reads files of settings. */
const char *const *table_places(struct arena *mem, const struct str *values, size_t n);
