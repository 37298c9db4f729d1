# SPDX-License-Identifier: Apache-2.0
"""The SMTP client's way to a server, beside Debian's smtp: which hosts and addresses are
tried, from which address of ours, and which connections are kept."""
import time
import unittest

from compat.pair import Town

from . import test_smtp_client
from .harness import Instance, Sink, need_private
from .outcomes import CALM, kinds
from .test_smtp_client import HOST, told


class Connections(test_smtp_client.Case):
    def test_bind_address(self):
        for parameters, lines in (
                ({"smtp_bind_address": "127.0.0.9"}, ["status=sent"]),
                ({"smtp_bind_address": "192.0.2.1"},
                 ["smtp_connect_addr: bind 192.0.2.1: Cannot assign requested address",
                  "status=sent"]),
                ({"smtp_bind_address": "192.0.2.1", "smtp_bind_address_enforce": "yes"},
                 ["smtp_connect_addr: bind 192.0.2.1: Cannot assign requested address",
                  "^server configuration error$",
                  r"relay=none, .*dsn=4.4.0, status=deferred "
                  r"\(server configuration error\)$"])):
            with self.subTest(parameters):
                self.expect(self.play(**parameters), *lines)
                if len(lines) == 1:
                    self.assertEqual({s.peers[0] for s in self.sinks}, {"127.0.0.9"})

    def test_bind_address6(self):
        for kind in kinds():
            with self.subTest(kind.kind), Sink(self.port, "::1") as sink, \
                    kind(relayhost=f"[::1]:{self.port}", inet_protocols="all",
                         smtp_bind_address="127.0.0.9", smtp_bind_address6="::1") as mta:
                self.send(mta, ["a@example.org"])
                self.assertEqual(sink.peers, ["::1"])
                self.assertEqual(len(mta.log.find("status=sent")), 1)

    def test_cached_destinations(self):
        """Kept whatever qmgr thinks: mails one after the other, one connection."""
        for listed, connections in (("127.0.0.1", 1), ("other.example", 8), ("", 8)):
            with self.subTest(listed):
                self.play(count=8, smtp_connection_cache_destinations=listed)
                self.assertEqual({s.connections for s in self.sinks}, {connections})

    def test_reuse_limits(self):
        """Five mails to a destination whose connections are kept."""
        keep = {"smtp_connection_cache_destinations": "127.0.0.1"}
        for parameters, connections in (
                ({}, 1),
                ({"smtp_connection_reuse_count_limit": "2"}, 2),
                ({"smtp_connection_reuse_count_limit": "1"}, 3),
                ({"smtp_connection_reuse_time_limit": "1s"}, None)):
            with self.subTest(parameters):
                self.play(lambda sink: sink.reply("EOD", None, delay=0.4), count=5,
                          **keep, **parameters)
                counts = [s.connections for s in self.sinks]
                self.assertEqual(counts[0], counts[-1])
                if connections:
                    self.assertEqual(counts[0], connections)
                else:
                    self.assertIn(counts[0], (2, 3, 4))

    def test_cache_time_limit(self):
        """Idle for longer than that: it has been closed."""
        for limit, connections in (("1s", 2), ("9s", 1)):
            with self.subTest(limit):
                for kind in kinds():
                    with Sink(self.port) as sink, \
                            kind(relayhost=sink.hop, smtp_connection_cache_time_limit=limit,
                                 connection_cache_ttl_limit="9s",
                                 smtp_connection_cache_destinations="127.0.0.1") as mta:
                        self.send(mta, ["a@example.org"])
                        time.sleep(3)
                        mta.log.mark()
                        self.send(mta, ["b@example.org"])
                        self.assertEqual(sink.connections, connections, kind.kind)

    def test_connection_that_died(self):
        """The server has hung up on a kept connection: a new one, and no word of it."""
        for kind in kinds():
            with self.subTest(kind.kind), Sink(self.port) as sink, \
                    kind(relayhost=sink.hop, smtp_connection_cache_time_limit="9s",
                         smtp_connection_cache_destinations="127.0.0.1") as mta:
                self.send(mta, ["a@example.org"])
                sink.stop()
                sink.start()
                mta.log.mark()
                self.send(mta, ["b@example.org"])
                self.assertEqual(len(sink.messages), 2)
                self.assertEqual(len(told(mta)), 1)


