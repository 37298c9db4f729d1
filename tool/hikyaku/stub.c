/* SPDX-License-Identifier: Apache-2.0 */
#include "stub.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/sys.h"

#include "dns/rdata.h"

enum {
	HEADER_BYTES = 12,
	QUESTION_MAX = HEADER_BYTES + DNS_NAME_MAX + 1 + 4,
	ANSWER_MAX = 4096,
	LABEL_MAX = 63,
	RCODE_SERVFAIL = 2,
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the question ---- */

/* Labels of the name at p; their length, 0 if it is no name. */
static size_t
put_name(unsigned char *p, struct str name)
{
	size_t n = 0;

	while (name.len > 0) {
		size_t len = str_index(name, '.');

		if (len == 0 || len > LABEL_MAX || n + len + 2 > DNS_NAME_MAX)
			return 0;
		p[n++] = (unsigned char)len;
		memcpy(p + n, name.p, len);
		n += len;
		name = str_skip(name, len + 1);
	}
	p[n++] = 0;
	return n;
}

/* Recursion desired, one question of class IN. 0: not a name. */
static size_t
put_question(unsigned char *p, uint16_t id, struct str name, enum dns_type type)
{
	const unsigned char header[HEADER_BYTES] = {
		(unsigned char)(id >> 8), (unsigned char)id, 1, 0, 0, 1};
	const unsigned char tail[] = {(unsigned char)(type >> 8), (unsigned char)type, 0,
				      1};
	size_t n;

	memcpy(p, header, sizeof(header));
	n = put_name(p + HEADER_BYTES, name);
	if (n == 0)
		return 0;
	memcpy(p + HEADER_BYTES + n, tail, sizeof(tail));
	return HEADER_BYTES + n + sizeof(tail);
}

/* ---- one server ---- */

/* "192.0.2.1", "192.0.2.1@5353", "fe80::1%eth0" */
static bool
server_address(const char *text, struct sockaddr_storage *out, socklen_t *len_out)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				       .ai_socktype = SOCK_DGRAM};
	char host[SERVERS_TEXT_MAX];
	const char *at = strchr(text, '@');
	size_t len = at == NULL ? strlen(text) : (size_t)(at - text);
	struct addrinfo *found;

	memcpy(host, text, len);
	host[len] = '\0';
	if (getaddrinfo(host, at == NULL ? "53" : at + 1, &hints, &found) != 0)
		return false;
	memcpy(out, found->ai_addr, found->ai_addrlen);
	*len_out = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

/* Bytes of the answer to question (its id is looked at), -1 if none came in time. */
static ssize_t
exchange(struct stub *s, const char *server, const unsigned char *question, size_t len,
	 unsigned char *answer)
{
	struct sockaddr_storage to;
	socklen_t to_len;
	ssize_t got = -1;
	int64_t end = MIN_OF(now_ms() + STUB_SERVER_MS, s->end_ms);
	int fd;

	if (!server_address(server, &to, &to_len))
		return -1;
	fd = sys_socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (sys_connect(fd, (struct sockaddr *)&to, to_len) != 0 ||
	    sys_send(fd, question, len, MSG_NOSIGNAL) != (ssize_t)len) {
		sys_close(fd);
		return -1;
	}
	for (int64_t left = end - now_ms(); left > 0; left = end - now_ms()) {
		const struct timeval limit = {left / 1000, left % 1000 * 1000};

		if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
			break;
		got = sys_recv(fd, answer, ANSWER_MAX, 0);
		if (got < 0 || (got >= HEADER_BYTES && memcmp(answer, question, 2) == 0))
			break;
		got = -1;
	}
	sys_close(fd);
	return got;
}

/* ---- the answer ---- */

/* The record's data with the names in it uncompressed. False: damaged. */
static bool
plain_data(struct arena *mem, const ns_msg *m, const ns_rr *rr, enum dns_type type,
	   struct str *out)
{
	const unsigned char *data = ns_rr_rdata(*rr);
	unsigned char name[NS_MAXCDNAME];
	const unsigned char *end;
	unsigned char *copy;

	*out = str_from_mem(data, ns_rr_rdlen(*rr));
	if (type != DNS_TYPE_MX)
		return true;
	if (out->len < 3 || ns_name_unpack(ns_msg_base(*m), ns_msg_end(*m), data + 2,
					   name, sizeof(name)) < 0)
		return false;
	for (end = name; *end != 0; end += *end + 1) {
	}
	copy = arena_alloc(mem, 2 + (size_t)(end - name) + 1);
	memcpy(copy, data, 2);
	memcpy(copy + 2, name, (size_t)(end - name) + 1);
	*out = str_from_mem(copy, 2 + (size_t)(end - name) + 1);
	return true;
}

