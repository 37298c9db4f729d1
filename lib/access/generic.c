/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restrictions that look at no name or address.
 */
#include "base/arena.h"
#include "base/macros.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

enum verdict
restrict_nothing(struct eval *e, const struct item *item)
{
	(void)e;
	(void)item;
	return GO_ON;
}

enum verdict
restrict_unsupported(struct eval *e, const struct item *item)
{
	eval_warn(e, "restriction " PRI_STR " is not supported yet", STR_ARG(item->name));
	return eval_server_error(e);
}

enum verdict
restrict_permit(struct eval *e, const struct item *item)
{
	return eval_permit(e, item->row->name, &e->speaker, STR_EMPTY);
}

enum verdict
restrict_reject(struct eval *e, const struct item *item)
{
	(void)item;
	return eval_refuse(e, &e->speaker, e->rules->c.reject_code, "5.7.1",
			   "Access denied");
}

enum verdict
restrict_defer(struct eval *e, const struct item *item)
{
	(void)item;
	return eval_refuse(e, &e->speaker, e->rules->c.defer_code, "4.3.2",
			   "Try again later");
}

enum verdict
restrict_defer_if_permit(struct eval *e, const struct item *item)
{
	(void)item;
	return eval_defer_if_permit(
		e, 450, "4.7.0", "<" PRI_STR ">: %s rejected: defer_if_permit requested",
		STR_ARG(e->speaker.name), e->speaker.class);
}

enum verdict
restrict_defer_if_reject(struct eval *e, const struct item *item)
{
	(void)item;
	return eval_defer_if_reject(
		e, 450, "4.7.0", "<" PRI_STR ">: %s rejected: defer_if_reject requested",
		STR_ARG(e->speaker.name), e->speaker.class);
}

enum verdict
restrict_sleep(struct eval *e, const struct item *item)
{
	const struct access_world *w = e->a->world;

	if (w->sleep != NULL && !e->is_quiet)
		w->sleep(w->sleep_arg, item->seconds);
	return GO_ON;
}

/* A client that says EHLO may send commands ahead, but nothing behind DATA. */
enum verdict
restrict_pipelining(struct eval *e, const struct item *item)
{
	(void)item;
	if (!e->request->input_waiting ||
	    (e->request->is_esmtp && e->phase != ACCESS_DATA))
		return GO_ON;
	return eval_refuse(e, &e->speaker, 503, "5.5.0",
			   "Improper use of SMTP command pipelining");
}

enum verdict
restrict_plaintext(struct eval *e, const struct item *item)
{
	(void)item;
	if (e->request->is_tls)
		return GO_ON;
	return eval_reject(e, ACCESS_POLICY, e->rules->c.plaintext_reject_code, "4.7.1",
			   "Session encryption is required");
}

enum verdict
restrict_multi_recipient(struct eval *e, const struct item *item)
{
	const struct access_request *r = e->request;

	(void)item;
	if (!r->has_sender || r->sender.len > 0 || r->recipient_count <= 1)
		return GO_ON;
	return eval_refuse(e, &e->speaker, e->rules->c.multi_recipient_bounce_reject_code,
			   "5.5.3", "Multi-recipient bounce");
}
