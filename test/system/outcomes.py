# SPDX-License-Identifier: Apache-2.0
"""What became of one message, recipient by recipient, as the log of an instance tells it.

    for to, outcome in submit(mta, ["a@example.org", "b@example.org"]).items():
        outcome.status, outcome.relay, outcome.dsn, outcome.text
"""
import re
import unittest
from dataclasses import dataclass

from . import world
from .harness import Instance, OracleInstance

# Much happens in one run: nothing of it may be left out because a host is thought dead,
# come over a connection of an earlier case, or be tried again during a later one.
CALM = {
    "default_destination_concurrency_failed_cohort_limit": "0",
    "smtp_connection_cache_on_demand": "no",
    "minimal_backoff_time": "1h",
    "maximal_backoff_time": "1h",
    "queue_run_delay": "1h",
}
STATUS = re.compile(r"status=(\w+) \((.*)\)$")


@dataclass(frozen=True)
class Outcome:
    status: str   # sent, deferred, bounced
    relay: str
    dsn: str
    text: str     # in the parentheses, without what differs from run to run


def outcome_of(line):
    status, text = STATUS.search(line.text).groups()
    text = re.sub(r"queued as \w+", "queued", text)
    return Outcome(status, line.fields.get("relay", ""), line.fields.get("dsn", ""), text)


def outcomes(mta, recipients, seconds=30):
    """{recipient: Outcome} once each has one after the log's mark."""
    found = {}
    want = set(recipients)
    pattern = "|".join(re.escape(r) for r in want)
    for line in mta.log.wait(rf"to=<({pattern})>.* status=", seconds, len(want)):
        found[line.fields["to"]] = outcome_of(line)
    if set(found) != want:
        raise AssertionError(f"{found} instead of one for each of {recipients}")
    return found


def submit(mta, recipients, sender="", message=b"Subject: case\n\ncase\n", options=(),
           seconds=30):
    """Send and wait; the null sender, so that no notice follows, unless told otherwise."""
    mta.log.mark()
    mta.sendmail(message, *recipients, sender=sender, options=options)
    return outcomes(mta, recipients, seconds)


def kinds():
    """Ours and Debian's Postfix, or only ours where that cannot run."""
    try:
        world.need_oracle()
    except unittest.SkipTest:
        return (Instance,)
    return (Instance, OracleInstance)


TRACE = re.compile(rb"Received:.*\r\n(?:[ \t].*\r\n)*")


def below_trace(data):
    """A message as received, without the Received headers on top."""
    while True:
        m = TRACE.match(data)
        if not m:
            return data
        data = data[m.end():]
