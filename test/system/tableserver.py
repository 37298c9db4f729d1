# SPDX-License-Identifier: Apache-2.0
"""Servers behind tables, in threads: tcp, socketmap, memcache, redis. `rows` is what they
know (a dict, changed while they run); `spell` makes one hostile: "silent" answers nothing,
"cut" half an answer, "endless" bytes without end, "slow" a byte at a time, "junk" nonsense,
"full" an answer of the largest size."""
import re
import socket
import threading
import urllib.parse


class TableServer:
    kind = ""

    def __init__(self, rows, spell=None, path=None, port=0):
        self.rows = rows
        self.spell = spell
        self.seen = []
        self.connections = []
        self.stopping = threading.Event()
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
        else:
            self.socket = socket.socket()
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("127.0.0.1", port))
            self.port = self.socket.getsockname()[1]
        self.socket.listen(50)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.stopping.is_set():
            return
        self.stopping.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
        self.thread.join()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        stream = connection.makefile("rb")
        try:
            while (answer := self.answer(stream)) is not None:
                self._send(connection, answer)
        except (OSError, ValueError):
            pass

    def _send(self, connection, answer):
        if self.spell == "silent":
            self.stopping.wait()
        elif self.spell == "cut":
            connection.sendall(answer[:len(answer) // 2])
            connection.shutdown(socket.SHUT_RDWR)
        elif self.spell == "endless":
            while True:
                connection.sendall(b"9" * 4096)
        elif self.spell == "slow":
            for byte in answer:
                if self.stopping.wait(0.5):
                    return
                connection.sendall(bytes([byte]))
        elif self.spell == "junk":
            connection.sendall(b"\x00\xff nonsense\r\n" * 3)
        else:
            connection.sendall(answer)


class TcpServer(TableServer):
    kind = "tcp"

    def answer(self, stream):
        line = stream.readline()
        if not line:
            return None
        key = urllib.parse.unquote_to_bytes(line[4:-1].decode())
        self.seen.append(key)
        value = self.rows.get(key)
        if value is None:
            return b"500 not here\n"
        if isinstance(value, tuple):
            return value[0]
        return b"200 " + urllib.parse.quote(value).encode() + b"\n"


class SocketmapServer(TableServer):
    kind = "socketmap"

    def answer(self, stream):
        digits = b""
        while (c := stream.read(1)) != b":":
            if not c:
                return None
            digits += c
        request = stream.read(int(digits) + 1)[:-1]
        self.seen.append(request)
        value = self.rows.get(request.split(b" ", 1)[1])
        if isinstance(value, tuple):
            return value[0]
        reply = b"NOTFOUND " if value is None else b"OK " + value
        return b"%d:%s," % (len(reply), reply)


class MemcacheServer(TableServer):
    kind = "memcache"

    def answer(self, stream):
        line = stream.readline()
        if not line:
            return None
        words = line.split()
        self.seen.append(line.strip())
        if words[0] == b"set":
            self.rows[words[1]] = stream.read(int(words[4]) + 2)[:-2]
            return b"STORED\r\n"
        value = self.rows.get(words[1])
        if isinstance(value, tuple):
            return value[0]
        if value is None:
            return b"END\r\n"
        return b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (words[1], len(value), value)


class RedisServer(TableServer):
    kind = "redis"

    def answer(self, stream):
        line = stream.readline()
        if not line:
            return None
        words = []
        for _ in range(int(line[1:])):
            size = int(stream.readline()[1:])
            words.append(stream.read(size + 2)[:-2])
        self.seen.append(words)
        if words[0] in (b"AUTH", b"SELECT"):
            return b"-WRONGPASS no\r\n" if b"wrong" in words else b"+OK\r\n"
        value = self.rows.get(words[-1])
        if isinstance(value, tuple):
            return value[0]
        if isinstance(value, list):
            return b"*%d\r\n" % len(value) + b"".join(
                b"$%d\r\n%s\r\n" % (len(v), v) for v in value)
        return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


SERVERS = (TcpServer, SocketmapServer, MemcacheServer, RedisServer)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def clean(text):
    return re.sub(r"\d{4,5}", "PORT", text)
