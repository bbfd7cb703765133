"""Ways from this machine's loopback into a host of the lab, for a browser."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from agent.lab.connection import Connection
from agent.lab.plan import PAGE_PORT
from agent.lab.processes import environment
from agent.topology import Topology

ADDRESS = "127.0.0.1"
_FIRST_PORT = 8085
_MOST_PORTS = 100
_MOST_VISITS = 64


class Door:
    """A TCP port of this machine's loopback; each connection is a `command` of its own.

    The command's standard input and output are the connection, as inetd does it. A browser
    finds it at `url`.
    """

    def __init__(self, listener: socket.socket, command: Sequence[str]) -> None:
        self._listener = listener
        address, port = listener.getsockname()
        self.url = f"http://{address}:{port}/"
        self._command = list(command)
        self._visits: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more, and end what was begun."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for visit in self._visits:
            visit.kill()
            visit.wait()

    def _serve(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:  # closed
                return
            with visitor:
                self._visits = [visit for visit in self._visits if visit.poll() is None]
                if len(self._visits) < _MOST_VISITS:
                    self._begin(visitor)

    def _begin(self, visitor: socket.socket) -> None:
        visit = subprocess.Popen(
            self._command,
            stdin=visitor.fileno(),
            stdout=visitor.fileno(),
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        self._visits.append(visit)


@contextmanager
def doors(connection: Connection, topology: Topology) -> Iterator[dict[str, Door]]:
    """A door to the page of each host, by the host's name, on the first ports that are free."""
    with ExitStack() as stack:
        opened = {}
        for host in topology.hosts:
            inside = ["busybox", "nc", ADDRESS, str(PAGE_PORT)]
            door = Door(_listener(), connection.argv(host, inside))
            stack.callback(door.close)
            opened[host] = door
        yield opened


def _listener() -> socket.socket:
    for port in range(_FIRST_PORT, _FIRST_PORT + _MOST_PORTS):
        with suppress(OSError):
            return socket.create_server((ADDRESS, port))
    return socket.create_server((ADDRESS, 0))
