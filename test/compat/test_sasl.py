# SPDX-License-Identifier: Apache-2.0
"""AUTH beside Debian's smtpd, both with the same Dovecot server (system/dovecot.py): replies,
log lines, queue files with their Received: field."""
import base64
import os
import subprocess
import unittest

from system import world
from system.dnsserver import DNSServer
from system.dovecot import HELLO, DovecotAuth
from system.harness import Instance, OracleInstance

from .test_smtpd import BODY, EHLO, MAIL, MESSAGE, QUIT, RCPT, Comparison, Side, sent

TCP = 2490
BAD_VERSION_TCP = 2491
NO_MECHANISMS_TCP = 2492
SILENT_ON_PLAIN_TCP = 2493


def b64(text):
    return base64.b64encode(text.encode()).decode()


def plain(user, password="secret"):
    return "AUTH PLAIN " + b64(f"\0{user}\0{password}")


BOB = plain("bob")
FAILURES = ("temp", "tempreason", "reason", "disabled", "disabledreason", "expired", "authz", "code",
            "codereason", "delayed", "empty", "odd", "bare", "unknown", "slow", "tab\tuser")

DIALOGUES = [
    ("plain", [EHLO, BOB, *MESSAGE, QUIT]),
    ("plain in two", [EHLO, "AUTH PLAIN", b64("\0bob\0secret"), *MESSAGE, QUIT]),
    ("login", [EHLO, "AUTH LOGIN", b64("bob"), b64("secret"), *MESSAGE, QUIT]),
    ("login with name", [EHLO, "AUTH LOGIN " + b64("bob"), b64("secret"), QUIT]),
    ("login wrong", [EHLO, "AUTH LOGIN", b64("bob"), b64("wrong"), QUIT]),
    ("lower case", [EHLO, "auth plain " + b64("\0bob\0secret"), *MESSAGE, QUIT]),
    ("wrong then right", [EHLO, plain("bob", "wrong"), BOB, *MESSAGE, QUIT]),
    ("twice", [EHLO, BOB, BOB, "AUTH", EHLO, QUIT]),
    ("after helo", ["HELO client.example", BOB, *MESSAGE, QUIT]),
    ("before helo", [BOB, *MESSAGE, QUIT]),
    ("in mail", [EHLO, MAIL, BOB, RCPT, BOB, "RSET", BOB, QUIT]),
    ("syntax", [EHLO, "AUTH", "AUTH a b c", "AUTH PLAIN x y", QUIT]),
    ("unknown mechanism", [EHLO, "AUTH FOO", "AUTH FOO " + b64("x"), "AUTH " + "x" * 200,
                           "AUTH CRAM-MD5", "AUTH ANONYMOUS", "AUTH EXTERNAL =", QUIT]),
    ("odd mechanism", [EHLO, "AUTH PLA(IN", "AUTH \u00e9", "AUTH =", QUIT]),
    ("bad base64", [EHLO, "AUTH PLAIN xyz", "AUTH PLAIN !", "AUTH PLAIN ====", "AUTH PLAIN a===", QUIT]),
    ("bad base64 later", [EHLO, "AUTH PLAIN", "!", "AUTH LOGIN", b64("bob"), "xyz", QUIT]),
    ("empty initial", [EHLO, "AUTH PLAIN =", QUIT]),
    ("empty later", [EHLO, "AUTH PLAIN", "", "AUTH LOGIN", "", "", "AUTH LOGIN", "=", "", QUIT]),
    ("star", [EHLO, "AUTH PLAIN", "*", "AUTH LOGIN", b64("bob"), "*", BOB, QUIT]),
    ("star initial", [EHLO, "AUTH PLAIN *", QUIT]),
    ("blank later", [EHLO, "AUTH PLAIN", b64("\0bob\0secret") + " ", "AUTH PLAIN", " *", QUIT]),
    ("pipelined", [EHLO, (sent("AUTH LOGIN", b64("bob"), b64("secret")), 3), QUIT]),
    ("mail auth", [EHLO, MAIL + " AUTH=<>", "RSET", MAIL + " AUTH=bob@example.net", "RSET", BOB,
                   MAIL + " AUTH=<>", RCPT, "DATA", *BODY, ".",
                   MAIL + " AUTH=bo+2Bb@example.net", RCPT, "DATA", *BODY, ".",
                   MAIL + " AUTH=", "RSET", MAIL + " AUTH=a+2", "RSET", MAIL + " AUTH=a AUTH=b", "RSET",
                   MAIL + " AUTH=+20", "RSET", MAIL + " AUTH=+0Ax", "RSET", MAIL + " AUTH", QUIT]),
    ("mail auth values", [EHLO, BOB, *[step for value in ("+20", "+3C+3E", "a@b.example", "a(b)")
                                       for step in (MAIL + f" AUTH={value}", RCPT, "DATA", *BODY, ".")], QUIT]),
    ("rset keeps", [EHLO, BOB, "RSET", EHLO, *MESSAGE, QUIT]),
    ("long response", [EHLO, "AUTH PLAIN", "x" * 3000, "AUTH LOGIN", b64("bob" * 3000), b64("x"), QUIT]),
    ("too long response", [EHLO, "AUTH PLAIN", (b"x" * 12289 + b"\r\n", 1), QUIT]),
    ("longest response", [EHLO, "AUTH PLAIN", (b"x" * 12288 + b"\r\n", 1), QUIT]),
    ("quit inside", [EHLO, "AUTH LOGIN", QUIT, "x", QUIT]),
    *[(f"user {name}", [EHLO, plain(name), QUIT]) for name in FAILURES],
    ("odd user mail", [EHLO, plain("odd"), *MESSAGE, QUIT]),
    ("tab mail", [EHLO, plain("tab\tuser", "x"), *MESSAGE, QUIT]),
    ("reject", [EHLO, BOB, MAIL, "RCPT TO:<nobody@refused.example>", QUIT]),
]

