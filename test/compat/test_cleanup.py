# SPDX-License-Identifier: Apache-2.0
"""pickup and cleanup beside Debian's: the same submissions give the same queue files, record
for record, and the same log lines.

Each system runs without qmgr, so that what cleanup wrote stays in incoming/. A submission
carries its number as the ENVID (or, where that is not possible, is alone in its system); the
messages lie in maildrop/ before the system starts, so all of a set go through in one go.
"""
import os
import re
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from compat.test_submit import furnish
from system import queuefile, world
from system.instance import Instance, OracleInstance
from system.queuefile import message as raw, record

HOST = "mail.example.net"
AT_ONCE = 8
SECONDS = 15
BODY = b"Subject: hello\n\nhello\n"
ID = r"(?:[0-9A-F]{7,}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{12,})"
DATE = r"\w{3}, +\d+ \w{3} \d{4} [\d:]{8} [+-]\d{4} \(\w+\)"

BASE = {
    "myhostname": HOST, "mydomain": "example.net", "myorigin": "example.net",
    "mydestination": "$myhostname, localhost, example.net", "smtputf8_enable": "yes",
    "recipient_delimiter": "+", "in_flow_delay": "0s",
}


class Submission:
    def __init__(self, *recipients, message=BODY, sender="s@example.org", options=(), name=None):
        self.recipients, self.message, self.sender = recipients, message, sender
        self.options, self.name = options, name


def submit(*recipients, **more):
    return Submission(*recipients, **more)


def header(*lines, body=b"\nhello\n", **more):
    """To a@far.example, with this header."""
    text = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n"
                    for line in lines)
    return Submission("a@far.example", message=text + body, **more)


ADDRESSES = ("a", "a@far.example", "a+x@far.example", "a@sub.far.example", "root@sub.far.example",
             "b@EXAMPLE.net", "b+y", '"q q"@far.example', "a@deep.sub.far.example",
             "a@notfar.example", "z@other.far.example", "root+x@sub.far.example",
             "none@else.example")
EVERYWHERE = [submit(*ADDRESSES, sender=sender, message=message)
              for sender in ("a", "a+x@far.example", "root@sub.far.example", '"q q"@far.example',
                             "a@deep.sub.far.example", "none@else.example", "")
              for message in (
                  BODY,
                  b"From: A B <a@sub.far.example> (comment)\nTo: a, b+y, \"x y\"@far.example\n"
                  b"Cc: Group: a@far.example, root@sub.far.example;\nReply-To: a\n"
                  b"Resent-Reply-To: a\nSender: root\nReturn-Receipt-To: b\nErrors-To: a\n"
                  b"Message-Id: <a@far.example>\nX-Other: a@far.example\n" + BODY)]
TABLE = ("inline:{ {a = new@other.example}, {a@far.example = b@near.example}, "
         "{b@near.example = third@third.example}, {@sub.far.example = @moved.example}, "
         "{b = \"b b\"@far.example}, {s@example.org = sender@x.example}, "
         "{\"q q\"@far.example = qq}, {none@else.example = n1@else.example, n2@else.example} }")

