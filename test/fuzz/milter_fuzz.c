/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a hostile milter, from the options to the end of a message: bounded, and
 * the same however the bytes arrive.
 */
#include "base/panic.h"

#include "milter/milter_testing.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct milter_settings settings = {.version = 6, .failure = MILTER_FAIL_TEMPFAIL};
	struct milter_setting one = {
		.text = STR("fuzz"), .version = 6, .failure = MILTER_FAIL_TEMPFAIL};
	const struct milter_list list = {1, &one};
	struct str words = str_from_mem(data, size);
	struct str told;

	for (size_t i = 0; i < MILTER_STAGES; i++)
		settings.stage_macros[i] = STR("i");
	told = talk_play(mem, &settings, &list, words, 0);
	ensure(str_eq(told, talk_play(mem, &settings, &list, words, 1)));
	arena_free(&mem);
	return 0;
}
