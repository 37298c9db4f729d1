# SPDX-License-Identifier: Apache-2.0
"""The same milters behind Debian's Postfix and ours: what they are told, what the client and
the log hear, and what becomes of the message."""
import os
import re
import time
import unittest

from compat.test_smtpd import EHLO, MAIL, QUIT, RCPT, Talk
from system.dnsserver import DNSServer
from system.harness import Instance, OracleInstance
from system.milter import (ACCEPT, ALL_ACTIONS, CLOSE, CONTINUE, DISCARD, FAIL, LEADING_SPACE, NO_BODY,
                           NO_CONNECT, NO_DATA, NO_EOH, NO_HEADERS, NO_HELO, NO_MAIL, NO_RCPT,
                           NO_UNKNOWN, NR_BODY, NR_CONNECT, NR_DATA, NR_EOH, NR_HEADER, NR_HELO, NR_MAIL,
                           NR_RCPT, NR_UNKNOWN, PROGRESS, RCPT_REJECTED, REJECT, SHUTDOWN, SILENT, SKIP,
                           SKIP_BODY, TEMPFAIL, Milter, add_header, add_rcpt, add_rcpt_par, change_from,
                           change_header, del_rcpt, insert_header, packet, quarantine, raw,
                           replace_body, reply)

CONTENT = ["DATA", "From: <a@b.example>", "To: <r@remote.example>", "Subject: first", "X-Two:   spaced",
           "Subject: second,", " folded", "", "body one", "body two", "."]
SEND = [EHLO, MAIL, RCPT, *CONTENT, QUIT]
ASK = [EHLO, MAIL, RCPT, "DATA", "."]
BIG = ["DATA", "Subject: big", "", *["x" * 998] * 150, "."]
NO_REPLIES = (NR_HEADER | NR_CONNECT | NR_HELO | NR_MAIL | NR_RCPT | NR_DATA | NR_UNKNOWN | NR_EOH
              | NR_BODY)
NO_EVENTS = (NO_CONNECT | NO_HELO | NO_MAIL | NO_RCPT | NO_BODY | NO_HEADERS | NO_EOH | NO_UNKNOWN
             | NO_DATA)


def flags(protocol, version=6, actions=ALL_ACTIONS, symbols=None):
    return (version, actions, protocol, symbols)


def eom(*changes, last=CONTINUE):
    return {"eom": [*changes, last]}


STAGES = ("connect", "helo", "mail", "rcpt", "data", "unknown", "header", "eoh", "body", "eom")
ANSWERS = {"accept": ACCEPT, "reject": REJECT, "tempfail": TEMPFAIL, "discard": DISCARD,
           "shutdown": SHUTDOWN, "reply": reply("554 5.7.9 no way"), "reply4": reply("450 4.7.9 not now"),
           "close": CLOSE, "421": reply("421 4.7.9 go away")}
LONG = [EHLO, "BOGUS x y", MAIL, RCPT, "RCPT TO:<second@remote.example>", *CONTENT, MAIL, RCPT, *CONTENT, QUIT]

