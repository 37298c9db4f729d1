/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "config/common_config.h"
#include "config/param.h"
#include "config/qmgr_config.h"
#include "config/resolver_config.h"
#include "config/rewrite_config.h"
#include "config/smtp_config.h"

struct world {
	struct arena *mem;
	char dir[64];
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	strcpy(w->dir, "/tmp/config_test.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->mem = arena_new();
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	unlink(str_printf(w->mem, "%s/main.cf", w->dir).p);
	rmdir(w->dir);
	arena_free(&w->mem);
	free(w);
	return 0;
}

static bool
load_as(struct world *w, const char *program, const char *text, struct config **out,
	struct err *err)
{
	const struct config_options options = {.dir = w->dir, .process_name = program};
	struct err io;
	const char *path = str_printf(w->mem, "%s/main.cf", w->dir).p;

	assert_true(io_replace_file(path, str_from(text), 0644, &io));
	return config_load(w->mem, &options, out, err);
}

static struct config *
load(struct world *w, const char *text)
{
	struct config *cfg = NULL;
	struct err err;

	if (!load_as(w, "test", text, &cfg, &err))
		fail_msg("%s", err.text);
	return cfg;
}

static void
assert_value(struct world *w, const struct config *cfg, const char *name,
	     const char *expected)
{
	struct str out;
	struct err err;

	if (!config_get(w->mem, cfg, str_from(name), &out, &err))
		fail_msg("%s: %s", name, err.text);
	assert_string_equal(str_c(w->mem, out), expected);
}

static void
syntax(void **state)
{
	struct world *w = *state;
	struct config *cfg = load(w, "# comment\n"
				     "a = one\n"
				     "   two\n"
				     "# between\n"
				     "\n"
				     "  # also between\n"
				     "\tthree  \n"
				     "b=\n"
				     "  c =  x = y # no comment\n"
				     "d = first\n"
				     "d = second\n");

	assert_value(w, cfg, "a", "one   two\tthree");
	/* The line of c begins with a blank: it continues b. */
	assert_value(w, cfg, "b", "c =  x = y # no comment");
	assert_value(w, cfg, "d", "second");
	assert_int_equal(config_origin(cfg, STR("a")).line, 2);
	assert_int_equal(config_origin(cfg, STR("d")).line, 11);
	assert_int_equal(config_warning_count(cfg), 1);
	assert_non_null(strstr(config_warning_at(cfg, 0).p,
			       "main.cf, line 11: overriding earlier entry: d=first"));
	assert_false(config_is_set(cfg, STR("c")));
}

static void
syntax_errors(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} rows[] = {
		{"a = b\nfoo\n", "line 2: missing '=' after attribute name: \"foo\""},
		{"= b\n", "line 1: missing attribute name: \"= b\""},
		{"a b = c\n", "line 1: missing '=' after attribute name: \"a b = c\""},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config *cfg;
		struct err err;

		assert_false(load_as(w, "test", rows[i].text, &cfg, &err));
		assert_non_null(strstr(err.text, rows[i].error));
		assert_int_equal(err.kind, ERR_CONFIG);
	}
}

static void
stray_line_is_a_warning(void **state)
{
	struct world *w = *state;
	struct config *cfg = load(w, "  lost\na = b\n");

	assert_int_equal(config_warning_count(cfg), 1);
	assert_non_null(strstr(config_warning_at(cfg, 0).p,
			       "must not start with whitespace: \"  lost\""));
	assert_value(w, cfg, "a", "b");
}

static void
names_of_the_host(void **state)
{
	struct world *w = *state;

	assert_value(w, load(w, "myhostname = a.b.example\n"), "mydomain", "b.example");
	assert_value(w, load(w, "myhostname = foo\n"), "mydomain", "localdomain");
	assert_value(w, load(w, "mydomain=example.org\nmyhostname=x.$mydomain\n"),
		     "myorigin", "x.example.org");
	/* Each made from the other ends all the same. */
	assert_value(w, load(w, "myhostname = x.$mydomain\n"), "myhostname",
		     "x.localdomain");
	assert_value(w,
		     load(w, "inet_interfaces=loopback-only\ninet_protocols=ipv4\n"
			     "compatibility_level=3.6\n"),
		     "mynetworks", "127.0.0.1/32");
	assert_value(w, load(w, "inet_interfaces=127.0.0.1\ninet_protocols=ipv4\n"),
		     "mynetworks", "127.0.0.0/8");
}

static void
defaults_by_level(void **state)
{
	struct world *w = *state;

	assert_value(w, load(w, ""), "append_dot_mydomain", "yes");
	assert_value(w, load(w, "compatibility_level = 2\n"), "append_dot_mydomain",
		     "no");
	assert_value(w, load(w, "compatibility_level = 2\n"),
		     "smtp_tls_fingerprint_digest", "md5");
	assert_value(w, load(w, "compatibility_level = 3.10\n"),
		     "smtp_tls_fingerprint_digest", "sha256");
}

