# SPDX-License-Identifier: Apache-2.0
"""Policy services and smtpd: connections are shared and end in time, the sandbox lets them
through, and a service that comes back is found again. What services are asked is compared
with Debian's in test/compat/test_policy.py."""
import os
import smtplib
import time
import unittest

from .harness import Instance
from .policyserver import PolicyServer

SERVICES = """\
2525 inet n - n - - smtpd
"""


def ask(count=1, recipient="x@mine.example"):
    replies = []
    for _ in range(count):
        with smtplib.SMTP("127.0.0.1", 2525, timeout=20) as client:
            client.helo("h.example")
            client.mail("s@there.example")
            replies.append(client.rcpt(recipient))
    return replies


class Policy(unittest.TestCase):
    def instance(self, spec, **more):
        return Instance("policy", SERVICES, mydestination="mine.example", workers="1",
                        smtpd_peername_lookup="no", local_recipient_maps="",
                        smtpd_recipient_restrictions=f"check_policy_service {spec}", **more)

    def test_sessions_share_a_connection(self):
        with PolicyServer(lambda asked: "450 4.2.0 wait") as policy, \
                self.instance(policy.name):
            self.assertEqual({code for code, _ in ask(10)}, {450})
            self.assertEqual((len(policy.asked), policy.connections), (10, 1))

    def test_limits_of_a_connection(self):
        with PolicyServer(lambda asked: "DUNNO") as policy, \
                self.instance(f"{{ {policy.name}, request_limit=2 }}"):
            self.assertEqual({code for code, _ in ask(5)}, {250})
            self.assertEqual(policy.connections, 3)

    def test_unix_socket_and_return(self):
        mta = self.instance("{ unix:private/policy, retry_delay=1s, try_limit=1, "
                            "{ default_action=450 4.7.1 later } }")
        path = os.path.join(mta.queue, "private", "policy")
        with mta:
            self.assertEqual(ask()[0], (450, b"4.7.1 <x@mine.example>: Recipient address "
                                             b"rejected: later"))
            mta.log.wait(r"warning: problem talking to server private/policy: No such file")
            with PolicyServer(lambda asked: "DUNNO", path):
                self.assertEqual({code for code, _ in ask(2)}, {250})
            os.unlink(path)

    def test_idle_connection_is_closed(self):
        ended = []

        def answer(asked):
            return "DUNNO"

        with PolicyServer(answer) as policy, \
                self.instance(f"{{ {policy.name}, max_idle=1s }}"):
            policy.ended = ended.append
            ask()
            end = time.monotonic() + 20
            while not ended and time.monotonic() < end:
                time.sleep(0.05)
            self.assertEqual(len(ended), 1)


if __name__ == "__main__":
    unittest.main()
