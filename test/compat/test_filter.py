# SPDX-License-Identifier: Apache-2.0
"""A filter before the queue (smtpd_proxy_filter) and the checks of content, as a client by
SMTP meets them, beside Debian's: the same replies, the same log lines, the same commands
and bytes for the filter, the same records in the queue."""
import re
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from compat.test_checks import ACTIONS, TABLE
from compat.test_smtpd import BODY, EHLO, MAIL, QUIT, RCPT, log_of, normal, play, records, sent
from system import world
from system.harness import Instance, OracleInstance, Sink

XFORWARD = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"
EXTENSIONS = ("PIPELINING", "SIZE 0", "8BITMIME", "DSN", "SMTPUTF8", "ENHANCEDSTATUSCODES", XFORWARD)
DATA = ["DATA", *BODY, "."]

# What the filter says to these; anything else it takes.
RULES = (
    (r"MAIL FROM:<nomail@", "550 5.7.1 no such sender here"),
    (r"MAIL FROM:<latermail@", "450 4.7.1 not now"),
    (r"MAIL FROM:<mail3@", "354 strange"), (r"MAIL FROM:<mail421@", "421 4.7.0 going down"),
    (r"RCPT TO:<no@", "550 5.1.1 no such recipient"),
    (r"RCPT TO:<multi@", "550-5.1.1 no such\n550 5.1.1 recipient"),
    (r"RCPT TO:<control@", "550 5.1.1 a\x01b\tc"),
    (r"RCPT TO:<ok3@", "251 2.1.5 will forward"),
)
CONTENT_RULES = (   # for the recipient of the dialogue's only message
    ("data550", "DATA", "550 5.7.1 no data please"), ("data250", "DATA", "250 2.0.0 strange"),
    ("eod550", "EOD", "550 5.7.1 content rejected"), ("eod450", "EOD", "450 4.7.1 try later"),
    ("eodmulti", "EOD", "250-2.0.0 Ok:\n250 2.0.0 twice"), ("eod354", "EOD", "354 strange"),
)


def message(*recipients, mail=MAIL, data=DATA):
    return [mail, *(f"RCPT TO:<{r}@remote.example>" for r in recipients or ("r",)), *data]


