# SPDX-License-Identifier: Apache-2.0
"""The queue manager with real agents: whose turn it is, how many at once, what a dead
destination does to the others, and what a restart leaves behind."""
import os
import re
import signal
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


def submit(mta, ledger, *recipients, count=1):
    """`count` messages to these recipients."""
    for _ in range(count):
        message = ledger.message(list(recipients))
        mta.sendmail(message.data, *message.recipients, sender=message.sender)
        ledger.accept(message)


class AtOnce(unittest.TestCase):
    """How many deliveries there are at a time."""

    def most_at_once(self, services="", messages=12, delay=0.2, **parameters):
        """Send messages that take `delay` each; the most at one time."""
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, services=services,
                                      smtp_connection_cache_on_demand="no",
                                      **parameters) as mta:
            sink.reply("EOD", None, delay=delay)
            # All of them are there before the first is tried.
            mta.kill("qmgr", signal.SIGSTOP)
            submit(mta, ledger, "a@example.org", count=messages)
            mta.log.wait("cleanup: .*message-id", count=messages)
            mta.kill("qmgr", signal.SIGCONT)
            mta.wait_empty()
            count = ledger.check([sink], [mta])
            self.assertEqual((count.delivered, count.queued), (messages, 0))
            self.assertEqual(sink.connections, messages)
            return sink.most

    def test_limit_of_a_destination(self):
        for parameters in ({"default_destination_concurrency_limit": "2"},
                           {"smtp_destination_concurrency_limit": "2"},
                           {"default_destination_concurrency_limit": "9",
                            "smtp_destination_concurrency_limit": "2"}):
            with self.subTest(parameters):
                self.assertEqual(self.most_at_once(**parameters), 2)

    def test_maxproc_of_the_service(self):
        self.assertEqual(self.most_at_once(services="smtp unix - - n - 3 smtp"), 3)

    def test_maxproc_by_default(self):
        self.assertEqual(self.most_at_once(default_process_limit="2"), 2)

    def test_window_grows(self):
        most = self.most_at_once(messages=20, smtp_initial_destination_concurrency="2")
        self.assertGreater(most, 2)

    def test_window_that_does_not_grow(self):
        most = self.most_at_once(
            initial_destination_concurrency="2",
            smtp_destination_concurrency_positive_feedback="0")
        self.assertEqual(most, 2)

    def test_window_grows_slowly(self):
        """A quarter each: eight deliveries make 1 into 2 or 3."""
        most = self.most_at_once(
            messages=8, initial_destination_concurrency="1",
            default_destination_concurrency_positive_feedback="1/4")
        self.assertIn(most, (2, 3))

    def test_recipients_of_a_delivery(self):
        for name in ("default_destination_recipient_limit",
                     "smtp_destination_recipient_limit"):
            with self.subTest(name), Sink() as sink, \
                    Instance(relayhost=sink.hop, **{name: "3"}) as mta:
                ledger = Ledger()
                submit(mta, ledger, *(f"u{i}@example.org" for i in range(10)))
                mta.wait_empty()
                self.assertEqual(sorted(len(m.recipients) for m in sink.messages),
                                 [1, 3, 3, 3])
                self.assertEqual(ledger.check([sink], [mta]).delivered, 10)

    def test_transports_are_apart(self):
        """One transport's limit is not another's."""
        ledger = Ledger()
        with Sink() as slow, Sink() as other, \
                Instance(slow_destination_concurrency_limit="1",
                         services="slow unix - - n - - smtp",
                         smtp_connection_cache_on_demand="no",
                         slow_initial_destination_concurrency="1",
                         transport_maps=f"inline:{{slow.example=slow:{slow.hop}, "
                                        f"other.example=smtp:{other.hop}}}") as mta:
            for sink in slow, other:
                sink.reply("EOD", None, delay=0.2)
            submit(mta, ledger, "a@slow.example", "a@other.example", count=6)
            mta.wait_empty()
            self.assertEqual(ledger.check([slow, other], [mta]).delivered, 12)
            self.assertEqual(slow.most, 1)
            self.assertGreater(other.most, 1)


