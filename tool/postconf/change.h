/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What postconf changes: -e, -X, -# of main.cf, and with -M, -F, -P of master.cf.
 */

#include <stdbool.h>

#include "base/err.h"
#include "config/edit.h"
#include "show.h"

bool change_main(struct postconf *p, struct err *err) MUST_CHECK;
bool change_master(struct postconf *p, struct err *err) MUST_CHECK;

/* The path of a file in the configuration directory. */
const char *change_path(struct postconf *p, const char *file);

enum edit_mode change_mode(const struct options *o);
