# SPDX-License-Identifier: Apache-2.0
"""Asking for deliveries: postqueue -f, -i, -s, sendmail -q, the lists of flush(8); and
postsuper while the mail system runs. The scenarios of Both are also played by Debian's
Postfix, which shows that they ask for what is right."""
import os
import socket
import threading
import time
import unittest

from .harness import Instance, Ledger, OracleInstance, Sink, need_private

HOUR = 3600


def until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Scenario:
    """A relay that is down at first, so that mail is deferred and its site dead."""

    def __init__(self, kind, services="", **parameters):
        self.ledger = Ledger()
        self.sink = Sink(start=False)
        self.mta = kind(services=services, **{
            "relayhost": self.sink.hop, "relay_domains": "example.org",
            "fast_flush_domains": "example.org [127.0.0.9]",
            "initial_destination_concurrency": "1", **parameters})

    def __enter__(self):
        self.mta.__enter__()
        return self

    def __exit__(self, *what):
        try:
            self.mta.__exit__(*what)
        finally:
            self.sink.stop()

    def submit(self, recipient, sender="sender@example.net"):
        message = self.ledger.message([recipient], sender=sender)
        self.mta.sendmail(message.data, recipient, sender=sender)
        self.ledger.accept(message)

    def defer(self, *recipients):
        """Submit a message to each; {recipient: id} when all are deferred."""
        for recipient in recipients:
            self.submit(recipient)
        until(lambda: len(self.deferred()) == len(recipients), "all deferred")
        return self.deferred()

    def deferred(self):
        return {m["recipients"][0]["address"]: m["queue_id"] for m in self.mta.queue_list()
                if m["queue_name"] == "deferred" and m["recipients"]}

    def lists(self):
        found = {}
        for name in os.listdir(os.path.join(self.mta.queue, "flush")):
            with open(os.path.join(self.mta.queue, "flush", name), encoding="ascii") as f:
                found[name] = f.read().split()
        return found

    def arrived(self):
        return sorted(r for m in self.sink.messages for r in m.recipients)


