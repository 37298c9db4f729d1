/* SPDX-License-Identifier: Apache-2.0 */
#include "cyrus.h"

#include <pthread.h>
#include <sasl/sasl.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#include "config/config.h"
#include "daemon/daemon.h"
#include "fiber/offload.h"
#include "sasl/mechanism.h"
#include "table/library.h"

#define FUNCTIONS(F)                                                                     \
	F(sasl_set_mutex)                                                                \
	F(sasl_set_path)                                                                 \
	F(sasl_server_init)                                                              \
	F(sasl_server_new)                                                               \
	F(sasl_listmech)                                                                 \
	F(sasl_server_start)                                                             \
	F(sasl_server_step)                                                              \
	F(sasl_setprop)                                                                  \
	F(sasl_getprop)                                                                  \
	F(sasl_errstring)                                                                \
	F(sasl_dispose)

enum { NOTES_MAX = 1000, TEXT_MAX = 16384, USER_MAX = 255 };

typedef int callback_fn(void);

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};

struct cyrus {
	struct functions f;
	struct str application;
	struct str config_path;
	sasl_callback_t callbacks[2];
	struct buf notes; /* what the library says at start */
};

/* One log-in, or one look at the list of mechanisms. Only one thread at a time has it. */
struct handle {
	struct saslauth *s;
	sasl_conn_t *conn;
	sasl_callback_t callbacks[2];
	struct buf notes;
	/* For the connection. */
	const char *host, *realm, *local, *remote;
	struct sasl_security security;
	/* For a step: in and out. */
	bool has_begun;
	const char *mechanism;
	bool has_input;
	struct str input;
	int status;
	struct buf output; /* challenge, or the list */
	struct buf user;
};

/* ---- the library's wishes ---- */

static void *
mutex_new(void)
{
	pthread_mutex_t *m = mem_alloc(sizeof(*m));

	pthread_mutex_init(m, NULL);
	return m;
}

static int
mutex_lock(void *m)
{
	return pthread_mutex_lock(m) == 0 ? SASL_OK : SASL_FAIL;
}

static int
mutex_unlock(void *m)
{
	return pthread_mutex_unlock(m) == 0 ? SASL_OK : SASL_FAIL;
}

static void
mutex_free(void *m)
{
	pthread_mutex_destroy(m);
	mem_free(m);
}

/* Keep what is worth a warning; it may come in a thread, where nobody may log. */
static int
take_note(void *context, int level, const char *text)
{
	struct buf *notes = context;

	if (level != SASL_LOG_ERR && level != SASL_LOG_WARN)
		return SASL_OK;
	if (notes->len > 0)
		buf_add_c(notes, "; ");
	buf_add_c(notes, text);
	return SASL_OK;
}

static void
set_callbacks(sasl_callback_t callbacks[2], struct buf *notes)
{
	callbacks[0] = (sasl_callback_t){.id = SASL_CB_LOG,
					 .proc = (callback_fn *)(void (*)(void))take_note,
					 .context = notes};
	callbacks[1] = (sasl_callback_t){.id = SASL_CB_LIST_END};
}

static void
tell_notes(struct saslauth *s, struct buf *notes)
{
	struct arena *mem;

	if (notes->len == 0)
		return;
	mem = arena_new();
	log_warning(s->daemon->log, "SASL library: " PRI_STR,
		    STR_ARG(str_printable(mem, buf_str(notes), false)));
	buf_clear(notes);
	arena_free(&mem);
}

/* ---- at start ---- */

bool
cyrus_new(struct saslauth *s, struct err *err)
{
	static const struct library library = {"libsasl2.so.2", "libsasl2-2"};
	struct arena *mem = s->daemon->mem;
	struct cyrus *c = ARENA_NEW(mem, struct cyrus);
	struct str path = s->config.cyrus_sasl_config_path;
	int status;

	if (!library_functions(&library, names, ARRAY_LEN(names), &c->f, sizeof(c->f),
			       err))
		return false;
	c->application = s->config.smtpd_sasl_path;
	c->config_path = path;
	if (path.len == 0)
		path = str_printf(mem, "%s/sasl:/usr/lib/sasl2",
				  config_dir(s->daemon->config));
	buf_init(&c->notes, NOTES_MAX);
	set_callbacks(c->callbacks, &c->notes);
	c->f.sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
	status = c->f.sasl_set_path(SASL_PATH_TYPE_CONFIG, str_c(mem, path));
	if (status == SASL_OK)
		status = c->f.sasl_server_init(c->callbacks, str_c(mem, c->application));
	tell_notes(s, &c->notes);
	if (status != SASL_OK)
		return err_set(err, ERR_CONFIG, "SASL library: %s",
			       c->f.sasl_errstring(status, NULL, NULL));
	s->cyrus = c;
	return true;
}

