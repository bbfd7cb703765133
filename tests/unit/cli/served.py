"""A datapath for the tools of these tests: the embedded forwarder's control side on a socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

from agent.sandesh.framing import FrameReader, reply_frame
from agent.sandesh.vrouter import Message, decode_messages, encode_many

Ask = Callable[[Message], list[list[Message]]]


class Served:
    """Answers every client on DIR/dpdk_netlink, one after the other, with what `ask` says."""

    def __init__(self, directory: Path, ask: Ask) -> None:
        self.requests: list[Message] = []
        self._ask = ask
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(directory / "dpdk_netlink"))
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                self._session(peer)

    def _session(self, peer: socket.socket) -> None:
        reader = FrameReader()
        while data := peer.recv(65536):
            reader.feed(data)
            for frame in reader:
                (request,) = decode_messages(frame.payload)
                self.requests.append(request)
                parts = self._ask(request)
                for position, part in enumerate(parts):
                    more = position < len(parts) - 1
                    peer.sendall(
                        reply_frame(encode_many(part), family=frame.type, seq=frame.seq, more=more)
                    )

    def close(self) -> None:
        """End; clients have gone."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()
