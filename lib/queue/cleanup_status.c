/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/cleanup_status.h"

#include "base/macros.h"

/* The most serious first: what the client must know before the rest. */
static const struct cleanup_text rows[] = {
	{CLEANUP_DEFER, "4.7.1", "service unavailable"},
	{CLEANUP_PROXY, "4.3.0", "queue file write error"},
	{CLEANUP_BAD, "4.3.0", "internal protocol error"},
	{CLEANUP_RCPT, "5.1.0", "no recipients specified"},
	{CLEANUP_HOPS, "5.4.0", "too many hops"},
	{CLEANUP_SIZE, "5.3.4", "message file too big"},
	{CLEANUP_CONT, "5.7.1", "message content rejected"},
	{CLEANUP_WRITE, "4.3.0", "queue file write error"},
	{CLEANUP_NOPERM, "5.7.1", "service denied"},
};

const struct cleanup_text *
cleanup_text_find(unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if ((status & rows[i].status) != 0)
			return &rows[i];
	}
	return status == CLEANUP_OK ? NULL : &rows[2];
}
