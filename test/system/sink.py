# SPDX-License-Identifier: Apache-2.0
"""An SMTP server for tests: takes what comes, or answers as told, and keeps every byte.

    sink = Sink()                                  # listens on a free port
    sink.reply(r"RCPT TO:<bad@", "550 5.1.1 no such user")
    sink.reply(r"CONNECT", "421 too busy", times=1)  # instead of the greeting
    sink.reply(r"EOD", None, delay=3)              # the end of the message; default reply
    sink.reply(r"CONTENT", None, delay=3)          # does not read it for a while
    ...
    sink.messages[0].data                          # as sent, dots unstuffed, CRLF
    sink.stop()                                    # connection refused from here on
    sink.start()                                   # the same port again

    sink.tls = ssl_context                         # offers STARTTLS
    sink.wrapper = True                            # TLS from the first byte
    sink.logins = {"user": "password"}             # offers AUTH with
    sink.mechanisms = "PLAIN LOGIN CRAM-MD5"       # these (inside TLS: tls_mechanisms)
    sink.users                                     # who has logged in, as it happened

A rule's pattern is matched at the start of the command line (case-insensitive); the first
rule that matches and is not used up decides. DROP closes the connection without a reply.
"""
import base64
import hashlib
import hmac
import re
import socket
import threading
import time
from dataclasses import dataclass, field

from . import world

DROP = object()
EXTENSIONS = ("PIPELINING", "SIZE 0", "8BITMIME", "ENHANCEDSTATUSCODES")
LINE_MAX = 1 << 20
MESSAGE_MAX = 64 << 20


@dataclass
class Message:
    sender: str
    recipients: list       # addresses that got 2xx, in order
    data: bytes            # with CRLF, dots unstuffed, without the final dot
    helo: str = ""
    mail_args: str = ""    # what followed the address: "SIZE=12 BODY=8BITMIME"
    rcpt_args: list = field(default_factory=list)
    connection: int = 0    # number of the connection, from 1
    has_tls: bool = False
    user: str = ""         # who has logged in
    at: float = field(default_factory=time.monotonic)  # when it was complete

    @property
    def text(self):
        """The data with LF line ends."""
        return self.data.replace(b"\r\n", b"\n")

    def header(self, name):
        """The first header of this name, unfolded; "" if there is none."""
        head = self.text.split(b"\n\n", 1)[0].decode("utf-8", "surrogateescape")
        m = re.search(rf"(?im)^{re.escape(name)}:[ \t]*(.*(?:\n[ \t].*)*)", head)
        return re.sub(r"\n[ \t]+", " ", m[1]) if m else ""


@dataclass
class Rule:
    pattern: str
    text: object
    times: int
    delay: float


