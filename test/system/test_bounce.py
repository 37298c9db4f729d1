# SPDX-License-Identifier: Apache-2.0
"""Reports: what a sender and the postmaster are told, read with Python's mail parser.

Every case is played by ours and, where it can run, by Debian's Postfix; both must do what
is said here, field by field.
"""
import email
import email.policy
import time
import unittest

from . import world
from .harness import Sink
from .outcomes import CALM, kinds

QUICK = {**CALM, "minimal_backoff_time": "1s", "maximal_backoff_time": "1s",
         "queue_run_delay": "1s"}
HOST = "mail.example.net"
BODY = b"Subject: the original\nX-Mark: here\n\nFirst line.\n.\nLast line.\n"


def blocks(part):
    """The groups of fields of a delivery-status part, as dicts."""
    return [dict(block.items()) for block in part.get_payload()]


class Report:
    """A report as a mail reader sees it; raises if it is none."""

    def __init__(self, message):
        self.envelope = message.sender
        self.mail = email.message_from_bytes(message.data, policy=email.policy.default)
        if self.mail.get_content_type() != "multipart/report" or self.mail.defects:
            raise AssertionError(f"no report: {message.data!r}")
        assert self.mail.get_param("report-type") == "delivery-status"
        self.text, self.status, self.original = self.mail.get_payload()
        self.about, *self.recipients = blocks(self.status)

    def of(self, address):
        return next(r for r in self.recipients
                    if r["Final-Recipient"] == f"rfc822; {address}")

    def outcome(self):
        """{address: (action, status)}"""
        return {r["Final-Recipient"].split("; ")[1]: (r["Action"], r["Status"])
                for r in self.recipients}


