# SPDX-License-Identifier: Apache-2.0
"""Other people's servers: run in the foreground for one test, ended by pid after it."""
import os
import signal
import subprocess
import time


def serve(test, folder, command, ready, **options):
    """Starts a server for `test` (a TestCase) and waits until ready(); what it says is in
    `folder`/log. `options` are those of Popen."""
    path = os.path.join(folder, "log")
    with open(path, "wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **options)

    def stop():
        server.send_signal(signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    test.addCleanup(stop)
    end = time.monotonic() + 60
    while not ready():
        if time.monotonic() > end or server.poll() is not None:
            with open(path, "rb") as f:
                test.fail(f"{command[0]}: {f.read().decode('utf-8', 'replace')[-3000:]}")
        time.sleep(0.05)
    return server
