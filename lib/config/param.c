/* SPDX-License-Identifier: Apache-2.0 */
#include "config/param.h"

#include "base/macros.h"

/* A name in two .def files is a duplicate enumerator here. */
enum {
#define PARAM(T, name, ...)           unique_##name,
#define PARAM_AS(T, field, name, ...) unique_##field,
#include "config/all.def"
#undef PARAM
#undef PARAM_AS
	ROW_COUNT
};

/* All texts in one piece, which rows refer to by place. */
/* clang-format off */
#define TEXTS(field, text, d, lowest, highest, what)                                     \
	char name_##field[sizeof(text)];                                                 \
	char def_##field[sizeof(d)];                                                     \
	char summary_##field[sizeof(what)];
/* clang-format on */
struct texts {
#define PARAM(T, name, ...)           TEXTS(name, #name, __VA_ARGS__)
#define PARAM_AS(T, field, name, ...) TEXTS(field, name, __VA_ARGS__)
#include "config/all.def"
#undef PARAM
#undef PARAM_AS
#undef TEXTS
};

#define TEXTS(text, d, lowest, highest, what) text, d, what,
static const struct texts texts = {
#define PARAM(T, name, ...)           TEXTS(#name, __VA_ARGS__)
#define PARAM_AS(T, field, name, ...) TEXTS(name, __VA_ARGS__)
#include "config/all.def"
#undef PARAM
#undef PARAM_AS
#undef TEXTS
};

/* clang-format off */
#define ROW(T, field, d, lowest, highest, what)                                          \
	{.type = PARAM_##T, .state = PARAM_STATE, .min = (lowest), .max = (highest),     \
	 .area = PARAM_AREA, .name_at = offsetof(struct texts, name_##field),            \
	 .def_at = offsetof(struct texts, def_##field),                                  \
	 .summary_at = offsetof(struct texts, summary_##field)},
/* clang-format on */
static const struct param rows[] = {
#define PARAM(T, name, ...)           ROW(T, name, __VA_ARGS__)
#define PARAM_AS(T, field, name, ...) ROW(T, field, __VA_ARGS__)
#include "config/all.def"
#undef PARAM
#undef PARAM_AS
};

static const unsigned short order[ROW_COUNT] = {
#include "param_order.inc"
};

struct str
param_name(const struct param *row)
{
	return str_from((const char *)&texts + row->name_at);
}

struct str
param_default(const struct param *row)
{
	return str_from((const char *)&texts + row->def_at);
}

const char *
param_summary(const struct param *row)
{
	return (const char *)&texts + row->summary_at;
}

const struct param *
param_find(struct str name)
{
	size_t low = 0, high = ROW_COUNT;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct param *p = &rows[order[middle]];
		int way = str_cmp(name, param_name(p));

		if (way == 0)
			return p;
		if (way < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct param *
param_at(size_t i)
{
	return i < ROW_COUNT ? &rows[order[i]] : NULL;
}

size_t
param_count(void)
{
	return ROW_COUNT;
}

enum { NAME_MAX_COMPARED = 64 };

/* The next row of the matrix for a's letter i (from 1); the least number in it. */
static unsigned
next_row(struct str a, struct str b, size_t i,
	 unsigned row[static 3][NAME_MAX_COMPARED + 1])
{
	unsigned *now = row[i % 3];
	const unsigned *last = row[(i + 2) % 3];
	const unsigned *before = row[(i + 1) % 3];
	unsigned least = now[0] = (unsigned)i;

	for (size_t j = 1; j <= b.len; j++) {
		unsigned cost = a.p[i - 1] != b.p[j - 1];

		now[j] = MIN_OF(last[j - 1] + cost, MIN_OF(last[j], now[j - 1]) + 1);
		if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
		    a.p[i - 2] == b.p[j - 1])
			now[j] = MIN_OF(now[j], before[j - 2] + 1);
		least = MIN_OF(least, now[j]);
	}
	return least;
}

unsigned
param_distance(struct str a, struct str b, unsigned limit)
{
	/* Three rows of the usual matrix: the swap of neighbours looks two rows back. */
	unsigned row[3][NAME_MAX_COMPARED + 1];

	if (a.len > NAME_MAX_COMPARED || b.len > NAME_MAX_COMPARED)
		return limit + 1;
	for (size_t j = 0; j <= b.len; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a.len; i++) {
		if (next_row(a, b, i, row) > limit)
			return limit + 1;
	}
	return MIN_OF(row[a.len % 3][b.len], limit + 1);
}

const struct param *
param_nearest(struct str name)
{
	const struct param *best = NULL;
	/* One slip in four letters is a typing error, more is another word. */
	unsigned limit = (unsigned)MIN_OF(name.len / 4, (size_t)3);

	for (size_t i = 0; i < ROW_COUNT && limit > 0; i++) {
		const struct param *p = &rows[order[i]];
		unsigned d = param_distance(name, param_name(p), limit);

		if (d > limit || d == 0)
			continue;
		best = p;
		limit = d - 1;
	}
	return best;
}

char
param_unit(enum param_type type)
{
	switch (type) {
	case PARAM_TIME_S:
		return 's';
	case PARAM_TIME_M:
		return 'm';
	case PARAM_TIME_H:
		return 'h';
	case PARAM_TIME_D:
		return 'd';
	case PARAM_TIME_W:
		return 'w';
	case PARAM_BOOL:
	case PARAM_INT:
	case PARAM_LONG:
	case PARAM_STR:
	case PARAM_RAW:
		return 0;
	}
	return 0;
}

const char *
param_type_name(enum param_type type)
{
	switch (type) {
	case PARAM_BOOL:
		return "boolean";
	case PARAM_INT:
	case PARAM_LONG:
		return "integer";
	case PARAM_TIME_S:
	case PARAM_TIME_M:
	case PARAM_TIME_H:
	case PARAM_TIME_D:
	case PARAM_TIME_W:
		return "time";
	case PARAM_STR:
	case PARAM_RAW:
		return "text";
	}
	return "text";
}