static bool
is_ours(const struct saslauth *s, struct str application, struct str config_path,
	struct str *trouble_out)
{
	if (s->cyrus == NULL)
		*trouble_out = s->cyrus_err.kind == ERR_NONE
				       ? STR("smtpd_sasl_type = cyrus must be set in "
					     "main.cf")
				       : str_from(s->cyrus_err.text);
	else if (!str_eq(application, s->cyrus->application))
		*trouble_out = STR("smtpd_sasl_path must be set in main.cf");
	else if (!str_eq(config_path, s->cyrus->config_path))
		*trouble_out = STR("cyrus_sasl_config_path must be set in main.cf");
	else
		return true;
	return false;
}

/* ---- in a thread ---- */

static unsigned
security_flags(const struct sasl_security *security)
{
	static const struct {
		unsigned property, flag;
	} rows[] = {
		{SASL_PLAINTEXT, SASL_SEC_NOPLAINTEXT},
		{SASL_ACTIVE_ATTACK, SASL_SEC_NOACTIVE},
		{SASL_DICTIONARY, SASL_SEC_NODICTIONARY},
		{SASL_ANONYMOUS, SASL_SEC_NOANONYMOUS},
		{SASL_FORWARD_SECRECY, SASL_SEC_FORWARD_SECRECY},
		{SASL_MUTUAL_AUTH, SASL_SEC_MUTUAL_AUTH},
	};
	unsigned flags = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (((security->forbidden | security->required) & rows[i].property) != 0)
			flags |= rows[i].flag;
	return flags;
}

static int
open_conn(struct handle *h)
{
	const struct functions *f = &h->s->cyrus->f;
	sasl_security_properties_t properties = {
		.max_ssf = 0, /* no security layers: SMTP has TLS */
		.security_flags = security_flags(&h->security),
	};
	int status = f->sasl_server_new("smtp", h->host, h->realm, h->local, h->remote,
					h->callbacks, 0, &h->conn);

	if (status == SASL_OK)
		status = f->sasl_setprop(h->conn, SASL_SEC_PROPS, &properties);
	return status;
}

static void
run_list(void *arg)
{
	struct handle *h = arg;
	const struct functions *f = &h->s->cyrus->f;
	const char *list = NULL;
	unsigned len = 0;
	int count = 0;

	h->status = open_conn(h);
	if (h->status == SASL_OK)
		h->status =
			f->sasl_listmech(h->conn, NULL, "", " ", "", &list, &len, &count);
	if (h->status == SASL_OK)
		buf_add(&h->output, str_from_mem(list, len));
}

static void
take_user(struct handle *h)
{
	const struct functions *f = &h->s->cyrus->f;
	const void *user = NULL;

	buf_clear(&h->user);
	if (f->sasl_getprop(h->conn, SASL_USERNAME, &user) == SASL_OK && user != NULL)
		buf_add_c(&h->user, user);
}

static void
run_step(void *arg)
{
	struct handle *h = arg;
	const struct functions *f = &h->s->cyrus->f;
	const char *input = h->has_input ? h->input.p : NULL;
	const char *out = NULL;
	unsigned len = 0;

	buf_clear(&h->output);
	if (h->has_begun) {
		h->status = f->sasl_server_step(h->conn, input, (unsigned)h->input.len,
						&out, &len);
	} else {
		h->has_begun = true;
		h->status = open_conn(h);
		if (h->status == SASL_OK)
			h->status =
				f->sasl_server_start(h->conn, h->mechanism, input,
						     (unsigned)h->input.len, &out, &len);
	}
	if (h->status == SASL_CONTINUE && out != NULL)
		buf_add(&h->output, str_from_mem(out, len));
	take_user(h);
}

static void
run_dispose(void *arg)
{
	struct handle *h = arg;

	if (h->conn != NULL)
		h->s->cyrus->f.sasl_dispose(&h->conn);
}

/* ---- handles ---- */

