/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pgsql: a question in SQL to a server of PostgreSQL. pgsql_table(5) of Postfix, and
 * `encoding` of its version 3.8.
 */
#include <poll.h>
#include <postgresql/libpq-fe.h>
#include <string.h>

#include "base/buf.h"
#include "base/sys.h"

#include "table/hosts.h"
#include "table/query.h"

enum { ANSWER_MS = 20000 };
#define CONNECT_S "10"

static const struct library library = {
	.soname = "libpq.so.5",
	.package = "libpq5",
};

#define FUNCTIONS(F)                                                                     \
	F(PQclear)                                                                       \
	F(PQconnectdbParams)                                                             \
	F(PQconsumeInput)                                                                \
	F(PQerrorMessage)                                                                \
	F(PQescapeStringConn)                                                            \
	F(PQfinish)                                                                      \
	F(PQgetResult)                                                                   \
	F(PQgetisnull)                                                                   \
	F(PQgetlength)                                                                   \
	F(PQgetvalue)                                                                    \
	F(PQisBusy)                                                                      \
	F(PQnfields)                                                                     \
	F(PQntuples)                                                                     \
	F(PQresultStatus)                                                                \
	F(PQsendQuery)                                                                   \
	F(PQsocket)                                                                      \
	F(PQstatus)

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};

struct pgsql {
	struct functions f;
	struct query query;
	struct hosts hosts;
	const char *user, *password, *dbname, *encoding;
};

enum {
	ROW_HOSTS = QUERY_SQL_ROWS,
	ROW_USER,
	ROW_PASSWORD,
	ROW_DBNAME,
	ROW_FUNCTION,
	ROW_ENCODING,
	N_ROWS
};

/* ---- asking ---- */

/* The library's texts end with a line end, and may have more. */
static bool
fail(const struct pgsql *s, struct arena *mem, PGconn *db, const struct host *host,
     struct err *err)
{
	struct str text = str_trim(str_from(s->f.PQerrorMessage(db)));

	return err_set(err, ERR_TEMP, "host " PRI_STR ": " PRI_STR, STR_ARG(host->text),
		       STR_ARG(str_printable(mem, text, true)));
}

struct parameters {
	const char *names[10], *values[10];
	size_t n;
};

static void
add(struct parameters *p, const char *name, const char *value)
{
	if (value == NULL)
		return;
	p->names[p->n] = name;
	p->values[p->n++] = value;
}

/* Later ones win over what is in a URI, but only where that says nothing of it. */
static void
add_place(const struct pgsql *s, struct arena *mem, const struct host *host,
	  struct parameters *p)
{
	struct str where = host->text;
	size_t colon;

	if (str_starts(where, STR("postgresql://")) ||
	    str_starts(where, STR("postgres://"))) {
		add(p, "dbname", str_c(mem, where));
		return;
	}
	add(p, "dbname", s->dbname);
	add(p, "user", s->user);
	add(p, "password", s->password);
	if (str_starts(where, STR("unix:")) || str_starts(where, STR("inet:")))
		where = str_skip(where, strlen("unix:"));
	/* A directory with a socket may have a port, too: the end of the socket's
	 * name. */
	colon = str_rindex(where, ':');
	if (colon < where.len) {
		add(p, "port", str_c(mem, str_skip(where, colon + 1)));
		where = str_head(where, colon);
	}
	if (where.len > 0)
		add(p, "host", str_c(mem, where));
}

static bool
connect_host(void *arg, struct arena *mem, struct host *host, struct err *err)
{
	const struct pgsql *s = arg;
	struct parameters p = {.n = 0};
	PGconn *db;

	add(&p, "connect_timeout", CONNECT_S);
	add_place(s, mem, host, &p);
	add(&p, "client_encoding", s->encoding);
	db = s->f.PQconnectdbParams(p.names, p.values, 1);
	if (s->f.PQstatus(db) != CONNECTION_OK) {
		fail(s, mem, db, host, err);
		s->f.PQfinish(db);
		return false;
	}
	host->connection = db;
	return true;
}

struct quoting {
	const struct pgsql *s;
	PGconn *db;
	struct arena *mem;
	bool failed;
};

/* By the connection's encoding; a key that is not in it cannot be asked for. */
static void
quote(void *arg, struct buf *out, struct str part)
{
	struct quoting *q = arg;
	char *to = arena_alloc_array(q->mem, part.len + 1, 2);
	int error = 0;
	size_t n = q->s->f.PQescapeStringConn(q->db, to, part.p, part.len, &error);

	if (error != 0)
		q->failed = true;
	else
		buf_add(out, str_from_mem(to, n));
}

/* Wait until PQgetResult() does not block. */
static bool
wait_for_result(const struct pgsql *s, PGconn *db, int64_t deadline, struct err *err)
{
	while (s->f.PQisBusy(db)) {
		struct pollfd p = {.fd = s->f.PQsocket(db), .events = POLLIN};
		int64_t left = deadline - sys_mono_ms();

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return err_set(err, ERR_TEMP, "no answer in time");
		if (!s->f.PQconsumeInput(db))
			return err_set(err, ERR_TEMP, "the connection is lost");
	}
	return true;
}

static bool
add_rows(const struct pgsql *s, PGresult *result, struct arena *mem, struct str key,
	 struct query_rows *rows, struct err *err)
{
	int fields = s->f.PQnfields(result);
	int n = s->f.PQntuples(result);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < fields; j++) {
			struct str value = str_from_mem(s->f.PQgetvalue(result, i, j),
							s->f.PQgetlength(result, i, j));

			if (!s->f.PQgetisnull(result, i, j) &&
			    !query_add_row(&s->query, mem, rows, value, key, err))
				return false;
		}
	return true;
}

