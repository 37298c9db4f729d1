/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/servers.h"

#include <fcntl.h>
#include <string.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/sys.h"

#include "mail/address.h"

static bool
add(struct servers *s, struct str address)
{
	char *slot;

	if (s->n == SERVERS_MAX || address.len >= SERVERS_TEXT_MAX)
		return false;
	slot = s->list[s->n];
	memcpy(slot, address.p, address.len);
	slot[address.len] = '\0';
	s->n++;
	return true;
}

/* "fe80::1%eth0": the scope is the resolver library's business. */
static bool
is_address(struct str text)
{
	struct str scope;

	if (str_split(text, '%', &text, &scope) && scope.len == 0)
		return false;
	return hostaddr_is_valid(text);
}

static bool
is_server(struct str text)
{
	struct str address = text;
	struct str port;
	uint64_t number;

	if (str_split(text, '@', &address, &port) &&
	    (!str_to_u64(port, 65535, &number) || number == 0))
		return false;
	return is_address(address);
}

bool
servers_parse_list(struct str text, struct servers *out, struct err *err)
{
	struct servers s = {.n = 0};
	struct str item;

	while (str_token(&text, ", \t\r\n", &item)) {
		if (!is_server(item))
			return err_set(err, ERR_CONFIG,
				       "resolver_nameservers: \"" PRI_STR
				       "\" is not an address or address@port",
				       STR_ARG(item));
		if (!add(&s, item))
			return err_set(err, ERR_CONFIG,
				       "resolver_nameservers: more than %d", SERVERS_MAX);
	}
	if (s.n == 0)
		return err_set(err, ERR_CONFIG, "resolver_nameservers: no address");
	*out = s;
	return true;
}

void
servers_parse_file(struct str text, struct servers *out)
{
	struct servers s = {.n = 0};
	struct str line;

	while (str_line(&text, &line)) {
		struct str word, address;

		if (!str_token(&line, " \t", &word) || !str_eq(word, STR("nameserver")) ||
		    !str_token(&line, " \t", &address) || !is_address(address))
			continue;
		if (!add(&s, address))
			break;
	}
	if (s.n == 0)
		IGNORE(!add(&s, STR("127.0.0.1")));
	*out = s;
}

bool
servers_same(const struct servers *a, const struct servers *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->list[i], b->list[i]) != 0)
			return false;
	return true;
}

/* False, and nothing changed, if the file cannot be read. */
static bool
read_file(struct servers_source *source)
{
	struct arena *mem = arena_new();
	struct stat st;
	struct str text;
	struct err err;
	bool ok =
		sys_fstatat(AT_FDCWD, source->file, &st, 0) == 0 && st.st_size > 0 &&
		io_read_file(mem, AT_FDCWD, source->file, SERVERS_FILE_MAX, &text, &err);

	if (ok) {
		source->seen = st;
		servers_parse_file(text, &source->now);
	}
	arena_free(&mem);
	return ok;
}

bool
servers_open(struct arena *mem, struct str parameter, struct servers_source *source,
	     struct err *err)
{
	*source = (struct servers_source){.file = NULL};
	parameter = str_trim(parameter);
	if (parameter.len > 0 && parameter.p[0] != '/')
		return servers_parse_list(parameter, &source->now, err);
	source->file = parameter.len > 0 ? str_c(mem, parameter) : "/etc/resolv.conf";
	if (!read_file(source))
		servers_parse_file(STR_EMPTY, &source->now);
	return true;
}

bool
servers_refresh(struct servers_source *source)
{
	struct servers before = source->now;
	struct stat st;

	if (source->file == NULL || sys_fstatat(AT_FDCWD, source->file, &st, 0) != 0)
		return false;
	if (st.st_ino == source->seen.st_ino && st.st_dev == source->seen.st_dev &&
	    st.st_size == source->seen.st_size &&
	    st.st_mtim.tv_sec == source->seen.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == source->seen.st_mtim.tv_nsec)
		return false;
	return read_file(source) && !servers_same(&before, &source->now);
}
