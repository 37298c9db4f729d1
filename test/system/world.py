# SPDX-License-Identifier: Apache-2.0
"""A private world for the test process, so that tests neither need nor touch the system.

enter() gives this process (and all that it starts) a network of its own with only the
loopback interface, and a mount namespace of its own in which /etc is a copy: passwd and
group know the users postfix and postdrop (and an ordinary user `tester`), resolv.conf
names 127.0.0.1, and the run-time linker finds the oracle's libraries. It all ends with the
process. As root nothing else is needed; an ordinary user gets the same through a user
namespace in which their own uid stays what it is, but then only for instances of ours:
Debian's Postfix insists on root.

Where namespaces are not allowed, `private` is false: instances then use free ports of the
machine's loopback interface, and tests that need more say so and are skipped.

The world has a directory W, on a tmpfs where possible:
    W/build   the build tree (HIKYAKU_BUILD), with set-gid postdrop and postqueue as root
    W/oracle  a copy of the programs of Debian's Postfix (from HIKYAKU_ORACLE)
    W/etc     what is seen as /etc
"""
import atexit
import ctypes
import fcntl
import grp
import itertools
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2
PR_SET_CHILD_SUBREAPER = 36

FIRST_PORT = 10025
PLUGINS = ("cdb", "ldap", "lmdb", "mysql", "pcre", "pgsql", "sqlite")
libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    if getattr(libc, name)(*args) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{name}: {os.strerror(errno)}")


def _mount(source, target, kind=None, flags=0, data=None):
    _call("mount", *(a.encode() if isinstance(a, str) else a
                     for a in (source, target, kind)), ctypes.c_ulong(flags),
          data.encode() if data else None)


def small_disk(path, size):
    """Mount a file system of so many bytes there; needs a private world."""
    state = os.stat(path)
    _mount("tmpfs", path, "tmpfs", 0, f"mode={state.st_mode & 0o7777:o},size={size}")
    os.chown(path, state.st_uid, state.st_gid)


def mount_over(path, directory):
    """Let another directory be seen there; needs a private world."""
    _mount(directory, path, None, MS_BIND)


def leave_disk(path):
    """Undo small_disk() or mount_over(), whatever is still open there."""
    libc.umount2(path.encode(), MNT_DETACH)