RELAY = [
    ("relay refused", [EHLO, MAIL, RCPT, QUIT]),
    ("relay", [EHLO, BOB, *MESSAGE, QUIT]),
]
OWNER = [
    (f"{name} {sender}", [EHLO, *login, f"MAIL FROM:<{sender}>", RCPT, QUIT])
    for name, login in (("bob", [BOB]), ("alice", [plain("al=ice", "pass word")]), ("nobody", []))
    for sender in ("bob@mine.example", "alice@mine.example", "both@mine.example", "x@none.example", "")
]
OWNERS = ("-o { smtpd_sender_login_maps = inline:{ { bob@mine.example = bob } "
          "{ alice@mine.example = al=ice } { both@mine.example = bob,al=ice } } } ")
XCLIENT = [
    ("xclient login", [EHLO, "XCLIENT LOGIN=carol ADDR=192.0.2.7", EHLO, *MESSAGE, BOB, QUIT]),
    ("xclient no login", [EHLO, BOB, "XCLIENT ADDR=192.0.2.7", EHLO, MAIL, RCPT, "RSET", BOB, MAIL, RCPT, QUIT]),
    ("xclient unavailable", [EHLO, BOB, "XCLIENT LOGIN=[UNAVAILABLE]", EHLO, MAIL, RCPT, QUIT]),
    ("xclient odd", [EHLO, "XCLIENT LOGIN=a+20b+28", EHLO, *MESSAGE, QUIT]),
]