# What is asked of a system: (parameters, submissions).
SETS = {
    "canonical": ({"canonical_maps": TABLE}, EVERYWHERE),
    "canonical-sender": ({"sender_canonical_maps": TABLE}, EVERYWHERE),
    "canonical-recipient": ({"recipient_canonical_maps": TABLE}, EVERYWHERE),
    "canonical-all": ({"canonical_maps": "inline:{b@near.example=z@z.example}",
                       "sender_canonical_maps": TABLE,
                       "recipient_canonical_maps": TABLE}, EVERYWHERE),
    "canonical-classes": ({"canonical_maps": TABLE, "canonical_classes":
                           "envelope_sender, header_recipient"}, EVERYWHERE),
    "canonical-classes-own": ({"sender_canonical_maps": TABLE, "recipient_canonical_maps": TABLE,
                               "sender_canonical_classes": "header_sender",
                               "recipient_canonical_classes": "envelope_recipient"}, EVERYWHERE),
    "canonical-extension": ({"canonical_maps": TABLE, "propagate_unmatched_extensions": ""},
                            EVERYWHERE),
    "canonical-remote": ({"canonical_maps": TABLE},
                         [submit("a", options=("-G",), sender="a", message=b"To: a\n" + BODY)]),
    "canonical-remote-domain": (
        {"canonical_maps": TABLE, "remote_header_rewrite_domain": "far.example"},
        [submit("a", options=("-G",), sender="a",
                message=b"To: a, a@sub.far.example\n" + BODY)]),
    "masquerade": ({"masquerade_domains": "far.example example.net"}, EVERYWHERE),
    "masquerade-order": ({"masquerade_domains": "!deep.sub.far.example, sub.far.example, "
                          "FAR.example"}, EVERYWHERE),
    "masquerade-classes": ({"masquerade_domains": "far.example", "masquerade_classes":
                            "envelope_sender envelope_recipient header_sender "
                            "header_recipient"}, EVERYWHERE),
    "masquerade-envelope": ({"masquerade_domains": "far.example", "masquerade_classes":
                             "envelope_recipient"}, EVERYWHERE),
    "masquerade-exceptions": ({"masquerade_domains": "far.example",
                               "masquerade_exceptions": "root, inline:{a=x}"}, EVERYWHERE),
    "masquerade-canonical": ({"masquerade_domains": "far.example other.example",
                              "canonical_maps": "inline:{a=n@w.other.example}"}, EVERYWHERE),
    "always-bcc": ({"always_bcc": "copy"}, EVERYWHERE),
    "always-bcc-mapped": ({"always_bcc": "a", "canonical_maps": TABLE, "virtual_alias_maps":
                           "inline:{{new@other.example=v1@v.example, v2@v.example}}"},
                          EVERYWHERE),
    "always-bcc-dsn": ({"always_bcc": "copy@far.example"},
                       [submit("a@far.example", options=("-N", n)) for n in
                        ("never", "success", "success,failure,delay")] +
                       [submit("copy@far.example"), submit("copy@far.example", "copy@far.example")]),
    "sender-bcc": ({"sender_bcc_maps": TABLE}, EVERYWHERE),
    "recipient-bcc": ({"recipient_bcc_maps": TABLE}, EVERYWHERE),
    "all-bcc": ({"recipient_bcc_maps": TABLE, "sender_bcc_maps": TABLE, "always_bcc": "x",
                 "masquerade_domains": "far.example", "masquerade_classes": "envelope_recipient",
                 "virtual_alias_maps": "inline:{{new@other.example=v1@v.example, v2@v.example},"
                 "{a@far.example=virtual@far.example}}"}, EVERYWHERE),
    "bcc-nothing-original": ({"recipient_bcc_maps": TABLE, "always_bcc": "a@far.example",
                              "enable_original_recipient": "no"}, EVERYWHERE),
    "bcc-expansion": ({"always_bcc": "all",
                       "virtual_alias_maps": "inline:{{all=v1@v.example, v2@v.example}}"},
                      [submit("a@far.example", options=("-N", "success")), submit("all"),
                       submit("all", options=("-N", "success"))]),
}
HEADERS = [
    header(), header("X: y"), header("From: a"), header("Date: x"), header("Message-Id: <x@y>"),
    header("From: a", "Date: x", "Message-ID: <x@y>", "To: b"), header("Message-Id:"),
    header("Message-Id: <a@b>", "Message-Id: <c@d>"), header("Message-Id: <a@b>\n\t(fold)"),
    *(header(f"Resent-{name}: x") for name in
      ("To", "Cc", "Bcc", "From", "Date", "Message-Id", "Reply-To", "Sender", "Other")),
    header("Resent-From: r", "Resent-To: t", "From: a", "Date: x", "Message-Id: <x@y>"),
    header("Bcc: b@far.example", "Content-Length: 12", "Return-Path: <x>", "Lines: 3"),
    header("To: a,b ,  c@d", "Cc: <a>, B <b>, \"C D\" <c>"), header("To: Group: a, b;, c"),
    header("To: (x) a (y), b (z)"), header("To: a@b,\n  c@d"), header("To:"), header("To: ,"),
    header("To: <>"), header("To : a"), header("to: a"), header("TO: a"), header("To: @x,@y:a@z"),
    header("To: a%b, c!d, \"e!f\", \"g%h\""), header("To: a.b., a@b., a@b.."),
    header("To: " + ", ".join(f"user{i}" for i in range(100))),
    header("To: " + ", ".join(f"user{i}@far.example" for i in range(100))),
    header("From: undisclosed"), header("From: MAILER-DAEMON"), header("Reply-To: a b c"),
    header("Subject: " + "x" * 5000), header("Subject: " + "x" * 110000, "To: a"),
    header("Subject: a\n b\n\tc"), header("Subject: \xe9"), header(b"Subject: \xff"),
    header(b"Subject: a\0b"), header(b"To: a\0b"), header("From a", "To: b"), header(":x"),
    header("no field"), header("a b: c"), header("To: a", "no field", "Cc: b"), header(" blank"),
    header("X:"), header("X: \t "), header("\tx"), header("To: a", body=b""),
    header("To: a", body=b"\n"), header("To: a", body=b"body without blank line\n"),
    header("Content-Transfer-Encoding: 8bit"), header("Content-Transfer-Encoding: BINARY (x)"),
    header("Content-Transfer-Encoding: base64"), header("Content-Transfer-Encoding: 7bit"),
    header("X-Envelope-From: a", "Apparently-To: a", "Delivered-To: a", "Errors-To: a"),
    header("Mail-Followup-To: a", "Disposition-Notification-To: a"),
    *(header(*["Received: x"] * n) for n in (48, 49, 50, 51)),
    header("Date: x", sender=""), header("Date: x", sender="\"a b\"@c"),
    header("X: y", options=("-F", "")), header("X: y", options=("-F", "A.B")),
    header("X: y", options=("-F", "A  B")), header("X: y", options=("-F", "\"A\\B")),
    header("X: y", options=("-F", "\xe9")), header("X: y", options=("-F", "A (B)"), sender=""),
    header("X: y", options=("-G",)), header("To: a", options=("-G",)),
    header("X: y", options=("-B", "8BITMIME")), header("X: y", options=("-B", "7BIT")),
    header("X: y", options=("-N", "never")), header("X: y", options=("-N", "success,delay")),
    header("X: y", options=("-R", "hdrs")), header("X: y", options=("-R", "full")),
    header("X: y", options=("-XV",)), header("X: y", options=("-v",)),
]
CONTENTS = [submit("a@far.example", message=b"X: y\n\n" + body) for body in (
    b"", b"\n", b"x", b"a\rb\n", b"a\r\nb\r\n", b"\r", b"a\0b\n", b"\xff\x80\n", b"\xc3\xa9\n",
    b"From a\n", b" blank\n", b"x" * 5000 + b"\n", b"x" * 5000, b"x" * 4096 + b"\nb\n",
    b"Bcc: a\nReceived: x\n" * 60, b".\n", b"..\n", b"x\n" * 10000)]
