# SPDX-License-Identifier: Apache-2.0
"""Tables on servers in a running system: daemons ask them through proxymap. A server that
goes away, or does not answer, makes mail wait; nothing is bounced, and others go on."""
import os
import smtplib
import threading
import time
import unittest

from . import world
from .harness import Instance, Ledger, Sink
from .tableserver import RedisServer, SocketmapServer, TcpServer, free_port

PORT = 2525
SERVER = f"{PORT} inet n - n - 0 smtpd"
PROXYMAP = "proxymap unix - - n - - proxymap"


class Case(unittest.TestCase):
    def setUp(self):
        world.need_build("libexec/proxymap", "libexec/smtpd", "bin/sendmail")

    def server(self, kind, *args, **keywords):
        server = kind(*args, **keywords)
        self.addCleanup(server.stop)
        return server

    def start(self, services=PROXYMAP, prepare=None, **parameters):
        mta = Instance("proxymap", SERVER + "\n" + services,
                       **{"mynetworks": "127.0.0.0/8", "relayhost": "[127.0.0.1]:9",
                          "smtpd_error_sleep_time": "0", **parameters})
        self.addCleanup(mta.remove)
        if prepare is not None:
            prepare(mta)
        mta.start()
        self.addCleanup(mta.stop)
        return mta

    def rcpt(self, address, sender="s@x.org"):
        with smtplib.SMTP("127.0.0.1", PORT, timeout=60) as client:
            client.ehlo("client.example.org")
            client.mail(sender)
            return client.rcpt(address)


class Proxymap(Case):
    def test_aliases_from_a_server_that_goes_away(self):
        port = free_port()
        rows = {b"a@alias.example": b"b@example.org"}
        first = self.server(SocketmapServer, dict(rows), port=port)
        ledger = Ledger()
        with Sink() as sink:
            mta = self.start(virtual_alias_maps=f"socketmap:inet:127.0.0.1:{port}:v",
                             virtual_alias_domains="alias.example", relayhost=sink.hop)
            self.send(mta, ledger)
            self.assertTrue(first.seen)
            first.stop()
            waiting = ledger.message(["a@alias.example"])
            mta.sendmail(waiting.data, *waiting.recipients, sender=waiting.sender)
            ledger.accept(waiting)
            mta.log.wait("proxymap.*: warning: .*socketmap:.*")
            code, text = self.rcpt("a@alias.example")
            self.assertEqual(code, 451, text)
            self.server(SocketmapServer, dict(rows), port=port)
            mta.flush()
            mta.wait_empty()
        self.assertEqual(len(sink.messages), 2)
        for message in sink.messages:
            self.assertEqual(list(message.recipients), ["b@example.org"])
        self.assertNotIn("status=bounced", mta.log.text())

    def send(self, mta, ledger):
        message = ledger.message(["a@alias.example"])
        mta.sendmail(message.data, *message.recipients, sender=message.sender)
        ledger.accept(message)
        mta.wait_empty()

    def test_silent_server_blocks_nobody_else(self):
        slow = self.server(TcpServer, {}, spell="silent")
        quick = self.server(TcpServer, {b"s@quick.example": b"REJECT no"})
        self.start(smtpd_sender_restrictions=(
            f"check_sender_access tcp:127.0.0.1:{quick.port}, "
            f"check_recipient_access tcp:127.0.0.1:{slow.port}"))
        for _ in range(12):
            client = smtplib.SMTP("127.0.0.1", PORT, timeout=60)
            self.addCleanup(client.close)
            client.ehlo("x")
            client.mail("s@other.example")
            client.putcmd("RCPT", "TO:<slow@x.org>")
        deadline = time.monotonic() + 20
        while len(slow.seen) < 8 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(len(slow.seen), 8)  # the size of a pool
        self.assertEqual(self.rcpt("r@x.org", "s@quick.example")[0], 554)

    def test_only_approved(self):
        server = self.server(TcpServer, {b"s@x.org": b"REJECT"})
        table = f"tcp:127.0.0.1:{server.port}"
        mta = self.start(proxy_read_maps="",
                         smtpd_sender_restrictions=f"check_sender_access proxy:{table}")
        code, text = self.rcpt("r@x.org")
        self.assertEqual(code, 451, text)
        mta.log.wait(f'proxymap.*warning: request for unapproved table: "{table}"')
        mta.log.wait(f"list proxy:{table} in main.cf:proxy_read_maps")
        self.assertEqual(server.seen, [])

    def test_approved(self):
        server = self.server(TcpServer, {b"s@x.org": b"REJECT"})
        table = f"proxy:tcp:127.0.0.1:{server.port}"
        self.start(proxy_read_maps=table,
                   smtpd_sender_restrictions=f"check_sender_access {table}")
        self.assertEqual(self.rcpt("r@x.org")[0], 554)

    def test_settings_of_a_service_and_in_main_cf(self):
        server = self.server(RedisServer, {b"s@x.org": b"REJECT", b"pw": b""})
        self.start(f"{PROXYMAP}", **{
            "mine_hosts": f"127.0.0.1:{server.port}", "mine_password": "secret",
            "smtpd_sender_restrictions": "check_sender_access redis:mine"})
        self.assertEqual(self.rcpt("r@x.org")[0], 554)
        self.assertIn([b"AUTH", b"secret"], server.seen)

    def test_secret_settings(self):
        """The file may be the administrator's alone: it is read before the privileges go."""
        server = self.server(RedisServer, {b"s@x.org": b"REJECT"})

        def prepare(mta):
            path = os.path.join(mta.config, "redis.cf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"hosts = 127.0.0.1:{server.port}\n")
            os.chmod(path, 0o600)
            mta.configure(smtpd_sender_restrictions=f"check_sender_access redis:{path}")
        self.start(prepare=prepare)
        self.assertEqual(self.rcpt("r@x.org")[0], 554)

    def test_killed_and_reloaded(self):
        server = self.server(TcpServer, {b"s@x.org": b"REJECT"})
        mta = self.start(smtpd_sender_restrictions="check_sender_access "
                                                   f"tcp:127.0.0.1:{server.port}")
        client = smtplib.SMTP("127.0.0.1", PORT, timeout=60)
        self.addCleanup(client.close)
        client.ehlo("x")
        for action in (None, mta.reload, None):
            if action:
                action()
            client.mail("s@x.org")
            self.assertEqual(client.rcpt("r@x.org")[0], 554)
            client.rset()

    def test_many_at_once(self):
        rows = {b"s%d@x.org" % i: b"REJECT %d" % i for i in range(40)}
        server = self.server(SocketmapServer, rows)
        self.start(smtpd_sender_restrictions="check_sender_access socketmap:inet:"
                                             f"127.0.0.1:{server.port}:n")
        answers = {}

        def one(i):
            answers[i] = self.rcpt("r@x.org", f"s{i}@x.org")
        threads = [threading.Thread(target=one, args=(i,)) for i in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i in range(40):
            self.assertEqual(answers[i][0], 554)
            self.assertIn(b"rejected: %d" % i, answers[i][1])


if __name__ == "__main__":
    unittest.main()
