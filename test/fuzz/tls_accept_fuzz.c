/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile client says in a TLS handshake, all at once and byte by byte: our
 * callbacks (names, sessions, tickets) see it, and it ends in a failure that is logged.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/panic.h"

#include "table/maps.h"
#include "tls/session.h"

#include "fuzz.h"

enum { OUT_MAX = 1 << 20 };

static void
tell(void *arg, enum log_level level UNUSED, struct str text)
{
	struct buf *out = arg;

	ensure(!str_contains(text, '\n') && !str_contains(text, '\0'));
	buf_add(out, text);
}

static bool
load(void *arg UNUSED, struct arena *mem UNUSED, struct str id, struct str *out UNUSED)
{
	ensure(id.len > 0 && id.len <= 64);
	return false;
}

static struct tls_context *
context_new(struct arena *mem)
{
	const struct tls_told told = {.fn = NULL};
	struct tls_settings settings = {
		.own = {STR_EMPTY, STR_EMPTY, STR_EMPTY, STR_EMPTY, STR_EMPTY, STR_EMPTY,
			STR_EMPTY},
		.ca_file = STR_EMPTY,
		.ca_path = STR_EMPTY,
		.fingerprint_digest = STR("sha256"),
		.eecdh_grade = STR("auto"),
		.auto_curves = STR("X25519 prime256v1"),
		.strong_curve = STR_EMPTY,
		.ultra_curve = STR_EMPTY,
		.dh_param_file = STR_EMPTY,
		.disable_workarounds = STR_EMPTY,
		.ssl_options = STR_EMPTY,
	};
	struct tls_server_settings server = {
		.ciphers = STR("aNULL"),
		.cert_optional = true,
		.session_context = STR("fuzz"),
		.session_seconds = 3600,
		.keeps_sessions = true,
		.tickets = true,
	};
	struct tls_context *context;
	struct err err;

	ensure(maps_open(mem, "sni", STR("inline:{ a.example=eA== }"), TABLE_DEFAULT,
			 &server.sni_maps, &err));
	ensure(tls_server_context_new(&settings, &server, &told, &context, &err));
	return context;
}

static void
run(struct str text, size_t step)
{
	struct arena *mem = arena_new();
	struct tls_context *context = context_new(mem);
	struct stream *s = stream_from_memory(text, buf_new(mem, OUT_MAX), step);
	struct buf *log = buf_new(mem, OUT_MAX);
	const struct tls_accept_options options = {
		.log = {.bits = 511, .fn = tell, .arg = log, .peer = STR("c[192.0.2.1]")},
		.store = {.load = load},
	};
	enum stream_status status;
	struct tls_info info;

	/* Nobody who does not answer us gets to the end. */
	ensure(!tls_accept(s, context, mem, &options, &info, &status));
	ensure(str_find(buf_str(log), STR("SSL_accept error from c[192.0.2.1]: ")) <
	       log->len);
	stream_close(&s);
	tls_context_free(&context);
	arena_free(&mem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(str_from_mem(data, size), 0);
	run(str_from_mem(data, size), 1);
	return 0;
}
