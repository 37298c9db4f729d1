# SPDX-License-Identifier: Apache-2.0
"""The SMTP server among other people's programs (./dev test --real): log-ins that Dovecot
decides, postgrey as a policy service, and swaks, curl and smtplib as clients, with and
without TLS; what they send arrives byte for byte."""
import os
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from real.serving import serve
from system import test_sasl, world
from system.certificates import Certificates
from system.sink import Sink

PORT, WRAPPED = test_sasl.PORT, 2465
WRAPPED_SERVER = f"\n{WRAPPED} inet n - n - 0 smtpd -o smtpd_tls_wrappermode=yes"
MESSAGE = ("From: s@client.example\r\nTo: r@dest.example\r\nSubject: =?utf-8?q?=C3=A9?=\r\n"
           "Date: Tue, 2 Jan 2024 03:04:05 +0000\r\nMessage-ID: <1@client.example>\r\n\r\n"
           ".\r\n..\r\n.dot\r\n\r\nFrom here\r\n \t\r\ngr\u00fc\u00dfe \u98db\u811a\r\n"
           + "x" * 900 + "\r\n\r\nend\r\n.\r\n").encode()

DOVECOT = """\
base_dir = {dir}/run
state_dir = {dir}/state
log_path = /dev/stderr
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login scram-sha-256
auth_failure_delay = {delay} secs
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {dir}/users
}}
service auth {{
  unix_listener {queue}/auth {{
    mode = 0666
  }}
}}
# Nobody waits for what others did.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


def listens(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as s:
        return s.connect_ex(address) == 0


class Case(test_sasl.Case):
    def setUp(self):
        if not os.environ.get("HIKYAKU_REAL"):
            self.skipTest("only with --real")
        super().setUp()

    def need(self, program):
        self.assertTrue(shutil.which(program), f"{program} is not installed")
        return shutil.which(program)

    def folder(self):
        path = tempfile.mkdtemp(dir=world.enter().dir)
        self.addCleanup(shutil.rmtree, path, True)
        os.chmod(path, 0o755)
        return path

    def sink(self):
        sink = Sink()
        self.addCleanup(sink.stop)
        return sink

    def start_dovecot(self, delay=0, **parameters):
        """Our system with Dovecot's at its side, which knows bob."""
        dovecot, folder = self.need("dovecot"), self.folder()

        def prepare(mta):
            with open(os.path.join(folder, "users"), "w", encoding="ascii") as f:
                f.write("bob:secret\n")
            os.chmod(f.name, 0o644)
            config = os.path.join(folder, "dovecot.conf")
            with open(config, "w", encoding="ascii") as f:
                f.write(DOVECOT.format(dir=folder, queue=mta.queue, delay=delay))
            path = os.path.join(mta.queue, "auth")
            serve(self, folder, [dovecot, "-F", "-c", config], lambda: listens(path))

        return self.start(prepare=prepare, smtpd_sasl_type="dovecot", smtpd_sasl_path="auth",
                          **parameters)

    def start_table(self, **parameters):
        def prepare(mta):
            with open(os.path.join(mta.dir, "passwords"), "w", encoding="ascii") as f:
                f.write(f"bob {test_sasl.scram_row('secret')}\n")

        return self.start(prepare=prepare, smtpd_sasl_type="table",
                          smtpd_sasl_password_maps="texthash:$config_directory/../passwords",
                          **parameters)


