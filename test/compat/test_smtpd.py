# SPDX-License-Identifier: Apache-2.0
"""smtpd beside Debian's: the same dialogues give the same replies line by line, the same log
lines, and queue files with the same records.

A dialogue is a list of steps. Text is a command line: it is sent with CR LF and one reply is
awaited; after a 354 lines go out without waiting, up to the dot. (bytes, n) is sent as it is
and n replies are awaited. Each dialogue comes from an address of its own, by which its log
lines are known.
"""
import random
import re
import socket
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from system.dnsserver import DNSServer
from system.harness import Instance, OracleInstance

AT_ONCE = 16
ID = r"\b[0-9A-F]{6,15}\b"

EHLO = "EHLO client.example"
MAIL = "MAIL FROM:<s@client.example>"
RCPT = "RCPT TO:<r@remote.example>"
BODY = ["Subject: hello", "", "Hello."]
SEND = object()   # DATA, and a message if the server wants one
MESSAGE = [MAIL, RCPT, "DATA", *BODY, "."]
QUIT = "QUIT"


def sent(*lines):
    return b"".join(line.encode() + b"\r\n" for line in lines)


def mail(*arguments):
    """MAIL with each of these, in a session each."""
    return [(f"mail {a}", [EHLO, f"MAIL {a}", "RSET", QUIT]) for a in arguments]


def rcpt(*arguments):
    return [(f"rcpt {a}", [EHLO, MAIL, f"RCPT {a}", "RSET", QUIT]) for a in arguments]