static void
derived(void **state)
{
	struct world *w = *state;
	struct config *cfg = load(w, "default_destination_concurrency_limit = 7\n"
				     "relay_destination_concurrency_limit = 3\n"
				     "smtp_destination_rate_delay = 2m\n"
				     "relay_destination_recipient_limit = x\n");
	static const struct {
		const char *transport, *suffix;
		int64_t value;
	} rows[] = {
		{"smtp", "destination_concurrency_limit", 7},
		{"relay", "destination_concurrency_limit", 3},
		{"local", "destination_concurrency_limit", 2},
		{"smtp", "initial_destination_concurrency", 5},
		{"smtp", "destination_recipient_limit", 50},
		{"smtp", "recipient_limit", 20000},
		{"smtp", "extra_recipient_limit", 1000},
	};
	struct err err;
	int64_t n;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(config_transport_int(cfg, str_from(rows[i].transport),
						 str_from(rows[i].suffix), 0, &n, &err));
		assert_int_equal(n, rows[i].value);
	}
	assert_true(config_transport_time(cfg, STR("smtp"), STR("destination_rate_delay"),
					  &n, &err));
	assert_int_equal(n, 120);
	assert_false(config_transport_int(
		cfg, STR("relay"), STR("destination_recipient_limit"), 0, &n, &err));
	assert_non_null(strstr(err.text, "line 4: bad numerical configuration: "
					 "relay_destination_recipient_limit = x"));
}

static void
areas(void **state)
{
	struct world *w = *state;
	struct config *cfg;
	struct smtp_config smtp;
	struct qmgr_config qmgr;
	struct common_config common;
	struct err err;

	cfg = load(w, "smtp_helo_timeout = 7\nlmtp_lhlo_timeout = 2m\n"
		      "fallback_relay = a.example\nqueue_run_delay = 1h\n"
		      "maximal_queue_lifetime = 2\nsoft_bounce = YES\n");
	assert_true(smtp_config_load(w->mem, cfg, &smtp, &err));
	assert_int_equal(smtp.smtp_helo_timeout, 7);
	assert_true(str_eq(smtp.smtp_fallback_relay, STR("a.example")));
	assert_true(smtp.smtp_randomize_addresses);
	assert_true(qmgr_config_load(w->mem, cfg, &qmgr, &err));
	assert_int_equal(qmgr.queue_run_delay, 3600);
	assert_int_equal(qmgr.maximal_queue_lifetime, 2 * 86400);
	assert_true(common_config_load(w->mem, cfg, &common, &err));
	assert_true(common.soft_bounce);
	assert_int_equal(common.workers, 0);
	assert_true(load_as(w, "lmtp", "smtp_helo_timeout = 7\nlmtp_lhlo_timeout = 2m\n",
			    &cfg, &err));
	assert_true(smtp_config_load(w->mem, cfg, &smtp, &err));
	assert_int_equal(smtp.smtp_helo_timeout, 120);
	assert_int_equal(smtp.smtp_tcp_port.len, 2);
}

static void
bad_values(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} rows[] = {
		{"queue_run_delay = 1x", "line 1: parameter queue_run_delay: bad time "
					 "value or unit: 1x"},
		{"queue_run_delay = 0", "invalid queue_run_delay parameter value 0 < 1"},
		{"resolver_timeout = 3601",
		 "invalid resolver_timeout parameter value 3601 > 3600"},
		{"qmgr_message_active_limit = 10k",
		 "bad numerical configuration: qmgr_message_active_limit = 10k"},
		{"qmgr_message_active_limit = 99999999999",
		 "invalid qmgr_message_active_limit parameter value 99999999999 > "},
		{"soft_bounce = maybe", "bad boolean configuration: soft_bounce = maybe"},
		{"inet_protocols = all, ipv9",
		 "line 1: unknown inet_protocols value \"ipv9\" in \"all, ipv9\""},
		{"inet_protocols = IPv4", "unknown inet_protocols value \"IPv4\""},
		{"relayhost = $a${", "truncated macro reference"},
		{"a = $b\nb = $a\nrelayhost = $a",
		 "line 3: relayhost: unreasonable macro call nesting"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config *cfg = load(w, rows[i].text);
		struct resolver_config resolver;
		struct rewrite_config rewrite;
		struct common_config common;
		struct qmgr_config qmgr;
		struct err err;

		assert_false(qmgr_config_load(w->mem, cfg, &qmgr, &err) &&
			     common_config_load(w->mem, cfg, &common, &err) &&
			     resolver_config_load(w->mem, cfg, &resolver, &err) &&
			     rewrite_config_load(w->mem, cfg, &rewrite, &err));
		if (strstr(err.text, rows[i].error) == NULL)
			fail_msg("%s, expected %s", err.text, rows[i].error);
	}
}

static void
every_area_has_good_defaults(void **state)
{
	struct world *w = *state;
	struct config *cfg = load(w, "");

	for (size_t i = 0; i < param_count(); i++) {
		const struct param *row = param_at(i);
		int64_t n;
		bool b, ok = true;
		struct err err = {.kind = ERR_NONE};

		if (param_unit(row->type) != 0)
			ok = config_get_time(cfg, param_name(row), &n, &err);
		else if (row->type == PARAM_INT || row->type == PARAM_LONG)
			ok = config_get_int(cfg, param_name(row), &n, &err);
		else if (row->type == PARAM_BOOL)
			ok = config_get_bool(cfg, param_name(row), &b, &err);
		if (!ok)
			fail_msg("%s", err.text);
		assert_true(param_find(param_name(row)) == row);
		if (row->state == PARAM_ACTED || row->state == PARAM_OURS)
			assert_true(param_summary(row)[0] != '\0');
	}
}

