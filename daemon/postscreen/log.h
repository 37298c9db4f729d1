/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Lines that other programs read; facts: logs 16. Clients are "[ADDRESS]:PORT".
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct client;
struct arena;

void log_client_connect(const struct client *c);
void log_client_disconnect(const struct client *c);
/* "%s [A]:P": PASS NEW, PASS OLD, ALLOWLISTED ... */
void log_client(const struct client *c, const char *what);
/* "%s from [A]:P after WHERE" */
void log_client_after(const struct client *c, const char *what, const char *where);
/* "%s from [A]:P" */
void log_client_from(const struct client *c, const char *what);
void log_refused_connect(const struct client *c, const char *why);
void log_pregreet(const struct client *c, size_t n, struct str text);
void log_dnsbl(const struct client *c, int score);
void log_hangup(const struct client *c, const char *phase);
void log_pipelining(const struct client *c, struct str command, struct str text);
void log_non_smtp(const struct client *c, struct str command, struct str rest);
void log_reject_rcpt(const struct client *c, struct str reply, struct str recipient);

/* Unprintable bytes as in C: "\r\n", "\001". */
struct str escape_text(struct arena *mem, struct str text);
