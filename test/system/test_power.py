# SPDX-License-Identifier: Apache-2.0
"""Power cuts: what was answered with 250 is there afterwards, by each way of queue_sync.

Real ones, of a file system on a loop device, at random moments under load (--long;
HIKYAKU_POWER_CUTS says how many, HIKYAKU_POWER_SEED when). And what a power cut does to the
queue, done by hand: queue files that were not synced are gone, the journal is there.
"""
import glob
import os
import random
import re
import signal
import smtplib
import threading
import time
import unittest

from .harness import Instance, Ledger, Sink
from .world import PowerDisk, children, kill_descendants

LONG = bool(os.environ.get("HIKYAKU_LONG"))
CUTS = int(os.environ.get("HIKYAKU_POWER_CUTS", "100"))
SEED = int(os.environ.get("HIKYAKU_POWER_SEED", "1"))
PORT = 10025
SENDERS = 6
SMTPD = f"127.0.0.1:{PORT} inet n - n - - smtpd\n"
QUICK = {
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "2s",
    "queue_run_delay": "1s",
    "transport_retry_time": "1s",
    "service_throttle_time": "1s",
    "default_destination_concurrency_failed_cohort_limit": "0",
}


def crash(mta):
    """kill -9 of everything, also of what was started meanwhile. Stopped first: who sees
    that master is gone ends in good order."""
    mta.kill(sig=signal.SIGSTOP)
    mta.kill()
    end = time.monotonic() + 20
    while children(os.getpid()):
        kill_descendants()
        if time.monotonic() > end:
            raise AssertionError("processes survive kill -9")
        time.sleep(0.01)


