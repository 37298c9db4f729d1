# SPDX-License-Identifier: Apache-2.0
"""Debian's pflogsumm and qshape on our log and our queue, and on those of Debian's Postfix:
they must count what really happened, and the same for both."""
import os
import re
import shutil
import subprocess
import time
import unittest
from collections import Counter

from compat.pair import Scenario, Side, Town
from system import world
from system.harness import Instance, Maillog, OracleInstance, need_build, need_oracle

PARAMETERS = {
    "virtual_alias_domains": "lists.example",
    "virtual_alias_maps": "inline:{{all@lists.example = a@ok.example, b@ok.example, "
                          "c@other.example, d@gone.example}}",
    "smtp_connection_cache_on_demand": "no",
    "smtp_destination_concurrency_failed_cohort_limit": "100",
    "transport_retry_time": "2s",
}


# The first retry comes after 6 to 8 s, the second not before twice that.
ONE_RETRY = {"minimal_backoff_time": "6s", "maximal_backoff_time": "1h",
             "queue_run_delay": "1s"}


def furnish(town):
    town.site("home")
    town.site("ok")
    town.site("other")
    town.site("gone", [("RCPT", "550 5.1.1 User unknown")])
    town.site("wait", [("RCPT", "450 4.7.1 Greylisted")])
    town.site("down", start=False)
    town.site("slow", [("CONNECT", None, {"delay": 30.0})])


def message(lines):
    return b"Subject: test\n\n" + b"A line of text.\n" * lines


SCENARIOS = [
    *(Scenario(f"ok-{i}", ("user@ok.example",), sender="ann@home.example", message=message(i))
      for i in range(5)),
    *(Scenario(f"two-{i}", ("x@ok.example", "y@other.example"), sender="bob@home.example",
               message=message(10)) for i in range(3)),
    Scenario("list", ("all@lists.example",), sender="ann@home.example"),
    *(Scenario(f"gone-{i}", ("nobody@gone.example",), sender="bob@home.example")
      for i in range(2)),
    *(Scenario(f"wait-{i}", ("late@wait.example",), sender="ann@home.example")
      for i in range(4)),
    Scenario("down", ("p@down.example", "q@down.example"), sender="eve@home.example"),
    Scenario("null", ("user@ok.example",), sender=""),
]

# What that is, counted by hand. A deferred message was tried twice.
RECEIVED = 17                 # submitted; the three reports do not count
DELIVERED = {"ok.example": 5 + 3 + 2 + 1, "other.example": 3 + 1, "home.example": 3}
BOUNCED = 3
DEFERRED = 4 + 1              # messages
DEFERRALS = {"wait.example": 2 * 4, "down.example": 2 * 2}
SENDERS = {"ann@home.example": 5 + 1 + 4, "bob@home.example": 3 + 2, "eve@home.example": 1,
           "from=<>": 1}
RECIPIENTS = {"user@ok.example": 6, "x@ok.example": 3, "y@other.example": 3,
              "a@ok.example": 1, "b@ok.example": 1, "c@other.example": 1,
              "ann@home.example": 1, "bob@home.example": 2}


def perl(mta, program, *args):
    """Run one of Debian's scripts beside this mail system's own programs."""
    path = os.path.join(world.enter().oracle, "usr/sbin", program)
    environment = {"PATH": f"{mta.parameters['command_directory']}:/usr/bin:/bin",
                   "LANG": "C", "MAIL_CONFIG": mta.config}
    done = subprocess.run(["perl", path, *args], capture_output=True, env=environment,
                          timeout=60, check=False)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"{program}: exit {done.returncode} {done.stderr.decode()}")
    return done.stdout.decode()


class Summary:
    """pflogsumm's report in parts."""

    def __init__(self, text):
        self.text = text
        self.sections = {}
        for part in re.split(r"\n(?=\S[^\n]*\n-{3,}\n)", text):
            title, _, body = part.lstrip("\n").partition("\n")
            title = re.sub(r"^top \d+ | *\((top \d+|by relay)\)|[: ]+$", "", title)
            self.sections[title] = body.partition("\n")[2]

    def total(self, name):
        return int(re.search(rf"(?m)^ *(\d+) +{name}\b", self.text)[1])

    def counts(self, title):
        """{name: number} of a section whose rows are `number name`."""
        rows = re.findall(r"(?m)^ +(\d+) +(\S+)$", self.sections[title])
        return {name: int(number) for number, name in rows}

    def domains(self):
        """{domain: (sent, bytes, deferrals)}"""
        rows = re.findall(r"(?m)^ *(\d+) +(\d+k?m?) +(\d+) +[\d.]+ \w +[\d.]+ \w +(\S+)$",
                          self.sections["Host/Domain Summary: Message Delivery"])
        return {name: (int(sent), size, int(deferrals))
                for sent, size, deferrals, name in rows}

    def comparable(self):
        """{title: rows} without what differs between two runs: bytes and delays. Rows with
        the same number have no order."""
        found = {}
        for title, body in self.sections.items():
            if "by message size" in title or title == "Warnings":
                continue
            rows = []
            for line in body.splitlines():
                line = re.sub(r"^( *\d+ +)\S+( +\d+ +)[\d.]+ s +[\d.]+ s ", r"\1N\2T T ", line)
                line = re.sub(r"^( *\d+ +)\d+( +\S+\.\S+)$", r"\1N\2", line)
                line = re.sub(r"^ *\d+ +(bytes \w+)$", r"N \1", line)
                rows.append(re.sub(r"configuration \S+$", "configuration DIR", line))
            found[title] = sorted(row for row in rows
                                  if row and not row.endswith(": none"))
        return found


