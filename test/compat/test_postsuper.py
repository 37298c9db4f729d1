# SPDX-License-Identifier: Apache-2.0
"""postsuper beside Debian's: the same spool, the same commands; exit status, what is said,
and the tree that results are the same. Each row of CASES becomes a test."""
import os
import pwd
import re
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from system.harness import Instance, OracleInstance

QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt", "bounce", "defer",
          "trace", "flush", "saved")
HASHED = ("deferred", "defer")
LONG_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
OLD, DAY = 1_000_000_000, 86400


class File:
    """place: a queue, or a directory below one. name: None: as its inode wants it; "LONG":
    the same as a long id; a file's key: its name (for logs). age: None: long ago."""

    def __init__(self, key, place, name=None, mode=0o700, age=None):
        self.key, self.place, self.name, self.mode, self.age = key, place, name, mode, age


class Directory:
    def __init__(self, path, content=()):
        self.path, self.content = path, content


class Special:
    def __init__(self, path, kind):
        self.path, self.kind = path, kind


def base52(n, width, base=52):
    text = ""
    while n or len(text) < width:
        text = LONG_DIGITS[n % base] + text
        n //= base
    return text


class Side:
    def __init__(self, kind, things, parameters):
        self.mta = kind(**parameters)
        self.uid = pwd.getpwnam("postfix").pw_uid
        self.hashed = parameters.get("build_hashed", HASHED)
        self.names = {}   # key: name
        self.inodes = {}  # inode: key
        for queue in QUEUES:
            self.directory(queue)
        # Debian's cannot make it after giving up root.
        with open(self.mta.log.path, "w", encoding="ascii"):
            os.chown(self.mta.log.path, self.uid, -1)
        for thing in things:
            if isinstance(thing, File):
                self.file(thing)
            elif isinstance(thing, Directory):
                self.directory(thing.path)
                for name in thing.content:
                    self.write(os.path.join(thing.path, name), 0o600)
            elif thing.kind == "link":
                os.symlink("/etc/passwd", self.path(thing.path))
            else:
                os.mkfifo(self.path(thing.path))

    def path(self, name):
        return os.path.join(self.mta.queue, name)

    def directory(self, name):
        path = self.mta.queue
        for part in name.split("/"):
            path = os.path.join(path, part)
            if not os.path.isdir(path):
                os.mkdir(path, 0o700)
                os.chown(path, self.uid, -1)

    def write(self, name, mode):
        with open(self.path(name), "wb") as f:
            f.write(b"x")
            os.fchmod(f.fileno(), mode)
            os.fchown(f.fileno(), self.uid, -1)
            return os.fstat(f.fileno()).st_ino

    def file(self, f):
        queue = f.place.split("/")[0]
        temporary = os.path.join(queue, "making")
        inode = self.write(temporary, f.mode)
        name = f.name
        if name is None:
            name = f"ABCDE{inode:X}"
        elif name == "LONG":
            name = base52(1_600_000_000, 6) + base52(123_456, 4) + "z" + base52(inode, 1, 51)
        elif name in self.names:
            name = self.names[name]
        place = f.place
        if place in HASHED:
            place = os.path.join(place, name[0] if len(name) < 13 else "1")
        self.directory(place)
        target = self.path(os.path.join(place, name))
        os.rename(self.path(temporary), target)
        when = OLD if f.age is None else time.time() - f.age
        os.utime(target, (when, when))
        self.names[f.key] = name
        self.inodes[inode] = f.key

    def neutral(self, text):
        """Inode numbers in names as the keys of their files."""
        text = text.replace(self.mta.dir, "DIR")
        for inode, key in self.inodes.items():
            text = re.sub(rf"\b(\w{{5}}){inode:X}\b", rf"\1<{key}>", text)
            text = re.sub(rf"\b(\w{{10}})z{base52(inode, 1, 51)}\b", rf"\1z<{key}>", text)
        return text

    def run(self, step):
        arguments, stdin = step if isinstance(step, tuple) else (step, "")
        arguments = [self.names.get(a, a) for a in arguments]
        stdin = re.sub(r"\{(\w+)\}", lambda m: self.names[m[1]], stdin)
        r = self.mta.run("postsuper", *arguments, stdin=stdin.encode(), check=False)
        lines = self.neutral(r.stderr.decode()).splitlines()
        return r.returncode, r.stdout, lines

    def tree(self):
        found = set()
        now = time.time()
        for folder, folders, names in os.walk(self.mta.queue):
            for name in folders + names:
                path = os.path.join(folder, name)
                st = os.lstat(path)
                shown = self.neutral(os.path.relpath(path, self.mta.queue))
                if name in folders:
                    # Debian's makes one for logs that are not there, ours for messages
                    # that are then removed.
                    if not shown.startswith("defer/") and shown != "deferred/A":
                        found.add((shown + "/",))
                else:
                    found.add((shown, self.inodes.get(st.st_ino), oct(st.st_mode),
                               "now" if st.st_mtime > now - 100 else "old"))
        return found

    def logged(self):
        return [self.neutral(line.text) for line in self.mta.log.lines()]