RECIPIENTS = [submit(*r) for r in (
    ("a", "A", "a@example.net"), ("a@far.example", "a@FAR.example", "A@far.example"),
    ("\u00e9@far.example",), ("a@\u00e9.example",), ("@x:a@far.example",), ("a@[1.2.3.4]",),
    ("a%b@far.example",), ("x!y",), ("\"a@b\"@far.example",), ("a@b@far.example",), ("a@",),
    ("a@far.example.",), ("a" * 300 + "@far.example",), tuple(f"u{i}@x" for i in range(1500)),
    tuple(f"u{i % 3}@x" for i in range(10)), ("-a@far.example",), ("a..b@x",), (".a@x",))]
RECIPIENTS += [submit(message=text, options=("-t",)) for text in (
    b"To: a, b\nCc: c\nBcc: d\n\nx\n", b"Resent-To: r\nResent-Bcc: s\nTo: a\n\nx\n",
    b"To: Group: a, \"b c\"@d;, (x) e@f (y)\n\nx\n",
    b"To: " + b",\n ".join(b"u%d@x" % i for i in range(2000)) + b"\n\nx\n",
    b"Bcc: only@x\n\nx\n", b"To: a\n\nx\n.\nnever\n")]
SENDERS = [submit("a@far.example", sender=s) for s in (
    "", "s", "S@Example.NET", "\"a b\"@c", "\u00e9@x", "a%b", "x!y", "@r:a@b", "a@[1.2.3.4]",
    "-s", "a" * 300, "s@x.")]
