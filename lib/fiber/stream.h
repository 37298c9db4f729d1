/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading and writing bytes and lines, with a deadline, buffered in both directions.
 * Protocol code sees only this. Beneath is a stack of layers: at the bottom a descriptor
 * or memory, above it perhaps TLS (stream_push()).
 *
 * Functions that return enum stream_status block the calling fiber when they must wait
 * (reads always; writes when the buffer is full; flush). On a memory stream nothing ever
 * waits and no loop or fiber is needed. One fiber may read while another writes; no more.
 *
 * Output is sent when STREAM_OUT_BYTES have gathered, by stream_flush(), by the calls
 * that say so, and before a read has to wait. So a server that answers pipelined commands
 * sends its replies together, and nobody waits for a reply that is still in a buffer.
 *
 * Failures stick: after STREAM_ERROR or STREAM_CANCELLED, and for writes after
 * STREAM_TIMEOUT, every later operation in that direction gives the same status
 * again (bytes may be lost in between, so going on would be wrong). STREAM_EOF sticks
 * for reads. A read that timed out may be tried again under a new deadline.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/str.h"
#include "fiber/loop.h"

struct stream;

enum stream_status {
	STREAM_OK,
	STREAM_EOF,      /* the peer has ended its sending side */
	STREAM_TIMEOUT,  /* the deadline has passed */
	STREAM_ERROR,    /* see stream_errno() */
	STREAM_TOO_LONG, /* stream_read_line(): no line end within max_bytes */
	STREAM_CANCELLED /* the fiber was cancelled */
};

/* "ok", "end of input", "timeout", ... */
const char *stream_status_name(enum stream_status status);

enum {
	STREAM_IN_BYTES = 4096,    /* input buffer; grows for longer lines */
	STREAM_BULK_BYTES = 65536, /* input buffer while the peer fills it at once */
	STREAM_OUT_BYTES = 32768,  /* output is sent when more has gathered */
	STREAM_FDS_MAX = 16        /* received descriptors that may wait to be taken */
};

/* -- making and ending ------------------------------------------------------- */

/* Takes the descriptor (closed by stream_close()) and makes it non-blocking. Sockets,
 * pipes, terminals; regular files work and block the process. */
struct stream *stream_from_fd(struct loop *loop, int fd) __attribute__((returns_nonnull));
/* The same for what is known to be a socket and non-blocking. */
struct stream *stream_from_socket(struct loop *loop, int fd)
	__attribute__((returns_nonnull));

/* Reads from input (not copied), then EOF; writes to output (NULL: discarded; full: error
 * ENOSPC). step: bytes that one read gives at most, 0 = all; 1 feeds byte by byte. */
struct stream *stream_from_memory(struct str input, struct buf *output, size_t step)
	__attribute__((returns_nonnull));

/* Sends what is buffered if that works without failing before the deadline, then closes
 * all layers. To drop it instead: stream_discard_output() first. Outside a fiber only one
 * attempt to send is made. NULL in *s is allowed.
 */
void stream_close(struct stream **s);

/* Shut down one or both directions of the socket (SHUT_RD, SHUT_WR, SHUT_RDWR); pending
 * output is sent before SHUT_WR. */
enum stream_status stream_shutdown(struct stream *s, int how);

/* The descriptor at the bottom, -1 for memory. Still the stream's. */
int stream_fd(const struct stream *s);

/* Give the descriptor up to the caller and end the stream. Nothing may be buffered
 * (panic) and no layer pushed (panic). */
int stream_detach_fd(struct stream **s);

struct loop *stream_loop(const struct stream *s); /* NULL for memory */

/* -- time -------------------------------------------------------------------- */

/* Everything must be done by this time (loop_now_ms()); LOOP_FOREVER: no limit. For a
 * request that consists of several operations. */
void stream_set_deadline_ms(struct stream *s, int64_t deadline_ms);
/* Each operation gets this much time from its call, however many bytes it moves; < 0: no
 * limit (the default). The earlier of both limits counts. */
void stream_set_timeout_ms(struct stream *s, int64_t timeout_ms);

/* errno of the last STREAM_ERROR, 0 if there was none. */
int stream_errno(const struct stream *s);

/* -- reading ----------------------------------------------------------------- */

/* What ended the last line. */
enum stream_eol {
	STREAM_EOL_NONE, /* nothing: too long, or end of input */
	STREAM_EOL_LF,
	STREAM_EOL_CRLF
};

/* The next line without its LF or CR LF; the view is valid until the next read.
 * STREAM_TOO_LONG: *line_out holds the first max_bytes bytes, the rest of the line comes
 * with the next call. STREAM_EOF: *line_out holds what came after the last line end,
 * perhaps nothing. Other failures leave it untouched and lose nothing. */
enum stream_status stream_read_line(struct stream *s, size_t max_bytes,
				    struct str *line_out) MUST_CHECK;
enum stream_eol stream_line_end(const struct stream *s);

