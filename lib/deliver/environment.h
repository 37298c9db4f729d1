/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* export_environment: what a command sees of the daemon's environment. */

#include "base/str.h"

struct arena;

/* The value's names with what the environment says of them, NAME=VALUE as they are, and
 * a PATH: a list with a NUL behind each. */
struct str environment_list(struct arena *mem, struct str export_environment);