# (name, port, dialogue, what each milter says)
SCENARIOS = [
    ("plain", "one", LONG, {}),
    *((f"{stage} {name}", "one", LONG, {stage: answer}) for stage in STAGES
      for name, answer in ANSWERS.items() if stage not in ("eoh", "body") or name in ("accept", "reject", "close")),
    *((f"code {text}", "one", SEND, {"mail": reply(text)}) for text in (
        "550", "550 5.7.1", "550 no code", "550-5.7.1 one\r\n550 5.7.1 two", "550-one\r\n550 two",
        "550-5.7.1 one\r\n551 5.7.1 two", "550 5.7.1 100%% sure", "550 5.7.1 100% sure", "550 1x", "550 ", "550 5.7", "550x5.7.1 y", "550 5.7.1 a%%%b %s %", "250 2.0.0 fine", "55", "",
        "abc", "554 4.7.1 mixed", "454 5.7.1 mixed", "550 5.7.1 bad\rtext", "550 5.7.1 bad\ntext",
        "550 5.7.1 tab\there", "521 5.7.1 go", "420 4.2.0 x", "599 5.9.9 x", "600 x")),
    ("rset", "one", [EHLO, MAIL, RCPT, "RSET", MAIL, RCPT, "RSET", QUIT], {}),
    ("helo twice", "one", ["HELO a.example", MAIL, EHLO, "HELO b.example", *SEND[1:]], {}),
    ("no helo", "one", [MAIL, RCPT, *CONTENT, QUIT], {}),
    ("lost", "one", [EHLO, MAIL, RCPT], {}),
    ("lost in data", "one", [EHLO, MAIL, RCPT, "DATA", "x"], {}),
    ("parameters", "one", [EHLO, MAIL + " SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x",
                           RCPT + " NOTIFY=NEVER ORCPT=rfc822;a@b", *CONTENT, QUIT], {}),
    ("addresses", "one", [EHLO, "MAIL FROM: a@b.example", "RCPT TO:<local>", "RSET", "MAIL FROM:<>",
                          'RCPT TO:<"a b"@c.example>', "RCPT TO:<x@[127.0.0.1]>", *CONTENT, QUIT], {}),
    ("refused recipients", "one", [EHLO, MAIL, "RCPT TO:<refused@remote.example>", RCPT, *CONTENT, QUIT], {}),
    ("refused recipients told", "one", [EHLO, MAIL, "RCPT TO:<refused@remote.example>", RCPT, *CONTENT, QUIT],
     {"options": flags(RCPT_REJECTED)}),
    ("refused recipient, reply", "one", [EHLO, MAIL, "RCPT TO:<refused@remote.example>", RCPT, *CONTENT, QUIT],
     {"options": flags(RCPT_REJECTED), "rcpt": REJECT}),
    ("only refused", "one", [EHLO, MAIL, "RCPT TO:<refused@remote.example>", "DATA", QUIT], {}),
    ("no events", "one", LONG, {"options": flags(NO_EVENTS)}),
    *((f"no {name}", "one", LONG, {"options": flags(flag)}) for name, flag in (
        ("connect", NO_CONNECT), ("body", NO_BODY), ("headers", NO_HEADERS), ("eoh", NO_EOH))),
    ("no replies", "one", LONG, {"options": flags(NO_REPLIES)}),
    ("leading space", "one", SEND, {"options": flags(LEADING_SPACE), **eom(
        add_header("X-Add", " one"), insert_header(0, "X-Ins", "two"), change_header(1, "Subject", "  three"))}),
    ("versions", "one", LONG, {"options": flags(0, version=2, actions=0x3F)}),
    ("version 3", "one", LONG, {"options": flags(0, version=3, actions=0x3F)}),
    ("version 4", "one", LONG, {"options": flags(0, version=4, actions=0x3F)}),
    ("symbols", "one", LONG, {"options": flags(0, symbols={
        0: "j {client_addr} {client_name} {client_port} {client_ptr} {client_resolve} {daemon_port} {if_addr}",
        1: "{client_connections} _ v", 2: "{mail_addr} {mail_host} {mail_mailer} i {msg_id}",
        3: "{rcpt_addr} {rcpt_host} {rcpt_mailer} i {nrcpts}", 4: "i j v {mail_addr} {client_addr}",
        5: "i j v _ {client_addr} {client_name} {daemon_name} b {x_default}",
        6: "i j {client_addr}"})}),
    ("symbols not asked", "one", SEND, {"options": flags(0, actions=0xFF, symbols={0: "j", 1: ""})}),
    ("symbols empty", "one", SEND, {"options": flags(0, symbols={0: "", 2: "", 5: ""})}),
    ("symbols odd", "one", SEND, {"options": flags(0, symbols={0: "j,v", 2: "  {mail_addr}   i ", 99: "x"})}),
    ("more actions", "one", ASK, {"options": flags(0, actions=0xFFFF)}),
    ("more protocol", "one", ASK, {"options": flags(1 << 25)}),
    ("version 7", "one", ASK, {"options": flags(0, version=7)}),
    ("version 1", "one", ASK, {"options": flags(0, version=1)}),
    ("negotiation closed", "one", ASK, {"options": (CLOSE, 0, 0, None)}),
    ("negotiation refused", "one", ASK, {"options": (REJECT, 0, 0, None)}),
    ("negotiation short", "one", ASK, {"options": (packet("O", "x"), 0, 0, None)}),
    ("negotiation long", "one", ASK, {"options": (raw(b"\x7f\xff\xff\xffO"), 0, 0, None)}),
    ("big", "one", [EHLO, MAIL, RCPT, *BIG, QUIT], {}),
    ("skip", "one", [EHLO, MAIL, RCPT, *BIG, QUIT], {"options": flags(SKIP_BODY), "body": SKIP}),
    ("skip not agreed", "one", [EHLO, MAIL, RCPT, *BIG, QUIT], {"body": SKIP}),
    ("skip at header", "one", SEND, {"options": flags(SKIP_BODY), "header": SKIP}),
    ("skip at mail", "one", SEND, {"options": flags(SKIP_BODY), "mail": SKIP}),
    ("progress", "one", SEND, eom(PROGRESS, PROGRESS)),
    ("progress at mail", "one", SEND, {"mail": [PROGRESS, CONTINUE]}),
    ("connection fail", "one", SEND, {"mail": FAIL}),
    ("odd reply", "one", SEND, {"mail": packet("Z")}),
    ("odd eom", "one", SEND, eom(packet("Z"))),
    ("change at mail", "one", SEND, {"mail": [add_header("X", "y"), CONTINUE]}),
    ("empty packet", "one", SEND, {"mail": raw(b"\0\0\0\0")}),
    ("huge packet", "one", SEND, {"mail": raw(b"\x7f\xff\xff\xffc")}),
    ("trailing bytes", "one", SEND, {"mail": packet("c", "x")}),
    ("half packet", "one", SEND, {"mail": [raw(b"\0\0\0\x09c"), CLOSE]}),
    # Changes.
    ("add header", "one", SEND, eom(add_header("X-Added", "yes"))),
    ("add headers", "one", SEND, eom(add_header("X-One", "1"), add_header("X-Two", "2"))),
    ("add folded", "one", SEND, eom(add_header("X-Fold", "one\n\ttwo"), add_header("X-Crlf", "a\r\n b"))),
    ("add odd", "one", SEND, eom(add_header("X-Empty", ""), add_header("X Blank", "y"), add_header("X:", "z"))),
    ("add unfolded", "one", SEND, eom(add_header("X-Lines", "one\ntwo"))),
    ("add nothing", "one", SEND, eom(add_header("", "x"))),
    *((f"insert {n}", "one", SEND, eom(insert_header(n, "X-Ins", str(n)))) for n in (0, 1, 2, 3, 5, 6, 100)),
    ("insert many", "one", SEND, eom(*(insert_header(n, f"X-{n}", "v") for n in (0, 0, 1, 1, 3)))),
    *((f"change {n} {name}", "one", SEND, eom(change_header(n, name, "new")))
      for n, name in ((0, "Subject"), (1, "subject"), (2, "SUBJECT"), (3, "Subject"), (1, "X-None"),
                      (1, "Received"), (2, "Received"), (0, "X-Two"), (1, ""))),
    ("change folded", "one", SEND, eom(change_header(2, "Subject", "a\n b\n c"))),
    ("change after add", "one", SEND, eom(add_header("X-A", "1"), change_header(1, "X-A", "2"),
                                          insert_header(0, "X-A", "3"), change_header(2, "X-A", "4"))),
    *((f"delete {n} {name}", "one", SEND, eom(change_header(n, name, "")))
      for n, name in ((1, "Subject"), (2, "Subject"), (3, "Subject"), (1, "From"), (1, "Received"))),
    ("delete all", "one", SEND, eom(*(change_header(1, n, "") for n in ("From", "To", "Subject", "Subject",
                                                                      "X-Two", "Message-Id", "Date")))),
    ("prepended", "one", [EHLO, MAIL, "RCPT TO:<prepend@remote.example>", *CONTENT, QUIT],
     eom(insert_header(0, "X-Ins", "0"), insert_header(1, "X-Ins", "1"), insert_header(3, "X-Ins", "3"),
         change_header(1, "X-Note", "changed"))),
    ("no header", "one", [EHLO, MAIL, RCPT, "DATA", "", "only body", ".", QUIT],
     eom(add_header("X-A", "1"), insert_header(0, "X-B", "2"), insert_header(1, "X-C", "2"))),
    ("empty", "one", [EHLO, MAIL, RCPT, "DATA", ".", QUIT], eom(add_header("X-A", "1"))),
    ("no body", "one", [EHLO, MAIL, RCPT, "DATA", "Subject: x", ".", QUIT], eom(add_header("X-A", "1"))),
    ("received", "one", [EHLO, MAIL, RCPT, "DATA", "Received: one", "Received: two", "A: b", "", "c", ".", QUIT],
     eom(change_header(1, "Received", "changed"), insert_header(1, "X-I", "i"))),
    ("sender", "one", SEND, eom(change_from("new@sender.example"))),
    ("sender with arguments", "one", SEND, eom(change_from("<new@sender.example>", "SIZE=1 RET=HDRS ENVID=abc"))),
    *((f"sender {n}", "one", SEND, eom(change_from(text))) for n, text in enumerate(
        ("", "<>", "local", "<a@b.example> x", "a@b.example, c@d.example", "a b@c.example", "Name <n@b.example>",
         '"q r"@b.example', "@", "<a@b.example>>"))),
    ("sender twice", "one", SEND, eom(change_from("one@b.example"), change_from("two@b.example"))),
    ("add recipient", "one", SEND, eom(add_rcpt("more@remote.example"))),
    *((f"add recipient {n}", "one", SEND, eom(add_rcpt(text))) for n, text in enumerate(
        ("<more@remote.example>", "local", "", "<>", "a@b.example, c@d.example", "r@remote.example",
         "alias@remote.example", '"q r"@b.example', "Name <n@b.example>"))),
    *((f"add recipient with {n}", "one", SEND, eom(add_rcpt_par("<more@remote.example>", text)))
      for n, text in enumerate(("", "NOTIFY=NEVER", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y", "FOO=bar",
                                "NOTIFY=FOO", "ORCPT=x", "ORCPT=rfc822;a+20b notify=never"))),
    ("delete recipient", "one", [EHLO, MAIL, RCPT, "RCPT TO:<second@remote.example>", *CONTENT, QUIT],
     eom(del_rcpt("<r@remote.example>"))),
    ("delete original", "one", [EHLO, MAIL, RCPT, "RCPT TO:<alias@remote.example>", *CONTENT, QUIT],
     eom(del_rcpt("alias@remote.example"))),
    ("delete expanded", "one", [EHLO, MAIL, RCPT, "RCPT TO:<alias@remote.example>", *CONTENT, QUIT],
     eom(del_rcpt("one@remote.example"))),
    ("delete all recipients", "one", SEND, eom(del_rcpt("R@remote.example"), del_rcpt("r@remote.example"))),
    ("delete added", "one", SEND, eom(add_rcpt("more@remote.example"), del_rcpt("more@remote.example"))),
    ("delete and add", "one", SEND, eom(del_rcpt("r@remote.example"), add_rcpt("r@remote.example"))),
    ("delete unknown", "one", SEND, eom(del_rcpt("nobody@remote.example"))),
    ("body", "one", SEND, eom(replace_body(b"new body\r\nsecond line\r\n"))),
    ("body longer", "one", SEND, eom(*[replace_body(b"y" * 60 + b"\r\n")] * 200)),
    ("body parts", "one", SEND, eom(replace_body(b"one "), replace_body(b"two\r"), replace_body(b"\nthree"))),
    ("body newlines", "one", SEND, eom(replace_body(b"one\ntwo\rthree\r\n\r\nfour"))),
    ("body empty", "one", SEND, eom(replace_body(b""))),
    ("body dots", "one", SEND, eom(replace_body(b".\r\n..\r\nFrom x\r\n"))),
    ("body and headers", "one", SEND, eom(add_header("X-A", "1"), change_header(1, "Subject", "new"),
                                          replace_body(b"new\r\n"), change_from("s@b.example"),
                                          add_rcpt("t@b.example"))),
    ("body then headers", "one", SEND, eom(replace_body(b"new\r\n"), add_header("X-A", "1"))),
    ("body split", "one", SEND, eom(replace_body(b"new\r\n"), add_header("X-A", "1"), replace_body(b"b\r\n"))),
    ("quarantine", "one", SEND, eom(quarantine("looks odd"))),
    ("quarantine and header", "one", SEND, eom(add_header("X-A", "1"), quarantine("odd"), last=ACCEPT)),
    ("quarantine rejected", "one", SEND, eom(quarantine("odd"), last=REJECT)),
    ("changes then reject", "one", SEND, eom(add_header("X-A", "1"), last=REJECT)),
    ("changes then discard", "one", SEND, eom(add_header("X-A", "1"), last=DISCARD)),
    ("changes then accept", "one", SEND, eom(add_header("X-A", "1"), last=ACCEPT)),
    ("changes not agreed", "one", SEND, {"options": flags(0, actions=0), **eom(
        add_header("X-A", "1"), change_from("x@y.example"), replace_body(b"x\r\n"))}),
    ("bdat", "one", [EHLO, MAIL, RCPT, (b"BDAT 20\r\nSubject: x\r\n\r\nabcd\r\n", 1), (b"BDAT 0 LAST\r\n", 1), QUIT],
     eom(add_header("X-A", "1"))),
    ("too large", "small", [EHLO, MAIL, RCPT, *BIG, QUIT], {}),
    # Other settings.
    *((f"{action} {stage}", action, LONG, {stage: CLOSE}) for action in
      ("a-accept", "a-reject", "a-quarantine", "a-tempfail") for stage in ("connect", "mail", "eom")),
    *((f"{action} negotiation", action, LONG, {"options": (CLOSE, 0, 0, None)}) for action in
      ("a-accept", "a-reject", "a-quarantine", "a-tempfail")),
    *((f"no server {action}", f"{action}-gone", LONG, {}) for action in
      ("a-accept", "a-reject", "a-quarantine", "a-tempfail")),
    ("soft bounce", "soft", LONG, {"mail": REJECT}),
    ("tcp", "tcp", SEND, {}),
    ("xclient", "xclient", [EHLO, "XCLIENT NAME=spike.example ADDR=192.0.2.7 PORT=99 LOGIN=user HELO=spike", EHLO,
                            *SEND[1:]],
     {"options": flags(0, symbols={0: "{client_addr} {client_name} {client_port} _ {client_ptr} {client_resolve}",
                                   2: "{auth_type} {auth_authen} {auth_author} i",
                                   5: "{auth_type} {auth_authen} {client_addr} {client_name} _"})}),
    ("xclient unknown", "xclient", [EHLO, "XCLIENT NAME=[TEMPUNAVAIL] ADDR=[UNAVAILABLE]", *SEND], {}),
    ("maps", "maps", SEND, {}),
    ("maps disabled", "disabled", SEND, {}),
    ("protocol 2", "protocol2", SEND, {"options": flags(0, version=2, actions=0x3F)}),
    ("protocol 3", "protocol3", SEND, {"options": flags(0, version=3, actions=0x3F)}),
    ("protocol 4", "protocol4", SEND, {"options": flags(0, version=4, actions=0x3F)}),
    ("protocol 4 no header reply", "noreply", SEND, {"options": flags(NR_HEADER, version=4, actions=0x3F)}),
    ("macros", "macros", LONG, {}),
    ("late open", "early", LONG, {}),
    # Two of them.
    ("two", "two", LONG, {}, {}),
    ("two, first accepts", "two", LONG, {"mail": ACCEPT}, {}),
    ("two, first rejects", "two", LONG, {"rcpt": REJECT}, {}),
    ("two, second rejects", "two", LONG, {}, {"rcpt": REJECT}),
    ("two, second rejects at the end", "two", SEND, eom(add_header("X-A", "1")), {"eom": REJECT}),
    ("two, changes seen", "two", SEND, eom(add_header("X-A", "1"), change_header(1, "Subject", "new"),
                                           insert_header(0, "X-First", "0"), insert_header(1, "X-Second", "1"),
                                           replace_body(b"changed\r\n"), add_rcpt("more@remote.example"),
                                           change_from("other@b.example")),
     eom(add_header("X-B", "2"), change_header(1, "X-A", "3"), insert_header(0, "X-Top", "0"))),
    ("two, first discards", "two", LONG, {"data": DISCARD}, {}),
    ("two, first quarantines", "two", SEND, eom(quarantine("odd")), eom(add_header("X-B", "2"))),
    ("two, first gone", "two", LONG, {"options": (CLOSE, 0, 0, None)}, {}),
    ("two, second gone", "two", LONG, {}, {"options": (CLOSE, 0, 0, None)}),
    ("two, first hangs up", "two-accept", LONG, {"mail": CLOSE}, eom(add_header("X-B", "2"))),
    ("two, own options", "two-own", LONG, {"mail": CLOSE}, {"rcpt": CLOSE}),
]

