/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole session of smtpd. The first byte says in which steps the rest arrives and
 * how cleanup behaves. Every line that the server says must be a line of a reply, and
 * cleanup must not be left with a whole message unless it was asked to keep it.
 */
#include "../../daemon/smtpd/session_testing.h"

#include "fuzz.h"

enum { INPUT_MAX = 20000 };

static const char config[] = "relay_domains = r.example\n"
			     "smtpd_relay_restrictions = reject_unauth_destination\n"
			     "smtpd_authorized_xclient_hosts = unknown\n"
			     "smtpd_authorized_xforward_hosts = unknown\n"
			     "message_size_limit = 10000\n";

static void
check_replies(struct str said)
{
	struct str line;

	while (str_line(&said, &line)) {
		int64_t code;

		ensure(line.len >= 3);
		ensure(str_to_i64(str_head(line, 3), 200, 599, &code));
		ensure(line.len == 3 || line.p[3] == ' ' || line.p[3] == '-');
		for (size_t i = 0; i < line.len; i++)
			ensure((unsigned char)line.p[i] >= ' ' || line.p[i] == '\t');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = {1, 3, 100, INPUT_MAX};
	static struct talk_server *server;
	enum talk_cleanup how;
	struct arena *mem;
	struct str *pieces;
	struct talk t;
	size_t n;

	if (size < 1 || size > INPUT_MAX)
		return 0;
	if (server == NULL)
		server = talk_server_new(config);
	mem = arena_new();
	how = (enum talk_cleanup)(data[0] / 4 % TALK_CLEANUPS);
	pieces = arena_alloc_array(mem, size, sizeof(*pieces));
	n = talk_cut(str_from_mem((const char *)data + 1, size - 1),
		     steps[data[0] % ARRAY_LEN(steps)], NULL, 0, pieces, size);
	talk_init(&t, mem, pieces, n);
	t.cleanups = &how;
	t.n_cleanups = 1;
	talk_run(server, &t);
	check_replies(buf_str(&t.out));
	talk_release(&t);
	arena_free(&mem);
	return 0;
}
