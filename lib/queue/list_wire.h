/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The queue list on public/showq, byte for byte as Postfix 3.x sends it, because
 * postqueue is not the only reader: exporters speak it too. Name and value end in NUL, a
 * list of them in an empty name:
 *
 *	protocol mail_queue_list_protocol ""
 *	queue_name queue_id time size forced_expire sender {recipient reason}... ""
 *	...			one such list per message
 *	""			the end
 *
 * The server says all this without being asked. The reader checks names, order and
 * lengths, and takes fields that it does not know between recipients and messages for
 * what they are: a server that speaks something else.
 */

#include <stdbool.h>

#include "base/err.h"

#include "queue/list.h"

struct arena;
struct stream;

enum { LIST_WIRE_VALUE_MAX = 65536 };

/* A sink that writes to the stream; it stops the walk when writing fails. The stream
 * must outlive the walk. */
struct queue_list_sink list_wire_sink(struct stream *out);

/* What comes before the first message and after the last; false when writing fails. */
bool list_wire_begin(struct stream *out) MUST_CHECK;
bool list_wire_end(struct stream *out) MUST_CHECK;

/* Read it all and call the sink (warning() is not used). ERR_PERM: not this protocol;
 * ERR_TEMP: the connection ended or timed out before the end. A sink that stops the walk
 * is no error: *stopped_out. */
bool list_wire_read(struct stream *in, const struct queue_list_sink *sink,
		    bool *stopped_out, struct err *err) MUST_CHECK;
