# SPDX-License-Identifier: Apache-2.0
"""hikyaku explain, and whether delivery then does what it said.

Next hops are sinks on 127.0.0.2 and up, port 25 of a network of our own; the mail system
itself has 127.0.0.1 only.
"""
import json
import re
import unittest

from . import world
from .dnsserver import DNSServer
from .instance import Instance
from .sink import Sink

STATUS = {"goes": "sent", "waits": "deferred", "returned": "bounced", "discarded": "sent"}
SERVICES = """\
local   unix - - n - - discard
slow    unix - - n - - smtp -o smtp_fallback_relay=[127.0.0.5]
nothing unix - - n - - discard
later   unix - n n - - spawn
"""


class Explained(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        world.need_build("bin/hikyaku", "bin/postfix", "libexec/smtp", "libexec/resolver")
        world.need_private()
        cls.dns = cls._enter(DNSServer())
        for i in range(2, 7):
            cls.dns.host(f"host{i}.example", f"127.0.0.{i}")
        cls.dns.mail("two.example", "host2.example", "host3.example")
        cls.dns.mail("null.example", ".")
        cls.dns.behave("broken.example", "servfail")
        cls.dns.mail("us.example", "host4.example", "mx.us.example")
        cls.dns.host("mx.us.example", "127.0.0.1")
        cls.dns.mail("loop.example", "mx.us.example")
        cls.dns.mail("many.example", *[(f"m{i}.many.example", 10 * i) for i in range(1, 8)])
        for i in range(1, 8):
            cls.dns.host(f"m{i}.many.example", f"127.0.1.{i}")

    @classmethod
    def _enter(cls, context):
        value = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        return value

    @classmethod
    def start(cls, start=True, **parameters):
        mta = Instance("explain", services=SERVICES, **{
            "resolver_nameservers": cls.dns.nameserver, "mynetworks": None,
            "minimal_backoff_time": "1000s", "smtp_connect_timeout": "5s",
            "notify_classes": "", **parameters})
        return cls._enter(mta) if start else mta

    def sink(self, number):
        """A next hop on 127.0.0.NUMBER."""
        sink = Sink(25, f"127.0.0.{number}", f"host{number}.example")
        self.addCleanup(sink.stop)
        return sink

    @staticmethod
    def explain(mta, address, *options):
        """(the object for the address, exit status)"""
        result = mta.run("hikyaku", "explain", "-c", mta.config, "--json", *options, "--", address,
                         check=False)
        return json.loads(result.stdout)[0], result.returncode

    @staticmethod
    def text(mta, address, *options):
        return mta.run("hikyaku", "explain", "-c", mta.config, *options, "--", address,
                       check=False).stdout.decode()

    @staticmethod
    def relays(recipient):
        return [f"{h['name']}[{h['address']}]:{h['port']}" for h in recipient.get("hosts", [])]

    def agree(self, mta, address, *, sender="sender@origin.example", up=None):
        """Explain, send, compare. `up`: which host of the explained ones is the first that
        answers (None: the first). The explanation."""
        explained, _ = self.explain(mta, address, "--from", sender)
        mta.log.mark()
        mta.sendmail(b"Subject: x\n\nx\n", address, sender=sender)
        for r in explained["recipients"]:
            line = mta.log.wait(r": to=<%s>.* status=" % re.escape(r["address"]))[0].text
            self.assertIn(f"status={STATUS[r['result']]} ", line, r)
            relays = self.relays(r)
            if r["result"] == "goes" and relays:
                self.assertIn(f"relay={relays[up or 0]},", line, relays)
        return explained

    def only(self, explained):
        recipient, = explained["recipients"]
        return recipient

    def why(self, explained, what):
        return [row["why"] for row in explained["rows"] if row["what"] == what]


class Classes(Explained):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mta = cls.start(
            mydestination="here.example", virtual_alias_domains="alias.example",
            virtual_mailbox_domains="box.example", virtual_transport="nothing",
            relay_domains="two.example", relay_transport="slow",
            virtual_alias_maps="inline:{{all@alias.example=a@here.example, "
            "list@alias.example}, {list@alias.example=b@host2.example}, "
            "{x@alias.example=x@alias.example}}",
            transport_maps="inline:{{t.example=slow:[127.0.0.2]}, {u.example=:[host3.example]},"
            "{v.example=error:5.7.1 not allowed}, {w.example=retry:4.7.1 later},"
            "{slow.example=slow:}, {gone.example=nosuch:}, {open.example=smtp:[host2.example},"
            "{port.example=smtp:[host2.example]:nosuch}, {later.example=later:}}")

    def test_local(self):
        e = self.agree(self.mta, "user@here.example")
        r = self.only(e)
        self.assertEqual((r["class"], r["transport"], r["result"]),
                         ("local", "local", "discarded"))
        self.assertIn("mydestination = here.example (main.cf line ", self.why(e, "class")[0])

    def test_virtual_alias(self):
        e = self.agree(self.mta, "nobody@alias.example")
        r = self.only(e)
        self.assertEqual((r["class"], r["result"]), ("virtual alias", "returned"))
        self.assertIn("virtual_alias_domains = ", self.why(e, "class")[0])

    def test_virtual_mailbox(self):
        r = self.only(self.agree(self.mta, "user@box.example"))
        self.assertEqual((r["class"], r["transport"]), ("virtual mailbox", "nothing"))

    def test_relay(self):
        self.sink(2)
        e = self.agree(self.mta, "user@two.example")
        r = self.only(e)
        self.assertEqual((r["class"], r["transport"], r["next_hop"]),
                         ("relay", "slow", "two.example"))
        self.assertEqual(self.relays(r), ["host2.example[127.0.0.2]:25",
                                          "host3.example[127.0.0.3]:25",
                                          "127.0.0.5[127.0.0.5]:25"])
        self.assertRegex(self.why(e, "fallback")[0], r"-o of slow, master.cf line \d+")

    def test_other(self):
        self.sink(2)
        e = self.agree(self.mta, "user@host2.example")
        r = self.only(e)
        self.assertEqual((r["class"], r["transport"], r["next_hop"]),
                         ("other", "smtp", "host2.example"))
        self.assertEqual(self.why(e, "next hop"), ["the recipient's domain"])

    def test_alias_chain(self):
        self.sink(2)
        e = self.agree(self.mta, "all@alias.example")
        self.assertEqual(sorted(r["address"] for r in e["recipients"]),
                         ["a@here.example", "b@host2.example"])
        expanded = [row["value"] for row in e["rows"] if row["what"] == "expanded"]
        self.assertEqual(expanded, ["all@alias.example -> a@here.example, list@alias.example",
                                    "list@alias.example -> b@host2.example"])
        self.assertTrue(all('"all@alias.example" in inline:' in w or
                            '"list@alias.example" in inline:' in w
                            for w in self.why(e, "expanded")))

    def test_transport_maps(self):
        self.sink(2)
        self.sink(3)
        for address, transport, hop, result in [
                ("a@t.example", "slow", "[127.0.0.2]", "goes"),
                ("a@u.example", "smtp", "[host3.example]", "goes"),
                ("a@v.example", "error", "5.7.1 not allowed", "returned"),
                ("a@w.example", "retry", "4.7.1 later", "waits"),
                ("a@gone.example", "nosuch", "gone.example", "waits"),
                ("a@open.example", "smtp", "[host2.example", "waits"),
                ("a@port.example", "smtp", "[host2.example]:nosuch", "waits"),
                ("a@later.example", "later", "later.example", "waits")]:
            with self.subTest(address):
                e = self.agree(self.mta, address)
                r = self.only(e)
                self.assertEqual((r["transport"], r["next_hop"], r["result"]),
                                 (transport, hop, result))
                self.assertRegex(self.why(e, "next hop")[0],
                                 r'transport_maps: "\w+\.example" in inline:.* says ')

    def test_long_tables_are_cut(self):
        for row in self.explain(self.mta, "all@alias.example", "--offline")[0]["rows"]:
            self.assertLess(len(row["why"]), 150, row)

    def test_no_mx(self):
        mta = self.start(relayhost="host4.example")
        self.sink(4)
        self.assertEqual(self.relays(self.only(self.agree(mta, "a@two.example"))),
                         ["host4.example[127.0.0.4]:25"])
        self.assertRegex(self.text(mta, "a@two.example"),
                         r"host4.example\[127.0.0.4\]:25 +no MX record")
        self.dns.mail("zero.example", ("host2.example", 0))
        mta.configure(relayhost="zero.example")
        self.assertIn("host2.example[127.0.0.2]:25  ", self.text(mta, "a@two.example"))
        self.assertRegex(self.text(mta, "a@two.example"), r":25 +MX 0\n")
        mta.configure(relayhost="[host4.example]")
        self.assertNotIn("MX", self.text(mta, "a@two.example"))

    def test_rewritten(self):
        for written, rewritten, parameter in [
                ("user", "user@ours.example.net", "myorigin"),
                ("user%two.example", "user@two.example", "allow_percent_hack"),
                ("two.example!user", "user@two.example", "swap_bangpath")]:
            with self.subTest(written):
                e, _ = self.explain(self.mta, written, "--offline")
                row, = [row for row in e["rows"] if row["what"] == "rewritten"]
                self.assertEqual(row["value"], rewritten)
                self.assertTrue(row["why"].startswith(parameter + " = "), row)

    def test_bad_address(self):
        for address in ("a@b..example", "-a@two.example", "a@[1.2.3]"):
            with self.subTest(address):
                explained, status = self.explain(self.mta, address)
                self.assertEqual((self.only(explained)["result"], status), ("returned", 1))
        self.agree(self.mta, "a@b..example")

    def test_mx_order(self):
        hosts = self.relays(self.only(self.explain(self.mta, "a@many.example")[0]))
        self.assertEqual(hosts, [f"m{i}.many.example[127.0.1.{i}]:25" for i in range(1, 6)])
        self.assertIn("2 more are not tried", self.text(self.mta, "a@many.example"))

    def test_equal_mx(self):
        self.dns.mail("equal.example", ("host2.example", 5), ("host3.example", 5))
        self.assertIn("MX 5, in random order", self.text(self.mta, "a@equal.example"))

    def test_null_mx(self):
        e = self.agree(self.mta, "a@null.example")
        self.assertEqual(self.only(e)["result"], "returned")

    def test_no_such_domain(self):
        e = self.agree(self.mta, "a@nowhere.example")
        self.assertEqual(self.only(e)["result"], "returned")
        self.assertEqual(self.explain(self.mta, "a@nowhere.example")[1], 1)

    def test_dns_trouble(self):
        e = self.agree(self.mta, "a@broken.example")
        self.assertEqual(self.only(e)["result"], "waits")

    def test_loop(self):
        e = self.agree(self.mta, "a@loop.example")
        self.assertEqual(self.only(e)["result"], "returned")
        self.assertIn("loops back to myself", self.text(self.mta, "a@loop.example"))

    def test_best_mx_transport(self):
        mta = self.start(best_mx_transport="nothing")
        e = self.agree(mta, "a@loop.example")
        self.assertEqual(self.only(e)["result"], "discarded")
        self.assertRegex(self.why(e, "passed")[0],
                         r"best_mx_transport = nothing \(main.cf line \d+\)")
        self.sink(2)
        mta = self.start(best_mx_transport="slow:[127.0.0.2]")
        self.agree(mta, "a@loop.example")
        mta.configure(best_mx_transport="smtp:loop.example")
        self.assertIn("in a circle", self.text(mta, "a@loop.example"))

    def test_backup_mx(self):
        self.sink(4)
        e = self.agree(self.mta, "a@us.example")
        self.assertEqual(self.relays(self.only(e)), ["host4.example[127.0.0.4]:25"])

    def test_offline(self):
        asked = len(self.dns.asked)
        e, status = self.explain(self.mta, "a@two.example", "--offline")
        self.assertEqual((status, self.relays(self.only(e))), (0, []))
        self.assertEqual(len(self.dns.asked), asked)

    def test_nothing_that_steers_a_terminal(self):
        self.assertNotIn("\x1b", self.text(self.mta, "a\x1b[31m@two.example"))

    def test_text(self):
        self.assertRegex(self.text(self.mta, "<a@two.example>"), r"""(?x)
            ^address\ +a@two\.example\n
            \ +rewritten\ +no\n
            \ +expanded\ +no\ +nothing\ in\ virtual_alias_maps\ matches\n
            \ +class\ +relay\ +relay_domains\ =\ two\.example\ \(main\.cf\ line\ \d+\)\n
            \ +transport\ +slow\ +relay_transport\ =\ slow\ \(main\.cf\ line\ \d+\)\n
            \ +next\ hop\ +two\.example\ +the\ recipient's\ domain\n
            \ +1\ +host2\.example\[127\.0\.0\.2\]:25\ +MX\ 10\n
            \ +2\ +host3\.example\[127\.0\.0\.3\]:25\ +MX\ 20\n""")

    def test_usage(self):
        for args in ([], ["--nonsense", "a@b.example"]):
            result = self.mta.run("hikyaku", "explain", "-c", self.mta.config, *args,
                                  check=False)
            self.assertEqual(result.returncode, 2)
        result = self.mta.run("hikyaku", "explain", "-c", "/no/such", "a", check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"/no/such/main.cf", result.stderr)


class Mapping(Explained):
    def test_broken_table(self):
        mta = self.start(start=False, canonical_maps="fail:broken")
        self.addCleanup(mta.remove)
        e, status = self.explain(mta, "a@b.example")
        self.assertEqual((self.only(e)["result"], status), ("waits", 1))


class Senders(Explained):
    def test_sender_decides(self):
        mta = self.start(
            relayhost="[127.0.0.4]",
            sender_dependent_relayhost_maps="inline:{{me@origin.example=[127.0.0.2]},"
            "{<>=[127.0.0.3]}, {no@origin.example=DUNNO}}",
            sender_dependent_default_transport_maps="inline:{{t@origin.example=slow:"
            "[127.0.0.6]}}")
        for number in (2, 3, 4, 6):
            self.sink(number)
        for sender, hop, why in [
                ("me@origin.example", "[127.0.0.2]", "sender_dependent_relayhost_maps: "),
                ("", "[127.0.0.3]", "sender_dependent_relayhost_maps: "),
                ("no@origin.example", "[127.0.0.4]", "relayhost = [127.0.0.4] (main.cf line "),
                ("t@origin.example", "[127.0.0.6]",
                 "sender_dependent_default_transport_maps: ")]:
            with self.subTest(sender):
                e = self.agree(mta, "a@host5.example", sender=sender)
                self.assertEqual(self.only(e)["next_hop"], hop)
                self.assertTrue(self.why(e, "next hop")[0].startswith(why), e["rows"])
        e, _ = self.explain(mta, "a@host5.example", "--from", "<>")
        self.assertEqual(self.only(e)["next_hop"], "[127.0.0.3]")


class Relays(Explained):
    """The table of the four cases, with the first host up and down."""

    def case(self, expected, first_up, **parameters):
        mta = self.start(**parameters)
        e, _ = self.explain(mta, "a@two.example")
        self.assertEqual(self.relays(self.only(e)), expected)
        for i, name in enumerate(expected):
            if i >= first_up:
                self.sink(int(re.search(r"\[127\.0\.0\.(\d+)\]", name)[1]))
        return self.agree(mta, "a@two.example", up=first_up)

    HOST2, HOST3 = "host2.example[127.0.0.2]:25", "host3.example[127.0.0.3]:25"
    HOST4, HOST5 = "host4.example[127.0.0.4]:25", "127.0.0.5[127.0.0.5]:25"

    def test_none_none(self):
        e = self.case([self.HOST2, self.HOST3], 1)
        self.assertEqual(self.why(e, "fallback"), ["smtp_fallback_relay is empty"])

    def test_none_fallback(self):
        self.case([self.HOST2, self.HOST3, self.HOST5], 2,
                  smtp_fallback_relay="[127.0.0.5]")

    def test_relayhost_none(self):
        e = self.case([self.HOST4], 0, relayhost="[host4.example]")
        self.assertIn("relayhost = [host4.example] (main.cf line ", self.why(e, "next hop")[0])

    def test_relayhost_fallback(self):
        e = self.case([self.HOST4, self.HOST5], 1, relayhost="[host4.example]",
                      fallback_relay="[127.0.0.5]")
        self.assertIn("fallback_relay = [127.0.0.5] (main.cf line ",
                      self.why(e, "fallback")[0])

    def test_relayhost_down_and_no_fallback(self):
        mta = self.start(relayhost="[host4.example]")
        mta.sendmail(b"Subject: x\n\nx\n", "a@two.example", sender="s@origin.example")
        mta.log.wait(r"to=<a@two.example>.* status=deferred")

    def test_relayhost_that_does_not_exist(self):
        e = self.agree(self.start(relayhost="[nowhere.example]"), "a@two.example")
        self.assertEqual(self.only(e)["result"], "waits")

    def test_fallback_after_no_such_domain(self):
        self.sink(5)
        mta = self.start(smtp_fallback_relay="[127.0.0.5]")
        self.assertEqual(self.relays(self.only(self.agree(mta, "a@nowhere.example"))),
                         [self.HOST5])

    def test_fallback_is_not_used_by_a_mail_exchanger(self):
        mta = self.start(smtp_fallback_relay="[127.0.0.5]")
        e, _ = self.explain(mta, "a@us.example")
        self.assertEqual(self.relays(self.only(e)), [self.HOST4])
        self.sink(4)
        self.agree(mta, "a@us.example")


class Destinations(Explained):
    """The forms that a relay host and a fallback may have."""

    ROWS = [  # relayhost, fallback, hosts that are tried in this order
        ("two.example", "", ["host2.example[127.0.0.2]:25", "host3.example[127.0.0.3]:25"]),
        ("host4.example", "", ["host4.example[127.0.0.4]:25"]),
        ("[two4.example]", "", ["two4.example[127.0.0.4]:25"]),
        ("two4.example", "", ["host2.example[127.0.0.2]:25"]),
        ("[host4.example]:2525", "", ["host4.example[127.0.0.4]:2525"]),
        ("two.example:2525", "", ["host2.example[127.0.0.2]:2525",
                                  "host3.example[127.0.0.3]:2525"]),
        ("[127.0.0.6]:submission", "", ["127.0.0.6[127.0.0.6]:587"]),
        ("[host4.example], [host5.example]:2525", "",
         ["host4.example[127.0.0.4]:25", "host5.example[127.0.0.5]:2525"]),
        ("[host4.example]", "two.example:2525",
         ["host4.example[127.0.0.4]:25", "host2.example[127.0.0.2]:2525",
          "host3.example[127.0.0.3]:2525"]),
        ("[host4.example]", "[host5.example], [host6.example]",
         [f"host{i}.example[127.0.0.{i}]:25" for i in (4, 5, 6)]),
    ]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dns.host("two4.example", "127.0.0.4")
        cls.dns.mail("two4.example", "host2.example")

    def test_forms(self):
        for relayhost, fallback, expected in self.ROWS:
            with self.subTest(relayhost=relayhost, fallback=fallback):
                mta = self.start(relayhost=relayhost, smtp_fallback_relay=fallback)
                sinks = [Sink(int(port), address) for address, port in
                         re.findall(r"\[([\d.]+)\]:(\d+)", expected[-1])]
                try:
                    e = self.agree(mta, "a@other.example", up=len(expected) - 1)
                finally:
                    for sink in sinks:
                        sink.stop()
                self.assertEqual(self.relays(self.only(e)), expected)
                self.assertEqual(self.why(e, "next hop"),
                                 [f"relayhost = {relayhost} (main.cf line "
                                  f"{self.line(mta, 'relayhost')})"])

    @staticmethod
    def line(mta, name):
        with open(f"{mta.config}/main.cf", encoding="utf-8") as f:
            return next(i for i, line in enumerate(f, 1) if line.startswith(name + " "))


class Aliases(Explained):
    """Expansion with two ways to one alias, in circles, and without an end."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rows = {
            "self": "self@alias.example, b@other.example",
            "all": "x@alias.example, y@alias.example", "x": "team@alias.example",
            "y": "team@alias.example", "team": "a@other.example, b@other.example",
            "circle": "back@alias.example, a@other.example", "back": "circle@alias.example",
            "wide": ", ".join(f"u{i}@other.example" for i in range(30)),
            **{f"deep{i}": f"deep{i + 1}@alias.example" for i in range(20)}}
        cls.mta = cls.start(
            relayhost="[127.0.0.2]", virtual_alias_expansion_limit="20",
            virtual_alias_recursion_limit="10", mydestination="alias.example",
            virtual_alias_maps="inline:{" + ", ".join(
                f"{{{name}@alias.example={value}}}" for name, value in cls.rows.items()) + "}")

    def goes_to(self, name):
        self.sink(2)
        e = self.agree(self.mta, f"{name}@alias.example")
        self.mta.log.wait("qmgr.* removed")
        self.assertFalse(self.mta.log.find("status=bounced"))
        return sorted(r["address"] for r in e["recipients"])

    def test_itself(self):
        self.assertEqual(self.goes_to("self"), ["b@other.example", "self@alias.example"])

    def test_two_ways(self):
        self.assertEqual(self.goes_to("all"), ["a@other.example", "b@other.example"])

    def test_circle(self):
        self.assertEqual(self.goes_to("circle"), ["a@other.example", "circle@alias.example"])

    def refused(self, name, words):
        """Not accepted for now: there is nothing in the log but the reason."""
        address = f"{name}@alias.example"
        e, status = self.explain(self.mta, address)
        self.assertEqual(status, 1)
        self.assertEqual(self.only(e)["result"], "waits")
        reason = f"unreasonable virtual_alias_maps map {words} for {address}"
        self.assertIn(reason, self.text(self.mta, address))
        self.mta.sendmail(b"Subject: x\n\nx\n", address, sender="s@origin.example")
        self.mta.log.wait(re.escape(reason))

    def test_too_many(self):
        self.refused("wide", "expansion size")

    def test_too_deep(self):
        self.refused("deep0", "nesting")


class Mapped(Explained):
    """Canonical addresses, masquerading, copies."""

    def goes(self, mta, address, **more):
        """The recipients, after a look at where mail really went."""
        e = self.agree(mta, address, **more)
        mta.log.wait("qmgr.* removed")
        told = [line.text for line in mta.log.find(r"to=<[^>]*>.* status=")]
        recipients = [r["address"] for r in e["recipients"]]
        self.assertEqual(sorted(re.search("to=<([^>]*)>", line)[1] for line in told),
                         sorted(recipients))
        return e, recipients

    def test_addresses(self):
        self.sink(2)
        self.sink(3)
        mta = self.start(
            relayhost="[127.0.0.2]", masquerade_domains="two.example",
            masquerade_classes="envelope_recipient",
            canonical_maps="inline:{{c@here.example=d@host5.example}}",
            recipient_canonical_maps="inline:{{r@here.example=c@here.example}}",
            sender_canonical_maps="inline:{{s@here.example=t@other.example}}",
            sender_dependent_relayhost_maps="inline:{{t@other.example=[127.0.0.3]}}",
            virtual_alias_maps="inline:{{d@host5.example=v@host6.example}}")
        e, recipients = self.goes(mta, "r@here.example")
        self.assertEqual(recipients, ["v@host6.example"])
        self.assertEqual([(row["value"], row["why"].split(":")[0]) for row in e["rows"]
                          if row["what"] in ("canonical", "expanded")],
                         [("r@here.example -> c@here.example", "recipient_canonical_maps"),
                          ("c@here.example -> d@host5.example", "canonical_maps"),
                          ("d@host5.example -> v@host6.example", "virtual_alias_maps")])
        e, recipients = self.goes(mta, "u@host.two.example")
        self.assertEqual(recipients, ["u@two.example"])
        self.assertRegex(self.why(e, "masqueraded")[0],
                         r"masquerade_domains = two.example \(main.cf line \d+\)")
        e, _ = self.goes(mta, "u@four.example", sender="s@here.example")
        self.assertEqual(self.why(e, "sender"),
                         ['sender_canonical_maps: "s@here.example" in '
                          "inline:{{s@here.example=t@other.example}}"])
        self.assertEqual(self.only(e)["next_hop"], "[127.0.0.3]")

    def test_copies(self):
        self.sink(2)
        mta = self.start(
            relayhost="[127.0.0.2]", always_bcc="archive@host5.example",
            sender_bcc_maps="inline:{{boss@here.example=secretary}}",
            recipient_bcc_maps="inline:{{@four.example=four@host5.example}, "
            "{x@five.example=x@five.example}, {x@six.example=archive@host5.example}}",
            virtual_alias_maps="inline:{{four@host5.example=a@host6.example b@host6.example}}")
        e, recipients = self.goes(mta, "u@other.example")
        self.assertEqual(recipients, ["u@other.example", "archive@host5.example"])
        self.assertRegex(self.why(e, "copy")[0], "always_bcc = archive@.*main.cf line")
        _, recipients = self.goes(mta, "u@four.example", sender="boss@here.example")
        self.assertEqual(recipients, ["u@four.example", "secretary@ours.example.net",
                                      "a@host6.example", "b@host6.example",
                                      "archive@host5.example"])
        # A copy for the recipient is another message to it, as in Postfix.
        _, recipients = self.goes(mta, "x@five.example")
        self.assertEqual(recipients, ["x@five.example", "x@five.example",
                                      "archive@host5.example"])
        _, recipients = self.goes(mta, "x@six.example")
        self.assertEqual(recipients, ["x@six.example", "archive@host5.example"])

    def test_tables_that_fail(self):
        for name in ("canonical_maps", "sender_canonical_maps", "recipient_canonical_maps",
                     "sender_bcc_maps", "recipient_bcc_maps"):
            with self.subTest(name):
                mta = self.start(start=False, **{name: "fail:broken"})
                self.addCleanup(mta.remove)
                e, status = self.explain(mta, "a@two.example", "--from", "b@here.example")
                self.assertEqual((status, e["recipients"][-1]["result"]), (1, "waits"))
                self.assertIn(f"{name} map lookup problem", str(e["rows"]))


class NotRunning(Explained):
    def test_without_the_mail_system(self):
        mta = self.start(start=False)
        self.addCleanup(mta.remove)
        e, status = self.explain(mta, "a@two.example")
        self.assertEqual((status, self.relays(self.only(e))[0]),
                         (0, "host2.example[127.0.0.2]:25"))
        self.assertIn("the mail system's resolver does not run", self.why(e, "DNS"))

    def test_without_name_servers(self):
        mta = self.start(start=False,
                         resolver_nameservers=f"127.0.0.1@{world.enter().port()}")
        self.addCleanup(mta.remove)
        e, status = self.explain(mta, "a@two.example")
        self.assertEqual((status, self.only(e)["result"]), (1, "waits"))

    def test_table_that_fails(self):
        mta = self.start(start=False, virtual_alias_maps="fail:broken")
        self.addCleanup(mta.remove)
        e, status = self.explain(mta, "a@two.example")
        self.assertEqual((status, self.only(e)["result"]), (1, "waits"))


if __name__ == "__main__":
    unittest.main()
