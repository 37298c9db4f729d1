# SPDX-License-Identifier: Apache-2.0
"""postmap beside Debian's: same output, warnings, exit status and file modes for the same
commands, and files of one read by the other. Each row of CASES becomes a test."""
import os
import re
import sqlite3
import subprocess
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from system import world

RULES = b"""\
# c
10.0.0.0/8 ten
10.0.0.1/8 bad
192.168.0.1 host
!172.16.0.0/12 not172
if 1.0.0.0/8
1.2.3.4 onetwo
endif
endif
[2001:db8::]/32 v6b
2001:db9::/32 v6
1.2.3.400 bad
foo bar
1.2.3.4/33 x
1.2.3.5
if 2.0.0.0/8
2.1.0.0/16 two
"""
NETS = b"""\
if 1.0.0.0/8
if !1.2.0.0/16
1.3.0.0/16 inner
endif
1.2.3.4 onetwo
endif
[2001:db8::]/32 v6b
2001:db9::/32 v6
0.0.0.0/0 rest
"""
PATTERNS = rb"""
/^(a+)@(.*)$/ OK $1-${2}-$(1) $$x
/Caps/ caps
/caSE/i sens
if /zz/
/q/ inner
if !/w/
/r/ deeper
endif
endif
|pipe| p
/a\/b/ slash
/multi line
   value/  joined
!/[a-z]/ no letters
"""
BAD_PATTERNS = rb"""
/bad(/ x
/a/q y
/nov/
xx yy
/a/ $3
!/a/ $1
/never
endif
if /open/
/ok/ fine
"""
TEXT = b"""\
  lead  x
# c
A\tValue one \x20
b x
  # inner comment

  more y
q:\tr
novalue
"quoted key" v q
b again
"unb v
a\\ b esc
in"si de"x w
\xff\xfe bad
last one"""
QUERY = "query = SELECT v FROM t WHERE k = '%s'\n"
SQL = [
    QUERY, QUERY.replace("%s", "%u"), QUERY.replace("%s", "%d"),
    QUERY + "result_format = <%s|%u|%d>\n", QUERY + "result_format = %S/%U/%D/%1/%2\n",
    QUERY + "result_format = 100%% %s\n", QUERY + "domain = d.e.f, x\n",
    QUERY + "domain = inline:{d.e.f=x}\n",
    "table = t\nselect_field = v\nwhere_field = k\nadditional_conditions = and v <> 'z'\n",
    "query = SELECT '%1', '%2' || '-%3'\n", "query = SELECT '%%%3.%2.%1'\n",
    'query = SELECT "$myhostname"\n', "query = SELECT v FROM t\n  WHERE k = '%S'\n# x\n",
    QUERY + "expansion_limit = 1\n",
]
SQL_KEYS = ("a", "A", "b", "n", "o'b", "''", "u@d.e.f", "@d.e.f", "d.e.f", "u@", "ü", "x.y",
            "u@x", "a@b@d.e.f")
SQL_ROWS = [("a", "1"), ("b", "x@y.z"), ("n", None), ("o'b", "quoted"), ("u@d.e.f", "full"),
            ("u", "user"), ("d.e.f", "dom"), ("num", 5), ("ü", "ue"), ("@d.e.f", "atdom"),
            ("u@", "trailing"), ("a@b", "at")]
