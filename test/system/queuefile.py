# SPDX-License-Identifier: Apache-2.0
"""Reads queue files without any code of the programs under test.

A record is a type byte, a length in groups of 7 bits, lowest first (the high bit says that
another follows), and that many bytes.
"""
import os
from dataclasses import dataclass


class Damaged(Exception):
    pass


def records(data):
    """[(type, bytes)] in the order of the file; pointers are not followed."""
    found = []
    at = 0
    while at < len(data):
        kind = chr(data[at])
        at += 1
        length = shift = 0
        while True:
            if at >= len(data) or shift > 28:
                raise Damaged(f"record {kind} cut in its length at byte {at}")
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        if at + length > len(data):
            raise Damaged(f"record {kind} of {length} bytes cut at byte {at}")
        found.append((kind, data[at:at + length]))
        at += length
    return found


def record(kind, value=b""):
    """Bytes of one record."""
    head, length = kind.encode(), len(value)
    while True:
        head += bytes([(length & 0x7F) | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if length == 0:
            return head + value


def message(envelope, content="N:X: y|N|N:text", extracted="", end="E", tail=b""):
    """A file of records, each segment's as "R:a@b|A:x=y"."""
    def encode(text):
        return b"".join(record(each[0], each[2:].encode("latin-1"))
                        for each in text.split("|") if each)
    return (encode(envelope) + record("M") + encode(content) + record("X")
            + encode(extracted) + encode(end) + tail)


@dataclass
class QueueFile:
    path: str
    complete: bool      # ends with an E record: the sender was told that we have it
    sender: str
    recipients: list    # still to do
    done: list
    content: bytes      # LF line ends


def read(path):
    """The file's meaning, or None if it vanished meanwhile."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except FileNotFoundError:
        return None
    try:
        all_records = records(data)
    except Damaged:
        return QueueFile(path, False, "", [], [], b"")
    content = b""
    in_content = False
    for kind, value in all_records:
        if kind in "MX":
            in_content = kind == "M"
        elif in_content and kind in "NL":
            content += value + (b"\n" if kind == "N" else b"")
    def texts(kind):
        return [v.decode("utf-8", "surrogateescape") for k, v in all_records if k == kind]

    return QueueFile(path, bool(all_records) and all_records[-1][0] == "E",
                     (texts("S") or [""])[0], texts("R"), texts("D"), content)


def read_all(queue_directory, queues=("maildrop", "incoming", "active", "deferred", "hold")):
    """Every message file of a spool, once: it may move on while they are read. (A file in
    maildrop is not yet the message of its name.)"""
    found = {}
    for queue in queues:
        for folder, _, names in os.walk(os.path.join(queue_directory, queue)):
            for name in names:
                file = read(os.path.join(folder, name))
                if file is not None:
                    found[queue == "maildrop", name] = file
    return list(found.values())
