/* SPDX-License-Identifier: Apache-2.0 */
#include "log_text.h"

#include <string.h>

#include "base/macros.h"

#include "log_line.h"

/* Take `suffix` off the end of *s. */
static bool
drop(struct str *s, struct str suffix)
{
	if (!str_ends(*s, suffix))
		return false;
	s->len -= suffix.len;
	return true;
}

static struct str
word(struct str s)
{
	return str_head(s, str_index_any(s, " ,;)"));
}

/* The value of `key=` up to the next ", " or the end. */
static struct str
attribute(struct str s, struct str key)
{
	size_t at = str_find(s, key);

	if (at == s.len)
		return STR_EMPTY;
	s = str_skip(s, at + key.len);
	return str_head(s, str_find(s, STR(", ")));
}

/* The offset of the ">" that ends an address: followed by one of the separators that the
 * log uses, or by the end; not in quotes where `quotes`. s.len if there is none. */
static size_t
address_end(struct str s, bool quotes)
{
	bool quoted = false;

	for (size_t i = 0; i < s.len; i++) {
		if (quotes && quoted && s.p[i] == '\\')
			i++;
		else if (quotes && s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && s.p[i] == '>' &&
			 (i + 1 == s.len || str_contains(STR(" ,;:"), s.p[i + 1])))
			return i;
	}
	return s.len;
}

/* The address in `key=<...>`; a local part may be a quoted string with anything in it,
 * but with info_log_address_format = internal there may be a single quote, too. */
static bool
address(struct str s, struct str key, struct str *out)
{
	size_t at = str_find(s, key);

	if (at == s.len)
		return false;
	s = str_skip(s, at + key.len);
	at = address_end(s, true);
	if (at == s.len)
		at = address_end(s, false);
	*out = str_head(s, at);
	return true;
}

static int64_t
number_after(struct str s, struct str key)
{
	struct str digits;
	int64_t n;
	size_t len = 0;
	size_t at = str_find(s, key);

	if (at == s.len)
		return -1;
	digits = str_skip(s, at + key.len);
	while (len < digits.len && char_is_digit(digits.p[len]))
		len++;
	return str_to_i64(str_head(digits, len), 0, INT64_MAX, &n) ? n : -1;
}

/* Decimal seconds, "0.31"; anything else is 0. */
static double
seconds(struct str s)
{
	double v = 0;
	double unit = 1;
	bool fraction = false;

	for (size_t i = 0; i < s.len && i < 24; i++) {
		if (char_is_digit(s.p[i])) {
			v = v * 10 + (s.p[i] - '0');
			unit *= fraction ? 10 : 1;
		} else if (s.p[i] == '.' && !fraction) {
			fraction = true;
		} else {
			break;
		}
	}
	return v / unit;
}

static void
parse_client(struct log_line *l)
{
	l->client = attribute(l->text, STR("client="));
	l->sasl_method = attribute(l->text, STR("sasl_method="));
	l->sasl_user = attribute(l->text, STR("sasl_username="));
	l->orig_id = attribute(l->text, STR("orig_queue_id="));
	l->orig_client = attribute(l->text, STR("orig_client="));
	if (log_is_queue_id(l->orig_id))
		l->link = l->orig_id;
}

static void
parse_pickup(struct log_line *l)
{
	l->uid = word(str_skip(l->text, strlen("uid=")));
	l->has_from = address(l->text, STR("from=<"), &l->from);
	l->orig_id = word(attribute(l->text, STR("orig_id=")));
	if (log_is_queue_id(l->orig_id))
		l->link = l->orig_id;
}

static void
parse_message_id(struct log_line *l)
{
	size_t at = str_index(l->text, '=');

	l->message_id = str_skip(l->text, at + 1);
}

static void
parse_active(struct log_line *l)
{
	l->has_from = address(l->text, STR("from=<"), &l->from);
	l->size = number_after(l->text, STR(", size="));
	l->nrcpt = number_after(l->text, STR(", nrcpt="));
	l->status = attribute(l->text, STR("status="));
}

static void
parse_delays(struct log_line *l, struct str head)
{
	struct str parts = attribute(head, STR("delays="));
	struct str part;

	l->delay = seconds(attribute(head, STR("delay=")));
	for (int i = 0; i < 4 && str_token(&parts, "/", &part); i++) {
		l->delays[i] = seconds(part);
		l->has_delays = true;
	}
}

