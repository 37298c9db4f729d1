# SPDX-License-Identifier: Apache-2.0
"""The SMTP client at its work: each parameter, each time-out, beside Debian's smtp.

Both kinds send the same mail to the same servers; what the log says of it, and what the
servers were told, must be equal. Where the oracle is not there only ours is looked at.
"""
import re
import time
import unittest

from compat.pair import normal

from .harness import DROP, Instance, Ledger, Sink
from .outcomes import CALM, kinds

HOST = "mail.example.net"
PLAIN = b"From: a@example.net\nSubject: hello\n\nhello\n"


def told(mta):
    """What smtp and error said, without what differs from run to run."""
    lines = []
    for line in mta.log.lines():
        if line.program in ("smtp", "error") and not line.message.startswith("warning: /"):
            lines.append(re.sub(r"conn_use=\d+", "conn_use=N", normal(line.message)))
    return lines


class Case(unittest.TestCase):
    maxDiff = None

    def play(self, sinks, recipients=("user@example.org",), message=PLAIN, prepare=None,
             sender="a@example.net", count=1, **parameters):
        """Send it with each kind; {kind: (log lines, commands)}. The first sink is the
        relay host unless parameters say otherwise."""
        results = {}
        parameters = {"relayhost": sinks[0].hop, **CALM, "myhostname": HOST,
                      **parameters}
        for kind in kinds():
            for sink in sinks:
                sink.clear()
                sink.commands.clear()
                sink.messages.clear()
                sink.connections = 0
            if prepare:
                prepare(*sinks)
            with kind(**parameters) as mta:
                for _ in range(count):
                    mta.sendmail(message, *recipients, sender=sender)
                mta.log.wait(r"to=<.*status=", 30, count * len(recipients))
                mta.log.wait(r"qmgr: \w+: removed|status=deferred", 30)
                time.sleep(0.1)  # the last words, after the result
                results[kind.kind] = (told(mta), [[line for _, line in sink.commands]
                                                  for sink in sinks])
        return results

    def same(self, results):
        """The oracle's and ours; ours."""
        if "oracle" in results:
            for ours, oracle in zip(results["ours"], results["oracle"]):
                self.assertEqual(ours, oracle)
        return results["ours"]

    def expect(self, results, *patterns):
        """Equal, and the log is just these lines."""
        lines, commands = self.same(results)
        self.assertEqual(len(lines), len(patterns), lines)
        for line, pattern in zip(lines, patterns):
            self.assertRegex(line, pattern)
        return commands


class Timeouts(Case):
    """A server that says nothing more at one stage."""

    def hang(self, stage, parameter, step, seconds=4, message=PLAIN, **more):
        with Sink() as sink:
            results = self.play(
                [sink], message=message, prepare=lambda s: s.reply(stage, None, delay=seconds),
                **{parameter: "1s"}, **more)
            return self.expect(results,
                               r"to=<user@example.org>, relay=127.0.0.1\[127.0.0.1\]:\d+, .*"
                               r"dsn=4.4.2, status=deferred \(conversation with "
                               rf"127.0.0.1\[127.0.0.1\] timed out while {step}\)$")

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
                  message=PLAIN + b"x" * 70 * 100 + (b"y" * 70 + b"\n") * 100000)

    def test_end_of_data(self):
        self.hang("EOD", "smtp_data_done_timeout",
                  "sending end of data -- message may be sent more than once")

    def test_one_stage_does_not_count_for_another(self):
        """Each of them a little below the only limit that is not."""
        with Sink() as sink:
            def slow(s):
                s.reply("(EHLO|MAIL|RCPT|DATA)", None, delay=0.7)
            self.expect(self.play([sink], prepare=slow, smtp_helo_timeout="1s",
                                  smtp_mail_timeout="2s", smtp_rcpt_timeout="3s",
                                  smtp_data_init_timeout="4s"),
                        "status=sent")

    def test_rset(self):
        """Nobody was accepted: RSET, whose answer does not come."""
        with Sink() as sink:
            def refuse(s):
                s.reply("RCPT", "550 5.1.1 no")
                s.reply("RSET", None, delay=4)
            commands = self.expect(self.play([sink], prepare=refuse, sender="",
                                             smtp_rset_timeout="1s"),
                                   r"status=bounced \(host .* said: 550 5.1.1 no "
                                   r"\(in reply to RCPT TO command\)\)$")
            self.assertEqual(commands[0][-1], "RSET")

    def test_quit(self):
        """The answer to QUIT is not waited for, or for this long."""
        for skip in "yes", "no":
            with self.subTest(skip), Sink() as sink:
                commands = self.expect(
                    self.play([sink], prepare=lambda s: s.reply("QUIT", None, delay=4),
                              smtp_quit_timeout="1s", smtp_skip_quit_response=skip),
                    "status=sent")
                self.assertEqual(commands[0][-1], "QUIT")

    def test_connect(self):
        """A full backlog: the kernel does not answer."""
        import socket
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            others = []
            for _ in range(4):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex(("127.0.0.1", port))
                others.append(s)
            with Sink() as sink:
                results = self.play([sink], relayhost=f"[127.0.0.1]:{port}",
                                    smtp_connect_timeout="1s")
                self.expect(results,
                            rf"connect to 127.0.0.1\[127.0.0.1\]:{port}: "
                            "Connection timed out$",
                            rf"relay=none, .*dsn=4.4.1, status=deferred \(connect to "
                            rf"127.0.0.1\[127.0.0.1\]:{port}: Connection timed out\)$")
            for s in others:
                s.close()


