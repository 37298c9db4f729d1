# SPDX-License-Identifier: Apache-2.0
"""Address verification beside Debian's: what the client is told, what smtpd says of it, what the
probes look like to the next server, and how the delivery agents log them."""
import re
import unittest
from concurrent.futures import ThreadPoolExecutor

from system.harness import Instance, OracleInstance
from system.sink import Sink

from .test_smtpd import EHLO, QUIT, normal, play

PORT = 2780
TO = "smtpd_recipient_restrictions"
FROM = "smtpd_sender_restrictions"
BOTH = "reject_unverified_recipient"

# name: options of the smtpd service
SERVICES = {
    "plain": f" -o {TO}={BOTH}",
    "hard": f" -o {{ {TO} = {BOTH} }} -o unverified_recipient_reject_code=550"
            " -o unverified_recipient_defer_code=451",
    "reason": f" -o {TO}={BOTH} -o {{ unverified_recipient_reject_reason = Not here }}",
    "now": f" -o {{ {TO} = {BOTH}, reject }} -o unverified_recipient_tempfail_action=defer",
    "later": f" -o {{ {TO} = {BOTH}, reject }}",
    "accept": f" -o {TO}={BOTH} -o unverified_recipient_reject_code=250"
              " -o unverified_recipient_defer_code=250",
    "sender": f" -o {FROM}=reject_unverified_sender -o unverified_sender_reject_code=550",
    "warn": f" -o {{ {FROM} = warn_if_reject reject_unverified_sender }}",
    "one poll": f" -o {TO}={BOTH} -o address_verify_poll_count=1",
    "class": f" -o {{ {TO} = check_recipient_access static:reject_unverified_recipient }}",
}
WHO = ("good", "bad", "busy", "long")
FRONT = "s@remote.example"
LONG = "550 5.1.1 " + "very long " * 30


def sessions():
    for service in SERVICES:
        for who in WHO:
            at = service.replace(" ", "-")
            if service in ("sender", "warn"):
                yield service, who, [EHLO, f"MAIL FROM:<{who}.{at}@remote.example>",
                                     "RCPT TO:<x@remote.example>", QUIT]
            else:
                yield service, who, [EHLO, f"MAIL FROM:<{FRONT}>",
                                     f"RCPT TO:<{who}.{at}@remote.example>", QUIT]
    yield "sender", "null", [EHLO, "MAIL FROM:<>", "RCPT TO:<x@remote.example>", QUIT]
    yield "plain", "local", [EHLO, f"MAIL FROM:<{FRONT}>", "RCPT TO:<local@host.example.net>", QUIT]
    yield "plain", "nouser", [EHLO, f"MAIL FROM:<{FRONT}>", "RCPT TO:<error@broken.example>", QUIT]
    yield "plain", "alias", [EHLO, f"MAIL FROM:<{FRONT}>", "RCPT TO:<alias@remote.example>", QUIT]
    yield "plain", "later", [EHLO, f"MAIL FROM:<{FRONT}>", "RCPT TO:<x@later.example>", QUIT]


class Side:
    def __init__(self, kind):
        self.kind = kind

    def play(self):
        lines = "".join(f"127.0.0.1:{PORT + n} inet n - n - - smtpd {options}\n"
                        for n, options in enumerate(SERVICES.values()))
        ports = {name: PORT + n for n, name in enumerate(SERVICES)}
        with Sink() as sink:
            sink.reply(r"RCPT TO:<bad", "550 5.1.1 no such user")
            sink.reply(r"RCPT TO:<busy", "450 4.2.1 try later")
            sink.reply(r"RCPT TO:<long", LONG)
            with self.kind("verify", lines + "verify unix - - n - 1 verify\n",
                           myhostname="host.example.net", mydestination="host.example.net",
                           relayhost="[127.0.0.1]:9", address_verify_relayhost=sink.hop,
                           address_verify_transport_maps="inline:{{broken.example=error:5.1.2 gone} "
                           "{later.example=retry:4.4.9 not now}}",
                           virtual_alias_maps="inline:{alias@remote.example=bad.alias@remote.example}",
                           notify_classes="", fast_flush_domains="", smtpd_peername_lookup="no",
                           local_recipient_maps="", address_verify_poll_count="10",
                           local_transport="error:5.1.1 no such mailbox",
                           address_verify_poll_delay="1s", address_verify_sender="probe@host.example.net",
                           smtpd_client_connection_count_limit="0",
                           smtpd_error_sleep_time="0") as mta, ThreadPoolExecutor(60) as pool:
                at = [(mta, ports[service], f"127.3.{10 + n}.1", steps)
                      for n, (service, _, steps) in enumerate(sessions())]
                told = list(pool.map(lambda one: play(*one), at))
                mta.log.wait(r"smtpd: disconnect from", 15, count=len(at))
                mta.log.wait(r"to=<good.one-poll@", 10)
                # Each address that was asked for has had its probe.
                mta.log.wait(r"status=(un)?deliverable ", 15, count=len(at) - 1)
                mta.log.wait(r"qmgr: [0-9A-F]+: removed", 15, count=len(at) - 1)
                found = {(service, who): (self.result(mta, sink, text, source),
                                          self.log(mta, sink, source))
                         for (service, who, _), text, (_, _, source, _) in zip(sessions(), told, at)}
                return found, self.deliveries(mta, sink), self.commands(sink), mta.queue_files()

    @staticmethod
    def result(mta, sink, told, source):
        return [normal(mta, source, line).replace(str(sink.port), "SINK") for line in told]

    @staticmethod
    def log(mta, sink, source):
        return [normal(mta, source, line.text).replace(str(sink.port), "SINK")
                for line in mta.log.lines()
                if line.program.endswith("smtpd") and f"[{source}]" in line.text]

    @staticmethod
    def deliveries(mta, sink):
        found = set()
        for line in mta.log.lines():
            m = re.search(r"(to=<.*>, )(relay=.*?)(?:, conn_use=\d+)?, delay=.* (dsn=.*)",
                          line.text)
            if m and line.program.split("/")[-1] != "smtpd":
                found.add(f"{line.program} {m[1]}{m[2]} {m[3]}".replace(str(sink.port), "SINK"))
        return found

    @staticmethod
    def commands(sink):
        return {line for _, line in sink.commands if line.startswith(("MAIL", "RCPT"))}


class VerifyCompat(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.theirs = Side(OracleInstance).play()
        cls.ours = Side(Instance).play()

    def compare(self, part):
        for key, theirs in self.theirs[0].items():
            with self.subTest(service=key[0], session=key[1]):
                self.assertEqual(theirs[part], self.ours[0][key][part])

    def test_replies(self):
        self.compare(0)

    def test_log(self):
        self.compare(1)

    def test_deliveries(self):
        self.assertEqual(sorted(self.theirs[1]), sorted(self.ours[1]))

    def test_commands_to_the_next_server(self):
        self.assertEqual(sorted(self.theirs[2]), sorted(self.ours[2]))

    def test_nothing_stays_in_the_queue(self):
        for side in (self.theirs, self.ours):
            self.assertEqual([names for names in side[3].values() if names], [])


if __name__ == "__main__":
    unittest.main()
