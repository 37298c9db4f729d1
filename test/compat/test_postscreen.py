# SPDX-License-Identifier: Apache-2.0
"""postscreen beside Debian's: the same dialogues give the same replies and the same log lines.

Each dialogue comes from an address of its own, by which its log lines are known. A step is a
line (sent, and a reply awaited), (bytes, n) (sent, and n replies awaited) or CLOSE. EARLY as
the first step goes out before the greeting has come.
"""
import re
import socket
import threading
import time
import unittest

from system.dnsserver import DNSServer
from system.harness import Instance, OracleInstance

PORT = 2500
CLOSE = object()
EHLO, HELO, MAIL = "EHLO client.example", "HELO client.example", "MAIL FROM:<s@client.example>"
RCPT, QUIT = "RCPT TO:<r@remote.example>", "QUIT"
EARLY = (b"EHLO early\r\n", 0)

DEEP = ("-o postscreen_pipelining_enable=yes -o postscreen_non_smtp_command_enable=yes "
        "-o postscreen_bare_newline_enable=yes")
SERVICES = {
    "stock": "",
    "enforce": "-o postscreen_greet_action=enforce -o postscreen_dnsbl_action=enforce",
    "drop": "-o postscreen_greet_action=drop -o postscreen_dnsbl_action=drop",
    "deep": DEEP,
    "strict": DEEP + " -o postscreen_pipelining_action=enforce "
    "-o postscreen_non_smtp_command_action=enforce -o postscreen_bare_newline_action=enforce",
    "harsh": DEEP + " -o postscreen_pipelining_action=drop "
    "-o postscreen_non_smtp_command_action=drop -o postscreen_bare_newline_action=drop",
    "mild": DEEP + " -o postscreen_pipelining_action=ignore "
    "-o postscreen_non_smtp_command_action=ignore",
    "veto": "-o postscreen_allowlist_interfaces=!127.0.0.1,static:all",
    "denied": "-o postscreen_access_list=reject -o postscreen_denylist_action=enforce",
    "thrown": "-o postscreen_access_list=reject -o postscreen_denylist_action=drop",
    "let": "-o postscreen_access_list=reject",
    "known": "-o postscreen_access_list=permit -o respectful_logging=no",
    "short": DEEP + " -o postscreen_command_count_limit=3 -o postscreen_disable_vrfy_command=yes"
    " -o postscreen_helo_required=yes -o postscreen_discard_ehlo_keywords=dsn,chunking",
    "nothing": "-o postscreen_greet_banner= -o postscreen_dnsbl_sites=",
}


def talk(*steps):
    return [EHLO, *steps, QUIT]


