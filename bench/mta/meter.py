# SPDX-License-Identifier: Apache-2.0
"""What a mail system costs: a control group that all its processes are in, those that have
ended too, tells the CPU time; /proc the memory; strace the system calls.
"""
import contextlib
import glob
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

V1, V2 = "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cgroup.controllers"
SAMPLE_S = 0.1
_numbers = itertools.count(1)


class Group:
    """A control group below that of this process, or below the root of version 2."""

    def __init__(self, name):
        self.v1 = os.path.isdir(V1)
        if not self.v1 and not os.path.exists(V2):
            raise SystemExit("the benchmark needs control groups in /sys/fs/cgroup")
        self.top = V1 if self.v1 else os.path.dirname(V2)
        with open("/proc/self/cgroup", encoding="ascii") as f:
            ways = [line.strip().split(":", 2) for line in f]
        own = next(path for _, kinds, path in ways
                   if ("cpuacct" in kinds.split(",") if self.v1 else kinds == ""))
        self.home = self.top + own.rstrip("/")
        if not os.path.isdir(self.home):  # a container that sees only its part
            self.home = self.top
        self.dir = f"{self.top}/hikyaku-bench-{os.getpid()}-{next(_numbers)}-{name}"
        try:
            os.mkdir(self.dir)
        except OSError as e:
            raise SystemExit(f"the benchmark needs to make control groups: {e}") from e

    @contextlib.contextmanager
    def inside(self):
        """What this process starts meanwhile belongs to the group."""
        self._move(self.dir)
        try:
            yield
        finally:
            self._move(self.home)

    @staticmethod
    def _move(where):
        with open(os.path.join(where, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))

    def pids(self):
        with open(os.path.join(self.dir, "cgroup.procs"), encoding="ascii") as f:
            return [int(line) for line in f]

    def cpu(self):
        """Seconds of CPU so far."""
        if self.v1:
            with open(os.path.join(self.dir, "cpuacct.usage"), encoding="ascii") as f:
                return int(f.read()) / 1e9
        with open(os.path.join(self.dir, "cpu.stat"), encoding="ascii") as f:
            return int(re.search(r"usage_usec (\d+)", f.read())[1]) / 1e6

    def memory(self):
        """KiB of all processes, shared pages in parts (PSS)."""
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                    total += int(re.search(r"^Pss: +(\d+)", f.read(), re.M)[1])
            except (OSError, TypeError):
                pass  # it has ended
        return total

    def wait_quiet(self, seconds):
        """Wait until hardly any CPU is used for a second, at most so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before = self.cpu()
            time.sleep(1)
            if self.cpu() - before < 0.02:
                return

    def remove(self, seconds=15):
        """Wait for the end of all processes. Those that had to be killed."""
        end = time.monotonic() + seconds
        while self.pids() and time.monotonic() < end:
            time.sleep(0.02)
        left = self.pids()
        while self.pids():
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        os.rmdir(self.dir)
        return left


class Peak:
    """with Peak(group) as peak: ...; then peak.kib"""

    def __init__(self, group):
        self.group = group
        self.kib = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while True:
            self.kib = max(self.kib, self.group.memory())
            if self._end.wait(SAMPLE_S):
                return

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


class Calls:
    """System calls of a group's processes and all that they start meanwhile:
    with Calls(group) as calls: ...; then calls.count, None where strace cannot do it."""

    def __init__(self, group):
        self.group = group
        self.count = None
        self._strace = None

    def __enter__(self):
        if not shutil.which("strace"):
            return self
        # A directory, as what strace writes there at the end may not be all: see command().
        self._dir = tempfile.mkdtemp()
        pids = self.group.pids()
        self._strace = subprocess.Popen(
            self.command(*(word for pid in pids for word in ("-p", str(pid)))),
            stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not all(map(self._is_traced, pids)) and self._strace.poll() is None:
            if time.monotonic() > end:
                break
            time.sleep(0.02)
        return self

    def command(self, *words):
        """strace that counts into a file of its own; for what the load starts, too."""
        if not shutil.which("strace"):
            return list(words)
        return ["strace", "-f", "-c", "-qqq", "-o", f"{self._dir}/{next(_numbers)}", *words]

    @staticmethod
    def _is_traced(pid):
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                return "TracerPid:\t0\n" not in f.read()
        except OSError:
            return True  # it has ended

    def __exit__(self, *_):
        if self._strace is None:
            return
        self._strace.send_signal(signal.SIGINT)
        self._strace.wait()
        self.count = 0
        for path in glob.glob(f"{self._dir}/*"):
            with open(path, encoding="utf-8", errors="replace") as f:
                total = re.search(r"^100\.00 +\S+ +\S* +(\d+).* total$", f.read(), re.M)
            self.count += int(total[1]) if total else 0
        shutil.rmtree(self._dir)
        self.count = self.count or None
