# SPDX-License-Identifier: Apache-2.0
"""A name server that answers what a test tells it to, over UDP and TCP.

    with DNSServer() as dns:                      # 127.0.0.1, port 53 or a free one
        dns.add("example.org", "MX", "10 mx.example.org")
        dns.add("mx.example.org", "A", "127.0.0.2")
        dns.behave("slow.example.org", "silence")
        ... resolver_nameservers = dns.nameserver ...
        dns.count("example.org", "MX")            # how often it was asked

A name that was added has no data for other types; any other name does not exist, unless a
name below it was added. CNAMEs are followed as far as this server knows them. Record data is
text as in a zone file, or bytes to be sent as they are.

Behaviours, for a name and perhaps one type, as often as `times` says (None: always):
    servfail, refused, formerr, notimp   answers with that code
    nxdomain, nodata                     whatever was added
    silence                              does not answer
    truncate                             UDP answers are marked truncated and empty
    wrong-id, wrong-question             answers that are not for this question
    garbage                              a few bytes that are no message
    delay:SECONDS                        answers late
"""
import selectors
import socket
import struct
import threading
import time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28,
         "SRV": 33, "OPT": 41, "DNSKEY": 48, "TLSA": 52, "ANY": 255}
NAMES = {number: name for name, number in TYPES.items()}
CODES = {"noerror": 0, "formerr": 1, "servfail": 2, "nxdomain": 3, "notimp": 4, "refused": 5}
PLAIN_UDP_BYTES = 512


def encode_name(name):
    """Text to labels; "." is the root."""
    wire = b""
    for label in name.rstrip(".").split("."):
        if label:
            raw = label.encode("ascii")
            wire += bytes([len(raw)]) + raw
    return wire + b"\0"


def encode_data(kind, data):
    """Record data in zone file form to bytes."""
    if isinstance(data, bytes):
        return data
    words = data.split()
    if kind == "A":
        return socket.inet_pton(socket.AF_INET, data)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, data)
    if kind in ("CNAME", "PTR", "NS"):
        return encode_name(data)
    if kind == "MX":
        return struct.pack("!H", int(words[0])) + encode_name(words[1])
    if kind == "SRV":
        return struct.pack("!HHH", *map(int, words[:3])) + encode_name(words[3])
    if kind == "TXT":
        raw = data.encode("utf-8")
        parts = [raw[i:i + 255] for i in range(0, len(raw), 255)] or [b""]
        return b"".join(bytes([len(p)]) + p for p in parts)
    if kind == "TLSA":
        return bytes(map(int, words[:3])) + bytes.fromhex("".join(words[3:]))
    raise ValueError(f"record type {kind}")