SQL_ROWS_MORE = [("c", "1"), ("c", "2"), ("c", "@q"), ("c", "x@y")]
WORSE_PATTERNS = rb"""
if /never/ extra
endif more
/a/ $x
/(a)/ $1x
/nov/
/(a/ x
/a/iq
/a/X x
/(?<n>a)/ $n
if /b/ more
/never
"""
FLAGS = r"""
/^casx$/i case
/ anch/A anchored
/^anchor/A anchored
/e x t r a/x extended
/<(.*)>/U shortest <$1>
/gr<(.*)>/ longest <$1>
/^(.)1$/ utf <$1>
/\y/X never
""".encode()
BASE = {"worse": WORSE_PATTERNS, "flags": FLAGS, "a": b"k1 v1\nk2 v2\n", "b": b"K2 other\nk3 v3\n", "text": TEXT, "cidr": NETS,
        "badcidr": RULES, "re": PATTERNS, "badre": BAD_PATTERNS, "empty": b"",
        "utf": "é 1\nÜber 2\n".encode(), "crlf": b"a 1\r\nb 2\r\n",
        "files": b"one a\ntwo a,b\nnone a nonexistent\n", "dot": b"a.b c\n.b d\n"}


def q(key, *tables):
    return ["-q", key, *tables]


# name: steps. A step is a list of arguments, or (arguments, standard input).
CASES = {
    "build_and_query": [["a"], q("k1", "a"), q("K1", "a"), q("nope", "a"), q("k1", "hash:a")],
    "build_twice": [["a"], ["a"], ["-s", "a"]],
    "build_two": [["a", "b"], q("k3", "a", "b"), q("k2", "a", "b"), q("k2", "b", "a")],
    "text_warnings": [["text"], ["-s", "text"], q('"quoted key"', "text"),
                      q("quoted key", "text"), q("b", "text"), q("a\\ b", "text"),
                      q("novalue", "text"), q("a", "text"), q("last", "text")],
    "quiet_duplicates": [["-w", "text"], q("b", "text")],
    "replace_duplicates": [["-r", "text"], q("b", "text")],
    "no_utf8": [["-u", "text"], ["-u", "-s", "text"]],
    "no_fold": [["-f", "text"], q("A", "text"), ["-f", "-q", "A", "text"],
                ["-f", "-q", "a", "text"], ["-s", "text"]],
    "btree": [["btree:text"], ["-s", "btree:text"], q("b", "btree:text")],
    "btree_as_hash": [["btree:a"], q("k1", "hash:a")],
    "without_nul": [["-n", "a"], q("k1", "a"), q("k9", "a"), ["-s", "a"],
                    (["-i", "a"], b"k9 v9\n"), q("k9", "a")],
    "with_nul": [["-N", "a"], q("k1", "a"), ["-s", "a"]],
    "add": [["a"], (["-i", "a"], b"k9 v9\nk1 again\n"), q("k9", "a"), q("k1", "a")],
    "add_replacing": [["a"], (["-ri", "a"], b"k1 again\n"), q("k1", "a")],
    "add_quietly": [["a"], (["-wi", "a"], b"k1 again\n"), q("k1", "a")],
    "add_to_nothing": [(["-i", "fresh"], b"x y\n"), q("x", "fresh"), ["-s", "hash:fresh"]],
    "add_bad_lines": [["a"], (["-i", "a"], b"x\n"), (["-i", "a"], b" x y\n"), ["-s", "a"]],
    "delete": [["a"], ["-d", "k1", "a"], ["-d", "k1", "a"], q("k1", "a"), ["-s", "a"]],
    "delete_folds": [["a"], ["-d", "K1", "a"], q("k1", "a")],
    "delete_from_two": [["a", "b"], ["-d", "k2", "a", "b"], ["-s", "a"], ["-s", "b"]],
    "delete_input": [["a"], (["-d", "-", "a"], b"zz\nk2\n"), ["-s", "a"],
                     (["-d", "-", "a"], b"zz\n")],
    "delete_without_nul": [["-n", "a"], ["-d", "k1", "a"], ["-s", "a"]],
    "delete_no_file": [["-d", "a", "nonexistent"]],
    "delete_texthash": [["-d", "k1", "texthash:a"]],
    "delete_static": [["-d", "k1", "static:a"]],
    "query_input": [["a", "b"], (["-q", "-", "a", "b"], b"k3\nnope\nK1\nk2"),
                    (["-q", "-", "a"], b"nope\n"), (["-q", "-", "a"], b"")],
    "query_empty_key": [["a"], q("", "a")],
    "query_later_table_missing": [["a"], q("k1", "a", "nonexistent"),
                                  q("zz", "a", "nonexistent"), q("k1", "nonexistent", "a")],
    "query_not_utf8": [["a"], (["-uq", "-", "a"], b"\xff\n")],
    "dump_order": [["text"], ["-s", "text"], ["-s", "btree:text"]],
    "dump_first_only": [["a", "b"], ["-s", "a", "b"]],
    "dump_nothing": [["-s"]],
    "dump_empty": [["empty"], ["-s", "empty"], q("x", "empty")],
    "dump_static": [["-s", "static:x"]],
    "unicode": [["utf"], ["-s", "utf"], q("É", "utf"), q("über", "utf"), q("ÜBER", "utf")],
    "crlf": [["crlf"], q("a", "crlf"), ["-s", "crlf"]],
    "files": [["-F", "files"], ["-s", "files"], ["-F", "-q", "one", "files"],
              ["-F", "-q", "two", "files"]],
    "files_not_base64": [["a"], ["-F", "-q", "k1", "hash:a"]],
    "permissions": [["a"]],
    "permissions_default": [["-p", "a"]],
    "texthash": [q("b", "texthash:text"), q("A", "texthash:text"), q("q:", "texthash:text"),
                 ["-s", "texthash:a"], ["-f", "-q", "K2", "texthash:b"],
                 q("K2", "texthash:b")],
    "inline": [q("a", "inline:{a=b}"), q("A", "inline:{a=b}"), q("zz", "inline:{a=b}"),
               q("c", "inline:{a=b,{ c = d e }}"), q("a", "inline:{a=b,a=c}"),
               q("a", "inline:{a=b, , c=d}"), q("", "inline:{=b}"), q("a", "inline:{{a=b}}"),
               q("a", "inline:{{ a = b = c }}"), q("a", "inline:{a={b c}}"),
               q("a", "inline:{a=}"), ["-s", "inline:{a=}"]],
    "inline_errors": [q("a", "inline:{a=b"), q("a", "inline:a=b"), q("a", "inline:{ab}"),
                      q("a", "inline:{}"), q("a", "inline:{ }"), q("a", "inline:{ a = b }"),
                      q("a", "inline:{{a b}}"), q("a", "inline:{a=b}}"),
                      q("a", "inline:{a=b}c"), q("a", "inline:{{a=b}x}")],
    "static": [q("x", "static:y"), q("x", "static:{ a b }"), q("x", "static: y"),
               q("x", "static:{x"), q("x", "static:"), q("x", "static:{a}b"),
               q("x", "static:{}")],
    "environ": [q("MAPTEST", "environ:x"), q("maptest", "environ:x"),
                ["-f", "-q", "MAPTEST", "environ:x"]],
    "unix": [q("root", "unix:passwd.byname"), q("mail", "unix:group.byname"),
             q("nosuchuser", "unix:passwd.byname"), q("x", "unix:foo")],
    "unionmap": [q("a", "unionmap:{inline:{a=b},static:c}"),
                 q("x", "unionmap:{inline:{a=b}, inline:{b=c}}"), q("a", "unionmap:x"),
                 q("a", "unionmap:{}"), q("a", "unionmap:{x}"), q("a", "unionmap:{ }"),
                 q("a", "unionmap:{static:a}x"), q("a", "unionmap:{static:a,static:b")],
    "pipemap": [q("a", "pipemap:{inline:{a=b},inline:{b=c}}"),
                q("b", "pipemap:{inline:{a=b},inline:{b=c}}"), q("a", "pipemap:{ }")],
    "randmap": [q("k", f"randmap:{x}") for x in (
        "{a}", "{a a}", "{a,a , a}", "x", "{}", "{ }", "{a}x", "{a", "{{a b}}", "{{a b}, {a b}}",
        "{{ a b }}")] + [["-s", "randmap:{a}"]],
    "failing_tables": [q("a", "fail:x"), q("a", "pipemap:{inline:{a=b},fail:x}"),
                       q("a", "unionmap:{fail:x,inline:{a=b}}"), (["-q", "-", "fail:x"], b"a\n")],
    "cidr": [q(key, "cidr:cidr") for key in (
        "1.2.3.4", "1.3.3.3", "1.4.0.0", "9.9.9.9", "2001:db8::1", "2001:0db9:0::1",
        "2001:dba::1", "foo", "", "1.2.3")],
    "cidr_inline": [q("10.1.2.3", "cidr:{{10.0.0.0/8 x}, {1.1.1.1 y}}"),
                    q("10.1.2.3", "cidr:{10.0.0.0/8 x, {1.1.1.1 y}}"),
                    q("10.1.2.3", "cidr:{ }"), q("10.1.2.3", "cidr:{{1.1.1.1 x}")],
    "cidr_warnings": [q(key, "cidr:badcidr") for key in ("10.1.2.3", "172.16.0.1", "2.1.1.1",
                                                         "2001:db8::1")],
    "cidr_dump": [["-s", "cidr:cidr"]],
    "regexp": [q(key, "regexp:re") for key in (
        "aa@b", "CAPS", "xxCASE", "xxcaSE", "zzq", "zzr", "zzrw", "q", "a/b", "a pipe",
        "multi line   value", "123", "", "none")],
    "regexp_inline": [q("abc", "regexp:{{/b/ x}, {/c/ y}}"), q("abc", "regexp:{{/z/ x} y}"),
                      q("abc", "regexp:{{/(b)/ <$1>}}")],
    "regexp_warnings": [q("ok", "regexp:badre"), q("nov", "regexp:badre")],
    "lmdb": [["lmdb:text"], ["-s", "lmdb:text"], q("b", "lmdb:text"), q("zz", "lmdb:text"),
             q("B", "lmdb:text"), ["-w", "lmdb:text"], ["-r", "lmdb:text"],
             q("b", "lmdb:text"), ["-u", "lmdb:text"], ["-u", "-s", "lmdb:text"]],
    "lmdb_changes": [["lmdb:a"], (["-i", "lmdb:a"], b"k9 v9\nk1 again\n"), ["-s", "lmdb:a"],
                     (["-ri", "lmdb:a"], b"k1 again\n"), q("k1", "lmdb:a"),
                     ["-d", "k1", "lmdb:a"], ["-d", "k1", "lmdb:a"], ["-s", "lmdb:a"],
                     (["-d", "-", "lmdb:a"], b"zz\nk2\n"), ["-s", "lmdb:a"]],
    "lmdb_fresh": [(["-i", "lmdb:fresh"], b"x y\n"), ["-s", "lmdb:fresh"]],
    "lmdb_nul": [["-N", "lmdb:a"], q("k1", "lmdb:a"), ["-s", "lmdb:a"],
                 ["-d", "k1", "lmdb:a"], ["-s", "lmdb:a"]],
    "lmdb_missing": [q("x", "lmdb:nonexistent"), ["-s", "lmdb:nonexistent"],
                     ["lmdb:nonexistent"]],
    "lmdb_broken": [q("x", "lmdb:broken"), ["-s", "lmdb:broken"],
                    ["-d", "x", "lmdb:broken"]],
    "lmdb_permissions": [["lmdb:a"], ["-p", "lmdb:b"]],
    "cdb": [["cdb:text"], q("b", "cdb:text"), q("zz", "cdb:text"), q("B", "cdb:text"),
            ["-w", "cdb:text"], ["-r", "cdb:text"], q("b", "cdb:text")],
    "cdb_nul": [["-N", "cdb:a"], q("k1", "cdb:a")],
    "cdb_missing": [q("x", "cdb:nonexistent"), ["cdb:nonexistent"]],
    "cdb_permissions": [["cdb:a"], ["-p", "cdb:b"]],
    "sqlite": [q(key, f"sqlite:./sql{n}") for n in range(len(SQL)) for key in SQL_KEYS],
    "sqlite_other": [["-s", "sqlite:./sql0"], q("a", "sqlite:/nonexistent"),
                     (["-q", "-", "sqlite:./sql0"], b"a\nzz\nc\n")],
    "pattern_complaints": [q("x", "regexp:worse")],
    "pcre": [q(key, "pcre:re") for key in (
        "aa@b", "CAPS", "xxCASE", "xxcaSE", "zzq", "zzr", "zzrw", "q", "a/b", "a pipe",
        "multi line   value", "123", "", "none")],
    "pcre_flags": [q(key, "pcre:flags") for key in (
        "casX", "CASX", "anchor", "an anchor", "extra", "e x", "gr<a><b>", "un<a><b>", "é1")],
    "pcre_not_utf8": [["-u", "-q", "é1", "pcre:flags"], (["-q", "-", "pcre:flags"], b"\xff\n")],
    "pcre_inline": [q("abc", "pcre:{{/b/ x}, {/c/ y}}"), q("abc", "pcre:{{/z/ x} y}"),
                    q("abc", "pcre:{{/(b)/ <$1>}}")],
    "pcre_warnings": [q("ok", "pcre:badre"), q("nov", "pcre:badre"), q("x", "pcre:worse")],
    "pcre_other": [["-s", "pcre:re"], ["-d", "a", "pcre:re"], q("x", "pcre:nonexistent")],
    "no_such_file": [q("x", t + ":nonexistent") for t in (
        "hash", "btree", "texthash", "cidr", "regexp")] + [["nonexistent"], q("x", "nonexistent")],
    "no_such_type": [q("x", "foo:bar"), ["foo:a"], ["inline:a"], ["texthash:a"],
                     q("x", "nosuch:"), ["hash:"], [""], (["-i", "texthash:a"], b"a b\n")],
    "not_here": [q("x", "ldap:/x"), q("x", "mysql:/x"), ["sdbm:a"]],
    "usage": [[], ["-q"], ["-Z"], ["-q", "x"], ["-d", "x"], ["-i"], ["-q", "x", "-q", "y", "a"],
              ["-q", "x", "-d", "y", "a"], ["-q", "x", "-s", "a"], ["-s", "-d", "x", "a"],
              ["-h"], ["-b", "a"], ["-q", "x", "-h", "a"]],
    "options_after_key": [["a"], ["-q", "k1", "-w", "-r", "-o", "-p", "a"],
                          ["-q", "k1", "--", "a"]],
    "configuration": [["-c", "/nonexistent", "-q", "x", "a"]],
    "damaged": [(["-q", "x", "hash:broken"]), (["-s", "btree:broken"]),
                (["-d", "x", "hash:broken"])],
    "several_errors_in_a_row": [["a", "nonexistent", "b"], q("k1", "a"), q("k3", "b")],
    "dots": [["dot"], q("a.b", "dot"), q(".B", "dot")],
}

