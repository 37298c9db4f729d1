# SPDX-License-Identifier: Apache-2.0
"""The relayhost x smtp_fallback_relay table: what goes where, recipient by recipient.

Every case is played by ours and, where it can run, by Debian's Postfix: both must do what
the table here says, and say the same in the log.
"""
import time
import unittest

from . import world
from .dnsserver import DNSServer
from .harness import DROP, Sink
from .outcomes import CALM, kinds, submit

A, B, C = "a@dest.example", "b@dest.example", "c@dest.example"
ALL = (A, B, C)
TIMEOUTS = {f"smtp_{what}_timeout": "1s" for what in (
    "connect", "helo", "mail", "rcpt", "data_init", "data_xfer", "data_done", "rset",
    "quit")}


class Case:
    """What the first hop does, as rules of a Sink (None: it is down), and what becomes of
    each recipient: `alone`, without a fallback; `helped`, with one. A result is a letter
    for each recipient: s sent by the first hop, f sent by the fallback, d deferred,
    b bounced."""

    def __init__(self, name, rules, alone, helped):
        self.name, self.rules, self.alone, self.helped = name, rules, alone, helped


def stage(name, pattern, hard, hard_helped=None):
    """A stage that concerns all: refused for now, for good, cut, not answered in time."""
    return [
        Case(f"{name} 4xx", [(pattern, "450 4.3.2 not now")], "ddd", "fff"),
        Case(f"{name} 421", [(pattern, "421 4.3.2 closing")], "ddd", "fff"),
        Case(f"{name} 5xx", [(pattern, "554 5.7.1 go away")], hard, hard_helped or hard),
        Case(f"{name} cut", [(pattern, DROP)], "ddd", "fff"),
        Case(f"{name} late", [(pattern, None, 3)], "ddd", "fff"),
    ]


LATER = "450 4.2.0 later"
NEVER = "550 5.1.1 unknown"
CASES = [
    Case("up", [], "sss", "sss"),
    Case("down", None, "ddd", "fff"),
    # A greeting of 5xx is taken for "not now" (smtp_skip_5xx_greeting).
    *stage("CONNECT", "CONNECT", "ddd", "fff"),
    Case("EHLO 5xx, HELO ok", [("EHLO", "502 5.5.2 what")], "sss", "sss"),
    Case("EHLO 5xx, HELO 4xx", [("EHLO", "502 5.5.2 what"), ("HELO", "450 4.3.2 not now")],
         "ddd", "fff"),
    Case("EHLO 5xx, HELO 5xx", [("EHLO", "502 5.5.2 what"), ("HELO", "554 5.7.1 go away")],
         "bbb", "bbb"),
    Case("EHLO 421", [("EHLO", "421 4.3.2 closing")], "ddd", "fff"),
    Case("EHLO cut", [("EHLO", DROP)], "ddd", "fff"),
    Case("EHLO late", [("EHLO", None, 3)], "ddd", "fff"),
    *stage("MAIL", "MAIL", "bbb"),
    *stage("DATA", "DATA", "bbb"),
    *stage("end of data", "EOD", "bbb"),
    Case("RCPT 4xx for one", [("RCPT TO:<b@", LATER)], "sds", "sfs"),
    Case("RCPT 5xx for one", [("RCPT TO:<b@", NEVER)], "sbs", "sbs"),
    Case("RCPT 4xx and 5xx", [("RCPT TO:<a@", LATER), ("RCPT TO:<c@", NEVER)], "dsb", "fsb"),
    Case("RCPT 4xx for all", [("RCPT", LATER)], "ddd", "fff"),
    Case("RCPT 5xx for all", [("RCPT", NEVER)], "bbb", "bbb"),
    Case("RCPT 5xx, DATA 4xx", [("RCPT TO:<b@", NEVER), ("DATA", LATER)], "dbd", "fbf"),
    Case("RCPT 4xx, end of data 5xx", [("RCPT TO:<b@", LATER), ("EOD", NEVER)], "bdb",
         "bfb"),
    Case("RCPT cut", [("RCPT TO:<b@", DROP)], "ddd", "fff"),
    Case("RCPT late", [("RCPT TO:<b@", None, 3)], "ddd", "fff"),
    # A line without a code is not a reply; the one that follows is.
    Case("nonsense for the greeting", [("CONNECT", "hello there")], "ddd", "fff"),
    Case("nonsense before the greeting", [("CONNECT", "hello there\n220 x ESMTP")], "sss",
         "sss"),
    Case("nonsense before a refusal", [("MAIL", "what?\n550-5.1.0 not\n550 5.1.0 you")],
         "bbb", "bbb"),
]


