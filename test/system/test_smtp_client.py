# SPDX-License-Identifier: Apache-2.0
"""The SMTP client at its work: each parameter, each time-out, beside Debian's smtp.

Both kinds send the same mail to the same servers; what the log says of it, and what the
servers were told, must be equal. Where the oracle is not there only ours is looked at.
"""
import re
import socket
import time
import unittest

from compat.pair import Town, normal

from .harness import DROP, Sink, enter, need_private
from .outcomes import CALM, kinds
from .sink import EXTENSIONS

HOST = "mail.example.net"
PLAIN = b"From: a@example.net\nSubject: hello\n\nhello\n"
HERE = r"127.0.0.1\[127.0.0.1\]"


def told(mta):
    """What smtp and error said, without what differs from run to run."""
    lines = []
    for line in mta.log.lines():
        if line.program in ("smtp", "error") and not line.message.startswith("warning: /"):
            lines.append(normal(line.message))
    return lines


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.port = enter().port()

    def send(self, mta, recipients, message=PLAIN, sender="a@example.net", count=1):
        """`count` messages, one after the other, until there is a word about each."""
        for i in range(count):
            mta.sendmail(message, *recipients, sender=sender)
            mta.log.wait(r"to=<.*status=", 30, (i + 1) * len(recipients))
        mta.log.wait(r"qmgr: \w+: removed|status=deferred", 30)
        time.sleep(0.1)  # the last words, after the result

    def play(self, prepare=None, recipients=("user@example.org",), message=PLAIN,
             sender="a@example.net", count=1, extensions=EXTENSIONS, **parameters):
        """Send it with each kind to a server that prepare() has told how to behave;
        {kind: (log lines, commands)}. self.sinks are what the servers have got."""
        results = {}
        self.sinks = []
        for kind in kinds():
            with Sink(self.port, extensions=extensions) as sink, \
                    kind(**{"relayhost": sink.hop, **CALM, "myhostname": HOST,
                            **parameters}) as mta:
                if prepare:
                    prepare(sink)
                self.send(mta, recipients, message, sender, count)
                self.sinks.append(sink)
                results[kind.kind] = (told(mta), [
                    re.sub(r"SIZE=\d+", "SIZE=N", line) for _, line in sink.commands])
        return results

    def same(self, results):
        """The oracle's and ours; ours."""
        if "oracle" in results:
            for ours, oracle in zip(results["ours"], results["oracle"]):
                self.assertEqual(ours, oracle)
        return results["ours"]

    def expect(self, results, *patterns):
        """Equal, and the log is just these lines; the commands."""
        lines, commands = self.same(results)
        self.assertEqual(len(lines), len(patterns), lines)
        for line, pattern in zip(lines, patterns):
            self.assertRegex(line, pattern)
        return commands