/* At least one byte, at most n. */
enum stream_status stream_read(struct stream *s, void *p, size_t n,
			       size_t *got_out) MUST_CHECK;
/* All n bytes. On STREAM_EOF an unknown part of p is filled. */
enum stream_status stream_read_exact(struct stream *s, void *p, size_t n) MUST_CHECK;
/* Blocks until more is buffered than before the call, by at least one byte: for what is
 * parsed in place with stream_peek(). The caller decides how much is too much. */
enum stream_status stream_fill(struct stream *s) MUST_CHECK;
/* What is buffered: a view valid until the next read. Does not block. */
struct str stream_peek(const struct stream *s);
size_t stream_buffered(const struct stream *s);
/* Take n of the buffered bytes (panics if there are fewer). */
void stream_consume(struct stream *s, size_t n);
/* Look once, without waiting, whether input has arrived (to find clients that talk too
 * early). True also if the peer has closed or reading fails. */
bool stream_has_input(struct stream *s);

/* -- writing ----------------------------------------------------------------- */

enum stream_status stream_write(struct stream *s, struct str data);
enum stream_status stream_printf(struct stream *s, const char *format, ...)
	PRINTF_LIKE(2, 3);
/* Send everything buffered. */
enum stream_status stream_flush(struct stream *s);
/* Send what is buffered and then these blocks, without copying them. */
enum stream_status stream_writev_through(struct stream *s, const struct iovec *v,
					 size_t count);
/* Bytes that are buffered and not sent. */
size_t stream_unsent(const struct stream *s);

/* Forget buffered input and descriptors (STARTTLS: what a client sent before the
 * handshake must not count after it), or unsent output. */
void stream_discard_input(struct stream *s);
void stream_discard_output(struct stream *s);
/* Both. */
void stream_discard_buffers(struct stream *s);

/* The next read may wait for long: if it does, the unused stack is given back. (Empty
 * buffers are whenever a read waits.) */
void stream_idle(struct stream *s);

/* -- descriptors (UNIX-domain sockets only) ---------------------------------- */

/* Send what is buffered, then one NUL byte that carries the descriptor. fd stays open and
 * the caller's. */
enum stream_status stream_send_fd(struct stream *s, int fd) MUST_CHECK;
/* Be ready to get descriptors: they queue in order, at most STREAM_FDS_MAX; more is
 * STREAM_ERROR with EMFILE. Without this call the kernel drops them. */
void stream_accept_fds(struct stream *s);
/* Read one NUL byte and take the descriptor that came with it (close-on-exec, the
 * caller's). Another byte, or none with it: STREAM_ERROR with EBADMSG. */
enum stream_status stream_receive_fd(struct stream *s, int *fd_out) MUST_CHECK;

/* -- layers ------------------------------------------------------------------ */

enum stream_io {
	STREAM_IO_DONE,       /* progress was made */
	STREAM_IO_WANT_READ,  /* try again when the bottom is readable */
	STREAM_IO_WANT_WRITE, /* try again when the bottom is writable */
	STREAM_IO_EOF,
	STREAM_IO_ERROR /* layer->errnum says why */
};

struct stream_layer {
	const struct stream_ops *ops;
	void *state;
	struct stream_layer *below; /* NULL at the bottom */
	struct stream *stream;
	int errnum; /* set before STREAM_IO_ERROR */
};

/*
 * What a layer does. No operation may block: the stream waits, on the bottom layer, and
 * calls again. A layer moves bytes by the operations of layer->below. A write that did
 * not get done is called again with the same bytes, perhaps followed by more.
 */
struct stream_ops {
	const char *name;
	enum stream_io (*read)(struct stream_layer *layer, void *p, size_t n,
			       size_t *got_out);
	enum stream_io (*write)(struct stream_layer *layer, const struct iovec *v,
				int count, size_t *put_out);
	/* Take leave of the peer (TLS close_notify); NULL if there is nothing to say.
	 * Called before close unless an error has happened. */
	enum stream_io (*bye)(struct stream_layer *layer);
	/* Free the state. */
	void (*close)(struct stream_layer *layer);
	/* Bottom layers only: block until readable (or writable) or the deadline. */
	enum stream_status (*wait)(struct stream_layer *layer, bool for_write,
				   int64_t deadline_ms);
};

/* A stream over any bottom layer (simulated networks). loop may be NULL. */
struct stream *stream_new(struct loop *loop, const struct stream_ops *ops, void *state)
	__attribute__((returns_nonnull));

/* Put a layer on top. Both buffers must be empty (panic): flush, then
 * stream_discard_input(). The layer's close is called by stream_close(). */
struct stream_layer *stream_push(struct stream *s, const struct stream_ops *ops,
				 void *state);

/* The topmost layer. */
struct stream_layer *stream_top(struct stream *s);

/* For a layer's own dialogue (the TLS handshake): call step, wait as it asks, until it is
 * done or fails. */
enum stream_status stream_layer_drive(struct stream *s,
				      enum stream_io (*step)(struct stream_layer *layer),
				      struct stream_layer *layer) MUST_CHECK;
