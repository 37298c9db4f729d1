/* SPDX-License-Identifier: Apache-2.0 */
/* postconf(1): show and change main.cf and master.cf. */
#include <stdio.h>

#include "base/arena.h"
#include "change.h"
#include "show.h"

static bool
run(struct postconf *p, struct err *err)
{
	const struct options *o = &p->options;
	bool change = option(o, 'e') || option(o, 'X') || option(o, '#');
	bool master = option(o, 'M') || option(o, 'F') || option(o, 'P');

	if (option(o, 'b') || option(o, 't'))
		return show_templates(p, err);
	if (option(o, 'a') || option(o, 'A') || option(o, 'l') || option(o, 'm') ||
	    option(o, 'T'))
		return show_lists(p, err);
	if (master)
		return change ? change_master(p, err) : show_master(p, err);
	return change ? change_main(p, err) : show_main(p, err);
}

int
main(int argc, char **argv)
{
	struct postconf p = {.mem = arena_new(), .log = log_new("postfix/postconf")};
	struct err err = {.kind = ERR_NONE};
	bool ok;

	ok = options_parse(p.mem, argc, argv, &p.options, &err) && run(&p, &err);
	/* Output that did not get out is a failure, whatever else went well. */
	if (fflush(stdout) != 0 && ok)
		ok = err_errno(&err, ERR_TEMP, "write standard output");
	if (!ok)
		log_write(p.log, LOG_LEVEL_FATAL, "%s", err.text);
	log_free(&p.log);
	arena_free(&p.mem);
	return ok ? 0 : 1;
}
