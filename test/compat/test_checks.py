# SPDX-License-Identifier: Apache-2.0
"""header_checks and body_checks beside Debian's: the same rules give the same log lines and
the same queue files, for mail that was submitted here and (replies too) for mail that came
by SMTP."""
import unittest
from concurrent.futures import ThreadPoolExecutor

from compat import test_cleanup
from compat.test_cleanup import header, submit
from compat.test_smtpd import BODY, EHLO, MAIL, QUIT, RCPT


def rules(*texts):
    """Of regexp: one rule for each word at the end of a line: "word ACTION"."""
    return "regexp:{" + ", ".join(
        "{/%s$$/ %s}" % tuple(text.split(" ", 1)) for text in texts) + "}"


ACTIONS = (
    "a1 REJECT", "a2 REJECT go away", "a3 REJECT 5.7.9 go away", "a4 REJECT 4.7.8 later",
    "a5 REJECT 2.0.0 wrong", "b1 WARN", "b2 WARN a text", "c1 INFO", "c2 info a  text",
    "d1 FILTER smtp:[127.0.0.1]:10025", "d2 FILTER", "d3 FILTER smtp", "d4 FILTER smtp:",
    "e1 PASS", "e2 PASS text", "f1 DISCARD", "f2 DISCARD text", "h1 HOLD", "h2 HOLD text",
    "i1 IGNORE", "i2 IGNORE text", "k1 DUNNO", "k2 OK", "k3 OK text", "k4 NONSENSE x",
    "m1 PREPEND X-New: one", "m2 PREPEND not a field", "m3 PREPEND", "n1 REPLACE X-New: one",
    "n2 REPLACE not a field", "n3 REPLACE", "n4 REPLACE Bcc: a@b", "n5 REPLACE To: newone",
    "o1 REDIRECT r@redirect.example", "o2 REDIRECT nobody", "o3 REDIRECT", "p1 BCC c@copy.example",
    "p2 BCC nobody", "p3 BCC", "q1 STRIP", "q2 STRIP text", "r1 DELAY 3", "s1 REJECTED x",
    "t1 reject lower", "u1 PREPEND  X-Two:   blanks  ", "v1 REPLACE X-Eight: caf\u00e9")
# Those that end in a refusal for now are for SMTP: other mail waits in maildrop.
WORDS = [text.split(" ", 1)[0] for text in ACTIONS if text[:2] not in ("a4", "a5")]
TABLE = rules(*ACTIONS)
PARTS = (b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\nSubject: %s\n\n"
         b"before %s\n--x\nContent-Type: text/plain; name=%s\n\npart %s\n--x\n"
         b"Content-Type: message/rfc822\nX-Part: %s\n\nSubject: inner %s\nX-Inner: %s\n\n"
         b"attached %s\n--x--\nafter %s\n")


def parts(*places):
    """The word ACTION of each place, "no" in the others."""
    return PARTS % tuple(places[i] if i in range(len(places)) else b"no" for i in range(9))


def alone(place, word):
    words = [b"no"] * 9
    words[place] = word.encode()
    return PARTS % tuple(words)


HEADERS = [header(f"Subject: {word}", "X-After: h1" if word == "e1" else "X-After: z")
           for word in WORDS]
BODIES = [submit("a@far.example", message=f"Subject: x\n\nfirst\nline {word}\nlast\n".encode())
          for word in WORDS]
PLACES = [submit("a@far.example", message=alone(place, word))
          for place in range(9) for word in ("b2", "i1", "n1", "m1", "q2")]
