# SPDX-License-Identifier: Apache-2.0
"""TLS and log-in of the SMTP client, beside Debian's: what is demanded of a server, what the
server is, and whether mail goes there. Nothing is delivered below its policy; a password is
sent to nobody who may not have it.
"""
import os
import re
import ssl
import tempfile
import time
import unittest

from . import world
from .certificates import Certificates
from .dnsserver import DNSServer
from .instance import Instance
from .outcomes import CALM, kinds, outcomes, submit
from .sink import DROP, Sink

PLAIN = b"From: a@example.net\nSubject: hello\n\nhello\n"
NAME = "mx.good.example"


class Raw(Sink):
    """Says "220 ready" to STARTTLS and then what is no TLS."""

    def __init__(self, words, **more):
        super().__init__(extensions=("STARTTLS",), **more)
        self.reply("STARTTLS", words)


def context(certificate, highest=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(certificate)
    if highest is not None:
        c.set_ciphers("ALL:@SECLEVEL=0")
        c.minimum_version = ssl.TLSVersion.TLSv1
        c.maximum_version = highest
    return c


class Servers:
    """All that a server can be, by name."""

    def __init__(self, folder):
        self.c = c = Certificates(folder)
        c.authority("ca")
        c.authority("other-ca")
        c.leaf("good", "ca", NAME)
        c.leaf("wrong-name", "ca", "mx.other.example")
        c.leaf("stranger", "other-ca", NAME)
        c.leaf("self-signed", None, NAME)
        c.leaf("expired", "ca", NAME, days=-1)
        self.sinks = {"no STARTTLS": Sink(), "refuses": Sink(), "hangs up": Sink(),
                      "garbage": Raw("220 ready\nthis is no TLS at all, is it?"),
                      "injects": Raw("220 ready\r\n250 and more")}
        for name in ("good", "wrong-name", "stranger", "self-signed", "expired"):
            self.sinks[name] = self.with_tls(name)
        self.sinks["old"] = Sink()
        self.sinks["old"].tls = context(c.path("good.pem"), ssl.TLSVersion.TLSv1)
        self.sinks["refuses"].extensions = ("STARTTLS",)
        self.sinks["refuses"].reply("STARTTLS", "454 4.7.0 not today")
        self.sinks["hangs up"].extensions = ("STARTTLS",)
        self.sinks["hangs up"].reply("STARTTLS", DROP)

    def with_tls(self, name):
        sink = Sink()
        sink.tls = context(self.c.path(f"{name}.pem"))
        return sink

    def forget(self):
        for sink in self.sinks.values():
            sink.messages.clear()
            sink.sessions.clear()

    def stop(self):
        for sink in self.sinks.values():
            sink.stop()


def levels(c):
    """Rows of smtp_tls_policy_maps by name; what they demand."""
    good, other = c.fingerprint("good"), c.fingerprint("stranger")
    return {"none": "none",
            "may": "may",
            "may new": "may protocols=>=TLSv1.2",
            "encrypt": "encrypt",
            "encrypt new": "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1",
            "fingerprint": f"fingerprint match={good}",
            "fingerprints": f"fingerprint match={other}|{good}",
            "fingerprint other": f"fingerprint match={other}",
            "verify": f"verify match={NAME}",
            "verify dot": "verify match=.good.example",
            "verify other": "verify match=mx.third.example",
            "secure": f"secure match=x.example:{NAME}",
            "secure nexthop": "secure",
            "secure high": f"secure match={NAME} ciphers=high exclude=AES128",
            "nonsense": "nonsense",
            "bad attribute": "encrypt foo=bar",
            "bad protocol": "encrypt protocols=TLSv9"}


def allowed(level, server):
    """How mail may go, whatever anybody thinks of it: subset of {"plain", "tls"}."""
    if level in ("nonsense", "bad attribute", "bad protocol"):
        return set()
    if level == "none":
        return {"plain"}
    if level.startswith("may"):
        return {"plain", "tls"}
    if server == "old" and level != "encrypt":
        return set()
    if level.startswith("encrypt"):
        return {"tls"}
    key = {"fingerprint": {"good"}, "fingerprints": {"good", "stranger"},
           "fingerprint other": {"stranger"}}
    if level.startswith("fingerprint"):
        return {"tls"} if server in key[level] else set()
    if level in ("verify other", "secure nexthop"):
        return set()
    return {"tls"} if server == "good" else set()


class Policy(unittest.TestCase):
    """Every level and every server."""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        world.need_build("bin/postfix", "libexec/smtp")
        world.need_private()
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.servers = Servers(cls.folder.name)
        cls.addClassCleanup(cls.servers.stop)
        cls.dns = DNSServer()
        cls.dns.__enter__()
        cls.addClassCleanup(cls.dns.__exit__, None, None, None)
        cls.cells = {}
        for i, level in enumerate(levels(cls.servers.c)):
            for k, server in enumerate(cls.servers.sinks):
                cls.cells[f"c{i}x{k}.example"] = (level, server)
        for domain in cls.cells:
            cls.dns.host(domain, "127.0.0.1")

    def table(self, name, rows):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"{key} {value}\n" for key, value in rows.items())
        return f"texthash:{path}"

    def hop(self, domain):
        return f"[{domain}]:{self.servers.sinks[self.cells[domain][1]].port}"

    def run_all(self, kind):
        """{cell: (status, dsn, reason, how it went)}"""
        rows = levels(self.servers.c)
        self.servers.forget()
        parameters = {
            **CALM, "relayhost": "", "smtp_tls_CAfile": self.servers.c.path("ca.pem"),
            "resolver_nameservers": self.dns.nameserver, "smtp_host_lookup": "dns",
            "smtp_tls_fingerprint_digest": "sha256", "smtp_tls_loglevel": "1",
            "smtp_tls_policy_maps": self.table("policy", {
                self.hop(d): rows[level] for d, (level, _) in self.cells.items()}),
            "transport_maps": self.table("transport", {
                d: f"smtp:{self.hop(d)}" for d in self.cells})}
        if kind.kind == "oracle":
            del parameters["resolver_nameservers"]
        found = {}
        with kind(**parameters) as mta:
            mta.sendmail(PLAIN, *[f"u@{d}" for d in self.cells])
            for to, o in outcomes(mta, [f"u@{d}" for d in self.cells]).items():
                found[self.cells[to[2:]]] = (o.status, o.dsn, self.plain(o.text), set())
        for server, sink in self.servers.sinks.items():
            for message in sink.messages:
                for recipient in message.recipients:
                    found[self.cells[recipient[2:]]][3].add(
                        "tls" if message.has_tls else "plain")
        return found

    @staticmethod
    def plain(text):
        return re.sub(r"c\d+x\d+\.example|queued as \w+|:\d+", "*", text)

    def test_nothing_goes_below_its_policy(self):
        results = {kind.kind: self.run_all(kind) for kind in kinds()}
        for kind, found in results.items():
            self.assertEqual(len(found), len(self.cells))
            for (level, server), (status, _, reason, how) in found.items():
                with self.subTest(kind=kind, level=level, server=server):
                    self.assertLessEqual(how, allowed(level, server), reason)
                    self.assertEqual(status == "sent", how != set())
        # Nobody may be left who could have had his mail.
        for cell in (("may", "good"), ("may", "no STARTTLS"), ("may", "refuses"),
                     ("encrypt", "self-signed"), ("encrypt", "expired"), ("verify", "good"),
                     ("fingerprint", "good"), ("secure", "good"), ("verify dot", "good")):
            self.assertEqual(results["ours"][cell][0], "sent", cell)
        if "oracle" in results:
            # Debian's takes TLSv9 for a mistake of its own, and only when it begins TLS.
            self.assertEqual(*({cell: row for cell, row in results[kind].items()
                                if cell[0] != "bad protocol"} for kind in ("ours", "oracle")))


