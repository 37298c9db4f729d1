/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the bottom layers (descriptor, memory) and the stream share.
 */

#include "fiber/stream.h"

struct fd_queue {
	int fds[STREAM_FDS_MAX];
	size_t n;
	bool accept;
};

struct stream {
	struct loop *loop;
	struct stream_layer *top;
	struct stream_layer *bottom;
	struct buf in;
	size_t in_start; /* what was read already */
	struct buf out;
	int64_t deadline_ms;
	int64_t timeout_ms;
	enum stream_status read_status; /* sticks when not STREAM_OK */
	enum stream_status write_status;
	enum stream_eol eol;
	int errnum;
	int fd;       /* -1 for others than descriptors */
	bool writing; /* a fiber is in the middle of it */
	struct fd_queue received;
};