SETS.update({
    "headers": ({}, HEADERS), "contents": ({}, CONTENTS), "recipients": ({}, RECIPIENTS),
    "senders": ({}, SENDERS),
    "long-ids": ({"enable_long_queue_ids": "yes"}, [header("X: y"), header("Resent-To: a")]),
    "undisclosed": ({"undisclosed_recipients_header": "To: undisclosed:;"}, HEADERS[:30]),
    "always-add": ({"always_add_missing_headers": "yes"},
                   [header("X: y", options=("-G",)), header("Resent-To: a", options=("-G",))]),
    "drop": ({"message_drop_headers": "x-drop subject"}, [header("X-Drop: a", "Bcc: b", "Subject: c")]),
    "no-original": ({"enable_original_recipient": "no"}, RECIPIENTS[:4] + EVERYWHERE[:2]),
    "filter-limit": ({"duplicate_filter_limit": "2"}, [submit(*"abcabca")]),
    "delay-warning": ({"delay_warning_time": "4h"}, SENDERS[:3]),
    "header-limit": ({"header_size_limit": "100"},
                     [header("Subject: " + "x" * n) for n in (80, 90, 91, 92, 100, 200)] +
                     [header("Subject: x\n " + "y" * n) for n in (85, 90, 95, 100)]),
    "token-limit": ({"header_address_token_limit": "20"},
                    [header("To: " + ", ".join("abcdefghijklmnopqrst"[:n])) for n in (5, 9, 10)]),
    "rewriting-off": ({"swap_bangpath": "no", "allow_percent_hack": "no",
                       "append_at_myorigin": "no"},
                      [submit("x!y", "a%b", "c", message=b"To: x!y, a%b, c\n\nx\n")]),
    "dot-domain": ({"append_dot_mydomain": "yes"},
                   [submit("a@b", "a@b.", message=b"To: x@y, a@b.c, d@e.\n\nx\n")]),
    "hops": ({"hopcount_limit": "3"}, [header(*["Received: x"] * n) for n in (1, 2, 3)]),
    "ascii": ({"smtputf8_enable": "no"}, RECIPIENTS[2:4] + SENDERS[4:5]),
    "limit": ({"message_size_limit": "3000"},
              [submit("a@far.example", message=b"X: y\n\n" + b"x" * n) for n in
               (100, 2000, 2500, 2700, 2800, 3000, 5000)]),
    "line-limit": ({"line_length_limit": "600"},
                   [submit("a@far.example", message=b"X: y\n\n" + b"x" * n + b"\n")
                    for n in (599, 600, 601, 3500)] + [header("Subject: " + "y" * 2500)]),
})
# A table that fails: nothing is taken, all stays in maildrop.
BROKEN = {
    "broken-virtual": {"virtual_alias_maps": "fail:broken"},
    "broken-canonical": {"canonical_maps": "fail:broken", "canonical_classes": "envelope_sender"},
    "broken-canonical-recipient": {"recipient_canonical_maps": "fail:broken"},
    "broken-canonical-header": {"canonical_maps": "fail:broken", "canonical_classes": "header_sender"},
    "broken-sender-bcc": {"sender_bcc_maps": "fail:broken"},
    "broken-recipient-bcc": {"recipient_bcc_maps": "fail:broken"},
    "exceptions": {"masquerade_domains": "org", "masquerade_exceptions": "fail:broken"},
}


def make(kind, name, parameters):
    """A system without a queue manager."""
    mta = kind(name, **{**BASE, **parameters})
    mta.services = "".join(line + "\n" for line in mta.services.splitlines()
                           if not line.startswith("qmgr"))
    mta.write()
    return mta


