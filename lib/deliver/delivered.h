/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Was the message delivered to this address before? Its Delivered-To: lines say so. */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct arena;

/* message: the queue file. Upper and lower case are the same; of the header the first
 * thousand lines are read. */
bool delivered_before(struct arena *mem, int message, int64_t content_offset,
		      struct str address);
