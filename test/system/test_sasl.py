# SPDX-License-Identifier: Apache-2.0
"""Log-ins to the SMTP server, with each kind of back end: right ones are let through, wrong
ones are not, a server that has gone is waited for, and passwords that take time stop nobody."""
import base64
import hashlib
import hmac
import os
import re
import shutil
import smtplib
import socket
import subprocess
import threading
import unittest

from . import world
from .dovecot import DovecotAuth
from .harness import Instance

PORT = 2525
SERVER = f"{PORT} inet n - n - 0 smtpd"


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def scram_key(password, salt, iterations):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    return salted, hmac.digest(salted, b"Client Key", "sha256")


def scram_row(password, salt=b"saltsaltsalt", iterations=4096):
    """The keys as another implementation makes them."""
    salted, client = scram_key(password, salt, iterations)
    stored = hashlib.sha256(client).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"{{SCRAM-SHA-256}}{iterations},{b64(salt)},{b64(stored)},{b64(server)}"


def scram_log_in(client, user, password):
    """(code, did the server prove itself)"""
    first = f"n={user},r=abcdef"
    code, text = client.docmd("AUTH", "SCRAM-SHA-256 " + b64("n,," + first))
    if code != 334:
        return code, False
    challenge = base64.b64decode(text).decode()
    fields = dict(part.split("=", 1) for part in challenge.split(","))
    salted, key = scram_key(password, base64.b64decode(fields["s"]), int(fields["i"]))
    last = f"c=biws,r={fields['r']}"
    signed = f"{first},{challenge},{last}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature))
    code, text = client.docmd(b64(f"{last},p={b64(proof)}"))
    if code != 334:
        return code, False
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
    proven = base64.b64decode(text).decode() == f"v={b64(server)}"
    return client.docmd("")[0], proven


class Case(unittest.TestCase):
    def setUp(self):
        world.need_build("libexec/smtpd", "libexec/saslauth", "bin/hikyaku")

    def start(self, options="", prepare=None, **parameters):
        mta = Instance("sasl", f"{SERVER} {options}",
                       **{"smtpd_sasl_auth_enable": "yes", "mynetworks": "192.0.2.1",
                          "defer_transports": "smtp", "relayhost": "[127.0.0.1]:9",
                          "smtpd_error_sleep_time": "0",
                          "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
                          **parameters})
        self.addCleanup(mta.remove)
        if prepare is not None:
            prepare(mta)
        mta.start()
        self.addCleanup(mta.stop)
        return mta

    def client(self):
        client = smtplib.SMTP("127.0.0.1", PORT, timeout=60)
        self.addCleanup(client.close)
        return client

    def log_in(self, user, password, mechanism=None):
        """The code of a log-in in a session of its own."""
        with smtplib.SMTP("127.0.0.1", PORT, timeout=60) as client:
            client.ehlo()
            if mechanism == "LOGIN":
                client.docmd("AUTH", "LOGIN")
                client.docmd(b64(user))
                return client.docmd(b64(password))[0]
            return client.docmd("AUTH", "PLAIN " + b64(f"\0{user}\0{password}"))[0]

    def send(self, client):
        client.sendmail("s@client.example", ["r@dest.example"], b"Subject: x\r\n\r\nx\r\n")

    def refused(self):
        with self.client() as client, self.assertRaises(smtplib.SMTPRecipientsRefused):
            self.send(client)

    def sasl_of(self, mta):
        """What the only message in the queue says of the login."""
        mta.wait_deferred(1)
        queue_id = next(name for names in mta.queue_files().values() for name in names)
        text = mta.run("postcat", "-q", "-v", queue_id).stdout.decode()
        return re.findall(r"named_attribute: (sasl_\w+=.*)", text)


