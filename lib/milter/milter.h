/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The MTA's side of the Sendmail milter protocol, versions 2 to 6, with one or more
 * milters in order (facts: protocols 7).
 *
 * struct milters is a conversation about one client with all milters of a list. It is
 * used from a fiber: a function tells an event to each milter in turn, waits for its
 * answer, and stops at the first that is not "continue". What a milter has said about
 * the connection or the message (accept, reject) it is not asked again. A milter that
 * cannot be reached, is too slow, or does not keep to the protocol is told so in the log
 * and gets its default action; mail is never lost or passed by it unless that action is
 * "accept".
 *
 * Two processes take part: smtpd tells connection and envelope; then each connection is
 * handed over (struct milter_state and its descriptor) to cleanup, which tells the
 * content and applies what is to be changed. smtpd keeps its end for the next message.
 *
 * Limits: a packet has at most MILTER_PACKET_MAX bytes, a reply MILTER_REPLY_MAX, the
 * macro names that a milter asks for MILTER_SYMLIST_MAX per stage, the changes to a
 * message MILTER_CHANGES_MAX; every exchange has a deadline (but "progress" restarts
 * that of the content phase, MILTER_PROGRESS_MAX times).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "milter/settings.h"

struct arena;
struct dns_asker;
struct ipc;
struct loop;
struct stream;

enum {
	MILTER_CHUNK_BYTES = 65535, /* of a body */
	MILTER_PACKET_MAX = 1 << 20,
	MILTER_REPLY_MAX = 8192,
	MILTER_SYMLIST_MAX = 4096,
	MILTER_CHANGES_MAX = 10000,
	MILTER_PROGRESS_MAX = 10000,
};

enum milter_verdict {
	MILTER_CONTINUE, /* nobody objects (now, or any more) */
	MILTER_REFUSE,   /* reply says how: "550 5.7.1 ...", lines divided by CR LF */
	MILTER_DISCARD,
	MILTER_HOLD,     /* quarantine, as the default action of a broken milter */
	MILTER_SHUTDOWN, /* say 421 and hang up */
};

struct milter_answer {
	enum milter_verdict verdict;
	struct str reply; /* in the arena that the function was given */
};

/* What is around the conversation. */
struct milter_world {
	struct loop *loop; /* NULL: streams come from open (tests) */
	const struct dns_asker *dns;
	/* Value of a macro, by its name with braces if it has them; false: unknown. */
	bool (*macro)(void *arg, struct arena *mem, struct str name,
		      struct str *value_out);
	/* A warning for the log. */
	void (*warn)(void *arg, struct str text);
	/* Instead of a connection by the milter's name; NULL: that. */
	struct stream *(*open)(void *arg, size_t which);
	void *arg;
};

struct milters;

/* list, settings and world outlive it. Nothing is connected yet. Ends with
 * milters_free(), which also takes leave (QUIT). */
struct milters *milters_new(struct arena *mem, const struct milter_settings *settings,
			    const struct milter_list *list,
			    const struct milter_world *world);
void milters_free(struct milters **m);

/* ---- connection and envelope ---- */

struct milter_client {
	struct str name;
	struct str address; /* as text, or a path */
	unsigned port;
	int family; /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: unknown */
};

/* Connect to each milter, agree on the options, tell who the client is. */
struct milter_answer milters_connect(struct milters *m, struct arena *mem,
				     const struct milter_client *client);
/* text: what HELO or EHLO had. */
struct milter_answer milters_helo(struct milters *m, struct arena *mem, struct str text);
/* args: "<address>", then parameters. */
struct milter_answer milters_mail(struct milters *m, struct arena *mem,
				  const struct str *args, size_t n);
struct milter_answer milters_rcpt(struct milters *m, struct arena *mem,
				  const struct str *args, size_t n);
/* The same for a recipient that the server refuses: only to those who asked for it. */
void milters_refused_rcpt(struct milters *m, struct arena *mem, const struct str *args,
			  size_t n);
struct milter_answer milters_data(struct milters *m, struct arena *mem);
/* A command that we do not know: its line. */
struct milter_answer milters_unknown(struct milters *m, struct arena *mem,
				     struct str line);
/* The message ends without its content: RSET, HELO, a refusal. */
void milters_abort(struct milters *m);
/* End all connections; milters_connect() may follow (STARTTLS, XCLIENT). */
void milters_disconnect(struct milters *m);

/* ---- handing over ---- */

size_t milters_count(const struct milters *m);

/* Give each connection, with what was agreed and the values of the macros that go with
 * the content, to another process; ours stay open. Between milters_data() and the other
 * process's word that it is done nothing may be told here. */
bool milters_send(struct milters *m, struct arena *mem, struct ipc *ipc,
		  struct err *err) MUST_CHECK;
/* The n connections of another process, for milters_message(). world: as for
 * milters_new(), without macros. */
bool milters_receive(struct arena *mem, const struct milter_settings *settings, size_t n,
		     const struct milter_world *world, struct ipc *ipc,
		     struct milters **out, struct err *err) MUST_CHECK;

/* ---- content ---- */

enum milter_read { MILTER_READ_GOT, MILTER_READ_END, MILTER_READ_FAILED };

/* Where the message comes from. Views are valid until the next call. */
struct milter_source {
	/* From the beginning, as it is now. */
	bool (*rewind)(void *arg);
	/* The next field: its value is all after the colon, LF between its lines. */
	enum milter_read (*header)(void *arg, struct str *name_out,
				   struct str *value_out);
	/* After the last one: the next bytes of the body, with CR LF. */
	enum milter_read (*body)(void *arg, struct str *text_out);
	void *arg;
};

/* What a milter wants changed. False: it cannot be done (the caller knows why and fails
 * the message). Values of header fields begin with the blank after the colon. */
struct milter_changes {
	bool (*add_header)(void *arg, struct str name, struct str value);
	/* position: 0 is before the first that the milter saw. */
	bool (*insert_header)(void *arg, uint32_t position, struct str name,
			      struct str value);
	/* The index-th of that name, from 1; an empty value removes it. */
	bool (*change_header)(void *arg, uint32_t index, struct str name,
			      struct str value);
	bool (*change_sender)(void *arg, struct str address, struct str params);
	bool (*add_recipient)(void *arg, struct str address, struct str params);
	bool (*delete_recipient)(void *arg, struct str address);
	/* A piece of the new body. */
	bool (*replace_body)(void *arg, struct str piece);
	/* The milter is through: keep what it has changed, or forget it. */
	bool (*done)(void *arg, bool keep);
	void *arg;
};

/* Header, body and end of message. MILTER_REFUSE with an empty reply: source or changes
 * have failed. */
struct milter_answer milters_message(struct milters *m, struct arena *mem,
				     const struct milter_source *source,
				     const struct milter_changes *changes);
