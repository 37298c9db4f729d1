# SPDX-License-Identifier: Apache-2.0
"""Submission beside Debian's: sendmail and postdrop on the same command lines and messages
give the same exit status, the same texts on standard error and the same maildrop file;
pickup and cleanup make the same queue file and log lines of it.

Each row is run in a mail system of its own that is not started, with a file in maildrop at
its end or without. Rows of QUEUED go on through a running pickup and cleanup.
"""
import contextlib
import grp
import os
import pwd
import re
import signal
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from system import queuefile, world
from system.instance import Instance, OracleInstance
from system.queuefile import message

AT_ONCE = 8
BODY = b"Subject: hello\n\nhello\n"
TO = b"To: a@example.org\n" + BODY


def furnish(instance):
    """The directories that the start of the mail system makes."""
    owner = pwd.getpwnam("postfix").pw_uid
    for name, mode, group in (("maildrop", 0o730, "postdrop"), ("public", 0o710, "postdrop"),
                              ("pid", 0o755, "root")):
        path = os.path.join(instance.queue, name)
        os.mkdir(path)
        os.chown(path, owner, grp.getgrnam(group).gr_gid)
        os.chmod(path, mode)
    return instance


def maildrop(instance):
    """Records of each file there, without what differs each time, and its mode."""
    found = []
    folder = os.path.join(instance.queue, "maildrop")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        with open(path, "rb") as f:
            records = queuefile.records(f.read())
        found.append((oct(os.stat(path).st_mode), steady(records)))
    return found


def steady(records):
    return [(kind, b"TIME") if kind == "T" else
            (kind, b"create_time=TIME") if value.startswith(b"create_time=") else (kind, value)
            for kind, value in records]


def smooth(instance, text):
    """Text of a program, without its places."""
    text = text.replace(instance.dir.encode(), b"DIR")
    text = text.replace(instance.parameters["command_directory"].encode(), b"BIN")
    text = text.replace(b"%s.example.net" % instance.kind.encode(), b"HOST")
    text = re.sub(rb"\0queue_id\0[^\0]+", b"\0queue_id\0ID", text)
    return re.sub(rb"maildrop/[0-9A-F.]+", b"maildrop/FILE", text)


# (options, message); {} stands for nothing that would differ.
def row(options, message=BODY, **more):
    return (options.split() if isinstance(options, str) else options, message, more)