class PowerDisk:
    """A file system of its own on a loop device at a path, whose power can be cut: what
    was not synced is gone. Skips the test where the machine does not allow it."""
    SHUTDOWN = 0x8004587D  # ext4 and XFS: _IOR('X', 125, __u32)
    NO_FLUSH = 2

    def __init__(self, path, kind="ext4", size=320 << 20):
        self.path, self.kind = path, kind
        self.image = f"{path}.image"
        self.device = ""
        need_private()
        if os.geteuid() != 0:
            raise unittest.SkipTest("loop devices need root")
        if shutil.which(f"mkfs.{kind}") is None:
            raise unittest.SkipTest(f"no mkfs.{kind}")
        with open(self.image, "wb") as f:
            f.truncate(size)
        subprocess.run([f"mkfs.{kind}", "-q", self.image], check=True)
        made = subprocess.run(["losetup", "-f", "--show", self.image], check=False,
                              capture_output=True, text=True)
        if made.returncode != 0:
            raise unittest.SkipTest(f"no loop device: {made.stderr.strip()}")
        self.device = made.stdout.strip()
        state = os.stat(path)
        self.mount()
        os.chown(path, state.st_uid, state.st_gid)
        os.chmod(path, state.st_mode & 0o7777)

    def mount(self):
        _mount(self.device, self.path, self.kind)

    def cut(self):
        """From now on nothing gets to the disk, and each sync fails."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, self.SHUTDOWN, struct.pack("I", self.NO_FLUSH))
        finally:
            os.close(fd)

    def power_on(self):
        """When nobody has anything open there any more."""
        end = time.monotonic() + 10
        while libc.umount2(self.path.encode(), 0) != 0:
            if time.monotonic() > end:
                raise OSError(ctypes.get_errno(), f"umount {self.path}")
            time.sleep(0.02)
        self.mount()

    def remove(self):
        libc.umount2(self.path.encode(), MNT_DETACH)
        subprocess.run(["losetup", "-d", self.device], check=False)
        os.unlink(self.image)


def _write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def _loopback_up():
    request = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS


def _interrupt(*_):
    raise KeyboardInterrupt


class World:
    """What enter() made. One per process."""

    def __init__(self):
        self.root = os.geteuid() == 0
        self.private = False
        self.why_not_private = ""
        self.dir = tempfile.mkdtemp(prefix="hikyaku-test-")
        os.chmod(self.dir, 0o755)
        self.build = os.environ.get("HIKYAKU_BUILD", "")
        self.oracle = os.environ.get("HIKYAKU_ORACLE", "")
        self._ports = itertools.count(FIRST_PORT + 1)
        self._owner = os.getpid()
        self._lock = threading.Lock()
        adopt_orphans()
        atexit.register(self._leave)
        # Unwind (and so stop what runs) when the test is ended from outside.
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            self._unshare()
            self.private = True
        except OSError as e:
            self.why_not_private = str(e)
        if self.private:
            self._furnish()

    def _unshare(self):
        if os.environ.get("HIKYAKU_TEST_NETWORK") == "host":
            raise OSError("HIKYAKU_TEST_NETWORK=host")
        uid, gid = os.geteuid(), os.getegid()
        _call("unshare", CLONE_NEWNS | (0 if self.root else CLONE_NEWUSER))
        if not self.root:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{uid} {uid} 1")
            _write("/proc/self/gid_map", f"{gid} {gid} 1")
        _mount("none", "/", None, MS_REC | MS_PRIVATE)
        # Last: without the mounts nobody would make this network work.
        _call("unshare", CLONE_NEWNET)

    def _furnish(self):
        _loopback_up()
        try:  # instances of an ordinary user may use port 25 of this network
            _write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
        except OSError:
            pass
        _mount("tmpfs", self.dir, "tmpfs", 0, "mode=755,size=2g")
        self._own_etc()
        if self.build:
            self._see_build()
        if self.root and self.oracle:
            self._copy_oracle()

    def _own_etc(self):
        """A copy of /etc (what we may read of it) with our accounts in the place of /etc."""
        etc = os.path.join(self.dir, "etc")
        try:
            shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
        except shutil.Error:
            pass  # files that an ordinary user may not read
        resolv = os.path.join(etc, "resolv.conf")
        if os.path.lexists(resolv):
            os.unlink(resolv)
        _write(resolv, "nameserver 127.0.0.1\noptions timeout:1\n")
        self._accounts(etc)
        os.makedirs(os.path.join(etc, "postfix"), exist_ok=True)
        _mount(etc, "/etc", None, MS_BIND)
        self._config_dirs = []

    def add_config_directory(self, path):
        """Let set-gid programs accept `-c path` from any user, as an administrator would
        in the default main.cf."""
        if self.private:
            with self._lock:  # a program may read it at any time
                self._config_dirs.append(path)
                _write("/etc/postfix/main.cf.new",
                       f"alternate_config_directories = {' '.join(self._config_dirs)}\n")
                os.rename("/etc/postfix/main.cf.new", "/etc/postfix/main.cf")

    def _accounts(self, etc):
        uids = {p.pw_uid for p in pwd.getpwall()}
        groups = {g.gr_name: g.gr_gid for g in grp.getgrall()}
        users = {p.pw_name for p in pwd.getpwall()}
        free = (i for i in range(700, 1000) if i not in uids | set(groups.values()))
        with open(os.path.join(etc, "group"), "a", encoding="utf-8") as f:
            for name in ("postfix", "postdrop"):
                if name not in groups:
                    groups[name] = next(free)
                    f.write(f"{name}:x:{groups[name]}:\n")
        with open(os.path.join(etc, "passwd"), "a", encoding="utf-8") as f:
            for name, gid in (("postfix", groups["postfix"]), ("tester", 65534)):
                if name not in users:
                    f.write(f"{name}:x:{next(free)}:{gid}:{name.title()}:/nonexistent:/bin/sh\n")

    def _see_build(self):
        """The build tree under a path that every user can walk, set-gid where it counts."""
        seen = os.path.join(self.dir, "build")
        os.mkdir(seen)
        _mount(self.build, seen, None, MS_BIND | MS_REC)
        if self.root:
            for name in ("postdrop", "postqueue"):
                program = os.path.join(seen, "bin", name)
                if os.path.exists(program):
                    copy = os.path.join(self.dir, name)
                    shutil.copyfile(program, copy)
                    self.setgid(copy)
                    _mount(copy, program, None, MS_BIND)
        self.build = seen

    def _copy_oracle(self):
        mine = os.path.join(self.dir, "oracle")
        for part in ("usr/sbin", "usr/bin", "usr/lib/postfix", "etc/postfix"):
            shutil.copytree(os.path.join(self.oracle, part), os.path.join(mine, part),
                            symlinks=True)
        for name in ("postdrop", "postqueue"):
            self.setgid(os.path.join(mine, "usr/sbin", name))
        self._name_plugins(mine)
        # Set-gid programs ignore LD_LIBRARY_PATH, and master clears it: use the cache.
        subprocess.run(["/sbin/ldconfig", "-X", os.path.join(mine, "usr/lib/postfix")],
                       check=True)
        self.oracle = mine

    @staticmethod
    def _name_plugins(oracle):
        """Table types that Debian has in packages of their own (postfix-pcre and others), as
        the scripts of these packages would name them."""
        builders = ("cdb", "lmdb")
        with open(os.path.join(oracle, "etc/postfix/dynamicmaps.cf"), "a",
                  encoding="ascii") as f:
            for kind in PLUGINS:
                plugin = f"postfix-{kind}.so"
                if os.path.exists(os.path.join(oracle, "usr/lib/postfix", plugin)):
                    f.write(f"{kind}\t{plugin}\tdict_{kind}_open"
                            + (f"\tmkmap_{kind}_open\n" if kind in builders else "\n"))

    def setgid(self, path):
        """As the package manager installs postdrop and postqueue."""
        os.chown(path, 0, grp.getgrnam("postdrop").gr_gid)
        os.chmod(path, 0o2755)

    def port(self):
        """A TCP port of 127.0.0.1 that nobody uses, the same ones in each run where the
        network is ours."""
        while True:
            port = next(self._ports) if self.private else 0  # also for threads
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                    return s.getsockname()[1]
                except OSError:
                    continue

    def _leave(self):
        if os.getpid() != self._owner:
            return
        kill_descendants()
        if self.private:
            libc.umount2(self.dir.encode(), MNT_DETACH)
        shutil.rmtree(self.dir, ignore_errors=True)


def children(pid):
    """All descendants of a process, parents first."""
    found = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                direct = [int(word) for word in f.read().split()]
        except OSError:
            continue
        for child in direct:
            found.append(child)
            found += children(child)
    return found


def adopt_orphans(adopt=True):
    """Daemons that leave their parent become this process's children, or init's again."""
    _call("prctl", PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)


def kill_descendants():
    """End what a failed test left behind: this process adopts all orphans below it."""
    for _ in range(100):
        left = children(os.getpid())
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


_world = None


def enter():
    """The process's world; made at the first call, which must precede any thread."""
    global _world
    if _world is None:
        _world = World()
    return _world