def without_ids(text):
    text = re.sub(rf"{ID}@{re.escape(HOST)}", f"ID@{HOST}", text)
    text = re.sub(rf"<\d{{14}}\.ID@", "<DATE.ID@", text)
    text = re.sub(rf"^(\tid ){ID}; .*", r"\1ID; DATE", text)
    return re.sub(rf"^((?:Resent-)?Date: ){DATE}$", r"\1DATE", text)


def steady(record, length):
    """A record without what differs each time."""
    kind, value = record
    text = value.decode("utf-8", "surrogateescape")
    if kind == "C":  # sizes and offsets differ with the order of what stands before
        fields = text.split()
        return kind, f"recipients={fields[2]} options={fields[3]} sendopts={fields[5]} " \
            f"length+{int(fields[4]) - length if length else 0}"
    if kind in "TW":
        return kind, "TIME"
    if kind == "A" and text.startswith("create_time="):
        return kind, "create_time=TIME"
    return kind, without_ids(text)


def told(path):
    """The file as lines; those before the first recipient in alphabetical order."""
    with open(path, "rb") as f:
        data = f.read()
    records = queuefile.records(data)
    kinds = "".join(r[0] for r in records)
    content = records[kinds.index("M"):kinds.index("X")]
    # Debian's counts the pieces of a long line each with an end.
    length = 0 if "L" in kinds or max(len(value) for _, value in content) > 127 \
        else sum(len(value) + (kind == "N") for kind, value in content)
    records = [steady(r, length) for r in records if r[0] not in "pw"]
    first = next((i for i, r in enumerate(records)
                  if r[0] in "MOR" or r[1].startswith(("notify_flags", "dsn_orig_rcpt"))), 0)
    return sorted(f"{k} {v}" for k, v in records[:first]) + [f"{k} {v}" for k, v in records[first:]]


def number_of(lines):
    found = [line for line in lines if line.startswith("A envelope_id=")]
    return found[0] if found else "?"


PLAIN = "S:s@x|R:r@x"
RAW = [
    raw(PLAIN), raw("R:r@x"), raw("S:s@x"), raw(PLAIN, end=""), raw(PLAIN, end="", tail=b"N"),
    raw(PLAIN, tail=b"junk"), raw(PLAIN)[:-9], raw(PLAIN)[:10], b"", b"\0", b"S",
    b"S\xff\xff\xff\xff\xff\xff", b"S\x7fshort", record("S", b"s@x"), record("M") + record("X"),
    raw("S:s@x|S:t@x|R:r@x"), raw("R:r@x|S:s@x"), raw("T:12345 678|" + PLAIN), raw("T:x|" + PLAIN),
    raw("F:Full Name|" + PLAIN), raw(PLAIN + "|F:late"), raw("S:|R:"), raw(PLAIN, content=""),
    raw(PLAIN + "|A:encoding=8bit"), raw(PLAIN + "|A:encoding=evil"), raw(PLAIN + "|A:none"),
    raw(PLAIN + "|A:=x"), raw(PLAIN + "|A:sasl_username=root"), raw("A:rewrite_context=remote|" + PLAIN),
    raw("A:create_time=1|" + PLAIN), raw("S:s@x|A:notify_flags=1|R:a@x|R:b@x"),
    raw("S:s@x|A:notify_flags=99|R:a@x"), raw("S:s@x|A:dsn_orig_rcpt=rfc822;q@x|R:a@x|R:b@x"),
    raw("V:+=|" + PLAIN), raw(PLAIN, extracted="R:later@x|A:notify_flags=1|R:never@x"),
    raw("S:s@x", extracted="R:later@x"), raw(PLAIN, extracted="S:again@x"),
    *(raw(PLAIN + "|" + each) for each in ("C:1 2 3", "D:r@x", "O:o@x", "L:smtp:x", ">:a@b", "W:1",
                                          "I:x", "K:x", "/:x", "p:0", "f:0", "m:0", "d:1", "N:text",
                                          "X", "E", "w:x", "i:id", "n:1", "o:x", "r:a", "e:a", "P:x",
                                          "Q:unknown", "c:1")),
    *(raw(PLAIN, content="N:X: y|" + each) for each in ("R:r@x", "S:s@x", "w:xx", "p:0", "E", "M",
                                                       "L:part|N:rest", "L:part", "Q:x")),
    *(raw(PLAIN, extracted=each) for each in ("N:x", "M", "X", "r:a", "e:a", "P:x", "O:o@x", "D:x",
                                             "L:x:y", ">:x", "F:n", "I:x", "Q:x")),
    raw(PLAIN, content="N:" + "x" * 5000), raw(PLAIN + "|R:" + "r" * 5000),
    raw(PLAIN, content="N: blank first|N|N:x"), raw(PLAIN, content="N|N:x"),
    raw(PLAIN, content="L: blank|N:rest"), raw("S:s@x|R:a\nb@x"), raw("S:s\nt@x|R:r@x"),
    raw("S:s@x|R:a\0b@x"), raw(PLAIN, content="N:X: y\nZ: w|N|N:a\rb"),
]


