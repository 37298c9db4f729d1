/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Services of type pass, the receiving end: a UNIX socket over which come connections
 * that another service has accepted, with what it knows of them. The sending end is
 * daemon_pass() (daemon.h).
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/macros.h"

struct arena;
struct daemon_passed;
struct stream;

/* Wait for it (10 s). Texts live in mem; the descriptor is the caller's. */
bool pass_receive(struct stream *from, struct arena *mem,
		  struct daemon_passed *passed_out, int *fd_out,
		  struct err *err) MUST_CHECK;
