/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "config/log_config.h"
#include "config/value.h"

enum { WARNINGS_MAX = 1000, TEXT_MAX = 65536, ENVIRONMENT_MAX = 200 };

extern char **environ;

struct maker {
	struct plan *plan;
	struct master_services entries;
	struct str not_started; /* "local, maildrop (pipe)" */
	struct err *err;
};

static void
warn(struct plan *plan, struct str text)
{
	if (plan->warning_count < WARNINGS_MAX)
		plan->warnings[plan->warning_count++] = text;
}

/* -- sockets ----------------------------------------------------------------- */

static bool
unix_socket(struct maker *m, const struct master_service *e, struct plan_service *s)
{
	struct arena *mem = m->plan->mem;
	struct plan_socket *socket = ARENA_NEW(mem, struct plan_socket);

	if (str_contains(e->name, '/') || str_starts(e->name, STR(".")))
		return err_set(m->err, ERR_CONFIG,
			       "%s: line %u: bad service name: " PRI_STR, m->entries.file,
			       e->line, STR_ARG(e->name));
	socket->is_unix = true;
	socket->datagram = e->type == MASTER_UNIX_DGRAM;
	socket->path = str_printf(mem, "%s/" PRI_STR,
				  e->is_private ? "private" : "public", STR_ARG(e->name))
			       .p;
	socket->key = str_printf(mem, "%s %s", socket->datagram ? "dgram" : "stream",
				 socket->path)
			      .p;
	s->sockets = socket;
	s->socket_count = 1;
	return true;
}

static bool
inet_sockets(struct maker *m, const struct master_service *e, struct plan_service *s)
{
	struct arena *mem = m->plan->mem;
	struct endpoint *at;

	if (!endpoints_resolve(mem, e->host, e->port, m->plan->common.inet_interfaces,
			       m->plan->common.inet_protocols, &at, &s->socket_count,
			       m->err))
		return err_prefix(m->err, "%s: line %u: service " PRI_STR,
				  m->entries.file, e->line, STR_ARG(e->name));
	s->sockets = arena_alloc_array(mem, s->socket_count, sizeof(*s->sockets));
	for (size_t i = 0; i < s->socket_count; i++) {
		s->sockets[i].endpoint = at[i];
		s->sockets[i].key = str_printf(mem, "inet %s", at[i].text).p;
	}
	return true;
}

/* -- processes --------------------------------------------------------------- */

static size_t
worker_count(const struct maker *m, enum service_kind kind, int limit)
{
	long n = m->plan->common.workers;

	if (kind != SERVICE_WORKERS && kind != SERVICE_CLIENTS)
		return 1;
	if (n == 0 && kind == SERVICE_WORKERS)
		n = sysconf(_SC_NPROCESSORS_ONLN);
	if (limit > 0 && n > limit)
		n = limit;
	return n < 1 ? 1 : (size_t)MIN_OF(n, PLAN_WORKERS_MAX);
}

/* Sessions per process: the column's number is for the service as a whole. */
static size_t
session_limit(const struct plan_service *s, int limit)
{
	if (s->kind == SERVICE_SINGLETON || limit <= 0)
		return 0;
	return ((size_t)limit + s->workers - 1) / s->workers;
}

static void
make_argv(struct arena *mem, const struct master_service *e, struct plan_service *s)
{
	size_t n = 0;
	struct buf *text = buf_new(mem, TEXT_MAX);

	s->argv = arena_alloc_array(mem, e->arg_count + 16, sizeof(*s->argv));
	s->argv[n++] = str_c(mem, e->command);
	s->argv[n++] = arena_strdup(mem, "-n");
	s->argv[n++] = str_c(mem, e->name);
	s->argv[n++] = arena_strdup(mem, "-t");
	s->argv[n++] = arena_strdup(mem, master_type_name(e->type));
	if (e->unprivileged)
		s->argv[n++] = arena_strdup(mem, "-u");
	if (session_limit(s, e->process_limit) > 0) {
		s->argv[n++] = arena_strdup(mem, "-m");
		s->argv[n++] = str_c(
			mem, str_printf(mem, "%zu", session_limit(s, e->process_limit)));
	}
	for (size_t i = 0; i < e->arg_count; i++)
		s->argv[n++] = str_c(mem, e->args[i]);
	for (size_t i = 0; i < n; i++)
		buf_printf(text, "%s\n", s->argv[i]);
	s->identity = text->p;
}