DIALOGUES = [
    ("message", [EHLO, *MESSAGE, QUIT]),
    ("helo message", ["HELO client.example", *MESSAGE, QUIT]),
    ("without helo", [*MESSAGE, QUIT]),
    ("two messages", [EHLO, *MESSAGE, *MESSAGE, QUIT]),
    ("two recipients", [EHLO, MAIL, RCPT, "RCPT TO:<q@remote.example>", "DATA", *BODY, ".", QUIT]),
    ("dots", [EHLO, MAIL, RCPT, "DATA", *BODY, "..", "..x", ".y", "...", ".", QUIT]),
    ("no header", [EHLO, MAIL, RCPT, "DATA", "", "body", ".", QUIT]),
    ("nothing", [EHLO, MAIL, RCPT, "DATA", ".", QUIT]),
    ("blank first", [EHLO, MAIL, RCPT, "DATA", " x", "y", ".", QUIT]),
    ("from line", [EHLO, MAIL, RCPT, "DATA", "From x y", ">From z", "Subject: x", "", "From w", ".",
                   QUIT]),
    ("quoted from line", [EHLO, MAIL, RCPT, "DATA", ">From z", "Subject: x", "", ".", QUIT]),
    ("long line", [EHLO, MAIL, RCPT, "DATA", *BODY, "x" * 5000, "y", ".", QUIT]),
    ("long header", [EHLO, MAIL, RCPT, "DATA", "X-Y: " + "x" * 5000, *BODY, ".", QUIT]),
    ("many received", [EHLO, MAIL, RCPT, "DATA", *["Received: x"] * 60, *BODY, ".", MAIL, QUIT]),
    ("dsn", [EHLO, MAIL + " RET=HDRS ENVID=ab+20c", RCPT + " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y",
             "RCPT TO:<q@remote.example> NOTIFY=NEVER", "DATA", *BODY, ".", QUIT]),
    ("8bit", [EHLO, MAIL + " BODY=8BITMIME SIZE=1000", RCPT, "DATA", *BODY, "\u00e9", ".", QUIT]),
    ("7bit", [EHLO, MAIL + " BODY=7BIT", RCPT, "DATA", *BODY, ".", QUIT]),
    ("utf8", [EHLO, "MAIL FROM:<\u00e9@client.example> SMTPUTF8", "RCPT TO:<\u00e8@remote.example>",
              "DATA", *BODY, ".", QUIT]),
    ("null sender", [EHLO, "MAIL FROM:<>", RCPT, "DATA", *BODY, ".", QUIT]),
    ("quoted", [EHLO, "MAIL FROM:<\"a b\"@client.example>", "RCPT TO:<\"c d\"@remote.example>",
                "RCPT TO:<@x:e@remote.example>", "RCPT TO:<(c)f@remote.example>", "DATA", *BODY, ".", QUIT]),
    ("quoted alone", [EHLO, "MAIL FROM:<\"a\\\"b\"@client.example>", "RCPT TO:<\"c..d\"@Remote.Example>",
                      "DATA", *BODY, ".", QUIT]),
    ("ORCPT empty", [EHLO, MAIL, RCPT + " ORCPT=rfc822;", "DATA", *BODY, ".", QUIT]),
    ("ORCPT utf-8", [EHLO, MAIL + " SMTPUTF8", RCPT + " ORCPT=utf-8;a@b", "DATA", *BODY, ".", QUIT]),
    ("local", [EHLO, MAIL, "RCPT TO:<postmaster>", "DATA", *BODY, ".", QUIT]),
    ("size", [EHLO, MAIL + " SIZE=5000", RCPT, "DATA", *BODY, ".", QUIT]),
    ("utf8 header", [EHLO, MAIL + " SMTPUTF8", RCPT, "DATA", "Subject: \u00e9", "", "x", ".", QUIT]),
    ("8bit header", [EHLO, MAIL, RCPT, "DATA", "Subject: \u00e9", "", "x", ".", QUIT]),
    ("long from line", [EHLO, MAIL, RCPT, "DATA", "From " + "x" * 3000, "Subject: x", "", ".", QUIT]),
    ("long line at CR", [EHLO, MAIL, RCPT, "DATA", *BODY, "x" * 2047, "z" * 4095, ".", QUIT]),
    # Order and repetition.
    ("helo twice", ["HELO a.example", EHLO, "HELO b.example", QUIT]),
    ("helo arguments", ["HELO", "EHLO", "HELO a b", "EHLO a b", "HELO <x>", "EHLO a@b", "NOOP", QUIT]),
    ("helo strange", ["EHLO a(b)c;d\"e\"", *MESSAGE, QUIT]),
    ("helo marks", ["EHLO a@b:c\\d,e", *MESSAGE, QUIT]),
    ("helo long", ["EHLO " + "x" * 255, *MESSAGE, QUIT]),
    ("helo utf8", ["EHLO \u00e9.example", *MESSAGE, QUIT]),
    ("helo literal", ["EHLO [127.0.0.1]", *MESSAGE, QUIT]),
    ("mail twice", [EHLO, MAIL, MAIL, QUIT]),
    ("rcpt first", [EHLO, RCPT, QUIT]),
    ("data first", [EHLO, "DATA", MAIL, "DATA", QUIT]),
    ("data argument", [EHLO, MAIL, RCPT, "DATA x", "DATA", *BODY, ".", QUIT]),
    ("rset", [EHLO, MAIL, RCPT, "RSET", RCPT, "RSET x", "RSET", QUIT]),
    ("ehlo resets", [EHLO, MAIL, RCPT, EHLO, RCPT, QUIT]),
    ("helo resets", [EHLO, MAIL, RCPT, "HELO x.example", RCPT, QUIT]),
    ("noop", ["NOOP", "NOOP x y", EHLO, "NOOP \"", QUIT]),
    ("quit argument", [EHLO, "QUIT x", "QUIT"]),
    ("vrfy", [EHLO, "VRFY", "VRFY r@remote.example", "VRFY <r@remote.example>", "VRFY a b",
              "VRFY <>", "VRFY r@remote.example SMTPUTF8", "VRFY \u00e9@remote.example SMTPUTF8",
              "VRFY <@", QUIT]),
    ("vrfy in mail", [EHLO, MAIL, "VRFY r@remote.example", RCPT, "DATA", *BODY, ".", QUIT]),
    ("etrn", ["ETRN x.example", EHLO, "ETRN", "ETRN a b", "ETRN x.example", "ETRN -x", "ETRN [1.2.3.4]",
              "ETRN @x.example", "ETRN #x", MAIL, "ETRN x.example", QUIT]),
    ("unknown", [EHLO, "FOO", "", "foo bar", "MAIL", "RCPT", "XFOO \"", QUIT]),
    ("no TLS, no AUTH", [EHLO, "STARTTLS", "STARTTLS x", "AUTH PLAIN", "AUTH",
                         "MAIL FROM:<a@b.example> AUTH=<>", QUIT]),
    ("xclient refused", [EHLO, "XCLIENT NAME=x", "XFORWARD NAME=x", QUIT]),
    ("lower case", ["ehlo client.example", "mail from:<s@client.example> size=1 body=8bitmime",
                    "rcpt to:<r@remote.example>", "data", *BODY, ".", "quit"]),
    ("blanks", ["  EHLO client.example  ", "MAIL  FROM:<a@b.example>  ", "RCPT\tTO:<c@d.example>\t",
                "DATA ", *BODY, ".", " QUIT "]),
    ("forbidden", [EHLO, "GET / HTTP/1.0"]),
    ("forbidden header", [EHLO, "Subject: x"]),
    ("forbidden letter", [EHLO, "\u00e9"]),
    ("forbidden digit", ["1234"]),
    ("forbidden connect", ["CONNECT x:25"]),
    ("colon", [EHLO, "FOO:", ": x"]),
    # BDAT.
    ("bdat", [EHLO, MAIL, RCPT, (b"BDAT 12 LAST\r\nA: b\r\n\r\nbo\r\n", 1), QUIT]),
    ("bdat chunks", [EHLO, MAIL, RCPT, (b"BDAT 3\r\nA: ", 1), (b"BDAT 4\r\nb\r\n\r", 1),
                     (b"BDAT 6\r\n\nbody\r", 1), (b"BDAT 0 LAST\r\n", 1), QUIT]),
    ("bdat dots", [EHLO, MAIL, RCPT, (b"BDAT 19 LAST\r\nA: b\r\n\r\n.\r\n..\r\n.x\r\n", 1), QUIT]),
    ("bdat without end", [EHLO, MAIL, RCPT, (b"BDAT 11 LAST\r\nA: b\r\n\r\nbod", 1), QUIT]),
    ("bdat zero", [EHLO, MAIL, RCPT, "BDAT 0", (b"BDAT 0 LAST\r\n", 1), QUIT]),
    ("bdat no mail", [EHLO, (b"BDAT 5\r\nabcde", 1), (b"BDAT 3 LAST\r\nabc", 1), MAIL, QUIT]),
    ("mail after bdat", [EHLO, (b"BDAT 5\r\nabcde", 1), MAIL, RCPT, "DATA", "RSET", MAIL, QUIT]),
    ("bdat long line", [EHLO, MAIL, RCPT, (b"BDAT 4098\r\n\r\n" + b"x" * 2047 + b"\r\n" + b"y" * 2047, 1),
                        (b"BDAT 5 LAST\r\nz\r\n.\r", 1), QUIT]),
    ("bdat no rcpt", [EHLO, MAIL, (b"BDAT 5\r\nabcde", 1), RCPT, "RSET", RCPT, QUIT]),
    ("bdat then data", [EHLO, MAIL, RCPT, (b"BDAT 5\r\nabcde", 1), "DATA", RCPT, MAIL, "NOOP", EHLO, QUIT]),
    ("bdat then rset", [EHLO, MAIL, RCPT, (b"BDAT 5\r\nabcde", 1), "RSET", *MESSAGE, QUIT]),
    ("bdat arguments", [EHLO, MAIL, RCPT, "BDAT"]),
    ("bdat argument", [EHLO, MAIL, RCPT, "BDAT x"]),
    ("bdat last argument", [EHLO, MAIL, RCPT, "BDAT 5 FOO"]),
    ("bdat negative", [EHLO, MAIL, RCPT, "BDAT -1"]),
    ("bdat huge", [EHLO, MAIL, RCPT, "BDAT 18446744073709551616"]),
    ("bdat too large", [EHLO, MAIL, RCPT, (b"BDAT 20000000\r\n" + b"x" * 20000000, 1), "RSET", QUIT]),
    ("bdat helo", ["HELO x.example", MAIL, RCPT, (b"BDAT 10 LAST\r\nA: b\r\n\r\nbo", 1), QUIT]),
    ("bdat pipelined", [EHLO, (sent(MAIL, RCPT) + b"BDAT 4\r\nA: bBDAT 7 LAST\r\n\r\n\r\nx\r\n", 4), QUIT]),
    # Pipelining.
    ("pipelined", [EHLO, (sent(MAIL, RCPT, "DATA"), 3), (sent(*BODY, ".", QUIT), 2)]),
    ("pipelined whole", [EHLO, (sent(*MESSAGE), 4), QUIT]),
    ("pipelined helo", ["HELO x.example", (sent(MAIL, RCPT), 2), QUIT]),
    ("pipelined ehlo", [(sent(EHLO, MAIL), 2), QUIT]),
    # Lines.
    ("bare newlines", [(b"EHLO x.example\nMAIL FROM:<a@b.example>\n", 2), QUIT]),
    ("long command", [EHLO, "NOOP " + "x" * 3000, "MAIL FROM:<" + "x" * 2100 + "@y>", QUIT]),
    ("NUL", [EHLO, (b"NOOP \0x\r\n", 1), (b"\0\r\n", 1), QUIT]),
    ("not UTF-8", [EHLO, (b"NOOP \xe9\r\n", 1), (b"MAIL FROM:<\xe9@x>\r\n", 1), QUIT]),
    ("lost", [EHLO, MAIL, (b"", 0)]),
    ("lost in command", [EHLO, (b"MAI", 0)]),
    ("lost at once", []),
    ("lost in data", [EHLO, MAIL, RCPT, "DATA", (b"Subject: x\r\n\r\nfoo\r\n", 0)]),
    ("lost after data", [EHLO, *MESSAGE]),
    ("lost in bdat", [EHLO, MAIL, RCPT, (b"BDAT 100\r\nabc\r\n", 0)]),
    ("errors", [EHLO] + ["FOO"] * 21),
    ("junk", [EHLO] + ["NOOP"] * 130),
    ("size too large", [EHLO, MAIL + " SIZE=20000000", QUIT]),
    *mail("FROM:<>", "FROM: <a@b.example>", "FROM:a@b.example", "FROM: a@b.example", "FROM",
          "FROM:", "from:<a@b.example>", "FROM <a@b.example>", "TO:<a@b>", "FROM:<a@b.example",
          "FROM:a@b.example>", "FROM:<a b@c.example>", "FROM:<\"a b\"@c.example>", "FROM:<a@b.example> FOO",
          "FROM:<a@b.example>SIZE=1", "FROM:<a@b.example> SIZE=", "FROM:<a@b.example> SIZE=x",
          "FROM:<a@b.example> SIZE=-1", "FROM:<a@b.example> SIZE=99999999999999999999",
          "FROM:<a@b.example> SIZE=0", "FROM:<a@b.example> SIZE", "FROM:<a@b.example> BODY=FOO",
          "FROM:<a@b.example> BODY=8BITMIME BODY=7BIT", "FROM:<a@b.example> RET=FULL RET=HDRS",
          "FROM:<a@b.example> RET=FOO", "FROM:<a@b.example> ENVID=a ENVID=b", "FROM:<a@b.example> ENVID=",
          "FROM:<a@b.example> ENVID=+ZZ", "FROM:<a@b.example> ENVID=" + "x" * 101,
          "FROM:<a@b.example> ENVID=a+0Ab", "FROM:<a@b.example> SMTPUTF8=1", "FROM:<a@b.example> XVERP",
          "FROM:<a@b.example> XVERP=+=", "FROM:<a@b.example> REQUIRETLS", "FROM:<a@b.example> FOO=BAR X",
          "FROM:<@r:a@b.example>", "FROM:<@r,@s:a@b.example>", "FROM:<a>", "FROM:<a@>", "FROM:<@b>",
          "FROM:<a@b..c>", "FROM:<a@b@c.example>", "FROM:<a@[127.0.0.1]>", "FROM:<a@[foo]>",
          "FROM:<a@[IPv6:::1]>", "FROM:<a@1.2.3.4>", "FROM:<a@-b.example>", "FROM:<a@b_c.example>",
          "FROM:<a,b@c.example>", "FROM:<a;b@c.example>", "FROM:<(c)a@b.example>", "FROM:<a@b.example> (x)",
          "FROM:A B <a@b.example>", "FROM:<<a@b.example>>", "FROM:<a%b@c.example>", "FROM:<b!a>",
          "FROM:<.a@b.example>", "FROM:<a..b@b.example>", "FROM:<a.@b.example>",
          "FROM:<\"a@b.example>", "FROM:<\"\"@b.example>", "FROM:<a\\b@c.example>", "FROM:< a@b.example >",
          "FROM:<\u00e9@b.example>", "FROM:<a@\u00e9.example>", "FROM:<a@\u00e9.example> SMTPUTF8",
          "FROM:<a@" + "x" * 64 + ".example>", "FROM:<a@" + "x." * 130 + "example>",
          "FROM:<" + "x" * 300 + "@b.example>", "FROM:<a@b.example> <c@d>", "FROM:[x]", "FROM:<a@b.example.>",
          "FROM:<postmaster>", "FROM:<a@b.example>\tSIZE=1"),
    *rcpt("TO:<>", "TO: <a@b.example>", "TO:a@b.example", "TO", "TO:", "FROM:<a@b>", "TO:<a@b.example",
          "TO:<a b@c.example>", "TO:<\"a b\"@c.example>", "TO:<a@b.example> FOO", "TO:<a@b.example> SIZE=1",
          "TO:<a@b.example> NOTIFY=", "TO:<a@b.example> NOTIFY=FOO", "TO:<a@b.example> NOTIFY=NEVER,DELAY",
          "TO:<a@b.example> NOTIFY=never", "TO:<a@b.example> NOTIFY=DELAY NOTIFY=NEVER",
          "TO:<a@b.example> ORCPT=", "TO:<a@b.example> ORCPT=x", "TO:<a@b.example> ORCPT=rfc822;",
          "TO:<a@b.example> ORCPT=rfc822;a+2", "TO:<a@b.example> ORCPT=rfc822;a+20b",
          "TO:<a@b.example> ORCPT=utf-8;a\\x{E9}@b", "TO:<a@b.example> ORCPT=rfc822;a ORCPT=rfc822;b",
          "TO:<@r:a@b.example>", "TO:<a>", "TO:<a@>", "TO:<@b>", "TO:<a@b..c>", "TO:<a@b@c.example>",
          "TO:<a@[foo]>", "TO:<a@1.2.3.4>", "TO:<a,b@c.example>", "TO:<(c)a@b.example>", "TO:<b!a>",
          "TO:<a%b@c.example>", "TO:<\"a@b\"@c.example>", "TO:<postmaster>", "TO:<a@\u00e9.example>",
          "TO:<\u00e9@b.example>", "TO:<a@b.example> AUTH=<>", "TO:<" + "x" * 300 + "@b.example>",
          "TO:<a@" + "x" * 64 + ".example>"),
]

