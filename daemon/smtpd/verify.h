/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Address verification: what the access lists need to ask verify(8) from a session.
 */

struct session;

/* Give the session's lists what they need to ask. */
void verify_prepare(struct session *s);