class Dovecot(Case):
    def start_dovecot(self, **parameters):
        auth = []

        def prepare(mta):
            os.makedirs(mta.queue, exist_ok=True)
            auth.append(DovecotAuth(os.path.join(mta.queue, "auth")).start())

        mta = self.start(prepare=prepare, workers="1", smtpd_sasl_type="dovecot",
                         smtpd_sasl_path="auth", **parameters)
        self.addCleanup(auth[0].stop)
        return mta, auth[0]

    def test_log_in(self):
        mta, auth = self.start_dovecot()
        self.refused()
        with self.client() as client:
            client.login("bob", "secret")
            self.send(client)
        self.assertEqual(self.sasl_of(mta), ["sasl_method=PLAIN", "sasl_username=bob"])
        self.assertEqual(self.log_in("bob", "secret", "LOGIN"), 235)
        self.assertEqual(self.log_in("bob", "wrong"), 535)
        request = next(r for r in auth.requests if "\tPLAIN\t" in r)
        self.assertRegex(request, r"^AUTH\t\d+\tPLAIN\tservice=smtp\tnologin\tlip=127\.0\.0\.1\t"
                         r"rip=127\.0\.0\.1\tlport=2525\trport=\d+\tresp=AGJvYgBzZWNyZXQ=$")

    def test_many_at_once_on_one_connection(self):
        """Answers come in another order than the questions."""
        _, auth = self.start_dovecot()
        slow = [threading.Thread(target=lambda: codes.append(self.log_in("slow", "x")))
                for _ in range(10)]
        codes = []
        for thread in slow:
            thread.start()
        for _ in range(20):
            self.assertEqual(self.log_in("bob", "secret"), 235)
            self.assertEqual(self.log_in("bob", "wrong"), 535)
        for thread in slow:
            thread.join()
        self.assertEqual(codes, [235] * 10)
        self.assertEqual(auth.connections, 1)

    def test_server_comes_and_goes(self):
        mta, auth = self.start_dovecot()
        self.assertEqual(self.log_in("bob", "secret"), 235)
        # In the middle of a log-in.
        with self.client() as client:
            client.ehlo()
            self.assertEqual(client.docmd("AUTH", "LOGIN")[0], 334)
            auth.stop()
            self.assertEqual(client.docmd(b64("bob"))[0], 454)
            self.assertEqual(client.docmd("AUTH", "LOGIN")[0], 454)
            auth.start()
            self.assertEqual(client.docmd("AUTH", "PLAIN " + b64("\0bob\0secret"))[0], 235)
        # While nobody looks.
        auth.stop()
        auth.start()
        self.assertEqual(self.log_in("bob", "secret"), 235)
        # In the middle of an answer: asked once more, then given up.
        self.assertEqual(self.log_in("gone", "x"), 454)
        self.assertEqual(self.log_in("bob", "secret"), 235)
        # Not there at all: mail waits.
        auth.stop()
        with socket.create_connection(("127.0.0.1", PORT), 30) as s:
            s.settimeout(30)
            self.assertRegex(s.makefile("rb").readline(), rb"^421 4\.3\.0 ")
        mta.log.wait(r"SASL: Connect to auth failed")
        auth.start()
        self.assertEqual(self.log_in("bob", "secret"), 235)

    def test_cancel(self):
        _, auth = self.start_dovecot()
        with self.client() as client:
            client.ehlo()
            client.docmd("AUTH", "LOGIN")
            self.assertEqual(client.docmd("*")[0], 501)
        number = next(r for r in auth.requests if r.startswith("AUTH")).split("\t")[1]
        self.assertIn(f"CANCEL\t{number}", auth.requests)
        with socket.create_connection(("127.0.0.1", PORT), 30) as s:
            lines = s.makefile("rb")
            lines.readline()
            s.sendall(b"AUTH LOGIN\r\n")
            self.assertEqual(lines.readline()[:3], b"334")
        self.assertEqual(self.log_in("bob", "secret"), 235)