# Where ours says more, or differently, on purpose: compared up to this text.
UP_TO = ("query error", "sequence error", "open database ", "unsupported dictionary type: ",
         "unsupported map type for this operation: ")


def canonical(stderr):
    """Lines to compare: without the database library's own, and each warning once (texthash
    of Debian's reads a file that was just written several times)."""
    lines = []
    for line in stderr.decode("utf-8", "replace").splitlines():
        if line.startswith("BDB"):
            continue
        for text in UP_TO:
            if "fatal: " in line and text in line:
                head, _, tail = line.partition(text)
                line = head + text + re.sub(r"[ :(.].*", "", tail)
        # Debian's names the file here.
        line = re.sub(r"\btable ((?:hash|btree|lmdb|cdb):\w+)\.(?:db|lmdb|cdb)\b", r"table \1", line)
        if line not in lines or "warning" not in line:
            lines.append(line)
    return lines


class Side:
    """One of the two programs, in a directory of its own."""

    def __init__(self, program, parameters):
        self.program = program
        self.dir = tempfile.mkdtemp(prefix="postmap-", dir=world.enter().dir)
        self.config = tempfile.mkdtemp(prefix="postmap-etc-", dir=world.enter().dir)
        with open(os.path.join(self.config, "main.cf"), "w", encoding="utf-8") as f:
            f.write("compatibility_level = 3.6\nmyhostname = host.example.net\n" + parameters)
        # Debian's waits for files that are too new.
        os.utime(os.path.join(self.config, "main.cf"), (1e9, 1e9))
        for name, data in BASE.items():
            self.write(name, data)
        os.chmod(self.path("a"), 0o640)
        for n, settings in enumerate(SQL):
            self.write(f"sql{n}", f"dbpath = {self.path('db.sqlite')}\n{settings}".encode())
        with closing(sqlite3.connect(self.path("db.sqlite"))) as db, db:
            db.execute("CREATE TABLE t (k TEXT, v TEXT)")
            db.executemany("INSERT INTO t VALUES (?, ?)", SQL_ROWS + SQL_ROWS_MORE)
        for suffix in ("db", "lmdb", "cdb"):
            self.write("broken." + suffix, b"this is no table\n" * 300)
        for name in BASE:
            os.utime(self.path(name), (1e9, 1e9))

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)

    def run(self, step):
        arguments, stdin = step if isinstance(step, tuple) else (step, b"")
        return subprocess.run(
            [self.program, *arguments], input=stdin, capture_output=True, cwd=self.dir,
            check=False, timeout=60, umask=0o022,
            env={"MAIL_CONFIG": self.config, "LANG": "C", "PATH": "/usr/bin:/bin",
                 "maptest": "small", "MAPTEST": "big"})

    def modes(self):
        return {name: oct(os.stat(self.path(name)).st_mode)
                for name in sorted(os.listdir(self.dir))}


