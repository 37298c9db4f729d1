# SPDX-License-Identifier: Apache-2.0
"""Restrictions: what Debian's smtpd answers, and what `hikyaku explain --smtp` says.

A case is a configuration of smtpd and some sessions. All cases of a class are services of one
oracle instance, each on a port of its own, with their settings as -o; XCLIENT says who the
client is. Replies must be equal to the byte, and so must the lines of the log.
"""
import json
import re
import socket
import time
import unittest
from dataclasses import dataclass, field

from system import world
from system.dnsserver import DNSServer
from system.instance import Instance, OracleInstance

PORT = 2600
HOST = "mail.example.net"
BASE = {
    "myhostname": HOST,
    "mydestination": "mine.example",
    "relay_domains": "rel.example",
    "virtual_mailbox_domains": "vmb.example",
    "virtual_mailbox_maps": "inline:{{known@vmb.example=x}}",
    "virtual_alias_domains": "val.example",
    "virtual_alias_maps": "inline:{{known@val.example=x@mine.example}}",
    "relay_recipient_maps": "inline:{{z@rel.example=x}}",
    "canonical_maps": "inline:{{canon@mine.example=x@mine.example}}",
    "relocated_maps": "inline:{{reloc@mine.example=foo}}",
    "local_recipient_maps": "inline:{{x=y}}",
    "recipient_delimiter": "+",
    "inet_protocols": "all",
    "fast_flush_domains": "",
    "smtpd_relay_restrictions": "check_client_access static:RELAY, reject",
    "smtpd_soft_error_limit": "1000",
    "smtpd_hard_error_limit": "1000",
    "parent_domain_matches_subdomains": "smtpd_access_maps",
}


@dataclass
class Talk:
    """One session. `to` may be several recipients; `data`: then DATA, and with "message" a
    message as well."""
    to: tuple = ("a@b.example",)
    sender: str = "s@ok.example"
    helo: str = "h.example"
    name: str = "c.example.org"
    address: str = "192.0.2.7"
    reverse: str = ""
    data: str = ""

    def xclient(self):
        name = "[UNAVAILABLE]" if self.name == "unknown" else self.name
        reverse = self.reverse or name
        address = f"IPV6:{self.address}" if ":" in self.address else self.address
        return f"NAME={name} ADDR={address} PORT=1234 REVERSE_NAME={reverse}"

    def words(self):
        words = [f"client={self.name}[{self.address}]", f"from=<{self.sender}>"]
        words += [f"to=<{to}>" for to in self.to]
        words += [f"helo={self.helo}"] if self.helo else []
        words += [f"reverse={self.reverse}"] if self.reverse else []
        return words


@dataclass
class Case:
    parameters: dict
    talks: list = field(default_factory=lambda: [Talk()])
    differs: str = ""    # a pattern of log lines that are not compared, and why


def rcpt(restrictions, *talks, differs="", **parameters):
    return Case({"smtpd_recipient_restrictions": restrictions, **parameters},
                list(talks) or [Talk()], differs)


def senders(*addresses, **more):
    return [Talk(sender=address, **more) for address in addresses]


def names(*helos):
    return [Talk(helo=helo) for helo in helos]


def table(rows):
    """An inline table."""
    return "inline:{" + ",".join(f"{{{key}={value}}}" for key, value in rows.items()) + "}"


def on_client(action):
    return rcpt("check_client_access static:{" + action + "}, reject")


