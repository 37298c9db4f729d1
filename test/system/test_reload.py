# SPDX-License-Identifier: Apache-2.0
"""`postfix reload` with another relayhost or fallback while mail is queued and sessions are
open: in force at once, nothing lost, nothing twice, no session cut."""
import os
import time
import unittest

from . import world
from .harness import Instance, Ledger, Sink
from .maillog import Maillog
from .outcomes import CALM, kinds

MESSAGES = 20


class Reload(unittest.TestCase):
    def setUp(self):
        world.need_private()

    def play(self, scenario, systems=None):
        for kind in systems or kinds():
            with self.subTest(kind=kind.kind):
                old, new = Sink(name="old.example.com"), Sink(name="new.example.com")
                self.addCleanup(old.stop)
                self.addCleanup(new.stop)
                ledger = Ledger(kind.kind)
                with kind(**CALM, relayhost=old.hop) as mta:
                    scenario(mta, ledger, old, new)
                    self.drain(mta)
                    count = ledger.check([old, new], [mta])
                    self.assertEqual((count.bounced, count.queued, count.duplicates),
                                     (0, 0, 0))
                    self.assertEqual(count.delivered, count.accepted)

    @staticmethod
    def drain(mta):
        """Until nothing is queued. What an agent of before the reload still has in its
        hands, Debian's qmgr puts off; so it is told to look again."""
        end = time.monotonic() + 60
        while mta.queued() or mta.queued():
            if time.monotonic() > end:
                raise AssertionError(f"still queued: {mta.queue_files()}")
            mta.flush()
            time.sleep(0.3)

    @staticmethod
    def submit(mta, ledger, count=MESSAGES, size=0):
        for _ in range(count):
            message = ledger.message(["user@dest.example"], size=size)
            mta.sendmail(message.data, *message.recipients, sender=message.sender)
            ledger.accept(message)

    def fail_all(self, mta, ledger, sink):
        """Mail that is queued because the sink is down."""
        sink.stop()
        mta.log.mark()
        self.submit(mta, ledger)
        mta.log.wait(r"smtp: .*status=deferred", count=MESSAGES)
        mta.wait_deferred(MESSAGES)

    def test_other_relayhost(self):
        def scenario(mta, ledger, old, new):
            self.fail_all(mta, ledger, old)
            mta.configure(relayhost=new.hop)
            mta.reload()
            # New mail takes the new way at once; the queued mail when it is tried again.
            self.submit(mta, ledger, 1)
            new.wait(1)
            mta.flush()
            new.wait(MESSAGES + 1)
            # It was up again: nothing of it may have gone there.
            self.assertEqual(old.messages, [])

        self.play(scenario)

    def test_no_relayhost(self):
        """Back to the old one that works after a wrong one."""
        def scenario(mta, ledger, old, new):
            self.submit(mta, ledger, 1)
            old.wait(1)
            mta.configure(relayhost=f"[127.0.0.1]:{world.enter().port()}")
            mta.reload()
            mta.log.mark()
            self.submit(mta, ledger, 3)
            mta.log.wait(r"smtp: .*status=deferred.*Connection refused", count=3)
            mta.wait_deferred(3)
            mta.configure(relayhost=old.hop)
            mta.reload()
            mta.flush()
            old.wait(4)

        self.play(scenario)

    def test_fallback_comes_and_goes(self):
        def scenario(mta, ledger, old, new):
            self.fail_all(mta, ledger, old)
            mta.configure(smtp_fallback_relay=new.hop)
            mta.reload()
            mta.flush()
            new.wait(MESSAGES)
            mta.configure(smtp_fallback_relay="")
            mta.reload()
            mta.log.mark()
            self.submit(mta, ledger, 3)
            mta.log.wait(r"smtp: .*status=deferred", count=3)
            mta.wait_deferred(3)
            old.start()
            mta.flush()
            old.wait(3)
            self.assertEqual(len(new.messages), MESSAGES)

        self.play(scenario)

    def test_session_is_not_cut(self):
        def scenario(mta, ledger, old, new):
            old.reply("EOD", None, delay=5, times=1)
            self.submit(mta, ledger, 1, size=300000)
            old.wait_command("DATA")
            mta.configure(relayhost=new.hop)
            mta.reload()
            # The new configuration does not wait for the old session.
            self.submit(mta, ledger, 1)
            new.wait(1)
            self.assertEqual(old.messages, [])
            old.wait(1)
            self.assertEqual((old.connections, len(old.messages)), (1, 1))

        self.play(scenario)

    def test_many_reloads_in_a_flow(self):
        def scenario(mta, ledger, old, new):
            for i in range(12):
                mta.configure(relayhost=(new if i % 2 == 0 else old).hop)
                self.submit(mta, ledger, 10)
                mta.reload()
                self.submit(mta, ledger, 10)
            self.drain(mta)
            self.assertGreater(min(len(old.messages), len(new.messages)), 20)

        self.play(scenario, (Instance,))

    def test_other_maillog(self):
        """Who stays in place over a reload writes into the new file, too."""
        with Sink() as sink, Instance(relayhost=sink.hop) as mta:
            other = Maillog(os.path.join(mta.dir, "other"))
            mta.configure(maillog_file=other.path)
            mta.run("postfix", "reload")
            # Each reads it in its own time; nobody says into which file that he has.
            end = time.monotonic() + 20
            while not {"qmgr", "smtp"} <= {line.program for line in other.lines()}:
                self.assertLess(time.monotonic(), end)
                mta.sendmail(b"Subject: x\n\nx\n", "a@dest.example")
                time.sleep(0.3)


if __name__ == "__main__":
    unittest.main()
