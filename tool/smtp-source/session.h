/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One of the parallel sessions of smtp-source: connects, sends, disconnects, until there
 * is nothing left to send. The first failure ends the process with a message (with -A an
 * unwelcome reply is only a warning).
 */

#include "source.h"

/* A fiber's function; arg is the struct source. */
void session_main(void *arg);