class Session:
    """An SMTP client that only writes and reads."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.socket.makefile("rb")
        self.reply()

    def reply(self):
        lines = []
        while True:
            line = self.file.readline().decode("utf-8", "replace").rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, line):
        try:
            self.socket.sendall(line.encode() + b"\r\n")
            return self.reply()
        except OSError:
            return ""

    def close(self):
        self.file.close()
        self.socket.close()


def play(talk, port):
    """{step: reply} of Debian's smtpd; a step is MAIL, DATA or a recipient."""
    session = Session(port)
    session.say("XCLIENT " + talk.xclient())
    if talk.helo:
        session.say("EHLO " + talk.helo)
    said = {"MAIL": session.say(f"MAIL FROM:<{talk.sender}>")}
    if said["MAIL"].startswith("250"):
        for to in talk.to:
            said[to] = session.say(f"RCPT TO:<{to}>")
            if not said[to] or said[to].startswith(("421", "521")):
                break
    if talk.data:
        said["DATA"] = session.say("DATA")
        if talk.data == "message" and said["DATA"].startswith("354"):
            said["END-OF-MESSAGE"] = session.say("Subject: x\r\n\r\ntext\r\n.")
    session.close()
    return said


def explained(mta, talk):
    """({step: reply}, log lines) of ours."""
    result = mta.run("hikyaku", "explain", "--smtp", "--json", "-c", mta.config, "--",
                     *talk.words(), check=False)
    if not result.stdout:
        raise AssertionError(result.stderr.decode())
    answer = json.loads(result.stdout)
    said = {}
    for phase in answer["phases"]:
        step = phase["argument"] if phase["phase"] == "RCPT" else phase["phase"]
        said[step] = "ok" if phase["accepted"] else phase["reply"]
        if not phase["accepted"] and re.match("[45]21", phase["reply"]):
            break
    return said, answer["log"]


LOG_NOISE = re.compile(
    r"connect from|client=|lost connection|open database|is unavailable|improper command|"
    r"Illegal address syntax|smtpd_client_event_limit|table lookup problem|"
    r"numeric domain name in resource|do not list|: table |connection closed")


def compared_log(lines, differs):
    kept = []
    for line in lines:
        if LOG_NOISE.search(line) or (differs and re.search(differs, line)):
            continue
        kept.append(re.sub(r"^(?!NOQUEUE)[0-9A-F]{6,}: ", "NOQUEUE: ", line))
    return kept


