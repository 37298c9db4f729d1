# SPDX-License-Identifier: Apache-2.0
"""Scenarios that are not a load and a clock: latency, idle sessions, a backlog, growth."""
import contextlib
import subprocess
import time

from .load import Client, Sink, WatchSink, finish, source
from .systems import DOWN_HOST, SENDER, HikyakuSystem, PostfixSystem, Unable, command

BODY = b"Subject: latency\r\n\r\n" + b"A line of text as people write them.\r\n" * 38


def part(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Latency:
    """One session, and the next message when the last one has arrived."""
    name, title = "latency", "one session, one message at a time"

    def run(self, bench):
        with contextlib.ExitStack() as stack:
            running, times = {}, {}
            for kind in bench.kinds(self.name):
                with bench.may_fail(self, kind):
                    system = stack.enter_context(kind(bench.settings))
                    running[kind] = (system, stack.enter_context(WatchSink(system.hop)))
                    self.measure(*running[kind], max(2, bench.settings.latency // 10))
            for _ in range(bench.settings.rounds):
                for kind in list(running):
                    with bench.may_fail(self, kind, running, kind):
                        for what, value in self.measure(*running[kind],
                                                        bench.settings.latency).items():
                            times.setdefault(kind, {}).setdefault(what, []).append(value)
            for kind in running:
                bench.add(self.name, self.title, kind,
                          [(what, values, False) for what, values in times[kind].items()])

    @staticmethod
    def measure(system, sink, messages):
        taken, arrived = [], []
        count, begin = len(sink.arrived), time.monotonic()
        with Client(system.port) as client:
            for n in range(count + 1, count + 1 + messages):
                start = time.monotonic()
                if start - begin > 3 * system.settings.seconds:
                    break
                client.send(BODY)
                middle = time.monotonic()
                end = sink.wait(n, system.settings.limit)
                taken.append((middle - start) * 1000)
                arrived.append((end - start) * 1000)
            client.command(b"QUIT\r\n", b"2")
        system.wait_empty(system.settings.limit)
        if len(sink.arrived) != count + len(taken):
            raise Unable(f"{len(sink.arrived) - count} of {len(taken)} arrived")
        return {"ms until the 250, p50": part(taken, 0.5),
                "ms until the 250, p99": part(taken, 0.99),
                "ms until at the sink, p50": part(arrived, 0.5),
                "ms until at the sink, p99": part(arrived, 0.99)}


class Idle:
    """Sessions that said EHLO and wait."""
    name, title = "idle", "idle sessions after EHLO"

    def run(self, bench):
        count = bench.settings.idle
        for kind in bench.kinds(self.name):
            with bench.may_fail(self, kind), contextlib.ExitStack() as stack:
                options = {"default_process_limit": str(count + 100),
                           "smtpd_client_connection_count_limit": "0"}
                if not issubclass(kind, PostfixSystem):
                    options = {}
                system = stack.enter_context(kind(bench.settings, **options))
                stack.enter_context(Client(system.port))
                before = system.group.memory()
                clients = [stack.enter_context(Client(system.port)) for _ in range(count)]
                used = system.group.memory() - before
                for client in clients:   # all are still there
                    client.command(b"NOOP\r\n", b"2")
                bench.add(self.name, f"{count:,} {self.title}", kind,
                          [("KiB per session (PSS)", [used / count], False)])


class Backlog:
    """The next hop is down, comes back; a restart in between."""
    name, title = "backlog", "next hop down, then back"

    def run(self, bench):
        for kind in bench.kinds(self.name):
            with bench.may_fail(self, kind), kind(bench.settings) as system, \
                    Sink(system.hop, bench.settings) as sink:
                bench.add(self.name, f"{self.title}; up to {bench.settings.backlog:,} messages",
                          kind, self.measure(system, sink))

    def measure(self, system, sink):
        settings = system.settings
        cpu = system.group.cpu()
        count, seconds = fill(system, 0, settings.backlog, settings.budget)
        yield "messages queued", [count], None
        yield "accepted msg/s", [count / seconds], True
        system.wait_deferred(count, settings.limit)
        yield "CPU ms per message until deferred", \
            [(system.group.cpu() - cpu) / count * 1000], False
        yield "memory MiB with the backlog", [system.group.memory() / 1024], False
        yield "mailq ms", [list_queue(system, count) * 1000], False
        yield "restart ms until a message is relayed", [restart(system, sink) * 1000], False
        cpu, start = system.group.cpu(), time.monotonic()
        with Sink(system.down_hop, settings, host=DOWN_HOST) as back:
            with system.group.inside():
                flush = subprocess.Popen(system.program("flush"), env=system.environment(),
                                         stdout=subprocess.DEVNULL, cwd="/")
            try:
                back.wait(count, settings.budget + settings.limit)
                seconds = time.monotonic() - start
                system.wait_empty(settings.limit)
            finally:
                flush.terminate()
                flush.wait()
            back.wait(count, 1)
        yield "drained msg/s", [count / seconds], True
        yield "CPU ms per message to drain", [(system.group.cpu() - cpu) / count * 1000], False


def fill(system, have, want, budget):
    """Send messages for the hop that is down until there are so many, or time is up.
    -> how many there are, the seconds"""
    start, before, some = time.monotonic(), have, 50
    while have < want and (seconds := time.monotonic() - start) < budget:
        if have > before:  # as many as take some seconds
            some = max(50, int((have - before) / seconds * budget / 15))
        some = min(some, want - have)
        finish([source(system, some, sessions=system.settings.sessions, down=True)],
               system.settings.limit)
        have += some
    return have, time.monotonic() - start


def list_queue(system, count):
    start = time.monotonic()
    out = command(system, "mailq")
    seconds = time.monotonic() - start
    if out.count(SENDER.encode()) < count:
        raise Unable(f"mailq shows {out.count(SENDER.encode())} of {count} messages")
    return seconds


def restart(system, sink):
    """Stop it; -> seconds from the start until a new message is at the sink."""
    system.stop()
    before, start = sink.count(), time.monotonic()
    system.start()
    with Client(system.port) as client:
        client.send(BODY)
        client.command(b"QUIT\r\n", b"2")
    sink.wait(before + 1, system.settings.limit)
    return time.monotonic() - start


class Growth:
    """What a message costs while others wait in the queue: two of the same system take
    turns, one with the least number in its queue."""
    name, title = "growth", "relay with others in the queue"
    # They wait longer than the scenario lasts.
    options = {"minimal_backoff_time": "4000s"}

    def run(self, bench):
        levels = bench.settings.growth
        for kind in bench.kinds(self.name):
            if kind not in (HikyakuSystem, PostfixSystem):
                continue
            with bench.may_fail(self, kind), contextlib.ExitStack() as stack:
                small, big = (Queued(stack, bench.settings, kind) for _ in range(2))
                small.fill(levels[0])
                for level in levels:
                    if not big.fill(level):
                        bench.note(self.name, kind, f"only {big.have:,} of {level:,} messages "
                                   f"in {bench.settings.budget} s")
                        break
                    bench.add(self.name, self.title, kind,
                              self.measure(bench.settings, small, big, level))

    @staticmethod
    def measure(settings, small, big, level):
        ratios, costs, rates = [], [], []
        for one in small, big:
            one.warm_up()
        for _ in range(settings.rounds):
            base = small.timed()
            rate, cost = big.timed()
            rates.append(rate)
            costs.append(cost)
            ratios.append(cost / base[1])
        yield f"{level:,} queued: msg/s", rates, True
        yield f"{level:,} queued: CPU ms per message", costs, False
        yield f"{level:,} queued: CPU against {settings.growth[0]:,}", ratios, False
        if level == settings.growth[-1]:
            yield f"{level:,} queued: restart ms until a message is relayed", \
                [restart(big.system, big.sink) * 1000], False


class Queued:
    """A system with messages in its queue."""

    def __init__(self, stack, settings, kind):
        self.system = stack.enter_context(kind(settings, **Growth.options))
        self.sink = stack.enter_context(Sink(self.system.hop, settings))
        self.settings, self.have, self.rate = settings, 0, None

    def fill(self, level):
        self.have, _ = fill(self.system, self.have, level, self.settings.budget)
        self.system.wait_deferred(self.have, self.settings.limit)
        return self.have == level

    def warm_up(self):
        least = self.settings.least
        rate, _ = self.round(2 * least)
        self.rate = self.rate or self.round(
            max(least, int(rate * self.settings.seconds / 2)))[0]

    def timed(self):
        return self.round(max(self.settings.least, int(self.rate * self.settings.seconds)))

    def round(self, messages):
        """-> messages a second, CPU ms of each"""
        before, cpu, start = self.sink.count(), self.system.group.cpu(), time.monotonic()
        finish([source(self.system, messages, sessions=self.settings.sessions)],
               self.settings.limit)
        self.sink.wait(before + messages, self.settings.limit)
        seconds = time.monotonic() - start
        self.system.wait_deferred(self.have, self.settings.limit)
        return messages / seconds, (self.system.group.cpu() - cpu) / messages * 1000


OTHERS = (Latency(), Idle(), Backlog(), Growth())
