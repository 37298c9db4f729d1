/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The listening sockets: opened by the master, handed to the daemons, kept over a reload
 * where both plans have the same. All of a plan are opened or none.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#include "plan.h"

struct log;

struct socket_set {
	struct open_socket *at;
	size_t count;
};

struct open_socket {
	char *key;
	char *path; /* UNIX sockets, else NULL */
	int fd;     /* -1: an optional address that this machine does not have */
	bool old;   /* taken over from the set before */
};

/* Open what the plan needs; what `before` (may be NULL) has is shared with it. owner: of
 * UNIX sockets, when we are root. The working directory is queue_directory. */
bool sockets_open(const struct plan *plan, struct socket_set *before, uid_t owner,
		  struct log *log, struct socket_set **out, struct err *err) MUST_CHECK;

/* After a reload: close what only the old set has, and free it. NULL is allowed. */
void sockets_replace(struct socket_set **old, const struct socket_set *by);

/* A reload that failed: close what only the new set has, and free it. */
void sockets_drop(struct socket_set **fresh);

/* The descriptor, -1 if there is none. */
int sockets_find(const struct socket_set *set, const char *key);
