/* SPDX-License-Identifier: Apache-2.0 */
#include "filesystem.h"

#include <linux/magic.h>
#include <stddef.h>

#include "base/macros.h"

/* Not in linux/magic.h. */
enum { CIFS_MAGIC_OLD = 0xff534d42u, SMB2_MAGIC = 0xfe534d42u };

enum filesystem_kind
filesystem_kind(unsigned long type)
{
	static const struct {
		unsigned long type;
		enum filesystem_kind kind;
	} rows[] = {
		{TMPFS_MAGIC, FILESYSTEM_MEMORY},
		{RAMFS_MAGIC, FILESYSTEM_MEMORY},
		{NFS_SUPER_MAGIC, FILESYSTEM_NETWORK},
		{SMB_SUPER_MAGIC, FILESYSTEM_NETWORK},
		{CIFS_MAGIC_OLD, FILESYSTEM_NETWORK},
		{SMB2_MAGIC, FILESYSTEM_NETWORK},
		{AFS_SUPER_MAGIC, FILESYSTEM_NETWORK},
		{CODA_SUPER_MAGIC, FILESYSTEM_NETWORK},
		{V9FS_MAGIC, FILESYSTEM_NETWORK},
		{OVERLAYFS_SUPER_MAGIC, FILESYSTEM_LAYER},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].type == (type & 0xffffffffu))
			return rows[i].kind;
	}
	return FILESYSTEM_DISK;
}
