# SPDX-License-Identifier: Apache-2.0
"""local(8): mailboxes, maildirs, aliases, .forward, commands; beside Debian's, the same
outcome, text and bytes. Users come from the private /etc, their homes from its directory."""
import glob
import os
import pwd
import re
import subprocess
import time
import unittest

from .harness import Instance, OracleInstance

USER = "tester"
ID = r"\b[0-9A-F]{6,}\b"


class Place:
    """One mail system with users, a spool and aliases of its own."""

    def __init__(self, kind, **parameters):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        parameters = {"mydestination": "local.example", "myorigin": "local.example",
                      "recipient_delimiter": "+", "local_recipient_maps": "",
                      "default_transport": "discard:",
                      **parameters}
        self.mta = kind(myhostname="mail.example.net", **parameters)
        self.dir = self.mta.dir
        self.spool = os.path.join(self.dir, "mail")
        self.out = os.path.join(self.dir, "out")
        for path in (self.spool, self.out):
            os.mkdir(path)
            os.chmod(path, 0o1777)
        entry = pwd.getpwnam(USER)
        self.ids = entry.pw_uid, entry.pw_gid
        self.forwards = os.path.join(self.dir, "forward")
        os.mkdir(self.forwards)
        self.mta.configure(
            mail_spool_directory=self.spool, alias_maps=f"texthash:{self.dir}/aliases",
            forward_path=f"{self.forwards}/${{user}}${{recipient_delimiter}}${{extension}}, "
                         f"{self.forwards}/${{user}}")
        self.aliases({})

    def aliases(self, rows):
        with open(os.path.join(self.dir, "aliases"), "w", encoding="ascii") as f:
            f.writelines(f"{name} {value}\n" for name, value in rows.items())

    def forward(self, name, text, owner=None):
        path = os.path.join(self.forwards, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        os.chown(path, *(owner or self.ids))
        return path

    def send(self, *names, wait=True, message=b"Subject: x\n\nFrom here\nbody\n"):
        """{name: (status, dsn, reason)} of the delivery lines."""
        self.mta.log.mark()
        self.mta.sendmail(message, *(f"{n}@local.example" for n in names),
                          sender="from@home.example")
        found = {}
        end = time.monotonic() + 30
        while len(found) < len(names):
            self.assert_time(end, names, found)
            for line in self.mta.log.lines():
                m = re.search(r"to=<([^>]*)>(?:, orig_to=<([^>]*)>)?, .*dsn=([\d.]+), "
                              r"status=(\w+) \((.*)\)$", line.text)
                if m and line.program == "local":
                    name = (m[2] or m[1]).partition("@")[0]
                    found.setdefault(name, (m[4], m[3], re.sub(
                        ID, "ID", m[5].replace(self.dir, "DIR"))))
        if wait:
            self.mta.wait_empty()
        return found

    @staticmethod
    def assert_time(end, names, found):
        time.sleep(0.02)
        if time.monotonic() > end:
            raise AssertionError(f"no line of {set(names) - set(found)}")

    def mailbox(self, name=USER):
        with open(os.path.join(self.spool, name), encoding="ascii") as f:
            return normal(f.read())


def normal(text):
    text = re.sub(r"(?m)^(From \S+  ).*", r"\1DATE", text)
    text = re.sub(r"(?m)^(Date: |Message-Id: |\tid ).*", r"\1", text)
    return re.sub(r"\((Postfix)[^)]*\)", r"(\1)", text)


def cases(place):
    """The table: what is sent, and what it needs."""
    out = place.out
    place.aliases({
        "list": f"{USER}", "gone": "nobody-here", "self": "self", "null": "/dev/null",
        "file": f"{out}/file", "command": f'"|cat > {out}/command"',
        "plain": "|/bin/true", "no67": '"|exit 67"', "no75x": '"|echo 5.2.3 my words; exit 1"',
        "says": '"|echo some; echo words; exit 70"', "sig": '"|kill -9 $$"',
        "code": '"|exit 99"', "inc": f":include:{out}/list", "noinc": ":include:/nowhere/list",
        "a1": "a2", "a2": "a1"})
    with open(f"{out}/list", "w", encoding="ascii") as f:
        f.write(f"# a comment\n{USER}\n")
    return (USER, f"{USER}+ext", "list", "gone", "nobody-at-all", "null", "file", "command",
            "plain", "no67", "no75x", "says", "sig", "code", "inc", "postmaster")


class Pair(unittest.TestCase):
    maxDiff = None

    def both(self, play, **parameters):
        """The same of both; what it was."""
        told = []
        for kind in (OracleInstance, Instance):
            place = Place(kind, **parameters)
            with place.mta:
                told.append(play(place))
        self.assertEqual(*told)
        return told[0]


class Compat(Pair):
    def test_outcomes_and_bytes(self):
        def play(place):
            result = place.send(*cases(place), wait=False)
            place.mta.wait_deferred(1)
            with open(f"{place.out}/file", encoding="ascii") as f:
                result["file bytes"] = normal(f.read())
            with open(f"{place.out}/command", encoding="ascii") as f:
                result["command bytes"] = normal(f.read())
            result["mailbox bytes"] = sorted(re.split(r"(?m)^(?=From )", place.mailbox()))
            return result

        told = self.both(play)
        self.assertEqual(told[USER], ("sent", "2.0.0", "delivered to mailbox"))
        self.assertEqual(told["nobody-at-all"][0], "bounced")

    def test_forward(self):
        def play(place):
            place.forward(USER, f'\\{USER}, "|cat > {place.out}/c"\n')
            result = place.send(USER)
            place.forward(f"{USER}+f", f"{place.out}/f\n")
            result.update(place.send(f"{USER}+f"))
            place.forward(f"{USER}+x", f'"|exit 1"\n', owner=(4242, 4242))
            result.update(place.send(f"{USER}+x"))
            return {name: value[:2] for name, value in result.items()}

        self.both(play)


class Local(unittest.TestCase):
    def test_maildir(self):
        place = Place(Instance)
        place.mta.configure(mail_spool_directory=place.spool + "/")
        with place.mta:
            self.assertEqual(place.send(USER)[USER],
                             ("sent", "2.0.0", "delivered to maildir"))
            files = glob.glob(f"{place.spool}/{USER}/new/*")
            self.assertEqual(len(files), 1)
            st = os.stat(files[0])
            self.assertEqual((st.st_uid, st.st_nlink, st.st_mode & 0o777),
                             (place.ids[0], 1, 0o600))
            self.assertEqual(os.listdir(f"{place.spool}/{USER}/tmp"), [])

    def test_spool_that_belongs_to_a_group(self):
        place = Place(Instance)
        os.chown(place.spool, 0, 8)
        os.chmod(place.spool, 0o2775)
        with place.mta:
            for _ in range(2):
                self.assertEqual(place.send(USER)[USER][0], "sent")
            st = os.stat(f"{place.spool}/{USER}")
            self.assertEqual((st.st_uid, st.st_gid, st.st_mode & 0o777),
                             (*place.ids, 0o600))
            self.assertEqual(os.listdir(place.spool), [USER])

    def test_forwards_as_new_message(self):
        place = Place(Instance)
        place.aliases({"two": f"{USER}, list2", "list2": USER})
        with place.mta:
            place.mta.log.mark()
            told = place.send("two")
            self.assertRegex(told["two"][2], "^forwarded as |delivered to mailbox")
            self.assertIn("Delivered-To: two@local.example", place.mailbox())
            # And from there it may not come back.
            loop = b"Delivered-To: two@local.example\nSubject: x\n\nx\n"
            self.assertEqual(place.send("two", message=loop)["two"],
                             ("bounced", "5.4.6",
                              "mail forwarding loop for two@local.example"))

    def test_nothing_of_an_address_runs(self):
        place = Place(Instance, local_recipient_maps="")
        mark = f"{place.out}/ran"
        names = (f"|touch_{mark}", f"$(touch_{mark})", "-oQ/x", f"`touch_{mark}`",
                 "../../x", "() { :;}; x", f":include:{place.out}/list")
        place.aliases({"env": f'"|env > {place.out}/env"'})
        with place.mta:
            place.mta.sendmail(b"Subject: x\n\nx\n", "env@local.example",
                               sender="() { :;}; touch x@home.example")
            place.mta.wait_empty()
            for name in names:
                place.mta.sendmail(b"Subject: x\n\nx\n", f'"{name}"@local.example',
                                   sender="from@home.example", check=False)
            place.mta.wait_empty()
            self.assertFalse(os.path.exists(mark))
            self.assertEqual(os.listdir(place.spool), [])
            with open(f"{place.out}/env", encoding="ascii") as f:
                self.assertRegex(f.read(), r"(?m)^SENDER=__ _:__|^SENDER=[\w_:@.]+$")

    def test_links_and_strange_files(self):
        place = Place(Instance)
        victim = f"{place.dir}/victim"
        with open(victim, "w", encoding="ascii") as f:
            f.write("precious")
        os.chmod(victim, 0o666)
        box = f"{place.spool}/{USER}"
        with place.mta:
            for make in (lambda: os.symlink(victim, box), lambda: os.link(victim, box),
                         lambda: os.mkfifo(box), lambda: os.mkdir(box)):
                make()
                place.mta.log.mark()
                place.mta.sendmail(b"Subject: x\n\nx\n", f"{USER}@local.example",
                                   sender="from@home.example")
                place.mta.log.wait(r"local: \w+: to=.*status=(deferred|bounced)")
                subprocess.run(["rm", "-rf", box], check=True)
                place.mta.run("postsuper", "-d", "ALL", check=False)
                place.mta.wait_empty()
            with open(victim, encoding="ascii") as f:
                self.assertEqual(f.read(), "precious")

    def test_failed_write_leaves_no_piece(self):
        place = Place(Instance, mailbox_size_limit="20000", message_size_limit="15000")
        big = b"Subject: x\n\n" + b"0123456789\n" * 900
        with place.mta:
            self.assertEqual(place.send(USER, message=big)[USER][0], "sent")
            size = os.path.getsize(f"{place.spool}/{USER}")
            told = place.send(USER, message=big + b"more\n")[USER]
            self.assertEqual(told[:2], ("bounced", "5.2.2"))
            self.assertEqual(os.path.getsize(f"{place.spool}/{USER}"), size)


if __name__ == "__main__":
    unittest.main()
