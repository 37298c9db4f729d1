# SPDX-License-Identifier: Apache-2.0
"""TRANSPORT_delivery_status_filter beside Debian's: the same deliveries are logged, returned and
deferred with the same status and text."""
import email
import os
import re
import tempfile
import unittest

from system.harness import Instance, OracleInstance, Sink

FILTER = r"""
/^5\.1\.1 (.*gone.*)/           4.1.1 $1 (for now)
/^4\.2\.2 (.*full.*)/           5.2.2 $1 (for good)
/^2\.0\.0 250 2.0.0 Ok/         2.7.7 taken with thanks
/^5\.7\.1 .*never/              2.0.0 no, it was delivered
/^5\.7\.2 /                     5.7.2
/^5\.7\.3 /                     what
/^5\.7\.4 (.*)/                 5.9.9 $1
/unknown user/                  4.1.1 somebody may come
/bad command/                   5.5.5 it is broken
"""
REPLIES = {
    "gone": "550 5.1.1 gone away", "full": "452 4.2.2 full up", "never": "550 5.7.1 never",
    "empty": "550 5.7.2 x", "word": "550 5.7.3 x", "other": "550 5.7.4 it is so", "plain": "550 5.5.0 as it is",
}


def outcome(mta):
    """{recipient: (agent, dsn, status, text)}"""
    found = {}
    for line in mta.log.raw():
        m = re.search(r"postfix/(\w+)\[\d+\]: \w+: to=<([^>]*)>.* dsn=(\S+), status=(\w+) \((.*)\)$", line)
        if m and m[2] not in found and m[2] != "s@remote.example":
            text = re.sub(r"queued as \w+", "queued as ID", m[5]).replace("oracle.", "ours.")
            found[m[2]] = (m[1], m[3], m[4], text)
    return found


def play(kind):
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "filter")
        with open(path, "w", encoding="utf-8") as f:
            f.write(FILTER)
        for name, reply in REPLIES.items():
            sink.reply(f"RCPT TO:<{name}", reply)
        service = "cmd unix - n n - - pipe user=nobody argv=/bin/sh -c exit${space}65\n"
        with kind(relayhost=sink.hop, default_delivery_status_filter=f"regexp:{path}", services=service,
                  mydestination="local.example", alias_maps="", local_recipient_maps="", mynetworks="127.0.0.0/8",
                  transport_maps="inline:{cmd.example=cmd:}", minimal_backoff_time="1000s") as mta:
            to = [f"{name}@remote.example" for name in (*REPLIES, "good")]
            mta.sendmail(b"Subject: x\n\ny\n", *to, "nobody-here@local.example", "x@cmd.example",
                         sender="s@remote.example")
            mta.log.wait(r"status=(sent|bounced|deferred)", count=len(to) + 2)
            sink.wait(2)
            reports = [email.message_from_bytes(m.text) for m in sink.messages if m.recipients == ["s@remote.example"]]
            statuses = sorted(part["Final-Recipient"] + " " + part["Status"] for report in reports
                              for part in report.get_payload()[1].get_payload() if part["Final-Recipient"])
            warnings = [line for line in mta.log.raw() if "warning:" in line and "filter" in line]
            return outcome(mta), statuses, len(warnings)


class StatusFilter(unittest.TestCase):
    maxDiff = None

    def test_agents(self):
        theirs, ours = play(OracleInstance), play(Instance)
        self.assertEqual(len(theirs[0]), len(REPLIES) + 3)
        self.assertEqual(theirs[0], ours[0])
        self.assertEqual(theirs[1], ours[1])
        # Three answers make no sense, and are warned of.
        self.assertGreaterEqual(ours[2], 3)
        self.assertEqual(ours[0]["gone@remote.example"][1:3], ("4.1.1", "deferred"))


if __name__ == "__main__":
    unittest.main()
