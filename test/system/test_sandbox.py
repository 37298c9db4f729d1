# SPDX-License-Identifier: Apache-2.0
"""Every daemon that is built enters its sandbox and tries what the profile denies and allows
(lib/daemon/probe.def), as mail_owner (from root) and as an ordinary user.

The probe compares with the rows of lib/daemon/profiles.def by itself; what must hold whatever
those rows say is written down here a second time.
"""
import os
import pwd
import shutil
import subprocess
import tempfile
import unittest

from .harness import need_build

QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt", "bounce", "defer",
          "trace", "flush", "journal", "private", "public", "pid")

# Denied to every daemon but the master.
NEVER = ("execute", "fork", "trace_parent", "read_parent", "signal_parent", "raw_socket",
         "packet_socket", "netlink_socket", "mount", "unshare", "chroot", "become_root",
         "io_uring", "userfault", "bpf", "perf", "keyring", "personality", "list_root",
         "write_tmp", "make_link", "make_device", "abstract_socket", "tcp_bind")
FILES = tuple(f"{verb}_{queue}" for queue in QUEUES for verb in ("list", "change")
              if queue != "public") + ("read_config", "write_data", "read_passwd")
# And what these must not be able to do in particular.
ARGUMENTS = {"pipe": ("user=nobody", "argv=/bin/true")}
DENIED = {
    "smtp": FILES + ("udp_socket", "thread", "map_code"),
    "lmtp": FILES + ("udp_socket", "thread", "map_code"),
    "smtpd": FILES + ("tcp_connect", "udp_socket", "thread", "map_code"),
    "error": FILES + ("tcp_connect", "udp_socket", "thread", "map_code"),
    "discard": FILES + ("tcp_connect", "udp_socket", "thread", "map_code"),
    "tlsmgr": FILES + ("tcp_connect", "udp_socket", "thread", "map_code"),
    # Its helper process is another matter: it is there to become others.
    "local": FILES + ("tcp_connect", "udp_socket", "thread", "map_code"),
    "virtual": FILES + ("tcp_connect", "udp_socket", "thread", "map_code"),
    "pipe": FILES + ("tcp_connect", "udp_socket", "thread", "map_code"),
    "postlogd": FILES + ("tcp_connect", "udp_socket"),
    "pickup": ("tcp_connect", "udp_socket", "change_incoming", "change_active",
               "list_deferred", "read_config", "read_passwd"),
    "cleanup": ("tcp_connect", "udp_socket", "list_maildrop", "change_active",
                "change_deferred", "map_code"),
    "qmgr": ("tcp_connect", "udp_socket", "list_maildrop", "change_private"),
    "bounce": ("tcp_connect", "udp_socket", "change_active", "change_deferred",
               "list_maildrop"),
    "showq": tuple(f"change_{queue}" for queue in QUEUES if queue != "public")
    + ("tcp_connect", "udp_socket", "read_config"),
    "flush": ("tcp_connect", "udp_socket", "list_maildrop", "change_active"),
    "anvil": tuple(f for f in FILES if f != "read_config") + ("tcp_connect", "udp_socket"),
    "postscreen": tuple(f for f in FILES if f not in ("write_data", "read_config"))
    + ("tcp_connect", "udp_socket", "thread", "map_code"),
    "verify": ("tcp_connect", "udp_socket", "list_maildrop", "change_incoming", "change_active"),
    "resolver": tuple(f for f in FILES if f not in ("read_passwd", "read_config")),
    "saslauth": tuple(f for f in FILES if f not in ("read_passwd", "read_config")),
    "proxymap": tuple(f for f in FILES if f not in ("read_passwd", "read_config")),
}
ALLOWED = {
    "smtp": ("tcp_connect", "unix_socket"),
    "smtpd": ("unix_socket",),
    "pickup": ("change_maildrop",),
    "cleanup": ("change_incoming", "thread"),
    "qmgr": ("change_incoming", "change_active", "change_deferred", "activate"),
    "showq": ("list_deferred", "list_active"),
    "resolver": ("udp_socket", "tcp_connect", "thread"),
    "saslauth": ("unix_socket", "thread"),
    "proxymap": ("unix_socket", "tcp_connect", "thread"),
    "postscreen": ("write_data", "unix_socket"),
    "verify": ("read_config", "write_data"),
}


