/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The client's side of SMTP and LMTP over a stream: one engine for smtp(8), lmtp(8),
 * probes and tests. It knows the protocol and nothing of queues, DNS or logs: it takes a
 * mail, talks, and says for each recipient what the server decided.
 *
 *	smtp_client_init()	on a connected stream
 *	smtp_client_greet()	greeting, EHLO or HELO or LHLO, STARTTLS, AUTH
 *	smtp_client_send()	one mail; another while smtp_client_is_usable()
 *	smtp_client_end_mail()	after it, when all results are told
 *	smtp_client_probe()	RSET, before a connection that was idle is used again
 *	smtp_client_quit()	QUIT
 *
 * Texts of failures are Postfix's (facts: logs 2.1), they are what log analysers match.
 * Sources: RFC 5321, 2920 (pipelining), 1870 (SIZE), 6152 (8BITMIME), 3461 (DSN), 2033
 * (LMTP), 3207 (STARTTLS), 4954 (AUTH).
 *
 * Before TLS nothing that the server says counts after it; a server that sends bytes
 * behind its reply to STARTTLS is taken for an attack. A reply never has a password in it
 * that goes into a reason: the engine does not see credentials, it asks a struct
 * smtp_login for what to say.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#include "mail/dsn.h"
#include "tls/policy.h"
#include "tls/session.h"

struct arena;
struct smtp_client;
struct stream;
struct smtp_origin;
struct smtp_reply;
struct smtp_reply_filter;

/* Milliseconds; the smtp_xxx_timeout parameters. */
struct smtp_timeouts {
	int64_t helo_ms; /* greeting and EHLO */
	int64_t mail_ms;
	int64_t rcpt_ms;
	int64_t xforward_ms;
	int64_t data_init_ms;
	int64_t data_xfer_ms; /* per write of content */
	int64_t data_done_ms;
	int64_t rset_ms;
	int64_t quit_ms;
	int64_t starttls_ms; /* the reply to STARTTLS, and the handshake */
};

/* How the session is to be protected: smtp_tls_... for this host. */
struct smtp_tls_plan {
	bool wrapper;                       /* TLS before anything is said: port 465 */
	bool note_offer;                    /* smtp_tls_note_starttls_offer */
	struct tls_context *context;        /* NULL: TLS cannot be used */
	struct tls_connect_options options; /* options.level says what is demanded */
};

/* A log-in, as a state machine (lib/sasl gives it a mechanism). Texts live in mem. */
enum smtp_login_choice {
	SMTP_LOGIN_USE,
	SMTP_LOGIN_NONE,  /* nothing to log in with: go on without */
	SMTP_LOGIN_UNFIT, /* the server offers nothing that we may use */
	SMTP_LOGIN_FAILED /* *why_out */
};
struct smtp_login {
	/* offered: the mechanisms of EHLO, between blanks. has_first: a first response
	 * goes with the command. */
	enum smtp_login_choice (*choose)(void *arg, struct smtp_client *c,
					 struct str offered, const char **mechanism_out,
					 bool *has_first_out, struct str *first_out,
					 struct str *why_out);
	/* What to answer to a challenge; false: the exchange cannot go on. */
	bool (*step)(void *arg, struct arena *mem, struct str challenge,
		     struct str *response_out, struct str *why_out);
	/* The server says that it is done: may that be believed? */
	bool (*is_satisfied)(void *arg);
	/* The server said no, for good or for now: *dsn may be changed. Or NULL. */
	void (*refused)(void *arg, int code, struct dsn *dsn);
	void *arg;
};

struct smtp_client_options {
	bool lmtp;
	struct str helo_name;
	struct str my_hostname;    /* to notice that we talk to ourselves */
	bool never_send_ehlo;      /* smtp_never_send_ehlo */
	bool always_send_ehlo;     /* smtp_always_send_ehlo */
	bool skip_5xx_greeting;    /* smtp_skip_5xx_greeting */
	bool best_preference;      /* for the loop check: no better host exists */
	unsigned discard_features; /* smtp_discard_ehlo_keywords as bits */
	unsigned pix_workarounds;  /* enum smtp_pix: used if the greeting is all stars */
	int64_t pix_delay_ms;      /* smtp_pix_workaround_delay_time */
	bool raw_envelope;         /* addresses unquoted: smtp_quote_rfc821_envelope=no */
	bool wait_for_quit;        /* smtp_skip_quit_response=no */
	int64_t line_length_limit; /* smtp_line_length_limit; 0 = none */
	const struct smtp_reply_filter *reply_filter; /* NULL: none */
	/* smtp_per_request_deadline: the time-outs are for a whole command, a whole
	 * reply, and for the content until the next min_data_rate bytes of each second.
	 */
	bool per_request_deadline;
	int64_t min_data_rate; /* smtp_min_data_rate, bytes per second */
	struct smtp_timeouts timeouts;
	const struct smtp_tls_plan *tls; /* NULL: no TLS */
	const struct smtp_login *login;  /* NULL: no AUTH */
};

