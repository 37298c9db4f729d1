# SPDX-License-Identifier: Apache-2.0
"""relocated_maps beside Debian's: what smtpd says to mail for somebody who has moved, and what
comes back of mail that is in the queue already."""
import re
import socket
import unittest

from system.harness import Instance, OracleInstance, Sink

TO = ["moved@local.example", "Moved+ext@local.example", "moved@virtual.example", "moved@relay.example",
      "moved@far.example", "moved", "here@relay.example", "anybody@gone.example"]
RELOCATED = ("inline:{ { moved@local.example = new@place.example }, { moved@virtual.example = Some Street 5 }, "
             "{ moved@relay.example = new@relay.example }, { moved@far.example = x@y.example }, "
             "{ moved = plain@place.example }, { @gone.example = the whole domain is gone } }")


def rcpt(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        f = s.makefile("rwb")
        f.readline()
        said = []
        for line in ("HELO x", "MAIL FROM:<s@remote.example>", *[f"RCPT TO:<{to}>" for to in TO], "QUIT"):
            f.write(line.encode() + b"\r\n")
            f.flush()
            said.append(f.readline().decode().rstrip())
        return said[2:-1]


def play(kind):
    with Sink() as sink, kind(relayhost=sink.hop, services="2525 inet n - n - - smtpd\n", mynetworks="127.0.0.0/8",
                              smtpd_peername_lookup="no", mydestination="local.example", myorigin="local.example",
                              local_recipient_maps="inline:{moved=x,here=x}", alias_maps="",
                              virtual_alias_domains="virtual.example gone.example", virtual_alias_maps="",
                              relay_domains="relay.example", recipient_delimiter="+", local_transport="smtp:" + sink.hop,
                              relocated_maps=RELOCATED) as mta:
        replies = rcpt(2525)
        mta.sendmail(b"Subject: x\n\ny\n", *TO, sender="s@remote.example")
        mta.log.wait(r"status=(sent|bounced|deferred)", count=len(TO))
        mta.wait_empty()
        found = {}
        for line in mta.log.raw():
            m = re.search(r"postfix/(\w+)\[\d+\]: \w+: to=<([^>]*)>.* dsn=(\S+), status=(\w+) \((.*)\)$", line)
            if m and m[2] != "s@remote.example":
                found[m[2]] = (m[1], m[3], m[4], re.sub(r"queued as \w+", "queued as ID", m[5]))
        return replies, found


class Relocated(unittest.TestCase):
    maxDiff = None

    def test_relocated(self):
        theirs, ours = play(OracleInstance), play(Instance)
        self.assertEqual(theirs, ours)
        self.assertIn("5.1.6", str(ours[1]))


if __name__ == "__main__":
    unittest.main()