XCLIENT = [
    ("xclient", [EHLO, "XCLIENT NAME=spike.example ADDR=192.0.2.7 PROTO=ESMTP HELO=spike",
                 "EHLO again", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", QUIT]),
    ("xclient values", [EHLO, "XCLIENT", "XCLIENT FOO=x", "XCLIENT NAME", "XCLIENT NAME=",
                        "XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]"]),
    ("xclient syntax", [EHLO, "XCLIENT ADDR=1.2.3", "XCLIENT ADDR=x", "XCLIENT PROTO=LMTP",
                        "XCLIENT NAME=a..b", "XCLIENT PORT=x", "XCLIENT HELO=+", "XCLIENT HELO=+41",
                        "XCLIENT LOGIN=user"]),
    ("xclient v6", [EHLO, "XCLIENT ADDR=IPV6:2001:db8::1 NAME=six.example", "EHLO x", MAIL, QUIT]),
    ("xclient tempunavail", ["XCLIENT NAME=[TEMPUNAVAIL] ADDR=192.0.2.9", "EHLO x", MAIL, QUIT]),
    ("xclient login", [EHLO, "XCLIENT LOGIN=user", EHLO, *MESSAGE, QUIT]),
    ("xclient errors", [*["XCLIENT ADDR=192.0.2.1"] * 2, "FOO", QUIT]),
    ("xclient helo", [EHLO, "XCLIENT HELO=other PROTO=SMTP", *MESSAGE, QUIT]),
    ("xclient in mail", [EHLO, MAIL, "XCLIENT NAME=x.example", QUIT]),
    ("xclient destination", [EHLO, "XCLIENT DESTADDR=192.0.2.1 DESTPORT=26 PORT=99", "EHLO x", *MESSAGE, QUIT]),
    ("xforward", [EHLO, "XFORWARD NAME=spike.example ADDR=192.0.2.7 PROTO=ESMTP HELO=spike IDENT=ABC PORT=7 "
                  "SOURCE=REMOTE", *MESSAGE, *MESSAGE, QUIT]),
    ("xforward local", [EHLO, "XFORWARD SOURCE=LOCAL NAME=x", *MESSAGE, QUIT]),
    ("xforward values", [EHLO, "XFORWARD", "XFORWARD FOO=x", "XFORWARD NAME", "XFORWARD ADDR=x",
                         "XFORWARD NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PROTO=[UNAVAILABLE] "
                         "HELO=[UNAVAILABLE] IDENT=[UNAVAILABLE]", *MESSAGE, "XFORWARD SOURCE=x", QUIT]),
    ("xforward in mail", [EHLO, MAIL, "XFORWARD NAME=x", QUIT]),
]

# Commands in any order: what one leaves behind for the next.
ANY = ([EHLO, "HELO client.example", MAIL, MAIL, MAIL, RCPT, RCPT, RCPT, "RCPT TO:<q@remote.example>", SEND, SEND,
        "RSET", "NOOP", "VRFY r@remote.example", "ETRN x.example", "FOO", "EHLO", "MAIL FROM:<a@b..c>",
        # No SIZE: after one that was too large Postfix takes it for that of the next MAIL, too.
        "MAIL FROM:<> BODY=8BITMIME", "RCPT TO:<>",
        "RCPT TO:<a@b.example> FOO=1", "DATA x", "STARTTLS", "AUTH PLAIN AGEAYg==", "XCLIENT NAME=x"]
       + [(b"BDAT %d%s\r\n%s" % (len(text), last, text), 1)
          for text in (b"A: b\r\n\r\nc\r\n", b"half", b"") for last in (b"", b" LAST")])


def random_dialogues(count):
    dice = random.Random(25)
    return [(f"random {i}", [*dice.choices(ANY, k=dice.randint(4, 14)), QUIT]) for i in range(count)]


# Where ours is meant to differ: (variant, dialogue) and why.
DIFFERENT = {
    ("default", "long command"): "too long a command is refused, as later releases do, not cut "
                                 "and run",
    ("random", "random 203"): "a second MAIL, which is refused, does not undo BODY of the first",
    ("effects", "effect bcc"): "the sender is told nothing about a copy that BCC makes, as with "
                               "always_bcc",
    ("default", "bdat long line"): "the CR of a line that fills the buffer does not count twice",
}

# Other settings: (parameters as -o, dialogues).
VARIANTS = {
    "default": ("", DIALOGUES),
    "random": ("", random_dialogues(300)),
    "xclient": ("-o smtpd_authorized_xclient_hosts=127.0.0.0/8 "
                "-o smtpd_authorized_xforward_hosts=127.0.0.0/8", XCLIENT),
    "strict": ("-o strict_rfc821_envelopes=yes -o disable_vrfy_command=yes -o smtpd_helo_required=yes "
               "-o strict_smtputf8=yes", [
        ("helo required", [MAIL, "VRFY x", "NOOP", EHLO, MAIL, QUIT]),
        *mail("FROM:<a>", "FROM: <a@b.example>", "FROM:a@b.example", "FROM:<>", "FROM:<a@b.example> X",
              "FROM:<@r:a@b.example>", "FROM:<(c)a@b.example>", "FROM:<a b@c.example>", "FROM:<a@b..c>",
              "FROM:A <a@b.example>", "FROM:<\u00e9@b.example>", "FROM:<\u00e9@b.example> SMTPUTF8",
              "FROM:<.a@b.example>", "FROM:<\"a\"@b.example>", "FROM:<a@[127.0.0.1]>"),
        *rcpt("TO:<a>", "TO:<postmaster>", "TO: <a@b.example>", "TO:a@b.example", "TO:<>"),
    ]),
    "limits": ("-o smtpd_recipient_limit=2 -o smtpd_recipient_overshoot_limit=1 -o message_size_limit=2000 "
               "-o smtpd_hard_error_limit=3 -o smtpd_junk_command_limit=2", [
        ("recipients", [EHLO, MAIL, *[RCPT] * 8]),
        ("size", [EHLO, MAIL + " SIZE=2001", MAIL + " SIZE=2000", RCPT, "DATA", *BODY, *["x" * 70] * 40, ".",
                  *MESSAGE, QUIT]),
        ("bdat size", [EHLO, MAIL, RCPT, (b"BDAT 1500\r\n" + b"x" * 1500, 1),
                       (b"BDAT 1500 LAST\r\n" + b"x" * 1500, 1), *MESSAGE, QUIT]),
        ("junk", [EHLO, *["NOOP"] * 8]),
        ("errors", [EHLO, "FOO", "FOO", "FOO", "FOO"]),
        ("errors reset", [EHLO, "FOO", "FOO", *MESSAGE, "FOO", "FOO", QUIT]),
        ("ehlo junk", [EHLO, *MESSAGE, EHLO, EHLO, "RSET", "RSET", "RSET", "RSET", "RSET"]),
    ]),
    "keywords": ("-o smtpd_discard_ehlo_keywords=pipelining,vrfy,dsn,chunking,size,etrn,smtputf8 "
                 "-o smtpd_noop_commands=HELP,foo -o message_size_limit=0", [
        ("discarded", [EHLO, "HELP", "FOO", "VRFY r@remote.example", "ETRN x.example",
                       MAIL + " SIZE=100", "RSET", MAIL + " RET=FULL", MAIL + " SMTPUTF8", MAIL,
                       RCPT + " NOTIFY=NEVER", RCPT, (b"BDAT 3\r\n", 1)]),
    ]),
    "pipelining": ("-o smtpd_forbid_unauth_pipelining=yes", [
        ("early mail", [(sent(EHLO, MAIL), 2)]),
        ("helo pipelined", ["HELO x.example", (sent(MAIL, RCPT), 2)]),
        ("ehlo pipelined", [EHLO, (sent(MAIL, RCPT, "RSET"), 3), QUIT]),
        ("data pipelined", [EHLO, MAIL, RCPT, (sent("DATA", "x"), 1)]),
        ("noop pipelined", [EHLO, (sent("NOOP", "NOOP"), 2)]),
    ]),
    # What access tables ask for besides yes and no.
    "effects": ("-o { smtpd_recipient_restrictions = check_recipient_access inline:{ "
                "{ hold@remote.example = HOLD looks odd } { discard@remote.example = DISCARD } "
                "{ filter@remote.example = FILTER smtp:[192.0.2.1] } "
                "{ redirect@remote.example = REDIRECT other@remote.example } "
                "{ bcc@remote.example = BCC copy@remote.example } "
                "{ prepend@remote.example = PREPEND X-Note: a b } "
                "{ info@remote.example = INFO hello } { hangup@remote.example = HANGUP } "
                "{ close@remote.example = 421 4.7.0 go away } { warn@remote.example = WARN hm } } }", [
        (f"effect {name}", [EHLO, MAIL, f"RCPT TO:<{name}@remote.example>", "DATA", *BODY, ".", QUIT])
        for name in ("hold", "discard", "filter", "redirect", "bcc", "prepend", "info", "hangup", "close",
                     "warn")
    ] + [("effects gone", [EHLO, MAIL, "RCPT TO:<discard@remote.example>", "RSET", *MESSAGE, QUIT])]),
    "newlines": ("-o smtpd_forbid_bare_newline=normalize -o smtpd_forbid_bare_newline_exclusions=", [
        (f"newline {i}", [EHLO, MAIL, RCPT, "DATA", (b"A: b\r\n\r\nx" + end + b"more\r\n.\r\n", 1), QUIT])
        for i, end in enumerate([b"\n", b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n",
                                 b"\r", b"\r\r\n.\r\r\n", b"\n.\n\n", b"\0", b"\r\n..\n", b"\n..\r\n"])
    ]),
    "reject newlines": ("-o smtpd_forbid_bare_newline=reject -o smtpd_forbid_bare_newline_exclusions=", [
        ("command", [(b"EHLO x.example\n", 1)]),
        ("content", [EHLO, MAIL, RCPT, "DATA", (b"A: b\r\n\r\nx\ny\r\n.\r\n", 1), QUIT]),
        ("bdat", [EHLO, MAIL, RCPT, (b"BDAT 12 LAST\r\nA: b\r\n\r\nx\ny\n", 1), QUIT]),
    ]),
}


class Talk:
    """One dialogue with one server."""

    def __init__(self, port, source):
        self.socket = socket.create_connection(("127.0.0.1", port), 30, (source, 0))
        self.socket.settimeout(30)
        self.rest = b""
        self.told = []

    def reply(self):
        """The next reply of one or more lines; its code, or None at the end."""
        while True:
            while b"\n" not in self.rest:
                try:
                    more = self.socket.recv(65536)
                except ConnectionError:
                    more = b""
                if not more:
                    self.told.append("end" if not self.rest else repr(self.rest))
                    return None
                self.rest += more
            line, self.rest = self.rest.split(b"\n", 1)
            text = line.decode("utf-8", "replace")
            self.told.append(text)
            if re.match(r"\d\d\d ", text):
                return text[:3]

    def send(self, data):
        try:
            self.socket.sendall(data)
        except ConnectionError:
            pass

    def run(self, steps):
        if self.reply() is None:
            return self
        content = False
        for step in steps:
            if step is SEND:
                self.send(b"DATA\r\n")
                code = self.reply()
                if code == "354":
                    self.send(sent(*BODY, "."))
                    code = self.reply()
                if code is None:
                    return self
                continue
            if isinstance(step, tuple):
                self.send(step[0])
                for _ in range(step[1]):
                    if self.reply() is None:
                        return self
                continue
            self.send(step.encode() + b"\r\n")
            if content and step != ".":
                continue
            code = self.reply()
            if code is None:
                return self
            content = code == "354"
        if steps and steps[-1] == QUIT:
            self.reply()
        return self


def play(instance, port, source, steps):
    talk = Talk(port, source)
    try:
        return talk.run(steps).told
    except TimeoutError:
        return talk.told + ["no reply"]
    finally:
        talk.socket.close()


def normal(instance, source, text):
    text = text.replace(source, "CLIENT")
    text = re.sub(r"(?<=queued as )[0-9A-F]{6,15}\b|^(warning: |)[0-9A-F]{6,15}(?=: )", r"\1ID", text)
    return text.rstrip("\r")


def log_of(instance, source):
    """What smtpd wrote about this client, without the time."""
    found = []
    for line in instance.log.lines():
        if line.program == "smtpd" and f"[{source}]" in line.text:
            found.append(normal(instance, source, line.text))
    return found


def records(instance, queue_id):
    """The queue file as postcat tells it, without what differs each time."""
    if not any(queue_id in names for names in instance.queue_files().values()):
        return "none"
    text = instance.run("postcat", "-q", "-v", queue_id).stdout.decode("utf-8", "replace")
    text = text.replace(queue_id, "ID")
    text = re.sub(r"(?m)^(\*\*\* [A-Z ]+) \S*ID ", r"\1 FILE ", text)
    text = re.sub(r"(?m)^(message_arrival_time|create_time|named_attribute: create_time=).*", r"\1", text)
    text = re.sub(r"(client_port=)\d+", r"\1PORT", text)
    text = re.sub(r"(?m)\w{3}, +\d+ \w{3} \d{4} [0-9:]{8} \+0000 \(UTC\)", "DATE", text)
    text = re.sub(r"<\d{14}\.ID@", "<DATE.ID@", text)
    # The place of the content follows from the number of digits in the port; what a long
    # line counts for in the second size is cleanup's to say.
    text = re.sub(r"(?m)^(message_size: +\d+) +\d+( +\d+ +\d+) +\d+", r"\1 PLACE\2 SIZE", text)
    return text


class Side:
    def __init__(self, kind, dns, variants=None):
        self.dns = dns
        self.variants = variants or VARIANTS
        services = ""
        self.ports = {}
        for n, (name, (options, _)) in enumerate(self.variants.items()):
            self.ports[name] = 2500 + n
            services += f"{2500 + n} inet n - n - 0 smtpd {options}\n"
        self.instance = kind("smtpd", services, myhostname="host.example.net", mynetworks="127.0.0.0/8", defer_transports="smtp",
                             smtpd_error_sleep_time="0", relayhost="[127.0.0.1]:9", notify_classes="",
                             smtpd_client_connection_count_limit="0", compatibility_level="3.6",
                             fast_flush_domains="", smtpd_forbid_bare_newline="no",
                             smtpd_forbid_unauth_pipelining="no")

    def play(self):
        """{(variant, name): (replies, log, [records])}"""
        jobs = [(variant, name, steps) for variant, (_, dialogues) in self.variants.items()
                for name, steps in dialogues]
        with self.instance as mta, ThreadPoolExecutor(AT_ONCE) as pool:
            sources = [f"127.1.{i // 200 + 10}.{i % 200 + 10}" for i in range(len(jobs))]
            told = list(pool.map(lambda at: play(mta, self.ports[at[0][0]], at[1], at[0][2]),
                                 zip(jobs, sources)))
            time.sleep(1)
            found = {}
            for (variant, name, _), source, text in zip(jobs, sources, told):
                ids = re.findall(r"queued as ([0-9A-F]{6,15})", "\n".join(text))
                found[variant, name] = ([normal(mta, source, line) for line in text], log_of(mta, source),
                                        [records(mta, i).replace(source, "CLIENT") for i in ids])
            return found


class Comparison:
    """For a TestCase: what play() of both sides gave, but for the dialogues in `different`."""

    maxDiff = None
    different = ()

    def compare(self, part):
        for key, theirs in self.theirs.items():
            if key in self.different:
                continue
            with self.subTest(variant=key[0], dialogue=key[1]):
                self.assertEqual(theirs[part], self.ours[key][part])

    def test_replies(self):
        self.compare(0)

    def test_log(self):
        self.compare(1)

    def test_queue_files(self):
        self.compare(2)


class SmtpdCompat(Comparison, unittest.TestCase):
    different = DIFFERENT

    @classmethod
    def setUpClass(cls):
        with DNSServer() as dns:
            cls.theirs = Side(OracleInstance, dns).play()
            cls.ours = Side(Instance, dns).play()


if __name__ == "__main__":
    unittest.main()