class Dovecot(Case):
    def test_plain_and_login(self):
        mta = self.start_dovecot()
        self.refused()
        with self.client() as client:
            client.ehlo()
            self.assertEqual(set(client.esmtp_features["auth"].split()),
                             {"PLAIN", "LOGIN", "SCRAM-SHA-256"})
            client.login("bob", "secret")
            self.send(client)
        self.assertEqual(self.sasl_of(mta), ["sasl_method=PLAIN", "sasl_username=bob"])
        for mechanism in ("PLAIN", "LOGIN"):
            with self.subTest(mechanism):
                self.assertEqual(self.log_in("bob", "secret", mechanism), 235)
                self.assertEqual(self.log_in("bob", "wrong", mechanism), 535)
                self.assertEqual(self.log_in("eve", "secret", mechanism), 535)
                mta.log.wait(f"SASL {mechanism} authentication failed")
        # A failure does not end the session.
        with self.client() as client:
            client.ehlo()
            for password, code in (("wrong", 535), ("secret", 235)):
                text = test_sasl.b64(f"\0bob\0{password}")
                self.assertEqual(client.docmd("AUTH", "PLAIN " + text)[0], code)

    def test_scram(self):
        mta = self.start_dovecot(smtpd_sasl_security_options="noanonymous, noplaintext")
        with self.client() as client:
            client.ehlo()
            self.assertEqual(client.esmtp_features["auth"].split(), ["SCRAM-SHA-256"])
            self.assertEqual(test_sasl.scram_log_in(client, "bob", "wrong"), (535, False))
            self.assertEqual(test_sasl.scram_log_in(client, "eve", "secret"), (535, False))
            self.assertEqual(test_sasl.scram_log_in(client, "bob", "secret"), (235, True))
            self.send(client)
        self.assertEqual(self.sasl_of(mta), ["sasl_method=SCRAM-SHA-256", "sasl_username=bob"])

    def test_failure_delay(self):
        """Who fails waits; the others, in the same process, do not."""
        self.start_dovecot(delay=4, workers="1")
        failed, begin = [], time.monotonic()
        slow = threading.Thread(target=lambda: failed.append(
            (self.log_in("bob", "wrong"), time.monotonic() - begin)))
        slow.start()
        codes = [self.log_in("bob", "secret") for _ in range(5)]
        self.assertEqual((codes, failed), ([235] * 5, []))
        slow.join()
        self.assertEqual(failed[0][0], 535)
        self.assertGreater(failed[0][1], 2)


class Postgrey(Case):
    def greylist(self, option, address, spec):
        postgrey, folder = self.need("postgrey"), self.folder()
        shutil.chown(folder, "postgrey")
        serve(self, folder, [postgrey, f"--{option}", f"--dbdir={folder}", "--delay=1",
                             f"--pidfile={folder}/pid"], lambda: listens(address))
        if isinstance(address, str):
            os.chmod(address, 0o666)
        sink = self.sink()
        mta = self.start(smtpd_sasl_auth_enable="no", defer_transports="", relayhost=sink.hop,
                         smtpd_relay_restrictions="", mydestination="",
                         smtpd_recipient_restrictions=f"check_policy_service {spec}, "
                         "permit_auth_destination, reject", relay_domains="dest.example")

        def attempt(recipient="r@dest.example"):
            with self.client() as client:
                client.ehlo()
                client.mail("s@client.example")
                code, text = client.rcpt(recipient)
                if code == 250:
                    self.assertEqual(client.data(MESSAGE)[0], 250)
                return code, text.decode()

        code, text = attempt()
        self.assertEqual(code, 450, text)
        self.assertRegex(text, r"^4\.2\.0 <r@dest\.example>: Recipient address rejected: "
                         r"Greylisted, see http")
        mta.log.wait(r"NOQUEUE: reject: RCPT from .*: 450 4\.2\.0 .*Greylisted")
        end = time.monotonic() + 30
        while code == 450 and time.monotonic() < end:
            time.sleep(0.5)
            code, text = attempt()
        self.assertEqual(code, 250, text)
        self.assertEqual(attempt("other@dest.example")[0], 450)
        # What is refused anyway is not put off.
        self.assertEqual(attempt("r@elsewhere.example")[0], 554)
        sink.wait()
        mta.wait_empty()
        self.assertEqual(len(sink.messages), 1)
        self.assertRegex(sink.messages[0].header("X-Greylist"), r"^delayed \d+ seconds by postgrey")
        self.assertTrue(sink.messages[0].data.endswith(MESSAGE))

    def test_tcp(self):
        port = world.enter().port()
        self.greylist(f"inet=127.0.0.1:{port}", ("127.0.0.1", port), f"inet:127.0.0.1:{port}")

    def test_unix(self):
        folder = self.folder()
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "socket")
        self.greylist(f"unix={path}", path, f"unix:{path}")


