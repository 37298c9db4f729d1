/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An SMTP engine that takes no mail: for clients that failed a test, and for tests that
 * need a dialogue. Each recipient is refused with c->rcpt_reply.
 *
 * Here a client has to wait for replies, speak SMTP, and end its lines in CR LF. Who gets
 * as far as RCPT has passed those tests for now, and may still fail them.
 *
 * Limits: postscreen_command_count_limit commands of line_length_limit bytes, each within
 * postscreen_command_time_limit.
 */

struct client;

/* From the greeting to the end: c->final_reply (said by the caller) or c->gone. */
void dummy_run(struct client *c);
