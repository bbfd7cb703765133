"""A TCP server and its client, for VMs of a lab: `python -m agent.lab.tcp`.

`listen PORT...` prints "listening" and sends back lines that it gets, until its input closes;
`connect ADDRESS PORT` exits with 0 if its line comes back, with 1 if there is no connection.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading

LISTENING = "listening"
SECONDS = 1.5
"""How long a client waits: a SYN that was lost is sent again after one second."""

_LINE = b"hello\n"


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.readline(len(_LINE)))


def _listen(ports: list[int]) -> int:
    for port in ports:
        server = socketserver.ThreadingTCPServer(("", port), _Echo)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(LISTENING, flush=True)
    sys.stdin.read()
    return 0


def _connect(address: str, port: int) -> int:
    try:
        with socket.create_connection((address, port), SECONDS) as sock:
            sock.sendall(_LINE)
            got = sock.recv(len(_LINE))
    except OSError as error:
        print(f"{address} port {port}: {error}")
        return 1
    print(f"{address} port {port}: {got.decode().strip() or 'closed at once'}")
    return 0 if got == _LINE else 1


def main(words: list[str]) -> int:
    """`listen` or `connect`; the exit code."""
    what, *rest = words
    if what == "connect":
        return _connect(rest[0], int(rest[1]))
    return _listen([int(port) for port in rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
