# SPDX-License-Identifier: Apache-2.0
"""message_reject_characters and message_strip_characters beside Debian's: the same replies, the
same content, the same log lines."""
import re
import socket
import unittest

from system.harness import Instance, OracleInstance, Sink

MESSAGES = {
    "clean": b"Subject: clean\r\n\r\nnothing wrong\r\n",
    "null": b"Subject: null\r\n\r\nfirst\r\nhello\x00y\r\n",
    "header": b"Subject: a\x08b\r\n\r\nhello\r\n",
    "name": b"Sub\x08ject: x\r\n\r\nhello\r\n",
    "long line": b"Subject: t\r\n\r\n" + b"x" * 3000 + b"\x00\r\n",
    "stripped": b"Subject: aQb\x07c\r\nX-Q: Q\r\n\r\nhe\x1bllo Q\\ end\xe9\r\nQ\r\n..Q\r\n",
    "both": b"Subject: Q\r\n\r\nQQ\x00\r\n",
}


def send(port, name, data):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        f = s.makefile("rwb")
        f.readline()
        for line in (b"HELO x", b"MAIL FROM:<%s@b.example>" % name.replace(" ", "-").encode(),
                     b"RCPT TO:<r@remote.example>", b"DATA"):
            f.write(line + b"\r\n")
            f.flush()
            f.readline()
        f.write(data + b".\r\n")
        f.flush()
        return re.sub(rb"queued as \w+", b"queued as ID", f.readline())


def content(message):
    """Without what each system adds."""
    text = re.sub(rb"(?m)^(Received:.*\n(?:\s.*\n)*|Message-Id:.*\n|Date:.*\n)", b"", message.text)
    return re.sub(rb"\b(ours|oracle)\b", b"HOST", re.sub(rb"\b[0-9A-F]{7,}[./0-9]*", b"ID", text))


def play(kind):
    found = {}
    services = ("2525 inet n - n - - smtpd\n"
                "2526 inet n - n - - smtpd -o receive_override_options=no_header_body_checks\n")
    with Sink() as sink, kind(relayhost=sink.hop, services=services, mynetworks="127.0.0.0/8",
                              smtpd_peername_lookup="no", notify_classes="",
                              message_reject_characters=r"\0\b", message_strip_characters=r"\a\033Q\\") as mta:
        for port in (2525, 2526):
            for name, data in MESSAGES.items():
                found[port, name] = send(port, name, data)
        mta.wait_empty()
        for m in sink.messages:
            found.setdefault(("content", m.sender), []).append(content(m))
        found["log"] = sorted(re.sub(r"^.*\]: \w+: ", "", line) for line in mta.log.raw() if " reject: " in line)
    return found


class Characters(unittest.TestCase):
    maxDiff = None

    def test_smtpd(self):
        theirs, ours = play(OracleInstance), play(Instance)
        self.assertEqual(set(theirs), set(ours))
        for part, expected in theirs.items():
            with self.subTest(part):
                self.assertEqual(sorted(expected) if isinstance(expected, list) else expected,
                                 sorted(ours[part]) if isinstance(expected, list) else ours[part])
        self.assertEqual(len(ours["log"]), 5)


if __name__ == "__main__":
    unittest.main()
