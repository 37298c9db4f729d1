# SPDX-License-Identifier: Apache-2.0
"""One mail system is stopped with mail in all its queues, the other is started on the same
spool and delivers it all: Debian's Postfix after ours, and ours after it."""
import os
import re
import unittest

from .harness import Instance, Ledger, OracleInstance, Sink
from .outcomes import CALM, outcomes

ALIASES = ("inline:{ {team@virtual.example = one@dest.example, two@dest.example}, "
           "{solo@virtual.example = three@dest.example} }")
DSN = ("PIPELINING", "SIZE 0", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN")


def second_on(first, kind, **parameters):
    """An instance of the other kind, not started, on the spool of the first."""
    second = kind("second", **{**parameters, "queue_directory": first.queue})
    second.queue = first.queue
    return second


class Takeover(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.ledger = Ledger()
        self.sink = Sink(extensions=DSN)
        self.addCleanup(self.sink.stop)
        self.parameters = {
            **CALM, "relayhost": self.sink.hop, "myhostname": "mail.example.net",
            "virtual_alias_maps": ALIASES, "virtual_alias_domains": "virtual.example",
            "delay_warning_time": "4h"}

    def send(self, mta, *recipients, arrives_as=None, options=(), size=0, log=True):
        message = self.ledger.message(list(recipients), size=size, arrives_as=arrives_as)
        mta.log.mark()
        mta.sendmail(message.data, *recipients, sender=message.sender, options=options)
        self.ledger.accept(message)
        return outcomes(mta, arrives_as or recipients) if log else None

    def fill(self, mta):
        """Mail of every kind in the spool; {recipient: reason} of what is deferred."""
        self.sink.stop()
        told = self.send(mta, "a@dest.example")
        told |= self.send(mta, "big@dest.example", size=300000)
        told |= self.send(mta, "team@virtual.example",
                          arrives_as=["one@dest.example", "two@dest.example"])
        told |= self.send(mta, "solo@virtual.example", arrives_as=["three@dest.example"],
                          options=("-N", "failure,delay", "-R", "hdrs", "-V", "env+1"))
        told |= self.send(mta, "held@dest.example")
        told |= self.send(mta, "new@dest.example")
        self.sink.start()
        self.sink.reply("RCPT TO:<later@", "450 4.2.0 not now")
        told |= self.send(mta, "now@dest.example", "later@dest.example")
        self.sink.clear()
        self.sink.stop()
        self.assertEqual(told.pop("now@dest.example").status, "sent")
        self.assertEqual({o.status for o in told.values()}, {"deferred"})
        return {recipient: o.text for recipient, o in told.items()}

    def move(self, queue, recipient, to):
        """A message from deferred to a queue where it could as well have been."""
        for folder, _, names in os.walk(os.path.join(queue, "deferred")):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    if recipient in f.read():
                        os.utime(path)
                        new = os.path.join(queue, to, name)
                        os.rename(path, new)
                        return path, new
        return self.fail(f"{recipient} is not deferred")

    def take_over(self, first_kind, second_kind, **more):
        first = first_kind("first", **self.parameters, **more)
        with first:
            reasons = self.fill(first)
            first.stop()
            home, held = self.move(first.queue, b"held@dest.example", "hold")
            self.move(first.queue, b"new@dest.example", "incoming")
            self.send(first, "drop@dest.example", log=False)
            self.send(first, "team@virtual.example", log=False,
                      arrives_as=["one@dest.example", "two@dest.example"])
            kinds = {q: len(ids) for q, ids in first.queue_files().items()}
            self.assertEqual(kinds, {"maildrop": 2, "incoming": 1, "active": 0,
                                     "deferred": 5, "hold": 1, "corrupt": 0})
            second = second_on(first, second_kind, **self.parameters, **more)
            with second:
                self.check_listed(first, second, reasons)
                self.sink.start()
                second.flush()
                self.sink.wait(9)
                self.assertTrue(os.path.exists(held))
                os.rename(held, home)
                second.flush()
                second.wait_empty()
                self.check_delivered(second)
                second.stop()
            self.assertEqual(first.queue_files("defer", "bounce", "trace", "corrupt"),
                             {"defer": [], "bounce": [], "trace": [], "corrupt": []})

    def check_listed(self, first, second, reasons):
        """What waits, and why, as the first one's attempts left it."""
        oracle = first if isinstance(first, OracleInstance) else second
        out = oracle.run("postqueue", "-c", second.config, "-j").stdout.decode()
        for recipient, reason in reasons.items():
            if recipient in ("new@dest.example", "held@dest.example"):
                continue
            m = re.search(rf'"address": "{recipient}", "delay_reason": "([^"]*)"', out)
            self.assertTrue(m, f"{recipient} in {out}")
            self.assertEqual(m[1], reason)

    def check_delivered(self, second):
        count = self.ledger.check([self.sink], [second])
        self.assertEqual((count.accepted, count.bounced, count.queued), (12, 0, 0))
        self.assertEqual(count.delivered, 12)
        sent = {(line.fields["to"], line.fields.get("orig_to"))
                for line in second.log.find("smtp: .*status=sent")}
        self.assertLessEqual({("one@dest.example", "team@virtual.example"),
                              ("three@dest.example", "solo@virtual.example"),
                              ("later@dest.example", None),
                              ("drop@dest.example", None)}, sent)
        with_dsn, = [m for m in self.sink.messages if "three@dest.example" in m.recipients]
        self.assertEqual(with_dsn.rcpt_args,
                         ["ORCPT=rfc822;solo@virtual.example NOTIFY=FAILURE,DELAY"])
        self.assertIn("ENVID=env+2B1 RET=HDRS", with_dsn.mail_args)

    def test_postfix_after_ours(self):
        self.take_over(Instance, OracleInstance)

    def test_ours_after_postfix(self):
        self.take_over(OracleInstance, Instance)

    def test_postfix_after_ours_with_long_ids(self):
        self.take_over(Instance, OracleInstance, enable_long_queue_ids="yes",
                       hash_queue_depth="2")

    def test_ours_after_postfix_with_long_ids(self):
        self.take_over(OracleInstance, Instance, enable_long_queue_ids="yes",
                       hash_queue_depth="2")


if __name__ == "__main__":
    unittest.main()
