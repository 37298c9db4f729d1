# SPDX-License-Identifier: Apache-2.0
"""virtual(8) and lmtp(8), beside Debian's: the same outcomes, texts, answers and bytes."""
import os
import re
import socket
import threading
import unittest

from . import world
from .outcomes import CALM, kinds, outcomes

UID = 5005
MESSAGE = b"Subject: x\n\nFrom here\n.dot\nbody\n"


class LmtpServer:
    """On a UNIX socket, or a port of 127.0.0.1; says no to some recipients, early or late."""

    def __init__(self, path=None):
        self.commands, self.messages = [], []
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen(16)
            os.chmod(path, 0o666)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def stop(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with conn, conn.makefile("rb") as lines:
            def say(text):
                conn.sendall(text.encode() + b"\r\n")

            say("220 box.example LMTP")
            accepted = []
            for line in lines:
                text = line.decode().rstrip()
                verb = text.split(" ")[0]
                self.commands.append(text)
                if verb == "LHLO":
                    say("250-box.example\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES")
                elif verb == "RCPT" and "<early" in text:
                    say("550 5.1.1 no such box")
                elif verb == "RCPT":
                    accepted.append(re.search("<(.*)>", text)[1])
                    say("250 2.1.5 Ok")
                elif verb == "DATA":
                    say("354 go on")
                    data = []
                    while (part := lines.readline()) != b".\r\n":
                        data.append(part[1:] if part.startswith(b".") else part)
                    self.messages.append(b"".join(data))
                    for recipient in accepted:
                        say("552 5.2.2 box is full" if recipient.startswith("full") else
                            "451 4.2.0 box is locked" if recipient.startswith("later") else
                            "250 2.0.0 kept")
                    accepted = []
                elif verb == "QUIT":
                    say("221 2.0.0 bye")
                    return
                else:
                    say("250 2.0.0 Ok")


class Boxes(unittest.TestCase):
    maxDiff = None

    def same(self, found):
        if "oracle" in found:
            self.assertEqual(found["ours"], found["oracle"])
        return found["ours"]

    def play(self, recipients, parameters, look=lambda mta: None):
        found = {}
        for kind in kinds():
            mta = kind(myhostname="mail.example.net", **CALM)
            mta.configure(**{name: value.replace("DIR", mta.dir)
                             for name, value in parameters.items()})
            with mta:
                mta.sendmail(MESSAGE, *recipients, sender="")
                said = {to: (o.status, o.dsn, o.relay.replace(mta.dir, "DIR"),
                             o.text.replace(mta.dir, "DIR"))
                        for to, o in outcomes(mta, recipients).items()}
                found[kind.kind] = (said, look(mta))
        return found

    # lmtp

    def test_lmtp_by_tcp(self):
        server = LmtpServer()
        self.addCleanup(server.stop)
        who = [f"{name}@x.example" for name in ("a", "b", "early", "full", "later")]

        def look(_):
            said = [re.sub(r"SIZE=\d+", "SIZE=N", c) for c in server.commands]
            kept = [m.split(b"\r\n\r\n", 1)[1] for m in server.messages]
            server.commands.clear()
            server.messages.clear()
            return sorted(said), kept

        said, (commands, bodies) = self.same(self.play(
            who, {"relayhost": "", "default_transport": f"lmtp:inet:127.0.0.1:{server.port}"}, look))
        self.assertEqual([said[to][0] for to in who],
                         ["sent", "sent", "bounced", "bounced", "deferred"])
        self.assertIn("LHLO mail.example.net", commands)
        self.assertEqual(bodies, [b"From here\r\n.dot\r\nbody\r\n"])

    def test_lmtp_by_socket(self):
        for kind in kinds():
            mta = kind(myhostname="mail.example.net", relayhost="", **CALM)
            path = os.path.join(mta.dir, "box")
            server = LmtpServer(path)
            self.addCleanup(server.stop)
            mta.configure(default_transport=f"lmtp:unix:{path}")
            with mta:
                mta.sendmail(MESSAGE, "a@x.example", sender="")
                outcome = outcomes(mta, ["a@x.example"])["a@x.example"]
                self.assertEqual((outcome.status, outcome.relay, outcome.text),
                                 ("sent", f"mail.example.net[{path}]", "250 2.0.0 kept"), kind)
                server.stop()
                os.unlink(path)
                mta.log.mark()
                mta.sendmail(MESSAGE, "b@x.example", sender="")
                outcome = outcomes(mta, ["b@x.example"])["b@x.example"]
                self.assertEqual((outcome.status, outcome.dsn), ("deferred", "4.4.1"), kind)

    # virtual

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_virtual(self):
        who = [f"{name}@v.example" for name in ("box", "dir", "none", "owner", "box+ext")]
        rows = {"box@v.example": "box", "dir@v.example": "dir/", "owner@v.example": "owner/"}

        def look(mta):
            base = os.path.join(mta.dir, "boxes")
            found = {}
            for folder, _, names in os.walk(base):
                for name in names:
                    path = os.path.join(folder, name)
                    with open(path, "rb") as f:
                        text = re.sub(rb"(?m)^(From |Received: |\tid |Message-Id: |Date: |\t).*\n", b"",
                                      f.read())
                    where = re.sub(r"/new/.*", "/new/", os.path.relpath(path, base))
                    self.assertEqual(os.stat(path).st_uid, UID)
                    found.setdefault(where, []).append(text)
            return found

        found = {}
        for kind in kinds():
            mta = kind(myhostname="mail.example.net", relayhost="", **CALM)
            base = os.path.join(mta.dir, "boxes")
            os.mkdir(base)
            os.chown(base, UID, UID)
            mta.configure(virtual_mailbox_domains="v.example", virtual_mailbox_base=base,
                          virtual_mailbox_maps="inline:{" + ",".join(
                              f"{{{k}={v}}}" for k, v in rows.items()) + "}",
                          virtual_uid_maps=f"inline:{{{{box@v.example={UID}}},{{dir@v.example={UID}}},"
                                           "{owner@v.example=5}}",
                          virtual_gid_maps=f"static:{UID}", recipient_delimiter="+")
            with mta:
                mta.sendmail(MESSAGE, *who, sender="")
                said = {to: (o.status, o.dsn, o.relay, o.text.replace(mta.dir, "DIR"))
                        for to, o in outcomes(mta, who).items()}
                found[kind.kind] = (said, look(mta))
        said, files = self.same(found)
        self.assertEqual(said["box@v.example"][::3], ("sent", "delivered to mailbox"))
        self.assertEqual(said["dir@v.example"][::3], ("sent", "delivered to maildir"))
        self.assertEqual(said["none@v.example"][:2], ("bounced", "5.1.1"))
        self.assertEqual(said["owner@v.example"][0], "deferred")
        self.assertEqual(set(files), {"box", "dir/new/"})
        self.assertEqual(len(files["box"]), 1)


if __name__ == "__main__":
    world.need_build("bin/postfix")
    unittest.main()