class Hosts(test_smtp_client.Case):
    """Several servers of a domain; port 25 and a name server of our own."""

    def setUp(self):
        need_private()
        self.town = Town()
        self.sites = []

    def mail_hosts(self, *names, **more):
        for name in names:
            self.town.host(name, **more)
        self.town.dns.mail("example.org", *(f"{name}.example" for name in names))

    def run_each(self, prepare=None, count=1, recipients=("user@example.org",),
                 sender="a@example.net", **parameters):
        """{kind: log lines}; self.hits: for each kind, how often each host was called."""
        results = {}
        self.hits = []
        with self.town:
            for kind in kinds():
                self.town.reset()
                if prepare:
                    prepare(self.town)
                with kind(**{**CALM, "myhostname": HOST, **parameters}) as mta:
                    self.send(mta, recipients, count=count, sender=sender)
                    results[kind.kind] = told(mta)
                self.hits.append({name: sink.connections
                                  for name, sink in self.town.sinks.items()})
        if "oracle" in results:
            self.assertEqual(results["ours"], results["oracle"])
            self.assertEqual(self.hits[0], self.hits[1])
        return results["ours"]

    def all_say(self, what):
        def prepare(town):
            for sink in town.sinks.values():
                sink.reply("CONNECT" if what[0] == "4" and "greet" in what else "MAIL", what)
        return prepare

    def test_session_limit(self):
        """Each server answers, and has no time."""
        for limit, called in (("2", 2), ("1", 1), ("0", 4)):
            with self.subTest(limit):
                self.setUp()
                self.mail_hosts("a", "b", "c", "d")
                lines = self.run_each(self.all_say("450 4.3.2 busy"),
                                      smtp_mx_session_limit=limit,
                                      smtp_randomize_addresses="no")
                self.assertEqual(sum(self.hits[0].values()), called)
                self.assertEqual(len(lines), called)

    def test_address_limit(self):
        """Servers that are down, or turn us away at once, count as addresses only."""
        for limit, called in (("3", 3), ("1", 1), ("0", 6)):
            with self.subTest(limit):
                self.setUp()
                self.mail_hosts(*"abcdef")
                self.run_each(self.all_say("421 4.3.2 no greet"), smtp_mx_address_limit=limit)
                self.assertEqual(sum(self.hits[0].values()), called)

    def test_order_of_preferences(self):
        """The best one, then the next; the third is not needed."""
        self.mail_hosts("a", "b", "c")
        lines = self.run_each(lambda town: town.sinks["a"].reply("RCPT", "450 4.3.2 busy"))
        self.assertEqual(self.hits[0], {"a": 1, "b": 1, "c": 0})
        self.assertRegex(lines[-1], r"relay=b.example\[.*status=sent")

    def test_randomize(self):
        """Of equal ones each gets its share, or always the first."""
        for randomize in "yes", "no":
            with self.subTest(randomize):
                self.setUp()
                for name in "ab":
                    self.town.host(name)
                self.town.dns.add("example.org", "MX", "10 a.example", "10 b.example")
                with self.town:
                    for kind in kinds():
                        self.town.reset()
                        with kind(**{**CALM, "smtp_randomize_addresses": randomize}) as mta:
                            self.send(mta, ["user@example.org"], count=16)
                        hits = [self.town.sinks[n].connections for n in "ab"]
                        self.assertEqual(sum(hits), 16)
                        # 1 in 32768 that all go to one.
                        self.assertEqual(0 in hits, randomize == "no", (kind.kind, hits))

    def test_host_lookup(self):
        """hosts(5) is asked where `native` says so, DNS where `dns` does."""
        with open("/etc/hosts", encoding="ascii") as f:
            before = f.read()
        with open("/etc/hosts", "a", encoding="ascii") as f:
            f.write("127.0.1.77 native.example\n")
        try:
            for lookup, relayhost, sent in (
                    ("native", "[native.example]", True), ("native", "[gone.example]", False),
                    ("dns", "[native.example]", False), ("dns", "[gone.example]", False),
                    ("dns, native", "[gone.example]", False),
                    ("dns, native", "[native.example]", True),
                    ("native, dns", "[native.example]", True),
                    ("dns", "[dns.example]", True), ("dns, native", "[dns.example]", True)):
                with self.subTest((lookup, relayhost)):
                    self.setUp()
                    self.town.host("dns")
                    self.town.sinks["native"] = Sink(25, "127.0.1.77", "native.example")
                    self.town.sinks["native"].rules = ()
                    lines = self.run_each(smtp_host_lookup=lookup, relayhost=relayhost)
                    self.assertEqual(["status=sent" in line for line in lines][-1], sent)
        finally:
            with open("/etc/hosts", "w", encoding="ascii") as f:
                f.write(before)

    def test_alias(self):
        """The name in the log: the one that was looked up, or the one behind it."""
        for overrides, name in (("no", "alias.example"), ("yes", "real.example")):
            with self.subTest(overrides):
                self.setUp()
                self.town.host("real")
                self.town.dns.add("alias.example", "CNAME", "real.example")
                lines = self.run_each(relayhost="[alias.example]",
                                      smtp_cname_overrides_servername=overrides)
                self.assertRegex(lines[-1], rf"relay={name}\[.*status=sent")

    def two_families(self):
        self.town.dns.host("both.example", "127.0.1.2", "::1")
        for name, address in (("four", "127.0.1.2"), ("six", "::1")):
            self.town.sinks[name] = Sink(25, address, "both.example")
            self.town.sinks[name].rules = ()

    def test_address_preference(self):
        for preference, first in (("ipv6", "six"), ("ipv4", "four")):
            with self.subTest(preference):
                self.setUp()
                self.two_families()
                self.run_each(relayhost="[both.example]", inet_protocols="all",
                              smtp_address_preference=preference, count=4)
                self.assertEqual(self.hits[0][first], 4)

    def test_balance(self):
        """Four of one family before one of the other, and room for two: one of each."""
        for balance, reached in (("yes", True), ("no", False)):
            with self.subTest(balance):
                self.setUp()
                self.town.dns.host("both.example", "127.0.1.2", "127.0.1.3", "127.0.1.4",
                                   "127.0.1.5", "::1")
                sink = self.town.sinks["six"] = Sink(25, "::1", "both.example")
                sink.rules = ()
                with self.town:
                    for kind in kinds():
                        self.town.reset()
                        with kind(**{**CALM, "relayhost": "[both.example]",
                                     "inet_protocols": "all", "smtp_mx_address_limit": "2",
                                     "smtp_address_preference": "ipv4",
                                     "smtp_balance_inet_protocols": balance}) as mta:
                            self.send(mta, ["user@example.org"])
                        self.assertEqual(sink.connections, int(reached), kind.kind)

    def test_we_are_the_best_host(self):
        self.town.dns.host("ours.example", "127.0.0.1")
        for transport, line in (
                ("", r"^to=<user@example.org>, relay=none, .*dsn=5.4.6, status=bounced "
                     r"\(mail for example.org loops back to myself\)$"),
                ("error:5.7.7 not even here", r"dsn=5.7.7, status=bounced \(not even here\)$")):
            with self.subTest(transport):
                self.town.dns.mail("example.org", "ours.example")
                lines = self.run_each(best_mx_transport=transport, sender="")
                self.assertRegex(lines[-1], line)
                self.assertEqual(lines[:-1], ["passing <user@example.org> to transport=error"]
                                 if transport else [])

    def test_best_mx_transport(self):
        self.town.dns.host("ours.example", "127.0.0.1")
        for transport, line in (
                ("discard:taken as ours",
                 r"discard: \w+: to=<user@example.org>, relay=none, .*status=sent "
                 r"\(taken as ours\)$"),
                ("nosuch:",
                 r"smtp: \w+: to=<user@example.org>, relay=none, .*dsn=4.3.0, "
                 r"status=deferred \(mail transport unavailable\)$")):
            # Debian's waits for a service that is not there until its watchdog ends it.
            for kind in kinds() if transport != "nosuch:" else (Instance,):
                with self.subTest((transport, kind.kind)), self.town:
                    self.town.dns.mail("example.org", "ours.example")
                    with kind(**{**CALM, "best_mx_transport": transport}) as mta:
                        self.send(mta, ["user@example.org"])
                        found = mta.log.find("to=<.*status=")
                        self.assertEqual(len(found), 1, found)
                        self.assertRegex(f"{found[0].program}: {found[0].text}", line)

    def test_passed_to_a_busy_transport(self):
        """Its one agent has just been used by qmgr."""
        self.town.dns.host("ours.example", "127.0.0.1")
        with self.town, Instance(**CALM, best_mx_transport="one:taken",
                                 services="one unix - - n - 1 discard",
                                 transport_maps="inline:{straight.example=one:}") as mta:
            self.town.dns.mail("example.org", "ours.example")
            self.send(mta, ["user@straight.example"])
            self.send(mta, ["user@example.org"])
            self.assertEqual(len(mta.log.find(r"discard: .*status=sent \(taken\)")), 1)

    def test_no_mx_address(self):
        self.town.dns.mail("example.org", "gone.example")
        for defer, status in (("no", "bounced"), ("yes", "deferred")):
            with self.subTest(defer):
                lines = self.run_each(smtp_defer_if_no_mx_address_found=defer, sender="")
                self.assertRegex(lines[0], "warning: no MX host for example.org has a valid")
                self.assertRegex(lines[-1], f"status={status}")

    def test_dns_trouble(self):
        """MX look-up that fails: later, unless it does not matter."""
        for ignore, status in (("no", "deferred"), ("yes", "sent")):
            with self.subTest(ignore):
                self.setUp()
                sink = self.town.host("example")
                self.town.dns.host("example.org", sink.host)
                lines = self.run_each(
                    lambda town: town.dns.behave("example.org", "servfail", "MX"),
                    ignore_mx_lookup_error=ignore)
                self.assertRegex(lines[-1], f"status={status}")

    def test_no_dns(self):
        """Then there is no MX: the host of that name, from hosts(5)."""
        for parameters in ({"disable_dns_lookups": "yes"},
                           {"smtp_dns_support_level": "disabled"}):
            with self.subTest(parameters):
                lines = self.run_each(**parameters)
                self.assertEqual(self.town.dns.count("example.org", "MX"), 0)
                self.assertRegex(lines[-1], "status=(bounced|deferred)")


if __name__ == "__main__":
    unittest.main()
