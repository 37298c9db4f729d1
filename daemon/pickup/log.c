/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/log.h"

#include "mail/address.h"

void
log_pickup(struct log *log, struct str id, uid_t uid, struct str sender,
	   struct str orig_id)
{
	struct arena *mem = arena_new();
	struct str from = address_quote_header(mem, sender);

	if (orig_id.len > 0)
		log_info(log, PRI_STR ": uid=%ld from=<" PRI_STR "> orig_id=" PRI_STR,
			 STR_ARG(id), (long)uid, STR_ARG(from), STR_ARG(orig_id));
	else
		log_info(log, PRI_STR ": uid=%ld from=<" PRI_STR ">", STR_ARG(id),
			 (long)uid, STR_ARG(from));
	arena_free(&mem);
}

void
log_future(struct log *log, struct str id, struct str path, int64_t seconds)
{
	log_warning(log,
		    PRI_STR ": message " PRI_STR " dated %" PRId64
			    " seconds into the future",
		    STR_ARG(id), STR_ARG(path), seconds);
}

void
log_old(struct log *log, struct str id, struct str path, int64_t days)
{
	log_warning(log,
		    PRI_STR ": message " PRI_STR " has been queued for %" PRId64 " days",
		    STR_ARG(id), STR_ARG(path), days);
}

void
log_no_sender(struct log *log, struct str id, uid_t uid)
{
	log_warning(log, PRI_STR ": uid=%ld: no envelope sender", STR_ARG(id), (long)uid);
}

void
log_malformed(struct log *log, uid_t uid, int type)
{
	log_warning(log, "uid=%ld: unexpected or malformed record type %d", (long)uid,
		    type);
}

void
log_refused(struct log *log, struct str path, struct str id, struct str reason)
{
	log_warning(log, PRI_STR ": error writing " PRI_STR ": " PRI_STR, STR_ARG(path),
		    STR_ARG(id), STR_ARG(reason));
}

void
log_file_error(struct log *log, struct str path, const char *why)
{
	log_warning(log, PRI_STR ": %s", STR_ARG(path), why);
}
