/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The screener in front of the SMTP server: one process, a fiber per connection. What is
 * loaded once is struct screen, a connection is struct client.
 *
 * A client goes through: counts and limits; the permanent list; the cache of what it has
 * passed before; early tests while it waits for the greeting (early.h); then it is handed
 * to the SMTP server, or, when a test failed or deep tests are on, it talks to an SMTP
 * engine that takes no mail (dummy.h) and has to come again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "config/common_config.h"
#include "config/postscreen_config.h"
#include "daemon/daemon.h"
#include "fiber/event.h"
#include "fiber/loop.h"

#include "dnsbl.h"
#include "tests.h"

struct arena;
struct cache;
struct log;
struct map;
struct maps;
struct match;
struct stream;

enum screen_action { ACTION_IGNORE, ACTION_ENFORCE, ACTION_DROP };

/* One item of postscreen_access_list. */
struct access_item {
	enum {
		ITEM_PERMIT_MYNETWORKS,
		ITEM_PERMIT,
		ITEM_REJECT,
		ITEM_DUNNO,
		ITEM_TABLE
	} kind;
	struct maps *table;
};

struct screen {
	struct daemon *daemon;
	struct log *log;
	struct log *dnsblog; /* lists' answers appear as dnsblog's */
	struct common_config common;
	struct postscreen_config config;
	struct postscreen_config stress; /* with $stress set */
	enum screen_action action[TESTS];
	enum screen_action deny_action;
	int64_t ttl[TESTS]; /* seconds */
	unsigned enabled;   /* tests */
	struct dnsbl dnsbl;
	struct maps *dnsbl_names;
	struct access_item *access;
	size_t n_access;
	struct match *mynetworks;
	struct match *allow_interfaces;
	struct match *forbidden;
	struct maps *command_filter;
	struct maps *discard_maps;
	struct str banner;   /* smtpd_banner */
	const char *service; /* "private/smtpd" */
	bool has_proxy;
	bool ipv4, ipv6;

	const char *cache_name; /* as configured, for the log */
	struct cache *cache;    /* NULL: nothing is kept */
	struct timer cleanup;
	struct map *connections; /* address to struct count */
	size_t n_checking;       /* clients in tests */
	size_t n_passing;        /* clients that wait for the SMTP server */
	bool is_stressed;
};

enum {
	FAILED_DENIED = 1u << TESTS,    /* the permanent list */
	FAILED_VETO = 1u << (TESTS + 1) /* it came to an address where nobody gets in */
};

struct client {
	struct screen *screen;
	const struct postscreen_config *config; /* of now: with stress or without */
	struct arena *mem;
	struct arena *now; /* of this command */
	struct stream *stream;
	struct str address, port;
	struct str server_address, server_port;
	bool is_proxied;
	int64_t since_us; /* start of the present phase */

	bool is_new; /* nothing is known of it */
	struct stamps stamps;
	unsigned todo, passed, failed; /* bits */
	unsigned settled;              /* tests that failed without consequence */
	bool keeps_out;                /* not to be handed over */
	bool dropped;
	bool gone;              /* nobody to reply to */
	struct str final_reply; /* what it hears when it is dropped */
	struct str rcpt_reply;

	/* The dummy session. */
	const char *where;
	bool is_esmtp;
	bool has_sender;
	struct str helo, sender;
	int commands;
};

/* Fill all but daemon; opens what needs names. */
bool settings_load(struct screen *s, struct err *err);

enum access_word { ACCESS_WORD_DUNNO, ACCESS_WORD_PERMIT, ACCESS_WORD_REJECT };

/* What the permanent list says of an address. */
enum access_word settings_access(const struct screen *s, struct arena *mem,
				 struct str address);

/* A test (bit) has failed. replies: with their codes, without CR LF. False: the client is
 * to be dropped. */
bool client_fail(struct client *c, unsigned bit, enum screen_action action,
		 struct str drop_reply, struct str enforce_reply);
/* It counts until then, if it did not fail before. */
void client_pass(struct client *c, enum screen_test test, int64_t until);
/* End it with this reply. */
void client_drop(struct client *c, struct str reply);
/* The peer has gone. phase: "tests before SMTP handshake". */
void client_hangup(struct client *c, const char *phase);

/* Seconds since 1970. */
int64_t screen_now(void);
