/* SPDX-License-Identifier: Apache-2.0 */
#include "password.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/arena.h"

#include "sasl/secret.h"

enum { LINE_BYTES = SECRET_PASSWORD_MAX + 3 };

static int
usage(void)
{
	fputs("usage: hikyaku password [--scram]\n", stderr);
	return 2;
}

/* One line without its end. False: none, or too long a one. */
static bool
read_line(const char *prompt, char line[LINE_BYTES])
{
	struct termios saved;
	struct termios quiet;
	bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &saved) == 0;
	bool ok;

	if (terminal) {
		quiet = saved;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
		fputs(prompt, stderr);
	}
	ok = fgets(line, LINE_BYTES, stdin) != NULL;
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
		fputs("\n", stderr);
	}
	if (ok)
		line[strcspn(line, "\r\n")] = '\0';
	return ok;
}

static bool
read_password(char line[LINE_BYTES])
{
	char again[LINE_BYTES];
	bool same;

	if (!read_line("Password: ", line)) {
		fputs("hikyaku: no password\n", stderr);
		return false;
	}
	if (!isatty(STDIN_FILENO))
		return true;
	same = read_line("Once more: ", again) && strcmp(line, again) == 0;
	explicit_bzero(again, sizeof(again));
	if (!same)
		fputs("hikyaku: these are not the same\n", stderr);
	return same;
}

int
password_main(int argc, char **argv)
{
	static const struct option options[] = {{"scram", no_argument, NULL, 's'},
						{NULL, 0, NULL, 0}};
	struct arena *mem;
	char line[LINE_BYTES];
	bool scram = false;
	struct str row;
	struct err err;
	bool ok;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 's')
			return usage();
		scram = true;
	}
	if (optind != argc)
		return usage();
	if (!read_password(line))
		return 1;
	mem = arena_new();
	ok = secret_make(mem, str_from(line), scram, &row, &err);
	explicit_bzero(line, sizeof(line));
	if (ok)
		ok = printf(PRI_STR "\n", STR_ARG(row)) > 0 && fflush(stdout) == 0;
	else
		fprintf(stderr, "hikyaku: %s\n", err.text);
	arena_free(&mem);
	return ok ? 0 : 1;
}
