/* SPDX-License-Identifier: Apache-2.0 */
#include "find.h"

#include <stdint.h>
#include <string.h>

#include "base/macros.h"
#include "base/panic.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* How common a byte is in a maillog, roughly; a higher rank is rarer. */
static int
rarity(char c)
{
	if (c == ' ' || char_is_digit(c))
		return 0;
	if (c != '\0' && strchr("etaosinrlc=,:.<>[]-/", c) != NULL)
		return 1;
	if (c != '\0' && strchr("jqxzwvky@_+", c) != NULL)
		return 3;
	return 2;
}

void
find_init(struct find *f, struct str pattern)
{
	ensure(pattern.len > 0);
	*f = (struct find){.len = MIN_OF(pattern.len, sizeof(f->pattern))};
	for (size_t i = 0; i < f->len; i++)
		f->pattern[i] = char_lower(pattern.p[i]);
	for (size_t i = 0; i < f->len; i++) {
		if (rarity(f->pattern[i]) >= rarity(f->pattern[f->at_a]))
			f->at_a = i;
	}
	f->at_b = f->at_a == 0 ? f->len - 1 : 0;
	for (size_t i = 0; i < f->len; i++) {
		if (i != f->at_a && rarity(f->pattern[i]) >= rarity(f->pattern[f->at_b]))
			f->at_b = i;
	}
	if (f->at_a > f->at_b) {
		size_t swap = f->at_a;

		f->at_a = f->at_b;
		f->at_b = swap;
	}
}

static bool
is_at(const struct find *f, const char *p)
{
	for (size_t i = 0; i < f->len; i++) {
		if (char_lower(p[i]) != f->pattern[i])
			return false;
	}
	return true;
}

/* Byte by byte: everywhere, and for the rest that is too short for a vector. */
static size_t
find_plain(const struct find *f, struct str block, size_t from)
{
	char b = f->pattern[f->at_b];

	for (size_t i = from; i + f->len <= block.len; i++) {
		if (char_lower(block.p[i + f->at_b]) == b && is_at(f, block.p + i))
			return i;
	}
	return block.len;
}

#if defined(__x86_64__)

static __m256i __attribute__((target("avx2"))) load(const char *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* With bit 0x20 set a capital becomes small. For a byte that is no letter the mask is 0.
 */
static __m256i __attribute__((target("avx2"))) case_mask(char c)
{
	return _mm256_set1_epi8(char_is_alpha(c) ? 0x20 : 0);
}

static __m256i __attribute__((target("avx2")))
fits(const char *p, __m256i mask, __m256i byte)
{
	return _mm256_cmpeq_epi8(_mm256_or_si256(load(p), mask), byte);
}

static size_t __attribute__((target("avx2")))
find_avx2(const struct find *f, struct str block, size_t from)
{
	__m256i byte_a = _mm256_set1_epi8(f->pattern[f->at_a]);
	__m256i byte_b = _mm256_set1_epi8(f->pattern[f->at_b]);
	__m256i mask_a = case_mask(f->pattern[f->at_a]);
	__m256i mask_b = case_mask(f->pattern[f->at_b]);
	size_t i = from;

	for (; i + f->len + 64 <= block.len; i += 64) {
		const char *a = block.p + i + f->at_a;
		const char *b = block.p + i + f->at_b;
		__m256i low = _mm256_and_si256(fits(a, mask_a, byte_a),
					       fits(b, mask_b, byte_b));
		__m256i high = _mm256_and_si256(fits(a + 32, mask_a, byte_a),
						fits(b + 32, mask_b, byte_b));
		uint64_t hits;

		if (_mm256_testz_si256(_mm256_or_si256(low, high), _mm256_set1_epi8(-1)))
			continue;
		hits = (uint32_t)_mm256_movemask_epi8(low) |
		       (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
		for (; hits != 0; hits &= hits - 1) {
			size_t at = i + (size_t)__builtin_ctzll(hits);

			if (is_at(f, block.p + at))
				return at;
		}
	}
	return find_plain(f, block, i);
}

static size_t __attribute__((target("avx2"))) count_avx2(struct str s)
{
	__m256i lf = _mm256_set1_epi8('\n');
	size_t n = 0;
	size_t i = 0;

	for (; i + 32 <= s.len; i += 32) {
		__m256i eq = _mm256_cmpeq_epi8(load(s.p + i), lf);

		n += (size_t)__builtin_popcount((uint32_t)_mm256_movemask_epi8(eq));
	}
	for (; i < s.len; i++)
		n += s.p[i] == '\n';
	return n;
}

#endif

static bool
has_avx2(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("avx2");
#else
	return false;
#endif
}

size_t
find_next(const struct find *f, struct str block, size_t from)
{
#if defined(__x86_64__)
	if (has_avx2())
		return find_avx2(f, block, from);
#endif
	return find_plain(f, block, from);
}

size_t
find_count_lines(struct str s)
{
	size_t n = 0;

#if defined(__x86_64__)
	if (has_avx2())
		return count_avx2(s);
#endif
	for (size_t i = 0; i < s.len; i++)
		n += s.p[i] == '\n';
	return n;
}
