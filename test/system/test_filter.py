# SPDX-License-Identifier: Apache-2.0
"""A content filter behind the queue: all mail goes to it first, comes back on a port of its
own, and only then to its recipients."""
import threading
import unittest

from . import world
from .harness import Instance, Sink


class Filter:
    """Takes mail from one port, marks it, and gives it back to another."""

    def __init__(self, back):
        self.sink = Sink()
        self.back = back
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        import smtplib
        done = 0
        while not self.stopped.wait(0.02):
            while done < len(self.sink.messages):
                message = self.sink.messages[done]
                done += 1
                with smtplib.SMTP("127.0.0.1", self.back) as smtp:
                    smtp.sendmail(message.sender, message.recipients,
                                  b"X-Filtered: yes\r\n" + message.data)

    def stop(self):
        self.stopped.set()
        self.thread.join(10)
        self.sink.stop()


class BehindTheQueue(unittest.TestCase):
    def test_round_trip(self):
        back, front = world.enter().port(), world.enter().port()
        filter_ = Filter(back)
        self.addCleanup(filter_.stop)
        services = (
            f"{front} inet n - n - 0 smtpd -o content_filter=smtp:{filter_.sink.hop}\n"
            f"{back} inet n - n - 0 smtpd -o content_filter= -o receive_override_options="
            "no_unknown_recipient_checks,no_header_body_checks,no_milters,no_address_mappings\n"
            f"pickup unix n - n 60 1 pickup -o content_filter=smtp:{filter_.sink.hop}\n")
        with Sink() as sink, Instance(
                "filter", services, relayhost=sink.hop, always_bcc="copy@example.org",
                header_checks="regexp:{{/^Subject: (.*)/ REPLACE Subject: seen $1}}".replace("$1", "$$1"),
                smtpd_peername_lookup="no") as mta:
            mta.sendmail(b"Subject: one\n\nbody\n", "a@example.org", sender="s@example.org")
            import smtplib
            with smtplib.SMTP("127.0.0.1", front) as smtp:
                smtp.sendmail("t@example.org", ["b@example.org"], b"Subject: two\r\n\r\nbody\r\n")
            sink.wait(2)
            mta.wait_empty()
        self.assertEqual(sorted(m.recipients for m in filter_.sink.messages),
                         [["a@example.org", "copy@example.org"], ["b@example.org", "copy@example.org"]])
        self.assertEqual(len(sink.messages), 2)   # no third: nothing goes around twice
        for message, subject in zip(sorted(sink.messages, key=lambda m: m.sender), ("one", "two")):
            self.assertEqual(message.header("X-Filtered"), "yes")
            self.assertEqual(message.header("Subject"), f"seen {subject}")
            self.assertEqual(len(message.recipients), 2)


if __name__ == "__main__":
    unittest.main()
