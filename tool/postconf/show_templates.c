/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -t: the templates of delivery status notices, as a file has them. -b: their texts with
 * the values of main.cf. Both of the file that is named, else of bounce_template_file,
 * else the built-in ones.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/macros.h"

#include "config/config.h"
#include "mail/bounce_template.h"

#include "show.h"

static void
warn(void *arg, const char *text)
{
	struct postconf *p = arg;

	log_warning(p->log, "%s", text);
}

static bool
find_path(struct postconf *p, const struct config *config, const char **out,
	  struct err *err)
{
	const struct options *o = &p->options;
	struct str path;

	if (o->arg_count > 1)
		return err_set(err, ERR_CONFIG, "-%c takes one file",
			       option(o, 'b') ? 'b' : 't');
	if (o->arg_count == 1) {
		*out = o->args[0];
		return true;
	}
	if (!config_get(p->mem, config, STR("bounce_template_file"), &path, err))
		return false;
	*out = str_c(p->mem, path);
	return true;
}

static bool
print_expanded(struct postconf *p, const struct config *config, const char *path,
	       const struct bounce_templates *t, struct err *err)
{
	const struct bounce_template_ear ear = {.warn = warn, .arg = p};

	for (size_t i = 0; i < BOUNCE_TEMPLATES; i++) {
		const char *name = bounce_template_name((enum bounce_template_kind)i);
		struct str text;

		if (!bounce_template_expand(p->mem, path, (enum bounce_template_kind)i,
					    config, &ear, t->of[i].text, &text, err))
			return false;
		printf("%sexpanded_%s_text = <<EOF\n" PRI_STR "%sEOF\n",
		       i > 0 ? "\n" : "", name, STR_ARG(text),
		       str_ends(text, STR("\n")) ? "" : "\n");
	}
	return true;
}

bool
show_templates(struct postconf *p, struct err *err)
{
	const struct bounce_template_ear ear = {.warn = warn, .arg = p};
	struct bounce_templates t;
	struct config *config;
	const char *path;
	struct str text;
	struct buf *out;

	bounce_templates_default(&t);
	if (!load_main(p, false, &config, err) || !find_path(p, config, &path, err))
		return false;
	if (path[0] != '\0' &&
	    (!io_read_file(p->mem, AT_FDCWD, path, BOUNCE_TEMPLATE_FILE_MAX, &text,
			   err) ||
	     !bounce_templates_parse(p->mem, path, text, &ear, &t, err)))
		return false;
	if (option(&p->options, 'b'))
		return print_expanded(p, config, path, &t, err);
	out = buf_new(p->mem, (size_t)BOUNCE_TEMPLATES * BOUNCE_TEMPLATE_FILE_MAX);
	bounce_templates_format(out, &t);
	printf(PRI_STR, STR_ARG(buf_str(out)));
	return true;
}
