/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS of the SMTP server: what the configuration says, loaded once, and the context with
 * certificates and keys, which is made again when their files have changed.
 *
 * A renewed certificate is used by new sessions, at most a minute later. If this process
 * may read the new files (it runs as mail_owner, in a sandbox that permits the folders of
 * the old ones), it reads them. If not, because only root may read the key, it asks the
 * master for a successor (daemon_ask_successor()), which reads them with root's rights at
 * its start; the sessions of this one go on to their end. A file that is broken is logged
 * and the old context stays, also in the second case: the successor then ends before it
 * is ready, and the master leaves this process in place.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#include "config/smtpd_tls_config.h"
#include "config/tls_config.h"
#include "tls/context.h"

struct smtpd;

struct tls_service {
	struct tls_config shared;
	struct smtpd_tls_config config;
	bool uses;     /* TLS is offered (smtpd_tls_security_level) */
	bool enforces; /* and required */
	unsigned log;  /* enum tls_log_bit */
	struct tls_settings settings;
	struct tls_server_settings server;
	struct tls_context *context; /* NULL: it could not be made */
	int64_t checked_ms;          /* when the files were last looked at */
	int64_t asked_ms;            /* tlsmgr for keys */
};

/* False: where Postfix's smtpd would not start. What only makes TLS impossible is logged,
 * and context stays NULL. */
bool tls_service_load(struct smtpd *d, struct err *err);

/* Folders to be read after the sandbox is closed; ended by NULL. */
const char *const *tls_service_folders(const struct smtpd *d);

/* The context for a new session; NULL: none. May yield. */
struct tls_context *tls_service_context(struct smtpd *d);