# Submitted mail: (name, milter, options of sendmail, recipients)
SUBMITTED = [
    ("submit plain", {}, (), ["r@remote.example", "alias@remote.example"]),
    ("submit null sender", {}, ("-f", "<>"), ["r@remote.example"]),
    ("submit add", eom(add_header("X-A", "1"), add_rcpt("more@remote.example"), change_from("n@b.example")),
     (), ["r@remote.example"]),
    ("submit insert", eom(insert_header(0, "X-I", "0"), insert_header(1, "X-I", "1")), (), ["r@remote.example"]),
    ("submit quarantine", eom(quarantine("odd")), (), ["r@remote.example"]),
    ("submit discard", {"eom": DISCARD}, (), ["r@remote.example"]),
    ("submit discard early", {"mail": DISCARD}, (), ["r@remote.example"]),
    ("submit accept", {"mail": ACCEPT}, (), ["r@remote.example"]),
    ("submit reject", {"eom": REJECT}, (), ["r@remote.example"]),
    ("submit reject reply", {"eom": reply("554 5.7.9 no way")}, (), ["r@remote.example"]),
    ("submit reject body", {"body": REJECT}, (), ["r@remote.example"]),
    ("submit reject mail", {"mail": REJECT}, (), ["r@remote.example"]),
    ("submit reject connect", {"connect": REJECT}, (), ["r@remote.example"]),
    ("submit reject data", {"data": reply("550 5.7.1 x")}, (), ["r@remote.example"]),
    ("submit -t", {}, ("-t",), []),
]

