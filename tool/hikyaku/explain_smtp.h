/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * hikyaku explain --smtp client=ADDRESS helo=NAME from=SENDER to=RECIPIENT...: what our
 * SMTP server would answer, restriction by restriction, each with its verdict and the row
 * of a table that decided it. The evaluator is smtpd's (access/access.h).
 *
 * Keys: client (ADDRESS, or NAME[ADDRESS] to look no name up), reverse (the client's
 * unverified name), helo, from, to (also several), sasl (a login), tls (yes), etrn.
 */

#include <stdbool.h>
#include <stddef.h>

struct explain_smtp_options {
	const char *dir;     /* NULL: the default one */
	const char *service; /* of master.cf, of type inet or pass; NULL: smtp */
	bool offline;
	bool json;
};

/* words: KEY=VALUE, ended by NULL. Exit status: 0 all would be accepted, 1 one would be
 * refused, 2 wrong usage or no configuration. */
int explain_smtp(const struct explain_smtp_options *options, char **words);
