"""A datapath that gives captured answers, for the golden tests of the tools."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from agent.sandesh.framing import FrameReader, reply_frame
from agent.sandesh.vrouter import Message, VrResponse, decode_messages, encode_many

CAPTURES = Path(__file__).parents[2] / "vectors" / "ksync-captures.jsonl"

Answer = Callable[[Message], list[list[Message]]]


def captured(conversation: str) -> list[tuple[str, bytes]]:
    """(direction, frame) of one recorded conversation."""
    rows = map(json.loads, CAPTURES.read_text().splitlines())
    return [
        (row["dir"], bytes.fromhex(row["hex"]))
        for row in rows
        if row["conversation"] == conversation
    ]


def only(data: bytes) -> Message:
    """The one message of one frame."""
    reader = FrameReader()
    reader.feed(data)
    (frame,) = list(reader)
    (message,) = decode_messages(frame.payload)
    return message


class Datapath:
    """Listens on DIR/dpdk_netlink for one client at a time; records what was asked."""

    def __init__(self, directory: Path) -> None:
        self.requests: list[Message] = []
        self.frames: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(directory / "dpdk_netlink"))
        self._listener.listen(1)
        self._thread: threading.Thread | None = None

    def replay(self, *conversations: str) -> None:
        """Answer the requests of these conversations with their recorded frames."""
        script: list[tuple[Message, list[bytes]]] = []
        for conversation in conversations:
            for direction, data in captured(conversation):
                if direction == "tx":
                    script.append((only(data), []))
                else:
                    script[-1][1].append(data)
        steps = iter(script)

        def raw(_: Message) -> list[bytes]:
            return next(steps)[1]

        self._serve(lambda request, seq: [data[:8] + seq + data[12:] for data in raw(request)])

    def answer(self, answer: Answer) -> None:
        """Answer each request with the messages of each frame that `answer` gives."""

        def frames(request: Message, seq: bytes) -> list[bytes]:
            parts = answer(request)
            return [
                reply_frame(
                    encode_many(part),
                    family=32,
                    seq=int.from_bytes(seq, "little"),
                    more=position < len(parts) - 1,
                )
                for position, part in enumerate(parts)
            ]

        self._serve(frames)

    def _serve(self, frames: Callable[[Message, bytes], list[bytes]]) -> None:
        self._thread = threading.Thread(target=self._session, args=(frames,), daemon=True)
        self._thread.start()

    def _session(self, frames: Callable[[Message, bytes], list[bytes]]) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:  # closed before anybody asked
            return
        reader = FrameReader()
        with peer:
            while data := peer.recv(65536):
                reader.feed(data)
                self.frames.append(data)
                for frame in reader:
                    (request,) = decode_messages(frame.payload)
                    self.requests.append(request)
                    for reply in frames(request, frame.seq.to_bytes(4, "little")):
                        peer.sendall(reply)

    def close(self) -> None:
        """End; the last client's session has ended with its process or call."""
        self._listener.close()
        if self._thread is not None:
            self._thread.join(5)


def done(*objects: Message) -> list[list[Message]]:
    """A GET's answer."""
    return [[VrResponse(h_op=4), *objects]]


def dumped(*objects: Message) -> list[list[Message]]:
    """A DUMP's answer on one page."""
    return [[VrResponse(h_op=4, resp_code=len(objects))], list(objects)]
