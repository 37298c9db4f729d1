/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reads binary data with a sticky error: read all fields, then ask reader_ok() once.
 * After an error every read gives zero or the empty str.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct reader {
	struct str rest;
	size_t offset; /* bytes consumed */
	bool failed;
};

void reader_init(struct reader *r, struct str data);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r); /* network byte order */
uint32_t reader_u32(struct reader *r);
struct str reader_bytes(struct reader *r, size_t n);
/* Up to the terminating byte, which is consumed and not part of the result. */
struct str reader_until(struct reader *r, char end);
bool reader_at_end(const struct reader *r);
bool reader_ok(const struct reader *r);
/* Mark as failed (a value that was read is not acceptable). */
void reader_fail(struct reader *r);
