/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/profile.h"

#include <string.h>

#include "base/macros.h"
#include "base/panic.h"

#define PATHS(...)                                                                       \
	{                                                                                \
		__VA_ARGS__                                                              \
	}
#define READ(dir)                                                                        \
	{                                                                                \
		PLACE_QUEUE, (dir), false                                                \
	}
#define CHANGE(dir)                                                                      \
	{                                                                                \
		PLACE_QUEUE, (dir), true                                                 \
	}
#define CONFIG                                                                           \
	{                                                                                \
		PLACE_CONFIG, NULL, false                                                \
	}
#define DATA                                                                             \
	{                                                                                \
		PLACE_DATA, NULL, true                                                   \
	}
#define TABLES                                                                           \
	{                                                                                \
		PLACE_TABLES, NULL, false                                                \
	}
#define SYSTEM                                                                           \
	{                                                                                \
		PLACE_SYSTEM, NULL, false                                                \
	}
#define EVERYWHERE                                                                       \
	{                                                                                \
		PLACE_EVERYWHERE, NULL, true                                             \
	}

static const struct profile profiles[] = {
#define PROFILE(n, paths, net, groups, text)                                             \
	[SANDBOX_##n] = {#n, paths, net, groups, text},
#include "daemon/profiles.def"
#undef PROFILE
};

const struct profile *
profile_get(enum sandbox_profile which)
{
	ensure((size_t)which < ARRAY_LEN(profiles));
	return &profiles[which];
}

bool
profile_find(const char *name, enum sandbox_profile *which_out)
{
	for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
		if (strcmp(profiles[i].name, name) == 0) {
			*which_out = (enum sandbox_profile)i;
			return true;
		}
	}
	return false;
}

bool
profile_confines(const struct profile *p)
{
	return (p->calls & CALLS_ANY) == 0;
}

bool
profile_has_place(const struct profile *p, enum profile_place place)
{
	for (size_t i = 0; i < PROFILE_RULES_MAX; i++) {
		if (p->rules[i].place == place)
			return place != PLACE_NONE;
	}
	return false;
}

bool
profile_allows(const struct profile *p, const char *queue_subdirectory, bool change)
{
	if (!profile_confines(p))
		return true;
	for (size_t i = 0; i < PROFILE_RULES_MAX; i++) {
		const struct profile_rule *r = &p->rules[i];

		if (r->place == PLACE_QUEUE &&
		    strcmp(r->directory, queue_subdirectory) == 0)
			return r->change || !change;
	}
	return false;
}

bool
profile_moves_files(const struct profile *p)
{
	size_t n = 0;

	for (size_t i = 0; i < PROFILE_RULES_MAX; i++)
		n += p->rules[i].place == PLACE_QUEUE && p->rules[i].change;
	return n > 1;
}
