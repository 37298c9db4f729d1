# SPDX-License-Identifier: Apache-2.0
"""postalias and newaliases beside Debian's: same contents of the tables, output, warnings,
exit status and file modes for the same commands."""
import os
import re
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

from system import world

LINES = [
    "postmaster: root", "a,b: c", "a;b: c", "(c) a (d): x", "a1: (c)", "<a>: b", "a b : c",
    "a.b.c: d", "a . c: d", "a2:b:c", "a3:", ":", '"": x', "(c): x", 'a4 : "x',
    "a5: x, , y", r'a6: "|cmd \"q\" \\ z"', 'a7: "a b"@c <x@y> z', "a8: a@[1.2.3.4]",
    "a9: a%b@c!d|e", "b[b]: c", "b1: x, y,", "b2: ,", "b3: :include:/x/y, :fail: no",
    "b4: |cmd arg", "b5: /file name", r"b6: \back", r"b\7: c", "@: x", "b8@: x", "A@b c: x",
    '"b\\"9@": x', "c1: user name <foo@bar>", "c2: x;y", "c3: grp: x, y; , z",
    "c4: b\tc   d", '"c 5" c: d', 'c6: "x\ty"', "c7: b # c", "#a: b", '"c8": b (c) d',
    "c9: <>", "d1: (c) x", "d2: x (c)", "novalue", "dup: a", "dup: b", "two words: x",
    "Mixed.Case: X@Y", "d3: <unterm", "d4: a,\n b,\n\tc", "d5: a\n# comment\n\n  more",
    "Ü: ü@ü", "d6: x@é.example", '"d@7": quoted', "d8: a@b.c, \"x y\"@d, |\"e f\"",
    "d9: a(b(c)d)e", "e1: @a,@b:c@d", "e2: a@b (c) (d)", "e3: \"\"@x", "e4: [x]", "e5: a\\ b",
    r"g1: b\ c", r"g2: \b\"c", r"g3: x\.y", 'g4: "x\ty  z"', "g5: [x\ty]", "g6: (x\ty)",
    "g7: x \\", r"g8: x\@y", r"g9: \,", 'h1: "a\n\tb"', 'h2: "a\\\\b" \\\\',
    "e6: ~/x", "e7: {x}", "e8: 'x y'", "e9: a.@b", "f1: .a", "f2: a..b@c", "f3: \"a\"\"b\"",
    "f4: \"|exec /x --y='z'\"", "f5: a!b!c", "f6: x@", "f7: @y", "f8: a=b", "f9: <a@b>,<c@d>",
]
BASE = {
    "lines": "\n".join(LINES).encode() + b"\n\xff: bad\nok2: \xfe\n",
    "lead": b"  lead: x\na: b\n", "a": b"a: b\nc: d\n", "b": b"C: other\ne: f\n",
    "empty": b"", "map": b"x y\n", "none": b"# nothing\n", "crlf": b"a: b\r\nc: d\r\n",
    "signature": b"YP_MASTER_NAME: other\n",
}


def q(key, *tables):
    return ["-q", key, *tables]