class Both:
    kind = None

    def scenario(self, **parameters):
        return Scenario(self.kind, **parameters)

    def test_site(self):
        with self.scenario() as s:
            ids = s.defer("a@example.org", "b@other.example", "c@sub.example.org",
                          "d@EXAMPLE.org")
            until(lambda: len(s.lists()) == 2, "lists")
            self.assertEqual({k: sorted(set(v)) for k, v in s.lists().items()},
                             {"example_org": sorted({ids["a@example.org"],
                                                     ids["d@EXAMPLE.org"]}),
                              "sub_example_org": [ids["c@sub.example.org"]]})
            s.sink.start()
            s.mta.run("postqueue", "-s", "Example.org")
            s.sink.wait(2)
            self.assertEqual(s.arrived(), ["a@example.org", "d@EXAMPLE.org"])
            until(lambda: s.lists()["example_org"] == [], "the list is empty")
            s.mta.run("sendmail", "-qRsub.example.org")
            s.sink.wait(3)
            self.assertEqual(sorted(s.deferred()), ["b@other.example"])
            self.assertEqual(s.ledger.check([s.sink], [s.mta]).delivered, 3)

    def test_site_that_is_still_down(self):
        """Tried although it is known to be down, deferred again, and listed again."""
        with self.scenario() as s:
            ids = s.defer("a@example.org")
            s.mta.log.mark()
            s.mta.run("postqueue", "-s", "example.org")
            s.mta.log.wait("smtp: .*status=deferred .*refused")
            until(lambda: s.lists() == {"example_org": [ids["a@example.org"]]}
                  and s.deferred() == ids, "listed again")

    def test_message(self):
        with self.scenario() as s:
            ids = s.defer("a@other.example", "b@other.example")
            s.sink.start()
            s.mta.run("postqueue", "-i", ids["b@other.example"])
            s.sink.wait()
            self.assertEqual(s.arrived(), ["b@other.example"])
            s.mta.run("sendmail", "-qI" + ids["a@other.example"])
            s.sink.wait(2)
            s.mta.wait_empty()

    def test_everything(self):
        """Not yet due, destination dead, transport deferred, submitted while pickup slept."""
        with self.scenario(defer_transports="smtp, relay") as s:
            s.defer("a@other.example", "b@example.org")
            self.assertEqual(len(s.mta.log.find("status=deferred .deferred transport")), 2)
            s.sink.start()
            for _ in range(2):
                s.mta.run("postqueue", "-f")
            s.sink.wait(2)
            s.mta.wait_empty()

    def test_everything_by_other_names(self):
        with self.scenario() as s:
            for name, args in (("sendmail", ["-q"]), ("postfix", ["-c", s.mta.config,
                                                                  "flush"])):
                s.defer("a@other.example", "b@example.org")
                s.sink.start()
                s.mta.run(name, *args)
                s.mta.wait_empty()
                s.sink.stop()
            self.assertEqual(s.ledger.check([s.sink], [s.mta]).delivered, 4)

    def test_hold_does_not_hear(self):
        with self.scenario() as s:
            ids = s.defer("a@example.org", "b@example.org")
            s.mta.run("postsuper", "-h", ids["a@example.org"])
            s.sink.start()
            s.mta.run("postqueue", "-i", ids["a@example.org"])
            s.mta.run("postqueue", "-s", "example.org")
            s.mta.run("postqueue", "-f")
            s.sink.wait()
            time.sleep(0.3)
            self.assertEqual(s.arrived(), ["b@example.org"])
            s.mta.run("postsuper", "-H", "ALL")
            s.mta.run("postqueue", "-f")
            s.mta.wait_empty()
            self.assertEqual(s.ledger.check([s.sink], [s.mta]).delivered, 2)

    def test_expire_tells_the_reason(self):
        with self.scenario() as s:
            s.defer("a@example.org")
            s.mta.run("postsuper", "-e", "ALL")
            self.assertTrue(s.mta.queue_list()[0]["forced_expire"])
            s.sink.start()
            s.mta.run("postqueue", "-f")
            report = s.sink.wait()[0]
            s.mta.wait_empty()
            self.assertEqual((report.sender, report.recipients),
                             ("", ["sender@example.net"]))
            self.assertIn(b"Connection refused", report.text)
            s.mta.log.wait("qmgr: .*status=force-expired, returned to sender")
            self.assertEqual(s.ledger.check([s.sink], [s.mta]).bounced, 1)

    def test_expire_what_was_never_tried(self):
        with self.scenario(defer_transports="smtp, relay") as s:
            s.submit("a@example.org")
            s.mta.log.wait("status=deferred .deferred transport")
            until(s.deferred, "deferred")
            defer = os.path.join(s.mta.queue, "defer")
            for folder, _, names in os.walk(defer):  # as after a crash
                for name in names:
                    os.unlink(os.path.join(folder, name))
            s.mta.run("postsuper", "-f", "ALL")
            s.sink.start()
            s.mta.configure(defer_transports=None)
            s.mta.reload()
            # A queue manager that is being replaced (Debian's) may miss the first wish.
            until(lambda: s.mta.run("postqueue", "-f") and s.sink.messages, "a report")
            report = s.sink.wait()[0]
            self.assertIn(b"administratively expired", report.text)
            s.mta.wait_empty()

    def test_other_hash_depth(self):
        """Deferred mail is found after a reload that changes where it lies."""
        with self.scenario() as s:
            message = s.defer("a@example.org")["a@example.org"]
            s.mta.configure(hash_queue_depth="3")
            s.mta.reload()
            until(lambda: os.path.exists(os.path.join(
                s.mta.queue, "deferred", *message[:3], message)), "moved")
            s.sink.start()
            until(lambda: s.mta.run("postqueue", "-f") and not s.mta.queued(), "empty")
            self.assertEqual(s.ledger.check([s.sink], [s.mta]).delivered, 1)

    def test_requeue(self):
        with self.scenario() as s:
            ids = s.defer("a@example.org")
            s.mta.run("postsuper", "-r", "ALL")
            s.mta.run("postqueue", "-f")
            s.mta.log.wait(f"pickup: .*orig_id={ids['a@example.org']}")
            s.sink.start()
            until(lambda: s.mta.run("postqueue", "-f") and not s.mta.queued(), "empty")
            self.assertEqual(s.ledger.check([s.sink], [s.mta]).delivered, 1)

    def slow(self, s):
        """A message in the middle of its delivery; its id."""
        s.sink.start()
        s.sink.reply("EOD", None, delay=1.0, times=1)
        s.submit("a@example.org")
        s.sink.wait_command("DATA")
        return os.listdir(os.path.join(s.mta.queue, "active"))[0]

    def test_delete_during_delivery(self):
        with self.scenario() as s:
            message = self.slow(s)
            s.mta.run("postsuper", "-d", message)
            s.sink.wait()
            time.sleep(0.3)
            self.assertEqual(s.mta.queue_files(*LOGS), {q: [] for q in LOGS})
            s.submit("b@example.org")
            s.sink.wait(2)
            s.mta.wait_empty()

    def test_hold_during_delivery(self):
        """It arrives; what is left on hold has nobody to go to any more."""
        with self.scenario() as s:
            message = self.slow(s)
            s.mta.run("postsuper", "-h", message)
            s.sink.wait()
            time.sleep(0.3)
            s.mta.run("postsuper", "-H", message)
            s.mta.run("postqueue", "-f")
            s.mta.wait_empty()
            self.assertEqual(s.ledger.check([s.sink], [s.mta]).duplicates, 0)

    def test_hold_before_deferral(self):
        """It is deferred while on hold: nothing is lost, and it goes when released."""
        with self.scenario() as s:
            s.sink.start()
            s.sink.reply("RCPT", "450 4.2.0 later", delay=1.0, times=1)
            s.submit("a@example.org")
            s.sink.wait_command("RCPT")
            message, = os.listdir(os.path.join(s.mta.queue, "active"))
            s.mta.run("postsuper", "-h", message)
            s.mta.log.wait("status=deferred")
            time.sleep(0.3)
            self.assertEqual(s.mta.queue_files("hold"), {"hold": [message]})
            s.mta.run("postsuper", "-H", message)
            s.mta.run("postqueue", "-f")
            s.mta.wait_empty()
            self.assertEqual(s.ledger.check([s.sink], [s.mta]).delivered, 1)