DIALOGUES = [
    ("stock", "passes", [EHLO, QUIT]),
    ("stock", "talks early", [EARLY, (b"", 1), QUIT]),
    ("stock", "closes", [CLOSE]),
    ("stock", "closes early", ["early close"]),
    ("stock", "listed", [EHLO, QUIT]),
    ("enforce", "passes", [EHLO, QUIT]),
    ("enforce", "early", [EARLY, MAIL, RCPT, "DATA", QUIT]),
    ("enforce", "early smtp", [(b"HELO a\r\n", 0), MAIL, RCPT, RCPT, "RSET", MAIL, QUIT]),
    ("enforce", "early closes", [EARLY, MAIL, CLOSE]),
    ("enforce", "early binary", [(b"\x16\x03\x01\x00\xff\\ \x07\xc3\xa9\n", 0), QUIT]),
    ("enforce", "early long", [(b"x" * 3000 + b"\r\n", 0), QUIT]),
    ("enforce", "early get", [(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0)]),
    ("enforce", "listed", [EHLO, MAIL, RCPT, QUIT]),
    ("enforce", "listed twice", [EHLO, MAIL, RCPT, QUIT]),
    ("enforce", "other", [EHLO, QUIT]),
    ("drop", "early", [EARLY]),
    ("drop", "listed", []),
    ("drop", "offset", [EHLO, QUIT]),
    ("deep", "passes", talk(MAIL, RCPT)),
    ("deep", "no rcpt", talk(MAIL)),
    ("deep", "closes after rcpt", [EHLO, MAIL, RCPT, CLOSE]),
    ("deep", "closes", [EHLO, MAIL, CLOSE]),
    ("deep", "commands", [HELO, "NOOP", "NOOP x", "RSET", "VRFY x", "VRFY", "HELP", "ETRN x",
                          "AUTH PLAIN", "XCLIENT a=b", "XFORWARD a=b", "FOO", QUIT]),
    ("deep", "syntax", ["HELO", "EHLO", "MAIL", "MAIL FROM:", "MAIL FROM: <a@b>", "RCPT",
                        "RCPT TO:", "RCPT TO:<>", "RCPT TO:<a", "RCPT TO:a@b x=y", "DATA x",
                        "QUIT x"]),
    ("deep", "order", [RCPT, "DATA", MAIL, MAIL, "DATA", QUIT]),
    ("deep", "null sender", talk("MAIL FROM:<> SIZE=100 BODY=8BITMIME", RCPT)),
    ("deep", "bdat", [EHLO, MAIL, RCPT, "BDAT 5 LAST"]),
    ("deep", "bdat first", [EHLO, "BDAT 5"]),
    ("deep", "bdat odd", [EHLO, MAIL, "BDAT x"]),
    ("deep", "lower case", ["ehlo client.example", "mail from:<a@b.example>",
                            "rcpt to:<c@d.example>", "quit"]),
    ("deep", "odd addresses", talk("MAIL FROM:<a b@c>", "RSET", 'MAIL FROM:<"a b"@c>',
                                   "RCPT TO:<@x,@y:c@d>", 'RCPT TO:<"q\\"r"@d>')),
    ("deep", "empty line", [EHLO, "", " ", "  NOOP", QUIT]),
    ("deep", "long line", [EHLO, "NOOP " + "x" * 3000]),
    ("deep", "again", talk(MAIL, RCPT) + ["again"] + talk()),
    ("deep", "pipelining", [EHLO, (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 2), QUIT]),
    ("deep", "bare", [EHLO, (b"MAIL FROM:<a@b>\n", 1), RCPT, QUIT]),
    ("deep", "get", [(b"GET / HTTP/1.0\r\n", 1)]),
    ("deep", "header", [EHLO, (b"Subject: hello there\r\n", 1)]),
    ("strict", "pipelining", [EHLO, (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 2), QUIT]),
    ("strict", "bare", [EHLO, (b"MAIL FROM:<a@b>\n", 1), RCPT, (b"NOOP\n", 1), QUIT]),
    ("strict", "get", ["GET / HTTP/1.0", MAIL, RCPT, "POST / x", QUIT]),
    ("strict", "unknown", ["FOO bar", MAIL, RCPT, QUIT]),
    ("strict", "late", [EHLO, MAIL, RCPT, (b"NOOP\n", 1), RCPT, QUIT]),
    ("harsh", "pipelining", [EHLO, (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 1)]),
    ("harsh", "bare", [EHLO, (b"MAIL FROM:<a@b>\n", 1)]),
    ("harsh", "bare first", [(b"EHLO x\n", 1)]),
    ("mild", "pipelining", [EHLO, (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 2), QUIT]),
    ("mild", "get", ["GET / HTTP/1.0", MAIL, RCPT, QUIT]),
    ("mild", "bare", [(b"EHLO x\n", 1), (b"MAIL FROM:<a@b>\n", 1), RCPT, QUIT]),
    ("veto", "passes", talk(MAIL, RCPT)),
    ("denied", "refused", talk(MAIL, RCPT)),
    ("denied", "early", [EARLY, (b"", 1), MAIL, RCPT, QUIT]),
    ("thrown", "refused", []),
    ("let", "passes", [EHLO, QUIT]),
    ("known", "passes", [EHLO, QUIT]),
    ("short", "limit", [EHLO, "NOOP", "NOOP", "NOOP"]),
    ("short", "quit", [EHLO, "NOOP", "NOOP", QUIT]),
    ("short", "vrfy", ["VRFY x", MAIL, QUIT]),
    ("nothing", "passes", [EHLO, QUIT]),
]
LISTED = {"listed", "listed twice", "offset", "other"}


