/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What postconf shows: main.cf (default mode), master.cf (-M -F -P), lists (-m -l -a -A).
 * Each returns false with an error that ends the program.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "options.h"

struct arena;

struct postconf {
	struct arena *mem;
	struct log *log;
	struct options options;
};

bool show_main(struct postconf *p, struct err *err) MUST_CHECK;
bool show_master(struct postconf *p, struct err *err) MUST_CHECK;
bool show_lists(struct postconf *p, struct err *err) MUST_CHECK;
bool show_templates(struct postconf *p, struct err *err) MUST_CHECK;

/* main.cf, as the options say; its warnings are written. */
bool load_main(struct postconf *p, bool defaults_only, struct config **out,
	       struct err *err) MUST_CHECK;

/* A text of config_get() that failed: Postfix warns of the reason and then says only
 * this. */
bool macro_error(struct postconf *p, struct err *err);
