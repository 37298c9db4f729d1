/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/str.h"
#include "mail/dsn_request.h"

enum { ENVELOPE_ID_MAX = 100 };

/* "+": options end at the first word that is none. */
static const char letters[] = "+A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx";

struct parser {
	struct log *log;
	struct sendmail_options *o;
};

/* Postfix's sendmail ends with this status whatever the reason (it means: keep the
 * message, try again). */
#define fatal(p, ...) log_fatal((p)->log, EX_TEMPFAIL, __VA_ARGS__)

static void
parse_encoding(struct parser *p, const char *value)
{
	if (strcmp(value, "8BITMIME") == 0)
		p->o->encoding = "8bit";
	else if (strcmp(value, "7BIT") == 0)
		p->o->encoding = "7bit";
	else
		fatal(p, "-B option needs 8BITMIME or 7BIT");
}

/* The first word that is none of NOTIFY's. */
static void
warn_of_notify_word(struct parser *p, const char *value)
{
	struct str rest = str_from(value);
	struct str word;

	while (str_token(&rest, ", \t", &word)) {
		unsigned bits;
		struct err err;

		if (dsn_notify_parse(word, &bits, &err))
			continue;
		log_warning(p->log,
			    "unknown DSN NOTIFY command value \"" PRI_STR "\" in \"%s\"",
			    STR_ARG(word), value);
		return;
	}
}

static void
parse_notify(struct parser *p, const char *value)
{
	struct err err;

	p->o->dsn_notify = 0;
	if (!dsn_notify_parse(str_from(value), &p->o->dsn_notify, &err)) {
		p->o->dsn_notify = 0;
		warn_of_notify_word(p, value);
		log_warning(p->log, "bad -N option value -- ignored");
	}
}

static void
parse_ret(struct parser *p, const char *value)
{
	enum dsn_ret ret = DSN_RET_NONE;
	struct err err;

	if (!dsn_ret_parse(str_from(value), &ret, &err))
		log_warning(p->log, "bad -R option value -- ignored");
	p->o->dsn_ret = (int)ret;
}

static void
parse_envelope_id(struct parser *p, const char *value)
{
	size_t n = strlen(value);

	if (n > ENVELOPE_ID_MAX) {
		log_warning(p->log, "too long -V option value -- ignored");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (!char_is_print(value[i]))
			n = 0;
	}
	if (n == 0)
		log_warning(p->log, "bad syntax in -V option value -- ignored");
	else
		p->o->envelope_id = value;
}

static void
parse_mode(struct parser *p, const char *value)
{
	switch (value[0]) {
	case 'd':
	case 'l':
		p->o->mode = MODE_DAEMON;
		break;
	case 'h':
	case 'H':
		p->o->mode = MODE_NOTHING;
		break;
	case 'i':
		p->o->mode = MODE_ALIASES;
		break;
	case 'm':
		p->o->mode = MODE_SUBMIT;
		break;
	case 'p':
		p->o->mode = MODE_LIST;
		break;
	case 's':
		p->o->mode = MODE_SMTP;
		break;
	case 'v':
		p->o->mode = MODE_SUBMIT;
		p->o->probe = true;
		break;
	default:
		fatal(p, "unsupported: -b%c", value[0]);
	}
}

/* -qI, -qR. A site goes before an id, whatever their order. */
static void
parse_flush_what(struct parser *p, const char *value)
{
	bool is_site = value[0] == 'R';

	if (value[1] == '\0')
		fatal(p, "specify: -q%c%s", value[0], is_site ? "sitename" : "queueid");
	if (p->o->mode != MODE_SUBMIT && p->o->mode != MODE_FLUSH_ID &&
	    p->o->mode != MODE_FLUSH_SITE)
		fatal(p, "-q%c can be used only in delivery mode", value[0]);
	if (!is_site && p->o->mode == MODE_FLUSH_SITE)
		return;
	p->o->mode = is_site ? MODE_FLUSH_SITE : MODE_FLUSH_ID;
	p->o->flush_what = value + 1;
}

static void
parse_queue(struct parser *p, const char *value)
{
	if (char_is_digit(value[0]))
		p->o->quit = p->o->mode != MODE_DAEMON;
	else if (value[0] == 'I' || value[0] == 'R')
		parse_flush_what(p, value);
	else
		fatal(p, "-q%c is not implemented", value[0]);
}

/* -q alone has no value, which getopt() cannot express. */
static void
parse_flush(struct parser *p)
{
	if (p->o->mode == MODE_DAEMON)
		log_warning(p->log, "ignoring -q option in daemon mode");
	else
		p->o->mode = MODE_FLUSH;
}

