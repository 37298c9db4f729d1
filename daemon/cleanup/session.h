/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One connection: one message, from the client's first word to ours that it is on disk.
 */

struct daemon;
struct stream;

void session_run(struct daemon *d, struct stream *client);
