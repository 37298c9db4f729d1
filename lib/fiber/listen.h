/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Accepting connections: one fiber per connection, at most max_sessions at once; beyond
 * that connections wait in the kernel's backlog. When the process or the system is out of
 * descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) accepting pauses for 100 ms,
 * doubling to 2 s, or until a session ends; listener_failed() then tells the reason.
 *
 * The loop keeps running while a listener listens; listener_stop() ends that.
 */

#include <stddef.h>
#include <sys/socket.h>

#include "fiber/stream.h"

struct listener;

struct listener_peer {
	struct sockaddr_storage address; /* as accept(2) gave it; for AF_UNIX unnamed */
	socklen_t address_len;
};

/* One session, in a fiber of its own; the stream is the function's to close. */
typedef void listener_fn(struct stream *s, const struct listener_peer *peer, void *arg);

/* fd: a listening socket, made non-blocking; the listener closes it. */
struct listener *listener_new(struct loop *loop, int fd, size_t max_sessions,
			      listener_fn *fn, void *arg)
	__attribute__((returns_nonnull));

/* Sessions that exist now; connections accepted so far. */
size_t listener_sessions(const struct listener *l);
size_t listener_accepted(const struct listener *l);

/* errno of the last failed accept(2) of the kind named above, 0 if there was none since
 * the last call: for a log line. */
int listener_failed(struct listener *l);

/* Accept nothing more (connections in the backlog are left to who shares the socket) and
 * close the descriptor. Sessions go on. */
void listener_stop(struct listener *l);

/* Cancel the fibers of all sessions. */
void listener_cancel_sessions(struct listener *l);

/* listener_stop() and free, which happens when the last session has ended. */
void listener_free(struct listener **l);
