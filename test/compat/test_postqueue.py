# SPDX-License-Identifier: Apache-2.0
"""postqueue beside Debian's: the same spool, the same commands, the same words and exit
status; stopped and running, for the superuser and for others."""
import json
import os
import pwd
import re
import subprocess
import unittest
from concurrent.futures import ThreadPoolExecutor

from system.harness import Instance, OracleInstance

QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt", "bounce", "defer",
          "trace", "flush", "saved", "public", "private")


def record(kind, data=b""):
    if isinstance(data, str):
        data = data.encode()
    length, head = len(data), b""
    while True:
        length, low = length >> 7, length & 0x7F
        head += bytes([low | (0x80 if length else 0)])
        if not length:
            return kind.encode() + head + data


def message(sender, *recipients, text=b"Subject: x\n\nx\n", done=()):
    content = b"".join(record("N", line) for line in text.splitlines())
    envelope = (record("T", "1600000000 123456") + record("A", "create_time=1600000000")
                + record("S", sender)
                + b"".join(record("O", r) + record("D" if r in done else "R", r)
                           for r in recipients) + record("M"))
    size = "%15d %15d %15d %15d %15d %15d" % (
        len(content), len(envelope) + 97, len(recipients), 0, len(text), 0)
    return record("C", size) + envelope + content + record("X") + record("E")


def defer_log(*entries):
    return "".join(f"<{address}>: {reason}\nrecipient={address}\noffset=100\n"
                   f"status=4.4.1\naction=delayed\nreason={reason}\n\n"
                   for address, reason in entries).encode()


LONG_REASON = "host mx.example.org[192.0.2.1] said: 450 4.2.0 " + "much " * 20 + "later"
SPOOL = {
    "active/A0000A1": message("a@example.org", "b@example.org"),
    "hold/A0000A2": message("", "b@example.org", "c d@example.org"),
    "incoming/A0000A3": message('"q u"@example.org', "x@example.org", text=b"y" * 3000),
    "deferred/A/A0000A4": message("d@example.org", "e@example.org", "f@example.org",
                                  "g@example.org", "h@example.org", done=("h@example.org",)),
    "defer/A/A0000A4": defer_log(("e@example.org", "connect to x: Connection refused"),
                                 ("f@example.org", "connect to x: Connection refused"),
                                 ("g@example.org", LONG_REASON)),
    "deferred/B/B0000A5": message("late@example.org", "\xe9\xe8@example.org"),
    "defer/B/B0000A5": defer_log(("\xe9\xe8@example.org", 'said "no" \\ \xe9')),
    "deferred/B/B0000A6": b"this is no queue file",
    "deferred/B/B0000A7": message("cut@example.org", "r@example.org")[:-2],
    "maildrop/C0000A8": (record("T", "1600000000 1") + record("S", "user") + record("R", "x")
                         + record("M") + record("N", "t") + record("X") + record("E")),
    "deferred/B/BB6Vdw0000zB": message("long@example.org", "l@example.org"),
}
MODES = {"hold/A0000A2": 0o710, "active/A0000A1": 0o750, "maildrop/C0000A8": 0o744}
INCOMPLETE = {"incoming/D0000A9": message("no@example.org", "no@example.org")}

PERMITS = [
    {}, {"authorized_mailq_users": "root", "authorized_flush_users": "root"},
    {"authorized_mailq_users": "!tester, static:anyone"},
    {"authorized_mailq_users": "tester", "authorized_flush_users": "!tester static:anyone"},
    {"authorized_mailq_users": "", "authorized_flush_users": "TESTER"},
    {"authorized_mailq_users": "inline:{{tester=x}}", "authorized_flush_users": "/NAMES"},
    {"authorized_mailq_users": "/nonexistent", "authorized_flush_users": "fail:x"},
]
ASKED = [["-p"], ["-j"], ["-f"], ["-i", "A0000A1"], ["-s", "example.org"]]
SAID = [[], ["-x"], ["-f", "-p"], ["-p", "-j"], ["-p", "foo"], ["-c"], ["-f", "foo"], ["-i"],
        ["-s"], ["-i", "A", "-i", "B"], ["-p", "-p"],
        ["-s", "127.0.0.9"], ["-s", ""], ["-s", "@a"], ["-s", "a@example.org"], ["-s", "-x"],
        ["-s", "a..b"], ["-s", "[127.0.0.300]"], ["-s", "[::1]"], ["-s", "[IPv6:::1"],
        ["-s", "x" * 64 + ".example"], ["-s", ("x" * 60 + ".") * 5 + "y"],
        ["-i", "bad.id"], ["-i", ""], ["-i", "x" * 130 + "-"], ["-i", "../../etc/passwd"]]