/* -- services ---------------------------------------------------------------- */

static void
add_not_started(struct maker *m, const struct master_service *e)
{
	struct arena *mem = m->plan->mem;
	struct str name = e->name;

	if (!str_eq(e->name, e->command))
		name = str_printf(mem, PRI_STR " (" PRI_STR ")", STR_ARG(e->name),
				  STR_ARG(e->command));
	m->not_started = m->not_started.len == 0
				 ? name
				 : str_printf(mem, PRI_STR ", " PRI_STR,
					      STR_ARG(m->not_started), STR_ARG(name));
}

/* Programs that do not exist yet are told of together; those that never will, alone. */
static bool
is_runnable(struct maker *m, const struct master_service *e, enum service_kind kind)
{
	const struct service_kind_row *row = service_find(e->command);
	struct str text;

	if (kind == SERVICE_FOLDED)
		return false;
	if (kind != SERVICE_LATER)
		return true;
	if (row != NULL && row->kind == SERVICE_LATER)
		add_not_started(m, e);
	else if (service_warning(m->plan->mem, m->plan->common.daemon_directory, e->name,
				 e->command, &text))
		warn(m->plan, text);
	return false;
}

static bool
add_service(struct maker *m, const struct master_service *e)
{
	struct plan *plan = m->plan;
	struct plan_service *s = &plan->services[plan->service_count];
	const struct service_kind_row *row = service_find(e->command);

	s->kind = service_kind_of(plan->common.daemon_directory, e->command);
	if (master_cf_disabled(plan->master.master_service_disable, e) ||
	    !is_runnable(m, e, s->kind))
		return true;
	s->key = str_printf(plan->mem, PRI_STR "/%s", STR_ARG(e->name),
			    master_type_name(e->type))
			 .p;
	s->name = e->name;
	s->command = e->command;
	s->flags = row == NULL ? 0 : row->flags;
	s->wakeup_s = e->wakeup_s;
	s->wakeup_if_used = e->wakeup_if_used;
	s->workers = worker_count(m, s->kind, e->process_limit);
	s->program =
		str_printf(plan->mem, PRI_STR "/" PRI_STR,
			   STR_ARG(plan->common.daemon_directory), STR_ARG(e->command))
			.p;
	if (e->type == MASTER_INET ? !inet_sockets(m, e, s) : !unix_socket(m, e, s))
		return false;
	make_argv(plan->mem, e, s);
	plan->service_count++;
	return true;
}

static bool
has_name(const struct maker *m, struct str name)
{
	for (size_t i = 0; i < m->entries.count; i++) {
		if (str_eq(m->entries.at[i].name, name) &&
		    m->entries.at[i].type != MASTER_INET)
			return true;
	}
	return false;
}

static bool
add_implied(struct maker *m, struct str name, const char *command, enum master_type type,
	    bool is_private, int limit)
{
	struct master_service e = {
		.type = type,
		.name = name,
		.is_private = is_private,
		.unprivileged = true,
		.process_limit = limit,
		.command = str_from(command),
	};

	if (name.len == 0 || has_name(m, name) ||
	    !service_is_installed(m->plan->common.daemon_directory, e.command))
		return true;
	return add_service(m, &e);
}

static bool
add_all_implied(struct maker *m, struct str postlog_name)
{
	int limit = m->plan->master.default_process_limit;

	return add_implied(m, postlog_name, "postlogd", MASTER_UNIX_DGRAM, false, 1) &&
	       add_implied(m, STR("resolver"), "resolver", MASTER_UNIX, true, 0) &&
	       add_implied(m, STR("saslauth"), "saslauth", MASTER_UNIX, true, 0) &&
	       add_implied(m, STR("error"), "error", MASTER_UNIX, true, limit) &&
	       add_implied(m, STR("retry"), "error", MASTER_UNIX, true, limit);
}

/* -- environment ------------------------------------------------------------- */

static void
add_variable(struct plan *plan, size_t *n, const char *name, const char *value)
{
	if (*n < ENVIRONMENT_MAX)
		plan->environment[(*n)++] =
			str_c(plan->mem, str_printf(plan->mem, "%s=%s", name, value));
}

