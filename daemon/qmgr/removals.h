/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The journal and the queue manager: what an earlier run left in it is put right at the
 * start, and each message that goes is noted before its file goes, so that the next
 * replay does not bring it back. Nobody waits for a note to be on disk: what a power cut
 * takes is delivered again, as it is where a file's removal is lost.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct qmgr;

/* Before the sandbox. */
bool removals_init(struct qmgr *q, struct err *err) MUST_CHECK;
/* Replay, then keep a journal of our own (queue_sync = journal). */
bool removals_start(struct qmgr *q, struct err *err) MUST_CHECK;
void removals_note(struct qmgr *q, struct str id);
/* Nothing more is noted, the fiber ends. */
void removals_drain(struct qmgr *q);
void removals_free(struct qmgr *q);
