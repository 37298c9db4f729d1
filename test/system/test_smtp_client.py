# SPDX-License-Identifier: Apache-2.0
"""The SMTP client at its work: each parameter, each time-out, beside Debian's smtp.

Both kinds send the same mail to the same servers; what the log says of it, and what the
servers were told, must be equal. Where the oracle is not there only ours is looked at.
"""
import re
import socket
import time
import unittest

from compat.pair import normal

from .harness import DROP, Sink, enter
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

    def send(self, mta, recipients, message=PLAIN, sender="a@example.net", count=1,
             options=()):
        """`count` messages, one after the other, until there is a word about each."""
        for _ in range(count):
            before = len(mta.log.find(r"to=<.*status="))
            mta.sendmail(message, *recipients, sender=sender, options=options)
            mta.log.wait(r"to=<.*status=", 30, before + len(recipients))
        mta.log.wait(r"qmgr: \w+: removed|status=deferred", 30)
        time.sleep(0.1)  # the last words, after the result

    def play(self, prepare=None, recipients=("user@example.org",), message=PLAIN,
             sender="a@example.net", count=1, extensions=EXTENSIONS, options=(),
             **parameters):
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
                self.send(mta, recipients, message, sender, count, options)
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

    def test_xforward(self):
        self.hang("XFORWARD", "smtp_xforward_timeout", "sending XFORWARD protocol/helo_name",
                  smtp_send_xforward_command="yes", extensions=("XFORWARD SOURCE",))

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

    def test_whole_reply(self):
        """A line every half second: each in time, together too late."""
        def slowly(sink):
            sink.pace = 0.5
        extensions = ("SIZE 0", "8BITMIME", "PIPELINING", "DSN", "X-ONE", "X-TWO")
        for whole, pattern in (
                ("no", "status=sent"),
                ("yes", rf"status=deferred \(conversation with {HERE} timed out while "
                        r"performing the EHLO handshake\)$")):
            with self.subTest(whole):
                self.expect(self.play(slowly, extensions=extensions,
                                      smtp_per_request_deadline=whole,
                                      smtp_helo_timeout="2s"), pattern)

    def test_slow_content(self):
        """A server that reads a megabyte per second, which is enough, or is not."""
        def slowly(sink):
            sink.bytes_per_second = 1000000
        message = PLAIN + (b"y" * 99 + b"\n") * 80000
        for rate, pattern in (
                ("500", "status=sent"),
                ("8000000", rf"status=deferred \(conversation with {HERE} timed out while "
                            r"sending message body\)$")):
            with self.subTest(rate):
                self.expect(self.play(slowly, message=message, smtp_min_data_rate=rate,
                                      smtp_per_request_deadline="yes",
                                      smtp_data_xfer_timeout="3s"), pattern)

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
        results = self.play(smtp_discard_ehlo_keyword_address_maps="fail:all")
        for lines, commands in results.values():
            self.assertRegex(lines[1], "warning: .*: smtp_discard_ehlo_keyword_address_maps map "
                                       "lookup error for 127.0.0.1$")
            self.assertRegex(lines[2], "dsn=4.3.0, status=deferred "
                                       rf"\(local data error while talking to {HERE}\)$")
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

    def test_xforward(self):
        """Mail of our own: all there is to say is that it is."""
        everything = "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT"
        for value, offer, sent in (("yes", everything, ["XFORWARD SOURCE=LOCAL"]),
                                   ("yes", "XFORWARD NAME ADDR", []),
                                   ("no", everything, [])):
            for reply in "250 2.0.0 Ok", "550 5.5.1 no":
                with self.subTest((value, offer, reply)):
                    notes = ["warning: host .* said: 550 5.5.1 no .in reply to XFORWARD "
                             "helo/protocol command"] if sent and reply[0] == "5" else []
                    commands = self.expect(
                        self.play(lambda sink, r=reply: sink.reply("XFORWARD", r),
                                  extensions=("PIPELINING", offer),
                                  smtp_send_xforward_command=value),
                        *notes, "status=sent")
                    self.assertEqual([c for c in commands if c.startswith("XF")], sent)

    def test_reply_filter(self):
        for rule, lines, verbs in (
                (r"/^250 2.0.0 (.*)queued.*/ 250 2.0.0 $$1 filtered",
                 ["^127.*: replacing server reply \"250 2.0.0 Ok: queued as S\\w+\" with ",
                  r"status=sent \(250 2.0.0 Ok:  ?filtered\)"], None),
                (r"/^250 2.1.5/ 550 5.7.1 not you",
                 ["with \"550 5.7.1 not you\"", "status=bounced .*said: 550 5.7.1 not you"],
                 None),
                (r"/^250-SIZE/ 250-X", ["replacing", "status=sent"], "MAIL FROM:<>"),
                (r"/^220/ 521 go away", ["replacing", "status=deferred .*521 go away"],
                 "QUIT")):
            with self.subTest(rule):
                commands = self.expect(
                    self.play(smtp_reply_filter=f"regexp:{{{{{rule}}}}}", sender="",
                              extensions=("PIPELINING", "SIZE 10000", "8BITMIME")), *lines)
                if verbs:
                    self.assertIn(verbs, commands)

    def test_reply_filter_that_fails(self):
        for lines, commands in self.play(smtp_reply_filter="fail:all").values():
            self.assertRegex(lines[-1], "dsn=4.3.0, status=deferred "
                                        rf"\(local data error while talking to {HERE}\)$")
            self.assertEqual(commands, ["QUIT"])

    def test_probe(self):
        """sendmail -bv: up to RCPT, or to DATA; never with content."""
        for target, rules, verbs, line in (
                ("rcpt", (), ["RCPT", "RSET", "QUIT"],
                 r"dsn=2.1.5, status=deliverable \(250 2.1.5 Ok\)"),
                ("data", (), ["RCPT", "DATA"],
                 r"dsn=2.0.0, status=deliverable \(354 Go ahead\)"),
                ("data", (("DATA", "550 5.1.1 no"),), ["RCPT", "DATA", "RSET", "QUIT"],
                 r"dsn=5.1.1, status=undeliverable \(host .*in reply to DATA command\)"),
                ("data", (("RCPT", "550 5.1.1 no"),), ["RCPT", "DATA", "RSET", "QUIT"],
                 r"dsn=5.1.1, status=undeliverable \(host .*in reply to RCPT TO command\)")):
            with self.subTest((target, rules)):
                def prepare(sink, rules=rules):
                    for rule in rules:
                        sink.reply(*rule)
                commands = self.expect(
                    self.play(prepare, options=["-bv"], sender="",
                              smtp_address_verify_target=target), line)
                self.assertEqual([c.split()[0] for c in commands[2:]], verbs)
                self.assertFalse(any(s.messages for s in self.sinks))

    def test_all_refused(self):
        commands = self.expect(
            self.play(lambda sink: sink.reply("RCPT", "550 5.1.1 no"), sender="",
                      recipients=["a@example.org", "b@example.org"]),
            r"to=<a@.*status=bounced", r"to=<b@.*status=bounced")
        self.assertEqual([c.split()[0] for c in commands][-2:], ["RSET", "QUIT"])

    def test_lost_at_each_stage(self):
        for stage, (lines, _) in self.each_stage(DROP).items():
            with self.subTest(stage):
                self.assertEqual(len(lines), 1, lines)
                self.assertRegex(lines[0], r"dsn=4.4.2, status=deferred \(lost connection with "
                                           rf"{HERE} while ")

    def test_reply_at_each_stage(self):
        for reply, status in (("421 4.3.2 shutting down", "deferred"),
                              ("450 4.3.2 not now", "deferred"),
                              ("554 5.3.2 never", "(bounced|deferred)")):
            for stage, (lines, _) in self.each_stage(reply).items():
                with self.subTest((reply, stage)):
                    self.assertEqual(len(lines), 1, lines)
                    if stage != "EHLO" or reply[:3] == "421":  # else HELO is tried
                        self.assertRegex(lines[0], rf"dsn=[45].3.2, status={status} "
                                                   rf"\(host .* {reply}")

    def each_stage(self, reply):
        """A server for each stage; {stage: (log lines, commands)}, alike for each kind."""
        stages = "CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "EOD"
        ports = {stage: enter().port() for stage in stages}
        results = {}
        for kind in kinds():
            sinks = {stage: Sink(ports[stage]) for stage in stages}
            rules = ", ".join(f"{stage.lower()}.example=smtp:{sink.hop}"
                              for stage, sink in sinks.items())
            with kind(**{**CALM, "myhostname": HOST,
                         "transport_maps": f"inline:{{{rules}}}"}) as mta:
                for stage, sink in sinks.items():
                    sink.reply(stage, reply)
                    self.send(mta, [f"user@{stage.lower()}.example"], sender="")
                    mta.log.wait(rf"smtp: .*to=<user@{stage.lower()}.*status=")
                time.sleep(0.1)
                results[kind.kind] = {
                    stage: ([line for line in told(mta) if f"@{stage.lower()}." in line],
                            [re.sub(r"SIZE=\d+", "SIZE=N", line)
                             for _, line in sink.commands])
                    for stage, sink in sinks.items()}
            for sink in sinks.values():
                sink.stop()
        self.assertEqual(*(results[k.kind] for k in (kinds() * 2)[:2]))
        return results["ours"]


if __name__ == "__main__":
    unittest.main()
