/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a program tells the tables that it opens: its configuration, for tables whose
 * settings are in main.cf ("mysql:name" with name_hosts and so on), and how tables are
 * asked that need a network. A daemon must not wait for a server with all its sessions,
 * and its sandbox forbids connections; so it hands such a question to proxymap and only
 * the fiber waits. Where nobody is to be asked (tools, proxymap itself) these tables are
 * opened and asked in place.
 *
 * It is tied to an arena and counts for all tables that are opened in it or in a
 * descendant.
 */

#include "base/err.h"
#include "base/str.h"

#include "table/table.h"

struct arena;
struct config;

/* A look-up in the table "type:name" that runs elsewhere; may block the calling fiber.
 * The value is in mem. The key is folded already. */
typedef enum lookup (*table_ask_fn)(void *arg, struct arena *mem, const char *table,
				    struct str key, struct str *value_out,
				    struct err *err);

struct table_host {
	const struct config *config; /* NULL: no settings in main.cf */
	table_ask_fn ask;            /* NULL: ask in place */
	void *arg;
};

/* host lives as long as the arena. */
void table_host_set(struct arena *mem, const struct table_host *host);

/* For a tool: only the configuration. */
void table_host_config(struct arena *mem, const struct config *config);

/* NULL if there is none. */
const struct table_host *table_host_get(const struct arena *mem);