class Pauses(unittest.TestCase):
    def gaps(self, messages):
        times = [m.at for m in messages]
        return [b - a for a, b in zip(times, times[1:])]

    def test_rate_delay_of_a_destination(self):
        for name in ("default_destination_rate_delay", "smtp_destination_rate_delay"):
            with self.subTest(name), Sink() as a, Sink() as b, \
                    Instance(transport_maps=f"inline:{{a.example=smtp:{a.hop}, "
                                            f"b.example=smtp:{b.hop}}}",
                             **{name: "2s"}) as mta:
                ledger = Ledger()
                submit(mta, ledger, "x@a.example", "x@b.example", count=3)
                mta.wait_empty()
                self.assertEqual(ledger.check([a, b], [mta]).delivered, 6)
                for sink in a, b:
                    self.assertEqual(len(sink.messages), 3)
                    self.assertGreater(min(self.gaps(sink.messages)), 1.5)
                # Each destination has its own pause.
                self.assertLess(abs(a.messages[0].at - b.messages[0].at), 1.5)

    def test_rate_delay_of_a_transport(self):
        ledger = Ledger()
        with Sink() as a, Sink() as b, \
                Instance(smtp_transport_rate_delay="2s",
                         transport_maps=f"inline:{{a.example=smtp:{a.hop}, "
                                        f"b.example=smtp:{b.hop}}}") as mta:
            submit(mta, ledger, "x@a.example")
            submit(mta, ledger, "x@b.example")
            submit(mta, ledger, "x@a.example")
            mta.wait_empty()
            self.assertEqual(ledger.check([a, b], [mta]).delivered, 3)
            both = sorted(a.messages + b.messages, key=lambda m: m.at)
            self.assertGreater(min(self.gaps(both)), 1.5)

    def test_active_queue_has_a_limit(self):
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, qmgr_message_active_limit="10",
                                      qmgr_clog_warn_time="1h",
                                      in_flow_delay="0") as mta:
            sink.reply("EOD", None, delay=0.2)
            submit(mta, ledger, "a@example.org", count=40)
            most = 0
            end = time.monotonic() + 30
            while mta.queued():
                most = max(most, len(mta.queue_files("active")["active"]))
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            self.assertEqual(most, 10)
            self.assertEqual(ledger.check([sink], [mta]).delivered, 40)
            warnings = mta.log.find(r"qmgr: warning: mail for \[127.0.0.1\]:\d+ is using up "
                                    r"\d+ of (9|10) active queue entries")
            self.assertEqual(len(warnings), 1)

    def test_input_waits_for_a_full_queue(self):
        """in_flow_delay: the third message finds that the second had to stay outside."""
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, qmgr_message_active_limit="1",
                                      in_flow_delay="3s") as mta:
            sink.reply("EOD", None, delay=9, times=1)
            stamps = []
            for i in range(4):
                submit(mta, ledger, "a@example.org")
                mta.log.wait("cleanup: .*message-id", count=i + 1)
                stamps.append(time.monotonic())
            waits = [b - a for a, b in zip(stamps, stamps[1:])]
            self.assertLess(waits[0], 2, waits)
            self.assertGreater(min(waits[1:]), 2, waits)
            mta.wait_empty()
            self.assertEqual(ledger.check([sink], [mta]).delivered, 4)


