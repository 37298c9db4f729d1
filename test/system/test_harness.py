# SPDX-License-Identifier: Apache-2.0
"""The harness itself, proved on Debian's Postfix; and that its ledger can fail."""
import os
import unittest

from . import queuefile
from .harness import DROP, Ledger, Message, OracleInstance, Sink, parse


class Relay(unittest.TestCase):
    def test_relays_to_sink_and_ledger_holds(self):
        ledger = Ledger()
        with Sink() as sink, OracleInstance(relayhost=sink.hop) as mta:
            for size in (0, 2000, 100000):
                message = ledger.message(["a@example.org", "b@example.org"], size=size)
                mta.sendmail(message.data, *message.recipients, sender=message.sender,
                             user="tester")
                ledger.accept(message)
            mta.wait_empty()
            count = ledger.check([sink], [mta])
            self.assertEqual((count.accepted, count.delivered, count.queued), (6, 6, 0))
            sent = mta.log.find("smtp: .*status=sent")
            self.assertEqual({line.fields["to"] for line in sent},
                             {"a@example.org", "b@example.org"})

    def test_deferred_bounced_and_queue_list(self):
        ledger = Ledger()
        with Sink() as sink, OracleInstance(relayhost=sink.hop) as mta:
            sink.reply("RCPT TO:<later@", "450 4.2.0 come back later")
            sink.reply("RCPT TO:<never@", "550 5.1.1 no such user")
            message = ledger.message(
                ["now@example.org", "later@example.org", "never@example.org"])
            mta.sendmail(message.data, *message.recipients, sender=message.sender)
            ledger.accept(message)
            mta.log.wait("bounce: .*sender non-delivery notification")
            sink.wait(2)
            count = ledger.check([sink], [mta])
            self.assertEqual((count.delivered, count.bounced, count.queued), (1, 1, 1))
            listed, = mta.queue_list()
            self.assertEqual(listed["queue_name"], "deferred")
            self.assertEqual([r["address"] for r in listed["recipients"]],
                             ["later@example.org"])

            sink.clear()
            mta.run("postqueue", "-f")
            mta.wait_empty()
            self.assertEqual(ledger.check([sink], [mta]).delivered, 2)

    def test_hop_down_then_up_and_kill(self):
        ledger = Ledger()
        with Sink(start=False) as sink, \
                OracleInstance(relayhost=sink.hop, minimal_backoff_time="1s") as mta:
            message = ledger.message(["a@example.org"])
            mta.sendmail(message.data, *message.recipients, sender=message.sender)
            ledger.accept(message)
            mta.log.wait("smtp: .*status=deferred .*refused")
            self.assertIn("qmgr", mta.processes().values())
            self.assertEqual(len(mta.kill("qmgr")), 1)
            mta.log.wait("master: warning: process .*qmgr pid .* killed by signal 9")
            sink.start()
            mta.run("postqueue", "-f")
            mta.wait_empty()
            self.assertEqual(ledger.check([sink], [mta]).delivered, 1)

    def test_two_systems_reach_each_other(self):
        ledger = Ledger()
        with Sink() as sink:
            second = OracleInstance("second", relayhost=sink.hop)
            port = second.world.port()
            second.services += f"127.0.0.1:{port} inet n - n - - smtpd\n"
            second.write()
            with second, OracleInstance("first", relayhost=f"[127.0.0.1]:{port}") as first:
                message = ledger.message(["a@example.org"])
                first.sendmail(message.data, *message.recipients, sender=message.sender)
                ledger.accept(message)
                sink.wait()
                first.wait_empty()
                second.wait_empty()
                self.assertEqual(ledger.check([sink], [first, second]).delivered, 1)
                self.assertEqual(len(second.log.find("smtpd: .*client=")), 1)

    def test_reload_takes_changed_configuration(self):
        with Sink() as old, Sink() as new, OracleInstance(relayhost=old.hop) as mta:
            mta.sendmail(b"Subject: 1\n\n1\n", "a@example.org", sender="b@example.org")
            old.wait()
            mta.configure(relayhost=new.hop)
            mta.reload()
            mta.sendmail(b"Subject: 2\n\n2\n", "a@example.org", sender="b@example.org")
            self.assertEqual(new.wait()[0].header("subject"), "2")

    def test_sink_can_drop(self):
        with Sink() as sink, OracleInstance(relayhost=sink.hop) as mta:
            sink.reply("DATA", DROP, times=1)
            mta.sendmail(b"\n1\n", "a@example.org", sender="b@example.org")
            mta.log.wait("status=deferred .*lost connection .*while sending DATA|"
                         "lost connection with .* while performing")
            self.assertEqual(sink.messages, [])


