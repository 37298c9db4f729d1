/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The servers of a table in a database: which to ask next. One that has a connection is
 * preferred, those on UNIX sockets before others, else by chance; one that failed is left
 * alone for a minute, or for a few seconds where no other is left. A connection that
 * nobody used for a minute is closed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "table/table.h"

enum {
	HOSTS_MAX = 64,
	HOSTS_RETRY_MS = 60000,
	HOSTS_ALONE_MS = 5000,
	HOSTS_IDLE_MS = 60000
};

struct host {
	struct str text;   /* as written */
	bool is_unix;      /* "unix:path" */
	void *connection;  /* the type's; NULL: none */
	int64_t failed_at; /* sys_mono_ms(); 0: has not, since it last worked */
	int64_t used_at;
};

/* What the type does with a server. */
struct host_calls {
	/* Sets host->connection. */
	bool (*connect)(void *arg, struct arena *mem, struct host *host, struct err *err);
	/* *lost_out: no answer, by the server's or the connection's fault. */
	enum lookup (*ask)(void *arg, struct arena *mem, struct host *host,
			   struct str key, struct str *value_out, bool *lost_out,
			   struct err *err);
	void (*close)(void *arg, void *connection);
};

struct hosts {
	struct host at[HOSTS_MAX];
	size_t count;
	const struct host_calls *calls;
	void *arg;
};

/* Items of a list. None: one with an empty text. */
bool hosts_take(struct hosts *h, struct str list, const char *table,
		struct err *err) MUST_CHECK;

/* The first answer of a server: each is asked once, one whose old connection had ended
 * once more. LOOKUP_FAILED: what the last one said, or that none is left to ask. */
enum lookup hosts_lookup(struct hosts *h, struct arena *mem, struct str key,
			 struct str *value_out, struct err *err) MUST_CHECK;

/* The steps of it. hosts_next(): NULL, all have failed lately. */
struct host *hosts_next(struct hosts *h);
void hosts_failed(struct hosts *h, struct host *host);
void hosts_used(struct host *host);

void hosts_close(struct hosts *h);
