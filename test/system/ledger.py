# SPDX-License-Identifier: Apache-2.0
"""The books: accepted = delivered + bounced + still queued, recipient by recipient.

    ledger = Ledger()
    message = ledger.message(["a@example.org"])      # bytes with a mark of its own
    if mta.sendmail(message.data, *message.recipients, check=False).returncode == 0:
        ledger.accept(message)
    ...
    ledger.check(sinks=[sink], instances=[mta])      # raises, or returns the Count

A message is known by its X-Ledger header. It has all the headers that a mail system would
add, so that it must arrive as it was written, below the trace headers of its way. Several
arrivals for a recipient are duplicates: counted, and refused above `max_duplicates`.
"""
import re
from dataclasses import dataclass
from itertools import count

from . import queuefile

TRACE = re.compile(rb"(?:(?:Received|Return-Path|X-Original-To|Delivered-To):.*\n"
                   rb"(?:[ \t].*\n)*)*", re.I)
MARK = re.compile(rb"^X-Ledger: (\S+)", re.M)
FINAL = re.compile(rb"^Final-Recipient: rfc822; ?(\S+)", re.M | re.I)
FAILED = re.compile(rb"^Action: failed", re.M | re.I)


@dataclass
class Entry:
    mark: str
    sender: str
    recipients: list
    data: bytes


@dataclass
class Count:
    accepted: int = 0     # (message, recipient) pairs
    delivered: int = 0
    bounced: int = 0
    queued: int = 0
    duplicates: int = 0


class Ledger:
    def __init__(self, name="ledger"):
        self.name = name
        self._numbers = count(1)
        self._written = {}
        self._accepted = set()

    def message(self, recipients, sender="sender@example.net", size=0, body=None,
                arrives_as=None):
        """A new message. `size`: pad the body to about so many bytes. `arrives_as`: the
        recipients at the end, where an alias changes them."""
        mark = f"{self.name}-{next(self._numbers)}"
        if body is None:
            body = b"One line.\n.\n..a dotted line\n\xe9\x9b\x81 eight bits\n"
            filler = (f"{mark} " + "0123456789abcdef" * 4 + "\n").encode()
            body += filler * max(0, (size - len(body)) // len(filler))
        head = (f"X-Ledger: {mark}\nFrom: <{sender}>\nTo: {', '.join(recipients[:20])}\n"
                f"Subject: {mark}\nDate: Tue, 24 Nov 2026 10:00:00 +0900\n"
                f"Message-ID: <{mark}@ledger.example.net>\n"
                "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                "Content-Transfer-Encoding: 8bit\n\n")
        entry = Entry(mark, sender, list(recipients), head.encode() + body)
        self._written[mark] = Entry(mark, sender, list(arrives_as or recipients), entry.data)
        return entry

    def accept(self, entry):
        """The mail system said that it has this message."""
        self._accepted.add(entry.mark)

    def accepted(self):
        return [self._written[mark] for mark in sorted(self._accepted)]

    def _of(self, text):
        m = MARK.search(text)
        return self._written.get(m[1].decode()) if m else None

    def _read_sinks(self, sinks, problems):
        delivered, bounced = [], set()
        for message in (m for sink in sinks for m in sink.messages):
            entry = self._of(message.text)
            if entry is None:
                problems.append(f"a message nobody wrote: {message.text[:300]!r}")
            elif message.sender == "" and b"multipart/report" in message.text:
                for part in re.split(rb"\n\n", message.text):
                    final = FINAL.search(part)
                    if final and FAILED.search(part):
                        bounced.add((entry.mark, final[1].decode()))
            else:
                if TRACE.sub(b"", message.text, count=1) != entry.data:
                    problems.append(f"{entry.mark} arrived altered:\n{message.text!r}\n"
                                    f"written:\n{entry.data!r}")
                delivered += [(entry.mark, r) for r in message.recipients]
        return delivered, bounced

    def _read_spools(self, instances):
        queued = set()
        for instance in instances:
            for file in queuefile.read_all(instance.queue):
                entry = self._of(file.content) if file.complete else None
                if entry is not None:
                    queued |= {(entry.mark, r) for r in file.recipients}
        return queued

    def check(self, sinks=(), instances=(), max_duplicates=0):
        """Compare; AssertionError with every difference, or the Count."""
        problems = []
        # First the spools: what moves on is then seen at the sink. Notices that are still
        # queued carry the message, too, but are for its sender.
        expected = {(e.mark, r) for e in self._written.values() for r in e.recipients}
        queued = self._read_spools(instances) & expected
        delivered, bounced = self._read_sinks(sinks, problems)
        accepted = {(mark, r) for mark in self._accepted
                    for r in self._written[mark].recipients}
        reached = set(delivered)
        for pair in sorted(accepted - reached - bounced - queued):
            problems.append(f"lost: {pair[0]} to {pair[1]}")
        for pair in sorted(reached & bounced):
            problems.append(f"delivered and bounced: {pair[0]} to {pair[1]}")
        for pair in sorted((reached | bounced) - expected):
            problems.append(f"to somebody it was not for: {pair[0]} to {pair[1]}")
        duplicates = len(delivered) - len(reached)
        if duplicates > max_duplicates:
            problems.append(f"{duplicates} duplicates, {max_duplicates} allowed")
        if problems:
            raise AssertionError(f"{len(problems)} problems:\n" + "\n".join(problems[:20]))
        return Count(len(accepted), len(reached), len(bounced),
                     len(queued - reached - bounced), duplicates)
