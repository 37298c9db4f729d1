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


class Environment:
    """HIKYAKU_FAULT for what is started inside the `with`."""

    def __init__(self, fault, count=None):
        self.values = {"HIKYAKU_FAULT": fault, "HIKYAKU_FAULT_COUNT": count}

    def __enter__(self):
        os.environ.update({k: v for k, v in self.values.items() if v})

    def __exit__(self, *_):
        for key in self.values:
            os.environ.pop(key, None)


def cpu_seconds(pids):
    """User and system time of processes so far."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                words = f.read().rsplit(")", 1)[1].split()
            total += int(words[11]) + int(words[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


class Faults(unittest.TestCase):
    """System calls that fail, at each place in turn (docs/decisions/0002)."""
    # What sysexits has for "not now": os error, cannot create, i/o error, try again.
    TEMPORARY = {71, 73, 74, 75}

    @classmethod
    def setUpClass(cls):
        mta = Instance()
        mta.remove()
        # A release has no faults to inject.
        with open(mta.program("postdrop"), "rb") as f:
            if b"HIKYAKU_FAULT" not in f.read():
                raise unittest.SkipTest("built without HIKYAKU_FAULTS")

    def count_calls(self, mta, ledger, program):
        """How many calls a submission makes in this program."""
        path = os.path.join(mta.dir, "count")
        message = ledger.message(["count@dest.example"])
        with Environment(f"{program}:*:1000000:EIO", path):
            mta.sendmail(message.data, *message.recipients, sender=message.sender)
        ledger.accept(message)
        with open(path, encoding="ascii") as f:
            return max(int(line.split()[1]) for line in f if line.startswith(program))

    def test_each_call_of_a_submission(self):
        """sendmail says the truth whatever call fails, and leaves no message behind that
        it did not accept."""
        ledger = Ledger()
        codes = {}
        with Sink() as sink, Instance(relayhost=sink.hop, services=PICKUP, **QUICK) as mta:
            for program in ("sendmail", "postdrop"):
                calls = self.count_calls(mta, ledger, program)
                self.assertGreater(calls, 5)
                actions = ("EIO:once", "ENOSPC:on", "EINTR:once", "kill", "killed", "short:on")
                for action in actions if not LONG else (*actions, "EMFILE:on", "EROFS:on",
                                                        "ENOMEM:once", "EACCES:on"):
                    for n in range(1, calls + 1):
                        message = ledger.message(["a@dest.example"])
                        with Environment(f"{program}:*:{n}:{action}"):
                            result = mta.sendmail(message.data, *message.recipients,
                                                  sender=message.sender, check=False)
                        if result.returncode == 0:
                            ledger.accept(message)
                        elif result.returncode > 0:
                            codes.setdefault(result.returncode, []).append(
                                (program, action, n, result.stderr))
            mta.wait_empty(60)
            count = ledger.check([sink], [mta])
            # Not accepted, yet delivered: only where the answer was lost, not the mail.
            arrived = {m.header("X-Ledger") for m in sink.messages}
            self.assertGreaterEqual(len(arrived), count.accepted)
            self.assertEqual(mta.queue_files("maildrop")["maildrop"], [])
        for code, cases in codes.items():
            with self.subTest(exit=code):
                self.assertIn(code, self.TEMPORARY, cases[:5])

    FAULTS = [
        # A call that each message needs; the process is hit at its third message or so.
        *[f"cleanup:{call}:{n}:{action}" for call, n in (
            ("fsync", 3), ("fchmod", 3), ("renameat", 3), ("write", 5), ("openat", 12))
          for action in ("EIO", "ENOSPC", "kill", "killed")],
        "cleanup:write:1:short:on",
        *[f"qmgr:{call}:{n}:{action}" for call, n in (
            ("renameat", 4), ("pwrite", 3), ("unlinkat", 3), ("openat", 14), ("pread", 6),
            ("flock", 3))
          for action in ("EIO", "kill", "killed")],
        "qmgr:pread:1:short:on",
        *[f"pickup:{call}:{n}:{action}" for call, n in (
            ("unlinkat", 3), ("openat", 12), ("read", 6))
          for action in ("EIO", "kill", "killed")],
        *[f"smtp:{call}:{n}:{action}" for call, n in (
            ("connect", 4), ("send", 5), ("recv", 5), ("socket", 3))
          for action in ("ECONNRESET", "kill", "killed")],
        *[f"bounce:{call}:{n}:{action}" for call, n in (
            ("write", 3), ("fsync", 2), ("openat", 8), ("unlinkat", 2))
          for action in ("EIO", "ENOSPC", "kill", "killed")],
    ]

    def play(self, fault, sink, ledger):
        """20 messages under a fault that comes again in each new process; (duplicates,
        lines of the log)."""
        del sink.messages[:]
        with Environment(fault):
            mta = Instance(relayhost=sink.hop, services=PICKUP, service_throttle_time="1s",
                           **QUICK)
            with mta:
                for number in range(20):
                    to = ["a@dest.example"] + (["never@dest.example"] if number % 4 == 0
                                               else [])
                    message = ledger.message(to)
                    mta.sendmail(message.data, *to, sender=message.sender)
                    ledger.accept(message)
                mta.wait_empty(60)
                lines = len(mta.log.lines())
                self.assertEqual(mta.queue_files("corrupt")["corrupt"], [])
                count = ledger.check([sink], [mta], max_duplicates=60)
                self.assertEqual(count.queued, 0)
        return count.duplicates, lines

    def test_each_daemon(self):
        sink = Sink()
        self.addCleanup(sink.stop)
        greylisting(sink)
        for fault in self.FAULTS:
            with self.subTest(fault=fault):
                duplicates, lines = self.play(fault, sink, Ledger(fault))
                if os.environ.get("HIKYAKU_VERBOSE"):
                    print(f"{fault}: {duplicates} duplicates, {lines} lines")
                self.assertLess(lines, 1500)

    def test_disk_full_then_not(self):
        """While nothing can be written mail waits in maildrop, quietly; then it is
        delivered."""
        ledger = Ledger()
        for fault in ("cleanup:write:1:ENOSPC:on", "cleanup:fsync:1:EIO:on",
                      "pickup:openat:20:EMFILE:on", "qmgr:openat:30:EMFILE:on",
                      "smtp:socket:1:ENFILE:on", "qmgr:renameat:1:ENOSPC:on"):
            with self.subTest(fault=fault), Sink() as sink:
                with Environment(fault):
                    mta = Instance(relayhost=sink.hop, **{**QUICK, "minimal_backoff_time":
                                                          "2s"})
                    mta.start()
                try:
                    for _ in range(10):
                        message = ledger.message(["a@dest.example"])
                        mta.sendmail(message.data, "a@dest.example", sender=message.sender)
                        ledger.accept(message)
                    time.sleep(1)
                    lines, pids = len(mta.log.lines()), list(mta.processes())
                    cpu = cpu_seconds(pids)
                    time.sleep(3)
                    self.assertLess(len(mta.log.lines()) - lines, 100)
                    self.assertLess(cpu_seconds(pids) - cpu, 0.5)
                    mta.stop()
                    mta.start()
                    mta.wait_empty(60)
                    ledger.check([sink], [mta], max_duplicates=10)
                    ledger = Ledger()
                finally:
                    if mta.master_pid():
                        mta.stop()
                    mta.remove()


if __name__ == "__main__":
    unittest.main()