COMMAND_LINES = [
    row("a@example.org"), row("-bm a@example.org"), row("-i a b c"), row("-oi a"),
    row("-f s@example.org a"), row("-fs@example.org a"), row("-r s@example.org a"),
    row(["-f", "", "a"]), row(["-f", "<>", "a"]), row(["-f", "<x@y>", "a"]),
    row(["-f", "Some Body <x@y> (c)", "a"]), row(["-f", '"a b"@c', "a"]),
    row(["-f", "x@y, z@w", "a"]), row(["-f", "a b", "a"]), row(["-f", "(c)", "a"]),
    row("-F Name a"), row(["-F", "Full Name", "a"]), row(["-F", "", "a"]),
    row(["-F", "q\"u\\o", "a"]), row(["-FX Y", "a"]),
    row("-N never a"), row("-N success,failure a"), row("-Ndelay a b"), row("-N bogus a"),
    row("-N never,success a"), row("-R hdrs a"), row("-R full a"), row("-R x a"),
    row("-R FULL a"), row("-N NEVER a"), row(["-N", "", "a"]), row("-N success,,delay a"),
    row("-V envid a"), row(["-V", "x" * 100, "a"]), row(["-V", "x" * 101, "a"]),
    row(["-V", "a b", "a"]), row(["-V", "a\tb", "a"]), row(["-V", "", "a"]),
    row("-V a+b=c a"), row("-V +40 a"),
    row("-XV -f s@x a"), row("-XV+= -f s@x a"), row("-XV+ -f s@x a"), row("-XVab -f s@x a"),
    row("-V += -f s@x a"), row("-V+= -f s@x a"), row(["-XV", "-f", "", "a"]), row("-XV a"),
    row("-Xfile a"), row("-X file a"),
    row("-G a"), row("-L tag a"), row("-Ltag a"), row("-bv a"), row("-v a"), row("-bv -v a"),
    row("-bv -N never a"), row("-bv -R hdrs a"), row("-bv -V id a"),
    row("-bv -t", TO), row("-bv -t -N never", TO),
    row("-bi"), row("-I"), row("-bh"), row("-bH"), row("-bx a"), row("-b a"), row("-bmx a"),
    row("-B 8BITMIME a"), row("-B7BIT a"), row("-B bogus a"), row("-B 8bitmime a"),
    row("-O foo=bar a"), row("-OTimeout.x=1 a"), row("-om a"), row("-oem a"), row("-o7 a"),
    row("-o8 a"), row("-oX a"), row("-o x a"), row("-A x a"), row("-Ac a"), row("-Am a"),
    row("-h 20 a"), row("-n a"), row("-U a"), row("-c a"), row("-e m a"), row("-m a"),
    row("-p proto a"), row("-x a"), row("-z a"), row("-it a", TO), row("-ti", TO),
    row("-ivt", TO), row("-Z a"), row("-? a"), row("--"), row("-- -a"), row("-- a"),
    row("a -f b"), row("-t -- b", TO), row("-"), row(["-i", "--", "-f", "x"]),
    row(""), row("-f"), row("-t -f"), row("-q5m"), row("-q5m a"), row("-qXfoo"), row("-qSx"),
    row("-q a", skip_when_down=True), row("-i -f s a"), row("-f s@b -F N -i -N never -R hdrs -V e a b"),
    row(["a b c"]), row(["a,b,c"]), row(["a, <b@c>, (x) \"d e\"@f"]), row(["<>"]),
    row([""]), row(["", "a"]), row(["(comment)"]), row(["group: a, b;"]), row(["group:;"]),
    row(["a\nb"]), row(["a@b\r"]), row(["\\\"x@y"]), row(["\"unclosed@y"]), row(["x@[1.2.3.4]"]),
    row(["@route:x@y"]), row(["a@b@c"]), row(["\u00e9@x"]), row(["-f", "\u00e9", "a"]),
    row(["-f", "a\nb", "x"]), row(["-V", "\u00e9", "x"]),
    row(["-C", "/nonexistent", "a"]), row("-C"),
]

HEADERS = [
    b"To: a@b\n\nx\n", b"To: a, b, c@d\nCc: e\nBcc: f\n\nx\n", b"tO : a@b\n\nx\n",
    b"To: Group: a, b, \"c d\"@e;, f\n\nx\n", b"To: undisclosed-recipients:;\n\nx\n",
    b"To: (comment (nested)) a (c) @ (d) b\n\nx\n", b"To: A B <a@b>, \"C, D\" <c@d>\n\nx\n",
    b"To: a@b,\n c@d,\n\te@f\n\nx\n", b"To:\n a@b\n\nx\n", b"To: \n\nx\n", b"Subject: x\n\nx\n",
    b"Resent-To: r@x\nTo: a@b\nCc: c\n\nx\n", b"To: a@b\nResent-Cc: r\nResent-Bcc: s\n\nx\n",
    b"To: a\nResent-From: r@x\n\nx\n", b"To: a\nTo: b\nCc: c\nCc: d\n\nx\n",
    b"Bcc: a@b\n\nx\n", b"Bcc:\n\nx\n", b"Apparently-To: a\nTo: b\n\nx\n",
    b"Reply-To: a\nErrors-To: b\n\nx\n", b"To: <>\n\nx\n", b"To: <a@b\n\nx\n",
    b"To: a b c\n\nx\n", b"To: a@b; c@d\n\nx\n", b"To: a@b:c\n\nx\n", b"To: \"a\\\"b\"@c\n\nx\n",
    b"To: a@b\nno header\nCc: c@d\n\nx\n", b" To: a@b\n\nx\n", b"\nTo: a@b\n\nx\n",
    b"From x Mon\nTo: a@b\n\nx\n", b">From x\nFrom y\nTo: a@b\n\nFrom z\n",
    b"To: a@b\r\nCc: c@d\r\n\r\nx\r\n", b"To: a@b", b"To: a@b\nCc: c@d", b"To:a@b\n",
    b"To: " + b",".join(b"u%d@example.org" % i for i in range(3000)) + b"\n\nx\n",
    b"To: " + b",\n ".join(b"u%d@example.org" % i for i in range(3000)) + b"\n\nx\n",
    b"Subject: " + b"x" * 120000 + b"\nTo: a@b\n\nx\n",
    b"To: a@b\n" + b"X: y\n" * 20000 + b"Cc: c@d\n\nx\n",
    b"To: \xe9@x\n\nx\n", b"To: a\0b@x\n\nx\n", b"To: a@b\0\n\nx\n", b"To: =?utf-8?q?x?= <a@b>\n\nx\n",
    b"To: a@[IPv6:::1], b@[1.2.3.4]\n\nx\n", b"To: @r1,@r2:a@b\n\nx\n", b"To: a@b (x\n\nx\n",
    b"To: a@b,,c@d,\n\nx\n", b"To: a@b\n.\nCc: x@y\n\nz\n", b"To: a@b\nMIME-Version: 1.0\n"
    b"Content-Type: multipart/mixed; boundary=x\n\n--x\nTo: in@part\n\nx\n--x--\n",
    b"To: a@b\nContent-Type: message/rfc822\n\nTo: nested@x\n\nx\n",
    b"Resent-To: a@b\nResent-From: x\n\nx\n", b"Resent-Bcc: a@b\nTo: x\n\nx\n",
    b"Resent-Date: x\nTo: a@b\n\nx\n", b"Resent-Reply-To: q\nTo: a@b\n\nx\n",
    b"Resent-Sender: q\nTo: a@b\n\nx\n", b"Return-Receipt-To: a@b\n\nx\n",
    b"To: a@b\n \t \nCc: c@d\n\nx\n", b"To: a@b\n\n", b"",
]

