/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * smtpd_sasl_type = cyrus: libsasl2, loaded at start together with its plug-ins, because
 * the sandbox forbids it later. Its functions block, so each runs in a thread; one log-in
 * has one handle (sasl_conn_t) that is never used again after it.
 *
 * The application's name (smtpd_sasl_path) and the directories of its configuration
 * (cyrus_sasl_config_path; empty: config_directory/sasl and /usr/lib/sasl2, as Debian's
 * Postfix) are those of main.cf.
 */

#include "saslauth.h"

/* False (ERR_CONFIG): no library, or it does not like its configuration. */
bool cyrus_new(struct saslauth *s, struct err *err) MUST_CHECK;

/* Blocks. False: *trouble_out says why. */
bool cyrus_mechanisms(struct saslauth *s, struct arena *mem,
		      const struct msg_sasl_list *request, struct str *names_out,
		      struct str *trouble_out);

/* Fill in l->step. The handle ends with l->mem, which blocks. */
void cyrus_login(struct login *l);
