# SPDX-License-Identifier: Apache-2.0
"""A Dovecot authentication server, as far as a client of it sees one.

    with DovecotAuth("/path/of/socket") as auth:     # or a TCP port
        auth.users["bob"] = "secret"
        ...
        auth.requests      # the lines that came, in order

Users with a meaning: "temp" fails for now, "slow" is answered late, "gone" closes the
connection, "reason" fails with a reason, "silent" is never answered.
"""
import base64
import binascii
import os
import socket
import threading

HELLO = ["VERSION\t1\t2", "MECH\tPLAIN\tplaintext", "MECH\tLOGIN\tplaintext",
         "MECH\tCRAM-MD5\tdictionary\tactive", "MECH\tANONYMOUS\tanonymous", "MECH\tEXTERNAL\tprivate",
         "SPID\t123", "CUID\t456", "COOKIE\t0123456789abcdef0123456789abcdef", "DONE"]


class DovecotAuth:
    def __init__(self, where, hello=None):
        self.where = where
        self.hello = HELLO if hello is None else hello
        self.users = {"bob": "secret", "al=ice": "pass word", "tab\tuser": "x"}
        self.requests = []
        self.connections = 0
        self.slow_seconds = 1
        self.clients = []
        self.listener = None

    def start(self):
        if isinstance(self.where, int):
            self.listener = socket.create_server(("127.0.0.1", self.where), reuse_port=False)
        else:
            if os.path.exists(self.where):
                os.unlink(self.where)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.where)
            os.chmod(self.where, 0o666)
            self.listener.listen(50)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        """Nobody is there any more, for those who are connected either."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for client in self.clients:
            self._close(client)
        self.clients = []
        if not isinstance(self.where, int) and os.path.exists(self.where):
            os.unlink(self.where)

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    @staticmethod
    def _close(client):
        try:
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        client.close()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self.clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            client.sendall("".join(line + "\n" for line in self.hello).encode())
            waiting = {}
            for line in client.makefile("r", encoding="utf-8", newline="\n"):
                line = line.rstrip("\n")
                self.requests.append(line)
                words = line.split("\t")
                try:
                    answers = self._answer(client, waiting, words)
                except binascii.Error:
                    answers = [f"FAIL\t{words[1]}\treason=Invalid base64 data"]
                for answer in answers:
                    client.sendall((answer + "\n").encode())
        except (OSError, ValueError):
            pass

    def _answer(self, client, waiting, words):
        if words[0] == "AUTH":
            number, mechanism = words[1], words[2].upper()
            initial = next((w[5:] for w in words[3:] if w.startswith("resp=")), None)
            if mechanism == "PLAIN":
                if initial is None:
                    waiting[number] = ["PLAIN"]
                    return [f"CONT\t{number}\t"]
                return self._plain(client, number, initial)
            if mechanism == "LOGIN":
                waiting[number] = ["LOGIN"]
                if initial is not None:
                    return self._continue(client, waiting, number, initial)
                return [f"CONT\t{number}\t" + base64.b64encode(b"Username:").decode()]
            return [f"FAIL\t{number}\treason=Unsupported authentication mechanism."]
        if words[0] == "CONT":
            return self._continue(client, waiting, words[1], words[2] if len(words) > 2 else "")
        if words[0] == "CANCEL":
            waiting.pop(words[1], None)
        return []

    def _continue(self, client, waiting, number, text):
        state = waiting.get(number)
        if state is None:
            return [f"FAIL\t{number}\treason=no such request"]
        if state[0] == "PLAIN":
            del waiting[number]
            return self._plain(client, number, text)
        if len(state) == 1:
            state.append(base64.b64decode(text).decode("utf-8", "replace"))
            return [f"CONT\t{number}\t" + base64.b64encode(b"Password:").decode()]
        del waiting[number]
        return self._verdict(client, number, state[1],
                             base64.b64decode(text).decode("utf-8", "replace"))

    def _plain(self, client, number, text):
        parts = base64.b64decode(text).decode("utf-8", "replace").split("\0")
        if len(parts) != 3:
            return [f"FAIL\t{number}\treason=invalid input"]
        return self._verdict(client, number, parts[1], parts[2])

    def _verdict(self, client, number, user, password):
        name = user.replace("\001", "\0011").replace("\t", "\001t")
        if user == "gone":
            self._close(client)
            return []
        if user == "silent":
            return []
        if user == "slow":
            threading.Timer(self.slow_seconds, self._late, (client, number)).start()
            return []
        special = {"temp": "\ttemp", "tempreason": "\ttemp\treason=the disk is full",
                   "reason": "\treason=go away", "disabled": "\tuser_disabled",
                   "disabledreason": "\tuser_disabled\treason=no more",
                   "expired": "\tpass_expired", "authz": "\tauthz", "code": "\tcode=temp_fail",
                   "codereason": "\tcode=user_disabled\treason=closed", "delayed": "\tdelayed",
                   "empty": "\treason="}
        if user in special:
            return [f"FAIL\t{number}\tuser={name}{special[user]}"]
        if user == "nouser":
            return [f"OK\t{number}"]
        if user == "odd":
            return [f"OK\t{number}\tfoo\tuser=o(d)d<u>\u00e9\tbar=1"]
        if user == "bare":
            return [f"FAIL\t{number}"]
        if self.users.get(user) == password:
            return [f"OK\t{number}\tuser={name}\thost=x\tnologin"]
        return [f"FAIL\t{number}\tuser={name}"]

    def _late(self, client, number):
        try:
            client.sendall(f"OK\t{number}\tuser=slow\n".encode())
        except OSError:
            pass
