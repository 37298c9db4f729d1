# SPDX-License-Identifier: Apache-2.0
"""postscreen with smtpd behind it: what a client has passed, hand-over, restart, proxies."""
import socket
import unittest

from system.harness import Instance, Sink

PORT = 2525
SERVICES = f"""127.0.0.1:{PORT} inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
"""


class Client:
    def __init__(self, source="127.0.0.2", early=b"", port=PORT):
        self.socket = socket.create_connection(("127.0.0.1", port), 20, (source, 0))
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(early)

    def reply(self):
        line = self.stream.readline()
        while line[3:4] == b"-":
            line = self.stream.readline()
        return line.decode().rstrip()

    def say(self, text):
        self.socket.sendall(text.encode() + b"\r\n")
        return self.reply()

    def close(self):
        self.stream.close()
        self.socket.close()


def mail(**parameters):
    settings = {"mynetworks": "127.255.0.0/16", "postscreen_greet_wait": "1s",
                "smtpd_peername_lookup": "no", "relay_domains": "d.example", **parameters}
    return Instance("screen", SERVICES, **settings)


class HandOver(unittest.TestCase):
    def test_message_after_screening(self):
        with Sink() as sink, mail(relayhost=f"[127.0.0.1]:{sink.port}") as m:
            c = Client()
            self.assertTrue(c.reply().startswith("220 "))
            self.assertTrue(c.say("EHLO c.example").startswith("250"))
            c.say("MAIL FROM:<a@c.example>")
            c.say("RCPT TO:<b@d.example>")
            self.assertTrue(c.say("DATA").startswith("354"))
            self.assertTrue(c.say("Subject: x\r\n\r\nhello\r\n.").startswith("250 2.0.0"))
            self.assertTrue(c.say("QUIT").startswith("221"))
            c.close()
            m.wait_empty()
            m.log.wait(r"PASS NEW \[127\.0\.0\.2\]:\d+")
            m.log.wait(r"connect from unknown\[127\.0\.0\.2\]")

    def test_no_byte_is_lost(self):
        """A client that talks too early, where that is ignored."""
        with mail() as m:
            c = Client(early=b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nQUIT\r\n")
            self.assertEqual([c.reply()[:3] for _ in range(4)], ["220", "250", "250", "221"])
            c.close()
            m.log.wait(r"PREGREET 47 after")

    def test_known_after_restart(self):
        with mail() as m:
            for word in ("NEW", "OLD"):
                c = Client()
                c.reply()
                c.say("QUIT")
                c.close()
                m.log.wait(rf"PASS {word} \[127\.0\.0\.2\]")
            m.stop()
            m.log.mark()
            m.start()
            c = Client()
            self.assertTrue(c.reply().startswith("220 "))
            c.close()
            m.log.wait(r"PASS OLD \[127\.0\.0\.2\]")

    def test_proxy_header(self):
        with mail(postscreen_upstream_proxy_protocol="haproxy") as m:
            c = Client(early=b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n")
            self.assertTrue(c.reply().startswith("220 "))
            self.assertTrue(c.say("EHLO c.example").startswith("250"))
            c.close()
            m.log.wait(r"CONNECT from \[192\.0\.2\.7\]:1234 to \[192\.0\.2\.8\]:25")
            m.log.wait(r"connect from unknown\[192\.0\.2\.7\]")
            c = Client(early=b"HELO x\r\n")
            try:
                self.assertEqual(c.stream.read(), b"")
            except ConnectionResetError:
                pass  # what it said was not read
            m.log.wait(r"warning: haproxy read: ")
            c.close()

    def test_connections_of_one_client(self):
        with mail(postscreen_client_connection_count_limit="1",
                  postscreen_greet_wait="20s") as m:
            first = Client()
            m.log.wait(r"CONNECT from")
            second = Client()
            self.assertEqual(second.reply(), "421 4.7.0 Error: too many connections")
            m.log.wait(r"NOQUEUE: reject: CONNECT from \[127\.0\.0\.2\]:\d+: too many connections")
            first.close()
            second.close()
            m.log.wait(r"HANGUP after .* in tests before SMTP handshake")

    def test_cleanup(self):
        with mail(postscreen_cache_cleanup_interval="1s", postscreen_greet_ttl="1s",
                  postscreen_cache_retention_time="1s") as m:
            c = Client()
            c.reply()
            m.log.wait(r"full cleanup: retained=0 dropped=1 entries")
            c.close()


if __name__ == "__main__":
    unittest.main()
