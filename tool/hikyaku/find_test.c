/* SPDX-License-Identifier: Apache-2.0 */
#include "find.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

enum { BLOCK = 700, ROUNDS = 3000 };

static size_t
slow_find(struct str block, struct str pattern, size_t from)
{
	for (size_t i = from; i + pattern.len <= block.len; i++) {
		if (str_ieq(str_head(str_skip(block, i), pattern.len), pattern))
			return i;
	}
	return block.len;
}

/* Every length and place against the plain way; the blocks end where their memory ends,
 * so that the sanitizer sees a read behind them. */
static void
same_as_slow(void **state)
{
	static const char alphabet[] = "aAbB1@\n[";

	IGNORE(state == NULL);
	srand(1);
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = (size_t)rand() % BLOCK;
		char *text = malloc(len + 1);
		char pattern[8];
		struct find f;
		struct str p = {pattern, 1 + (size_t)rand() % sizeof(pattern)};
		struct str block = {text, len};
		size_t at = 0;

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[rand() % 8];
		for (size_t i = 0; i < p.len; i++)
			pattern[i] = alphabet[rand() % 8];
		find_init(&f, p);
		text = realloc(text, len > 0 ? len : 1);
		block.p = text;
		while (at < block.len) {
			size_t expected = slow_find(block, p, at);

			assert_int_equal(find_next(&f, block, at), expected);
			at = expected + 1;
		}
		free(text);
	}
}

static void
count_lines(void **state)
{
	char text[200];

	IGNORE(state == NULL);
	memset(text, '\n', sizeof(text));
	for (size_t i = 0; i <= sizeof(text); i++)
		assert_int_equal(find_count_lines(str_from_mem(text, i)), i);
	text[3] = text[77] = 'x';
	assert_int_equal(find_count_lines(str_from_mem(text, sizeof(text))), 198);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_slow),
		cmocka_unit_test(count_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
