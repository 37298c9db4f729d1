/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A message file that is written up to its end record, as milters read and change it.
 *
 * The file itself is not touched before all milters agree: what one of them changes in
 * sender, header or body makes a new complete file without a name, which the next one
 * reads; message_end_file() copies the last one over the file under its own name. So a
 * process that dies leaves an incomplete file, which is no message, and never a mixture.
 * Recipients are added and struck out in place.
 *
 * Limits: a header that is changed has at most HEADER_MAX bytes together with what is
 * added, a new body message_size_limit.
 */

struct message;
struct milter_changes;
struct milter_source;
struct milter_edit;

/* Both ends live as long as the message. */
struct milter_edit *milter_edit_new(struct message *m, struct milter_source *source_out,
				    struct milter_changes *changes_out);
