# SPDX-License-Identifier: Apache-2.0
"""hikyaku check, row by row: each mistake is found where it is made, and only there.

A method test_ROW makes the mistake of that row of checks.def in a configuration that has
none; the last test sees that no row is without such a method.
"""
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from . import world
from .dnsserver import DNSServer
from .instance import Instance

# What may be found in any configuration here: the queue of tests is in memory.
ALWAYS = {"queue_memory"}
QUIET = {"mynetworks": None}


class Checked(unittest.TestCase):
    """A configuration without mistakes, and what is found in a changed one."""

    @classmethod
    def setUpClass(cls):
        world.need_build("bin/hikyaku", "bin/postfix")
        world.need_private()
        cls.dns = DNSServer().start()
        cls.addClassCleanup(cls.dns.stop)
        cls.dns.host("mail.example.net", "192.0.2.80")
        cls.dns.mail("good.example", "mx.good.example").host("mx.good.example", "192.0.2.1")

    def instance(self, services="", **parameters):
        """Not started; its queue directories are made."""
        mta = Instance("check", services=services, **{
            **QUIET, "myhostname": "mail.example.net",
            "resolver_nameservers": self.dns.nameserver, **parameters})
        self.addCleanup(mta.remove)
        self.run_check_once(mta)
        return mta

    @staticmethod
    def run_check_once(mta):
        """Makes the directories; what it says does not matter here."""
        mta.postfix("check", check=False)
        mta.postfix("set-permissions", check=False)

    @staticmethod
    def hikyaku(mta, *options):
        return mta.run("hikyaku", "check", "-c", mta.config, *options, check=False)

    def findings(self, mta, *options):
        """{check: [finding]}"""
        found = {}
        result = json.loads(self.hikyaku(mta, "--json", *options).stdout)
        for f in result["findings"]:
            found.setdefault(f["check"], []).append(f)
        return found

    def only(self, mta, check, *also):
        """The findings of this check; nothing else may be found but `also`."""
        found = self.findings(mta)
        self.assertIn(check, found, f"found only {sorted(found)}")
        extra = set(found) - {check, *also} - ALWAYS
        self.assertFalse(extra, {name: found[name] for name in extra})
        return found[check]

    def assert_clean(self, **parameters):
        found = self.findings(self.instance(**parameters))
        self.assertFalse(set(found) - ALWAYS, found)

    @staticmethod
    def line(mta, name, file="main.cf"):
        """The number of the line of a parameter or service."""
        with open(os.path.join(mta.config, file), encoding="utf-8") as f:
            for number, text in enumerate(f, 1):
                if re.match(rf"{re.escape(name)}\s", text):
                    return number
        raise AssertionError(f"no {name} in {file}")

    def assert_at(self, mta, finding, name, file="main.cf"):
        self.assertEqual((finding["file"], finding["line"]),
                         (os.path.join(mta.config, file), self.line(mta, name, file)))