/* Queue ids that a delivery leads to: our own (forwarded) or the next system's. */
static void
parse_link(struct log_line *l)
{
	static const struct str words[] = {
		STR_INIT("forwarded as "),
		STR_INIT("queued as "),
		STR_INIT("Queued as "),
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t at = str_find(l->reason, words[i]);

		if (at < l->reason.len) {
			struct str rest = str_skip(l->reason, at + words[i].len);

			l->link = str_head(rest, str_index_any(rest, " ,;)]>"));
			return;
		}
	}
}

static void
parse_delivery(struct log_line *l)
{
	const struct str orig_to = STR(", orig_to=<");
	struct str head = l->text;
	struct str tail;
	size_t at = str_find(head, STR(", status="));
	size_t open;
	size_t close;

	address(l->text, STR("to=<"), &l->to);
	if (at < head.len) {
		tail = str_skip(head, at + strlen(", status="));
		head = str_head(head, at);
		l->status = word(tail);
		open = str_index(tail, '(');
		close = str_rindex(tail, ')');
		if (open < tail.len && close < tail.len && open < close)
			l->reason = (struct str){tail.p + open + 1, close - open - 1};
		else if (open < tail.len)
			l->reason = str_skip(tail, open + 1); /* the line was cut */
	}
	/* An address may hold any text; the fields stand after it. */
	head = str_skip(head, MIN_OF(head.len, l->to.len + strlen("to=<>")));
	if (str_starts(head, orig_to)) {
		address(l->text, orig_to, &l->orig_to);
		head = str_skip(head, orig_to.len + l->orig_to.len + 1);
	}
	l->relay = attribute(head, STR("relay="));
	l->conn_use = MAX_OF(number_after(head, STR("conn_use=")), 0);
	l->dsn = attribute(head, STR("dsn="));
	l->tls = attribute(head, STR("tls="));
	parse_delays(l, head);
	parse_link(l);
}

static void
parse_notification(struct log_line *l)
{
	size_t at = str_find(l->text, STR(": "));

	l->status = str_head(l->text, at);
	l->link = str_skip(l->text, at + 2);
}

/* from=<> to=<> proto= helo=<> after the last "; " of a reject line. */
static void
parse_envelope(struct log_line *l, struct str s)
{
	l->has_from = address(s, STR("from=<"), &l->from);
	IGNORE(address(s, STR(" to=<"), &l->to));
	if (str_find(s, STR("proto=")) < s.len)
		l->proto = word(str_skip(s, str_find(s, STR("proto=")) + 6));
	IGNORE(address(s, STR("helo=<"), &l->helo));
	IGNORE(address(s, STR("sasl_username=<"), &l->sasl_user));
}

/* Where the fields behind a reject's text begin: each of them may be missing. */
static size_t
envelope_begin(struct str s)
{
	static const struct str fields[] = {
		STR_INIT("; from=<"),
		STR_INIT("; to=<"),
		STR_INIT("; proto="),
		STR_INIT("; helo=<"),
	};
	size_t at = s.len;

	for (size_t i = 0; i < ARRAY_LEN(fields) && at == s.len; i++)
		at = str_find(s, fields[i]);
	return at;
}

/* ACTION: STAGE from NAME[ADDR]: TEXT; from=<> to=<> ... */
static void
parse_action(struct log_line *l)
{
	struct str s = l->text;
	size_t at = str_find(s, STR(": "));
	size_t end;

	l->action = str_head(s, at);
	s = str_skip(s, at + 2);
	at = envelope_begin(s);
	if (at < s.len) {
		parse_envelope(l, str_skip(s, at + 1));
		s = str_head(s, at);
	}
	at = str_find(s, STR(" from "));
	l->stage = str_head(s, at);
	l->reason = s;
	if (at == s.len) { /* of a proxy filter: STAGE: REPLY */
		if (str_split(s, ':', &l->stage, &l->reason))
			l->reason = str_trim(l->reason);
		return;
	}
	s = str_skip(s, at + strlen(" from "));
	end = str_find(s, STR("]: "));
	if (end < s.len) {
		l->client = str_head(s, end + 1);
		l->reason = str_skip(s, end + 3);
	} else if ((end = str_find(s, STR(": "))) < s.len) {
		l->client = str_head(s, end); /* [address]:port of postscreen */
		l->reason = str_skip(s, end + 2);
	} else {
		l->client = s;
	}
	/* postscreen writes [address]:port, where the first "]: " does not end it. */
	if ((end = str_find(l->client, STR("]:"))) < l->client.len)
		l->client = str_head(l->client, end + 1);
}

