# SPDX-License-Identifier: Apache-2.0
"""The queue manager with real agents: whose turn it is, how many at once, what a dead
destination does to the others, and what a restart leaves behind."""
import os
import re
import socket
import time
import unittest

from .harness import Instance, Ledger, Sink


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def ask(mta, letters):
    """One-letter requests, as the postqueue command sends them."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(mta.queue, "public/qmgr"))
        s.sendall(letters)


class AtOnce(unittest.TestCase):
    """How many deliveries there are at a time."""

    def most_at_once(self, services="", messages=12, delay=0.2, **parameters):
        """Send messages that take `delay` each; the most connections at one time."""
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, services=services,
                                      smtp_connection_cache_on_demand="no",
                                      **parameters) as mta:
            sink.reply("EOD", None, delay=delay)
            most = 0
            for _ in range(messages):
                message = ledger.message(["a@example.org"])
                mta.sendmail(message.data, *message.recipients, sender=message.sender)
                ledger.accept(message)
            end = time.monotonic() + 30
            while mta.queued():
                most = max(most, len(sink._open))
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            count = ledger.check([sink], [mta])
            self.assertEqual((count.delivered, count.queued), (messages, 0))
            return most

    def test_window_opens_up_to_the_limit(self):
        self.assertLessEqual(
            self.most_at_once(smtp_destination_concurrency_limit="2"), 2)

    def test_maxproc_of_the_service(self):
        most = self.most_at_once(services="smtp unix - - n - 3 smtp")
        self.assertIn(most, (2, 3))

    def test_initial_concurrency_then_growth(self):
        most = self.most_at_once(messages=20, delay=0.4,
                                 initial_destination_concurrency="2")
        self.assertGreater(most, 2)

    def test_rate_delay(self):
        start = time.monotonic()
        most = self.most_at_once(messages=3, delay=0,
                                 smtp_destination_rate_delay="1s")
        self.assertEqual(most, 1)
        self.assertGreaterEqual(time.monotonic() - start, 2)

    def test_transport_rate_delay(self):
        ledger = Ledger()
        with Sink() as a, Sink() as b, \
                Instance(smtp_transport_rate_delay="1s",
                         transport_maps=f"inline:{{a.example=smtp:{a.hop}, "
                                        f"b.example=smtp:{b.hop}}}") as mta:
            for domain in ("a.example", "b.example", "a.example"):
                message = ledger.message([f"x@{domain}"])
                mta.sendmail(message.data, *message.recipients, sender=message.sender)
                ledger.accept(message)
            start = time.monotonic()
            mta.wait_empty()
            self.assertGreater(time.monotonic() - start, 1.5)
            self.assertEqual(ledger.check([a, b], [mta]).delivered, 3)


class Turns(unittest.TestCase):
    def test_small_mail_overtakes_a_huge_list(self):
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, qmgr_message_recipient_limit="1000",
                                      qmgr_message_active_limit="1000",
                                      smtp_recipient_limit="1000",
                                      smtp_destination_recipient_limit="10",
                                      smtp_destination_concurrency_limit="2") as mta:
            sink.reply("EOD", None, delay=0.02)
            big = ledger.message([f"u{i}@example.org" for i in range(5000)])
            mta.sendmail(big.data, *big.recipients, sender=big.sender)
            ledger.accept(big)
            sink.wait(5)
            small = ledger.message(["one@example.org"])
            mta.sendmail(small.data, *small.recipients, sender=small.sender)
            ledger.accept(small)
            mta.log.wait("to=<one@example.org>.*status=sent", 10)
            self.assertGreater(mta.queued(), 0, "the list was over before")
            mta.wait_empty(60)
            count = ledger.check([sink], [mta])
            self.assertEqual((count.delivered, count.queued), (5001, 0))
            self.assertEqual(count.duplicates, 0)

    def test_recipients_in_memory_are_bounded(self):
        """100,000 recipients that wait: qmgr holds a part of them."""
        with Sink() as sink, Instance(relayhost=sink.hop, recipient_delimiter="",
                                      qmgr_message_recipient_limit="2000",
                                      qmgr_message_active_limit="1000",
                                      smtp_destination_recipient_limit="200",
                                      smtp_destination_concurrency_limit="1") as mta:
            sink.reply("EOD", None, delay=0.001)
            recipients = [f"user{i:06d}@example.org" for i in range(100000)]
            qmgr, = (pid for pid, name in mta.processes().items() if name == "qmgr")
            before = resident_kb(qmgr)
            # No single header longer than header_size_limit.
            header = b"".join(b"To: " + ", ".join(recipients[i:i + 1000]).encode() + b"\n"
                              for i in range(0, len(recipients), 1000))
            mta.sendmail(header + b"\nhi\n", sender="s@example.org", options=["-t"])
            sink.wait(100, 10)
            self.assertLess(resident_kb(qmgr) - before, 8000)
            end = time.monotonic() + 90
            while mta.queued():
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)
            got = [r for m in sink.messages for r in m.recipients]
            self.assertEqual(len(got), len(recipients))
            self.assertEqual(set(got), set(recipients))


class Dead(unittest.TestCase):
    def test_dead_destination_holds_up_nobody(self):
        ledger = Ledger()
        with Sink(start=False) as dead, Sink() as alive, \
                Instance(minimal_backoff_time="2s", maximal_backoff_time="2s",
                         queue_run_delay="2s",
                         transport_maps=f"inline:{{dead.example=smtp:{dead.hop}, "
                                        f"alive.example=smtp:{alive.hop}}}") as mta:
            for domain in ("dead.example", "alive.example") * 3:
                message = ledger.message([f"x@{domain}"])
                mta.sendmail(message.data, *message.recipients, sender=message.sender)
                ledger.accept(message)
            alive.wait(3)
            mta.log.wait("error: .*relay=none.*status=deferred "
                         r"\(delivery temporarily suspended: .*refused", 10)
            dead.start()
            mta.wait_empty(30)
            count = ledger.check([dead, alive], [mta])
            self.assertEqual((count.delivered, count.queued), (6, 0))

    def test_defer_transports_until_flushed(self):
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, defer_transports="smtp") as mta:
            message = ledger.message(["a@example.org"])
            mta.sendmail(message.data, *message.recipients, sender=message.sender)
            ledger.accept(message)
            mta.log.wait(r"status=deferred \(deferred transport\)")
            mta.log.mark()
            ask(mta, b"ADI")
            mta.log.wait(r"status=deferred \(deferred transport\)")
            ask(mta, b"FADI")
            mta.wait_empty()
            self.assertEqual(ledger.check([sink], [mta]).delivered, 1)

    def test_expires(self):
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, maximal_queue_lifetime="0",
                                      bounce_queue_lifetime="0") as mta:
            sink.reply("RCPT TO:<later@", "450 4.2.0 come back later")
            message = ledger.message(["later@example.org"])
            mta.sendmail(message.data, *message.recipients, sender=message.sender)
            ledger.accept(message)
            mta.log.wait("status=expired, returned to sender")
            mta.wait_empty()
            count = ledger.check([sink], [mta])
            self.assertEqual((count.bounced, count.queued), (1, 0))


class Restart(unittest.TestCase):
    def test_killed_in_the_middle(self):
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop,
                                      smtp_destination_concurrency_limit="2") as mta:
            sink.reply("EOD", None, delay=0.05)
            for _ in range(30):
                message = ledger.message(["a@example.org", "b@example.org"])
                mta.sendmail(message.data, *message.recipients, sender=message.sender)
                ledger.accept(message)
            for _ in range(3):
                sink.wait(len(sink.messages) + 2)
                mta.kill("qmgr")
            mta.wait_empty(60)
            # What was with an agent when qmgr died may come twice: two deliveries of two.
            count = ledger.check([sink], [mta], max_duplicates=3 * 4)
            self.assertEqual((count.accepted, count.delivered), (60, 60))

    def test_reload_changes_limits_and_loses_nothing(self):
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop,
                                      smtp_destination_concurrency_limit="1") as mta:
            sink.reply("EOD", None, delay=0.1)
            for _ in range(20):
                message = ledger.message(["a@example.org"])
                mta.sendmail(message.data, *message.recipients, sender=message.sender)
                ledger.accept(message)
            sink.wait(2)
            qmgr = [pid for pid, name in mta.processes().items() if name == "qmgr"]
            mta.configure(smtp_destination_concurrency_limit="8")
            mta.reload()
            mta.wait_empty(30)
            self.assertEqual(qmgr, [pid for pid, name in mta.processes().items()
                                    if name == "qmgr"], "qmgr re-reads in place")
            count = ledger.check([sink], [mta])
            self.assertEqual((count.delivered, count.duplicates, count.queued), (20, 0, 0))


if __name__ == "__main__":
    unittest.main()