class Compared:
    cases: list = []
    maxDiff = None

    @classmethod
    def dns(cls):
        dns = DNSServer()
        dns.host("ok.example", "192.0.2.9").host("sub.ok.example", "192.0.2.10")
        dns.host("six.example", "2001:db8::1").mail("mx.example", "ok.example")
        dns.mail("mxmiss.example", "gone.example").mail("null.example", ".")
        dns.mail("manymx.example", "ok.example", "six.example", "gone.example")
        dns.mail("mxbroken.example", "broken.example")
        dns.behave("broken.example", "servfail").behave("garb.example", "formerr")
        dns.add("nsd.example", "NS", "ns1.nsd.example").host("ns1.nsd.example", "192.0.2.53")
        dns.host("a.b.nsd.example", "192.0.2.60").host("client.nsd.example", "192.0.2.61")
        dns.host("7.2.0.192.bl.example", "127.0.0.2")
        dns.add("7.2.0.192.bl.example", "TXT", "listed, see http://x/?7")
        dns.host(".".join("1" + "0" * 23 + "8bd01002") + ".bl.example", "127.0.0.2")
        dns.host("7.2.0.192.mt.example", "127.0.0.2", "127.0.0.3")
        dns.add("7.2.0.192.mt.example", "TXT", "one", "two")
        dns.host("7.2.0.192.nt.example", "127.0.0.2")
        dns.behave("7.2.0.192.nt.example", "servfail", "TXT")
        dns.host("7.2.0.192.wl.example", "127.0.5.1").host("c.example.org.wl.example", "127.0.0.3")
        dns.behave("7.2.0.192.down.example", "servfail")
        dns.behave("c.example.org.down.example", "servfail")
        dns.host("other.example", "192.0.2.44").host("far.example", "198.51.100.1")
        dns.host("me.example", "127.0.0.1").mail("bk.example", "other.example", "me.example")
        dns.mail("first.example", "me.example", "other.example")
        dns.mail("two.example", ("far.example", 10), ("other.example", 10), ("me.example", 20))
        dns.mail("bkbroken.example", "broken.example", "me.example")
        dns.mail("bkgone.example", "gone.example", "me.example")
        for name, last in (("ok.example", 3), ("c.example.org", 3), ("h.example", 4),
                           ("b.example", 4)):
            dns.host(f"{name}.rhs.example", f"127.0.0.{last}")
        return dns

    def test_equal(self):
        world.need_oracle()
        world.need_build("bin/hikyaku")
        with self.dns() as dns:
            theirs = self.ask_oracle()
            for case, sides in zip(self.cases, theirs):
                mta = Instance("access", **{
                    **BASE, **case.parameters, "resolver_nameservers": dns.nameserver})
                for talk, (said, log) in zip(case.talks, sides):
                    with self.subTest(case.parameters, talk=talk):
                        self.compare(case, said, log, *explained(mta, talk))
                mta.remove()

    def ask_oracle(self):
        services = ""
        for i, case in enumerate(self.cases):
            services += f"127.0.0.1:{PORT + i} inet n - n - - smtpd\n"
            for name, value in case.parameters.items():
                services += f"  -o {{ {name}={value} }}\n"
        with OracleInstance("access", services=services, smtpd_peername_lookup="no",
                            smtpd_authorized_xclient_hosts="127.0.0.0/8", **BASE) as mta:
            return [[self.ask(mta, talk, PORT + i) for talk in case.talks]
                    for i, case in enumerate(self.cases)]

    @staticmethod
    def ask(mta, talk, port):
        mta.log.mark()
        said = play(talk, port)
        mta.log.wait(r"smtpd: disconnect from|smtpd: fatal")
        time.sleep(0.02)
        return said, [line.text for line in mta.log.lines()
                      if line.program.endswith("smtpd")]

    def compare(self, case, said, log, our_said, our_log):
        for step, reply in said.items():
            ours = our_said.get(step, "not reached")
            if reply == "":
                reply = "none: the connection is closed"
            if reply[:1] in "23":
                reply = "ok"
            self.assertEqual(ours, reply, step)
        if "DATA" not in said:
            our_log = [line for line in our_log
                       if not re.search(r": (DATA|END-OF-MESSAGE) from ", line)]
        self.assertEqual(compared_log(our_log, case.differs), compared_log(log, case.differs))