class Greetings(Case):
    def test_helo_name(self):
        with Sink() as sink:
            commands = self.expect(self.play([sink], smtp_helo_name="other.example"),
                                   "status=sent")
            self.assertEqual(commands[0][0], "EHLO other.example")

    def test_which_verb(self):
        for name, value, greeting, verb in (
                ("smtp_always_send_ehlo", "yes", "220 x SMTP", "EHLO"),
                ("smtp_always_send_ehlo", "no", "220 x SMTP", "HELO"),
                ("smtp_always_send_ehlo", "no", "220 x ESMTP", "EHLO"),
                ("smtp_always_send_ehlo", "no", "220 x xESMTPx", None),
                ("smtp_never_send_ehlo", "yes", "220 x ESMTP", "HELO")):
            with self.subTest((name, value, greeting)), Sink() as sink:
                commands = self.expect(
                    self.play([sink], prepare=lambda s, g=greeting: s.reply("CONNECT", g),
                              **{name: value}), "status=sent")
                if verb:
                    self.assertEqual(commands[0][0], f"{verb} {HOST}")

    def test_ehlo_refused(self):
        with Sink() as sink:
            commands = self.expect(
                self.play([sink], prepare=lambda s: s.reply("EHLO", "502 5.5.1 what?")),
                "status=sent")
            self.assertEqual([c.split()[0] for c in commands[0][:3]],
                             ["EHLO", "HELO", "MAIL"])

    def test_skip_5xx_greeting(self):
        for skip, status in (("yes", "deferred"), ("no", "bounced")):
            with self.subTest(skip), Sink() as sink:
                self.expect(
                    self.play([sink], smtp_skip_5xx_greeting=skip, sender="",
                              prepare=lambda s: s.reply("CONNECT", "521 5.3.2 go away")),
                    rf"status={status} \(host 127.0.0.1\[127.0.0.1\] refused to talk to "
                    r"me: 521 5.3.2 go away\)$")

    def test_discard_keywords(self):
        with Sink(extensions=("PIPELINING", "SIZE 1000000", "8BITMIME", "DSN",
                              "ENHANCEDSTATUSCODES")) as sink:
            for parameters, sizes in (
                    ({}, True), ({"smtp_discard_ehlo_keywords": "size, dsn"}, False),
                    ({"smtp_discard_ehlo_keyword_address_maps":
                      "inline:{127.0.0.1=size}"}, False),
                    ({"smtp_discard_ehlo_keyword_address_maps":
                      "inline:{127.0.0.9=size}"}, True),
                    ({"smtp_discard_ehlo_keyword_address_maps":
                      "cidr:{{127.0.0.0/8 silent-discard,size,8bitmime}}"}, False)):
                with self.subTest(parameters):
                    lines, commands = self.same(self.play([sink], **parameters))
                    self.assertRegex(lines[-1], "status=sent")
                    self.assertEqual("SIZE=" in commands[0][1], sizes)

    def test_discard_pipelining(self):
        """Without it a refused MAIL is not followed by RCPT."""
        for discard, verbs in (("", ["EHLO", "MAIL", "RCPT", "DATA"]),
                               ("pipelining", ["EHLO", "MAIL"])):
            with self.subTest(discard), Sink() as sink:
                lines, commands = self.same(self.play(
                    [sink], smtp_discard_ehlo_keywords=discard,
                    prepare=lambda s: s.reply("MAIL", "450 4.7.1 later")))
                self.assertEqual([c.split()[0] for c in commands[0]][:len(verbs)], verbs)
                self.assertRegex(lines[-1], "status=deferred")


