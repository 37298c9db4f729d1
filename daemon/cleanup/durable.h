/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How accepted messages get to disk (queue_sync):
 *
 *	fsync	each file for itself, in several threads
 *	syncfs	the file system of the queue, once for all that wait
 *	journal	small messages in the journal, once for all that wait (queue/journal.h);
 *		large ones, and all while the journal cannot be used, as with fsync
 */

#include <stdbool.h>

#include "base/err.h"

struct cleanup;
struct durable;
struct message;

/* Before the sandbox is entered. */
bool durable_new(struct cleanup *c, struct durable **out, struct err *err) MUST_CHECK;
/* Nobody may be waiting. Ends the journal. */
void durable_free(struct durable **d);

/* The file is written to its end: make it complete, wait until it is on disk. */
bool durable_commit(struct message *m, struct err *err) MUST_CHECK;