class Lists(Compared, unittest.TestCase):
    """How lists and table values are read."""
    both = Talk(to=("a@b.example", "x@mine.example"))
    cases = [
        rcpt("nosuch, permit", both),
        rcpt("reject_rbl_client"),
        rcpt("check_client_access, reject"),
        rcpt("check_client_access foo"),
        rcpt("check_client_access hash:/nonexistent"),
        rcpt("sleep x"),
        rcpt("sleep 1, defer"),
        rcpt("defer_if_permit, permit", both),
        rcpt("defer_if_reject, reject", both),
        rcpt("warn_if_reject, reject, warn_if_reject reject_unknown_sender_domain, reject",
             Talk(sender="s@gone.example")),
        rcpt("warn_if_reject nosuch, permit"),
        rcpt("permit_naked_ip_address, reject", Talk(), Talk(helo="192.0.2.1")),
        rcpt("check_relay_domains", both, Talk(to=("u@sub.rel.example",)),
             differs="support for restriction"),
        rcpt("inline:{{b.example=REJECT natural}}, reject", both),
        rcpt("cls1, reject", both, smtpd_restriction_classes="cls1 cls2",
             cls1="check_client_access inline:{{example.org=cls2}}",
             cls2="reject_unauth_destination, permit"),
        rcpt("cls1, reject", smtpd_restriction_classes="cls1",
             cls1="check_client_access static:cls1", differs="causes unreasonable recursion"),
        rcpt("CLS1, REJECT", smtpd_restriction_classes="cls1", cls1="permit"),
        rcpt("warn_if_reject cls1, Defer", smtpd_restriction_classes="cls1",
             cls1="permit_mynetworks, reject_unauth_destination, reject_non_fqdn_recipient"),
        rcpt("warn_if_reject check_client_access static:{REJECT}, warn_if_reject "
             "check_client_access static:{reject, permit}, reject"),
        rcpt("warn_if_reject check_client_access static:{DEFER_IF_PERMIT}, permit"),
        rcpt("check_recipient_access inline:{{b.example=restrictive}}, reject",
             smtpd_restriction_classes="restrictive", restrictive="defer"),
        rcpt("check_recipient_access static:{reject_rbl_client bl.example}, reject"),
        rcpt("reject", smtpd_restriction_classes="reject", **{"reject": "permit"}),
        Case({"smtpd_data_restrictions": "inline:{{x=y}}"},
             [Talk(("x@mine.example",), data="yes")]),
        Case({"smtpd_data_restrictions": "reject_unauth_pipelining, reject_multi_recipient_bounce"},
             [Talk(("x@mine.example",), data="yes"),
              Talk(("x@mine.example", "postmaster@mine.example"), "", data="yes")]),
        Case({"smtpd_data_restrictions": "check_recipient_access static:REJECT, "
                                         "check_sender_access static:{REJECT foo}"},
             [Talk(("x@mine.example",), data="yes"),
              Talk(("x@mine.example", "postmaster@mine.example"), "", data="yes")]),
        Case({"smtpd_data_restrictions": "check_client_access static:DEFER_IF_PERMIT, permit"},
             [Talk(("x@mine.example",), data="yes")]),
        Case({"smtpd_data_restrictions": "reject"}, [Talk(("x@mine.example",), data="yes")]),
        Case({"smtpd_end_of_data_restrictions":
              "check_client_access static:{PREPEND X-a: b}, reject"},
             [Talk(("x@mine.example",), data="message")]),
        Case({"smtpd_client_restrictions": "reject_unknown_client_hostname, "
              "reject_unauth_destination", "smtpd_helo_restrictions": "reject"},
             [Talk(("postmaster", "x@mine.example"))]),
        Case({"smtpd_client_restrictions": "defer_if_reject", "smtpd_helo_restrictions": "reject"}),
        Case({"smtpd_client_restrictions": "defer_if_permit",
              "smtpd_recipient_restrictions": "permit"}, [both]),
        Case({"smtpd_client_restrictions": "check_client_access static:DISCARD",
              "smtpd_recipient_restrictions": "reject"}, [both]),
        Case({"smtpd_helo_restrictions": "reject"}, [Talk(helo="")]),
        Case({"smtpd_relay_restrictions": "defer_if_reject", "smtpd_recipient_restrictions":
              "reject"}),
        Case({"smtpd_relay_restrictions": "reject", "smtpd_recipient_restrictions": "defer",
              "smtpd_relay_before_recipient_restrictions": "no"}),
        rcpt("reject", soft_bounce="yes"),
        rcpt("check_client_access static:{521 5.7.1 x}", soft_bounce="yes"),
        rcpt("reject", reject_code="421"),
        rcpt("reject_non_fqdn_sender", *senders("x"), non_fqdn_reject_code="999"),
        rcpt("reject", *senders('"a b"@ok.example')),
        Case({"smtpd_sender_restrictions": "reject", "smtpd_delay_reject": "no"}),
        Case({"smtpd_helo_restrictions": "check_client_access static:{DEFER_IF_PERMIT cl}, "
              "check_sender_access static:REJECT, check_client_access static:HOLD",
              "smtpd_delay_reject": "no"}, [Talk(("x@mine.example",))]),
    ]


