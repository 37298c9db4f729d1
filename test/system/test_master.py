# SPDX-License-Identifier: Apache-2.0
"""master and postfix(1), with the test daemon echo in the place of mail daemons: start, stop,
reload, restarts, as root and as an ordinary user."""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from . import world
from .harness import Maillog, need_build

ECHO = "private/echo"
SERVICES = "echo unix - - n - - echo\n"


class Mta:
    """An instance with only these services; `user` runs it (None: who we are)."""

    def __init__(self, services=SERVICES, user=None, **parameters):
        self.world = need_build("bin/postfix", "libexec/master", "test/libexec/echo")
        self.dir = tempfile.mkdtemp(prefix="m", dir=self.world.dir)
        os.chmod(self.dir, 0o755)
        self.user = pwd.getpwnam(user) if user else None
        self.config, self.queue, self.data, self.libexec = (
            os.path.join(self.dir, name) for name in ("etc", "spool", "data", "libexec"))
        for path in (self.config, self.queue, self.data, self.libexec):
            os.mkdir(path)
        for folder in ("libexec", "test/libexec"):
            source = os.path.join(self.world.build, folder)
            for name in os.listdir(source):
                os.symlink(os.path.join(source, name), os.path.join(self.libexec, name))
        self.log = Maillog(os.path.join(self.dir, "maillog"))
        self.services = services
        owner = self.user.pw_name if self.user else \
            "postfix" if self.world.root else pwd.getpwuid(os.geteuid()).pw_name
        self.parameters = {
            "compatibility_level": "3.6",
            "queue_directory": self.queue,
            "data_directory": self.data,
            "daemon_directory": self.libexec,
            "command_directory": os.path.join(self.world.build, "bin"),
            "maillog_file": self.log.path,
            "maillog_file_prefixes": self.dir,
            "myhostname": "mta.example.net",
            "mail_owner": owner,
            "inet_interfaces": "127.0.0.1",
            **parameters}
        self.write()
        if self.world.root:
            os.chown(self.data, pwd.getpwnam(owner).pw_uid, -1)
        if self.user:
            for path in (self.dir, self.queue):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def write(self, **parameters):
        self.parameters.update(parameters)
        with open(os.path.join(self.config, "main.cf"), "w", encoding="ascii") as f:
            for key, value in self.parameters.items():
                f.write(f"{key} = {value}\n")
        with open(os.path.join(self.config, "master.cf"), "w", encoding="ascii") as f:
            f.write(self.services)

    def command(self, *args):
        program = os.path.join(self.world.build, "bin/postfix")
        return [program, "-c", self.config, *args]

    def _options(self):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
        environment.update({k: v for k, v in os.environ.items()
                            if k.startswith(("ASAN_", "UBSAN_", "LSAN_"))})
        options = {"env": environment, "cwd": "/"}
        if self.user:
            options.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        return options

    def postfix(self, *args, check=True):
        result = subprocess.run(self.command(*args), capture_output=True, timeout=30,
                                text=True, check=False, **self._options())
        if check and result.returncode != 0:
            raise AssertionError(f"{args}: exit {result.returncode}: {result.stderr}")
        return result

    def foreground(self, *args, **more):
        return subprocess.Popen(self.command(*args), **self._options(), **more)

    def pid(self):
        with open(os.path.join(self.queue, "pid/master.pid"), encoding="ascii") as f:
            return int(f.read())

    def wait_running(self, seconds=10):
        end = time.monotonic() + seconds
        while self.postfix("status", check=False).returncode != 0:
            if time.monotonic() > end:
                raise AssertionError("does not run")
            time.sleep(0.05)

    def connect(self, where=ECHO, seconds=10):
        """A connected socket to a service, by path or port; waits until it listens."""
        end = time.monotonic() + seconds
        while True:
            unix = isinstance(where, str)
            s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
            s.settimeout(seconds)
            try:
                s.connect(os.path.join(self.queue, where) if unix else
                          ("127.0.0.1", where))
                return s
            except OSError:
                s.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def ask(self, question, where=ECHO):
        with self.connect(where) as s:
            return ask(s, question)

    def __enter__(self):
        try:
            self.postfix("start")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, kind, value, trace):
        try:
            if self.postfix("status", check=False).returncode == 0:
                self.postfix("stop")
        finally:
            text = self.log.text()
            left = self.remove()
        if kind is None and left:
            raise AssertionError(f"processes left: {left}")
        if kind is None and "Sanitizer" in text:
            raise AssertionError(text)

    def remove(self):
        left = []
        for pid in self.processes():
            left.append(pid)
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.dir)
        return left

    def processes(self):
        """Pids whose working directory is our queue: master and its daemons."""
        found = []
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and os.readlink(f"/proc/{name}/cwd") == self.queue:
                    found.append(int(name))
            except OSError:
                pass
        return found

    def programs(self):
        """Their names."""
        found = []
        for pid in self.processes():
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                    found.append(f.read().strip())
            except OSError:
                pass
        return found


