/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whole files and whole writes with blocking descriptors: for tools, children and
 * configuration. Sessions use streams (fiber/stream.h).
 */

#include "base/err.h"
#include "base/str.h"

struct arena;

/* Write all of s; EINTR and short writes are handled. `what` is named in the error. */
bool io_write_all(int fd, struct str s, const char *what, struct err *err) MUST_CHECK;

/* The rest of the file, at most max_bytes: more is an error. In the arena. */
bool io_read_all(struct arena *mem, int fd, size_t max_bytes, const char *what,
		 struct str *out, struct err *err) MUST_CHECK;

/* As io_read_all() by name; relative names are looked up in directory dirfd (AT_FDCWD).
 */
bool io_read_file(struct arena *mem, int dirfd, const char *path, size_t max_bytes,
		  struct str *out, struct err *err) MUST_CHECK;

/* Replace the file: temporary name beside it, write, fsync, rename, fsync of the
 * directory. Keeps mode and owner of an existing file, else uses mode. */
bool io_replace_file(const char *path, struct str content, unsigned mode,
		     struct err *err) MUST_CHECK;