class Actions(Compared, unittest.TestCase):
    """Values of access tables."""
    cases = [on_client(action) for action in (
        "REJECT", "reject go away", "REJECT 4.7.1", "REJECT 5.7.99 text", "DEFER", "defer later",
        "DEFER_IF_PERMIT foo", "DEFER_IF_REJECT", "DEFER_IF_REJECT 4.4.4 foo", "550", "450",
        "550 5.1.1", "450 5.7.2 text", "450   text  here ", "350 text", "5504 text", "550-text",
        "521 4.1.3 go away", "421 bye", "REJECT " + "x" * 600, "ok fine", "dunno fine",
        "relay fine", "OK", "RELAY", "DUNNO", "42", "4.7.1 foo", "HANGUP", "HANGUP bye",
        "INFO", "info hello there", "WARN", "warn hello", "HOLD", "HOLD because", "DISCARD x y",
        "FILTER", "FILTER smtp:", "FILTER xx", "REDIRECT u", "REDIRECT u@v", "BCC u", "BCC u@v",
        "PREPEND X-A: b", "PREPEND X-A", "DELAY 1h", "hash:/x", "nosuch", "permit",
        "reject_unauth_destination, permit", "defer_if_permit", "reject <x>")]
    cases += [
        rcpt("check_client_access static:DISCARD, reject",
             Talk(("x@mine.example", "q@mine.example", "a@b"))),
        rcpt("check_client_access static:HOLD, check_client_access static:{FILTER a:b}, "
             "check_client_access static:{WARN x}, permit",
             Talk(("x@mine.example", "q@mine.example", "canon@mine.example"))),
        rcpt("check_client_access static:HOLD, check_helo_access static:DISCARD, reject",
             Talk(("x@mine.example", "q@mine.example"))),
        rcpt("check_client_access inline:{{c.example.org=dunno},{example.org=REJECT}}, "
             "check_client_access inline:{{192.0.2.7=DUNNO},{192.0=REJECT}}, reject"),
        rcpt("check_sender_access fail:x", differs="^warning: .*fail:x"),
        rcpt("check_sender_mx_access fail:x", differs="^warning: .*fail:x"),
        rcpt("check_client_access fail:x", differs="^warning: .*fail:x"),
        Case({"mynetworks": "fail:x", "smtpd_relay_restrictions": "permit_mynetworks, reject"},
             differs="^warning: .*fail:x"),
        Case({"local_recipient_maps": "fail:x"}, [Talk(("x@mine.example",))],
             differs="^warning: .*fail:x"),
        Case({"virtual_alias_maps": "fail:x"}, [Talk(("x@mine.example",))],
             differs="^warning: .*fail:x"),
        rcpt("check_sender_access inline:{{<>=REJECT null}}, reject", *senders("")),
        rcpt("check_sender_access inline:{{nil=REJECT null}}, reject", *senders(""),
             smtpd_null_access_lookup_key="nil"),
    ]
    for subject in ("sender", "recipient"):
        rows = {f"a{i}@x.example": f"REJECT 5.1.{i} t" for i in range(12)}
        cases.append(rcpt(f"check_{subject}_access {table(rows)}, reject",
                          *(senders(*rows) if subject == "sender" else [Talk(tuple(rows))])))
    rows = {f"a{i}.x": f"REJECT 4.1.{i} t" for i in range(12)}
    cases.append(rcpt(f"check_helo_access {table(rows)}, reject", *names(*rows)))


