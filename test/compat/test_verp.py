# SPDX-License-Identifier: Apache-2.0
"""VERP beside Debian's: XVERP in smtpd, sendmail -XV; each recipient gets its copy from a sender
of its own, and what comes back goes there."""
import email
import re
import socket
import unittest

from system.harness import Instance, OracleInstance, Sink

COMMANDS = ["MAIL FROM:<l@o.example> XVERP", "RSET", "MAIL FROM:<l@o.example> XVERP=-=", "RSET",
            "MAIL FROM:<l@o.example> XVERP=x=", "MAIL FROM:<l@o.example> XVERP=+", "MAIL FROM:<l@o.example> XVERP=",
            "MAIL FROM:<> XVERP", "RSET", "MAIL FROM:<l@o.example> xverp=+= SIZE=5", "QUIT"]
TO = ["a@one.example", "b@one.example", "c@two.example", "bad@two.example", "\"d e\"@one.example", "worse@one.example"]


def talk(port, lines):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        f = s.makefile("rwb")

        def reply():
            said = []
            while True:
                said.append(f.readline().decode().rstrip())
                if said[-1][3:4] != "-":
                    return said
        found = [reply()]
        for line in lines:
            f.write(line.encode() + b"\r\n")
            f.flush()
            found.append(reply())
        return found


def play(kind):
    services = ("2525 inet n - n - - smtpd\n"
                "2526 inet n - n - - smtpd -o smtpd_authorized_verp_clients=127.0.0.1\n")
    found = {}
    with Sink() as sink:
        for name in ("bad", "worse"):
            sink.reply(f"RCPT TO:<{name}", "550 5.1.1 nobody")
        with kind(relayhost=sink.hop, services=services, mynetworks="127.0.0.0/8", smtpd_peername_lookup="no",
                  myhostname="h.example.net", virtual_alias_maps="inline:{{c@two.example=moved@two.example}}") as mta:
            found["not allowed"] = talk(2525, ["EHLO x", *COMMANDS])[2:]
            found["allowed"] = talk(2526, ["EHLO x", *COMMANDS])
            message = ["DATA", "Subject: x\r\n\r\ny\r\n."]
            talk(2526, ["EHLO x", "MAIL FROM:<l@o.example> XVERP", *[f"RCPT TO:<{to}>" for to in TO], *message, "QUIT"])
            sink.wait(4 + 2)
            mta.wait_empty()
            found["copies"] = sorted((m.sender, m.recipients) for m in sink.messages if m.sender)
            reports = [(m.recipients, email.message_from_bytes(m.text)) for m in sink.messages if not m.sender]
            found["reports"] = sorted((to, [part["Final-Recipient"] for part in report.get_payload()[1].get_payload()
                                            if part["Final-Recipient"]]) for to, report in reports)
            sink.clear()
            for name in ("bad", "worse"):
                sink.reply(f"RCPT TO:<{name}", "550 5.1.1 nobody")
            mta.sendmail(b"Subject: x\n\ny\n", *TO[:4], sender="l@o.example", options=("-XV-=",))
            sink.wait(3 + 1)
            mta.wait_empty()
            found["sendmail"] = sorted((m.sender, m.recipients) for m in sink.messages)
            mta.configure(disable_verp_bounces="yes")
            mta.reload()
            before = len(sink.messages)
            mta.sendmail(b"Subject: x\n\ny\n", "bad@two.example", "worse@one.example", sender="l@o.example",
                         options=("-XV",))
            sink.wait(before + 1)
            mta.wait_empty()
            found["one report"] = sorted((m.sender, m.recipients) for m in sink.messages[before:])
            found["log"] = sorted(re.findall(r"to=<[^>]*>.*?, (?:orig_to=<[^>]*>, )?", "\n".join(mta.log.raw())))
    return found


class Verp(unittest.TestCase):
    maxDiff = None

    def test_verp(self):
        theirs, ours = play(OracleInstance), play(Instance)
        self.assertIn(("l+a=one.example@o.example", ["a@one.example"]), ours["copies"])
        for part, expected in theirs.items():
            with self.subTest(part):
                self.assertEqual(expected, ours[part])


if __name__ == "__main__":
    unittest.main()
