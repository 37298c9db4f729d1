# SPDX-License-Identifier: Apache-2.0
"""The same mail through ours and Debian's Postfix, one after the other, and what each said.

    town = Town()                          # name server, sinks at 127.0.1.N port 25
    ours = Side(Instance, town, **parameters)
    ours.play(SCENARIOS)
    ours.stories["greet-refused"]          # that scenario's lines, normalised

Both systems have the same host name, the same name server and the same sinks, so that what
they say must be equal but for what NORMAL takes out: dates, process and queue ids, message
ids made here, and how long things took (whose form is kept: a/b/c/d of numbers).
"""
import os
import re
import time
from dataclasses import dataclass, field

from system.dnsserver import DNSServer
from system.sink import DROP, Sink

HOST = "mail.example.net"
ID = r"(?:[0-9A-F]{6,}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{15,})"
# Two significant digits, no finer than a hundredth, no zeros after the point.
SECONDS = r"(?:0|0\.0[1-9]|0\.[1-9][0-9]?|[1-9](?:\.[1-9])?|[1-9][0-9]+)"
NORMAL = (
    (rf"delay={SECONDS}, delays={SECONDS}(?:/{SECONDS}){{3}},", "delay=T, delays=a/b/c/d,"),
    (r"configuration \S+/etc$", "configuration DIR"),
    (rf"<\d{{14}}\.{ID}@{re.escape(HOST)}>", f"<DATE.ID@{HOST}>"),
    (r"size=\d+, nrcpt=", "size=N, nrcpt="),   # see test_sizes
    (r"(?m)^(Date|Arrival-Date|Last-Attempt-Date|Will-Retry-Until): "
     r"\w{3}, +\d+ \w{3} \d{4} [\d:]{8} [+-]\d{4} \(\w+\)$", r"\1: DATE"),
    (r"(?m)^(\s+|(?:Resent-)?Date: )\w{3}, +\d+ \w{3} \d{4} [\d:]{8} [+-]\d{4} \(\w+\)$", r"\1DATE"),
    (rf"(\(Postfix(?:, from userid \d+)?\)\n\tid) {ID}; .* \(\w+\)\n", r"\1 ID; DATE\n"),
    # Each system explains in its own words.
    (r"(?s)(This is the mail system at host [^\n]*\n)\n.*?The mail system[^\n]*\n",
     r"\1EXPLANATION\n"),
    (rf"(?m)^X-Postfix-Queue-ID: {ID}", "X-Postfix-Queue-ID: ID"),
    (rf"{ID}\.\d+/{re.escape(HOST)}", f"ID.TIME/{HOST}"),
)


# What Debian's says on a busy machine, where the kernel's coarse clock and its own differ.
BUSY = re.compile("file system clock is .* ahead of local clock|resetting file time stamps")


def normal(text):
    for pattern, replacement in NORMAL:
        text = re.sub(pattern, replacement, text)
    return text


def normal_record(text, queue_id):
    """What postcat says of a file. The order of what stands before the recipients does not
    count; nor does where the content begins (times have as many digits as they need)."""
    text = re.sub(r"(?m)^(message_arrival_time|create_time|named_attribute: create_time="
                  r"|warning_message_time): .*", r"\1 TIME", text)
    text = re.sub(r"(?m)^(\*\*\* [A-Z ]+) /\S+ ", r"\1 FILE ", text)
    text = re.sub(r"(?m)^(message_size: +\d+ +)\d+ ", r"\1OFFSET ", text)
    text = re.sub(rf"<\d{{14}}\.{queue_id}@", f"<DATE.{queue_id}@", text)
    text = normal(text).replace(queue_id, "ID")
    head, dsn, rest = text.partition("named_attribute: dsn_orig_rcpt=")
    return "\n".join(sorted(head.splitlines())) + "\n" + dsn + rest


class Town:
    """The other mail systems. Each domain NAME.example has its sink (or none)."""

    def __init__(self):
        self.dns = DNSServer()
        self.sinks = {}
        self.next = 1

    def address(self):
        self.next += 1
        return f"127.0.1.{self.next}"

    def host(self, name, rules=(), extensions=None, start=True):
        """A mail host NAME.example; rules as for Sink.reply(). Its sink."""
        sink = Sink(25, self.address(), f"{name}.example", start=start,
                    **({} if extensions is None else {"extensions": extensions}))
        sink.rules = rules
        self.sinks[name] = sink
        self.dns.host(f"{name}.example", sink.host)
        return sink

    def site(self, name, rules=(), extensions=None, start=True):
        """A domain NAME.example whose only mail host is mx.NAME.example."""
        sink = self.host(f"mx.{name}", rules, extensions, start)
        self.dns.mail(f"{name}.example", f"mx.{name}.example")
        return sink

    def reset(self):
        """As at the beginning, for the second system."""
        for sink in self.sinks.values():
            sink.clear()
            sink.messages.clear()
            sink.commands.clear()
            sink.connections = 0
            sink.reply("EOD$", f"250 2.0.0 Ok: queued as {sink.name}") \
                if not any(r[0] == "EOD" for r in sink.rules) else None
            for rule in sink.rules:
                sink.reply(*rule[:2], **(rule[2] if len(rule) > 2 else {}))
        self.dns.behave_well()

    def __enter__(self):
        self.dns.__enter__()
        return self

    def __exit__(self, *error):
        for sink in self.sinks.values():
            sink.stop()
        self.dns.__exit__(*error)