class Keys(Compared, unittest.TestCase):
    """What access tables are asked for."""
    users = ("bob@z.example", "bob+1@z.example", "ann+x@z.example", "ann@z.example",
             "bob@ok.example", "tom@sub.ok.example", "tom", "tom@z", "TOM@OK.example")
    cases = [
        rcpt("check_sender_access " + table({
            "bob@": "REJECT local", "ann+x@": "REJECT ext", "ok.example": "REJECT dom"})
            + ", reject", *senders(*users)),
        rcpt("check_sender_access inline:{{ok.example=REJECT dom},{.ok.example=REJECT sub}}",
             *senders("bob@ok.example", "bob@sub.ok.example")),
        rcpt(f"check_sender_access inline:{{{{s@{HOST}=REJECT completed}}}}",
             *senders("s", f"s@{HOST}", "s+x")),
        rcpt("check_sender_access regexp:{{/^ok.example$$/ REJECT dom},{/@ok/ REJECT addr}}",
             *senders("s@ok.example")),
        rcpt("check_recipient_access " + table({"b.example@mine.example": "REJECT route"})
             + ", permit", Talk(("u@b.example@mine.example", "u%b.example@mine.example"))),
        rcpt("check_helo_access " + table({"h.example": "REJECT h", "example": "REJECT top"}),
             *names("h.example", "h.example.", "x.h.example", "other.example", "[192.0.2.1]")),
        rcpt("check_client_access " + table({
            "192.0.2": "REJECT net", "2001:db8": "REJECT six", "unknown": "REJECT none"}),
            Talk(), Talk(address="192.0.3.1"), Talk(address="2001:db8::1"),
            Talk(name="unknown", address="10.0.0.1")),
        rcpt("check_client_access cidr:{{192.0.2.0/24 REJECT net}, {2001:db8::/32 REJECT six}}",
             Talk(), Talk(address="2001:db8::1")),
        rcpt("check_reverse_client_hostname_access inline:{{r.example=REJECT}}",
             Talk(name="unknown", reverse="r.example"), Talk(name="unknown", reverse="x.r.example")),
        rcpt("check_sasl_access static:REJECT, check_ccert_access static:REJECT, permit",
             differs="check_sasl_access|check_ccert_access"),
        rcpt("reject_sender_login_mismatch, permit", Talk(("x@mine.example",)),
             differs="no SASL support"),
    ]


class Hosts(Compared, unittest.TestCase):
    """Names, and what the DNS says of them."""
    hosts = table({"ok.example": "REJECT mxhit", "192.0.2.9": "REJECT iphit",
                   "192.0.2.53": "REJECT nsip", "ns1.nsd.example": "REJECT nsname",
                   "192.0.2.10": "OK", "2001:db8::1": "REJECT six"})
    lost = [Talk(name="unknown"), Talk(name="unknown", reverse="r.example"), Talk()]
    domains = ("", "a@ok.example", "a@gone.example", "a@null.example", "a@mx.example",
               "a@mxmiss.example", "a@broken.example", "a@garb.example", "x@mine.example",
               "a@[192.0.2.9]", "a", "a@b", "a@six.example", "a@mxbroken.example",
               "a@manymx.example", "a@[IPv6:2001:db8::1]", "a@sub.ok.example",
               "a@nsd.example", "a@a.b.nsd.example", "a@x.y.nsd.example", "u@rel.example")
    helos = ("ok.example", "gone.example", "broken.example", "mx.example", "[192.0.2.9]",
             "192.0.2.9", "null.example", "garb.example", "six.example", "localhost", "a..b",
             "_a", "-a.b", "[1.2.3]", "[IPv6:::1]", "[::1]", "a_b.c", "[IPv6:1.2.3.4]", "a.b.",
             "a.", "nsd.example", "[IPv6:2001:db8::1]")
    cases = [
        rcpt("reject_unknown_client_hostname, permit", *lost),
        rcpt("reject_unknown_client, permit", *lost, unknown_client_reject_code="550"),
        rcpt("reject_unknown_reverse_client_hostname, permit", *lost,
             unknown_client_reject_code="550"),
        rcpt("reject_invalid_helo_hostname, permit", *names(*helos)),
        rcpt("reject_non_fqdn_hostname, permit", *names(*helos)),
        rcpt("reject_unknown_helo_hostname, permit", *names(*helos)),
        rcpt("reject_unknown_hostname, reject", *names(*helos),
             unknown_hostname_reject_code="554"),
        rcpt("reject_unknown_helo_hostname, reject", *names(*helos),
             unknown_helo_hostname_tempfail_action="defer"),
        rcpt("reject_non_fqdn_sender, permit",
             *senders("", "a", "a@b", "a@b.c", "a@[1.2.3.4]", "postmaster", "a@b.c.")),
        rcpt("reject_non_fqdn_recipient, permit",
             Talk(("a", "a@b", "a@b.c", "a@[1.2.3.4]", "postmaster", "postmaster@b", "a@b."))),
        rcpt("reject_unknown_sender_domain, permit", *senders(*domains)),
        rcpt("reject_unknown_sender_domain, reject", *senders(*domains),
             unknown_address_reject_code="550"),
        rcpt("reject_unknown_address, reject", *senders(*domains),
             unknown_address_tempfail_action="defer"),
        rcpt("reject_unknown_recipient_domain, permit", Talk(domains[1:])),
    ]
    for kind in ("a", "mx", "ns"):
        cases += [
            rcpt(f"check_sender_{kind}_access {hosts}, permit", *senders(*domains)),
            rcpt(f"check_recipient_{kind}_access {hosts}, permit", Talk(domains[1:])),
            # Debian's asks for the name servers of an address, too, and the hosts file.
            rcpt(f"check_helo_{kind}_access {hosts}, permit", *names(*helos),
                 differs="NS host for 192.0.2.9:|host localhost"),
            rcpt(f"check_client_{kind}_access {hosts}, permit",
                 *(Talk(name=name) for name in ("client.nsd.example", "ok.example", "unknown"))),
            rcpt(f"check_reverse_client_hostname_{kind}_access {hosts}, permit",
                 *(Talk(name="unknown", reverse=name)
                   for name in ("client.nsd.example", "ok.example"))),
        ]