class Table(Case):
    def start_table(self, rows, options="", **parameters):
        def prepare(mta):
            # Rows may have commas and braces: a file.
            path = os.path.join(mta.dir, "passwords")
            with open(path, "w", encoding="utf-8") as f:
                f.write("".join(f"{user} {row}\n" for user, row in rows.items()))

        table = "texthash:" + "$config_directory/../passwords"
        return self.start(options, prepare, **{"smtpd_sasl_type": "table",
                                               "smtpd_sasl_password_maps": table, **parameters})

    def row(self, password, *options):
        """As `hikyaku password` makes it."""
        program = os.path.join(world.enter().build, "bin/hikyaku")
        done = subprocess.run([program, "password", *options], input=password.encode() + b"\n",
                              capture_output=True, check=True, timeout=60)
        return done.stdout.decode().strip()

    def test_log_in(self):
        rows = {"bob": self.row("secret"), "amy": self.row("sesame", "--scram"), "zoe": scram_row("open"),
                "bad": "plaintext"}
        self.assertTrue(rows["bob"].startswith("$y$"))
        self.assertTrue(rows["amy"].startswith("{SCRAM-SHA-256}4096,"))
        mta = self.start_table(rows, smtpd_sasl_table_failure_limit="0")
        self.refused()
        with self.client() as client:
            client.ehlo()
            self.assertEqual(client.esmtp_features["auth"].split(), ["PLAIN", "LOGIN"])
            client.login("bob", "secret")
            self.send(client)
        self.assertEqual(self.sasl_of(mta), ["sasl_method=PLAIN", "sasl_username=bob"])
        for user, password in (("bob", "secret"), ("amy", "sesame"), ("zoe", "open")):
            self.assertEqual(self.log_in(user, password), 235)
            self.assertEqual(self.log_in(user, password, "LOGIN"), 235)
            self.assertEqual(self.log_in(user, password + "x"), 535)
            self.assertEqual(self.log_in(user, password + "x", "LOGIN"), 535)
        for user in ("eve", "bo", "bob ", "*", "@"):
            self.assertEqual(self.log_in(user, "secret"), 535)
        self.assertEqual(self.log_in("bad", "plaintext"), 454)
        mta.log.wait(r"warning: texthash:.*: user bad: bad password row")
        self.assertNotIn("plaintext", mta.log.text())
        with self.client() as client:
            client.ehlo()
            self.assertEqual(client.docmd("AUTH", "SCRAM-SHA-256 " + b64("n,,n=zoe,r=x"))[0], 535)
            self.assertEqual(client.docmd("AUTH", "PLAIN AAA")[0], 535)

    def test_scram(self):
        mta = self.start_table({"zoe": scram_row("open"), "bob": self.row("secret", "--scram")},
                               smtpd_sasl_table_mechanisms="scram-sha-256, plain",
                               smtpd_sasl_security_options="noanonymous, noplaintext")
        for user, password in (("zoe", "open"), ("bob", "secret")):
            with self.client() as client:
                client.ehlo()
                self.assertEqual(client.esmtp_features["auth"].split(), ["SCRAM-SHA-256"])
                self.assertEqual(scram_log_in(client, user, password + "x"), (535, False))
                self.assertEqual(scram_log_in(client, user, password), (235, True))
                self.send(client)
        # Who is not there is asked, too, with the same salt each time.
        salts = set()
        for _ in range(2):
            with self.client() as client:
                client.ehlo()
                _, text = client.docmd("AUTH", "SCRAM-SHA-256 " + b64("n,,n=eve,r=x"))
                salts.add(base64.b64decode(text).decode().split(",", 1)[1])
                client.docmd("*")
                self.assertEqual(scram_log_in(client, "eve", "x"), (535, False))
        self.assertEqual(len(salts), 1)
        self.assertIn("sasl_method=SCRAM-SHA-256", mta.log.text())

    def test_failures_are_limited(self):
        self.start_table({"bob": scram_row("secret"), "amy": scram_row("sesame")},
                         smtpd_sasl_table_failure_limit="3")
        codes = [self.log_in("bob", "wrong") for _ in range(5)]
        self.assertEqual(codes, [535, 535, 535, 454, 454])
        self.assertEqual(self.log_in("bob", "secret"), 454)
        self.assertEqual(self.log_in("amy", "sesame"), 454)

    def test_daemon_is_killed(self):
        """The log-in fails for now, the next one does not."""
        mta = self.start_table({"bob": scram_row("secret")})
        with self.client() as client:
            client.ehlo()
            self.assertEqual(client.docmd("AUTH", "LOGIN")[0], 334)
            mta.kill("saslauth")
            self.assertEqual(client.docmd(b64("bob"))[0], 454)
            mta.log.wait("SASL LOGIN authentication failed: Connection lost to authentication server")
        self.assertEqual(self.log_in("bob", "secret"), 235)

    def test_no_table_here(self):
        """The daemon's table is that of main.cf."""
        mta = self.start_table({"bob": scram_row("secret")},
                               "-o smtpd_sasl_password_maps=static:x")
        with socket.create_connection(("127.0.0.1", PORT), 30) as s:
            s.settimeout(30)
            self.assertRegex(s.makefile("rb").readline(), rb"^421 4\.3\.0 ")
        mta.log.wait("saslauth: smtpd_sasl_password_maps must be set in main.cf")