static void
uses(void **state)
{
	static const struct {
		const char *name;
		enum config_use use;
		const char *text;
	} rows[] = {
		{"relayhost", CONFIG_USE_ACTED, NULL},
		{"relay_destination_rate_delay", CONFIG_USE_DERIVED, NULL},
		{"mua_x", CONFIG_USE_USER, NULL},
		{"qmqpd_timeout", CONFIG_USE_NOT_ACTED, "not supported yet"},
		{"canonical_maps", CONFIG_USE_ACTED, NULL},
		{"biff", CONFIG_USE_ACTED, NULL},
		{"smtp_use_tls", CONFIG_USE_ACTED, NULL},
		{"send_cyrus_sasl_authzid", CONFIG_USE_NOT_ACTED, "not supported yet"},
		{"qmqpd_client_port_logging", CONFIG_USE_NOT_ACTED, "not supported yet"},
		{"use_srv_lookup", CONFIG_USE_NEWER, "newer Postfix"},
		{"fallback_relay", CONFIG_USE_OLD, "use smtp_fallback_relay instead"},
		{"relayhots", CONFIG_USE_UNKNOWN, "did you mean relayhost?"},
		{"zzyzx", CONFIG_USE_UNKNOWN, "line 8: unused parameter: zzyzx"},
	};
	struct world *w = *state;
	struct config *cfg = load(
		w, "relayhost = ${mua_x?a}\nmua_x = 1\nqmqpd_timeout = x\n"
		   "use_srv_lookup=a\nfallback_relay=b\nrelayhots=c\n"
		   "relay_destination_rate_delay=1\nzzyzx=1\n"
		   "canonical_maps =\nbiff = NO\nsmtp_use_tls = no\n"
		   "send_cyrus_sasl_authzid = yes\nqmqpd_client_port_logging = yes\n");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str name = str_from(rows[i].name), text;

		assert_int_equal(config_use(cfg, name), rows[i].use);
		for (size_t k = 0; k < config_setting_count(cfg); k++) {
			const struct config_setting *s = config_setting_at(cfg, k);

			if (!str_eq(s->name, name))
				continue;
			assert_int_equal(config_use_text(w->mem, cfg, s, &text),
					 rows[i].text != NULL);
			if (rows[i].text != NULL)
				assert_non_null(
					strstr(str_c(w->mem, text), rows[i].text));
		}
	}
}

static void
override_wins(void **state)
{
	struct world *w = *state;
	const struct config_override o = {STR("relayhost"), STR("$myhostname")};
	const struct config_options options = {.dir = w->dir,
					       .overrides = &o,
					       .override_count = 1,
					       .stress = true,
					       .service_name = "x"};
	struct config *cfg = load(w, "relayhost = a\nmyhostname = h.example\n");
	struct err err;

	assert_true(config_load(w->mem, &options, &cfg, &err));
	assert_value(w, cfg, "relayhost", "h.example");
	assert_value(w, cfg, "smtpd_timeout", "10s");
	assert_value(w, cfg, "service_name", "x");
	assert_int_equal(config_origin(cfg, STR("relayhost")).where,
			 CONFIG_FROM_OVERRIDE);
	assert_value(w, cfg, "config_directory", w->dir);
}

static void
missing_file(void **state)
{
	const struct config_options options = {.dir = "/nonexistent"};
	struct world *w = *state;
	struct config *cfg;
	struct err err;

	assert_false(config_load(w->mem, &options, &cfg, &err));
	assert_non_null(strstr(err.text, "open /nonexistent/main.cf: No such file"));
}

static void
directories_of_set_gid_programs(void **state)
{
	struct world *w = *state;
	struct err err;

	load(w,
	     "alternate_config_directories = /a, /b\nmulti_instance_directories = /c\n");
	assert_true(config_dir_authorized(w->mem, w->dir, w->dir, &err));
	assert_true(config_dir_authorized(w->mem, "/b", w->dir, &err));
	assert_true(config_dir_authorized(w->mem, "/c", w->dir, &err));
	assert_false(config_dir_authorized(w->mem, "/d", w->dir, &err));
	assert_string_equal(err.text, "unauthorized configuration directory name: /d");
	assert_false(config_dir_authorized(w->mem, "/b", "/nonexistent", &err));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(syntax),
		TEST(syntax_errors),
		TEST(stray_line_is_a_warning),
		TEST(names_of_the_host),
		TEST(defaults_by_level),
		TEST(derived),
		TEST(areas),
		TEST(bad_values),
		TEST(every_area_has_good_defaults),
		TEST(uses),
		TEST(override_wins),
		TEST(missing_file),
		TEST(directories_of_set_gid_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
