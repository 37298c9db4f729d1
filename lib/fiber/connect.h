/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Outgoing connections: TCP and UNIX-domain stream sockets.
 */

#include <sys/socket.h>

#include "base/err.h"
#include "base/macros.h"
#include "fiber/stream.h"

/* Blocks until connected, for at most timeout_ms (< 0: the system's own limit). `from` is
 * a local address to bind, or NULL; ports of address 0.0.0.0 and :: are not special. A
 * UNIX-domain server whose backlog is full is tried again until the time is up.
 *
 * On failure err holds errno (ETIMEDOUT, ECANCELED when cancelled) and a text that does
 * not name the address. Kind: ERR_TEMP. */
bool stream_connect(struct loop *loop, const struct sockaddr *to, socklen_t to_len,
		    const struct sockaddr *from, socklen_t from_len, int64_t timeout_ms,
		    struct stream **out, struct err *err) MUST_CHECK;

/* As stream_connect() with a stream socket that the caller has prepared (options, local
 * address); non-blocking. It is closed on failure. */
bool stream_connect_socket(struct loop *loop, int fd, const struct sockaddr *to,
			   socklen_t to_len, int64_t timeout_ms, struct stream **out,
			   struct err *err) MUST_CHECK;