static void
parse_o(struct parser *p, const char *value)
{
	if (value[0] == 'A' && value[1] != '\0')
		p->o->alias_map = value + 1;
	else if (value[0] == 'i')
		p->o->ignore_dot = true;
}

static void
parse_x(struct parser *p, const char *value)
{
	if (value[0] != 'V')
		fatal(p, "unsupported: -X%c", value[0]);
	p->o->verp = true;
	p->o->verp_delimiters = value[1] == '\0' ? NULL : value + 1;
}

static void
parse_option(struct parser *p, int c, const char *value)
{
	switch (c) {
	case 'B':
		parse_encoding(p, value);
		break;
	case 'F':
		p->o->full_name = value;
		break;
	case 'G':
		p->o->remote = true;
		break;
	case 'I':
		p->o->mode = MODE_ALIASES;
		break;
	case 'N':
		parse_notify(p, value);
		break;
	case 'R':
		parse_ret(p, value);
		break;
	case 'V':
		parse_envelope_id(p, value);
		break;
	case 'X':
		parse_x(p, value);
		break;
	case 'b':
		parse_mode(p, value);
		break;
	case 'f':
	case 'r':
		p->o->sender = value;
		break;
	case 'i':
		p->o->ignore_dot = true;
		break;
	case 'n':
		fatal(p, "-n option not supported");
	case 'o':
		parse_o(p, value);
		break;
	case 'q':
		parse_queue(p, value);
		break;
	case 't':
		p->o->headers = true;
		break;
	case 'v':
		p->o->verbose++;
		break;
	case '?':
		fatal(p, "usage: %s [options]", "sendmail");
	default: /* for Sendmail alone, or read before (-C) */
		break;
	}
}

/* Before Postfix 2.3 -V asked for VERP, and its value was part of the word. */
static void
mend_old_verp(struct arena *mem, struct log *log, char **word)
{
	bool alone =
		strcmp(word[0], "-V") == 0 && word[1] != NULL && strlen(word[1]) == 2;
	bool with_value = strncmp(word[0], "-V", 2) == 0 && strlen(word[0]) == 4;

	if (!alone && !with_value)
		return;
	log_warning(log, "option %s is deprecated with Postfix 2.3; specify -X%s instead",
		    word[0], word[0] + 1);
	word[0] = str_c(mem, str_printf(mem, "-X%s", word[0] + 1));
}

/* The words that getopt() cannot read: -q and -XV, which have no value here. */
static bool
is_bare(const char *word)
{
	return strcmp(word, "-q") == 0 || strcmp(word, "-XV") == 0;
}

static char *
current_word(char **argv)
{
	return argv[optind == 0 ? 1 : optind];
}

static void
skip_word(void)
{
	optind = optind == 0 ? 2 : optind + 1;
}

/* -C names main.cf or its directory. */
static const char *
directory_of(struct arena *mem, const char *path)
{
	struct str s = str_from(path);
	size_t slash = str_rindex(s, '/');

	if (slash < s.len && str_eq(str_skip(s, slash + 1), STR("main.cf")))
		return str_c(mem, str_head(s, slash));
	return str_eq(s, STR("main.cf")) ? "." : path;
}

const char *
sendmail_options_directory(struct arena *mem, struct log *log, int argc, char **argv)
{
	const char *dir = NULL;
	int c;

	optind = 0;
	while (current_word(argv) != NULL) {
		mend_old_verp(mem, log, &argv[optind == 0 ? 1 : optind]);
		if (is_bare(current_word(argv))) {
			skip_word();
			continue;
		}
		c = getopt(argc, argv, letters);
		if (c <= 0)
			break;
		if (c == 'C')
			dir = directory_of(mem, optarg);
	}
	return dir;
}

/* The other names of the program. */
static enum sendmail_mode
mode_of_name(const char *name)
{
	static const struct {
		const char *name;
		enum sendmail_mode mode;
	} names[] = {
		{"mailq", MODE_LIST}, {"newaliases", MODE_ALIASES}, {"smtpd", MODE_SMTP}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name, names[i].name) == 0)
			return names[i].mode;
	}
	return MODE_SUBMIT;
}

void
sendmail_options_parse(struct log *log, int argc, char **argv, struct sendmail_options *o)
{
	struct parser p = {.log = log, .o = o};
	int c;

	o->mode = mode_of_name(argv[0]);
	optind = 0;
	while (current_word(argv) != NULL) {
		const char *word = current_word(argv);

		if (is_bare(word)) {
			skip_word();
			if (word[1] == 'q')
				parse_flush(&p);
			else
				parse_x(&p, word + 2);
			continue;
		}
		c = getopt(argc, argv, letters);
		if (c <= 0)
			break;
		parse_option(&p, c, optarg);
	}
	o->recipients = argv + (optind == 0 ? 1 : optind);
}
