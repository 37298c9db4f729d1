/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/rdata.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/reader.h"

#include "mail/address.h"

/* A name of 255 bytes on the wire is 253 characters long: no first length, no root. */
enum { LABEL_MAX = 63, NAME_TEXT_MAX = DNS_NAME_MAX - 2, TEXT_MAX = 65535 };

/* A name, which must be the last thing read. Compression pointers were resolved by who
 * gave us the data; here they are errors, as every length above 63 is. */
static bool
take_name(struct arena *mem, struct reader *r, struct str *name_out)
{
	struct buf *name = buf_new(mem, NAME_TEXT_MAX);
	struct err err;
	uint8_t len;

	while ((len = reader_u8(r)) != 0 && reader_ok(r)) {
		struct str label = reader_bytes(r, len);

		/* A dot within a label would look like two labels. */
		if (len > LABEL_MAX || str_contains(label, '.'))
			return false;
		if (name->len > 0)
			buf_add_char(name, '.');
		buf_add(name, label);
	}
	if (!reader_ok(r) || !buf_ok(name))
		return false;
	*name_out = buf_str(name);
	return name->len == 0 || hostname_check(*name_out, false, &err);
}

static bool
take_address(struct arena *mem, struct reader *r, int family, size_t len,
	     struct str *text_out)
{
	char text[INET6_ADDRSTRLEN];
	struct str bytes = reader_bytes(r, len);

	if (!reader_ok(r) || inet_ntop(family, bytes.p, text, sizeof(text)) == NULL)
		return false;
	*text_out = str_dup(mem, str_from(text));
	return true;
}

static bool
take_strings(struct arena *mem, struct reader *r, struct str *text_out)
{
	struct buf *text = buf_new(mem, TEXT_MAX);

	do {
		buf_add(text, reader_bytes(r, reader_u8(r)));
	} while (reader_ok(r) && !reader_at_end(r));
	*text_out = buf_str(text);
	return reader_ok(r) && buf_ok(text);
}

static bool
take_data(struct arena *mem, enum dns_type type, struct reader *r, struct dns_record *out)
{
	switch (type) {
	case DNS_TYPE_A:
		return take_address(mem, r, AF_INET, 4, &out->text);
	case DNS_TYPE_AAAA:
		return take_address(mem, r, AF_INET6, 16, &out->text);
	case DNS_TYPE_CNAME:
	case DNS_TYPE_NS:
	case DNS_TYPE_PTR:
		return take_name(mem, r, &out->text) && out->text.len > 0;
	case DNS_TYPE_MX:
		out->preference = reader_u16(r);
		return take_name(mem, r, &out->text);
	case DNS_TYPE_SRV:
		out->preference = reader_u16(r);
		out->weight = reader_u16(r);
		out->port = reader_u16(r);
		return take_name(mem, r, &out->text);
	case DNS_TYPE_TXT:
		return take_strings(mem, r, &out->text);
	case DNS_TYPE_TLSA:
		/* Usage, selector, matching type, then at least one byte. */
		out->text = str_dup(mem, reader_bytes(r, r->rest.len));
		return out->text.len > 3;
	}
	return false;
}

bool
dns_rdata_parse(struct arena *mem, enum dns_type type, struct str data,
		struct dns_record *record_out)
{
	struct dns_record record = {.type = type};
	struct reader r;

	if (data.len > TEXT_MAX)
		return false;
	reader_init(&r, data);
	if (!take_data(mem, type, &r, &record) || !reader_ok(&r) || !reader_at_end(&r))
		return false;
	*record_out = record;
	return true;
}

void
dns_answer_parse(struct arena *mem, enum dns_type type, const struct str *data,
		 size_t n_data, int64_t ttl, struct dns_answer *answer_out)
{
	struct dns_answer answer = {.result = n_data > 0 ? DNS_MALFORMED : DNS_NODATA};
	struct dns_record *records =
		arena_alloc_array(mem, DNS_RECORDS_MAX, sizeof(*records));

	for (size_t i = 0; i < n_data && answer.n_records < DNS_RECORDS_MAX; i++) {
		struct dns_record *record = &records[answer.n_records];

		if (!dns_rdata_parse(mem, type, data[i], record))
			continue;
		record->ttl = ttl;
		answer.n_records++;
		answer.result = DNS_FOUND;
	}
	answer.records = records;
	*answer_out = answer;
}
