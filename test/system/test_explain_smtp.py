# SPDX-License-Identifier: Apache-2.0
"""hikyaku explain --smtp: the command itself. What it answers is compared with Debian's smtpd
in test/compat/test_access.py."""
import json
import unittest

from . import world
from .dnsserver import DNSServer
from .instance import Instance

SERVICES = """\
2525 inet n - n - - smtpd
  -o { smtpd_client_restrictions = reject }
"""


class ExplainSmtp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        world.need_build("bin/hikyaku")
        world.need_private()
        cls.dns = DNSServer()
        cls.dns.add("7.2.0.192.in-addr.arpa", "PTR", "client.example")
        cls.dns.host("client.example", "192.0.2.7")
        cls.dns.add("8.2.0.192.in-addr.arpa", "PTR", "forged.example")
        cls.dns.host("forged.example", "192.0.2.7")
        cls.dns.behave("9.2.0.192.in-addr.arpa", "servfail")
        cls.dns.__enter__()
        cls.addClassCleanup(cls.dns.__exit__, None, None, None)

    def setUp(self):
        self.mta = Instance("explain", SERVICES, **{
            "resolver_nameservers": self.dns.nameserver, "mydestination": "mine.example",
            "local_recipient_maps": "inline:{{x=y}}", "smtpd_recipient_restrictions":
            "check_sender_access inline:{{bad.example=REJECT no}}, "
            "check_helo_access inline:{{held.example=HOLD why}}"})
        self.addCleanup(self.mta.remove)

    def run_it(self, *words):
        return self.mta.run("hikyaku", "explain", "--smtp", "-c", self.mta.config, *words,
                            check=False)

    def phases(self, *words):
        result = self.run_it("--json", *words)
        return json.loads(result.stdout)["phases"], result.returncode

    def test_name_of_the_client(self):
        for address, name in (("192.0.2.7", "client.example"), ("192.0.2.8", "unknown"),
                              ("192.0.2.9", "unknown"), ("192.0.2.10", "unknown")):
            phases, _ = self.phases(f"client={address}")
            self.assertEqual(phases[0]["argument"], f"{name}[{address}]")
        phases, _ = self.phases("--offline", "client=192.0.2.7")
        self.assertEqual(phases[0]["argument"], "unknown[192.0.2.7]")

    def test_status(self):
        mail = ("client=192.0.2.7", "helo=h.example", "from=<a@b.example>")
        self.assertEqual(self.run_it(*mail, "to=x@mine.example").returncode, 0)
        self.assertEqual(self.run_it(*mail, "to=x@mine.example", "to=q@mine.example").returncode, 1)
        for words in ((), ("client=nobody",), (*mail, "nonsense"), (*mail, "age=7"),
                      ("--service", "other", *mail)):
            self.assertEqual(self.run_it(*words).returncode, 2, words)

    def test_row_that_matched(self):
        phases, status = self.phases("client=192.0.2.7", "helo=h", "from=u@bad.example",
                                     "to=x@mine.example")
        self.assertEqual(status, 1)
        step = phases[-1]["steps"][-1]
        self.assertEqual((step["restriction"], step["verdict"], step["key"], step["value"]),
                         ("check_sender_access", "reject", "bad.example", "REJECT no"))
        self.assertEqual(phases[-1]["reply"],
                         "554 5.7.1 <u@bad.example>: Sender address rejected: no")

    def test_login(self):
        """A login counts where one can log in."""
        mail = ("client=192.0.2.7", "helo=h", "from=a@b.example", "to=x@far.example", "sasl=bob")
        off = self.run_it(*mail)
        self.assertIn(b"nobody can log in here: smtpd_sasl_auth_enable = no", off.stdout)
        self.assertEqual(off.returncode, 1)
        self.mta.configure(smtpd_sasl_auth_enable="yes", smtpd_sasl_type="dovecot")
        self.assertEqual(self.run_it(*mail).returncode, 0)
        self.assertEqual(self.run_it(*mail[:-1]).returncode, 1)
        self.mta.configure(smtpd_sasl_auth_enable="yes", smtpd_tls_auth_only="yes")
        self.assertIn(b"without TLS", self.run_it(*mail).stdout)
        self.assertEqual(self.run_it(*mail, "tls=yes").returncode, 0)

    def test_text(self):
        text = self.run_it("client=192.0.2.7", "helo=held.example", "from=<>",
                           "to=x@mine.example").stdout.decode()
        self.assertRegex(text, r'(?m)^ +effect +check_helo_access .*"held\.example" in ')
        self.assertRegex(text, r"(?m)^message +put on hold$")
        self.assertRegex(text, r"(?m)^log +NOQUEUE: hold: RCPT from client\.example\[192")

    def test_settings_of_a_service(self):
        phases, status = self.phases("--service", "2525", "client=192.0.2.7", "helo=h",
                                     "from=a@b.example", "to=x@mine.example")
        self.assertEqual(status, 1)
        self.assertEqual(phases[-1]["reply"],
                         "554 5.7.1 <client.example[192.0.2.7]>: Client host rejected: "
                         "Access denied")


if __name__ == "__main__":
    unittest.main()
