/* SPDX-License-Identifier: Apache-2.0 */
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"

enum { BACKLOG = 4096 }; /* the kernel cuts it to net.core.somaxconn */

static struct open_socket *
find(const struct socket_set *set, const char *key)
{
	for (size_t i = 0; set != NULL && i < set->count; i++) {
		if (strcmp(set->at[i].key, key) == 0)
			return &set->at[i];
	}
	return NULL;
}

int
sockets_find(const struct socket_set *set, const char *key)
{
	const struct open_socket *s = find(set, key);

	return s == NULL ? -1 : s->fd;
}

static int
open_kind(const struct plan_socket *s)
{
	int kind =
		SOCK_CLOEXEC | SOCK_NONBLOCK | (s->datagram ? SOCK_DGRAM : SOCK_STREAM);

	return sys_socket(s->is_unix ? AF_UNIX : s->endpoint.address.ss_family, kind, 0);
}

/* What lies there is of a master that is gone (we hold the lock), or a fifo of Postfix.
 */
static bool
clear_path(const char *path, struct err *err)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || err_errno(err, ERR_TEMP, "stat %s", path);
	if (!S_ISSOCK(st.st_mode) && !S_ISFIFO(st.st_mode))
		return err_set(err, ERR_CONFIG, "%s exists and is no socket", path);
	return sys_unlinkat(AT_FDCWD, path, 0) == 0 ||
	       err_errno(err, ERR_TEMP, "remove %s", path);
}

static bool
bind_unix(int fd, const char *path, uid_t owner, struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(err, ERR_CONFIG, "socket name too long: %s", path);
	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1);
	if (!clear_path(path, err))
		return false;
	if (sys_bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		return err_errno(err, ERR_TEMP, "bind %s", path);
	/* Who may connect is decided by the directory's mode. */
	if (sys_fchmodat(AT_FDCWD, path, 0666, 0) != 0)
		return err_errno(err, ERR_TEMP, "chmod %s", path);
	if (geteuid() == 0 &&
	    fchownat(AT_FDCWD, path, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, ERR_TEMP, "chown %s", path);
	return true;
}

static bool
bind_inet(int fd, const struct endpoint *e, struct err *err)
{
	int on = 1;

	IGNORE(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0);
	if (e->address.ss_family == AF_INET6)
		IGNORE(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0);
	return sys_bind(fd, (const struct sockaddr *)&e->address, e->len) == 0 ||
	       err_errno(err, ERR_TEMP, "bind %s", e->text);
}

static bool
open_one(const struct plan_socket *s, uid_t owner, int *fd_out, struct err *err)
{
	int fd = open_kind(s);
	bool ok;

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "socket for %s", s->key);
	ok = s->is_unix ? bind_unix(fd, s->path, owner, err)
			: bind_inet(fd, &s->endpoint, err);
	if (ok && !s->datagram && sys_listen(fd, BACKLOG) != 0)
		ok = err_errno(err, ERR_TEMP, "listen on %s", s->key);
	if (!ok) {
		sys_close(fd);
		return false;
	}
	*fd_out = fd;
	return true;
}

static bool
is_absent_address(const struct plan_socket *s, const struct err *err)
{
	return !s->is_unix && s->endpoint.optional &&
	       (err->errnum == EADDRNOTAVAIL || err->errnum == EAFNOSUPPORT);
}

static bool
add(struct socket_set *set, const struct plan_socket *s, const struct socket_set *before,
    uid_t owner, struct log *log, struct err *err)
{
	struct open_socket o = {.fd = -1};
	const struct open_socket *old = find(before, s->key);

	if (find(set, s->key) != NULL)
		return err_set(err, ERR_CONFIG, "two services listen on %s", s->key);
	if (old != NULL) {
		o.fd = old->fd;
		o.old = true;
	} else if (!open_one(s, owner, &o.fd, err)) {
		if (!is_absent_address(s, err))
			return false;
		log_warning(log, "%s: not listening there", err->text);
	}
	o.key = mem_strdup(s->key);
	o.path = s->is_unix ? mem_strdup(s->path) : NULL;
	set->at[set->count++] = o;
	return true;
}

static void
set_free(struct socket_set **set)
{
	for (size_t i = 0; i < (*set)->count; i++) {
		mem_free((*set)->at[i].key);
		mem_free((*set)->at[i].path);
	}
	mem_free((*set)->at);
	mem_free(*set);
	*set = NULL;
}

static void
close_socket(struct open_socket *s)
{
	if (s->fd >= 0)
		sys_close(s->fd);
	if (s->path != NULL)
		IGNORE(sys_unlinkat(AT_FDCWD, s->path, 0) != 0);
}

void
sockets_drop(struct socket_set **fresh)
{
	for (size_t i = 0; i < (*fresh)->count; i++) {
		if (!(*fresh)->at[i].old)
			close_socket(&(*fresh)->at[i]);
	}
	set_free(fresh);
}

void
sockets_replace(struct socket_set **old, const struct socket_set *by)
{
	if (*old == NULL)
		return;
	for (size_t i = 0; i < (*old)->count; i++) {
		if (find(by, (*old)->at[i].key) == NULL)
			close_socket(&(*old)->at[i]);
	}
	set_free(old);
}

bool
sockets_open(const struct plan *plan, struct socket_set *before, uid_t owner,
	     struct log *log, struct socket_set **out, struct err *err)
{
	struct socket_set *set = mem_alloc(sizeof(*set));
	size_t n = 0;

	for (size_t i = 0; i < plan->service_count; i++)
		n += plan->services[i].socket_count;
	set->at = mem_alloc_array(n, sizeof(*set->at));
	for (size_t i = 0; i < plan->service_count; i++) {
		const struct plan_service *s = &plan->services[i];

		for (size_t j = 0; j < s->socket_count; j++) {
			if (!add(set, &s->sockets[j], before, owner, log, err)) {
				sockets_drop(&set);
				return false;
			}
		}
	}
	*out = set;
	return true;
}
