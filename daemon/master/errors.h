/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What daemons write to standard error (a panic's text, a library's complaint) goes to
 * the log, by way of a pipe that all share. A flood is dropped, never waited for.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/macros.h"

struct errors;
struct log;
struct loop;

bool errors_open(struct loop *loop, struct log *log, struct errors **out,
		 struct err *err) MUST_CHECK;
/* The end to write to, for the daemons. */
int errors_fd(const struct errors *e);
/* Logs what is left. */
void errors_close(struct errors **e);
