# SPDX-License-Identifier: Apache-2.0
"""A mail system in a directory of its own: ours, or Debian's Postfix (the oracle).

    with Instance(relayhost="[127.0.0.1]:10026") as mta:
        mta.sendmail(b"Subject: hello\n\nhello\n", "a@example.org", sender="b@example.org")
        mta.log.wait("smtp: .*status=sent")

Both kinds take the same keywords: parameters of main.cf (a value of None leaves one out)
and `services=`, lines of master.cf that replace those of the same name and type; `where=` is
a directory for it, if not on the private world's tmpfs; `environment=`, variables for all
its programs. Leaving the `with` stops it, kills
what does not stop, and fails if something had to be killed.
"""
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import world
from .maillog import Maillog

MASTER_CF = """\
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""

# Ours serves these services without a process, or does not have them yet.
NOT_OURS = {"rewrite", "scache"}


class Instance:
    """Ours; see OracleInstance. Made stopped; `with` or start() starts it."""
    kind = "ours"

    def __init__(self, name="", services="", where=None, environment=None, **parameters):
        self.world = self._need()
        self.dir = tempfile.mkdtemp(prefix=f"{self.kind}-{name}",
                                    dir=where or self.world.dir)
        os.chmod(self.dir, 0o755)
        self.config = os.path.join(self.dir, "etc")
        self.queue = os.path.join(self.dir, "spool")
        self.data = os.path.join(self.dir, "data")
        for path in (self.config, self.queue, self.data):
            os.mkdir(path)
        self.world.add_config_directory(self.config)
        if self.world.root:
            os.chown(self.data, pwd.getpwnam("postfix").pw_uid, -1)
            os.chmod(self.data, 0o700)
        self.log = Maillog(os.path.join(self.dir, "maillog"))
        self.parameters = {**self._defaults(), **self._places(), **parameters}
        self.services = self._master_cf(services)
        self.environment = dict(environment or {})
        self.started = False
        self.write()

    # Where things are; the only differences between the two kinds.

    def _need(self):
        return world.need_build("bin/postfix", "libexec/master")

    def _places(self):
        build = self.world.build
        return {
            "command_directory": os.path.join(build, "bin"),
            "daemon_directory": os.path.join(build, "libexec"),
            "sendmail_path": os.path.join(build, "bin", "sendmail"),
            "mailq_path": os.path.join(build, "bin", "mailq"),
            "newaliases_path": os.path.join(build, "bin", "newaliases"),
        }

    def _has_service(self, line):
        return line.split()[0] not in NOT_OURS

    def _defaults(self):
        values = {
            "compatibility_level": "3.6",
            "queue_directory": self.queue,
            "data_directory": self.data,
            "maillog_file": self.log.path,
            "maillog_file_prefixes": self.dir,
            "myhostname": f"{self.kind}.example.net",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "alias_maps": "",
            "alias_database": "",
            "html_directory": "no",
            "readme_directory": "no",
        }
        if not self.world.root:
            values["mail_owner"] = pwd.getpwuid(os.geteuid()).pw_name
        return values

    def _master_cf(self, extra):
        """Standard services; a line of `extra` replaces its namesake."""
        def key(line):
            return tuple(line.split()[:2])

        logical = re.sub(r"\n[ \t]+", " ", extra.strip("\n")).splitlines()
        names = {key(line) for line in logical}
        kept = [line for line in MASTER_CF.splitlines()
                if self._has_service(line) and key(line) not in names]
        return "\n".join(kept + logical) + "\n"

    # Configuration

    def write(self):
        """Write main.cf and master.cf from self.parameters and self.services."""
        with open(os.path.join(self.config, "main.cf"), "w", encoding="utf-8") as f:
            for key, value in self.parameters.items():
                if value is not None:
                    f.write(f"{key} = {value}\n")
        with open(os.path.join(self.config, "master.cf"), "w", encoding="utf-8") as f:
            f.write(self.services)

    def configure(self, **parameters):
        """Change main.cf (not the running system: reload() does that)."""
        self.parameters.update(parameters)
        self.write()

    # Programs

    def program(self, name):
        return os.path.join(self.parameters["command_directory"], name)

    def run(self, name, *args, stdin=None, check=True, timeout=60, user=None, env=None):
        """Run a command of this mail system on this configuration; CompletedProcess with
        bytes. `user`: run as this user of the private world."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C",
                       "MAIL_CONFIG": self.config}
        environment.update({k: v for k, v in os.environ.items()
                            if k.startswith(("HIKYAKU_FAULT", "ASAN_", "UBSAN_", "LSAN_", "TZ"))})
        environment.update(self.environment)
        environment.update(env or {})
        extra = {}
        if user is not None:
            entry = pwd.getpwnam(user)
            extra = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        result = subprocess.run([self.program(name), *args], capture_output=True,
                                input=b"" if stdin is None else stdin, env=environment,
                                cwd="/", timeout=timeout, check=False, **extra)
        if check and result.returncode != 0:
            raise AssertionError(
                f"{name} {' '.join(args)}: exit {result.returncode}\n"
                + (result.stdout + result.stderr).decode("utf-8", "replace"))
        return result

    def postfix(self, *command, check=True):
        return self.run("postfix", "-c", self.config, *command, check=check)

    def sendmail(self, message, *recipients, sender=None, options=(), check=True, **more):
        """Submit through this system's sendmail."""
        args = ["-i", *options]
        if sender is not None:
            args += ["-f", sender]
        return self.run("sendmail", *args, "--", *recipients, stdin=message, check=check,
                        **more)

    def postconf(self, *args):
        return self.run("postconf", "-c", self.config, *args).stdout.decode()

    # Life

    def start(self):
        self.started = True
        self.postfix("start")
        self.log.wait(r"master: daemon started", 20)
        return self

    def stop(self):
        if self.master_pid() is not None:
            self.postfix("stop")
        self.started = False

    def reload(self):
        self.log.mark()
        self.postfix("reload")
        self.log.wait(r"master: reload ", 20)

    def master_pid(self):
        """The pid of the running master, or None."""
        try:
            with open(os.path.join(self.queue, "pid", "master.pid"), encoding="ascii") as f:
                pid = int(f.read())
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return pid if b"master" in f.read().split(b"\0")[0] else None
        except (OSError, ValueError):
            return None

    def processes(self):
        """{pid: program} of master and all below it."""
        master = self.master_pid()
        found = {}
        for pid in [master, *world.children(master)] if master else []:
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                    found[pid] = f.read().strip()
            except OSError:
                pass
        return found

    def kill(self, program="", sig=signal.SIGKILL):
        """Send a signal to all processes of this instance with this name (all if empty);
        the pids."""
        pids = [pid for pid, name in self.processes().items() if program in ("", name)]
        for pid in pids:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass
        return pids

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.stop()
        finally:
            left = self.remove(kind is not None)
        if kind is None and left:
            raise AssertionError(f"processes left after stop: {left}")

    def remove(self, failed=False):
        """Kill what still runs and delete the directory. With HIKYAKU_KEEP=DIR a failed
        test's directory is kept there. The names of what ran."""
        left = self.processes()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        keep = os.environ.get("HIKYAKU_KEEP")
        if failed and keep:
            target = os.path.join(keep, os.path.basename(self.dir))
            subprocess.run(["cp", "-a", self.dir, target], check=False)
            print(f"kept: {target}")
        shutil.rmtree(self.dir, ignore_errors=True)
        return list(left.values())

    # The queue

    def queue_files(self, *queues):
        """{queue: [ids]} of the message files; all message queues if none is named."""
        queues = queues or ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
        found = {}
        for queue in queues:
            found[queue] = [name for _, _, names in os.walk(os.path.join(self.queue, queue))
                            for name in names]
        return found

    def _is_ready(self, queue):
        """For each file of a queue, whether it is a message (x bit) or one in the making."""
        for folder, _, names in os.walk(os.path.join(self.queue, queue)):
            for name in names:
                try:
                    yield os.stat(os.path.join(folder, name)).st_mode & 0o100 != 0
                except FileNotFoundError:
                    pass

    def queued(self):
        """How many messages there are outside corrupt/. A file that is still being written
        is none yet: what it is made from is counted, and if its writer died it never
        becomes one."""
        return sum(sum(self._is_ready(queue))
                   for queue in ("maildrop", "incoming", "active", "deferred", "hold"))

    def unfinished(self):
        """How many files in incoming/ are no messages yet, or will never be."""
        return sum(not ready for ready in self._is_ready("incoming"))

    def queue_list(self):
        """postqueue -j: one dict per message."""
        out = self.run("postqueue", "-c", self.config, "-j").stdout.decode("utf-8", "replace")
        return [json.loads(line) for line in out.splitlines()]

    def flush(self):
        """Ask qmgr for what `postqueue -f` asks for: try everything now."""
        for service, request in (("pickup", b"W"), ("qmgr", b"FADI")):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(os.path.join(self.queue, "public", service))
                try:
                    s.sendall(request)
                except BrokenPipeError:
                    pass  # pickup needs no more than the connection

    def wait_deferred(self, count, seconds=30):
        """Wait until `count` messages lie in deferred/ and none is on its way there: a
        delivery is logged before its message has moved, and what is still moving is not
        asked for by flush()."""
        end = time.monotonic() + seconds
        while sum(self._is_ready("active")) or sum(self._is_ready("deferred")) != count:
            if time.monotonic() > end:
                raise AssertionError(f"not {count} deferred after {seconds} s: "
                                     f"{self.queue_files()}\n"
                                     + "\n".join(self.log.raw()[-30:]))
            time.sleep(0.02)

    def wait_empty(self, seconds=30):
        """Wait until nothing is queued."""
        end = time.monotonic() + seconds
        # Twice, as a file may move from where it was not yet looked for to where it was.
        while self.queued() or self.queued():
            if time.monotonic() > end:
                raise AssertionError(f"still queued after {seconds} s: {self.queue_files()}\n"
                                     + "\n".join(self.log.raw()[-30:]))
            time.sleep(0.02)


class OracleInstance(Instance):
    """Debian's Postfix. Needs root and namespaces; skips the test otherwise."""
    kind = "oracle"

    def _need(self):
        return world.need_oracle()

    def _places(self):
        root = self.world.oracle
        lib = os.path.join(root, "usr/lib/postfix")
        return {
            "command_directory": os.path.join(root, "usr/sbin"),
            "daemon_directory": os.path.join(lib, "sbin"),
            "shlib_directory": lib,
            "meta_directory": os.path.join(root, "etc/postfix"),
            "sendmail_path": os.path.join(root, "usr/sbin/sendmail"),
            "mailq_path": os.path.join(root, "usr/bin/mailq"),
            "newaliases_path": os.path.join(root, "usr/bin/newaliases"),
            "manpage_directory": os.path.join(root, "usr/share/man"),
        }

    def _has_service(self, line):
        return True
