/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl/mechanism.h"

static const struct {
	struct str name;
	unsigned properties;
} mechanisms[] = {
#define MECHANISM(name, properties) {STR_INIT(name), (properties)},
#include "sasl/mechanism.def"
#undef MECHANISM
};

static const struct {
	struct str word;
	unsigned forbidden;
	unsigned required;
} options[] = {
	{STR_INIT("noplaintext"), SASL_PLAINTEXT, 0},
	{STR_INIT("noactive"), SASL_ACTIVE_ATTACK, 0},
	{STR_INIT("nodictionary"), SASL_DICTIONARY, 0},
	{STR_INIT("noanonymous"), SASL_ANONYMOUS, 0},
	{STR_INIT("forward_secrecy"), 0, SASL_FORWARD_SECRECY},
	{STR_INIT("mutual_auth"), 0, SASL_MUTUAL_AUTH},
};

static bool
add_option(struct sasl_security *out, struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (!str_ieq(word, options[i].word))
			continue;
		out->forbidden |= options[i].forbidden;
		out->required |= options[i].required;
		return true;
	}
	return false;
}

bool
sasl_security_parse(struct str text, struct sasl_security *out, struct err *err)
{
	struct sasl_security found = {0, 0};
	struct str rest = text;
	struct str word;

	while (str_token(&rest, ", \t\r\n", &word))
		if (!add_option(&found, word))
			return err_set(err, ERR_CONFIG,
				       "unknown SASL security options value \"" PRI_STR
				       "\" in \"" PRI_STR "\"",
				       STR_ARG(word), STR_ARG(text));
	*out = found;
	return true;
}

bool
sasl_security_allows(const struct sasl_security *security, unsigned properties)
{
	return (properties & security->forbidden) == 0 &&
	       (properties & security->required) == security->required;
}

bool
sasl_name_is_valid(struct str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!char_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
			return false;
	return name.len > 0 && name.len <= SASL_NAME_MAX;
}

bool
sasl_mechanism_find(struct str name, unsigned *properties_out)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
		if (!str_ieq(name, mechanisms[i].name))
			continue;
		*properties_out = mechanisms[i].properties;
		return true;
	}
	return false;
}
