# SPDX-License-Identifier: Apache-2.0
"""hikyaku trace on the maillog of a running Postfix of Debian's.

One day in the life of a mail host is played: mail from other hosts and from users, aliases
and a .forward, two kinds of content filter, header rules, refusals, deferrals, bounces, and
an administrator who holds, requeues and deletes. What trace then says, asked by address,
queue id, message-id, remote queue id and client, must be what was played, and each line of
the log must be told in the story of its queue id.

What needs no smtpd and no local delivery is then played on ours as well: trace must tell the
same of both.
"""
import json
import os
import re
import smtplib
import socket
import subprocess
import time
import unittest

from compat.pair import HOST, ID, Town
from system.harness import Instance, OracleInstance, need_build, need_oracle

PLAIN, BACK, SCANNED, PIPED = 2525, 2526, 2527, 2528
STRANGER, DEALER, FRIEND = "127.0.3.9", "127.0.3.10", "127.0.3.7"
REMOTE_ID = "7F00A12345"

SERVICES = f"""\
127.0.0.1:{PLAIN} inet n - n - - smtpd
127.0.0.1:{BACK} inet n - n - - smtpd
 -o myhostname=back.example.net -o smtpd_authorized_xforward_hosts=127.0.0.0/8
127.0.0.1:{SCANNED} inet n - n - - smtpd
 -o content_filter=scan:[127.0.0.1]:{BACK}
127.0.0.1:{PIPED} inet n - n - - smtpd
 -o content_filter=through:dummy
scan unix - - n - 10 smtp -o smtp_send_xforward_command=yes
through unix - n n - 10 pipe
 flags=Rq user=tester null_sender= argv=%(dir)s/filter ${{sender}} ${{recipient}}
"""
ALIASES = "team carol@ok.example, dave@refuse.example, tester\n"
HEADER_CHECKS = """\
/^Subject: .*keep back/ HOLD wait for a human
/^Subject: .*forbidden/ REJECT not here
/^Subject: .*rubbish/ DISCARD
/^Subject: .*odd/ WARN look at this
/^Subject: .*mark/ PREPEND X-Marked: yes
"""
FILTER = """\
#!/bin/sh
MAIL_CONFIG=%(etc)s exec %(sendmail)s -G -i -f "$1" -- "$2"
"""


def furnish(town):
    for name in "home", "ok", "far":
        town.site(name)
    town.sinks["mx.far"].reply("EOD", f"250 2.0.0 Ok: queued as {REMOTE_ID}")
    town.site("refuse").reply("RCPT", "550 5.1.1 <x>: Recipient address rejected: User unknown")
    town.site("later").reply("RCPT", "450 4.7.1 Greylisted, try again later", times=1)
    for name in "down", "down2", "down3":   # one each: after a failure qmgr waits
        town.site(name, start=False)


def message_id(name):
    return f"<{name}.1@home.example>"


