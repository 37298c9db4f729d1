/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * sendmail's command line, as Sendmail has had it since 1983 and Postfix reads it:
 * options end at the first word that is none; what Postfix takes and ignores is taken and
 * ignored. No configuration is needed to read it, except for VERP delimiters, which are
 * checked later.
 */

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct log;

enum sendmail_mode {
	MODE_SUBMIT,
	MODE_DAEMON,     /* -bd, -bl */
	MODE_LIST,       /* -bp */
	MODE_FLUSH,      /* -q */
	MODE_FLUSH_ID,   /* -qI */
	MODE_FLUSH_SITE, /* -qR */
	MODE_ALIASES,    /* -bi, -I */
	MODE_SMTP,       /* -bs */
	MODE_NOTHING,    /* -bh, -bH: there is no host status database */
};

struct sendmail_options {
	enum sendmail_mode mode;
	const char *sender;    /* NULL: the login name */
	const char *full_name; /* NULL: look it up */
	const char *encoding;  /* "7bit", "8bit" or NULL */
	const char *envelope_id;
	const char *alias_map;  /* -oA */
	const char *flush_what; /* queue id or site */
	bool verp;
	const char *verp_delimiters; /* NULL: the default ones */
	bool headers;                /* -t */
	bool ignore_dot;             /* -i, -oi */
	bool probe;                  /* -bv */
	bool remote;                 /* -G */
	bool quit;                   /* -qTIME outside of daemon mode: nothing to do */
	unsigned verbose;
	unsigned dsn_notify; /* bits of mail/dsn_request.h */
	int dsn_ret;
	char **recipients; /* ended by NULL */
};

/* Warnings and fatal errors go to the log; the process ends with the latter. argv[0] must
 * be the program's bare name: mailq and newaliases begin in modes of their own. The first
 * look finds -C, which must be known before the configuration is read, and replaces the
 * VERP options of old in argv. */
const char *sendmail_options_directory(struct arena *mem, struct log *log, int argc,
				       char **argv);
void sendmail_options_parse(struct log *log, int argc, char **argv,
			    struct sendmail_options *o);
