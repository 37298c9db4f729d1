/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The inside of struct config, for the files of this folder.
 */

#include "base/map.h"
#include "config/config.h"

struct config {
	struct arena *mem;
	const char *dir;
	const char *file;
	struct str process_name;
	struct str service_name;
	struct str stress;
	struct map *settings; /* name to struct config_setting */
	struct config_setting **sorted;
	size_t count;
	struct str *warnings;
	size_t warning_count;
	struct str hostname; /* gethostname() */
	/* Computed when first asked for. */
	struct config_computed {
		struct str myhostname;
		struct str mydomain;
		struct str mynetworks;
		struct str process_id;
	} * computed;
};

/* Defaults that depend on the host or the process: true if name is one of them. The
 * text is literal, not to be expanded. */
bool config_computed_default(const struct config *cfg, struct str name, struct str *out);

/* The networks of the interfaces by style (host, subnet, class), as mynetworks. only:
 * inet_interfaces' list; protocols: inet_protocols' list. In mem. */
struct str config_networks(struct arena *mem, struct str style, struct str only,
			   struct str protocols);
