# SPDX-License-Identifier: Apache-2.0
"""Tables of the SMTP client's output are read at its start, when it may; after a change of
their file a new process takes over."""
import os
import time
import unittest

from .harness import Instance, Sink


class Tables(unittest.TestCase):
    def write(self, mta, address):
        path = os.path.join(mta.config, "generic")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"a@local.example {address}\n")
        mta.run("postmap", f"hash:{path}")

    def test_changed_table(self):
        with Sink() as sink:
            mta = Instance(relayhost=sink.hop, minimal_backoff_time="1s", queue_run_delay="1s")
            mta.configure(smtp_generic_maps=f"hash:{mta.config}/generic")
            self.write(mta, "one@out.example")
            with mta:
                mta.sendmail(b"Subject: x\n\nx\n", "b@far.example", sender="a@local.example")
                self.assertEqual(sink.wait()[0].sender, "one@out.example")
                # A table's file is looked at once a second.
                self.write(mta, "two@out.example")
                end = time.monotonic() + 20
                while sink.messages[-1].sender == "one@out.example" and time.monotonic() < end:
                    time.sleep(0.3)
                    count = len(sink.messages)
                    mta.sendmail(b"Subject: x\n\nx\n", "b@far.example", sender="a@local.example")
                    sink.wait(count + 1)
                self.assertEqual(sink.messages[-1].sender, "two@out.example")
                self.assertEqual(mta.log.find("map lookup problem|address mapping failed"), [])


if __name__ == "__main__":
    unittest.main()
