/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of services, questions, answers in any number of pieces, and a server that closes
 * its connections.
 */
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

#include "dns/dns.h"
#include "fiber/fiber.h"
#include "fiber/listen.h"
#include "fiber/loop.h"
#include "fiber/stream.h"

static const struct policy_config defaults = {
	.smtpd_policy_service_default_action = STR_INIT("451 4.3.5 x"),
	.smtpd_policy_service_max_idle = 300,
	.smtpd_policy_service_max_ttl = 1000,
	.smtpd_policy_service_policy_context = STR_INIT(""),
	.smtpd_policy_service_request_limit = 0,
	.smtpd_policy_service_retry_delay = 1,
	.smtpd_policy_service_timeout = 100,
	.smtpd_policy_service_try_limit = 2,
};

/* ---- services ---- */

static void
test_services(void **state)
{
	struct arena *mem = arena_new();
	struct policy_service s;
	struct err err;

	(void)state;
	assert_true(policy_service_parse(mem, STR("inet:[::1]:25"), &defaults, &s, &err));
	assert_true(str_eq(s.name, STR("[::1]:25")));
	assert_true(s.server.port == 25 && s.timeout_s == 100 && s.try_limit == 2);
	assert_true(policy_service_parse(
		mem,
		STR("{ unix:private/p, timeout=10s, max_idle=1m, max_ttl=2h, "
		    "request_limit=7 retry_delay=3 try_limit=1, "
		    "{ default_action = DEFER_IF_PERMIT a, b }, policy_context=c }"),
		&defaults, &s, &err));
	assert_true(s.server.is_unix && str_eq(s.server.path, STR("private/p")));
	assert_true(str_eq(s.name, STR("private/p")));
	assert_true(s.timeout_s == 10 && s.max_idle_s == 60 && s.max_ttl_s == 7200);
	assert_true(s.request_limit == 7 && s.retry_delay_s == 3 && s.try_limit == 1);
	assert_true(str_eq(s.default_action, STR("DEFER_IF_PERMIT a, b")));
	assert_true(str_eq(s.context, STR("c")));
	arena_free(&mem);
}

static void
test_bad_services(void **state)
{
	static const char *const bad[] = {
		"",
		"{ }",
		"{ inet:h:1",
		"{ inet:h:1, timeout }",
		"{ inet:h:1, timeout = 1 }",
		"{ inet:h:1, timeout=x }",
		"{ inet:h:1, timeout=0 }",
		"{ inet:h:1, try_limit=0 }",
		"{ inet:h:1, no_such=1 }",
		"inet:h",
		"inet::25",
		"unix:",
		"h:25",
	};
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct policy_service s;
		struct err err;

		if (policy_service_parse(mem, str_from(bad[i]), &defaults, &s, &err))
			fail_msg("taken: %s", bad[i]);
		assert_true(err.kind == ERR_CONFIG);
	}
	arena_free(&mem);
}

/* ---- texts ---- */

static void
test_request(void **state)
{
	const struct policy_attribute attributes[] = {{"request", STR("x")},
						      {"helo_name", STR("a\r\nb\0c=d")},
						      {"sender", STR("")}};
	struct arena *mem = arena_new();
	struct buf *out = buf_new(mem, 1000);

	(void)state;
	policy_request_format(out, attributes, 3);
	assert_string_equal(out->p, "request=x\nhelo_name=a??b?c=d\nsender=\n\n");
	arena_free(&mem);
}

static const struct {
	const char *text;
	const char *action; /* NULL: bad */
} replies[] = {
	{"action=DUNNO\n\n", "DUNNO"},
	{"action=\n\n", ""},
	{"x=y\naction=REJECT a=b\nz=\n\n", "REJECT a=b"},
	{"action=one\naction=two\n\n", "one"},
	{"action=OK\r\n\r\n", "OK"},
	{"\n", NULL},
	{"Action=OK\n\n", NULL},
	{"action OK\n\n", NULL},
};

static void
test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct str text = str_from(replies[i].text);
		struct str action;
		const char *why = NULL;
		size_t length = 0;
		enum policy_parse got;

		got = policy_reply_parse(text, &action, &length, &why);
		if (replies[i].action == NULL) {
			assert_int_equal(got, POLICY_PARSE_BAD);
			assert_non_null(why);
			continue;
		}
		assert_int_equal(got, POLICY_PARSE_DONE);
		assert_int_equal(length, text.len);
		assert_true(str_eq(action, str_from(replies[i].action)));
		for (size_t n = 0; n < text.len; n++)
			assert_int_equal(policy_reply_parse(str_head(text, n), &action,
							    &length, &why),
					 POLICY_PARSE_MORE);
	}
}