MESSAGE = [File("a", "deferred"), File("a1", "defer", "a", 0o600),
           File("a2", "bounce", "a", 0o600), File("a3", "trace", "a", 0o600)]
QUEUED = MESSAGE + [File("b", "hold"), File("c", "incoming"), File("d", "active"),
                    File("e", "incoming", mode=0o600), File("f", "maildrop", mode=0o744),
                    File("g", "active", mode=0o400)]
MISNAMED = [File("a", "deferred", "1234567"), File("a1", "defer", "1234567", 0o600),
            File("a2", "bounce", "1234567", 0o600),
            File("b", "incoming", "abcde111"), File("b1", "bounce", "abcde111", 0o600),
            File("c", "active", "ABCDE1112"), File("d", "maildrop", "ABCDE1113", 0o744),
            File("e", "flush", "example_org", 0o600), File("f", "bounce", "12FFFF", 0o600),
            File("g", "incoming", "ABCDE88", 0o600, age=5), File("h", "hold", "12.345"),
            File("i", "hold")]
LONG = [File("a", "deferred", "LONG"), File("a1", "defer", "a", 0o600),
        File("b", "hold", "4Bq7ym0sf9zGlqkH"),
        File("b1", "bounce", "4Bq7ym0sf9zGlqkH", 0o600)]
TEMPORARY = [item for i, queue in enumerate(("incoming", "maildrop", "hold", "deferred/1"))
             for item in (File(f"{i}a", queue, "123.45", 0o600, age=8 * DAY),
                          File(f"{i}b", queue, "124.45", 0o600, age=6 * DAY),
                          File(f"{i}c", queue, mode=0o600, age=8 * DAY),
                          File(f"{i}d", queue, mode=0o600, age=6 * DAY),
                          File(f"{i}e", queue, age=30 * DAY))]
TEMPORARY += [File("x", "bounce", "0a", 0o600, age=30 * DAY),
              File("y", "flush", "site", 0o600, age=30 * DAY),
              File("z", "defer", "bad.name", 0o600, age=30 * DAY)]
STRAY = [Directory("active/B/C"), Directory("deferred/Z"), Directory("hold/A"),
         Directory("hold/long"), Directory("deferred/long"), Directory("deferred/Y/X"),
         Directory("flush/a/b"), Directory("maildrop/m"), Directory("incoming/full", ["abc"]),
         File("a", "active/B"), File("b", "deferred/Y/X"), File("c", "incoming"),
         File("d", "deferred/"), File("e", "hold/A/B"), File("f", "defer/", "d", 0o600),
         Special("active/ABCDEF1", "link"), Special("bounce/ABCDEF1", "link"),
         Special("hold/ABCDEF2", "fifo")]
