# SPDX-License-Identifier: Apache-2.0
"""Limits per client: counted over all processes of smtpd, kept over a reload, forgotten with
a process that dies; and without anvil mail goes on. What is said is compared with Debian's in
test/compat/test_limits.py."""
import shutil
import smtplib
import socket
import ssl
import tempfile
import time
import unittest

from .certificates import Certificates
from .harness import Instance

SERVICES = """\
2525 inet n - n - - smtpd
"""


class Client:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", 2525), 20)
        self.file = self.socket.makefile("rb")
        self.greeting = self.file.readline().decode()

    def close(self):
        self.file.close()
        self.socket.close()


class Limits(unittest.TestCase):
    def instance(self, services=SERVICES, **more):
        return Instance("limits", services, smtpd_client_event_limit_exceptions="",
                        smtpd_peername_lookup="no", **{
                            "smtpd_client_connection_count_limit": "3", "workers": "2", **more})

    def open(self, count):
        clients = [Client() for _ in range(count)]
        for client in clients:
            self.addCleanup(client.close)
        return clients

    @staticmethod
    def taken(clients):
        return sum(client.greeting.startswith("220") for client in clients)

    def wait_free(self):
        end = time.monotonic() + 20
        while not self.taken(self.open(1)):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)

    def test_all_processes_together(self):
        with self.instance() as mta:
            clients = self.open(12)
            self.assertEqual(self.taken(clients), 3)
            mta.reload()
            self.assertEqual(self.taken(self.open(2)), 0)
            for client in clients:
                client.close()
            self.wait_free()

    def test_process_dies(self):
        with self.instance() as mta:
            self.assertEqual(self.taken(self.open(6)), 3)
            mta.kill("smtpd")
            self.wait_free()

    def test_anvil_dies(self):
        with self.instance() as mta:
            self.assertEqual(self.taken(self.open(4)), 3)
            mta.kill("anvil")
            # It starts anew, and counts from there.
            self.assertGreaterEqual(self.taken(self.open(4)), 3)

    def test_without_anvil(self):
        services = SERVICES + "anvil unix - - n - 1 no-such-program\n"
        with self.instance(services) as mta:
            self.assertEqual(self.taken(self.open(6)), 6)
            mta.log.wait("smtpd: warning: no limits per client for now: anvil: ")

    def test_new_tls_sessions(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        certificates = Certificates(folder)
        certificates.leaf("server", None, "mx.example")
        context = ssl._create_unverified_context()
        with self.instance(smtpd_tls_security_level="may", smtpd_client_connection_count_limit="0",
                           smtpd_tls_chain_files=certificates.path("server.pem"),
                           smtpd_client_new_tls_session_rate_limit="1") as mta:
            replies = []
            for _ in range(2):
                client = smtplib.SMTP("127.0.0.1", 2525, timeout=20)
                self.addCleanup(client.close)
                client.starttls(context=context)
                replies.append(client.docmd("NOOP")[0])
            self.assertEqual(replies, [250, 421])
            # One who speaks at once, too: nothing unread takes the reply with it.
            client = smtplib.SMTP("127.0.0.1", 2525, timeout=20)
            self.addCleanup(client.close)
            client.docmd("STARTTLS")
            with context.wrap_socket(client.sock, server_hostname="mx.example") as tls:
                tls.sendall(b"EHLO x.example\r\n" * 200)
                self.assertTrue(tls.recv(4096).startswith(b"421 4.7.0 "))
            mta.log.wait(r"New TLS session rate limit exceeded: 2 from \S+ for service 2525")


if __name__ == "__main__":
    unittest.main()