# These keep the message in maildrop.
KEPT = [
    ("submit tempfail", {"eom": TEMPFAIL}, (), ["r@remote.example"]),
    ("submit tempfail mail", {"mail": TEMPFAIL}, (), ["r@remote.example"]),
    ("submit close", {"eom": CLOSE}, (), ["r@remote.example"]),
    ("submit reject rcpt", {"rcpt": REJECT}, (), ["r@remote.example"]),
]

# Debian's takes the names for those of all later messages of the process, so this is the last.
LAST = [
    ("submit symbols", {"options": flags(0, symbols={
        0: "j {client_addr} {client_name} {daemon_name} _ v", 2: "{mail_addr} {mail_host} {mail_mailer} i",
        3: "{rcpt_addr} {rcpt_host} {rcpt_mailer} i", 4: "i {mail_addr}", 5: "i {client_addr} {rcpt_addr}"})},
     (), ["r@remote.example"]),
]

# Where ours is meant to differ: scenario and why.
DIFFERENT = {
    "unknown accept": "a milter that accepts an unknown command: Debian's smtpd panics",
    "unknown discard": "the same; ours does not discard the message that follows, either",
    **{f"{stage} shutdown": "Debian's says 250, and drops the message" for stage in
       ("header", "eom")},
    "code 550-5.7.1 one\r\n551 5.7.1 two": "all lines of a reply have the code of the first",
    "code 550 5.7.1 bad\rtext": "no control characters in replies",
    "code 550 5.7.1 bad\ntext": "every line of a reply has a code",
    "trailing bytes": "the number in the warning is that of the bytes",
    "half packet": "the warning says that the packet is not complete",
    "add folded": "no CR before a line end inside a header field",
    "add odd": "a name that is none would end the header for others",
    "add nothing": "the same",
    "sender 8": "an address that is none",
    "body newlines": "a stray CR becomes a blank, as in all bodies",
    "body split": "pieces of a new body may come between other changes",
    "submit shutdown": "Debian's drops the message",
}


