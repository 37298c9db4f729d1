#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs all tests and counts them; `./dev test` calls it after building.

Unit tests are CTest's in the build tree given by --unit. Each Python test file under test/
(test_*.py) is run in a process of its own, so that each has its own world (system/world.py)
and a time limit; a few at a time. Programs are those of HIKYAKU_BUILD, with sanitizers from
`./dev test`; where these would change what is looked at, of HIKYAKU_PLAIN_BUILD if that is
set. The last line is `N passed, N failed, N skipped`.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor

from system import world

HERE = os.path.dirname(os.path.abspath(__file__))
FILE_SECONDS = 600       # a test file that runs longer is ended and has failed
LONG_FILE_SECONDS = 7200
# Sanitizers make system calls of their own, and keep memory that was freed.
PLAIN = {"system.test_sandbox", "system.test_qmgr"}
# Much of the time is waiting for limits to run out. The longest begin first.
AT_ONCE = 3
LONGEST = ["system.test_smtp_client", "system.test_smtp_hosts", "compat.test_submit",
           "system.test_qmgr", "system.test_crash", "compat.test_cleanup"]


class Sum:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.bad = []

    def fail(self, name, count=1):
        self.failed += count
        self.bad.append(name)


# Unit tests

def run_unit(build, only, total):
    report = os.path.abspath(os.path.join(build, "ctest.xml"))
    if os.path.exists(report):
        os.unlink(report)
    command = ["ctest", "--test-dir", build, "-j", str(os.cpu_count()),
               "--output-on-failure", "--output-junit", report,
               "--test-output-size-passed", "1000000"]
    if only:
        command += ["-R", only]
    print("== unit tests", flush=True)
    status = subprocess.run(command, check=False).returncode
    if not os.path.exists(report):
        return total.fail("ctest")
    before = total.failed
    for case in xml.parse(report).getroot().iter("testcase"):
        count_unit(case, total)
    if status != 0 and total.failed == before:
        total.fail("ctest")
    return None


def count_unit(case, total):
    """A cmocka program counts by its tests, any other program as one."""
    output = case.findtext("system-out") or ""
    passed = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", output)))
    failed = sum(map(int, re.findall(r"\[  FAILED  \] (\d+) test", output)))
    skipped = sum(map(int, re.findall(r"\[  SKIPPED \] (\d+) test", output)))
    status = case.get("status")
    if status == "run":
        total.passed += passed or (0 if skipped else 1)
        total.skipped += skipped
    elif status == "fail":
        total.passed += passed
        total.fail(case.get("name"), failed or 1)
    else:
        total.skipped += 1


# Python tests

def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


class Result(unittest.TextTestResult):
    def __init__(self, *args):
        super().__init__(*args)
        self.passed = 0
        self.started = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def addSuccess(self, test):
        self.passed += 1
        unittest.TestResult.addSuccess(self, test)
        self.stream.writeln(f"ok ({time.monotonic() - self.started:.1f} s)")


def work(module, only):
    """In the child: run one file's tests; the counts as JSON on the last line."""
    sys.path.insert(0, HERE)
    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    chosen = unittest.TestSuite(t for t in flatten(suite)
                                if not only or re.search(only, t.id()))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result,
                                     warnings="ignore").run(chosen)
    bad = [str(test) for test, _ in result.failures + result.errors]
    bad += [str(test) for test in result.unexpectedSuccesses]
    print(json.dumps({"passed": result.passed + len(result.expectedFailures), "bad": bad,
                      "skipped": [[str(t), why] for t, why in result.skipped]}))


def modules():
    """Test files as module names: system.test_harness."""
    found = []
    for folder, _, names in os.walk(HERE):
        for name in names:
            if name.startswith("test_") and name.endswith(".py"):
                path = os.path.relpath(os.path.join(folder, name[:-3]), HERE)
                found.append(path.replace(os.sep, "."))
    return sorted(found, key=lambda m: (LONGEST.index(m) if m in LONGEST else len(LONGEST), m))


def run_module(module, only, limit):
    """(module, output, counts or None); None if it crashed or took too long."""
    command = [sys.executable, os.path.abspath(__file__), "--work", module]
    if only:
        command += ["--only", only]
    env = dict(os.environ)
    if module in PLAIN and "HIKYAKU_PLAIN_BUILD" in env:
        env["HIKYAKU_BUILD"] = env["HIKYAKU_PLAIN_BUILD"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL) as child:
        try:
            output, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            child.terminate()  # it ends what it started, see system/world.py
            try:
                output, _ = child.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()
                output, _ = child.communicate()
            output += f"\n{module}: ended after {limit} s\n".encode()
            return module, output.decode("utf-8", "replace"), None
    text = output.decode("utf-8", "replace").rstrip("\n")
    body, _, last = text.rpartition("\n")
    try:
        return module, body, json.loads(last)
    except ValueError:
        return module, text, None


def run_python(only, total):
    limit = LONG_FILE_SECONDS if os.environ.get("HIKYAKU_LONG") else FILE_SECONDS
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for module, output, counts in pool.map(
                lambda m: run_module(m, only, limit), modules()):
            if counts == {"passed": 0, "bad": [], "skipped": []}:
                continue
            print(f"== {module}\n{output}", flush=True)
            if counts is None:
                total.fail(module)
                continue
            total.passed += counts["passed"]
            total.skipped += len(counts["skipped"])
            for name in counts["bad"]:
                total.fail(name)


def main():
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("--only", metavar="REGEX", help="tests whose name matches")
    parser.add_argument("--long", action="store_true", help="also the tests of hours")
    parser.add_argument("--real", action="store_true",
                        help="also those with other people's servers and clients")
    parser.add_argument("--unit", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--work", metavar="MODULE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options.work, options.only)
    if options.long:
        os.environ["HIKYAKU_LONG"] = "1"
    if options.real:
        os.environ["HIKYAKU_REAL"] = "1"
    world.adopt_orphans()
    total = Sum()
    start = time.monotonic()
    if options.unit:
        run_unit(options.unit, options.only, total)
    run_python(options.only, total)
    world.kill_descendants()
    for name in total.bad:
        print(f"FAILED: {name}")
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    # Nothing found is not a success.
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
