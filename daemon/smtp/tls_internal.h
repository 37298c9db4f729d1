/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What tls.c, tls_policy.c and tls_cache.c share. */

#include <stdint.h>

#include "base/list.h"

#include "config/smtp_tls_config.h"
#include "config/tls_config.h"
#include "tls/context.h"

#include "tls.h"

/* Sessions that may go on (smtp_tls_session_cache_...), in memory. */
struct tls_cache {
	struct list entries; /* the newest first */
	size_t count;
};

struct smtp_tls {
	struct smtp_tls_config config;
	struct tls_config shared;
	enum tls_level level;       /* where no row says another */
	enum tls_level insecure_mx; /* smtp_tls_dane_insecure_mx_policy */
	bool has_dnssec;            /* smtp_dns_support_level */
	unsigned log;
	struct maps *rows;           /* smtp_tls_policy_maps */
	struct tls_context *context; /* NULL: cannot be used */
	struct tls_cache cache;
};

/* ---- tls_cache.c ---- */

void tls_cache_init(struct tls_cache *c);
/* The session for this key, in mem; empty: none. */
struct str tls_cache_find(struct tls_cache *c, struct arena *mem, struct str key,
			  int64_t now_ms);
void tls_cache_put(struct tls_cache *c, struct str key, struct str session,
		   int64_t until_ms);
