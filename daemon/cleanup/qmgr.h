/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What cleanup has to say to qmgr: a message has arrived. Nobody waits for an answer, and
 * where qmgr does not listen it finds the file by itself. The connection is kept.
 */

#include "base/str.h"

struct cleanup;
struct qmgr_link;

/* The file: not taken, qmgr gets a copy of the descriptor. */
void qmgr_announce(struct cleanup *c, struct str queue_id, int file);

/* Before a message begins. in_flow_delay: while qmgr cannot take what we have, each
 * session waits a little before it makes more. */
void qmgr_wait(struct cleanup *c);

/* NULL is allowed. */
void qmgr_link_close(struct qmgr_link **link);