class Rows(Checked):
    # main.cf

    def test_nothing(self):
        mta = self.instance()
        self.assertFalse(set(self.findings(mta)) - ALWAYS)
        mta = self.instance(relayhost="good.example", smtp_fallback_relay="[192.0.2.3]:26",
                            virtual_alias_maps="inline:{a@b.example=c@d.example}",
                            mydestination="$myhostname, other.example",
                            services="local unix - - n - - discard",
                            smtp_helo_timeout="10m", notify_classes="bounce, resource")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)

    def test_overridden(self):
        mta = self.instance()
        with open(os.path.join(mta.config, "main.cf"), "a", encoding="utf-8") as f:
            f.write("hopcount_limit = 40\nhopcount_limit = 41\n")
        finding, = self.only(mta, "overridden")
        self.assertIn("overriding earlier entry: hopcount_limit=40", finding["text"])
        with open(os.path.join(mta.config, "main.cf"), encoding="utf-8") as f:
            self.assertEqual(finding["line"], len(f.readlines()))

    def test_unknown_parameter(self):
        mta = self.instance(relayhots="[192.0.2.1]")
        finding, = self.only(mta, "unknown_parameter")
        self.assert_at(mta, finding, "relayhots")
        self.assertEqual(finding["what"], "relayhots = [192.0.2.1]")
        self.assertIn("Did you mean relayhost?", finding["advice"])
        self.assertEqual(finding["level"], "warning")
        finding, = self.only(self.instance(xyzzy="1"), "unknown_parameter")
        self.assertNotIn("mean", finding["advice"])
        # A name of one's own that is used is no mistake.
        self.assert_clean(my_own_name="5m", smtp_helo_timeout="$my_own_name")
        self.assert_clean(smtp_destination_concurrency_limit="3")

    def test_no_effect(self):
        mta = self.instance(smtp_dns_reply_filter="inline:{a=b}", smtp_tls_per_site="x",
                            force_mime_input_conversion="yes",
                            smtp_sasl_auth_cache_name="proxy:btree:x")
        names = {f["what"].split()[0] for f in self.only(mta, "no_effect")}
        self.assertEqual(names, {"smtp_dns_reply_filter", "smtp_tls_per_site",
                                 "force_mime_input_conversion",
                                 "smtp_sasl_auth_cache_name"})
        finding = self.only(mta, "no_effect")[0]
        self.assert_at(mta, finding, finding["what"].split()[0])
        self.assert_clean(sendmail_fix_line_endings="strict", default_database_type="btree",
                          biff="no", canonical_maps="", readme_directory="no")

    def test_old_name(self):
        mta = self.instance(fallback_relay="[192.0.2.1]")
        finding, = self.only(mta, "old_name")
        self.assert_at(mta, finding, "fallback_relay")
        self.assertEqual(finding["level"], "note")
        self.assertIn("smtp_fallback_relay", finding["advice"])

    def test_bad_value(self):
        for name, value, words in [
                ("smtp_helo_timeout", "5x", "bad time value"),
                ("soft_bounce", "maybe", "bad boolean"),
                ("hopcount_limit", "many", "bad numerical"),
                ("line_length_limit", "10", "10 < 512"),
                ("myorigin", "", "may not be empty"),
                ("inet_protocols", "ipv9", "unknown inet_protocols"),
                ("relayhost", "${x?{a}", "")]:
            with self.subTest(name):
                mta = self.instance(**{name: value})
                finding, = self.only(mta, "bad_value")
                self.assert_at(mta, finding, name)
                self.assertIn(words, finding["text"])
                self.assertEqual(self.hikyaku(mta).returncode, 2)

    def test_unknown_people(self):
        """The setting that names them is told; what follows from it, too."""
        if not world.enter().root:
            self.skipTest("only root's instances change to them")
        for name, words in [("mail_owner", "unknown user"),
                            ("setgid_group", "unknown group")]:
            with self.subTest(name):
                mta = self.instance(**{name: "no-such-name"})
                finding, = self.findings(mta)["bad_value"]
                self.assert_at(mta, finding, name)
                self.assertIn(words, finding["text"])

    def test_bad_word(self):
        mta = self.instance(notify_classes="bounce, resourse")
        finding, = self.only(mta, "bad_word")
        self.assert_at(mta, finding, "notify_classes")
        self.assertIn('"resourse"', finding["text"])
        self.assertIn("resource", finding["advice"])
        mta = self.instance(masquerade_classes="envelope_sender header")
        finding, = self.only(mta, "bad_word")
        self.assertIn('"header"', finding["text"])

    def test_bad_word_of_others(self):
        for name, value, wrong in [
                ("canonical_classes", "envelope_sender, header_sendr", "header_sendr"),
                ("sender_canonical_classes", "envelope_recipient", "envelope_recipient"),
                ("masquerade_classes", "header", "header"),
                ("smtp_pix_workarounds", "disable_esmtp, delay", "delay"),
                ("sendmail_fix_line_endings", "sometimes", "sometimes")]:
            with self.subTest(name):
                mta = self.instance(**{name: value})
                finding, = self.findings(mta)["bad_word"]
                self.assert_at(mta, finding, name)
                self.assertIn(f'"{wrong}" has no meaning', finding["text"])
        self.assert_clean(canonical_classes="header_sender, envelope_recipient",
                          recipient_canonical_classes="header_recipient",
                          smtp_pix_workarounds="delay_dotcrlf",
                          sendmail_fix_line_endings="never")

    def test_bad_reference(self):
        mta = self.instance(smtp_helo_name="x.$mydomian")
        finding, = self.only(mta, "bad_reference")
        self.assert_at(mta, finding, "smtp_helo_name")
        self.assertIn("$mydomain?", finding["advice"])
        self.assert_clean(smtp_helo_name="${quuxify?{a}:{b.example}}")

    def test_queue_times(self):
        for values, at, words in [
                ({"bounce_queue_lifetime": "6d"}, "bounce_queue_lifetime", "6d, more than"),
                ({"maximal_queue_lifetime": "2d"}, "maximal_queue_lifetime", "notices"),
                ({"minimal_backoff_time": "2h"}, "minimal_backoff_time", "cannot grow"),
                ({"queue_run_delay": "600s"}, "queue_run_delay", "10m, more than"),
                ({"delay_warning_time": "7d"}, "delay_warning_time", "never warned")]:
            with self.subTest(values):
                mta = self.instance(**values)
                finding, = self.only(mta, "queue_times")
                self.assert_at(mta, finding, at)
                self.assertIn(words, finding["text"])
        self.assert_clean(bounce_queue_lifetime="0", maximal_queue_lifetime="0")

    def test_size_limits(self):
        mta = self.instance(message_size_limit="60000000")
        findings = self.only(mta, "size_limits")
        self.assertEqual(len(findings), 2)
        self.assert_at(mta, findings[0], "message_size_limit")
        mta = self.instance(mailbox_size_limit="1000")
        finding, = self.only(mta, "size_limits", "no_effect")
        self.assert_at(mta, finding, "mailbox_size_limit")
        mta = self.instance(mailbox_size_limit="0", virtual_mailbox_limit="0",
                            message_size_limit="0")
        self.assertNotIn("size_limits", self.findings(mta))

    def test_left_on(self):
        mta = self.instance(soft_bounce="yes", defer_transports="smtp")
        findings = self.only(mta, "left_on")
        self.assertEqual(len(findings), 2)
        self.assert_at(mta, findings[0], "soft_bounce")
        self.assert_at(mta, findings[1], "defer_transports")

    # Names and routes

    def test_myhostname_form(self):
        for name in ("mail", "mail.localdomain", "a..b.example"):
            with self.subTest(name):
                mta = self.instance(myhostname=name)
                finding, = self.only(mta, "myhostname_form", "myhostname_address")
                self.assert_at(mta, finding, "myhostname")

    def test_mydomain_form(self):
        mta = self.instance(myhostname="example.net")
        finding, = self.only(mta, "mydomain_form", "myhostname_address")
        self.assertIn('"net"', finding["text"])
        self.assertNotIn("mydomain_form", self.findings(
            self.instance(myhostname="example.net", mydomain="example.net")))

    def test_myhostname_address(self):
        mta = self.instance(myhostname="nowhere.example.net")
        finding, = self.only(mta, "myhostname_address")
        self.assertEqual(finding["level"], "note")
        self.dns.host("six.example.net", "2001:db8::1")
        self.assert_clean(myhostname="six.example.net")
        self.assertNotIn("myhostname_address", self.findings(mta, "--offline"))

    def test_overlap(self):
        local = "local unix - - n - - discard\nvirtual unix - - n - - discard"
        for values, at in [
                ({"mydestination": "one.example, two.example",
                  "virtual_alias_domains": "Two.Example"}, "mydestination"),
                ({"mydestination": "two.example",
                  "virtual_mailbox_domains": "inline:{two.example=x}"}, "mydestination"),
                ({"virtual_alias_domains": "two.example",
                  "virtual_mailbox_domains": "two.example"}, "virtual_alias_domains"),
                ({"relay_domains": "two.example",
                  "virtual_mailbox_domains": "two.example"}, "relay_domains")]:
            with self.subTest(values):
                mta = self.instance(services=local, **values)
                finding, = self.only(mta, "overlap")
                self.assert_at(mta, finding, at)
                self.assertRegex(finding["text"], "(?i)two.example is also in")
        self.assert_clean(services=local, mydestination="one.example",
                          virtual_alias_domains="two.example")

    def test_mynetworks_open(self):
        for value in ("0.0.0.0/0", "10.0.0.0/8, 128.0.0.0/1", "[::]/0", "static:all"):
            with self.subTest(value):
                mta = self.instance(mynetworks=value)
                finding, = self.only(mta, "mynetworks_open")
                self.assert_at(mta, finding, "mynetworks")
        found = self.findings(self.instance(mynetworks="127.0.0.0/8 [2001:db8::]/32"))
        self.assertEqual(set(found) - ALWAYS, set())

    def test_mynetworks_form(self):
        for value, words in [("192.0.2.0 /24", "stands alone"),
                             ("192.0.2.1/24", "192.0.2.0/24"),
                             ("192.0.2.0/33", "not understood"),
                             ("192.0.2/24", "not understood")]:
            with self.subTest(value):
                mta = self.instance(mynetworks=value)
                finding, = self.only(mta, "mynetworks_form", "list_file")
                self.assertIn(words, finding["text"])
                self.assert_at(mta, finding, "mynetworks")

    def test_no_ipv6(self):
        mta = self.instance(inet_protocols="all")  # the world has the loopback only
        finding, = self.only(mta, "no_ipv6")
        self.assertEqual(finding["level"], "note")
        self.assert_at(mta, finding, "inet_protocols")

    def test_relay_form(self):
        for name in ("relayhost", "smtp_fallback_relay"):
            for value in ("[mx.good.example", "good.example:nosuchport", "[]"):
                with self.subTest(name=name, value=value):
                    mta = self.instance(**{name: value})
                    finding, = self.only(mta, "relay_form")
                    self.assert_at(mta, finding, name)
                    self.assertEqual(finding["level"], "error")

    def test_relay_brackets(self):
        mta = self.instance(relayhost="smtp:25")
        finding, = self.only(mta, "relay_brackets", "relay_not_found")
        self.assert_at(mta, finding, "relayhost")
        self.assertIn("not as a transport", finding["text"])
        mta = self.instance(smtp_fallback_relay="backup")
        finding, = self.only(mta, "relay_brackets", "relay_not_found")
        self.assertIn("[backup]", finding["advice"])
        self.dns.host("backup", "192.0.2.9")
        self.assert_clean(smtp_fallback_relay="[backup]")

    def test_relay_is_us(self):
        for value in ("[mail.example.net]", "[127.0.0.1]", "[localhost]:25", "127.0.0.1"):
            with self.subTest(value):
                mta = self.instance(relayhost=value)
                found = self.findings(mta)
                self.assertIn("relay_is_us", found)
                finding, = found["relay_is_us"]
                self.assert_at(mta, finding, "relayhost")
        self.assert_clean(relayhost="[127.0.0.1]:10026")
        self.assert_clean(relayhost="[192.0.2.1]")
        # A service of our own on the port.
        mta = self.instance(relayhost="[127.0.0.1]:10026",
                            services="127.0.0.1:10026 inet n - n - - smtpd")
        self.assertIn("relay_is_us", self.findings(mta))

    def test_fallback_same(self):
        mta = self.instance(relayhost="[192.0.2.1]", smtp_fallback_relay="[192.0.2.1]:25")
        finding, = self.only(mta, "fallback_same")
        self.assert_at(mta, finding, "smtp_fallback_relay")
        mta = self.instance(relayhost="[192.0.2.1]", fallback_relay="[192.0.2.1]")
        finding, = self.only(mta, "fallback_same", "old_name")
        self.assert_at(mta, finding, "fallback_relay")
        self.assert_clean(relayhost="[192.0.2.1]", smtp_fallback_relay="[192.0.2.1]:587")

    def test_relay_no_mx(self):
        self.dns.host("plain.example", "192.0.2.4")
        mta = self.instance(relayhost="plain.example:587")
        finding, = self.only(mta, "relay_no_mx")
        self.assert_at(mta, finding, "relayhost")
        self.assertIn("[plain.example]:587", finding["advice"])
        self.assert_clean(relayhost="[plain.example]:587")
        self.assert_clean(relayhost="good.example")

    def test_relay_not_found(self):
        mta = self.instance(relayhost="[nowhere.example]")
        finding, = self.only(mta, "relay_not_found")
        self.assert_at(mta, finding, "relayhost")
        self.dns.mail("null.example", ".")
        finding, = self.only(self.instance(relayhost="null.example"), "relay_not_found")
        self.assertIn("nullMX", finding["text"])
        # Not known is not the same as not there.
        self.dns.behave("broken.example", "servfail")
        self.assert_clean(relayhost="broken.example")

    def test_relay_leads_here(self):
        self.dns.mail("us.example", "mx.us.example").host("mx.us.example", "127.0.0.1")
        mta = self.instance(relayhost="us.example")
        finding, = self.only(mta, "relay_leads_here")
        self.assert_at(mta, finding, "relayhost")
        self.assert_clean(relayhost="us.example:10026")

    # Tables

    def put(self, mta, name, text, mode=0o644):
        path = os.path.join(mta.config, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    # relays with log-in and TLS

    ON = {"relayhost": "[smtp.example.com]:587", "smtp_sasl_auth_enable": "yes", "smtp_tls_security_level": "encrypt",
          "smtp_sasl_tls_security_options": "noanonymous"}

    def login(self, row="[smtp.example.com]:587", value="user:secret", **parameters):
        self.dns.host("smtp.example.com", "192.0.2.25")
        table = f"inline:{{{{{row} = {value}}}}}" if row else "static:{}"
        return self.instance(**{**self.ON, "smtp_sasl_password_maps": table, **parameters})

    def test_login(self):
        """Rows that the client finds."""
        for row in ("[smtp.example.com]:587", "smtp.example.com"):
            with self.subTest(row):
                self.assertFalse(set(self.findings(self.login(row))) - ALWAYS)

    def test_login_off(self):
        finding, = self.only(self.login(smtp_sasl_auth_enable="no"), "login_off")
        self.assertIn("never logs in", finding["text"])

    def test_login_key(self):
        for row in ("smtp.example.com:587", "[smtp.example.com]", "[smtp.example.com]:submission"):
            with self.subTest(row):
                mta = self.login(row, relayhost="[smtp.example.com]:submission"
                                 if row == "[smtp.example.com]:587" else self.ON["relayhost"])
                finding, = self.only(mta, "login_key")
                self.assert_at(mta, finding, "relayhost")
                if "submission" not in row:
                    self.assertIn(f'has a row "{row}"', finding["text"])
                    self.assertIn("[smtp.example.com]:587", finding["advice"])
                self.assertNotIn("secret", json.dumps(finding))
        finding, = self.only(self.login("other.example"), "login_key")
        self.assertIn("No row of the password table is for [smtp.example.com]:587", finding["text"])
        # Who logs in by sender may have rows for senders only.
        mta = self.login("a@b.example", smtp_sender_dependent_authentication="yes")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)
        # A domain's MX hosts may have rows of their own; its look-alike is a mistake.
        self.dns.mail("example.com", "smtp.example.com")
        mta = self.login("smtp.example.com", relayhost="example.com:587")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)
        mta = self.login("[example.com]:587", relayhost="example.com:587")
        self.only(mta, "login_key")

    def test_login_value(self):
        for value in ("user", "user:", ":secret"):
            with self.subTest(value):
                finding, = self.only(self.login(value=value), "login_value")
                self.assertNotIn("secret", json.dumps(finding))

    def test_login_mechanisms(self):
        mta = self.login(smtp_sasl_tls_security_options="noplaintext, noanonymous")
        finding, = self.only(mta, "login_mechanisms")
        self.assert_at(mta, finding, "smtp_sasl_tls_security_options")
        # The default, too.
        self.only(self.login(smtp_sasl_tls_security_options=None), "login_mechanisms")

    def test_login_plain(self):
        mta = self.login(smtp_sasl_security_options="noanonymous", smtp_tls_security_level="may")
        finding, = self.only(mta, "login_plain")
        self.assertIn("level may", finding["text"])
        row = "inline:{{[smtp.example.com]:587 = secure}}"
        mta = self.login(smtp_sasl_security_options="noanonymous", smtp_tls_security_level="may",
                         smtp_tls_policy_maps=row)
        self.assertFalse(set(self.findings(mta)) - ALWAYS)

    def test_tls_policy_key(self):
        mta = self.login(smtp_tls_policy_maps="inline:{{smtp.example.com = secure}}")
        finding, = self.only(mta, "tls_policy_key")
        self.assert_at(mta, finding, "relayhost")
        self.assertIn("[smtp.example.com]:587", finding["advice"])
        mta = self.login("smtp.example.com", relayhost="mail.example.com", smtp_tls_policy_maps="inline:{{.example.com = secure}}")
        self.assertNotIn("tls_policy_key", self.findings(mta))

    def test_wrapper_port(self):
        finding, = self.only(self.login("smtp.example.com", relayhost="[smtp.example.com]:465"), "wrapper_port")
        self.assertIn("wait for the other", finding["text"])
        finding, = self.only(self.login(smtp_tls_wrappermode="yes"), "wrapper_port")
        self.assertIn("on port 587 the handshake fails", finding["text"])
        finding, = self.only(self.login("smtp.example.com", relayhost="[smtp.example.com]:465",
                                        smtp_tls_wrappermode="yes", smtp_tls_security_level="may"), "wrapper_port")
        self.assertIn("this is may", finding["text"])
        mta = self.login("smtp.example.com", relayhost="[smtp.example.com]:465", smtp_tls_wrappermode="yes")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)

    def test_table_type(self):
        mta = self.instance(virtual_alias_maps="nis:/x, inline:{a=b}")
        finding, = self.only(mta, "table_type")
        self.assert_at(mta, finding, "virtual_alias_maps")
        self.assertIn("not supported yet", finding["text"])
        mta = self.instance(transport_maps="proxy:hsah:/x")
        finding, = self.only(mta, "table_type")
        self.assertIn("no type of table named hsah", finding["text"])

    def test_table_missing(self):
        mta = self.instance()
        path = self.put(mta, "virtual", "a@b.example c@d.example\n")
        mta.configure(virtual_alias_maps=f"hash:{path}")
        finding, = self.only(mta, "table_missing")
        self.assert_at(mta, finding, "virtual_alias_maps")
        self.assertIn(f"postmap hash:{path}", finding["advice"])
        mta.run("postmap", f"hash:{path}")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)

    def test_table_stale(self):
        mta = self.instance()
        path = self.put(mta, "virtual", "a@b.example c@d.example\n")
        mta.configure(virtual_alias_maps=f"hash:{path}")
        mta.run("postmap", f"hash:{path}")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)
        later = time.time() + 2
        os.utime(path, (later, later))
        finding, = self.only(mta, "table_stale")
        self.assert_at(mta, finding, "virtual_alias_maps")

    def test_table_unreadable(self):
        mta = self.instance(virtual_alias_maps="texthash:/no/such/file")
        finding, = self.only(mta, "table_unreadable")
        self.assert_at(mta, finding, "virtual_alias_maps")
        self.assertIn("/no/such/file", finding["text"])

    def test_table_content(self):
        mta = self.instance()
        path = self.put(mta, "virtual", "a@b.example c@d.example\n"
                        "a@b.example e@f.example\n")
        mta.configure(virtual_alias_maps=f"texthash:{path}")
        finding, = self.only(mta, "table_content")
        self.assertEqual((finding["file"], finding["line"]), (path, 2))

    def test_table_secret(self):
        mta = self.instance()
        path = self.put(mta, "sasl_passwd", "x y:z\n")
        mta.configure(smtp_sasl_password_maps=f"texthash:{path}", smtp_sasl_auth_enable="yes")
        finding, = self.only(mta, "table_secret")
        self.assert_at(mta, finding, "smtp_sasl_password_maps")
        self.assertIn(f"chmod 0600 {path}", finding["advice"])
        os.chmod(path, 0o600)
        self.assertNotIn("table_secret", self.findings(mta))

    def test_list_file(self):
        mta = self.instance(mydestination="one.example, /no/such/file",
                            services="local unix - - n - - discard")
        finding, = self.only(mta, "list_file")
        self.assert_at(mta, finding, "mydestination")

    # master.cf

    def test_master_form(self):
        mta = self.instance(services="x unix - - n - -")
        finding, = self.only(mta, "master_form")
        self.assert_at(mta, finding, "x", "master.cf")

    def test_service_twice(self):
        mta = self.instance(services="odd unix - - n - - discard\n"
                            "odd unix - - n - - error")
        finding, = self.only(mta, "service_twice")
        self.assertEqual(finding["line"], self.line(mta, "odd", "master.cf") + 1)

    def test_service_absent(self):
        mta = self.instance(services="odd unix - - n - - nosuchprogram")
        finding, = self.only(mta, "service_absent")
        self.assert_at(mta, finding, "odd", "master.cf")

    def test_service_needed(self):
        for name, words in [("qmgr", "no mail is delivered"), ("showq", "mailq"),
                            ("defer", "reasons")]:
            with self.subTest(name):
                mta = self.instance()
                mta.services = "".join(l for l in mta.services.splitlines(True)
                                       if not l.startswith(name + " "))
                mta.write()
                finding, = self.only(mta, "service_needed")
                self.assertIn(words, finding["text"])
                self.assertEqual(finding["level"], "error")

    def test_service_limits(self):
        mta = self.instance(services="pickup unix n - n 0 1 pickup")
        finding, = self.only(mta, "service_limits")
        self.assert_at(mta, finding, "pickup", "master.cf")
        mta = self.instance(services="cleanup unix - - n - 0 cleanup")
        finding, = self.only(mta, "service_limits")
        self.assertIn("public", finding["text"])

    def test_service_chroot(self):
        mta = self.instance(services="smtp unix - - y - - smtp")
        finding, = self.only(mta, "service_chroot")
        self.assert_at(mta, finding, "smtp", "master.cf")
        self.assertEqual(finding["level"], "note")
        self.assertIn("(of 1 service)", finding["text"])
        mta = self.instance(services="smtp unix - - y - - smtp\nretry unix - - y - - error")
        finding, = self.only(mta, "service_chroot")
        self.assertIn("(of 2 services)", finding["text"])

    def test_service_option(self):
        for option, words in [("smtp_helo_tiemout=5s", "no such parameter"),
                              ("smtp_destination_concurrency_limit=5", "Only the queue"),
                              ("smtp_tls_per_site=x", "not supported yet")]:
            with self.subTest(option):
                mta = self.instance(services=f"smtp unix - - n - - smtp -o {option}")
                finding, = self.only(mta, "service_option")
                self.assert_at(mta, finding, "smtp", "master.cf")
                self.assertIn(words, finding["text"])
        mta = self.instance(services="smtp unix - - n - - smtp -o smtp_helo_timeout=$mine "
                            "-o mine=5s")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)

    def test_transport_missing(self):
        for values, at in [
                ({"default_transport": "smtpx"}, "default_transport"),
                ({"mydestination": "one.example", "local_transport": "nolocal:x"},
                 "local_transport"),
                ({"transport_maps": "inline:{{one.example = slow:[192.0.2.1]}}"},
                 "transport_maps")]:
            with self.subTest(values):
                mta = self.instance(**values)
                found = self.findings(mta)
                if "transport_maps" in values and "transport_missing" not in found:
                    self.fail(found)
                finding, = self.only(mta, "transport_missing")
                self.assert_at(mta, finding, at)
        self.assert_clean(transport_maps="inline:{{a.example = smtp:[192.0.2.1]},"
                          "{b.example = :[192.0.2.2]}, {c.example = error:no}}")

    def test_port_twice(self):
        mta = self.instance(services="127.0.0.1:10080 inet n - n - - discard\n"
                            "127.0.0.1:10081 inet n - n - - discard")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)
        mta = self.instance(services="[127.0.0.1]:25 inet n - n - - discard\n"
                            "127.0.0.1:smtp inet n - n - - discard")
        finding, = self.only(mta, "port_twice")
        self.assert_at(mta, finding, "127.0.0.1:smtp", "master.cf")

    def test_port_taken(self):
        port = world.enter().port()
        mta = self.instance(services=f"127.0.0.1:{port} inet n - n - - discard")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::")):
            with self.subTest(address), socket.socket(family) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((address, port))
                s.listen()
                finding, = self.only(mta, "port_taken")
                self.assert_at(mta, finding, f"127.0.0.1:{port}", "master.cf")
        with socket.socket() as s:
            s.bind(("127.0.0.2", port))
            s.listen()
            self.assertNotIn("port_taken", self.findings(mta))

    # Files

    def test_config_writable(self):
        mta = self.instance()
        path = os.path.join(mta.config, "main.cf")
        os.chmod(path, 0o664)
        finding, = self.only(mta, "config_writable")
        self.assertEqual(finding["file"], path)

    def test_queue_missing(self):
        mta = self.instance()
        os.rmdir(os.path.join(mta.queue, "hold"))
        finding, = self.only(mta, "queue_missing")
        self.assertEqual(finding["file"], os.path.join(mta.queue, "hold"))
        mta.configure(queue_directory="/no/such/place")
        self.assertIn("queue_missing", self.findings(mta))

    def test_queue_mode(self):
        mta = self.instance()
        os.chmod(os.path.join(mta.queue, "active"), 0o755)
        finding, = self.only(mta, "queue_mode")
        self.assertIn("0755", finding["text"])
        if world.enter().root:
            os.chmod(os.path.join(mta.queue, "active"), 0o700)
            os.chown(os.path.join(mta.queue, "defer"), 0, 0)
            finding, = self.only(mta, "queue_mode")
            self.assertIn("mail_owner (postfix)", finding["text"])

    def test_setgid_programs(self):
        if not world.enter().root:
            self.skipTest("only root's instances need the bit")
        mta = self.instance()
        programs = os.path.join(mta.dir, "bin")
        os.mkdir(programs)
        for name in os.listdir(mta.parameters["command_directory"]):
            source = os.path.join(mta.parameters["command_directory"], name)
            if name == "postdrop":
                subprocess.run(["cp", source, os.path.join(programs, name)], check=True)
                os.chmod(os.path.join(programs, name), 0o755)
            else:
                os.symlink(source, os.path.join(programs, name))
        mta.configure(command_directory=programs)
        finding, = self.only(mta, "setgid_programs")
        self.assertEqual(finding["file"], os.path.join(programs, "postdrop"))

    def mount(self, kind, target, options):
        # pylint: disable=protected-access
        try:
            world._mount(kind, target, kind, 0, options)
        except OSError as e:
            self.skipTest(f"mount {kind}: {e}")
        self.addCleanup(world.libc.umount2, target.encode(), 2)

    def on_new_disk(self, options, kind="tmpfs", **parameters):
        """An instance whose queue is on a file system of its own."""
        mta = self.instance(**parameters)
        self.mount(kind, mta.queue, options)
        os.chmod(mta.queue, 0o755)
        self.run_check_once(mta)
        return mta

    def test_queue_split(self):
        mta = self.instance()
        path = os.path.join(mta.queue, "deferred")
        owner = os.stat(path)
        self.mount("tmpfs", path, f"mode=700,uid={owner.st_uid},gid={owner.st_gid}")
        finding, = self.only(mta, "queue_split")
        self.assertEqual(finding["file"], path)

    def test_queue_memory(self):
        mta = self.on_new_disk("size=100m,mode=755")
        finding, = self.only(mta, "queue_memory")
        self.assert_at(mta, finding, "queue_directory")
        self.assertIn("in memory", finding["text"])
        mta = self.instance()
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
            kind = subprocess.run(["stat", "-f", "-c", "%T", directory], check=True,
                                  capture_output=True, text=True).stdout.strip()
            mta.configure(queue_directory=directory)
            self.run_check_once(mta)
            found = self.findings(mta)
            if kind == "overlayfs":
                self.assertIn("container", found["queue_memory"][0]["text"])
            elif kind in ("ext2/ext3", "xfs", "btrfs"):
                self.assertNotIn("queue_memory", found)

    def test_queue_network(self):
        # The kinds are told apart in tool/hikyaku/filesystem_test; here is none of them.
        self.assertNotIn("queue_network", self.findings(self.instance()))

    def test_queue_space(self):
        mta = self.on_new_disk("size=8m,mode=755")
        finding, = self.only(mta, "queue_space")
        self.assert_at(mta, finding, "queue_directory")
        mta.configure(message_size_limit="1000000")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)

    def test_queue_inodes(self):
        mta = self.on_new_disk("size=100m,nr_inodes=600,mode=755")
        self.assertFalse(set(self.findings(mta)) - ALWAYS)
        for i in range(600):
            try:
                with open(os.path.join(mta.queue, f"file{i}"), "w", encoding="ascii"):
                    pass
            except OSError:
                break
        finding, = self.only(mta, "queue_inodes")
        self.assert_at(mta, finding, "queue_directory")

    def leave_mail(self, mta, queue):
        path = os.path.join(mta.queue, queue, "A1B2C3D4E5")
        with open(path, "w", encoding="ascii"):
            pass
        if world.enter().root:
            os.chown(path, pwd.getpwnam("postfix").pw_uid, -1)
        os.chmod(path, 0o700)

    def test_mail_held(self):
        mta = self.instance()
        self.leave_mail(mta, "hold")
        finding, = self.only(mta, "mail_held")
        self.assertIn("1 message is on hold", finding["text"])
        self.assertEqual(finding["level"], "note")

    def test_mail_damaged(self):
        mta = self.instance()
        self.leave_mail(mta, "corrupt")
        finding, = self.only(mta, "mail_damaged")
        self.assertIn("1 message was set aside", finding["text"])

    # The DNS

    def test_dns_server(self):
        silent = f"127.0.0.1@{world.enter().port()}"
        mta = self.instance(resolver_nameservers=f"{silent}, {self.dns.nameserver}")
        start = time.monotonic()
        finding, = self.only(mta, "dns_server")
        self.assertLess(time.monotonic() - start, 10)
        self.assert_at(mta, finding, "resolver_nameservers")
        self.assertIn(silent, finding["text"])
        self.assertNotIn("dns_server", self.findings(mta, "--offline"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            mta.configure(resolver_nameservers=f"127.0.0.1@{s.getsockname()[1]}",
                          relayhost="good.example")
            start = time.monotonic()
            finding, = self.only(mta, "dns_server")
            self.assertLess(time.monotonic() - start, 12)
            self.assertIn("none does", finding["text"])

    def test_every_row_has_a_test(self):
        listed = self.hikyaku(self.instance(), "--list").stdout.decode().splitlines()
        names = [line.split()[0] for line in listed]
        self.assertGreater(len(names), 40)
        missing = [n for n in names if not hasattr(self, "test_" + n)]
        self.assertFalse(missing)


PLACES = ("queue_directory", "data_directory", "command_directory", "daemon_directory",
          "sendmail_path", "mailq_path", "newaliases_path", "maillog_file",
          "maillog_file_prefixes", "myhostname", "resolver_nameservers")
TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Stock(Checked):
    """The configurations that systems begin with, changed for their places only."""

    def stock(self, main, master, *options):
        mta = self.instance()
        with open(main, encoding="utf-8") as f:
            lines = [line for line in f if not re.match(r"\w+(_directory|_path|group) *=|"
                                                        "(mail_owner|myhostname) *=", line)]
        with open(os.path.join(mta.config, "main.cf"), "w", encoding="utf-8") as f:
            f.writelines(lines)
            f.writelines(f"{name} = {mta.parameters[name]}\n" for name in PLACES)
        shutil.copy(master, os.path.join(mta.config, "master.cf"))
        return self.findings(mta, *options)

    def assert_not_ours(self, findings):
        """Services are absent for one reason only."""
        for finding in findings:
            self.assertRegex(finding["text"], "not implemented yet|there is no program")

    def test_ours(self):
        with open("/etc/aliases", "w", encoding="ascii") as f:  # as ./dev install does
            f.write("postmaster: root\n")
        self.instance().run("postalias", "hash:/etc/aliases")
        found = self.stock(os.path.join(TREE, "packaging", "main.cf"),
                           os.path.join(TREE, "packaging", "master.cf"))
        self.assert_not_ours(found.pop("service_absent", []))
        self.assertFalse(set(found) - ALWAYS - {"no_ipv6"}, found)

    def test_debian(self):
        world.need_oracle()
        share = os.path.join(os.environ["HIKYAKU_ORACLE"], "usr/share/postfix")
        found = self.stock(os.path.join(share, "main.cf.debian"),
                           os.path.join(share, "master.cf.dist"))
        self.assert_not_ours(found.pop("service_absent", []))
        finding, = found.pop("service_chroot")
        self.assertRegex(finding["text"], r"of 1\d services")
        names = {f["what"].split()[0] for f in found.pop("no_effect", [])}
        self.assertLessEqual(names, {"smtpd_banner"})
        self.assertFalse(set(found) - ALWAYS - {"no_ipv6"}, found)


class Command(Checked):
    """The command itself, and postfix check."""

    @staticmethod
    def tree(mta):
        """All that could be changed: names, times, modes, owners, contents."""
        found = {}
        for folder, _, names in os.walk(mta.dir):
            for path in [folder, *[os.path.join(folder, name) for name in names]]:
                st = os.lstat(path)
                content = b""
                if os.path.isfile(path) and not path.endswith("maillog"):
                    with open(path, "rb") as f:
                        content = f.read()
                found[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns,
                               st.st_ctime_ns, content)
        found.pop(mta.log.path, None)
        return found

    def test_nothing_is_changed(self):
        mta = self.instance(relayhots="x", relayhost="[nowhere.example]",
                            virtual_alias_maps="hash:/no/such/file")
        os.chmod(os.path.join(mta.queue, "active"), 0o755)
        os.rmdir(os.path.join(mta.queue, "hold"))
        before = self.tree(mta)
        self.assertGreater(len(before), 10)
        self.assertNotEqual(self.hikyaku(mta).returncode, 0)
        self.hikyaku(mta, "--json", "--offline")
        self.assertEqual(self.tree(mta), before)

    def test_postfix_check_makes_what_is_missing_and_no_more(self):
        mta = self.instance(relayhots="x")
        before = self.tree(mta)
        mta.postfix("check")
        self.assertEqual(self.tree(mta), before)
        os.rmdir(os.path.join(mta.queue, "hold"))
        mta.postfix("check")
        self.assertEqual(set(self.tree(mta)), set(before))

    def test_text(self):
        mta = self.instance(relayhots="x")
        result = self.hikyaku(mta)
        text = result.stdout.decode()
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"warning  {mta.config}/main.cf:{self.line(mta, 'relayhots')}: "
                      "relayhots = x\n  There is no parameter relayhots", text)
        self.assertRegex(text, r"0 errors, \d warnings?, 0 notes\.\n$")
        self.assertFalse(result.stderr)

    def test_documents_show_what_is_said(self):
        self.dns.host("relay.example.com", "192.0.2.4")
        for relayhost, documents in [
                ("smtp:25", ["README.md", "README.ja.md"]),
                ("relay.example.com", ["tool/hikyaku/hikyaku.1"])]:
            text = self.hikyaku(self.instance(relayhost=relayhost)).stdout.decode()
            said = re.search(r"relayhost = .*\n((?:  .*\n)+)", text)[1].split()
            for name in documents:
                with self.subTest(name), open(os.path.join(TREE, name), encoding="utf-8") as f:
                    shown = re.search(r"warning  /etc/postfix/main.cf:\d+: relayhost = "
                                      + re.escape(relayhost) + r"\n((?: +\S.*\n)+)", f.read())
                    self.assertEqual(shown[1].split(), said)

    def test_brief(self):
        mta = self.instance(relayhots="x")
        lines = self.hikyaku(mta, "--brief").stdout.decode().splitlines()
        self.assertEqual(len([l for l in lines if l.startswith("warning: ")]), len(lines))
        self.assertTrue(any(": relayhots = x: There is no" in l for l in lines), lines)

    def test_exit_status(self):
        mta = self.instance(fallback_relay="[192.0.2.1]", queue_directory="/var/tmp")
        self.assertEqual(self.hikyaku(self.instance(relayhost="[x")).returncode, 2)
        self.assertEqual(self.hikyaku(mta, "--nonsense").returncode, 64)
        self.assertEqual(self.hikyaku(mta, "argument").returncode, 64)
        result = mta.run("hikyaku", "check", "-c", "/no/such/dir", check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"/no/such/dir/main.cf", result.stdout)

    def test_nothing_that_steers_a_terminal(self):
        mta = self.instance(relayhots="\x1b[31mred")
        self.assertNotIn(b"\x1b", self.hikyaku(mta).stdout)
        self.assertNotIn(b"\x1b", self.hikyaku(mta, "--json").stdout)

    def test_postfix_check_is_quiet_when_all_is_well(self):
        result = self.instance().postfix("check")
        self.assertEqual(result.returncode, 0)
        said = [line for line in result.stderr.decode().splitlines()
                if "The queue is in memory" not in line]
        self.assertFalse(said)
        self.assertFalse(result.stdout)

    def test_postfix_check_says_what_was_found(self):
        mta = self.instance(relayhots="x", relayhost="smtp:25")
        result = mta.postfix("check")
        text = result.stderr.decode()
        self.assertEqual(result.returncode, 0)  # warnings only
        self.assertRegex(text, r"postfix/postfix-script: warning: .*main\.cf:\d+: "
                         r"relayhost = smtp:25: .*not as a transport")
        # Said once: by the part that reads the configuration.
        self.assertEqual(text.count("relayhots"), 1)
        mta.log.wait(r"postfix-script: warning: .*relayhost = smtp:25")

    def test_postfix_check_fails_for_an_error(self):
        result = self.instance(relayhost="[127.0.0.1]").postfix("check", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("postfix/postfix-script: error: ", result.stderr.decode())


if __name__ == "__main__":
    unittest.main()
