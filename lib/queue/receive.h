/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * receive_override_options: what a program that lets mail in (smtpd, pickup) leaves
 * undone, because a content filter gives the same message back later, or has had it.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum receive_override {
	RECEIVE_ANY_RECIPIENT = 1u << 0, /* no_unknown_recipient_checks */
	RECEIVE_AS_ADDRESSED = 1u << 1,  /* no_address_mappings */
	RECEIVE_NO_CHECKS = 1u << 2,     /* no_header_body_checks */
	RECEIVE_NO_MILTERS = 1u << 3,    /* no_milters */
};

/* ERR_CONFIG names the word that is none of them. */
bool receive_override_parse(struct str text, unsigned *mask_out,
			    struct err *err) MUST_CHECK;

/* The cleanup flags (queue/cleanup_status.h) that are left. */
unsigned receive_override_flags(unsigned mask, unsigned flags);
