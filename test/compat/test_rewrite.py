# SPDX-License-Identifier: Apache-2.0
"""Where does mail for an address go? `hikyaku explain` beside Debian's trivial-rewrite, asked
over its socket: rewritten form, class, transport, next hop and recipient of many addresses,
in many configurations. Each configuration is a trivial-rewrite of its own in one instance.

ADDRESSES of them are asked in an ordinary run, LONG in `./dev test --long`.
"""
import json
import os
import random
import re
import socket
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

from system import world
from system.instance import OracleInstance

ADDRESSES = 1500
LONG = 10000
BATCH = 500
SEED = 20

BASE = {
    "compatibility_level": "3.6",
    "myhostname": "mail.example.net",
    "mydestination": "mine.example, localhost.$mydomain",
    "mynetworks_style": "host",
    "inet_interfaces": "127.0.0.1",
    "relay_domains": "rel.example",
    "virtual_alias_domains": "val.example",
    "virtual_mailbox_domains": "vmb.example",
    "virtual_mailbox_maps": "static:x",
}
TRANSPORTS = ("inline:{{a@other.example=slow:[hop.example]},{rel.example=:[other.hop]},"
              "{.example=wild:},{b=x},{other.example=slow},{mine.example=error:5.7.1 no},"
              "{vmb.example=lmtp:unix:/x},{a+b@mine.example=virtual:y},{c.example=smtp:c:26}}")
CONFIGURATIONS = [
    {},
    {"relayhost": "[relay.example]:587"},
    {"relayhost": "relay.example", "recipient_delimiter": "+"},
    {"transport_maps": TRANSPORTS},
    {"transport_maps": TRANSPORTS, "recipient_delimiter": "+-", "relayhost": "r.example"},
    {"transport_maps": "inline:{{*=smtp:[all.example]},{mine.example=local:}}"},
    {"transport_maps": TRANSPORTS, "parent_domain_matches_subdomains": "transport_maps,relay_domains"},
    {"relay_domains": "rel.example, example.org", "relay_transport": "relay:[inner.example]",
     "parent_domain_matches_subdomains": ""},
    {"swap_bangpath": "no"},
    {"allow_percent_hack": "no"},
    {"allow_percent_hack": "no", "swap_bangpath": "no", "allow_min_user": "yes"},
    {"allow_min_user": "yes", "relayhost": "smarthost.example"},
    {"append_at_myorigin": "yes", "myorigin": "origin.example", "append_dot_mydomain": "yes"},
    {"append_dot_mydomain": "no", "mydomain": "dom.example"},
    {"append_dot_mydomain": "yes", "mydomain": "dom.example", "mydestination": "dom.example"},
    {"resolve_dequoted_address": "no"},
    {"resolve_null_domain": "yes"},
    {"resolve_numeric_domain": "yes"},
    {"mydestination": "", "default_transport": "error:5.7.0 nothing leaves"},
    {"local_transport": "lmtp:unix:private/box", "virtual_transport": "virtual:there",
     "default_transport": "smtp:[d.example]", "empty_address_recipient": "nobody"},
    {"sender_dependent_relayhost_maps": "static:[bysender.example]"},
    {"sender_dependent_default_transport_maps": "inline:{{s@sender.example=own:hop}}"},
]
CLASSES = {1 << 8: "local", 1 << 9: "virtual alias", 1 << 10: "virtual mailbox", 1 << 11: "relay",
           1 << 12: "other"}
SENDER = "s@sender.example"
NO_ROUTE = "CHANNEL NOT UPDATED"


# Addresses

LOCALS = ["a", "b", "a+b", "a-b", "c", "postmaster", "a.b", "a..b", ".a", "-a", "a%c", "a%c.example",
          "a%other.example%x", "x!a", "mine.example!a", "other.example!x!a", "a b", "a@b", "", "a=b",
          "a/b", "a#b", "a'b", "A", "a+", "+a", "a+b+c", "owner-x", "a&b", "a*b", "\u00e9", 'a"b',
          "a_b", "0", "a?b", "a@b@mine.example", "a@other.example", "a%b@mine.example"]
DOMAINS = ["", "mine.example", "MINE.example", "rel.example", "sub.rel.example", "val.example",
           "vmb.example", "other.example", "sub.other.example", "c.example", "x", "localhost",
           "mail.example.net", "example.net", "localhost.example.net", "1.2.3.4", "[127.0.0.1]",
           "[192.0.2.1]", "[IPv6:::1]", "[x]", "mine.example.", "other.example.", ".", "a..b",
           "-a.example", "a_b.example", "b.c.d.example", "example.org", "sub.example.org",
           "dom.example", "x.dom.example", "\u00e9.example",
           "x" * 64 + ".example", "origin.example"]