class Place:
    """A queue, configuration and data directory that belong to one user."""

    def __init__(self, user):
        self.world = need_build("libexec/master")
        self.user = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
        self.dir = tempfile.mkdtemp(prefix="s", dir=self.world.dir)
        for name in ("etc", "spool", "data", *(f"spool/{q}" for q in QUEUES)):
            path = os.path.join(self.dir, name)
            os.mkdir(path)
            if self.world.root:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        if self.world.root:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        with open(os.path.join(self.dir, "etc/main.cf"), "w", encoding="ascii") as f:
            f.write(f"queue_directory = {self.dir}/spool\n"
                    f"data_directory = {self.dir}/data\n"
                    f"mail_owner = {self.user.pw_name}\n"
                    f"maillog_file = {self.dir}/maillog\n"
                    f"maillog_file_prefixes = {self.dir}\n"
                    "myhostname = probe.example.net\ncompatibility_level = 3.6\n"
                    # Where tables lie may be read: by default all of /etc, for aliases.
                    "local_recipient_maps =\nalias_maps =\n")
        with open(os.path.join(self.dir, "etc/master.cf"), "w", encoding="ascii") as f:
            f.write("smtp unix - - n - - smtp\n")

    def probe(self, daemon, as_user):
        """{action: (seen, expected)} and the exit status."""
        report = os.path.join(self.dir, f"probe.{daemon}")
        options = {}
        if as_user and self.world.root:
            options = {"user": self.user.pw_uid, "group": self.user.pw_gid,
                       "extra_groups": []}
        environment = {"MAIL_CONFIG": f"{self.dir}/etc", "HIKYAKU_PROBE": report,
                       "PATH": "/usr/bin:/bin"}
        environment.update({k: v for k, v in os.environ.items()
                            if k.startswith(("ASAN_", "UBSAN_", "LSAN_"))})
        result = subprocess.run(
            [os.path.join(self.world.build, "libexec", daemon), "-n", daemon, "-t", "unix",
             "-u", "-V", "-o", "virtual_mailbox_base=/tmp", *ARGUMENTS.get(daemon, ())], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=120, check=False, **options)
        try:
            with open(report, encoding="ascii") as f:
                rows = [line.split() for line in f]
        except FileNotFoundError:
            raise AssertionError(f"{daemon}: no probe: {result.stderr.decode()}") from None
        return {name: (seen, expected) for name, seen, expected in rows}, result.returncode

    def remove(self):
        shutil.rmtree(self.dir)


class Sandbox(unittest.TestCase):
    def check(self, daemon, seen, status):
        for action, (was, expected) in seen.items():
            self.assertIn(was, (expected, "untested"), f"{daemon}: {action}")
        self.assertEqual(status, 0, daemon)
        for action in NEVER + DENIED[daemon]:
            self.assertIn(seen[action][0], ("denied", "untested"), f"{daemon}: {action}")
            self.assertEqual(seen[action][1], "denied", f"{daemon}: {action}")
        for action in ALLOWED.get(daemon, ()):
            self.assertEqual(seen[action][0], "allowed", f"{daemon}: {action}")
        self.assertGreater(sum(was != "untested" for was, _ in seen.values()), 35)

    def run_all(self, user, as_user):
        place = Place(user)
        try:
            built = os.listdir(os.path.join(place.world.build, "libexec"))
            daemons = sorted(set(built) - {"master"})
            self.assertTrue(daemons)
            for daemon in daemons:
                with self.subTest(daemon=daemon):
                    # A daemon that is not listed has no expectation: give it one.
                    self.assertIn(daemon, DENIED)
                    self.check(daemon, *place.probe(daemon, as_user))
        finally:
            place.remove()

    def test_from_root(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.run_all("postfix", False)

    def test_as_ordinary_user(self):
        self.run_all("tester" if os.geteuid() == 0 else None, True)


if __name__ == "__main__":
    unittest.main()