/* header/body checks: ACTION: header CONTENT from ORIGIN; from=<> to=<>[: TEXT]
 * The reason is CONTENT from ORIGIN; the TEXT stays in `text` only. */
static void
parse_content_action(struct log_line *l)
{
	struct str s = l->text;
	size_t at = str_find(s, STR(": "));

	l->action = str_head(s, at);
	s = str_skip(s, at + 2);
	l->stage = word(s);
	s = str_skip(s, l->stage.len + 1);
	at = str_find(s, STR("; from=<"));
	if (at < s.len) {
		parse_envelope(l, str_skip(s, at + 1));
		l->reason = str_head(s, at);
		/* ORIGIN: local, or a client. */
		if (str_ends(l->reason, STR("]")))
			l->client = str_skip(l->reason, str_rindex(l->reason, ' ') + 1);
	} else {
		l->reason = s;
	}
}

static void
parse_lost(struct log_line *l)
{
	size_t at = str_find(l->text, STR(" from "));

	l->reason = l->text;
	l->action = str_head(l->text, str_find(l->text, STR(" after ")));
	l->client = word(str_skip(l->text, at + strlen(" from ")));
	l->stage = word(str_skip(l->text, str_find(l->text, STR(" after ")) + 7));
}

/* WHAT from CLIENT: TEXT, where the client ends with its address. */
static void
parse_trouble(struct log_line *l)
{
	struct str s = str_skip(l->text, str_find(l->text, STR(" from ")) + 6);

	l->reason = l->text;
	l->client = str_head(s, str_index(s, ']') + 1);
}

static void
parse_session(struct log_line *l)
{
	struct str s = str_skip(l->text, str_find(l->text, STR(" from ")) + 6);

	l->client = word(s);
	l->reason = str_trim(str_skip(s, l->client.len));
}

/* NAME[ADDR]: SASL MECH authentication failed: REASON[, sasl_username=U] */
static void
parse_auth_failed(struct log_line *l)
{
	struct str s;

	l->client = str_head(l->text, str_find(l->text, STR(": SASL ")));
	s = str_skip(l->text, l->client.len + strlen(": SASL "));
	l->sasl_method = word(s);
	l->sasl_user = attribute(s, STR("sasl_username="));
	s = str_skip(s, str_find(s, STR(": ")) + 2);
	l->reason = str_head(s, str_find(s, STR(", sasl_username=")));
}

static void
parse_rate_limit(struct log_line *l)
{
	l->reason = l->text;
	l->client = word(str_skip(l->text, str_find(l->text, STR(" from ")) + 6));
}

static void
parse_postscreen(struct log_line *l)
{
	struct str s = l->text;
	size_t at = str_index(s, '[');

	l->action = str_trim_right(str_head(s, at));
	IGNORE(drop(&l->action, STR(" from")) || drop(&l->action, STR(" to")));
	l->client = str_head(str_skip(s, at), str_index(str_skip(s, at), ']') + 1);
	l->reason = s;
}

static void
parse_reason(struct log_line *l)
{
	l->reason = l->text;
}

/* A row matches when the daemon is one of `daemons` (empty: any), the text begins with
 * `begin` and contains `inside`. With id: only lines that have a queue id (or NOQUEUE).
 */
enum need { ANY_ID, WITH_ID, WITHOUT_ID };