THROUGH = [
    ("message", [EHLO, *message(), QUIT]),
    ("helo", ["HELO client.example", *message(), QUIT]),
    ("two", [EHLO, *message(), *message("a", "b"), QUIT]),
    ("recipients", [EHLO, *message("no", "r", "multi", "control", "ok3"), QUIT]),
    ("no recipient", [EHLO, *message("no", "multi"), QUIT]),
    *((f"mail {name}", [EHLO, *message(mail=f"MAIL FROM:<{name}@client.example>"), QUIT])
      for name in ("nomail", "latermail", "mail3", "mail421")),
    ("refused here", [EHLO, MAIL, "RCPT TO:<refused@remote.example>", RCPT, *DATA, QUIT]),
    ("dots", [EHLO, MAIL, RCPT, "DATA", *BODY, "..", "..x", ".y", "...", ".", QUIT]),
    ("from", [EHLO, MAIL, RCPT, "DATA", "From x", " y", "", "z", ".", QUIT]),
    ("blank", [EHLO, MAIL, RCPT, "DATA", " y", "", "z", ".", QUIT]),
    ("empty", [EHLO, MAIL, RCPT, "DATA", ".", QUIT]),
    ("long", [EHLO, MAIL, RCPT, "DATA", *BODY, "x" * 5000, "." + "y" * 5000, ".", QUIT]),
    ("8bit", [EHLO, MAIL + " BODY=8BITMIME SIZE=100", RCPT, "DATA", *BODY, "\u00e9", ".", QUIT]),
    ("dsn", [EHLO, MAIL + " RET=HDRS ENVID=abc", RCPT + " NOTIFY=NEVER ORCPT=rfc822;a@b", *DATA, QUIT]),
    ("utf8", [EHLO, "MAIL FROM:<\u00e9@client.example> SMTPUTF8", "RCPT TO:<\u00e9@remote.example>",
              *DATA, QUIT]),
    ("case", [EHLO, "mail from: <s@client.example>", "rcpt to: <r@remote.example>", "data", *BODY,
              ".", QUIT]),
    ("bdat", [EHLO, MAIL, RCPT, (b"BDAT 12 LAST\r\nA: b\r\n\r\nbo\r\n", 1), QUIT]),
    ("bdat dots", [EHLO, MAIL, RCPT, (b"BDAT 6\r\nA: b\r\n", 1), (b"BDAT 11 LAST\r\n\r\n.\r\n..\r\nx.", 1),
                   QUIT]),
    ("bdat rset", [EHLO, MAIL, RCPT, (b"BDAT 6\r\nA: b\r\n", 1), "RSET", *message(), QUIT]),
    ("rset", [EHLO, MAIL, RCPT, "RSET", QUIT]),
    ("gone", [EHLO, MAIL, RCPT]), ("gone in data", [EHLO, MAIL, RCPT, "DATA", "x"]),
    ("pipelined", [EHLO, (sent(MAIL, RCPT, "DATA"), 3), (sent(*BODY, ".", QUIT), 2)]),
    ("prepend", [EHLO, *message("prepend"), QUIT]), ("hold", [EHLO, *message("hold"), QUIT]),
    ("discard", [EHLO, *message("discard"), QUIT]), ("filter", [EHLO, *message("filter"), QUIT]),
    ("too large", [EHLO, MAIL, RCPT, "DATA", *BODY, *["x" * 1000] * 30, ".", "NOOP", QUIT]),
    ("xforward", ["EHLO client.example", "XFORWARD NAME=some.example ADDR=192.0.2.1 HELO=it "
                  "PROTO=SMTP IDENT=ABC123 PORT=77 SOURCE=LOCAL", *message(), QUIT]),
    ("xforward unknown", ["EHLO client.example", "XFORWARD NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]",
                          *message(), QUIT]),
]
# By recipient: each rule is for one message.
VERDICTS = [(name, [EHLO, *message(name), "NOOP", QUIT]) for name, _, _ in CONTENT_RULES]
CHECKED = [(f"header {text}", [EHLO, MAIL, RCPT, "DATA", f"Subject: {text.split()[0]}", "", "x", ".", QUIT])
           for text in ACTIONS[:12]] + [
    ("body", [EHLO, MAIL, RCPT, "DATA", "Subject: x", "", "a2", "a1", ".", QUIT]),
    ("helo", ["HELO x.example", MAIL, RCPT, "RCPT TO:<b@remote.example>", "DATA", "Subject: b2", ".", QUIT]),
    ("both", [EHLO, MAIL, RCPT, "DATA", "Subject: a3", "X: a4", ".", QUIT]),
    ("discard", [EHLO, MAIL, RCPT, "DATA", "Subject: f1", ".", QUIT])]

RECIPIENTS = ("check_recipient_access inline:{ { refused@remote.example = REJECT } "
              "{ prepend@remote.example = PREPEND X-Note: a b } { hold@remote.example = HOLD } "
              "{ discard@remote.example = DISCARD } { filter@remote.example = FILTER smtp:x } }")
MAIN = dict(myhostname="host.example.net", defer_transports="smtp", smtpd_error_sleep_time="0",
            relayhost="[127.0.0.1]:9", notify_classes="", smtpd_peername_lookup="no",
            smtpd_authorized_xforward_hosts="127.0.0.0/8", fast_flush_domains="",
            smtpd_client_connection_count_limit="0")


def without_ids(text):
    text = re.sub(r"(with (?:ESMTP|SMTP|UTF8SMTP)(?: id)?) [0-9A-F]{6,15}", r"\1 ID", text)
    text = re.sub(r"queued as S[0-9A-F]+", "queued as S", text)
    text = re.sub(r"\w{3}, [ \d]\d \w{3} \d{4} [0-9:]{8} \+0000 \(UTC\)", "DATE", text)
    return re.sub(r"PORT=\d{4,}", "PORT=P", text)


class Outcome:
    def __init__(self, told, log, heard, kept):
        self.told, self.log, self.heard, self.kept = told, log, heard, kept


