# SPDX-License-Identifier: Apache-2.0
"""What cleanup does while its tables change: a table that is rebuilt is read anew, mail that
a broken table holds up waits in maildrop and goes on when the table is mended."""
import os
import re
import sqlite3
import time
import unittest
from contextlib import closing

from system import queuefile, world
from system.instance import Instance

MESSAGE = b"Subject: hello\n\nhello\n"
SECONDS = 40
INDEXED = ("hash", "btree", "lmdb", "cdb")


class Tables(unittest.TestCase):
    def setUp(self):
        world.need_build("bin/sendmail", "bin/postmap", "libexec/cleanup")

    def start(self, kind, parameter, key, value, **parameters):
        """A system whose table lies outside of its configuration directory."""
        mta = Instance("tables", "pickup unix n - n 1 1 pickup", defer_transports="smtp",
                       **parameters)
        self.addCleanup(mta.remove)
        self.folder = os.path.join(mta.dir, "tables")
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        self.kind, self.path = kind, os.path.join(self.folder, "table")
        mta.configure(**{parameter: f"{kind}:{self.path}"})
        self.build(mta, key, value)
        mta.start()
        self.addCleanup(mta.stop)
        return mta

    def build(self, mta, key, value):
        # By rename, as editors and postmap do.
        if self.kind == "sqlite":
            self.build_database(mta, key, value)
            return
        text = f"/^{re.escape(key)}$/ {value}\n" if self.kind == "pcre" else f"{key} {value}\n"
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.path + ".new", self.path)
        if self.kind in INDEXED:
            mta.run("postmap", f"{self.kind}:{self.path}")

    def build_database(self, mta, key, value):
        """In a directory that only the table's own file names."""
        folder = os.path.join(mta.dir, "database")
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "db")
        with closing(sqlite3.connect(path + ".new")) as db, db:
            db.execute("CREATE TABLE t (k TEXT, v TEXT)")
            db.execute("INSERT INTO t VALUES (?, ?)", (key, value))
        os.rename(path + ".new", path)
        if not os.path.exists(self.path):
            with open(self.path, "w", encoding="utf-8") as f:
                f.write(f"dbpath = {path}\nquery = SELECT v FROM t WHERE k = '%s'\n")

    def send(self, mta):
        mta.sendmail(MESSAGE, "a@far.example", sender="s@far.example")

    def recipients(self, mta, count):
        """Those of all messages, when there are that many."""
        end = time.monotonic() + SECONDS
        while True:
            files = [f for f in queuefile.read_all(mta.queue, ("incoming", "active", "deferred"))
                     if f.complete]
            if len(files) >= count and not mta.queue_files("maildrop")["maildrop"]:
                return sorted(r for f in files for r in f.recipients)
            self.assertLess(time.monotonic(), end, "\n".join(mta.log.raw()[-10:]))
            time.sleep(0.05)

    def test_rebuilt(self):
        for kind in (*INDEXED, "texthash", "pcre", "sqlite"):
            for parameter in ("virtual_alias_maps", "canonical_maps"):
                if parameter == "canonical_maps" and kind not in ("hash", "texthash"):
                    continue
                with self.subTest(kind=kind, parameter=parameter):
                    mta = self.start(kind, parameter, "a@far.example", "x@one.example")
                    self.send(mta)
                    self.assertEqual(self.recipients(mta, 1), ["x@one.example"])
                    time.sleep(1.1)   # a time stamp has seconds
                    self.build(mta, "a@far.example", "x@two.example")
                    self.send(mta)
                    self.assertEqual(self.recipients(mta, 2), ["x@one.example", "x@two.example"])

    def test_changed_in_place(self):
        """What postmap -i and another program's SQL change."""
        for kind in ("hash", "btree", "lmdb", "sqlite"):
            with self.subTest(kind):
                mta = self.start(kind, "virtual_alias_maps", "other@far.example", "x@far.example")
                self.send(mta)
                self.assertEqual(self.recipients(mta, 1), ["a@far.example"])
                time.sleep(1.1)
                if kind == "sqlite":
                    path = os.path.join(mta.dir, "database", "db")
                    with closing(sqlite3.connect(path)) as db, db:
                        db.execute("INSERT INTO t VALUES ('a@far.example', 'x@two.example')")
                else:
                    mta.run("postmap", "-i", f"{kind}:{self.path}",
                            stdin=b"a@far.example x@two.example\n")
                self.send(mta)
                self.assertEqual(self.recipients(mta, 2), ["a@far.example", "x@two.example"])

    def test_first_of_its_type(self):
        """A reload names the first table of a type: qmgr takes it into its sandbox."""
        for kind in ("lmdb", "cdb", "pcre", "sqlite", "hash"):
            with self.subTest(kind):
                mta = self.start(kind, "virtual_alias_maps", "a@far.example",
                                 "error:5.1.9 no such place")
                # The first message: qmgr has started, and knows the table's directory.
                mta.sendmail(MESSAGE, "b@far.example", sender="s@far.example")
                mta.log.wait(r"error: .*to=<b@far.example>.*status=deferred", SECONDS)
                mta.configure(virtual_alias_maps="")
                mta.reload()
                mta.configure(transport_maps=f"{kind}:{self.path}")
                mta.reload()
                self.send(mta)
                mta.log.wait(r"error: .*to=<a@far.example>.*dsn=5.1.9.*no such place", SECONDS)

    def test_unknown_class(self):
        """Refused by name, by the one that would use it."""
        mta = self.start("texthash", "canonical_maps", "a@b", "c@d")
        mta.configure(canonical_classes="envelope_sender header")
        mta.reload()
        self.send(mta)
        mta.log.wait(r'cleanup: fatal: .*unknown canonical_classes value "header"', SECONDS)
        self.assertEqual(len(mta.queue_files("maildrop")["maildrop"]), 1)

    def test_copies(self):
        mta = self.start("hash", "recipient_bcc_maps", "a@far.example", "copy@far.example")
        self.send(mta)
        self.assertEqual(self.recipients(mta, 1), ["a@far.example", "copy@far.example"])

    def test_mended(self):
        """The only recipient waits for a table: the message must not be taken for one
        without recipients."""
        for parameter in ("virtual_alias_maps", "recipient_canonical_maps", "sender_bcc_maps"):
            with self.subTest(parameter):
                mta = self.start("texthash", parameter, "none@far.example", "none@far.example")
                mta.stop()
                mta.configure(**{parameter: "fail:broken"})
                mta.start()
                mta.log.mark()
                self.send(mta)
                mta.log.wait(r"cleanup: .*message not accepted", SECONDS)
                time.sleep(0.5)
                self.assertEqual(len(mta.queue_files("maildrop")["maildrop"]), 1)
                mta.configure(**{parameter: f"texthash:{self.path}"})
                mta.reload()
                mta.flush()
                self.assertEqual(self.recipients(mta, 1), ["a@far.example"])


if __name__ == "__main__":
    unittest.main()
