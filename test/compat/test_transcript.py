# SPDX-License-Identifier: Apache-2.0
"""What the postmaster is told of sessions with errors (notify_classes): the same sessions make
the same letters as Debian's smtpd, to the same people."""
import re
import socket
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from system.harness import Instance, OracleInstance, Sink

ALL = "bounce 2bounce data delay policy protocol resource software"
EHLO, MAIL, RCPT = "EHLO client.example", "MAIL FROM:<s@client.example>", "RCPT TO:<r@remote.example>"
BODY = ["Subject: secret words", "", "private words", "."]

# name: (settings, what the client sends, a list; text waits for a reply, bytes do not)
MANY = {"smtpd_junk_command_limit": "1000", "smtpd_hard_error_limit": "100"}
SESSIONS = {
    "folded": (MANY, [EHLO, *[f"NOOP {'a' * n} bb" for n in range(60, 74)],
                      "NOOP " + " ".join(["c" * 9] * 20), "NOOP x   y" + " " * 70 + "z " + "d" * 60 + "  e", "FOO",
                      "QUIT"]),
    "flushed": (MANY, [EHLO, "FOO 1", *["NOOP"] * 60, EHLO, "FOO 2", "RSET", "FOO 3", *["NOOP"] * 60, "RSET",
                       "FOO 4", "QUIT"]),
    "helo wanted": ({"smtpd_helo_required": "yes"}, [MAIL, "QUIT"]),
    "vrfy off": ({"disable_vrfy_command": "yes"}, [EHLO, "VRFY x@y", "QUIT"]),
    "bdat": ({}, [EHLO, "BDAT 0 LAST", MAIL, RCPT, "BDAT x", "QUIT"]),
    "xclient": ({}, [EHLO, "XCLIENT NAME=x", "QUIT"]),
    "no valid recipients": ({}, [EHLO, MAIL, "DATA", "QUIT"]),
    "must encrypt": ({"smtpd_tls_security_level": "encrypt"}, [EHLO, MAIL, "QUIT"]),
    "policy service dead": ({"smtpd_recipient_restrictions": "check_policy_service unix:private/nothing"},
                            [EHLO, MAIL, RCPT, "QUIT"]),
    "unknown command": ({}, [EHLO, "FOO bar", "QUIT"]),
    "bad address": ({}, [EHLO, "MAIL FROM:<a@b", "RCPT TO:x y", "QUIT"]),
    "order": ({}, ["RCPT TO:<a@b>", "DATA", "HELO", "QUIT"]),
    "refused": ({"smtpd_recipient_restrictions": "reject"}, [EHLO, MAIL, RCPT, "QUIT"]),
    "refused later": ({"smtpd_client_restrictions": "defer"}, ["HELO x.example", MAIL, RCPT]),
    "table broken": ({"smtpd_recipient_restrictions": "check_recipient_access hash:/no/such, reject"},
                     [EHLO, MAIL, RCPT, "QUIT"]),
    "no such restriction": ({"smtpd_recipient_restrictions": "nonsense"}, [EHLO, MAIL, RCPT, "QUIT"]),
    "too large": ({"message_size_limit": "2000"}, [EHLO, MAIL + " SIZE=3000", "QUIT"]),
    "too large after all": ({"message_size_limit": "2000"},
                            [EHLO, MAIL, RCPT, "DATA", "x" * 900, "y" * 900, "z" * 900, ".", "QUIT"]),
    "disk full": ({"queue_minfree": "1000000000000"}, [EHLO, MAIL, "QUIT"]),
    "too many": ({"smtpd_recipient_limit": "1", "smtpd_recipient_overshoot_limit": "1"},
                 [EHLO, MAIL, RCPT, RCPT, RCPT, "QUIT"]),
    "after a message": ({}, [EHLO, MAIL, RCPT, "DATA", *BODY, "FOO", "QUIT"]),
    "lost in data": ({}, [EHLO, MAIL, RCPT, "DATA", "words", None]),
    "lost": ({}, [EHLO, MAIL, None]),
    "time is over": ({"smtpd_timeout": "1s"}, [EHLO, MAIL, 2.5]),
    "too many errors": ({"smtpd_hard_error_limit": "3", "smtpd_soft_error_limit": "10"},
                        [EHLO, "A", "B", "C", "D"]),
    "long": ({}, [EHLO, *["NOOP " + "n" * 300] * 3, "NOTHING " + "x" * 200, "QUIT"]),
    "very long": ({}, [EHLO, "X" * 1900, "QUIT"]),
    "many lines": ({"smtpd_junk_command_limit": "1000", "smtpd_hard_error_limit": "100"},
                   [EHLO, *[f"NOOP {i}" for i in range(70)], "FOO", *[f"NOOP {i}" for i in range(70)], "QUIT"]),
    "strange bytes": ({}, [EHLO, "FOO \t\x01\u00e9", "QUIT"]),
    "not asked for": ({"notify_classes": "resource software"}, [EHLO, "FOO", MAIL, "QUIT"]),
    "default": ({"notify_classes": None, "queue_minfree": "1000000000000"}, [EHLO, MAIL, "QUIT"]),
    "clean": ({}, [EHLO, MAIL, RCPT, "DATA", *BODY, "QUIT"]),
    "forbidden": ({}, [EHLO, "GET / HTTP/1.0"]),
    "auth refused": ({}, [EHLO, "AUTH PLAIN AGEAYg==", "QUIT"]),
}


