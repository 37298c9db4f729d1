# SPDX-License-Identifier: Apache-2.0
"""ORCPT of RCPT TO, as it comes, is kept and goes on, beside Debian's Postfix: xtext and
the type utf-8 of RFC 6533."""
import re
import unittest
from concurrent.futures import ThreadPoolExecutor

from compat.test_smtpd import BODY, EHLO, QUIT, play
from system import world
from system.harness import Instance, OracleInstance, Sink

VALUES = (
    "rfc822;a@b", "rfc822;a+2Bb@c", "rfc822;", "utf-8;a@b", "utf-8;a\u00e9@b", r"utf-8;a\x{E9}@b",
    r"utf-8;a\x{e9}@b", r"utf-8;a\x{1F600}@b", r"utf-8;a\x{2B}b\x{3D}\x{5C}@b", r"utf-8;a\x{20}b@c", r"utf-8;\x{80}",
    r"utf-8;\x{110000}", r"utf-8;\x{10FFFF}", r"utf-8;\x{0000E9}", r"utf-8;\x{00000E9}", r"utf-8;\x{E9", r"utf-8;\x",
    r"utf-8;\x{G}", "utf-8;a+2Bb", "utf-8;a+b", "utf-8;a=b", r"utf-8;a\b", r"utf-8;\x{41}", r"utf-8;\X{E9}",
    r"utf-8;\x{E9}\x{E9}z",
)


def serve(kind):
    """{(value, utf8): [replies, commands of the next server]}"""
    found = {}
    with Sink(extensions=("DSN", "SMTPUTF8", "8BITMIME")) as sink, Sink(extensions=("DSN",)) as plain:
        services = "2560 inet n - n - 0 smtpd\n"
        with kind("orcpt", services, myhostname="host.example.net", smtpd_error_sleep_time="0",
                  smtpd_junk_command_limit="1000", notify_classes="", smtp_connection_cache_on_demand="no",
                  transport_maps=f"inline:{{ {{one.example=smtp:{sink.hop}}} "
                                 f"{{two.example=smtp:{plain.hop}}} }}") as mta:
            for number, (value, utf8) in enumerate((v, u) for v in VALUES for u in (False, True)):
                domain = "one" if utf8 else "two"
                told = play(mta, 2560, f"127.1.8.{number + 1}", [
                    EHLO, "MAIL FROM:<s@client.example>" + " SMTPUTF8" * utf8,
                    f"RCPT TO:<r{number}@{domain}.example> ORCPT={value}", "DATA", *BODY, ".", QUIT])
                found[value, utf8] = [[re.sub(r"queued as \w+", "queued", line) for line in told[2:]]]
            mta.wait_empty()
            for number, key in enumerate(found):
                found[key].append([line for _, line in (*sink.commands, *plain.commands)
                                   if line.startswith(f"RCPT TO:<r{number}@")])
    return found


class Orcpt(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        world.need_oracle()
        world.need_build("bin/postfix", "libexec/smtpd", "libexec/smtp")
        with ThreadPoolExecutor(1) as pool:   # both bind the same port
            cls.theirs, cls.ours = pool.map(serve, (OracleInstance, Instance))

    def compare(self, part):
        for key, theirs in self.theirs.items():
            with self.subTest(value=key[0], utf8=key[1]):
                self.assertEqual(theirs[part], self.ours[key][part])

    def test_replies(self):
        self.compare(0)

    def test_passed_on(self):
        self.compare(1)
        self.assertTrue(self.ours["rfc822;a+2Bb@c", False][1][0].endswith(" ORCPT=rfc822;a+2Bb@c"))


if __name__ == "__main__":
    unittest.main()
