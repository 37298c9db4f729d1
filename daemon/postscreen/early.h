/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The tests before the greeting: does the client wait for it, and do DNS lists know its
 * address? Nothing of what it says is read; the SMTP server gets all of it.
 */

struct client;

/* Blocks for postscreen_greet_wait at most. What came of it is in *c. */
void early_run(struct client *c);
