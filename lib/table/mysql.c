/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mysql: a question in SQL to a server of MySQL or MariaDB. mysql_table(5) of Postfix.
 */
#include <mariadb/errmsg.h>
#include <mariadb/mysql.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#include "table/hosts.h"
#include "table/query.h"

enum { CONNECT_S = 10, ANSWER_S = 20, SERVER_SHUTDOWN = 1053, CLIENT_ERRORS = 2000 };

static const struct library library = {
	.soname = "libmariadb.so.3",
	.package = "libmariadb3",
};

#define FUNCTIONS(F)                                                                     \
	F(mysql_close)                                                                   \
	F(mysql_errno)                                                                   \
	F(mysql_error)                                                                   \
	F(mysql_fetch_lengths)                                                           \
	F(mysql_fetch_row)                                                               \
	F(mysql_free_result)                                                             \
	F(mysql_init)                                                                    \
	F(mysql_next_result)                                                             \
	F(mysql_num_fields)                                                              \
	F(mysql_options)                                                                 \
	F(mysql_real_connect)                                                            \
	F(mysql_real_escape_string)                                                      \
	F(mysql_real_query)                                                              \
	F(mysql_server_init)                                                             \
	F(mysql_ssl_set)                                                                 \
	F(mysql_store_result)

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};

struct mysql {
	struct functions f;
	struct query query;
	struct hosts hosts;
	const char *user, *password, *dbname;
	const char *option_file, *option_group; /* NULL: none */
	const char *cert, *key, *ca_file, *ca_path;
	bool verify, needs_result;
};

enum {
	ROW_HOSTS = QUERY_SQL_ROWS,
	ROW_USER,
	ROW_PASSWORD,
	ROW_DBNAME,
	ROW_OPTION_FILE,
	ROW_OPTION_GROUP,
	ROW_RESULT_SET,
	ROW_CERT,
	ROW_KEY,
	ROW_CA_FILE,
	ROW_CA_PATH,
	ROW_VERIFY,
	N_ROWS
};

/* ---- asking ---- */

static bool
fail(const struct mysql *s, MYSQL *db, const struct host *host, const char *what,
     struct err *err)
{
	return err_set(err, ERR_TEMP, "host " PRI_STR ": %s%s", STR_ARG(host->text), what,
		       s->f.mysql_error(db));
}

