/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Lines of output as postconf(1) lays them out: words with one blank between them; folded
 * at 80 columns with 4 blanks before the rest.
 */

#include <stdbool.h>

#include "base/str.h"

/* "name = value". Without names (-h) the value, without values (-H) the name. */
void print_setting(struct str name, struct str value, bool fold, bool no_name,
		   bool no_value);
