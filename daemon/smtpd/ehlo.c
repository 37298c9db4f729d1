/* SPDX-License-Identifier: Apache-2.0 */
#include "ehlo.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "smtp/server_attribute.h"

enum { REPLY_MAX = 16384 };

static const struct {
	enum ehlo_keyword bit;
	const char *name;
	const char *arguments;
} rows[] = {
	{EHLO_PIPELINING, "PIPELINING", NULL},
	{EHLO_SIZE, "SIZE", NULL},
	{EHLO_VRFY, "VRFY", NULL},
	{EHLO_ETRN, "ETRN", NULL},
	{EHLO_STARTTLS, "STARTTLS", NULL},
	{EHLO_AUTH, "AUTH", NULL},
	{EHLO_XVERP, "XVERP", NULL},
	{EHLO_XCLIENT, "XCLIENT", smtp_xclient_names},
	{EHLO_XFORWARD, "XFORWARD", smtp_xforward_names},
	{EHLO_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES", NULL},
	{EHLO_8BITMIME, "8BITMIME", NULL},
	{EHLO_DSN, "DSN", NULL},
	{EHLO_SMTPUTF8, "SMTPUTF8", NULL},
	{EHLO_CHUNKING, "CHUNKING", NULL},
};

unsigned
ehlo_keywords_parse(struct arena *mem, struct str text, struct str *names_out)
{
	struct buf *names = buf_new(mem, REPLY_MAX);
	unsigned found = 0;
	bool silent = false;
	struct str rest = text;
	struct str word;

	while (str_token(&rest, ", \t\r\n", &word)) {
		silent = silent || str_ieq(word, STR("silent-discard"));
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			if (!str_ieq(word, str_from(rows[i].name)) ||
			    (found & rows[i].bit) != 0)
				continue;
			found |= rows[i].bit;
		}
	}
	/* As the reply has them: in its order, each once. */
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((found & rows[i].bit) != 0)
			buf_printf(names, "%s%s", names->len > 0 ? " " : "",
				   rows[i].name);
	*names_out = silent ? STR_EMPTY : buf_str(names);
	return found;
}

static void
add_mechanisms(struct buf *out, const struct ehlo_offer *offer, bool is_last)
{
	buf_printf(out, " " PRI_STR, STR_ARG(offer->mechanisms));
	if (!offer->old_auth)
		return;
	/* The line before it was not the last one after all. */
	if (is_last)
		out->p[out->len - offer->mechanisms.len - STR("AUTH ").len - 1] = '-';
	buf_printf(out, "\r\n250%cAUTH=" PRI_STR, is_last ? ' ' : '-',
		   STR_ARG(offer->mechanisms));
}

struct str
ehlo_format(struct arena *mem, struct str hostname, const struct ehlo_offer *offer)
{
	unsigned keywords = offer->keywords;
	struct buf *out = buf_new(mem, REPLY_MAX);
	size_t last = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((keywords & rows[i].bit) != 0)
			last = i + 1;
	buf_printf(out, "250%c" PRI_STR, last > 0 ? '-' : ' ', STR_ARG(hostname));
	for (size_t i = 0; i < last; i++) {
		if ((keywords & rows[i].bit) == 0)
			continue;
		buf_printf(out, "\r\n250%c%s", i + 1 == last ? ' ' : '-', rows[i].name);
		if (rows[i].bit == EHLO_SIZE && offer->size > 0)
			buf_printf(out, " %" PRId64, offer->size);
		if (rows[i].bit == EHLO_AUTH)
			add_mechanisms(out, offer, i + 1 == last);
		if (rows[i].arguments != NULL)
			buf_printf(out, " %s", rows[i].arguments);
	}
	return buf_str(out);
}
