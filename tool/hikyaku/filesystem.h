/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What kind of file system a directory is on, as far as it matters to a mail queue. Pure.
 */

enum filesystem_kind {
	FILESYSTEM_DISK,    /* everything that is not one of the following */
	FILESYSTEM_MEMORY,  /* gone when the machine stops */
	FILESYSTEM_NETWORK, /* locks, rename and fsync are another machine's */
	FILESYSTEM_LAYER,   /* a container's own layer: gone with the container */
};

/* type: f_type of statfs(2). */
enum filesystem_kind filesystem_kind(unsigned long type);
