# SPDX-License-Identifier: Apache-2.0
"""Policy services beside Debian's smtpd: what they are asked, attribute by attribute, what the
client is told of their answers, and what the log says, also when they fail."""
import re
import socket
import unittest
from concurrent.futures import ThreadPoolExecutor

from system.harness import Instance, OracleInstance
from system.policyserver import PolicyServer

from .test_smtpd import BODY, EHLO, MAIL, QUIT, RCPT, normal, play

PORT = 2700
DATA = ["DATA", *BODY, "."]
LISTS = ("client", "helo", "sender", "recipient", "data", "end_of_data", "etrn")
WHOLE = [EHLO, MAIL + " SIZE=500", RCPT, "RCPT TO:<q@remote.example>", *DATA, MAIL, RCPT, *DATA,
         QUIT]
SHORT = [EHLO, MAIL, RCPT, QUIT]

# Answers by the recipient's local part; each is a session of its own.
ANSWERS = {
    "dunno": "DUNNO", "lower": "dunno", "ok": "OK", "reject": "REJECT", "words": "REJECT no, no",
    "dsn": "reject 5.7.9 not you", "defer": "DEFER", "code": "450 4.2.0 later",
    "ifpermit": "DEFER_IF_PERMIT Service temporarily unavailable", "ifreject": "defer_if_reject x",
    "prepend": "PREPEND X-Policy: yes", "hold": "HOLD looks odd", "filter": "FILTER smtp:[127.0.0.1]:9",
    "warn": "WARN odd", "info": "INFO odd", "discard": "DISCARD", "hangup": "HANGUP",
    "redirect": "REDIRECT q@remote.example", "close": "421 4.7.0 go away", "list": "reject_unauth_destination",
    "lists": "permit_mynetworks, reject", "nothing": "", "nonsense": "no-such-thing",
    "table": "check_client_access static:x", "again": "check_policy_service %(name)s",
    "other": "check_policy_service inet:127.0.0.1:1", "eight": "REJECT caf\u00e9",
    "more": b"x=y\naction=REJECT x\nz\x01=y\n\n", "twice": b"action=REJECT one\naction=REJECT two\n\n",
    "spaces": b"action =  REJECT x \n\n", "bytes": b"action=REJECT \xff\n\n",
}
BROKEN = {
    "eof": None, "garbage": b"hello\n\n", "empty": b"\n", "unknown": b"x=y\n\n",
    "long": b"action=" + b"x" * 70000 + b"\n\n",
}


def services(policy, odd):
    """{name: -o options} of the smtpd services."""
    every = "".join(f" -o {{ smtpd_{name}_restrictions = check_policy_service {policy} }}"
                    for name in LISTS)
    one = " -o {{ smtpd_recipient_restrictions = check_policy_service {} }}"
    return {
        "all": every,
        "now": every + " -o smtpd_delay_reject=no",
        "one": one.format(policy),
        "odd": one.format("{ " + odd + ", retry_delay=1s, timeout=5s }"),
        "context": one.format("{ " + policy + ", { policy_context=some where } }") + " -o stress=yes",
        "down": one.format("{ inet:127.0.0.1:1, try_limit=1, default_action=DUNNO }"),
        "refusing": one.format("{ inet:127.0.0.1:1 retry_delay=1s }"),
        "default": one.format("{ inet:127.0.0.1:1 try_limit=1 }"),
        "nowhere": one.format("{ unix:private/nowhere try_limit=1 { default_action = 450 4.1.1 x } }"),
        "loop": one.format("{ inet:127.0.0.1:1 try_limit=1 { default_action = check_policy_service "
                           "inet:127.0.0.1:1 } }") + " -o { smtpd_client_restrictions = "
                "check_policy_service inet:127.0.0.1:1 } -o smtpd_policy_service_try_limit=1",
    }