CASES = {
    "lines": [["lines"], ["-s", "lines"], q("a1", "lines"), q("mixed.case", "lines"),
              q("Mixed.Case", "lines"), q("two words", "lines"), q('"two words"', "lines"),
              q("@", "lines"), q("ü", "lines"), q("Ü", "lines")],
    "btree": [["btree:lines"], ["-s", "btree:lines"]],
    "lmdb": [["lmdb:lines"], ["-s", "lmdb:a"], ["lmdb:a"], ["-s", "lmdb:a"],
             q("a", "lmdb:a"), (["-i", "lmdb:a"], b"a: z\ne: f\n"), ["-s", "lmdb:a"],
             ["-d", "c", "lmdb:a"], ["-s", "lmdb:a"]],
    "cdb": [["cdb:a"], q("a", "cdb:a"), q("@", "cdb:a"), q("zz", "cdb:a")],
    "no_utf8": [["-u", "lines"], ["-u", "-s", "lines"]],
    "no_fold": [["-f", "lines"], ["-s", "lines"], ["-f", "-q", "Mixed.Case", "lines"],
                ["-f", "-q", "mixed.case", "lines"]],
    "first_line": [["lead"], ["-s", "lead"]],
    "query": [["a", "b"], q("c", "a", "b"), q("C", "b", "a"), q("e", "a", "b"),
              q("zz", "a", "b"), (["-q", "-", "a", "b"], b"e\nzz\nA\n@\n"),
              (["-q", "-", "a"], b"zz\n")],
    "query_empty_key": [["a"], q("", "a")],
    "dump": [["a"], ["-s", "a"], ["-s", "a", "b"], ["-s", "nonexistent"], ["-s"]],
    "add": [["a"], (["-i", "a"], b"a: z\ne: f\n"), ["-s", "a"]],
    "add_replacing": [["a"], (["-ri", "a"], b"a: z\ne: f\n"), ["-s", "a"]],
    "add_quietly": [["a"], (["-wi", "a"], b"a: z\ne: f\n"), ["-s", "a"]],
    "add_bad": [["a"], (["-i", "a"], b"a@b: z\ne\n"), ["-s", "a"]],
    "add_to_nothing": [(["-i", "fresh"], b"a: z\n"), ["-s", "fresh"]],
    "replace": [["-r", "lines"], q("dup", "lines")],
    "quietly": [["-w", "lines"], q("dup", "lines")],
    "twice": [["a"], ["a"], ["-s", "a"]],
    "signature": [["signature"], ["-s", "signature"]],
    "delete": [["a"], ["-d", "a", "a"], ["-d", "a", "a"], ["-d", "@", "a"], ["-d", "C", "a"],
               ["-d", "yp_master_name", "a"], ["-s", "a"]],
    "delete_input": [["a"], (["-d", "-", "a"], b"zz\na\n"), ["-s", "a"]],
    "nul": [["-n", "a"], ["-s", "a"], q("a", "a"), ["-N", "a"], ["-s", "a"], q("a", "a")],
    "empty": [["empty"], ["-s", "empty"], ["none"], ["-s", "none"]],
    "crlf": [["crlf"], ["-s", "crlf"]],
    "texthash": [q("a", "texthash:map"), q("x", "texthash:map"), ["-s", "texthash:map"]],
    "map_as_aliases": [["map"], ["-s", "map"]],
    "no_such": [["nonexistent"], q("x", "nonexistent"), ["-d", "x", "nonexistent"],
                ["texthash:a"], ["foo:a"], q("x", "foo:a")],
    "permissions": [["a"]],
    "permissions_default": [["-p", "a"]],
    "usage": [[], ["-q"], ["-Z"], ["-b"], ["-F", "a"], ["-q", "x"], ["-d", "x"], ["-i"],
              ["-q", "x", "-q", "y", "a"], ["-q", "x", "-s", "a"], ["-s", "-d", "x", "a"]],
    "options": [["-o", "-p", "a"], ["--", "a"], q("a", "--", "a")],
    "configuration": [["-c", "/nonexistent", "-q", "x", "a"]],
}


def canonical(stderr):
    lines = []
    for line in stderr.decode("utf-8", "replace").splitlines():
        for text in ("open database ", "unsupported dictionary type: "):
            if "fatal: " in line and text in line:
                head, _, tail = line.partition(text)
                line = head + text + re.sub(r"[ :(.].*", "", tail)
        # Debian's names the file here.
        line = re.sub(r"\btable ((?:hash|btree|lmdb|cdb):\w+)\.(?:db|lmdb|cdb)\b",
                      r"table \1", line)
        lines.append(line)
    return lines


class Side:
    """One of the two, in a directory of its own."""

    def __init__(self, bindir, parameters):
        self.bin = bindir
        self.dir = tempfile.mkdtemp(prefix="postalias-", dir=world.enter().dir)
        self.config = tempfile.mkdtemp(prefix="postalias-etc-", dir=world.enter().dir)
        with open(os.path.join(self.config, "main.cf"), "w", encoding="utf-8") as f:
            f.write(f"compatibility_level = 3.6\nmyhostname = host.example.net\n"
                    f"command_directory = {bindir}\n"
                    + parameters.replace("DIR", self.dir))
        # Debian's waits for files that are too new.
        os.utime(os.path.join(self.config, "main.cf"), (1e9, 1e9))
        for name, data in BASE.items():
            with open(self.path(name), "wb") as f:
                f.write(data)
            os.utime(self.path(name), (1e9, 1e9))
        os.chmod(self.path("a"), 0o640)

    def path(self, name):
        return os.path.join(self.dir, name)

    def run(self, step, program="postalias"):
        arguments, stdin = step if isinstance(step, tuple) else (step, b"")
        return subprocess.run(
            [os.path.join(self.bin, program), *arguments], input=stdin, capture_output=True,
            cwd=self.dir, check=False, timeout=60, umask=0o022,
            env={"MAIL_CONFIG": self.config, "LANG": "C", "PATH": "/usr/bin:/bin"})

    def modes(self):
        return {name: oct(os.stat(self.path(name)).st_mode)
                for name in sorted(os.listdir(self.dir))}


