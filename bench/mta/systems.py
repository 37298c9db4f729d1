# SPDX-License-Identifier: Apache-2.0
"""The mail systems: Hikyaku, and Debian's Postfix, Exim and OpenSMTPD, which ./dev bench
unpacks under build/ and nobody installs. Each has a folder, a control group and a port of
its own, its stock settings where they allow the load at all (`changed` says what else), and
two routes: down.example to DOWN_HOST, port .down_hop, everything else to .hop.

    with HikyakuSystem(settings) as system: ...
"""
import contextlib
import glob
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

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test"))
for _name, _path in (("BUILD", "release"), ("ORACLE", "oracle/root"), ("PEERS", "peers/root")):
    os.environ.setdefault(f"HIKYAKU_{_name}", os.path.join(ROOT, "build", _path))
if not os.path.isdir(os.environ["HIKYAKU_ORACLE"]):
    os.environ["HIKYAKU_ORACLE"] = ""

from system import world                                      # noqa: E402
from system.instance import Instance, OracleInstance          # noqa: E402

from .meter import Group                                      # noqa: E402

ORACLE, PEERS = os.environ["HIKYAKU_ORACLE"], os.environ["HIKYAKU_PEERS"]
DEBS = {"oracle": os.path.dirname(ORACLE),
        "peers": os.path.dirname(PEERS)}
MISSING = "Debian's package is not there"
SENDER, RECIPIENT, DOWN = "s@example.net", "r@example.org", "r@down.example"
# Another address, as some remember which ones are down and do not look at the port.
DOWN_HOST = "127.0.0.2"


class Unable(Exception):
    """This system cannot do this; the text says why, and goes into the table's notes."""


class Absent(Unable):
    """It is known that this system does not have this."""


def accept(port, seconds, host="127.0.0.1"):
    """Wait until a server greets there."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), \
                socket.create_connection((host, port), timeout=5) as s:
            if s.recv(512).startswith(b"220"):
                s.sendall(b"QUIT\r\n")
                return
        if time.monotonic() > end:
            raise Unable("does not answer")
        time.sleep(0.01)


def debian_version(where, package):
    found = glob.glob(os.path.join(DEBS[where], f"{package}_*.deb"))
    return os.path.basename(found[0]).split("_")[1] if found else "?"


class System:
    """One of them, made stopped. settings: see run.Settings; tls: encrypt in and out."""
    name = ""
    changed = ""          # against its stock settings, for the table's notes
    most_sessions = 1000  # that may begin at the same moment

    def __init__(self, settings, tls=False, **parameters):
        w = world.enter()
        self.settings, self.tls, self.parameters = settings, tls, parameters
        self.port, self.hop, self.down_hop = w.port(), w.port(), w.port()
        self.dir = tempfile.mkdtemp(prefix=self.name.lower(), dir=settings.where)
        os.chmod(self.dir, 0o755)
        self.group = Group(self.name.lower())

    def __enter__(self):
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            self.stop()
            self.clean()
        finally:
            left = self.group.remove()
            shutil.rmtree(self.dir, ignore_errors=True)
        if kind is None and left:
            raise Unable(f"{len(left)} processes did not end by themselves")

    def start(self):
        with self.group.inside():
            self.launch()
        accept(self.port, 30)

    def environment(self):
        return dict(os.environ)

    # What each has of its own.

    def prepare(self):
        """Write the configuration."""

    def launch(self):
        """Start the daemon, in the group."""

    def stop(self):
        """End it; nothing happens if it does not run."""

    def clean(self):
        """Undo prepare()."""

    def queued(self):
        """Messages in the queue."""
        raise NotImplementedError

    def wait_deferred(self, count, seconds):
        """Wait until so many lie in the queue and nothing happens."""
        self.group.wait_quiet(seconds)
        if self.queued() != count:
            raise Unable(f"{self.queued()} of {count} messages are queued")

    def wait_empty(self, seconds):
        end = time.monotonic() + seconds
        while self.queued():
            if time.monotonic() > end:
                raise Unable(f"{self.queued()} messages stay in the queue")
            time.sleep(0.02)

    def program(self, what):
        """The words of a command: sendmail, mailq or flush."""
        raise NotImplementedError


class PostfixSystem(System):
    """Debian's Postfix."""
    name = "Postfix"
    changed = "more processes than 100 for the idle sessions; later retries for growth"
    make = OracleInstance
    more_services = "tlsmgr unix - - n 1000? 1 tlsmgr"

    @staticmethod
    def version():
        return debian_version("oracle", "postfix")

    @staticmethod
    def why_not():
        return None if ORACLE else MISSING

    def prepare(self):
        tls = {}
        if self.tls:
            tls = {"smtpd_tls_security_level": "may", "smtp_tls_security_level": "encrypt",
                   "smtpd_tls_cert_file": self.settings.certificate,
                   "smtpd_tls_key_file": self.settings.key, "smtp_tls_loglevel": "0"}
        self.mta = self.make(
            where=self.dir, relayhost=f"[127.0.0.1]:{self.hop}",
            transport_maps=f"inline:{{down.example=smtp:[{DOWN_HOST}]:{self.down_hop}}}",
            services=f"127.0.0.1:{self.port} inet n - n - - smtpd\n{self.more_services}",
            **{**tls, **self.parameters})

    def launch(self):
        self.mta.start()

    def stop(self):
        if hasattr(self, "mta") and self.mta.master_pid() is not None:
            self.mta.stop()

    def clean(self):
        if hasattr(self, "mta"):
            self.mta.remove()

    def queued(self):
        return self.mta.queued()

    def wait_deferred(self, count, seconds):
        self.mta.wait_deferred(count, seconds)

    def environment(self):
        return {**os.environ, "MAIL_CONFIG": self.mta.config}

    def program(self, what):
        words = {"sendmail": ["sendmail", "-i", "-f", SENDER], "mailq": ["postqueue", "-p"],
                 "flush": ["postqueue", "-f"]}[what]
        return [self.mta.program(words[0]), *words[1:]]


