/* SPDX-License-Identifier: Apache-2.0 */
#include "native.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/io.h"

#include "fiber/offload.h"

struct job {
	const char *name;
	int family;
	struct addrinfo *list;
	int rc;
};

static void
run(void *arg)
{
	struct job *job = arg;
	const struct addrinfo hints = {.ai_family = job->family,
				       .ai_socktype = SOCK_STREAM};

	job->rc = getaddrinfo(job->name, NULL, &hints, &job->list);
}

static enum dns_result
result_of(int rc)
{
	switch (rc) {
	case EAI_AGAIN:
	case EAI_MEMORY:
	case EAI_SYSTEM:
		return DNS_TRY_AGAIN;
	case EAI_NONAME:
		return DNS_NXDOMAIN;
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return DNS_NODATA;
	default:
		return DNS_FAIL;
	}
}

static bool
to_record(struct arena *mem, const struct addrinfo *ai, enum dns_type type,
	  struct dns_record *record)
{
	const struct sockaddr_in6 *in6 = (const void *)ai->ai_addr;
	const struct sockaddr_in *in = (const void *)ai->ai_addr;
	const void *address = type == DNS_TYPE_A ? (const void *)&in->sin_addr
						 : (const void *)&in6->sin6_addr;
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(ai->ai_family, address, text, sizeof(text)) == NULL)
		return false;
	*record = (struct dns_record){.type = type, .text = str_dup(mem, str_from(text))};
	return true;
}

/* The C library says an address twice that two lines of the hosts file have, and also
 * 127.0.0.1 where the file has ::1. */
static bool
has_record(const struct dns_answer *answer, const struct dns_record *records,
	   struct str text)
{
	for (size_t i = 0; i < answer->n_records; i++) {
		if (str_eq(records[i].text, text))
			return true;
	}
	return false;
}

/* ---- names of addresses ---- */

enum { HOSTS_BYTES_MAX = 1 << 20, V4_LABELS = 4, V6_LABELS = 32 };

/* "7.2.0.192.in-addr.arpa" back to the address it stands for. */
static bool
parse_v4(struct str labels, struct in_addr *out)
{
	unsigned char *b = (unsigned char *)out;
	size_t n = 0;
	struct str label;

	while (str_token(&labels, ".", &label)) {
		int64_t value;

		if (n == V4_LABELS || !str_to_i64(label, 0, 255, &value))
			return false;
		b[V4_LABELS - 1 - n++] = (unsigned char)value;
	}
	return n == V4_LABELS;
}

static bool
parse_v6(struct str labels, struct in6_addr *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;
	struct str label;

	*out = (struct in6_addr){0};
	while (str_token(&labels, ".", &label)) {
		const char *d;
		unsigned value;

		if (n == V6_LABELS || label.len != 1)
			return false;
		d = memchr(digits, char_lower(label.p[0]), sizeof(digits) - 1);
		if (d == NULL)
			return false;
		value = (unsigned)(d - digits);
		out->s6_addr[(V6_LABELS - 1 - n) / 2] |=
			(unsigned char)(n % 2 == 0 ? value : value << 4);
		n++;
	}
	return n == V6_LABELS;
}

static bool
address_of(struct str name, int *family_out, unsigned char out[sizeof(struct in6_addr)])
{
	struct str v4 = STR(".in-addr.arpa");
	struct str v6 = STR(".ip6.arpa");

	if (str_iends(name, v4)) {
		*family_out = AF_INET;
		return parse_v4(str_head(name, name.len - v4.len), (void *)out);
	}
	*family_out = AF_INET6;
	return str_iends(name, v6) &&
	       parse_v6(str_head(name, name.len - v6.len), (void *)out);
}

/* The first name on the line of that address. */
static bool
find_in_hosts(struct arena *mem, struct str text, int family, const void *address,
	      struct str *name_out)
{
	size_t size =
		family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	struct str line;

	while (str_line(&text, &line)) {
		struct str rest = str_head(line, str_index(line, '#'));
		unsigned char found[sizeof(struct in6_addr)];
		struct str first;

		if (str_token(&rest, " \t", &first) &&
		    inet_pton(family, str_c(mem, first), found) == 1 &&
		    memcmp(found, address, size) == 0 &&
		    str_token(&rest, " \t", name_out))
			return true;
	}
	return false;
}

/* From the hosts file only: whoever asks goes on to the DNS by itself. */
static void
ask_name(struct arena *mem, struct str question, struct dns_answer *answer)
{
	unsigned char address[sizeof(struct in6_addr)] = {0};
	struct dns_record *record = ARENA_NEW(mem, struct dns_record);
	struct str text;
	struct err err;
	int family;

	if (!address_of(question, &family, address) ||
	    !io_read_file(mem, AT_FDCWD, "/etc/hosts", HOSTS_BYTES_MAX, &text, &err) ||
	    !find_in_hosts(mem, text, family, address, &record->text))
		return;
	record->type = DNS_TYPE_PTR;
	answer->result = DNS_FOUND;
	answer->records = record;
	answer->n_records = 1;
}

void
native_ask(struct offload *offload, struct arena *mem, struct str name,
	   enum dns_type type, struct dns_answer *answer_out)
{
	struct job job = {.name = str_c(mem, name),
			  .family = type == DNS_TYPE_A ? AF_INET : AF_INET6};
	struct dns_answer answer = {.result = DNS_NODATA};
	struct dns_record *records;

	if (type == DNS_TYPE_PTR)
		ask_name(mem, name, &answer);
	if (type != DNS_TYPE_A && type != DNS_TYPE_AAAA) {
		*answer_out = answer;
		return;
	}
	offload_run(offload, run, &job);
	if (job.rc != 0) {
		answer.result = result_of(job.rc);
		answer.why = str_dup(mem, str_from(gai_strerror(job.rc)));
		*answer_out = answer;
		return;
	}
	records = arena_alloc_array(mem, DNS_RECORDS_MAX, sizeof(*records));
	for (const struct addrinfo *ai = job.list; ai != NULL; ai = ai->ai_next)
		if (answer.n_records < DNS_RECORDS_MAX && ai->ai_family == job.family &&
		    to_record(mem, ai, type, &records[answer.n_records]) &&
		    !has_record(&answer, records, records[answer.n_records].text))
			answer.n_records++;
	freeaddrinfo(job.list);
	if (answer.n_records > 0)
		answer.result = DNS_FOUND;
	answer.records = records;
	*answer_out = answer;
}