static void
set_options(const struct mysql *s, MYSQL *db)
{
	const unsigned connect_s = CONNECT_S, answer_s = ANSWER_S;
	my_bool verify = s->verify;

	s->f.mysql_options(db, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	s->f.mysql_options(db, MYSQL_OPT_READ_TIMEOUT, &answer_s);
	s->f.mysql_options(db, MYSQL_OPT_WRITE_TIMEOUT, &answer_s);
	if (s->option_file != NULL)
		s->f.mysql_options(db, MYSQL_READ_DEFAULT_FILE, s->option_file);
	if (s->option_group != NULL)
		s->f.mysql_options(db, MYSQL_READ_DEFAULT_GROUP, s->option_group);
	if (s->cert != NULL || s->key != NULL || s->ca_file != NULL || s->ca_path != NULL)
		s->f.mysql_ssl_set(db, s->key, s->cert, s->ca_file, s->ca_path, NULL);
	if (s->verify)
		s->f.mysql_options(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

static bool
connect_host(void *arg, struct arena *mem, struct host *host, struct err *err)
{
	const struct mysql *s = arg;
	struct str where = host->text, name, port;
	const char *path = NULL;
	unsigned number = 0;
	MYSQL *db = s->f.mysql_init(NULL);

	if (db == NULL)
		return err_set(err, ERR_TEMP, "no memory");
	set_options(s, db);
	if (host->is_unix)
		path = str_c(mem, str_skip(where, strlen("unix:")));
	else if (str_starts(where, STR("inet:")))
		where = str_skip(where, strlen("inet:"));
	if (!host->is_unix && str_split(where, ':', &name, &port)) {
		uint64_t parsed = 0;

		IGNORE(str_to_u64(port, UINT16_MAX, &parsed));
		number = (unsigned)parsed;
		where = name;
	}
	if (s->f.mysql_real_connect(
		    db, host->is_unix || where.len == 0 ? NULL : str_c(mem, where),
		    s->user, s->password, s->dbname, number, path,
		    CLIENT_MULTI_RESULTS) == NULL) {
		fail(s, db, host, "connect: ", err);
		s->f.mysql_close(db);
		return false;
	}
	host->connection = db;
	return true;
}

struct quoting {
	const struct mysql *s;
	MYSQL *db;
	struct arena *mem;
};

/* By the connection's character set. */
static void
quote(void *arg, struct buf *out, struct str part)
{
	const struct quoting *q = arg;
	char *to = arena_alloc_array(q->mem, part.len + 1, 2);
	unsigned long n = q->s->f.mysql_real_escape_string(q->db, to, part.p, part.len);

	buf_add(out, str_from_mem(to, n));
}

static bool
add_rows(const struct mysql *s, MYSQL_RES *result, struct arena *mem, struct str key,
	 struct query_rows *rows, struct err *err)
{
	unsigned fields = s->f.mysql_num_fields(result);
	MYSQL_ROW row;

	while ((row = s->f.mysql_fetch_row(result)) != NULL) {
		const unsigned long *lengths = s->f.mysql_fetch_lengths(result);

		for (unsigned i = 0; i < fields; i++)
			if (row[i] != NULL &&
			    !query_add_row(&s->query, mem, rows,
					   str_from_mem(row[i], lengths[i]), key, err))
				return false;
	}
	return true;
}

/* Not the answer's fault: another connection or server may do better. */
static bool
is_lost(unsigned code)
{
	return code >= CLIENT_ERRORS || code == SERVER_SHUTDOWN;
}

/* All result sets must be read; a procedure has one more that is only its status. */
static enum lookup
read_results(const struct mysql *s, MYSQL *db, const struct host *host, struct arena *mem,
	     struct str key, struct str *value_out, struct err *err)
{
	struct query_rows rows;
	int sets = 0;
	bool ok = true;
	int more;

	query_rows_init(&rows, mem);
	do {
		MYSQL_RES *result = s->f.mysql_store_result(db);

		if (result != NULL) {
			if (++sets > 1)
				ok = ok && err_set(err, ERR_TEMP,
						   "%s: more than one result set",
						   s->query.name);
			ok = ok && add_rows(s, result, mem, key, &rows, err);
			s->f.mysql_free_result(result);
		} else if (s->f.mysql_errno(db) != 0) {
			ok = ok && fail(s, db, host, "", err);
		}
	} while ((more = s->f.mysql_next_result(db)) == 0);
	if (more > 0 && ok)
		ok = fail(s, db, host, "", err);
	if (ok && sets == 0 && s->needs_result)
		ok = err_set(err, ERR_TEMP, "%s: the query gives no result set",
			     s->query.name);
	return ok ? query_result(&rows, value_out) : LOOKUP_FAILED;
}

static enum lookup
ask_host(void *arg, struct arena *mem, struct host *host, struct str key,
	 struct str *value_out, bool *lost_out, struct err *err)
{
	const struct mysql *s = arg;
	struct quoting quoting = {.s = s, .db = host->connection, .mem = mem};
	MYSQL *db = host->connection;
	enum lookup result;
	struct str query;

	*lost_out = false;
	result = query_expand(&s->query, mem, s->query.text, key, quote, &quoting, &query,
			      err);
	if (result != LOOKUP_FOUND)
		return result;
	if (s->f.mysql_real_query(db, query.p, query.len) != 0) {
		fail(s, db, host, "", err);
		result = LOOKUP_FAILED;
	} else {
		result = read_results(s, db, host, mem, key, value_out, err);
	}
	if (result == LOOKUP_FAILED)
		*lost_out = is_lost(s->f.mysql_errno(db));
	return result;
}

static void
close_connection(void *arg, void *connection)
{
	const struct mysql *s = arg;

	s->f.mysql_close(connection);
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
	struct mysql *s = p;

	hosts_close(&s->hosts);
}

static bool
take_settings(struct table *t, struct mysql *s, const struct setting *rows,
	      struct err *err)
{
	struct str text;

	s->user = setting_c(t, &rows[ROW_USER]);
	s->password = setting_c(t, &rows[ROW_PASSWORD]);
	s->dbname = setting_c(t, &rows[ROW_DBNAME]);
	s->option_file = setting_c(t, &rows[ROW_OPTION_FILE]);
	s->option_group = setting_c(t, &rows[ROW_OPTION_GROUP]);
	s->cert = setting_c(t, &rows[ROW_CERT]);
	s->key = setting_c(t, &rows[ROW_KEY]);
	s->ca_file = setting_c(t, &rows[ROW_CA_FILE]);
	s->ca_path = setting_c(t, &rows[ROW_CA_PATH]);
	s->hosts.calls = &host_calls;
	s->hosts.arg = s;
	return setting_bool(t, &rows[ROW_RESULT_SET], &s->needs_result, err) &&
	       setting_bool(t, &rows[ROW_VERIFY], &s->verify, err) &&
	       query_sql(t, rows, &text, err) &&
	       query_take(t, &s->query, rows, text, err) &&
	       hosts_take(&s->hosts, rows[ROW_HOSTS].value, t->name, err);
}

static bool
mysql_open(struct table *t, struct str name, struct err *err)
{
	struct mysql *s = ARENA_NEW(t->mem, struct mysql);
	struct setting rows[N_ROWS] = {
		QUERY_SETTINGS,
		QUERY_SQL_SETTINGS,
		[ROW_HOSTS] = {"hosts", STR_EMPTY},
		[ROW_USER] = {"user", STR_EMPTY},
		[ROW_PASSWORD] = {"password", STR_EMPTY},
		[ROW_DBNAME] = {"dbname", STR_EMPTY},
		[ROW_OPTION_FILE] = {"option_file", STR_EMPTY},
		[ROW_OPTION_GROUP] = {"option_group", STR("client")},
		[ROW_RESULT_SET] = {"require_result_set", STR("yes")},
		[ROW_CERT] = {"tls_cert_file", STR_EMPTY},
		[ROW_KEY] = {"tls_key_file", STR_EMPTY},
		[ROW_CA_FILE] = {"tls_CAfile", STR_EMPTY},
		[ROW_CA_PATH] = {"tls_CApath", STR_EMPTY},
		[ROW_VERIFY] = {"tls_verify_cert", STR("no")},
	};

	if (!library_functions(&library, names, ARRAY_LEN(names), &s->f, sizeof(s->f),
			       err) ||
	    !table_settings_open(t, name, rows, N_ROWS, err) ||
	    !take_settings(t, s, rows, err))
		return false;
	/* Not safe for threads, so here. */
	if (s->f.mysql_server_init(0, NULL, NULL) != 0)
		return err_set(err, ERR_TEMP, "%s: the library cannot start", t->name);
	t->state = s;
	arena_defer(t->mem, release, s);
	return true;
}

static enum lookup
mysql_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	     struct err *err)
{
	struct mysql *s = t->state;
	enum lookup result = query_wants(&s->query, key, err);

	if (result != LOOKUP_FOUND)
		return result;
	return hosts_lookup(&s->hosts, mem, key, value_out, err);
}

const struct table_type table_type_mysql = {
	.name = "mysql",
	.is_remote = true,
	.library = &library,
	.open = mysql_open,
	.lookup = mysql_lookup,
};
