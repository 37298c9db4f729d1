/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/macros.h"

#include "logfiles.h"
#include "scan.h"
#include "source.h"
#include "story.h"

enum { FEW = 3, PROGRAMS_MAX = 10 };

/* Lines of kinds that trace does not know, by who logged them. */
struct programs {
	struct {
		struct str tag;
		size_t n;
	} of[PROGRAMS_MAX];
	size_t n, n_more;
};

static bool
is_unknown(const struct event *e)
{
	return e->line.kind == LOG_OTHER && e->line.severity == LOG_SEV_INFO;
}

static void
programs_count(struct programs *p, struct str tag)
{
	size_t i = 0;

	while (i < p->n && !str_eq(p->of[i].tag, tag))
		i++;
	if (i == PROGRAMS_MAX) {
		p->n_more++;
		return;
	}
	if (i == p->n) {
		p->of[i].tag = tag;
		p->n++;
	}
	p->of[i].n++;
}

static const char *
plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void
show_programs(const struct report *r, const struct programs *p)
{
	fprintf(r->render.out, "not shown   other lines with the key:");
	for (size_t i = 0; i < p->n; i++)
		fprintf(r->render.out, "%s " PRI_STR " %zu", i == 0 ? "" : ",",
			STR_ARG(str_printable(r->render.mem, p->of[i].tag, true)),
			p->of[i].n);
	if (p->n_more > 0)
		fprintf(r->render.out, ", more %zu", p->n_more);
	fputs("; to see them: --all\n", r->render.out);
}

/* Lines that were never kept, and those that are no log lines at all. */
static void
show_leftovers(const struct report *r)
{
	const struct scan_facts *f = scan_facts(r->scan);

	for (size_t i = 0; i < f->n_odd; i++)
		render_text_odd(&r->render, f->odd[i]);
	if (f->sessions > 0)
		fprintf(r->render.out,
			"not shown   %llu line%s of connections, encryption and "
			"statistics; to see them: --all\n",
			(unsigned long long)f->sessions, plural(f->sessions));
}

static int64_t
group_time(const struct group *g)
{
	return g->messages[0]->events[0]->line.time_us;
}

struct found {
	struct group **groups;
	struct event **loose;
	size_t n_groups, n_loose;
	size_t n_unknown; /* of the loose ones */
};

static struct found
find_all(const struct report *r)
{
	struct found f;

	f.groups = story_groups(r->story, &f.n_groups);
	f.loose = story_loose(r->story, &f.n_loose);
	f.n_unknown = 0;
	for (size_t i = 0; i < f.n_loose; i++)
		f.n_unknown += is_unknown(f.loose[i]);
	return f;
}

/* Stories and lines without one, oldest first. */
static void
show_text(const struct report *r, const struct found *f)
{
	bool sum = !r->all && f->n_unknown > FEW;
	size_t n = f->n_groups + f->n_loose - (sum ? f->n_unknown : 0);
	bool brief = !r->all && n > FEW;
	struct programs programs = {0};
	size_t n_shown = 0;

	for (size_t g = 0, l = 0; g < f->n_groups || l < f->n_loose;) {
		if (sum && l < f->n_loose && is_unknown(f->loose[l])) {
			programs_count(&programs, f->loose[l++]->line.tag);
			continue;
		}
		if (!brief && n_shown++ > 0)
			fputc('\n', r->render.out);
		if (l < f->n_loose &&
		    (g == f->n_groups ||
		     f->loose[l]->line.time_us < group_time(f->groups[g])))
			render_text_loose(&r->render, f->loose[l++], brief);
		else if (brief)
			render_text_summary(&r->render, f->groups[g++]);
		else
			render_text_group(&r->render, f->groups[g++]);
	}
	if (brief)
		fprintf(r->render.out,
			"%zu message%s, %zu line%s without one. In full: --all, or "
			"trace a queue id.\n",
			f->n_groups, plural(f->n_groups), n - f->n_groups,
			plural(n - f->n_groups));
	if (sum)
		show_programs(r, &programs);
	show_leftovers(r);
}

size_t
report_found(const struct report *r)
{
	const struct scan_facts *scanned = scan_facts(r->scan);
	struct found f = find_all(r);

	if (!r->json) {
		if (f.n_groups + f.n_loose > 0)
			show_text(r, &f);
		return f.n_groups + f.n_loose;
	}
	render_json(&r->render,
		    &(struct render_facts){
			    .key = r->key,
			    .files = r->files->names,
			    .n_files = r->files->n,
			    .bytes = scanned->bytes,
			    .lines = scanned->lines,
			    .damaged = scanned->damaged,
			    .not_kept = story_dropped(r->story),
			    .sessions = scanned->sessions,
			    .odd = scanned->odd,
			    .n_odd = scanned->n_odd,
		    },
		    f.groups, f.n_groups, f.loose, f.n_loose);
	return f.n_groups + f.n_loose;
}

static const char *
show_time(struct arena *mem, int64_t us)
{
	time_t s = us / 1000000;
	struct tm tm = {0};
	char text[40];

	localtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	return arena_strdup(mem, text);
}

void
report_nothing(const struct report *r)
{
	const struct scan_facts *f = scan_facts(r->scan);
	struct arena *mem = r->render.mem;
	FILE *out = r->render.out;

	fprintf(out, "Nothing found for " PRI_STR ".\n",
		STR_ARG(str_printable(mem, r->key, true)));
	fprintf(out, "searched    ");
	for (size_t i = 0; i < r->files->n; i++)
		fprintf(out, "%s%s", i == 0 ? "" : ", ", r->files->names[i]);
	fprintf(out, "\n            %llu line%s", (unsigned long long)f->lines,
		plural(f->lines));
	if (f->first_us != 0)
		fprintf(out, ", from %s to %s", show_time(mem, f->first_us),
			show_time(mem, f->last_us));
	fputc('\n', out);
	if (r->limited)
		fputs("            only what falls between --since and --until\n", out);
	show_leftovers(r);
	fputs("to try      a part that is certainly right: the local part or the domain "
	      "alone,\n"
	      "            the other side's address, or an older log (name the files)\n",
	      out);
	if (r->files->n_failed > 0)
		fputs("            run as root or in group adm: some logs could not be "
		      "read\n",
		      out);
}

void
report_gaps(const struct report *r)
{
	const struct scan_facts *f = scan_facts(r->scan);
	uint64_t huge = 0;

	for (size_t i = 0; i < r->files->n; i++) {
		const struct source_facts *s = source_facts(r->files->sources[i]);

		huge += s->huge_lines;
		if (s->damaged)
			fprintf(stderr, "hikyaku trace: %s ends early: damaged or cut\n",
				s->path);
	}
	if (huge > 0)
		fprintf(stderr, "hikyaku trace: %llu line%s too long to be log lines\n",
			(unsigned long long)huge, plural(huge));
	if (f->damaged > 0)
		fprintf(stderr, "hikyaku trace: %llu damaged line%s\n",
			(unsigned long long)f->damaged, plural(f->damaged));
	if (story_dropped(r->story) > 0 || f->too_many)
		fprintf(stderr,
			"hikyaku trace: too much matches; not everything is shown. "
			"Use --since or a narrower key\n");
}
