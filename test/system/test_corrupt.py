# SPDX-License-Identifier: Apache-2.0
"""Damaged queue files, a thousand of them: nothing crashes, nothing is sent in part, and each
file is either delivered whole, returned, or still there to be looked at."""
import os
import random
import re
import time
import unittest

from .harness import Instance, Sink

LONG = bool(os.environ.get("HIKYAKU_LONG"))
COUNT = 10000 if LONG else 1000
LINES = 60
BODY = "".join(f"line {n} of {LINES}, which is there in full\n" for n in range(1, LINES + 1))
QUICK = {"minimal_backoff_time": "100s", "queue_run_delay": "100s", "enable_long_queue_ids": "yes"}


def records(data):
    """[(start, end)] of a queue file's records."""
    found, at = [], 0
    while at < len(data):
        start, at, length, shift = at, at + 1, 0, 0
        while True:
            length |= (data[at] & 0x7f) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                break
        at += length
        found.append((start, at))
    return found


# -- kinds of damage: (bytes, random) -> bytes --

def cut(data, rng):
    return data[:rng.randrange(len(data))]


def cut_at_record(data, rng):
    return data[:rng.choice(records(data))[0]]


def flip(data, rng):
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_head(data, rng):
    """In the first bytes of records, where types and lengths are."""
    changed = bytearray(data)
    start = rng.choice(records(data))[0]
    changed[start + rng.randrange(2)] = rng.randrange(256)
    return bytes(changed)


def swap(data, rng):
    a, b = sorted(rng.sample(records(data), 2))
    return data[:a[0]] + data[slice(*b)] + data[a[1]:b[0]] + data[slice(*a)] + data[b[1]:]


def zeros(data, rng):
    at, n = rng.randrange(len(data)), rng.choice((1, 16, 512, 4096))
    return data[:at] + bytes(min(n, len(data) - at)) + data[at + n:]


def longer(data, rng):
    return data + rng.randbytes(rng.randrange(1, 500))


def noise(data, rng):
    at, n = rng.randrange(len(data)), rng.randrange(1, 200)
    return data[:at] + rng.randbytes(min(n, len(data) - at)) + data[at + n:]


def twice(data, rng):
    a = rng.choice(records(data))
    return data[:a[1]] + data[slice(*a)] * rng.randrange(1, 5) + data[a[1]:]


def without(data, rng):
    a = rng.choice(records(data))
    return data[:a[0]] + data[a[1]:]


def nothing(_data, _rng):
    return b""


KINDS = (cut, cut_at_record, flip, flip_head, swap, zeros, longer, noise, twice, without, nothing)


class Corrupt(unittest.TestCase):
    def samples(self, mta):
        """Bytes of messages of several kinds, as cleanup writes them."""
        for n in range(4):
            to = [f"r{n}.{k}@dest.example" for k in range(1 + 3 * n)]
            mta.sendmail(f"Subject: s{n}\n\n{BODY}".encode(), *to, sender=f"s{n}@source.example",
                         options=("-N", "success,failure,delay") if n % 2 else ())
        mta.log.wait(r"(smtp|error): .*status=deferred", count=1 + 4 + 7 + 10)
        paths = [os.path.join(folder, name) for queue in ("incoming", "active", "deferred")
                 for folder, _, names in os.walk(os.path.join(mta.queue, queue)) for name in names]
        self.assertEqual(len(paths), 4)
        found = []
        for path in sorted(paths):
            with open(path, "rb") as f:
                found.append(f.read())
                self.owner = os.fstat(f.fileno()).st_uid, os.fstat(f.fileno()).st_gid
        return found

    def plant(self, mta, samples, rng):
        """Files in the queue, each with one kind of damage; how many inodes they are."""
        planted = set()
        for n in range(COUNT):
            kind = KINDS[n % len(KINDS)]
            data = kind(rng.choice(samples), rng)
            queue = rng.choice(("incoming", "deferred", "active"))
            path = os.path.join(mta.queue, queue, f"{0xABCDE00000 + n:X}")
            with open(path, "wb") as f:
                f.write(data)
                os.fchmod(f.fileno(), 0o700)
            os.chown(path, *self.owner)
            # The check of names at the start gives the name that goes with the inode.
            planted.add(os.stat(path).st_ino)
        return len(planted)

    def test_queue_files(self):
        rng = random.Random(20)
        with Sink(name="dest.example") as sink:
            with Instance(relayhost="[127.0.0.1]:9", **QUICK) as mta:
                samples = self.samples(mta)
                mta.postfix("stop")
                mta.run("postsuper", "-c", mta.config, "-d", "ALL")
                self.assertEqual(self.plant(mta, samples, rng), COUNT)
                self.read_by_tools(mta)
                mta.configure(relayhost=sink.hop)
                mta.postfix("start")
                self.settle(mta)
                self.look_at(mta, sink)

    def read_by_tools(self, mta):
        """postcat and the lists read them all and say what is wrong."""
        paths = [os.path.join(mta.queue, queue, name)
                 for queue, names in mta.queue_files("incoming", "active", "deferred").items() for name in names]
        for at in range(0, len(paths), 250):
            result = mta.run("postcat", "-c", mta.config, *paths[at:at + 250], check=False)
            self.assertIn(result.returncode, (0, 1), result.stderr[-500:])

    @staticmethod
    def settle(mta):
        """Until qmgr has seen each."""
        mta.flush()
        end = time.monotonic() + 60
        while any(mta.queue_files("incoming", "active").values()):
            if time.monotonic() > end:
                left = mta.queue_files("incoming", "active")
                raise AssertionError(f"{left}\n" + "\n".join(
                    line for line in mta.log.raw() for name in left["active"] if name in line))
            time.sleep(0.1)

    def look_at(self, mta, sink):
        log = "\n".join(mta.log.raw())
        self.assertNotRegex(log, "panic|killed by signal|AddressSanitizer|runtime error")
        self.assertGreater(len(re.findall("saving corrupt file", log)), COUNT // 10)
        listed = mta.queue_list()
        self.assertEqual(len(listed), sum(len(names) for names in
                                          mta.queue_files("incoming", "active", "deferred", "hold").values()))
        whole = 0
        for message in sink.messages:
            if "report" in message.header("Content-Type"):
                continue
            lines = message.text.count(b"\n")
            # One line may be missing or twice where a record was; not the rest of a message.
            self.assertGreaterEqual(lines, LINES, message.text[-300:])
            whole += BODY.encode() in message.text
        self.assertGreater(whole, COUNT // 10)


if __name__ == "__main__":
    unittest.main()
