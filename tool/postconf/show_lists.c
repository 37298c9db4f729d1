/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "show.h"
#include "table/table.h"

bool
show_lists(struct postconf *p, struct err *err)
{
	const struct options *o = &p->options;

	if (option(o, 'm')) {
		for (const char *const *type = table_types(); *type != NULL; type++)
			puts(*type);
		return true;
	}
	if (option(o, 'l')) {
		puts("flock\nfcntl\ndotlock");
		return true;
	}
	if (option(o, 'a')) {
		puts("cyrus\ndovecot\ntable");
		return true;
	}
	if (option(o, 'A'))
		return err_set(err, ERR_CONFIG,
			       "-A: SASL in the client is not supported by this version");
	return err_set(err, ERR_CONFIG, "-T: TLS is not supported by this version");
}
