# SPDX-License-Identifier: Apache-2.0
"""What the SMTP client does to messages on their way out, beside Debian's: conversion to
seven bits, smtp_generic_maps, smtp_header_checks and its kin. The same mail gives the same
commands, the same bytes for the server, the same log lines."""
import re
import unittest
from concurrent.futures import ThreadPoolExecutor

from compat.pair import HOST, ID, normal
from compat.test_checks import alone, rules
from system import world
from system.harness import Instance, OracleInstance, Sink
from system.outcomes import CALM

EIGHT = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
MULTI = ("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\n"
         "Content-Transfer-Encoding: %s\n\nbefore \u00e9\n--x\nContent-Type: text/plain\n"
         "Content-Transfer-Encoding: 8bit\n\npart \u00e9\n--x\nContent-Type: %s\n"
         "Content-Transfer-Encoding: %s\n\nSubject: inner \u00e9\nContent-Transfer-Encoding: 8bit\n\n"
         "attached \u00e9\n--x\nContent-Type: multipart/alternative; boundary=\"yy\"\n"
         "Content-Transfer-Encoding: binary\n\n--yy\nContent-Transfer-Encoding: 8bit\n\n= \u00e9 \n--yy--\n"
         "--x--\nafter \u00e9\n")


def nested(depth):
    """Multiparts within one another."""
    text = EIGHT.replace("text/plain; charset=utf-8", "multipart/mixed; boundary=b0") + "\n"
    for i in range(1, depth):
        text += (f"--b{i - 1}\nContent-Type: multipart/mixed; boundary=b{i}\n"
                 "Content-Transfer-Encoding: 8bit\n\n")
    return text + "\u00e9\n"


# name: message; from the service that the name begins with.
CONVERTED = {
    "plain": "Subject: x\n\nbody\n", "eight": EIGHT + "\nna\u00efve = 1 \n.\n..x\n\ttab\t\n\x01\x7f\n\nend\n",
    "undeclared": "Subject: x\n\nna\u00efve\n", "eight in header": EIGHT + "Subject: na\u00efve\n\nplain\n",
    "only header": "Subject: na\u00efve\n\nplain\n", "declared 7bit": EIGHT.replace("8bit", "7bit") + "\n\u00e9\n",
    "base64": EIGHT.replace("8bit", "base64") + "\nAAAA\n", "binary": EIGHT.replace("8bit", "binary") + "\n\u00e9\n",
    "case": EIGHT.replace("8bit", " 8BIT (yes)") + "X: y\n\n\u00e9\n", "empty": EIGHT + "\n",
    "no body": EIGHT, "no newline": EIGHT + "\nna\u00efve", "image": EIGHT.replace("text", "image") + "\n\u00e9\n",
    "long": EIGHT + "\n" + "".join("x" * n + "\u00e9\n" + "x" * n + " \n" for n in range(66, 80)) + "\u00e9" * 700 +
    "\n" + "y" * 5000 + "\n",
    "from body": EIGHT + "not a field\n\u00e9\n",
    **{f"multi {one} {kind} {two}": MULTI % (one, kind, two) for one in ("8bit", "7bit", "base64")
       for kind, two in (("message/rfc822", "8bit"), ("message/rfc822", "7bit"),
                         ("message/rfc822", "base64"), ("message/partial", "7bit"))},
    "digest": MULTI.replace("mixed", "digest") % ("8bit", "text/plain", "8bit"),
    **{f"nested {n}": nested(n) for n in (99, 100, 101, 102, 103, 120)},
}
GENERIC = ("inline:{ s@local.example=shown@out.example @dom.example=@out.example user@ext.example=name@out.example "
           "me=own@out.example bare@local.example=bare twice@local.example=s@local.example "
           "{ many@local.example=a@out.example, b@out.example } {quoted@local.example=\"a b\"@out.example} "
           "{ \"x y\"@local.example = xy@out.example } r@generic.example=other@generic.example }")
FIELDS = ("From: S <s@local.example> (comment)\nReply-To: me, user+x@ext.example,\n  any+one@dom.example\n"
          "To: Group: s@local.example, many@local.example;, \"x y\"@local.example, unknown@far.example\n"
          "Cc: bare@local.example, twice@local.example, quoted@local.example, S@LOCAL.example\n"
          "%s\nSubject: s@local.example\n\ns@local.example\n")
LONG_LIST = "Resent-To: " + ", ".join(f"user{i} <s@local.example>" for i in range(12))


def mapped(number, sender, extra="Sender: <>"):
    """With a recipient of its own."""
    return FIELDS % extra, sender, f"a+b{number}@generic.example"