class Destinations(Compared, unittest.TestCase):
    """Relaying, and addresses that are in no table."""
    everyone = ("a@b.example", "x@mine.example", "q@mine.example", "u@rel.example",
                "z@rel.example", "u@sub.rel.example", "u%b.example@mine.example",
                "u@b.example@mine.example", "x@[127.0.0.1]", "u@vmb.example",
                "known@vmb.example", "u@val.example", "known@val.example",
                "canon@mine.example", "reloc@mine.example", "postmaster@mine.example",
                "mailer-daemon@mine.example", "root+x@mine.example", "x+y@mine.example",
                "postmaster@vmb.example", "b.example!u")
    backups = ("a@bk.example", "a@b.example", "a@broken.example", "a@first.example",
               "a@two.example", "a@ok.example", "a@null.example", "x@mine.example",
               "a@[192.0.2.1]", "a@bkbroken.example", "a@bkgone.example")
    cases = [
        rcpt("permit_auth_destination, reject", Talk(everyone)),
        rcpt("reject_unauth_destination, permit", Talk(everyone), relay_domains_reject_code="550"),
        rcpt("defer_unauth_destination, permit", Talk(everyone)),
        rcpt("defer_unauth_destination", relay_domains_reject_code="550"),
        rcpt("permit_mx_backup, reject", Talk(backups)),
        rcpt("permit_mx_backup, reject", Talk(backups), permit_mx_backup_networks="192.0.2.0/25"),
        rcpt("permit_mx_backup, reject", Talk(backups), permit_mx_backup_networks="10.0.0.0/8",
             smtpd_log_access_permit_actions="permit_mx_backup"),
        rcpt("reject_unlisted_recipient, reject", Talk(everyone)),
        rcpt("permit", Talk(everyone), unknown_local_recipient_reject_code="450",
             unknown_virtual_alias_reject_code="552", unknown_relay_recipient_reject_code="551",
             unknown_virtual_mailbox_reject_code="553"),
        rcpt("permit", Talk(everyone), smtpd_reject_unlisted_recipient="no"),
        rcpt("reject_unlisted_sender, reject",
             *senders("q@mine.example", "x@mine.example", "u@vmb.example", "u@val.example", "")),
        rcpt("permit", *senders("q@mine.example", "x@mine.example",
                                to=("a@b.example", "c@b.example")),
             smtpd_reject_unlisted_sender="yes"),
        rcpt("reject_plaintext_session, permit", plaintext_reject_code="530"),
        rcpt("permit_tls_all_clientcerts, permit_tls_clientcerts, permit_sasl_authenticated, "
             "reject"),
        rcpt("permit_mynetworks, reject", Talk(address="127.0.0.1"), Talk(),
             smtpd_log_access_permit_actions="static:all"),
        rcpt("permit_auth_destination, reject", Talk(("x@mine.example",)),
             smtpd_log_access_permit_actions="permit_auth_destination"),
    ]