ON = "-o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path=auth "
VARIANTS = {
    "default": (ON + "-o { smtpd_recipient_restrictions = check_recipient_access "
                "inline:{{refused.example=REJECT no}} } ", DIALOGUES),
    "tcp": (ON + f"-o smtpd_sasl_path=inet:127.0.0.1:{TCP}", [("tcp", [EHLO, BOB, QUIT])]),
    "header": (ON + "-o smtpd_sasl_authenticated_header=yes -o broken_sasl_auth_clients=yes "
               "-o smtpd_sasl_local_domain=realm.example -o smtpd_sasl_service=submission", [
        ("header", [EHLO, BOB, *MESSAGE, QUIT]),
        ("header odd", [EHLO, plain("odd"), *MESSAGE, QUIT]),
        ("header smtp", ["HELO x.example", BOB, *MESSAGE, QUIT]),
        ("header unknown", [EHLO, *MESSAGE, QUIT])]),
    "noplaintext": (ON + "-o smtpd_sasl_security_options=noplaintext,noanonymous", [
        ("noplaintext", [EHLO, BOB, "AUTH CRAM-MD5", QUIT])]),
    "anonymous": (ON + "-o smtpd_sasl_security_options=", [("anonymous", [EHLO, QUIT])]),
    "nodictionary": (ON + "-o smtpd_sasl_security_options=nodictionary,noactive", [
        ("nodictionary", [EHLO, BOB, QUIT])]),
    "filter": (ON + "-o smtpd_sasl_mechanism_filter=login,plain", [("filter", [EHLO, "AUTH CRAM-MD5", QUIT])]),
    "filter all": (ON + "-o smtpd_sasl_mechanism_filter=static:all", [("filter all", [EHLO, QUIT])]),
    "exceptions": (ON + "-o smtpd_sasl_exceptions_networks=127.0.0.0/8", [
        ("exception", [EHLO, BOB, QUIT]),
        ("exception mail auth", [EHLO, MAIL + " AUTH=<>", QUIT])]),
    "discard": (ON + "-o smtpd_discard_ehlo_keywords=auth", [("discard", [EHLO, BOB, QUIT])]),
    "tls only": (ON + "-o smtpd_tls_auth_only=yes", [("tls only", [EHLO, BOB, "AUTH", QUIT])]),
    "limit": (ON + "-o smtpd_sasl_response_limit=13000", [
        ("limit", [EHLO, "AUTH PLAIN", (b"x" * 12999 + b"\r\n", 1), "AUTH PLAIN",
                   (b"x" * 13000 + b"\r\n", 1), QUIT])]),
    "helo required": (ON + "-o smtpd_helo_required=yes", [("helo required", [BOB, EHLO, BOB, QUIT])]),
    "relay": (ON + "-o { smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination } "
              "-o mynetworks=", RELAY),
    "access": (ON + "-o { smtpd_recipient_restrictions = check_sasl_access inline:{{bob=REJECT not you}} } ",
               [("sasl access", [EHLO, BOB, MAIL, RCPT, QUIT]), ("sasl access nobody", [EHLO, MAIL, RCPT, QUIT])]),
    **{name: (ON + OWNERS + f"-o smtpd_sender_restrictions={name}", OWNER) for name in (
        "reject_sender_login_mismatch", "reject_authenticated_sender_login_mismatch",
        "reject_unauthenticated_sender_login_mismatch", "reject_known_sender_login_mismatch")},
    "off": ("-o smtpd_sender_restrictions=permit_sasl_authenticated,reject_sender_login_mismatch", [
        ("off", [EHLO, BOB, MAIL + " AUTH=<>", RCPT, QUIT])]),
    "xclient": (ON + "-o smtpd_authorized_xclient_hosts=127.0.0.0/8 -o mynetworks= "
                "-o { smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination }", XCLIENT),
    "xclient off": ("-o smtpd_authorized_xclient_hosts=127.0.0.0/8 -o mynetworks= "
                    "-o { smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination }",
                    [XCLIENT[0]]),
    "gone": (ON + "-o smtpd_sasl_path=gone", [("no server", [EHLO])]),
    "bad version": (ON + f"-o smtpd_sasl_path=inet:127.0.0.1:{BAD_VERSION_TCP}", [("bad version", [EHLO])]),
    "no mechanisms": (ON + f"-o smtpd_sasl_path=inet:127.0.0.1:{NO_MECHANISMS_TCP}",
                      [("no mechanisms", [EHLO])]),
}

