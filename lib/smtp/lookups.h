/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How the SMTP client looks up hosts, from its parameters: one place for the client and
 * for those that explain what it would do.
 */

#include "base/err.h"

struct common_config;
struct lookup_rules;
struct smtp_config;

/* Everything but our own addresses, which are left as they are. ERR_CONFIG: a word that
 * has no meaning in smtp_host_lookup or smtp_address_preference. */
bool smtp_lookup_rules(const struct smtp_config *smtp, const struct common_config *common,
		       struct lookup_rules *out, struct err *err) MUST_CHECK;