def decode_question(message):
    """(id, name in lower case, type number, bytes of the question section, UDP size)."""
    ident, _flags, n_questions, _an, _ns, n_additional = struct.unpack("!6H", message[:12])
    if n_questions != 1:
        raise ValueError("not one question")
    labels, at = [], 12
    while message[at] != 0:
        length = message[at]
        if length > 63:
            raise ValueError("compressed question")
        labels.append(message[at + 1:at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    kind, _class = struct.unpack("!2H", message[at + 1:at + 5])
    end = at + 5
    size = PLAIN_UDP_BYTES
    if n_additional and message[end:end + 3] == b"\0\0\x29":
        size = max(size, struct.unpack("!H", message[end + 3:end + 5])[0])
    return ident, ".".join(labels) or ".", kind, message[12:end], size


class DNSServer:
    """See the top of the file. May be started and stopped several times."""

    def __init__(self, address="127.0.0.1", port=None, ttl=300, negative_ttl=1):
        self.address = address
        self.port = port
        self.ttl = ttl
        self.negative_ttl = negative_ttl
        self.asked = []  # (name, type) in the order of arrival
        self._records = {}  # name -> [(type, data bytes, ttl)]
        self._behaviours = []  # [name, type or None, what, times or None]
        self._lock = threading.Lock()
        self._thread = None

    # What it answers

    def add(self, name, kind, *data, ttl=None):
        """One record for each of data."""
        with self._lock:
            rows = self._records.setdefault(name.lower().rstrip("."), [])
            rows += [(kind, encode_data(kind, d), self.ttl if ttl is None else ttl)
                     for d in data]
        return self

    def host(self, name, *addresses):
        """A or AAAA records."""
        for address in addresses:
            self.add(name, "AAAA" if ":" in address else "A", address)
        return self

    def mail(self, domain, *hosts):
        """MX records 10, 20, ... for names; a pair (name, preference) sets its own."""
        for i, host in enumerate(hosts):
            name, preference = host if isinstance(host, tuple) else (host, 10 * (i + 1))
            self.add(domain, "MX", f"{preference} {name}")
        return self

    def remove(self, name, kind=None):
        with self._lock:
            rows = self._records.get(name.lower(), [])
            rows[:] = [row for row in rows if kind is not None and row[0] != kind]
            if not rows:
                self._records.pop(name.lower(), None)

    def behave(self, name, what, kind=None, times=None):
        """name "*" is every name. The latest rule that fits counts."""
        with self._lock:
            self._behaviours.insert(0, [name.lower(), kind, what, times])
        return self

    def behave_well(self):
        """Forget all behaviours."""
        with self._lock:
            self._behaviours.clear()

    # What it was asked

    def count(self, name, kind=None):
        with self._lock:
            return sum(1 for n, k in self.asked
                       if n == name.lower() and kind in (None, k))

    def wait_asked(self, name, kind=None, times=1, seconds=10):
        """Until it was asked that often."""
        end = time.monotonic() + seconds
        while self.count(name, kind) < times:
            if time.monotonic() > end:
                raise AssertionError(f"no question for {name} {kind or ''}")
            time.sleep(0.01)

    @property
    def nameserver(self):
        """For resolver_nameservers."""
        return f"{self.address}@{self.port}"

    # Life

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._open_sockets()
        self._stop_reader, self._stop_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="dnsserver", daemon=True)
        self._thread.start()
        return self

    def stop(self):
        if self._thread is None:
            return
        self._stop_writer.send(b"x")
        self._thread.join(10)
        self._thread = None
        for s in (self._udp, self._tcp, self._stop_reader, self._stop_writer):
            s.close()

    def _open_sockets(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        wanted = [self.port] if self.port is not None else [53] + [0] * 20
        for port in wanted:
            self._udp = socket.socket(family, socket.SOCK_DGRAM)
            self._tcp = socket.socket(family, socket.SOCK_STREAM)
            self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self._udp.bind((self.address, port))
                self._tcp.bind((self.address, self._udp.getsockname()[1]))
                self._tcp.listen(20)
                self.port = self._udp.getsockname()[1]
                return
            except OSError as e:
                self._udp.close()
                self._tcp.close()
                error = e
        raise error

    # Answering

    def _serve(self):
        with selectors.DefaultSelector() as selector:
            for s in (self._udp, self._tcp, self._stop_reader):
                selector.register(s, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._stop_reader:
                        return
                    try:
                        self._serve_one(key.fileobj)
                    except (OSError, ValueError, IndexError, struct.error):
                        pass  # the client's problem

    def _serve_one(self, s):
        if s is self._udp:
            message, peer = s.recvfrom(65535)
            self._respond(message, False, lambda reply: s.sendto(reply, peer))
            return
        client, _ = s.accept()
        # A client that sends its question in pieces must not hold up the others.
        threading.Thread(target=self._serve_tcp, args=(client,), daemon=True).start()

    def _serve_tcp(self, client):
        with client:
            client.settimeout(10)
            try:
                while True:
                    head = client.recv(2, socket.MSG_WAITALL)
                    if len(head) < 2:
                        return
                    message = client.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
                    self._respond(message, True, lambda reply: client.sendall(
                        struct.pack("!H", len(reply)) + reply))
            except (OSError, ValueError, IndexError, struct.error):
                pass

    def _respond(self, message, is_tcp, send):
        ident, name, number, question, size = decode_question(message)
        kind = NAMES.get(number, f"TYPE{number}")
        with self._lock:
            self.asked.append((name, kind))
            what = self._behaviour(name, kind)
        if what == "silence":
            return
        if what.startswith("delay:"):
            timer = threading.Timer(float(what[6:]), lambda: self._send_late(
                send, self._reply(ident, name, kind, question, size, is_tcp, "")))
            timer.daemon = True
            timer.start()
            return
        send(self._reply(ident, name, kind, question, size, is_tcp, what))

    @staticmethod
    def _send_late(send, reply):
        try:
            send(reply)
        except OSError:
            pass

    def _behaviour(self, name, kind):
        for rule in self._behaviours:
            if rule[0] not in (name, "*") or rule[1] not in (None, kind) or rule[3] == 0:
                continue
            if rule[3] is not None:
                rule[3] -= 1
            return rule[2]
        return ""

    def _reply(self, ident, name, kind, question, size, is_tcp, what):
        if what == "garbage":
            return b"\x12\x34\x56"
        if what == "wrong-id":
            ident ^= 0x5555
        if what == "wrong-question":
            question = encode_name("something.else.example") + question[-4:]
        if what == "truncate" and not is_tcp:
            return struct.pack("!6H", ident, 0x8380, 1, 0, 0, 0) + question
        if what in CODES:
            code, answers = CODES[what], []
        elif what == "nodata":
            code, answers = 0, []
        else:
            code, answers = self._look_up(name, kind)
        authority = [] if answers or code not in (0, 3) else [self._soa()]
        records = b"".join(answers + authority)
        reply = struct.pack("!6H", ident, 0x8580 | code, 1, len(answers), len(authority),
                            0) + question + records
        if not is_tcp and len(reply) > size:
            return struct.pack("!6H", ident, 0x8780, 1, 0, 0, 0) + question
        return reply

    @staticmethod
    def _record(name, kind, data, ttl):
        return (encode_name(name) + struct.pack("!HHIH", TYPES[kind], 1, ttl, len(data))
                + data)

    def _soa(self):
        data = (encode_name("ns.invalid") + encode_name("root.invalid")
                + struct.pack("!5I", 1, 3600, 600, 86400, self.negative_ttl))
        return self._record(".", "SOA", data, self.negative_ttl)

    def _look_up(self, name, kind):
        answers = []
        with self._lock:
            for _ in range(20):
                rows = self._records.get(name)
                if rows is None:
                    below = any(n.endswith("." + name) for n in self._records)
                    return (0 if answers or below or name == "." else 3), answers
                hits = [r for r in rows if r[0] == kind]
                alias = [r for r in rows if r[0] == "CNAME"]
                answers += [self._record(name, *r) for r in hits or alias]
                if hits or not alias:
                    return 0, answers
                name = self._name_in(alias[0][1])
        return 0, answers

    @staticmethod
    def _name_in(data):
        labels, at = [], 0
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode("ascii").lower())
            at += 1 + data[at]
        return ".".join(labels)
