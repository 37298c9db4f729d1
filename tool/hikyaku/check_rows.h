/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The functions behind the rows of checks.def. Each adds what it finds (finding.h); none
 * changes anything.
 */

struct check;

#define CHECK(name, level, needs, told, about) void check_##name(struct check *c);
#include "checks.def"
#undef CHECK
