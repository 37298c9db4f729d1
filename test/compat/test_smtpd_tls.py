# SPDX-License-Identifier: Apache-2.0
"""TLS of smtpd beside Debian's: the same dialogues, what is offered before and after, the
replies, what was negotiated, log lines, the Received: header, who may relay."""
import os
import re
import shutil
import ssl
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from system.certificates import Certificates, client_context
from system.dnsserver import DNSServer
from system.harness import Instance, OracleInstance

from .test_smtpd import (
    EHLO,
    MAIL,
    MESSAGE,
    QUIT,
    RCPT,
    Comparison,
    Talk,
    log_of,
    normal,
    records,
    sent,
)

FOLDER = tempfile.mkdtemp(prefix="tls-")
CERTIFICATES = Certificates(FOLDER)
V12 = ssl.TLSVersion.TLSv1_2


class Tls:
    """A step: the handshake. early: bytes that go out before it, in plain text."""

    def __init__(self, early=b"", **options):
        self.early, self.options = early, options

    def shake_hands(self, talk):
        options = dict(self.options)
        name = options.pop("server_name", None)
        if "certificate" in options:
            options["certificate"] = CERTIFICATES.path(options["certificate"])
        talk.send(self.early)
        try:
            talk.socket = client_context(**options).wrap_socket(
                talk.socket, server_hostname=name)
        except (ssl.SSLError, ConnectionError, EOFError):
            talk.told.append("no handshake")
            return False
        talk.told.append(f"{talk.socket.version()} {talk.socket.cipher()[0]}")
        return True


class TlsTalk(Talk):
    def send(self, data):
        try:
            super().send(data)
        except ssl.SSLError:
            pass

    def run(self, steps):
        steps = list(steps)
        if isinstance(steps[0], Tls) and not steps.pop(0).shake_hands(self):
            return self
        for at, step in enumerate(steps):
            if not isinstance(step, Tls):
                continue
            super().run(steps[:at])
            if not step.shake_hands(self):
                return self
            # The rest needs no greeting: a reply that is there already stands for it.
            self.rest = b"000 \n" + self.rest
            return super().run(steps[at + 1:])
        return super().run(steps)


START = [EHLO, "STARTTLS"]
SERVER = f"-o smtpd_tls_cert_file={FOLDER}/rsa.pem"
MAY = f"{SERVER} -o smtpd_tls_security_level=may -o smtpd_tls_loglevel=1 -o smtpd_tls_received_header=yes"
ENCRYPT = MAY.replace("=may", "=encrypt")
ASK = f"-o smtpd_tls_ask_ccert=yes -o smtpd_tls_CAfile={FOLDER}/ca.pem"
TRUSTED = Tls(certificate="client.pem")
STRANGER = Tls(certificate="stranger.pem")