static const struct row {
	enum log_kind kind;
	enum need need;
	const char *daemons;
	struct str begin;
	struct str inside;
	void (*parse)(struct log_line *l);
} rows[] = {
#define S(text) STR_INIT(text)
	{LOG_DELIVERY, WITH_ID, "", S("to=<"), S(", relay="), parse_delivery},
	{LOG_CLIENT, WITH_ID, "", S("client="), S(""), parse_client},
	{LOG_PICKUP, WITH_ID, "", S("uid="), S("from=<"), parse_pickup},
	{LOG_MESSAGE_ID, WITH_ID, "", S("message-id="), S(""), parse_message_id},
	{LOG_MESSAGE_ID, WITH_ID, "", S("resent-message-id="), S(""), parse_message_id},
	{LOG_ACTIVE, WITH_ID, "", S("from=<"), S(", size="), parse_active},
	{LOG_EXPIRED, WITH_ID, "", S("from=<"), S("status="), parse_active},
	{LOG_REMOVED, WITH_ID, "", S("removed"), S(""), parse_reason},
	{LOG_NOTIFICATION, WITH_ID, "", S("sender "), S("notification: "),
	 parse_notification},
	{LOG_NOTIFICATION, WITH_ID, "", S("postmaster "), S("notification: "),
	 parse_notification},
	{LOG_HELD, WITH_ID, "", S("placed on hold"), S(""), parse_reason},
	{LOG_RELEASED, WITH_ID, "", S("released from hold"), S(""), parse_reason},
	{LOG_REQUEUED, WITH_ID, "", S("requeued"), S(""), parse_reason},
	{LOG_FORCE_EXPIRED, WITH_ID, "postsuper", S("expired"), S(""), parse_reason},
	{LOG_SKIPPED, WITH_ID, "", S("skipped, still being delivered"), S(""),
	 parse_reason},
	{LOG_LOST, ANY_ID, "", S("lost connection after "), S(" from "), parse_lost},
	{LOG_LOST, ANY_ID, "", S("timeout after "), S(" from "), parse_lost},
	{LOG_LOST, ANY_ID, "", S("too many errors after "), S(" from "), parse_lost},
	{LOG_LOST, ANY_ID, "", S("improper command pipelining after "), S(" from "),
	 parse_trouble},
	{LOG_TLS_FAILED, WITHOUT_ID, "", S("SSL_accept error from "), S(""),
	 parse_trouble},
	{LOG_TLS_FAILED, WITHOUT_ID, "", S("SSL_connect error to "), S(""), parse_reason},
	{LOG_TLS_FAILED, WITHOUT_ID, "", S("TLS handshake failed for "), S(""),
	 parse_reason},
	{LOG_TLS_FAILED, WITHOUT_ID, "", S("certificate verification failed for "), S(""),
	 parse_reason},
	{LOG_POSTSCREEN, WITHOUT_ID, "dnsblog", S("addr "), S(" listed by domain "),
	 parse_reason},
	{LOG_ACTION, WITH_ID, "", S("reject: header "), S(""), parse_content_action},
	{LOG_ACTION, WITH_ID, "cleanup", S(""), S(": header "), parse_content_action},
	{LOG_ACTION, WITH_ID, "cleanup", S(""), S(": body "), parse_content_action},
	{LOG_ACTION, WITH_ID, "cleanup", S(""), S(": content "), parse_content_action},
	{LOG_ACTION, WITH_ID, "smtpd cleanup postscreen", S(""), S(" from "),
	 parse_action},
	{LOG_ACTION, WITH_ID, "smtpd", S("proxy-"), S(": "), parse_action},
	{LOG_ACTION, WITHOUT_ID, "postscreen", S("reject: connect from "), S(""),
	 parse_action},
	{LOG_SOFT, WITH_ID, "smtp lmtp", S("host "), S(""), parse_reason},
	{LOG_SOFT, WITH_ID, "smtp lmtp", S("lost connection with "), S(""), parse_reason},
	{LOG_SOFT, WITH_ID, "smtp lmtp", S("conversation with "), S(""), parse_reason},
	{LOG_SOFT, WITH_ID, "smtp lmtp", S("Cannot start TLS"), S(""), parse_reason},
	{LOG_SOFT, WITH_ID, "smtp lmtp", S("TLS is required"), S(""), parse_reason},
	{LOG_SOFT, WITH_ID, "smtp lmtp", S("SASL "), S(""), parse_reason},
	{LOG_SOFT, WITH_ID, "smtp lmtp", S("Server certificate"), S(""), parse_reason},
	{LOG_DISCONNECT, ANY_ID, "", S("disconnect from "), S(""), parse_session},
	{LOG_CONNECT, WITHOUT_ID, "", S("connect from "), S(""), parse_session},
	{LOG_CONNECT_TO, WITHOUT_ID, "", S("connect to "), S(""), parse_reason},
	{LOG_AUTH_FAILED, WITHOUT_ID, "smtpd", S(""), S(" authentication failed: "),
	 parse_auth_failed},
	{LOG_AUTH_FAILED, WITHOUT_ID, "smtpd", S(""), S(" authentication aborted"),
	 parse_auth_failed},
	{LOG_RATE_LIMIT, WITHOUT_ID, "smtpd", S(""), S(" limit exceeded: "),
	 parse_rate_limit},
	{LOG_TLS, WITHOUT_ID, "", S(""), S(" TLS connection "), parse_reason},
	{LOG_POSTSCREEN, WITHOUT_ID, "postscreen", S(""), S("["), parse_postscreen},
	{LOG_POSTSCREEN, WITHOUT_ID, "tlsproxy", S("CONNECT "), S("["), parse_postscreen},
	{LOG_POSTSCREEN, WITHOUT_ID, "tlsproxy", S("DISCONNECT "), S("["),
	 parse_postscreen},
	{LOG_STATISTICS, WITHOUT_ID, "anvil scache", S("statistics: "), S(""),
	 parse_reason},
#undef S
};