class Timeouts(Case):
    """A server that says nothing more at one stage."""

    def hang(self, stage, parameter, step, seconds=4, message=PLAIN, **more):
        return self.expect(
            self.play(lambda sink: sink.reply(stage, None, delay=seconds), message=message,
                      **{parameter: "1s"}, **more),
            rf"to=<user@example.org>, relay={HERE}:\d+, .*dsn=4.4.2, status=deferred "
            rf"\(conversation with {HERE} timed out while {step}\)$")

    def test_greeting(self):
        self.hang("CONNECT", "smtp_helo_timeout", "receiving the initial server greeting")

    def test_ehlo(self):
        self.hang("EHLO", "smtp_helo_timeout", "performing the EHLO handshake")

    def test_helo(self):
        self.hang("HELO", "smtp_helo_timeout", "performing the HELO handshake",
                  smtp_never_send_ehlo="yes")

    def test_mail(self):
        self.hang("MAIL", "smtp_mail_timeout", "sending MAIL FROM")

    def test_rcpt(self):
        self.hang("RCPT", "smtp_rcpt_timeout", "sending RCPT TO")

    def test_data(self):
        self.hang("DATA", "smtp_data_init_timeout", "sending DATA command")

    def test_content(self):
        self.hang("CONTENT", "smtp_data_xfer_timeout", "sending message body", 6,
                  message=PLAIN + (b"y" * 70 + b"\n") * 100000)

    def test_end_of_data(self):
        self.hang("EOD", "smtp_data_done_timeout",
                  "sending end of data -- message may be sent more than once")

    def test_one_stage_does_not_count_for_another(self):
        """Each takes a little less than its own limit."""
        self.expect(self.play(lambda sink: sink.reply("(EHLO|MAIL|RCPT|DATA)", None, delay=0.6),
                              smtp_helo_timeout="1s", smtp_mail_timeout="1s",
                              smtp_rcpt_timeout="2s", smtp_data_init_timeout="2s"),
                    "status=sent")

    def test_rset(self):
        """Nobody was accepted: RSET, whose answer does not come."""
        def refuse(sink):
            sink.reply("RCPT", "550 5.1.1 no")
            sink.reply("RSET", None, delay=4)
        commands = self.expect(self.play(refuse, sender="", smtp_rset_timeout="1s"),
                               r"status=bounced \(host .* said: 550 5.1.1 no "
                               r"\(in reply to RCPT TO command\)\)$")
        self.assertEqual(commands[-1], "RSET")

    def test_quit(self):
        """The answer to QUIT is not waited for, or for this long."""
        for skip in "yes", "no":
            with self.subTest(skip):
                commands = self.expect(
                    self.play(lambda sink: sink.reply("QUIT", None, delay=4),
                              smtp_quit_timeout="1s", smtp_skip_quit_response=skip),
                    "status=sent")
                self.assertEqual(commands[-1], "QUIT")

    def test_connect(self):
        """A full backlog: the kernel does not answer."""
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            others = [socket.socket() for _ in range(4)]
            for s in others:
                s.setblocking(False)
                s.connect_ex(("127.0.0.1", port))
            self.expect(self.play(relayhost=f"[127.0.0.1]:{port}",
                                  smtp_connect_timeout="1s"),
                        rf"connect to {HERE}:{port}: Connection timed out$",
                        rf"relay=none, .*dsn=4.4.1, status=deferred \(connect to "
                        rf"{HERE}:{port}: Connection timed out\)$")
            for s in others:
                s.close()