# A time that is not used, and lines longer than any that postdrop writes.
OURS_TAKES = {raw("T:x|" + PLAIN), *(each for each in RAW if len(each) > 5000)}
# A record of the content in the envelope.
OURS_REFUSES = {raw(PLAIN + "|w:x")}


class Outcome:
    """What one system made of a set."""

    def __init__(self):
        self.said = []      # by sendmail: (status, text)
        self.files = {}     # ENVID: lines
        self.left = 0       # files in maildrop
        self.lines = []     # of pickup and cleanup
        self.log = []       # the same in alphabetical order, each once


def drain(mta, expect_left):
    """Wait until maildrop is empty, or has been gone through."""
    end = time.monotonic() + SECONDS
    if expect_left:
        mta.log.wait(r"cleanup: .*not accepted", SECONDS)
    while mta.queue_files("maildrop")["maildrop"] and not expect_left:
        if time.monotonic() > end:
            raise AssertionError(f"{mta.kind}: maildrop is not emptied\n"
                                 + "\n".join(mta.log.raw()[-20:]))
        time.sleep(0.05)
    # A message is gone from maildrop only when cleanup has answered.
    time.sleep(1.0 if expect_left else 0.05)


def log_of(mta):
    """Lines of pickup and cleanup."""
    found = []
    for line in mta.log.lines():
        if line.program not in ("pickup", "cleanup") or "public/qmgr" in line.text:
            continue
        text = re.sub(rf"\b{ID}\b", "ID", without_ids(line.text)).replace(mta.dir, "DIR")
        text = re.sub(r"delay=.*, dsn", "delay=T, dsn", text)
        if "unexpected EOF in data" in text:   # of a file that Debian's cut itself
            continue
        found.append(f"{line.program}: {text}")
    return found


def play(kind, name, parameters, submissions, files=(), expect_left=False):
    """Everything into maildrop, then start."""
    out = Outcome()
    mta = furnish(make(kind, name, parameters))
    for number, each in enumerate(submissions):
        options = list(each.options)
        if "-V" not in options:
            options += ["-V", f"number-{number}"]
        done = mta.sendmail(each.message, *each.recipients, sender=each.sender,
                            options=options, check=False)
        out.said.append((done.returncode, done.stderr))
    put_raw(mta, files)
    with mta:
        drain(mta, expect_left)
        mta.stop()
        for folder, _, names in os.walk(os.path.join(mta.queue, "incoming")):
            for file in names:
                lines = told(os.path.join(folder, file))
                if files:   # they have no ENVID, but each its sender
                    key = next(line for line in lines if line.startswith("S "))
                    out.files[key] = lines
                elif "S " not in lines or number_of(lines) != "?":   # no report of bounce
                    out.files[number_of(lines)] = lines
        out.left = len(mta.queue_files("maildrop")["maildrop"])
        out.lines = log_of(mta)
        # The order of the messages is the directory's; a message that must wait may be tried
        # again meanwhile; Debian's says for each Received: too many that it is.
        out.log = sorted(set(out.lines))
    return out


