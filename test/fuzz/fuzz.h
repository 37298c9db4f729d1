/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a fuzz target defines: libFuzzer calls it with inputs that it invents, replay.c
 * with the files of the corpus. It must return 0, leave nothing behind, and say with
 * ensure() what must hold.
 */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