class Host:
    """What an administrator does, on a running system `mta`."""

    def only(self, queue):
        """The queue id of the one message there."""
        [queue_id] = self.mta.queue_files(queue)[queue]
        return queue_id

    def settle(self):
        end = time.monotonic() + 30
        quiet = 0
        while quiet < 5:
            busy = any(self.mta.queue_files("maildrop", "incoming", "active").values())
            quiet = 0 if busy else quiet + 1
            if time.monotonic() > end:
                raise AssertionError(f"busy: {self.mta.queue_files()}")
            time.sleep(0.1)

    def wake_pickup(self):
        """It looks once a minute by itself."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(os.path.join(self.mta.queue, "public", "pickup"))
            try:
                s.sendall(b"W")
            except BrokenPipeError:
                pass

    def wait(self, pattern, count=1):
        self.mta.log.wait(pattern, 20, count)


class Day(Host):
    """The mail host, and what is done to it."""

    def __init__(self, town):
        self.town = town
        self.mta = OracleInstance(
            "trace", myhostname=HOST, mydestination=f"{HOST}, local.example",
            mynetworks=f"127.0.0.1/32, {FRIEND}/32, {DEALER}/32", inet_interfaces="127.0.0.1",
            header_checks="regexp:$config_directory/header_checks",
            alias_maps="texthash:$config_directory/aliases",
            virtual_alias_domains="virtual.example",
            virtual_alias_maps="inline:{{sales@virtual.example = vera@ok.example}}",
            smtp_bind_address="127.0.0.1", smtp_connect_timeout="3s",
            smtpd_peername_lookup="no",
            smtpd_relay_restrictions="permit_mynetworks, reject_unauth_destination")
        places = {"dir": self.mta.dir, "etc": self.mta.config,
                  "sendmail": self.mta.program("sendmail")}
        self.mta.configure(forward_path=f"{self.mta.dir}/forward/$user",
                           mail_spool_directory=f"{self.mta.dir}/mail/")
        self.mta.services = self.mta._master_cf(SERVICES % places)
        self.mta.write()
        self.put("etc/aliases", ALIASES)
        self.put("etc/header_checks", HEADER_CHECKS)
        self.put("filter", FILTER % places, 0o755)
        self.put("forward/nobody", "erin@ok.example\n")
        os.makedirs(f"{self.mta.dir}/mail")
        os.chmod(f"{self.mta.dir}/mail", 0o1777)

    def put(self, name, text, mode=0o644):
        path = os.path.join(self.mta.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)

    def smtp(self, name, *recipients, port=PLAIN, subject="hello", source="127.0.0.1",
             sender="sam@home.example"):
        """From another mail host; the code of the last reply."""
        text = (f"From: {sender}\nMessage-ID: {message_id(name)}\nSubject: {subject}\n"
                "\nHello.\n")
        try:
            with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=20,
                              source_address=(source, 0)) as client:
                client.sendmail(sender, recipients, text)
        except smtplib.SMTPRecipientsRefused as e:
            return next(iter(e.recipients.values()))[0]
        except smtplib.SMTPResponseException as e:
            return e.smtp_code
        return 250

    def hang_up(self, source):
        """A client that goes away in the middle."""
        with socket.create_connection(("127.0.0.1", PLAIN), 20, (source, 0)) as s:
            for line in "", "HELO x", "MAIL FROM:<x@home.example>", "RCPT TO:<y@ok.example>":
                s.sendall(line.encode() + b"\r\n" if line else b"")
                s.recv(1000)

    def play(self):
        self.codes = {}
        # Other hosts.
        self.smtp("relayed", "anna@far.example", source=FRIEND)
        self.smtp("aliased", "team@local.example")
        self.smtp("forwarded", "nobody@local.example")
        self.smtp("virtual", "sales@virtual.example")
        self.smtp("scanned", "grace@ok.example", port=SCANNED)
        self.smtp("piped", "henry@ok.example", port=PIPED)
        self.smtp("odd", "olga@ok.example", subject="an odd one")
        self.smtp("marked", "mark@ok.example", subject="to mark")
        self.codes["relay"] = self.smtp("x", "quentin@ok.example", source=STRANGER)
        self.codes["unknown"] = self.smtp("x", "absent@local.example")
        self.codes["content"] = self.smtp("content", "rita@ok.example", subject="forbidden")
        self.codes["discard"] = self.smtp("discarded", "ruth@ok.example", subject="rubbish")
        self.hang_up(DEALER)
        # A user of this host.
        self.mta.sendmail(f"Message-ID: {message_id('local')}\n\nHello.\n".encode(),
                          "mallory@ok.example", "bad@refuse.example",
                          sender="ursula@home.example")
        self.settle()
        # The administrator.
        self.smtp("held", "heidi@ok.example", subject="keep back")
        self.settle()
        self.mta.run("postsuper", "-H", self.only("hold"))
        self.mta.run("postqueue", "-f")
        self.wait("to=<heidi@ok.example>.*status=sent")
        self.smtp("later", "ivan@later.example")
        self.wait("to=<ivan@later.example>.*status=deferred")
        self.settle()
        self.mta.run("postqueue", "-i", self.only("deferred"))
        self.wait("to=<ivan@later.example>.*status=sent")
        self.smtp("requeued", "judy@down.example")
        self.wait("to=<judy@down.example>.*status=deferred")
        self.settle()
        self.mta.run("postsuper", "-h", self.only("deferred"))
        self.mta.run("postsuper", "-r", self.only("hold"))
        self.wake_pickup()
        self.wait(f"pickup: .*orig_id={ID}")
        self.wait("to=<judy@down.example>.*status=deferred", 2)
        self.settle()
        self.mta.run("postsuper", "-d", self.only("deferred"))
        self.smtp("open", "kim@down3.example")
        self.wait("to=<kim@down3.example>.*status=deferred")
        self.settle()


class Asking(unittest.TestCase):
    """What hikyaku trace says of a log."""
    maxDiff = None
    hikyaku = None   # its path

    def trace(self, key, log, *options):
        done = subprocess.run([self.hikyaku, "trace", *options, "--", key, "-"],
                              input=log.encode(), capture_output=True, timeout=30,
                              env={**os.environ, "MAIL_CONFIG": "/nonexistent"}, check=False)
        self.assertEqual(done.returncode, 0, (key, done.stderr))
        self.assertEqual(done.stderr, b"")
        return done.stdout.decode()

    def look(self, key, log):
        return json.loads(self.trace(key, log, "--json"))

    def check_each_line(self, log, least):
        """For each queue id of the log: as many lines of it are told as there are."""
        lines = {}
        for line in log.splitlines():
            found = re.match(rf"\S+ +\S+ \S+ \S+ \S+\[\d+\]: (?:warning: )?({ID}): ", line)
            if found:
                lines[found[1]] = lines.get(found[1], 0) + 1
        self.assertGreater(len(lines), least)
        for queue_id, n in lines.items():
            [story] = self.look(queue_id, log)["stories"]
            [told] = [m for m in story["messages"] if m["queue_id"] == queue_id]
            count = len(told["events"]) + sum(len(a) for a in attempts(told).values())
            self.assertEqual(count, n, queue_id)


class Postfix(Asking):
    """The whole day."""

    @classmethod
    def setUpClass(cls):
        need_build("bin/hikyaku")
        need_oracle()
        with Town() as town:
            furnish(town)
            day = Day(town)
            with day.mta:
                cls.hikyaku = os.path.join(day.mta.world.build, "bin/hikyaku")
                day.play()
                with open(day.mta.log.path, encoding="utf-8") as f:
                    cls.log = f.read()
            cls.codes = day.codes

    def messages(self, key):
        """Those of the only story, in order."""
        out = self.look(key, self.log)
        self.assertEqual(len(out["stories"]), 1, key)
        return out["stories"][0]["messages"]

    def check(self, name, address, *expected):
        """expected: for each message of the story its outcome, the way it began, and
        {recipient: statuses in their order}. Each key leads to the same story."""
        messages = self.messages(address)
        told = [(m["outcome"], begin_of(m), {
            r["to"]: [a["status"] for a in r["attempts"]] for r in m["recipients"]})
            for m in messages]
        self.assertEqual(told, list(expected))
        for key in [message_id(name), *(m["queue_id"] for m in messages)]:
            self.assertEqual(self.messages(key), messages, key)
        return messages

    # Each kind of way.

    def test_relayed(self):
        [m] = self.check("relayed", "anna@far.example",
                         ("delivered", "client", {"anna@far.example": ["sent"]}))
        self.assertEqual(self.messages(REMOTE_ID), [m])
        by_client = self.look(FRIEND, self.log)["stories"]
        self.assertIn(m["queue_id"], [each["queue_id"] for s in by_client
                                      for each in s["messages"]])
        [attempt] = m["recipients"][0]["attempts"]
        self.assertEqual(attempt["linked_queue_id"], REMOTE_ID)
        self.assertEqual(attempt["reason"], f"250 2.0.0 Ok: queued as {REMOTE_ID}")
        self.assertEqual(m["from"], "sam@home.example")
        self.assertEqual(m["message_id"], message_id("relayed"))

    def test_alias_and_bounce(self):
        """The list's mail goes on under a new id; one member's host refuses; the sender is
        told, in a message of its own."""
        messages = self.check(
            "aliased", "team@local.example",
            ("delivered", "client", {f"tester@{HOST}": ["sent"],
                                     "team@local.example": ["sent"]}),
            ("partly bounced", "", {"carol@ok.example": ["sent"],
                                    "dave@refuse.example": ["bounced"]}),
            ("delivered", "", {"sam@home.example": ["sent"]}))
        self.assertEqual(self.messages("dave@refuse.example"), messages)
        refused = attempts(messages[1])["dave@refuse.example"][0]
        self.assertIn("User unknown", refused["reason"])
        self.assertEqual(refused["dsn"], "5.1.1")
        self.assertIn("meaning", refused)
        self.assertEqual(attempts(messages[0])["team@local.example"][0]["linked_queue_id"],
                         messages[1]["queue_id"])
        self.assertEqual([e["linked_queue_id"] for e in messages[1]["events"]
                          if e["kind"] == "notification"], [messages[2]["queue_id"]])

    def test_forward_file(self):
        self.check("forwarded", "erin@ok.example",
                   ("passed on", "client", {"nobody@local.example": ["sent"]}),
                   ("delivered", "", {"erin@ok.example": ["sent"]}))

    def test_virtual_alias(self):
        [m] = self.check("virtual", "sales@virtual.example",
                         ("delivered", "client", {"vera@ok.example": ["sent"]}))
        self.assertEqual(m["recipients"][0]["original_to"], "sales@virtual.example")

    def test_content_filter_by_smtp(self):
        first, second = self.check(
            "scanned", "grace@ok.example",
            ("delivered", "client", {"grace@ok.example": ["sent"]}),
            ("delivered", "client", {"grace@ok.example": ["sent"]}))
        self.assertEqual(attempts(first)["grace@ok.example"][0]["linked_queue_id"],
                         second["queue_id"])
        # The service that takes it back logs under a host name of its own.
        self.assertEqual([e["host"] for e in second["events"] if e["kind"] == "client"],
                         ["back"])
        self.assertEqual(second["host"], "mail")

    def test_content_filter_by_pipe(self):
        """Nothing but the message-id leads from the filter to what it gave back."""
        self.check("piped", "henry@ok.example",
                   ("delivered", "client", {"henry@ok.example": ["sent"]}),
                   ("delivered", "pickup", {"henry@ok.example": ["sent"]}))

    def test_deferred_then_sent(self):
        [m] = self.check("later", "ivan@later.example", (
            "delivered", "client", {"ivan@later.example": ["deferred", "sent"]}))
        first, second = attempts(m)["ivan@later.example"]
        self.assertIn("Greylisted", first["reason"])
        self.assertIn("meaning", first)
        self.assertNotIn("meaning", second)

    def test_header_rules(self):
        for name, address, action in (("odd", "olga@ok.example", "warning"),
                                      ("marked", "mark@ok.example", "prepend")):
            [m] = self.check(name, address, ("delivered", "client", {address: ["sent"]}))
            self.assertEqual([e["action"] for e in m["events"] if e["kind"] == "action"],
                             [action])

    def test_refused_content(self):
        self.assertEqual(self.codes["content"], 550)
        [m] = self.check("content", "rita@ok.example", ("refused", "client", {}))
        self.assertFalse(m["open"])

    def test_discarded(self):
        self.assertEqual(self.codes["discard"], 250)
        [m] = self.check("discarded", "ruth@ok.example", ("discarded", "client", {}))
        self.assertFalse(m["open"])

    def test_held(self):
        [m] = self.check("held", "heidi@ok.example",
                         ("delivered", "client", {"heidi@ok.example": ["sent"]}))
        kinds = [e["kind"] for e in m["events"]]
        self.assertLess(kinds.index("action"), kinds.index("released"))

    def test_held_requeued_deleted(self):
        first, second = self.check(
            "requeued", "judy@down.example",
            ("queued again", "client", {"judy@down.example": ["deferred"]}),
            ("deleted", "pickup", {"judy@down.example": ["deferred"]}))
        self.assertIn("held", [e["kind"] for e in first["events"]])
        self.assertFalse(first["open"] or second["open"])

    def test_still_open(self):
        [m] = self.check("open", "kim@down3.example",
                         ("deferred", "client", {"kim@down3.example": ["deferred"]}))
        self.assertTrue(m["open"])
        self.assertIn("Connection refused", attempts(m)["kim@down3.example"][0]["reason"])
        self.assertGreater(m["expires"], m["next_attempt"])
        text = self.trace("kim@down3.example", self.log)
        self.assertIn(f"postsuper -d {m['queue_id']}", text)

    def test_local_user(self):
        first, _ = self.check(
            "local", "bad@refuse.example",
            ("partly bounced", "pickup", {"mallory@ok.example": ["sent"],
                                          "bad@refuse.example": ["bounced"]}),
            ("delivered", "", {"ursula@home.example": ["sent"]}))
        self.assertEqual([e["uid"] for e in first["events"] if e["kind"] == "pickup"],
                         [str(os.getuid())])

    # What never became a message.

    def test_rejects(self):
        for name, code, keys, text in (
                ("relay", 554, ["quentin@ok.example", STRANGER], "Relay access denied"),
                ("unknown", 550, ["absent@local.example"], "User unknown in local")):
            self.assertEqual(self.codes[name], code)
            for key in keys:
                out = self.look(key, self.log)
                self.assertEqual(out["stories"], [])
                [event] = [e for e in out["without_queue_id"] if e["kind"] == "action"]
                self.assertEqual((event["action"], event["stage"]), ("reject", "RCPT"))
                self.assertIn(text, event["text"])
                self.assertIn("meaning", event)

    def test_lost_connection(self):
        [story] = self.look(DEALER, self.log)["stories"]
        [lost] = self.look(DEALER, self.log)["without_queue_id"]
        self.assertEqual((lost["kind"], lost["stage"]), ("lost", "RCPT"))
        [m] = story["messages"]
        self.assertEqual((m["outcome"], m["recipients"]), ("no end in the log", []))

    # Nothing is left out.

    def test_each_line_is_told(self):
        self.check_each_line(self.log, 20)

    def test_text_tells_each_recipient(self):
        for address in ("anna@far.example", "team@local.example", "henry@ok.example"):
            text = self.trace(address, self.log)
            for m in self.messages(address):
                self.assertIn(m["queue_id"], text)
                for to, each in attempts(m).items():
                    self.assertIn(f"to <{to}>", text)
                    for attempt in each:
                        self.assertIn(attempt["reason"], text)


SUBMITTED = {
    "virtual_alias_domains": "virtual.example",
    "virtual_alias_maps": "inline:{{sales@virtual.example = vera@ok.example, bad@refuse.example}}",
    "inet_interfaces": "127.0.0.1", "smtp_connect_timeout": "3s", "myhostname": HOST,
}


class SubmittedDay(Host):
    """Mail that users of the host submit, and what its administrator does."""

    def __init__(self, kind):
        self.mta = kind("trace", **SUBMITTED)

    def submit(self, name, *recipients, options=(), sender="ursula@home.example"):
        self.mta.sendmail(f"Message-ID: {message_id(name)}\n\nHello.\n".encode(), *recipients,
                          sender=sender, options=options)

    def play(self):
        self.submit("plain", "anna@far.example")
        self.submit("virtual", "sales@virtual.example")
        self.submit("probe", "pat@ok.example", options=("-bv",))
        self.submit("report", "rob@ok.example", options=("-N", "success"))
        self.submit("twice", "x@refuse.example", sender="y@refuse.example")
        self.submit("later", "ivan@later.example")
        self.wait("to=<ivan@later.example>.*status=deferred")
        self.settle()
        self.mta.run("postqueue", "-i", self.only("deferred"))
        self.wait("to=<ivan@later.example>.*status=sent")
        self.submit("requeued", "judy@down.example")
        self.wait("to=<judy@down.example>.*status=deferred")
        self.settle()
        self.mta.run("postsuper", "-h", self.only("deferred"))
        self.mta.run("postsuper", "-r", self.only("hold"))
        self.wake_pickup()
        self.wait("to=<judy@down.example>.*status=deferred", 2)
        self.settle()
        self.mta.run("postsuper", "-d", self.only("deferred"))
        self.submit("expired", "lee@down2.example")
        self.wait("to=<lee@down2.example>.*status=deferred")
        self.settle()
        self.mta.run("postsuper", "-e", self.only("deferred"))
        self.mta.flush()
        self.wait("status=force-expired")
        self.settle()
        self.submit("open", "kim@down3.example")
        self.wait("to=<kim@down3.example>.*status=deferred")
        self.settle()


class Both(Asking):
    """Ours and Debian's, beside each other."""
    KEYS = ("plain", "virtual", "report", "twice", "later", "requeued", "expired", "open")

    @classmethod
    def setUpClass(cls):
        need_build("bin/hikyaku", "libexec/master")
        need_oracle()
        cls.logs = {}
        for kind in (Instance, OracleInstance):
            with Town() as town:
                furnish(town)
                day = SubmittedDay(kind)
                with day.mta:
                    cls.hikyaku = os.path.join(day.mta.world.build, "bin/hikyaku")
                    day.play()
                    cls.logs[kind.kind] = day.mta.log.text()

    def told(self, key, log):
        """The stories without times and ids."""
        out = self.look(key, log)
        text = json.dumps(out)
        for n, queue_id in enumerate(m["queue_id"] for s in out["stories"] for m in s["messages"]):
            text = text.replace(queue_id, f"#{n}")
        kept = []
        for story in json.loads(text)["stories"]:
            for m in story["messages"]:
                kept.append((m["queue_id"], m["outcome"], m["open"], m.get("from"),
                             "size" in m, m.get("recipient_count"), sorted(
                                 (r["to"], r.get("original_to"), [
                                     (a["relay"], a["status"], a["dsn"],
                                      re.sub(r"127\.0\.1\.\d+|queued as \w+", "", a["reason"]),
                                      a.get("meaning"), a.get("advice")) for a in r["attempts"]])
                                 for r in m["recipients"]),
                             [(e["kind"], e.get("uid"), e.get("linked_queue_id"))
                              for e in m["events"]]))
        return kept

    def test_same_stories(self):
        for name in self.KEYS:
            with self.subTest(name=name):
                ours, theirs = (self.told(message_id(name), self.logs[kind])
                                for kind in ("ours", "oracle"))
                self.assertTrue(theirs)
                self.assertEqual(ours, theirs)

    def test_outcomes(self):
        """The same is not enough: it must be what was done."""
        expected = {"plain": ["delivered"], "virtual": ["partly bounced", "delivered"],
                    "report": ["delivered", "delivered"], "twice": ["bounced", "bounced"],
                    "later": ["delivered"], "requeued": ["queued again", "deleted"],
                    "expired": ["given up", "delivered"], "open": ["deferred"]}
        for kind, log in self.logs.items():
            for name, outcomes in expected.items():
                with self.subTest(kind=kind, name=name):
                    [story] = self.look(message_id(name), log)["stories"]
                    self.assertEqual([m["outcome"] for m in story["messages"]], outcomes)

    def test_probe(self):
        for kind, log in self.logs.items():
            with self.subTest(kind=kind):
                [story] = self.look("pat@ok.example", log)["stories"]
                first, report = story["messages"]
                self.assertEqual(attempts(first)["pat@ok.example"][0]["status"], "deliverable")
                self.assertEqual(report["outcome"], "delivered")

    def test_each_line_is_told(self):
        for log in self.logs.values():
            self.check_each_line(log, 12)


def begin_of(message):
    return next((e["kind"] for e in message["events"] if e["kind"] in ("client", "pickup")),
                "")


def attempts(message):
    return {r["to"]: r["attempts"] for r in message["recipients"]}


if __name__ == "__main__":
    unittest.main()
