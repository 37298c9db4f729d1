/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/dns.h"

#include "base/arena.h"
#include "base/macros.h"

#include "ipc/messages.h"

static const struct {
	enum dns_type type;
	const char *name;
} types[] = {
	{DNS_TYPE_A, "A"},     {DNS_TYPE_CNAME, "CNAME"}, {DNS_TYPE_PTR, "PTR"},
	{DNS_TYPE_MX, "MX"},   {DNS_TYPE_TXT, "TXT"},     {DNS_TYPE_AAAA, "AAAA"},
	{DNS_TYPE_SRV, "SRV"}, {DNS_TYPE_TLSA, "TLSA"},   {DNS_TYPE_NS, "NS"},
};

const char *
dns_type_name(enum dns_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].type == type)
			return types[i].name;
	}
	return "unknown";
}

bool
dns_type_is_known(int64_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].type == type)
			return true;
	}
	return false;
}

const char *
dns_result_text(enum dns_result result)
{
	switch (result) {
	case DNS_FOUND:
		return "Host found";
	case DNS_NXDOMAIN:
		return "Host not found";
	case DNS_NODATA:
		return "Host found but no data record of requested type";
	case DNS_TRY_AGAIN:
		return "Host not found, try again";
	case DNS_FAIL:
		return "Non-recoverable error";
	case DNS_MALFORMED:
		return "Malformed or unexpected name server reply";
	}
	return "unknown";
}

static bool
receive_records(struct ipc *ipc, struct arena *mem, struct dns_answer *answer,
		size_t count, struct err *err)
{
	struct dns_record *records = arena_alloc_array(mem, count, sizeof(*records));

	for (size_t i = 0; i < count; i++) {
		struct msg_dns_record m;

		if (ipc_receive(ipc, mem, &ipc_dns_record, &m, err) != IPC_DONE)
			return false;
		if (!dns_type_is_known(m.type))
			return err_set(err, ERR_PERM, "dns_record.type: unknown");
		records[i] = (struct dns_record){.type = (enum dns_type)m.type,
						 .ttl = m.ttl,
						 .preference = m.preference,
						 .weight = m.weight,
						 .port = m.port,
						 .text = m.text};
	}
	answer->records = records;
	answer->n_records = count;
	return true;
}

bool
dns_exchange(struct ipc *ipc, struct arena *mem, struct str name, enum dns_type type,
	     bool native, struct dns_answer *answer_out, struct err *err)
{
	const struct msg_dns_question question = {
		.name = name, .type = type, .flags = native};
	struct dns_answer answer;
	struct msg_dns_answer m;
	enum ipc_result result;

	if (name.len == 0 || name.len > DNS_NAME_MAX) {
		*answer_out = (struct dns_answer){.result = DNS_NXDOMAIN,
						  .why = STR("bad length of name")};
		return true;
	}
	if (!ipc_send(ipc, &ipc_dns_question, &question, err))
		return false;
	result = ipc_receive(ipc, mem, &ipc_dns_answer, &m, err);
	if (result == IPC_CLOSED)
		return err_set(err, ERR_TEMP, "the resolver closed the connection");
	if (result != IPC_DONE)
		return false;
	if (m.result > DNS_MALFORMED)
		return err_set(err, ERR_PERM, "dns_answer.result: unknown");
	answer = (struct dns_answer){.result = (enum dns_result)m.result,
				     .authenticated = m.authenticated != 0,
				     .canonical = m.canonical,
				     .why = m.why};
	if (!receive_records(ipc, mem, &answer, (size_t)m.record_count, err))
		return false;
	*answer_out = answer;
	return true;
}
