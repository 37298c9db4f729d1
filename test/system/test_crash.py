# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each daemon, and of all, while mail flows; then nothing but `postfix start`.

The ledger says that nothing is lost. A mail that was on its way at the moment of a kill may
arrive twice (so with Postfix): each duplicate is held against the kills.
"""
import os
import random
import socket
import threading
import time
import unittest

from .dnsserver import DNSServer
from .harness import Instance, Ledger, Sink

LONG = bool(os.environ.get("HIKYAKU_LONG"))
MESSAGES = 20000 if LONG else 2000
SENDERS = 4
# What is not marked as done yet when a process dies: what the other side took in the last
# moments.
WINDOW = 5.0
QUICK = {
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "2s",
    "queue_run_delay": "1s",
    "transport_retry_time": "1s",
    "default_destination_concurrency_failed_cohort_limit": "0",
}
PICKUP = "pickup unix n - n 2 1 pickup\n"


class Flow:
    """Senders in parallel, until all messages are with the mail system."""

    def __init__(self, mta, ledger, count, seed=1):
        self.mta, self.ledger = mta, ledger
        self.random = random.Random(seed)
        self.todo = [self.message(i) for i in range(count)]
        self.todo.reverse()
        self.accepted = 0
        self.refused = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(SENDERS)]

    def message(self, number):
        recipients = [f"r{number}@dest.example"]
        if number % 10 == 0:
            recipients += [f"later{number}@dest.example", f"never{number}@dest.example"]
        size = 200000 if number % 100 == 50 else self.random.choice((0, 500, 5000, 20000))
        return self.ledger.message(recipients, size=size)

    def run(self):
        while True:
            with self.lock:
                if not self.todo:
                    return
                message = self.todo.pop()
            result = self.mta.sendmail(message.data, *message.recipients,
                                       sender=message.sender, check=False)
            with self.lock:
                if result.returncode == 0:
                    self.ledger.accept(message)
                    self.accepted += 1
                else:
                    self.refused.append((result.returncode, result.stderr))

    def start(self):
        for thread in self.threads:
            thread.start()

    def wait(self, count):
        """Until so many are accepted."""
        end = time.monotonic() + 300
        while self.accepted < count and any(t.is_alive() for t in self.threads):
            if time.monotonic() > end:
                raise AssertionError(f"{self.accepted} of {count} accepted")
            time.sleep(0.01)

    def join(self):
        for thread in self.threads:
            thread.join()


def greylisting(sink):
    """450 at the first try of "later", 550 for "never"; in the sink's own time."""
    seen = set()

    def decide(line, usual, plain=sink.decide):
        if line.startswith("RCPT TO:<later"):
            if line not in seen:
                seen.add(line)
                return "450 4.2.0 come back later"
        elif line.startswith("RCPT TO:<never"):
            return "550 5.1.1 unknown"
        return plain(line, usual)

    sink.decide = decide


def explain(sink, kills):
    """Duplicates that no kill explains, and how many there are in all."""
    arrivals = {}
    for message in sink.messages:
        if message.sender:
            for recipient in message.recipients:
                arrivals.setdefault(recipient, []).append(message.at)
    odd, count = [], 0
    for recipient, times in arrivals.items():
        for first, second in zip(times, times[1:]):
            count += 1
            if not any(first - 0.5 <= kill <= min(first + WINDOW, second)
                       or kill <= first <= kill + WINDOW for kill, _ in kills):
                odd.append((recipient, first, second))
    return odd, count


class Crash(unittest.TestCase):
    DAEMONS = ("pickup", "cleanup", "qmgr", "smtp", "bounce", "resolver", "postlogd",
               "showq")

    @staticmethod
    def ask_for_queue(mta):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(mta.queue, "public/showq"))
            s.settimeout(10)
            s.recv(1)

    def strike(self, mta, what, kills):
        """One kill; the mail system is started again where its master died."""
        end = time.monotonic() + 10
        while True:
            if what == "showq":  # there is none until somebody asks
                self.ask_for_queue(mta)
            killed = mta.kill("" if what == "all" else what)
            if killed:
                break
            self.assertLess(time.monotonic(), end, f"no {what} to kill")
        kills.append((time.monotonic(), what))
        if what in ("master", "all"):
            end = time.monotonic() + 10
            while mta.postfix("start", check=False).returncode != 0:
                self.assertLess(time.monotonic(), end, "does not start")
                time.sleep(0.1)

    def test_kills_during_a_flow(self):
        ledger = Ledger()
        rounds = MESSAGES // 1000
        plan = [what for _ in range(rounds) for what in
                (*self.DAEMONS, "master", "qmgr", "smtp", "cleanup", "all")]
        kills = []
        with Sink() as sink, DNSServer(port=0) as dns, Instance(
                relayhost=f"[relay.example.com]:{sink.port}", services=PICKUP, **QUICK,
                resolver_nameservers=dns.nameserver) as mta:
            dns.host("relay.example.com", sink.host)
            greylisting(sink)
            flow = Flow(mta, ledger, MESSAGES)
            flow.start()
            for i, what in enumerate(plan):
                flow.wait((i + 1) * MESSAGES // (len(plan) + 1))
                self.strike(mta, what, kills)
            flow.join()
            self.assertEqual(flow.refused, [])
            mta.wait_empty(120)
            count = ledger.check([sink], [mta], max_duplicates=20 * len(plan))
            odd, duplicates = explain(sink, kills)
            print(f"{count} {len(kills)} kills, {duplicates} duplicates")
            self.assertEqual(odd, [])
            self.assertEqual(count.accepted, MESSAGES + 2 * (MESSAGES // 10))
            self.assertEqual((count.bounced, count.queued), (MESSAGES // 10, 0))
            # A half-written file stays when its writer is killed; its source was kept.
            self.assertLessEqual(mta.unfinished(), 10 * rounds)
            self.assertEqual(mta.queue_files("corrupt")["corrupt"], [])


if __name__ == "__main__":
    unittest.main()