def addresses(count):
    """All pairs first, then combinations of them."""
    chance = random.Random(SEED)
    pairs = [join(local, domain) for local in LOCALS for domain in DOMAINS
             if domain or re.fullmatch(r"[^@ \"]+", local)]
    chance.shuffle(pairs)
    # Operators without anything beside them are nobody's address, and resolved by accident.
    letters = "ab+.\\ x-=#c0'"
    while len(pairs) < count:
        local = "".join(chance.choice(letters) for _ in range(chance.randint(1, 8)))
        pairs.append(join(local, chance.choice(DOMAINS[1:])))
    return pairs[:count]


def join(local, domain):
    """The external form: quotes where the local part needs them (RFC 5322 section 3.2.3)."""
    atoms = local.split(".")
    if "" in atoms or re.search(r'[][()<>@,;:\\" ]', local):
        local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
    return f"{local}@{domain}" if domain else local


# Debian's

class Rewriter:
    """A client of trivial-rewrite: attributes as name NUL value NUL, an empty name at the end."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.receive()

    def receive(self):
        answer = {}
        while (name := self.text()) != "":
            answer[name] = self.text()
        return answer

    def text(self):
        value = bytearray()
        while (byte := self.file.read(1)) not in (b"\0", b""):
            value += byte
        return value.decode("utf-8", "surrogateescape")

    def ask(self, **attributes):
        self.socket.sendall(b"".join(
            f"{name}\0{value}\0".encode("utf-8", "surrogateescape")
            for name, value in attributes.items()) + b"\0")
        return self.receive()

    def route(self, address):
        rewritten = self.ask(request="rewrite", rule="local", address=address)["address"]
        answer = self.ask(request="resolve", sender=SENDER, address=internal(rewritten))
        flags = int(answer["flags"])
        return {"class": next((name for bit, name in CLASSES.items() if flags & bit), None),
                "transport": answer["transport"], "next_hop": answer["nexthop"],
                "address": answer["recipient"]}


def internal(address):
    """Without the quotes of its local part."""
    match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"(@.*)?', address)
    if match is None:
        return address
    return re.sub(r"\\(.)", r"\1", match[1]) + (match[2] or "")


# Ours

def explain(directory, batch):
    command = [os.path.join(world.enter().build, "bin/hikyaku"), "explain", "-c", directory,
               "--offline", "--json", "--from", SENDER, "--", *batch]
    run = subprocess.run(command, capture_output=True, check=False, timeout=120)
    if run.returncode not in (0, 1):
        raise AssertionError(run.stderr.decode())
    return json.loads(run.stdout)


class Rewrite(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        world.need_build("bin/hikyaku")
        services = "".join(
            f"rw{i} unix n - n - - trivial-rewrite" +
            "".join(f"\n  -o {{ {name} = {value} }}" for name, value in settings.items()) + "\n"
            for i, settings in enumerate(CONFIGURATIONS))
        cls.oracle = OracleInstance(services=services, **{
            "mynetworks": None, "relayhost": "", **BASE})
        cls.oracle.__enter__()
        cls.addClassCleanup(cls.oracle.__exit__, None, None, None)
        cls.asked = addresses(LONG if "HIKYAKU_LONG" in os.environ else ADDRESSES)

    def directory(self, settings):
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        with open(os.path.join(where.name, "main.cf"), "w", encoding="utf-8") as f:
            f.writelines(f"{name} = {value}\n" for name, value in {**BASE, **settings}.items())
        with open(os.path.join(where.name, "master.cf"), "w", encoding="utf-8") as f:
            f.write("smtp unix - - n - - smtp\n")
        return where.name

    def compare(self, number):
        settings = CONFIGURATIONS[number]
        rewriter = Rewriter(os.path.join(self.oracle.queue, "public", f"rw{number}"))
        directory = self.directory(settings)
        differences = []
        for start in range(0, len(self.asked), BATCH):
            batch = self.asked[start:start + BATCH]
            for address, ours in zip(batch, explain(directory, batch)):
                theirs = rewriter.route(address)
                if not same(ours, theirs, "allow_min_user" in settings):
                    differences.append((address, theirs, ours["recipients"]))
        return differences

    def test_same_way(self):
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(self.compare, range(len(CONFIGURATIONS))))
        lines = [f"{CONFIGURATIONS[i]}: {address}\n  theirs {theirs}\n  ours   {ours}"
                 for i, differences in enumerate(found) for address, theirs, ours in differences]
        self.assertEqual(len(lines), 0, f"{len(lines)} differ\n" + "\n".join(lines[:40]))


def same(ours, theirs, may_begin_with_minus):
    if len(ours["recipients"]) != 1:
        return False
    r = ours["recipients"][0]
    # No route at all; and qmgr refuses what looks like an option to somebody.
    if theirs["transport"] == NO_ROUTE or \
            theirs["address"].startswith("-") and not may_begin_with_minus:
        return r["result"] == "returned" and "class" not in r
    return internal(r.get("delivered", r["address"])) == theirs["address"] and all(
        r.get(name) == theirs[name] for name in ("class", "transport", "next_hop"))


if __name__ == "__main__":
    unittest.main()
