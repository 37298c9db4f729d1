# SPDX-License-Identifier: Apache-2.0
"""What sends and what receives. The sinks count: that all has arrived is checked with what
they have, not with what a log says.
"""
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from .systems import DOWN, RECIPIENT, SENDER, Unable, accept, world

CALLER = 'n=$1; shift; while [ $n -gt 0 ]; do n=$((n - 1)); "$@" <"$MESSAGE" || exit; done'
TAIL = 200


def program(name):
    return os.path.join(world.enter().build, "bin", name)


class Sink:
    """smtp-sink on a port, outside of the mail system's group. recipients: count these,
    not messages."""

    def __init__(self, port, settings, recipients=False, host="127.0.0.1"):
        self.settings, self.host = settings, host
        # Not on the disk that is measured; smtp-sink writes there as another user.
        self.dir = tempfile.mkdtemp(prefix="sink", dir=world.enter().dir)
        os.chmod(self.dir, 0o777)
        self.counts = os.path.join(self.dir, "counts")
        self.dump = os.path.join(self.dir, "dump") if recipients else None
        self.read, self.seen, self.rest = 0, 0, b""
        with open(self.counts, "wb") as out:
            self.process = subprocess.Popen(self.words(port), stdout=out)
        accept(port, 10, host)

    def words(self, port):
        options = ["-D", self.dump] if self.dump else ["-c"]
        return [program("smtp-sink"), "-u", "postfix", "-m", "5000", *options,
                f"{self.host}:{port}", "1000"]

    def count(self):
        if self.dump:
            return self._recipients()
        with open(self.counts, "rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - TAIL))
            found = re.findall(rb"mesg=(\d+)\r", f.read())
        return int(found[-1]) if found else 0

    def _recipients(self):
        mark = b"\nX-Rcpt-Args:"
        if not os.path.exists(self.dump):
            return 0
        with open(self.dump, "rb") as f:
            f.seek(self.read)
            new = f.read()
        self.read += len(new)
        text = self.rest + new
        self.seen += text.count(mark)
        self.rest = text[-len(mark) + 1:]
        return self.seen

    def wait(self, count, seconds):
        end = time.monotonic() + seconds
        while (now := self.count()) < count:
            if time.monotonic() > end:
                raise Unable(f"{now} of {count} arrived within {seconds:.0f} s")
            time.sleep(0.005)
        if now > count:
            raise Unable(f"{now} arrived, {count} were sent")

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def source(system, messages, *options, sessions=1, size=1500, down=False):
    """Start smtp-source, outside of the group."""
    return subprocess.Popen([
        program("smtp-source"), *options,
        "-s", str(min(sessions, messages, system.most_sessions)),
        "-m", str(messages), "-l", str(size), "-f", SENDER, "-t",
        DOWN if down else RECIPIENT, f"127.0.0.1:{system.port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def callers(system, messages, count, wrap=lambda *words: words):
    """Start shells that run sendmail one after the other, in the group: what it costs is
    the mail system's. wrap: puts strace before the words."""
    path = os.path.join(system.dir, "message")
    if not os.path.exists(path):
        body = "A line of text as people write them, of a usual length, no end.\n" * 20
        with open(path, "w", encoding="ascii") as f:
            f.write(f"From: {SENDER}\nTo: {RECIPIENT}\nSubject: cost\n\n{body}")
    environment = {**system.environment(), "MESSAGE": path}
    shares = [messages // count + (i < messages % count) for i in range(count)]
    with system.group.inside():
        return [subprocess.Popen(
            wrap("sh", "-c", CALLER, "sh", str(share), *system.program("sendmail"), RECIPIENT),
            env=environment, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for share in shares if share]


def finish(senders, seconds):
    """Wait for what source() or callers() started."""
    end = time.monotonic() + seconds
    failed = None
    for sender in senders:
        try:
            _, err = sender.communicate(timeout=max(0.1, end - time.monotonic()))
            if sender.returncode != 0:
                failed = failed or err.decode("utf-8", "replace").strip()[-200:] or \
                    f"exit {sender.returncode}"
        except subprocess.TimeoutExpired:
            sender.kill()
            sender.communicate()
            failed = failed or f"takes more than {seconds:.0f} s"
    if failed:
        raise Unable(f"the sender: {failed}")


class Client:
    """One SMTP session, a command at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.reply(b"2")
        self.capabilities = self.command(b"EHLO client.example.net\r\n", b"2")

    def reply(self, begins):
        text = b""
        while True:
            line = self.file.readline(2000)
            text += line
            if line[3:4] != b"-":
                break
        if not line.startswith(begins):
            raise Unable(f"a session got {line.decode('utf-8', 'replace').strip()!r}")
        return text

    def command(self, line, begins):
        self.socket.sendall(line)
        return self.reply(begins)

    def send(self, body):
        self.command(f"MAIL FROM:<{SENDER}>\r\n".encode(), b"2")
        self.command(f"RCPT TO:<{RECIPIENT}>\r\n".encode(), b"2")
        self.command(b"DATA\r\n", b"3")
        self.command(body + b".\r\n", b"2")

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class WatchSink:
    """A small server in a thread that knows when the end of each message came."""

    def __init__(self, port):
        self.arrived = []
        self.news = threading.Condition()
        self._server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError), client, client.makefile("rb") as lines:
            client.sendall(b"220 sink ESMTP\r\n")
            for line in lines:
                verb = line[:4].upper()
                if verb == b"EHLO":
                    client.sendall(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                elif verb == b"DATA":
                    client.sendall(b"354 go on\r\n")
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                    with self.news:
                        self.arrived.append(time.monotonic())
                        self.news.notify()
                    client.sendall(b"250 taken\r\n")
                elif verb == b"QUIT":
                    client.sendall(b"221 bye\r\n")
                    return
                else:
                    client.sendall(b"250 Ok\r\n")

    def wait(self, count, seconds):
        """When number `count` came."""
        with self.news:
            if not self.news.wait_for(lambda: len(self.arrived) >= count, seconds):
                raise Unable(f"a message did not arrive within {seconds:.0f} s")
            return self.arrived[count - 1]

    def close(self):
        # shutdown() wakes the thread in accept(); close() alone would not.
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