static bool
read_results(const struct pgsql *s, const struct host *host, struct arena *mem,
	     struct str key, struct query_rows *rows, bool *lost_out, struct err *err)
{
	int64_t deadline = sys_mono_ms() + ANSWER_MS;
	PGconn *db = host->connection;
	bool ok = true;

	for (;;) {
		PGresult *result;
		ExecStatusType status;

		if (!wait_for_result(s, db, deadline, err)) {
			*lost_out = true;
			return false;
		}
		result = s->f.PQgetResult(db);
		if (result == NULL)
			return ok;
		status = s->f.PQresultStatus(result);
		if (status == PGRES_TUPLES_OK)
			ok = ok && add_rows(s, result, mem, key, rows, err);
		else if (status != PGRES_COMMAND_OK)
			ok = ok && fail(s, mem, db, host, err);
		s->f.PQclear(result);
		/* COPY and its like wait for us. */
		if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
		    status == PGRES_COPY_BOTH) {
			*lost_out = true;
			return err_set(err, ERR_CONFIG, "%s: the query is none",
				       s->query.name);
		}
	}
}

static enum lookup
ask_host(void *arg, struct arena *mem, struct host *host, struct str key,
	 struct str *value_out, bool *lost_out, struct err *err)
{
	const struct pgsql *s = arg;
	struct quoting quoting = {.s = s, .db = host->connection, .mem = mem};
	struct query_rows rows;
	enum lookup result;
	struct str query;

	*lost_out = false;
	result = query_expand(&s->query, mem, s->query.text, key, quote, &quoting, &query,
			      err);
	if (result == LOOKUP_FOUND && quoting.failed) {
		err_set(err, ERR_TEMP, "the key is not valid in the server's encoding");
		return LOOKUP_FAILED;
	}
	if (result != LOOKUP_FOUND)
		return result;
	query_rows_init(&rows, mem);
	if (!s->f.PQsendQuery(host->connection, query.p)) {
		fail(s, mem, host->connection, host, err);
		*lost_out = true;
		return LOOKUP_FAILED;
	}
	if (!read_results(s, host, mem, key, &rows, lost_out, err)) {
		*lost_out = *lost_out || s->f.PQstatus(host->connection) != CONNECTION_OK;
		return LOOKUP_FAILED;
	}
	return query_result(&rows, value_out);
}

static void
close_connection(void *arg, void *connection)
{
	const struct pgsql *s = arg;

	s->f.PQfinish(connection);
}

static const struct host_calls host_calls = {
	.connect = connect_host,
	.ask = ask_host,
	.close = close_connection,
};

/* ---- the table ---- */

static void
release(void *p)
{
	struct pgsql *s = p;

	hosts_close(&s->hosts);
}

static bool
take_settings(struct table *t, struct pgsql *s, struct setting *rows, struct err *err)
{
	struct str text;

	s->user = setting_c(t, &rows[ROW_USER]);
	s->password = setting_c(t, &rows[ROW_PASSWORD]);
	s->dbname = setting_c(t, &rows[ROW_DBNAME]);
	s->encoding = setting_c(t, &rows[ROW_ENCODING]);
	s->hosts.calls = &host_calls;
	s->hosts.arg = s;
	if (rows[QUERY_TEXT].value.len == 0 && rows[ROW_FUNCTION].value.len > 0)
		rows[QUERY_TEXT].value = str_printf(t->mem, "SELECT " PRI_STR "('%%s')",
						    STR_ARG(rows[ROW_FUNCTION].value));
	return query_sql(t, rows, &text, err) &&
	       query_take(t, &s->query, rows, text, err) &&
	       hosts_take(&s->hosts, rows[ROW_HOSTS].value, t->name, err);
}

static bool
pgsql_open(struct table *t, struct str name, struct err *err)
{
	struct pgsql *s = ARENA_NEW(t->mem, struct pgsql);
	struct setting rows[N_ROWS] = {
		QUERY_SETTINGS,
		QUERY_SQL_SETTINGS,
		[ROW_HOSTS] = {"hosts", STR_EMPTY},
		[ROW_USER] = {"user", STR_EMPTY},
		[ROW_PASSWORD] = {"password", STR_EMPTY},
		[ROW_DBNAME] = {"dbname", STR_EMPTY},
		[ROW_FUNCTION] = {"select_function", STR_EMPTY},
		[ROW_ENCODING] = {"encoding", STR("UTF8")},
	};

	if (!library_functions(&library, names, ARRAY_LEN(names), &s->f, sizeof(s->f),
			       err) ||
	    !table_settings_open(t, name, rows, N_ROWS, err) ||
	    !take_settings(t, s, rows, err))
		return false;
	t->state = s;
	arena_defer(t->mem, release, s);
	return true;
}

static enum lookup
pgsql_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	     struct err *err)
{
	struct pgsql *s = t->state;
	enum lookup result = query_wants(&s->query, key, err);

	if (result != LOOKUP_FOUND)
		return result;
	return hosts_lookup(&s->hosts, mem, key, value_out, err);
}

const struct table_type table_type_pgsql = {
	.name = "pgsql",
	.is_remote = true,
	.library = &library,
	.open = pgsql_open,
	.lookup = pgsql_lookup,
};
