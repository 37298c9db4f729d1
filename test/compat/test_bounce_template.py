# SPDX-License-Identifier: Apache-2.0
"""bounce_template_file beside Debian's: what postconf -t and -b say of a file, what is wrong with
it, and the notices that go out with it."""
import email
import os
import re
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

from system.harness import Instance, OracleInstance, Sink

NAMES = ("failure", "delay", "success", "verify")


def file(**templates):
    """All four, so that the built-in words, which are our own, do not show."""
    texts = {name: "Subject: s\n\nsome words\n" for name in NAMES}
    texts.update(templates)
    return "# A file.\n\n" + "\n".join(f"{name}_template = <<EOF\n{text}EOF\n" for name, text in texts.items())


FILES = {
    "plain": file(),
    "all headers": file(failure="charset: utf-8\nFROM: x@y (Me)\nsubject:  It $myhostname \n"
                                "Postmaster-Subject: PM\n\nHello $$5 and  $myhostname.\n\u00e9\n"),
    "only text": file(delay="No header here\nx\n", success="\nonly text\n"),
    "names": file(failure="Subject: a\n\n${myhostname} $(mydomain) ${mydomain?yes}${mydomain:no} $mine $$x\n"),
    "times": file(delay="Subject: a\n\n$delay_warning_time_seconds ${delay_warning_time_minutes} "
                        "$(delay_warning_time_hours) $maximal_queue_lifetime_days $delay_warning_time\n"),
    "zero": file(delay="Subject: a\n\n$delay_warning_time_weeks $maximal_queue_lifetime_weeks\n"),
    "hash in text": file(verify="Subject: a\n\n# not a comment\n\n\n  indented\n"),
    "other marker": file().replace("EOF", "THE-END"),
    "unknown template": file() + "other_template = <<EOF\nSubject: x\n\ny\nEOF\n",
    "value": file() + "verify_template = hello\n",
    "no end": file() + "verify_template = <<EOF\nSubject: last\n\nx\n",
    "header goes on": file(failure="Subject: a\n b\n\nx\n"),
    # What is wrong: the built-in one counts, so only warnings and the others are compared.
    "! unknown header": file(failure="X-Foo: y\n\nx\n"),
    "! empty header": file(failure="Subject:\n\nx\n"),
    "! no text": file(failure="Subject: a\n"),
    "! nothing": file(failure=""),
    "! 8-bit header": file(failure="Subject: \u00e9\n\nx\n"),
    "! 8-bit text": file(failure="Subject: a\n\n\u00e9\n"),
    "! inapplicable": file(success="Postmaster-Subject: q\n\nx\n"),
    # What -b refuses.
    "undefined": file(failure="Subject: a\n\n$nothing_of_the_kind\n"),
    "bad unit": file(failure="Subject: a\n\n$delay_warning_time_years\n"),
    "bad syntax": file(failure="Subject: a\n\nx ${foo\n"),
    "no equals sign": "x y\n" + file(),
}


def said(result):
    """Of warnings and errors: the words that both have."""
    text = result.stderr.decode()
    return sorted(set(re.findall(
        r'unknown template name: \w+|missing "\w+" end marker|missing message text|8-bit message text|'
        r'undefined \$name|bad \$name syntax|unrecognized suffix "\w+"|zero result|missing \'=\'|'
        r'(?:unknown|empty|non-ASCII|inapplicable) "[\w-]+" header \w+', text)))


class Templates(unittest.TestCase):
    maxDiff = None

    def test_postconf(self):
        with tempfile.TemporaryDirectory() as folder, \
                OracleInstance(delay_warning_time="90m", mydomain="example.net", myhostname="h.example.net",
                               mine="own") as oracle, \
                Instance(delay_warning_time="90m", mydomain="example.net", myhostname="h.example.net",
                         mine="own") as ours:
            jobs = [(name, option) for name in FILES for option in ("-t", "-b")]
            for n, text in enumerate(FILES.values()):
                with open(os.path.join(folder, f"{n}.cf"), "w", encoding="utf-8") as f:
                    f.write(text)

            def ask(job):
                path = os.path.join(folder, f"{list(FILES).index(job[0])}.cf")
                return [mta.run("postconf", "-c", mta.config, job[1], path, check=False)
                        for mta in (oracle, ours)]
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(ask, jobs))
            for (name, option), (a, b) in zip(jobs, answers):
                with self.subTest(name, option=option):
                    self.assertEqual((a.returncode, said(a)), (b.returncode, said(b)), b.stderr)
                    if a.returncode == 0 and name[0] != "!":
                        self.assertEqual(a.stdout.decode(), b.stdout.decode())
            path = os.path.join(folder, "0.cf")
            for option in ("-t", "-b"):
                self.assertEqual(ours.run("postconf", "-c", ours.config, option, path + "x",
                                          check=False).returncode, 1)

    def notice(self, kind, text):
        """-> (header, text) of a notice that came back with this file, and the log"""
        with tempfile.TemporaryDirectory() as folder, Sink() as sink:
            os.chmod(folder, 0o755)
            path = os.path.join(folder, "bounce.cf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            sink.reply("RCPT TO:<bad", "550 5.1.1 no")
            with kind(relayhost=sink.hop, bounce_template_file=path, myhostname="h.example.net",
                      smtputf8_enable="no") as mta:
                mta.sendmail(b"Subject: x\n\ny\n", "bad@remote.example", sender="s@remote.example")
                sink.wait(1)
                mta.wait_empty()
                report = email.message_from_bytes(sink.messages[0].text)
                part = report.get_payload()[0]
                words = part.get_payload().split("<bad@remote.example>")[0]
                # Debian's has no Content-Transfer-Encoding where the template alone is not ASCII.
                return (report["From"], report["Subject"], part["Content-Type"], words), mta.log.raw()

    def test_notice(self):
        for name in ("all headers", "names"):
            with self.subTest(name):
                text = FILES[name].replace("$mine", "")
                self.assertEqual(self.notice(OracleInstance, text)[0], self.notice(Instance, text)[0])

    def test_notice_in_any_case(self):
        """Whatever is wrong with the file, the built-in words go out, with a warning."""
        for name, warning in (("undefined", "undefined $name in failure template"),
                              ("! no text", "missing message text")):
            with self.subTest(name):
                (_, subject, _, words), log = self.notice(Instance, FILES[name])
                self.assertEqual(subject, "Undelivered Mail Returned to Sender")
                self.assertIn("This is the mail system at host h.example.net.", words)
                self.assertTrue([line for line in log if "postfix/bounce" in line and warning in line])


if __name__ == "__main__":
    unittest.main()
