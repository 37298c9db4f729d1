# SPDX-License-Identifier: Apache-2.0
"""The SMTP server by itself: mail that comes in goes out unchanged, a message stays one
message whatever its line ends, nothing half accepted when something breaks, limits hold,
and many clients wait in one process without being in each other's way."""
import itertools
import os
import re
import resource
import signal
import smtplib
import socket
import struct
import time
import unittest

from . import world
from .harness import Instance, Ledger, Sink
from .world import leave_disk, small_disk

PORT = 2525
SERVER = f"{PORT} inet n - n - 0 smtpd"
BYTES = (b"\r", b"\n", b".", b"x", b"\0")


class Talk:
    """A client that says bytes and reads replies."""

    def __init__(self, source="127.0.0.1", greeted=True):
        self.socket = socket.create_connection(("127.0.0.1", PORT), 30, (source, 0))
        self.socket.settimeout(30)
        self.file = self.socket.makefile("rb")
        if greeted:
            self.reply()

    def reply(self):
        """The next reply; "" at the end of the connection."""
        lines = []
        while True:
            try:
                line = self.file.readline()
            except ConnectionError:
                line = b""
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if not line or line[3:4] == b" ":
                return "\n".join(lines)

    def say(self, *lines):
        """Each as a command of its own; the last reply."""
        text = ""
        for line in lines:
            self.socket.sendall((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
            text = self.reply()
        return text

    def begin(self, recipient="r@dest.example"):
        return self.say("EHLO client.example", "MAIL FROM:<s@client.example>",
                        f"RCPT TO:<{recipient}>")

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Smtpd(unittest.TestCase):
    def setUp(self):
        world.need_build("libexec/smtpd")

    def start(self, options="", **parameters):
        mta = Instance("smtpd", f"{SERVER} {options}", **parameters)
        self.addCleanup(mta.remove)
        mta.start()
        self.addCleanup(mta.stop)
        return mta

    def test_relay(self):
        ledger = Ledger()
        with Sink(name="dest.example", extensions=("8BITMIME", "PIPELINING")) as sink:
            mta = self.start(relayhost=f"[127.0.0.1]:{sink.port}")
            with smtplib.SMTP("127.0.0.1", PORT) as client:
                for i in range(20):
                    message = ledger.message([f"r{i}@dest.example", "q@dest.example"],
                                             size=i * 5000)
                    client.sendmail(message.sender, message.recipients,
                                    message.data.replace(b"\n", b"\r\n"),
                                    ["BODY=8BITMIME"])
                    ledger.accept(message)
            with Talk() as talk:
                for i in range(20):
                    message = ledger.message(["b@dest.example"], size=i * 5000)
                    talk.say("EHLO client.example", f"MAIL FROM:<{message.sender}> BODY=8BITMIME",
                             "RCPT TO:<b@dest.example>")
                    data = message.data.replace(b"\n", b"\r\n")
                    for at in range(0, len(data), 7001):
                        last = at + 7001 >= len(data)
                        chunk = data[at:at + 7001]
                        talk.socket.sendall(b"BDAT %d%s\r\n%s" % (len(chunk), b" LAST" * last, chunk))
                        self.assertIn("250 2.0.0 Ok", reply := talk.reply())
                    self.assertIn("queued as", reply)
                    ledger.accept(message)
            mta.wait_empty()
            self.assertEqual(ledger.check([sink], [mta]).delivered, 60)

    def test_one_message_in_one_out(self):
        """Every short string of line ends, dots and NUL as the end of a message, in one
        packet and byte by byte (every fifth): one message in, one out, no bare CR or LF."""
        texts = [b"".join(t) for n in range(5) for t in itertools.product(BYTES, repeat=n)]
        with Sink(name="dest.example", extensions=("8BITMIME", "PIPELINING")) as sink:
            mta = self.start(relayhost=f"[127.0.0.1]:{sink.port}", mynetworks="127.0.0.1",
                             smtpd_forbid_bare_newline_exclusions="",
                             smtp_destination_concurrency_limit="5")
            for i, text in enumerate(texts):
                with self.subTest(text=text), Talk() as talk:
                    self.assertIn("250", talk.begin())
                    self.assertIn("354", talk.say("DATA"))
                    data = b"X-Number: %d\r\n\r\n%s\r\n.\r\nQUIT\r\n" % (i, text)
                    if i % 5:
                        talk.socket.sendall(data)
                    else:
                        talk.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        try:
                            for k in range(len(data)):
                                talk.socket.sendall(data[k:k + 1])
                        except ConnectionError:
                            pass  # after the end of the message it was no SMTP any more
                    replies = []
                    while reply := talk.reply():
                        replies.append(reply)
                    self.assertEqual(len([r for r in replies if "queued as" in r]), 1, replies)
            mta.wait_empty(60)
            numbers = [int(m.header("X-Number")) for m in sink.messages]
            self.assertEqual(sorted(numbers), list(range(len(texts))))
            for message in sink.messages:
                rest = message.data.replace(b"\r\n", b"")
                self.assertNotIn(b"\r", rest, message.data)
                self.assertNotIn(b"\n", rest, message.data)

    def test_stranger(self):
        """Nobody outside mynetworks relays, whatever the address looks like."""
        mta = self.start(mynetworks="127.0.0.9", relay_domains="", mydestination="here.example",
                         local_recipient_maps="")
        for address in ("a@dest.example", "a%dest.example@here.example", "<a@dest.example",
                        "@here.example:a@dest.example", "dest.example!a", "\"a@dest.example\"",
                        "a@dest.example@here.example", "a@[192.0.2.1]"):
            with self.subTest(address=address), Talk() as talk:
                reply = talk.begin(address)
                self.assertRegex(reply, r"^[45]\d\d ")
        with Talk() as talk:
            self.assertIn("250 2.1.5", talk.begin("a@here.example"))
        with Talk("127.0.0.9") as talk:
            self.assertIn("250 2.1.5", talk.begin("a@dest.example"))
        mta.log.wait(r"NOQUEUE: reject: RCPT from \S+\[127.0.0.1\]: 454 4.7.1 <a@dest.example>: "
                     r"Relay access denied; from=<s@client.example> to=<a@dest.example> "
                     r"proto=ESMTP helo=<client.example>")

    def test_stranger_that_is_gone(self):
        """A connection that was reset before it is looked at has no other end any more,
        and still a whole session to read: that is nobody of ours."""
        with Sink(name="dest.example") as sink:
            mta = self.start(relayhost=f"[127.0.0.1]:{sink.port}", mynetworks="192.0.2.0/24")
            Talk().close()  # it runs
            mta.log.wait("smtpd: disconnect from")
            mta.kill("smtpd", signal.SIGSTOP)
            with socket.create_connection(("127.0.0.1", PORT)) as stranger:
                stranger.sendall(b"EHLO x.example\r\nMAIL FROM:<a@b.example>\r\n"
                                 b"RCPT TO:<c@dest.example>\r\nDATA\r\n"
                                 b"Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
                time.sleep(0.1)
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
            mta.log.mark()
            mta.kill("smtpd", signal.SIGCONT)
            mta.log.wait(r"smtpd: connect from unknown\[unknown\]")
            mta.log.wait(r"smtpd: disconnect from unknown\[unknown\]")
            self.assertEqual(mta.log.find("cleanup: "), [])
            self.assertEqual((mta.queued(), sink.messages), (0, []))

    def test_timeouts(self):
        mta = self.start(smtpd_timeout="1s", smtpd_per_request_deadline="yes")
        with Talk() as talk:
            self.assertRegex(talk.reply(), r"421 4\.4\.2 \S+ Error: timeout exceeded")
            self.assertEqual(talk.reply(), "")
        with Talk() as talk:
            talk.begin()
            talk.say("DATA")
            began = time.monotonic()
            # A byte now and then does not help.
            while time.monotonic() < began + 10:
                try:
                    talk.socket.sendall(b"x")
                except ConnectionError:
                    break
                time.sleep(0.2)
            self.assertLess(time.monotonic() - began, 5)
        mta.log.wait(r"timeout after CONNECT from localhost\[127.0.0.1\]")
        mta.log.wait(r"timeout after DATA \(\d+ bytes\) from localhost\[127.0.0.1\]")
        self.assertEqual(mta.queued(), 0)

    def test_proxy(self):
        """Client and server are the proxy's header's; without one there is no session."""
        mta = self.start("-o smtpd_upstream_proxy_protocol=haproxy "
                         "-o smtpd_upstream_proxy_timeout=1s", mynetworks="192.0.2.0/24",
                         smtpd_peername_lookup="no")
        with Talk(greeted=False) as talk:
            # In two packets, and what the client says at once behind it.
            talk.socket.sendall(b"PROXY TCP4 192.0.2.1 19")
            time.sleep(0.1)
            talk.socket.sendall(b"2.0.2.2 1234 25\r\nEHLO x.example\r\n")
            self.assertIn("220 ", talk.reply())
            self.assertIn("PIPELINING", talk.reply())
            self.assertIn("250 2.1.5", talk.begin())
        with Talk(greeted=False) as talk:
            talk.socket.sendall(b"PROXY TCP4 198.51.100.1 192.0.2.2 1234 25\r\n")
            self.assertIn("220 ", talk.reply())
            self.assertRegex(talk.begin(), "^[45]")
        with Talk(greeted=False) as talk:
            talk.socket.sendall(b"EHLO x.example\r\n")
            self.assertIn("421 4.3.0", talk.reply())
            self.assertEqual(talk.reply(), "")
        with Talk(greeted=False) as talk:
            self.assertIn("421 4.3.0", talk.reply())
        mta.log.wait(r"\w+: client=unknown\[192.0.2.1\]")
        mta.log.wait(r"haproxy read: timeout error")

    def test_tarpit(self):
        self.start(smtpd_soft_error_limit="2", smtpd_hard_error_limit="4",
                   smtpd_error_sleep_time="1s")
        with Talk() as talk:
            times = []
            for _ in range(4):
                began = time.monotonic()
                self.assertIn("500 5.5.2", talk.say("FOO"))
                times.append(time.monotonic() - began)
            self.assertLess(times[0], 0.5)
            self.assertGreater(times[2], 0.9)
            self.assertIn("421 4.7.0", talk.reply())
            self.assertEqual(talk.reply(), "")

    def test_endless_line(self):
        """A line without end does not fill memory and is not read for ever."""
        mta = self.start(smtpd_timeout="20s")
        with Talk() as talk:
            sent = 0
            try:
                while sent < 100 << 20:
                    talk.socket.sendall(b"x" * 65536)
                    sent += 65536
            except ConnectionError:
                pass
            self.assertLess(sent, 50 << 20)
        mta.log.wait("request longer than")

    def test_cleanup_killed(self):
        with Sink(name="dest.example") as sink:
            mta = self.start(relayhost=f"[127.0.0.1]:{sink.port}")
            with Talk() as talk:
                talk.begin()
                self.assertIn("354", talk.say("DATA"))
                mta.kill("cleanup")
                self.assertIn("451 4.3.0 Error: queue file write error",
                              talk.say("Subject: lost\r\n\r\nx\r\n."))
                # The session goes on, and nothing of the message is left in it.
                self.assertIn("503 5.5.1", talk.say("DATA"))
                deadline = time.monotonic() + 20
                while "250 2.1.5" not in (reply := talk.begin()):
                    self.assertRegex(reply, "^451 4.3.0")
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.5)
                talk.say("DATA")
                self.assertIn("queued as", talk.say("Subject: kept\r\n\r\nx\r\n."))
            sink.wait(1)
            mta.wait_empty()
            # The postmaster is told of a session with such an error.
            self.assertEqual(sorted(m.header("Subject") for m in sink.messages),
                             ["Postfix SMTP server: errors from localhost[127.0.0.1]", "kept"])

    def test_long_addresses(self):
        """What fits a command is carried through, to the next server and back to the sender."""
        long = "x" * 1500
        with Sink(name="dest.example") as sink:
            sink.reply("RCPT TO:<no", "550 5.1.1 nobody")
            mta = self.start(relayhost=f"[127.0.0.1]:{sink.port}")
            with Talk() as talk:
                talk.say("EHLO client.example", f"MAIL FROM:<{long}@from.example>",
                         f"RCPT TO:<{long}@dest.example>", f"RCPT TO:<no{long}@dest.example>", "DATA")
                self.assertIn("queued as", talk.say("Subject: long\r\n\r\nx\r\n."))
            sink.wait(2)
            mta.wait_empty()
            self.assertEqual(sorted((m.sender, m.recipients) for m in sink.messages),
                             [("", [f"{long}@from.example"]), (f"{long}@from.example", [f"{long}@dest.example"])])

    def test_client_lost(self):
        """What ends in the middle is no message."""
        mta = self.start()
        for data in (b"Subject: x\r\n\r\nhalf", b"Subject: x\r\n\r\nwhole\r\n.",
                     b"Subject: x\r\n\r\nwhole\r\n.\r"):
            with Talk() as talk:
                talk.begin()
                talk.say("DATA")
                talk.socket.sendall(data)
        with Talk() as talk:
            talk.begin()
            talk.socket.sendall(b"BDAT 100 LAST\r\nSubject: x\r\n\r\nx\r\n")
        mta.log.wait(r"lost connection after (DATA|BDAT) \(\d+ bytes\)", count=4)
        time.sleep(0.5)
        self.assertEqual(mta.queued(), 0)
        self.assertEqual(mta.unfinished(), 0)

    def test_full_disk(self):
        world.need_private()
        mta = Instance("full", SERVER, message_size_limit="100000", queue_minfree="200000",
                       defer_transports="smtp", in_flow_delay="0")
        self.addCleanup(mta.remove)
        small_disk(mta.queue, 4 << 20)
        self.addCleanup(leave_disk, mta.queue)
        with mta, Talk() as talk:
            self.assertIn("250 2.1.5", talk.begin())
            filler = os.path.join(mta.queue, "filler")
            with open(filler, "wb") as f:
                state = os.statvfs(mta.queue)
                f.write(b"x" * (state.f_bavail * state.f_frsize - 100000))
            self.assertIn("452 4.3.1 Insufficient system storage",
                          talk.say("RSET", "MAIL FROM:<s@client.example>"))
            mta.log.wait(r"NOQUEUE: reject: MAIL from \S+: 452 4.3.1 Insufficient system storage")
            # Full while a message is written: not accepted.
            os.unlink(filler)
            talk.begin()
            with open(filler, "wb") as f:
                state = os.statvfs(mta.queue)
                f.write(b"x" * (state.f_bavail * state.f_frsize))
            talk.say("DATA")
            reply = talk.say("Subject: x\r\n\r\n" + ("y" * 70 + "\r\n") * 1000 + ".")
            self.assertRegex(reply, r"^45[12] 4\.3\.")
            os.unlink(filler)
            self.assertIn("250 2.1.5", talk.begin())
            talk.say("DATA")
            self.assertIn("queued as", talk.say("Subject: x\r\n\r\ny\r\n."))
            mta.wait_deferred(1)

    def test_many_idle(self):
        """Each costs little, and does not delay a new one."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(10000 if "HIKYAKU_LONG" in os.environ else 2000, hard - 200)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 200), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        mta = self.start(workers="1")
        with Talk() as talk:
            talk.say("EHLO x.example")

        def resident():
            pid = [p for p, name in mta.processes().items() if name == "smtpd"][0]
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])

        before = resident()
        talks = []
        for _ in range(count):
            talk = Talk()
            self.addCleanup(talk.close)
            talk.say("EHLO x.example")
            talks.append(talk)
        time.sleep(1.5)  # then they have given back what they do not need
        began = time.monotonic()
        with Talk() as talk:
            waited = time.monotonic() - began
            self.assertIn("250", talk.begin())
        each = (resident() - before) / count
        print(f"\n{count} idle sessions: {each:.1f} KiB each, greeted after {waited * 1000:.0f} ms")
        self.assertLess(waited, 1)
        with open(os.path.join(mta.world.build, "libexec", "smtpd"), "rb") as f:
            sanitized = b"__asan_init" in f.read()
        if not sanitized:
            self.assertLess(each, 16)
        for talk in talks[::100]:
            self.assertIn("250", talk.say("NOOP"))

    def test_reload(self):
        """A session outlives a reload; a new one has the new configuration."""
        mta = self.start(smtpd_banner="one ESMTP")
        with Talk() as talk:
            talk.say("EHLO x.example")
            mta.configure(smtpd_banner="two ESMTP")
            mta.reload()
            deadline = time.monotonic() + 20
            while True:
                with Talk(greeted=False) as other:
                    if "220 two ESMTP" in other.reply():
                        break
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)
            self.assertIn("250", talk.begin())
            talk.say("DATA")
            self.assertIn("queued as", talk.say("Subject: x\r\n\r\ny\r\n."))
            self.assertIn("221", talk.say("QUIT"))


if __name__ == "__main__":
    unittest.main()