def ports(first, second, gone):
    """Port by name, and what its smtpd is told."""
    rows = {
        "one": f"-o smtpd_milters={first}",
        "small": f"-o smtpd_milters={first} -o message_size_limit=20000",
        "soft": f"-o smtpd_milters={first} -o soft_bounce=yes",
        "tcp": "-o smtpd_milters=inet:127.0.0.1:7357",
        "xclient": f"-o smtpd_milters={first} -o smtpd_authorized_xclient_hosts=127.0.0.0/8",
        "maps": f"-o {{ smtpd_milter_maps = inline:{{ {{ 127.0.0.1 = {first} }} }} }} -o smtpd_milters={gone}",
        "disabled": f"-o {{ smtpd_milter_maps = inline:{{ {{ 127.0.0.1 = DISABLE }} }} }} -o smtpd_milters={first}",
        "protocol2": f"-o smtpd_milters={first} -o milter_protocol=2",
        "protocol3": f"-o smtpd_milters={first} -o milter_protocol=3",
        "protocol4": f"-o smtpd_milters={first} -o milter_protocol=4",
        "noreply": f"-o {{ smtpd_milters = {first} }} -o {{ milter_protocol = 4, no_header_reply }}",
        "macros": f"-o smtpd_milters={first} -o {{ milter_connect_macros = j v {{x_default}} foo {{daemon_name}} }} "
                  "-o { milter_macro_defaults = {x_default}=dflt, bar=baz, { j = notused } } "
                  "-o milter_macro_daemon_name=daemon.example -o milter_macro_v=vee "
                  "-o { milter_mail_macros = i {x_default} {client_addr} bar } "
                  "-o { milter_unknown_command_macros = j i }",
        "early": f"-o smtpd_milters={first} -o smtpd_delay_open_until_valid_rcpt=no",
        "two": f"-o {{ smtpd_milters = {first}, {second} }}",
        "two-accept": f"-o {{ smtpd_milters = {first} {second} }} -o milter_default_action=accept",
        "two-own": f"-o {{ smtpd_milters = {{ {first}, default_action=accept, command_timeout=5s }} "
                   f"{{ {second}, default_action=reject }} }}",
    }
    for action in ("accept", "reject", "quarantine", "tempfail"):
        rows[f"a-{action}"] = f"-o smtpd_milters={first} -o milter_default_action={action}"
        rows[f"a-{action}-gone"] = f"-o smtpd_milters={gone} -o milter_default_action={action}"
    return {name: (2500 + n, text) for n, (name, text) in enumerate(rows.items())}


