# SPDX-License-Identifier: Apache-2.0
"""A policy server: answers check_policy_service as a function says.

    with PolicyServer(lambda asked: "REJECT no") as policy:
        Instance(smtpd_recipient_restrictions=f"check_policy_service {policy.name}")

The function gets the question as a dict and says the action, or bytes that are sent as they
are, or None to close the connection. `asked` has all questions, as lists of (name, value);
`connections` is how many there were. path: a UNIX-domain socket instead of TCP.
"""
import os
import socket
import threading


class PolicyServer:
    def __init__(self, answer, path=None):
        self.answer = answer
        self.asked = []
        self.connections = 0
        self.ended = lambda client: None   # called where the client closes
        self.lock = threading.Lock()
        if path is None:
            self.socket = socket.create_server(("127.0.0.1", 0), backlog=100)
            self.name = "inet:127.0.0.1:%d" % self.socket.getsockname()[1]
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
            self.socket.listen(100)
            os.chmod(path, 0o666)
            self.name = "unix:" + path

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.socket.close()

    def accept(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        question = []
        with client, client.makefile("rb") as lines:
            try:
                for line in lines:
                    text = line.decode("utf-8", "replace").rstrip("\n")
                    if text:
                        question.append(tuple(text.split("=", 1)))
                        continue
                    with self.lock:
                        self.asked.append(question)
                    answer = self.answer(dict(question))
                    question = []
                    if answer is None:
                        return
                    if isinstance(answer, str):
                        answer = f"action={answer}\n\n".encode()
                    client.sendall(answer)
                self.ended(client)
            except OSError:
                pass
