/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Commands as an SMTP server reads them (RFC 5321 section 4.1, and what clients say
 * instead): words, addresses, parameters. Pure. What a client wrote wrongly becomes the
 * reply that Postfix gives (facts: protocols 1 and 3), in the order in which it looks.
 *
 * Limits: a line has line_length_limit bytes (the reader's), SMTP_WORDS_MAX words. The
 * results are in the arena or views of the line.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#include "mail/dsn_request.h"

struct arena;

enum smtp_verb {
#define VERB(name, flags) SMTP_VERB_##name,
#include "smtp/server_verb.def"
#undef VERB
	SMTP_VERBS
};

enum {
	SMTP_VERB_LAST = 1u << 0, /* nothing may follow before its reply */
	SMTP_VERB_JUNK = 1u << 1,
	SMTP_VERB_PLAIN = 1u << 2, /* fine without the TLS that is required */
};

/* "MAIL"; for SMTP_VERBS "UNKNOWN". */
const char *smtp_verb_name(enum smtp_verb verb);
unsigned smtp_verb_flags(enum smtp_verb verb);
/* SMTP_VERBS for a word that is none. */
enum smtp_verb smtp_verb_find(struct str word);

enum { SMTP_WORDS_MAX = 1000 };

/* A line cut at blanks. Blanks in "..." and in <...> do not cut; MAIL and RCPT are cut
 * behind FROM: and TO:, too. */
struct smtp_words {
	struct str *word;
	size_t n;
	bool open; /* the last one ends within "..." or <...> */
};

/* At a NUL the line ends. More than SMTP_WORDS_MAX words: the last one holds the rest. */
void smtp_words_split(struct arena *mem, struct str line, struct smtp_words *out);

/* All words from number `first` on, with one blank between. */
struct str smtp_words_join(struct arena *mem, const struct smtp_words *words,
			   size_t first);

/* Does the line look like a header field: a name of printable bytes and a colon? */
bool smtp_is_header_like(struct str word);

enum smtp_path_result {
	SMTP_PATH_OK,
	SMTP_PATH_OPEN,    /* a bracket or quote without its end */
	SMTP_PATH_ILLEGAL, /* worth a warning */
};

struct smtp_path_rules {
	bool strict; /* strict_rfc821_envelopes: <address> and nothing else */
	bool utf8;   /* domains beyond ASCII are allowed: SMTPUTF8 */
	bool may_be_empty;
};

/* "<a@b>", "a@b" and so on to the internal form, without a source route. */
enum smtp_path_result smtp_path_parse(struct arena *mem, struct str text,
				      const struct smtp_path_rules *rules,
				      struct str *address_out);

enum { SMTP_AUTH_MAX = 255 }; /* bytes of MAIL AUTH=; more is as none */

enum smtp_body { SMTP_BODY_NONE, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };

/* What this server offers. */
struct smtp_offer {
	bool strict;       /* strict_rfc821_envelopes */
	bool auth;         /* the client is logged in: AUTH= counts */
	bool dsn;          /* RET, ENVID, NOTIFY, ORCPT */
	bool utf8;         /* SMTPUTF8 */
	bool must_declare; /* strict_smtputf8: UTF-8 only after SMTPUTF8 */
	bool verp;         /* XVERP */
	struct str verp_default, verp_allowed;
};

struct smtp_mail_command {
	struct str address;
	int64_t size; /* SIZE=; -1: not given */
	enum smtp_body body;
	bool smtputf8;
	enum dsn_ret ret;
	struct str envid; /* decoded; empty: none */
	struct str auth;  /* AUTH=, as it came; empty: none, or <> */
	struct str verp;  /* two delimiters; empty: none */
};

struct smtp_rcpt_command {
	struct str address;
	struct str text;  /* as the client wrote it, without the brackets */
	unsigned notify;  /* DSN_NOTIFY_...; 0: not given */
	struct str orcpt; /* "type;text" as in queue files; empty: none */
};

/* What is wrong: the reply, and for the log the address that is not one. */
struct smtp_command_fault {
	struct str reply;
	struct str illegal; /* empty: it was something else */
};

bool smtp_mail_parse(struct arena *mem, const struct smtp_words *words,
		     const struct smtp_offer *offer, struct smtp_mail_command *out,
		     struct smtp_command_fault *fault);
/* utf8: MAIL said SMTPUTF8. */
bool smtp_rcpt_parse(struct arena *mem, const struct smtp_words *words,
		     const struct smtp_offer *offer, bool utf8,
		     struct smtp_rcpt_command *out, struct smtp_command_fault *fault);
bool smtp_vrfy_parse(struct arena *mem, const struct smtp_words *words,
		     const struct smtp_offer *offer, struct str *text_out,
		     struct str *address_out, struct smtp_command_fault *fault);

/* "BDAT count [LAST]". False: malformed. */
bool smtp_bdat_parse(const struct smtp_words *words, int64_t *count_out, bool *last_out);