class Login(unittest.TestCase):
    """smtp_sasl_...: which password for whom, by which mechanism, and when none is sent."""
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.c = Certificates(self.folder.name)
        self.c.authority("ca")
        self.c.leaf("good", "ca", NAME)
        self.sink = Sink()
        self.addCleanup(self.sink.stop)
        self.sink.logins = {"user": "secret", "joe": "joes"}

    def passwords(self, rows, mode=0o600):
        path = os.path.join(self.folder.name, "passwords")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.writelines(f"{key} {value}\n" for key, value in rows.items())
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)
        return f"texthash:{path}"

    def settings(self, rows, **parameters):
        return {**CALM, "relayhost": self.sink.hop, "smtp_sasl_auth_enable": "yes",
                "smtp_sasl_password_maps": self.passwords(rows),
                "smtp_sasl_security_options": "noanonymous", **parameters}

    def play(self, rows, sender="a@example.net", **parameters):
        """{kind: (outcome, commands, users)}"""
        found = {}
        for kind in kinds():
            with kind(myhostname="mail.example.net", **self.settings(rows, **parameters)) as mta:
                outcome = submit(mta, ["u@example.org"], sender=sender)["u@example.org"]
            with self.sink._lock:
                commands = [re.sub(r"(AUTH [A-Z0-9-]+ ).*", r"\1*", re.sub(r"SIZE=\d+", "SIZE=N", line))
                            for _, line in self.sink.commands]
                found[kind.kind] = (outcome, commands, list(self.sink.users))
                self.sink.commands.clear()
                self.sink.users.clear()
        return found

    def same(self, found):
        if "oracle" in found:
            self.assertEqual(found["ours"], found["oracle"])
        return found["ours"]

    def test_by_next_hop(self):
        outcome, commands, users = self.same(self.play({self.sink.hop: "user:secret"}))
        self.assertEqual((outcome.status, users), ("sent", ["user"]))

    def test_by_host(self):
        found = self.play({"127.0.0.1": "user:secret", self.sink.hop: "user:wrong"})
        self.assertEqual(self.same(found)[2], ["user"])

    def test_by_sender(self):
        rows = {"a@example.net": "joe:joes", self.sink.hop: "user:secret",
                "@example.com": "user:secret"}
        found = self.play(rows, smtp_sender_dependent_authentication="yes")
        self.assertEqual(self.same(found)[2], ["joe"])
        found = self.play(rows, sender="x@example.com", smtp_sender_dependent_authentication="yes")
        self.assertEqual(self.same(found)[2], ["user"])
        self.assertEqual(self.same(self.play(rows))[2], ["user"])

    def test_without_a_password(self):
        outcome, commands, users = self.same(self.play({"[other.example]": "user:secret"}))
        self.assertEqual((outcome.status, users), ("sent", []))
        self.assertFalse([c for c in commands if c.startswith("AUTH")])

    def test_wrong_password(self):
        outcome, _, _ = self.same(self.play({self.sink.hop: "user:wrong"}))
        self.assertEqual((outcome.status, outcome.dsn), ("deferred", "4.7.8"))
        self.assertRegex(outcome.text, "SASL authentication failed; server .* said: 535")
        # The notice follows at once, so that the commands of two sessions may mix.
        found = {kind: outcome for kind, (outcome, _, _) in self.play(
            {self.sink.hop: "user:wrong"}, smtp_sasl_auth_soft_bounce="no").items()}
        outcome = self.same(found)
        self.assertEqual(outcome.status, "bounced")

    def test_mechanisms(self):
        for mechanisms, more, wanted in (
                ("LOGIN", {}, "AUTH LOGIN"), ("PLAIN", {}, "AUTH PLAIN *"),
                ("CRAM-MD5 PLAIN", {}, "AUTH CRAM-MD5"),
                ("CRAM-MD5 PLAIN", {"smtp_sasl_mechanism_filter": "plain, login"}, "AUTH PLAIN *"),
                ("PLAIN CRAM-MD5", {"smtp_sasl_security_options": "noplaintext"}, "AUTH CRAM-MD5")):
            with self.subTest(mechanisms=mechanisms, more=more):
                self.sink.mechanisms = mechanisms
                found = self.play({self.sink.hop: "user:secret"}, **more)
                for kind, (outcome, commands, users) in found.items():
                    self.assertEqual((outcome.status, users), ("sent", ["user"]), kind)
                    self.assertIn(wanted, commands, kind)

    def test_nothing_that_fits(self):
        self.sink.mechanisms = "PLAIN LOGIN"
        outcome, commands, _ = self.same(self.play(
            {self.sink.hop: "user:secret"}, smtp_sasl_security_options="noplaintext, noanonymous"))
        self.assertEqual((outcome.status, outcome.dsn), ("deferred", "4.7.0"))
        self.assertFalse([c for c in commands if c.startswith("AUTH")])

    def test_only_inside_tls(self):
        """The password of a server that offers PLAIN in the clear waits for TLS."""
        self.sink.tls = context(self.c.path("good.pem"))
        found = self.play({self.sink.hop: "user:secret"}, smtp_tls_security_level="encrypt",
                          smtp_sasl_security_options="noplaintext, noanonymous",
                          smtp_sasl_tls_security_options="noanonymous")
        outcome, commands, users = self.same(found)
        self.assertEqual((outcome.status, users), ("sent", ["user"]))
        self.assertLess(commands.index("STARTTLS"),
                        next(i for i, c in enumerate(commands) if c.startswith("AUTH")))

    def test_wrapper_mode(self):
        self.sink.tls = context(self.c.path("good.pem"))
        self.sink.wrapper = True
        found = self.play({self.sink.hop: "user:secret"}, smtp_tls_security_level="encrypt",
                          smtp_tls_wrappermode="yes")
        outcome, commands, users = self.same(found)
        self.assertEqual((outcome.status, users), ("sent", ["user"]))
        self.assertNotIn("STARTTLS", commands)

    def test_changed_password(self):
        """A table that only root may read is read again by whoever takes the process's
        place."""
        rows = {self.sink.hop: "user:wrong"}
        with Instance(**self.settings(rows)) as mta:
            self.assertEqual(submit(mta, ["u@example.org"])["u@example.org"].status, "deferred")
            self.passwords({self.sink.hop: "user:secret"})
            end = time.monotonic() + 20
            status = ""
            while status != "sent" and time.monotonic() < end:
                status = submit(mta, ["u@example.org"])["u@example.org"].status
            self.assertEqual(status, "sent")
            self.assertEqual(mta.log.find(r"fatal|panic"), [])

    def test_table_that_fails(self):
        found = self.play({}, smtp_sasl_password_maps="fail:x")
        outcome, commands, _ = found["ours"]
        self.assertEqual(outcome.status, "deferred")
        self.assertFalse([c for c in commands if c.startswith(("AUTH", "MAIL"))])


