# SPDX-License-Identifier: Apache-2.0
"""A maillog as parsed lines, and waiting for one to come."""
import os
import re
import time
from dataclasses import dataclass, field

LINE = re.compile(r"(?P<date>\w{3} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) (?P<host>\S+) "
                  r"(?P<tag>[^\s\[]+)\[(?P<pid>\d+)\]: (?P<text>.*)")
QUEUE_ID = re.compile(r"([0-9A-F]{6,}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{15,}): (.*)")
FIELD = re.compile(r"(?:^|[ ,(])([a-z_-]+)=(<[^>]*>|[^ ,]*)")


@dataclass
class Line:
    """One line: `postfix/smtp[12]: ABC: to=<a@b>, status=sent (250 ok)`."""
    date: str
    host: str
    tag: str       # postfix/smtp
    pid: int
    text: str      # all after the colon
    queue_id: str = ""
    message: str = ""  # text without the queue id
    fields: dict = field(default_factory=dict)  # to, relay, status...

    @property
    def program(self):
        return self.tag.rsplit("/", 1)[-1]


def parse(text):
    """A Line, or None for what is not one."""
    m = LINE.match(text)
    if not m:
        return None
    line = Line(m["date"], m["host"], m["tag"], int(m["pid"]), m["text"])
    line.message = line.text
    q = QUEUE_ID.match(line.text)
    if q:
        line.queue_id, line.message = q.groups()
    # What stands in the final parentheses is the other side's text, not ours.
    ours = line.message.split(" (", 1)[0]
    line.fields = {k: v.strip("<>") for k, v in FIELD.findall(ours)}
    return line


class Maillog:
    def __init__(self, path):
        self.path = path
        self._mark = 0

    def text(self):
        try:
            with open(self.path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def mark(self):
        """wait() looks only at what comes after this moment."""
        try:
            self._mark = os.path.getsize(self.path)
        except FileNotFoundError:
            self._mark = 0

    def raw(self):
        """Lines of text after the mark."""
        try:
            with open(self.path, "rb") as f:
                f.seek(self._mark)
                return f.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    def lines(self, program=None, queue_id=None):
        """Parsed lines after the mark."""
        parsed = (parse(text) for text in self.raw())
        return [line for line in parsed if line
                and (program is None or line.program == program)
                and (queue_id is None or line.queue_id == queue_id)]

    def find(self, pattern):
        """Parsed lines after the mark whose `program: text` matches."""
        return [line for line in self.lines()
                if re.search(pattern, f"{line.program}: {line.text}")]

    def wait(self, pattern, seconds=20, count=1):
        """Wait until `count` lines match `program: text`; those lines."""
        end = time.monotonic() + seconds
        while True:
            found = self.find(pattern)
            if len(found) >= count:
                return found
            if time.monotonic() > end:
                raise AssertionError(
                    f"{len(found)} of {count} lines match {pattern!r} in {self.path} after "
                    f"{seconds} s; its end:\n" + "\n".join(self.raw()[-30:]))
            time.sleep(0.02)
