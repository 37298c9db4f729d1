/* SPDX-License-Identifier: Apache-2.0 */
/* Log levels 2 to 4: the handshake's states, and the bytes that are exchanged. */
#include "base/arena.h"
#include "base/macros.h"

#include "tls_internal.h"

enum { DUMP_LINE = 16, DUMP_MAX = 4096 };

/* SSL_set_info_callback(3). */
static void
state_changed(const SSL *ssl, int where, int result)
{
	const struct tls_conn *conn = SSL_get_app_data(ssl);
	int side = where & ~SSL_ST_MASK;
	const char *name = (side & SSL_ST_CONNECT) != 0  ? "SSL_connect"
			   : (side & SSL_ST_ACCEPT) != 0 ? "SSL_accept"
							 : "unknown";

	if ((where & SSL_CB_LOOP) != 0)
		tls_say(&conn->log, LOG_LEVEL_INFO, "%s:%s", name,
			SSL_state_string_long(ssl));
	else if ((where & SSL_CB_ALERT) != 0)
		tls_say(&conn->log, LOG_LEVEL_INFO, "SSL3 alert %s:%s:%s",
			(where & SSL_CB_READ) != 0 ? "read" : "write",
			SSL_alert_type_string_long(result),
			SSL_alert_desc_string_long(result));
	else if ((where & SSL_CB_EXIT) != 0 && result <= 0 && !SSL_want_read(ssl) &&
		 !SSL_want_write(ssl) && !SSL_want_client_hello_cb(ssl))
		tls_say(&conn->log, LOG_LEVEL_INFO, "%s:%s in %s", name,
			result == 0 ? "failed" : "error", SSL_state_string_long(ssl));
}

static void
dump(const struct tls_log *log, const unsigned char *p, size_t n)
{
	for (size_t at = 0; at < n && at < DUMP_MAX; at += DUMP_LINE) {
		struct buf line;

		buf_init(&line, (size_t)2 * TLS_TEXT_MAX);
		buf_printf(&line, "%04x ", (unsigned)at);
		for (size_t i = at; i < at + DUMP_LINE; i++)
			if (i < n)
				buf_printf(&line, "%02x%c", (unsigned)p[i],
					   i == at + DUMP_LINE / 2 - 1 ? '-' : ' ');
			else
				buf_add_c(&line, "   ");
		for (size_t i = at; i < n && i < at + DUMP_LINE; i++)
			buf_add_char(&line, char_is_print((char)p[i]) ? (char)p[i] : '.');
		tls_say(log, LOG_LEVEL_INFO, "%s", line.p);
		buf_release(&line);
	}
}

/* BIO_set_callback_ex(3). */
static long
bytes_moved(BIO *bio, int what, const char *p, size_t n, int number UNUSED,
	    long number_long UNUSED, int result, size_t *moved)
{
	const struct tls_conn *conn = BIO_get_data(bio);
	bool all = (conn->log.bits & TLS_LOG_ALLPKTS) != 0;
	size_t count = moved != NULL ? *moved : n;

	if (conn->is_done && !all)
		return result;
	if (what != (BIO_CB_READ | BIO_CB_RETURN) &&
	    what != (BIO_CB_WRITE | BIO_CB_RETURN))
		return result;
	tls_say(&conn->log, LOG_LEVEL_INFO, "%s %s (%zu bytes => %ld)",
		what == (BIO_CB_READ | BIO_CB_RETURN) ? "read from" : "write to",
		"TLS connection", n, result > 0 ? (long)count : (long)result);
	if (result > 0)
		dump(&conn->log, (const unsigned char *)p, MIN_OF(count, n));
	return result;
}

void
tls_debug_install(struct tls_conn *conn)
{
	BIO *bio = SSL_get_rbio(conn->ssl);

	if ((conn->log.bits & TLS_LOG_DEBUG) != 0)
		SSL_set_info_callback(conn->ssl, state_changed);
	if ((conn->log.bits & (TLS_LOG_TLSPKTS | TLS_LOG_ALLPKTS)) != 0)
		BIO_set_callback_ex(bio, bytes_moved);
}