CONTENTS = [
    b"", b"\n", b"x", b"x\n", b"\n\n\n", b".\n", b".", b"a\n.\nb\n", b"a\n..\nb\n", b"a\n. \nb\n",
    b"a\n.", b"a\r\n.\r\nb\r\n", b"a\r\nb\nc\r\n", b"a\nb\r\nc\r\n", b"a\rb\n", b"a\r\r\nb\r\r\n",
    b"\r\n", b"\r", b"a\r", b"a\0b\n\0", b"\xff\xfe\x80\n", b"no end", b"From a\nb\n",
    b"From a", b"From a\nFrom b\n", b">From a\nb\n", b"Fromage\n", b"from a\n", b" lead\n",
    b"\tlead\nx\n", b"x" * 2047 + b"\n", b"x" * 2048 + b"\n", b"x" * 2049 + b"\n",
    b"x" * 4096, b"x" * 4096 + b"\n", b"x" * 100000 + b"\nend\n", b"a\n" + b"x" * 2048 + b"\r\n",
    b"x" * 2047 + b"\r\n", b"x" * 2046 + b"\r\n", b"From " + b"x" * 5000 + b"\nb\n",
    b"a\n" + b"x" * 2048 + b".\n", b"x" * 2048 + b"\n.\nb\n",
]


class BesideOracle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        world.need_oracle()
        world.need_build("bin/sendmail", "bin/postdrop")

    def submit(self, kind, options, message, parameters=(), name="sendmail", **more):
        with new(kind, **dict(parameters)) as instance:
            result = instance.run(name, *options, stdin=message, check=False,
                                  env={"NAME": "Some One", **more.pop("env", {})}, **more)
            return (result.returncode, smooth(instance, result.stdout),
                    smooth(instance, result.stderr), maildrop(instance))

    def compare(self, options, message, **more):
        want = self.submit(OracleInstance, options, message, **more)
        got = self.submit(Instance, options, message, **more)
        self.assertEqual(got, want, f"{options} {message[:80]}")

    def compare_all(self, rows):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            todo = [(r, pool.submit(self.compare, r[0], r[1], **r[2])) for r in rows]
            for (options, message, _), result in todo:
                with self.subTest(options=options, message=message[:60]):
                    result.result()


@contextlib.contextmanager
def new(kind, **parameters):
    instance = furnish(kind(**parameters))
    try:
        yield instance
    finally:
        instance.remove()


