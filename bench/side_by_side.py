# SPDX-License-Identifier: Apache-2.0
"""What benchmarks of whole mail systems share: ours and Debian's Postfix with their stock
settings on the same disk (HIKYAKU_BENCH_DIR, default /var/tmp), which take turns and relay
to one smtp-sink. Messages a second until the last one is at the sink, and the CPU time of
the mail system and of the programs that the benchmark starts, but for the sink's.
"""
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "test"))
os.environ.setdefault("HIKYAKU_BUILD", os.path.join(ROOT, "build/release"))
os.environ.setdefault("HIKYAKU_ORACLE", os.path.join(ROOT, "build/oracle/root"))

from system import world                                      # noqa: E402
from system.instance import Instance, OracleInstance          # noqa: E402

SECONDS = 300  # a round that takes longer has failed
TICK = os.sysconf("SC_CLK_TCK")


def program(name):
    return os.path.join(world.enter().build, "bin", name)


def children_cpu():
    """Seconds of CPU of our children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cpu(mta):
    """Seconds of CPU of the mail system so far, with the children that have ended."""
    ticks = 0
    master = mta.master_pid()
    for pid in mta.processes():
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += sum(map(int, fields[11:15] if pid == master else fields[11:13]))
    return ticks / TICK


def round_of(mta, messages, load):
    """load() starts what sends; -> (messages a second, CPU milliseconds a message)"""
    children, system = children_cpu(), cpu(mta)
    with open(mta.log.path, "rb") as log:
        log.seek(0, os.SEEK_END)
        start = time.monotonic()
        for sender in load():
            if sender.wait(SECONDS) != 0:
                raise SystemExit(f"{mta.kind}: the sender failed: {sender.returncode}")
        done = 0
        while (done := done + sum(b"status=sent" in line for line in log)) < messages:
            if time.monotonic() - start > SECONDS:
                raise SystemExit(f"{mta.kind}: {done} of {messages} relayed")
            time.sleep(0.01)
        seconds = time.monotonic() - start
    mta.wait_empty()
    return done / seconds, (cpu(mta) - system + children_cpu() - children) / done * 1000


@contextlib.contextmanager
def both(services=None):
    """(folder, ours, oracle), running, with a sink behind them. services: by kind, lines of
    master.cf."""
    services = services or {"ours": "", "oracle": ""}
    w = world.enter()
    port = w.port()
    sink = subprocess.Popen([program("smtp-sink"), "-u", "postfix", f"127.0.0.1:{port}",
                             "1000"])
    try:
        with tempfile.TemporaryDirectory(
                dir=os.environ.get("HIKYAKU_BENCH_DIR", "/var/tmp")) as where:
            os.chmod(where, 0o755)
            settings = {"where": where, "relayhost": f"[127.0.0.1]:{port}"}
            with Instance(services=services["ours"], **settings) as ours, \
                    OracleInstance(services=services["oracle"], **settings) as oracle:
                yield where, ours, oracle
    finally:
        sink.terminate()
        sink.wait()


def middle(values):
    return sorted(values)[len(values) // 2]


def compare(systems, messages, rounds, load, between=lambda: None):
    """Let them take turns (after a small round to warm up) and print medians and ratios.
    load(mta, messages): what sends."""
    results = {}
    for mta in systems:
        round_of(mta, 20, lambda: load(mta, 20))
    for _ in range(rounds):
        between()
        for mta in systems:
            results.setdefault(mta.kind, []).append(
                round_of(mta, messages, lambda: load(mta, messages)))
    rate, cost = ({kind: middle([r[i] for r in rows]) for kind, rows in results.items()}
                  for i in (0, 1))
    for kind in results:
        print(f"{kind:8} {rate[kind]:8.1f} msg/s {cost[kind]:8.2f} ms CPU a message")
    print(f"ratio    {rate['ours'] / rate['oracle']:8.2f} x     "
          f"{cost['oracle'] / cost['ours']:8.2f} x less CPU")
