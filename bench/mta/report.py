# SPDX-License-Identifier: Apache-2.0
"""The results, for the terminal and for RESULTS.md."""
import os
import re
import subprocess
import time
from dataclasses import dataclass

from .systems import SYSTEMS

OURS, THEIRS = SYSTEMS[0].name, SYSTEMS[1].name


def median(values):
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def number(value):
    """Three digits that count, thousands apart."""
    if value is None:
        return "–"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


@dataclass
class Row:
    scenario: str
    title: str
    what: str
    more_is_better: bool     # None: neither
    values: dict             # by system, one value per round

    def middle(self, system):
        return median(self.values[system]) if self.values.get(system) else None

    def ratio(self):
        """How many times better ours is than Postfix, the median of the rounds' ratios."""
        ours, theirs = self.values.get(OURS), self.values.get(THEIRS)
        if not ours or not theirs or self.more_is_better is None:
            return None
        if len(ours) != len(theirs):
            ours, theirs = [median(ours)], [median(theirs)]
        pairs = [(a, b) if self.more_is_better else (b, a) for a, b in zip(ours, theirs)]
        return median([a / b for a, b in pairs]) if all(b for _, b in pairs) else None


class Report:
    def __init__(self, kinds):
        self.kinds = kinds
        self.rows = []
        self.notes = []

    def add(self, scenario, title, system, rows):
        for what, values, better in rows:
            row = next((r for r in self.rows if (r.scenario, r.what) == (scenario, what)),
                       None)
            if row is None:
                row = Row(scenario, title, what, better, {})
                self.rows.append(row)
            row.values[system] = list(values)

    def note(self, text):
        self.notes.append(text)
        print(f"  note: {text}", flush=True)

    def show(self, scenario):
        rows = [row for row in self.rows if row.scenario == scenario]
        if not rows:
            return
        names = [kind.name for kind in self.kinds]
        print(f"\n{rows[0].title}  [{scenario}]")
        print(f"  {'':46}" + "".join(f"{name:>11}" for name in names)
              + f"{'against ' + THEIRS:>17}")
        for row in rows:
            ratio = row.ratio()
            print(f"  {row.what:46}"
                  + "".join(f"{number(row.middle(name)):>11}" for name in names)
                  + (f"{ratio:15.2f} x" if ratio else ""), flush=True)

    def markdown(self, settings, command):
        names = [kind.name for kind in self.kinds]
        lines = ["# Hikyaku beside other mail systems", "",
                 f"Made by `{command}`, {time.strftime('%Y-%m-%d')}; `bench/mta` says how. "
                 f"Medians of {settings.rounds} interleaved rounds; the last column is how "
                 f"many times better {OURS} is than {THEIRS} in the same run. Absolute figures "
                 "hold for this machine and this hour only.", "",
                 *(f"- {key}: {value}" for key, value in machine(settings.where).items()),
                 "- " + ", ".join(f"{kind.name} {kind.version()}" for kind in self.kinds), ""]
        lines += [f"| scenario | | {' | '.join(names)} | {OURS} against {THEIRS} |",
                  "|---|---|" + "--:|" * (len(names) + 1)]
        last = None
        for row in self.rows:
            ratio = row.ratio()
            lines.append(f"| {'' if row.scenario == last else row.title} | {row.what} | "
                         + " | ".join(number(row.middle(name)) for name in names)
                         + f" | {f'{ratio:.2f}×' if ratio else ''} |")
            last = row.scenario
        lines += ["", "Notes:", ""] + [f"- {text}" for text in self.notes]
        lines += [f"- {kind.name}, changed against its stock settings: {kind.changed}"
                  for kind in self.kinds if kind.changed]
        return "\n".join(lines) + "\n"


def machine(where):
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(re.search(r"MemTotal: +(\d+)", f.read())[1]) / (1 << 20)
    kind = subprocess.run(["stat", "-f", "-c", "%T", where], capture_output=True, text=True,
                          check=False).stdout.strip()
    with open("/proc/mounts", encoding="utf-8") as f:
        mounts = [line.split() for line in f]
    best = max((m for m in mounts
                if os.path.commonpath((m[1], where)) == m[1]), key=lambda m: len(m[1]))
    return {"processor": f"{model[1] if model else os.uname().machine}, "
                         f"{os.cpu_count()} cores, shared with the load and the sink",
            "memory": f"{memory:.0f} GiB", "kernel": f"Linux {os.uname().release}",
            "file system": f"{best[2] or kind} ({best[3]})"}
