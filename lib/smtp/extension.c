/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/extension.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "config/value.h"
#include "smtp/client.h"

static const struct {
	struct str keyword;
	unsigned feature;
} keywords[] = {
	{STR_INIT("PIPELINING"), SMTP_FEATURE_PIPELINING},
	{STR_INIT("SIZE"), SMTP_FEATURE_SIZE},
	{STR_INIT("8BITMIME"), SMTP_FEATURE_8BITMIME},
	{STR_INIT("DSN"), SMTP_FEATURE_DSN},
	{STR_INIT("ENHANCEDSTATUSCODES"), SMTP_FEATURE_ENHANCED},
	{STR_INIT("SMTPUTF8"), SMTP_FEATURE_SMTPUTF8},
	{STR_INIT("STARTTLS"), SMTP_FEATURE_STARTTLS},
	{STR_INIT("AUTH"), SMTP_FEATURE_AUTH},
	{STR_INIT("XFORWARD"), SMTP_FEATURE_XFORWARD},
	{STR_INIT("CHUNKING"), SMTP_FEATURE_CHUNKING},
	{STR_INIT("REQUIRETLS"), SMTP_FEATURE_REQUIRETLS},
};

unsigned
smtp_feature_of(struct str keyword)
{
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if (str_ieq(keyword, keywords[i].keyword))
			return keywords[i].feature;
	}
	return 0;
}

/* What may be in smtp_discard_ehlo_keywords, in the order of Postfix's log lines. Some of
 * these the client does not use anyway. */
static const struct str discardable[] = {
	STR_INIT("8BITMIME"),
	STR_INIT("AUTH"),
	STR_INIT("ETRN"),
	STR_INIT("PIPELINING"),
	STR_INIT("SIZE"),
	STR_INIT("VERP"),
	STR_INIT("VRFY"),
	STR_INIT("XCLIENT"),
	STR_INIT("XFORWARD"),
	STR_INIT("STARTTLS"),
	STR_INIT("ENHANCEDSTATUSCODES"),
	STR_INIT("DSN"),
	STR_INIT("SMTPUTF8"),
	STR_INIT("CHUNKING"),
};

void
smtp_features_parse(struct arena *mem, struct str text, unsigned *features_out,
		    struct str *names_out)
{
	bool silent = list_has(text, STR("silent-discard"));
	struct buf *names = buf_new(mem, 1024);
	unsigned features = 0;

	for (size_t i = 0; i < ARRAY_LEN(discardable); i++) {
		if (!list_has(text, discardable[i]))
			continue;
		features |= smtp_feature_of(discardable[i]);
		if (!silent)
			buf_printf(names, "%s" PRI_STR, names->len > 0 ? " " : "",
				   STR_ARG(discardable[i]));
	}
	*features_out = features;
	*names_out = buf_str(names);
}

unsigned
smtp_pix_parse(struct str text)
{
	return (list_has(text, STR("disable_esmtp")) ? SMTP_PIX_DISABLE_ESMTP : 0) |
	       (list_has(text, STR("delay_dotcrlf")) ? SMTP_PIX_DELAY_DOTCRLF : 0);
}

const char *
smtp_pix_name(unsigned pix)
{
	static const char *const names[] = {"", "disable_esmtp", "delay_dotcrlf",
					    "disable_esmtp delay_dotcrlf"};

	return names[pix & 3];
}
