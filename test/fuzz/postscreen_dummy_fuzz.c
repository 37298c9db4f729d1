/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dialogue with postscreen's dummy engine. The first byte says what failed tests lead
 * to and in which steps the rest arrives. Every line that the engine says is a line of a
 * reply, no mail is ever taken, and the dialogue ends within its limits.
 */
#include "../../daemon/postscreen/dummy_testing.h"

#include "base/panic.h"

#include "fuzz.h"

enum { INPUT_MAX = 20000 };

static void
check_replies(struct str said)
{
	struct str line;

	while (str_line(&said, &line)) {
		int64_t code;

		ensure(line.len >= 4);
		ensure(str_to_i64(str_head(line, 3), 200, 599, &code));
		ensure(code != 354 && (line.p[3] == ' ' || line.p[3] == '-'));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = {0, 1, 3, 100};
	struct dummy_talk t;
	struct err err;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	ensure(dummy_talk_start(&t, (enum screen_action)(data[0] % 3), &err));
	dummy_talk_run(&t, str_from_mem(data + 1, size - 1), steps[data[0] / 3 % 4]);
	check_replies(buf_str(t.said));
	ensure(t.client.keeps_out && (t.client.gone || t.client.dropped));
	ensure(t.client.commands <= 21);
	ensure((t.client.passed & t.client.failed) == 0);
	dummy_talk_end(&t);
	return 0;
}