class Cyrus(Case):
    def start_cyrus(self, text, users=(), **parameters):
        if shutil.which("saslpasswd2") is None:
            self.skipTest("no saslpasswd2 (sasl2-bin)")

        def prepare(mta):
            os.makedirs(os.path.join(mta.config, "sasl"), exist_ok=True)
            database = os.path.join(mta.config, "sasl", "sasldb2")
            with open(os.path.join(mta.config, "sasl", "smtpd.conf"), "w", encoding="utf-8") as f:
                f.write(text + f"sasldb_path: {database}\n")
            for user, password in users:
                subprocess.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", "mail.example", user],
                               input=password.encode(), check=True, timeout=60)
                os.chmod(database, 0o644)

        return self.start(prepare=prepare, **{"smtpd_sasl_local_domain": "mail.example", **parameters})

    def test_log_in(self):
        mta = self.start_cyrus("pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
                               "mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256\n",
                               [("bob", "secret")])
        self.refused()
        with self.client() as client:
            client.ehlo()
            offered = set(client.esmtp_features["auth"].split())
            self.assertLessEqual({"PLAIN", "LOGIN", "CRAM-MD5"}, offered)
            client.login("bob", "secret")
            self.send(client)
        login = self.sasl_of(mta)
        self.assertIn("sasl_username=bob@mail.example", login)
        self.assertEqual(self.log_in("bob", "secret"), 235)
        self.assertEqual(self.log_in("bob", "secret", "LOGIN"), 235)
        self.assertEqual(self.log_in("bob", "wrong"), 535)
        self.assertEqual(self.log_in("eve", "secret"), 535)
        mta.log.wait(r"SASL PLAIN authentication failed: authentication failure, sasl_username=")
        if "SCRAM-SHA-256" in offered:
            with self.client() as client:
                client.ehlo()
                self.assertEqual(scram_log_in(client, "bob", "secret"), (235, True))

    def test_many_at_once(self):
        self.start_cyrus("pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\n",
                         [("bob", "secret")])
        codes = []
        threads = [threading.Thread(target=lambda: codes.append(self.log_in("bob", "secret")))
                   for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(codes, [235] * 30)

    def test_slow_server_stops_nobody(self):
        """saslauthd does not answer one; others log in meanwhile."""
        directory = os.path.join(world.enter().dir, "saslauthd")
        os.makedirs(directory, exist_ok=True)
        asked, answer = threading.Event(), threading.Event()
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(os.path.join(directory, "mux"))
        os.chmod(os.path.join(directory, "mux"), 0o666)
        listener.listen(20)

        def serve(client):
            with client:
                user = client.recv(4096)
                if b"slow" in user:
                    asked.set()
                    answer.wait(60)
                client.sendall(b"\0\2OK")

        def accept():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        self.start_cyrus("pwcheck_method: saslauthd\nmech_list: PLAIN\n"
                         f"saslauthd_path: {directory}/mux\n")
        codes = []
        slow = threading.Thread(target=lambda: codes.append(self.log_in("slow", "x")))
        slow.start()
        self.assertTrue(asked.wait(60))
        self.assertEqual(self.log_in("bob", "secret"), 235)
        self.assertEqual(codes, [])
        answer.set()
        slow.join()
        self.assertEqual(codes, [235])


if __name__ == "__main__":
    unittest.main()