class Turns(unittest.TestCase):
    def order(self, **parameters):
        """One message for 600, then one for one: how many came after that one?"""
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop,
                                      smtp_destination_recipient_limit="5",
                                      smtp_destination_concurrency_limit="2",
                                      **parameters) as mta:
            sink.reply("EOD", None, delay=0.03)
            submit(mta, ledger, *(f"u{i}@example.org" for i in range(600)))
            sink.wait(10)
            submit(mta, ledger, "one@example.org")
            mta.wait_empty(60)
            count = ledger.check([sink], [mta])
            self.assertEqual((count.delivered, count.duplicates), (601, 0))
            at, = (i for i, m in enumerate(sink.messages)
                   if m.recipients == ["one@example.org"])
            return len(sink.messages) - 1 - at

    def test_small_mail_overtakes_a_huge_list(self):
        self.assertGreater(self.order(), 20)

    def test_small_mail_overtakes_what_is_not_yet_read(self):
        self.assertGreater(self.order(qmgr_message_recipient_limit="50",
                                      qmgr_message_active_limit="50"), 20)

    def test_no_overtaking(self):
        for parameters in ({"default_delivery_slot_cost": "0"},
                           {"smtp_delivery_slot_cost": "0"},
                           {"smtp_minimum_delivery_slots": "1000"}):
            with self.subTest(parameters):
                self.assertLessEqual(self.order(**parameters), 1)

    def test_recipients_in_memory_are_bounded(self):
        """100,000 recipients that wait: qmgr holds a part of them."""
        with Sink() as sink, Instance(relayhost=sink.hop, message_size_limit="50000000",
                                      qmgr_message_recipient_limit="2000",
                                      qmgr_message_active_limit="1000",
                                      smtp_destination_recipient_limit="200") as mta:
            qmgr, = (pid for pid, name in mta.processes().items() if name == "qmgr")
            recipients = [f"user{i:06d}@example.org" for i in range(100000)]
            # No single header longer than header_size_limit.
            header = b"".join(b"To: " + ", ".join(recipients[i:i + 1000]).encode() + b"\n"
                              for i in range(0, len(recipients), 1000))
            before = resident_kb(qmgr)
            mta.sendmail(header + b"\nhi\n", sender="s@example.org", options=["-t"])
            sink.wait(1, 30)
            most = 0
            end = time.monotonic() + 90
            while mta.queued():
                most = max(most, resident_kb(qmgr))
                self.assertLess(time.monotonic(), end)
                time.sleep(0.05)
            # All at once they would be 10 megabytes at the least.
            self.assertLess(most - before, 4000)
            got = [r for m in sink.messages for r in m.recipients]
            self.assertEqual(len(got), len(recipients))
            self.assertEqual(set(got), set(recipients))

    def test_recipients_read_in_parts(self):
        """Limits of a few: everybody gets it all the same, and once."""
        for parameters in ({"qmgr_message_recipient_limit": "1",
                            "qmgr_message_active_limit": "1",
                            "qmgr_message_recipient_minimum": "1"},
                           {"smtp_recipient_limit": "3",
                            "smtp_extra_recipient_limit": "0",
                            "smtp_recipient_refill_limit": "1",
                            "qmgr_message_recipient_minimum": "2"}):
            with self.subTest(parameters), Sink() as a, Sink() as b, \
                    Instance(transport_maps=f"inline:{{a.example=smtp:{a.hop}, "
                                            f"b.example=smtp:{b.hop}}}",
                             **parameters) as mta:
                ledger = Ledger()
                recipients = [f"u{i}@{'ab'[i % 2]}.example" for i in range(40)]
                submit(mta, ledger, *recipients, count=2)
                mta.wait_empty()
                count = ledger.check([a, b], [mta])
                self.assertEqual((count.delivered, count.duplicates), (80, 0))
                if "smtp_recipient_limit" not in parameters:
                    self.assertEqual(max(len(m.recipients) for m in a.messages), 1)


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

    def attempts(self, **parameters):
        """Six messages for one that says 421 at once: how many connections?"""
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop,
                                      initial_destination_concurrency="1",
                                      smtp_destination_concurrency_limit="1",
                                      **parameters) as mta:
            sink.reply("CONNECT", "421 4.3.2 not now")
            submit(mta, ledger, "a@example.org", count=6)
            mta.log.wait("status=deferred", count=6)
            suspended = mta.log.find(r"error: .*\(delivery temporarily suspended: host .* "
                                     r"refused to talk to me: 421 4.3.2 not now\)")
            self.assertEqual(len(suspended) + sink.connections, 6)
            self.assertEqual(ledger.check([sink], [mta]).queued, 6)
            return sink.connections

    def test_cohorts_that_fail(self):
        self.assertEqual(self.attempts(), 1)
        self.assertEqual(self.attempts(
            default_destination_concurrency_failed_cohort_limit="3"), 3)
        self.assertEqual(self.attempts(
            smtp_destination_concurrency_failed_cohort_limit="0"), 6)

    def test_window_shrinks(self):
        """With windows of four: failures make it one, unless they do not count."""
        for feedback, expected in (("1", 1), ("0", 4)):
            ledger = Ledger()
            with self.subTest(feedback), Sink() as sink, Instance(
                    relayhost=sink.hop, smtp_destination_concurrency_limit="4",
                    initial_destination_concurrency="4",
                    smtp_connection_cache_on_demand="no",
                    smtp_destination_concurrency_failed_cohort_limit="0",
                    smtp_destination_concurrency_positive_feedback="0",
                    smtp_destination_concurrency_negative_feedback=feedback) as mta:
                sink.reply("CONNECT", "421 4.3.2 not now", times=6)
                submit(mta, ledger, "a@example.org", count=6)
                mta.log.wait("status=deferred", count=6)
                sink.most = 0
                sink.reply("EOD", None, delay=0.3)
                mta.kill("qmgr", signal.SIGSTOP)
                submit(mta, ledger, "b@example.org", count=8)
                mta.log.wait("cleanup: .*message-id", count=14)
                mta.kill("qmgr", signal.SIGCONT)
                sink.wait(8)
                self.assertEqual(sink.most, expected)
                self.assertEqual(ledger.check([sink], [mta]).delivered, 8)

    def test_agent_that_hangs(self):
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, qmgr_daemon_timeout="2s",
                                      transport_retry_time="1s", minimal_backoff_time="1s",
                                      maximal_backoff_time="1s",
                                      queue_run_delay="1s") as mta:
            submit(mta, ledger, "a@example.org")
            sink.wait(1)
            mta.wait_empty()
            mta.kill("smtp", signal.SIGSTOP)
            submit(mta, ledger, "b@example.org")
            mta.log.wait(r"qmgr: .*to=<b@example.org>, relay=none, .*dsn=4.3.0, "
                         r"status=deferred \((unknown mail transport error|"
                         r"mail transport unavailable)\)")
            mta.kill("smtp", signal.SIGCONT)
            mta.wait_empty()
            # The agent that hung may have gone on with what it had.
            self.assertEqual(ledger.check([sink], [mta], max_duplicates=5).delivered, 2)

    def test_agent_that_is_not_there(self):
        ledger = Ledger()
        with Sink() as sink, Instance(
                relayhost=sink.hop, transport_retry_time="1s", minimal_backoff_time="1s",
                maximal_backoff_time="1s", queue_run_delay="1s",
                transport_maps="inline:{lost.example=nosuch:}") as mta:
            submit(mta, ledger, "a@lost.example", "b@example.org")
            mta.log.wait(r"to=<a@lost.example>.*status=deferred "
                         r"\(mail transport unavailable\)", count=2)
            mta.log.wait("warning: connect to transport private/nosuch: "
                         "No such file or directory", count=2)
            self.assertEqual([m.recipients for m in sink.messages], [["b@example.org"]])
            self.assertEqual(ledger.check([sink], [mta]).queued, 1)

    def test_defer_transports_until_flushed(self):
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, defer_transports="smtp") as mta:
            message = ledger.message(["a@example.org"])
            mta.sendmail(message.data, *message.recipients, sender=message.sender)
            ledger.accept(message)
            mta.log.wait(r"status=deferred \(deferred transport\)")
            mta.wait_deferred(1)
            mta.log.mark()
            ask(mta, b"ADI")
            mta.log.wait(r"status=deferred \(deferred transport\)")
            mta.wait_deferred(1)
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