class HikyakuSystem(PostfixSystem):
    """Ours, with the same configuration."""
    name = "Hikyaku"
    make = Instance
    more_services = ""

    @staticmethod
    def version():
        result = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                                capture_output=True, text=True, check=False)
        return result.stdout.strip() or "?"

    @staticmethod
    def why_not():
        return None


def peer(path):
    return os.path.join(PEERS, path)


def add_account(user, group):
    """In the world's own /etc."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(user)
    taken = {p.pw_uid for p in pwd.getpwall()}
    with open("/etc/group", encoding="utf-8") as f:
        taken |= {int(line.split(":")[2]) for line in f}
    number = next(i for i in range(700, 1000) if i not in taken)
    with open("/etc/group", "a", encoding="utf-8") as f:
        f.write(f"{group}:x:{number}:\n")
    with open("/etc/passwd", "a", encoding="utf-8") as f:
        f.write(f"{user}:x:{number}:{number}:{user}:/nonexistent:/usr/sbin/nologin\n")
    return pwd.getpwnam(user)


class Foreground(System):
    """A mail system whose daemon stays our child."""
    daemon = None

    def run_daemon(self, *words):
        with open(os.path.join(self.dir, "daemon.log"), "ab") as log:
            self.daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, cwd="/")

    def stop(self):
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(30)
            self.daemon = None
            end = time.monotonic() + 10
            while self.group.pids() and time.monotonic() < end:
                time.sleep(0.02)


EXIM = """\
exim_path = {program}
spool_directory = {dir}/spool
log_file_path = {dir}/log/%slog
pid_file_path = {dir}/exim.pid
primary_hostname = exim.example.net
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
tls_advertise_hosts = {tls_hosts}
{tls}
acl_smtp_rcpt = permit
acl_smtp_data = permit
smtp_accept_max = {sessions}
smtp_connect_backlog = 1000
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
begin acl
permit:
  accept
begin routers
down:
  driver = manualroute
  domains = down.example
  route_list = * 127.0.0.2
  self = send
  transport = to_down
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = to_all
begin transports
to_down:
  driver = smtp
  port = {down_hop}
  allow_localhost
to_all:
  driver = smtp
  port = {hop}
  allow_localhost
  {tls_out}
begin retry
* * F,2h,15m
"""


class EximSystem(Foreground):
    """Debian's Exim (light), which delivers each message when it has come."""
    name = "Exim"
    changed = ("as many sessions (20), messages in one (10) and waiting connections (20) as "
               "the load has")

    @staticmethod
    def version():
        return debian_version("peers", "exim4-daemon-light")

    @staticmethod
    def why_not():
        return None if os.path.exists(peer("usr/sbin/exim4")) \
            else MISSING

    def prepare(self):
        user = add_account("Debian-exim", "Debian-exim")
        w = world.enter()
        self.binary = os.path.join(w.dir, "exim4")
        shutil.copyfile(peer("usr/sbin/exim4"), self.binary)
        os.chmod(self.binary, 0o4755)
        for name in ("spool", "log"):
            os.mkdir(os.path.join(self.dir, name))
            os.chown(os.path.join(self.dir, name), user.pw_uid, user.pw_gid)
        tls = tls_out = ""
        if self.tls:
            key = os.path.join(self.dir, "key.pem")
            shutil.copyfile(self.settings.key, key)
            os.chown(key, user.pw_uid, user.pw_gid)
            tls = (f"tls_certificate = {self.settings.certificate}\n"
                   f"tls_privatekey = {key}")
            tls_out = "hosts_require_tls = *\n  tls_verify_hosts =\n  tls_try_verify_hosts ="
        os.makedirs("/etc/exim4", exist_ok=True)
        # Programs that it starts find no other file of settings.
        with open("/etc/exim4/exim4.conf", "w", encoding="utf-8") as f:
            f.write(EXIM.format(program=self.binary, dir=self.dir, port=self.port,
                                hop=self.hop, down_hop=self.down_hop, tls=tls,
                                tls_out=tls_out, tls_hosts="*" if self.tls else "",
                                sessions=self.settings.idle + 100))

    def launch(self):
        self.run_daemon(self.binary, "-bdf", "-q30m")

    def queued(self):
        return sum(name.endswith("-H") for _, _, names in
                   os.walk(os.path.join(self.dir, "spool", "input")) for name in names)

    def program(self, what):
        return [self.binary, *{"sendmail": ["-i", "-f", SENDER], "mailq": ["-bp"],
                               "flush": ["-qff"]}[what]]