def serve(kind):
    """Everything, with one system; (set, dialogue): Outcome."""
    found = {}
    with Sink(extensions=EXTENSIONS) as sink, Sink(extensions=EXTENSIONS[:2]) as plain:
        none = world.enter().port()
        for each in (sink, plain):
            each.reply("XFORWARD", "250 2.0.0 Ok")
            for rule in RULES:
                each.reply(*rule)
        limits = f"-o {{smtpd_recipient_restrictions={RECIPIENTS}}} -o message_size_limit=20000"
        services = "".join(f"{port} inet n - n - 0 smtpd {options}\n" for port, options in (
            (2500, f"{limits} -o smtpd_proxy_filter=127.0.0.1:{sink.port} -o smtpd_proxy_ehlo=me.example"),
            (2501, f"{limits} -o smtpd_proxy_filter=inet:127.0.0.1:{plain.port}"),
            (2502, f"-o smtpd_proxy_filter=127.0.0.1:{none}"), (2503, "-o smtpd_tls_security_level=none"),
            (2504, f"-o smtpd_proxy_filter=127.0.0.1:{sink.port} -o smtpd_delay_open_until_valid_rcpt=no")))
        with kind("filter", services, **MAIN, header_checks=TABLE, body_checks=TABLE) as mta:
            number = 0
            for port, name, steps in [
                    *((2500, *each) for each in THROUGH), *((2500, *each) for each in VERDICTS),
                    *((2501, *each) for each in THROUGH[:3]), (2502, "no filter", THROUGH[2][1]),
                    *((2503, *each) for each in CHECKED), *((2504, *each) for each in THROUGH[:10])]:
                number += 1
                source = f"127.1.7.{number}"
                for recipient, command, reply in CONTENT_RULES:
                    if name == recipient:
                        sink.reply(command, reply, times=1)
                commands, messages = len(sink.commands), len(sink.messages)
                told = play(mta, port, source, steps)
                if "gone" in name:
                    time.sleep(0.2)
                log = [""]
                end = time.monotonic() + 10
                while not log[-1].startswith("disconnect") and time.monotonic() < end:
                    time.sleep(0.01)
                    log = log_of(mta, source) or [""]
                time.sleep(0.02)
                # A connection that is closed anyway may or may not have said QUIT.
                heard = [c[1] for c in sink.commands[commands:] if c[1] != "QUIT"]
                heard += [m.data.decode("utf-8", "replace") for m in sink.messages[messages:]]
                ids = re.findall(r"queued as ([0-9A-F]{6,15})", "\n".join(told))
                kept = [records(mta, i) for i in ids] if port == 2503 else []
                found[port, name] = Outcome(*([without_ids(normal(mta, source, line)) for line in lines]
                                              for lines in (told, log, heard, kept)))
            found["proxy"] = [without_ids(re.sub(
                "354 Go ahead|552 5.3.4 [^;]*", "TOO LARGE", line.text)) for line in mta.log.lines()
                              if "proxy-" in line.text]
            found["warnings"] = sorted({re.sub(r"127\.0\.0\.1:\d+", "FILTER", re.sub(
                r"^(warning: )?[0-9A-F]{6,15}:", r"\1ID:", line.text)) for line in mta.log.lines()
                if line.program in ("smtpd", "cleanup") and ("proxy" in line.text or "need" in line.text)
                and "from" not in line.text})
    return found


class Filter(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        world.need_oracle()
        world.need_build("bin/postfix", "libexec/smtpd", "libexec/cleanup")
        with ThreadPoolExecutor(1) as pool:   # both bind the same ports
            cls.theirs, cls.ours = pool.map(serve, (OracleInstance, Instance))

    def compare(self, part):
        for key, theirs in self.theirs.items():
            if isinstance(theirs, list):
                continue
            with self.subTest(port=key[0], dialogue=key[1]):
                self.assertEqual("\n".join(getattr(theirs, part)),
                                 "\n".join(getattr(self.ours[key], part)))

    def test_replies(self):
        self.compare("told")

    def test_log(self):
        self.compare("log")

    def test_filter_hears(self):
        self.compare("heard")
        self.assertTrue(any("XFORWARD" in line for line in self.ours[2500, "message"].heard))

    def test_queue_files(self):
        self.compare("kept")

    def test_verdicts(self):
        self.assertGreater(len(self.ours["proxy"]), 20)
        self.assertEqual(*("\n".join(side["proxy"]) for side in (self.theirs, self.ours)))

    def test_warnings(self):
        self.assertEqual(*("\n".join(side["warnings"]) for side in (self.theirs, self.ours)))


if __name__ == "__main__":
    unittest.main()