def sides():
    w = world.need_build("bin/postmap")
    world.need_oracle()
    lib = os.path.join(w.oracle, "usr/lib/postfix")
    ours = Side(os.path.join(w.build, "bin/postmap"), "")
    theirs = Side(os.path.join(w.oracle, "usr/sbin/postmap"),
                  f"shlib_directory = {lib}\nqueue_directory = {w.dir}\n"
                  f"meta_directory = {os.path.join(w.oracle, 'etc/postfix')}\n")
    return ours, theirs


def play(steps):
    """[(step, result of ours, result of theirs)] and both sides' file modes."""
    ours, theirs = sides()
    done = [(step, ours.run(step), theirs.run(step)) for step in steps]
    return done, ours.modes(), theirs.modes()


class Compat(unittest.TestCase):
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
            told = f"step {step}:\nours {a}\ntheirs {b}"
            out_a, out_b = a.stdout, b.stdout
            if "texthash" in str(step):  # in the order of their hash table
                out_a, out_b = sorted(out_a.splitlines()), sorted(out_b.splitlines())
            self.assertEqual(out_a, out_b, told)
            self.assertEqual(canonical(a.stderr), canonical(b.stderr), told)
            self.assertEqual(a.returncode, b.returncode, told)
        self.assertEqual(modes_a, modes_b)


