/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The SMTP client's state: what the configuration says, and connections that are kept for
 * the next mail.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/str.h"

#include "config/common_config.h"
#include "config/smtp_config.h"
#include "dns/lookup.h"
#include "fiber/loop.h"
#include "smtp/client.h"

struct agent_request;
struct daemon;
struct dns_asker;
struct maps;
struct match;
struct nexthop;
struct smtp_logins;
struct smtp_tls;
struct output_rules;
struct stream;
struct tls_policy;

struct smtp {
	struct daemon *daemon;
	struct common_config common;
	struct smtp_config config;
	struct str relayhost;
	bool soft_bounce;
	bool lmtp;       /* we are lmtp(8) */
	bool probe_data; /* smtp_address_verify_target = data */
	struct lookup_rules rules;
	struct smtp_client_options options;
	struct smtp_tls *tls;
	struct smtp_logins *logins;
	struct agent_status_filter *status_filter;
	int64_t minimal_backoff_s; /* minimal_backoff_time */
	struct output_rules *output;
	struct maps *discard_maps; /* smtp_discard_ehlo_keyword_address_maps */
	struct maps *pix_maps;     /* smtp_pix_workaround_maps */
	struct maps *reply_maps;   /* smtp_reply_filter */
	struct sockaddr_storage bind4, bind6;
	socklen_t bind4_len, bind6_len;   /* 0: none */
	struct match *cache_destinations; /* smtp_connection_cache_destinations */
	struct list cache;                /* of struct connection, idle ones */
	struct timer sweep;
};

/* A connection to a server, past EHLO. */
struct connection {
	struct list link; /* in smtp.cache */
	struct arena *mem;
	struct stream *stream;
	struct smtp_client client;
	struct str key;    /* next hop and user, for the cache */
	bool keeps_tls;    /* may be kept although it has TLS */
	struct str relay;  /* "host[addr]:port" */
	struct str server; /* "host[addr]" */
	unsigned reuse;    /* how often it was used before */
	int64_t born_ms;
	int64_t idle_since_ms;
};

bool settings_load(struct smtp *s, struct err *err) MUST_CHECK;

/* Take an idle connection for this next hop out of the cache and see that it lives; NULL
 * if there is none. */
struct connection *cache_take(struct smtp *s, struct str key);
/* Keep it, or say goodbye when it is too old or not usable. */
void cache_give_back(struct smtp *s, struct connection *c);
/* Say goodbye and free. */
void connection_close(struct smtp *s, struct connection **c);
void cache_init(struct smtp *s);
void cache_drop_all(struct smtp *s);

/* To whom, and how. */
struct connection_order {
	const struct agent_request *r;
	const struct dns_asker *dns;
	struct str destination; /* the next hop as written */
	const struct nexthop *nexthop;
	const struct lookup_answer *hosts;
	const struct lookup_host *host; /* one of them */
	const struct tls_policy *policy;
	struct str key; /* for the cache */
	bool plain;     /* without TLS, because it has failed */

	/* What came of it. */
	struct str relay; /* set if there was a connection */
	struct dsn dsn;   /* why there is none */
	bool tls_failed;  /* it was no more than a wish: may be tried without */
	bool has_login;
};

/* Connect and greet; NULL: order->dsn says why. Texts are in the request's memory. */
struct connection *connection_open(struct smtp *s, struct connection_order *order);

/* hosts.c: where a next hop leads; the socket of unix:PATH is a host, too. */
struct nexthop;
void hosts_find(struct smtp *s, struct arena *mem, const struct dns_asker *dns,
		const struct nexthop *n, struct lookup_answer *out);

/* Deliver one request of qmgr. */
void deliver(struct agent_request *r);