def ask(s, question):
    s.sendall(question.encode() + b"\n")
    data = b""
    while not data.endswith(b"\n"):
        more = s.recv(4096)
        if not more:
            break
        data += more
    return data.decode().rstrip("\n")


def wait_for(what, seconds=10):
    """Until what() is true; its value."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("did not happen")
        time.sleep(0.02)


class Life(unittest.TestCase):
    user = None

    def mta(self, *args, **more):
        return Mta(*args, user=self.user, **more)

    def test_start_status_stop(self):
        mta = self.mta()
        not_running = mta.postfix("status", check=False)
        self.assertEqual(not_running.returncode, 1)
        self.assertIn("postfix/postfix-script: the Postfix mail system is not running",
                      not_running.stderr)
        with mta:
            status = mta.postfix("status")
            self.assertIn(f"the Postfix mail system is running: PID: {mta.pid()}",
                          status.stderr)
            with open(os.path.join(mta.queue, "pid/master.pid"), "rb") as f:
                self.assertEqual(f.read(), b"%32d\n" % mta.pid())
            again = mta.postfix("start", check=False)
            self.assertEqual(again.returncode, 1)
            self.assertIn("fatal: the Postfix mail system is already running",
                          again.stderr)
            mta.postfix("stop")
            self.assertEqual(mta.postfix("status", check=False).returncode, 1)
            for command in ("stop", "abort", "reload", "drain", "flush"):
                result = mta.postfix(command, check=False)
                self.assertEqual(result.returncode, 1)
                self.assertIn("fatal: the Postfix mail system is not running",
                              result.stderr)
            text = mta.log.text()
            for line in (r"postfix/postfix-script\[\d+\]: starting the Postfix mail system",
                         r"postfix/master\[\d+\]: daemon started -- version 3\.7\.11, "
                         r"configuration /",
                         r"postfix/postfix-script\[\d+\]: stopping the Postfix mail system",
                         r"postfix/master\[\d+\]: terminating on signal 15"):
                self.assertRegex(text, line)
            self.assertEqual(mta.processes(), [])

    def test_starts_on_demand_and_answers(self):
        with self.mta("echo unix - - n - 7 echo -o myorigin=over.example\n"
                      "10555 inet n - n - - echo\n") as mta:
            self.assertEqual(mta.ask("service"), "echo")
            self.assertEqual(mta.ask("config myorigin"), "over.example")
            self.assertEqual(mta.ask("service", 10555), "10555")
            self.assertEqual(mta.ask("config myorigin", 10555), "mta.example.net")
            self.assertEqual(mta.ask("pid"), mta.ask("pid"))

    def test_daemons_are_unprivileged_and_confined(self):
        with self.mta() as mta:
            self.assertNotEqual(mta.ask("uid"), "0")
            self.assertEqual(mta.ask("open /etc/passwd"), "Permission denied")

    def test_killed_daemon_is_started_again(self):
        with self.mta() as mta:
            pid = mta.ask("pid")
            os.kill(int(pid), signal.SIGKILL)
            other = wait_for(lambda: mta.ask("pid"))
            self.assertNotEqual(other, pid)
            mta.log.wait(r"warning: process .*/echo pid \d+ killed by signal 9")
            # The second time within a minute it waits a second.
            before = time.monotonic()
            os.kill(int(other), signal.SIGKILL)
            self.assertTrue(wait_for(lambda: mta.ask("pid")))
            self.assertGreater(time.monotonic() - before, 0.8)

    def test_panic_is_explained_in_the_log(self):
        with self.mta() as mta:
            mta.ask("panic")
            mta.log.wait(r"standard error: .*told to panic")
            mta.log.wait(r"warning: process .*/echo pid \d+ killed by signal 6")
            mta.ask("exit 3")
            mta.log.wait(r"warning: process .*/echo pid \d+ exit status 3")

    def test_failing_start_is_throttled(self):
        with self.mta("echo unix - - n - - echo fail\n",
                      service_throttle_time="1s") as mta:
            mta.connect().close()
            mta.log.wait(r"^echo: fatal: told to fail")
            mta.log.wait(r"/echo: bad command startup -- throttling", count=2)
            # The daemon's own second before it exits, and ours: no faster.
            time.sleep(3)
            self.assertLess(len(mta.log.find("bad command startup")), 5)

    def test_wakeup(self):
        with self.mta("echo unix - - n 1 1 echo\n"
                      "later unix - - n 1? 1 echo\n") as mta:
            wait_for(lambda: int(mta.ask("wakeups")) >= 2)
            pids = {mta.ask("pid"), mta.ask("pid", "private/later")}
            self.assertEqual(len(pids), 2)
            wait_for(lambda: int(mta.ask("wakeups", "private/later")) >= 1)

    def test_workers(self):
        # A program of the name smtp, which has workers.
        mta = self.mta("smtp unix - - n - - smtp\n", workers="3")
        smtp = os.path.join(mta.libexec, "smtp")
        if os.path.lexists(smtp):
            os.unlink(smtp)
        os.symlink(os.path.join(mta.world.build, "test/libexec/echo"), smtp)
        with mta:
            mta.ask("pid", "private/smtp")
            wait_for(lambda: mta.programs().count("smtp") == 3)

    def test_reload_new_configuration_new_and_removed_services(self):
        with self.mta(SERVICES + "gone unix - - n - - echo\n"
                      "10556 inet n - n - - echo\n") as mta:
            session = mta.connect()
            old = ask(session, "pid")
            self.assertEqual(mta.ask("service", "private/gone"), "gone")
            mta.services = SERVICES + "fresh unix n - n - - echo\n10557 inet n - n - - echo\n"
            mta.write(mail_name="Reloaded")
            mta.postfix("reload")
            mta.log.wait(r"^master: reload -- version")
            self.assertEqual(mta.ask("config mail_name"), "Reloaded")
            self.assertNotEqual(mta.ask("pid"), old)
            self.assertEqual(mta.ask("service", "public/fresh"), "fresh")
            self.assertEqual(mta.ask("service", 10557), "10557")
            self.assertFalse(os.path.exists(os.path.join(mta.queue, "private/gone")))
            with self.assertRaises(OSError):
                mta.connect(10556, seconds=0.1)
            # The session that was open is not cut, and has the old configuration.
            self.assertEqual(ask(session, "config mail_name"), "Postfix")
            session.close()
            wait_for(lambda: int(old) not in mta.processes())

    def test_reload_of_bad_configuration_changes_nothing(self):
        cases = (
            ({"inet_protocols": "${"}, None, r"inet_protocols|macro"),
            ({}, "echo unix - - n - x echo\n", r"master\.cf.*line 1"),
            ({"inet_protocols": "ipv9"}, None, r'unknown inet_protocols value "ipv9"'),
            ({"service_throttle_time": "soon"}, None, r"service_throttle_time"),
        )
        for parameters, services, error in cases:
            with self.subTest(error=error), self.mta() as mta:
                pid = mta.ask("pid")
                mta.services = services or mta.services
                mta.write(**parameters)
                result = mta.postfix("reload", check=False)
                self.assertEqual(result.returncode, 1)
                self.assertRegex(result.stderr, error)
                # And when the signal comes from elsewhere.
                os.kill(mta.pid(), signal.SIGHUP)
                mta.log.wait(r"^master: error: reload: .*the old configuration stays in force")
                self.assertEqual(mta.ask("pid"), pid)
                # Healed, for the stop.
                mta.services = SERVICES
                for name in parameters:
                    del mta.parameters[name]
                mta.write()

    def wrap(self, mta, name, script):
        """A shell script in the place of a daemon; $0.real is the daemon."""
        path = os.path.join(mta.libexec, name)
        os.rename(path, path + ".real")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\n{script}\n")
        os.chmod(path, 0o755)

    def test_start_waits_for_the_log(self):
        # Else what goes wrong right after the start is seen nowhere: the log's writer
        # may be what it keeps from starting.
        mta = self.mta()
        self.wrap(mta, "postlogd", 'sleep 1; exec "$0.real" "$@"')
        with mta:
            mta.write(inet_protocols="${")
            os.kill(mta.pid(), signal.SIGHUP)
            mta.log.wait(r"^master: daemon started")
            mta.log.wait(r"^master: error: reload: .*the old configuration stays in force")
            mta.write(inet_protocols="ipv4")

    def test_start_does_not_wait_for_a_log_that_never_comes(self):
        mta = self.mta()
        self.wrap(mta, "postlogd", "exit 1")
        before = time.monotonic()
        with mta:
            self.assertLess(time.monotonic() - before, 4)
            self.assertTrue(mta.ask("pid"))

    def test_signal_right_after_the_pid_is_known(self):
        mta = self.mta()
        try:
            for _ in range(20):
                process = mta.foreground("start-fg", stderr=subprocess.DEVNULL)
                pid = None
                while pid != process.pid:
                    self.assertIsNone(process.poll())
                    try:
                        pid = mta.pid()
                    except (OSError, ValueError):
                        pass
                mta.log.mark()
                os.kill(pid, signal.SIGHUP)
                mta.log.wait(r"^master: reload -- ")
                os.kill(pid, signal.SIGTERM)
                self.assertEqual(process.wait(20), 0)
        finally:
            left = mta.remove()
        self.assertEqual(left, [])

    def test_reload_with_taken_port_changes_nothing(self):
        with self.mta() as mta, socket.socket() as taken:
            taken.bind(("127.0.0.1", 10558))
            taken.listen()
            pid = mta.ask("pid")
            mta.services = SERVICES + "10558 inet n - n - - echo\nx unix - - n - - echo\n"
            mta.write()
            mta.postfix("reload")
            mta.log.wait(r"^master: error: reload: bind 127\.0\.0\.1 port 10558: Address already in use")
            self.assertEqual(mta.ask("pid"), pid)
            self.assertFalse(os.path.exists(os.path.join(mta.queue, "private/x")))

    def test_stop_cancels_sessions(self):
        with self.mta() as mta:
            session = mta.connect()
            ask(session, "pid")
            session.sendall(b"sleep 600000\n")
            time.sleep(0.5)  # unread input would make the close a reset
            before = time.monotonic()
            mta.postfix("stop")
            self.assertLess(time.monotonic() - before, 3)
            self.assertEqual(session.recv(100), b"cancelled\n")
            session.close()

    def test_abort_and_quick_stop(self):
        with self.mta() as mta:
            mta.postfix("abort")
            wait_for(lambda: mta.postfix("status", check=False).returncode == 1)
            mta.log.wait("^postfix-script: aborting the Postfix mail system")
            mta.postfix("start")
            mta.postfix("quick-stop")
            quick = os.path.join(mta.queue, "quick-start")
            self.assertTrue(os.path.exists(quick))
            mta.postfix("start")
            self.assertFalse(os.path.exists(quick))

    def test_drain_lets_sessions_end(self):
        with self.mta() as mta:
            session = mta.connect()
            pid = int(ask(session, "pid"))
            mta.postfix("drain")
            wait_for(lambda: mta.postfix("status", check=False).returncode == 1)
            self.assertEqual(ask(session, "hello"), "hello")
            session.close()
            wait_for(lambda: pid not in mta.processes())

    def test_killed_master_leaves_nothing_and_starts_again(self):
        with self.mta() as mta:
            mta.ask("pid")
            os.kill(mta.pid(), signal.SIGKILL)
            wait_for(lambda: not mta.processes())
            mta.postfix("start")
            self.assertTrue(mta.ask("pid"))

    def test_start_fg_and_log_on_standard_output(self):
        mta = self.mta(maillog_file="/dev/stdout", maillog_file_prefixes="/dev/stdout")
        try:
            process = mta.foreground("start-fg", stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)
            mta.wait_running()
            self.assertEqual(mta.pid(), process.pid)
            mta.ask("panic")
            self.assertTrue(mta.ask("pid"))
            mta.postfix("stop")
            out = process.communicate(timeout=10)[0].decode()
            self.assertEqual(process.returncode, 0)
            for line in (r"mta postfix/master\[\d+\]: daemon started",
                         r"mta postfix/master\[\d+\]: warning: process .* killed by signal 6",
                         r"mta postfix/master\[\d+\]: terminating on signal 15"):
                self.assertRegex(out, line)
        finally:
            left = mta.remove()
        self.assertEqual(left, [])

    def test_two_instances(self):
        with self.mta() as one, self.mta() as two:
            self.assertNotEqual(one.pid(), two.pid())
            one.postfix("stop")
            self.assertEqual(two.postfix("status").returncode, 0)
            self.assertTrue(two.ask("pid"))

    def test_missing_programs_are_named(self):
        with self.mta(SERVICES + "other unix - n n - - qmqpd\n"
                      "rewrite unix - - n - - trivial-rewrite\n"
                      "odd unix - - n - - nosuchprogram\n") as mta:
            mta.log.wait(r"not started: other \(qmqpd\)|not started: .*qmqpd")
            self.assertFalse(os.path.exists(os.path.join(mta.queue, "private/other")))
            mta.log.wait(r"service odd is not started: there is no program .*/nosuchprogram")
            self.assertNotIn("rewrite", mta.log.text())
            check = mta.postfix("check", check=False)
            self.assertIn("service odd is not started", check.stderr)

    def test_bad_start(self):
        mta = self.mta("echo bogus - - n - - echo\n")
        try:
            result = mta.postfix("start", check=False)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, r"master\.cf.*line 1.*bogus")
            self.assertIn("fatal: mail system startup failed", result.stderr)
            unknown = mta.postfix("frobnicate", check=False)
            self.assertEqual(unknown.returncode, 1)
            self.assertIn("fatal: unknown command: 'frobnicate'. Usage: postfix start",
                          unknown.stderr)
            for refused in ("tls", "non-bdb", "upgrade-configuration"):
                result = mta.postfix(refused, check=False)
                self.assertEqual(result.returncode, 1)
                self.assertIn("not implemented", result.stderr)
        finally:
            mta.remove()

    def test_makes_missing_directories(self):
        with self.mta() as mta:
            for name, mode in (("maildrop", 0o730), ("incoming", 0o700), ("active", 0o700),
                               ("public", 0o710), ("private", 0o700), ("pid", 0o755)):
                state = os.stat(os.path.join(mta.queue, name))
                self.assertEqual(state.st_mode & 0o7777, mode, name)

    def test_logrotate(self):
        with self.mta(maillog_file_compressor="gzip") as mta:
            mta.ask("exit 3")
            mta.log.wait("exit status 3")
            mta.postfix("logrotate")
            mta.ask("exit 4")
            mta.log.wait("exit status 4")
            self.assertNotIn("exit status 3", mta.log.text())
            rotated = [n for n in os.listdir(mta.dir) if re.fullmatch(
                r"maillog\.\d{8}-\d{6}\.gz", n)]
            self.assertEqual(len(rotated), 1)

    def test_postlog(self):
        with self.mta() as mta:
            program = os.path.join(mta.world.build, "bin/postlog")
            for args, stdin in ((["-p", "warn", "-t", "postfix/mine", "two", "words"], ""),
                                (["-i"], "from input\nforged\x1b line\n")):
                subprocess.run([program, "-c", mta.config, *args], input=stdin, text=True,
                               check=True, timeout=10, **mta._options())
            mta.log.wait(r"^mine: warning: two words")
            mta.log.wait(r"^postlog: from input")
            mta.log.wait(r"forged\? line")


class LifeInPlace(unittest.TestCase):
    """A service that re-reads its configuration instead of being replaced: under the name
    of qmgr, the only one of that kind."""

    def test_keeps_process(self):
        mta = Mta("qmgr unix n - n 300 1 qmgr in-place\n")
        qmgr = os.path.join(mta.libexec, "qmgr")
        if os.path.lexists(qmgr):
            os.unlink(qmgr)
        os.symlink(os.path.join(mta.world.build, "test/libexec/echo"), qmgr)
        with mta:
            where = "public/qmgr"
            pid = mta.ask("pid", where)
            mta.write(mail_name="Second")
            mta.postfix("reload")
            wait_for(lambda: mta.ask("generation", where) == "1")
            self.assertEqual(mta.ask("pid", where), pid)
            self.assertEqual(mta.ask("config mail_name", where), "Second")


@unittest.skipIf(os.geteuid() != 0, "is an ordinary user already")
class LifeAsOrdinaryUser(Life):
    user = "tester"

    def test_others_instance_is_refused(self):
        mta = Mta()
        try:
            mta.user = pwd.getpwnam("tester")
            result = mta.postfix("status", check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn("reserved for the superuser", result.stderr)
        finally:
            mta.user = None
            mta.remove()


class AsProcess1(unittest.TestCase):
    """start-fg as process 1 of a container."""

    def test_reaps_orphans_and_stops(self):
        mta = Mta(user=None)
        if not mta.world.root:
            self.skipTest("needs a process namespace")
        try:
            process = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
                 *mta.command("start-fg")], stderr=subprocess.DEVNULL)
            mta.wait_running()
            self.assertEqual(mta.pid(), 1)
            # A child of the daemon's master that nobody waits for.
            master = int(subprocess.run(["pgrep", "-P", str(process.pid)], text=True,
                                        stdout=subprocess.PIPE, check=True).stdout.split()[0])
            subprocess.run(["nsenter", "-t", str(master), "-p", "-m", "sh", "-c",
                            "sh -c 'sleep 0.2' & exit 0"], check=True)
            time.sleep(0.6)
            states = subprocess.run(["ps", "-o", "stat=,comm=", "--ppid", str(master)],
                                    text=True, stdout=subprocess.PIPE, check=False).stdout
            self.assertNotIn("Z", states)
            os.kill(master, signal.SIGTERM)
            self.assertEqual(process.wait(10), 0)
        finally:
            process.kill()
            mta.remove()


if __name__ == "__main__":
    unittest.main()
