/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The rows of profiles.def as values, and what follows from them: which action a profile
 * allows. Shared by the sandbox, its probe and their tests.
 */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/sandbox.h"

enum profile_place {
	PLACE_NONE,
	PLACE_QUEUE,  /* a directory below queue_directory */
	PLACE_CONFIG, /* config_directory */
	PLACE_DATA,   /* data_directory */
	PLACE_TABLES, /* sandbox_paths.read_only */
	PLACE_SYSTEM, /* /etc and what name services need */
	PLACE_EVERYWHERE,
};

struct profile_rule {
	enum profile_place place;
	const char *directory; /* PLACE_QUEUE */
	bool change;           /* create, write, rename, remove; else only read */
};

enum profile_network { NET_UNIX, NET_TCP, NET_DNS, NET_ANY };

enum profile_calls {
	CALLS_BASE = 1u << 0,
	CALLS_READ = 1u << 1,    /* open files for reading, list directories */
	CALLS_WRITE = 1u << 2,   /* create, write, rename, remove */
	CALLS_THREADS = 1u << 3, /* start threads */
	CALLS_CODE = 1u << 4,    /* map executable memory: name service modules */
	CALLS_ANY = 1u << 5,     /* no filter */
};

enum { PROFILE_RULES_MAX = 12 };

struct profile {
	const char *name;
	struct profile_rule rules[PROFILE_RULES_MAX]; /* ended by PLACE_NONE */
	enum profile_network network;
	unsigned calls;
	const char *summary;
};

const struct profile *profile_get(enum sandbox_profile which);

/* False if there is none of that name. */
bool profile_find(const char *name, enum sandbox_profile *which_out);

/* Does the profile confine anything at all? (The master's does not.) */
bool profile_confines(const struct profile *p);

/* May files in this directory below queue_directory be read, or changed? */
bool profile_allows(const struct profile *p, const char *queue_subdirectory, bool change);
bool profile_has_place(const struct profile *p, enum profile_place place);
/* Does it rename files from one directory to another? */
bool profile_moves_files(const struct profile *p);