class Sendmail(BesideOracle):
    def test_command_lines(self):
        self.compare_all(row(o, m) for o, m, more in COMMAND_LINES if not more)

    def test_full_name_cannot_begin_a_header_line(self):
        """Debian's takes it as it is."""
        status, _, _, files = self.submit(Instance, ["-F", "a\r\nb", "x"], BODY)
        self.assertEqual((status, len(files)), (0, 1))
        self.assertIn(("F", b"a  b"), files[0][1])

    def test_recipients_of_the_header(self):
        self.compare_all([row("-t", h) for h in HEADERS] +
                         [row("-t -i x@y", h) for h in HEADERS[:8]])

    def test_contents(self):
        self.compare_all([row("a", c) for c in CONTENTS] + [row("-i a", c) for c in CONTENTS])

    def test_line_endings(self):
        for how in ("strict", "never", "always", "bogus"):
            self.compare_all(row("a", c, parameters={"sendmail_fix_line_endings": how})
                             for c in CONTENTS if b"\r" in c)


PLAIN = "S:s@x|R:r@x"
RECORDS = [
    message(PLAIN), message("S:s@x"), message("R:r@x"), message(PLAIN, end=""), b"", b"\0", b"S",
    message(PLAIN)[:-9], message(PLAIN)[:5], message(PLAIN, tail=b"more"), b"S\x7fshort",
    message("S:s@x|S:t@x|R:r@x"), message("R:r@x|S:s@x"), message("S:|R:r@x"), message("S:s@x|R:"),
    message("F:Name|" + PLAIN), message(PLAIN + "|F:late"), message("V:+=|" + PLAIN),
    message(PLAIN, content=""), message(PLAIN, content="L:part|N:rest"),
    message(PLAIN, extracted="R:later@x"), message("S:s@x", extracted="R:later@x"),
    *(message(f"A:{each}|" + PLAIN) for each in (
        "encoding=8bit", "encoding=7bit", "encoding=", "encoding=x", " encoding = 8bit ", "none", "=x",
        "rewrite_context=local", "rewrite_context=remote", "rewrite_context=x", "sasl_username=a",
        "create_time=1", "envelope_id=x", "dsn_orig_rcpt=rfc822;a", "notify_flags=1",
        "notify_flags=99", "ret_flags=1", "trace_flags=0", "client_name=x", "log_client_name=x",
        "x" * 190 + "=y", "x" * 190 + "=" + "y" * 9)),
    *(message(PLAIN + "|" + each) for each in (
        "C:1", "D:r@x", "O:o@x", "L:smtp:x", ">:a@b", "W:1", "K:x", "/:x", "p:0", "f:0", "N:x", "X",
        "E", "w:x", "r:x", "e:x", "P:x", "Q:x", "c:1", "m:1", "<:1", "o:x")),
    *(message(PLAIN, content="N:X: y|" + each) for each in ("R:r", "S:s", "w:x", "p:0", "E", "M", "Q:x")),
    *(message(PLAIN, extracted=each) for each in ("N:x", "M", "X", "S:s@x", "F:n", "O:o", "D:x", "Q:x")),
    message(PLAIN, content="N:" + "x" * 2048), message(PLAIN, content="N:" + "x" * 2049),
    message(PLAIN + "|R:" + "r" * 3000),
]


class Postdrop(BesideOracle):
    """Records straight into postdrop, as root and as an ordinary user. Debian's tells more
    of a record that is no record, and leaves the file of a message without sender or
    recipient behind, which nobody will look at (it has not the mode of a complete one)."""

    def submit(self, *args, **more):
        status, out, said, files = super().submit(*args, **more)
        said = re.sub(rb"postdrop: warning: stdin: .*\n", b"", said)
        return status, out, said, [f for f in files if f[0] != "0o100644"]

    def test_records(self):
        self.compare_all(row("-r", records, name="postdrop") for records in RECORDS)

    def test_without_r(self):
        self.compare_all(row("", records, name="postdrop") for records in RECORDS[:12])

    def test_as_a_user(self):
        self.compare_all(row("-r", records, name="postdrop", user="tester")
                         for records in RECORDS[:3])
        self.compare_all([row("a@x", BODY, user="tester"), row("-f s@x -F N a@x", BODY, user="tester"),
                          row("-t", TO, user="tester")])

    def test_who_may(self):
        for allowed in ("root", "!tester, static:anyone", "tester"):
            for user in (None, "tester"):
                self.compare_all([row("a@x", BODY, user=user, parameters={
                    "authorized_submit_users": allowed})])

    def test_options(self):
        self.compare_all(row(options, RECORDS[0], name="postdrop")
                         for options in ("-x", "-rr", "word", "-r word", "-c /nonexistent"))


if __name__ == "__main__":
    unittest.main()
