/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A connection from its beginning until it is handed to the SMTP server or closed.
 */

struct daemon;
struct stream;

/* The listener's function. */
void client_serve(struct daemon *d, struct stream *stream);