static bool
daemon_is_in(struct str daemon, const char *list)
{
	struct str rest = str_from(list);
	struct str name;

	if (rest.len == 0)
		return true;
	while (str_token(&rest, " ", &name)) {
		if (str_eq(name, daemon))
			return true;
	}
	return false;
}

void
log_text_parse(struct log_line *l)
{
	bool has_id = l->id.len > 0 || l->noqueue;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		if ((row->need == WITH_ID && !has_id) ||
		    (row->need == WITHOUT_ID && has_id) ||
		    !str_starts(l->text, row->begin) ||
		    !daemon_is_in(l->daemon, row->daemons) ||
		    (row->inside.len > 0 &&
		     str_find(l->text, row->inside) == l->text.len))
			continue;
		l->kind = row->kind;
		row->parse(l);
		return;
	}
	l->reason = l->text;
}

static bool
has(struct str s, const char *part)
{
	return str_find(s, str_from(part)) < s.len;
}

bool
log_is_relay_here(const struct log_line *l)
{
	return has(l->relay, "[127.") || has(l->relay, "[::1]") || has(l->relay, "[/");
}

bool
log_is_handed_on(const struct log_line *l)
{
	return l->kind == LOG_DELIVERY && str_eq(l->status, STR("sent")) &&
	       !log_is_queue_id(l->link) &&
	       (str_eq(l->daemon, STR("pipe")) ||
		(str_eq(l->daemon, STR("smtp")) && log_is_relay_here(l)));
}

bool
log_is_from_here(const struct log_line *l)
{
	if (l->orig_id.len > 0)
		return false;
	return l->kind == LOG_PICKUP ||
	       (l->kind == LOG_CLIENT &&
		(has(l->client, "[127.") || has(l->client, "[::1]")));
}

const char *
log_kind_name(enum log_kind kind)
{
	static const char *const names[LOG_KINDS] = {
		[LOG_OTHER] = "other",
		[LOG_CLIENT] = "client",
		[LOG_PICKUP] = "pickup",
		[LOG_MESSAGE_ID] = "message-id",
		[LOG_ACTIVE] = "active",
		[LOG_DELIVERY] = "delivery",
		[LOG_REMOVED] = "removed",
		[LOG_EXPIRED] = "expired",
		[LOG_NOTIFICATION] = "notification",
		[LOG_ACTION] = "action",
		[LOG_LOST] = "lost",
		[LOG_HELD] = "held",
		[LOG_RELEASED] = "released",
		[LOG_REQUEUED] = "requeued",
		[LOG_FORCE_EXPIRED] = "force-expired",
		[LOG_SKIPPED] = "skipped",
		[LOG_SOFT] = "next-server",
		[LOG_CONNECT] = "connect",
		[LOG_DISCONNECT] = "disconnect",
		[LOG_AUTH_FAILED] = "auth-failed",
		[LOG_RATE_LIMIT] = "rate-limit",
		[LOG_POSTSCREEN] = "postscreen",
		[LOG_CONNECT_TO] = "connect-to",
		[LOG_TLS] = "tls",
		[LOG_TLS_FAILED] = "tls-failed",
		[LOG_STATISTICS] = "statistics",
	};

	return names[kind];
}
