# SPDX-License-Identifier: Apache-2.0
"""What was submitted is what arrives, byte by byte, through a relay host that is a sink,
our smtp-sink, or Debian's Postfix; and where Postfix changes something, so do we."""
import os
import signal
import subprocess
import time
import unittest

from . import world
from .harness import Instance, OracleInstance, Sink
from .outcomes import CALM, below_trace, kinds, submit

HEAD = (b"From: <s@example.net>\nTo: <a@dest.example>\nSubject: bytes\n"
        b"Date: Tue, 24 Nov 2026 10:00:00 +0900\nMessage-ID: <1@bytes.example.net>\n")
MIME = HEAD + b"MIME-Version: 1.0\n"
TEXT8 = (MIME + b"Content-Type: text/plain; charset=utf-8\n"
         b"Content-Transfer-Encoding: 8bit\n\n")
JAPANESE = "こんにちは\n雁が飛ぶ\n".encode()

# name -> (message, what arrives with LF line ends; None: as it was written)
MESSAGES = {
    "plain": (HEAD + b"\nOne line.\n", None),
    "eight bits": (TEXT8 + JAPANESE, None),
    "eight bits without MIME": (HEAD + b"\n" + JAPANESE, None),
    "every byte": (TEXT8 + bytes(b for b in range(1, 256) if b not in b"\r\n") + b"\n",
                   None),
    "dots": (HEAD + b"\n.\n..\n...\n. x\n.x\nx.\n.\n", None),
    "ends in a dot": (HEAD + b"\n.", HEAD + b"\n.\n"),
    "no newline at the end": (HEAD + b"\nno newline", HEAD + b"\nno newline\n"),
    "no body": (HEAD, None),
    "empty body": (HEAD + b"\n", None),
    "empty lines": (HEAD + b"\n\n\n\nx\n\n\n", None),
    "CRLF": ((HEAD + b"\none\ntwo\n").replace(b"\n", b"\r\n"), HEAD + b"\none\ntwo\n"),
    "lone CR": (HEAD + b"\none\rtwo\r\rthree\n", HEAD + b"\none two  three\n"),
    "998 bytes": (HEAD + b"\n" + b"x" * 998 + b"\n", None),
    "a dot at 999": (HEAD + b"\n" + b"x" * 998 + b".y\n",
                     HEAD + b"\n" + b"x" * 998 + b"\n .y\n"),
    "long line": (HEAD + b"\n" + b"0123456789" * 2000 + b"\n", ...),
    "long header": (HEAD + b"X-Long: " + b"word " * 500 + b"\n\nx\n", ...),
    "long folded header": (HEAD + b"X-Long: 1\n" + b"\tword word\n" * 300 + b"\nx\n", None),
    "NUL in the body": (HEAD + b"\none\0two\n\0\n", ...),
    "NUL in a header": (HEAD + b"X-Nul: one\0two\n\nx\n", ...),
    "header that is none": (HEAD + b"not a header\nbody\n", HEAD + b"\nnot a header\nbody\n"),
    "From line": (b"From s@example.net Tue Nov 24 10:00:00 2026\n" + HEAD + b"\nx\n", ...),
    "From in the body": (HEAD + b"\nFrom here on\n", None),
    "space first": (b" x\n\nbody\n", ...),
    "empty message": (b"", ...),
    "only a newline": (b"\n", ...),
    "100 kB": (TEXT8 + (b"0123456789abcdef" * 4 + b"\n") * 1600, None),
}


def options(message):
    """How a MIME user agent submits eight bits."""
    eight = any(b > 127 for b in message)
    return ("-B8BITMIME",) if eight else ()


def variable(data):
    """Without the headers that cleanup makes up afresh each time."""
    return b"".join(line for line in data.splitlines(True)
                    if not line.startswith((b"Date: ", b"Message-Id: ")))


class Bytes(unittest.TestCase):
    maxDiff = None

    def received(self, kind, sink, messages, relayhost=None):
        """{name: data at the sink}, submitted to an instance of this kind."""
        found = {}
        with kind(**CALM, myhostname="mail.example.net",
                  relayhost=relayhost or sink.hop) as mta:
            for name, data in messages.items():
                count = len(sink.messages)
                submit(mta, ["a@dest.example"], "s@example.net", data, options(data))
                found[name] = below_trace(sink.wait(count + 1)[-1].data)
        return found

    def check(self, found):
        for name, (written, arrives) in MESSAGES.items():
            if arrives is not ...:
                want = (written if arrives is None else arrives).replace(b"\n", b"\r\n")
                with self.subTest(message=name):
                    self.assertEqual(found[name], want)

    def test_to_sink_as_postfix(self):
        world.need_private()
        messages = {name: written for name, (written, _) in MESSAGES.items()}
        with Sink() as sink:
            told = [self.received(kind, sink, messages) for kind in kinds()]
        for found in told:
            self.check(found)
            for name in messages:
                with self.subTest(message=name):
                    self.assertEqual(variable(found[name]), variable(told[-1][name]))

    def test_through_debians_postfix(self):
        world.need_oracle()
        messages = {name: written for name, (written, _) in MESSAGES.items()
                    if "NUL" not in name}
        with Sink() as sink:
            relay = OracleInstance("relay", **CALM, relayhost=sink.hop)
            port = relay.world.port()
            relay.services += f"127.0.0.1:{port} inet n - n - - smtpd\n"
            relay.write()
            with relay:
                found = self.received(Instance, sink, messages, f"[127.0.0.1]:{port}")
                relay.wait_empty()
        found.update({name: MESSAGES[name][1] or b"" for name in MESSAGES
                      if name not in found and MESSAGES[name][1] is not ...})
        self.check(found)

    def test_to_our_smtp_sink(self):
        mta = Instance(**CALM)
        port = mta.world.port()
        mta.configure(relayhost=f"[127.0.0.1]:{port}")
        dump = os.path.join(mta.dir, "dump")
        os.mkdir(dump, 0o777)
        os.chmod(dump, 0o777)
        user = ("-u", "nobody") if mta.world.root else ()
        with subprocess.Popen(
                [mta.program("smtp-sink"), *user, "-d", os.path.join(dump, "%M."),
                 f"127.0.0.1:{port}", "100"], stderr=subprocess.DEVNULL) as sink, mta:
            try:
                time.sleep(0.3)
                for name, (written, arrives) in MESSAGES.items():
                    if arrives is ...:
                        continue
                    with self.subTest(message=name):
                        before = set(os.listdir(dump))
                        told, = submit(mta, ["a@dest.example"], "s@example.net", written,
                                       options(written)).values()
                        self.assertEqual(told.status, "sent", told)
                        new, = set(os.listdir(dump)) - before
                        with open(os.path.join(dump, new), "rb") as f:
                            got = f.read()
                        want = written if arrives is None else arrives
                        got = got.replace(b"\r\n", b"\n").rstrip(b"\n")
                        self.assertTrue(got.endswith(want.rstrip(b"\n")), (got, want))
            finally:
                sink.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