MAPPED = {
    **{f"from {sender}": mapped(i, sender) for i, sender in enumerate((
        "s@local.example", "", "me@here.example", "user+ext@ext.example", "any+x@dom.example",
        "many@local.example", "bare@local.example", "twice@local.example", "unknown@far.example",
        "x y@local.example", "quoted@local.example"))},
    "long": mapped(20, "s@local.example", LONG_LIST),
    "inside": (EIGHT.replace("text/plain", "message/rfc822") + "From: s@local.example\n\nFrom: s@local.example\n"
               "To: s@local.example\n\nx\n", "s@local.example", "a21@generic.example"),
    "recipients": ("Subject: x\n\nx\n", "s@local.example", "a22@generic.example", "r@generic.example"),
}
ACTIONS = (
    "b1 WARN", "b2 WARN a text", "c1 INFO", "c2 info a  text", "d1 FILTER smtp:x", "f1 DISCARD", "h1 HOLD",
    "i1 IGNORE", "i2 IGNORE text", "k1 DUNNO", "k2 OK", "k4 NONSENSE x", "m1 PREPEND X-New: one",
    "m2 PREPEND not a field", "m3 PREPEND", "n1 REPLACE X-New: one", "n2 REPLACE not a field", "n3 REPLACE",
    "n5 REPLACE From: s@local.example", "o1 REDIRECT r@x.example", "p1 BCC c@x.example", "q1 STRIP",
    "q2 STRIP text", "a1 REJECT")
WORDS = [text.split(" ", 1)[0] for text in ACTIONS]
CHECKED = {
    **{f"header {word}": f"Subject: {word}\nX-Long: {'x' * 70}\n b1\n\nbody\n" for word in WORDS},
    **{f"body {word}": f"Subject: x\n\nbefore\nline {word}\nafter\n" for word in WORDS},
    **{f"part {place} {word}": alone(place, word).decode() for place in range(9)
       for word in ("b2", "i1", "n1", "m1", "q2")},
    "long": f"Subject: x\n\n{'y' * 5000} i1\n{'y' * 60000} b1\nend b1\n", "far": "A: x\n\n" + "y\n" * 40000 + "x b1\n",
    "empty line": "Subject: x\n\n\nb1\n\n", "eight": EIGHT + "\n\u00e9 b1\n" + "\u00e9" * 30 + " i1\n",
}
FAILING = {"header": "Subject: b1\n\nx\n", "none": "A: x\n\nx\n"}
TABLE = rules(*ACTIONS)
SUITES = {   # name: (does the server take 8BITMIME, parameters, messages)
    "seven": (False, {}, CONVERTED), "eightbit": (True, {}, {k: CONVERTED[k] for k in ("eight", "nested 120")}),
    "off": (False, {"disable_mime_output_conversion": "yes"}, {k: CONVERTED[k] for k in ("eight", "nested 120")}),
    "generic": (True, {"smtp_generic_maps": GENERIC}, MAPPED),
    "propagate": (False, {"smtp_generic_maps": GENERIC, "propagate_unmatched_extensions": "generic"},
                  {k: (m[0], m[1], m[2].replace("generic", "propagate")) for k, m in MAPPED.items() if k < "k"}),
    "checked": (True, {"smtp_header_checks": TABLE, "smtp_body_checks": TABLE, "smtp_generic_maps": GENERIC}, CHECKED),
    "converted": (False, {"smtp_header_checks": TABLE, "smtp_body_checks": TABLE},
                  {k: CHECKED[k] for k in ("eight", "header b1", "far", "part 7 i1")}),
    "mime": (True, {"smtp_mime_header_checks": TABLE}, {k: m for k, m in CHECKED.items() if k.startswith("part")}),
    "nested": (True, {"smtp_nested_header_checks": TABLE}, {k: m for k, m in CHECKED.items() if k.startswith("part")}),
    "body": (True, {"smtp_body_checks": TABLE}, {k: m for k, m in CHECKED.items() if k.startswith("part")}),
    "broken": (True, {"smtp_header_checks": "fail:x"}, FAILING), "broken2": (True, {"smtp_body_checks": "fail:x"}, FAILING),
}


def options(parameters):
    return " ".join(f"-o {{{name}={value}}}" for name, value in parameters.items())