class Greetings(Case):
    def test_helo_name(self):
        commands = self.expect(self.play(smtp_helo_name="other.example"), "status=sent")
        self.assertEqual(commands[0], "EHLO other.example")

    def test_which_verb(self):
        for name, value, greeting, verb in (
                ("smtp_always_send_ehlo", "yes", "220 x SMTP", "EHLO"),
                ("smtp_always_send_ehlo", "no", "220 x SMTP", "HELO"),
                ("smtp_always_send_ehlo", "no", "220 x esmtp here", "EHLO"),
                ("smtp_always_send_ehlo", "no", "220 x xESMTPx", "HELO"),
                ("smtp_never_send_ehlo", "yes", "220 x ESMTP", "HELO")):
            with self.subTest((name, value, greeting)):
                commands = self.expect(
                    self.play(lambda sink, g=greeting: sink.reply("CONNECT", g),
                              **{name: value}), "status=sent")
                self.assertEqual(commands[0], f"{verb} {HOST}")

    def test_ehlo_refused(self):
        commands = self.expect(
            self.play(lambda sink: sink.reply("EHLO", "502 5.5.1 what?")), "status=sent")
        self.assertEqual([c.split()[0] for c in commands[:3]], ["EHLO", "HELO", "MAIL"])

    def test_skip_5xx_greeting(self):
        for skip, status in (("yes", "deferred"), ("no", "bounced")):
            with self.subTest(skip):
                self.expect(
                    self.play(lambda sink: sink.reply("CONNECT", "521 5.3.2 go away"),
                              sender="", smtp_skip_5xx_greeting=skip),
                    rf"status={status} \(host {HERE} refused to talk to me: "
                    r"521 5.3.2 go away\)$")

    def test_discard_keywords(self):
        table = "smtp_discard_ehlo_keyword_address_maps"
        for parameters, sizes, noted in (
                ({}, True, None),
                ({"smtp_discard_ehlo_keywords": "size, DSN, nonsense"}, False, "SIZE DSN"),
                ({table: "inline:{127.0.0.1=size}", "smtp_discard_ehlo_keywords": "dsn"},
                 False, "SIZE"),
                ({table: "inline:{127.0.0.9=size}"}, True, None),
                ({table: "cidr:{{127.0.0.0/8 silent-discard,size}}"}, False, None)):
            with self.subTest(parameters):
                notes = [f"^discarding EHLO keywords: {noted}$"] if noted else []
                commands = self.expect(
                    self.play(extensions=("PIPELINING", "SIZE 1000000", "8BITMIME", "DSN"),
                              **parameters), *notes, "status=sent")
                self.assertEqual("SIZE=" in commands[1], sizes)

    def test_discard_by_a_table_that_fails(self):
        commands = self.expect(
            self.play(smtp_discard_ehlo_keyword_address_maps="fail:all"),
            "lookup error", "map lookup error for 127.0.0.1",
            rf"dsn=4.3.0, status=deferred \(local data error while talking to {HERE}\)")
        self.assertEqual(commands[-1], "QUIT")

    def test_discard_pipelining(self):
        """Without it a refused MAIL is not followed by RCPT."""
        for discard, verbs in (("", ["EHLO", "MAIL", "RCPT", "DATA"]),
                               ("pipelining", ["EHLO", "MAIL", "RSET", "QUIT"])):
            with self.subTest(discard):
                lines, commands = self.same(self.play(
                    lambda sink: sink.reply("MAIL", "450 4.7.1 later"),
                    smtp_discard_ehlo_keywords=discard))
                self.assertEqual([c.split()[0] for c in commands][:len(verbs)], verbs)
                self.assertRegex(lines[-1], "status=deferred")


class Pix(Case):
    """A firewall that hides what the server says."""

    def pix(self, *patterns, **parameters):
        return self.expect(
            self.play(lambda sink: sink.reply("CONNECT", "220 " + "*" * 20 + "2*0*0 "),
                      **parameters), *patterns)

    def test_no_ehlo(self):
        commands = self.pix(rf"enabling PIX workarounds: disable_esmtp for {HERE}:\d+$",
                            "status=sent")
        self.assertEqual(commands[0], f"HELO {HOST}")

    def test_none(self):
        commands = self.pix("status=sent", smtp_pix_workarounds="")
        self.assertEqual(commands[0], f"EHLO {HOST}")

    def test_by_address(self):
        commands = self.pix(rf"enabling PIX workarounds: delay_dotcrlf for {HERE}:\d+$",
                            "status=sent",
                            smtp_pix_workaround_maps="inline:{127.0.0.1=delay_dotcrlf}",
                            smtp_pix_workaround_threshold_time="0s",
                            smtp_pix_workaround_delay_time="2s")
        self.assertEqual(commands[0], f"EHLO {HOST}")

    def test_delay(self):
        start = time.monotonic()
        self.pix("enabling PIX workarounds: disable_esmtp delay_dotcrlf for ", "status=sent",
                 smtp_pix_workaround_threshold_time="0s",
                 smtp_pix_workaround_delay_time="3s")
        self.assertGreater(time.monotonic() - start, 3 * len(kinds()))

    def test_just_few_letters(self):
        """One letter more, and it is no such firewall."""
        commands = self.expect(self.play(lambda sink: sink.reply("CONNECT", "220 ***a***")),
                               "status=sent")
        self.assertEqual(commands[0], f"EHLO {HOST}")