MORE = [
    header("Subject: b1", "X-Two: b2", "X-Three: c1"), header("Subject: a1", "X-Two: a2"),
    header("Subject: d1", "X-Two: d4"),
    header("Subject: o1", "X-Two: b1"), header("Subject: p1", "X-Two: p1"),
    header("Subject: h1", "X: h2"), header("Subject: f1", "X: h2"), header("Subject: h1", "X: f2"),
    header("Subject: folded\n line b1"), header("Subject: " + "x" * 300 + " b1"),
    header("To: a b1", "From: x i1"), header("Message-Id: <x@y> n1"), header("Received: b1"),
    header("Message-Id: <x@y> i1"), header("Bcc: b1"), header("X : b1"), header("Resent-To: i1"),
    header("X-Empty:"), header("Subject: b1", sender=""), header("Subject: a2", sender=""),
    header("Subject: b1", options=("-G",)), header("Subject: m1", "To: n5"),
    header("Subject: \u00e9 b1"), header("no field b1"), header("Subject: p1", options=("-N", "success")),
    submit("a@far.example", "b@far.example", message=b"Subject: b1\n\n"),
    submit("\"a b\"@far.example", message=b"Subject: b1\n\n", sender="\"c d\"@x"),
    submit("a@far.example", message=b"Subject: x\n\n" + b"y" * 5000 + b" b1\n"),
    submit("a@far.example", message=b"Subject: x\n\n" + b"y" * 5000 + b" i1\nend\n"),
    submit("a@far.example", message=b"Subject: x\n\nn3\nm1 b1"),
    submit("a@far.example", message=b"Subject: x\n\nb1\n\nm1"),
    header("Content-Transfer-Encoding: 8bit b1"),
    submit("a@far.example", message=b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
           b"Subject: b1\n\nb2\n"),
]
NESTED = b"Content-Type: message/rfc822\n\n" * 110 + b"x\n"
STRICT = [
    submit("a@far.example", message=b"MIME-Version: 1.0\nSubject: " + subject +
           b"\nContent-Type: " + kind + b"\n" + encoding + b"\n" + body + b"\n")
    for subject in (b"x", b"\xe9") for kind in (b"text/plain", b"multipart/mixed; boundary=x")
    for encoding in (b"", b"Content-Transfer-Encoding: 8bit\n",
                     b"Content-Transfer-Encoding: base64\n")
    for body in (b"plain", b"\xe9")]
LONG = [submit("a@far.example", message=b"Subject: x\n\n" + b"y\n" * n + b"b1\n")
        for n in (40, 45, 46, 47, 48, 49, 50, 51, 52, 60)]
SETS = {
    "header": ({"header_checks": TABLE}, HEADERS),
    "body": ({"body_checks": TABLE}, BODIES),
    "header-more": ({"header_checks": TABLE}, MORE),
    "body-more": ({"body_checks": TABLE}, MORE),
    "all-places": ({"header_checks": TABLE, "body_checks": TABLE}, PLACES),
    "mime-only": ({"mime_header_checks": TABLE}, PLACES),
    "nested-only": ({"nested_header_checks": TABLE}, PLACES),
    "no-mime": ({"header_checks": TABLE, "disable_mime_input_processing": "yes"}, PLACES[::3]),
    "size-limit": ({"body_checks": TABLE, "body_checks_size_limit": "100"}, LONG + PLACES[::4]),
    "no-size-limit": ({"body_checks": TABLE, "body_checks_size_limit": "0"}, LONG),
    "overrides": ({"header_checks": TABLE, "canonical_maps": "inline:{a@far.example=b@x.example}",
                   "always_bcc": "bcc@x.example",
                   "receive_override_options": "no_header_body_checks"}, HEADERS[:4]),
    "no-mappings": ({"header_checks": TABLE, "canonical_maps": "inline:{a@far.example=b@x.example}",
                     "always_bcc": "bcc@x.example", "sender_bcc_maps": "static:bcc@y.example",
                     "receive_override_options": "no_address_mappings, no_milters"}, HEADERS[5:7]),
    "content-filter": ({"content_filter": "smtp:[127.0.0.1]:10025"}, HEADERS[:2]),
    "filter-and-rule": ({"content_filter": "smtp:[127.0.0.1]:10025", "header_checks": TABLE},
                        HEADERS[9:13]),
    "strict-7bit": ({"strict_7bit_headers": "yes"}, STRICT),
    "strict-8bitmime": ({"strict_8bitmime": "yes"}, STRICT),
    "strict-body": ({"strict_8bitmime_body": "yes"}, STRICT),
    "strict-encoding": ({"strict_mime_encoding_domain": "yes"}, STRICT),
    "nesting": ({"header_checks": TABLE, "mime_nesting_limit": "2"}, [
        submit("a@far.example", message=b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(n))
            + b"\nx\n") for n in (1, 2, 3, 4, 5)]),
    "boundary": ({"header_checks": TABLE, "mime_boundary_length_limit": "3"}, [
        submit("a@far.example", message=b"Content-Type: multipart/mixed; boundary=abcdef\n\n"
               b"--abcxxx\nX: b1\n\nx\n")]),
}


class Submitted(test_cleanup.BesideOracle):
    def test_rules(self):
        with ThreadPoolExecutor(test_cleanup.AT_ONCE) as pool:
            todo = [(name, pool.submit(self.compare, name, *each)) for name, each in SETS.items()]
            for name, result in todo:
                with self.subTest(set=name):
                    result.result()


if __name__ == "__main__":
    unittest.main()
