/* SPDX-License-Identifier: Apache-2.0 */
#include "table/hosts.h"

#include <sys/random.h>

#include "base/sys.h"

#include "config/value.h"

bool
hosts_take(struct hosts *h, struct str list, const char *table, struct err *err)
{
	struct str item;

	h->count = 0;
	while (list_next(&list, &item)) {
		if (h->count == HOSTS_MAX)
			return err_set(err, ERR_CONFIG, "%s: more than %d hosts", table,
				       HOSTS_MAX);
		h->at[h->count++] = (struct host){
			.text = item, .is_unix = str_starts(item, STR("unix:"))};
	}
	if (h->count == 0)
		h->at[h->count++] = (struct host){.text = STR_EMPTY};
	return true;
}

static void
close_one(struct hosts *h, struct host *host)
{
	if (host->connection != NULL)
		h->calls->close(h->arg, host->connection);
	host->connection = NULL;
}

static void
close_idle(struct hosts *h, int64_t now)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->at[i].connection != NULL && now - h->at[i].used_at > HOSTS_IDLE_MS)
			close_one(h, &h->at[i]);
}

enum { WITH_UNIX, WITH_INET, NEW_UNIX, NEW_INET, FAILED, CHOICES };

static bool
is_choice(const struct host *host, int choice, int64_t now)
{
	bool wants_unix = choice == WITH_UNIX || choice == NEW_UNIX;
	bool wants_connected = choice == WITH_UNIX || choice == WITH_INET;

	if (choice == FAILED)
		return host->connection == NULL && now - host->failed_at > HOSTS_ALONE_MS;
	if (host->is_unix != wants_unix)
		return false;
	if (wants_connected)
		return host->connection != NULL;
	return host->connection == NULL &&
	       (host->failed_at == 0 || now - host->failed_at > HOSTS_RETRY_MS);
}

struct host *
hosts_next(struct hosts *h)
{
	int64_t now = sys_mono_ms();

	close_idle(h, now);
	for (int choice = 0; choice < CHOICES; choice++) {
		struct host *fits[HOSTS_MAX];
		unsigned chance = 0;
		size_t n = 0;

		for (size_t i = 0; i < h->count; i++)
			if (is_choice(&h->at[i], choice, now))
				fits[n++] = &h->at[i];
		if (n == 0)
			continue;
		IGNORE(getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0);
		return fits[chance % n];
	}
	return NULL;
}

void
hosts_failed(struct hosts *h, struct host *host)
{
	close_one(h, host);
	host->failed_at = sys_mono_ms();
}

void
hosts_used(struct host *host)
{
	host->failed_at = 0;
	host->used_at = sys_mono_ms();
}

enum lookup
hosts_lookup(struct hosts *h, struct arena *mem, struct str key, struct str *value_out,
	     struct err *err)
{
	err_set(err, ERR_TEMP, "all servers have failed lately");
	for (size_t i = 0; i < 2 * h->count; i++) {
		struct host *host = hosts_next(h);
		enum lookup result = LOOKUP_FAILED;
		bool kept, lost = true;

		if (host == NULL)
			break;
		kept = host->connection != NULL;
		if (kept || h->calls->connect(h->arg, mem, host, err))
			result = h->calls->ask(h->arg, mem, host, key, value_out, &lost,
					       err);
		if (!lost) {
			hosts_used(host);
			return result;
		}
		hosts_failed(h, host);
		/* It may have closed a connection that was left idle. */
		if (kept)
			host->failed_at = 0;
	}
	return LOOKUP_FAILED;
}

void
hosts_close(struct hosts *h)
{
	for (size_t i = 0; i < h->count; i++)
		close_one(h, &h->at[i]);
}
