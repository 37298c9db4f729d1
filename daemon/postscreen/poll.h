/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Asking all DNS lists about one client at a time: a fiber per list, each with a
 * connection of its own to the resolver.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct event;
struct poll;
struct screen;

struct poll_result {
	size_t pending;    /* lists that have not answered */
	int score;         /* of those that have */
	int64_t ttl_s;     /* shortest life of an answer; -1: none said */
	struct str domain; /* the one that weighs most; empty: none */
};

/* changed is signalled with each answer. */
struct poll *poll_start(struct screen *s, struct str address, struct event *changed);
/* Valid until poll_leave(). */
const struct poll_result *poll_look(const struct poll *p);
/* Answers that come later do not matter. NULL in *p is allowed. */
void poll_leave(struct poll **p);
