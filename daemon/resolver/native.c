/* SPDX-License-Identifier: Apache-2.0 */
#include "native.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/arena.h"

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

void
native_ask(struct offload *offload, struct arena *mem, struct str name,
	   enum dns_type type, struct dns_answer *answer_out)
{
	struct job job = {.name = str_c(mem, name),
			  .family = type == DNS_TYPE_A ? AF_INET : AF_INET6};
	struct dns_answer answer = {.result = DNS_NODATA};
	struct dns_record *records;

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
		    to_record(mem, ai, type, &records[answer.n_records]))
			answer.n_records++;
	freeaddrinfo(job.list);
	if (answer.n_records > 0)
		answer.result = DNS_FOUND;
	answer.records = records;
	*answer_out = answer;
}
