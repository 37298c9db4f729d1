# SPDX-License-Identifier: Apache-2.0
"""Debian's opendkim and rspamd as milters. Only with `./dev test --real`, which installs them."""
import os
import shutil
import subprocess
import time
import unittest

from .harness import Instance, Sink
from .test_milter import deliver

GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


@unittest.skipUnless(os.environ.get("HIKYAKU_REAL"), "only with --real")
class RealMilters(unittest.TestCase):
    def start(self, mta, socket, *command):
        """A milter in the foreground; waits until its socket is there."""
        with open(os.path.join(mta.dir, "milter.log"), "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        end = time.monotonic() + 60
        while not os.path.exists(socket):
            if process.poll() is not None or time.monotonic() > end:
                with open(os.path.join(mta.dir, "milter.log"), "rb") as log:
                    self.fail(f"{command}: {log.read().decode('utf-8', 'replace')}")
            time.sleep(0.05)
        os.chmod(socket, 0o777)

    def instance(self, sink):
        return Instance("real", "2525 inet n - n - 0 smtpd\n", relayhost=sink.hop, smtpd_milters="unix:m",
                        non_smtpd_milters="unix:m", smtpd_recipient_restrictions="permit_mynetworks, reject")

    @staticmethod
    def config(mta, text):
        path = os.path.join(mta.dir, "milter.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        return path

    def test_opendkim_signs(self):
        self.assertTrue(shutil.which("opendkim"), "opendkim is not installed")
        with Sink() as sink, self.instance(sink) as mta:
            key = os.path.join(mta.dir, "key.pem")
            subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
            socket = os.path.join(mta.queue, "m")
            config = self.config(mta, f"Socket local:{socket}\nKeyFile {key}\nDomain example.org\nSelector s1\n"
                                 "Mode s\nInternalHosts 127.0.0.0/8\nRequireSafeKeys no\nSyslog no\n"
                                 f"PidFile {mta.dir}/milter.pid\n")
            self.start(mta, socket, "opendkim", "-f", "-x", config)
            told = deliver(2525, b"From: a@example.org\r\nSubject: x\r\n\r\nbody", sender="a@example.org")
            self.assertIn("queued as", told[-2])
            mta.sendmail(b"From: a@example.org\nSubject: y\n\nbody\n", "r@example.org", sender="a@example.org")
            mta.wait_empty()
            self.assertEqual(2, len(sink.messages))
            for message in sink.messages:
                self.assertTrue(message.text.startswith(b"DKIM-Signature: v=1; "), message.text[:100])
                self.assertIn(b"d=example.org; s=s1;", message.text)

    def test_rspamd_rejects(self):
        self.assertTrue(shutil.which("rspamd"), "rspamd is not installed")
        with Sink() as sink, self.instance(sink) as mta:
            socket = os.path.join(mta.queue, "m")
            config = self.config(mta, f"""
                options {{ pidfile = "{mta.dir}/rspamd.pid"; tempdir = "{mta.dir}"; filters = "";
                          cache_file = "{mta.dir}/symbols"; hs_cache_dir = "{mta.dir}";
                          dns {{ nameserver = ["127.0.0.1:53"]; timeout = 1s; }} }}
                logging {{ type = "console"; level = "info"; }}
                actions {{ reject = 15; add_header = 6; }}
                worker "rspamd_proxy" {{
                    bind_socket = "{socket} mode=0666"; milter = yes; timeout = 60s; count = 1;
                    upstream "local" {{ default = yes; self_scan = yes; }}
                }}""")
            self.start(mta, socket, "rspamd", "-f", "--insecure", "-c", config)
            told = deliver(2525, b"From: a@example.org\r\nSubject: x\r\n\r\n" + GTUBE)
            self.assertRegex(told[-2], "^554 5.7.1 ")
            told = deliver(2525, b"From: a@example.org\r\nSubject: fine\r\n\r\nbody")
            self.assertIn("queued as", told[-2])
            mta.wait_empty()
            self.assertEqual(1, len(sink.messages))
            self.assertTrue(any("milter-reject: END-OF-MESSAGE from " in line.text for line in mta.log.lines()))


if __name__ == "__main__":
    unittest.main()