class Pix(Case):
    """A firewall that hides what the server says."""
    STARS = "220 " + "*" * 20 + "2*0*0 "

    def test_no_ehlo(self):
        with Sink() as sink:
            commands = self.expect(
                self.play([sink], prepare=lambda s: s.reply("CONNECT", self.STARS)),
                r"enabling PIX workarounds: disable_esmtp for "
                r"127.0.0.1\[127.0.0.1\]:\d+$", "status=sent")
            self.assertEqual(commands[0][0], f"HELO {HOST}")

    def test_none(self):
        with Sink() as sink:
            commands = self.expect(
                self.play([sink], smtp_pix_workarounds="",
                          prepare=lambda s: s.reply("CONNECT", self.STARS)),
                "status=sent")
            self.assertEqual(commands[0][0], f"EHLO {HOST}")

    def test_by_address(self):
        with Sink() as sink:
            commands = self.expect(
                self.play([sink], smtp_pix_workaround_maps="inline:{127.0.0.1=delay_dotcrlf}",
                          smtp_pix_workaround_threshold_time="0s",
                          smtp_pix_workaround_delay_time="2s",
                          prepare=lambda s: s.reply("CONNECT", self.STARS)),
                r"enabling PIX workarounds: delay_dotcrlf for 127.0.0.1\[127.0.0.1\]:\d+$",
                "status=sent")
            self.assertEqual(commands[0][0], f"EHLO {HOST}")

    def test_delay(self):
        with Sink() as sink:
            start = time.monotonic()
            self.expect(
                self.play([sink], smtp_pix_workaround_threshold_time="0s",
                          smtp_pix_workaround_delay_time="3s",
                          prepare=lambda s: s.reply("CONNECT", self.STARS)),
                r"enabling PIX workarounds: disable_esmtp delay_dotcrlf for ",
                "status=sent")
            self.assertGreater(time.monotonic() - start, 3 * len(kinds()))


class Transactions(Case):
    def test_quoting(self):
        recipient = '"a b"@example.org'
        for quote, expected in (("yes", 'RCPT TO:<"a b"@example.org>'),
                                ("no", "RCPT TO:<a b@example.org>")):
            with self.subTest(quote), Sink() as sink:
                _, commands = self.same(self.play([sink], recipients=[recipient],
                                                  smtp_quote_rfc821_envelope=quote))
                self.assertIn(expected, [c.split(" ORCPT")[0] for c in commands[0]])

    def test_line_length(self):
        body = b"Subject: x\n\n" + b"a" * 2500 + b"\n.dot\n" + b"b" * 998 + b"\n"
        for limit in "998", "0", "100":
            with self.subTest(limit), Sink() as sink:
                bodies = []
                for kind in kinds():
                    sink.messages.clear()
                    with kind(relayhost=sink.hop, smtp_line_length_limit=limit) as mta:
                        mta.sendmail(body, "a@example.org", sender="b@example.org")
                        sink.wait(1)
                        mta.wait_empty()
                        bodies.append(sink.messages[0].data.split(b"\r\n\r\n", 1)[1])
                self.assertEqual(bodies[0], bodies[-1])
                longest = max(len(line) for line in bodies[0].split(b"\r\n"))
                self.assertEqual(longest, {"998": 998, "0": 2500, "100": 100}[limit])

    def test_all_refused(self):
        with Sink() as sink:
            commands = self.expect(
                self.play([sink], sender="", recipients=["a@example.org", "b@example.org"],
                          prepare=lambda s: s.reply("RCPT", "550 5.1.1 no")),
                r"to=<a@.*status=bounced", r"to=<b@.*status=bounced")
            self.assertEqual([c.split()[0] for c in commands[0]][-2:], ["RSET", "QUIT"])

    def test_lost_at_each_stage(self):
        for stage in "CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "EOD":
            with self.subTest(stage), Sink() as sink:
                self.expect(self.play([sink], prepare=lambda s, at=stage: s.reply(at, DROP)),
                            r"dsn=4.4.2, status=deferred \(lost connection with "
                            r"127.0.0.1\[127.0.0.1\] while ")

    def test_421_at_each_stage(self):
        for stage in "CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "EOD":
            with self.subTest(stage), Sink() as sink:
                self.expect(self.play([sink], prepare=lambda s, at=stage:
                                      s.reply(at, "421 4.3.2 shutting down")),
                            r"dsn=4.3.2, status=deferred \(host .* 421 4.3.2 shutting down")


if __name__ == "__main__":
    unittest.main()
