/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer between a stream and OpenSSL. OpenSSL reads and writes through a BIO whose
 * functions are those of the layer below; what that one wants to wait for is kept in
 * conn->want until the call into OpenSSL has returned.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>

#include "base/arena.h"
#include "base/mem.h"

#include "tls_internal.h"

/* ---- below ---- */

static int
below(BIO *bio, struct tls_conn *conn, enum stream_io io, const size_t *n)
{
	conn->want = io;
	switch (io) {
	case STREAM_IO_DONE:
		return (int)*n;
	case STREAM_IO_WANT_READ:
		BIO_set_retry_read(bio);
		return -1;
	case STREAM_IO_WANT_WRITE:
		BIO_set_retry_write(bio);
		return -1;
	case STREAM_IO_EOF:
		return 0;
	case STREAM_IO_ERROR:
		conn->layer->errnum = conn->layer->below->errnum;
		return -1;
	}
	return -1;
}

static int
bio_read(BIO *bio, char *p, int n)
{
	struct tls_conn *conn = BIO_get_data(bio);
	struct stream_layer *layer = conn->layer->below;
	size_t got = 0;

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	return below(bio, conn, layer->ops->read(layer, p, (size_t)n, &got), &got);
}

static int
bio_write(BIO *bio, const char *p, int n)
{
	struct tls_conn *conn = BIO_get_data(bio);
	struct stream_layer *layer = conn->layer->below;
	struct iovec v = {.iov_base = (void *)(uintptr_t)p, .iov_len = (size_t)n};
	size_t put = 0;

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	return below(bio, conn, layer->ops->write(layer, &v, 1, &put), &put);
}

static long
bio_ctrl(BIO *bio, int command, long number, void *p)
{
	const struct tls_conn *conn = BIO_get_data(bio);

	(void)number;
	(void)p;
	if (command == BIO_CTRL_EOF)
		return conn->want == STREAM_IO_EOF;
	return command == BIO_CTRL_FLUSH;
}

static int
bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

BIO_METHOD *
tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");

	if (m == NULL)
		return NULL;
	BIO_meth_set_read(m, bio_read);
	BIO_meth_set_write(m, bio_write);
	BIO_meth_set_ctrl(m, bio_ctrl);
	BIO_meth_set_create(m, bio_create);
	return m;
}

/* ---- above ---- */

static enum stream_io
failed(struct tls_conn *conn, int errnum)
{
	conn->has_failed = true;
	if (conn->layer->errnum == 0 || conn->want != STREAM_IO_ERROR)
		conn->layer->errnum = errnum;
	return STREAM_IO_ERROR;
}

enum stream_io
tls_conn_io(struct tls_conn *conn, int result)
{
	switch (SSL_get_error(conn->ssl, result)) {
	case SSL_ERROR_NONE:
		return STREAM_IO_DONE;
	case SSL_ERROR_WANT_READ:
		return STREAM_IO_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return STREAM_IO_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return STREAM_IO_EOF;
	case SSL_ERROR_SYSCALL:
		if (conn->want == STREAM_IO_EOF) {
			conn->has_failed = true;
			return STREAM_IO_EOF;
		}
		return failed(conn, ECONNRESET);
	default:
		return failed(conn, EPROTO);
	}
}

static enum stream_io
layer_read(struct stream_layer *layer, void *p, size_t n, size_t *got_out)
{
	struct tls_conn *conn = layer->state;
	enum stream_io io;
	int result;

	ERR_clear_error();
	conn->want = STREAM_IO_DONE;
	result = SSL_read_ex(conn->ssl, p, n, got_out);
	io = tls_conn_io(conn, result);
	/* A connection that just ends is nothing to complain of: SMTP has QUIT. */
	if (io == STREAM_IO_ERROR && conn->want == STREAM_IO_EOF)
		io = STREAM_IO_EOF;
	ERR_clear_error();
	return io;
}

static enum stream_io
layer_write(struct stream_layer *layer, const struct iovec *v, int count, size_t *put_out)
{
	struct tls_conn *conn = layer->state;
	enum stream_io io;
	int i = 0;

	while (i < count && v[i].iov_len == 0)
		i++;
	*put_out = 0;
	if (i == count)
		return STREAM_IO_DONE;
	ERR_clear_error();
	conn->want = STREAM_IO_DONE;
	io = tls_conn_io(conn,
			 SSL_write_ex(conn->ssl, v[i].iov_base, v[i].iov_len, put_out));
	ERR_clear_error();
	if (io != STREAM_IO_EOF)
		return io;
	layer->errnum = EPIPE;
	return STREAM_IO_ERROR;
}

/* Say goodbye; do not wait for the answer unless tls_fast_shutdown_enable is off. */
static enum stream_io
layer_bye(struct stream_layer *layer)
{
	struct tls_conn *conn = layer->state;
	enum stream_io io;
	int result;

	if (!conn->is_done || conn->has_failed)
		return STREAM_IO_DONE;
	ERR_clear_error();
	conn->want = STREAM_IO_DONE;
	result = SSL_shutdown(conn->ssl);
	if (result == 0 && !conn->context->fast_shutdown)
		result = SSL_shutdown(conn->ssl);
	io = result >= 0 ? STREAM_IO_DONE : tls_conn_io(conn, result);
	ERR_clear_error();
	return io == STREAM_IO_EOF ? STREAM_IO_DONE : io;
}

static void
layer_close(struct stream_layer *layer)
{
	tls_conn_free(layer->state);
}

static const struct stream_ops tls_ops = {
	.name = "tls",
	.read = layer_read,
	.write = layer_write,
	.bye = layer_bye,
	.close = layer_close,
};

/* ---- a session's object ---- */

void
tls_conn_push(struct tls_conn *conn, struct stream *stream)
{
	conn->layer = stream_push(stream, &tls_ops, conn);
}

struct tls_conn *
tls_conn_new(struct tls_context *c, struct arena *mem, const struct tls_log *log,
	     struct err *err)
{
	struct tls_conn *conn;
	SSL *ssl = SSL_new(c->ssl);
	BIO *bio = BIO_new(c->bio);

	if (ssl == NULL || bio == NULL) {
		SSL_free(ssl);
		BIO_free(bio);
		err_set(err, ERR_TEMP,
			"Could not allocate 'TLScontext->con' with SSL_new()");
		return NULL;
	}
	conn = mem_alloc(sizeof(*conn));
	conn->context = c;
	tls_context_ref(c);
	conn->ssl = ssl;
	conn->mem = mem;
	conn->log = *log;
	conn->server_name = conn->asked_id = conn->loaded_session = conn->new_id =
		STR_EMPTY;
	buf_init(&conn->new_session, TLS_SESSION_MAX);
	BIO_set_data(bio, conn);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_app_data(ssl, conn);
	tls_debug_install(conn);
	return conn;
}

void
tls_conn_free(struct tls_conn *conn)
{
	if (conn == NULL)
		return;
	/* A session stays resumable unless something went wrong. */
	if (!conn->has_failed && conn->is_done)
		SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	X509_free(conn->verify_certificate);
	SSL_free(conn->ssl);
	buf_release(&conn->new_session);
	tls_context_free(&conn->context);
	mem_free(conn);
}