VARIANTS = {
    "may": (MAY, [
        ("message", [*START, Tls(), EHLO, *MESSAGE, QUIT]),
        ("plain message", [EHLO, *MESSAGE, QUIT]),
        ("without ehlo after", [*START, Tls(), *MESSAGE, QUIT]),
        ("twice", [*START, Tls(), EHLO, "STARTTLS", QUIT]),
        ("helo", ["HELO a.example", "STARTTLS", Tls(), "HELO a.example", *MESSAGE, QUIT]),
        ("at once", ["STARTTLS", Tls(), EHLO, QUIT]),
        ("argument", [EHLO, "STARTTLS now", QUIT]),
        ("in transaction", [EHLO, MAIL, "STARTTLS", Tls(), RCPT, EHLO, RCPT, QUIT]),
        ("tls 1.2", [*START, Tls(highest=V12), EHLO, *MESSAGE, QUIT]),
        ("dhe", [*START, Tls(highest=V12, ciphers="DHE-RSA-AES128-SHA256"), EHLO, *MESSAGE, QUIT]),
        ("pipelined", [EHLO, (sent("STARTTLS", "RSET"), 1), Tls(), EHLO, QUIT]),
        ("pipelined mail", [EHLO, (sent("STARTTLS", MAIL, RCPT), 1), Tls(), EHLO, RCPT, QUIT]),
        ("garbage", [EHLO, "STARTTLS", (b"EHLO x\r\n" * 3, 1)]),
        ("silence", [EHLO, "STARTTLS"]),
        ("unasked certificate", [*START, TRUSTED, EHLO, *MESSAGE, QUIT]),
        ("server name", [*START, Tls(server_name="other.example"), EHLO, QUIT]),
        ("lost", [*START, Tls(), EHLO]),
    ]),
    "encrypt": (ENCRYPT, [
        ("message", [*START, Tls(), EHLO, *MESSAGE, QUIT]),
        ("plain", [EHLO, MAIL, "RSET", "NOOP", "VRFY x", "ETRN x", "DATA", "FOO", QUIT]),
        ("weak", [*START, Tls(highest=V12, ciphers="AES128-SHA:@SECLEVEL=0")]),
    ]),
    "protocols": (MAY + " -o smtpd_tls_protocols=>=TLSv1.3", [
        ("old", [*START, Tls(highest=V12)]),
        ("new", [*START, Tls(), EHLO, QUIT]),
    ]),
    "excluded": (MAY + " -o smtpd_tls_protocols=!TLSv1.3 -o smtpd_tls_exclude_ciphers=AESGCM,CHACHA20", [
        ("message", [*START, Tls(), EHLO, *MESSAGE, QUIT]),
    ]),
    "ecdsa": (MAY.replace("cert_file", "eccert_file").replace("rsa.pem", "ec.pem") +
              f" -o smtpd_tls_eckey_file={FOLDER}/ec.key", [
                  ("message", [*START, Tls(), EHLO, *MESSAGE, QUIT]),
                  ("tls 1.2", [*START, Tls(highest=V12), EHLO, *MESSAGE, QUIT]),
              ]),
    "chain": (MAY.replace("cert_file", "chain_files"), [
        ("message", [*START, Tls(), EHLO, *MESSAGE, QUIT]),
    ]),
    "ask": (f"{MAY} {ASK}", [
        ("nobody", [*START, Tls(), EHLO, *MESSAGE, QUIT]),
        ("trusted", [*START, TRUSTED, EHLO, *MESSAGE, QUIT]),
        ("stranger", [*START, STRANGER, EHLO, *MESSAGE, QUIT]),
        ("trusted 1.2", [*START, Tls(certificate="client.pem", highest=V12), EHLO, *MESSAGE, QUIT]),
        ("stranger 1.2", [*START, Tls(certificate="stranger.pem", highest=V12), EHLO, *MESSAGE, QUIT]),
    ]),
    "folder of authorities": (f"{MAY} -o smtpd_tls_ask_ccert=yes -o smtpd_tls_CApath={FOLDER}/authorities", [
        ("trusted", [*START, TRUSTED, EHLO, *MESSAGE, QUIT]),
        ("stranger", [*START, STRANGER, EHLO, *MESSAGE, QUIT]),
    ]),
    "require": (f"{ENCRYPT} {ASK} -o smtpd_tls_req_ccert=yes", [
        ("nobody", [*START, Tls(), EHLO, QUIT]),
        ("trusted", [*START, TRUSTED, EHLO, *MESSAGE, QUIT]),
        ("stranger", [*START, STRANGER, EHLO, QUIT]),
        ("nobody sends", [*START, Tls(), *MESSAGE, QUIT]),
        ("nobody is long", [*START, Tls(), (b"NOOP " + b"x" * 5000 + b"\r\n", 1), EHLO]),
    ]),
    "relay": (f"{MAY} {ASK} -o mynetworks= -o smtpd_relay_restrictions=permit_tls_clientcerts,reject "
              "-o smtpd_recipient_restrictions= "
              "-o { relay_clientcerts = inline:{ { FINGERPRINT = x } } }", [
                  ("nobody", [*START, Tls(), EHLO, MAIL, RCPT, QUIT]),
                  ("known", [*START, STRANGER, EHLO, MAIL, RCPT, QUIT]),
                  ("trusted", [*START, TRUSTED, EHLO, MAIL, RCPT, QUIT]),
              ]),
    "relay all": (f"{MAY} {ASK} -o mynetworks= -o smtpd_relay_restrictions=permit_tls_all_clientcerts,reject", [
        ("nobody", [*START, Tls(), EHLO, MAIL, RCPT, QUIT]),
        ("stranger", [*START, STRANGER, EHLO, MAIL, RCPT, QUIT]),
        ("trusted", [*START, TRUSTED, EHLO, MAIL, RCPT, QUIT]),
    ]),
    "access": (f"{MAY} {ASK} -o {{ smtpd_recipient_restrictions = check_ccert_access "
               "inline:{ { FINGERPRINT = REJECT not you } }, reject_plaintext_session }", [
                   ("nobody", [*START, Tls(), EHLO, MAIL, RCPT, QUIT]),
                   ("known", [*START, STRANGER, EHLO, MAIL, RCPT, QUIT]),
                   ("plain", [EHLO, MAIL, RCPT, QUIT]),
               ]),
    "wrapper": (f"{MAY} -o smtpd_tls_wrappermode=yes -o smtpd_starttls_timeout=1s", [
        ("message", [Tls(), EHLO, *MESSAGE, QUIT]),
        ("starttls", [Tls(), EHLO, "STARTTLS", QUIT]),
        ("plain", [(b"EHLO x\r\n" * 3, 1)]),
    ]),
    "wrapper alone": (f"{SERVER} -o smtpd_tls_wrappermode=yes", [
        ("message", [Tls(), EHLO, QUIT]),
    ]),
    "wrapper without": ("-o smtpd_tls_wrappermode=yes -o smtpd_tls_security_level=encrypt", [
        ("handshake", [Tls()]),
    ]),
    "without": ("-o smtpd_tls_security_level=may", [("starttls", [EHLO, "STARTTLS", EHLO, QUIT])]),
    "anonymous": ("-o smtpd_tls_security_level=may -o smtpd_tls_cert_file=none -o smtpd_tls_loglevel=1 "
                  "-o smtpd_tls_received_header=yes", [
                      ("message", [*START, Tls(highest=V12, ciphers="aNULL:@SECLEVEL=0"), EHLO, *MESSAGE, QUIT]),
                      ("certificate wanted", [*START, Tls(highest=V12)]),
                  ]),
    "missing": (f"-o smtpd_tls_security_level=may -o smtpd_tls_cert_file={FOLDER}/none.pem", [
        ("starttls", [EHLO, "STARTTLS", QUIT])]),
    "off": (SERVER, [("starttls", [EHLO, "STARTTLS", QUIT])]),
    "none": (f"{SERVER} -o smtpd_tls_security_level=none -o smtpd_use_tls=yes", [("starttls", [EHLO, "STARTTLS"])]),
    "old": (f"{SERVER} -o smtpd_use_tls=yes", [("starttls", [*START, Tls(), EHLO, QUIT])]),
    "old enforce": (f"{SERVER} -o smtpd_enforce_tls=yes", [("plain", [EHLO, MAIL, *START, Tls(), EHLO, QUIT])]),
    "higher": (f"{SERVER} -o smtpd_tls_security_level=verify", [("plain", [EHLO, MAIL, QUIT])]),
    "discard": (f"{MAY} -o smtpd_discard_ehlo_keywords=starttls", [("starttls", [EHLO, "STARTTLS", QUIT])]),
    "pipelining": (f"{MAY} -o smtpd_forbid_unauth_pipelining=yes", [
        ("pipelined", [EHLO, (sent("STARTTLS", "RSET"), 1), Tls(), EHLO, QUIT])]),
    "xclient": (f"{MAY} -o smtpd_authorized_xclient_hosts=127.0.0.0/8", [
        ("after", [*START, Tls(), EHLO, "XCLIENT NAME=a.example ADDR=192.0.2.1", EHLO, *MESSAGE, QUIT]),
        ("before", [EHLO, "XCLIENT NAME=a.example ADDR=192.0.2.1", *START, Tls(), EHLO, QUIT]),
    ]),
    "timeout": (f"{MAY} -o smtpd_starttls_timeout=1s", [("slow", [EHLO, "STARTTLS", (b"", 1)])]),
}

