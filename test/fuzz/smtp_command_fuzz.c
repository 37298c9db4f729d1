/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines of a hostile client: whatever comes, words stay within the line, replies
 * are one line, addresses that are accepted survive being written and read again.
 */
#include "base/arena.h"
#include "base/panic.h"

#include "mail/address.h"
#include "smtp/server_attribute.h"
#include "smtp/server_command.h"

#include "fuzz.h"

static void
check_reply(struct str reply)
{
	ensure(reply.len > 4 && (reply.p[0] == '4' || reply.p[0] == '5'));
	ensure(!str_contains(reply, '\n'));
}

static void
check_words(struct str line, const struct smtp_words *words)
{
	const char *end = line.p;

	ensure(words->n <= SMTP_WORDS_MAX);
	for (size_t i = 0; i < words->n; i++) {
		struct str w = words->word[i];

		ensure(w.len > 0 && w.p >= end && w.p + w.len <= line.p + line.len);
		end = w.p + w.len;
	}
}

/* What we accepted we must accept again when another server of ours says it. */
static void
check_address(struct arena *mem, struct str address, bool may_be_empty)
{
	const struct smtp_path_rules rules = {.utf8 = true, .may_be_empty = may_be_empty};
	struct str quoted = address_quote_smtp(mem, address);
	struct str path = str_printf(mem, "<" PRI_STR ">", STR_ARG(quoted));
	struct str again;

	ensure(!str_contains(address, '\n'));
	if (smtp_path_parse(mem, path, &rules, &again) == SMTP_PATH_OK)
		ensure(str_ieq(again, address) || str_contains(address, '@'));
}

static void
run(struct arena *mem, struct str line, const struct smtp_offer *offer)
{
	struct smtp_command_fault fault;
	struct smtp_attributes attributes;
	struct smtp_mail_command mail;
	struct smtp_rcpt_command rcpt;
	struct smtp_words words;
	struct str reply;
	struct str text;
	int64_t count;
	bool last;

	smtp_words_split(mem, line, &words);
	check_words(line, &words);
	if (words.n == 0)
		return;
	ensure(smtp_verb_find(words.word[0]) <= SMTP_VERBS);
	if (smtp_mail_parse(mem, &words, offer, &mail, &fault))
		check_address(mem, mail.address, true);
	else
		check_reply(fault.reply);
	if (smtp_rcpt_parse(mem, &words, offer, false, &rcpt, &fault))
		check_address(mem, rcpt.address, false);
	else
		check_reply(fault.reply);
	if (!smtp_vrfy_parse(mem, &words, offer, &text, &reply, &fault))
		check_reply(fault.reply);
	ensure(!smtp_bdat_parse(&words, &count, &last) || count >= 0);
	if (!smtp_attributes_parse(mem, &words, true, true, true, &attributes, &reply))
		check_reply(reply);
	if (!smtp_attributes_parse(mem, &words, false, true, true, &attributes, &reply))
		check_reply(reply);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str rest = str_from_mem(data, size);
	struct str line;
	const struct smtp_offer all = {.dsn = true, .utf8 = true};
	const struct smtp_offer strict = {.strict = true, .must_declare = true};

	/* A server reads lines. */
	while (str_line(&rest, &line)) {
		run(mem, line, &all);
		run(mem, line, &strict);
		arena_reset(mem);
	}
	arena_free(&mem);
	return 0;
}