OPENSMTPD = """\
{tls}
smtp limit max-mails 1000000
listen on 127.0.0.1 port {port} {listen} hostname opensmtpd.example.net
action "down" relay host smtp+notls://127.0.0.2:{down_hop}
action "all" relay host {hop_url}
match from any for domain "down.example" action "down"
match from any for any action "all"
"""


class OpenSmtpdSystem(Foreground):
    """Debian's OpenSMTPD. Its places are built in, so other directories are mounted over
    /run, /var/spool and /var/lib of the private world."""
    name = "OpenSMTPD"
    most_sessions = 5
    changed = ("more messages in one session than 100; at most 5 sessions, as only so many "
               "connections may wait (listen(2)), and others hang")
    # Those that just come back from a failed try are not scheduled: again and again.
    FLUSH = ('while :; do for id in $("$0" show routes | cut -d. -f1); do '
             '"$0" resume route "$id"; done; "$0" schedule all; sleep 1; done')
    PLACES = ("/run", "/var/spool", "/var/lib")

    def __init__(self, *args, **parameters):
        super().__init__(*args, **parameters)
        self.mounted = []

    @staticmethod
    def version():
        return debian_version("peers", "opensmtpd")

    @staticmethod
    def why_not():
        return None if os.path.exists(peer("usr/sbin/smtpd")) \
            else MISSING

    def prepare(self):
        add_account("opensmtpd", "opensmtpd")
        queue = add_account("opensmtpq", "opensmtpq")
        for place in self.PLACES:
            mine = os.path.join(self.dir, place.replace("/", "-"))
            os.mkdir(mine)
            world.mount_over(place, mine)
            self.mounted.append(place)
        os.makedirs("/var/lib/opensmtpd/empty")
        self.bin = os.path.join(world.enter().dir, "opensmtpd")
        if not os.path.exists(self.bin):
            os.mkdir(self.bin)
            shutil.copyfile(peer("usr/sbin/smtpctl"), os.path.join(self.bin, "smtpctl"))
            os.chown(os.path.join(self.bin, "smtpctl"), 0, queue.pw_gid)
            os.chmod(os.path.join(self.bin, "smtpctl"), 0o2755)
            os.symlink("smtpctl", os.path.join(self.bin, "sendmail"))
            os.symlink("smtpctl", os.path.join(self.bin, "mailq"))
        tls = listen = ""
        hop = f"smtp+notls://127.0.0.1:{self.hop}"
        if self.tls:
            tls = (f'pki bench cert "{self.settings.certificate}"\n'
                   f'pki bench key "{self.settings.key}"')
            listen, hop = "tls pki bench", f'"smtp+tls://127.0.0.1:{self.hop}" tls no-verify'
        self.config = os.path.join(self.dir, "smtpd.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(OPENSMTPD.format(port=self.port, down_hop=self.down_hop, hop_url=hop,
                                     tls=tls, listen=listen))
        os.chmod(self.config, 0o600)

    def launch(self):
        self.run_daemon(peer("usr/sbin/smtpd"), "-d", "-f", self.config)

    def clean(self):
        while self.mounted:
            world.leave_disk(self.mounted.pop())

    def queued(self):
        # queue/ab/abcdef01/: an envelope for each recipient, and `message`
        return sum("message" in names
                   for _, _, names in os.walk("/var/spool/smtpd/queue"))

    def wait_deferred(self, count, seconds):
        # They count as on their way for some seconds after the failure.
        end = time.monotonic() + seconds
        while b"|inflight|" in command(self, "mailq"):
            if time.monotonic() > end:
                raise Unable(f"messages are still on their way after {seconds} s")
            time.sleep(1)
        super().wait_deferred(count, max(5, end - time.monotonic()))

    def program(self, what):
        control = os.path.join(self.bin, "smtpctl")
        return {"sendmail": [os.path.join(self.bin, "sendmail"), "-i", "-f", SENDER],
                "mailq": [os.path.join(self.bin, "mailq")],
                "flush": ["sh", "-c", self.FLUSH, control]}[what]


SYSTEMS = (HikyakuSystem, PostfixSystem, EximSystem, OpenSmtpdSystem)


def command(system, what, **more):
    """Run one of a system's commands in its group."""
    with system.group.inside():
        process = subprocess.Popen(system.program(what), env=system.environment(), cwd="/",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, **more)
    try:
        out, _ = process.communicate(timeout=system.settings.limit)
    except subprocess.TimeoutExpired as e:
        process.kill()
        process.wait()
        raise Unable(f"{what} takes more than {system.settings.limit} s") from e
    if process.returncode != 0:
        raise Unable(f"{what}: " + re.sub(r"\s+", " ", out.decode("utf-8", "replace"))[:200])
    return out
