# SPDX-License-Identifier: Apache-2.0
"""smtp-sink and smtp-source beside Debian's: the same dialogue, word for word.

Where ours differs on purpose, the manual page says so and the test is not in the lists of
pairs but below them.
"""
import contextlib
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from system import world

PORT_LOCK = threading.Lock()
AT_ONCE = 8
QUIET = 0.15  # seconds without input after which a server has said what it wants to


def user_option():
    return ["-u", "postfix"] if os.geteuid() == 0 else []


class Tool:
    """A program that runs in the background."""

    def __init__(self, *command):
        # Files: nobody reads a pipe while the program runs, and it would wait.
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=self.out, stderr=self.err)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def wait(self):
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self.process.returncode, self.text(self.out), self.text(self.err)

    @staticmethod
    def text(file):
        with file:
            file.seek(0)
            return file.read().decode()


def open_sink(program, options, target=None):
    """(tool, socket of a client)"""
    for _ in range(20):
        with PORT_LOCK:
            port = world.enter().port()
        tool = Tool(program, *user_option(), *options, target or f"127.0.0.1:{port}", "4000")
        for _ in range(200):
            if tool.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                if target:
                    client = socket.socket(socket.AF_UNIX)
                    try:
                        client.connect(target[5:])
                    except OSError:
                        client.close()
                        raise
                    return tool, client
                return tool, socket.create_connection(("127.0.0.1", port))
            time.sleep(0.01)
        status, _, err = tool.end()
        if "Address already in use" not in err:
            raise AssertionError(f"{program} {options}: {status} {err}")
    raise AssertionError("no port")


def heard(client, quiet=QUIET):
    """What the server says until it is quiet, b"<EOF>" at the end of it."""
    client.settimeout(quiet)
    said = b""
    try:
        while True:
            part = client.recv(65536)
            if not part:
                return said + b"<EOF>"
            said += part
    except socket.timeout:
        return said
    except ConnectionError:
        return said + b"<EOF>"


def talk(program, options, pieces, quiet=QUIET, target=None):
    tool, client = open_sink(program, options, target)
    answers = [heard(client, max(quiet, 0.2))]
    for piece in pieces:
        try:
            client.sendall(piece)
        except ConnectionError:
            break
        answers.append(heard(client, quiet))
        if answers[-1].endswith(b"<EOF>"):
            break
    client.close()
    return answers, tool.wait() if "-n" in options or "-M" in options else tool.end()


def lines(*texts):
    return [text.encode() + b"\r\n" for text in texts]


ENVELOPE = lines("MAIL FROM:<a@b>", "RCPT TO:<c@d>")
MESSAGE = [*ENVELOPE, *lines("DATA", "x", ".")]
ALL = lines("EHLO foo", "HELO foo", "VRFY x", "NOOP", "RSET", "MAIL FROM:<a>", "RCPT TO:<b>",
            "DATA", "x", ".", "MAIL FROM:<a>", "RCPT TO:<b>", "RCPT TO:<c>", "QUIT")
COMMANDS = ("connect", "helo", "ehlo", "mail", "rcpt", "data", ".", "quit", "noop", "rset",
            "vrfy", "auth")