def put_raw(mta, files):
    """Files that no postdrop would write."""
    folder = os.path.join(mta.queue, "maildrop")
    for number, data in enumerate(files):
        path = os.path.join(folder, f"new{number}")
        with open(path, "wb") as f:
            f.write(data.replace(b"s@x", b"%03d" % number))
        os.chmod(path, 0o744)
        os.rename(path, os.path.join(
            folder, f"{0x10000 + number:05X}{os.stat(path).st_ino:X}"))


class BesideOracle(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        world.need_oracle()
        world.need_build("bin/sendmail", "bin/postdrop", "libexec/cleanup", "libexec/pickup")

    def both(self, name, parameters, submissions, **more):
        return [play(kind, name, parameters, submissions, **more)
                for kind in (OracleInstance, Instance)]

    def compare(self, name, parameters, submissions, **more):
        want, got = self.both(name, parameters, submissions, **more)
        self.assertEqual(got.said, [
            (status, text.replace(b"sendmail: warning: mail_stream_cleanup: close error\n", b""))
            for status, text in want.said])
        self.assertEqual(sorted(got.files), sorted(want.files))
        for key, lines in want.files.items():
            self.assertEqual("\n".join(got.files[key]), "\n".join(lines), f"{name}: {key}")
        self.assertEqual(got.left, want.left)
        self.assertEqual("\n".join(got.log), "\n".join(want.log))
        return want

    def compare_all(self, sets):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            todo = [(name, pool.submit(self.compare, name, *each)) for name, each in sets.items()]
            for name, result in todo:
                with self.subTest(set=name):
                    self.assertTrue(result.result().files)


class Mapping(BesideOracle):
    def test_maps(self):
        self.compare_all(SETS)

    def test_broken_tables(self):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            todo = [(name, pool.submit(self.both, name, parameters, [header("From: s@example.org")],
                                       expect_left=True))
                    for name, parameters in BROKEN.items()]
            for name, result in todo:
                with self.subTest(table=name):
                    want, got = result.result()
                    self.assertEqual((got.left, got.files), (1, {}))
                    self.assertEqual((want.left, want.files), (1, {}))
                    self.assertEqual(*(self.problems(each.log) for each in (got, want)))

    @staticmethod
    def problems(log):
        """Debian's tells of the table in a line of its own, ours behind a colon."""
        found = [re.sub(r"(problem(?: for \S+)?): table \S+: .* -- ", r"\1 -- ", line)
                 for line in log
                 if not re.search(r"lookup error|: table lookup problem$|message-id=", line)]
        return [line.replace("cleanup: ID: masq", "cleanup: warning: ID: masq") for line in found]


class Maildrop(BesideOracle):
    """Files that no postdrop would write, as root can make them."""

    def test_malformed(self):
        with ThreadPoolExecutor(2) as pool:
            want, got = (job.result() for job in [
                pool.submit(play, kind, "raw", {}, [], files=RAW)
                for kind in (OracleInstance, Instance)])
        self.assertEqual((got.left, want.left), (0, 0))
        self.assertGreater(len(want.files), 40)
        senders = {f"S {n:03d}@example.net": data for n, data in enumerate(RAW)}
        for sender, data in senders.items():
            with self.subTest(data[:60]):
                self.assertEqual(sender in got.files,
                                 (sender in want.files or data in OURS_TAKES)
                                 and data not in OURS_REFUSES)
                if sender in got.files and sender in want.files:
                    self.assertEqual(*("\n".join(self.meaning(side.files[sender]))
                                       for side in (got, want)))
        refused = [line for line in got.lines if re.search(
            r"malformed record|discarding this message|no envelope sender|error writing", line)]
        self.assertGreaterEqual(len(refused), len(RAW) - len(got.files))

    @staticmethod
    def meaning(lines):
        """Without records that mean nothing there, and that ours does not copy."""
        return [re.sub("\n", " ", line) for line in lines if line[0] not in "CFWIKiPVO"]


if __name__ == "__main__":
    unittest.main()