def need_oracle():
    """Skip the test where Debian's Postfix cannot run."""
    w = enter()
    if not w.oracle:
        raise unittest.SkipTest("HIKYAKU_ORACLE is not set (./dev test sets it)")
    if not w.root:
        raise unittest.SkipTest("Debian's Postfix needs root")
    if not w.private:
        raise unittest.SkipTest(f"no private namespace: {w.why_not_private}")
    return w


def need_build(*programs):
    """Skip the test where programs of ours, e.g. "bin/sendmail", are not built yet."""
    w = enter()
    if not w.build:
        raise unittest.SkipTest("HIKYAKU_BUILD is not set (./dev test sets it)")
    for program in programs:
        if not os.access(os.path.join(w.build, program), os.X_OK):
            raise unittest.SkipTest(f"{program} is not built")
    return w


def need_private():
    """Skip the test where it cannot have a network of its own (port 25, port 53)."""
    w = enter()
    if not w.private:
        raise unittest.SkipTest(f"no private namespace: {w.why_not_private}")
    return w


def need_plugin(kind):
    """Debian's Postfix with this table type, or skip."""
    need_oracle()
    if not os.path.exists(os.path.join(enter().oracle,
                                       f"usr/lib/postfix/postfix-{kind}.so")):
        raise unittest.SkipTest(f"Debian's postfix-{kind} is not in HIKYAKU_ORACLE")