static void
take_records(struct arena *mem, ns_msg *m, enum dns_type type, struct dns_answer *out)
{
	struct str *data = arena_alloc_array(mem, DNS_RECORDS_MAX, sizeof(*data));
	int n = ns_msg_count(*m, ns_s_an);
	int64_t ttl = 0;
	size_t used = 0;
	ns_rr rr;

	for (int i = 0; i < n && used < DNS_RECORDS_MAX; i++) {
		if (ns_parserr(m, ns_s_an, i, &rr) != 0)
			break;
		if ((int)ns_rr_type(rr) != (int)type ||
		    !plain_data(mem, m, &rr, type, &data[used]))
			continue;
		ttl = ns_rr_ttl(rr);
		used++;
	}
	if (used == 0)
		*out = (struct dns_answer){.result = DNS_NODATA};
	else
		dns_answer_parse(mem, type, data, used, ttl, out);
}

static void
read_answer(struct arena *mem, const unsigned char *p, size_t len, enum dns_type type,
	    struct dns_answer *out)
{
	ns_msg m;

	*out = (struct dns_answer){.result = DNS_MALFORMED};
	if (ns_initparse(p, (int)len, &m) != 0)
		return;
	if (ns_msg_getflag(m, ns_f_tc))
		*out = (struct dns_answer){.result = DNS_TRY_AGAIN,
					   .why = STR("the answer is too long")};
	else if (ns_msg_getflag(m, ns_f_rcode) == ns_r_nxdomain)
		out->result = DNS_NXDOMAIN;
	else if (ns_msg_getflag(m, ns_f_rcode) == RCODE_SERVFAIL)
		*out = (struct dns_answer){.result = DNS_TRY_AGAIN,
					   .why = STR("the name server has a problem")};
	else if (ns_msg_getflag(m, ns_f_rcode) != ns_r_noerror)
		out->result = DNS_FAIL;
	else
		take_records(mem, &m, type, out);
}

/* ---- all servers ---- */

/* The machine's own means, for `native`. */
static void
ask_native(struct arena *mem, struct str name, enum dns_type type, struct dns_answer *out)
{
	const struct addrinfo hints = {.ai_family =
					       type == DNS_TYPE_AAAA ? AF_INET6 : AF_INET,
				       .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int status = getaddrinfo(str_c(mem, name), NULL, &hints, &found);
	struct dns_record *r;
	size_t n = 0;

	*out = (struct dns_answer){.result = status == EAI_AGAIN ? DNS_TRY_AGAIN
								 : DNS_NXDOMAIN};
	if (status != 0)
		return;
	r = arena_alloc_array(mem, DNS_RECORDS_MAX, sizeof(*r));
	for (struct addrinfo *a = found; a != NULL && n < DNS_RECORDS_MAX;
	     a = a->ai_next) {
		char text[INET6_ADDRSTRLEN];

		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0,
				NI_NUMERICHOST) == 0)
			r[n++] = (struct dns_record){
				.type = type, .text = str_from(arena_strdup(mem, text))};
	}
	freeaddrinfo(found);
	*out = (struct dns_answer){
		.result = n > 0 ? DNS_FOUND : DNS_NODATA, .records = r, .n_records = n};
}

static void
ask(void *arg, struct arena *mem, struct str name, enum dns_type type, bool native,
    struct dns_answer *out)
{
	unsigned char question[QUESTION_MAX];
	unsigned char answer[ANSWER_MAX];
	struct stub *s = arg;
	uint16_t id = 0;
	size_t len;

	if (native) {
		ask_native(mem, name, type, out);
		return;
	}
	IGNORE(getrandom(&id, sizeof(id), 0) < 0);
	len = put_question(question, id, name, type);
	*out = (struct dns_answer){.result = len == 0 ? DNS_NXDOMAIN : DNS_TRY_AGAIN,
				   .why = STR("no name server answers")};
	for (size_t i = 0; len > 0 && i < s->servers.n; i++) {
		size_t k = (s->first + i) % s->servers.n;
		ssize_t got = exchange(s, s->servers.list[k], question, len, answer);

		if (got < 0)
			continue;
		read_answer(mem, answer, (size_t)got, type, out);
		s->first = k;
		if (out->result != DNS_TRY_AGAIN && out->result != DNS_FAIL)
			return;
	}
}

void
stub_init(struct stub *s, const struct servers *servers, int64_t budget_ms)
{
	*s = (struct stub){.dns = {.ask = ask, .arg = s},
			   .servers = *servers,
			   .end_ms = now_ms() + budget_ms};
}

bool
stub_server_answers(struct stub *s, size_t i, struct str name)
{
	unsigned char question[QUESTION_MAX];
	unsigned char answer[ANSWER_MAX];
	uint16_t id = 0;
	size_t len;

	IGNORE(getrandom(&id, sizeof(id), 0) < 0);
	len = put_question(question, id, name, DNS_TYPE_A);
	if (len == 0)
		len = put_question(question, id, STR_EMPTY, DNS_TYPE_A);
	return exchange(s, s->servers.list[i], question, len, answer) >= 0;
}
