# SPDX-License-Identifier: Apache-2.0
"""The resolver against a name server that does what it is told."""
import os
import socket
import threading
import time
import unittest

from . import world
from .dnsserver import DNSServer
from .resolver import Resolver


class Answers(unittest.TestCase):
    """One resolver and one server for questions that do not disturb each other."""

    @classmethod
    def setUpClass(cls):
        world.enter()
        cls.dns = cls._enter(DNSServer())
        cls.resolver = cls._enter(Resolver(cls.dns, resolver_timeout="5s"))

    @classmethod
    def _enter(cls, context):
        value = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        return value

    def ask(self, name, kind):
        return self.resolver.ask(name, kind)

    def test_mx_with_preferences(self):
        self.dns.add("mx.example", "MX", "20 b.example", "10 a.example")
        answer = self.ask("mx.example", "MX")
        self.assertEqual(answer.result, "found")
        self.assertEqual(sorted((r.preference, r.text, r.type) for r in answer.records),
                         [(10, "a.example", "MX"), (20, "b.example", "MX")])
        self.assertTrue(0 < answer.records[0].ttl <= 300)
        self.assertFalse(answer.authenticated)

    def test_addresses(self):
        self.dns.host("host.example", "192.0.2.1", "192.0.2.2", "2001:db8::1")
        self.assertEqual(sorted(self.ask("host.example", "A").texts),
                         ["192.0.2.1", "192.0.2.2"])
        self.assertEqual(self.ask("host.example", "AAAA").texts, ["2001:db8::1"])

    def test_other_types(self):
        self.dns.add("1.2.0.192.in-addr.arpa", "PTR", "host.example")
        self.dns.add("txt.example", "TXT", "v=spf1 " + "x" * 300)
        self.dns.add("_submission._tcp.example", "SRV", "1 2 587 mail.example")
        self.dns.add("_25._tcp.example", "TLSA", "3 1 1 " + "ab" * 32)
        self.assertEqual(self.ask("1.2.0.192.in-addr.arpa", "PTR").texts, ["host.example"])
        self.assertEqual(self.ask("txt.example", "TXT").texts, ["v=spf1 " + "x" * 300])
        srv, = self.ask("_submission._tcp.example", "SRV").records
        self.assertEqual((srv.preference, srv.weight, srv.port, srv.text),
                         (1, 2, 587, "mail.example"))
        tlsa, = self.ask("_25._tcp.example", "TLSA").texts
        self.assertEqual(tlsa.encode("latin-1"), bytes([3, 1, 1]) + b"\xab" * 32)

    def test_private_addresses_and_reverse_zones_are_asked(self):
        self.dns.add("5.0.168.192.in-addr.arpa", "PTR", "printer.lan")
        self.dns.host("printer.lan", "192.168.0.5")
        self.assertEqual(self.ask("5.0.168.192.in-addr.arpa", "PTR").texts, ["printer.lan"])
        self.assertEqual(self.ask("printer.lan", "A").texts, ["192.168.0.5"])

    def test_reserved_top_levels_are_asked(self):
        self.dns.host("a.test", "192.0.2.7").host("a.invalid", "192.0.2.8")
        self.assertEqual(self.ask("a.test", "A").texts, ["192.0.2.7"])
        self.assertEqual(self.ask("a.invalid", "A").texts, ["192.0.2.8"])

    def test_alias(self):
        self.dns.add("www.alias.example", "CNAME", "real.alias.example")
        self.dns.host("real.alias.example", "192.0.2.9")
        answer = self.ask("www.alias.example", "A")
        self.assertEqual((answer.texts, answer.canonical),
                         (["192.0.2.9"], "real.alias.example"))

    def test_alias_loop(self):
        self.dns.add("l1.example", "CNAME", "l2.example")
        self.dns.add("l2.example", "CNAME", "l1.example")
        self.assertIn(self.ask("l1.example", "A").result, ("try again", "nodata", "fail"))

    def test_no_such_name(self):
        self.assertEqual(self.ask("nowhere.example", "MX").result, "nxdomain")

    def test_no_such_type(self):
        self.dns.host("plain.example", "192.0.2.1")
        self.assertEqual(self.ask("plain.example", "MX").result, "nodata")

    def test_null_mx(self):
        self.dns.add("null.example", "MX", "0 .")
        record, = self.ask("null.example", "MX").records
        self.assertEqual((record.preference, record.text), (0, ""))

    def test_malformed_name_is_left_out(self):
        self.dns.add("half.example", "MX", "10 good.example",
                     b"\0\x0a\x08bad host\x07example\0")
        self.assertEqual(self.ask("half.example", "MX").texts, ["good.example"])

    def test_only_malformed_names(self):
        self.dns.add("bad.example", "MX", b"\0\x0a\x08bad host\x07example\0")
        self.assertEqual(self.ask("bad.example", "MX").result, "malformed")

    def test_servfail(self):
        self.dns.behave("broken.example", "servfail")
        self.assertEqual(self.ask("broken.example", "MX").result, "try again")

    def test_refused(self):
        self.dns.behave("closed.example", "refused")
        self.assertIn(self.ask("closed.example", "MX").result, ("fail", "try again"))

    def test_truncated_over_udp_whole_over_tcp(self):
        self.dns.add("big.example", "A", *(f"192.0.2.{i}" for i in range(1, 41)))
        self.dns.behave("big.example", "truncate")
        self.assertEqual(len(self.ask("big.example", "A").records), 40)
        self.assertGreater(self.dns.count("big.example", "A"), 1)

    def test_more_records_than_the_limit(self):
        self.dns.add("huge.example", "A", *(f"10.1.{i // 250}.{i % 250}" for i in range(150)))
        self.assertEqual(len(self.ask("huge.example", "A").records), 100)

    def test_wrong_id_and_wrong_question_are_not_believed(self):
        self.dns.host("forged.example", "192.0.2.66")
        self.dns.behave("forged.example", "wrong-id", times=1)
        self.assertEqual(self.ask("forged.example", "A").texts, ["192.0.2.66"])
        self.dns.host("forged2.example", "192.0.2.67")
        self.dns.behave("forged2.example", "wrong-question", times=1)
        self.assertEqual(self.ask("forged2.example", "A").texts, ["192.0.2.67"])

    def test_garbage_once(self):
        self.dns.host("noise.example", "192.0.2.68").behave("noise.example", "garbage", times=1)
        self.assertEqual(self.ask("noise.example", "A").texts, ["192.0.2.68"])

    def test_cache(self):
        self.dns.host("often.example", "192.0.2.1")
        for _ in range(5):
            self.assertEqual(self.ask("often.example", "A").result, "found")
        self.assertEqual(self.dns.count("often.example", "A"), 1)

    def test_many_questions_on_one_connection(self):
        self.dns.host("same.example", "192.0.2.1")
        c = self.resolver.connect()
        for _ in range(50):
            self.assertEqual(c.ask("same.example", "A").texts, ["192.0.2.1"])
        c.close()

    def test_names_that_cannot_be(self):
        for name in ("two..dots.example", "bl ank.example", "-x.example", "x" * 64 + ".example",
                     "sla\\sh.example", ".".join(["abcdefg"] * 32)[:254] + "."):
            answer = self.ask(name, "A")
            self.assertEqual((answer.result, answer.why),
                             ("nxdomain", "invalid host or domain name"), name)

    def test_unknown_type(self):
        self.assertEqual(self.resolver.ask("example", 99).result, "fail")

    def test_question_that_is_none(self):
        c = self.resolver.connect()
        c.send("deliver_request", name="x")
        with self.assertRaises((EOFError, ConnectionError)):
            c.answer()
        c.close()
        self.assertEqual(self.ask("nowhere2.example", "A").result, "nxdomain")

    def test_slow_question_does_not_hold_up_others(self):
        self.dns.host("slow.example", "192.0.2.1").behave("slow.example", "delay:1.5")
        self.dns.host("quick.example", "192.0.2.2")
        slow = self.resolver.connect()
        start = time.monotonic()
        slow.question("slow.example", "A")
        self.assertEqual(self.ask("quick.example", "A").texts, ["192.0.2.2"])
        self.assertLess(time.monotonic() - start, 1.2)
        self.assertEqual(slow.answer().texts, ["192.0.2.1"])
        slow.close()

    def test_client_that_leaves(self):
        self.dns.behave("left.example", "delay:0.5").host("left.example", "192.0.2.1")
        c = self.resolver.connect()
        c.question("left.example", "A")
        c.close()
        self.assertEqual(self.ask("left.example", "A").texts, ["192.0.2.1"])

    def test_native(self):
        """Each address once, however often the hosts file has it."""
        world.need_private()
        with open("/etc/hosts", "w", encoding="ascii") as f:
            f.write("127.0.0.1 localhost\n::1 localhost\n"
                    "192.0.2.1 twice.example\n192.0.2.2 twice.example\n"
                    "192.0.2.1 twice.example\n")
        for name, texts in (("localhost", ["127.0.0.1"]),
                            ("twice.example", ["192.0.2.1", "192.0.2.2"])):
            answer = self.resolver.ask(name, "A", native=True)
            self.assertEqual(answer.texts, texts)
        self.assertEqual(self.resolver.ask("localhost", "MX", native=True).result, "nodata")

    def test_hundred_clients_at_once(self):
        for i in range(100):
            self.dns.host(f"h{i}.many.example", f"10.2.0.{i}")
        answers = {}

        def one(i):
            answers[i] = self.resolver.ask(f"h{i}.many.example", "A").texts

        threads = [threading.Thread(target=one, args=(i,)) for i in range(100)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        self.assertEqual(answers, {i: [f"10.2.0.{i}"] for i in range(100)})


class Trouble(unittest.TestCase):
    def test_silence_ends_in_time_and_heals(self):
        with DNSServer() as dns, Resolver(dns, resolver_timeout="2s") as resolver:
            dns.host("a.example", "192.0.2.1").behave("*", "silence")
            start = time.monotonic()
            answer = resolver.ask("a.example", "A")
            self.assertEqual(answer.result, "try again")
            self.assertIn("no answer", answer.why)
            self.assertTrue(1.5 < time.monotonic() - start < 6)
            dns.behave_well()
            end = time.monotonic() + 40
            while resolver.ask("a.example", "A").result != "found":
                self.assertLess(time.monotonic(), end, "does not heal")
                time.sleep(0.5)

    def test_nobody_listens(self):
        with Resolver(resolver_nameservers="127.0.0.1@9", resolver_timeout="3s") as resolver:
            self.assertEqual(resolver.ask("a.example", "A").result, "try again")

    def test_second_server_helps(self):
        with DNSServer() as dns:
            dns.host("a.example", "192.0.2.1")
            servers = f"127.0.0.1@9, {dns.nameserver}"
            with Resolver(resolver_nameservers=servers) as resolver:
                self.assertEqual(resolver.ask("a.example", "A").texts, ["192.0.2.1"])

    def test_follows_the_file_of_servers(self):
        world.enter()
        if not world.enter().private:
            self.skipTest("needs port 53: " + world.enter().why_not_private)
        with DNSServer("127.0.0.2", 53) as first, DNSServer("127.0.0.3", 53) as second:
            first.host("a.example", "192.0.2.1")
            second.host("a.example", "192.0.2.2")
            path = "/etc/resolv.conf"
            with open(path, encoding="ascii") as f:
                before = f.read()
            try:
                self._write(path, "# c\nsearch example\nnameserver 127.0.0.2\n")
                with Resolver() as resolver:
                    self.assertEqual(resolver.ask("a.example", "A").texts, ["192.0.2.1"])
                    self._write(path, "nameserver 127.0.0.3\n")
                    time.sleep(1.1)
                    self.assertEqual(resolver.ask("a.example", "A").texts, ["192.0.2.2"])
                    resolver.wait_log("has changed: asking 127.0.0.3")
                    self._write(path, "")
                    time.sleep(1.1)
                    self.assertEqual(resolver.ask("a.example", "A").texts, ["192.0.2.2"])
            finally:
                self._write(path, before)

    @staticmethod
    def _write(path, text):
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def test_servers_without_dnssec_are_believed(self):
        with DNSServer() as dns:
            dns.host("a.example", "192.0.2.1").add("a.example", "MX", "10 a.example")
            anchor = os.path.join("/etc", "test-anchor.key")
            if not world.enter().private:
                self.skipTest("needs an /etc of its own")
            with open(anchor, "w", encoding="ascii") as f:
                f.write(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237"
                        "C7F8EC8D\n")
            with Resolver(dns, resolver_trust_anchor_file=anchor) as resolver:
                self.assertEqual(resolver.ask("a.example", "A").texts, ["192.0.2.1"])
                resolver.wait_log("do not pass DNSSEC on")
                answer = resolver.ask("a.example", "MX")
                self.assertEqual((answer.result, answer.authenticated), ("found", False))

    def test_bad_list_of_servers_is_fatal(self):
        for value in ("127.0.0.1@70000", "example.org", "127.0.0.1@", "1.2.3"):
            with self.assertRaises(AssertionError) as raised:
                with Resolver(resolver_nameservers=value):
                    pass
            self.assertIn("resolver_nameservers", str(raised.exception))

    def test_stops_while_a_question_waits(self):
        with DNSServer() as dns:
            dns.behave("*", "silence")
            with Resolver(dns, resolver_timeout="5s") as resolver:
                c = resolver.connect()
                self.addCleanup(c.close)
                c.question("a.example", "A")
                dns.wait_asked("a.example")
            self.assertEqual(c.answer().result, "try again")

    def test_idle_client_does_not_keep_it(self):
        with DNSServer() as dns, Resolver(dns) as resolver:
            dns.host("a.example", "192.0.2.1")
            c = resolver.connect()
            self.addCleanup(c.close)
            self.assertEqual(c.ask("a.example", "A").result, "found")


class Server(unittest.TestCase):
    """The scripted server itself, where the resolver could hide its mistakes."""

    def test_truncates_when_too_long(self):
        import struct
        with DNSServer() as dns:
            dns.add("big.example", "A", *(f"192.0.2.{i}" for i in range(60)))
            question = (struct.pack("!6H", 7, 0x100, 1, 0, 0, 0)
                        + b"\3big\7example\0" + struct.pack("!2H", 1, 1))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.sendto(question, (dns.address, dns.port))
                reply = s.recv(65535)
            self.assertEqual(struct.unpack("!H", reply[2:4])[0] & 0x200, 0x200)
            self.assertLess(len(reply), 100)


if __name__ == "__main__":
    unittest.main()
