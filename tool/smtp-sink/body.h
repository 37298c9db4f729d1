/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Finding the end of a message in the bytes that follow DATA: CR LF . CR LF and nothing
 * less, whatever the pieces in which it comes. Lines that end in LF alone are text.
 */

#include <stdbool.h>

#include "base/str.h"

enum body_state {
	BODY_LINE_START,
	BODY_DOT,    /* line start, "." */
	BODY_DOT_CR, /* line start, ".", CR */
	BODY_TEXT,
	BODY_CR /* text, CR */
};

struct body {
	enum body_state state;
	/* Gets the text without dot-stuffing and without CR; NULL: nobody wants it. */
	void (*emit)(void *arg, struct str text);
	void *arg;
};

/* Takes bytes off *in up to and with the end of the message: true. False: all taken, the
 * end is not in sight. */
bool body_scan(struct body *b, struct str *in);
