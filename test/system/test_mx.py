# SPDX-License-Identifier: Apache-2.0
"""Which mail host gets the mail of a domain: MX records, addresses, fallback, loops.

Every case is played by ours and, where it can run, by Debian's Postfix; both must do what
is said here, and say the same in the log.
"""
import time
import unittest

from . import world
from .dnsserver import DNSServer
from .harness import Sink
from .outcomes import CALM, kinds, submit

UP = ("one", "two", "three", "fallback")


class Mx(unittest.TestCase):
    maxDiff = None
    # name: (MX records or None, status, hosts of which one gets it, what the log says)
    CASES = {
        "preference": ([("one", 10), ("two", 20)], "sent", {"one"}, ""),
        "preference-not-order": ([("two", 20), ("one", 10)], "sent", {"one"}, ""),
        "first-down": ([("down", 10), ("two", 20)], "sent", {"two"}, ""),
        "equal-one-down": ([("down", 10), ("two", 10)], "sent", {"two"}, ""),
        "equal": ([("one", 10), ("two", 10), ("three", 20)], "sent", {"one", "two"}, ""),
        "three-left": ([("down", 10), ("down2", 10), ("later", 20), ("three", 30)], "sent",
                       {"three"}, ""),
        "first-has-no-address": ([("nowhere", 10), ("two", 20)], "sent", {"two"}, ""),
        "two-addresses": ([("half", 10)], "sent", {"one"}, ""),
        "refused-for-good": ([("never", 10), ("two", 20)], "bounced", (), "550 5.1.1 unknown"),
        "all-down": ([("down", 10), ("down2", 20)], "deferred", (), "Connection refused"),
        "no-mx": (None, "sent", {"one"}, ""),
        "no-mx-down": (None, "deferred", (), "Connection refused"),
        "null": ([("", 0)], "bounced", (), "does not accept mail"),
        "to-self": ([("self", 10), ("two", 20)], "bounced", (), "loops back to myself"),
        "to-self-alone": ([("self", 10)], "bounced", (), "loops back to myself"),
        "backup-of": ([("one", 10), ("self", 20)], "sent", {"one"}, ""),
        # We are the backup: who comes after us is none of our business.
        "backup-of-down": ([("down", 10), ("self", 20), ("two", 30)], "deferred", (),
                           "Connection refused"),
        "dns-trouble": ([("one", 10)], "deferred", (), "Host or domain name not found"),
        "no-such-domain": (None, "bounced", (), "Host or domain name not found"),
    }
    # What a fallback changes: all that failed for want of a host, even if that is for good;
    # but a backup host hands nothing to it.
    HELPED = {"all-down", "no-mx-down", "dns-trouble", "no-such-domain", "null"}

    def setUp(self):
        world.need_private()
        self.dns = DNSServer().start()
        self.addCleanup(self.dns.stop)
        self.sinks = {}
        for number, name in enumerate(UP + ("later", "never", "down", "down2"), 10):
            sink = Sink(25, f"127.0.0.{number}", f"{name}.example", start="down" not in name)
            self.addCleanup(sink.stop)
            self.dns.host(f"{name}.example", sink.host)
            self.sinks[name] = sink
        self.sinks["later"].reply("MAIL", "450 4.3.2 later")
        self.sinks["never"].reply("RCPT", "550 5.1.1 unknown")
        self.dns.host("self.example", "127.0.0.1")
        self.dns.add("nowhere.example", "TXT", "no address")
        self.dns.host("half.example", self.sinks["down"].host, self.sinks["one"].host)
        for name, (records, *_) in self.CASES.items():
            if records is not None:
                self.dns.mail(f"{name}.case.example", *((f"{host}.example" if host else ".",
                                                         preference)
                                                        for host, preference in records))
        self.dns.host("no-mx.case.example", self.sinks["one"].host)
        self.dns.host("no-mx-down.case.example", self.sinks["down"].host)
        self.dns.behave("dns-trouble.case.example", "servfail")

    def got(self, recipient):
        return [name for name, sink in self.sinks.items() for m in list(sink.messages)
                if recipient in m.recipients]

    def check(self, case, outcome, with_fallback):
        _, status, hosts, text = self.CASES[case]
        if with_fallback and case in self.HELPED:
            status, hosts, text = "sent", {"fallback"}, ""
        self.assertEqual(outcome.status, status, outcome)
        self.assertIn(text, outcome.text)
        if status != "sent":
            return
        self.assertIn(outcome.relay.split("[")[0].removesuffix(".example"),
                      hosts | {"half", "no-mx.case"})
        recipient = f"user@{case}.case.example"
        # A sink writes down what it has after its reply.
        end = time.monotonic() + 10
        while not self.got(recipient) and time.monotonic() < end:
            time.sleep(0.01)
        got = self.got(recipient)
        self.assertEqual(len(got), 1, got)
        self.assertIn(got[0], hosts)

    def play(self, with_fallback):
        told = {}
        extra = {"smtp_fallback_relay": "fallback.example"} if with_fallback else {}
        for kind in kinds():
            with kind(**CALM, **extra, myhostname="mail.example.net") as mta:
                recipients = {case: f"user@{case}.case.example" for case in self.CASES}
                found = submit(mta, list(recipients.values()), seconds=60)
                for case, recipient in recipients.items():
                    with self.subTest(case=case, kind=kind.kind):
                        self.check(case, found[recipient], with_fallback)
                        if "equal" in case or case in ("two-addresses", "three-left",
                                                       "all-down"):
                            continue  # an order that is up to chance
                        told.setdefault(case, found[recipient])
                        self.assertEqual(told[case], found[recipient])
            for sink in self.sinks.values():
                del sink.messages[:]

    def test_without_fallback(self):
        self.play(False)

    def test_with_fallback(self):
        self.play(True)

    def test_equal_hosts_share(self):
        """Of two hosts with the same preference each gets its part."""
        for kind in kinds():
            with self.subTest(kind=kind.kind), kind(**{
                    **CALM, "smtp_destination_recipient_limit": "1"}) as mta:
                recipients = [f"u{n}@equal.case.example" for n in range(40)]
                submit(mta, recipients, seconds=60)
                counts = [len(self.sinks[host].wait(1)) for host in ("one", "two")]
                self.assertEqual(sum(counts), 40)
                self.assertEqual(self.sinks["three"].messages, [])
                for sink in self.sinks.values():
                    del sink.messages[:]


if __name__ == "__main__":
    unittest.main()
