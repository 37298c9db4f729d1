# SPDX-License-Identifier: Apache-2.0
"""A milter whose every word is the test's: the filter's side of the Sendmail protocol.

    with Milter(path) as milter:
        milter.play(mail=REJECT, eom=[add_header("X-Seen", "yes"), CONTINUE])
        ...
        milter.told()    # what the MTA has said, one line per packet

A reply is bytes (packet()), a list of them, or CLOSE (hang up), SILENT (say nothing), raw()
(bytes that are no packet). An event without a reply gets CONTINUE. `options` are what is
answered to the negotiation: version, actions, protocol flags, {stage: macro names}.
"""
import os
import socket
import struct
import threading

CLOSE = "close"
SILENT = "silent"

EVENTS = {b"O": "negotiate", b"D": "macro", b"C": "connect", b"H": "helo", b"M": "mail", b"R": "rcpt",
          b"T": "data", b"U": "unknown", b"L": "header", b"N": "eoh", b"B": "body", b"E": "eom",
          b"A": "abort", b"Q": "quit", b"K": "quit_nc"}
ANSWERED = set("connect helo mail rcpt data unknown header eoh body eom".split())

ALL_ACTIONS = 0x1FF
NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT, NO_BODY, NO_HEADERS, NO_EOH = (1 << n for n in range(7))
NR_HEADER, NO_UNKNOWN, NO_DATA, SKIP_BODY, RCPT_REJECTED = (1 << n for n in range(7, 12))
NR_CONNECT, NR_HELO, NR_MAIL, NR_RCPT, NR_DATA, NR_UNKNOWN, NR_EOH, NR_BODY = (
    1 << n for n in range(12, 20))
LEADING_SPACE = 1 << 20


def packet(code, *texts, number=None):
    """A reply: its letter, perhaps a number, texts that end in NUL."""
    data = code.encode() + (b"" if number is None else struct.pack(">I", number))
    data += b"".join((t if isinstance(t, bytes) else t.encode()) + b"\0" for t in texts)
    return struct.pack(">I", len(data)) + data


CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD = (packet(c) for c in "cartd")
SHUTDOWN, SKIP, PROGRESS, FAIL = (packet(c) for c in "4spf")


def reply(text):
    return packet("y", text)


def add_header(name, value):
    return packet("h", name, value)


def insert_header(index, name, value):
    return packet("i", name, value, number=index)


def change_header(index, name, value):
    return packet("m", name, value, number=index)


def change_from(address, *params):
    return packet("e", address, *params)


def add_rcpt(address):
    return packet("+", address)


def add_rcpt_par(address, *params):
    return packet("2", address, *params)


def del_rcpt(address):
    return packet("-", address)


def replace_body(data):
    return struct.pack(">I", len(data) + 1) + b"b" + data


def quarantine(reason):
    return packet("q", reason)


class raw(bytes):
    """Bytes as they are."""


def _texts(data):
    return [t.decode("utf-8", "backslashreplace") for t in data.split(b"\0")[:-1]]


