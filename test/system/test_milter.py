# SPDX-License-Identifier: Apache-2.0
"""Milters that are slow, hostile or large; the dialogues are in test/compat/test_milter.py."""
import os
import socket
import time
import unittest

from .harness import Instance, Ledger, Sink
from .milter import (CLOSE, CONTINUE, PROGRESS, SILENT, Milter, add_header, change_from, insert_header, raw,
                     replace_body)


def deliver(port, message, recipients=("r@example.org",), sender="s@example.org"):
    """By SMTP; all replies."""
    told = []
    with socket.create_connection(("127.0.0.1", port), 30) as s, s.makefile("rb") as f:
        def reply():
            line = f.readline()
            while line[3:4] == b"-":
                line = f.readline()
            told.append(line.decode().rstrip())

        reply()
        for command in ["EHLO client.example", f"MAIL FROM:<{sender}>",
                        *(f"RCPT TO:<{r}>" for r in recipients), "DATA"]:
            s.sendall(command.encode() + b"\r\n")
            reply()
        if told[-1].startswith("354"):
            s.sendall(message + b"\r\n.\r\n")
            reply()
        s.sendall(b"QUIT\r\n")
        reply()
    return told


class Milters(unittest.TestCase):
    def instance(self, sink, options="", **more):
        mta = Instance("milter", f"2525 inet n - n - 0 smtpd -o smtpd_milters=unix:m {options}\n",
                       relayhost=sink.hop, smtpd_recipient_restrictions="permit_mynetworks, reject", **more)
        return mta, Milter(os.path.join(mta.queue, "m"))

    def one(self, options="", message=b"Subject: x\r\n\r\nbody", **replies):
        """One message through a milter: (replies, messages at the sink, log)."""
        with Sink() as sink:
            mta, milter = self.instance(sink, options)
            with mta, milter:
                milter.play(**replies)
                told = deliver(2525, message)
                mta.wait_empty()
                return told, list(sink.messages), "\n".join(line.text for line in mta.log.lines()), milter.told()

    def test_slow_command(self):
        told, sent, log, _ = self.one("-o milter_command_timeout=1s", mail=SILENT)
        self.assertIn("451 4.7.1 Service unavailable - try again later", told)
        self.assertEqual([], sent)
        self.assertIn("milter unix:m: can't read SMFIC_MAIL reply packet header: timeout", log)

    def test_slow_content(self):
        told, sent, log, _ = self.one("-o milter_content_timeout=1s", eom=SILENT)
        self.assertEqual("451 4.7.1 Service unavailable - try again later", told[-2])
        self.assertEqual([], sent)
        self.assertIn("can't read SMFIC_BODYEOB reply packet header: timeout", log)

    def test_progress_gives_time(self):
        def slowly():
            time.sleep(0.7)
            return [PROGRESS]

        class Steps(list):
            """Bytes that come one after the other."""

            def __iter__(self):
                for _ in range(3):
                    yield from slowly()
                yield CONTINUE

        told, sent, _, _ = self.one("-o milter_content_timeout=2s", eom=Steps())
        self.assertIn("queued as", told[-2])
        self.assertEqual(1, len(sent))

    def test_half_changed_is_unchanged(self):
        """With default action accept the message goes on as the milter got it."""
        told, sent, _, _ = self.one("-o milter_default_action=accept",
                                    eom=[add_header("X-A", "1"), change_from("x@y.example"),
                                         replace_body(b"half"), CLOSE])
        self.assertIn("queued as", told[-2])
        self.assertNotIn(b"X-A", sent[0].data)
        self.assertIn(b"body", sent[0].data)
        self.assertEqual("s@example.org", sent[0].sender)

    def test_endless_changes(self):
        told, sent, log, _ = self.one(eom=[add_header("X", "y") * 10001, CONTINUE])
        self.assertTrue(told[-2].startswith("451 "), told)
        self.assertEqual([], sent)
        self.assertIn("more than 10000 changes", log)

    def test_endless_body(self):
        piece = replace_body(b"x" * 65535)
        told, sent, log, _ = self.one("", message=b"Subject: x\r\n\r\nbody", eom=[piece * 200, CONTINUE])
        self.assertTrue(told[-2].startswith("552 5.3.4"), told)
        self.assertEqual([], sent)
        self.assertIn("queue file size limit exceeded", log)

    def test_endless_header(self):
        told, sent, _, _ = self.one(eom=[add_header("X", "y" * 1000) * 5000, CONTINUE])
        self.assertTrue(told[-2].startswith("451 4.3.0"), told)
        self.assertEqual([], sent)

    def test_noise(self):
        told, sent, _, _ = self.one(connect=raw(os.urandom(3000)))
        self.assertEqual([], sent)
        self.assertTrue(any(line.startswith("451 ") for line in told), told)

    def test_large(self):
        """Ten megabytes pass, changed in each part, byte by byte."""
        body = b"".join(b"%08d %s\r\n" % (n, b"z" * 900) for n in range(10000))
        told, sent, _, heard = self.one("-o message_size_limit=20000000", message=b"Subject: x\r\n\r\n" + body.rstrip(),
                                        eom=[insert_header(0, "X-Top", "1"), CONTINUE])
        self.assertIn("queued as", told[-2])
        data = sent[0].data
        self.assertTrue(data.startswith(b"X-Top: 1\r\n"), data[:200])
        self.assertEqual(body.replace(b"\r\n", b"\n").rstrip(),
                         data.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip())
        self.assertEqual(len(body), sum(int(line.split()[1]) for line in heard if line.startswith("body")))

    def test_many_at_once(self):
        """Nothing is mixed up between messages, whatever a milter changes."""
        ledger = Ledger()
        with Sink() as sink:
            mta, milter = self.instance(sink)
            with mta, milter:
                milter.play(eom=[add_header("X-A", "1"), CONTINUE])
                for n in range(20):
                    message = ledger.message([f"r{n}@example.org"])
                    mta.sendmail(message.data, *message.recipients, sender=message.sender)
                    ledger.accept(message)
                    deliver(2525, b"Subject: %d\r\n\r\n%d" % (n, n), (f"q{n}@example.org",))
                mta.wait_empty()
            by_smtp = [m for m in sink.messages if m.recipients[0].startswith("q")]
            self.assertEqual(20, len(by_smtp))
            for m in by_smtp:
                n = m.recipients[0][1:].split("@")[0].encode()
                self.assertIn(b"Subject: " + n + b"\r\n", m.data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
                self.assertEqual(1, m.data.count(b"X-A: 1"))

    def test_bounces(self):
        """internal_mail_filter_classes: reports are shown to non_smtpd_milters."""
        with Sink() as sink:
            sink.reply("RCPT", "550 5.1.1 no")
            for classes, seen in (("", False), ("bounce", True)):
                mta = Instance("milter", relayhost=sink.hop, non_smtpd_milters="unix:m",
                               internal_mail_filter_classes=classes)
                with mta, Milter(os.path.join(mta.queue, "m")) as milter:
                    mta.sendmail(b"Subject: x\n\nx\n", "r@example.org", sender="s@example.org")
                    mta.wait_empty()
                    senders = [line for line in milter.told() if line.startswith("mail ")]
                    self.assertEqual(["mail 's@example.org'"] + ["mail ''"] * seen, senders)


if __name__ == "__main__":
    unittest.main()