RUNNING = [["-s", "example.org"], ["-s", "EXAMPLE.ORG"], ["-s", "sub.example.org"],
           ["-s", "other.example"], ["-s", "bad_host"], ["-s", "[127.0.0.9]"],
           ["-s", "[IPv6:::1]"], ["-i", "ABCDEF12"], ["-f"], ["-p"], ["-j"]]


def make(kind, spool=SPOOL, **parameters):
    mta = kind(relay_domains="example.org", **parameters)
    uid = pwd.getpwnam("postfix").pw_uid
    for queue in QUEUES:
        os.mkdir(os.path.join(mta.queue, queue), 0o755 if queue == "public" else 0o700)
        os.chown(os.path.join(mta.queue, queue), uid, -1)
    for name, data in spool.items():
        path = os.path.join(mta.queue, name)
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        os.chown(os.path.dirname(path), uid, -1)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, 0o600 if name in INCOMPLETE or name.startswith("defer/")
                 else MODES.get(name, 0o700))
        os.chown(path, uid, -1)
        os.utime(path, (1_600_000_100, 1_600_000_100))
    with open(os.path.join(mta.config, "names"), "w", encoding="ascii") as f:
        f.write("root\ntester\n")
    with open(mta.log.path, "w", encoding="ascii"):
        os.chmod(mta.log.path, 0o666)
    return mta


def ask(mta, arguments, user=None, program="postqueue"):
    if program == "mailq":   # a name of sendmail
        program = os.path.join(mta.dir, "mailq")
        if not os.path.islink(program):
            os.symlink(mta.program("sendmail"), program)
    r = mta.run(program, *arguments, user=user, check=False, env={"TZ": "UTC"})
    return r.returncode, r.stdout, r.stderr.decode().replace(mta.dir, "DIR").splitlines()


def blocks(out):
    """Messages of a text list, each as its lines, in any order."""
    return sorted(out.decode("utf-8", "replace").split("\n\n"))


def comparable(lines):
    """Without what is told in other words on purpose, up to where it is the same."""
    told = []
    for line in lines:
        line = re.sub(r"(usage: postqueue) .*", r"\1", line)
        line = re.sub(r"\(Connect to the Postfix showq service: .*\)", "(Connect)", line)
        line = re.sub(r"^mailq: ", "sendmail: ", line)   # ours has one name for all
        line = re.sub(r"(connect to public/\w+): .*", r"\1", line)
        if not re.match(r"postqueue: (fatal: .*(table|open)|warning: authorized_)", line):
            told.append(line)
    return told


