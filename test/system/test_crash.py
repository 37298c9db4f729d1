# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each daemon, and of all, while mail flows; then nothing but `postfix start`.

The ledger says that nothing is lost. A mail that was on its way at the moment of a kill may
arrive twice (so with Postfix): each duplicate is held against the kills.
"""
import os
import random
import socket
import subprocess
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from .dnsserver import DNSServer
from .harness import Instance, Ledger, Sink, need_private
from .world import leave_disk, small_disk

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
PARALLEL = 10
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
            self.assertLess(time.monotonic(), end, f"no {what} to kill:\n"
                            + "\n".join(mta.log.raw()[-30:]))
        kills.append((time.monotonic(), what))
        if what in ("master", "all"):
            end = time.monotonic() + 10
            while mta.postfix("start", check=False).returncode != 0:
                self.assertLess(time.monotonic(), end, "does not start")
                time.sleep(0.1)

    def test_kills_during_a_flow(self):
        self.kill_during_a_flow()

    def test_kills_during_a_flow_with_a_journal(self):
        self.kill_during_a_flow(queue_sync="journal", journal_size="2097152")

    def kill_during_a_flow(self, **parameters):
        ledger = Ledger()
        rounds = MESSAGES // 1000
        plan = [what for _ in range(rounds) for what in
                (*self.DAEMONS, "master", "qmgr", "smtp", "cleanup", "all")]
        kills = []
        with Sink() as sink, DNSServer(port=0) as dns, Instance(
                relayhost=f"[relay.example.com]:{sink.port}", services=PICKUP, **QUICK,
                resolver_nameservers=dns.nameserver, **parameters) as mta:
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


def read(path):
    with open(path, "rb") as f:
        return f.read()


def check_quiet(test, mta, seconds=3):
    """Whatever is wrong, nobody makes a busy loop or a flood of lines of it."""
    lines, pids = len(mta.log.lines()), list(mta.processes())
    cpu = cpu_seconds(pids)
    time.sleep(seconds)
    test.assertLess(len(mta.log.lines()) - lines, 40 * seconds)
    test.assertLess(cpu_seconds(pids) - cpu, 0.15 * seconds)


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
        mta.sendmail(message.data, *message.recipients, sender=message.sender,
                     env={"HIKYAKU_FAULT": f"{program}:*:1000000:EIO",
                          "HIKYAKU_FAULT_COUNT": path})
        ledger.accept(message)
        with open(path, encoding="ascii") as f:
            return max(int(line.split()[1]) for line in f if line.startswith(program))

    def test_each_call_of_a_submission(self):
        """sendmail says the truth whatever call fails, and leaves no message behind that
        it did not accept."""
        ledger = Ledger()
        # sendmail hands nothing else on to postdrop.
        environment = "MAIL_CONFIG TZ HIKYAKU_FAULT HIKYAKU_FAULT_COUNT"
        actions = ("EIO:once", "EIO:on", "EINTR:once", "kill", "killed", "short:on")
        if LONG:
            actions += ("EROFS:on", "EACCES:on", "ENOMEM:once")
        with Sink() as sink, Instance(relayhost=sink.hop, services=PICKUP, **QUICK,
                                      import_environment=environment) as mta:
            faults = []
            for program in ("sendmail", "postdrop"):
                calls = self.count_calls(mta, ledger, program)
                self.assertGreater(calls, 5)
                faults += [f"{program}:*:{n}:{action}" for action in actions
                           for n in range(1, calls + 1)]
            messages = [ledger.message(["a@dest.example"]) for _ in faults]
            with ThreadPoolExecutor(2 * PARALLEL) as pool:
                results = [pool.submit(mta.sendmail, message.data, *message.recipients,
                                       sender=message.sender, check=False, timeout=30,
                                       env={"HIKYAKU_FAULT": fault})
                           for fault, message in zip(faults, messages)]
            for fault, message, future in zip(faults, messages, results):
                with self.subTest(fault=fault):
                    result = future.result()
                    if result.returncode == 0:
                        ledger.accept(message)
                    elif result.returncode > 0:  # else it was killed
                        self.assertIn(result.returncode, self.TEMPORARY, result.stderr)
            mta.wait_empty(60)
            count = ledger.check([sink], [mta])
            # Accepted, but the fault kept sendmail from saying so: that may be.
            self.assertLess(count.accepted, len(faults))
            self.assertGreater(count.accepted, len(faults) // 4)

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

    def play(self, fault, ledger):
        """20 messages under a fault that comes again in each new process, until it is
        mended. Most are such that nothing gets through meanwhile."""
        with Sink() as sink, Instance(relayhost=sink.hop, services=PICKUP,
                                      environment={"HIKYAKU_FAULT": fault},
                                      service_throttle_time="1s", **QUICK) as mta:
            greylisting(sink)
            for number in range(20):
                to = ["a@dest.example"] + (["never@dest.example"] if number % 4 == 0
                                           else [])
                message = ledger.message(to)
                mta.sendmail(message.data, *to, sender=message.sender)
                ledger.accept(message)
            self.wait_while(lambda: mta.queued() > 0, 3)
            mta.stop()
            lines = len(mta.log.lines())
            self.assertLess(lines, 1000)
            mta.environment.clear()
            mta.start()
            mta.wait_empty(60)
            self.assertEqual(mta.queue_files("corrupt")["corrupt"], [])
            count = ledger.check([sink], [mta], max_duplicates=60)
            self.assertEqual(count.queued, 0)
            if os.environ.get("HIKYAKU_VERBOSE"):
                print(f"{fault}: {count.duplicates} duplicates, {lines} lines")

    @staticmethod
    def wait_while(condition, seconds):
        end = time.monotonic() + seconds
        while condition() and time.monotonic() < end:
            time.sleep(0.05)

    def test_each_daemon(self):
        self.in_parallel(lambda fault: self.play(fault, Ledger(fault)), self.FAULTS)

    def in_parallel(self, play, faults):
        with ThreadPoolExecutor(PARALLEL) as pool:
            for fault, game in [(fault, pool.submit(play, fault)) for fault in faults]:
                with self.subTest(fault=fault):
                    game.result()

    def suffer(self, fault):
        """Ten messages while one kind of call always fails: no noise, no busy loop."""
        ledger = Ledger(fault)
        parameters = {**QUICK, "minimal_backoff_time": "2s"}
        with Sink() as sink, Instance(relayhost=sink.hop, **parameters,
                                      environment={"HIKYAKU_FAULT": fault}) as mta:
            for _ in range(10):
                message = ledger.message(["a@dest.example"])
                mta.sendmail(message.data, "a@dest.example", sender=message.sender)
                ledger.accept(message)
            time.sleep(1)
            check_quiet(self, mta)
            ledger.check([sink], [mta], max_duplicates=10)
            mta.stop()
            mta.environment.clear()
            mta.start()
            mta.wait_empty(60)
            ledger.check([sink], [mta], max_duplicates=10)

    def test_call_that_always_fails(self):
        self.in_parallel(self.suffer, (
            "cleanup:write:1:ENOSPC:on", "cleanup:fsync:1:EIO:on",
            "pickup:openat:20:EMFILE:on", "qmgr:openat:30:EMFILE:on",
            "smtp:socket:1:ENFILE:on", "qmgr:renameat:1:ENOSPC:on"))


class FullDisk(unittest.TestCase):
    def fill(self, mta, leave):
        """All but so many bytes of the queue's file system; the file that does it."""
        path = os.path.join(mta.queue, "filler")
        with open(path, "wb") as f:
            try:
                while True:
                    f.write(bytes(4096))
                    f.flush()
            except OSError:
                pass
            try:
                f.close()
            except OSError:
                pass
        os.truncate(path, os.path.getsize(path) // 4096 * 4096 - leave)
        return path

    def test_full_and_then_not(self):
        self.fill_and_empty(2 << 20)

    def test_with_a_journal(self):
        self.fill_and_empty(12 << 20, queue_sync="journal", journal_size="2097152")

    def test_no_room_for_a_journal(self):
        """Then each file is synced for itself."""
        self.fill_and_empty(2 << 20, queue_sync="journal", journal_size="2097152")

    def fill_and_empty(self, size, **parameters):
        need_private()
        ledger = Ledger()
        sink = Sink()
        self.addCleanup(sink.stop)
        mta = Instance(relayhost=sink.hop, **{**QUICK, "minimal_backoff_time": "2s",
                                              "queue_minfree": "0"}, services=PICKUP,
                       **parameters)
        small_disk(mta.queue, size)
        self.addCleanup(leave_disk, mta.queue)
        with mta:
            sink.reply("RCPT", "450 4.2.0 later")
            for _ in range(5):  # in the queue before the disk is full
                message = ledger.message(["a@dest.example"])
                mta.sendmail(message.data, "a@dest.example", sender=message.sender)
                ledger.accept(message)
            mta.log.wait("status=deferred", count=5)
            filler = self.fill(mta, 8192)
            # Room for two in maildrop, none for what cleanup makes of them.
            for _ in range(6):
                message = ledger.message(["a@dest.example"], size=3000)
                try:
                    result = mta.sendmail(message.data, "a@dest.example", check=False,
                                          sender=message.sender, timeout=3)
                except subprocess.TimeoutExpired:
                    continue  # postdrop waits for room
                if result.returncode == 0:
                    ledger.accept(message)
                else:
                    self.assertIn(result.returncode, Faults.TEMPORARY, result.stderr)
            check_quiet(self, mta)
            self.assertRegex(mta.log.text(), "No space left on device")
            ledger.check([sink], [mta])
            sink.clear()
            os.unlink(filler)
            mta.wait_empty(60)
            count = ledger.check([sink], [mta])
            self.assertGreaterEqual(count.accepted, 5)
            self.assertEqual((count.queued, count.bounced), (0, 0))


class Damage(unittest.TestCase):
    """Files in the queue that nobody can read, and programs that are not there."""

    def test_files(self):
        ledger = Ledger()
        with Sink() as sink, Instance(relayhost=sink.hop, **QUICK) as mta:
            sink.reply("RCPT", "450 4.2.0 later")
            for to in ("whole", "short", "wild", "empty", "locked"):
                message = ledger.message([f"{to}@dest.example"])
                mta.sendmail(message.data, *message.recipients, sender=message.sender)
                ledger.accept(message)
            ids = {line.fields["to"].split("@")[0]: line.queue_id
                   for line in mta.log.wait("status=deferred", count=5)}
            mta.stop()
            paths = {to: self.find(mta, ident) for to, ident in ids.items()}
            whole = {to: read(path) for to, path in paths.items()}
            damaged = {"short": whole["short"][:-20], "empty": b"",
                       "wild": whole["wild"][:200] + b"\xff" * 40 + whole["wild"][240:]}
            for to, data in damaged.items():
                with open(paths[to], "wb") as f:
                    f.write(data)
            owner = os.stat(paths["locked"]).st_uid
            os.chown(paths["locked"], 0, 0)
            sink.clear()
            mta.log.mark()
            mta.start()
            sink.wait(1)
            locked = mta.world.root
            if locked:
                mta.log.wait(rf"qmgr: error: open active/{ids['locked']}: Permission denied")
            check_quiet(self, mta)
            # What it cannot read it keeps as it is, and says so.
            for to, data in damaged.items():
                mta.log.wait(rf'qmgr: warning: saving corrupt file "{ids[to]}" from queue '
                             '"active" to queue "corrupt"')
                self.assertEqual(read(os.path.join(mta.queue, "corrupt", ids[to])), data)
            if locked:
                self.assertEqual([m.recipients for m in sink.messages],
                                 [["whole@dest.example"]])
                self.assertEqual(mta.queue_files("deferred")["deferred"], [ids["locked"]])
                os.chown(paths["locked"], owner, 0)
            self.assertEqual({m.recipients[0] for m in sink.wait(2)},
                             {"whole@dest.example", "locked@dest.example"})
            # A damaged file that was mended by hand can be sent on its way again.
            with open(os.path.join(mta.queue, "corrupt", ids["short"]), "wb") as f:
                f.write(whole["short"])
            os.rename(os.path.join(mta.queue, "corrupt", ids["short"]), paths["short"])
            sink.wait(3)

    @staticmethod
    def find(mta, ident):
        return next(os.path.join(folder, ident)
                    for folder, _, names in os.walk(os.path.join(mta.queue, "deferred"))
                    if ident in names)

    def without(self, program):
        """Ten messages while a program is missing; then it is there again."""
        ledger = Ledger(program)
        with Sink() as sink, DNSServer(port=0) as dns:
            dns.host("relay.example.com", sink.host)
            greylisting(sink)
            mta = Instance(relayhost=f"[relay.example.com]:{sink.port}", **QUICK,
                           service_throttle_time="1s", services=PICKUP,
                           resolver_nameservers=dns.nameserver)
            programs = os.path.join(mta.dir, "libexec")
            os.mkdir(programs)
            for name in os.listdir(mta.parameters["daemon_directory"]):
                os.symlink(os.path.join(mta.parameters["daemon_directory"], name),
                           os.path.join(programs, name))
            mta.configure(daemon_directory=programs)
            with mta:
                os.rename(os.path.join(programs, program), os.path.join(programs, "away"))
                mta.kill(program)
                for to in ("a", "later", "never") * 3:
                    message = ledger.message([f"{to}@dest.example"])
                    mta.sendmail(message.data, *message.recipients, sender=message.sender)
                    ledger.accept(message)
                time.sleep(1)
                check_quiet(self, mta)
                os.rename(os.path.join(programs, "away"), os.path.join(programs, program))
                mta.wait_empty(60)
                count = ledger.check([sink], [mta], max_duplicates=9)
                self.assertEqual((count.delivered, count.bounced), (6, 3))

    def test_programs(self):
        programs = ("pickup", "cleanup", "qmgr", "smtp", "bounce", "resolver", "postlogd")
        with ThreadPoolExecutor(len(programs)) as pool:
            for program, game in [(p, pool.submit(self.without, p)) for p in programs]:
                with self.subTest(program=program):
                    game.result()

    def test_name_servers_that_are_silent(self):
        ledger = Ledger()
        with Sink() as sink, DNSServer(port=0) as dns, Instance(
                relayhost=f"[relay.example.com]:{sink.port}", **QUICK,
                resolver_nameservers=dns.nameserver) as mta:
            dns.host("relay.example.com", sink.host)
            dns.behave("*", "silence")
            for _ in range(5):
                message = ledger.message(["a@dest.example"])
                mta.sendmail(message.data, "a@dest.example", sender=message.sender)
                ledger.accept(message)
            dns.wait_asked("relay.example.com")
            check_quiet(self, mta)
            self.assertEqual(sink.messages, [])
            dns.behave_well()
            mta.wait_empty(90)
            count = ledger.check([sink], [mta])
            self.assertEqual(count.delivered, 5)


if __name__ == "__main__":
    unittest.main()
