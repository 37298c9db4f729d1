/* SPDX-License-Identifier: Apache-2.0 */
#include "table/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/sys.h"

enum { READ_BYTES = 4096 };

bool
wire_place_parse(struct arena *mem, struct str text, bool plain, struct wire_place *out,
		 struct err *err)
{
	struct wire_place place = {.is_unix = str_starts(text, STR("unix:"))};
	bool is_inet = str_starts(text, STR("inet:"));
	struct str host, port;
	size_t colon;

	if (place.is_unix) {
		text = str_skip(text, strlen("unix:"));
		place.path = str_c(mem, text);
		if (text.len == 0 ||
		    text.len >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return err_set(err, ERR_CONFIG, "bad path of a socket");
		*out = place;
		return true;
	}
	if (!is_inet && !plain)
		return err_set(err, ERR_CONFIG, "need inet:host:port or unix:path");
	if (is_inet)
		text = str_skip(text, strlen("inet:"));
	colon = str_rindex(text, ':');
	host = str_head(text, colon);
	port = str_skip(text, colon + 1);
	if (host.len > 1 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = str_head(str_skip(host, 1), host.len - 2);
	if (port.len == 0 || str_contains(port, ']'))
		return err_set(err, ERR_CONFIG, "need host:port");
	/* No host is this one. */
	place.host = host.len > 0 ? str_c(mem, host) : "localhost";
	place.port = str_c(mem, port);
	*out = place;
	return true;
}

void
wire_init(struct wire *w, size_t max)
{
	*w = (struct wire){.fd = -1, .max = max};
	buf_init(&w->in, max + READ_BYTES);
}

void
wire_release(struct wire *w)
{
	wire_close(w);
	buf_release(&w->in);
}

void
wire_from_memory(struct wire *w, struct str input, size_t max)
{
	wire_init(w, max);
	buf_release(&w->in);
	buf_init(&w->in, input.len + READ_BYTES);
	buf_add(&w->in, input);
}

void
wire_set_timeout(struct wire *w, int64_t ms)
{
	w->deadline = sys_mono_ms() + ms;
}

bool
wire_is_connected(const struct wire *w)
{
	return w->fd >= 0;
}

void
wire_close(struct wire *w)
{
	if (w->fd >= 0)
		sys_close(w->fd);
	w->fd = -1;
	w->taken = 0;
	buf_clear(&w->in);
}

/* False at the deadline. */
static bool
wait_for(struct wire *w, short events, struct err *err)
{
	struct pollfd p = {.fd = w->fd, .events = events};

	for (;;) {
		int64_t left = w->deadline - sys_mono_ms();
		int n = left > 0 ? poll(&p, 1, (int)MIN_OF(left, 1000000)) : 0;

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return err_errno(err, ERR_TEMP, "poll");
		if (left <= 0) {
			errno = ETIMEDOUT;
			return err_errno(err, ERR_TEMP, "no answer in time");
		}
	}
}

/* ---- connecting ---- */

static bool
connect_to(struct wire *w, const struct sockaddr *to, socklen_t len, struct err *err)
{
	socklen_t size = sizeof(int);
	int why = 0;

	w->fd = sys_socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0)
		return err_errno(err, ERR_TEMP, "socket");
	if (sys_connect(w->fd, to, len) == 0)
		return true;
	if (errno != EINPROGRESS)
		err_errno(err, ERR_TEMP, "connect");
	else if (wait_for(w, POLLOUT, err)) {
		if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &why, &size) == 0 && why == 0)
			return true;
		errno = why;
		err_errno(err, ERR_TEMP, "connect");
	}
	wire_close(w);
	return false;
}

static bool
connect_unix(struct wire *w, const char *path, struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memcpy(sa.sun_path, path, strlen(path));
	return connect_to(w, (struct sockaddr *)&sa, sizeof(sa), err);
}

bool
wire_connect(struct wire *w, const struct wire_place *place, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	bool ok = false;
	int rc;

	wire_close(w);
	if (place->is_unix)
		return connect_unix(w, place->path, err);
	rc = getaddrinfo(place->host, place->port, &hints, &list);
	if (rc != 0)
		return err_set(err, ERR_TEMP, "%s: %s", place->host, gai_strerror(rc));
	err_set(err, ERR_TEMP, "no address");
	for (struct addrinfo *a = list; a != NULL && !ok; a = a->ai_next)
		ok = connect_to(w, a->ai_addr, a->ai_addrlen, err);
	freeaddrinfo(list);
	return ok;
}

bool
wire_is_stale(const struct wire *w)
{
	struct pollfd p = {.fd = w->fd, .events = POLLIN};

	return w->taken < w->in.len || poll(&p, 1, 0) != 0;
}

/* ---- bytes ---- */

bool
wire_send(struct wire *w, struct str data, struct err *err)
{
	while (data.len > 0) {
		ssize_t n = sys_send(w->fd, data.p, data.len, MSG_NOSIGNAL);

		if (n > 0)
			data = str_skip(data, (size_t)n);
		else if (n < 0 && errno == EAGAIN) {
			if (!wait_for(w, POLLOUT, err))
				return false;
		} else if (n < 0 && errno != EINTR)
			return err_errno(err, ERR_TEMP, "send");
	}
	return true;
}

static bool
fill(struct wire *w, struct err *err)
{
	char *room;
	ssize_t n;

	buf_consume(&w->in, w->taken);
	w->taken = 0;
	if (w->in.len >= w->max)
		return err_set(err, ERR_TEMP, "the answer is too long");
	if (w->fd < 0)
		return err_set(err, ERR_TEMP, "unexpected end of the connection");
	room = buf_reserve(&w->in, READ_BYTES);
	if (room == NULL)
		return err_set(err, ERR_TEMP, "the answer is too long");
	do {
		if (!wait_for(w, POLLIN, err))
			return false;
		n = sys_recv(w->fd, room, READ_BYTES, 0);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return err_errno(err, ERR_TEMP, "receive");
	if (n == 0)
		return err_set(err, ERR_TEMP, "unexpected end of the connection");
	buf_commit(&w->in, (size_t)n);
	return true;
}

static struct str
unseen(const struct wire *w)
{
	return str_skip(buf_str(&w->in), w->taken);
}

bool
wire_line(struct wire *w, size_t max, struct str *line_out, struct err *err)
{
	struct str line;
	size_t end;

	while ((end = str_index(unseen(w), '\n')) == unseen(w).len) {
		if (end > max)
			break;
		if (!fill(w, err))
			return false;
	}
	if (end > max)
		return err_set(err, ERR_TEMP, "a line of the answer is too long");
	line = str_head(unseen(w), end);
	w->taken += end + 1;
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	*line_out = line;
	return true;
}

bool
wire_bytes(struct wire *w, size_t n, struct str *out, struct err *err)
{
	if (n > w->max)
		return err_set(err, ERR_TEMP, "the answer is too long");
	while (unseen(w).len < n)
		if (!fill(w, err))
			return false;
	*out = str_head(unseen(w), n);
	w->taken += n;
	return true;
}