SESSIONS = [
    ("all", "whole", WHOLE), ("now", "whole", WHOLE), ("all", "bdat",
        [EHLO, MAIL, RCPT, (b"BDAT 5 LAST\r\nA: b\n", 1), QUIT]),
    ("all", "helo", ["HELO x.example", MAIL, RCPT, QUIT]),
    ("all", "rset", [EHLO, MAIL, RCPT, "RSET", MAIL, RCPT, QUIT]),
    ("all", "etrn", [EHLO, "ETRN remote.example", QUIT]), ("now", "nothing", [QUIT]),
    ("all", "vrfy", [EHLO, "VRFY r@remote.example", QUIT]),
    ("all", "null sender", [EHLO, "MAIL FROM:<>", RCPT, QUIT]),
    ("all", "utf8", [EHLO, "MAIL FROM:<\u00e9@client.example> SMTPUTF8", RCPT, QUIT]),
    ("context", "context", SHORT),
    ("down", "down", SHORT), ("refusing", "refusing", SHORT), ("default", "default", SHORT),
    ("nowhere", "nowhere", SHORT), ("loop", "loop", SHORT),
    *[("one", name, [EHLO, MAIL, f"RCPT TO:<{name}@remote.example>", *DATA[:1], *DATA[1:], QUIT]
       if name in ("dunno", "ok", "prepend", "warn", "info", "hold", "redirect", "filter")
       else [EHLO, MAIL, f"RCPT TO:<{name}@remote.example>", QUIT]) for name in ANSWERS],
    *[("odd", name, [EHLO, MAIL, f"RCPT TO:<{name}@remote.example>", QUIT]) for name in BROKEN],
]

# We do not take answers that are too long (docs/differences.md), and have other words for those
# that make no sense.
NOT_SAME = {("odd", "long")}
NO_LOG = NOT_SAME | {("odd", name) for name in BROKEN}


def instance_shape(value, known):
    """pid, time and number: equal where they were equal."""
    return "instance-%d" % known.setdefault(value, len(known))


class Side:
    def __init__(self, kind):
        self.kind = kind

    def play(self):
        def by_recipient(rules):
            def answer(asked):
                action = rules.get(asked["recipient"].split("@")[0], "DUNNO")
                return action % {"name": policy.name} if isinstance(action, str) else action
            return answer

        with PolicyServer(lambda asked: good(asked)) as policy, \
                PolicyServer(by_recipient(BROKEN)) as odd:
            good = by_recipient(ANSWERS)
            lines = ""
            ports = {}
            for n, (name, options) in enumerate(services(policy.name, odd.name).items()):
                ports[name] = PORT + n
                lines += f"127.0.0.1:{PORT + n} inet n - n - - smtpd {options}\n"
            with self.kind("policy", lines, myhostname="host.example.net", defer_transports="smtp",
                           relayhost="[127.0.0.1]:9", notify_classes="", fast_flush_domains="",
                           smtpd_peername_lookup="no", smtpd_client_connection_count_limit="0",
                           smtpd_error_sleep_time="0") as mta, ThreadPoolExecutor(12) as pool:
                at = [(mta, ports[port], f"127.2.{10 + n}.1", steps)
                      for n, (port, _, steps) in enumerate(SESSIONS)]
                told = list(pool.map(lambda one: play(*one), at))
                mta.log.wait(r"smtpd: disconnect from", 5, count=len(SESSIONS))
                return {session[:2]: self.result(mta, source, text, policy.asked + odd.asked)
                        for session, (_, _, source, _), text in zip(SESSIONS, at, told)}

    @staticmethod
    def result(mta, source, told, asked):
        known = {}
        questions = []
        for question in asked:
            values = dict(question)
            if values["client_address"] != source:
                continue
            values["instance"] = instance_shape(values["instance"], known)
            values["queue_id"] = "ID" if values["queue_id"] else ""
            values["client_port"] = "PORT" if values["client_port"].isdigit() else "?"
            questions.append([f"{n}={values[n]}".replace(source, "CLIENT") for n, _ in question])
        log = [normal(mta, source, line.text) for line in mta.log.lines()
               if line.program.endswith("smtpd") and f"[{source}]" in line.text]
        return [normal(mta, source, line) for line in told], questions, log


class PolicyCompat(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.theirs = Side(OracleInstance).play()
        cls.ours = Side(Instance).play()

    def compare(self, part, without=NOT_SAME):
        for key, theirs in self.theirs.items():
            if key in without:
                continue
            with self.subTest(service=key[0], session=key[1]):
                self.assertEqual(theirs[part], self.ours[key][part])

    def test_replies(self):
        self.compare(0)

    def test_questions(self):
        self.compare(1)

    def test_log(self):
        self.compare(2, NO_LOG)


if __name__ == "__main__":
    unittest.main()
