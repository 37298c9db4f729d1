/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The state of the daemon, and of one message on its way through it.
 *
 * A message is a connection: records come in, in the order envelope, content, extracted;
 * they leave for the queue file as they come, rewritten. Nothing but the header field
 * being read is kept in memory.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "config/cleanup_config.h"
#include "config/common_config.h"
#include "mail/header.h"
#include "milter/settings.h"
#include "queue/dir.h"
#include "queue/record.h"
#include "queue/writer.h"
#include "rewrite/rules.h"

#include "checks.h"

struct daemon;
struct ipc;
struct map;
struct maps;
struct milter_talk;
struct mime;
struct durable;
struct qmgr_link;
struct stream;

struct cleanup {
	struct daemon *daemon;
	struct common_config common;
	struct cleanup_config config;
	struct rewrite_rules rules;
	struct queue_dirs dirs;
	struct durable *durable; /* how messages get to disk */
	int64_t delay_warning_s; /* delay_warning_time */
	struct qmgr_link *qmgr;  /* NULL: none, or somebody is using it */
	bool qmgr_is_full;       /* what qmgr said to the last announcement */
	struct maps *sender_bcc;
	struct maps *recipient_bcc;
	struct milter_settings milter_settings;
	struct milter_list milters; /* non_smtpd_milters */
	struct checks checks;
};

struct message {
	struct cleanup *cleanup;
	struct arena *mem;
	struct ipc *ipc; /* to the client */
	struct str id;
	int fd;
	struct queue_writer writer;
	unsigned flags;  /* enum cleanup_flag */
	unsigned status; /* enum cleanup_status */
	struct str why;  /* more about the status; empty: its usual text */
	enum record_segment segment;
	int64_t created_us;

	/* envelope */
	struct str sender;
	bool has_sender;
	int64_t arrival_us;
	bool is_remote; /* rewrite_context: mail of others */
	struct str full_name;
	bool has_full_name;
	bool envelope_written;
	struct str origin, proto, helo; /* for the log; empty: nobody said */
	struct str last_recipient;
	/* of the next recipient */
	struct str original;
	struct str dsn_orcpt;
	int64_t dsn_notify;
	struct map *recipients; /* those that were written, against duplicates */
	size_t n_recipients;
	bool has_utf8_recipient;

	struct milter_talk *talk; /* see milter.h; NULL: none */

	/* content */
	struct mime *mime;
	bool has_8bit_header;
	bool has_message_id;
	bool is_resent;      /* a Resent- field was seen */
	bool line_is_open;   /* the last piece did not end its line */
	struct str encoding; /* "7bit", "8bit"; empty: nobody said */
	uint64_t seen_headers;
	int64_t hops;
	int64_t part_offset; /* bytes of body in this part of the message */

	/* what the checks asked for */
	struct str filter;
	struct str redirect;
	struct str *bcc; /* up to CHECKS_BCC_MAX */
	size_t n_bcc;
};

/* Set a status bit and remember the first explanation. */
void message_fail(struct message *m, unsigned status, struct str why);

/* One recipient: rewrite, expand, drop duplicates, write. */
void envelope_recipient(struct message *m, struct str address);
/* One more, whom the client did not name, with the sender's wishes about reports. */
void envelope_add(struct message *m, struct str address, struct str orcpt,
		  int64_t notify);
/* Any other record of envelope or extracted segment. */
void envelope_record(struct message *m, const struct record *record);
/* What must stand before the content. */
void envelope_end(struct message *m);
/* Recipients of copies, at the end of the extracted segment. */
void envelope_finish(struct message *m);

void content_begin(struct message *m);
/* A line, or a piece of one. */
void content_text(struct message *m, struct str text, bool whole);
void content_end(struct message *m);
/* A blank for each byte that could end a line for somebody else. */
struct str content_clean(struct arena *mem, struct str text);

/* The end record, and what milters have changed: the file is complete, but not yet on
 * disk. */
bool message_end_file(struct message *m, struct err *err) MUST_CHECK;
/* Write a field of one or more lines, and a body line. */
void content_header(struct message *m, struct str text);
void content_body(struct message *m, struct str text, bool whole);
