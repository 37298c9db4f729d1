/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where probes of addresses go: as all mail, but for what has a parameter of its own.
 */
#include "base/macros.h"

#include "config/probe_config.h"

#include "rewrite/rules.h"

bool
rewrite_rules_load_probes(struct arena *mem, const struct config *cfg,
			  const struct rewrite_rules *rules, struct rewrite_rules *out,
			  struct err *err)
{
	struct rewrite_rules r = *rules;
	struct rewrite_config *c = &r.config;
	struct probe_config p;

	if (!probe_config_load(mem, cfg, &p, err))
		return false;
	c->local_transport = p.address_verify_local_transport;
	c->virtual_transport = p.address_verify_virtual_transport;
	c->relay_transport = p.address_verify_relay_transport;
	c->default_transport = p.address_verify_default_transport;
	c->relayhost = p.address_verify_relayhost;
	c->transport_maps = p.address_verify_transport_maps;
	c->sender_dependent_relayhost_maps =
		p.address_verify_sender_dependent_relayhost_maps;
	c->sender_dependent_default_transport_maps =
		p.address_verify_sender_dependent_default_transport_maps;
	if (!maps_open(mem, "address_verify_transport_maps", c->transport_maps,
		       TABLE_DEFAULT, &r.transport, err) ||
	    !maps_open(mem, "address_verify_sender_dependent_relayhost_maps",
		       c->sender_dependent_relayhost_maps, TABLE_DEFAULT,
		       &r.sender_relayhost, err) ||
	    !maps_open(mem, "address_verify_sender_dependent_default_transport_maps",
		       c->sender_dependent_default_transport_maps, TABLE_DEFAULT,
		       &r.sender_transport, err))
		return false;
	*out = r;
	return true;
}
