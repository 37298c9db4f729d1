/* SPDX-License-Identifier: Apache-2.0 */
#include "quirks.h"

#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "agent/agent.h"
#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "smtp/extension.h"
#include "table/maps.h"

#include "log.h"
#include "smtp.h"

bool
quirks_load(struct smtp *s, struct err *err)
{
	const struct smtp_config *c = &s->config;

	return daemon_open_maps(s->daemon, "smtp_discard_ehlo_keyword_address_maps",
				c->smtp_discard_ehlo_keyword_address_maps, TABLE_DEFAULT,
				&s->discard_maps, err) &&
	       daemon_open_maps(s->daemon, "smtp_pix_workaround_maps",
				c->smtp_pix_workaround_maps, TABLE_DEFAULT, &s->pix_maps,
				err) &&
	       daemon_open_maps(s->daemon, "smtp_reply_filter", c->smtp_reply_filter,
				TABLE_DEFAULT, &s->reply_maps, err);
}

/* What a table says of this server, else the value for all. */
static bool
choose(struct smtp *s, const struct agent_request *r, struct maps *maps,
       const struct lookup_host *host, struct arena *mem, struct str usual,
       struct str *out)
{
	struct maps_hit hit;
	struct err err;

	*out = usual;
	switch (maps_find(maps, mem, host->address, MAPS_ALL, &hit, &err)) {
	case LOOKUP_FOUND:
		*out = hit.value;
		return true;
	case LOOKUP_ABSENT:
		return true;
	case LOOKUP_FAILED:
		break;
	}
	log_warning(s->daemon->log, "%s", err.text);
	log_table_failed(s->daemon->log, r->msg.queue_id, maps_title(maps),
			 host->address);
	return false;
}

bool
quirks_apply(struct smtp *s, const struct agent_request *r,
	     const struct lookup_host *host, struct arena *mem,
	     struct smtp_client_options *options, struct str *discarded_out)
{
	const struct smtp_config *c = &s->config;
	int64_t age_s = (sys_now_us() - r->msg.arrival_us) / 1000000;
	struct str keywords;
	struct str pix;

	if (!choose(s, r, s->discard_maps, host, mem, c->smtp_discard_ehlo_keywords,
		    &keywords) ||
	    !choose(s, r, s->pix_maps, host, mem, c->smtp_pix_workarounds, &pix))
		return false;
	smtp_features_parse(mem, keywords, &options->discard_features, discarded_out);
	options->pix_workarounds = smtp_pix_parse(pix);
	options->pix_delay_ms = c->smtp_pix_workaround_delay_time * 1000;
	/* It costs time, so a mail is first tried without. */
	if (age_s < c->smtp_pix_workaround_threshold_time)
		options->pix_workarounds &= ~(unsigned)SMTP_PIX_DELAY_DOTCRLF;
	return true;
}

static enum smtp_filter_result
filter_line(void *arg, struct arena *mem, struct str line, struct str *out)
{
	struct quirks_filter *f = arg;
	struct log *log = f->smtp->daemon->log;
	struct maps_hit hit;
	struct err err;

	switch (maps_find(f->smtp->reply_maps, mem, line, MAPS_ALL, &hit, &err)) {
	case LOOKUP_FOUND:
		log_replaced_reply(log, f->relay, line, hit.value);
		*out = hit.value;
		return FILTER_REPLACE;
	case LOOKUP_ABSENT:
		return FILTER_KEEP;
	case LOOKUP_FAILED:
		break;
	}
	log_warning(log, "%s", err.text);
	return FILTER_FAILED;
}

void
quirks_filter_replies(struct smtp *s, struct quirks_filter *f, struct str relay,
		      struct smtp_client_options *options)
{
	if (maps_count(s->reply_maps) == 0)
		return;
	*f = (struct quirks_filter){
		.filter = {.line = filter_line, .arg = f}, .smtp = s, .relay = relay};
	options->reply_filter = &f->filter;
}