def _add(name):
    def test(self):
        self.compare(name)
    setattr(Compat, f"test_{name}", test)


for _name in CASES:
    _add(_name)


class Exchange(unittest.TestCase):
    """Files of one read, added to and deleted from by the other."""

    def check_reads(self, maker, reader, options):
        keys = [f"key{i}@example.org" for i in range(500)]
        source = "".join(f"{k} value {i}\n" for i, k in enumerate(keys)).encode()
        for kind, suffix in (("hash", "db"), ("btree", "db"), ("lmdb", "lmdb"), ("cdb", "cdb")):
            if kind in world.PLUGINS:
                world.need_plugin(kind)
            name = f"big-{kind}"
            maker.write(name, source)
            self.assertEqual(maker.run([*options, f"{kind}:{name}"]).returncode, 0)
            with open(maker.path(f"{name}.{suffix}"), "rb") as f:
                reader.write(f"{name}.{suffix}", f.read())
            table = f"{kind}:{name}"
            got = reader.run((["-q", "-", table], "\n".join(keys).encode())).stdout
            self.assertEqual(got, source.replace(b" value", b"\tvalue"))
            if kind in ("cdb", "lmdb"):  # both have the value behind the key
                with_nul = "-N" in options or (kind == "lmdb" and "-n" not in options)
                with open(maker.path(f"{name}.{suffix}"), "rb") as f:
                    found = b"key7@example.org\0value 7\0" in f.read()
                if kind == "cdb" or with_nul:  # an lmdb file may still have what it had
                    self.assertEqual(found, with_nul)
            if kind == "cdb":  # Debian's walks none, and nobody changes one
                continue
            self.assertEqual(maker.run(["-s", table]).stdout, reader.run(["-s", table]).stdout)
            self.assertEqual(reader.run((["-i", table], b"new one\n")).returncode, 0)
            self.assertEqual(reader.run(["-d", keys[7], table]).returncode, 0)
            with open(reader.path(f"{name}.{suffix}"), "rb") as f:
                maker.write(f"{name}.{suffix}", f.read())
            self.assertEqual(maker.run(q("new", table)).stdout, b"one\n")
            self.assertEqual(maker.run(q(keys[7], table)).returncode, 1)
            self.assertEqual(maker.run(q(keys[8], table)).stdout, b"value 8\n")

    def read_while_built(self, builder, reader, kind):
        """Whoever reads finds a key that all versions of the table have, always."""
        keys = "".join(f"key{i} value\n" for i in range(20000)).encode()
        name = f"{kind}:shared"
        builder.write("shared", keys)
        reader.dir = builder.dir
        self.assertEqual(builder.run([name]).returncode, 0)
        stop = threading.Event()

        def build():
            while not stop.is_set():
                self.assertEqual(builder.run([name]).returncode, 0)
                self.assertEqual(builder.run((["-ri", name], b"more x\n")).returncode, 0)

        with ThreadPoolExecutor(1) as pool:
            building = pool.submit(build)
            try:
                for _ in range(30):
                    got = reader.run((["-q", "-", name], b"key1\nkey19999\n" * 200))
                    self.assertEqual(got.stdout.count(b"\tvalue\n"), 400, got)
            finally:
                stop.set()
            building.result()

    def test_read_while_built(self):
        world.need_plugin("lmdb")
        for kind in ("hash", "lmdb"):
            with self.subTest(kind):
                ours, theirs = sides()
                self.read_while_built(ours, Side(ours.program, ""), kind)
                if kind == "lmdb":
                    self.read_while_built(theirs, ours, kind)
                    self.read_while_built(*sides(), kind)

    def test_ours_to_theirs(self):
        ours, theirs = sides()
        for options in ([], ["-n"], ["-N"]):
            self.check_reads(ours, theirs, options)

    def test_theirs_to_ours(self):
        ours, theirs = sides()
        for options in ([], ["-n"], ["-N"]):
            self.check_reads(theirs, ours, options)

    def test_owner_of_source(self):
        ours, theirs = sides()
        for side in (ours, theirs):
            folder = side.path("theirs")
            os.mkdir(folder)
            os.chown(side.dir, 0, 0)
            os.chmod(side.dir, 0o755)
            for name in ("f", "g"):
                side.write(f"theirs/{name}", b"a b\n")
                os.chown(side.path(f"theirs/{name}"), 65534, 65534)
            os.chown(folder, 65534, 65534)
            self.assertEqual(side.run(["theirs/f"]).returncode, 0, side.program)
            self.assertEqual(side.run(["-o", "theirs/g"]).returncode, 0)
            self.assertEqual(
                [os.stat(side.path(f"theirs/{n}.db")).st_uid for n in ("f", "g")], [65534, 0])
            # A table of theirs in a directory of root's can be made anew, not made.
            side.write("h", b"a b\n")
            side.write("i", b"a b\n")
            for name in ("h", "i"):
                os.chown(side.path(name), 65534, 65534)
            self.assertEqual(side.run(["-o", "h"]).returncode, 0)
            os.chown(side.path("h.db"), 65534, 65534)
            side.write("h", b"c d\n")
            self.assertEqual(side.run(["h"]).returncode, 0, side.program)
            self.assertEqual(side.run(q("c", "h")).stdout, b"d\n")
            self.assertEqual(side.run(q("a", "h")).returncode, 1)
            self.assertEqual(os.stat(side.path("h.db")).st_uid, 65534)
            failed = side.run(["i"])
            self.assertEqual(failed.returncode, 1)
            self.assertIn(b"Permission denied", failed.stderr)
            self.assertFalse(os.path.exists(side.path("i.db")))