def clean(text):
    text = re.sub(rf"\bid {ID}(?=[\s;])", "id ID", normal(text).replace("\r\n", "\n"))
    text = re.sub(r"\w{3}, +\d+ \w{3} \d{4} [\d:]{8} \+0000 \(UTC\)", "DATE", text)
    text = re.sub(rf"(<\d{{14}}\.|\n)?{ID}(@|: )", r"\1ID\2", text)
    text = re.sub(r"queued as \w+|conn_use=\d+, ", "", text)
    return re.sub(r"(127.0.0.1\]):\d+|SIZE=\d+", lambda m: f"{m[1]}:N" if m[1] else "SIZE=N", text)


class Case:
    """One message; its first recipient is no other's."""

    def __init__(self, number, suite, name, message):
        self.suite, self.name = suite, name
        self.data, self.sender, *self.recipients = (
            (message, "s@far.example", f"r{number}@{suite}.example") if isinstance(message, str)
            else message)


class Run:
    """All suites with one system; (suite, name): (commands, message, log)."""

    def __init__(self, kind):
        extensions = ("PIPELINING", "SIZE 0", "ENHANCEDSTATUSCODES")
        with Sink(name="a.example", extensions=extensions) as seven, \
                Sink(name="b.example", extensions=(*extensions, "8BITMIME")) as eight:
            services = "".join(f"{name} unix - - n - - smtp {options(parameters)}\n"
                               for name, (_, parameters, _) in SUITES.items())
            routes = "".join(f"{{{name}.example = {name}:{(eight if is_eight else seven).hop}}} "
                             for name, (is_eight, *_) in SUITES.items())
            with kind("output", services, **{
                    **CALM, "myhostname": HOST, "transport_maps": f"inline:{{ {routes} }}",
                    "default_transport": "retry:none", "mydestination": "here.example", "myorigin": "here.example",
                    "recipient_delimiter": "+", "notify_classes": "", "smtputf8_enable": "no",
                    "smtp_dns_support_level": "disabled"}) as mta:
                self.got = self.play(mta, (seven, eight))

    def play(self, mta, sinks):
        cases = []
        for suite, (_, _, messages) in SUITES.items():
            cases += [Case(len(cases) + i, suite, *item) for i, item in enumerate(messages.items())]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda case: mta.sendmail(
                case.data.encode(), *case.recipients, sender=case.sender), cases))
        mta.log.wait(r"to=<[^>]*@(" + "|".join(SUITES) + ").example>.*status=", 60,
                     sum(len(case.recipients) for case in cases))
        lines = mta.log.lines()
        # What is said of a table, without an id.
        self.warnings = sorted({line.text for line in lines if line.program == "smtp" and
                                re.match("warning: (?!fail:|table fail:|[0-9A-F]{6,}:)", line.text)})
        return {(case.suite, case.name): self.outcome(case, lines, sinks) for case in cases}

    @staticmethod
    def outcome(case, lines, sinks):
        queue_id = next(line.queue_id for line in lines
                        if f"to=<{case.recipients[0]}>" in line.text)
        log = [line.text for line in lines if line.program == "smtp" and queue_id in line.text
               and "fail:x lookup error" not in line.text]
        told, kept = [], ""
        for word in re.findall(r"queued as S(\w{4})", "\n".join(log)):
            sink, number = sinks[SUITES[case.suite][0]], int(word, 16)
            told += [line for n, line in sink.commands if n == number]
            kept += "".join(m.data.decode("utf-8", "backslashreplace") for m in sink.messages
                            if m.connection == number)
        return [clean(text) for text in ("\n".join(told), kept, "\n".join(sorted(log)))]


class Output(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        world.need_oracle()
        world.need_build("bin/postfix", "libexec/smtp")
        with ThreadPoolExecutor(2) as pool:
            cls.runs = list(pool.map(Run, (OracleInstance, Instance)))
        cls.theirs, cls.ours = (run.got for run in cls.runs)

    def compare(self, part):
        for key, theirs in self.theirs.items():
            with self.subTest(suite=key[0], message=key[1]):
                self.assertEqual(theirs[part], self.ours[key][part])

    def test_commands(self):
        self.compare(0)
        self.assertNotIn("SIZE", self.ours["seven", "eight"][0])
        self.assertIn("SIZE", self.ours["off", "eight"][0])

    def test_messages(self):
        self.compare(1)
        self.assertIn("na=C3=AFve", self.ours["seven", "eight"][1])

    def test_log(self):
        self.compare(2)
        self.assertIn("nesting", self.ours["seven", "nested 120"][2])

    def test_warnings(self):
        theirs, ours = (run.warnings for run in self.runs)
        self.assertEqual(theirs, ours)
        self.assertTrue(theirs)


if __name__ == "__main__":
    unittest.main()
