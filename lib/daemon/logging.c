/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/logging.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/str.h"

#include "config/common_config.h"
#include "config/config.h"
#include "config/log_config.h"

static const struct {
	struct str name;
	int facility;
} facilities[] = {
	{STR_INIT("mail"), LOG_MAIL},         {STR_INIT("auth"), LOG_AUTH},
	{STR_INIT("authpriv"), LOG_AUTHPRIV}, {STR_INIT("cron"), LOG_CRON},
	{STR_INIT("daemon"), LOG_DAEMON},     {STR_INIT("ftp"), LOG_FTP},
	{STR_INIT("kern"), LOG_KERN},         {STR_INIT("lpr"), LOG_LPR},
	{STR_INIT("news"), LOG_NEWS},         {STR_INIT("security"), LOG_AUTH},
	{STR_INIT("syslog"), LOG_SYSLOG},     {STR_INIT("user"), LOG_USER},
	{STR_INIT("uucp"), LOG_UUCP},         {STR_INIT("local0"), LOG_LOCAL0},
	{STR_INIT("local1"), LOG_LOCAL1},     {STR_INIT("local2"), LOG_LOCAL2},
	{STR_INIT("local3"), LOG_LOCAL3},     {STR_INIT("local4"), LOG_LOCAL4},
	{STR_INIT("local5"), LOG_LOCAL5},     {STR_INIT("local6"), LOG_LOCAL6},
	{STR_INIT("local7"), LOG_LOCAL7},
};

static bool
facility_find(struct str name, int *out, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(facilities); i++) {
		if (str_ieq(name, facilities[i].name)) {
			*out = facilities[i].facility;
			return true;
		}
	}
	return err_set(err, ERR_CONFIG, "syslog_facility: unknown facility " PRI_STR,
		       STR_ARG(name));
}

static bool
prefix_allowed(struct str file, struct str prefixes)
{
	struct str prefix;

	while (str_token(&prefixes, ", \t\r\n", &prefix)) {
		if (str_starts(file, prefix) &&
		    (file.len == prefix.len || file.p[prefix.len] == '/' ||
		     prefix.p[prefix.len - 1] == '/'))
			return true;
	}
	return false;
}

bool
logging_file_allowed(struct arena *mem, const struct config *cfg, struct err *err)
{
	struct log_config c;

	if (!log_config_load(mem, cfg, &c, err))
		return false;
	return c.maillog_file.len == 0 ||
	       prefix_allowed(c.maillog_file, c.maillog_file_prefixes) ||
	       err_set(err, ERR_CONFIG,
		       "maillog_file '" PRI_STR
		       "' does not match any maillog_file_prefixes: " PRI_STR,
		       STR_ARG(c.maillog_file), STR_ARG(c.maillog_file_prefixes));
}

bool
logging_open(struct log *log, struct arena *mem, const struct config *cfg,
	     const char *program, struct err *err)
{
	const char *tag = getenv("MAIL_LOGTAG");
	struct common_config common;
	struct log_config c;
	struct str first_label;
	int facility;

	if (!common_config_load(mem, cfg, &common, err) ||
	    !log_config_load(mem, cfg, &c, err) ||
	    !facility_find(common.syslog_facility, &facility, err) ||
	    !logging_file_allowed(mem, cfg, err))
		return false;
	log_set_tag(log, tag != NULL && !config_is_set(cfg, STR("syslog_name"))
				 ? str_printf(mem, "%s/%s", tag, program).p
				 : str_printf(mem, PRI_STR "/%s",
					      STR_ARG(common.syslog_name), program)
					   .p);
	log_set_ascii(log, !common.smtputf8_enable);
	if (c.maillog_file.len == 0) {
		log_to_syslog(log, facility);
		return true;
	}
	first_label = str_head(common.myhostname, str_index(common.myhostname, '.'));
	log_to_postlog(log,
		       str_printf(mem, PRI_STR "/public/" PRI_STR,
				  STR_ARG(common.queue_directory),
				  STR_ARG(c.postlog_service_name))
			       .p,
		       str_c(mem, first_label),
		       str_starts(c.maillog_file, STR("/dev/"))
			       ? NULL
			       : str_c(mem, c.maillog_file));
	return true;
}
