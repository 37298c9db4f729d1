/* SPDX-License-Identifier: Apache-2.0 */
#include "filesystem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"

static const struct {
	const char *name;
	unsigned long type;
	enum filesystem_kind kind;
} rows[] = {
	{"ext4", 0xef53, FILESYSTEM_DISK},
	{"xfs", 0x58465342, FILESYSTEM_DISK},
	{"btrfs", 0x9123683e, FILESYSTEM_DISK},
	{"zfs", 0x2fc12fc1, FILESYSTEM_DISK},
	{"tmpfs", 0x01021994, FILESYSTEM_MEMORY},
	{"ramfs", 0x858458f6, FILESYSTEM_MEMORY},
	{"nfs", 0x6969, FILESYSTEM_NETWORK},
	{"cifs", 0xff534d42, FILESYSTEM_NETWORK},
	{"cifs, sign extended", 0xffffffffff534d42, FILESYSTEM_NETWORK},
	{"smb2", 0xfe534d42, FILESYSTEM_NETWORK},
	{"9p", 0x01021997, FILESYSTEM_NETWORK},
	{"overlay", 0x794c7630, FILESYSTEM_LAYER},
};

static void
test_kinds(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (filesystem_kind(rows[i].type) != rows[i].kind)
			fail_msg("%s", rows[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
