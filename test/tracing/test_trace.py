#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hikyaku trace on logs with every kind of line, against what it should say.

HIKYAKU_BUILD names the build directory (default build/dev). The expected output stands in
golden/; after a wanted change write it anew with: test/tracing/test_trace.py --update
"""
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("HIKYAKU_BUILD", HERE.parent.parent / "build/dev"))
HIKYAKU = BUILD.resolve() / "bin/hikyaku"
MODIFIED = 1796083200  # 2026-12-01: gives the year of stamps without one
ENV = {**os.environ, "TZ": "UTC", "NO_COLOR": "1", "MAIL_CONFIG": "/nonexistent"}
UPDATE = False

CASES = [  # name, log, arguments; each in text and JSON
    ("greylisted", "all", ["hanako@example.org"]),
    ("alias", "all", ["all@example.jp"]),
    ("address-case", "all", ["HANAKO@Example.ORG"]),
    ("forward-and-bounce", "all", ["4dKtRq3Xw1z9bFd"]),
    ("bounce-by-its-own-id", "all", ["4dKtRs1BCDz9bFg"]),
    ("sasl-user", "all", ["jiro@example.org"]),
    ("message-id", "all", ["<filter@example.edu>"]),
    ("filter-by-second-id", "all", ["A1B2C3D4F6"]),
    ("remote-id", "all", ["7F00A12345"]),
    ("client-address", "all", ["203.0.113.66"]),
    ("client-in-full", "all", ["--all", "203.0.113.66"]),
    ("client-name", "all", ["client.example.net"]),
    ("block-list", "all", ["--all", "203.0.113.67"]),
    ("postscreen", "all", ["--all", "203.0.113.80"]),
    ("denylisted", "all", ["203.0.113.82"]),
    ("blacklisted", "all", ["203.0.113.81"]),
    ("relay-denied", "all", ["victim@example.com"]),
    ("deferred", "all", ["ops@down.example.com"]),
    ("held", "all", ["B0000000003"]),
    ("held-and-released", "all", ["B0000000004"]),
    ("requeued", "all", ["B0000000005"]),
    ("deleted", "all", ["B0000000007"]),
    ("expired", "all", ["old@example.org"]),
    ("milter", "all", ["rokuro@example.org"]),
    ("login-failed", "all", ["B000000000A"]),
    ("next-server", "all", ["B000000000B"]),
    ("no-such-domain", "all", ["w@typo.example"]),
    ("odd-text", "all", ["B000000000D"]),
    ("warning-with-id", "all", ["B000000000E"]),
    ("short-id-used-again", "all", ["C7640280020"]),
    ("only-the-second-use", "all", ["reused@example.com"]),
    ("many", "all", ["example.com"]),
    ("since", "all", ["--since", "2026-11-24 10:50", "example.com"]),
    ("until", "all", ["--until", "2026-11-24 10:09", "C7640280020"]),
    ("nothing", "all", ["absent@example.org"]),
    ("no-part-of-a-word", "all", ["anako@example.org"]),
    ("iso-two-hosts", "iso", ["far@example.org"]),
    ("iso-ipv6", "iso", ["2001:db8::1"]),
]


def run(args, **more):
    return subprocess.run([HIKYAKU, "trace", *args], capture_output=True, env=ENV,
                          timeout=60, **more)


# In every line; not worth repeating.
COMMON = ("time", "host", "tag", "pid", "severity", "text", "queue_id", "agent", "delays_s")


def told_of_line(out):
    """What --json says of the only line of a log: "kind name=value ...", "" for nothing."""
    events = list(out["without_queue_id"])
    for story in out["stories"]:
        for message in story["messages"]:
            events += message["events"]
            for recipient in message["recipients"]:
                names = {k: v for k, v in recipient.items() if k != "attempts"}
                events += [{"kind": "delivery", **names, **attempt}
                           for attempt in recipient["attempts"]]
    return "; ".join(" ".join([event["kind"]] + [
        f"{name}={value!r}" if isinstance(value, str) else f"{name}={value}"
        for name, value in event.items() if name not in COMMON and name != "kind"])
        for event in events)


class Trace(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.path = pathlib.Path(self.dir.name)

    def put(self, name, data, modified=MODIFIED):
        path = self.path / name
        path.write_bytes(data)
        os.utime(path, (modified, modified))
        return str(path)

    def log(self, name):
        return (HERE / "logs" / f"{name}.log").read_bytes()

    def golden(self, name, text):
        path = HERE / "golden" / name
        if UPDATE:
            path.write_text(text)
        self.assertEqual(text, path.read_text())

    def test_cases(self):
        self.assertGreaterEqual(len(self.log("all").splitlines()), 100)
        for name, log, args in CASES:
            file = self.put(log + ".log", self.log(log))
            for option, ending in ([], "txt"), (["--json"], "json"):
                with self.subTest(case=name, form=ending):
                    done = run([*option, *args, file])
                    text = done.stdout.decode().replace(self.dir.name, "/log")
                    self.golden(f"{name}.{ending}", f"{text}exit {done.returncode}\n")
                    self.assertEqual(done.stderr, b"")
                    if option:
                        json.loads(done.stdout)

    def test_lines(self):
        """Every kind of line by itself: what trace makes of it. In golden/lines.txt stand
        the line, the kind and what was found in it, or `-` where such a line alone tells
        nothing of a message, and what a person is shown. No line is passed over: it is
        told, or counted as one of those that every session has, and then --all tells it.
        """
        told = []
        rows = [row.split("\t") for row in
                (HERE / "logs/lines.txt").read_text().splitlines() if row[0] != "#"]
        self.assertGreater(len({line for _, line in rows}), 230)
        for key, line in rows:
            file = self.put("one.log", line.encode() + b"\n")
            done = run(["--json", key, file])
            out = json.loads(done.stdout)
            found = told_of_line(out)
            self.assertEqual(done.returncode, 0 if found else 1, line)
            shown = run([key, file])
            self.assertEqual(shown.returncode, done.returncode, line)
            if not found and not out["no_log_lines"]:
                self.assertEqual(out["searched"]["session_lines"], 1, line)
                every = run(["--json", "--all", key, file])
                self.assertTrue(told_of_line(json.loads(every.stdout)), line)
            text = shown.stdout.decode().replace(self.dir.name, "/log")
            told.append(f"{line}\n    {found or '-'}\n"
                        + "".join(f"  | {row}\n" for row in text.splitlines()))
        self.golden("lines.txt", "".join(told))

    def test_forms_of_input_agree(self):
        """Plain, compressed, standard input and cut in rotated pieces say the same."""
        data = self.log("all")
        plain = run(["--all", "example.com", self.put("mail.log", data)])
        packed = self.put("mail.log.1.gz", gzip.compress(data))
        self.assertEqual(run(["--all", "example.com", packed]).stdout, plain.stdout)
        lines = data.splitlines(True)
        pieces = [self.put("mail.log.2.gz", gzip.compress(b"".join(lines[:40]))),
                  self.put("mail.log.1", b"".join(lines[40:70])),
                  self.put("mail.log", b"".join(lines[70:]))]
        whole = run(["--all", "example.com", *reversed(pieces)])
        self.assertEqual(whole.stdout, plain.stdout)
        iso = self.log("iso")
        self.assertEqual(run(["far@example.org", "-"], input=iso).stdout,
                         run(["far@example.org", self.put("iso.log", iso)]).stdout)

    def test_far_apart(self):
        """The beginning of a message lies far before the line with the key."""
        lines = self.log("all").splitlines(True)
        noise = b"Nov 24 10:05:00 mail postfix/anvil[1]: statistics: max cache size 9\n"
        for between in 10, 30000, 400000:       # the last: more than is looked back
            data = b"".join(lines[:6]) + noise * between + b"".join(lines[6:9])
            for name, content in ("far.log", data), ("far.log.gz", gzip.compress(data, 1)):
                with self.subTest(between=between, file=name):
                    out = run(["1472524725", self.put(name, content)]).stdout
                    self.assertIn(b"by user id 48", out)
                    self.assertIn(b"Greylisted", out)
                    self.assertIn(b"finished", out)

    def test_many_open_messages(self):
        """More messages at a time than are searched for one by one."""
        lines = []
        for step in ("client=c.example.net[192.0.2.7]", "message-id=<x@example.net>",
                     "from=<many@example.net>, size=1, nrcpt=1 (queue active)"):
            lines += [f"Nov 24 10:00:00 mail postfix/x[1]: AB{i:08X}: {step}\n"
                      for i in range(400)]
        for i in range(400):
            lines.append(f"Nov 24 10:00:09 mail postfix/smtp[1]: AB{i:08X}: to=<r@example.com>,"
                         " relay=m[192.0.2.8]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
                         "status=sent (250 ok)\n")
            lines.append("Nov 24 10:00:09 mail postfix/y[1]: " + "filler " * 100 + "\n")
        lines += [f"Nov 24 10:00:10 mail postfix/qmgr[1]: AB{i:08X}: removed\n"
                  for i in range(400)]
        done = run(["--json", "192.0.2.7", self.put("m.log", "".join(lines).encode())])
        stories = json.loads(done.stdout)["stories"]
        self.assertEqual(len(stories), 400)
        self.assertEqual({s["messages"][0]["outcome"] for s in stories}, {"delivered"})

    def test_damage(self):
        data = self.log("all")
        cut = gzip.compress(data)[:-400]
        done = run(["hanako@example.org", self.put("cut.gz", cut)])
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"ends early", done.stderr)
        junk = b"\0" * 100 + b" hanako@example.org\n" + b"x" * 3000000 + b"\n"
        done = run(["hanako@example.org", self.put("junk.log", junk + data)])
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"1 damaged line", done.stderr)
        self.assertIn(b"too long", done.stderr)
        self.assertIn(b"Greylisted", done.stdout)
        done = run(["hanako@example.org", self.put("nolf.log", data.rstrip(b"\n"))])
        self.assertEqual(done.returncode, 0)

    def test_no_control_characters(self):
        evil = (b"Nov 24 10:00:00 mail postfix/smtp[1]: AB00000001: to=<x@example.org>, "
                b"relay=none, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred "
                b"(\x1b[31mred\x07 \xff\xfe \xc2\x9b31m \xe2\x80\xae)\n")
        for option in [], ["--json"]:
            out = run([*option, "x@example.org", self.put("evil.log", evil)]).stdout
            self.assertNotIn(b"\x1b", out)
            self.assertNotIn(b"\x07", out)
            if not option:
                self.assertNotIn(b"\xc2\x9b", out)
                self.assertNotIn(b"\xe2\x80\xae", out)
            out.decode()

    def test_other_programs(self):
        """Lines that tell of no message: a few are shown as they are, many are summed up
        by program, and --all and --json tell every one."""
        line = "Nov 24 10:00:00 mail dovecot: imap-login: Login: user=<u@example.org>\n"
        more = "Nov 24 10:00:01 mail rspamd[7]: a word on u@example.org\n"
        usual = "Nov 24 10:00:02 mail postfix/smtpd[1]: connect from u@example.org[192.0.2.1]\n"
        for n, rows in (2, [b"imap-login"] * 2 + [b"a word"]), (40, [b"dovecot 40, rspamd 1;"]):
            file = self.put("o.log", (line * n + more + usual).encode())
            out = run(["u@example.org", file])
            self.assertEqual(out.returncode, 0)
            for row in rows:
                self.assertIn(row, out.stdout)
            self.assertEqual(out.stdout.count(b"imap-login"), 2 if n == 2 else 0)
            self.assertIn(b"1 line of connections", out.stdout)
            out = run(["--all", "u@example.org", file]).stdout
            self.assertEqual(out.count(b"imap-login"), n)
            self.assertNotIn(b"not shown", out)
            self.assertEqual(out.count(b"connect"), 1)
            out = json.loads(run(["--json", "u@example.org", file]).stdout)
            self.assertEqual(len(out["without_queue_id"]), n + 1)
            self.assertEqual(out["searched"]["session_lines"], 1)

    def test_three_are_few(self):
        line = "Nov 24 10:00:00 mail postfix/smtpd[1]: warning: trouble with u@example.org\n"
        for n, brief in (3, False), (4, True):
            out = run(["u@example.org", self.put("w.log", (line * n).encode())]).stdout
            self.assertEqual(b"In full: --all" in out, brief)
            self.assertEqual(out.count(b"trouble"), n)

    def test_second_message_id(self):
        line = "Nov 24 10:00:00 mail postfix/cleanup[1]: AB00000001: {}message-id=<{}@x.example>\n"
        out = run(["AB00000001", self.put("i.log", (
            line.format("", "first") + line.format("resent-", "second")).encode())]).stdout
        self.assertEqual(out.count(b"<first@x.example>"), 1)
        self.assertIn(b"resent-message-id=<second@x.example>", out)

    def test_line_that_mentions_a_message(self):
        """A filter's line with the queue id in its middle stands in the message's story,
        from whichever side it is found; ids of other messages, and parts of words, not."""
        log = ["postfix/smtpd[1]: AB00000001: client=c.example.net[192.0.2.1]",
               "postfix/qmgr[1]: AB00000001: from=<s@example.net>, size=1, nrcpt=1 (queue active)",
               "filterd[2]: scanned AB000000012 before AB00000001 for <r@example.com>, clean",
               "filterd[2]: scanned AB000000012",
               "filterd[2]: scanned xAB00000001",
               "postfix/smtp[1]: AB00000001: to=<r@example.com>, relay=m[192.0.2.8]:25, delay=1, "
               "delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)",
               "postfix/qmgr[1]: AB00000001: removed"]
        # Hours later the same word is about something else.
        file = self.put("m.log", ("".join(f"Nov 24 10:00:0{i} mail {text}\n"
                                          for i, text in enumerate(log))
                                  + "Nov 24 12:30:00 mail filterd[2]: AB00000001 again\n").encode())
        for key in "r@example.com", "AB00000001":
            out = json.loads(run(["--json", key, file]).stdout)
            [story] = out["stories"]
            [message] = story["messages"]
            told = [e["text"] for e in message["events"] if e["tag"] == "filterd"]
            self.assertEqual(
                told, ["scanned AB000000012 before AB00000001 for <r@example.com>, clean"], key)
            self.assertEqual(len(out["without_queue_id"]), 1 if key == "AB00000001" else 0)
        # What is as short as this may be any number.
        file = self.put("m.log", "".join(
            f"Nov 24 10:00:0{i} mail {text.replace('AB00000001', 'AB0001')}\n"
            for i, text in enumerate(log)).encode())
        [story] = json.loads(run(["--json", "r@example.com", file]).stdout)["stories"]
        self.assertNotIn("filterd", json.dumps(story))

    def stories(self, key, *rows):
        """[[queue ids of a story]], from lines "SECOND HOST TEXT"."""
        lines = []
        for row in rows:
            second, host, text = row.split(" ", 2)
            minute, second = divmod(int(second), 60)
            lines.append(f"Nov 24 10:{minute:02}:{second:02} {host} postfix/{text}\n")
        out = json.loads(run(["--json", key, self.put("s.log", "".join(lines).encode())]).stdout)
        return [[m["queue_id"] for m in s["messages"]] for s in out["stories"]]

    def test_filter_that_submits_anew(self):
        """Only the message-id connects the two; not with the same mail from elsewhere, or
        when nothing was given to a filter, or much later."""
        first = ["0 m smtpd[1]: AB00000001: client=c.example.net[192.0.2.1]",
                 "0 m cleanup[1]: AB00000001: message-id=<1@example.net>"]
        piped = ["1 m pipe[1]: AB00000001: to=<r@example.org>, relay=f, delay=1, "
                 "delays=0/0/0/1, dsn=2.0.0, status=sent (delivered via f service)"]
        boxed = [piped[0].replace("pipe[", "virtual[")]
        relayed = ["1 m smtp[1]: AB00000001: to=<r@example.org>, relay=127.0.0.1[127.0.0.1]:"
                   "10024, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)"]
        again = ["1 m pickup[1]: AB00000002: uid=7 from=<s@example.net>",
                 "1 m cleanup[1]: AB00000002: message-id=<1@example.net>"]
        local = ["1 m smtpd[1]: AB00000002: client=localhost[127.0.0.1]", again[1]]
        remote = ["1 m smtpd[1]: AB00000002: client=d.example.net[192.0.2.2]", again[1]]
        later = [row.replace("1 m", "99 m", 1) for row in again]
        other = [again[0], again[1].replace("<1@", "<2@")]
        for rows, joined in ((piped + again, True), (relayed + local, True),
                             (boxed + again, False), (piped + remote, False),
                             (piped + later, False), (piped + other, False)):
            for key, queue_id in (("AB00000001", "AB00000001"), ("AB00000002", "AB00000002")):
                with self.subTest(rows=rows, key=key):
                    self.assertEqual(self.stories(key, *first, *rows), [
                        ["AB00000001", "AB00000002"] if joined else [queue_id]])
        # One that was there before is another.
        self.assertEqual(self.stories("AB00000001", *again, *[
            row.replace("0 m", "3 m", 1) for row in first], piped[0].replace("1 m", "4 m")),
            [["AB00000001"]])
        # The message comes back before the log says that it was given.
        self.assertEqual(self.stories("AB00000001", *first, *again, *piped),
                         [["AB00000001", "AB00000002"]])

    def test_one_id_under_two_host_names(self):
        """A service with a myhostname of its own is the same machine; but an id that two
        machines use is two messages."""
        start = "0 back smtpd[1]: AB00000001: client=c.example.net[192.0.2.1]"
        rest = "1 mail qmgr[1]: AB00000001: from=<a@example.net>, size=1, nrcpt=1 (queue active)"
        self.assertEqual(self.stories("AB00000001", start, rest), [["AB00000001"]])
        [story] = json.loads(run(["--json", "AB00000001", str(self.path / "s.log")]).stdout)[
            "stories"]
        self.assertEqual(story["messages"][0]["host"], "mail")
        twice = [["AB00000001"], ["AB00000001"]]
        self.assertEqual(self.stories("AB00000001", start,
                                      start.replace("0 back", "1 mail"), rest), twice)
        self.assertEqual(self.stories("AB00000001", start,
                                      rest.replace("1 mail", "90 mail")), twice)

    def test_config(self):
        """maillog_file and its rotated siblings; the queue's times."""
        lines = self.log("all").splitlines(True)
        self.put("main.cf", f"maillog_file = {self.path}/maillog\n"
                 "minimal_backoff_time = 1000s\nmaximal_queue_lifetime = 1d\n".encode())
        self.put("maillog", b"".join(lines[60:]))
        self.put("maillog.20261124-104000.gz", gzip.compress(b"".join(lines[:60])))
        self.put("maillogger", b"Nov 24 00:00:00 m postfix/x[1]: AB00000001: ops@down.example.com\n")
        done = run(["--json", "-c", str(self.path), "ops@down.example.com"])
        out = json.loads(done.stdout)
        self.assertEqual(len(out["searched"]["files"]), 2)
        message = out["stories"][0]["messages"][0]
        self.assertEqual(message["expires"], "2026-11-25T10:40:00Z")
        self.assertEqual(message["next_attempt"], "2026-11-24T11:02:10Z")
        self.assertEqual(run(["-c", "/nonexistent", "ops@down.example.com"]).returncode, 2)

    def test_year(self):
        """Around the turn of the year the stamps have no year; the file's time tells."""
        text = ("Dec 31 23:59:59 mail postfix/pickup[1]: AB00000001: uid=0 from=<y@example.org>\n"
                "Jan  1 00:00:01 mail postfix/qmgr[1]: AB00000001: removed\n")
        file = self.put("y.log", text.encode(), 1798800000)   # 2027-01-01
        message = json.loads(run(["--json", "y@example.org", file]).stdout)
        message = message["stories"][0]["messages"][0]
        self.assertEqual(message["arrived"], "2026-12-31T23:59:59Z")
        self.assertEqual(message["finished"], "2027-01-01T00:00:01Z")

    def test_usage(self):
        file = self.put("a.log", self.log("all"))
        for args in [], ["--nonsense", "key", file], ["ab", file], \
                ["--since", "soon", "key", file], ["key@example.org", "/nonexistent/log"]:
            with self.subTest(args=args):
                done = run(args)
                self.assertEqual(done.returncode, 2)
                self.assertNotEqual(done.stderr, b"")

    def test_follow_survives_rotation(self):
        lines = self.log("all").splitlines(True)
        file = self.put("f.log", b"".join(lines[:5]))
        process = subprocess.Popen([HIKYAKU, "trace", "--follow", "taro@example.jp", file],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   env=ENV)
        try:
            self.wait_for(process, b"handed to delivery")
            with open(file, "ab") as log:
                log.write(lines[5][:50])
                log.flush()
                time.sleep(0.7)
                log.write(lines[5][50:])
            self.wait_for(process, b"Greylisted")
            os.rename(file, file + ".1")
            with open(file, "wb") as log:
                log.write(b"".join(lines[6:9]))
            self.wait_for(process, b"removed")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def test_follow_in_json(self):
        """First all there is as one object, then each new line as one on a line of its
        own."""
        lines = self.log("all").splitlines(True)
        file = self.put("f.log", b"".join(lines[:5]))
        with subprocess.Popen([HIKYAKU, "trace", "--json", "--follow", "taro@example.jp", file],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              env=ENV) as process:
            try:
                first = self.wait_for(process, b"\n}\n")
                self.assertEqual(len(json.loads(first)["stories"]), 1)
                with open(file, "ab") as log:
                    log.write(lines[5])
                new = json.loads(self.wait_for(process, b"}\n"))
                self.assertEqual((new["queue_id"], new["status"]), ("C7640280020", "deferred"))
            finally:
                process.kill()

    def wait_for(self, process, text):
        os.set_blocking(process.stdout.fileno(), False)
        seen = b""
        end = time.monotonic() + 20
        while text not in seen:
            self.assertLess(time.monotonic(), end, f"{text} not in {seen}")
            seen += process.stdout.read() or b""
            time.sleep(0.05)
        return seen


if __name__ == "__main__":
    UPDATE = "--update" in sys.argv
    unittest.main(argv=[a for a in sys.argv if a != "--update"])
