/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One SMTP session, from the connection to the last byte: a fiber that reads a command,
 * runs it, replies. Commands are rows in session.c; their functions are in commands.c
 * (the session), mail.c (the envelope), content.c (the message) and xclient.c.
 *
 * Memory: `mem` ends with the session, `now` with each command, the transaction has its
 * own. A command's function says true if it was a success; else it counts as an error
 * (smtpd_soft_error_limit and smtpd_hard_error_limit).
 *
 * Limits: a command line has line_length_limit bytes, errors and commands without mail
 * are counted, every wait has a deadline (smtpd_timeout).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "access/access.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "milter/milter.h"
#include "smtp/server_command.h"

#include "smtpd.h"
#include "transcript.h"

struct arena;
struct daemon;
struct tls_info;
struct transaction;

/* Longer names are cut: no host has one (RFC 1035 section 2.3.4), and queue files and
 * delivery agents have a limit. */
enum { SESSION_HELO_MAX = 255 };

enum session_end {
	SESSION_RUNS,
	SESSION_CLOSED, /* QUIT, or we have said that it is over */
	SESSION_LOST,
	SESSION_TIMEOUT,
	SESSION_TOO_MANY, /* errors */
};

/* Who the client is; XCLIENT may change it. */
struct peer {
	struct str name;         /* verified, or "unknown" */
	struct str reverse_name; /* or "unknown" */
	struct str address;      /* text, or "unknown" */
	struct str port;
	struct str server_address;
	struct str server_port;
	enum access_name name_status;
	enum access_name reverse_status;
	int family; /* AF_INET, AF_INET6; AF_UNSPEC for none */
	bool is_local;
	struct str text; /* "name[address]" */
};

/* What XFORWARD has said, for the log and the queue file; values are "unknown" where it
 * said so, and empty where it said nothing. */
struct forward {
	bool said;
	struct str name, address, port, proto, helo, ident;
	int source; /* 0: not said, else enum forward_source */
};
enum forward_source { FORWARD_SOURCE_NONE, FORWARD_SOURCE_LOCAL, FORWARD_SOURCE_REMOTE };

struct command_count {
	unsigned ok;
	unsigned total;
};

struct session {
	struct smtpd *smtpd;
	struct arena *mem;
	struct arena *now;         /* of this command */
	struct arena *forward_mem; /* texts of forward; NULL: none yet */
	struct stream *client;
	struct peer peer;
	struct forward forward;
	struct access_world world;
	struct access *access;

	bool has_helo;
	bool is_esmtp;
	char helo_text[SESSION_HELO_MAX];
	struct str helo; /* fit for logs and headers */
	bool may_xclient, may_xforward, may_verp;
	bool restarted; /* by XCLIENT: that command is not counted as a success */
	bool accepts_any_newline; /* mode NEWLINE_ANY is for it */
	bool noted_bare_lf;
	/* From AUTH or XCLIENT LOGIN; empty: not logged in. */
	struct str sasl_method, sasl_username;
	/* TLS is active, and what was negotiated then (in mem). */
	bool is_tls;
	const struct tls_info *tls;
	struct str sasl_names; /* mechanisms; empty: AUTH is not active */
	unsigned discarded;    /* EHLO keywords */

	/* See milter.h. */
	struct milters *milters;
	struct milter_world milter_world;
	struct str milter_greeting; /* what milters answered to the connection */
	unsigned milter_flags;      /* CLEANUP_FLAG_HOLD, CLEANUP_FLAG_DISCARD */
	bool milters_off;           /* receive_override_options: no_milters */
	bool milter_has_sender;
	struct str milter_sender, milter_rcpt; /* of the command that they are told */
	struct str refusal;                    /* of this command, by access lists */

	struct transaction *tx; /* NULL: none */
	bool bdat_failed;       /* chunks are thrown away up to the last one */

	struct {
		bool counts; /* its events are limited */
		struct str address;
		unsigned generation; /* what anvil was told over; 0: not told */
	} limits;
	struct transcript transcript;
	struct str line;      /* the command, as the client wrote it */
	unsigned serial;      /* of this session in the process */
	const char *where;    /* last command, for the log */
	int64_t bytes_at_end; /* of content, where it ended in the middle */
	bool ended_in_content;
	bool told_of_pipelining;
	int errors;
	int junk;
	struct command_count counts[SMTP_VERBS + 1];
	enum session_end end;

	/* The resolver, while a command needs it. */
	struct stream *resolver;
	struct ipc resolver_ipc;
};

/* The listener's function. */
void session_run(struct daemon *d, struct stream *client);

/* Say it (one or more lines with CR LF between, without the last one); soft_bounce, the
 * footer and the pause for clients with errors are applied. A reply of 421 or 521 ends
 * the session. Buffered: sent before the next read that has to wait. */
void session_reply(struct session *s, struct str reply);
void session_reply_c(struct session *s, const char *reply);

/* True, or (the reply said) false. */
bool session_accepts(struct session *s, const struct access_answer *answer);

/* Is the connection encrypted? */
static inline bool
session_is_tls(const struct session *s)
{
	return s->is_tls;
}

/* A line that is no command: an answer to a challenge (RFC 4954), without smtpd's filter,
 * shorter than limit. False: none, and the client has been told if it is there. The line
 * lives as long as the command. */
bool session_read_response(struct session *s, size_t limit, struct str *line_out);

/* What the access lists may know now. */
struct access_request session_request(const struct session *s);

/* "SMTP", or "ESMTP" after EHLO. */
struct str session_protocol(const struct session *s);

/* What policy services know this message by; in s->now. */
struct str session_instance(const struct session *s);

/* Bytes wait behind the command that must not: log it; with
 * smtpd_forbid_unauth_pipelining end the session and say false. */
bool session_check_pipelining(struct session *s);

/* A read has failed: how the session ends. */
void session_broken(struct session *s, enum stream_status status);

/* What depends on who the client is: at the beginning, and after XCLIENT. */
void session_know_client(struct session *s);

/* The name that HELO gave, or none. */
void session_set_helo(struct session *s, struct str helo);

/* As if the client had just connected: after XCLIENT and STARTTLS. */
void session_forget(struct session *s);

/* Forget sender and recipients. */
void session_reset(struct session *s);

/* ---- commands ---- */

typedef bool command_fn(struct session *s, const struct smtp_words *words);
command_fn command_helo, command_ehlo, command_rset, command_noop, command_vrfy,
	command_etrn, command_quit, command_help, command_starttls, command_auth;
command_fn command_mail, command_rcpt;
command_fn command_data, command_bdat;
command_fn command_xclient, command_xforward;

/* smtpd_tls_wrappermode: the handshake before anything else. False: the session is over
 * (also true when there is no such mode). */
bool starttls_wrap(struct session *s);
/* Is STARTTLS to be offered now? */
bool starttls_is_offered(const struct session *s);

/* Greeting: also after XCLIENT. */
void command_greet(struct session *s);
