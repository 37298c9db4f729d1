#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev demo: a message's way through a private instance, then the relay host table.

Everything happens below one temporary directory, on ports of 127.0.0.1 that nobody else uses;
as root the daemons run as user daemon, else as you. All that was started is stopped again.
"""
import contextlib
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from email.message import EmailMessage

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "test", "system"))
from dnsserver import DNSServer  # noqa: E402

BUILD = os.environ["HIKYAKU_BUILD"]
BIN = os.path.join(BUILD, "bin")
ROOT = os.geteuid() == 0
# An ordinary user's instance is owned by who runs it.
OWNER = "daemon" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
GROUP = "daemon" if ROOT else grp.getgrgid(os.getegid()).gr_name
WAIT = 20  # seconds that anything may take

MASTER_CF = """\
pickup  unix n - n 60  1 pickup
cleanup unix n - n -   0 cleanup
qmgr    unix n - n 300 1 qmgr
smtp    unix - - n -   - smtp
relay   unix - - n -   - smtp
error   unix - - n -   - error
retry   unix - - n -   - error
discard unix - - n -   - discard
bounce  unix - - n -   0 bounce
defer   unix - - n -   0 bounce
trace   unix - - n -   0 bounce
showq   unix n - n -   - showq
postlog unix-dgram n - n - 1 postlogd
"""


def say(text=""):
    print(text, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Sink:
    """One of our smtp-sink programs: a next hop."""

    def __init__(self, directory, *options):
        self.port = free_port()
        user = ["-u", OWNER, "-R", directory] if ROOT else []
        self.process = subprocess.Popen(
            [f"{BIN}/smtp-sink", *user, *options, f"127.0.0.1:{self.port}", "100"],
            cwd=directory, stderr=subprocess.PIPE)
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), \
                    socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"smtp-sink did not start: {self.process.stderr.read().decode()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT)
        self.process.stderr.close()


class Instance:
    """A mail system of our own."""

    def __init__(self, directory, **settings):
        self.directory = directory
        self.log = f"{directory}/maillog"
        self.seen = 0
        for name in ("etc", "spool", "data"):
            os.mkdir(f"{directory}/{name}")
        if ROOT:
            shutil.chown(f"{directory}/data", OWNER)
        self.settings = {
            "compatibility_level": "3.6",
            "myhostname": "mail.demo.example",
            "queue_directory": f"{directory}/spool",
            "data_directory": f"{directory}/data",
            "command_directory": os.path.abspath(BIN),
            "daemon_directory": os.path.abspath(f"{BUILD}/libexec"),
            "maillog_file": self.log,
            "maillog_file_prefixes": directory,
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mydestination": "",
            "mail_owner": OWNER,
            "setgid_group": GROUP,
            **settings,
        }
        with open(f"{directory}/etc/main.cf", "w", encoding="utf-8") as f:
            f.writelines(f"{name} = {value}\n" for name, value in self.settings.items())
        with open(f"{directory}/etc/master.cf", "w", encoding="utf-8") as f:
            f.write(MASTER_CF)

    def postfix(self, command):
        result = subprocess.run([f"{BIN}/postfix", "-c", f"{self.directory}/etc", command],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                                check=False)
        if result.returncode != 0:
            raise SystemExit(f"postfix {command}: {result.stdout.decode(errors='replace')}")

    def sendmail(self, message, sender, recipients):
        subprocess.run([f"{BIN}/sendmail", "-C", f"{self.directory}/etc", "-i", "-f", sender,
                        *recipients], input=message, check=True, timeout=WAIT)

    def lines(self):
        """New lines of the log since the last call."""
        with open(self.log, "rb") as f:
            f.seek(self.seen)
            data = f.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.seen += len(whole)
        return whole.decode("utf-8", "replace").splitlines()

    def wait_for(self, pattern, show=None):
        """The first line that matches; show is called with every line until then."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            for line in self.lines():
                if show:
                    show(line)
                if re.search(pattern, line):
                    return line
            time.sleep(0.05)
        raise SystemExit(f"nothing in the log matches {pattern}")


@contextlib.contextmanager
def running(parent, name, **settings):
    directory = os.path.join(parent, name)
    os.mkdir(directory, 0o755)
    instance = Instance(directory, **settings)
    instance.postfix("start")
    try:
        yield instance
    finally:
        instance.postfix("stop")


def japanese_message():
    m = EmailMessage()
    m["From"] = "花子 <hanako@demo.example>"
    m["To"] = "太郎 <taro@example.jp>"
    m["Subject"] = "飛脚がお手紙を届けます"
    m.set_content("拝啓\n\n初めてのお便りです。\n.\n一行の点も無事に届きますように。\n")
    m.add_attachment(bytes(range(256)) * 20, maintype="application",
                     subtype="octet-stream", filename="手紙.bin")
    return m.as_bytes()


