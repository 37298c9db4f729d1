/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shared libraries that are loaded when the first table of their type is opened. sendmail
 * and postdrop start for every message and use such a table in rare set-ups only, and a
 * system without hash: tables needs no Berkeley DB at all.
 *
 * A library stays loaded until the process ends. Errors are ERR_CONFIG and name the
 * Debian package that has it.
 *
 * The functions of a library are a list, from which a struct with a pointer for each is
 * made; the types are those of the library's own header:
 *
 *	#define FUNCTIONS(F) F(db_create) F(db_strerror)
 *	struct functions { FUNCTIONS(LIBRARY_MEMBER) };
 *	static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct library {
	const char *soname;  /* "libdb-5.3.so" */
	const char *package; /* "libdb5.3" */
};

#define LIBRARY_MEMBER(name) __typeof__(&(name)) name;
#define LIBRARY_NAME(name)   #name,

/* Load it, or see that it is loaded. */
bool library_load(const struct library *l, struct err *err) MUST_CHECK;

/* Load it, and put the addresses of the n functions one after the other into *out: a
 * struct as above, size bytes long. Nothing is written when one is missing. */
bool library_functions(const struct library *l, const char *const *names, size_t n,
		       void *out, size_t size, struct err *err) MUST_CHECK;