class Transactions(Case):
    def test_quoting(self):
        for quote, expected in (("yes", 'RCPT TO:<"a b"@example.org>'),
                                ("no", "RCPT TO:<a b@example.org>")):
            with self.subTest(quote):
                _, commands = self.same(self.play(recipients=['"a b"@example.org'],
                                                  smtp_quote_rfc821_envelope=quote))
                self.assertIn(expected, [c.split(" ORCPT")[0] for c in commands])

    def test_line_length(self):
        body = b"Subject: x\n\n" + b"a" * 2500 + b"\n.dot\n" + b"b" * 998 + b"\n"
        for limit, expected in (("998", 998), ("0", 2500), ("100", 100)):
            with self.subTest(limit):
                self.same(self.play(message=body, smtp_line_length_limit=limit))
                got = [s.messages[0].data.split(b"\r\n\r\n", 1)[1] for s in self.sinks]
                self.assertEqual(got[0], got[-1])
                self.assertEqual(max(len(line) for line in got[0].split(b"\r\n")), expected)

    def test_all_refused(self):
        commands = self.expect(
            self.play(lambda sink: sink.reply("RCPT", "550 5.1.1 no"), sender="",
                      recipients=["a@example.org", "b@example.org"]),
            r"to=<a@.*status=bounced", r"to=<b@.*status=bounced")
        self.assertEqual([c.split()[0] for c in commands][-2:], ["RSET", "QUIT"])

    def test_lost_at_each_stage(self):
        for stage in "CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "EOD":
            with self.subTest(stage):
                self.expect(self.play(lambda sink, at=stage: sink.reply(at, DROP)),
                            r"dsn=4.4.2, status=deferred \(lost connection with "
                            rf"{HERE} while ")

    def test_reply_at_each_stage(self):
        for reply, status in (("421 4.3.2 shutting down", "deferred"),
                              ("450 4.3.2 not now", "deferred"),
                              ("554 5.3.2 never", "(bounced|deferred)")):
            for stage in "CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "EOD":
                if stage == "EHLO" and reply[:3] != "421":
                    continue  # then HELO is tried
                with self.subTest((reply, stage)):
                    self.expect(self.play(lambda sink, at=stage, r=reply: sink.reply(at, r),
                                          sender=""),
                                rf"dsn=[45].3.2, status={status} \(host .* {reply}")


class Connections(Case):
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
        """Kept whatever qmgr thinks: two mails, one after the other, one connection."""
        for listed, connections in (("127.0.0.1", 1), ("other.example", 2), ("", 2)):
            with self.subTest(listed):
                self.play(count=2, smtp_connection_cache_destinations=listed)
                self.assertEqual({s.connections for s in self.sinks}, {connections})

    def test_reuse_limits(self):
        """Five mails to a destination whose connections are kept."""
        keep = {"smtp_connection_cache_destinations": "127.0.0.1"}
        for parameters, connections in (
                ({}, 1),
                ({"smtp_connection_reuse_count_limit": "2"}, None),
                ({"smtp_connection_reuse_count_limit": "1"}, 5),
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
                                 smtp_connection_cache_destinations="127.0.0.1") as mta:
                        self.send(mta, ["a@example.org"])
                        time.sleep(3)
                        self.assertEqual(
                            "QUIT" in [line for _, line in sink.commands], connections == 2)
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
                self.assertEqual(len(told(mta)), len(mta.log.find("smtp: .*status=sent")) + 1)


class Hosts(Case):
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
                    ("native", "[native.example]", True), ("native", "[dns.example]", False),
                    ("dns", "[native.example]", False), ("dns", "[dns.example]", True),
                    ("native, dns", "[native.example]", True),
                    ("dns, native", "[dns.example]", True)):
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
                self.assertEqual(self.town.dns.count("example.org"), 0)
                self.assertRegex(lines[-1], "status=(bounced|deferred)")


if __name__ == "__main__":
    unittest.main()
