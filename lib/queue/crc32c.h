/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CRC-32C (Castagnoli; RFC 3720 appendix B.4). */

#include <stdint.h>

#include "base/str.h"

/* crc: 0, or what the bytes before gave. */
uint32_t crc32c(uint32_t crc, struct str bytes);
