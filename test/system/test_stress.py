# SPDX-License-Identifier: Apache-2.0
"""Stress: when all sessions of smtpd are in use, new ones see the values for $stress."""
import socket
import unittest

from .harness import Instance
from .policyserver import PolicyServer

SERVICES = """\
2525 inet n - n - 2 smtpd
"""


class Client:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", 2525), 20)
        self.file = self.socket.makefile("rb")

    def reply(self):
        return self.file.readline().decode().rstrip("\r\n")

    def say(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


class Stress(unittest.TestCase):
    def open(self):
        client = Client()
        self.addCleanup(client.close)
        return client

    def test_new_sessions_see_it(self):
        with PolicyServer(lambda asked: "DUNNO") as policy, Instance(
                "stress", SERVICES, workers="1", smtpd_peername_lookup="no",
                smtpd_banner="${stress?{busy}:{idle}}", mydestination="mine.example",
                local_recipient_maps="", smtpd_recipient_restrictions=
                f"check_policy_service {policy.name}, ${{stress?{{chosen}}}}",
                smtpd_restriction_classes="chosen",
                chosen="check_recipient_access inline:{{x@mine.example=450 4.7.1 only known}}") as mta:
            first, second = self.open(), self.open()
            self.assertEqual((first.reply(), second.reply()), ("220 idle", "220 idle"))
            mta.log.wait(r'smtpd: warning: service "2525" \(2525\) has reached its process '
                         r'limit "2": new clients may experience')
            third = self.open()      # waits for a place
            first.say("QUIT")
            self.assertEqual(third.reply(), "220 busy")
            for client in (second, third):
                client.say("HELO h.example")
                client.say("MAIL FROM:<s@there.example>")
            self.assertEqual(second.say("RCPT TO:<x@mine.example>"), "250 2.1.5 Ok")
            self.assertEqual(third.say("RCPT TO:<x@mine.example>"),
                             "450 4.7.1 <x@mine.example>: Recipient address rejected: only known")
            self.assertEqual([dict(q)["stress"] for q in policy.asked], ["", "yes"])
            for client in (second, third):
                client.close()

    def test_no_limit_no_stress(self):
        with Instance("stress", SERVICES.replace(" 2 smtpd", " 0 smtpd"), workers="1",
                      smtpd_peername_lookup="no", smtpd_banner="${stress?{busy}:{idle}}"):
            self.assertEqual({self.open().reply() for _ in range(10)}, {"220 idle"})


if __name__ == "__main__":
    unittest.main()