def restart(mta):
    """After a crash; what the replay said: (messages, restored)."""
    text = mta.postfix("start").stderr.decode("utf-8", "replace")
    found = re.search(r"journal: \d+ files of an earlier run, (\d+) messages, (\d+) restored",
                      text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


class Load:
    """Clients that send until their connections break or they are told to end."""

    def __init__(self, ledger, chance):
        self.ledger, self.chance = ledger, chance
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.cutting = False
        self.threads = [threading.Thread(target=self.run) for _ in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def message(self):
        with self.lock:
            size = self.chance.choice((0, 500, 5000, 20000, 0, 500, 5000, 100000))
            to = self.chance.choice(("now", "later"))
            return self.ledger.message([f"{to}@dest.example"], size=size)

    def run(self):
        while not self.over.is_set():
            try:
                with smtplib.SMTP("127.0.0.1", PORT, timeout=20) as client:
                    while not self.over.is_set():
                        self.send(client)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.01)

    def send(self, client):
        message = self.message()
        data = message.data.replace(b"\n", b"\r\n")
        client.sendmail(message.sender, message.recipients, data)
        with self.lock:
            if not self.cutting:
                self.ledger.accept(message)

    def cut(self, disk):
        """An fsync() that is under way while the file system is shut down may return 0
        (seen with ext4 of Linux 6.18, with nothing of ours): who is answered from now on
        proves nothing."""
        with self.lock:
            self.cutting = True
        disk.cut()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


@unittest.skipUnless(LONG, "power cuts of a loop device: --long")
class PowerCuts(unittest.TestCase):
    def cut_power(self, kind, **parameters):
        ledger, chance = Ledger(), random.Random(SEED)
        sink = Sink()
        self.addCleanup(sink.stop)
        mta = Instance(relayhost=sink.hop, services=SMTPD, **QUICK, **parameters)
        self.addCleanup(mta.remove)
        disk = PowerDisk(mta.queue, kind)
        self.addCleanup(disk.remove)
        mta.start()
        restored = 0
        for _ in range(CUTS):
            sink.reply("RCPT TO:<later", "450 4.2.0 later")
            load = Load(ledger, chance)
            time.sleep(chance.uniform(0.05, 1.5))
            load.cut(disk)
            crash(mta)
            load.end()
            disk.power_on()
            sink.clear()
            restored += restart(mta)[1]
            mta.wait_empty(60)
            ledger.check([sink], [mta], max_duplicates=len(sink.messages))
        count = ledger.check([sink], [mta], max_duplicates=len(sink.messages))
        self.assertGreater(count.accepted, 10 * CUTS)
        print(f"{kind} {parameters}: {CUTS} cuts, {count}, {restored} restored")
        mta.stop()
        return restored

    def test_ext4_fsync(self):
        self.cut_power("ext4", queue_sync="fsync")

    def test_ext4_syncfs(self):
        self.cut_power("ext4", queue_sync="syncfs")

    def test_ext4_journal(self):
        self.assertGreater(self.cut_power("ext4", queue_sync="journal",
                                          journal_size="2097152"), 0)

    def test_xfs_fsync(self):
        self.cut_power("xfs", queue_sync="fsync")

    def test_xfs_journal(self):
        self.assertGreater(self.cut_power("xfs", queue_sync="journal"), 0)


class ByHand(unittest.TestCase):
    """The journal is there, the queue files are not."""

    def setUp(self):
        self.ledger, self.sink = Ledger(), Sink()
        self.addCleanup(self.sink.stop)
        self.sink.reply("RCPT", "450 4.2.0 later")
        self.mta = Instance(relayhost=self.sink.hop, services=SMTPD, **QUICK,
                            queue_sync="journal", journal_size="2097152")
        self.addCleanup(self.mta.remove)
        self.mta.start()
        self.wait_for_keeper()

    def wait_for_keeper(self, name="qmgr.0"):
        """Until qmgr has a journal, and so cleanup may have one."""
        end = time.monotonic() + 20
        while not os.path.exists(f"{self.mta.queue}/journal/{name}"):
            self.assertLess(time.monotonic(), end, self.mta.log.text())
            time.sleep(0.01)
        time.sleep(0.1)

    def send(self, *names):
        """One message for each; {name: queue id}."""
        with smtplib.SMTP("127.0.0.1", PORT, timeout=20) as client:
            for name in names:
                message = self.ledger.message([f"{name}@dest.example"], size=3000)
                client.sendmail(message.sender, message.recipients,
                                message.data.replace(b"\n", b"\r\n"))
                self.ledger.accept(message)
        return self.queued(names)

    def queued(self, names=None):
        found = {}
        for entry in self.mta.queue_list():
            name = entry["recipients"][0]["address"].split("@")[0]
            if names is None or name in names:
                found[name] = (entry["queue_id"], entry["queue_name"])
        return found

    def queue_of(self, name):
        end = time.monotonic() + 10
        while not (found := self.queued([name])):
            self.assertLess(time.monotonic(), end, f"no {name}: {self.mta.queue_files()}\n"
                            + self.mta.log.text())
            time.sleep(0.05)
        return found[name][1]

    def lose(self, ident, how):
        for queue in ("incoming", "active", "deferred", "hold"):
            for path in glob.glob(f"{self.mta.queue}/{queue}/**/{ident}", recursive=True):
                if how == "gone":
                    os.unlink(path)
                else:
                    os.truncate(path, 0 if how == "empty" else os.path.getsize(path) // 2)

    def postsuper(self, *args):
        self.mta.run("postsuper", "-c", self.mta.config, *args)

    def end(self, deleted=()):
        """All but what was deleted arrives once."""
        self.sink.clear()
        self.mta.flush()
        self.mta.wait_empty(30)
        got = sorted(m.recipients[0].split("@")[0] for m in self.sink.messages)
        want = sorted(e.recipients[0].split("@")[0] for e in self.ledger.accepted()
                      if e.recipients[0].split("@")[0] not in deleted)
        self.assertEqual(got, want)
        self.mta.stop()
        self.assertEqual(glob.glob(f"{self.mta.queue}/journal/[cq]*"), [])

    def test_lost_files_come_back(self):
        names = [f"{how}{n}" for n in range(10) for how in ("gone", "short", "empty", "kept")]
        idents = self.send(*names)
        self.assertEqual(sorted(idents), sorted(names))
        crash(self.mta)
        for name, (ident, _) in idents.items():
            if not name.startswith("kept"):
                self.lose(ident, name.rstrip("0123456789"))
        self.assertEqual(restart(self.mta), (40, 30))
        self.end()

    def test_delivered_stays_delivered(self):
        self.sink.clear()
        self.send("one", "two", "three")
        self.sink.wait(3)
        self.mta.wait_empty()
        crash(self.mta)
        self.assertEqual(restart(self.mta), (3, 0))
        self.end()

    def test_postsuper_while_it_runs(self):
        idents = self.send("a", "b", "c", "d", "e", "f")
        self.mta.wait_deferred(6)
        self.postsuper("-d", idents["a"][0], "-h", idents["b"][0], "-h", idents["c"][0])
        self.postsuper("-H", idents["c"][0], "-r", idents["d"][0])
        later = self.send("x", "y")
        self.postsuper("-d", later["y"][0])
        crash(self.mta)
        restart(self.mta)
        self.assertEqual(self.queue_of("b"), "hold")
        self.assertFalse({"a", "y"} & set(self.queued()))
        self.postsuper("-H", "ALL")
        self.end(deleted={"a", "y"})

    def test_postsuper_before_the_start(self):
        names = ("a", "b", "c", "d", "e", "f")
        idents = self.send(*names)
        crash(self.mta)
        for ident, _ in idents.values():
            self.lose(ident, "gone")
        self.postsuper("-d", idents["a"][0])
        self.postsuper("-h", idents["b"][0])
        self.postsuper("-r", idents["c"][0])
        self.postsuper("-s")
        restart(self.mta)
        self.assertEqual(self.queue_of("b"), "hold")
        self.postsuper("-H", "ALL")
        self.end(deleted={"a"})

    def test_cleanup_dies_alone(self):
        """The next one has a journal, too; the dead one's file goes, nothing else does."""
        first = self.send("a", "b")
        self.mta.kill("cleanup")
        second = self.send("c")
        self.assertNotRegex(self.mta.log.text(), "each queue file is synced")
        self.assertEqual(len(glob.glob(f"{self.mta.queue}/journal/cleanup.*")), 2)
        crash(self.mta)
        for ident, _ in (*first.values(), *second.values()):
            self.lose(ident, "gone")
        self.assertEqual(restart(self.mta), (3, 3))
        self.end()

    def test_qmgr_dies_alone(self):
        """Its replay runs beside a live cleanup, and it is back at once."""
        self.send("a")
        self.mta.kill("qmgr")
        self.mta.log.wait("process .*qmgr pid .* killed by signal 9")
        self.wait_for_keeper("mark.0")
        idents = self.send("b", "c")
        self.mta.wait_deferred(3)
        self.assertNotRegex(self.mta.log.text(), "qmgr pid .* exit status")
        crash(self.mta)
        for ident, _ in idents.values():
            self.lose(ident, "gone")
        self.assertEqual(restart(self.mta)[1], 2)
        self.end()


if __name__ == "__main__":
    unittest.main()
