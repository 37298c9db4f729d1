/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the tests of this folder: rules from the text of a main.cf. Ends the test when it
 * does not load.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/macros.h"

#include "config/config.h"

#include "rewrite/rules.h"

static inline void
rules_for_test(struct arena *mem, const char *base, const char *extra,
	       struct rewrite_rules *rules)
{
	char dir[] = "/tmp/rewrite_test.XXXXXX";
	struct config_options options = {.dir = dir};
	struct config *cfg;
	struct str path;
	struct err err;
	bool ok;

	assert_non_null(mkdtemp(dir));
	path = str_printf(mem, "%s/main.cf", dir);
	assert_true(io_replace_file(path.p, str_printf(mem, "%s%s", base, extra), 0600,
				    &err));
	ok = config_load(mem, &options, &cfg, &err) &&
	     rewrite_rules_load(mem, cfg, NULL, 0, rules, &err);
	unlink(path.p);
	rmdir(dir);
	if (!ok)
		fail_msg("%s: %s", extra, err.text);
}