static void
handle_release(void *arg)
{
	struct handle *h = arg;

	offload_run(h->s->offload, run_dispose, h);
	tell_notes(h->s, &h->notes);
	buf_release(&h->notes);
	buf_release(&h->output);
	buf_release(&h->user);
}

static struct handle *
handle_new(struct saslauth *s, struct arena *mem, struct str realm, struct str security)
{
	struct handle *h = ARENA_NEW(mem, struct handle);
	struct err err;

	h->s = s;
	buf_init(&h->notes, NOTES_MAX);
	buf_init(&h->output, TEXT_MAX);
	buf_init(&h->user, USER_MAX);
	set_callbacks(h->callbacks, &h->notes);
	h->host = str_c(mem, s->common.myhostname);
	h->realm = realm.len > 0 ? str_c(mem, realm) : NULL;
	/* smtpd has parsed them already. */
	if (!sasl_security_parse(security, &h->security, &err))
		h->security.forbidden = SASL_PLAINTEXT | SASL_ANONYMOUS;
	arena_defer(mem, handle_release, h);
	return h;
}

bool
cyrus_mechanisms(struct saslauth *s, struct arena *mem,
		 const struct msg_sasl_list *request, struct str *names_out,
		 struct str *trouble_out)
{
	struct handle *h;

	if (!is_ours(s, request->application, request->config_path, trouble_out))
		return false;
	h = handle_new(s, mem, request->realm, request->security);
	offload_run(s->offload, run_list, h);
	*trouble_out = str_from(s->cyrus->f.sasl_errstring(h->status, NULL, NULL));
	*names_out = str_dup(mem, buf_str(&h->output));
	return h->status == SASL_OK;
}

/* Not the client's fault. */
static bool
is_trouble(int status)
{
	return status == SASL_FAIL || status == SASL_NOMEM || status == SASL_TRYAGAIN ||
	       status == SASL_UNAVAIL || status == SASL_BUFOVER;
}

static void
step(struct login *l, const struct str *response, struct sasl_answer *out)
{
	struct handle *h = l->state;
	struct str user;

	h->has_input = response != NULL;
	h->input = response != NULL ? *response : STR_EMPTY;
	offload_run(l->saslauth->offload, run_step, h);
	user = str_dup(l->mem, buf_str(&h->user));
	*out = (struct sasl_answer){.text = str_dup(l->mem, buf_str(&h->output)),
				    .user = user};
	if (h->status == SASL_CONTINUE) {
		out->status = SASL_ANSWER_MORE;
	} else if (h->status == SASL_OK) {
		out->status = SASL_ANSWER_DONE;
	} else {
		/* Who is no user must not be told from who is. */
		int told = h->status == SASL_NOUSER ? SASL_BADAUTH : h->status;
		const char *why = l->saslauth->cyrus->f.sasl_errstring(told, NULL, NULL);

		out->status =
			is_trouble(h->status) ? SASL_ANSWER_LATER : SASL_ANSWER_FAIL;
		out->text = str_dup(l->mem, str_from(why));
	}
}

static void
refuse(struct login *l, const struct str *response UNUSED, struct sasl_answer *out)
{
	*out = (struct sasl_answer){.status = SASL_ANSWER_LATER,
				    .text = *(struct str *)l->state,
				    .user = STR_EMPTY};
}

/* "address;port" as the library wants it, or nothing. */
static const char *
address_text(struct arena *mem, struct str address, struct str port)
{
	if (address.len == 0 || port.len == 0 || str_eq(address, STR("unknown")) ||
	    str_eq(port, STR("unknown")))
		return NULL;
	return str_printf(mem, PRI_STR ";" PRI_STR, STR_ARG(address), STR_ARG(port)).p;
}

void
cyrus_login(struct login *l)
{
	const struct msg_sasl_start *m = l->start;
	struct str *trouble = ARENA_NEW(l->mem, struct str);
	struct handle *h;

	if (!is_ours(l->saslauth, m->application, m->config_path, trouble)) {
		log_warning(l->saslauth->daemon->log, PRI_STR, STR_ARG(*trouble));
		l->state = trouble;
		l->step = refuse;
		return;
	}
	h = handle_new(l->saslauth, l->mem, m->realm, m->security);
	h->mechanism = str_c(l->mem, m->mechanism);
	h->local = address_text(l->mem, m->server_address, m->server_port);
	h->remote = address_text(l->mem, m->client_address, m->client_port);
	l->state = h;
	l->step = step;
}