LOGS = ("bounce", "defer", "trace")


class Ours(Both, unittest.TestCase):
    kind = Instance

    def test_hold_and_release_all_the_time(self):
        """postsuper against qmgr, many times: everything arrives."""
        with self.scenario() as s:
            s.sink.start()
            stop = threading.Event()
            failed = []

            def disturb():
                while not stop.is_set():
                    for args in (["-h", "ALL"], ["-H", "ALL"], ["-s"]):
                        r = s.mta.run("postsuper", *args, check=False)
                        if r.returncode != 0:
                            failed.append(r.stderr)

            thread = threading.Thread(target=disturb)
            thread.start()
            try:
                for i in range(60):
                    s.submit(f"u{i}@example.org")
            finally:
                stop.set()
                thread.join()
            s.mta.run("postsuper", "-H", "ALL")
            until(lambda: s.mta.run("postqueue", "-f") and not s.mta.queued(), "empty", 60)
            self.assertEqual(failed, [])
            count = s.ledger.check([s.sink], [s.mta], max_duplicates=60)
            self.assertEqual(count.delivered, 60)

    def test_lists_are_looked_after(self):
        """Unread lists are sent, empty ones removed, at the wake-up time."""
        with self.scenario(services="flush unix n - n 1 0 flush",
                           fast_flush_refresh_time="1s", fast_flush_purge_time="2s") as s:
            s.defer("a@example.org")
            until(lambda: "example_org" in s.lists(), "listed")
            s.sink.start()
            # Made due, but not against what is known of the site.
            s.mta.log.wait("status=deferred .delivery temporarily suspended")
            s.mta.run("postqueue", "-f")
            s.mta.wait_empty()
            until(lambda: s.lists() == {}, "the list is removed")

    def test_many_and_repeated_and_strange_entries(self):
        with self.scenario() as s:
            ids = s.defer("a@example.org")
            path = os.path.join(s.mta.queue, "flush", "example_org")
            until(lambda: os.path.exists(path), "listed")
            with open(path, "a", encoding="ascii") as f:
                f.write("ABCDEF\n" * 3 + "../../etc\n\n" + "x" * 70000 + "\n"
                        + "".join(f"ABCDE{i:X}\n" for i in range(20000))
                        + f"{ids['a@example.org']}\nno end")
            s.sink.start()
            s.mta.run("postqueue", "-s", "example.org")
            s.sink.wait()
            s.mta.wait_empty()
            s.mta.log.wait('flush: warning: bad queue id "../../etc..."')
            until(lambda: s.lists()["example_org"] == [], "the list is empty")

    def test_flush_dies(self):
        with self.scenario() as s:
            s.defer("a@example.org")
            until(lambda: "example_org" in s.lists(), "listed")
            self.assertEqual(len(s.mta.kill("flush")), 1)
            s.sink.start()
            until(lambda: s.mta.run("postqueue", "-s", "example.org",
                                    check=False).returncode == 0, "served again")
            s.sink.wait()
            s.mta.wait_empty()

    def test_no_flush_service(self):
        """Mail is deferred all the same, with one warning."""
        with self.scenario(flush_service_name="nosuch") as s:
            s.defer("a@example.org", "b@sub.example.org")
            s.mta.log.wait("qmgr: warning: nosuch service: ")
            self.assertEqual(len(s.mta.log.find("qmgr: warning: nosuch service: ")), 1)

    def ask(self, s, request):
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(10)
            c.connect(os.path.join(s.mta.queue, "public", "flush"))
            c.sendall(b"hikyaku-ipc 1\0" + request)
            return c.recv(1000)

    def test_requests(self):
        with self.scenario() as s:
            ids = s.defer("a@other.example")
            rows = [(b"flush_add\0site\0a.example.org\0queue_id\0ABCDEF1\0\0", b"0"),
                    (b"flush_add\0site\0a.example\0queue_id\0ABCDEF1\0\0", b"2"),
                    (b"flush_add\0site\0example.org\0queue_id\0../x\0\0", b"3"),
                    (b"flush_add\0site\0\0queue_id\0ABCDEF1\0\0", b"3"),
                    (b"flush_add\0site\0x.example.org" + b"y" * 200
                     + b".example.org\0queue_id\0ABCDEF1\0\0", b"0"),
                    (b"flush_send_file\0queue_id\0a/b\0\0", b"3"),
                    (b"flush_send_site\0site\0nosuch.example\0\0", b"2"),
                    (b"flush_refresh\0\0", b"0"), (b"flush_refresh\0all\0" b"1\0\0", b"0")]
            for request, status in rows:
                self.assertEqual(self.ask(s, request), b"hikyaku-ipc 1\0flush_done\0status\0"
                                 + status + b"\0\0", request)
            self.assertEqual(self.ask(s, b"nonsense\0\0"), b"")
            self.assertEqual([v for v in s.lists().values() if v], [])
            self.assertEqual(s.deferred(), ids)


class Debians(Both, unittest.TestCase):
    kind = OracleInstance

    def setUp(self):
        need_private()


del Both

if __name__ == "__main__":
    unittest.main()
