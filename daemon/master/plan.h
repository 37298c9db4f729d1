/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the master is to run, made from main.cf and master.cf as a whole: a configuration
 * that does not give a plan changes nothing. Nothing is opened or started here.
 *
 * A plan lives in an arena of its own and is frozen. Services that master.cf need not
 * have (resolver, saslauth, postlog, error, retry) are added to it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "config/common_config.h"
#include "config/master_cf.h"
#include "config/master_config.h"
#include "daemon/services.h"

#include "endpoint.h"

enum { PLAN_SERVICES_MAX = 1000, PLAN_WORKERS_MAX = 1024 };

struct plan_socket {
	bool is_unix;
	bool datagram;
	const char *path;         /* UNIX: relative to queue_directory */
	struct endpoint endpoint; /* inet */
	const char *key;          /* equal: the same socket before and after a reload */
};

struct plan_service {
	const char *key; /* name and type: the same service in another plan */
	struct str name;
	struct str command;
	enum service_kind kind;
	unsigned flags;      /* enum service_flag */
	const char *program; /* path */
	char **argv;
	const char *identity; /* argv as one text: equal, or must be replaced */
	size_t workers;       /* processes */
	int wakeup_s;         /* 0 = never */
	bool wakeup_if_used;
	struct plan_socket *sockets;
	size_t socket_count;
};

struct plan {
	struct arena *mem;
	struct config *config;
	struct common_config common;
	struct master_config master;
	const char *queue_directory;
	char **environment; /* of the children */
	struct plan_service *services;
	size_t service_count;
	struct str *warnings;
	size_t warning_count;
};

/* config_dir: NULL for the default. Free with plan_free(). Errors name file and line. */
bool plan_load(const char *config_dir, struct plan **out, struct err *err) MUST_CHECK;
void plan_free(struct plan **plan);

const struct plan_service *plan_find(const struct plan *plan, const char *key);