CASES = {
    "delete": (QUEUED, [["-d", "a"], ["-d", "a"], ["-d", "e"], ["-d", "g"], ["-d", "f"],
                        ["-d", "b", "-d", "c", "-d", "d"]]),
    "delete_in": (QUEUED, [["-d", "a", "hold"], ["-d", "b", "hold", "incoming"],
                           ["-d", "c", "defer"]]),
    "hold": (QUEUED, [["-h", k] for k in "abcdefg"]),
    "release": (QUEUED, [["-H", k] for k in "abcdefg"] + [["-H", "a", "-h", "a"]]),
    "hold_and_release": (QUEUED, [["-h", "a"], ["-H", "a"], ["-h", "a", "-H", "a"]]),
    "requeue": (QUEUED, [["-r", k] for k in "abcdefg"]),
    "expire": (QUEUED, [["-e", k] for k in "abcdefg"] + [["-e", "a", "-e", "b"]]),
    "expire_and_release": (QUEUED, [["-f", k] for k in "abcdefg"] + [["-f", "a"]]),
    "input": (QUEUED, [(["-d", "-"], "{a}\nXX\n\n {b}  \n{c} foo\nbad id\n{d}"),
                       (["-d", "-", "-h", "-"], "{c}\n"), (["-h", "-"], "")]),
    "ids": (QUEUED, [["-d", "nosuch"], ["-d", "bad.id"], ["-d", ""], ["-d", "../hold/x"],
                     ["-d", "all"], ["-d", "ABCDEF", "-d", "BCDEF0"]]),
    "arguments": (QUEUED, [["-d", "a", "nosuch"], ["-d", "ALL", "corrupt"], ["-c", "etc"],
                           ["-d", "a", "saved"], ["-H", "ALL", "deferred"]]),
    "usage": ([], [["-x"], ["-d"], ["-s", "-q"]]),
    "no_configuration": ([], [["-c", "/nonexistent"]]),
    "walk_delete_all": (MESSAGE[:3] + QUEUED[4:7] + [QUEUED[8]], [["-d", "ALL"]]),
    "walk_delete_all_in": ([QUEUED[0], *QUEUED[4:7]], [["-d", "ALL", "hold", "deferred"]]),
    "walk_hold_all": (QUEUED[:7], [["-h", "ALL"], ["-H", "ALL"]]),
    "walk_release_in": (QUEUED[:7], [["-h", "ALL", "active"], ["-H", "ALL", "hold"]]),
    "walk_requeue_all": (QUEUED[:7], [["-r", "ALL"]]),
    "walk_expire_all": (QUEUED, [["-e", "ALL"], ["-f", "ALL"], ["-e", "ALL"]]),
    "walk_force_all": (QUEUED, [["-f", "ALL"]]),
    "walk_names": (MISNAMED, [["-s"], ["-s"]]),
    "walk_names_by_default": (MISNAMED, [[], []]),
    "walk_names_then_id": (MISNAMED, [["-s", "-d", "i"], ["-s", "-d", "i"]]),
    "walk_long_to_short": (LONG, [["-s"], ["-s"]]),
    "walk_long": (LONG, [["-s"], ["-S"], ["-S"]], {"enable_long_queue_ids": "yes"}),
    "walk_short_among_long": (MISNAMED[:7], [["-s"]], {"enable_long_queue_ids": "yes"}),
    "walk_deeper": (QUEUED, [["-s"], ["-s"]],
                    {"hash_queue_depth": "2", "hash_queue_names": "deferred defer hold"}),
    "walk_flat": (QUEUED, [["-s"]], {"hash_queue_names": "corrupt"}),
    "walk_temporaries": (TEMPORARY, [["-p"]]),
    "walk_temporaries_in": (TEMPORARY, [["-p", "hold"]]),
    "walk_strays": (STRAY, [["-s"], ["-s"]]),
    "walk_strays_delete_all": (STRAY[:-3], [["-d", "ALL"]]),
    "specials": (STRAY, [["-d", "ABCDEF1"], ["-h", "ABCDEF1"], ["-e", "ABCDEF2"]]),
    "maildrop_hashed": (QUEUED[4:7], [["-s"]], {"hash_queue_names": "maildrop deferred"}),
    "nothing": ([], [[], ["-s"], ["-p"], ["-d", "ALL"]]),
}


def without_usage(line):
    return re.sub(r"(usage: postsuper) .*", r"\1", line)