#if defined(HIKYAKU_FAULTS)
/* What tests tell every process. */
static void
add_test_variables(struct plan *plan, size_t *n)
{
	static const char *const prefixes[] = {
		"HIKYAKU_", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};

	for (char **e = environ; *e != NULL && *n < ENVIRONMENT_MAX; e++) {
		for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
			if (strncmp(*e, prefixes[i], strlen(prefixes[i])) == 0)
				plan->environment[(*n)++] = arena_strdup(plan->mem, *e);
		}
	}
}
#endif

static void
make_environment(struct plan *plan)
{
	struct str rest = plan->common.import_environment;
	struct str item, name, value;
	size_t n = 0;

	plan->environment =
		arena_alloc_array(plan->mem, ENVIRONMENT_MAX + 1, sizeof(char *));
	add_variable(plan, &n, "MAIL_CONFIG", config_dir(plan->config));
	add_variable(plan, &n, "PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
	while (list_next(&rest, &item)) {
		const char *inherited = getenv(str_c(plan->mem, item));

		if (str_split(item, '=', &name, &value))
			add_variable(plan, &n, str_c(plan->mem, name),
				     str_c(plan->mem, value));
		else if (inherited != NULL && !str_eq(item, STR("MAIL_CONFIG")))
			add_variable(plan, &n, str_c(plan->mem, item), inherited);
	}
#if defined(HIKYAKU_FAULTS)
	add_test_variables(plan, &n);
#endif
}

/* -- the whole --------------------------------------------------------------- */

static bool
load_parameters(struct plan *plan, const char *config_dir, struct err *err)
{
	struct config_options options = {.dir = config_dir, .process_name = "master"};

	if (!config_load(plan->mem, &options, &plan->config, err) ||
	    !common_config_load(plan->mem, plan->config, &plan->common, err) ||
	    !master_config_load(plan->mem, plan->config, &plan->master, err))
		return false;
	plan->queue_directory = str_c(plan->mem, plan->common.queue_directory);
	return true;
}

static void
collect_config_warnings(struct plan *plan)
{
	for (size_t i = 0; i < config_warning_count(plan->config); i++)
		warn(plan, config_warning_at(plan->config, i));
	for (size_t i = 0; i < config_setting_count(plan->config); i++) {
		struct str text;

		if (config_use_text(plan->mem, plan->config,
				    config_setting_at(plan->config, i), &text))
			warn(plan, text);
	}
}

static bool
make(struct plan *plan, const char *config_dir, struct err *err)
{
	struct maker m = {.plan = plan, .err = err, .not_started = STR_EMPTY};
	struct log_config log;

	plan->warnings =
		arena_alloc_array(plan->mem, WARNINGS_MAX, sizeof(*plan->warnings));
	if (!load_parameters(plan, config_dir, err) ||
	    !log_config_load(plan->mem, plan->config, &log, err) ||
	    !master_cf_load(plan->mem, plan->config, &m.entries, err))
		return false;
	collect_config_warnings(plan);
	for (size_t i = 0; i < m.entries.warning_count; i++)
		warn(plan, m.entries.warnings[i]);
	plan->services = arena_alloc_array(plan->mem, m.entries.count + 8,
					   sizeof(*plan->services));
	for (size_t i = 0; i < m.entries.count; i++) {
		if (!add_service(&m, &m.entries.at[i]))
			return false;
	}
	if (!add_all_implied(&m, log.postlog_service_name))
		return false;
	if (m.not_started.len > 0)
		warn(plan, str_printf(plan->mem,
				      "%s: services that are not implemented yet and not "
				      "started: " PRI_STR,
				      m.entries.file, STR_ARG(m.not_started)));
	make_environment(plan);
	return true;
}

bool
plan_load(const char *config_dir, struct plan **out, struct err *err)
{
	struct arena *mem = arena_new();
	struct plan *plan = ARENA_NEW(mem, struct plan);

	plan->mem = mem;
	if (!make(plan, config_dir, err)) {
		arena_free(&mem);
		return false;
	}
	*out = plan;
	return true;
}

void
plan_free(struct plan **plan)
{
	struct arena *mem;

	if (*plan == NULL)
		return;
	mem = (*plan)->mem;
	*plan = NULL;
	arena_free(&mem);
}

const struct plan_service *
plan_find(const struct plan *plan, const char *key)
{
	for (size_t i = 0; i < plan->service_count; i++) {
		if (strcmp(plan->services[i].key, key) == 0)
			return &plan->services[i];
	}
	return NULL;
}
