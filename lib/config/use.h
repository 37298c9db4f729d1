/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who uses a parameter. config_use() and config_use_text() are in config.h.
 */

#include <stdbool.h>

#include "base/str.h"

/* Whether $name occurs in text, in any branch. */
bool config_refers(struct str text, struct str name);
