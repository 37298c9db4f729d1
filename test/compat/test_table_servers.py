# SPDX-License-Identifier: Apache-2.0
"""postmap -q beside Debian's for tables that ask a server: same values and exit status, and
the same questions on the wire."""
import os
import subprocess
import tempfile
import unittest

from system import world
from system.tableserver import MemcacheServer, SocketmapServer, TcpServer

KEYS = ["a", "A", "Key@Example.ORG", "with blank", "100%", "t\tab", "\xe9t\xe9", "absent",
        "user@", "@d.org", "u@a.b.c", "<x>", "plus+ext@d.org", "bad", "perm", "empty", "later",
        "odd", "quoted", "big"]
TCP = {b"a": b"lower", b"A": b"UPPER", b"Key@Example.ORG": b"mixed", b"key@example.org": b"low",
       b"with blank": b"x y%z", b"100%": b"per\tcent", b"t\tab": b"tab",
       "\xe9t\xe9".encode(): "\xfcml".encode(), b"<x>": b"<y>", b"bad": (b"400 later\n",),
       b"odd": (b"200 a%zz\n",), b"perm": (b"999 what\n",), b"empty": (b"200 \n",),
       b"quoted": (b"200 plain text  here\n",), b"big": (b"200 " + b"b" * 4000 + b"\n",)}
SOCKETMAP = {b"a": b"lower", b"A": b"UPPER", b"Key@Example.ORG": b"mixed",
             b"key@example.org": b"low", b"with blank": b"x y",
             "\xe9t\xe9".encode(): "\xfcml".encode(), b"bad": (b"10:TEMP sorry,",),
             b"perm": (b"9:PERM nono,", ), b"later": (b"8:TIMEOUT ,",),
             b"empty": (b"3:OK ,",), b"odd": (b"5:MAYBE,",), b"big": b"b" * 99990}
MEMCACHE = {b"a": b"lower", b"A": b"UPPER", b"key@example.org": b"low", b"x:a": b"prefixed",
            b"c.b.u": b"parts", b"bad": (b"SERVER_ERROR out\r\n",), b"big": b"b" * 20000,
            b"empty": b"", b"<x>": b"<y>"}


class Postmap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        w = world.need_build("bin/postmap")
        world.need_oracle()
        cls.dir = tempfile.mkdtemp(dir=w.dir)
        os.chmod(cls.dir, 0o755)
        cls.sides = {}
        lib = os.path.join(w.oracle, "usr/lib/postfix")
        for whose, program, extra in (
                ("ours", os.path.join(w.build, "bin/postmap"), ""),
                ("theirs", os.path.join(w.oracle, "usr/sbin/postmap"),
                 f"shlib_directory = {lib}\nqueue_directory = {w.dir}\n"
                 f"meta_directory = {os.path.join(w.oracle, 'etc/postfix')}\n")):
            config = os.path.join(cls.dir, whose)
            os.mkdir(config)
            with open(os.path.join(config, "main.cf"), "w", encoding="utf-8") as f:
                f.write("compatibility_level = 3.6\nmyhostname = host.example.org\n" + extra)
            cls.sides[whose] = program, config

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def ask(self, whose, table, key, *options):
        program, config = self.sides[whose]
        done = subprocess.run([program, *options, "-q", key, table], capture_output=True,
                              timeout=60, check=False, cwd=self.dir,
                              env={"MAIL_CONFIG": config, "LANG": "C",
                                   "PATH": "/usr/bin:/bin"})
        return done.returncode, done.stdout, done.stderr

    def compare(self, server, table, keys=KEYS, *options):
        for key in keys:
            with self.subTest(table=table, key=key):
                answers, questions = [], []
                rows = dict(server.rows)
                for whose in ("theirs", "ours"):
                    server.seen.clear()
                    server.rows = dict(rows)
                    answers.append(self.ask(whose, table, key, *options))
                    questions.append(list(dict.fromkeys(map(repr, server.seen))))
                self.assertEqual(answers[1][:2], answers[0][:2], answers)
                self.assertEqual(questions[1], questions[0], answers)

    def test_tcp(self):
        with TcpServer(dict(TCP)) as server:
            self.compare(server, f"tcp:127.0.0.1:{server.port}")

    def test_socketmap(self):
        with SocketmapServer(dict(SOCKETMAP)) as server:
            self.compare(server, f"socketmap:inet:127.0.0.1:{server.port}:name")

    def test_socketmap_unix(self):
        path = os.path.join(self.dir, "socket")
        with SocketmapServer(dict(SOCKETMAP), path=path) as server:
            self.compare(server, f"socketmap:unix:{path}:n", ["a", "absent", "bad"])

    def test_memcache(self):
        with MemcacheServer(dict(MEMCACHE)) as server:
            place = f"memcache = inet:127.0.0.1:{server.port}\n"
            self.compare(server, "memcache:" + self.write("cf", place + "max_try = 1\n"),
                         [k for k in KEYS if k not in ("with blank", "t\tab")])
            for number, extra in enumerate(("key_format = x:%s", "key_format = %1.%2.%u",
                                            "domain = example.org, d.org", "key_format = %d",
                                            "backup = static:behind")):
                self.compare(server, "memcache:" + self.write(f"cf{number}",
                                                              place + extra + "\n"),
                             ["a", "u@a.b.c", "Key@Example.ORG", "@d.org", "user@", "new"])

    def test_bad_names(self):
        for table in ("socketmap:inet:x:1", "socketmap:unix:/x",
                      "socketmap:what", "memcache:/nonexistent"):
            with self.subTest(table=table):
                self.assertEqual(self.ask("ours", table, "a")[0], 1)
                self.assertEqual(self.ask("theirs", table, "a")[0], 1)


if __name__ == "__main__":
    unittest.main()
