# SPDX-License-Identifier: Apache-2.0
"""Address verification: results outlive the process, failures are not remembered where that is
off, and what cannot be asked defers. What clients hear is compared with Debian's in
test/compat/test_verify.py."""
import os
import smtplib
import unittest

from .harness import Instance
from .sink import Sink

SERVICES = """\
2525 inet n - n - - smtpd
verify unix - - n - 1 verify
"""


def ask(recipient):
    with smtplib.SMTP("127.0.0.1", 2525, timeout=30) as client:
        client.helo("h.example")
        client.mail("s@there.example")
        return client.rcpt(recipient)


class Verify(unittest.TestCase):
    def instance(self, sink, services=SERVICES, **more):
        return Instance("verify", services, relayhost=sink.hop, workers="1", mydestination="",
                        smtpd_peername_lookup="no", notify_classes="",
                        address_verify_poll_delay="1s", address_verify_poll_count="20",
                        smtpd_recipient_restrictions="reject_unverified_recipient", **more)

    def test_results_are_kept(self):
        with Sink() as sink:
            sink.reply(r"RCPT TO:<bad", "550 5.1.1 nobody")
            with self.instance(sink) as mta:
                for again in (False, True):
                    if again:
                        mta.postfix("stop")
                        mta.start()
                    self.assertEqual(ask("good@there.example")[0], 250)
                    self.assertEqual(ask("bad@there.example"), (
                        450, b"4.1.1 <bad@there.example>: Recipient address rejected: unverified "
                        b"address: host 127.0.0.1[127.0.0.1] said: 550 5.1.1 nobody (in reply to "
                        b"RCPT TO command)"))
                    asked = [line for _, line in sink.commands if line.startswith("RCPT")]
                    self.assertEqual(len(asked), 2, again)
                self.assertEqual(sink.messages, [])
                mta.log.wait(r"qmgr: [0-9A-F]+: removed", count=2)
                self.assertFalse(any(mta.queue_files().values()))
                path = os.path.join(mta.data, "verify_cache.hikyaku")
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_failures_are_not_remembered(self):
        with Sink() as sink:
            sink.reply(r"RCPT TO:<bad", "550 5.1.1 nobody")
            with self.instance(sink, "2525 inet n - n - - smtpd -o address_verify_poll_count=1\n"
                               "verify unix - - n - 1 verify\n", address_verify_negative_cache="no",
                               address_verify_map="") as mta:
                for n in (1, 2):
                    self.assertIn(b"Address verification in progress", ask("bad@there.example")[1])
                    mta.log.wait(r"status=undeliverable-but-not-cached \(host ", count=n)
                self.assertFalse(os.path.exists(os.path.join(mta.data, "verify_cache.hikyaku")))

    def test_no_service(self):
        with Sink() as sink, self.instance(sink, "2525 inet n - n - - smtpd\n") as mta:
            self.assertEqual(ask("x@there.example"), (
                450, b"4.1.1 <x@there.example>: Recipient address rejected: address verification "
                b"problem"))
            mta.log.wait(r"warning: verify service failure: ")

    def test_too_many_probes(self):
        with Sink() as sink, self.instance(sink, address_verify_pending_request_limit="0"):
            self.assertEqual(ask("x@there.example"), (
                450, b"4.1.1 <x@there.example>: Recipient address rejected: unverified address: "
                b"Too many address verification requests"))
            self.assertEqual(sink.connections, 0)


if __name__ == "__main__":
    unittest.main()