class Base(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        world.need_private()
        self.sink = Sink(name="relay.example.com")
        self.addCleanup(self.sink.stop)
        self.number = 0

    def each(self, scenario, **parameters):
        """scenario(mta) for each kind of mail system."""
        for kind in kinds():
            with self.subTest(kind=kind.kind):
                self.sink.clear()
                del self.sink.messages[:]
                with kind(**{**CALM, "relayhost": self.sink.hop, "myhostname": HOST,
                             "myorigin": "home.example", **parameters}) as mta:
                    scenario(mta)

    def send(self, mta, *recipients, sender=None, options=(), message=BODY):
        """The sender, one of its own unless it is given."""
        self.number += 1
        sender = f"s{self.number}@home.example" if sender is None else sender
        mta.sendmail(message, *recipients, sender=sender, options=options)
        return sender

    def to(self, address):
        """What came for an address, in order."""
        return [m for m in list(self.sink.messages) if address in m.recipients]

    def report(self, address, count=1):
        """The latest report to an address once there are so many."""
        end = time.monotonic() + 30
        while len(self.to(address)) < count:
            if time.monotonic() > end:
                raise AssertionError(f"no report to {address}: {self.sink.messages}")
            time.sleep(0.02)
        return Report(self.to(address)[count - 1])


class Failed(Base):
    def check_head(self, report, sender, subject="Undelivered Mail Returned to Sender"):
        mail = report.mail
        self.assertEqual(report.envelope, "")
        self.assertEqual(mail["Subject"], subject)
        self.assertEqual(mail["To"], sender)
        self.assertEqual(mail["From"].addresses[0].addr_spec, "MAILER-DAEMON@home.example")
        self.assertEqual(mail["Auto-Submitted"], "auto-replied")
        self.assertTrue(mail["Message-ID"] and mail["Date"])
        self.assertEqual(report.about["Reporting-MTA"], f"dns; {HOST}")
        self.assertEqual(report.about["X-Postfix-Sender"], f"rfc822; {sender}")
        self.assertRegex(report.about["Arrival-Date"], r"^\w{3}, +\d+ \w{3} \d{4} ")
        self.assertRegex(report.about["X-Postfix-Queue-ID"], r"^[0-9A-F]{6,}$")

    def check_original(self, report, sender):
        """All of it, byte for byte."""
        self.assertEqual(report.original.get_content_type(), "message/rfc822")
        whole = report.original.get_payload()[0]
        self.assertEqual((whole["Subject"], whole["X-Mark"]), ("the original", "here"))
        self.assertEqual(whole["Return-Path"], f"<{sender}>")
        self.assertEqual(whole.get_content(),
                         BODY.split(b"\n\n", 1)[1].decode().replace("\n", "\r\n"))

    def test_at_each_stage(self):
        stages = {
            "mail": (r"MAIL FROM:<s", "550 5.1.8 sender unwelcome", "MAIL FROM"),
            "rcpt": (r"RCPT TO:<.@dest", "551 5.1.6 moved away", "RCPT TO"),
            "data": (r"DATA", "554 5.5.0 no data", "DATA"),
            "end": (r"EOD", "552 5.3.4 too much\n", "end of DATA"),
            "plain": (r"RCPT TO:<.@dest", "550 no code of that kind", "RCPT TO"),
        }

        def scenario(mta):
            for name, (pattern, reply, command) in stages.items():
                with self.subTest(stage=name):
                    self.sink.clear()
                    reply = reply.strip()
                    self.sink.reply(pattern, reply, times=-1 if "<" in pattern else 1)
                    sender = self.send(mta, "a@dest.example", "b@dest.example")
                    report = self.report(sender)
                    self.check_head(report, sender)
                    self.check_original(report, sender)
                    status = reply.split()[1] if name != "plain" else "5.0.0"
                    self.assertEqual(report.outcome(), {
                        "a@dest.example": ("failed", status),
                        "b@dest.example": ("failed", status)})
                    for fields in report.recipients:
                        self.assertEqual(fields["Remote-MTA"], "dns; 127.0.0.1")
                        self.assertEqual(fields["Diagnostic-Code"], f"smtp; {reply}")
                        self.assertEqual(fields["Original-Recipient"],
                                         fields["Final-Recipient"].replace("; ", ";"))
                    text = " ".join(report.text.get_content().split())
                    self.assertIn(f"<a@dest.example>: host 127.0.0.1[127.0.0.1] said: "
                                  f"{reply} (in reply to {command} command)", text)
                    mta.wait_empty()
                    self.assertEqual(len(self.to(sender)), 1)

        self.each(scenario)

    def test_each_recipient_has_its_own_fate(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<later", "450 4.2.0 later", times=1)
            self.sink.reply(r"RCPT TO:<never", "550 5.1.1 unknown")
            self.sink.reply(r"RCPT TO:<full", "552 5.2.2 mailbox full")
            sender = self.send(mta, "ok@dest.example", "later@dest.example",
                               "never@dest.example", "full@dest.example")
            report = self.report(sender)
            self.check_head(report, sender)
            self.assertEqual(report.outcome(), {
                "never@dest.example": ("failed", "5.1.1"),
                # A full mailbox is the mailbox's matter, said for good.
                "full@dest.example": ("failed", "5.2.2")})
            mta.flush()
            mta.wait_empty()
            self.assertEqual(sorted(r for m in self.sink.messages for r in m.recipients
                                    if r.endswith("dest.example")),
                             ["later@dest.example", "ok@dest.example"])
            self.assertEqual(len(self.to(sender)), 1)

        self.each(scenario)

    def test_one_that_fails_later(self):
        """Two reports of one message, each about its own recipient."""
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<never", "550 5.1.1 unknown")
            self.sink.reply(r"RCPT TO:<later", "450 4.2.0 later", times=1)
            self.sink.reply(r"RCPT TO:<later", "550 5.7.1 not at all")
            sender = self.send(mta, "never@dest.example", "later@dest.example")
            first = self.report(sender)
            mta.log.wait("to=<later@dest.example>.*status=deferred")
            mta.wait_deferred(1)
            mta.flush()
            second = self.report(sender, 2)
            self.assertEqual(first.outcome(), {"never@dest.example": ("failed", "5.1.1")})
            self.assertEqual(second.outcome(), {"later@dest.example": ("failed", "5.7.1")})
            mta.wait_empty()

        self.each(scenario)

    def test_how_much_of_the_original(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<never", "550 5.1.1 unknown")
            big = BODY + b"filler line\n" * 1000
            for options, message in ((("-R", "hdrs"), BODY), ((), big)):
                sender = self.send(mta, "never@dest.example", options=options,
                                   message=message)
                report = self.report(sender)
                self.assertEqual(report.original.get_content_type(), "text/rfc822-headers")
                head = report.original.get_payload()
                self.assertIn("X-Mark: here", head)
                self.assertNotIn("First line.", head)
            sender = self.send(mta, "never@dest.example", options=("-N", "never"))
            mta.wait_empty()
            self.assertEqual(self.to(sender), [])

        self.each(scenario, bounce_size_limit="5000")


class Late(Base):
    def test_expires(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<later", "450 4.2.0 still later")
            sender = self.send(mta, "ok@dest.example", "later@dest.example")
            report = self.report(sender)
            self.assertEqual(report.mail["Subject"], "Undelivered Mail Returned to Sender")
            self.assertEqual(report.outcome(), {"later@dest.example": ("failed", "4.2.0")})
            self.assertEqual(report.recipients[0]["Diagnostic-Code"],
                             "smtp; 450 4.2.0 still later")
            mta.wait_empty()
            tries = mta.log.find(r"to=<later@dest.example>.*status=deferred")
            self.assertGreaterEqual(len(tries), 2)
            mta.log.wait(r"qmgr: .*from=<s\d+@home.example>, status=expired, returned to "
                         "sender")
            self.assertEqual(len(self.to(sender)), 1)

        self.each(scenario, **{**QUICK, "maximal_queue_lifetime": "3s",
                               "bounce_queue_lifetime": "3s"})

    def test_is_tried_once_if_it_may_not_wait(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<later", "450 4.2.0 later")
            sender = self.send(mta, "later@dest.example")
            self.report(sender)
            mta.wait_empty()
            self.assertEqual(len(mta.log.find(r"to=<later@.*status=deferred")), 1)

        self.each(scenario, maximal_queue_lifetime="0", bounce_queue_lifetime="0")

    def test_warning_then_success(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<later", "450 4.2.0 greylisted")
            sender = self.send(mta, "ok@dest.example", "later@dest.example")
            report = self.report(sender)
            self.assertEqual(report.envelope, "")
            self.assertEqual(report.mail["Subject"], "Delayed Mail (still being retried)")
            self.assertEqual(report.outcome(), {"later@dest.example": ("delayed", "4.2.0")})
            self.assertIn("Will-Retry-Until", report.recipients[0])
            self.assertEqual(report.original.get_content_type(), "text/rfc822-headers")
            # It is told once, however often it is tried.
            tries = len(mta.log.find(r"to=<later@.*status=deferred"))
            mta.log.wait(r"to=<later@.*status=deferred", count=tries + 2)
            self.sink.clear()
            mta.wait_empty()
            self.assertEqual(len(self.to("later@dest.example")), 1)
            self.assertEqual(len(self.to(sender)), 1)
            self.assertEqual(len(mta.log.find("sender delay notification")), 1)

        self.each(scenario, **{**QUICK, "delay_warning_time": "1s"})


class Postmaster(Base):
    """What cannot be returned."""

    def test_null_sender_is_told_nothing(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<never", "550 5.1.1 unknown")
            self.send(mta, "never@dest.example", sender="")
            mta.log.wait("status=bounced")
            mta.wait_empty()
            self.assertEqual(self.sink.messages, [])

        self.each(scenario)

    def test_double_bounce_goes_to_the_postmaster(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<(never|s\d)", "550 5.1.1 unknown")
            self.send(mta, "never@dest.example")
            report = self.report("chief@home.example")
            self.assertEqual(report.envelope, "double-bounce@mail.example.net")
            self.assertRegex(report.outcome().popitem()[0], r"s\d+@home.example")
            # It is about the report that could not be delivered, which is in it whole.
            inner = report.original.get_payload()[0]
            self.assertEqual(inner["Subject"], "Undelivered Mail Returned to Sender")
            self.assertEqual(inner["Return-Path"], f"<MAILER-DAEMON@{HOST}>")
            self.assertEqual(report.about["X-Postfix-Sender"],
                             f"rfc822; MAILER-DAEMON@{HOST}")
            mta.wait_empty()
            mta.log.wait("postmaster non-delivery notification")
            self.assertEqual(len(self.sink.messages), 1)

        self.each(scenario, notify_classes="2bounce",
                  **{"2bounce_notice_recipient": "chief@home.example"})

    def test_double_bounce_of_no_interest(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<(never|s\d)", "550 5.1.1 unknown")
            self.send(mta, "never@dest.example")
            mta.log.wait(r"to=<s\d+@home.example>.*status=bounced")
            mta.wait_empty()
            self.assertEqual(self.sink.messages, [])

        self.each(scenario)

    def test_triple_bounce_ends_here(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<", "550 5.1.1 unknown")
            self.send(mta, "never@dest.example")
            mta.log.wait(r"undeliverable postmaster notification discarded")
            mta.wait_empty()
            self.assertEqual(self.sink.messages, [])
            self.assertEqual(len(mta.log.find("status=bounced")), 3)

        self.each(scenario, notify_classes="2bounce")

    def test_mail_to_the_sender_of_notices(self):
        """At any domain that is ours it is dropped, elsewhere it is an address as any."""
        def scenario(mta):
            for domain in (HOST, "other.example"):
                self.send(mta, f"double-bounce@{domain}", sender="")
                mta.log.wait(rf"to=<double-bounce@{domain}>, relay=none, .*dsn=2.0.0, "
                             r"status=sent \(undeliverable postmaster notification discarded")
            self.send(mta, "double-bounce@home.example", sender="")
            mta.wait_empty()
            self.assertEqual([m.recipients for m in self.sink.wait(1)],
                             [["double-bounce@home.example"]])

        self.each(scenario, mydestination=f"{HOST}, other.example")

    def test_copies(self):
        def scenario(mta):
            self.sink.reply(r"RCPT TO:<never", "550 5.1.1 unknown")
            sender = self.send(mta, "never@dest.example")
            self.report(sender)
            copy = self.report("chief@home.example")
            self.assertEqual(copy.mail["Subject"], "Postmaster Copy: Undelivered Mail")
            self.assertEqual(copy.envelope, "double-bounce@mail.example.net")
            self.assertEqual(copy.mail["Auto-Submitted"], "auto-generated")
            self.assertEqual(copy.original.get_content_type(), "text/rfc822-headers")
            mta.wait_empty()
            self.assertEqual(len(self.sink.messages), 2)

        self.each(scenario, notify_classes="bounce",
                  bounce_notice_recipient="chief@home.example")


if __name__ == "__main__":
    unittest.main()
