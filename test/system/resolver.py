# SPDX-License-Identifier: Apache-2.0
"""The resolver daemon by itself, started as the master would start it, and questions to it.

    with DNSServer() as dns, Resolver(dns) as resolver:
        answer = resolver.ask("example.org", "MX")
        answer.result, answer.records[0].text
"""
import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time
from types import SimpleNamespace

from . import world
from .dnsserver import TYPES, NAMES

RESULTS = ["found", "nxdomain", "nodata", "try again", "fail", "malformed"]
CONTROL_FD, LISTEN_FD = 3, 4


class Connection:
    """A client's connection; questions go one after the other."""

    def __init__(self, path, timeout=60):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(path)
        self._rest = b""
        self._met = False
        self._socket.sendall(b"hikyaku-ipc 1\0")

    def close(self):
        self._socket.close()

    def _text(self):
        while b"\0" not in self._rest:
            more = self._socket.recv(65536)
            if not more:
                raise EOFError("the resolver closed the connection")
            self._rest += more
        text, self._rest = self._rest.split(b"\0", 1)
        return text.decode("latin-1")

    def receive(self):
        if not self._met:
            assert self._text() == "hikyaku-ipc 1"
            self._met = True
        message = {"message": self._text()}
        while True:
            field = self._text()
            if not field:
                return SimpleNamespace(**message)
            value = self._text()
            message[field] = int(value) if value.isdigit() and field not in (
                "text", "canonical", "why") else value

    def send(self, message, **fields):
        parts = [message]
        for key, value in fields.items():
            parts += [key, str(value)]
        self._socket.sendall("".join(p + "\0" for p in [*parts, ""]).encode("latin-1"))

    def question(self, name, kind, native=False):
        number = TYPES.get(kind, kind)
        self.send("dns_question", name=name, type=number, flags=int(native))

    def answer(self):
        head = self.receive()
        assert head.message == "dns_answer", head
        records = []
        for _ in range(head.record_count):
            r = self.receive()
            records.append(SimpleNamespace(
                type=NAMES[r.type], text=getattr(r, "text", ""), ttl=getattr(r, "ttl", 0),
                preference=getattr(r, "preference", 0), weight=getattr(r, "weight", 0),
                port=getattr(r, "port", 0)))
        return SimpleNamespace(
            result=RESULTS[head.result], records=records, why=getattr(head, "why", ""),
            canonical=getattr(head, "canonical", ""), texts=[r.text for r in records],
            authenticated=bool(getattr(head, "authenticated", 0)))

    def ask(self, name, kind, native=False):
        self.question(name, kind, native)
        return self.answer()


class Resolver:
    def __init__(self, dns=None, **parameters):
        self.world = world.need_build("libexec/resolver")
        self.dir = tempfile.mkdtemp(prefix="resolver-", dir=self.world.dir)
        os.chmod(self.dir, 0o755)
        self.path = os.path.join(self.dir, "socket")
        self.log = os.path.join(self.dir, "stderr")
        values = {"queue_directory": self.dir, "data_directory": self.dir,
                  "resolver_trust_anchor_file": "", **parameters}
        if dns is not None:
            values["resolver_nameservers"] = dns.nameserver
        if not self.world.root:
            values["mail_owner"] = pwd.getpwuid(os.geteuid()).pw_name
        self.world.add_config_directory(self.dir)
        with open(os.path.join(self.dir, "main.cf"), "w", encoding="utf-8") as f:
            for key, value in values.items():
                f.write(f"{key} = {value}\n")
        self.process = None

    def __enter__(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        os.chmod(self.path, 0o666)
        listener.listen(100)
        ours, theirs = socket.socketpair()

        def place():
            # Above the places first: either may stand in the other's place.
            high = [os.dup2(s.fileno(), 100 + i) for i, s in enumerate((theirs, listener))]
            os.dup2(high[0], CONTROL_FD)
            os.dup2(high[1], LISTEN_FD)

        # The leak checker cannot work in the sandbox.
        env = {"PATH": "/usr/bin:/bin", "MAIL_CONFIG": self.dir,
               "ASAN_OPTIONS": "detect_leaks=0"}
        env.update({k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_"))})
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.world.build, "libexec/resolver"), "-n", "resolver",
                 "-t", "unix", "-u", "-V"], env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=place, pass_fds=(CONTROL_FD, LISTEN_FD))
        listener.close()
        theirs.close()
        self.control = ours
        ours.settimeout(20)
        if ours.recv(1) != b"R":
            raise AssertionError(f"resolver does not start: {self.text()}")
        return self

    def __exit__(self, *_):
        self.control.close()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"resolver does not stop: {self.text()}") from None
        if status != 0:
            raise AssertionError(f"resolver ended with {status}: {self.text()}")

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_log(self, part, seconds=20):
        end = time.monotonic() + seconds
        while part not in self.text():
            if time.monotonic() > end:
                raise AssertionError(f"no {part!r} in {self.text()!r}")
            time.sleep(0.02)

    def connect(self, timeout=60):
        return Connection(self.path, timeout)

    def ask(self, name, kind, native=False):
        """On a connection of its own."""
        c = self.connect()
        try:
            return c.ask(name, kind, native)
        finally:
            c.close()