class Clients:
    """Each client in each way that it has, with either back end."""

    def setUp(self):
        super().setUp()
        self.tmp = self.folder()
        self.certificates = Certificates(self.tmp)
        self.certificates.authority("ca")
        self.certificates.leaf("server", "ca", "localhost")
        self.ca = self.certificates.path("ca.pem")
        self.file = os.path.join(self.tmp, "message")
        with open(self.file, "wb") as f:
            f.write(MESSAGE)
        with open(self.file + ".dot", "wb") as f:
            f.write(MESSAGE + b".\r\n")  # swaks takes one off
        self.sent = self.sink()
        self.mta = self.start_system(
            options=WRAPPED_SERVER, defer_transports="", relayhost=self.sent.hop,
            smtpd_tls_security_level="may", smtpd_tls_chain_files=self.certificates.path("server.pem"),
            smtpd_tls_received_header="yes", smtpd_sasl_authenticated_header="yes")

    def arrived(self, tls):
        """The next message is there, from bob, whole."""
        self.sent.wait()
        self.mta.wait_empty()
        self.assertEqual(len(self.sent.messages), 1)
        message = self.sent.messages.pop()
        self.assertEqual((message.sender, sorted(message.recipients)),
                         ("s@client.example", ["q@dest.example", "r@dest.example"]))
        head, _, _ = message.data.partition(b"From: s@client.example\r\n")
        self.assertEqual(message.data[len(head):], MESSAGE)
        self.assertIn(b"(Authenticated sender: bob)", head)
        self.assertEqual(b"(using TLSv1.3 with cipher " in head, tls, head)

    def command(self, *words):
        done = subprocess.run(words, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def swaks(self, *options):
        return self.command(self.need("swaks"), "--server", "127.0.0.1", "--helo", "client.example",
                            "--from", "s@client.example", "--to", "r@dest.example,q@dest.example",
                            "--data", f"@{self.file}.dot", *options)

    def test_swaks(self):
        right = ("--auth-user", "bob", "--auth-password", "secret")
        wrong = ("--auth-user", "bob", "--auth-password", "wrong")
        plain, wrapped = ("--port", str(PORT)), ("--port", str(WRAPPED), "--tls-on-connect")
        verify = ("--tls-verify", "--tls-ca-path", self.ca)
        status, said = self.swaks(*plain)
        self.assertEqual(status, 24, said)
        self.assertIn("<** 554 5.7.1 <r@dest.example>: Recipient address rejected", said)
        for mechanism in ("PLAIN", "LOGIN"):
            for tls, options in ((False, plain), (True, (*plain, "--tls", *verify)),
                                 (True, (*wrapped, *verify))):
                with self.subTest(mechanism=mechanism, options=options):
                    status, said = self.swaks("--auth", mechanism, *right, *options)
                    self.assertEqual(status, 0, said)
                    self.arrived(tls)
                    status, said = self.swaks("--auth", mechanism, *wrong, *options)
                    self.assertEqual(status, 28, said)
                    self.assertIn("535 5.7.8 Error: authentication failed", said)
        self.assertEqual(self.sent.messages, [])

    def curl(self, port, *options, scheme="smtp", user="bob:secret"):
        return self.command(self.need("curl"), "-sS", "-v", f"{scheme}://localhost:{port}/client.example",
                            "--cacert", self.ca, "--user", user, "--mail-from", "s@client.example",
                            "--mail-rcpt", "r@dest.example", "--mail-rcpt", "q@dest.example",
                            "--upload-file", self.file, *options)

    def test_curl(self):
        for tls, port, scheme, options in ((False, PORT, "smtp", ()),
                                           (True, PORT, "smtp", ("--ssl-reqd",)),
                                           (True, WRAPPED, "smtps", ())):
            for login in ("PLAIN", "LOGIN"):
                with self.subTest(scheme=scheme, options=options, login=login):
                    login = ("--login-options", f"AUTH={login}", *options)
                    status, said = self.curl(port, *login, scheme=scheme)
                    self.assertEqual(status, 0, said)
                    self.arrived(tls)
                    status, said = self.curl(port, *login, scheme=scheme, user="bob:wrong")
                    self.assertEqual(status, 67, said)  # CURLE_LOGIN_DENIED
        self.assertEqual(self.sent.messages, [])

    def test_smtplib(self):
        context = ssl.create_default_context(cafile=self.ca)
        to = ["r@dest.example", "q@dest.example"]
        for tls, port in ((False, PORT), (True, PORT), (True, WRAPPED)):
            with self.subTest(tls=tls, port=port):
                with (smtplib.SMTP_SSL("localhost", port, timeout=60, context=context)
                      if port == WRAPPED else smtplib.SMTP("localhost", port, timeout=60)) as client:
                    if tls and port == PORT:
                        client.starttls(context=context)
                    with self.assertRaises(smtplib.SMTPRecipientsRefused):
                        client.sendmail("s@client.example", to, MESSAGE)
                    with self.assertRaises(smtplib.SMTPAuthenticationError):
                        client.login("bob", "wrong")
                    self.assertEqual(client.login("bob", "secret")[0], 235)
                    self.assertEqual(client.sendmail("s@client.example", to, MESSAGE), {})
                self.arrived(tls)


class ClientsOfTable(Clients, Case):
    def start_system(self, **parameters):
        return self.start_table(smtpd_sasl_table_failure_limit="0", **parameters)


class ClientsOfDovecot(Clients, Case):
    def start_system(self, **parameters):
        return self.start_dovecot(**parameters)


if __name__ == "__main__":
    unittest.main()