class Books(unittest.TestCase):
    """The ledger must notice each thing that may go wrong."""

    class FakeSink:
        def __init__(self):
            self.messages = []

    def setUp(self):
        self.ledger = Ledger()
        self.sink = self.FakeSink()
        self.entry = self.ledger.message(["a@example.org"])
        self.ledger.accept(self.entry)

    def arrive(self, recipient="a@example.org", data=None):
        data = self.entry.data if data is None else data
        self.sink.messages.append(
            Message("x@y", [recipient], b"Received: by x\r\n\tby y\r\n"
                    + data.replace(b"\n", b"\r\n")))

    def test_holds(self):
        self.arrive()
        self.assertEqual(self.ledger.check([self.sink]).delivered, 1)

    def test_lost(self):
        with self.assertRaisesRegex(AssertionError, "lost: ledger-1 to a@example.org"):
            self.ledger.check([self.sink])

    def test_altered(self):
        self.arrive(data=self.entry.data + b"x")
        with self.assertRaisesRegex(AssertionError, "altered"):
            self.ledger.check([self.sink])

    def test_duplicate(self):
        self.arrive()
        self.arrive()
        with self.assertRaisesRegex(AssertionError, "1 duplicates"):
            self.ledger.check([self.sink])
        self.assertEqual(self.ledger.check([self.sink], max_duplicates=1).duplicates, 1)

    def test_wrong_recipient(self):
        self.arrive()
        self.arrive("c@example.org")
        with self.assertRaisesRegex(AssertionError, "not for: ledger-1 to c@example.org"):
            self.ledger.check([self.sink])

    def test_unknown_message(self):
        self.arrive()
        self.arrive(data=b"Subject: spam\n\n")
        with self.assertRaisesRegex(AssertionError, "nobody wrote"):
            self.ledger.check([self.sink])


class Parsers(unittest.TestCase):
    def test_maillog_line(self):
        line = parse("Nov 24 10:02:12 www postfix/smtp[12]: C7640280020: "
                     "to=<h@example.jp>, orig_to=<all@example.jp>, relay=r[192.0.2.1]:25, "
                     "delay=0.6, delays=0.1/0/0.4/0.1, dsn=2.0.0, status=sent (250 a=b)")
        self.assertEqual((line.program, line.pid, line.queue_id),
                         ("smtp", 12, "C7640280020"))
        self.assertEqual(line.fields["orig_to"], "all@example.jp")
        self.assertEqual(line.fields["relay"], "r[192.0.2.1]:25")
        self.assertEqual(line.fields["status"], "sent")
        self.assertNotIn("a", line.fields)
        self.assertIsNone(parse("not a log line"))

    def test_records(self):
        long = b"x" * 300
        data = b"S\x01aN\xac\x02" + long + b"E\x00"
        self.assertEqual(queuefile.records(data), [("S", b"a"), ("N", long), ("E", b"")])
        for cut in (1, 2, 4, 5, 10):
            with self.assertRaises(queuefile.Damaged):
                queuefile.records(data[:cut])

    def test_cut_file_is_not_complete(self):
        name = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"queuefile.{os.getpid()}")
        self.addCleanup(os.unlink, name)
        for data, complete in ((b"S\x01aE\x00", True), (b"S\x01a", False), (b"S\x05a", False)):
            with open(name, "wb") as f:
                f.write(data)
            self.assertEqual(queuefile.read(name).complete, complete)


if __name__ == "__main__":
    unittest.main()
