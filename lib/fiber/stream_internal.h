/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A stream's inside, for the files stream*.c only.
 *
 * The two buffers are allocated when there is something to keep and freed when a read
 * waits with nothing in them, so an idle session costs the struct alone.
 */

#include "fiber/stream.h"

struct stream {
	struct stream_layer *top;
	struct stream_layer *bottom;
	struct loop *loop;
	int64_t deadline_ms;
	int64_t timeout_ms;

	char *in; /* NULL or in_size bytes; [in_start, in_end) is unread */
	size_t in_size;
	size_t in_start;
	size_t in_end;
	char *out; /* NULL or STREAM_OUT_BYTES */
	size_t out_len;
	bool is_bulk; /* the last read filled the input buffer */
	bool rests;   /* give back the stack, too, if the next read waits long */
	bool putting; /* a fiber is sending */
	struct fiber *put_waiter; /* and this one wants to, after it */

	enum stream_status read_status; /* what sticks */
	enum stream_status write_status;
	enum stream_eol eol;
	int errnum;
	int fd; /* -1: memory */
	int fds[STREAM_FDS_MAX];
	unsigned fds_count;
	bool fds_wanted;
	/* The last read of the descriptor gave less than was asked for: the next would
	 * find nothing, so wait first. (At worst the wait ends at once.) */
	bool drained;
};

/* Block until the bottom is ready; sets errnum on STREAM_ERROR. */
enum stream_status stream_wait(struct stream *s, bool for_write, int64_t deadline_ms);
int64_t stream_operation_deadline(const struct stream *s);
/* One byte with a descriptor, at the bottom. */
enum stream_io stream_fd_send(struct stream *s, int fd);
