/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The SMTP server: one process, a fiber per session. What is loaded once is here; a
 * session is in session.h, a message on its way in transaction.h.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "access/access.h"
#include "config/bounce_config.h"
#include "config/common_config.h"
#include "config/receive_config.h"
#include "config/sasl_config.h"
#include "config/smtpd_config.h"
#include "config/verify_config.h"
#include "dns/server_name.h"
#include "milter/settings.h"
#include "rewrite/rules.h"
#include "sasl/mechanism.h"

#include "limits.h"

struct daemon;
struct maps;
struct tls_service;
struct match;
struct names;
struct sasl_server;
struct policy_pool;

/* smtpd_forbid_bare_newline: what lines are worth that end in LF alone. */
enum newline_mode {
	NEWLINE_ANY,       /* no: LF ends a line like CR LF, in every respect */
	NEWLINE_NORMALIZE, /* a line, but the end of data takes CR LF . CR LF */
	NEWLINE_NOTE,      /* the same, and the log says so */
	NEWLINE_REJECT,    /* refused */
};

struct smtpd {
	struct daemon *daemon;
	struct common_config common;
	struct smtpd_config config;
	struct rewrite_rules rewrite;
	struct access_rules *access;
	struct maps *discard_maps;
	struct maps *command_filter;
	struct maps *milter_maps;
	struct milter_settings milter_settings;
	struct milter_list milters; /* smtpd_milters */
	struct match *xclient_hosts;
	struct match *xforward_hosts;
	struct match *verp_hosts;
	struct match *newline_exclusions;
	struct match *forbidden_commands;
	struct match *noop_commands;
	struct tls_service *tls;
	/* AUTH (auth.h); sasl is NULL without it. */
	struct sasl_config sasl_config;
	struct sasl_server *sasl;
	struct sasl_security sasl_options[2]; /* without and with TLS */
	struct match *sasl_filter;
	struct match *sasl_exceptions;
	enum newline_mode newlines;
	struct receive_config receive;
	struct verify_config verify;
	struct bounce_config notices;
	unsigned notify;    /* classes of errors that the postmaster is told of */
	unsigned overrides; /* receive_override_options */
	bool has_filter;    /* smtpd_proxy_filter */
	struct server_name proxy_filter;
	struct policy_pool *policies;
	struct limits *limits;
	struct names *names;   /* of clients */
	struct stress *stress; /* NULL: the service has no limit */
	bool has_proxy;        /* smtpd_upstream_proxy_protocol */
	bool needs_tcp;        /* a server on the side is reached by TCP */
	bool ipv4, ipv6;       /* inet_protocols */
	int64_t starttls_s;    /* smtpd_starttls_timeout */
	int queue_fd;          /* of queue_directory, to ask how much is free */
};

/* Fill all but `daemon`; opens what needs names. Fails where Postfix's smtpd would not
 * start. */
bool settings_load(struct smtpd *s, struct err *err);
