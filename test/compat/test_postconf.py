#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""postconf beside Debian's: the same files and command lines, the same output.

HIKYAKU_ORACLE names the root of an unpacked postfix package (usr/sbin/postconf in it),
HIKYAKU_BUILD our build directory. Standard output and changed files are compared byte for
byte; messages without the program's name, as a set (Postfix repeats some per pass).
"""

import os
import random
import shutil
import subprocess
import tempfile
import unittest

ORACLE = os.environ.get("HIKYAKU_ORACLE")
BUILD = os.environ.get("HIKYAKU_BUILD")

# Names that only we list (lib/config/ours.def and resolver.def).
OURS = {
    "hikyaku_version",
    "workers",
    "journal_size",
    "queue_sync",
    "queue_sync_names",
    "resolver_cache_size",
    "resolver_nameservers",
    "resolver_timeout",
    "resolver_trust_anchor_file",
    "smtpd_hide_client_session",  # of later releases
    "smtpd_sasl_password_maps",
    "smtpd_sasl_table_failure_limit",
    "smtpd_sasl_table_mechanisms",
}

# Defaults that may differ, with the reason.
DIFFERENT = {
    "process_id": "another process",
    "smtpd_forbid_bare_newline": "as later releases: lines that end in LF smuggle mail",
}

MAIN = [
    "",
    "relayhost = [a.example]:587\n",
    "relayhost=a\nrelayhost=b\n",
    "relayhost = a\n# c\n\n  b,\tc\n",
    "relayhost =    a    b\t c  \n",
    "relayhost =\n",
    "  stray\nrelayhost = a\n",
    "foo\n",
    "= x\n",
    "a b = c\n",
    "myhostname = foo\n",
    "myhostname = foo.bar.example\n",
    "mydomain = ex.example\n",
    "mydomain = ex.example\nmyhostname = a.$mydomain\nmyorigin = $mydomain\n",
    "compatibility_level = 3.6\n",
    "compatibility_level = 2\nmynetworks_style = host\n",
    "mynetworks_style = subnet\n",
    "mynetworks_style = class\n",
    "inet_interfaces = loopback-only\n",
    "inet_interfaces = 127.0.0.1, ::1\nmynetworks_style = host\n",
    "inet_protocols = ipv4\n",
    "inet_protocols = ipv6\nmynetworks_style = host\n",
    "mua_x = permit\nsmtpd_client_restrictions = $mua_x, reject\n",
    "mua_x = permit\n",
    "mua_x = $mua_y\nmua_y = $mua_z\nmua_z = 1\ncontent_filter = ${mua_x?a}\n",
    "content_filter = $undefined1 ${undefined2?x} ${undefined3:y}\n",
    "fallback_relay = x.example\n",
    "virtual_maps = hash:/etc/x\n",
    "smtpd_restriction_classes = aa, bb\naa = permit\nbb = reject\ncc = $aa\n",
    "foo_time_limit = 9\nrelay_time_limit = 8\n",
    "foo_destination_concurrency_limit = 3\nother_destination_rate_delay = 1s\n",
    "mailbox_command = $a $user\nluser_relay = $b\nforward_path = $home\n",
    "default_rbl_reply = $rbl x\n",
    "smtpd_timeout = ${stress?1}${stress:2}s\n",
    "relayhost = ${{$compatibility_level} <level {3.6} ? {old} : {new}}\n",
    "relayhost = ${{$mydomain} == {localdomain} ? {eq} : {ne}}\n",
    "relayhost = ${{3} < {20}}x\n",
    "relayhost = $$a ${myhostname}x $(myhostname)\n",
    "relayhost = [${myhostname? a }]\n",
    "relayhost = [${nope: a }]\n",
    "relayhost = [${myhostname? { a } }]\n",
    "relayhost = [${myhostname?{ a } : b }]\n",
    "relayhost = hello$\n",
    "relayhost = hello${\n",
    "relayhost = ${}\n",
    "relayhost = ${a=foo}\n",
    "relayhost = ${myhostname?{yes}junk}\n",
    "relayhost = ${myhostname?{yes}:{no} x}\n",
    "relayhost = ${{$myhostname} = {x}?{1}}\n",
    "relayhost = ${{3.x} <level {3.6} ? {lt}:{ge}}\n",
    "relayhost = ${{a}<{b} {1}}\n",
    "relayhost = $u\nu = $v\nv = $u\n",
    "mail_version = 3\n",
    "process_name = x\n",
    "service_name = x\n",
    "transport_maps = inline:{ a=b, { c = d e } }\n",
    "virtual_alias_maps = ldap:foo, proxy:mysql:foo2\nfoo_server_host = bar\n"
    "foo2_hosts = a b\nfoo2_nonsense = 3\n",
    "x = { a\n\n b }\n#c\n d\nmessage_size_limit=0\nbiff=no\n",
    "mynetworks = " + ", ".join("192.0.2.%d/32" % i for i in range(40)) + "\n",
    "relayhost = " + "a" * 100 + " bbbb cccc\n",
    "relayhost = " + " ".join("w" * n for n in range(1, 30)) + "\n",
    "header_checks = regexp:/etc/postfix/a\nmydestination = /etc/foo, $myhostname\n",
    "multi_instance_name = postfix-a\nsyslog_name = ${multi_instance_name?x}\n",
    "lmtp_connect_timeout = 3\nsmtp_tls_loglevel = 1\n",
    "queue_run_delay = nonsense\n",
    "a.b = c\nrelay-host = d\n",
    "relayhost = a = b\n",
    "\trelayhost = x\n\n\n# only comments follow\n#\n",
]

MASTER = [
    "smtp inet n - n - - smtpd\nrelay unix - - n - - smtp\n",
    "smtp inet n - n - - smtpd\n -o a=b -o { c = d e }\n# x\n  -o relayhost=$q\n",
    "foo unix - - n - - smtp -o relayhost=$lh -o lh=7\n",
    "foo unix - - n - - smtp -o relayhost=$myorigin -o relay_domains=$relayhost\n",
    "foo unix - - n - - smtp -oa=b -v -vv -D\n",
    "foo unix - - n - - smtp -o a=1 -o a=2 -o myhostname=h.example\n",
    "foo unix - n n - 10 pipe\n  flags=DRhu user=vmail argv=/x ${sender} {a  b}\n",
    "foo unix - n n - - spawn user=nobody argv=/y -o a=b\n",
    "postlog unix-dgram n - n - 1 postlogd\npickup fifo n - n 60? 1 pickup\n",
    "[::1]:25 inet n - y - - smtpd\n127.0.0.1:10025 inet n - - - - smtpd\n",
    "foo unix - - n - - smtp -v -o {a = b} -o {x=}\n",
    "foo unix - - n - - smtp\nfoo unix - - n - - smtp -v\n",
    "foo unix - - n - - smtp -o " + "a" * 60 + "=" + "b" * 60 + " -v\n",
    "foo unix - - n - - smtp -v " + " ".join("w" * n for n in range(1, 20)) + "\n",
    "foo unix - - n -\n",
    "foo bar - - n - - x\n",
    "foo unix x - n - - x\n",
    "foo unix - x n - - x\n",
    "foo unix - - q - - x\n",
    "foo unix - - - z - x\n",
    "foo unix - - - - -1 x\n",
    "  foo unix - - - - - x\n",
    "foo unix - - n - - smtp -o {a=b}c\n",
    "foo unix - - n - - smtp -o {a\n",
    "foo unix - - n - - smtp -o =x -o a\n",
]

EDIT_MAIN = "# head\nrelayhost = a\n# in\n  b\n\n\nfoo = x\n  y\n# tail\nbar = c\n"

EDITS = [
    ["relayhost=new  one"],
    ["-e", "relayhost = x", "foo="],
    ["zz = 1"],
    ["-X", "relayhost"],
    ["-X", "foo", "bar"],
    ["-#", "relayhost", "foo"],
    ["-X", "nope"],
    ["-#", "nope"],
    ["-e", "foo={ a }", "foo=2"],
    ["-e", "foo=#x"],
    ["-e"],
    ["-X"],
    ["-#"],
    ["-e", "foo"],
    ["-e", " = y"],
    ["-e", "a b = c"],
    ["-X", ""],
    ["-e", "foo=a\nb"],
    ["-X", "foo=2"],
]

EDIT_MASTER = (
    "foo unix - - n - - pipe flags=DRhu user=v argv=/x ${sender} {a  b}\n"
    "bar unix - - n - - smtp -v -o a=b -o c=d eeeee -o g=h\n  -D\n"
    "baz unix - - n - - smtp\n"
)

MASTER_EDITS = [
    ["-Me", "bar/unix=bar unix - - n - 5 smtp -o {a = b c}"],
    ["-M", "new/unix=new unix - - n - 5 smtp"],
    ["-MX", "bar/unix"],
    ["-MX", "q/unix"],
    ["-M#", "bar/unix"],
    ["-Fe", "bar/unix/process_limit=7"],
    ["-F", "*/unix/chroot=y"],
    ["-Fe", "bar/unix/command=x y -o {a = b}", "bar/unix/service=q"],
    ["-Pe", "bar/unix/c=7"],
    ["-Pe", "bar/unix/new=x"],
    ["-Pe", "baz/unix/new=x", "baz/unix/newer=y"],
    ["-PX", "bar/unix/a", "bar/unix/zzz"],
    ["-Fe", "bar/unix/chroot=z"],
    ["-Fe", "q/unix/chroot=y"],
    ["-Pe", "q/unix/a=y"],
    ["-Fe", "bar/unix=y"],
    ["-Fe", "bar/unix/zz=y"],
    ["-Pe", "bar/unix/c=7 8"],
    ["-PX", "foo"],
    ["-MX", "foo"],
    ["-Me", "foo=bar"],
    ["-Me", "foo/unix=bar"],
]

COMMAND_LINES = [
    ["-d", "-n"],
    ["-h", "-H", "relayhost"],
    ["-M", "-n"],
    ["-M", "-H"],
    ["-e", "-x", "a=b"],
    ["-e", "-f", "a=b"],
    ["-p", "-M"],
    ["-m", "-a"],
    ["-C", "foo"],
    ["-l"],
    ["-d", "nope", "relayhost"],
    ["nope", "relayhost"],
    ["-n", "relayhost", "myorigin"],
    ["-o", "relayhost=q", "-n"],
    ["-o", "relayhost=$myhostname", "-x", "relayhost"],
    ["-p", "relayhost"],
    ["-F", "foo/unix/zz"],
    ["-F", "foo"],
    ["-M", "*/inet"],
]


class Side:
    """One of the two programs, with a directory of its own that has the same name."""

    def __init__(self, program, env):
        self.program = program
        self.env = dict(os.environ, **env)
        self.env.pop("MAIL_CONFIG", None)
        self.top = tempfile.mkdtemp(prefix="postconf-compat.")
        self.dir = os.path.join(self.top, "etc")

    def write(self, main, master):
        shutil.rmtree(self.dir, ignore_errors=True)
        os.mkdir(self.dir)
        for name, text in (("main.cf", main), ("master.cf", master)):
            path = os.path.join(self.dir, name)
            with open(path, "w") as f:
                f.write(text)
            # Postfix waits for a file that has just been written.
            os.utime(path, (1, 1))

    def run(self, *args):
        """Relative names, so that the messages are the same on both sides."""
        result = subprocess.run(
            [self.program, "-c", "etc", *args],
            cwd=self.top,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=30,
        )
        errors = {
            line.split("postconf: ", 1)[-1]
            for line in result.stderr.splitlines()
            if "postconf: " in line
        }
        return result.stdout, errors, result.returncode

    def read(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return f.read()

    def close(self):
        shutil.rmtree(self.top, ignore_errors=True)


def without_ours(text):
    """The output without the lines of parameters that only we have."""
    return "".join(
        line
        for line in text.splitlines(keepends=True)
        if line.split(" ", 1)[0].strip() not in OURS
    )


@unittest.skipUnless(
    ORACLE and BUILD, "set HIKYAKU_ORACLE and HIKYAKU_BUILD to compare with Postfix"
)
class Postconf(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        root = os.path.abspath(ORACLE)
        cls.theirs = Side(
            os.path.join(root, "usr/sbin/postconf"),
            {"LD_LIBRARY_PATH": os.path.join(root, "usr/lib/postfix")},
        )
        cls.ours = Side(os.path.join(os.path.abspath(BUILD), "bin/postconf"), {})

    @classmethod
    def tearDownClass(cls):
        cls.theirs.close()
        cls.ours.close()

    def compare(self, main, master, *args, messages=True):
        """Fails the test where the two differ; whether Postfix succeeded."""
        for side in (self.theirs, self.ours):
            side.write(main, master)
        theirs = self.theirs.run(*args)
        ours = self.ours.run(*args)
        with self.subTest(main=main, master=master, args=args):
            self.assertEqual(ours[2], theirs[2])
            # At a fatal error Postfix loses the lines it has not written yet.
            if theirs[2] == 0:
                self.assertEqual(ours[0], theirs[0])
            if messages:
                # Postfix reads main.cf more than once and then takes what the pass
                # before has read for earlier entries.
                again = "overriding earlier entry"
                self.assertEqual({x for x in theirs[1] - ours[1] if again not in x}, set())
                self.assertEqual(ours[1] - theirs[1], set())
        return theirs[2] == 0

    def test_defaults(self):
        for side in (self.theirs, self.ours):
            side.write("", "")
        theirs = dict(
            line.split(" =", 1) for line in self.theirs.run("-d")[0].splitlines()
        )
        ours = dict(line.split(" =", 1) for line in self.ours.run("-d")[0].splitlines())
        self.assertEqual(set(ours) - OURS, set(theirs))
        self.assertTrue(OURS <= set(ours))
        for name, value in theirs.items():
            if name not in DIFFERENT:
                with self.subTest(name=name):
                    self.assertEqual(ours[name], value)
        self.assertGreater(len(theirs), 800)

    def test_default_mode_and_expansion(self):
        for args in (["-x"], [], ["-f"], ["-xf"], ["-df"], ["-H"]):
            for side in (self.theirs, self.ours):
                side.write("", "relay unix - - n - - smtp\nx unix - - n - - pipe\n")
            theirs, ours = self.theirs.run(*args), self.ours.run(*args)
            with self.subTest(args=args):
                def kept(text):
                    return [x for x in text.splitlines() if x.split(" ")[0] not in DIFFERENT]

                self.assertEqual(kept(without_ours(ours[0])), kept(theirs[0]))

    def test_main_texts(self):
        for main in MAIN:
            if not self.compare(main, "relay unix - - n - - smtp\n", "-nx"):
                continue  # an error whatever the options; Postfix waits at each
            for args in (["-n"], ["-nf"], ["-nh"], ["-nH"], ["-nfh"]):
                self.compare(main, "relay unix - - n - - smtp\n", *args)
            self.compare(
                main, "", "-xh", "relayhost", "myhostname", "mydomain", "mynetworks"
            )
            self.compare(main, "foo unix - - n - - spawn\n", "-n", "-C", "user")
            self.compare(main, "foo unix - - n - - spawn\n", "-n", "-C", "service")

    def test_generated_texts(self):
        """Lines put together at random, always the same ones."""
        rng = random.Random(7)
        pieces = [
            "relayhost = a", "mydestination =", "  b", "\tc,d", "# x", "", "  ",
            "  # y", "u1 = $u2", "u2 = 3", "content_filter = ${u1?{x}:{y}}",
            "transport_maps=hash:/a", "foo = ", "bar=baz", " = ", "biff = no",
        ]
        for _ in range(60):
            main = "".join(
                rng.choice(pieces) + "\n" for _ in range(rng.randrange(1, 12))
            )
            self.compare(main, "", "-n")
            self.compare(main, "", "-nxf")

    def test_master_texts(self):
        for master in MASTER:
            if not self.compare("relayhost = r.example\n", master, "-M"):
                continue
            for args in (["-Mf"], ["-F"], ["-Ff"], ["-P"], ["-Px"], ["-Mx"],
                         ["-PH"], ["-Ph"], ["-FH"], ["-M", "foo"], ["-M", "foo/unix"],
                         ["-F", "foo/unix/command"], ["-P", "foo/unix/a"], ["-n"]):
                self.compare("relayhost = r.example\n", master, *args)

    def test_edits_of_main(self):
        for args in EDITS:
            self.compare(EDIT_MAIN, "", *args)
            self.assertEqual(
                self.ours.read("main.cf"), self.theirs.read("main.cf"), args
            )

    def test_edits_of_master(self):
        for args in MASTER_EDITS:
            self.compare("", EDIT_MASTER, *args)
            self.assertEqual(
                self.ours.read("master.cf"), self.theirs.read("master.cf"), args
            )

    def test_command_lines(self):
        for args in COMMAND_LINES:
            self.compare("a = b\n", "foo unix - - n - - x\n", *args)


if __name__ == "__main__":
    unittest.main()