class Side:
    """What one mail system makes of it all."""

    def __init__(self, kind, dns):
        self.dns = dns
        self.instance = kind(
            "milter", myhostname="host.example.net", mynetworks="127.0.0.0/8", defer_transports="smtp",
            smtpd_error_sleep_time="0", relayhost="[127.0.0.1]:9", notify_classes="", fast_flush_domains="",
            smtpd_client_connection_count_limit="0", mail_version="3.7.0",
            virtual_alias_maps="inline:{ { alias@remote.example = one@remote.example, two@remote.example } }",
            smtpd_recipient_restrictions="check_recipient_access inline:{ "
            "{ refused@remote.example = 550 5.7.1 no such user } "
            "{ prepend@remote.example = PREPEND X-Note: a b } }, permit_mynetworks, reject",
            # The first milter's socket is in the queue directory, whose path differs.
            non_smtpd_milters="unix:submitted")
        self.ports = ports("unix:first", "unix:second", "unix:gone")
        self.instance.services += "".join(f"{port} inet n - n - 0 smtpd {text}\n"
                                          for port, text in self.ports.values())
        self.instance.write()
        self.found = {}

    def milter(self, name):
        return Milter(os.path.join(self.instance.queue, name))

    def normal(self, text):
        text = re.sub(r"(?<=queued as )[0-9A-F]{6,15}\b|^(warning: |)[0-9A-F]{6,15}(?=: )", r"\1ID", text)
        text = re.sub(r"(\bi=\[)[0-9A-F]{6,15}", r"\1ID", text)
        text = re.sub(r"<\d{14}\.[0-9A-F]{6,15}@", "<DATE.ID@", text)
        text = re.sub(r"\b\w{3}, +\d+ \w{3} \d{4} [0-9:]{8} [+-]\d{4} \(\w+\)", "DATE", text)
        text = re.sub(r"(?m)^(\tby host.example.net .* id |\tid )[0-9A-F]{6,15}", r"\1ID", text)
        text = re.sub(r"(connect \S+ [46] )\d+", r"\1PORT", text)
        text = re.sub(r"(client_port}=\[)\d{4,}", r"\1PORT", text)
        text = re.sub(r"from userid \d+", "from userid N", text)
        text = re.sub(r"(reply packet header|EOF while reading data): .*", r"\1: WHY", text)
        text = re.sub(r"(unreasonable packet length: \d+ > )\d+", r"\1LIMIT", text)
        return re.sub(r"\bdelay=[0-9.]+, delays=[0-9./]+", "delay=T", text)

    def log_lines(self, before):
        return [self.normal(line.text) for line in self.instance.log.lines()[before:]
                if line.program in ("smtpd", "cleanup", "pickup") and
                re.search("milter|Milter|warning|reject|hold|discard", line.text)
                and not re.search("non-SMTP|error writing|unknown DSN NOTIFY", line.text)]

    def wait_log(self, before, pattern, count=1):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            texts = [line.text for line in self.instance.log.lines()[before:]]
            if sum(re.search(pattern, text) is not None for text in texts) >= count:
                return
            time.sleep(0.005)
        raise AssertionError(f"not in the log: {pattern}: {texts}")

    def one(self, milters, scenario):
        name, port, steps, *scripts = scenario
        for milter, script in zip(milters, scripts + [{}]):
            milter.play(**script)
        before = len(self.instance.log.lines())
        talk = Talk(self.ports[port][0], "127.0.0.1")
        try:
            talk.run(steps)
        except TimeoutError:
            talk.told.append("no reply")
        finally:
            talk.socket.close()
        heard = [self.normal(line) for milter in milters for line in milter.told()]
        # Debian's smtpd panics in one of them, and says no goodbye.
        self.wait_log(before, "^disconnect from|panic")
        self.found[name] = [[self.normal(line.rstrip("\r")) for line in talk.told], heard,
                            self.log_lines(before),
                            re.findall(r"queued as ([0-9A-F]{6,})", "\n".join(talk.told))]

    def submit(self, milter, scenario, kept):
        name, script, options, recipients = scenario
        milter.play(**script)
        before = len(self.instance.log.lines())
        self.instance.sendmail(b"From: <a@b.example>\nTo: <r@remote.example>\nSubject: x\n\nbody\n",
                               *recipients, sender=None if "-f" in options else "s@b.example",
                               options=options)
        end = time.monotonic() + 20
        milter.heard("negotiate")
        while not kept and self.instance.queue_files("maildrop")["maildrop"] and time.monotonic() < end:
            time.sleep(0.005)
        heard = [self.normal(line) for line in milter.told()]
        if "reject" in name and not kept:
            # Of the message and of its report.
            self.wait_log(before, "message-id=", 2)
        if kept:
            self.instance.run("postsuper", "-d", "ALL", "maildrop")
        ids = [] if kept else re.findall(r"(?m)^([0-9A-F]{6,}): ", "\n".join(
            line.text for line in self.instance.log.lines()[before:] if line.program == "cleanup"))
        self.found[name] = [[], heard, self.log_lines(before), list(dict.fromkeys(ids))]

    def messages(self, reader):
        """What is queued under the ids of each scenario: where, sender, recipients, content; as
        Debian's postcat reads it."""
        places = {queue_id: queue for queue, ids in self.instance.queue_files("deferred", "active", "incoming",
                                                                             "hold").items() for queue_id in ids}
        paths = {}
        for folder, _, names in os.walk(self.instance.queue):
            if re.search("/(deferred|active|incoming|hold)(/|$)", folder):
                paths.update((name, os.path.join(folder, name)) for name in names)
        for found in self.found.values():
            told = []
            for queue_id in found[3]:
                if queue_id in paths:
                    told.append(self.message(reader, places[queue_id], paths[queue_id]))
            found[3] = told

    def message(self, reader, queue, path):
        text = reader.run("postcat", "-ehb", path).stdout.decode("utf-8", "replace")
        head, _, rest = text.partition("*** MESSAGE CONTENTS")
        content, _, tail = rest.partition("\n*** HEADER EXTRACTED")
        content = content.partition("***\n")[2]
        envelope = head + tail
        sender = re.search(r"(?m)^sender: (.*)", envelope)[1]
        recipients = sorted(re.findall(r"(?m)^recipient: (.*)", envelope))
        requests = sorted(re.findall(r"(?m)^named_attribute: ((?:notify|dsn_orig|envelope_id|ret_flags).*)", envelope))
        # What a report says is for test_bounce.
        is_report = "auto-replied" in content
        return ("hold" if queue == "hold" else "queue", sender, recipients, requests,
                "report" if is_report else self.normal(content))

    def play(self, reader, only=""):
        with self.instance as mta, self.milter("first") as first, self.milter("second") as second, \
                self.milter("submitted") as submitted, Milter(7357) as tcp:
            assert mta and tcp
            for scenario in SCENARIOS:
                if re.search(only, scenario[0]):
                    self.one([tcp] if scenario[1] == "tcp" else [first, second], scenario)
            for scenario in SUBMITTED + KEPT + LAST:
                if re.search(only, scenario[0]):
                    self.submit(submitted, scenario, scenario in KEPT)
            self.messages(reader)
        return self.found


class MilterCompat(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        with DNSServer() as dns:
            reader = OracleInstance("reader")
            cls.addClassCleanup(reader.remove)
            cls.theirs = Side(OracleInstance, dns).play(reader)
            cls.ours = Side(Instance, dns).play(reader)

    def compare(self, part):
        for name, theirs in self.theirs.items():
            if name in DIFFERENT:
                continue
            with self.subTest(scenario=name):
                self.assertEqual(theirs[part], self.ours[name][part])

    def test_replies(self):
        self.compare(0)

    def test_milter(self):
        self.compare(1)

    def test_log(self):
        self.compare(2)

    def test_messages(self):
        self.compare(3)


if __name__ == "__main__":
    unittest.main()