static void
test_limits(void **state)
{
	struct arena *mem = arena_new();
	struct buf *text = buf_new(mem, 100000);
	struct str action;
	const char *why = NULL;
	size_t length;

	(void)state;
	for (int i = 0; i <= POLICY_LINE_MAX; i++)
		buf_add_c(text, "x");
	assert_int_equal(policy_reply_parse(buf_str(text), &action, &length, &why),
			 POLICY_PARSE_BAD);
	buf_clear(text);
	for (int i = 0; i < POLICY_LINES_MAX; i++)
		buf_add_c(text, "action=x\n");
	assert_int_equal(policy_reply_parse(buf_str(text), &action, &length, &why),
			 POLICY_PARSE_BAD);
	assert_int_equal(policy_reply_parse(STR("a=\0\n\n"), &action, &length, &why),
			 POLICY_PARSE_BAD);
	arena_free(&mem);
}

/* ---- asking ---- */

/* A server whose connections serve so many questions; -1: it answers nonsense. */
struct server {
	struct loop *loop;
	struct listener *listener;
	struct policy_pool *pool;
	struct policy_service service;
	int per_connection;
	int connections;
	int warnings;
	int answered;
	struct arena *mem;
};

static void
serve(struct stream *client, const struct listener_peer *peer, void *arg)
{
	struct server *s = arg;
	struct str line;

	(void)peer;
	s->connections++;
	for (int i = 0; i < s->per_connection || s->per_connection < 0; i++) {
		do {
			if (stream_read_line(client, 1000, &line) != STREAM_OK) {
				stream_close(&client);
				return;
			}
		} while (line.len > 0);
		if (s->per_connection < 0)
			stream_write(client, STR("hello\n\n"));
		else
			stream_write(client, STR("action=OK\n\n"));
		stream_flush(client);
	}
	stream_close(&client);
}

static void
count(void *arg, struct str text)
{
	struct server *s = arg;

	assert_true(str_starts(text, STR("problem talking to server ")));
	s->warnings++;
}

static void
ask_five(void *arg)
{
	struct server *s = arg;
	const struct dns_asker none = {.ask = NULL};

	for (int i = 0; i < 5; i++) {
		struct str action;

		if (policy_ask(s->pool, s->mem, &none, &s->service, STR("a=b\n\n"), count,
			       s, &action) &&
		    str_eq(action, STR("OK")))
			s->answered++;
	}
	policy_pool_close(s->pool);
	listener_stop(s->listener);
}

static struct server
run(int per_connection, int64_t request_limit)
{
	struct server s = {.per_connection = per_connection, .mem = arena_new()};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char dir[] = "/tmp/policy_test.XXXXXX";
	struct err err;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_non_null(mkdtemp(dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 10), 0);
	assert_true(policy_service_parse(s.mem, str_printf(s.mem, "unix:%s", sa.sun_path),
					 &defaults, &s.service, &err));
	s.service.request_limit = request_limit;
	s.service.retry_delay_s = 0;
	s.loop = loop_new();
	s.pool = policy_pool_new(s.mem, s.loop);
	s.listener = listener_new(s.loop, fd, 10, serve, &s);
	assert_non_null(fiber_spawn(s.loop, "ask", ask_five, &s));
	loop_run(s.loop);
	listener_free(&s.listener);
	arena_free(&s.mem);
	loop_free(&s.loop);
	close(fd);
	unlink(sa.sun_path);
	rmdir(dir);
	return s;
}

static void
test_asking(void **state)
{
	struct server s;

	(void)state;
	s = run(100, 0);
	assert_true(s.answered == 5 && s.connections == 1 && s.warnings == 0);
	s = run(100, 2);
	assert_true(s.answered == 5 && s.connections == 3 && s.warnings == 0);
	/* One that closes each connection after the first answer is no fault. */
	s = run(1, 0);
	assert_true(s.answered == 5 && s.connections == 5 && s.warnings == 0);
	s = run(-1, 0);
	assert_true(s.answered == 0 && s.connections == 10 && s.warnings == 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_services), cmocka_unit_test(test_bad_services),
		cmocka_unit_test(test_request),  cmocka_unit_test(test_replies),
		cmocka_unit_test(test_limits),   cmocka_unit_test(test_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