class Blocklists(Compared, unittest.TestCase):
    """Lists in the DNS."""
    cases = [
        rcpt("reject_rbl_client bl.example, permit", Talk(), Talk(address="192.0.2.8"),
             Talk(address="2001:db8::1")),
        rcpt("reject_rbl_client bl.example=127.0.0.[1;3..5], permit"),
        rcpt("reject_rbl_client bl.example=127.0.0.[1..2], permit"),
        rcpt("reject_rbl bl.example, permit"),
        rcpt("reject_rbl_client mt.example=127.0.0.3"),
        rcpt("reject_rbl_client nt.example", differs="TXT lookup error"),
        rcpt("reject_rbl_client down.example, permit"),
        rcpt("reject_rbl_client down.example, reject"),
        rcpt("reject_rbl_client bl.example, permit", maps_rbl_reject_code="421"),
        rcpt("reject_rbl_client bl.example, permit",
             default_rbl_reply="$rbl_code 5.1.3 $client $client_address $client_name "
             "$reverse_client_name $helo_name $rbl_class $rbl_domain $rbl_what $sender "
             "$sender_name $sender_domain $recipient $recipient_name $recipient_domain "
             "${rbl_reason:none}"),
        rcpt("reject_rbl_client bl.example, permit", default_rbl_reply="no code"),
        rcpt("reject_rbl_client bl.example",
             rbl_reply_maps="inline:{{bl.example=550 mapped $$rbl_class}}"),
        rcpt("reject_rbl_client bl.example=127.0.0.2",
             rbl_reply_maps="inline:{{bl.example=550 mapped $$rbl_class}}"),
        rcpt("reject_rbl_client BL.Example",
             rbl_reply_maps="inline:{{bl.example=$$rbl_code mapped $$rbl_class}}"),
        rcpt("reject_rhsbl_sender rhs.example, permit",
             *senders("s@ok.example", "", "x@[1.2.3.4]", "x")),
        rcpt("reject_rhsbl_recipient rhs.example, permit", Talk(("a@b.example", "a@[1.2.3.4]"))),
        rcpt("reject_rhsbl_client rhs.example, permit", Talk(), Talk(name="unknown")),
        rcpt("reject_rhsbl_reverse_client rhs.example, permit",
             Talk(name="unknown", reverse="c.example.org")),
        rcpt("reject_rhsbl_helo rhs.example, permit", *names("h.example", "[1.2.3.4]")),
        rcpt("permit_dnswl_client wl.example, reject", Talk(("a@b.example", "x@mine.example")),
             smtpd_log_access_permit_actions="permit_dnswl_client"),
        rcpt("permit_dnswl_client down.example, reject", Talk(("a@b.example", "x@mine.example"))),
        rcpt("permit_dnswl_client down.example, permit", Talk(("x@mine.example",))),
        rcpt("permit_rhswl_client wl.example, reject", Talk(("x@mine.example",))),
        rcpt("permit_rhswl_client down.example, reject", Talk(("x@mine.example",))),
    ]


class Footers(Compared, unittest.TestCase):
    """smtpd_reject_footer."""
    here = Talk(("q@mine.example",))
    cases = [
        rcpt("permit", here, smtpd_reject_footer="\\c. For $client_address at $server_name "
             "$sender ${client_name}\\nsecond"),
        rcpt("check_client_access static:{REJECT text}", here, smtpd_reject_footer="one\\ntwo"),
        rcpt("reject", here, smtpd_reject_footer="one",
             smtpd_reject_footer_maps="regexp:{{/denied/ from map},{/x/ y}}"),
    ]


if __name__ == "__main__":
    unittest.main()
