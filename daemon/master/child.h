/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Starting one process of a service, with the descriptors that daemon/daemon.h promises.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#include "plan.h"

struct loop;

struct child_start {
	const struct plan_service *service;
	char *const *environment;
	const int *sockets; /* service->socket_count of them, some may be -1 */
	bool is_successor;  /* of a process that runs and asked for one */
	int null_fd;        /* open on /dev/null */
	int output_fd;      /* becomes standard output; -1: null_fd */
	int error_fd;       /* becomes standard error */
};

/* *control_out is our end of the control socket, close-on-exec and non-blocking. */
bool child_spawn(struct loop *loop, const struct child_start *start, pid_t *pid_out,
		 int *control_out, struct err *err) MUST_CHECK;
