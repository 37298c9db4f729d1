/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/endpoint.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/sys.h"

struct parts {
	struct str host; /* empty: none */
	struct str port;
};

static bool
unix_endpoint(struct str path, struct endpoint *out, struct err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (path.len == 0 || path.len >= sizeof(un.sun_path))
		return err_set(err, ERR_CONFIG, "unix:" PRI_STR ": bad path length",
			       STR_ARG(path));
	memcpy(un.sun_path, path.p, path.len);
	*out = (struct endpoint){.count = 1};
	memcpy(&out->addresses[0].address, &un, sizeof(un));
	out->addresses[0].len = sizeof(un);
	return true;
}

/* "[address]", "[address]:port", "host:port", or one word in *host. */
static bool
split(struct str text, struct parts *out, struct err *err)
{
	size_t close = str_index(text, ']');
	struct str rest;

	*out = (struct parts){STR_EMPTY, STR_EMPTY};
	if (str_starts(text, STR("["))) {
		if (close == text.len)
			return err_set(err, ERR_CONFIG, PRI_STR ": no \"]\"",
				       STR_ARG(text));
		out->host = str_skip(str_head(text, close), 1);
		rest = str_skip(text, close + 1);
		if (rest.len == 0)
			return true;
		if (rest.p[0] != ':')
			return err_set(err, ERR_CONFIG, PRI_STR ": no \":\" after \"]\"",
				       STR_ARG(text));
		out->port = str_skip(rest, 1);
		return true;
	}
	if (!str_split(text, ':', &out->host, &out->port))
		out->host = text;
	return true;
}

static bool
look_up(struct arena *mem, const char *text, const struct parts *parts, int family,
	int flags, struct endpoint *out, struct err *err)
{
	struct addrinfo hints = {
		.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	const char *host = parts->host.len == 0 ? NULL : str_c(mem, parts->host);
	struct addrinfo *list = NULL;
	int failed = getaddrinfo(host, str_c(mem, parts->port), &hints, &list);

	if (failed != 0)
		return err_set(err, ERR_CONFIG, "%s: %s", text, gai_strerror(failed));
	*out = (struct endpoint){.count = 0};
	for (struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		struct endpoint_address *to = &out->addresses[out->count];

		if (out->count == ENDPOINT_ADDRESSES_MAX)
			break;
		memcpy(&to->address, a->ai_addr, a->ai_addrlen);
		to->len = a->ai_addrlen;
		out->count++;
	}
	freeaddrinfo(list);
	return true;
}

static bool
is_unix(struct str text, struct str *path)
{
	if (!str_starts(text, STR("unix:")))
		return false;
	*path = str_skip(text, 5);
	return true;
}

static struct str
without_inet(struct str text)
{
	return str_starts(text, STR("inet:")) ? str_skip(text, 5) : text;
}

bool
endpoint_for_listening(struct arena *mem, const char *text, int family,
		       struct endpoint *out, struct err *err)
{
	struct str s = str_from(text);
	struct parts parts;
	struct str path;

	if (is_unix(s, &path))
		return unix_endpoint(path, out, err);
	if (!split(without_inet(s), &parts, err))
		return false;
	if (parts.port.len == 0)
		parts = (struct parts){STR_EMPTY, parts.host};
	if (parts.port.len == 0)
		return err_set(err, ERR_CONFIG, "%s: no port", text);
	return look_up(mem, text, &parts, family, AI_PASSIVE, out, err);
}

bool
endpoint_for_connecting(struct arena *mem, const char *text, int family,
			const char *default_port, struct endpoint *out, struct err *err)
{
	struct str s = str_from(text);
	struct parts parts;
	struct str path;

	if (is_unix(s, &path))
		return unix_endpoint(path, out, err);
	if (!split(without_inet(s), &parts, err))
		return false;
	if (parts.host.len == 0)
		return err_set(err, ERR_CONFIG, "%s: no host", text);
	if (parts.port.len == 0)
		parts.port = str_from(default_port);
	return look_up(mem, text, &parts, family, 0, out, err);
}

static bool
set_up_listening(int fd, const struct endpoint_address *at, int backlog, int window_bytes,
		 struct err *err)
{
	static const int on = 1;
	int family = at->address.ss_family;

	if (family == AF_INET6)
		IGNORE(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0);
	if (family != AF_UNIX)
		IGNORE(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0);
	/* Before listen(): the window scale is settled in the handshake. */
	if (window_bytes > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window_bytes,
					   sizeof(window_bytes)) < 0)
		return err_errno(err, ERR_CONFIG, "set the receive buffer size");
	if (sys_bind(fd, (const struct sockaddr *)&at->address, at->len) < 0)
		return err_errno(err, ERR_CONFIG, "bind");
	if (sys_listen(fd, backlog) < 0)
		return err_errno(err, ERR_CONFIG, "listen");
	return true;
}

bool
endpoint_listen(const struct endpoint_address *at, int backlog, int window_bytes,
		int *fd_out, struct err *err)
{
	int fd = sys_socket(at->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un un;
	struct stat st;

	if (fd < 0)
		return err_errno(err, ERR_CONFIG, "socket");
	if (at->address.ss_family == AF_UNIX) {
		memcpy(&un, &at->address, sizeof(un));
		if (sys_fstatat(AT_FDCWD, un.sun_path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISSOCK(st.st_mode))
			IGNORE(sys_unlinkat(AT_FDCWD, un.sun_path, 0) < 0);
	}
	if (!set_up_listening(fd, at, backlog, window_bytes, err)) {
		sys_close(fd);
		return false;
	}
	*fd_out = fd;
	return true;
}
