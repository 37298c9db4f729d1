#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A sender and a sink that speak TLS, as smtp-source and smtp-sink do not.

usage: tls_load.py source PORT MESSAGES SESSIONS
       tls_load.py sink PORT CERTIFICATE KEY

The source opens a connection for each message. The sink refuses mail before STARTTLS and
writes how many messages came as smtp-sink -c does.
"""
import contextlib
import itertools
import socket
import ssl
import sys
import threading

BODY = b"Subject: cost\r\n\r\n" + b"A line of text as people write them.\r\n" * 38 + b".\r\n"
ENVELOPE = ((b"MAIL FROM:<s@example.net>\r\n", b"2"), (b"RCPT TO:<r@example.org>\r\n", b"2"),
            (b"DATA\r\n", b"3"), (BODY, b"2"), (b"QUIT\r\n", b"2"))


def ask(connection, command, begins):
    if command:
        connection.sendall(command)
    reply = b""
    while not reply.endswith(b"\n") or reply.splitlines()[-1][3:4] == b"-":
        more = connection.recv(4096)
        if not more:
            raise SystemExit("the connection was closed")
        reply += more
    if not reply.startswith(begins):
        raise SystemExit(f"refused: {reply!r}")


def send(port, context):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask(plain, b"", b"2")
        ask(plain, b"EHLO client.example.net\r\n", b"2")
        ask(plain, b"STARTTLS\r\n", b"2")
        with context.wrap_socket(plain) as connection:
            ask(connection, b"EHLO client.example.net\r\n", b"2")
            for command, begins in ENVELOPE:
                ask(connection, command, begins)


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def source(port, messages, sessions):
    context = client_context()
    left, problems = iter(range(messages)), []
    lock = threading.Lock()

    def run():
        try:
            while True:
                with lock:
                    if next(left, None) is None or problems:
                        return
                send(port, context)
        except (OSError, SystemExit) as e:
            problems.append(str(e))

    threads = [threading.Thread(target=run) for _ in range(min(sessions, messages))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise SystemExit(problems[0])


def lines_of(connection):
    text = b""
    while more := connection.recv(65536):
        text += more
        *whole, text = text.split(b"\n")
        yield from (line + b"\n" for line in whole)


def serve(plain, context, arrived):
    connection, lines = plain, lines_of(plain)
    plain.sendall(b"220 sink ESMTP\r\n")
    while line := next(lines, None):
        verb = line[:4].upper()
        if verb == b"EHLO":
            offer = b"" if connection is not plain else b"250-STARTTLS\r\n"
            connection.sendall(b"250-sink\r\n" + offer + b"250 PIPELINING\r\n")
        elif verb == b"STAR":
            plain.sendall(b"220 go on\r\n")
            connection = context.wrap_socket(plain, server_side=True)
            lines = lines_of(connection)
        elif connection is plain and verb in (b"MAIL", b"RCPT", b"DATA"):
            plain.sendall(b"530 STARTTLS first\r\n")
        elif verb == b"DATA":
            connection.sendall(b"354 go on\r\n")
            for part in lines:
                if part == b".\r\n":
                    break
            else:
                return
            arrived()
            connection.sendall(b"250 taken\r\n")
        elif verb == b"QUIT":
            connection.sendall(b"221 bye\r\n")
            return
        else:
            connection.sendall(b"250 Ok\r\n")


def sink(port, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    numbers, lock = itertools.count(1), threading.Lock()

    def arrived():
        with lock:
            print(f"sess=0 quit=0 mesg={next(numbers)}", end="\r", flush=True)

    def run(client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError), client:
            serve(client, context, arrived)

    with socket.create_server(("127.0.0.1", port), backlog=1000) as server:
        while True:
            client, _ = server.accept()
            threading.Thread(target=run, args=(client,), daemon=True).start()


def main():
    what, port, *rest = sys.argv[1:]
    if what == "source":
        source(int(port), *map(int, rest))
    else:
        sink(int(port), *rest)


if __name__ == "__main__":
    main()