CYRUS = [
    ("cyrus plain", [EHLO, BOB, *MESSAGE, QUIT]),
    ("cyrus plain in two", [EHLO, "AUTH PLAIN", b64("\0bob\0secret"), *MESSAGE, QUIT]),
    ("cyrus login", [EHLO, "AUTH LOGIN", b64("bob"), b64("secret"), *MESSAGE, QUIT]),
    ("cyrus login with name", [EHLO, "AUTH LOGIN " + b64("bob"), b64("secret"), QUIT]),
    ("cyrus wrong", [EHLO, plain("bob", "wrong"), "AUTH LOGIN", b64("bob"), b64("wrong"), BOB, QUIT]),
    ("cyrus unknown", [EHLO, plain("eve"), QUIT]),
    ("cyrus mechanism", [EHLO, "AUTH FOO", "AUTH ANONYMOUS", "AUTH EXTERNAL", QUIT]),
    ("cyrus empty initial", [EHLO, "AUTH PLAIN =", QUIT]),
    ("cyrus empty", [EHLO, "AUTH PLAIN", "", "AUTH LOGIN", "", "", QUIT]),
    ("cyrus nonsense", [EHLO, "AUTH PLAIN AAAA", "AUTH PLAIN", b64("bob"), "AUTH CRAM-MD5 " + b64("x"), QUIT]),
    ("cyrus base64", [EHLO, "AUTH PLAIN !", "AUTH PLAIN", "!", "AUTH LOGIN", b64("bob"), "x*", QUIT]),
    ("cyrus star", [EHLO, "AUTH LOGIN", "*", BOB, QUIT]),
    ("cyrus other", [EHLO, "AUTH PLAIN " + b64("eve\0bob\0secret"), QUIT]),
]
CYRUS_CONF = """pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN CRAM-MD5
sasldb_path: {}
"""
VARIANTS["cyrus"] = ("-o smtpd_sasl_auth_enable=yes", CYRUS)
VARIANTS["cyrus realm"] = ("-o smtpd_sasl_auth_enable=yes -o smtpd_sasl_local_domain=host.example.net "
                           "-o smtpd_sasl_security_options=noanonymous,noplaintext",
                           [("cyrus realm", [EHLO, BOB, QUIT])])

# Where ours is meant to differ: (variant, dialogue) and why.
TEMPORARY = "what Dovecot says will pass is told to the client as such"
NO_SERVER = "the client gets a reply where Postfix just hangs up"
DIFFERENT = {
    ("default", "user temp"): TEMPORARY,
    ("default", "user tempreason"): TEMPORARY,
    ("default", "user code"): TEMPORARY,
    ("default", "user tab\tuser"): "what Dovecot quotes is unquoted",
    ("default", "tab mail"): "what Dovecot quotes is unquoted",
    ("default", "empty later"): "an empty user name is logged as none",
    ("filter", "filter"): "a mechanism that is not offered cannot be used either",
    ("cyrus", "cyrus empty initial"): "= is an empty response",
    ("cyrus", "cyrus base64"): "says what is wrong",
    ("cyrus realm", "cyrus realm"): "a mechanism that is not offered is none",
    ("gone", "no server"): NO_SERVER,
    ("bad version", "bad version"): NO_SERVER,
    ("no mechanisms", "no mechanisms"): NO_SERVER,
}


class SaslSide(Side):
    def make_sasldb(self, directory):
        os.makedirs(directory, exist_ok=True)
        database = os.path.join(directory, "sasldb2")
        subprocess.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", "host.example.net", "bob"],
                       input=b"secret", check=True, timeout=60)
        os.chmod(database, 0o644)
        with open(os.path.join(directory, "smtpd.conf"), "w", encoding="ascii") as f:
            f.write(CYRUS_CONF.format(database))

    def play(self):
        mta = self.instance
        directory = mta.queue
        os.makedirs(directory, exist_ok=True)
        self.make_sasldb(os.path.join(mta.config, "sasl"))
        with DovecotAuth(f"{directory}/auth") as self.auth, DovecotAuth(TCP), \
                DovecotAuth(BAD_VERSION_TCP, ["VERSION\t2\t0", *HELLO[1:]]), \
                DovecotAuth(NO_MECHANISMS_TCP, [HELLO[0], *HELLO[-4:]]):
            return super().play()


class SaslCompat(Comparison, unittest.TestCase):
    different = DIFFERENT

    @classmethod
    def setUpClass(cls):
        world.need_oracle()
        with DNSServer() as dns:
            cls.theirs = SaslSide(OracleInstance, dns, VARIANTS).play()
            cls.ours = SaslSide(Instance, dns, VARIANTS).play()


if __name__ == "__main__":
    unittest.main()
