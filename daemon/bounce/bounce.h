/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * bounce, defer and trace: the logs of what happened to each recipient, and the reports
 * made of them. One program under three service names; the name chooses the directory
 * (facts: queue 7).
 */

#include <stdbool.h>

#include "config/bounce_config.h"
#include "config/common_config.h"
#include "mail/bounce_template.h"
#include "queue/dir.h"

struct daemon;
struct msg_bounce_append;
struct msg_bounce_flush;
struct msg_bounce_warn;
struct offload;
struct err;

struct bounce {
	struct daemon *daemon;
	struct common_config common;
	struct bounce_config config;
	struct queue_dirs dirs;
	struct bounce_templates templates; /* expanded */
	struct offload *offload;           /* fsync */
	enum queue_name log;               /* which files this service keeps */
	struct str postmaster_sender;      /* double_bounce_sender@myhostname */
};

/* Write the entry; on disk when this returns true. Fiber only. */
bool notice_append(struct bounce *b, const struct msg_bounce_append *m, struct err *err)
	__attribute__((warn_unused_result));
/* Make the reports that the log asks for, then remove the log. Fiber only. */
bool notice_flush(struct bounce *b, const struct msg_bounce_flush *m, struct err *err)
	__attribute__((warn_unused_result));
/* Tell of the delay; the log stays. Fiber only. */
bool notice_warn(struct bounce *b, const struct msg_bounce_warn *m, struct err *err)
	__attribute__((warn_unused_result));