class Milter:
    """Serves any number of connections at `where` (a path, or a TCP port of 127.0.0.1)."""

    def __init__(self, where, options=(6, ALL_ACTIONS, 0, None)):
        self.where = where
        self.options = options
        self.replies = {}
        self.talks = []  # what was heard, by connection
        self.offers = []
        self.changed = threading.Condition()
        self.connections = set()
        self.busy = 0
        kind = socket.AF_INET if isinstance(where, int) else socket.AF_UNIX
        self.listener = socket.socket(kind)
        if kind == socket.AF_INET:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", where))
        else:
            if os.path.exists(where):
                os.unlink(where)
            self.listener.bind(where)
            os.chmod(where, 0o777)
        self.listener.listen(50)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def play(self, options=None, **replies):
        """What to say from now on; forgets what was heard."""
        with self.changed:
            self.options = options or (6, ALL_ACTIONS, 0, None)
            self.replies = replies
            self.talks = []
            self.offers = []

    def told(self, seconds=10):
        """Everything that was heard, once no connection is open any more."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.busy == 0, seconds):
                raise AssertionError(f"milter connections still open: {self.talks}")
            return [line for talk in self.talks for line in talk]

    def heard(self, text, seconds=10):
        """Wait for a line that begins so."""
        with self.changed:
            if not self.changed.wait_for(lambda: any(line.startswith(text) for talk in self.talks
                                                     for line in talk), seconds):
                raise AssertionError(f"not heard: {text}: {self.talks}")

    def close(self):
        # shutdown() wakes accept(), which close() would not.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(10)
        with self.changed:
            left = list(self.connections)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.busy += 1
                self.connections.add(connection)
                talk = []
                self.talks.append(talk)
            threading.Thread(target=self._talk, args=(connection, talk), daemon=True).start()

    def _talk(self, connection, talk):
        try:
            while self._packet(connection, talk):
                pass
        except OSError:
            # Whether it is the end or an error depends on what was not yet read.
            self._note(talk, "end")
        finally:
            connection.close()
            with self.changed:
                self.connections.discard(connection)
                self.busy -= 1
                self.changed.notify_all()

    def _note(self, talk, line):
        with self.changed:
            talk.append(line)
            self.changed.notify_all()

    def _read(self, connection, count):
        data = b""
        while len(data) < count:
            more = connection.recv(count - len(data))
            if not more:
                return None
            data += more
        return data

    def _packet(self, connection, talk):
        head = self._read(connection, 4)
        body = head and self._read(connection, struct.unpack(">I", head)[0])
        if not body:
            self._note(talk, "end")
            return False
        name = EVENTS.get(body[:1], repr(body[:1]))
        data = body[1:]
        if name == "negotiate":
            return self._negotiate(connection, talk, data)
        self._note(talk, self._describe(name, data))
        if name == "quit":
            return False
        return name not in ANSWERED or self._answer(connection, name)

    def _describe(self, name, data):
        if name == "macro":
            texts = _texts(data[1:])
            pairs = " ".join(f"{k}=[{v}]" for k, v in zip(texts[::2], texts[1::2]))
            return f"macro {EVENTS[data[:1]]}: {pairs}"
        if name == "connect":
            host, rest = data.split(b"\0", 1)
            port = struct.unpack(">H", rest[1:3])[0] if rest[:1] in b"46L" else 0
            return f"connect {host.decode()} {rest[:1].decode()} {port} {rest[3:]!r}"
        if name == "body":
            return f"body {len(data)} {data[:200]!r}"
        return " ".join([name, *(repr(t) for t in _texts(data))])

    def _negotiate(self, connection, talk, data):
        version, actions, protocol, symbols = self.options
        offer = struct.unpack(">III", data[:12])
        with self.changed:
            self.offers.append(offer)
        self._note(talk, "negotiate %d %#x %#x" % offer)
        if isinstance(version, (bytes, str)):
            return self._send(connection, version)
        answer = struct.pack(">III", version, actions, protocol)
        for stage, names in (symbols or {}).items():
            answer += struct.pack(">I", stage) + names.encode() + b"\0"
        return self._send(connection, struct.pack(">I", len(answer) + 1) + b"O" + answer)

    def _no_reply(self, name):
        flag = {"header": NR_HEADER, "connect": NR_CONNECT, "helo": NR_HELO, "mail": NR_MAIL,
                "rcpt": NR_RCPT, "data": NR_DATA, "unknown": NR_UNKNOWN, "eoh": NR_EOH,
                "body": NR_BODY}.get(name, 0)
        return isinstance(self.options[2], int) and self.options[2] & flag

    def _answer(self, connection, name):
        if self._no_reply(name):
            return True
        with self.changed:
            said = self.replies.get(name, CONTINUE)
        if callable(said):
            said = said()
        for one in said if isinstance(said, list) else [said]:
            if not self._send(connection, one):
                return False
        return True

    def _send(self, connection, one):
        if one == CLOSE:
            return False
        if one != SILENT:
            connection.sendall(one)
        return True
