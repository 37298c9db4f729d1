/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The tests that a client has to pass, and until when each result counts. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

enum screen_test {
	TEST_PREGREET,     /* it waits for the greeting */
	TEST_DNSBL,        /* no DNS list knows it */
	TEST_PIPELINING,   /* it waits for replies */
	TEST_NON_SMTP,     /* it speaks SMTP */
	TEST_BARE_NEWLINE, /* its lines end in CR LF */
	TESTS
};

enum {
	TESTS_EARLY = 1u << TEST_PREGREET | 1u << TEST_DNSBL,
	TESTS_DEEP =
		1u << TEST_PIPELINING | 1u << TEST_NON_SMTP | 1u << TEST_BARE_NEWLINE,
};

/* Until when each has been passed: seconds since 1970, 0: never was. */
struct stamps {
	int64_t until[TESTS];
};

/* Those of the enabled tests (bits) that have to be done now. */
static inline unsigned
stamps_todo(const struct stamps *s, unsigned enabled, int64_t now)
{
	unsigned todo = 0;

	for (unsigned t = 0; t < TESTS; t++)
		if ((enabled & 1u << t) != 0 && s->until[t] < now)
			todo |= 1u << t;
	return todo;
}