# (variant, dialogue): why it cannot be the same.
DIFFERENT = {}


def make_certificates():
    c = CERTIFICATES
    c.authority("ca")
    c.leaf("rsa", "ca", "mx.example", kind="rsa")
    os.mkdir(c.path("authorities"))
    os.mkdir(c.path("real"))
    shutil.copy(c.path("ca.pem"), c.path("real"))
    os.symlink("../real/ca.pem", c.path("authorities/ca.pem"))
    c.openssl("rehash", "authorities")
    c.leaf("ec", "ca", "mx.example")
    c.leaf("client", "ca", "client.example")
    c.leaf("stranger", None, "stranger.example", kind="rsa")


def play(port, source, steps):
    talk = TlsTalk(port, source)
    try:
        return talk.run(steps).told
    except (TimeoutError, ssl.SSLError) as e:
        return talk.told + [type(e).__name__]
    finally:
        talk.socket.close()


def library(text):
    """Lines of OpenSSL's are the same but for where its source was."""
    return re.sub(r"(error:[0-9A-F]{8}:[^:]*:[^:]*:[^:]*):.*", r"\1", text)


class Side:
    def __init__(self, kind, dns):
        self.dns = dns
        self.kind = kind
        services = ""
        self.ports = {}
        print_of_stranger = CERTIFICATES.fingerprint("stranger")
        for n, (name, (options, _)) in enumerate(VARIANTS.items()):
            self.ports[name] = 2600 + n
            options = options.replace("FINGERPRINT", print_of_stranger)
            services += f"{2600 + n} inet n - n - 0 smtpd {options}\n"
        self.instance = kind("smtpdtls", services, myhostname="host.example.net", mynetworks="127.0.0.0/8",
                             defer_transports="smtp", smtpd_error_sleep_time="0", relayhost="[127.0.0.1]:9",
                             notify_classes="", smtpd_client_connection_count_limit="0",
                             smtpd_client_connection_rate_limit="0", compatibility_level="3.6",
                             fast_flush_domains="", smtpd_forbid_bare_newline="no",
                             smtpd_forbid_unauth_pipelining="no")

    def play(self):
        """{(variant, name): (replies, log, [records])}"""
        jobs = [(variant, name, steps) for variant, (_, dialogues) in VARIANTS.items()
                for name, steps in dialogues]
        with self.instance as mta, ThreadPoolExecutor(8) as pool:
            sources = [f"127.2.{i // 200 + 10}.{i % 200 + 10}" for i in range(len(jobs))]
            told = list(pool.map(lambda at: play(self.ports[at[0][0]], at[1], at[0][2]), zip(jobs, sources)))
            time.sleep(1)
            self.warnings = sorted({library(line.text) for line in mta.log.lines()
                                    if line.program == "smtpd" and "[127." not in line.text
                                    and "tls" in line.text.lower()})
            found = {}
            for (variant, name, _), source, text in zip(jobs, sources, told):
                ids = re.findall(r"queued as ([0-9A-F]{6,15})", "\n".join(text))
                found[variant, name] = ([normal(mta, source, line) for line in text],
                                        [library(line) for line in log_of(mta, source)],
                                        [records(mta, i).replace(source, "CLIENT") for i in ids])
            return found


class SmtpdTlsCompat(Comparison, unittest.TestCase):
    different = DIFFERENT

    @classmethod
    def setUpClass(cls):
        make_certificates()
        with DNSServer() as dns:
            cls.their_side, cls.our_side = Side(OracleInstance, dns), None
            cls.theirs = cls.their_side.play()
            cls.our_side = Side(Instance, dns)
            cls.ours = cls.our_side.play()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(FOLDER)

    def test_warnings(self):
        self.assertEqual(self.their_side.warnings, self.our_side.warnings)


if __name__ == "__main__":
    unittest.main()
