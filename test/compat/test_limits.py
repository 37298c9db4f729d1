# SPDX-License-Identifier: Apache-2.0
"""Limits per client beside Debian's: what clients are told, and the lines of smtpd and anvil."""
import re
import unittest

from system.harness import Instance, OracleInstance

from .test_smtpd import BODY, EHLO, MAIL, QUIT, RCPT, Talk, normal

PORT = 2800
LIMITS = {
    "count": "-o smtpd_client_connection_count_limit=2",
    "rate": "-o smtpd_client_connection_rate_limit=2",
    "message": "-o smtpd_client_message_rate_limit=1",
    "recipient": "-o smtpd_client_recipient_rate_limit=2",
    "auth": "-o smtpd_client_auth_rate_limit=1",
    "both": "-o smtpd_client_connection_rate_limit=1 -o smtpd_client_connection_count_limit=1",
    "free": "-o smtpd_client_connection_count_limit=1 -o smtpd_client_event_limit_exceptions=127.0.0.0/8",
    "proxy": "-o smtpd_client_connection_count_limit=1 -o smtpd_authorized_xclient_hosts=127.0.0.0/8",
}
MESSAGE = [MAIL, RCPT, "DATA", *BODY, "."]
# name: (service, sessions one after the other), or with a star in the name, all open at once.
TALKS = {
    "count*": ("count", [[EHLO, QUIT]] * 4),
    "count": ("count", [[EHLO, QUIT]] * 4),
    "rate": ("rate", [[EHLO, QUIT]] * 4),
    "message": ("message", [[EHLO, MAIL, "RSET", MAIL, "RSET", "MAIL FROM:<x", MAIL, QUIT], [EHLO, MAIL, QUIT]]),
    "syntax": ("message", [[EHLO, "MAIL x", "MAIL FROM:<x", "MAIL FROM:<a@b> X=y", MAIL, QUIT]]),
    "nested": ("message", [[EHLO, MAIL, MAIL, "RSET", MAIL, QUIT]]),
    "recipient": ("recipient", [[EHLO, MAIL, RCPT, RCPT, RCPT, "DATA", *BODY, ".", QUIT], [EHLO, MAIL, RCPT, QUIT]]),
    "rcpt syntax": ("recipient", [[EHLO, RCPT, MAIL, "RCPT x", "RCPT TO:<a b>", RCPT, RCPT, RCPT, QUIT]]),
    "auth": ("auth", [[EHLO, "AUTH", "AUTH PLAIN", QUIT]]),
    "both*": ("both", [[EHLO, QUIT]] * 3),
    "free*": ("free", [[EHLO, QUIT]] * 3),
    "proxy*": ("proxy", [[EHLO, QUIT]] * 3),
}


class Side:
    def __init__(self, kind):
        self.kind = kind

    def play(self):
        lines = ""
        ports = {}
        for n, (name, options) in enumerate(LIMITS.items()):
            ports[name] = PORT + n
            lines += (f"127.0.0.1:{PORT + n} inet n - n - - smtpd "
                      f"-o smtpd_client_connection_count_limit=0 {options}\n")
        with self.kind("limits", lines, myhostname="host.example.net", defer_transports="smtp",
                       relayhost="[127.0.0.1]:9", notify_classes="", smtpd_peername_lookup="no",
                       anvil_status_update_time="5s",
                       smtpd_client_event_limit_exceptions="", fast_flush_domains="") as mta:
            found = {}
            for n, (name, (service, talks)) in enumerate(TALKS.items()):
                source = f"127.3.{n + 1}.1"
                def gone(count, pattern=rf"smtpd: disconnect from unknown\[{source}\]"):
                    mta.log.wait(pattern, count=count)

                told = self.talk(ports[service], source, talks, name.endswith("*"), gone)
                gone(len(talks))
                found[name] = ([[normal(mta, source, line) for line in one] for one in told],
                               self.log(mta, source))
            found["statistics"] = [], self.statistics(mta)
        return found

    @staticmethod
    def talk(port, source, talks, at_once, gone):
        told = []
        open_ones = []
        ended = 0
        for steps in talks:
            talk = Talk(port, source)
            if at_once:
                if talk.reply() != "220":
                    ended += 1
                    gone(ended)
                open_ones.append((talk, steps))
                continue
            told.append(talk.run(steps).told)
            talk.socket.close()
            ended += 1
            gone(ended)    # and counted
        for talk, _ in open_ones:
            told.append(talk.told)
            talk.socket.close()
        return told

    @staticmethod
    def log(mta, source):
        return [normal(mta, source, line.text) for line in mta.log.lines()
                if line.program == "smtpd" and f"[{source}]" in line.text
                and not re.match("lost connection|disconnect", line.text)]

    @staticmethod
    def statistics(mta):
        mta.log.wait(r"anvil: statistics: max cache size")
        return sorted({re.sub(r" at \w{3} [ \d]\d [\d:]{8}$", " at TIME", line.text)
                       for line in mta.log.lines("anvil") if "statistics" in line.text})


class LimitsCompat(unittest.TestCase):
    maxDiff = None

    def test_equal(self):
        theirs = Side(OracleInstance).play()
        ours = Side(Instance).play()
        for name, expected in theirs.items():
            with self.subTest(name):
                self.assertEqual(expected[0], ours[name][0])
                self.assertEqual(expected[1], ours[name][1])


if __name__ == "__main__":
    unittest.main()
