/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Quoted-printable (RFC 2045 section 6.7), for text that comes line by line. A line may
 * come in pieces; the state of the encoder is how far the current output line is.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* An output line and whether the text's line ends with it; otherwise the line carries a
 * soft line break (its last byte is `=`) and more follows. */
typedef void (*qp_line_fn)(void *arg, struct str line, bool whole);

enum { QP_LINE_MAX = 76 };

struct qp_encoder {
	char line[QP_LINE_MAX + 1];
	size_t len;
	qp_line_fn emit;
	void *arg;
};

void qp_encoder_init(struct qp_encoder *e, qp_line_fn emit, void *arg);

/* One line without its end; whole = false for all pieces but the last. Every call of
 * emit is a complete output line. */
void qp_encoder_line(struct qp_encoder *e, struct str piece, bool whole);