@dataclass
class Scenario:
    """One submission. `status` and what sendmail says are compared as well."""
    name: str
    recipients: tuple = ()
    sender: object = "sender@home.example"
    message: bytes = b"Subject: test\n\nHello.\n"
    options: tuple = ()
    user: object = None
    parallel: bool = False   # several deliveries to one destination: any order


@dataclass
class Story:
    """What became of a scenario."""
    parallel: bool = False
    status: int = 0
    said: str = ""                                # by sendmail
    ids: list = field(default_factory=list)       # queue ids: the message, its reports
    raw: list = field(default_factory=list)       # maillog.Line
    arrived: list = field(default_factory=list)   # (place among ids, sink, Message)
    lines: list = field(default_factory=list)     # "program: text", normalised


SEVERE = re.compile(rf"(?:warning|error|fatal): ({ID}): ")
LINKS = re.compile(rf"(?:notification|forwarded as|queued as|orig_id=)[:= ]+({ID})\b|"
                   rf"forwarded as ({ID})\)")


class Side:
    def __init__(self, kind, name="", services="", **parameters):
        self.mta = kind(name, services, myhostname=HOST, **parameters)
        self.kind = self.mta.kind
        self.stories = {}
        self.loose = []      # lines that belong to no message

    def submit(self, scenario):
        """Hand it in and wait until cleanup has spoken of it, or it was refused."""
        story = Story(scenario.parallel)
        self.stories[scenario.name] = story
        log = self.mta.log
        log.mark()
        done = self.mta.sendmail(scenario.message, *scenario.recipients, check=False,
                                 sender=scenario.sender, options=scenario.options,
                                 user=scenario.user)
        story.status = done.returncode
        story.said = normal((done.stdout + done.stderr).decode("utf-8", "replace"))
        if done.returncode == 0:
            seen = log.wait(r"pickup: \w+: uid=|pickup: (?!open|\w+: message).*uid=|"
                            r"postdrop: .*uid=|pickup: warning")
            story.ids = [line.queue_id for line in seen if line.queue_id][:1]

    def play(self, scenarios, seconds=60):
        """Submit all, wait until nothing is active any more, gather the stories."""
        for scenario in scenarios:
            self.submit(scenario)
        self.settle(seconds)

    def settle(self, seconds=60):
        end = time.monotonic() + seconds
        quiet = 0
        while quiet < 5:
            files = self.mta.queue_files("maildrop", "incoming", "active")
            quiet = 0 if any(files.values()) else quiet + 1
            if time.monotonic() > end:
                raise AssertionError(f"{self.kind}: busy after {seconds} s: {files}")
            time.sleep(0.1)

    def gather(self):
        """Give every line to the story it belongs to."""
        self.mta.log._mark = 0
        owner = {i: s for s in self.stories.values() for i in s.ids}
        lines = self.mta.log.lines()
        for line in lines:
            warned = SEVERE.match(line.text)
            if warned:
                line.queue_id = warned[1]
        for line in lines:
            for found in LINKS.finditer(line.message):
                new = found[1] or found[2]
                story = owner.get(line.queue_id)
                if story and new not in owner:
                    owner[new] = story
                    story.ids.append(new)
        for line in lines:
            story = owner.get(line.queue_id)
            if story:
                story.raw.append(line)
            elif not BUSY.search(line.text):
                self.loose.append(f"{line.program}: {normal(line.text)}")
        for story in self.stories.values():
            story.lines = self.tell(story)

    def collect(self, town):
        """Give what came to the sinks to the stories, too; what belongs to none."""
        owner = {i: s for s in self.stories.values() for i in s.ids}
        left = []
        for name, sink in town.sinks.items():
            for message in sink.messages:
                found = [i for i in re.findall(rf"\b{ID}\b", message.text.decode("latin-1"))
                         if i in owner]
                if not found:
                    left.append((name, message))
                    continue
                story = owner[found[0]]
                story.arrived.append((story.ids.index(found[0]) + 1, name, message))
        for story in self.stories.values():
            story.arrived.sort(key=lambda each: (*each[:2], each[2].recipients))
        return left

    def read_queue(self, reader):
        """{(scenario, place): text}: what lies in the deferred queue, as reader's postcat
        tells it."""
        found = {}
        for folder, _, names in os.walk(os.path.join(self.mta.queue, "deferred")):
            for name in names:
                text = reader.run("postcat", os.path.join(folder, name)).stdout
                found[name] = normal_record(text.decode("utf-8", "replace"), name)
        reader.remove()
        return {(key, story.ids.index(i) + 1): found[i]
                for key, story in self.stories.items() for i in story.ids if i in found}

    @staticmethod
    def tell(story):
        """The lines of each queue id in their order; the ids named #1, #2."""
        told = []
        for number, queue_id in enumerate(story.ids, 1):
            mine = [line for line in story.raw if line.queue_id == queue_id]
            for line in arrange(mine, story.parallel):
                text = f"{line.program}: {line.text}"
                for n, name in enumerate(story.ids, 1):
                    text = re.sub(rf"(?<![\w.]){name}\b", f"#{n}", text)
                told.append(normal(text))
        return told


def arrange(lines, parallel):
    """Recipients that went to different destinations at the same time have no order:
    neighbouring delivery lines are sorted by the domain, or (parallel) by the address,
    else the order is kept."""
    out, run = [], []
    for line in [*lines, None]:
        if line is not None and "to" in line.fields:
            run.append(line)
            continue
        run.sort(key=lambda each: each.fields["to"] if parallel
                 else each.fields["to"].rpartition("@")[2])
        out += run
        run = []
        if line is not None:
            out.append(line)
    return out


__all__ = ["DROP", "HOST", "Scenario", "Side", "Story", "Town", "normal"]
