/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What reading (cdb.c) and building (cdb_build.c) of cdb: files share. */

#include <cdb.h>

#include "table/library.h"

extern const struct library cdb_library;
