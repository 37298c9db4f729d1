/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Policy services: what the access lists need to ask them from a session.
 */

#include "base/str.h"

struct session;
struct smtpd;

/* Once at start: does a service need TCP? */
void delegate_settings(struct smtpd *smtpd);
/* With the loop: connections are shared by all sessions. */
void delegate_start(struct smtpd *smtpd);
void delegate_drain(struct smtpd *smtpd);

/* Give the session's lists what they need to ask. */
void delegate_prepare(struct session *s);