DIALOGUES = [
    ([], lines("EHLO foo", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RCPT TO:<e@f>", "DATA")
     + [b"Subject: x\r\n\r\n..a\r\n.\r\n"]
     + lines("NOOP", "RSET", "VRFY x", "HELP", "", "xclient name=a", "XFORWARD NAME=x",
             "AUTH PLAIN xx", "AUTH LOGIN", "STARTTLS", "BDAT 3", "QUIT")),
    ([], lines("HELO foo", "RCPT TO:<c@d>", "DATA", "MAIL FROM:<a@b>", "DATA", "RCPT TO:<>",
               "MAIL FROM:<z>", "NOOP x", ".", "QUIT x")),
    ([], lines("MAIL FROM:<a@b>", "helo", "ehlo", "LHLO x", "MAIL", "MAIL FROM:x SIZE=4",
               "RCPT TO:x FOO", "RCPT", "DATA x")),
    ([], [b"EHLO a\r\nMAIL x\r\nRCPT y\r\nDATA\r\nfoo\r\n.\r\nQUIT\r\n"]),
    ([], [b"EHLO a\nMAIL x\nRCPT y\nDATA\nfoo\n.\nQUIT\n", b"\r\n"]),
    ([], [b"E" * 600 + b"\r\n", b"NOOP " + b"x" * 3000 + b"\r\n"]),
    ([], [b"EH", b"LO a", b"\r", b"\n", b"NO", b"OP\r", b"\n"]),
    (["-L"], lines("EHLO foo", "HELO foo", "LHLO foo") + ENVELOPE
     + lines("RCPT TO:<e@f>", "DATA", ".", "QUIT")),
    (["-L"], lines("LHLO a", ".", "MAIL", "RCPT a", "RCPT b", "RSET", ".", "MAIL", "RCPT x",
                   "LHLO", "DATA")),
    (["-L", "-f", "."], lines("LHLO a", "MAIL", "RCPT a", "RCPT b", "DATA", ".", "MAIL x")),
    (["-L", "-r", "data"], lines("LHLO a", "MAIL", "RCPT a", "RCPT b", "DATA", ".")),
    (["-8", "-a", "-C", "-F", "-E", "-N", "-p"],
     lines("EHLO foo", "XCLIENT a", "XFORWARD a", "AUTH a")),
    (["-e"], lines("EHLO foo", "HELO foo", "AUTH x", "XCLIENT x")),
    (["-P"], lines("EHLO foo", "HELO foo")),
    (["-h", "host.name"], lines("HELO x", "EHLO x", "QUIT")),
    (["-f", "rcpt", "-r", "rcpt"], lines("HELO a", "MAIL x", "RCPT a")),
    (["-f", "rcpt data,mail", "-B", "599 9.9.9 no", "-b", "499 foo"],
     lines("HELO a", "MAIL x", "RCPT a")),
    (["-r", "rcpt", "-b", "499 foo"], lines("HELO a", "MAIL x", "RCPT a")),
    (["-A", "0"], lines("HELO a", *("MAIL x", "RCPT a", "DATA"))),
    (["-p"], [b"MAIL x\r\nRCPT y\r\nDATA\r\nfoo\r\n.\r\nQUIT\r\n"]),
    (["-n", "1", "-c"], MESSAGE + lines("QUIT")),
]

REFUSED = [
    (["-f", "bogus"], "unknown command: bogus"),
    (["-b", "599 bad"], "bad soft error reply: 599 bad"),
    (["-B", "450 x"], "bad hard error reply: 450 x"),
    (["-b", "45"], "bad soft error reply: 45"),
    (["-W", "bogus:1"], "unknown command: bogus"),
    (["-W", "mail"], "invalid command delay argument: mail"),
    (["-W", "mail:1:100"], "delay odds for 'mail' out of range"),
    (["-t", "0"], "bad timeout: 0"),
    (["-m", "0"], "bad concurrency limit: 0"),
    (["-x"], "usage:"),
]

DUMPS = [
    ([], lines("MAIL FROM:<a@b>  BODY=8BITMIME ", "RCPT  TO:<c@d>",
               "RCPT TO:<e@f> NOTIFY=NEVER", "DATA")
     + [b"Subject: x\r\n\r\n..a\r\nbare\nlf\rcr\r\n.\r\n"]
     + lines("EHLO  my.name x", "MAIL z", "RCPT y", "DATA", "2nd", ".", "MAIL q", "RSET",
             "MAIL FROM:<third>", "RCPT r", "DATA", "unfinished")),
    ([], lines("HELO  a b ", "MAIL FROM:  <x y>", "RCPT TO <x>", "DATA", "b", ".",
               "MAIL a b c:d", "RCPT TO: <r>", "DATA", "b", ".", "EHLO", "MAIL:x y",
               "RCPT TO:a:b ", "MAIL From : x", "RCPT x:", "DATA", "b", ".")),
    (["-r", "."], lines("HELO a") + MESSAGE),
    (["-q", "."], lines("HELO a") + MESSAGE),
    (["-f", "rcpt"], lines("HELO a") + MESSAGE),
    (["-L"], lines("LHLO a") + MESSAGE),
    (["-h", "h.example", "-S", "\\x\\8\\1012\\q\\n"],
     lines("HELO a", "MAIL FROM:<a>", "RCPT TO:<r>", "DATA", "a", "", ".b", "..", "...c")
     + [b"l1\rl2\nl3\n.\r\nl4\r\n.\nl5\r.\r\n", b"..\r\r\n.\r\n"]),
]


class AtOnce(unittest.TestCase):
    def at_once(self, jobs):
        """Many (name, function) at the same time, for each waits most of the time."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            todo = [(name, pool.submit(function)) for name, function in jobs]
            for name, result in todo:
                with self.subTest(case=name):
                    result.result()

class SinkBesideOracle(AtOnce):
    def setUp(self):
        self.oracle = os.path.join(world.need_oracle().oracle, "usr/sbin/smtp-sink")
        self.ours = os.path.join(world.need_build("bin/smtp-sink").build, "bin/smtp-sink")

    def compare(self, options, pieces, **more):
        want, want_end = talk(self.oracle, options, pieces, **more)
        got, got_end = talk(self.ours, options, pieces, **more)
        self.assertEqual(got, want, f"{options} {pieces}")
        self.assertEqual(got_end[:2], want_end[:2], f"{options} {pieces}")

    def compare_all(self, cases, **more):
        self.at_once((case, lambda case=case: self.compare(*case, **more)) for case in cases)

    def test_dialogues(self):
        self.compare_all(DIALOGUES)

    def test_rules(self):
        self.compare_all(([option, command],
                          lines("AUTH x") + ALL if command == "auth" else ALL)
                         for option in ("-f", "-r", "-q", "-Q") for command in COMMANDS)

    def test_delays(self):
        begin = time.monotonic()
        self.compare_all(((options, lines("HELO a") + MESSAGE)
                          for options in (["-w", "1"], ["-W", "data:1"], ["-H", "1"],
                                          ["-A", "1"])), quiet=1.5)
        self.assertGreater(time.monotonic() - begin, 2)

    def test_timeout(self):
        answers, (_, _, err) = talk(self.ours, ["-t", "1"], [], quiet=2)
        self.assertEqual(answers, [b"220 smtp-sink ESMTP\r\n<EOF>"])
        self.assertIn("read timeout", err)

    def test_command_line(self):
        def check(program, options, text):
            status, _, err = Tool(program, *user_option(), *options, "127.0.0.1:1",
                                  "5").wait()
            self.assertEqual(status, 1)
            self.assertIn(text, err)

        self.at_once(((program, options), lambda a=(program, options, text): check(*a))
                     for options, text in REFUSED for program in (self.oracle, self.ours))

    def dump(self, program, options, pieces, option):
        """The captured files in order, with what differs each time blotted out."""
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            template = os.path.join(folder, "%Y/part." if option == "-d" else "all")
            if option == "-d":
                os.mkdir(os.path.join(folder, time.strftime("%Y")))
                os.chmod(os.path.join(folder, time.strftime("%Y")), 0o777)
            answers, _ = talk(program, [option, template, *options], pieces)
            texts = []
            for root, _, names in os.walk(folder):
                for name in names:
                    with open(os.path.join(root, name), newline="", encoding="ascii") as f:
                        text = f.read()
                    if not text:
                        continue  # the oracle's, of a message that was cut short
                    if option == "-d":
                        self.assertIn(f" id {name[-8:]};", text)
                    text = re.sub(r"\b[0-9a-f]{8};", "ID;", text)
                    texts.append(re.sub(r"\d\d:\d\d:\d\d", "TIME", text))
            return answers, sorted(texts)

    def test_dumps(self):
        found = []

        def check(options, pieces, option):
            want = self.dump(self.oracle, options, pieces, option)
            self.assertEqual(self.dump(self.ours, options, pieces, option), want)
            found.extend(want[1])

        self.at_once(((option, *case), lambda a=(*case, option): check(*a))
                     for option in ("-d", "-D") for case in DUMPS)
        self.assertGreater(len(found), 10)

    def test_dump_of_other_families(self):
        pieces = lines("HELO a") + MESSAGE
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            texts = []
            for name, program in (("oracle", self.oracle), ("ours", self.ours)):
                target = f"unix:{folder}/{name}.sock"
                talk(program, ["-D", f"{folder}/{name}"], pieces, target=target)
                with open(f"{folder}/{name}", encoding="ascii") as f:
                    text = re.sub(r"\b[0-9a-f]{8};", "ID;", f.read())
                texts.append(re.sub(r"\d\d:\d\d:\d\d", "TIME", text))
            self.assertEqual(texts[1], texts[0])


class Server:
    """A server for smtp-source that notes what it is told."""

    def __init__(self, replies=None, unix=None):
        self.replies = replies or {}
        self.heard = []
        self.threads = []
        if unix:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(unix)
            self.target = "unix:" + unix
        else:
            self.socket = socket.create_server(("127.0.0.1", 0))
            self.target = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen(50)
        self.acceptor = threading.Thread(target=self._accept)
        self.acceptor.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            note = []
            self.heard.append(note)
            thread = threading.Thread(target=self._serve, args=(connection, note))
            thread.start()
            self.threads.append(thread)

    def _serve(self, connection, note):
        recipients = 0

        def say(key, text, times=1):
            text = self.replies.get(key, text)
            if text is None:
                raise ConnectionError
            connection.sendall((text.replace("|", "\r\n") + "\r\n").encode() * times)
            return text

        with connection, connection.makefile("rb") as f, \
                contextlib.suppress(ConnectionError):
            say("GREETING", "220 srv ESMTP")
            while True:
                line = f.readline()
                note.append(line)
                command = line[:4].upper().decode().strip()
                if not line:
                    return
                if command in ("LHLO", "MAIL"):
                    recipients = 0
                    lmtp = command == "LHLO" or note[0].startswith(b"LHLO")
                if command == "RCPT":
                    recipients += 1
                if command != "DATA":
                    say(command, "221 bye" if command == "QUIT" else "250 ok")
                    if command == "QUIT":
                        return
                elif say("DATA", "354 go").startswith("3"):
                    while line not in (b".\r\n", b""):
                        line = f.readline()
                        note.append(line)
                    say(".", "250 ok", recipients if lmtp else 1)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.acceptor.join()
        for thread in self.threads:
            thread.join(5)


FIXED = ["-M", "h.example"]
SENT = [
    ([], {}), (["-f", "a@b", "-t", "c@d", "-S", "subj", "-l", "200"], {}),
    (["-l", "1"], {}), (["-l", "80"], {}), (["-l", "81"], {}), (["-l", "8100"], {}),
    (["-f", ""], {}), (["-m", "2"], {}), (["-m", "3", "-d"], {}), (["-c", "-m", "2"], {}),
    (["-r", "3", "-t", "x@y"], {}), (["-N", "-r", "2", "-m", "2", "-t", "x@y"], {}),
    (["-N", "-m", "3", "-t", "x@y"], {}), (["-o"], {}), (["-o", "-L"], {}),
    (["-L", "-r", "2"], {}), (["-4"], {}), (["-T", "1000"], {}),
    ([], {"GREETING": "220 plain"}), ([], {"GREETING": "220-a|220 b ESMTP"}),
    ([], {"GREETING": "554 no"}), (["-A"], {"GREETING": "454 no"}),
    ([], {"HELO": "500 no"}), (["-A", "-L"], {"LHLO": "500 x"}),
    ([], {"MAIL": "450 no"}), (["-A"], {"MAIL": "450 no"}),
    ([], {"RCPT": "550 no"}), (["-A", "-m", "2"], {"RCPT": "550 no"}),
    (["-A", "-m", "2", "-d"], {"DATA": "450 no"}), ([], {".": "450 no"}),
    (["-A", "-d", "-m", "2"], {".": "450 no"}), (["-A"], {"MAIL": None}),
    ([], {".": None}), ([], {"QUIT": "500 x"}),
]
SOURCE_REFUSED = [
    (["-l", "0"], "bad message length: 0"), (["-m", "x"], "bad message count: x"),
    (["-r", "0"], "bad recipient count: 0"), (["-s", "0"], "bad session count: 0"),
    (["-C", "0"], "bad connection count: 0"),
    (["-l", "5", "-F", "f"], "-l option cannot be used with -F"),
    (["-F", "/nonexistent"], "open /nonexistent: No such file or directory"),
    (["-x"], "usage:"), ([], "Connection refused"),
]


def smooth(data):
    """What differs in each run."""
    data = re.sub(rb"<[0-9a-f]+\.[0-9a-f]+\.([0-9a-f]+@)", rb"<PID.FD.\1", data)
    data = re.sub(rb"\d\d:\d\d:\d\d \+", b"TIME +", data)
    # The built-in text is each program's own, of the same size.
    return re.sub(rb"(?m)^(?:Test text, line|La de da de da) (\d)\.?\r$", rb"TEXT \1\r", data)


class SourceBesideOracle(AtOnce):
    def setUp(self):
        self.oracle = os.path.join(world.need_oracle().oracle, "usr/sbin/smtp-source")
        self.ours = os.path.join(world.need_build("bin/smtp-source").build,
                                 "bin/smtp-source")

    def send(self, program, options, replies, unix=None):
        server = Server(replies, unix)
        try:
            end = Tool(program, *FIXED, *options, server.target).wait()
        finally:
            server.close()
        heard_by_server = sorted(smooth(b"".join(note)) for note in server.heard)
        return heard_by_server, end[0], end[1], re.sub(r"\S*smtp-source: ", "", end[2])

    def test_what_is_sent(self):
        def check(options, replies):
            want = self.send(self.oracle, options, replies)
            self.assertEqual(self.send(self.ours, options, replies), want)
            self.assertTrue(want[0])

        self.at_once((case, lambda case=case: check(*case)) for case in SENT)

    def test_unix_domain(self):
        with tempfile.TemporaryDirectory() as folder:
            want = self.send(self.oracle, ["-L"], {}, f"{folder}/a")
            self.assertEqual(self.send(self.ours, ["-L"], {}, f"{folder}/b"), want)

    def test_command_line(self):
        def check(program, options, text):
            status, _, err = Tool(program, *options, "127.0.0.1:1").wait()
            self.assertEqual(status, 1)
            self.assertIn(text, err)

        self.at_once(((program, options), lambda a=(program, options, text): check(*a))
                     for options, text in SOURCE_REFUSED
                     for program in (self.oracle, self.ours))


class OursAlone(unittest.TestCase):
    """Where we differ on purpose, and loads."""

    def setUp(self):
        build = world.need_build("bin/smtp-sink", "bin/smtp-source").build
        self.sink = os.path.join(build, "bin/smtp-sink")
        self.source = os.path.join(build, "bin/smtp-source")

    def test_last_message_is_answered(self):
        answers, (status, _, _) = talk(self.sink, ["-M", "1"], lines("HELO a") + MESSAGE)
        self.assertEqual(answers[-1], b"250 2.0.0 Ok\r\n<EOF>")
        self.assertEqual(status, 0)

    def test_waits_between_messages_on_one_connection(self):
        for options in (["-w", "1"], ["-R", "1"]):
            server = Server()
            status, _, _ = Tool(self.source, "-d", "-m", "2", *options,
                                server.target).wait()
            server.close()
            self.assertEqual(status, 0)
            self.assertEqual(b"".join(server.heard[0]).count(b"MAIL FROM"), 2)

    def test_file_is_sent_as_it_is(self):
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as f:
            f.write("Subject: f\n\n.dot\n..two\nno line end")
            f.flush()
            server = Server()
            status, _, _ = Tool(self.source, *FIXED, "-F", f.name, server.target).wait()
            server.close()
        self.assertEqual(status, 0)
        self.assertIn(b"DATA\r\nSubject: f\r\n\r\n..dot\r\n...two\r\nno line end\r\n.\r\nQUIT",
                      b"".join(server.heard[0]))

    def test_connect_is_tried_again(self):
        _, _, err = Tool(self.source, "-C", "3", "127.0.0.1:1").wait()
        self.assertEqual(err.count("Connection refused"), 3)

    def test_two_dumps_at_a_time_do_not_mix(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            tool, client = open_sink(self.sink, ["-D", f"{folder}/all", "-m", "200"])
            address = client.getpeername()
            client.close()
            status, _, err = Tool(self.source, "-s", "20", "-m", "200", "-l", "40000",
                                  f"127.0.0.1:{address[1]}").wait()
            self.assertEqual((status, err), (0, ""))
            tool.end()
            with open(f"{folder}/all", encoding="ascii") as f:
                parts = f.read().split("X-Client-Addr: ")[1:]
            self.assertEqual(len(parts), 200)
            self.assertEqual({len(part) for part in map(self.without_id, parts)},
                             {len(self.without_id(parts[0]))})

    @staticmethod
    def without_id(text):
        return re.sub(r"Message-Id: .*\n", "", text)

    def test_thousands_of_sessions(self):
        count = 3000
        tool, client = open_sink(self.sink, ["-m", str(count + 10), "-c", "-n",
                                             str(count + 1)])
        port = client.getpeername()[1]
        # This one is there all the time, so that the sink ends after it.
        status, _, err = Tool(self.source, "-s", str(count), "-m", str(count),
                              f"127.0.0.1:{port}").wait()
        self.assertEqual((status, err), (0, ""))
        client.close()
        status, out, err = tool.wait()
        self.assertEqual((status, err), (0, ""))
        self.assertTrue(out.endswith(f"sess={count + 1} quit={count} mesg={count}\r"),
                        out[-80:])

    def test_root_needs_a_user(self):
        if os.geteuid() != 0:
            self.skipTest("not root")
        status, _, err = Tool(self.sink, "127.0.0.1:1", "5").wait()
        self.assertEqual(status, 1)
        self.assertIn("-u option is required", err)


if __name__ == "__main__":
    unittest.main()