def read_reply(stream):
    lines = []
    while True:
        try:
            line = stream.readline()
        except OSError as e:
            return lines + ["<end>" if isinstance(e, ConnectionResetError) else "<time-out>"]
        if not line:
            return lines + ["<end>"]
        lines.append(line.rstrip(b"\r\n").decode("latin-1"))
        if line[3:4] != b"-":
            return lines


def play(source, port, steps):
    """All that the server says."""
    said = []
    with socket.create_connection(("127.0.0.1", port), 8, (source, 0)) as s:
        stream = s.makefile("rb")
        if steps == ["early close"]:
            stream.readline()
            return said
        early = steps and isinstance(steps[0], tuple) and steps[0][1] == 0
        if early:
            s.sendall(steps[0][0])
        said += read_reply(stream)
        for n, step in enumerate(steps):
            if said[-1] in ("<end>", "<time-out>"):
                break
            if step is CLOSE:
                return said
            if step == "again":
                return said + play(source, port, steps[n + 1:])
            data, replies = step if isinstance(step, tuple) else (step.encode() + b"\r\n", 1)
            if not (early and n == 0):
                try:
                    s.sendall(data)
                except OSError:
                    break
            for _ in range(replies):
                said += read_reply(stream)
        said += read_reply(stream)
    return said


def normal(line, kind):
    line = line.replace(f"{kind}.example.net", "HOST")
    line = re.sub(r"\]:\d+( |$|:|;)", r"]:PORT\1", line)
    line = re.sub(r"(after) [0-9.]+ (from)", r"\1 T \2", line)
    return re.sub(r":25\d\d\b", ":PORT", line)


class Side:
    def __init__(self, kind):
        self.kind = kind

    def play(self):
        result = {}
        services = "smtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n" \
            "tlsproxy unix - - n - 0 tlsproxy\n"
        ports = {}
        for n, (name, options) in enumerate(SERVICES.items()):
            ports[name] = PORT + n
            services += f"127.0.0.1:{PORT + n} inet n - n - 1 postscreen {options} " \
                f"-o postscreen_cache_map=btree:$data_directory/cache_{name}\n"
        with DNSServer() as dns, self.kind(
                "screen", services, mynetworks="127.255.0.0/16", postscreen_greet_wait="4s",
                smtpd_peername_lookup="no", postscreen_dnsbl_threshold="2",
                postscreen_dnsbl_sites="a.list.example*2, b.list.example=127.0.0.[2..4]*3, "
                "c.list.example=127.0.0.9*-4") as mail:
            threads = []
            sources = {}
            for n, (service, name, steps) in enumerate(DIALOGUES):
                source = f"127.1.{n // 100}.{n % 100 + 1}"
                sources[service, name] = source
                host = ".".join(reversed(source.split(".")))
                if name in LISTED - {"other"}:
                    dns.add(f"{host}.a.list.example", "A", "127.0.0.2")
                if name in ("listed twice", "other"):
                    dns.add(f"{host}.b.list.example", "A",
                            "127.0.0.3" if name == "listed twice" else "127.0.0.5")
                if name == "offset":
                    dns.add(f"{host}.c.list.example", "A", "127.0.0.9")

                def run(key=(service, name), source=source, steps=steps):
                    result[key] = play(source, ports[key[0]], steps)
                threads.append(threading.Thread(target=run))
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            time.sleep(1)
            lines = [line for line in mail.log.lines() if line.program in ("postscreen", "dnsblog")]
            return {key: ([normal(said, self.kind.kind) for said in result[key]],
                          self.log_of(lines, source)) for key, source in sources.items()}

    def log_of(self, lines, source):
        """Answers of DNS lists come in no order."""
        of = [(line.program, line.text) for line in lines
              if re.search(rf"\b{re.escape(source)}\b", line.text)]
        return ([normal(t, self.kind.kind) for p, t in of if p == "postscreen"]
                + sorted(t for p, t in of if p == "dnsblog"))


class Compare(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.theirs = Side(OracleInstance).play()
        cls.ours = Side(Instance).play()

    def compare(self, part):
        for key, theirs in self.theirs.items():
            with self.subTest(service=key[0], dialogue=key[1]):
                self.assertEqual(theirs[part], self.ours[key][part])

    def test_replies(self):
        self.compare(0)

    def test_log(self):
        self.compare(1)


if __name__ == "__main__":
    unittest.main()
