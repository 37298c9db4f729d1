/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hikyaku: shows an administrator what the mail system does (and makes rows of
 * passwords). One row per sub-command; the
 * rest is in files of their own.
 */
#include <stdio.h>
#include <string.h>

#include "base/macros.h"

#include "check.h"
#include "explain.h"
#include "password.h"
#include "trace.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *about;
} commands[] = {
	{"check", check_main, "what is wrong with the configuration and its files"},
	{"explain", explain_main, "what would happen to mail for an address, and why"},
	{"password", password_main, "a row for smtpd_sasl_password_maps"},
	{"trace", trace_main, "the way of a message, told from the log"},
};

static void
list_commands(FILE *out)
{
	fputs("usage: hikyaku COMMAND ...\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].about);
	fputs("  help       this list; see also hikyaku(1)\n", out);
}

int
main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
		list_commands(stdout);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "hikyaku: unknown command %s\n", argv[1]);
	list_commands(stderr);
	return 2;
}