class Compat(unittest.TestCase):
    def setUp(self):
        # Debian's sleeps where main.cf is new.
        self.pool = ThreadPoolExecutor(8)
        self.addCleanup(self.pool.shutdown)

    def pair(self, **parameters):
        made = make(Instance, **parameters), make(OracleInstance, **parameters)
        for mta in made:
            os.utime(os.path.join(mta.config, "main.cf"), (1e9, 1e9))
        return made

    def both(self, pair, *args, **more):
        return [f.result() for f in [self.pool.submit(ask, mta, *args, **more)
                                     for mta in pair]]

    def same(self, pair, arguments, user=None, **more):
        a, b = self.both(pair, arguments, user, **more)
        told = f"{arguments} {user}\nours {a}\ntheirs {b}"
        self.assertEqual(a[0], b[0], told)
        self.assertEqual(comparable(a[2]), comparable(b[2]), told)
        return a[1], b[1], told

    def same_list(self, pair, arguments, user=None, **more):
        a, b, told = self.same(pair, arguments, user, **more)
        self.assertEqual(blocks(a), blocks(b), told)
        return a

    def same_objects(self, pair):
        a, b, _ = self.same(pair, ["-j"])
        self.assertEqual(sorted(a.splitlines()), sorted(b.splitlines()))
        return [json.loads(line) for line in a.splitlines()]

    def test_list(self):
        for parameters in ({}, {"enable_long_queue_ids": "yes"},
                           {"empty_address_recipient": "NOBODY"}):
            with self.subTest(parameters):
                pair = self.pair(spool={**SPOOL, **INCOMPLETE}, **parameters)
                out = self.same_list(pair, ["-p"])
                self.assertIn(b"A0000A2!#", out)
                self.assertIn(b"A0000A1*", out)
                self.assertNotIn(b"no@example.org", out)

    def test_objects(self):
        for parameters in ({}, {"smtputf8_enable": "no"}):
            with self.subTest(parameters):
                found = self.same_objects(self.pair(**parameters))
                self.assertIn(True, [m["forced_expire"] for m in found])

    def test_one_and_none(self):
        one = self.pair(spool={"hold/A0000A2": SPOOL["hold/A0000A2"]})
        self.assertIn(b"in 1 Request.\n", self.same_list(one, ["-p"]))
        none = self.pair(spool={})
        self.assertEqual(self.same_list(none, ["-p"]), b"Mail queue is empty\n")
        self.assertEqual(self.same_objects(none), [])

    def test_by_the_name_of_sendmail(self):
        pair = self.pair()
        self.same_list(pair, ["-bp"], program="sendmail")
        self.same(pair, ["-q"], program="sendmail")
        self.same(pair, ["-qRexample.org"], program="sendmail")
        self.same(pair, ["-qIbad.id"], program="sendmail")
        for arguments in (["-qI"], ["-qR"], ["-qRbad site"], ["-qSx"], ["-bp", "who"]):
            with self.subTest(arguments):
                self.same(pair, arguments, program="sendmail")

    def test_mailq(self):
        pair = self.pair()
        self.same_list(pair, [], program="mailq")
        self.same(pair, ["who"], program="mailq")

    def test_by_the_name_of_mailq(self):
        asked = [("mailq_path", arguments) for arguments in
                 ([], ["recipient"], ["-q"], ["-qIABCDE1"], ["-qRexample.org"])]
        asked += [("sendmail_path", ["-bp", "-qIABCDE1"]), ("newaliases_path", ["recipient"]),
                  ("newaliases_path", ["-bp"]), ("sendmail_path", ["-qIABCDE1", "-qRexample.org"]),
                  ("sendmail_path", ["-qRexample.org", "-qIABCDE1"])]
        ours, theirs = [[ask(mta, arguments, program=mta.parameters[name])
                         for name, arguments in asked] for mta in self.pair()]
        for what, a, b in zip(asked, ours, theirs):
            self.assertEqual((a[0], blocks(a[1]), comparable(a[2])),
                             (b[0], blocks(b[1]), comparable(b[2])), what)
        self.assertIn(b"Requests.", ours[0][1])

    def test_what_is_said(self):
        pair = self.pair()
        for user in (None, "tester"):
            for arguments in SAID:
                with self.subTest(arguments, user=user):
                    self.same(pair, arguments, user)

    def test_stopped(self):
        pair = self.pair()
        for user in (None, "postfix", "tester"):
            for arguments in ASKED:
                with self.subTest(arguments, user=user):
                    if user == "postfix" and arguments in (["-p"], ["-j"]):
                        # To us who owns the queue is as good as the superuser.
                        self.assertEqual(ask(pair[0], arguments, user)[0], 0)
                    else:
                        a, b, _ = self.same(pair, arguments, user)
                        self.assertEqual(len(a), len(b))

    def test_permits(self):
        for parameters in PERMITS:
            pair = self.pair()
            for mta in pair:
                mta.configure(**{k: v.replace("/NAMES", mta.config + "/names")
                                 for k, v in parameters.items()})
                os.utime(os.path.join(mta.config, "main.cf"), (1e9, 1e9))
            for user in (None, "tester"):
                for arguments in ASKED:
                    with self.subTest(parameters, user=user, arguments=arguments):
                        self.same(pair, arguments, user)

    def test_configuration_directories(self):
        """Others than the superuser may only use one that is listed."""
        pair = self.pair()
        self.same(pair, ["-c", pair[1].config, "-f"], "tester")
        a, b = self.both(pair, ["-c", "/nonexistent", "-p"], "tester")
        self.assertEqual((a[0], a[1]), (b[0], b[1]))
        self.assertIn("unauthorized configuration directory name: /nonexistent", a[2][-1])
        self.assertIn("unauthorized configuration directory name: /nonexistent", b[2][0])

    def test_running(self):
        pair = (Instance(relay_domains="example.org", fast_flush_domains="example.org"),
                OracleInstance(relay_domains="example.org",
                               fast_flush_domains="example.org"))
        with pair[0], pair[1]:
            for user in (None, "tester"):
                for arguments in RUNNING:
                    with self.subTest(arguments, user=user):
                        a, b, told = self.same(pair, arguments, user)
                        self.assertEqual(a, b, told)


class Ours(unittest.TestCase):
    """What the other program is not asked about."""

    def test_reader_that_goes_away(self):
        mta = make(Instance, spool={
            f"hold/A{i:07X}": SPOOL["hold/A0000A2"] for i in range(2000)})
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "wb") as out:
            r = subprocess.run([mta.program("postqueue"), "-p"], stdout=out, timeout=60,
                               stderr=subprocess.PIPE, check=False,
                               env={"MAIL_CONFIG": mta.config})
        self.assertEqual(r.returncode, 69, r.stderr)

    def test_environment_and_descriptors_of_a_user(self):
        """Set-gid: what the caller chose is not used."""
        mta = make(Instance)
        r = mta.run("postqueue", "-p", user="tester", check=False,
                    env={"MAIL_CONFIG": "/nonexistent", "LD_PRELOAD": "/nonexistent.so"})
        self.assertEqual(r.returncode, 69)
        self.assertIn(b"unauthorized configuration directory", r.stderr)


if __name__ == "__main__":
    unittest.main()
