/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The functions behind the rows of restrictions.def. For this folder only.
 */

#include "access/rules_internal.h"

#define RESTRICTION_FUNCTIONS(F)                                                         \
	F(nothing)                                                                       \
	F(permit)                                                                        \
	F(reject)                                                                        \
	F(defer)                                                                         \
	F(defer_if_permit)                                                               \
	F(defer_if_reject)                                                               \
	F(sleep)                                                                         \
	F(pipelining)                                                                    \
	F(plaintext)                                                                     \
	F(policy)                                                                        \
	F(unsupported)                                                                   \
	F(mynetworks)                                                                    \
	F(inet_interfaces)                                                               \
	F(authenticated)                                                                 \
	F(relay_certificate)                                                             \
	F(any_certificate)                                                               \
	F(client_access)                                                                 \
	F(certificate_access)                                                            \
	F(login_access)                                                                  \
	F(domain_access)                                                                 \
	F(address_access)                                                                \
	F(server_access)                                                                 \
	F(unknown_client)                                                                \
	F(unknown_reverse)                                                               \
	F(rbl_address)                                                                   \
	F(rbl_domain)                                                                    \
	F(dnswl_address)                                                                 \
	F(dnswl_domain)                                                                  \
	F(invalid_helo)                                                                  \
	F(non_fqdn_helo)                                                                 \
	F(unknown_helo)                                                                  \
	F(naked_address)                                                                 \
	F(unknown_domain)                                                                \
	F(non_fqdn_address)                                                              \
	F(login_mismatch)                                                                \
	F(unverified)                                                                    \
	F(unlisted)                                                                      \
	F(permit_destination)                                                            \
	F(reject_destination)                                                            \
	F(defer_destination)                                                             \
	F(mx_backup)                                                                     \
	F(check_destination)                                                             \
	F(multi_recipient)

#define RESTRICTION_DECLARE(name)                                                        \
	enum verdict restrict_##name(struct eval *e, const struct item *item);
RESTRICTION_FUNCTIONS(RESTRICTION_DECLARE)
#undef RESTRICTION_DECLARE