class Atomic(unittest.TestCase):
    """What ours does better."""

    def setUp(self):
        w = world.need_build("bin/postmap")
        self.side = Side(os.path.join(w.build, "bin/postmap"), "")

    def test_readers_see_old_or_new(self):
        side = self.side
        self.assertEqual(side.run(["a"]).returncode, 0)
        side.write("many", b"".join(b"key%d value\n" % i for i in range(200000)))
        with open(side.path("a.db"), "rb") as f:
            side.write("many.db", f.read())
        rounds = 0
        with subprocess.Popen([side.program, "many"], cwd=side.dir,
                              env={"MAIL_CONFIG": side.config}) as build:
            while build.poll() is None:
                old = side.run(q("k1", "many"))
                new = side.run(q("key199999", "many"))
                self.assertTrue(old.returncode == 0 or new.returncode == 0,
                                (old, new))
                rounds += 1
        self.assertGreater(rounds, 3)
        self.assertEqual(build.returncode, 0)
        self.assertEqual(side.run(q("key199999", "many")).stdout, b"value\n")

    def test_killed_build_leaves_the_old_table(self):
        side = self.side
        self.assertEqual(side.run(["a"]).returncode, 0)
        side.write("a", b"".join(b"key%d value\n" % i for i in range(20000)))
        env = {"MAIL_CONFIG": side.config, "HIKYAKU_FAULT": "postmap:fsync:1:kill"}
        done = subprocess.run([side.program, "a"], cwd=side.dir, env=env, check=False,
                              capture_output=True)
        if done.returncode == 0:
            self.skipTest("built without fault hooks")
        self.assertEqual(side.run(q("k1", "a")).stdout, b"v1\n")
        self.assertEqual(side.run(["a"]).returncode, 0)
        self.assertEqual(side.run(q("key19999", "a")).stdout, b"value\n")

    def test_failed_write_leaves_nothing(self):
        side = self.side
        env = {"MAIL_CONFIG": side.config, "HIKYAKU_FAULT": "postmap:fsync:1:EIO"}
        done = subprocess.run([side.program, "b"], cwd=side.dir, env=env, check=False,
                              capture_output=True)
        if done.returncode == 0:
            self.skipTest("built without fault hooks")
        self.assertIn(b"Input/output error", done.stderr)
        self.assertEqual([n for n in os.listdir(side.dir) if n.startswith("b.")], [])


if __name__ == "__main__":
    unittest.main()
