/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What master.cf says about a command: `flags=DRhu user=vmail argv=/usr/bin/thing -f
 * $sender -- $recipient`. Pure, but for the names of accounts.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

enum pipe_flag {
	PIPE_FOLD_HOST = 1u << 0, /* h */
	PIPE_FOLD_USER = 1u << 1, /* u */
	PIPE_QUOTE = 1u << 2,     /* q */
	PIPE_FINAL = 1u << 3,     /* X */
};

struct pipe_attributes {
	unsigned flags;      /* enum pipe_flag */
	unsigned copy_flags; /* enum copy_flag (deliver/copy.h) */
	struct str single;   /* those of D and O that were given */
	struct str user, group;
	struct str directory, chroot;
	struct str eol;
	struct str null_sender;
	int64_t max_bytes; /* 0: none */
	struct str *argv;
	size_t argc;
};

/* words: ended by NULL. The texts are views of them or in mem. */
bool pipe_attributes_parse(struct arena *mem, const char *const *words,
			   struct pipe_attributes *out, struct err *err) MUST_CHECK;