def sides(change="alias_database = hash:DIR/a, hash:DIR/b\n"):
    w = world.need_build("bin/postalias")
    world.need_oracle()
    lib = os.path.join(w.oracle, "usr/lib/postfix")
    ours = Side(os.path.join(w.build, "bin"), change)
    theirs = Side(os.path.join(w.oracle, "usr/sbin"),
                  f"shlib_directory = {lib}\nqueue_directory = {w.dir}\n"
                  f"meta_directory = {os.path.join(w.oracle, 'etc/postfix')}\n{change}")
    return ours, theirs


def play(steps):
    ours, theirs = sides()
    done = [(step, ours.run(step), theirs.run(step)) for step in steps]
    return done, ours.modes(), theirs.modes()


def output(stdout):
    """Without the time, which differs."""
    return re.sub(rb"(YP_LAST_MODIFIED:\t)\d+", rb"\1TIME", stdout)


class Compat(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        sides()  # skips here where it cannot be done
        # Debian's sleeps a second before each exit that is an error.
        with ThreadPoolExecutor(16) as pool:
            cls.played = {name: pool.submit(play, steps) for name, steps in CASES.items()}

    def compare(self, name):
        for kind in world.PLUGINS:
            if f"{kind}:" in str(CASES[name]):
                world.need_plugin(kind)
        done, modes_a, modes_b = self.played[name].result()
        for step, a, b in done:
            told = f"step {step}"
            self.assertEqual(output(a.stdout).decode("utf-8", "replace"),
                             output(b.stdout).decode("utf-8", "replace"), told)
            self.assertEqual(canonical(a.stderr), canonical(b.stderr), told)
            self.assertEqual(a.returncode, b.returncode, told)
        self.assertEqual(modes_a, modes_b)


def _add(name):
    def test(self):
        self.compare(name)
    setattr(Compat, f"test_{name}", test)


for _name in CASES:
    _add(_name)


class NewAliases(unittest.TestCase):
    """newaliases, sendmail -bi and -I build what alias_database names."""

    def check(self, steps, databases="hash:DIR/a, hash:DIR/b", program="newaliases"):
        ours, theirs = sides(f"alias_database = {databases}\n")
        for side in (ours, theirs):
            if side is theirs and program == "newaliases":
                os.symlink(os.path.join(side.bin, "sendmail"),
                           os.path.join(side.dir, "newaliases"))
                side.bin = side.dir
        hide = {ours.dir: "DIR", theirs.dir: "DIR"}
        for step in steps:
            a, b = ours.run(step, program), theirs.run(step, program)
            for side in (a, b):
                for path, word in hide.items():
                    side.stderr = side.stderr.replace(path.encode(), word.encode())
            self.assertEqual(canonical(a.stderr), canonical(b.stderr), f"step {step}")
            self.assertEqual(a.returncode, b.returncode, f"step {step}: {a} {b}")
        modes = theirs.modes()
        modes.pop("newaliases", None)
        self.assertEqual(ours.modes(), modes)
        return ours

    def test_newaliases(self):
        ours = self.check([[]])
        self.assertIn("a.db", ours.modes())
        self.assertIn("b.db", ours.modes())
        self.assertEqual(ours.run(q("c", "a")).stdout, b"d\n")

    def test_sendmail_options(self):
        for step in (["-bi"], ["-I"]):
            self.assertIn("b.db", self.check([step], program="sendmail").modes())

    def test_one_file(self):
        # An absolute name: Debian's sendmail goes to the queue directory first.
        name = os.path.join(self.check([["-bi"]], program="sendmail").dir, "empty")
        step = ["-bi", "-oA" + name]
        modes = self.check([step], program="sendmail").modes()
        self.assertNotIn("a.db", modes)
        self.assertTrue(os.path.exists(name + ".db"))

    def test_nothing_to_build(self):
        self.assertNotIn("a.db", self.check([[]], "").modes())

    def test_missing_file(self):
        self.check([[]], "hash:DIR/nonexistent")

    def test_recipients(self):
        self.check([["-bi", "user"]], program="sendmail")
