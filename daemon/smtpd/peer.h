/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who has connected: address and port from the socket, the name from the hosts file or
 * the DNS. A name counts only if it leads back to the address; else the client is
 * "unknown" and only the reverse name is told (facts: protocols 12).
 */

#include <stdbool.h>

struct session;

/* Fill s->peer; texts in s->mem. Blocks for the DNS, and for the header of a proxy
 * (smtpd_upstream_proxy_protocol). False: there should have been one, and was not; that
 * is logged. */
bool peer_find(struct session *s);

/* s->peer.text from name and address, after a change. */
void peer_set_text(struct session *s);