class Sink:
    def __init__(self, port=None, host="127.0.0.1", name="sink.example.com",
                 extensions=EXTENSIONS, start=True):
        self.host, self.name, self.extensions = host, name, extensions
        self.port = port or world.enter().port()
        self.messages = []
        self.commands = []       # (connection, line) of every command
        self.connections = 0
        self.peers = []          # the address of each connection's other end
        self.most = 0            # messages in DATA at one time
        self.pace = 0            # seconds between two lines of a reply
        self.bytes_per_second = 0  # at which content is read; 0: as it comes
        self.tls = None          # an SSLContext
        self.wrapper = False
        self.sessions = []       # (version, cipher, reused) of TLS connections
        self.logins = None       # {user: password}
        self.mechanisms = "PLAIN LOGIN CRAM-MD5"
        self.tls_mechanisms = None
        self.users = []
        self._rules = []
        self._lock = threading.Condition()
        self._listener = None
        self._open = set()
        self._in_data = 0
        self._stopping = threading.Event()
        if start:
            self.start()

    @property
    def hop(self):
        """As a next hop in main.cf."""
        return f"[{self.host}]:{self.port}"

    def reply(self, pattern, text, times=-1, delay=0.0):
        """Add a rule; text None is the usual reply. times -1: always."""
        with self._lock:
            self._rules.append(Rule(pattern, text, times, delay))

    def clear(self):
        """Forget the rules."""
        with self._lock:
            self._rules.clear()

    def start(self):
        self._stopping.clear()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family,
                                              backlog=256)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self):
        """Refuse connections and cut those that are open. After it no message comes any
        more, also from who was waiting to reply."""
        self._stopping.set()
        if self._listener:
            try:
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            except OSError:
                pass
            self._listener.close()
            self._listener = None
        with self._lock:
            for conn in list(self._open):
                try:
                    conn.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self._lock.wait_for(lambda: not self._open, 10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait(self, count=1, seconds=20):
        """Wait until there are `count` messages; all of them."""
        with self._lock:
            if not self._lock.wait_for(lambda: len(self.messages) >= count, seconds):
                raise AssertionError(f"{len(self.messages)} of {count} messages came to "
                                     f"port {self.port} in {seconds} s")
            return list(self.messages)

    def wait_connections(self, count, seconds=20):
        """Wait until there have been so many connections."""
        with self._lock:
            if not self._lock.wait_for(lambda: self.connections >= count, seconds):
                raise AssertionError(f"{self.connections} of {count} connections to port "
                                     f"{self.port} in {seconds} s")

    def wait_command(self, pattern, seconds=20):
        """Wait until a command line matches; the line."""
        def found():
            return next((line for _, line in self.commands
                         if re.match(pattern, line, re.I)), None)

        with self._lock:
            if not self._lock.wait_for(found, seconds):
                raise AssertionError(f"no command {pattern!r} in {seconds} s: "
                                     f"{self.commands[-20:]}")
            return found()

    # One connection

    def _accept(self, listener):
        while True:
            try:
                conn, peer = listener.accept()
            except OSError:
                return
            self.peers.append(peer[0])
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        if self.bytes_per_second:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        # Each reply is written alone; without this each would wait for the other's ACK.
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self.connections += 1
            number = self.connections
            self._open.add(conn)
            self._lock.notify_all()
        try:
            with conn:
                session = _Session(self, conn, number)
                if self.wrapper:
                    session.encrypt()
                session.run()
        except (OSError, EOFError):
            pass
        finally:
            with self._lock:
                self._open.discard(conn)
                self._lock.notify_all()

    def decide(self, line, usual):
        """The reply to this line, after the rule's delay; none if stop() comes first."""
        with self._lock:
            rule = next((r for r in self._rules
                         if r.times != 0 and re.match(r.pattern, line, re.I)), None)
            if rule is None:
                return usual
            rule.times -= rule.times > 0
        if rule.delay and self._stopping.wait(rule.delay):
            return DROP
        return usual if rule.text is None else rule.text

    def note_command(self, number, line):
        with self._lock:
            self.commands.append((number, line))
            self._lock.notify_all()

    def note_data(self, change):
        with self._lock:
            self._in_data += change
            self.most = max(self.most, self._in_data)

    def keep(self, message):
        with self._lock:
            self.messages.append(message)
            self._lock.notify_all()


class _Session:
    def __init__(self, sink, conn, number):
        self.sink, self.conn, self.number = sink, conn, number
        self.file = conn.makefile("rb")
        self.helo = ""
        self.has_tls = False
        self.user = ""
        self.reset()

    def encrypt(self):
        self.conn = self.sink.tls.wrap_socket(self.conn, server_side=True)
        self.file = self.conn.makefile("rb")
        self.has_tls = True
        self.helo = ""
        cipher = self.conn.cipher() or ("",)  # None if the client is gone already
        self.sink.sessions.append((self.conn.version(), cipher[0], self.conn.session_reused))
        self.reset()

    def reset(self):
        self.sender = None
        self.mail_args = ""
        self.recipients = []
        self.rcpt_args = []

    def run(self):
        if not self.say("CONNECT", f"220 {self.sink.name} ESMTP"):
            return
        while True:
            line = self.file.readline(LINE_MAX)
            if not line.endswith(b"\n"):
                return
            text = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            self.sink.note_command(self.number, text)
            verb = text.split(" ")[0].split(":")[0].upper()
            handler = getattr(self, "do_" + verb.lower(), None)
            if handler is None:
                ok = self.say(text, "502 5.5.2 Command not recognized")
            else:
                ok = handler(text)
            if not ok:
                return

    def say(self, line, usual, first=None):
        """Send the reply, after first(); False where the connection ends. The code sent is
        kept, empty if there is none."""
        reply = self.sink.decide(line, usual)
        self.code = "" if reply is DROP else reply[:3]
        if first:
            first()
        if reply is DROP:
            return False
        for i, line in enumerate(reply.split("\n")):
            if i > 0 and self.sink.pace:
                time.sleep(self.sink.pace)
            self.conn.sendall(line.encode() + b"\r\n")
        return self.code != "421"

    def do_ehlo(self, text):
        self.helo = text[5:]
        self.reset()
        lines = [self.sink.name, *self.sink.extensions, *self.offers()]
        return self.say(text, "\n".join(f"250{'-' if i + 1 < len(lines) else ' '}{line}"
                                        for i, line in enumerate(lines)))

    def offers(self):
        offers = []
        if self.sink.tls is not None and not self.has_tls:
            offers.append("STARTTLS")
        if self.sink.logins is not None:
            inside = self.sink.tls_mechanisms
            names = self.sink.mechanisms if inside is None or not self.has_tls else inside
            offers.append(f"AUTH {names}".rstrip())
        return offers

    def do_starttls(self, text):
        usual = "502 5.5.1 Not implemented"
        if self.sink.tls is not None and not self.has_tls:
            usual = "220 2.0.0 Ready to start TLS"
        ok = self.say(text, usual)
        if ok and self.code == "220" and self.sink.tls is not None:
            self.encrypt()
        return ok

    # AUTH

    def challenge(self, text=b""):
        self.conn.sendall(b"334 " + base64.b64encode(text) + b"\r\n")
        line = self.file.readline(LINE_MAX).strip()
        if line == b"*":
            raise ValueError("aborted")
        return base64.b64decode(line, validate=True)

    def auth_plain(self, first):
        answer = self.challenge() if first is None else first
        _, user, password = answer.decode().split("\0")
        return user, self.sink.logins.get(user) == password

    def auth_login(self, first):
        user = (self.challenge(b"Username:") if first is None else first).decode()
        return user, self.sink.logins.get(user) == self.challenge(b"Password:").decode()

    def auth_cram_md5(self, _):
        nonce = b"<1.2@sink.example.com>"
        user, digest = self.challenge(nonce).decode().rsplit(" ", 1)
        key = self.sink.logins.get(user, "").encode()
        return user, hmac.new(key, nonce, hashlib.md5).hexdigest() == digest

    def do_auth(self, text):
        words = text.split(" ")
        how = getattr(self, "auth_" + words[1].lower().replace("-", "_"), None)
        if how is None or self.sink.logins is None:
            return self.say(text, "504 5.5.4 Unknown mechanism")
        first = None
        if len(words) > 2:
            first = b"" if words[2] == "=" else base64.b64decode(words[2])
        try:
            user, ok = how(first)
        except ValueError as e:
            return self.say(text, f"501 5.7.0 {e}")
        if ok:
            self.user = user
            self.sink.users.append(user)
        return self.say(text, "235 2.7.0 Ok" if ok else "535 5.7.8 Wrong user or password")

    def do_helo(self, text):
        self.helo = text[5:]
        self.reset()
        return self.say(text, f"250 {self.sink.name}")

    def do_mail(self, text):
        m = re.match(r"MAIL FROM:\s*<(.*?)>\s*(.*)", text, re.I)
        ok = self.say(text, "250 2.1.0 Ok" if m else "501 5.5.4 Syntax")
        if ok and self.code[0] == "2":
            self.sender, self.mail_args = m.groups()
        return ok

    def do_rcpt(self, text):
        m = re.match(r"RCPT TO:\s*<(.*?)>\s*(.*)", text, re.I)
        usual = "501 5.5.4 Syntax"
        if m:
            usual = "250 2.1.5 Ok" if self.sender is not None else "503 5.5.1 MAIL first"
        ok = self.say(text, usual)
        if ok and self.code[0] == "2":
            self.recipients.append(m[1])
            self.rcpt_args.append(m[2])
        return ok

    def do_data(self, text):
        usual = "354 Go ahead" if self.recipients else "554 5.5.1 No valid recipients"
        if not self.say(text, usual):
            return False
        if self.code[0] != "3":
            return True
        self.sink.note_data(1)
        message = self.read_message()
        if message is None:
            self.sink.note_data(-1)
            return False
        def before_the_reply():
            # The client may go on to the next message as soon as it hears of the end.
            self.sink.note_data(-1)
            # Who answers 2xx has the message, even if the reply is lost on its way.
            if self.code[:1] == "2":
                self.sink.keep(message)

        ok = self.say("EOD", f"250 2.0.0 Ok: queued as S{self.number:04X}"
                             f"{len(self.sink.messages):04X}", before_the_reply)
        self.reset()
        return ok

    def read_message(self):
        """None if the client is gone, or never ends."""
        self.sink.decide("CONTENT", "")
        data = []
        size = 0
        while True:
            line = self.file.readline(LINE_MAX)
            if not line:
                return None
            if line == b".\r\n":
                break
            if self.sink.bytes_per_second and \
                    (size + len(line)) // 100000 > size // 100000:
                time.sleep(100000 / self.sink.bytes_per_second)
            size += len(line)
            if size > MESSAGE_MAX:
                return None
            data.append(line[1:] if line.startswith(b".") else line)
        return Message(self.sender, self.recipients, b"".join(data), self.helo,
                       self.mail_args, self.rcpt_args, self.number, self.has_tls, self.user)

    def do_rset(self, text):
        self.reset()
        return self.say(text, "250 2.0.0 Ok")

    def do_noop(self, text):
        return self.say(text, "250 2.0.0 Ok")

    def do_vrfy(self, text):
        return self.say(text, "252 2.0.0 Try it")

    def do_quit(self, text):
        self.say(text, "221 2.0.0 Bye")
        return False
