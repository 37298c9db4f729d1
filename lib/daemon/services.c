/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/services.h"

#include <unistd.h>

#include "base/arena.h"

static const struct service_kind_row rows[] = {
#define SERVICE(command, kind, flags, what)                                              \
	{STR_INIT(#command), SERVICE_##kind, flags, what},
#include "daemon/services.def"
#undef SERVICE
};

const struct service_kind_row *
service_find(struct str command)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_eq(rows[i].command, command))
			return &rows[i];
	}
	return NULL;
}

bool
service_is_installed(struct str daemon_directory, struct str command)
{
	struct arena *mem = arena_new();
	bool ok = access(str_printf(mem, PRI_STR "/" PRI_STR, STR_ARG(daemon_directory),
				    STR_ARG(command))
				 .p,
			 X_OK) == 0;

	arena_free(&mem);
	return ok;
}

enum service_kind
service_kind_of(struct str daemon_directory, struct str command)
{
	const struct service_kind_row *row = service_find(command);

	if (row != NULL && row->kind == SERVICE_FOLDED)
		return SERVICE_FOLDED;
	if (!service_is_installed(daemon_directory, command))
		return SERVICE_LATER;
	return row == NULL || row->kind == SERVICE_LATER ? SERVICE_SINGLE : row->kind;
}

bool
service_warning(struct arena *mem, struct str daemon_directory, struct str name,
		struct str command, struct str *text_out)
{
	const struct service_kind_row *row = service_find(command);

	if (service_kind_of(daemon_directory, command) != SERVICE_LATER)
		return false;
	if (row != NULL && row->kind == SERVICE_LATER)
		*text_out = str_printf(mem,
				       "service " PRI_STR " (" PRI_STR
				       ") is not started: %s is not implemented yet",
				       STR_ARG(name), STR_ARG(command), row->what);
	else
		*text_out = str_printf(
			mem,
			"service " PRI_STR " is not started: there is no program " PRI_STR
			"/" PRI_STR,
			STR_ARG(name), STR_ARG(daemon_directory), STR_ARG(command));
	return true;
}
