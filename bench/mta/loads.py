# SPDX-License-Identifier: Apache-2.0
"""Scenarios of one kind, a row each: a load is put on, and the clock runs until the last
message is at the sink. The systems take turns; the number of messages is what the system
does in Settings.seconds, as the first rounds tell.

Per system: rounds to warm up, in which the peak of memory is watched, a short one under
strace, then the timed ones.
"""
import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Callable

from . import tls_load
from .load import Client, Sink, callers, finish, source
from .meter import Calls, Peak
from .systems import Absent, Unable

RECIPIENTS = 1000
LARGE = 10_000_000


@dataclass
class Load:
    name: str
    title: str
    start: Callable           # (settings, system, messages, wrap) -> what sends
    unit: str = "msg/s"
    per_message: int = 1      # how many of the unit a message is
    arrive: int = 1           # how many the sink counts for a message
    most: int = 1000          # messages of the first round, if Settings.least is not less
    options: dict = field(default_factory=dict)   # for the system
    sink: Callable = Sink
    sink_options: dict = field(default_factory=dict)
    check: Callable = lambda system, sink: 0  # Unable, or how many it sent

    def run(self, bench):
        with contextlib.ExitStack() as stack:
            running = []
            for kind in bench.kinds(self.name):
                with bench.may_fail(self, kind):
                    running.append(Running(stack, bench.settings, self, kind))
            for one in list(running):
                with bench.may_fail(self, one.kind, running, one):
                    one.prepare()
            for turn in range(bench.settings.rounds):
                for one in list(running):
                    with bench.may_fail(self, one.kind, running, one):
                        one.timed(turn)
            for one in running:
                bench.add(self.name, self.title, one.kind, one.rows(self.unit))


class Running:
    """A system under a load."""

    def __init__(self, stack, settings, load, kind):
        self.settings, self.load, self.kind = settings, load, kind
        self.system = stack.enter_context(kind(settings, **load.options))
        self.sink = stack.enter_context(
            load.sink(self.system.hop, settings, **load.sink_options))
        self.results, self.sent = [], 0
        self.sent += load.check(self.system, self.sink)

    def round(self, messages, wrap=lambda *words: list(words)):
        """-> seconds, seconds of CPU"""
        limit, group = self.settings.limit, self.system.group
        cpu, start = group.cpu(), time.monotonic()
        finish(self.load.start(self.settings, self.system, messages, wrap), limit)
        self.sent += messages * self.load.arrive
        self.sink.wait(self.sent, limit)
        seconds = time.monotonic() - start
        self.system.wait_empty(limit)
        self.sink.wait(self.sent, 1)
        return seconds, group.cpu() - cpu

    def prepare(self):
        seconds, fixed = self.settings.seconds, self.settings.messages
        least = min(self.settings.least, self.load.most)
        took, _ = self.round(fixed or least)
        # Some systems need a while until they are at work.
        again = fixed or max(1, min(int(least / took * seconds / 2), 20 * least))
        with Peak(self.system.group) as peak:
            took, _ = self.round(again)
        self.memory = peak.kib
        self.messages = fixed or max(least, int(again / took * seconds))
        few = min(self.messages, max(least, int(again / took * seconds / 4)))
        with Calls(self.system.group) as calls:
            self.round(few, lambda *words: calls.command(*words))
        self.calls = None if calls.count is None else calls.count / few

    def timed(self, _):
        seconds, cpu = self.round(self.messages)
        self.results.append((self.messages * self.load.per_message / seconds,
                             cpu / self.messages * 1000))

    def rows(self, unit):
        """-> (what, values, format, whether more is better)"""
        rates, costs = zip(*self.results)
        yield unit, rates, True
        yield "CPU ms per message", costs, False
        yield "peak memory MiB", [self.memory / 1024], False
        if self.calls is not None:
            yield "system calls per message", [self.calls], False


def relay(settings, system, messages, _):
    return [source(system, messages, sessions=settings.sessions)]


def relay_kept(settings, system, messages, _):
    return [source(system, messages, "-d", sessions=settings.sessions)]


def large(_, system, messages, __):
    return [source(system, messages, sessions=4, size=LARGE)]


def recipients(_, system, messages, __):
    return [source(system, messages, "-r", str(RECIPIENTS))]


def submit(_, system, messages, wrap):
    return callers(system, messages, 4, wrap)


TLS_LOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls_load.py")


class TlsSink(Sink):
    """tls_load.py counts in the same way as smtp-sink."""

    def words(self, port):
        return [sys.executable, TLS_LOAD, "sink", str(port), self.settings.certificate,
                self.settings.key]


def tls(settings, system, messages, _):
    return [subprocess.Popen([sys.executable, TLS_LOAD, "source", str(system.port),
                              str(messages), str(settings.sessions)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)]


def offers_tls(system, sink):
    with Client(system.port) as client:
        if b"STARTTLS" not in client.capabilities:
            raise Absent("has no TLS yet")
    try:
        tls_load.send(system.port, tls_load.client_context())
    except (OSError, SystemExit) as e:
        raise Unable(f"TLS fails: {e}") from e
    try:
        sink.wait(1, 10)
    except Unable as e:
        raise Absent("has TLS for what comes in, not for what goes out") from e
    return 1


LOADS = (
    Load("relay", "1.5 KB, a connection for each message", relay),
    Load("kept", "1.5 KB, connections kept", relay_kept),
    Load("large", "10 MB, 4 sessions", large, "MB/s", LARGE / 1e6, most=4),
    Load("recipients", "one message to 1,000 recipients", recipients, "recipients/s",
         RECIPIENTS, RECIPIENTS, most=1, sink_options={"recipients": True}),
    Load("sendmail", "sendmail, 4 callers", submit),
    Load("tls", "1.5 KB, TLS in and out, a connection for each message", tls,
         options={"tls": True}, sink=TlsSink, check=offers_tls),
)
