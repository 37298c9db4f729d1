# SPDX-License-Identifier: Apache-2.0
"""Every program has a manual page that tells all its options and parameters."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PARTS = ("scripts", "tool", "daemon", "lib/config", "lib/daemon")


def check(tree):
    return subprocess.run([os.path.join(TREE, "scripts", "check-man"), tree],
                          capture_output=True, text=True, check=False)


class Pages(unittest.TestCase):
    def test_pages(self):
        result = check(TREE)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertRegex(result.stdout, r"^(\d\d) manual pages, 0 complaints")


class TheCheckItself(unittest.TestCase):
    """It finds what it is for, in a copy of the tree with a mistake in it."""

    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="hikyaku-man-")
        self.addCleanup(shutil.rmtree, self.tree)
        for part in PARTS:
            shutil.copytree(os.path.join(TREE, part), os.path.join(self.tree, part))

    def change(self, path, old, new):
        path = os.path.join(self.tree, path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        changed = re.sub(old, new, text)
        self.assertNotEqual(text, changed)
        with open(path, "w", encoding="utf-8") as f:
            f.write(changed)

    def finds(self, text):
        result = check(self.tree)
        self.assertEqual(result.returncode, 1)
        self.assertIn(text, result.stdout)

    def test_missing_option(self):
        self.change("tool/postcat/postcat.1", "Fl bdefhorv", "Fl bdefhrv")
        self.change("tool/postcat/postcat.1", r"\.It Fl o\n", ".It offset\n")
        self.finds("postcat.1: option -o is not in it")

    def test_missing_long_option(self):
        self.change("tool/hikyaku/hikyaku.1", "-offline", "-off")
        self.finds("hikyaku.1: option --offline is not in it")

    def test_option_that_there_is_not(self):
        self.change("tool/postlog/postlog.1", r"Op Fl iv", "Op Fl ivz")
        self.change("tool/hikyaku/hikyaku.1", r"\.It Fl -untold", ".It Fl -untold , -extra")
        self.change("tool/sendmail/sendmail.1", r"\.It Fl bp", ".It Fl kp")
        self.change("daemon/master/master.8", r"\.It Fl m Ar", ".It Fl y Ar")
        for text in ("postlog.1: postlog has no option -z",
                     "hikyaku.1: hikyaku has no option --extra",
                     "sendmail.1: sendmail has no option -k",
                     "master.8: master has no option -y"):
            self.finds(text)

    def test_missing_page(self):
        os.unlink(os.path.join(self.tree, "daemon/qmgr/qmgr.8"))
        self.finds("daemon/qmgr/: no page qmgr.8")

    def test_missing_section(self):
        self.change("daemon/smtp/smtp.8", "Sh DIAGNOSTICS", "Sh OTHER")
        self.finds("smtp.8: no section DIAGNOSTICS")

    def test_parameters_that_are_not_those_of_the_rows(self):
        self.change("lib/config/smtp.def", '"30s"', '"31s"')
        self.finds("smtp.8: its parameters are not those of lib/config")

    def test_parameter_that_is_read(self):
        self.change("daemon/pickup/pickup.c", "ipc_init", "x->bounce_size_limit; ipc_init")
        self.finds("pickup.8: parameter bounce_size_limit is not in it")

    def test_what_is_there_by_now(self):
        self.change("daemon/cleanup/cleanup.8", r"Va milter_header_checks", "Va always_bcc")
        self.finds("cleanup.8: always_bcc is acted on")

    def test_reference_to_nothing(self):
        self.change("daemon/smtp/smtp.8", "Xr qmgr 8", "Xr qmgr 1")
        self.finds("there is no qmgr(1)")

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_form(self):
        self.change("daemon/smtp/smtp.8", r"\.Sh DESCRIPTION\n", ".Sh DESCRIPTION\n.Xx y\n")
        self.finds("smtp.8:")

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_form_of_the_page_that_is_made(self):
        self.change("scripts/params-to-mdoc", r"\.Sh PARAMETERS", ".Sh PARAMETERS\n.Xx y")
        self.finds("<stdin>:")


if __name__ == "__main__":
    unittest.main()
