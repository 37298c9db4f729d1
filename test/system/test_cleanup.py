# SPDX-License-Identifier: Apache-2.0
"""What cleanup does while its tables change: a table that is rebuilt is read anew, mail that
a broken table holds up waits in maildrop and goes on when the table is mended."""
import os
import time
import unittest

from system import queuefile, world
from system.instance import Instance

MESSAGE = b"Subject: hello\n\nhello\n"
SECONDS = 40


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
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            f.write(f"{key} {value}\n")
        os.rename(self.path + ".new", self.path)
        if self.kind == "hash":
            mta.run("postmap", f"hash:{self.path}")

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
        for kind in ("hash", "texthash"):
            for parameter in ("virtual_alias_maps", "canonical_maps"):
                with self.subTest(kind=kind, parameter=parameter):
                    mta = self.start(kind, parameter, "a@far.example", "x@one.example")
                    self.send(mta)
                    self.assertEqual(self.recipients(mta, 1), ["x@one.example"])
                    time.sleep(1.1)   # a time stamp has seconds
                    self.build(mta, "a@far.example", "x@two.example")
                    self.send(mta)
                    self.assertEqual(self.recipients(mta, 2), ["x@one.example", "x@two.example"])

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