def one_message(parent):
    say("1. A MIME message with a Japanese subject and an attachment, to the relay host")
    say()
    sinks = os.path.join(parent, "sinks")
    os.mkdir(sinks, 0o755)
    if ROOT:
        shutil.chown(sinks, OWNER)
    sink = Sink(sinks, "-d", "message.%M")
    try:
        with running(parent, "first", relayhost=f"[127.0.0.1]:{sink.port}") as instance:
            message = japanese_message()
            instance.sendmail(message, "hanako@demo.example", ["taro@example.jp"])
            say("   The maillog as it happens:")
            instance.wait_for(r"qmgr\[\d+\]: \w+: removed", lambda line: say("   " + line))
            say()
            say("   $ hikyaku trace taro@example.jp")
            result = subprocess.run([f"{BIN}/hikyaku", "trace", "taro@example.jp", instance.log],
                                    stdout=subprocess.PIPE, check=True, timeout=WAIT)
            for line in result.stdout.decode().splitlines():
                say("   " + line)
    finally:
        sink.stop()
    received = b"".join(open(os.path.join(sinks, name), "rb").read()
                        for name in os.listdir(sinks) if name.startswith("message."))
    body = message.split(b"\n\n", 1)[1].replace(b"\n", b"\r\n")
    same = body in received or body.replace(b"\r\n", b"\n") in received
    say()
    say(f"   At the other end the body is {'the same, byte for byte' if same else 'DIFFERENT'}.")
    if not same:
        raise SystemExit("the message was changed on its way")


# What the first hop does, as options of smtp-sink; None: nobody listens.
STATES = {
    "up": (),
    "down": None,
    "says 450": ("-r", "rcpt"),
    "says 550": ("-f", "rcpt"),
}

CASES = (
    (False, False, "This machine delivers to the destination itself; nothing else is tried."),
    (False, True, "It tries the destination; what cannot be reached or is put off goes to the "
                  "fallback."),
    (True, False, "Everything goes to the relay host, and retries go there too."),
    (True, True, "The relay host first; what fails there goes to the fallback."),
)


def play(parent, number, relay, fallback, state):
    """One message; what became of it, in a few words."""
    options = STATES[state]
    first = Sink(parent, *options) if options is not None else None
    first_port = first.port if first else free_port()
    second = Sink(parent)
    dns = DNSServer().start()
    dns.add("example.jp", "MX", "10 mx.example.jp")
    dns.add("mx.example.jp", "A", "127.0.0.1")
    settings = {"smtp_tcp_port": str(first_port), "resolver_nameservers": dns.nameserver}
    if relay:
        settings["relayhost"] = f"[127.0.0.1]:{first_port}"
    if fallback:
        settings["smtp_fallback_relay"] = f"[127.0.0.1]:{second.port}"
    try:
        with running(parent, f"case{number}", **settings) as instance:
            instance.sendmail(b"Subject: test\n\nhello\n", "hanako@demo.example",
                              ["taro@example.jp"])
            line = instance.wait_for(r"smtp\[\d+\]: \w+: to=<taro@example.jp>")
    finally:
        second.stop()
        if first:
            first.stop()
        dns.stop()
    status = re.search(r"status=(\w+)", line)[1]
    if status == "sent":
        return "sent to the fallback" if f":{second.port}," in line else "sent to the first hop"
    return {"deferred": "deferred: tried again later", "bounced": "returned to the sender"}[status]


EXPECTED = {  # (fallback, state)
    (False, "up"): "sent to the first hop",
    (False, "down"): "deferred: tried again later",
    (False, "says 450"): "deferred: tried again later",
    (False, "says 550"): "returned to the sender",
    (True, "up"): "sent to the first hop",
    (True, "down"): "sent to the fallback",
    (True, "says 450"): "sent to the fallback",
    (True, "says 550"): "returned to the sender",
}


def the_table(parent):
    say()
    say("2. relayhost and smtp_fallback_relay, with a first hop that is up, down, or refuses")
    number = 0
    for relay, fallback, words in CASES:
        say()
        say(f"   relayhost {'set' if relay else '-':4} fallback {'set' if fallback else '-':4} "
            f"{words}")
        for state in STATES:
            number += 1
            outcome = play(parent, number, relay, fallback, state)
            hop = "relay host" if relay else "destination"
            say(f"      {hop:11} {state:9} {outcome}")
            if outcome != EXPECTED[fallback, state]:
                raise SystemExit(f"expected: {EXPECTED[fallback, state]}")
    say()
    say("   A refusal for good (550) is never offered to the fallback: it is an answer.")


def main():
    parent = tempfile.mkdtemp(prefix="hikyaku-demo-")
    os.chmod(parent, 0o755)
    try:
        one_message(parent)
        the_table(parent)
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    say()
    say("Done; everything that was started is stopped.")


if __name__ == "__main__":
    main()