class Both(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        need_build("bin/sendmail", "libexec/smtp", "bin/postconf")
        need_oracle()
        if shutil.which("perl") is None:
            raise unittest.SkipTest("perl is not installed")
        cls.town = cls.enter(Town())
        furnish(cls.town)

    @classmethod
    def enter(cls, context):
        value = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        return value


class Pflogsumm(Both):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not os.path.exists(os.path.join(world.enter().oracle, "usr/sbin/pflogsumm")):
            raise unittest.SkipTest("pflogsumm is not unpacked beside Debian's Postfix")
        cls.summaries, cls.facts, cls.submitted = {}, {}, {}
        for kind in (Instance, OracleInstance):
            cls.town.reset()
            side = Side(kind, "sum", **PARAMETERS, **ONE_RETRY)
            with side.mta as mta:
                side.play(SCENARIOS)
                mta.log = Maillog(mta.log.path)
                mta.log.wait(r"smtp: .*to=<late@.*status=deferred", 30, 8)
                mta.log.wait(r"smtp: .*to=<[pq]@down.*status=deferred", 30, 4)
                side.settle()
                cls.summaries[side.kind] = Summary(
                    perl(mta, "pflogsumm", "--detail", "50", mta.log.path))
                # Whole messages and lines of each recipient, as the other side has them.
                cls.facts[side.kind] = [m for sink in cls.town.sinks.values()
                                        for m in sink.messages]
                cls.submitted[side.kind] = {line.queue_id for line
                                            in mta.log.find(r"pickup: .*: uid=")}
                cls.sizes = {**getattr(cls, "sizes", {}), side.kind: {
                    line.queue_id: int(re.search(r", size=(\d+)", line.text)[1])
                    for line in mta.log.find("qmgr: .*, size=")}}

    def test_totals(self):
        for kind, s in self.summaries.items():
            self.assertEqual(
                {name: s.total(name) for name in ("received", "delivered", "forwarded",
                                                  "deferred", "bounced", "rejected", "held",
                                                  "discarded", "senders", "recipients")},
                {"received": RECEIVED, "delivered": sum(DELIVERED.values()), "forwarded": 0,
                 "deferred": DEFERRED, "bounced": BOUNCED, "rejected": 0, "held": 0,
                 "discarded": 0, "senders": 4, "recipients": len(RECIPIENTS)})
            self.assertEqual(int(re.search(r"deferred +\((\d+) +deferrals\)", s.text)[1]),
                             sum(DEFERRALS.values()))

    def test_bytes(self):
        """received: every message that was submitted; delivered: for each recipient."""
        for kind, s in self.summaries.items():
            self.assertEqual(s.total("bytes received"), sum(
                size for queue_id, size in self.sizes[kind].items()
                if queue_id in self.submitted[kind]))
            self.assertEqual(s.total("bytes delivered"), sum(
                len(m.data) * len(m.recipients) for m in self.facts[kind]))

    def test_domains(self):
        for s in self.summaries.values():
            rows = s.domains()
            self.assertEqual({name: row[0] for name, row in rows.items() if row[0]},
                             DELIVERED)
            self.assertEqual({name: row[2] for name, row in rows.items() if row[2]},
                             DEFERRALS)

    def test_people(self):
        for s in self.summaries.values():
            self.assertEqual(s.counts("Senders by message count"), SENDERS)
            self.assertEqual(s.counts("Recipients by message count"), RECIPIENTS)
            arrived = Counter(r for m in self.facts["ours"] for r in m.recipients)
            self.assertEqual(dict(arrived), RECIPIENTS)

    def test_details(self):
        for s in self.summaries.values():
            deferral, bounce = (s.sections[f"message {what} detail"]
                                for what in ("deferral", "bounce"))
            self.assertRegex(deferral, r"\n +8 +4.7.1 Greylisted")
            self.assertRegex(deferral, r"\n +4 +mx.down.example\S+: Connection refused")
            self.assertRegex(bounce, r"\n +3 +5.1.1 User unknown")

    def test_both_logs_give_the_same_report(self):
        ours, theirs = (self.summaries[kind].comparable() for kind in ("ours", "oracle"))
        self.assertEqual(ours, theirs)
        self.assertGreaterEqual(len(ours), 8)

    def test_warnings(self):
        """None, but ours of settings that are not supported yet."""
        for kind, s in self.summaries.items():
            rows = re.findall(r"(?m)^ +\d+ +(.*)$", s.sections.get("Warnings", ""))
            self.assertEqual([row for row in rows if kind != "ours" or "/etc/main.cf, line"
                              not in row], [])


# qshape: minutes ago, how many, for whom
AGES = [(1, 2, "ok.example"), (7, 1, "ok.example"), (7, 2, "other.example"),
        (15, 3, "wait.example"), (30, 1, "ok.example"), (70, 2, "down.example"),
        (3000, 1, "wait.example")]
BUCKETS = [5, 10, 20, 40, 80, 160, 320, 640, 1280]


def expected():
    """{domain: [total, then one number per bucket]} of AGES."""
    table = {}
    for minutes, count, domain in AGES:
        bucket = sum(minutes >= limit for limit in BUCKETS)
        for name in (domain, "TOTAL"):
            row = table.setdefault(name, [0] * (len(BUCKETS) + 2))
            row[0] += count
            row[1 + bucket] += count
    return table


def shape(mta, *args):
    """qshape's table as {domain: numbers}."""
    lines = perl(mta, "qshape", *args).splitlines()
    return {line.split()[0]: [int(word) for word in line.split()[1:]] for line in lines[1:]}


class Qshape(Both):
    def make_older(self, path, minutes):
        """Put another arrival time into a queue file; both are ten digits long."""
        with open(path, "r+b") as f:
            data = f.read()
            at = re.search(rb"T.(\d{10}) \d+", data, re.S)
            f.seek(at.start(1))
            f.write(b"%10d" % (int(time.time()) - minutes * 60))

    def prepare(self, mta):
        """Deferred messages of all ages."""
        todo = [(minutes, f"u{i}@{domain}") for minutes, count, domain in AGES
                for i in range(count)]
        for _, recipient in todo:
            mta.sendmail(b"Subject: x\n\nx\n", recipient, sender="ann@home.example")
        mta.log.wait(r": to=<.*status=deferred", 20, len(todo))
        end = time.monotonic() + 10
        while len(mta.queue_files("deferred")["deferred"]) < len(todo):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        mta.stop()
        waiting = list(todo)
        for path in self.files(mta):
            with open(path, "rb") as f:
                data = f.read()
            entry = next(e for e in waiting if b"R" + bytes([len(e[1])]) + e[1].encode() in data)
            waiting.remove(entry)
            self.make_older(path, entry[0])

    def files(self, mta):
        return [os.path.join(folder, name) for folder, _, names
                in os.walk(os.path.join(mta.queue, "deferred")) for name in names]

    def test_deferred_and_other_queues(self):
        for kind in (Instance, OracleInstance):
            self.town.reset()
            side = Side(kind, "shape", **PARAMETERS, defer_transports="smtp")
            with side.mta as mta, self.subTest(system=side.kind):
                self.prepare(mta)
                self.assertEqual(shape(mta, "deferred"), expected())
                self.assertEqual(shape(mta, "-s", "deferred")["home.example"],
                                 expected()["TOTAL"])
                self.assertEqual(shape(mta)["TOTAL"], [0] * (len(BUCKETS) + 2))
                # The files are the same in every queue.
                for queue in ("hold", "incoming", "active"):
                    for path in self.files(mta)[:3]:
                        os.rename(path, os.path.join(mta.queue, queue,
                                                     os.path.basename(path)))
                    self.assertEqual(shape(mta, queue)["TOTAL"][0], 3)
                self.assertEqual(shape(mta)["TOTAL"][0], 6)   # incoming and active
                self.assertEqual(shape(mta, "deferred", "hold", "incoming", "active"),
                                 expected())

    def test_while_it_runs(self):
        for kind in (Instance, OracleInstance):
            self.town.reset()
            side = Side(kind, "live", **PARAMETERS, smtp_helo_timeout="20s")
            with side.mta as mta, self.subTest(system=side.kind):
                for i in range(3):
                    mta.sendmail(message(200), f"u{i}@slow.example", sender="ann@home.example")
                self.town.sinks["mx.slow"].wait_connections(3)
                table = shape(mta, "active")
                self.assertEqual(table["slow.example"][:2], [3, 3])
                self.assertEqual(table["TOTAL"][:2], [3, 3])
                self.town.sinks["mx.slow"].stop()
                side.settle(30)
                self.town.sinks["mx.slow"].start()


if __name__ == "__main__":
    unittest.main()
