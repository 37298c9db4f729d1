/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Asks tables for everyone. Which tables: those of proxy_read_maps (proxy_write_maps for
 * the service proxywrite), and those on servers that main.cf or an option in master.cf
 * names without proxy:, which Postfix's daemons ask by themselves and ours may not.
 *
 * All are opened when the process starts, with the privileges of then. Each has a pool:
 * POOL_MAX copies, each with a connection of its own, and as many threads. So a server
 * that does not answer holds up those who ask it, and nobody else.
 */

#include "base/err.h"
#include "base/str.h"

#include "config/proxymap_config.h"
#include "daemon/answerer.h"
#include "fiber/event.h"

struct arena;
struct daemon;
struct map;
struct offload;
struct table;

enum { POOL_MAX = 8, POOL_WAIT_MS = 100000 };

struct pool {
	const char *name; /* "type:name" */
	struct table *idle[POOL_MAX];
	size_t n_idle, size;
	struct gate gate; /* as many may be inside as there are copies */
	struct offload *offload;
};

struct proxymap {
	struct daemon *daemon;
	struct proxymap_config config;
	bool writes;       /* this is proxywrite */
	struct map *pools; /* by name */
	struct answerer answerer;
};

/* The names of the tables that may be asked, in the order they are found; ended by
 * NULL. */
bool approved_tables(struct arena *mem, struct proxymap *p, const char *const **names_out,
		     struct err *err) MUST_CHECK;
