/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting bytes into lines and words, and making them safe to print. */
#include "base/arena.h"
#include "base/panic.h"
#include "base/str.h"

#include "fuzz.h"

/* Lines and their ends together are the input. */
static void
check_lines(struct str input)
{
	struct str rest = input;
	struct str line;
	size_t at = 0;

	while (str_line(&rest, &line)) {
		ensure(line.p == input.p + at);
		ensure(!str_contains(line, '\n'));
		at = (size_t)(rest.p - input.p);
	}
	ensure(rest.len == 0);
	ensure(at == input.len);
}

static void
check_tokens(struct str input)
{
	struct str rest = input;
	struct str token;

	while (str_token(&rest, " ,\t", &token)) {
		ensure(token.len > 0);
		ensure(str_index_any(token, " ,\t") == token.len);
	}
}

/* What is printable stays so, and nothing else is left in it. */
static void
check_printable(struct arena *mem, struct str input, bool utf8)
{
	struct str shown = str_printable(mem, input, utf8);

	for (size_t i = 0; i < shown.len; i++)
		ensure(char_is_print(shown.p[i]) || (utf8 && (shown.p[i] & 0x80)));
	ensure(!utf8 || str_is_utf8(shown));
	ensure(str_eq(str_printable(mem, shown, utf8), shown));
}

static void
check_number(struct str input)
{
	int64_t n;

	if (str_to_i64(input, -1000, 1000, &n))
		ensure(n >= -1000 && n <= 1000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str input = str_from_mem(data, size);

	check_lines(input);
	check_tokens(input);
	check_printable(mem, input, false);
	check_printable(mem, input, true);
	check_number(input);
	arena_free(&mem);
	return 0;
}
