/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main() of a fuzz target outside the fuzzer: each file of the given folders once. A
 * folder without files is a failure: it would test nothing.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/io.h"

#include "fuzz.h"

enum { INPUT_MAX = 1 << 20 };

static bool
replay_file(int dir, const char *name)
{
	struct arena *mem = arena_new();
	struct str input;
	struct err err;
	bool ok = io_read_file(mem, dir, name, INPUT_MAX, &input, &err);

	if (ok)
		LLVMFuzzerTestOneInput((const uint8_t *)input.p, input.len);
	else
		fprintf(stderr, "%s\n", err.text);
	arena_free(&mem);
	return ok;
}

/* How many files were fed, or -1 if one could not be read. */
static int
replay_folder(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!folder) {
		perror(path);
		return -1;
	}
	while (n >= 0 && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		n = replay_file(dirfd(folder), entry->d_name) ? n + 1 : -1;
	}
	closedir(folder);
	return n;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int n = replay_folder(argv[i]);

		printf("%s: %d inputs\n", argv[i], n);
		if (n <= 0)
			return 1;
	}
	return argc > 1 ? 0 : 1;
}
