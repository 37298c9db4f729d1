# SPDX-License-Identifier: Apache-2.0
"""TLS of the SMTP server: nothing said in plain text counts after the handshake, sessions
are resumed in any process, renewed certificates are used at once and broken ones are not,
an idle session costs little."""
import os
import re
import shutil
import smtplib
import socket
import ssl
import tempfile
import time
import unittest

from .certificates import Certificates, client_context
from .harness import Instance, Ledger, Sink

PORT = 2525
SERVER = f"{PORT} inet n - n - 0 smtpd"
CLEAR = ssl.TLSVersion.TLSv1_2


class Talk:
    """A client; start() is STARTTLS with the handshake."""

    def __init__(self, wrapped=None):
        self.socket = socket.create_connection(("127.0.0.1", PORT), 30)
        self.socket.settimeout(30)
        if wrapped is not None:
            self.socket = wrapped.wrap_socket(self.socket)
        self.rest = b""
        self.reply()

    def reply(self):
        lines = []
        while True:
            while b"\n" not in self.rest:
                try:
                    more = self.socket.recv(65536)
                except ConnectionError:
                    more = b""
                if not more:
                    return "\n".join(lines)
                self.rest += more
            line, self.rest = self.rest.split(b"\n", 1)
            lines.append(line.decode().rstrip("\r"))
            if line[3:4] == b" ":
                return "\n".join(lines)

    def say(self, *lines):
        text = ""
        for line in lines:
            self.socket.sendall(line.encode() + b"\r\n")
            text = self.reply()
        return text

    def start(self, context, **options):
        reply = self.say("EHLO client.example", "STARTTLS")
        if not reply.startswith("220"):
            raise AssertionError(reply)
        self.socket = context.wrap_socket(self.socket, **options)
        return self

    def common_name(self):
        der = self.socket.getpeercert(True)
        return [name for name in (b"first.example", b"second.example") if name in der][0].decode()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class SmtpdTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tls-")
        c = cls.certificates = Certificates(cls.folder)
        c.authority("ca")
        c.leaf("first", "ca", "first.example")
        c.leaf("second", "ca", "second.example")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def setUp(self):
        self.live = tempfile.mkdtemp(prefix="live-")
        os.chmod(self.live, 0o755)
        self.addCleanup(shutil.rmtree, self.live)
        self.chain = os.path.join(self.live, "chain.pem")
        self.install("first")

    def install(self, name, mode=0o644):
        """As renewal programs do it: a new file in the old one's place."""
        fresh = self.chain + ".new"
        if name is None:
            with open(fresh, "w", encoding="ascii") as f:
                f.write("-----BEGIN CERTIFICATE-----\nnothing\n")
        else:
            shutil.copy(self.certificates.path(f"{name}.pem"), fresh)
        os.chmod(fresh, mode)
        os.rename(fresh, self.chain)

    def start(self, services=SERVER, **parameters):
        options = {"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": self.chain,
                   "smtpd_tls_loglevel": "1", "smtpd_peername_lookup": "no", **parameters}
        mta = Instance("tls", services, **options)
        mta.start()
        self.addCleanup(mta.remove)
        self.addCleanup(mta.stop)
        return mta

    def smtpd(self, mta):
        return [pid for pid, name in mta.processes().items() if name == "smtpd"]

    def until(self, what):
        for _ in range(100):
            if what():
                return
            time.sleep(0.1)
        self.fail("it did not happen")

    def test_mail(self):
        """Through smtplib, in both ways, large and small."""
        ledger = Ledger()
        with Sink() as sink:
            mta = self.start(SERVER + "\n2526 inet n - n - 0 smtpd -o smtpd_tls_wrappermode=yes",
                             relayhost=sink.hop)
            for size in (1, 3000000):
                for wrapped in (False, True):
                    message = ledger.message(["a@example.org"], size=size)
                    if wrapped:
                        client = smtplib.SMTP_SSL("127.0.0.1", 2526, context=client_context())
                    else:
                        client = smtplib.SMTP("127.0.0.1", PORT)
                        client.starttls(context=client_context())
                    with client:
                        client.sendmail(message.sender, message.recipients, message.data.replace(b"\n", b"\r\n"))
                    ledger.accept(message)
            mta.wait_empty()
            ledger.check([sink], [mta])

    def test_injection(self):
        """What was said in plain text before, with or after STARTTLS is gone."""
        mta = self.start()
        for extra in (b"", b"MAIL FROM:<evil@example.org>\r\n", b"RSET\r\nNOOP\r\n", b"x" * 3000):
            with Talk() as talk:
                talk.say("EHLO evil.example", "MAIL FROM:<evil@example.org>")
                talk.socket.sendall(b"STARTTLS\r\n" + extra)
                self.assertEqual("220 2.0.0 Ready to start TLS", talk.reply())
                self.assertEqual(b"", talk.rest)
                talk.socket = client_context().wrap_socket(talk.socket)
                # The first reply is to the first command inside.
                self.assertIn("503 5.5.1 Error: need MAIL command", talk.say("RCPT TO:<a@example.org>"))
                self.assertIn("250 2.1.0", talk.say("MAIL FROM:<a@example.org>"))
        with Talk() as talk:
            talk.say("EHLO x.example", "STARTTLS")
            talk.socket.sendall(b"MAIL FROM:<evil@example.org>\r\n")
            self.assertNotIn("250", talk.reply())
        self.until(lambda: any("SSL_accept error from unknown[127.0.0.1]: -1" in line.text
                               for line in mta.log.lines()))

    def test_byte_by_byte(self):
        """A handshake in pieces, and one that stops in the middle."""
        self.start()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing)
        with Talk() as talk:
            talk.say("EHLO x.example", "STARTTLS")
            talk.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        talk.socket.sendall(bytes([byte]))
                    incoming.write(talk.socket.recv(65536))
            tls.write(b"NOOP\r\n")
            for byte in outgoing.read():
                talk.socket.sendall(bytes([byte]))
            while True:
                try:
                    self.assertIn(b"250 2.0.0", tls.read())
                    break
                except ssl.SSLWantReadError:
                    incoming.write(talk.socket.recv(65536))
        with Talk() as talk:
            talk.say("EHLO x.example", "STARTTLS")
            talk.socket.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        with Talk() as talk:
            self.assertIn("250", talk.say("NOOP"))

    def test_resumption(self):
        """With a ticket in any of the processes; without tickets by the cache of tlsmgr."""
        for parameters in ({"workers": "2"}, {"tls_ssl_options": "NO_TICKET"}):
            with self.subTest(**parameters):
                mta = self.start(**parameters)
                context = client_context(highest=CLEAR)
                with Talk() as talk:
                    session = talk.start(context).socket.session
                for _ in range(6):
                    with Talk() as talk:
                        talk.start(context, session=session)
                        self.assertTrue(talk.socket.session_reused)
                        self.assertIn("250", talk.say("EHLO x.example"))
                self.assertTrue(any("TLS connection reused from" in line.text for line in mta.log.lines()))
                self.assertEqual([], [line.text for line in mta.log.lines() if "no TLS session" in line.text])
                mta.stop()

    def test_disconnect(self):
        mta = self.start()
        with Talk() as talk:
            talk.start(client_context())
            self.assertNotIn("STARTTLS", talk.say("EHLO x.example"))
            self.assertIn("STARTTLS", talk.say("HELP"))
            talk.say("QUIT")
        self.until(lambda: any("ehlo=2 starttls=1 quit=1 help=1 commands=5" in line.text
                               for line in mta.log.lines()))

    def test_renewed(self):
        """A file that everybody may read: the same process has it for the next session."""
        mta = self.start(workers="1")
        with Talk() as talk:
            self.assertEqual("first.example", talk.start(client_context()).common_name())
            pid = self.smtpd(mta)
            time.sleep(0.6)
            self.install("second")
            with Talk() as other:
                self.assertEqual("second.example", other.start(client_context()).common_name())
            # A broken one changes nothing.
            time.sleep(0.6)
            self.install(None)
            with Talk() as other:
                self.assertEqual("second.example", other.start(client_context()).common_name())
            self.assertIn("250", talk.say("NOOP"))
        self.assertEqual(pid, self.smtpd(mta))
        self.assertTrue(any("from before stay in use" in line.text for line in mta.log.lines()))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_renewed_root_only(self):
        """A file that only root may read: a new process has it, no session is lost."""
        self.install("first", 0o600)
        os.chmod(self.live, 0o700)
        mta = self.start(SERVER.replace("inet n -", "inet n y"), workers="1")
        with Talk() as talk:
            self.assertEqual("first.example", talk.start(client_context()).common_name())
            pid = self.smtpd(mta)
            time.sleep(0.6)
            # Broken: the old process stays.
            self.install(None, 0o600)
            with Talk() as other:
                self.assertEqual("first.example", other.start(client_context()).common_name())
            self.until(lambda: any("stays in place" in line.text for line in mta.log.lines()))
            self.assertEqual(pid, self.smtpd(mta))
            time.sleep(0.6)
            self.install("second", 0o600)
            with Talk() as other:
                other.start(client_context())
            self.until(lambda: set(self.smtpd(mta)) - set(pid))

            def is_new():
                with Talk() as other:
                    return other.start(client_context()).common_name() == "second.example"

            self.until(is_new)
            self.assertIn("250", talk.say("NOOP"))
            self.assertIn("221", talk.say("QUIT"))
        self.until(lambda: not set(self.smtpd(mta)) & set(pid))

    def test_idle(self):
        """What an idle session costs."""
        count = 500
        mta = self.start(workers="1")
        context = client_context()
        with Talk() as talk:
            talk.start(context).say("EHLO x.example")

        def resident():
            with open(f"/proc/{self.smtpd(mta)[0]}/status", encoding="ascii") as f:
                return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])

        before = resident()
        for _ in range(count):
            talk = Talk()
            self.addCleanup(talk.close)
            talk.start(context).say("EHLO x.example")
        each = (resident() - before) / count
        print(f"\n{count} idle TLS sessions: {each:.1f} KiB each")
        with open(os.path.join(mta.world.build, "libexec", "smtpd"), "rb") as f:
            sanitized = b"__asan_init" in f.read()
        if not sanitized:
            self.assertLess(each, 64)


if __name__ == "__main__":
    unittest.main()
