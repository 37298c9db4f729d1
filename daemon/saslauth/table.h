/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * smtpd_sasl_type = table: user name to a row of sasl/secret.h, in
 * smtpd_sasl_password_maps. Who is not in the table costs what who is in it costs, and is
 * told the same. After smtpd_sasl_table_failure_limit failures in a minute a client, and
 * a user, is asked to come later, without a look at the password.
 */

#include "saslauth.h"

/* Open the table; lives as long as the process. */
bool tables_new(struct saslauth *s, struct err *err) MUST_CHECK;

/* The process ends. */
void tables_release(struct saslauth *s);

/* With blanks between. False: not for these maps, *trouble_out says why. */
bool tables_mechanisms(struct saslauth *s, struct arena *mem, struct str maps,
		       struct str *names_out, struct str *trouble_out);

/* Fill in l->step. */
void tables_login(struct login *l);
