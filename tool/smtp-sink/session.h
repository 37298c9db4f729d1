/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One SMTP or LMTP session of smtp-sink, in a fiber, over any stream.
 *
 * Only CR LF ends a command; LF alone is part of it. Commands are bounded (2048 bytes),
 * and so is the list of recipients kept for a dump.
 */

#include "fiber/listen.h"
#include "sink.h"

/* A listener_fn; arg is the struct sink. */
void session_main(struct stream *s, const struct listener_peer *peer, void *arg);