struct smtp_client {
	struct stream *stream; /* not owned */
	struct arena *mem;     /* lives as long as the connection */
	struct smtp_client_options options;
	struct str name;    /* "host[addr]", for texts */
	struct str nexthop; /* for the loop text */
	unsigned features;
	int64_t size_limit;    /* announced; 0 = none */
	bool broken;           /* nothing can be sent any more */
	bool greeted_as_us;    /* the greeting carried our own name: worth a warning */
	unsigned pix;          /* enum smtp_pix: workarounds in use */
	unsigned xforward;     /* attributes that XFORWARD may have, as bits of our own */
	bool in_mail;          /* a transaction is open: RSET before the next */
	struct str mechanisms; /* that AUTH offers, between blanks */
	bool has_tls;          /* and `tls` says how */
	struct tls_info tls;
	bool offered_starttls; /* worth a line, with note_offer */
	/* The handshake broke off where TLS was our wish only: the same host may be asked
	 * again without. */
	bool tls_failed;
	bool authenticated;
	struct str auth_warning; /* worth a warning: an empty list of mechanisms */
};

enum smtp_rcpt_outcome {
	SMTP_RCPT_PENDING, /* not decided: another host may be tried; dsn says what
			      stopped it */
	SMTP_RCPT_SENT,
	SMTP_RCPT_REJECTED, /* permanently, by this server's word */
};

struct smtp_rcpt {
	struct str address; /* internal form */
	struct str orcpt;   /* "type;address" as kept in queue files, or empty */
	unsigned notify;    /* DSN_NOTIFY_xxx; 0 = not given */
	enum smtp_rcpt_outcome outcome;
	struct dsn dsn;   /* what was said last; empty status: nothing yet */
	bool accepted;    /* by RCPT in the present transaction */
	bool turned_away; /* by the reply to RCPT in it: not 2xx */
};

/* One step of the content: a piece of a line. */
enum smtp_content {
	SMTP_CONTENT_LINE, /* a line that ends here */
	SMTP_CONTENT_PART, /* a piece; the line goes on with the next */
	SMTP_CONTENT_END,
	SMTP_CONTENT_FAILED
};

enum { SMTP_WARNINGS_MAX = 2 };

struct smtp_mail {
	struct str sender; /* internal form; empty = null sender */
	int64_t size;      /* bytes of the content, for SIZE=; 0 = unknown */
	bool is_8bit;      /* BODY=8BITMIME */
	bool is_7bit;      /* BODY=7BIT */
	bool may_convert;  /* next() can give it as seven bits */
	bool smtputf8;
	bool probe;              /* only ask for the recipients: no content is sent */
	bool probe_data;         /* and then whether content were welcome: up to DATA */
	struct str envelope_id;  /* decoded */
	int dsn_ret;             /* enum dsn_ret */
	struct smtp_rcpt *rcpts; /* those with SMTP_RCPT_PENDING take part */
	size_t n_rcpts;
	/* Gives the content from its beginning each time the mail is sent. */
	enum smtp_content (*next)(void *arg, struct str *text_out);
	bool (*rewind)(void *arg);
	void *arg;
	const struct smtp_origin *origin; /* NULL: no XFORWARD */
	/* out, of next(): what is wrong with the content; no status: it was not read */
	struct dsn failure;
	bool line_broken; /* out: a line was longer than line_length_limit */
	/* out: what the server said against XFORWARD, which changes nothing: "said: 550
	 * no (in reply to ...)" */
	struct str warnings[SMTP_WARNINGS_MAX];
	size_t n_warnings;
};

enum smtp_session_result {
	SMTP_SESSION_OK,     /* the dialogue went to its end, whatever the replies were */
	SMTP_SESSION_FAILED, /* it broke off or was refused: *dsn says how; soft (class 4)
				or hard (class 5: do not try another host) */
};

/* name: "host[addr]" for the texts; nexthop for loop texts; both copied. */
void smtp_client_init(struct smtp_client *c, struct arena *mem, struct stream *stream,
		      const struct smtp_client_options *options, struct str name,
		      struct str nexthop);

enum smtp_session_result smtp_client_greet(struct smtp_client *c,
					   struct dsn *dsn_out) MUST_CHECK;

/* Every pending recipient gets an outcome, or stays pending with the reason in its dsn.
 * When the session breaks, all that are pending get that reason too, so *dsn_out is for
 * the log and for the decision whether the host as a whole failed. */
enum smtp_session_result smtp_client_send(struct smtp_client *c, struct smtp_mail *mail,
					  struct dsn *dsn_out) MUST_CHECK;

/* Is the content to be given in seven bits: the server takes no others, and some may be
 * in it? */
bool smtp_client_must_convert(const struct smtp_client *c, const struct smtp_mail *mail);

/* Nobody was accepted, or the server wanted no content: RSET ends the transaction. */
void smtp_client_end_mail(struct smtp_client *c);

enum smtp_session_result smtp_client_probe(struct smtp_client *c,
					   struct dsn *dsn_out) MUST_CHECK;

void smtp_client_quit(struct smtp_client *c);

/* May another mail be sent over this connection? */
bool smtp_client_is_usable(const struct smtp_client *c);