class Table(unittest.TestCase):
    """All cases in each of the four cells."""
    maxDiff = None

    def setUp(self):
        world.need_private()
        self.dns = DNSServer().start()
        self.addCleanup(self.dns.stop)
        self.dns.mail("dest.example", "mx.dest.example")
        self.dns.host("mx.dest.example", "127.0.0.2")

    @staticmethod
    def arrived(sinks, before, expected):
        """Whom each sink has mail for. It writes that down after its reply, so what was
        sent may not be seen yet."""
        end = time.monotonic() + 10
        while True:
            came = [{r for m in sink.messages[n:] for r in m.recipients}
                    for sink, n in zip(sinks, before)]
            if expected <= set.union(*came) or time.monotonic() > end:
                return came
            time.sleep(0.01)

    def play(self, mta, case, hop, fallback):
        """The result's letters, and the outcomes."""
        hop.clear()
        hop.stop()
        if case.rules is not None:
            for pattern, text, *delay in case.rules:
                hop.reply(pattern, text, delay=delay[0] if delay else 0.0)
            hop.start()
        before = len(hop.messages), len(fallback.messages)
        found = submit(mta, ALL)
        came = self.arrived((hop, fallback), before,
                            {r for r in ALL if found[r].status == "sent"})
        letters = ""
        for r in ALL:
            status = found[r].status
            letter = status[0] if status != "sent" else \
                "s" if f":{hop.port}" in found[r].relay and hop.host in found[r].relay \
                else "f"
            # The log tells the truth about who has it.
            self.assertEqual(r in came[0], letter == "s", f"{case.name}: {r} {found[r]}")
            self.assertEqual(r in came[1], letter == "f", f"{case.name}: {r} {found[r]}")
            letters += letter
        return letters, found

    def cell(self, hop, relayhost, with_fallback, name="smtp_fallback_relay"):
        fallback = Sink(name="fallback.example.com", host="127.0.0.9")
        self.addCleanup(fallback.stop)
        parameters = {**CALM, **TIMEOUTS, "relayhost": relayhost}
        if with_fallback:
            parameters[name] = fallback.hop
        told = {}
        for kind in kinds():
            with kind(**parameters) as mta:
                for case in CASES:
                    with self.subTest(case=case.name, kind=kind.kind):
                        want = case.helped if with_fallback else case.alone
                        letters, found = self.play(mta, case, hop, fallback)
                        self.assertEqual(letters, want, found)
                        told.setdefault(case.name, found)
                        self.assertEqual(told[case.name], found)
            hop.stop()
        if not with_fallback:
            self.assertEqual(fallback.connections, 0)

    def destination(self):
        sink = Sink(name="mx.dest.example", host="127.0.0.2", port=25)
        self.addCleanup(sink.stop)
        return sink

    def relay(self):
        sink = Sink(name="relay.example.com", host="127.0.0.3")
        self.addCleanup(sink.stop)
        return sink

    def test_neither(self):
        self.cell(self.destination(), "", False)

    def test_fallback_only(self):
        self.cell(self.destination(), "", True)

    def test_relayhost_only(self):
        hop = self.relay()
        self.cell(hop, hop.hop, False)

    def test_both(self):
        hop = self.relay()
        self.cell(hop, hop.hop, True, "fallback_relay")


if __name__ == "__main__":
    unittest.main()