class Compat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        Instance()  # skips here where it cannot be done
        OracleInstance()
        sides = {name: [Side(kind, case[0], case[2] if len(case) > 2 else {})
                        for kind in (Instance, OracleInstance)]
                 for name, case in CASES.items()}
        # Debian's sleeps a second before each exit that is an error.
        with ThreadPoolExecutor(8) as pool:
            cls.played = {name: [pool.submit(cls.play, side, CASES[name][1])
                                 for side in pair] for name, pair in sides.items()}

    @staticmethod
    def play(side, steps):
        return [(step, *side.run(step), side.tree()) for step in steps], side.logged()

    def compare(self, name):
        (ours, our_log), (theirs, their_log) = (f.result() for f in self.played[name])
        for a, b in zip(ours, theirs):
            step, status, out, lines, tree = a
            told = f"step {step}\nours {lines}\ntheirs {b[3]}"
            self.assertEqual(status, b[1], told)
            self.assertEqual(out, b[2], told)
            # Debian's looks twice and complains twice.
            mine, other = ([*dict.fromkeys(map(without_usage, x))] for x in (lines, b[3]))
            if name.startswith("walk_"):  # in the order of the directory
                mine, other = sorted(mine), sorted(other)
            self.assertEqual(mine, other, told)
            other_tree = b[4]
            if step == ["-r", "ALL"]:  # of Debian's they keep their time
                tree, other_tree = ({x[:3] for x in t} for t in (tree, other_tree))
            self.assertEqual(tree - other_tree, other_tree - tree, told)
        self.assertEqual(sorted({*our_log}), sorted({*their_log}))


def add(name):
    def test(self):
        self.compare(name)
    setattr(Compat, "test_" + name, test)


for case_name in CASES:
    add(case_name)
del case_name


class Ours(unittest.TestCase):
    """Where we differ on purpose."""

    def run_ours(self, things, *arguments, **parameters):
        side = Side(Instance, things, parameters)
        return side, side.run(list(arguments))

    def test_file_being_written_is_left_alone(self):
        for act in ("-d", "-h", "-r"):
            side, (status, _, lines) = self.run_ours(QUEUED, act, "ALL")
            self.assertEqual(status, 0, lines)
            self.assertIn(("incoming/ABCDE<e>", "e", "0o100600", "old"), side.tree())

    def test_all_takes_logs_along(self):
        side, (_, _, lines) = self.run_ours(MESSAGE, "-d", "ALL", "deferred")
        self.assertEqual(lines, ["postsuper: Deleted: 1 message"])
        self.assertEqual([x for x in side.tree() if len(x) > 1], [])

    def test_trace_log_keeps_its_message(self):
        side, (status, _, _) = self.run_ours(
            [File("a", "hold", "1234567"), File("t", "trace", "1234567", 0o600)], "-s")
        self.assertEqual(status, 0)
        self.assertEqual({x[0] for x in side.tree() if len(x) > 1},
                         {"hold/12345<a>", "trace/12345<a>"})

    def test_damaged_message_is_no_temporary(self):
        side, _ = self.run_ours([File("a", "active", mode=0o400)], "-p")
        self.assertEqual(len([x for x in side.tree() if len(x) > 1]), 1)

    def test_taken_name_is_left_alone(self):
        """Two names for one inode's name: nothing is overwritten."""
        side = Side(Instance, [File("a", "hold", "ABCDE1")], {})
        inode, = side.inodes
        side.file(File("b", "hold", f"ABCDE{inode:X}#FIX"))
        status, _, lines = side.run(["-s"])
        self.assertEqual(status, 0, lines)
        self.assertEqual({x[1] for x in side.tree() if len(x) > 1}, {"a", "b"})
        self.assertTrue(any("File exists" in line for line in lines), lines)

    def test_end_of_a_long_line_is_no_id(self):
        side = Side(Instance, QUEUED, {})
        status, _, lines = side.run((["-d", "-"], "x" * 9000 + "{c}\n" + "x" * 4095 + "{d}"))
        self.assertEqual((status, lines[-1]), (0, "postsuper: Deleted: 0 messages"))
        self.assertEqual(len(lines), 3)

    def test_ordinary_user_and_owner(self):
        side = Side(Instance, MESSAGE, {})
        r = side.mta.run("postsuper", "-d", "ALL", user="tester", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"reserved for the superuser", r.stderr)
        r = side.mta.run("postsuper", "-d", side.names["a"], user="postfix", check=False)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn(b"Deleted: 1 message\n", r.stderr)


if __name__ == "__main__":
    unittest.main()