def talk(port, steps):
    """Until the server closes, or we do."""
    with socket.create_connection(("127.0.0.1", port), timeout=8) as s:
        f = s.makefile("rwb")

        def reply():
            while True:
                line = f.readline()
                if line[3:4] != b"-":
                    return line
        reply()
        data = False
        for step in steps:
            if step is None:
                return
            if isinstance(step, float):
                time.sleep(step)
                continue
            try:
                f.write(step.encode() + b"\r\n")
                f.flush()
                if data and step != ".":
                    continue
                answer = reply()
            except OSError:
                return
            data = answer.startswith(b"354")


def plain(text):
    """What differs from run to run."""
    text = re.sub(r"(?m)^Date: .*$", "Date: DATE", text)
    text = re.sub(r"(?m)^(Message-Id: <)[^@]*@", r"\1ID@", text)
    text = re.sub(r"\b\d{14}\.[0-9A-F]+", "STAMP", text)
    text = re.sub(r"\b[0-9A-F]{8,15}\b", "QUEUEID", text)
    text = re.sub(r"(?s)^Received: .*?\n(?=\S)", "", text)
    text = re.sub(r"(?m)^Received: by .*\n(?:\s.*\n)*", "", text)
    text = re.sub(r"(?m)^\tid .*\n", "", text)
    # What AUTH carries is not for the postmaster: ours leaves it out.
    text = re.sub(r"(In:  AUTH PLAIN )\S+", r"\1****", text)
    return re.sub(r"\b(ours|oracle)\b", "HOST", text)


def service(port, settings):
    options = " ".join(f"-o {{ {name} = {value} }}" for name, value in settings.items())
    return f"{port} inet n - n - - smtpd {options}\n"


# Each session three times: which of them make a letter tells what class its errors have.
ASKED = (ALL, "policy software", "policy resource")


def play(kind):
    """{(name, classes): [(sender, letter)]}"""
    services, jobs = "", []
    for name, (settings, steps) in SESSIONS.items():
        for classes in ASKED[:1 if "notify_classes" in settings else None]:
            here = {"error_notice_recipient": f"pm{len(jobs)}@remote.example", "notify_classes": classes,
                    **settings}
            services += service(2500 + len(jobs), {k: v for k, v in here.items() if v is not None})
            jobs.append(((name, classes), steps))
    with Sink() as sink, kind(relayhost=sink.hop, services=services, mynetworks="127.0.0.0/8",
                              smtpd_peername_lookup="no", smtpd_error_sleep_time="0", default_process_limit="200",
                              smtpd_client_connection_count_limit="0", smtpd_relay_restrictions="permit_mynetworks, reject") as mta:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: talk(2500 + n, jobs[n][1]), range(len(jobs))))
        # What was to be told is in the queue when the log says that the session is over.
        mta.log.wait("disconnect from ", count=len(jobs))
        mta.wait_empty()
        found = {key: [] for key, _ in jobs}
        for m in sink.messages:
            to = re.match(r"pm(\d+)@", m.recipients[0])
            if to:
                found[jobs[int(to[1])][0]].append(
                    (plain(m.sender), re.sub(r"pm\d+@", "pm@", plain(m.data.decode("utf-8", "replace")))))
        return {key: sorted(letters) for key, letters in found.items()}


class Transcript(unittest.TestCase):
    maxDiff = None

    def test_letters(self):
        theirs, ours = play(OracleInstance), play(Instance)
        self.assertGreater(sum(len(letters) for letters in theirs.values()), 15)
        for name, letters in theirs.items():
            with self.subTest(name):
                self.assertEqual(letters, ours[name])


if __name__ == "__main__":
    unittest.main()