class Sessions(unittest.TestCase):
    def test_sessions_go_on(self):
        """With a cache the second connection reuses the first one's session."""
        with tempfile.TemporaryDirectory() as folder, Sink() as sink:
            c = Certificates(folder)
            c.authority("ca")
            c.leaf("good", "ca", NAME)
            sink.tls = context(c.path("good.pem"))
            with Instance(**{**CALM, "relayhost": sink.hop, "smtp_tls_loglevel": "1",
                               "smtp_tls_security_level": "secure",
                               "smtp_tls_secure_cert_match": NAME,
                               "smtp_tls_CAfile": c.path("ca.pem"),
                               "smtp_tls_session_cache_database": "btree:x"}) as mta:
                for _ in range(3):
                    self.assertEqual(submit(mta, ["u@example.org"])["u@example.org"].status, "sent")
                self.assertEqual([reused for _, _, reused in sink.sessions], [False, True, True])
                mta.log.wait("Verified TLS connection reused to", 10)

    def test_kept_connections(self):
        """Only with smtp_tls_connection_reuse."""
        for reuse, connections in ("no", 3), ("yes", 1):
            with tempfile.TemporaryDirectory() as folder, Sink() as sink:
                c = Certificates(folder)
                c.authority("ca")
                c.leaf("good", "ca", NAME)
                sink.tls = context(c.path("good.pem"))
                with Instance(**{**CALM, "relayhost": sink.hop,
                                   "smtp_connection_cache_destinations": "127.0.0.1",
                                   "smtp_connection_cache_time_limit": "10s",
                                   "smtp_tls_security_level": "encrypt",
                                   "smtp_tls_connection_reuse": reuse}) as mta:
                    for _ in range(3):
                        submit(mta, ["u@example.org"])
                self.assertEqual(sink.connections, connections)


if __name__ == "__main__":
    unittest.main()
